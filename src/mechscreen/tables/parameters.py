"""Tables of parameter sets."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError, nearest
from mechscreen.spaces import ParameterSpace
from mechscreen.tables.names import same_unit, split_unit
from mechscreen.tables.reader import read_table
from mechscreen.tables.table import Known, Table

log = logging.getLogger(__name__)


def read_parameters(path: Path, space: ParameterSpace, *, normalised: bool = False) -> NDArray[np.float64]:
    """Read parameter sets from a table (`read_table`); tell how it was read, if it is no plain CSV.

    The first row names the parameters, in any order; each further row is one parameter set. A parameter that is fixed
    in `space` may be left out. Categories may be given by their names.

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
    units = {parameter.name: "" if normalised else parameter.unit for parameter in space}
    table = read_table(path, known_by(units), f"its first row names the parameters: {', '.join(space.names)}")
    names = known_names(table, units)
    _check_names(table, names, space)
    if not len(table):
        raise InputError(f"{path}: has a header but no parameter sets; add a row of values for each")
    if normalised and space.inputs > len(space):
        raise InputError(f"{path}: categories have no normalised values; give physical ones")
    tell(table)
    given = np.zeros((len(table), len(space)))
    columns = [space.names.index(name) for name in names]
    for k, (place, name) in enumerate(zip(columns, names, strict=True)):
        given[:, place] = _values(table, k, space, name, normalised)
    if normalised:
        given = space.denormalise(given)
    values = np.tile(space.low, (len(given), 1))
    values[:, columns] = given[:, columns]
    return values


def known_by(units: Mapping[str, str]) -> Known:
    """Return whether a label names one of the columns that a table may have."""
    return lambda label: label in units or split_unit(label)[0] in units


def known_names(table: Table, units: Mapping[str, str]) -> list[str]:
    """Return what each column is called among the names that a table may have; of others the label.

    Parameters
    ----------
    units
        Name → unit, ``""`` where none is known.

    Raises
    ------
    InputError
        If a column is in another unit, or in one where none is known, so that its numbers may be others.
    """
    names = []
    for label, unit in zip(table.labels, table.units, strict=True):
        base, own = split_unit(label)
        name = label if label in units else base if base in units else label
        # Brackets that belong to the name are no unit.
        given = "" if name == label and unit == own else unit
        if name in units and given and not same_unit(given, units[name]):
            expected = f"and '{name}' is in {units[name]}" if units[name] else f"and no unit of '{name}' is known"
            raise InputError(
                f"{table.path}, line {table.head}: column '{label}' is in {given}, {expected}; convert it, or leave "
                "the unit out"
            )
        names.append(name)
    return names


def tell(table: Table) -> None:
    """Log how a table was read, if it is no plain CSV."""
    if not table.plain:
        log.info("%s: read as %s", table.path, table.read_as)


def _check_names(table: Table, names: Sequence[str], space: ParameterSpace) -> None:
    where = f"{table.path}, line {table.head}"
    if table.by_place:
        raise InputError(f"{where}: has no header; its first row names the parameters: {', '.join(space.names)}")
    for name in names:
        if name not in space.names:
            what = f"no parameter {name!r}{nearest(name, space.names)}" if name else "a column has no name"
            raise InputError(f"{where}: {what} (valid: {', '.join(space.names)})")
        if names.count(name) > 1:
            raise InputError(f"{where}: column '{name}' stands there {names.count(name)} times; keep one")
    missing = [p.name for p in space if p.name not in names and not p.fixed]
    if missing:
        raise InputError(f"{where}: no column for {', '.join(missing)}; the header names every parameter that varies")


def _values(table: Table, column: int, space: ParameterSpace, name: str, normalised: bool) -> NDArray[np.float64]:
    """Return the values of a parameter, (n,)."""
    parameter = space[name]
    if normalised:
        return table.numbers(column)
    values = table.numbers(column, _places(parameter.categories))
    wrong = np.flatnonzero(values <= 0)
    if parameter.scale == "log" and len(wrong):
        row = int(wrong[0])
        raise InputError(
            f"{table.where(row, column)}: {table.texts(column)[row]} has no place on a log scale; give a value above 0"
        )
    return values


def _places(categories: Sequence[str]) -> dict[str, float]:
    return {category: float(place) for place, category in enumerate(categories)}
