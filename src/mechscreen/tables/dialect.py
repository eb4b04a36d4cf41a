"""How a table is written: what separates its columns, and its lines as cells.

pandas reads the cells; of lines with quotes by its slower engine, since the other takes ``"1"5`` for 15. It does not
choose the separator: a choice by likelihood may be wrong, and here one is taken only if no other fits.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from mechscreen.errors import InputError
from mechscreen.tables import dates, names, numbers
from mechscreen.tables.text import Line, Text

_BLOCK = 2048
"""Lines that are read at once, so that what is made of them in between stays small."""
_BLANKS = re.compile(r"[ \t]+")
_WIDE_BLANKS = re.compile(r"[ \t]{2,}")
_RULE = re.compile(r"[\s|+:=-]*(?:---|===)[\s|+:=-]*")
"""A line that is drawn below a header."""
_HEADS = 20
"""Lines among which it is looked for."""
_TAILS = 3
"""Lines at the end that are rows, where much stands above the header."""


@dataclass(frozen=True)
class Separator:
    """What stands between columns.

    Attributes
    ----------
    mark
        Character that separates the cells of what `prepared` returns.
    told
        As people are told.
    points_are_usual
        Whether a table with it has decimal points, unless its numbers say otherwise.
    """

    mark: str
    told: str
    points_are_usual: bool = False
    blanks: re.Pattern[str] | None = None

    def stands_in(self, line: str) -> bool:
        """Return whether a line has several columns by it."""
        if self.blanks is None:
            return self.mark in line
        return (" " in line or "\t" in line) and self.blanks.search(line.strip()) is not None

    def prepared(self, line: str) -> str:
        """Return a line in which one character separates columns."""
        return line if self.blanks is None else self.blanks.sub(self.mark, line.strip())


COMMA = Separator(",", "comma-separated", points_are_usual=True)
NONE = Separator("\x1f", "of one column", points_are_usual=True)
SEMICOLON = Separator(";", "semicolon-separated")
TAB = Separator("\t", "tab-separated")
_BAR = Separator("|", "separated by bars")
_BY_BLANKS = Separator(" ", "separated by blanks", points_are_usual=True, blanks=_BLANKS)
_BY_WIDE_BLANKS = Separator("\t", "separated by two blanks or more", points_are_usual=True, blanks=_WIDE_BLANKS)
SEPARATORS = (COMMA, SEMICOLON, TAB, _BAR, _BY_BLANKS, _BY_WIDE_BLANKS)
"""In the order in which they are tried."""


@dataclass(frozen=True)
class Cells:
    """The lines of a table as cells.

    Attributes
    ----------
    separator
        Between columns.
    columns
        Of each the n texts, without blanks around them; empty behind the end of a row that is shorter than others.
    lines
        (n,) number of each row's line.
    widths
        (n,) cells in each row.
    above
        Lines above them that were left out: titles, and what else has no columns.
    """

    separator: Separator
    columns: list[list[str]]
    lines: list[int]
    widths: list[int]
    above: int = 0

    @property
    def regular(self) -> bool:
        """Whether there are columns, and all rows have as many cells, but perhaps the first."""
        return max(self.widths, default=0) > 1 and len(set(self.widths[1:])) <= 1

    @property
    def ends_regular(self) -> bool:
        """Whether there are columns, and the last two rows have as many cells."""
        return len(set(self.widths[-2:])) == 1 and self.widths[-1] > 1

    @property
    def exact(self) -> bool:
        """Whether all rows have as many cells."""
        return len(set(self.widths)) == 1


def split(path: Path, text: Text) -> Cells:
    """Return the lines of a table as cells.

    Raises
    ------
    InputError
        If lines are no CSV, differ in the number of their cells, or can be separated in two ways.
    """
    lines = [line for k, line in enumerate(text.lines) if not (0 < k < _HEADS and _RULE.fullmatch(line.text))]
    if text.separator is not None:
        return _cells(path, lines, next(one for one in SEPARATORS if one.mark == text.separator))
    present = [separator for separator in SEPARATORS if _in_rows(separator, lines)]
    if not present:
        return _cells(path, lines, NONE)
    found = [cells for separator in present if (cells := _attempt(path, lines, separator)) is not None]
    # Between tabs, blanks are part of cells: of dates with times, of names, so that `Time (h)` is one of them.
    if any(cells.separator is TAB and cells.ends_regular for cells in found):
        found = [cells for cells in found if cells.separator.blanks is None]
    regular = [cells for cells in found if cells.regular]
    regular = [cells for cells in regular if cells.exact] or regular
    if not regular:
        # What is wrong is told of the first that separates most lines.
        return found[0] if found else _cells(path, lines, present[0])
    return regular[0] if len(regular) == 1 else _likeliest(path, regular)


def _likeliest(path: Path, regular: Sequence[Cells]) -> Cells:
    """Return the reading by which the largest share of cells are values, if no other can be meant."""
    shares = [_share_of_values(cells) for cells in regular]
    best = regular[shares.index(max(shares))]
    for other, share in zip(regular, shares, strict=True):
        inside = other.separator.blanks is None and _inside(best, other.separator.mark)
        if other is not best and (share == max(shares) or inside) and best.columns != other.columns:
            raise InputError(
                f"{path}: may be {best.separator.told} or {other.separator.told}; say which by a line 'sep=' and the "
                f"separator before the table, such as sep={best.separator.mark}"
            )
    return best


def _in_rows(separator: Separator, lines: Sequence[Line]) -> bool:
    """Return whether a mark stands in most lines, or in the last ones, where titles are longer than the table."""
    found = [separator.stands_in(line.text) for line in lines]
    return sum(found) > 0.5 * len(lines) or (len(lines) > _TAILS and all(found[-_TAILS:]))


def _attempt(path: Path, lines: Sequence[Line], separator: Separator) -> Cells | None:
    try:
        return _cells(path, lines, separator)
    except InputError:
        return None


def _cells(path: Path, lines: Sequence[Line], separator: Separator) -> Cells:
    columns: list[list[str]] = []
    widths: list[int] = []
    for start in range(0, len(lines), _BLOCK):
        block = lines[start : start + _BLOCK]
        found, own = _of_block(path, block, separator)
        while len(columns) < len(found):
            columns.append([""] * start)
        for column, cells in zip(columns, [*found, *([[""] * len(block)] * (len(columns) - len(found)))], strict=True):
            column.extend(map(str.strip, cells))
        widths += own
    # Rows of nothing but separators, which spreadsheets leave behind.
    full = [any(cells) for cells in zip(*columns, strict=True)]
    width = max((width for width, kept in zip(widths, full, strict=True) if kept), default=0)
    columns = [list(compress(column, full)) for column in columns[:width]]
    numbers = list(compress((line.number for line in lines), full))
    return _without_title(_without_padded_title(Cells(separator, columns, numbers, list(compress(widths, full)))))


def _without_padded_title(cells: Cells) -> Cells:
    """Leave out lines above a header that spreadsheets fill with separators: one or two cells, and nothing behind them.

    The header is the first row that fills all columns; it holds texts alone, and not all rows below do.
    """
    if not cells.exact or cells.widths[0] < 2:
        return cells
    columns = [column for column in cells.columns if any(column[1:])]
    above = next((k for k, row in enumerate(zip(*columns, strict=True)) if all(row)), 0)
    if not 0 < above < len(cells.lines) - 1 or above >= _HEADS:
        return cells
    rows = [[column[k] for column in cells.columns] for k in range(min(above + 3, len(cells.lines)))]
    if not all(map(_is_title, rows[:above])) or sum(map(is_text, rows[above])) < len(columns):
        return cells
    if max(sum(map(bool, row)) for row in rows[:above]) >= len(columns) or all(map(is_text, rows[-1])):
        return cells
    kept = [column[above:] for column in cells.columns]
    return Cells(cells.separator, kept, cells.lines[above:], cells.widths[above:], above)


def _is_title(row: Sequence[str]) -> bool:
    """Return whether a row has one or two cells, at its beginning, of which the first is a text, and names no times."""
    given = sum(map(bool, row))
    return is_text(row[0]) and given < 3 and not any(row[given:]) and not _names_columns(row)


def _names_columns(row: Sequence[str]) -> bool:
    """Return whether a row holds texts alone, of which one names a column of times."""
    return any(map(names.is_time, row)) and not any(cell and is_value(cell) for cell in row)


def _without_title(cells: Cells) -> Cells:
    """Leave out lines above a header: a row of texts alone, after which all rows have as many cells, and before none.

    Nothing above may be a row of a table, with two values or with nothing else.
    """
    width = cells.widths[-1] if cells.widths else 0
    above = next((len(cells.widths) - k for k, own in enumerate(reversed(cells.widths)) if own != width), 0)
    if width < 2 or not 0 < above < len(cells.lines) - 1 or width in cells.widths[:above]:
        return cells
    columns = [column[above:] for column in cells.columns[:width]]
    # Separators at the ends of lines make columns of nothing, perhaps not in the header.
    full = sum(any(column) for column in columns)
    rows = [[column[k] for column in cells.columns] for k in range(min(above + 3, len(cells.lines)))]
    texts = [sum(map(is_text, row)) for row in rows]
    values = [sum(bool(cell) and is_value(cell) for cell in row) for row in rows[:above]]
    if not all(texts[:above]) or max(values) > 1 or cells.widths[:above] == [full]:
        return cells
    if any(_names_columns(row) and texts[k] > 1 for k, row in enumerate(rows[:above])):
        return cells
    if texts[above] < full or min(texts[above + 1 :]) == full:
        return cells
    return Cells(cells.separator, columns, cells.lines[above:], cells.widths[above:], above)


def _of_block(path: Path, lines: Sequence[Line], separator: Separator) -> tuple[list[list[str]], list[int]]:
    """Return the columns of some lines, and how many cells each line has."""
    import pandas as pd

    prepared = [separator.prepared(line.text) for line in lines]
    quoted = any('"' in text for text in prepared)
    most = max(text.count(separator.mark) for text in prepared) + 1
    try:
        rows = pd.read_csv(
            io.StringIO("\n".join(prepared)),
            sep=separator.mark,
            header=None,
            names=range(most),
            index_col=False,
            dtype=object,
            na_filter=False,
            skipinitialspace=True,
            skip_blank_lines=False,
            quoting=csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE,
            engine="python" if quoted else "c",
        )
    except (pd.errors.ParserError, csv.Error) as error:
        raise _no_csv(path, lines, prepared, separator.mark, error) from None
    if len(rows) > len(lines):
        begun = next(line.number for line in lines if "\n" in line.text)
        raise InputError(f"{path}, line {begun}: not valid CSV (a quote in the middle of a cell)")
    if not quoted:
        return [rows[k].tolist() for k in range(most)], [text.count(separator.mark) + 1 for text in prepared]
    # Behind the end of a row that engine has NaN, and text elsewhere.
    return [rows[k].fillna("").tolist() for k in range(most)], rows.notna().sum(axis=1).tolist()


def _no_csv(path: Path, lines: Sequence[Line], prepared: Sequence[str], mark: str, error: Exception) -> InputError:
    """Return what is wrong with the first line that is not CSV, which pandas does not number."""
    for line, text in zip(lines, prepared, strict=True):
        try:
            list(csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=True))
        except csv.Error as own:
            return InputError(f"{path}, line {line.number}: not valid CSV ({own})")
    return InputError(f"{path}: not valid CSV ({' '.join(str(error).split())})")


def _share_of_values(cells: Cells) -> float:
    """Return how many of the cells below the first row are values by some notation."""
    found = _below(cells)
    return sum(map(is_value, found)) / max(len(found), 1)


def _inside(cells: Cells, mark: str) -> bool:
    """Return whether a mark stands in cells below the first row that are no values."""
    return any(mark in cell and not is_value(cell) for cell in _below(cells))


def _below(cells: Cells) -> list[str]:
    """Return the cells below the first row, of many the first ones: one that is no value speaks against a reading."""
    return [cell for column in cells.columns[: cells.widths[-1]] for cell in column[1:_BLOCK]]


def is_text(cell: str) -> bool:
    """Return whether a cell holds something that is no value."""
    return bool(cell) and not is_value(cell)


def is_value(cell: str) -> bool:
    """Return whether a cell is a number, a date, or says that there is none."""
    return numbers.may_be_number(cell) or numbers.is_missing(cell) or numbers.is_beyond(cell) or dates.is_date(cell)
