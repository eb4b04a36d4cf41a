"""The one reader of tables: a file in, a `Table` out, or one line that says why not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mechscreen.errors import InputError
from mechscreen.tables import dialect, numbers
from mechscreen.tables.dialect import COMMA, Cells, Separator, is_text, is_value
from mechscreen.tables.names import is_time, listed, split_unit
from mechscreen.tables.numbers import Notation, is_missing
from mechscreen.tables.table import Known, Table, shortened
from mechscreen.tables.text import Line, Text, read_text

_INDEX = re.compile(r"(?:Unnamed: 0(?:\.[0-9]+)*)?")
"""What programs call a column that counts rows."""
_HEAD_OF_THOUSANDS = re.compile(r"[+\-−–]?[1-9][0-9]{0,2}")
_TAIL_OF_THOUSANDS = re.compile(r"[0-9]{3}(?:[.,][0-9]*)?")
_TAIL_OF_DECIMALS = re.compile(r"[0-9]+(?:[eEdD×x·⋅* ].*)?")
_MARKS = re.compile(r'^\s*"?[#%/]+\s*|"\s*$')


@dataclass(frozen=True)
class _Read:
    """Labels, units and texts of columns, the lines of rows, and what is told of how that was seen."""

    labels: list[str]
    units: list[str]
    columns: list[list[str]]
    lines: list[int]
    told: list[str] = field(default_factory=list)
    by_place: bool = False


def read_table(path: Path, known: Known = is_time, holds: str = "") -> Table:
    """Read a table as people bring it.

    Parameters
    ----------
    known
        Whether a label is one that such a table has: by it a first row of texts and numbers is a header, and a comment
        that is separated by blanks.
    holds
        What is told where nothing stands there, such as ``its first row names the parameters``.

    Raises
    ------
    InputError
        In one line: if the file cannot be read or is no table, if two readings are possible, or if a row has another
        number of cells than the others.
    """
    text = read_text(path, "give a table such as CSV")
    if not text.lines:
        raise InputError(f"{path}: is empty{'; ' * bool(holds)}{holds}")
    cells = dialect.split(path, text)
    if not cells.lines:
        raise InputError(f"{path}: is empty{'; ' * bool(holds)}{holds}")
    read = _without_counter(_without_empty_columns(_headed(path, text, cells, known)))
    _check_labels(f"{path}, line {cells.lines[0]}", read.labels)
    _check_once(path, read)
    notation = _notation(path, text, cells.separator, read)
    above = [f"{cells.above} line{'s' * (cells.above > 1)} above the header left out"] if cells.above else []
    told = [cells.separator.told, *_told(text, notation), *above, *read.told]
    units = [own or split_unit(label)[1] for label, own in zip(read.labels, read.units, strict=True)]
    return Table(
        path=path,
        labels=tuple(read.labels),
        units=tuple(units),
        columns=read.columns,
        lines=tuple(read.lines),
        head=cells.lines[0],
        notation=notation,
        read_as=", ".join(told),
        plain=len(told) == 1 and cells.separator in (COMMA, dialect.NONE),
        by_place=read.by_place,
    )


def _headed(path: Path, text: Text, cells: Cells, known: Known) -> _Read:
    """Find what the columns are called."""
    first = [column[0] for column in cells.columns[: cells.widths[0]]]
    values = [bool(cell) and is_value(cell) for cell in first]
    texts = [is_text(cell) for cell in first]
    if texts[0] and known(first[0]) and all(values[1:]) and len(first) > 2 and all(map(is_text, cells.columns[0][1:])):
        raise InputError(
            f"{path}: has a row for each variable ('{shortened(cells.columns[0][-1])}'), and a column for each time; "
            "exchange rows and columns"
        )
    if any(values) and any(texts) and not any(map(known, first)):
        raise InputError(
            f"{path}, line {cells.lines[0]}: has texts ('{shortened(first[texts.index(True)])}') and numbers "
            f"('{shortened(first[values.index(True)])}'), so that it may be names or values; put a row of names first"
        )
    if any(texts) or not any(values):
        labels = _fitted(path, text, cells, [" ".join(cell.split()) for cell in first])
        columns = [column[1:] for column in cells.columns[: len(labels)]]
        return _with_units(_Read(labels, [""] * len(labels), columns, cells.lines[1:]))
    _check_widths(path, cells, len(first), "the first row has")
    from_comment = _commented(text, cells, known, len(first))
    if from_comment is not None:
        line, labels = from_comment
        told = [f"names from the comment in line {line}"]
        return _Read(labels, [""] * len(labels), cells.columns, cells.lines, told)
    _check_whole(path, cells)
    labels = [f"column{k}" if any(column) else "" for k, column in enumerate(cells.columns, 1)]
    told = [f"no header: columns are called {labels[0]}{' …' * (len(labels) > 1)}"]
    return _Read(labels, [""] * len(labels), cells.columns, cells.lines, told, by_place=True)


def _fitted(path: Path, text: Text, cells: Cells, labels: list[str]) -> list[str]:
    """Return as many labels as the rows have cells, where one of the two has separators at the end, or row names."""
    widths = set(cells.widths[1:])
    if len(widths) != 1 or widths == {len(labels)}:
        _check_widths(path, cells, len(labels), "the header names")
        return labels
    (width,) = widths
    if width < len(labels) and not any(labels[width:]):
        return labels[:width]
    if width > len(labels):
        if not any(any(column) for column in cells.columns[len(labels) :]):
            return labels
        if width == len(labels) + 1 and _has_row_names(text, cells):
            return ["", *labels]
    _check_widths(path, cells, len(labels), "the header names")
    return labels


def _has_row_names(text: Text, cells: Cells) -> bool:
    """Return whether a first column below no name counts rows, as R and pandas write tables.

    R has it in quotes, and nothing else; where tables are printed, the header begins with blanks. Without either, the
    first column may be times, and the name of another one lack, or a column be broken by its marks for thousands.
    """
    body = [column[1:] for column in cells.columns]
    lines = [line.text for line in text.lines if line.number >= cells.lines[0]]
    quoted = all(line.lstrip().startswith('"') and line.count('"') < 2 * len(body) for line in lines[1:])
    printed = cells.separator.blanks is not None and lines[0][:1] == " " and all(line[:1] != " " for line in lines[1:])
    return counts_rows(body[0]) and (quoted or (printed and not _may_be_broken(body)))


def _check_widths(path: Path, cells: Cells, width: int, what: str) -> None:
    """See that all rows have as many cells as the first."""
    body = cells.widths[1:]
    if len(body) > 1 and len(set(body)) == 1 and width == 1 < body[0]:
        raise InputError(
            f"{path}, line {cells.lines[0]}: has one cell, and all other rows have {body[0]}, {cells.separator.told}; "
            "begin it with # if it is a title"
        )
    for number, found in zip(cells.lines, cells.widths, strict=True):
        if found != width:
            hint = ""
            if cells.separator is COMMA and found > width:
                hint = "; if it has decimal commas, separate columns by semicolons"
            values, columns = (f"{k} {name}{'s' * (k != 1)}" for k, name in ((found, "value"), (width, "column")))
            raise InputError(f"{path}, line {number}: {values}, but {what} {columns}{hint}")


def _check_whole(path: Path, cells: Cells) -> None:
    """See that no table without a header was broken by marks within its numbers: ``0,5,1,25``, ``0 1 234``."""
    if cells.separator is not COMMA and cells.separator.blanks is None:
        return

    tails = _matched(cells.columns[2:], _TAIL_OF_DECIMALS.fullmatch)
    decimals = cells.separator is COMMA and any(tails) and all(_matched(cells.columns, numbers.may_be_whole))
    if decimals or _may_be_broken(cells.columns[1:]):
        what = "decimal commas" if decimals else "marks between thousands"
        width = len(cells.columns)
        raise InputError(f"{path}: may have {width} columns, or fewer with {what}; put a row of names first")


def _may_be_broken(columns: Sequence[Sequence[str]]) -> bool:
    """Return whether two columns side by side may be one of numbers with marks between thousands."""
    heads = _matched(columns, _HEAD_OF_THOUSANDS.fullmatch)
    tails = _matched(columns, _TAIL_OF_THOUSANDS.fullmatch)
    return any(head and tail for head, tail in zip(heads, tails[1:], strict=False))


def _matched(columns: Sequence[Sequence[str]], matches: Callable[[str], Any]) -> list[bool]:
    """Return of each column whether all its cells match, or are missing."""
    return [all(is_missing(cell) or matches(cell) for cell in column) for column in columns]


def _commented(text: Text, cells: Cells, known: Known, width: int) -> tuple[int, list[str]] | None:
    """Return the names that a comment before the first row gives its columns, and the line; None if none does."""
    for line in reversed([line for line in text.comments if line.number < cells.lines[0]]):
        labels = _as_labels(line, cells.separator)
        if len(labels) != width or len(set(labels)) < width or any(map(is_value, filter(None, labels))):
            continue
        if cells.separator.blanks is None or any(map(known, labels)):
            return line.number, labels
    return None


def _as_labels(line: Line, separator: Separator) -> list[str]:
    prepared = separator.prepared(_MARKS.sub("", line.text))
    return [" ".join(label.strip('"').split()) for label in prepared.split(separator.mark)]


def _with_units(read: _Read) -> _Read:
    """Take the first row for units, if it holds none but texts, and all that is below them is values."""
    if len(read.lines) < 2:
        return read
    first = [column[0] for column in read.columns]
    texts = [k for k, cell in enumerate(first) if not is_value(cell)]
    if not texts or not all(is_missing(cell) for k, cell in enumerate(first) if k not in texts):
        return read
    for k in texts:
        below = read.columns[k][1:]
        if not all(map(is_value, below)) or all(map(is_missing, below)):
            return read
    units = ["" if is_missing(cell) else re.sub(r"^[(\[](.*)[)\]]$", r"\1", cell) for cell in first]
    told = f"a row of units in line {read.lines[0]} ({listed([unit or '–' for unit in units], 6)})"
    return replace(
        read,
        units=units,
        columns=[column[1:] for column in read.columns],
        lines=read.lines[1:],
        told=[*read.told, told],
    )


def _without_empty_columns(read: _Read) -> _Read:
    """Leave out columns that have neither a name nor cells, as separators at the ends of lines make them."""
    full = [k for k, (label, column) in enumerate(zip(read.labels, read.columns, strict=True)) if label or any(column)]
    return _taken(read, full)


def _without_counter(read: _Read) -> _Read:
    """Leave out the numbers of rows that many programs write before a table, some of them twice."""
    count = 0
    while count < len(read.labels) and _INDEX.fullmatch(read.labels[count]) and counts_rows(read.columns[count]):
        count += 1
    if not count:
        return read
    what = (
        f"{count} first columns, which count rows" if count > 1 else "a first column without a name, which counts rows"
    )
    return replace(_taken(read, range(count, len(read.labels))), told=[*read.told, f"{what}, left out"])


def _taken(read: _Read, columns: Sequence[int]) -> _Read:
    labels, units = ([texts[k] for k in columns] for texts in (read.labels, read.units))
    return replace(read, labels=labels, units=units, columns=[read.columns[k] for k in columns])


def counts_rows(cells: Sequence[str]) -> bool:
    """Return whether cells count rows, from 0 or from 1."""
    return bool(cells) and any(cells == [str(start + i) for i in range(len(cells))] for start in (0, 1))


def _check_labels(where: str, labels: Sequence[str]) -> None:
    """See that each column has a name of its own; the first may have none, as where programs write an index."""
    for k, label in enumerate(labels):
        if not label and k:
            raise InputError(f"{where}: a column has no name (number {k + 1}); name it, or remove it")
    label, times = Counter(labels).most_common(1)[0] if labels else ("", 1)
    if times > 1:
        raise InputError(f"{where}: column '{label}' stands there {times} times; keep one")


def _check_once(path: Path, read: _Read) -> None:
    """See that the header does not stand there again, as where tables were joined."""
    for i, cell in enumerate(read.columns[0] if read.columns else ()):
        if cell and cell == read.labels[0] and [column[i] for column in read.columns] == read.labels:
            raise InputError(f"{path}, line {read.lines[i]}: the header stands there again; give one table in a file")


def _notation(path: Path, text: Text, separator: Separator, read: _Read) -> Notation:
    """Find how the numbers of a table are written."""
    marks = [any(mark in line.text for line in text.lines) for mark in ".,"]

    def where(cell: str) -> str:
        label, column = next(pair for pair in zip(read.labels, read.columns, strict=True) if cell in pair[1])
        return f"{path}, line {read.lines[column.index(cell)]}, column '{label}'"

    # Without quotes, no cell between commas can have one.
    plain = separator is COMMA and text.decimal is None and not any('"' in line.text for line in text.lines)
    found = (
        Notation(".")
        if plain
        else numbers.notation(
            (cell for column in read.columns for cell in dict.fromkeys(column)),
            where,
            declared=text.decimal,
            points_are_usual=separator.points_are_usual,
            one_mark=not all(marks),
        )
    )
    if text.decimal is None and found == Notation("."):
        doubtful = numbers.points_that_may_divide(read.columns)
        if doubtful is not None:
            raise numbers.two_readings(where, doubtful)
    return found


def _told(text: Text, notation: Notation) -> list[str]:
    """Return what is not as in plain CSV, for people."""
    told = [text.encoding] if text.encoding != "UTF-8" else []
    if notation.decimal == ",":
        told.append("decimal commas")
    if notation.groups:
        told.append(f"{'commas' if notation.decimal == '.' else 'points'} between thousands")
    if count := len(text.comments):
        told.append(f"{count} comment line{'s' if count > 1 else ''}")
    return told
