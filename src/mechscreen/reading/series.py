"""Simulations as a table of time series, a row for each point of time, as `mechscreen discover` reads them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.errors import InputError
from mechscreen.labels import distinct
from mechscreen.models import Output, Outputs
from mechscreen.models.outputs import Status
from mechscreen.reading.export import write_parts
from mechscreen.reading.folder import open_results
from mechscreen.schemas.model import ModelArrays
from mechscreen.schemas.simulations import SimulationFile

TIME, TRAJECTORY = "t", "trajectory"
"""Columns that `mechscreen discover` looks for."""

_KINDS = (".csv", ".parquet")


def export_series(source: Path, to: Path) -> str:
    """Write the time series of simulations as a table; return what is to be said about it.

    It has the columns ``trajectory``, the number of the sample, ``t``, and one for each output that is a series along
    one axis. Samples that failed are left out.

    Parameters
    ----------
    source
        A folder of results, or a file that ``mechscreen simulate`` wrote.
    to
        ``.csv`` or ``.parquet``.

    Raises
    ------
    InputError
        If there is no such kind of file, there is one already, or the outputs are no series along the same axis.
    FileError, StorageError
        If a file is no such one, damaged, or cannot be read or written.
    """
    if to.suffix not in _KINDS:
        raise InputError(f"{to}: no kind of file '{to.suffix}' for series (valid: {', '.join(_KINDS)})")
    storage.check_new(to)
    storage.check_writable(to)
    files = [(source, None)] if source.is_file() else open_results(source).shards
    first = SimulationFile.read(*files[0])
    outputs = _outputs(first.about)
    chosen = _series(source, outputs)
    counts = {"there": 0, "failed": 0}

    def parts() -> Iterator[Mapping[str, NDArray[Any]]]:
        for path, identity in files:
            found = SimulationFile.read(path, identity)
            rows = np.flatnonzero(found.status == Status.OK)
            counts["there"] += len(rows)
            counts["failed"] += len(found.status) - len(rows)
            if len(rows):
                yield _columns(found, rows, outputs, chosen)

    told = parts()
    begun = next(told, None)
    if begun is None:
        raise InputError(f"{source}: not one of {counts['failed']:,} simulations is OK; nothing was written")
    write_parts(_chained(begun, told), to)
    left = [output.name for k, output in enumerate(outputs) if k not in chosen]
    said = f"{to}: {counts['there']:,} trajectories of {len(outputs[chosen[0]].grid):,} points"
    said += f"; {counts['failed']:,} that failed were left out" if counts["failed"] else ""
    return said + (f"; no series, left out: {', '.join(left)}" if left else "")


def _chained(
    first: Mapping[str, NDArray[Any]], others: Iterator[Mapping[str, NDArray[Any]]]
) -> Iterator[Mapping[str, NDArray[Any]]]:
    yield first
    yield from others


def _outputs(about: ModelArrays) -> Outputs:
    """Return a model's outputs as a file tells them."""
    names = about.output_names.tolist()
    scales = ["peak"] * len(names) if about.output_scales is None else about.output_scales.tolist()
    shapes = about.output_shapes
    if shapes is None:
        grids: list[Any] = [points if len(points) > 1 else None for points in about.grid]
    else:
        grids, at = [], 0
        for rows, columns in shapes.tolist():
            ends = [at + rows, at + rows + columns]
            axes = [about.grid[at : ends[0]], about.grid[ends[0] : ends[1]]]
            grids.append(axes if columns else axes[0] if rows else None)
            at = ends[1]
    named = zip(names, grids, about.output_units.tolist(), about.grid_names.tolist(), scales, strict=True)
    return Outputs(
        Output(name, grid, unit, grid_name=tuple(axis.split(", ")) if isinstance(grid, list) else axis, scale=scale)
        for name, grid, unit, axis, scale in named
    )


def _series(source: Path, outputs: Outputs) -> list[int]:
    """Return which outputs are series; they stand on the same points."""
    lines = [k for k, output in enumerate(outputs) if len(output.grids) == 1]
    if not lines:
        raise InputError(f"{source}: no output is a series ({', '.join(output.name for output in outputs)})")
    first = outputs[lines[0]]
    others = [
        outputs[k].name
        for k in lines
        if outputs[k].grid_name != first.grid_name or not np.array_equal(outputs[k].grid, first.grid)
    ]
    if others:
        raise InputError(
            f"{source}: {', '.join(others)} and {first.name} do not stand on the same points, which a table of series "
            "needs; leave some out of the model's outputs"
        )
    return lines


def _columns(
    found: SimulationFile, rows: NDArray[np.int64], outputs: Outputs, chosen: list[int]
) -> dict[str, NDArray[Any]]:
    points = outputs[chosen[0]].grid
    names = distinct((outputs[k].name for k in chosen), [TRAJECTORY, TIME])
    values = {
        name: outputs.in_units(found.profiles[rows], found.log_peaks[rows], k).astype(np.float32).ravel()
        for name, k in zip(names, chosen, strict=True)
    }
    return {TRAJECTORY: np.repeat(found.index[rows], len(points)), TIME: np.tile(points, len(rows)), **values}
