"""Measurements of a model's outputs, with their errors: a table in, residuals out."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.arrays import namespace
from mechscreen.errors import InputError, nearest, unreadable
from mechscreen.models import Output, Outputs

_COLUMNS = ("output", "at", "value", "error")
_DELIMITERS = (",", "\t", ";")


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
        left out where all are. Columns are separated by commas, tabs or semicolons; lines that begin with ``#`` are
        comments.

        Raises
        ------
        InputError
            Naming file, line and column, what is wrong, and what is expected.
        """
        names = [output.name for output in outputs]
        rows = []
        for line, row in _rows(path, outputs):
            where = f"{path}, line {line}"
            if row["output"] not in names:
                raise InputError(
                    f"{where}: no output '{row['output']}'{nearest(row['output'], names)} (valid: {', '.join(names)})"
                )
            k = names.index(row["output"])
            at, before, share = _place(where, outputs[k], row["at"])
            value, error = (_number(f"{where}, column {name}", row[name]) for name in ("value", "error"))
            if not error > 0:
                raise InputError(f"{where}, column error: {error:g} is no standard deviation; give one above 0")
            rows.append((k, at, before, share, value, error))
        if not rows:
            raise InputError(f"{path}: holds no measurement; give rows of {', '.join(_COLUMNS)}")
        columns = np.array(rows).T
        return cls(outputs, columns[0].astype(np.int64), columns[1], columns[2].astype(np.int64), *columns[3:])


def _rows(path: Path, outputs: Outputs) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield number and cells of each line of a table that is no comment, by the names of its columns."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: is no text in UTF-8; 'observations' names a table of measurements") from None
    except OSError as error:
        raise unreadable(path, error, "'observations' names a table of measurements") from None
    lines = [(k, line) for k, line in enumerate(text.splitlines(), 1) if line.strip() and not line.startswith("#")]
    if not lines:
        raise InputError(f"{path}: is empty; give a table with the columns {', '.join(_COLUMNS)}")
    head = lines[0][1]
    delimiter = max(_DELIMITERS, key=head.count)
    columns = [cell.strip() for cell in next(csv.reader([head], delimiter=delimiter))]
    grids = {output.grid_name for output in outputs if isinstance(output.grid_name, str)}
    columns = ["at" if name in grids and "at" not in columns else name for name in columns]
    missing = [name for name in _COLUMNS if name not in columns and name != "at"]
    if missing or len(set(columns)) < len(columns):
        raise InputError(
            f"{path}, line {lines[0][0]}: has the columns {', '.join(columns)}; it needs {', '.join(_COLUMNS)}, each "
            "once"
        )
    for number, line in lines[1:]:
        cells = [cell.strip() for cell in next(csv.reader([line], delimiter=delimiter))]
        if len(cells) != len(columns):
            raise InputError(f"{path}, line {number}: has {len(cells)} cells, and the head {len(columns)}")
        yield number, {"at": "", **dict(zip(columns, cells, strict=True))}


def _place(where: str, output: Output, text: str) -> tuple[float, int, float]:
    """Return where on its grid an output was measured, the point of the grid before, and the share of the next one."""
    if not output.grids:
        if text:
            raise InputError(f"{where}: '{output.name}' is a number, and was measured at {text}; leave 'at' empty")
        return 0.0, 0, 0.0
    if len(output.grids) > 1:
        raise InputError(f"{where}: '{output.name}' is a field; measurements are of numbers, profiles and time series")
    if not text:
        raise InputError(f"{where}: '{output.name}' has a grid ({output.axes[0]}); say where it was measured (at)")
    at, grid = _number(f"{where}, column at", text), output.grids[0]
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


def _number(where: str, text: str) -> float:
    try:
        # Python takes 1_234 for a number, which nobody writes in a table.
        number = math.nan if "_" in text else float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: '{text}' is no number")
    return number
