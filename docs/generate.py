"""Parts of the reference that are made from the program itself: keys, commands, kinds of files. Markdown."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from mechscreen.campaign.table import keys
from mechscreen.cli import cli
from mechscreen.schemas import calibration, dataset, emulators, evaluation, fits, screen, simulations, validation
from mechscreen.storage import ArrayFile

ROOT = Path(__file__).parents[1]
SCHEMA = ROOT / "workflow/schemas/campaign.schema.json"
TYPES = {"integer": "whole number", "number": "number", "string": "text", "boolean": "`true` or `false`"}
ATTRIBUTES = {str: "text", int: "whole number", float: "number"}
MISSING = "; may be missing"
LIMITS = {"minimum": "from", "exclusiveMinimum": "above", "maximum": "to", "exclusiveMaximum": "below"}


def configuration() -> str:
    """Return every key of a campaign: its type by the JSON schema, default, meaning, and what a change remakes."""
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    declared = _in_schema(schema, schema, "")
    types: dict[str, list[str]] = {}
    for name, key in declared:
        types.setdefault(name, []).append(_type(key, schema))
    lines = ["## The campaign", ""]
    for key in keys():
        if key.meaning.startswith("**"):
            lines += [f"## `{key.name}`", "", key.meaning.strip("*") + ".", ""]
        elif not key.effect:
            lines += [f"### `{key.name}`", "", key.meaning + ".", ""]
        else:
            kinds = ", or ".join(dict.fromkeys(types[key.name]))
            told = f"{kinds}; default {key.default}" if key.default != "–" else f"{kinds}; must be given"
            change = "A change: " if key.effect.startswith(("grows", "more")) else "A change remakes "
            lines += [f"`{key.name}` {{ #{key.name} }}"]
            lines += [f":   *{told}.* {_linked(key.meaning)}. *{change}{key.effect}.*", ""]
    return "\n".join(lines)


def command_line() -> str:
    """Return every command with its help, its options and its examples."""
    context = click.Context(cli, info_name="mechscreen")
    parts = []
    for name, command in cli.commands.items():
        inner = click.Context(command, info_name=name, parent=context)
        text = inspect.cleandoc(command.help or "")
        usage = " ".join(command.get_usage(inner).removeprefix("Usage: ").split())
        parts += [f"## `{name}`", "", f"`{usage}`", "", *_help(text)]
        for parameter in command.get_params(inner):
            record = parameter.get_help_record(inner)
            if record is not None and "--help" not in record[0]:
                parts += [f"`{record[0]}`", f":   {_linked(record[1])}", ""]
    return "\n".join(parts)


def files() -> str:
    """Return every kind of HDF5 file with its attributes and arrays."""
    parts = []
    for module in (simulations, dataset, emulators, evaluation, calibration, screen, validation, fits):
        for kind in vars(module).values():
            if not (inspect.isclass(kind) and issubclass(kind, ArrayFile) and kind.__module__ == module.__name__):
                continue
            # Parts of files have no kind of their own; partial files are what they become, and the program's alone.
            if kind.kind and not kind.kind.startswith("partial"):
                parts += _file(kind)
    return "\n".join(parts)


def _file(kind: type[ArrayFile]) -> list[str]:
    declared = kind.declared()
    summary = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("``", "`").replace("\n", " ")
    rows = []
    for name, (of, optional) in declared.attributes.items():
        rows.append(f"| `{name}` | attribute | {ATTRIBUTES[of]}{MISSING * optional} |")
    for array in declared.arrays:
        dtype = "text" if array.dtype.kind == "U" else array.dtype.name
        rows.append(f"| `{array.name}` | ({', '.join(array.axes)}) | {dtype}{MISSING * array.optional} |")
    return [f"### {kind.kind}", "", summary, "", "| name | shape | type |", "|---|---|---|", *rows, ""]


def _in_schema(section: Mapping[str, Any], schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, key in section["properties"].items():
        inner = [_resolved(choice, schema) for choice in _choices(key) if "$ref" in choice]
        if not inner:
            yield prefix + name, key
        for choice in inner:
            yield from _in_schema(choice, schema, f"{prefix}{name}.")


def _choices(key: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    return key.get("anyOf") or key.get("oneOf") or [key]


def _resolved(key: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    return schema["$defs"][key["$ref"].rpartition("/")[2]] if "$ref" in key else key


def _type(key: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """Return the type of a key in words."""
    key = _resolved(key, schema)
    if len(_choices(key)) > 1:
        return ", or ".join(dict.fromkeys(_type(choice, schema) for choice in _choices(key)))
    if "const" in key or "enum" in key:
        return ", ".join(f"`{value}`" for value in key.get("enum", [key.get("const")]))
    if key.get("type") == "null":
        return "`null`"
    if key.get("type") == "array":
        return f"list of {_type(key['items'], schema)}" if "items" in key else "list"
    if key.get("type") == "object":
        return "mapping"
    limits = " ".join(f"{word} {key[limit]:,}" for limit, word in LIMITS.items() if limit in key)
    return f"{TYPES[key['type']]} {limits}".strip()


def _help(text: str) -> Iterator[str]:
    """Yield a command's help; what keeps its lines there, behind a control character, is a block of code."""
    for paragraph in text.split("\n\n"):
        head, *lines = paragraph.split("\n")
        if head != "\b":
            yield from (_linked(paragraph), "")
        elif lines[0].endswith(":"):
            yield from (lines[0], "", *(f"    {line.strip()}" for line in lines[1:]), "")
        else:
            yield from (*(f"    {line.strip()}" for line in lines), "")


def _linked(text: str) -> str:
    """Let the names of pages lead there; pages of the reference stand beside their folders."""
    return re.sub(r"docs/([\w/-]+)\.md", lambda match: f"[{_title(match[1])}](../{match[1]}.md)", text)


def _title(page: str) -> str:
    first = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("# ").partition(":")[0]


PARTS: Mapping[str, Callable[[], str]] = {
    "<!-- made from the JSON schema of campaigns -->": configuration,
    "<!-- made from the commands -->": command_line,
    "<!-- made from the declarations in mechscreen.schemas -->": files,
}
"""What stands on a page in the place of a part."""
