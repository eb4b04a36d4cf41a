"""What is wrong with a configuration, in lines for people."""

from __future__ import annotations

from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from mechscreen.emulators.architectures.base import Network
from mechscreen.errors import nearest
from mechscreen.registry import NETWORKS


def describe(item: Mapping[str, Any], root: type[BaseModel]) -> str:
    """Turn one of pydantic's errors about `root` into a line for people.

    What fits none of several forms has an error for each; they are described alike.
    """
    model, keys, of_forms = _locate(item["loc"], root)
    path = ".".join(str(key) for key in keys) or "(top level)"
    if of_forms:
        return f"'{path}' is of no form that is valid here{_allowed(model, keys)}"
    kind, value = item["type"], item.get("input")
    if kind == "extra_forbidden":
        valid = list(model.model_fields) if model else []
        return f"unknown key '{path}'{nearest(str(keys[-1]), valid)} (valid here: {', '.join(valid)})"
    if kind == "missing":
        return f"key '{path}' is missing{_allowed(model, keys)}"
    if kind == "union_tag_invalid":
        tags = item["ctx"]["expected_tags"].replace("'", "").split(", ")
        tag = str(item["ctx"]["tag"])
        return f"'{path}': no network '{tag}'{nearest(tag, tags)} (valid: {', '.join(tags)})"
    message = item["msg"].removeprefix("Value error, ")
    if kind == "value_error" and isinstance(value, Mapping):
        return f"'{path}': {message}"
    return f"'{path}' is {value!r}: {message[0].lower() + message[1:]}{_allowed(model, keys)}"


def _allowed(model: type[BaseModel] | None, keys: list[str | int]) -> str:
    """Return the description of the field that `keys` ends in, in brackets."""
    field = model.model_fields.get(str(keys[-1])) if model and keys else None
    return f" ({field.description})" if field is not None and field.description else ""


def _locate(loc: tuple[str | int, ...], root: type[BaseModel]) -> tuple[type[BaseModel] | None, list[str | int], bool]:
    """Return the model that an error's last key belongs to, and the keys without pydantic's names of forms.

    The keys end at a value that may have one of several forms; whether they do comes third.
    """
    here: Any = root
    owner: type[BaseModel] | None = None
    keys: list[str | int] = []
    for part in loc:
        forms = _forms(here)
        if len(forms) > 1:
            return owner, keys, True
        here = forms[0]
        if here is Network:
            here = NETWORKS.get(str(part))
            continue
        owner = here if _is_model(here) else None
        keys.append(part)
        if owner is not None:
            field = owner.model_fields.get(str(part))
            here = field.annotation if field else None
        else:
            here = get_args(here)[1 if get_origin(here) is dict else 0] if get_origin(here) in (dict, tuple) else None
    return owner, keys, False


def _forms(annotation: Any) -> list[Any]:
    """Return what a value may be, beside nothing."""
    if get_origin(annotation) is Annotated:
        return _forms(get_args(annotation)[0])
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    return [form for form in get_args(annotation) if form is not NoneType]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
