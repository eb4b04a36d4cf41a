"""What is wrong with a configuration, in lines for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from mechscreen.emulators.architectures.base import Network
from mechscreen.errors import nearest
from mechscreen.registry import NETWORKS


def describe(errors: Iterable[Mapping[str, Any]], root: type[BaseModel]) -> list[str]:
    """Turn pydantic's errors about `root` into lines for people.

    What fits none of several forms has an error for each. What is wrong inside one of them says more than that it is
    none of the others.
    """
    lines: dict[str, None] = {}
    formless: dict[str, str] = {}
    paths = set()
    for item in errors:
        model, keys, field = _locate(item["loc"], root)
        paths.add(path := _path(keys))
        if field is None:
            lines[_line(item, model, keys)] = None
        else:
            formless[path] = f"'{path}' is of no form that is valid here{_described(field)}"
    inside = {path for path in formless if any(other.startswith(f"{path}.") for other in paths)}
    return [*lines, *(line for path, line in formless.items() if path not in inside)]


def _path(keys: Sequence[str | int]) -> str:
    return ".".join(str(key) for key in keys) or "(top level)"


def _line(item: Mapping[str, Any], model: type[BaseModel] | None, keys: list[str | int]) -> str:
    path, kind, value = _path(keys), item["type"], item.get("input")
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
    return _described(model.model_fields.get(str(keys[-1])) if model and keys else None)


def _described(field: FieldInfo | None) -> str:
    return f" ({field.description})" if field is not None and field.description else ""


def _locate(
    loc: tuple[str | int, ...], root: type[BaseModel]
) -> tuple[type[BaseModel] | None, list[str | int], FieldInfo | None]:
    """Return the model that an error's last key belongs to, and the keys without pydantic's names of forms.

    Where the keys end at a value that has none of its forms, the last field on the way there comes third; else None.
    """
    here: Any = root
    owner: type[BaseModel] | None = None
    field: FieldInfo | None = None
    keys: list[str | int] = []
    for place, part in enumerate(loc):
        forms = _forms(here)
        if len(forms) > 1:
            if place == len(loc) - 1:
                return owner, keys, field
            here = next((form for form in forms if str(part).startswith(_name(form))), None)
            continue
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
    return owner, keys, None


def _name(form: Any) -> str:
    """Return what pydantic's name of a form begins with."""
    return str(getattr(get_origin(form) or form, "__name__", form))


def _forms(annotation: Any) -> list[Any]:
    """Return what a value may be, beside nothing."""
    if get_origin(annotation) is Annotated:
        return _forms(get_args(annotation)[0])
    if get_origin(annotation) not in (Union, UnionType):
        return [annotation]
    return [form for form in get_args(annotation) if form is not NoneType]


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)
