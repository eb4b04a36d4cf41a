"""The report as one HTML file that needs no network: pictures inside, plain markup, readable on a phone and printed."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from jinja2 import Environment, PackageLoader, StrictUndefined

from mechscreen.figures.text import number
from mechscreen.reports import explorer

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

    @property
    def width(self) -> int:
        """Pixels of the page: half of those of the picture, for screens with small ones."""
        return self._pixels(16) // 2

    @property
    def height(self) -> int:
        """As `width`."""
        return self._pixels(20) // 2

    def _pixels(self, place: int) -> int:
        return int.from_bytes(self.png[place : place + 4])


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
    origin: Sequence[Table] = field(default=())
    configuration: str = ""
    explorer: str = ""
    """The JSON that `mechscreen.reports.explorer.data` makes; "" where there is no hit to look at."""


def render(page: Page) -> str:
    """Return the HTML: ``page.html.j2``, into which every text goes escaped."""
    script = explorer.script() if page.explorer else ""
    templates = Environment(
        loader=PackageLoader("mechscreen.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"base64": _base64, "shown": _shown}
    templates.tests["number_like"] = _is_number_like
    return templates.get_template("page.html.j2").render(
        page=page,
        script=script,
        digest=_base64(hashlib.sha256(script.encode()).digest()),
    )


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _shown(value: Cell) -> str:
    if isinstance(value, float):
        return number(value)
    return "" if value is None else f"{value:,}" if isinstance(value, int) else value


def _is_number_like(value: Cell) -> bool:
    """Tell what is set to the right: numbers, also those that come as text."""
    return isinstance(value, int | float) or (value is not None and _NUMBER.fullmatch(value) is not None)


_NUMBER = re.compile(r"[+−-]?[0-9][0-9.,]*( %)?")
