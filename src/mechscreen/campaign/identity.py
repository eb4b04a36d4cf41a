"""What a file depends on: a flat mapping of keys to values, its fingerprint, and how two of them differ."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mechscreen.campaign.editions import introduced_default
from mechscreen.campaign.graph import Effect
from mechscreen.emulators.architectures.base import Network
from mechscreen.registry import NETWORKS

_MOST_TOLD = 4
_LONGEST = 80


@dataclass(frozen=True)
class Identity:
    """What the files of a stage depend on.

    Attributes
    ----------
    values
        Dotted key → plain value. A key whose value is the default that it was introduced with is left out, so that a
        key that comes later changes nothing.
    defaults
        What a key that is left out stands for, for messages.
    """

    values: Mapping[str, Any]
    defaults: Mapping[str, Any] = field(default_factory=dict, compare=False)

    @cached_property
    def fingerprint(self) -> str:
        """12 hexadecimal digits."""
        return hashlib.sha256(self.as_json.encode()).hexdigest()[:12]

    @property
    def as_json(self) -> str:
        """The values as text, the same for the same values."""
        return json.dumps(self.values, sort_keys=True, separators=(",", ":"), ensure_ascii=False)

    @property
    def attributes(self) -> dict[str, str]:
        """What a file says of it."""
        return {"campaign": self.fingerprint, "identity": self.as_json}

    def differences(self, recorded: Mapping[str, Any]) -> list[tuple[str, str, str]]:
        """Return (key, value recorded, value here) for each key that differs."""
        keys = sorted(self.values.keys() | recorded.keys())
        return [
            (key, self._told(recorded, key), self._told(self.values, key))
            for key in keys
            if recorded.get(key, _ABSENT) != self.values.get(key, _ABSENT)
        ]

    def difference(self, recorded: str | Mapping[str, Any]) -> str:
        """Return what differs from a recorded identity, for people; empty if that cannot be told.

        ``simulations.sampling = uniform, this campaign says sobol``
        """
        try:
            values = json.loads(recorded) if isinstance(recorded, str) else recorded
        except ValueError:
            return ""
        if not isinstance(values, Mapping):
            return ""
        found = [f"{key} = {old}, this campaign says {new}" for key, old, new in self.differences(values)]
        more = [f"and {len(found) - _MOST_TOLD} more"] if len(found) > _MOST_TOLD else []
        return "; ".join(found[:_MOST_TOLD] + more)

    def _told(self, values: Mapping[str, Any], key: str) -> str:
        if key not in values:
            default = self.defaults.get(key, _ABSENT)
            return "nothing" if default is _ABSENT else f"{_text(default)} (the default)"
        return _text(values[key])


_ABSENT = object()


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@dataclass(frozen=True)
class Leaf:
    """A key that holds a value, and no section.

    Attributes
    ----------
    key
        Dotted path.
    field
        Its declaration.
    effect
        What a change of it does; None where neither it nor a section around it says so.
    of
        Which of several sections that may stand there has it (``dense``); empty where there is one.
    """

    key: str
    field: FieldInfo
    effect: Effect | None
    of: str = ""

    @property
    def is_tag(self) -> bool:
        """Whether it tells which of several sections stands there; it always counts then."""
        return get_origin(self.field.annotation) is Literal and len(get_args(self.field.annotation)) == 1


def leaves(section: type[BaseModel], effect: Effect | None = None, prefix: str = "", of: str = "") -> Iterator[Leaf]:
    """Yield all keys of a configuration that hold a value, as declared."""
    for name, declared in section.model_fields.items():
        own = effect_of(declared) or effect
        inner = sections_in(declared.annotation)
        for choice in inner:
            yield from leaves(choice, own, f"{prefix}{name}.", tag(choice) if len(inner) > 1 else of)
        if not inner:
            yield Leaf(prefix + name, declared, own, of)


def flatten(section: BaseModel, effect: Effect | None = None, prefix: str = "") -> Iterator[tuple[Leaf, Any]]:
    """Yield all keys of a configuration that hold a value, and the value in plain types."""
    plain = section.model_dump(mode="json")
    for name, declared in type(section).model_fields.items():
        own = effect_of(declared) or effect
        value = getattr(section, name)
        if isinstance(value, BaseModel):
            yield from flatten(value, own, f"{prefix}{name}.")
        elif name in plain:
            yield Leaf(prefix + name, declared, own), plain[name]


def effect_of(declared: FieldInfo) -> Effect | None:
    """Return what a key's own declaration says of a change; None if it says nothing."""
    found = [item for item in declared.metadata if isinstance(item, Effect)]
    together = found[0] if found else None
    for other in found[1:]:
        assert together is not None
        together = together & other
    return together


def counted(leaf: Leaf, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield a key and its value as they count; nothing where the value is the default that the key was introduced with.

    What a user names (options, parameters) counts key by key.
    """
    if isinstance(value, Mapping):
        yield from _open(leaf.key, value)
    elif leaf.is_tag or value != _plain(introduced_default(leaf.field)):
        yield leaf.key, value


def _open(key: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        # A dot in a name is none between names.
        below = f"{key}.{json.dumps(name) if '.' in name else name}"
        if isinstance(value, Mapping) and value:
            yield from _open(below, value)
        else:
            yield below, value


def defaults_of(section: type[BaseModel]) -> dict[str, Any]:
    """Return what each key of a configuration was introduced with, where it has a default."""
    found = {leaf.key: introduced_default(leaf.field) for leaf in leaves(section) if not leaf.is_tag}
    return {key: _plain(value) for key, value in found.items() if value is not PydanticUndefined}


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def sections_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the sections that may stand where a key is declared so."""
    if annotation is Network:
        return [NETWORKS.get(name) for name in NETWORKS.built_in]
    if isinstance(annotation, type):
        return [annotation] if issubclass(annotation, BaseModel) else []
    if isinstance(annotation, UnionType):
        return [found for part in get_args(annotation) for found in sections_in(part)]
    return []


def tag(section: type[BaseModel]) -> str:
    """Return what tells a section from others that may stand in its place."""
    return next(str(f.default) for f in section.model_fields.values() if Leaf("", f, None).is_tag)
