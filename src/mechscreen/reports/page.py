"""The report as one HTML file that needs no network: pictures inside, plain markup, readable on a phone and printed."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from jinja2 import Environment, PackageLoader, StrictUndefined

from mechscreen.figures.text import number
from mechscreen.reports import explorer

Cell = str | int | float | None
"""None is an empty cell."""

MOST_BYTES = 3_000_000
"""Of a page, so that it can be mailed; pictures are made coarser where they would make it larger."""

_LEAST_FOR_PICTURES = 500_000
_COARSER, _COARSEST = 0.8, 0.3
"""By how much the sides of pictures shrink at a time, and down to what."""
_PIXELS = 0.75
"""Of the page for each of a picture's: more than one for each, for sharp screens and for paper."""
_NARROW = 770
"""Pixels of the page up to which a picture leaves room beside it for its caption."""


@dataclass(frozen=True)
class KeyNumber:
    """One of the few numbers that come first in a section, of which `section` is the key."""

    label: str
    value: str
    note: str = ""
    section: str = "found"


@dataclass(frozen=True)
class Picture:
    """A picture, and what it shows.

    Attributes
    ----------
    name, title, caption
        The first is its address on the page.
    png
        As the page shows it; `render` makes it smaller.
    alternative
        What those are told who cannot see it, beside the caption; the title where it is empty.
    files
        Addresses of it as files beside the page, by what they are called.
    """

    name: str
    title: str
    caption: str
    png: bytes
    alternative: str = ""
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def width(self) -> int:
        """Pixels of the page."""
        return round(_PIXELS * self._pixels(16))

    @property
    def height(self) -> int:
        """As `width`."""
        return round(_PIXELS * self._pixels(20))

    @property
    def is_narrow(self) -> bool:
        """Whether the caption has room beside it."""
        return self.width <= _NARROW

    def _pixels(self, place: int) -> int:
        return int.from_bytes(self.png[place : place + 4])


@dataclass(frozen=True)
class Table:
    """Rows of cells below their headings, in the section of which `section` is the key."""

    title: str
    headings: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    note: str = ""
    section: str = "found"

    @property
    def name(self) -> str:
        """Its address on the page."""
        return f"table-{_WORDS.sub('-', self.title.lower()).strip('-')}"


def placed(groups: Mapping[str, Sequence[Table]]) -> list[Table]:
    """Return the tables that have rows, each with the key of the section below which it is given."""
    return [replace(table, section=key) for key, tables in groups.items() for table in tables if table.rows]


@dataclass(frozen=True)
class Section:
    """A part of the page: what it says, numbers, pictures and tables, in this order.

    Attributes
    ----------
    key, title, short
        Its address, its heading, and what the contents call it; the heading where that is empty.
    text
        Paragraphs.
    points
        A list of things to do, or to know.
    code
        Shown as it is, last, below its heading.
    has_explorer
        Whether the part that answers to a reader belongs here.
    beside
        Pictures that stand beside each other, with the address and the title of each such row.
    """

    key: str
    title: str
    short: str = ""
    text: Sequence[str] = ()
    points: Sequence[str] = ()
    numbers: Sequence[KeyNumber] = ()
    pictures: Sequence[Picture] = ()
    tables: Sequence[Table] = ()
    code: tuple[str, str] | None = None
    has_explorer: bool = False
    beside: Sequence[tuple[str, str, Sequence[Picture]]] = ()

    @property
    def all_pictures(self) -> list[Picture]:
        """All of them."""
        return [*self.pictures, *(picture for _, _, row in self.beside for picture in row)]


@dataclass(frozen=True)
class Page:
    """All that the report says, as plain text; `render` makes it HTML."""

    title: str
    headline: str
    sections: Sequence[Section]
    explorer: str = ""
    """The JSON that `mechscreen.reports.explorer.data` makes; "" where there is no hit to look at."""


def render(page: Page) -> str:
    """Return the HTML: ``page.html.j2``, into which every text goes escaped.

    It has at most `MOST_BYTES`, unless its texts and tables have nearly as many.
    """
    script = explorer.script() if page.explorer else ""
    templates = Environment(
        loader=PackageLoader("mechscreen.reports", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters |= {"shown": _shown}
    templates.tests["number_like"] = _is_number_like
    template, digest = templates.get_template("page.html.j2"), _base64(hashlib.sha256(script.encode()).digest())
    pictures = [picture for section in page.sections for picture in section.all_pictures]

    def filled(sources: Mapping[str, str]) -> str:
        return template.render(page=page, script=script, digest=digest, sources=sources)

    without = len(filled({picture.name: "" for picture in pictures}).encode())
    room = max(_LEAST_FOR_PICTURES, MOST_BYTES - without)
    return filled(dict(zip([picture.name for picture in pictures], _embedded(pictures, room), strict=True)))


def _embedded(pictures: Sequence[Picture], room: int) -> list[str]:
    """Return pictures as addresses that hold them, of so many bytes together, if they can be made so small."""
    scale = 1.0
    while True:
        found = [f"data:image/webp;base64,{_base64(_webp(picture.png, scale))}" for picture in pictures]
        if sum(map(len, found)) <= room or scale < _COARSEST:
            return found
        scale *= _COARSER


def _webp(png: bytes, scale: float) -> bytes:
    """Return a PNG as WebP, which every browser shows, without loss but for its size: about half as large."""
    from PIL import Image

    buffer = io.BytesIO()
    with Image.open(io.BytesIO(png)) as image:
        made = image.convert("RGB")
        if scale < 1:
            made = made.resize((round(scale * made.width), round(scale * made.height)), Image.Resampling.LANCZOS)
        made.save(buffer, format="webp", lossless=True, quality=50, method=4)
    return buffer.getvalue()


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
_WORDS = re.compile(r"[^a-z0-9]+")
