"""The table of keys in config/README.md, from their declarations."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from mechscreen.campaign.campaign import Campaign
from mechscreen.campaign.graph import Effect
from mechscreen.campaign.identity import effect_of, sections_in, tag

HEAD = "| key | default | meaning | a change remakes |\n|---|---|---|---|\n"


@dataclass(frozen=True)
class Key:
    """A key of a campaign, as people are told it: Markdown.

    Attributes
    ----------
    name
        With those of the sections that it stands in: ``screen.objective.name``.
    default
        Of the section that is the default, where several may stand in one place: all of them.
    effect
        What a change remakes; empty for a section.
    """

    name: str
    default: str
    meaning: str
    effect: str


def keys() -> list[Key]:
    """Return every key of a campaign, in order."""
    rows: dict[str, list[tuple[str, str, str]]] = {}
    meanings: dict[str, list[tuple[str, str]]] = {}
    for key, of, default, meaning, effect in _rows(Campaign, None, "", ""):
        rows.setdefault(key, []).append((of, default, effect))
        meanings.setdefault(key, []).append((of, meaning))
    told = []
    for key, found in rows.items():
        # Of sections that may stand in one place, the first is the default.
        shown = found[:1] if key.endswith(".network") else found
        defaults = ", ".join(dict.fromkeys(default for _, default, _ in shown))
        told.append(Key(key, defaults, _together(meanings[key]), found[0][2]))
    return told


def table() -> str:
    """Return the table as Markdown: every key of a campaign, its default, meaning, and what a change remakes."""
    return HEAD + "".join(f"| `{key.name}` | {key.default} | {key.meaning} | {key.effect} |\n" for key in keys())


def replaced(text: str) -> str:
    """Return a page with the table that it holds made anew."""
    return re.sub(re.escape(HEAD) + r"(\|.*\n)+", lambda _: table(), text, count=1)


def _rows(
    section: type[BaseModel], effect: Effect | None, prefix: str, of: str
) -> Iterator[tuple[str, str, str, str, str]]:
    for name, declared in section.model_fields.items():
        own = effect_of(declared) or effect
        inner = sections_in(declared.annotation)
        meaning = (declared.description or "").removesuffix(".")
        if not inner:
            yield prefix + name, of, _default(declared), meaning, str(own)
            continue
        optional = "`null`" if declared.default is None else ""
        yield prefix + name, of, optional, meaning if prefix else f"**{meaning}**", ""
        for choice in inner:
            yield from _rows(choice, own, f"{prefix}{name}.", tag(choice) if len(inner) > 1 else of)


def _together(meanings: list[tuple[str, str]]) -> str:
    """Return the meanings of a key, each with the sections that it is of: ``dense, aligned: neurons …``."""
    by_meaning: dict[str, list[str]] = {}
    for of, meaning in meanings:
        by_meaning.setdefault(meaning, []).append(of)
    return "; ".join(f"{', '.join(of)}: {meaning}" if any(of) else meaning for meaning, of in by_meaning.items())


def _default(declared: FieldInfo) -> str:
    value: Any = declared.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "–"
    return f"`{value if isinstance(value, str) else json.dumps(value)}`"


if __name__ == "__main__":
    page = Path(sys.argv[1])
    page.write_text(replaced(page.read_text(encoding="utf-8")), encoding="utf-8")
