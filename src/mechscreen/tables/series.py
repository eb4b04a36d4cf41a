"""Tables of time series: wide or long, of one trajectory or several, with times as numbers or dates."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError
from mechscreen.tables import dates
from mechscreen.tables.dialect import is_value
from mechscreen.tables.names import is_time, listed, short_names, split_unit
from mechscreen.tables.numbers import is_missing
from mechscreen.tables.reader import counts_rows, read_table
from mechscreen.tables.table import Table, shortened

_T = TypeVar("_T", str, float)

TIME = "t"
"""Column of the times, unless another is named."""
TRAJECTORY = "trajectory"
"""Column that tells trajectories apart, unless another is named."""
_VARIABLE = ("variable", "var", "observable", "quantity", "species", "analyte")
_VALUE = (
    "value",
    "val",
    "measurement",
    "concentration",
    "amount",
    "reading",
    "count",
    "density",
    "abundance",
    "signal",
)
_BEGINS_AS_NUMBER = re.compile(r"[^\w\s]{0,2} ?[.,]?\d")
_SEPARATORS = re.compile(r"[,;:|^~&\\]")
_UNIT = ("unit", "units")
"""Columns of a long table, which has a row for each value."""


@dataclass(frozen=True)
class TimeSeries:
    """What a table holds.

    Attributes
    ----------
    time
        What the column of times is called, with their unit if that is known.
    names, shown
        (d,) identifiers of the variables, and what they are called in the table, with their units.
    hidden
        Identifiers of those that were named as hidden.
    labels
        Of the trajectories.
    t, y
        Per trajectory, times (n,) and values (n, d), NaN where missing.
    called
        What people call the trajectories, with the lines of their rows: ``patient 12 (lines 45 to 47)``.
    left_out
        What people call those in which a time stands there twice, and where; they are not among the others.
    read_as
        How the table was read, for people.
    groups
        What the column of groups says of each trajectory; empty unless one was named.
    constants
        What columns that are the same throughout each trajectory say there, by short name.
    """

    time: str
    names: tuple[str, ...]
    shown: tuple[str, ...]
    hidden: tuple[str, ...]
    labels: tuple[str, ...]
    t: tuple[NDArray[np.float64], ...]
    y: tuple[NDArray[np.float64], ...]
    called: tuple[str, ...]
    left_out: tuple[str, ...]
    read_as: str
    groups: tuple[str, ...] = ()
    constants: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


class _Variables(NamedTuple):
    """Values of each row, (n, d), NaN where it has none, and what they are called; what was seen, for people."""

    names: list[str]
    shown: list[str]
    values: NDArray[np.float64]
    told: list[str]
    streams: list[Hashable]
    """Which rows belong together, one after the other: those of a trajectory, or of one of its variables."""


def read_time_series(
    path: Path,
    *,
    time: str = TIME,
    trajectory: str = TRAJECTORY,
    columns: Sequence[str] = (),
    hidden: Sequence[str] = (),
    split_at_restart: bool = False,
    group: str | None = None,
    constants: Sequence[str] = (),
) -> TimeSeries:
    """Read time series from a table (`read_table`).

    What is missing or beyond detection becomes NaN; dates become numbers, since the first of them. Trajectories keep
    the order in which they first appear; the times of each must increase. Of several, those in which a time stands
    there twice are left out.

    Parameters
    ----------
    time
        Column of the times. If it is ``t`` and there is none, the one that plainly is the time.
    trajectory
        Column that tells trajectories apart. If it is ``trajectory``, there may be none.
    columns
        Variables, by label or short name; all other columns unless given.
    hidden
        Variables that may be without a column.
    split_at_restart
        Another trajectory begins where the time falls back; else that is refused.
    group, constants
        Columns that are the same throughout each trajectory, and no variables: of labels, and of numbers. Where a
        trajectory has one in some rows, the others may be empty.

    Raises
    ------
    InputError
        In one line: file, line and column of what is wrong, two readings that are possible, or what to say.
    """
    expected = "the first row names the columns, each further row is a time"
    table = read_table(path, holds=expected)
    if not len(table):
        raise InputError(f"{path}: has no data; {expected}")
    table = _with_dates(table) if time == TIME else table
    of_trajectories = table.find(trajectory) if trajectory == TRAJECTORY else table.column(trajectory)
    of_times = _column_of_times(table, time, of_trajectories)
    times, time_label, told = _times(table, of_times, time)
    trajectories = [""] * len(table) if of_trajectories is None else table.texts(of_trajectories)
    of_groups = None if group is None else table.column(group)
    of_constants = [table.column(name) for name in constants]
    _check_apart(table, of_times, of_groups, of_constants)
    apart = {of_times, of_trajectories, of_groups, *of_constants}
    places = _long(table, of_times, of_trajectories, apart)
    found = (
        _wide(table, of_times, apart, columns, hidden, trajectories)
        if places is None
        else _melted(table, places, columns, hidden, trajectories)
    )
    pieces, restarts, twice = _pieces(table, of_times, times, found.streams, split_at_restart)
    if restarts:
        told += [f"split where the time falls back ({'lines' if len(restarts) > 1 else 'line'} {listed(restarts, 6)})"]
    rows = _rows(trajectories, pieces)
    column = TRAJECTORY if of_trajectories is None else table.labels[of_trajectories]
    called = [_called(column, label, [table.lines[row] for row in own]) for label, own in rows.items()]
    faults = [next((twice[row] for row in own if row in twice), None) for own in rows.values()]
    if all(faults):
        row, (before, moment) = next(iter(twice.items()))
        raise InputError(
            f"{table.where(row, of_times)}: {moment} stands there twice (line {before}); times must increase, and what "
            "was measured at once stands in one row, or in several trajectories"
        )
    kept = [i for i, fault in enumerate(faults) if fault is None]
    labels, used = list(rows), [own for own, fault in zip(rows.values(), faults, strict=True) if not fault]
    merged = [_merged(own, times, found.values) for own in used]
    told += found.told + [f"{name} for '{label}'" for name, label in _shortened(found)]
    return TimeSeries(
        time=time_label,
        names=tuple(found.names),
        shown=tuple(found.shown),
        hidden=tuple(_name_of(one, found) for one in hidden),
        labels=tuple(labels[i] for i in kept),
        t=tuple(t for t, _ in merged),
        y=tuple(y for _, y in merged),
        called=tuple(called[i] for i in kept),
        left_out=tuple(
            f"{name}: {fault[1]} stands there twice" for name, fault in zip(called, faults, strict=True) if fault
        ),
        read_as=", ".join([table.read_as, *told]),
        groups=() if of_groups is None else _labels(table, of_groups, used),
        constants={table.names[k]: _same(table, k, table.measured(k)[0].tolist(), used) for k in of_constants},
    )


def _with_dates(table: Table) -> Table:
    """Return a table in which a column of dates and the only one of times of the day are one."""
    days, times = (
        [k for k in range(len(table.labels)) if are(table.texts(k))] for are in (dates.are_days, dates.are_times_of_day)
    )
    if len(days) != 1 or len(times) != 1 or table.find(TIME) is not None:
        return table
    joined = [f"{day} {time}" for day, time in zip(table.texts(days[0]), table.texts(times[0]), strict=True)]
    others = [k for k in range(len(table.labels)) if k not in (*days, *times)]
    label = f"{table.labels[days[0]]} {table.labels[times[0]]}".strip()
    return replace(
        table,
        labels=(label, *(table.labels[k] for k in others)),
        units=("", *(table.units[k] for k in others)),
        columns=[joined, *(table.columns[k] for k in others)],
    )


def _column_of_times(table: Table, time: str, of_trajectories: int | None) -> int:
    """Return the column of the times: as it is called, or, unless a name was given, the one that plainly is it."""
    found = table.find(time)
    if found is not None:
        return found
    if time != TIME:
        return table.column(time)
    others = [k for k in range(len(table.labels)) if k != of_trajectories]
    likely = [k for k in others if is_time(table.labels[k]) or dates.are_dates(table.texts(k))]
    if len(likely) == 1:
        return likely[0]
    if likely:
        which = " or ".join(f"'{table.labels[k]}'" for k in likely)
        raise InputError(f"{table.path}: which column has the times, {which}? Say it with --time")
    if others[:1] == [0] and (table.by_place or not table.labels[0]) and _increases(table, 0):
        counter = counts_rows(table.texts(0))
        if not counter or not any(_increases(table, k) for k in others[1:]):
            return 0
        raise InputError(
            f"{table.path}: its first column may be times, or count rows; name that of the times with --time (columns: "
            f"{listed(table.names)})"
        )
    if len(table.labels) == 1 and _SEPARATORS.search(table.labels[0]):
        raise InputError(
            f"{table.path}: has one column ('{shortened(table.labels[0])}'); separate columns by commas, semicolons, "
            "tabs, bars or blanks, and take away quotes around whole rows"
        )
    left_out = "; if the first column, which counts rows, has the times, name it" * bool(
        re.search("which counts? rows", table.read_as)
    )
    raise InputError(
        f"{table.path}: no column '{TIME}', and none that plainly has the times; name it with --time (columns: "
        f"{listed([label or table.names[k] for k, label in enumerate(table.labels)])}){left_out}"
    )


def _increases(table: Table, column: int) -> bool:
    values = [table.notation.parse(cell) for cell in table.texts(column)]
    return all(a is not None and b is not None and a < b for a, b in pairwise(values))


def _times(table: Table, column: int, wanted: str) -> tuple[NDArray[np.float64], str, list[str]]:
    """Return times, (n,), what the column is called, with the unit, and what was seen."""
    cells, label = table.texts(column), table.labels[column] or table.names[column]

    def where(row: int) -> str:
        return table.where(row, column)

    told = [] if label == wanted else [f"times from '{label}'"]
    if dates.are_dates(cells):
        found = dates.to_times(cells, label, where)
        told += ["dates day first"] if found.day_first else []
        told += [f"times in {found.unit} since {found.origin}"]
        return found.values, f"{split_unit(label)[0]} [{found.unit} since {found.origin}]", told
    odd = [row for row, cell in enumerate(cells) if not dates.is_date(cell)]
    if len(odd) < len(cells):
        what = f"'{shortened(cells[odd[0]])}' is no date" if cells[odd[0]] else "is empty"
        raise InputError(f"{where(odd[0])}: {what}, and others are dates")
    dates.check_plain(cells, label, where)
    return (
        table.numbers(column, more="; times are numbers, or dates such as 2021-03-04 12:30"),
        _with_unit(table, column),
        told,
    )


def _with_unit(table: Table, column: int) -> str:
    """Return a label, with the unit that stands below it."""
    label, unit = table.labels[column] or table.names[column], table.units[column]
    return f"{label} [{unit}]" if unit and not split_unit(label)[1] else label


def _long(
    table: Table, of_times: int, of_trajectories: int | None, apart: Set[int | None]
) -> tuple[int, int, int | None] | None:
    """Return the columns of variables, values and units of a long table; None if it is a wide one.

    Raises
    ------
    InputError
        If it has the first two, and others that are neither times, nor trajectories, nor units.
    """
    bases = [split_unit(label)[0].lower() for label in table.labels]
    variable, value, unit = (
        [k for k, base in enumerate(bases) if base in known and k not in (of_times, of_trajectories)]
        for known in (_VARIABLE, _VALUE, _UNIT)
    )
    if len(variable) != 1 or len(value) != 1:
        return None
    plainly = (bases[variable[0]], bases[value[0]]) == (_VARIABLE[0], _VALUE[0])
    if not plainly and all(table.notation.parse(cell) is not None for cell in table.texts(variable[0])):
        return None
    others = set(range(len(bases))) - {*apart, *variable, *value, *unit[:1]}
    if others:
        told = listed([table.labels[k] for k in sorted(others)])
        raise InputError(
            f"{table.path}: has a row for each value ('{table.labels[variable[0]]}', '{table.labels[value[0]]}'), and "
            f"further columns ({told}); remove them, or say which one tells trajectories apart with --trajectory"
        )
    return variable[0], value[0], unit[0] if unit else None


def _wide(
    table: Table,
    of_times: int,
    apart: Set[int | None],
    columns: Sequence[str],
    hidden: Sequence[str],
    trajectories: Sequence[str],
) -> _Variables:
    """Return the variables of a table that has a column for each; those that stand apart are none."""
    places = [table.column(name) for name in columns]
    places = places or [k for k in range(len(table.labels)) if k not in apart]
    own = [table.find(name) for name in hidden]
    places += [k for k in own if k is not None and k not in places]
    absent = [name for name, k in zip(hidden, own, strict=True) if k is None]
    if not places and not absent:
        raise InputError(f"{table.path}: no column but '{table.labels[of_times]}'; a variable needs one")
    for k in places:
        cells = list(filter(None, table.texts(k)))
        if cells and not any(map(is_value, cells)) and not all(map(_BEGINS_AS_NUMBER.match, cells)):
            raise InputError(
                f"{table.where(0, k)}: holds texts ('{shortened(cells[0])}'); say which columns are variables with "
                "--columns, and which tells trajectories apart with --trajectory"
            )
    read = [table.measured(k) for k in places]
    values = [column for column, _ in read] + [np.full(len(table), math.nan) for _ in absent]
    return _Variables(
        [table.names[k] for k in places] + absent,
        [_with_unit(table, k) for k in places] + absent,
        np.column_stack(values),
        _beyond(sum(count for _, count in read)),
        list(trajectories),
    )


def _melted(
    table: Table,
    places: tuple[int, int, int | None],
    columns: Sequence[str],
    hidden: Sequence[str],
    trajectories: Sequence[str],
) -> _Variables:
    """Return the variables of a table that has a row for each value."""
    variable, value, unit = places
    cells = table.texts(variable)
    for row, cell in enumerate(cells):
        if is_missing(cell):
            raise InputError(f"{table.where(row, variable)}: does not say which variable it is")
    labels = list(dict.fromkeys(cells))
    names = short_names(labels)
    units = _units(table, variable, unit, labels)
    chosen = list(range(len(labels)))
    if columns:
        chosen = [_place(table, labels, names, wanted) for wanted in columns]
    absent = [name for name in hidden if name not in labels and name not in names]
    chosen += [k for k, label in enumerate(labels) if k not in chosen and {label, names[k]} & set(hidden)]
    read, beyond = table.measured(value)
    values = np.full((len(table), len(chosen) + len(absent)), math.nan)
    for row, (cell, number) in enumerate(zip(cells, read, strict=True)):
        place = labels.index(cell)
        if place in chosen:
            values[row, chosen.index(place)] = number
    return _Variables(
        [names[k] for k in chosen] + absent,
        [f"{labels[k]} [{units[k]}]" if units[k] else labels[k] for k in chosen] + absent,
        values,
        [f"a row for each value of {len(labels)} variable{'s' * (len(labels) > 1)}", *_beyond(beyond)],
        list(zip(trajectories, cells, strict=True)),
    )


def _place(table: Table, labels: Sequence[str], names: Sequence[str], wanted: str) -> int:
    for known in (labels, names):
        if wanted in known:
            return known.index(wanted)
    raise InputError(f"{table.path}: no variable '{wanted}' (variables: {listed(labels)})")


def _units(table: Table, variable: int, unit: int | None, labels: Sequence[str]) -> list[str]:
    """Return the unit of each variable of a long table, ``""`` if it says none.

    Raises
    ------
    InputError
        If values of one variable are in several.
    """
    if unit is None:
        return [""] * len(labels)
    found: dict[str, str] = {}
    for row, (cell, own) in enumerate(zip(table.texts(variable), table.texts(unit), strict=True)):
        if found.setdefault(cell, own) != own:
            raise InputError(
                f"{table.where(row, unit)}: '{cell}' is in '{own}' here and in '{found[cell]}' before; give all its "
                "values in one unit"
            )
    return [found[label] for label in labels]


def _beyond(count: int) -> list[str]:
    return [f"{count} value{'s' if count > 1 else ''} beyond detection left out"] if count else []


def _shortened(found: _Variables) -> list[tuple[str, str]]:
    """Return the first of those variables whose names are not their labels, and their labels."""
    return [(name, label) for name, label in zip(found.names, found.shown, strict=True) if not label.startswith(name)][
        :6
    ]


def _name_of(wanted: str, found: _Variables) -> str:
    called = zip(found.names, found.shown, strict=True)
    return next(name for name, label in called if wanted in (name, label, split_unit(label)[0]))


def _pieces(
    table: Table, of_times: int, times: NDArray[np.float64], streams: Sequence[Hashable], split: bool
) -> tuple[list[int], list[str], dict[int, tuple[int, str]]]:
    """Return how often the time fell back before each row of a stream, (n,), and the lines where it does.

    And the rows in which it stands still, with the line of that before and the time.

    Raises
    ------
    InputError
        If it falls back and is not to be split there.
    """
    cells = table.texts(of_times)
    last: dict[Hashable, tuple[int, int]] = {}
    pieces: list[int] = []
    restarts: list[str] = []
    twice: dict[int, tuple[int, str]] = {}
    for row, (moment, stream) in enumerate(zip(times.tolist(), streams, strict=True)):
        before, piece = last.get(stream, (row, 0))
        now, then = cells[row], cells[before]
        if before < row and moment == times[before]:
            twice[row] = (table.lines[before], now)
        if moment < times[before]:
            if not split:
                raise InputError(
                    f"{table.where(row, of_times)}: the time falls back from {then} to {now}; if another trajectory "
                    "begins there, give --split-at-restart, or a column that tells trajectories apart (--trajectory); "
                    "else sort the rows"
                )
            piece += 1
            restarts.append(str(table.lines[row]))
        last[stream] = (row, piece)
        pieces.append(piece)
    return pieces, restarts, twice


def _check_apart(table: Table, of_times: int, of_groups: int | None, of_constants: Sequence[int]) -> None:
    """See that what is the same throughout a trajectory is no column of times, and is named once."""
    for k in (*([] if of_groups is None else [of_groups]), *of_constants):
        if k == of_times:
            raise InputError(
                f"{table.path}: the column '{table.labels[k]}' has the times, and cannot be a group or constant"
            )
        if of_constants.count(k) > 1:
            raise InputError(f"{table.path}: the constant '{table.labels[k]}' is named twice")


def _rows(trajectories: Sequence[str], pieces: Sequence[int]) -> dict[str, list[int]]:
    """Return the rows of each trajectory, by its label."""
    groups: dict[tuple[str, int], list[int]] = {}
    for row, key in enumerate(zip(trajectories, pieces, strict=True)):
        groups.setdefault(key, []).append(row)
    several = any(piece for _, piece in groups)
    return {
        "-".join(filter(None, (trajectory, str(piece + 1)))) if several else trajectory: rows
        for (trajectory, piece), rows in groups.items()
    }


def _labels(table: Table, column: int, rows: Sequence[Sequence[int]]) -> tuple[str, ...]:
    """Return the label of each trajectory; those that are the same number are written alike."""
    cells = table.texts(column)
    numbers = [None if is_missing(cell) else table.notation.parse(cell) for cell in cells]
    known: dict[float, str] = {}
    for cell, value in zip(cells, numbers, strict=True):
        if value is not None:
            known.setdefault(value, cell)
    texts = [
        "" if is_missing(c) else known.get(v, c) if v is not None else c for c, v in zip(cells, numbers, strict=True)
    ]
    return _same(table, column, texts, rows)


def _same(table: Table, column: int, values: Sequence[_T], rows: Sequence[Sequence[int]]) -> tuple[_T, ...]:
    """Return what a column says throughout each trajectory, of its values; empty texts and NaN say nothing.

    Raises
    ------
    InputError
        If it says two things in one of them, or nothing.
    """
    found = []
    for own in rows:
        said = [row for row in own if values[row] not in ("",) and values[row] == values[row]]
        if not said:
            raise InputError(f"{table.where(own[0], column)}: says nothing, as in all rows of this trajectory")
        other = next((row for row in said if values[row] != values[said[0]]), None)
        if other is not None:
            cells = table.texts(column)
            raise InputError(
                f"{table.where(other, column)}: is {cells[other]} here and {cells[said[0]]} in line "
                f"{table.lines[said[0]]} of the same trajectory; it must be the same throughout one: say what tells "
                "trajectories apart with --trajectory"
            )
        found.append(values[said[0]])
    return tuple(found)


def _merged(
    rows: Sequence[int], times: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times and values of a trajectory; rows of one time, as long tables have them, become one."""
    own, place = np.unique(times[rows], return_inverse=True)
    merged = np.full((len(own), values.shape[1]), math.nan)
    for row, k in zip(rows, place.tolist(), strict=True):
        here = ~np.isnan(values[row])
        merged[k, here] = values[row, here]
    return own, merged


def _called(column: str, label: str, lines: Sequence[int]) -> str:
    """Return what people call a trajectory, with its lines."""
    first, last = min(lines), max(lines)
    where = f"line {first}" if first == last else f"lines {first} to {last}"
    return f"{f'{column} {label}' if label else 'the table'} ({where})"
