"""What outputs and their axes are called in tables, files and datasets: each name once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from mechscreen.models import Output
from mechscreen.spaces import ParameterSpace

SAMPLE = "sample"
"""Column of the numbers of samples."""
_BESIDE = (SAMPLE, "status", "reason")
"""Columns of a table of simulations that are neither parameters nor outputs."""
_ARRAYS = (*_BESIDE, "parameter", "parameters", "parameter_names", "unit", "of", "output")
"""Names of arrays and axes beside the outputs, where parameters stand in one array."""

_Axis = tuple[str, str, NDArray[np.float64]]
"""Name, unit and points."""


def distinct(names: Iterable[str], taken: Iterable[str] = ()) -> list[str]:
    """Return names, each once: one that is taken, or stood there before, has underscores appended."""
    known, found = set(taken), []
    for name in names:
        own = name
        while own in known:
            own += "_"
        known.add(own)
        found.append(own)
    return found


def table_names(space: ParameterSpace, outputs: Iterable[Output]) -> list[str]:
    """Return what outputs are called in a table in which each parameter has a column."""
    return distinct((output.name for output in outputs), [*_BESIDE, *space.names, *space.derived])


def columns_of(name: str, shape: Sequence[int]) -> list[str]:
    """Return the columns of an output: ``x``; ``x[0]`` … of a profile; ``x[0][0]``, ``x[0][1]`` … of a field."""
    return [name + "".join(f"[{i}]" for i in place) for place in np.ndindex(*shape)]


class Labels:
    """What outputs and their axes are called beside an array ``parameters``, and other arrays.

    Attributes
    ----------
    names
        Of the outputs.
    dims
        Axes of each output: what its grid is called. Outputs that stand on one grid share them.
    axes
        Name of each axis → its unit and its points.
    """

    def __init__(self, outputs: Iterable[Output], beside: Sequence[str] = ()) -> None:
        outputs = tuple(outputs)
        taken = [*_ARRAYS, *beside]
        self.names = distinct((output.name for output in outputs), taken)
        axes: list[_Axis] = []
        places: list[list[int]] = []
        for output in outputs:
            own: list[int] = []
            for axis in _axes_of(output):
                same = (k for k, other in enumerate(axes) if k not in own and _alike(axis, other))
                own.append(next(same, len(axes)))
                if own[-1] == len(axes):
                    axes.append(axis)
            places.append(own)
        called = distinct((name for name, _, _ in axes), [*taken, *self.names])
        self.dims = [tuple(called[place] for place in own) for own in places]
        self.axes = {name: (unit, points) for name, (_, unit, points) in zip(called, axes, strict=True)}


def _axes_of(output: Output) -> list[_Axis]:
    number = len(output.grids)
    names, units = ((t,) * number if isinstance(t, str) else t for t in (output.grid_name, output.grid_unit))
    return [(name or "position", unit, points) for name, unit, points in zip(names, units, output.grids, strict=True)]


def _alike(axis: _Axis, other: _Axis) -> bool:
    return axis[:2] == other[:2] and np.array_equal(axis[2], other[2])
