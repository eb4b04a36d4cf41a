"""Defaults that change: each results folder keeps those of the edition that it began with.

A key whose default changes says so beside its declaration: ``Annotated[int, Was({1: 512})] = Field(600)`` was 512 up to
edition 1. What it was introduced with never counts for the identity of a file (`mechscreen.campaign.identity`), so that
files of a campaign that leaves the key out stay what they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

EDITION = 2
"""Of the defaults of today."""


@dataclass(frozen=True)
class Was:
    """Earlier defaults of a key, each by the last edition that had it."""

    defaults: Mapping[int, Any]

    def until(self, edition: int) -> dict[str, Any]:
        """Return ``{"default": …}`` as of an edition, {} if it is the one of today."""
        later = [last for last in sorted(self.defaults) if last >= edition]
        return {"default": self.defaults[later[0]]} if later else {}


def introduced_default(field: FieldInfo) -> Any:
    """Return the default that a key had first; the field's own, `PydanticUndefined` where there is none."""
    was = next((item for item in field.metadata if isinstance(item, Was)), None)
    return was.defaults[min(was.defaults)] if was else field.get_default(call_default_factory=True)


def with_defaults_of(edition: int, section: type[BaseModel], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a section with those defaults of an edition filled in that are others today."""
    filled = dict(values)
    for name, field in section.model_fields.items():
        was = next((item for item in field.metadata if isinstance(item, Was)), None)
        if was is not None:
            for default in was.until(edition).values():
                filled.setdefault(name, default)
        inner, given = field.annotation, values.get(name, {})
        if isinstance(inner, type) and issubclass(inner, BaseModel) and isinstance(given, Mapping):
            below = with_defaults_of(edition, inner, given)
            if below != given:
                filled[name] = below
    return filled
