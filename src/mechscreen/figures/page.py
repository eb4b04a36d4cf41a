"""The report as one HTML file that needs no network: pictures inside, plain markup, readable on a phone and printed."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

from mechscreen.figures import explorer
from mechscreen.figures.text import number

Cell = str | int | float | None
"""None is an empty cell."""


@dataclass(frozen=True)
class KeyNumber:
    """One of the few numbers that come first."""

    label: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A PNG and what it shows."""

    name: str
    title: str
    caption: str
    png: bytes


@dataclass(frozen=True)
class Table:
    """Rows of cells below their headings."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""


@dataclass(frozen=True)
class Page:
    """All that the report says, as plain text; `render` makes it HTML."""

    title: str
    headline: str
    numbers: Sequence[KeyNumber]
    pictures: Sequence[Picture]
    tables: Sequence[Table]
    provenance: Sequence[Table] = field(default=())
    configuration: str = ""
    explorer: str = ""
    """The JSON that `mechscreen.figures.explorer.data` makes; "" where there is no hit to look at."""


def render(page: Page) -> str:
    """Return the HTML; every text is escaped."""
    script = explorer.script() if page.explorer else ""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            # Nothing but what is inside this file can be loaded, and no script but our own can run.
            f"""<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; """
            f"""style-src 'unsafe-inline'; script-src 'sha256-{digest}'">""",
            f"<title>{escape(page.title)}</title>",
            f"<style>{_CSS}</style>",
            "</head>",
            "<body>",
            "<main>",
            f"<h1>{escape(page.title)}</h1>",
            f'<p class="headline">{escape(page.headline)}</p>',
            '<dl class="numbers">',
            *map(_key_number, page.numbers),
            "</dl>",
            *([explorer.markup()] if page.explorer else []),
            "<section>",
            "<h2>Pictures</h2>",
            *map(_picture, page.pictures),
            "</section>",
            "<section>",
            "<h2>Tables</h2>",
            *map(_table, page.tables),
            "</section>",
            "<section>",
            "<h2>Provenance</h2>",
            *map(_table, page.provenance),
            "<h3>Configuration</h3>",
            f"<pre>{escape(page.configuration)}</pre>",
            "</section>",
            "</main>",
            *(
                [
                    f'<script type="application/json" id="explorer-data">{page.explorer}</script>',
                    f"<script>{script}</script>",
                ]
                if page.explorer
                else []
            ),
            "</body>",
            "</html>",
            "",
        ]
    )


def _key_number(item: KeyNumber) -> str:
    note = f'<dd class="note">{escape(item.note)}</dd>' if item.note else ""
    return f"<div><dt>{escape(item.label)}</dt><dd>{escape(item.value)}</dd>{note}</div>"


def _picture(picture: Picture) -> str:
    data = base64.b64encode(picture.png).decode("ascii")
    # Scaled by its own size, so that text is as large in one picture as in the next.
    width, height = (int.from_bytes(picture.png[start : start + 4]) // 2 for start in (16, 20))
    return (
        f'<figure id="{escape(picture.name)}">\n<h3>{escape(picture.title)}</h3>\n'
        f'<div class="scroll"><img alt="{escape(picture.title)}" width="{width}" height="{height}" '
        f'src="data:image/png;base64,{data}"></div>\n'
        f"<figcaption>{escape(picture.caption)}</figcaption>\n</figure>"
    )


def _table(table: Table) -> str:
    # A heading stands like what is below it.
    first = table.rows[0] if table.rows else [""] * len(table.headings)
    head = "".join(
        f'<th scope="col"{_side(cell)}>{escape(heading)}</th>'
        for heading, cell in zip(table.headings, first, strict=True)
    )
    body = "\n".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in table.rows)
    note = f"<p>{escape(table.note)}</p>\n" if table.note else ""
    return (
        f"<h3>{escape(table.title)}</h3>\n{note}"
        f'<div class="scroll"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table></div>'
    )


def _cell(value: Cell) -> str:
    text = "" if value is None else f"{value:,}" if isinstance(value, int) else value
    return f"<td{_side(value)}>{escape(number(text) if isinstance(text, float) else text)}</td>"


def _side(value: Cell) -> str:
    """Align numbers to the right, also those that come as text."""
    is_number = isinstance(value, int | float) or (value is not None and _NUMBER.fullmatch(value))
    return ' class="number"' if is_number else ""


_NUMBER = re.compile(r"[+−-]?[0-9][0-9.,]*( %)?")


_CSS = """
:root { color-scheme: light; }
body { margin: 0; background: #fff; color: #1a1a1a; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 70rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.6rem; margin: 0.5rem 0; }
h2 { font-size: 1.3rem; margin: 2.5rem 0 0.5rem; border-bottom: 1px solid #ccc; }
h3 { font-size: 1.05rem; margin: 1.5rem 0 0.5rem; }
p, figcaption { max-width: 48rem; }
.headline { font-size: 1.2rem; }
.numbers { display: grid; grid-template-columns: repeat(auto-fill, minmax(12.5rem, 1fr)); gap: 0.75rem; }
.numbers div { border-left: 4px solid #0072B2; padding: 0.1rem 0.75rem; }
.numbers dt { font-size: 0.85rem; color: #444; }
.numbers dd { margin: 0; font-size: 1.25rem; font-weight: 600; }
.numbers dd.note { font-size: 0.85rem; font-weight: 400; color: #444; }
figure { margin: 0 0 2rem; }
figure img { display: block; max-width: 100%; height: auto; }
figcaption { font-size: 0.9rem; color: #333; margin-top: 0.5rem; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 0.85rem; }
th, td { padding: 0.25rem 0.6rem; border-bottom: 1px solid #ddd; text-align: left; vertical-align: top; }
td { white-space: nowrap; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
pre { font-size: 0.8rem; background: #f6f6f6; padding: 0.75rem; overflow-x: auto; }
#explorer .panels { display: flex; flex-wrap: wrap; gap: 1.5rem; align-items: flex-start; }
#explorer svg { width: 26rem; max-width: 100%; font-size: 11px; }
#explorer svg text { fill: #222; }
#explorer svg .label { font-size: 12px; }
#explorer .stands { fill: #0072B2; stroke: #fff; stroke-width: 0.7; cursor: pointer; }
#explorer .falls { stroke: #D55E00; stroke-width: 1.6; fill: none; cursor: pointer; }
#explorer .chosen { fill: none; stroke: #000; stroke-width: 2; pointer-events: none; }
#explorer path.simulated { fill: none; stroke: #000; stroke-width: 2; }
#explorer path.emulated { fill: none; stroke: #E69F00; stroke-width: 2; stroke-dasharray: 6 3; }
#explorer span.emulated { color: #B07A00; font-weight: 600; }
#explorer .panels p { margin: 0 0 0.5rem; }
#explorer td.number { min-width: 5rem; }
@media (max-width: 40rem) { figure img { max-width: 36rem; } }
@media print {
  #explorer { display: none; }
  main { max-width: none; padding: 0; }
  figure, table, .numbers { break-inside: avoid; }
  h2, h3, section > p { break-after: avoid; }
  table { font-size: 0.6rem; }
  th, td { padding: 0.15rem 0.3rem; }
  .scroll, pre { overflow: visible; }
  pre { white-space: pre-wrap; }
}
"""
