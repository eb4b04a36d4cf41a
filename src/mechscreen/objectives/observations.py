"""Measurements of a model's outputs, with their errors: a table in, residuals out."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.arrays import namespace
from mechscreen.errors import InputError, nearest
from mechscreen.models import Output, Outputs
from mechscreen.tables import Table, known_by, known_names, read_table, tell

_COLUMNS = ("output", "at", "value", "error")


@dataclass(frozen=True)
class Compared:
    """How n parameter sets compare with m measurements: −2 ln L is the sum of squared residuals and of what noise adds.

    Attributes
    ----------
    residuals
        (n, m), in units of the noise; NaN where a set could not be simulated.
    noise
        (n, m), the rest of −2 ln L: ln 2πσ² of normal noise.
    """

    residuals: NDArray[np.float64]
    noise: NDArray[np.float64]

    @property
    def deviance(self) -> NDArray[np.float64]:
        """(n,), −2 ln L; infinite where there is none."""
        total = np.square(self.residuals).sum(axis=1) + self.noise.sum(axis=1)
        return np.where(np.isfinite(total), total, np.inf)


@dataclass(frozen=True)
class Observations:
    """Measurements, (m,) each, with normal noise.

    Attributes
    ----------
    output
        Place of the output that was measured.
    at
        Where on its grid; 0 for a number.
    before, share
        Point of the grid before it, and how far it lies towards the next one: outputs are taken for straight lines
        between their points.
    value, error
        What was measured, in the output's unit, and its standard deviation.
    """

    outputs: Outputs
    output: NDArray[np.int64]
    at: NDArray[np.float64]
    before: NDArray[np.int64]
    share: NDArray[np.float64]
    value: NDArray[np.float64]
    error: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.value)

    def simulated(self, outputs: Mapping[str, Any]) -> Any:
        """Return what n samples say where it was measured, (n, m), of outputs by name."""
        places, columns = [], []
        for k in np.unique(self.output).tolist():
            rows = np.flatnonzero(self.output == k)
            values, share = outputs[self.outputs[k].name], self.share[rows]
            if values.ndim == 1:
                found = values[:, None][:, np.zeros(len(rows), np.int64)]
            else:
                before = self.before[rows]
                found = (1 - share) * values[:, before] + share * values[:, before + (share > 0)]
            places.append(rows)
            columns.append(found)
        xp = namespace(columns[0])
        return xp.concatenate(columns, axis=1)[:, np.argsort(np.concatenate(places))]

    def compare(self, outputs: Mapping[str, Any], deviations: Mapping[str, Any] | None = None) -> Compared:
        """Return how n samples compare with the measurements.

        Parameters
        ----------
        outputs, deviations
            By name: what is said of the samples, (n, *shape), and its standard deviation, which adds to the noise.
        """
        variance = np.square(self.error)
        if deviations is not None:
            variance = variance + np.square(self.simulated(deviations))
        residuals = (self.simulated(outputs) - self.value) / np.sqrt(variance)
        return Compared(residuals, np.broadcast_to(np.log(2 * math.pi * variance), residuals.shape))

    @classmethod
    def read(cls, path: Path, outputs: Outputs) -> Observations:
        """Read a table with the columns ``output``, ``at``, ``value``, ``error``, one measurement in a row.

        ``at`` may be called as the outputs' grids are (``time``), and is left empty for outputs that are numbers, or
        left out where all are. How it was read (`mechscreen.tables`) is told if it is no plain CSV.

        Raises
        ------
        InputError
            Naming file, line and column, what is wrong, and what is expected.
        """
        table, places = _columns(path, outputs)
        names = [output.name for output in outputs]
        value, error = (table.numbers(places[name]) for name in ("value", "error"))
        rows = []
        for i, called in enumerate(table.texts(places["output"])):
            where = table.where(i)
            if called not in names:
                raise InputError(f"{where}: no output '{called}'{nearest(called, names)} (valid: {', '.join(names)})")
            k = names.index(called)
            at = table.texts(places["at"])[i] if "at" in places else ""
            if not error[i] > 0:
                told = f"{error[i]:g} is no standard deviation; give one above 0"
                raise InputError(f"{table.where(i, places['error'])}: {told}")
            rows.append((k, *_place(table, i, places.get("at"), outputs[k], at), value[i], error[i]))
        if not rows:
            raise InputError(f"{path}: holds no measurement; give rows of {', '.join(_COLUMNS)}")
        tell(table)
        columns = np.array(rows).T
        return cls(outputs, columns[0].astype(np.int64), columns[1], columns[2].astype(np.int64), *columns[3:])


def _columns(path: Path, outputs: Outputs) -> tuple[Table, dict[str, int]]:
    """Return a table of measurements, and the places of its columns by their names here."""
    axes = {(str(o.grid_name), str(o.grid_unit)) for o in outputs if isinstance(o.grid_name, str)}
    grids = {name for name, _ in axes if name}
    of_values = _shared(o.unit for o in outputs)
    units = {"output": "", "value": of_values, "error": of_values, "at": _shared(unit for _, unit in axes)}
    units |= {name: _shared(unit for own, unit in axes if own == name) for name in grids - set(_COLUMNS)}
    table = read_table(path, known_by(units), f"give a table with the columns {', '.join(_COLUMNS)}")
    found = known_names(table, units)
    named = ["at" if name in grids and "at" not in found else name for name in found]
    missing = [name for name in _COLUMNS if name not in named and name != "at"]
    if missing or len(set(named)) < len(named):
        raise InputError(
            f"{path}, line {table.head}: has the columns {', '.join(named)}; it needs {', '.join(_COLUMNS)}, each once"
        )
    return table, {name: place for place, name in enumerate(named)}


def _shared(units: Iterable[str]) -> str:
    """Return the unit that all are in; ``""`` where they differ, so that a column can be in none."""
    found = set(units)
    return found.pop() if len(found) == 1 else ""


def _place(table: Table, row: int, column: int | None, output: Output, text: str) -> tuple[float, int, float]:
    """Return where on its grid an output was measured, the point of the grid before, and the share of the next one."""
    where = table.where(row)
    if not output.grids:
        if text:
            raise InputError(f"{where}: '{output.name}' is a number, and was measured at {text}; leave 'at' empty")
        return 0.0, 0, 0.0
    if len(output.grids) > 1:
        raise InputError(f"{where}: '{output.name}' is a field; measurements are of numbers, profiles and time series")
    if not text:
        raise InputError(f"{where}: '{output.name}' has a grid ({output.axes[0]}); say where it was measured (at)")
    at, grid = table.notation.parse(text), output.grids[0]
    if at is None:
        raise InputError(f"{table.where(row, column)}: '{text}' is not a finite number")
    slack = 1e-9 * abs(grid[-1] - grid[0])
    if not grid[0] - slack <= at <= grid[-1] + slack:
        raise InputError(
            f"{where}: '{output.name}' was measured at {at:g}, and is simulated from {grid[0]:g} to {grid[-1]:g}; "
            "leave the row out, or let the model go there"
        )
    nearby = int(np.abs(grid - at).argmin())
    if abs(grid[nearby] - at) <= slack:
        return at, nearby, 0.0
    before = int(np.searchsorted(grid, at)) - 1
    return at, before, float((at - grid[before]) / (grid[before + 1] - grid[before]))
