"""A table as it came: labels, units, columns of text, the line of each row, and how it was read."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError, nearest
from mechscreen.tables import dates, numbers
from mechscreen.tables.names import listed, short_names, split_unit
from mechscreen.tables.numbers import Notation

_LONGEST = 60
_WITH_MORE = re.compile(r"[0-9].*[^\W\d_%‰±()\[\]*#]|[0-9].*[%‰±()\[\]*#/]|[$€£~≈(].*[0-9]")
"""A number and something else: a unit, an error, a mark of a footnote."""


@dataclass(frozen=True)
class Table:
    """A table that somebody brought, n rows and d columns.

    Attributes
    ----------
    path
        Its file.
    labels
        (d,) what columns are called in it; each once.
    units
        (d,) what a row of units, or brackets in the label, say; ``""`` where nothing does.
    columns
        (d,) of each column the n texts, without blanks around them.
    lines
        (n,) the line of each row in the file.
    head
        The first line that is no comment, where the labels stand if the table has a header.
    notation
        How its numbers are written.
    read_as
        What was recognised, such as ``semicolon-separated, decimal commas``.
    plain
        Whether nothing had to be recognised but commas, and labels above numbers.
    by_place
        Whether its columns have no names, and are called by their places.
    """

    path: Path
    labels: tuple[str, ...]
    units: tuple[str, ...]
    columns: list[list[str]]
    lines: tuple[int, ...]
    head: int
    notation: Notation
    read_as: str
    plain: bool
    by_place: bool

    def __len__(self) -> int:
        return len(self.lines)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """(d,) identifiers that stand for the labels; a first column that has none is called by its place."""
        return tuple(short_names([label or "column1" for label in self.labels]))

    def texts(self, column: int) -> list[str]:
        """Return the cells of a column, (n,)."""
        return self.columns[column]

    def find(self, wanted: str) -> int | None:
        """Return the column of a label, of the label without its unit, or of its short name; None if there is none.

        Raises
        ------
        InputError
            If several columns are called so.
        """
        if wanted in self.labels:
            return self.labels.index(wanted)
        found = [k for k, label in enumerate(self.labels) if wanted in (split_unit(label)[0], self.names[k])]
        if len(found) > 1:
            raise InputError(
                f"{self.path}: '{wanted}' may be {' or '.join(repr(self.labels[k]) for k in found)}; give one of these"
            )
        return found[0] if found else None

    def column(self, wanted: str) -> int:
        """Return the column that is called so.

        Raises
        ------
        InputError
            If there is none, or several are.
        """
        found = self.find(wanted)
        if found is None:
            close = nearest(wanted, [*self.labels, *self.names])
            raise InputError(f"{self.path}: no column '{wanted}'{close} (columns: {listed(self.labels)})")
        return found

    def where(self, row: int, column: int | None = None) -> str:
        """Return where a row, or a cell of it, stands in the file."""
        cell = "" if column is None else f", column '{self.labels[column]}'"
        return f"{self.path}, line {self.lines[row]}{cell}"

    def numbers(self, column: int, known: Mapping[str, float] | None = None, more: str = "") -> NDArray[np.float64]:
        """Return the numbers of a column, (n,).

        Parameters
        ----------
        known
            Texts that stand for numbers, such as names of categories.
        more
            What messages add.

        Raises
        ------
        InputError
            Naming the line, the column and what stands there, if that is no finite number.
        """
        known = known or {}
        cells = self.texts(column)
        plain = None if known else self.notation.parse_plain(cells)
        values = np.empty(len(self)) if plain is None else np.array(plain)
        if plain is not None and np.isfinite(values).all():
            return values
        for row, cell in enumerate(cells):
            if cell in known:
                values[row] = known[cell]
                continue
            value = self.notation.parse(cell)
            if value is None or not math.isfinite(value):
                raise InputError(f"{self.where(row, column)}: {_no_number(cell)}{more}")
            values[row] = value
        return values

    def measured(self, column: int) -> tuple[NDArray[np.float64], int]:
        """Return the numbers of a column, (n,), NaN where a value is missing, and how many are below detection.

        Raises
        ------
        InputError
            As `numbers` does; if a number stands there that looks like a code for missing values, such as -999.
        """
        cells = self.texts(column)
        plain = self.notation.parse_plain(cells) is not None
        texts = set() if plain else {cell for cell in set(cells) if self.notation.parse(cell) is None}
        beyond = {cell for cell in texts if numbers.is_beyond(cell)}
        lacking = beyond | {cell for cell in texts if numbers.is_missing(cell)}
        values = self.numbers(column, dict.fromkeys(lacking, math.nan))
        code = numbers.fill_value(cells, values.tolist())
        if code is not None:
            raise InputError(
                f"{self.where(cells.index(code), column)}: {code} looks like a code for a missing value; write NA, or, "
                "if it was measured, with an exponent"
            )
        return values, sum(cell in beyond for cell in cells)


def _no_number(cell: str) -> str:
    if not cell:
        return "is empty"
    told = f"'{shortened(cell)}' is not a finite number"
    if numbers.is_beyond(cell):
        return f"{told} (a limit of detection)"
    if dates.is_date(cell):
        return f"{told} (a date)"
    if _WITH_MORE.search(cell):
        return f"{told}; write numbers alone, and units in the name of the column"
    return told


def shortened(text: str) -> str:
    """Return a text on one line, cut where it is long."""
    text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in " ".join(text.split()))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


Known = Callable[[str], bool]
"""Whether a label is one of those that a table may have."""
