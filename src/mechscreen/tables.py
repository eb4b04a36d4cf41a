"""Tables of parameter sets that people bring along, as CSV."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError, nearest, unreadable
from mechscreen.spaces import Parameter, ParameterSpace


def read_parameters(path: Path, space: ParameterSpace, *, normalised: bool = False) -> NDArray[np.float64]:
    """Read parameter sets from a CSV file (UTF-8, comma-separated).

    The first row names the parameters, in any order; each further row is one parameter set. A parameter that is fixed
    in `space` may be left out. Categories may be given by their names. Empty lines are skipped.

    Parameters
    ----------
    normalised
        The values are normalised (see `ParameterSpace`) instead of physical.

    Returns
    -------
    (n, d), physical values in the order of `space`.

    Raises
    ------
    InputError
        Naming the file, the line and the column of what is wrong, and the nearest valid name.
    """
    rows = read_rows(path)
    if not rows:
        raise InputError(f"{path}: is empty; its first row names the parameters: {', '.join(space.names)}")
    header_line, header = rows[0]
    names = [name.strip() for name in header]
    _check_header(path, header_line, names, space)
    if len(rows) == 1:
        raise InputError(f"{path}: has a header but no parameter sets; add a row of values for each")
    columns = [space.names.index(name) for name in names]
    given = np.zeros((len(rows) - 1, len(space)))
    if normalised and space.inputs > len(space):
        raise InputError(f"{path}: categories have no normalised values; give physical ones")
    known = [] if normalised else [space[name] for name in names]
    given[:, columns] = [_numbers(path, line, row, names, known) for line, row in rows[1:]]
    if normalised:
        given = space.denormalise(given)
    values = np.tile(space.low, (len(given), 1))
    values[:, columns] = given[:, columns]
    return values


def read_rows(path: Path) -> list[tuple[int, list[str]]]:
    """Return the rows of a CSV file that are not empty, each with the number of its line; raises as `each_row`."""
    return list(each_row(path))


def each_row(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a CSV file that are not empty, each with the number of its line.

    Raises
    ------
    InputError
        If the file cannot be read or is not CSV in UTF-8.
    """
    try:
        # utf-8-sig, because spreadsheets put a byte order mark first.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            for row in reader:
                if any(field.strip() for field in row):
                    yield reader.line_num, row
    except OSError as error:
        raise unreadable(path, error, "give a CSV file") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start}); save it as CSV in UTF-8") from None
    except csv.Error as error:
        raise InputError(f"{path}, line {reader.line_num}: not valid CSV ({error})") from None


def _check_header(path: Path, line: int, names: Sequence[str], space: ParameterSpace) -> None:
    where = f"{path}, line {line}"
    if len(names) == 1 and len(space) > 1:
        for mark, word in ((";", "semicolons"), ("\t", "tabs")):
            if mark in names[0]:
                raise InputError(f"{where}: columns are separated by {word}; use commas")
    for name in names:
        if name not in space.names:
            what = f"no parameter {name!r}{nearest(name, space.names)}" if name else "a column has no name"
            raise InputError(f"{where}: {what} (valid: {', '.join(space.names)})")
        if names.count(name) > 1:
            raise InputError(f"{where}: column '{name}' stands there {names.count(name)} times; keep one")
    missing = [p.name for p in space if p.name not in names and not p.fixed]
    if missing:
        raise InputError(f"{where}: no column for {', '.join(missing)}; the header names every parameter that varies")


def _numbers(
    path: Path, line: int, row: Sequence[str], names: Sequence[str], parameters: Sequence[Parameter]
) -> list[float]:
    """Return the values of a row; of `parameters`, where they are physical ones."""
    if len(row) != len(names):
        raise InputError(f"{path}, line {line}: {len(row)} values for {len(names)} columns")
    values = []
    for place, (name, field) in enumerate(zip(names, row, strict=True)):
        parameter = parameters[place] if parameters else None
        if parameter is not None and field.strip() in parameter.categories:
            values.append(float(parameter.categories.index(field.strip())))
            continue
        try:
            value = float(field)
        except ValueError:
            value = math.nan
        if not math.isfinite(value) or "_" in field:
            raise InputError(f"{path}, line {line}, column '{name}': {field.strip()!r} is not a finite number")
        if parameter is not None and parameter.scale == "log" and value <= 0:
            raise InputError(
                f"{path}, line {line}, column '{name}': {field.strip()} has no place on a log scale; "
                "give a value above 0"
            )
        values.append(value)
    return values
