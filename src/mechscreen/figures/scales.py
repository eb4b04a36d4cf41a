"""Axes of parameters: in their values, in decades, or with a mark for each of a few values.

What is drawn along such an axis has coordinates: the value itself, its decimal logarithm, or the position among marks.
Cells of equal share of an axis are equally wide in them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import FixedFormatter, FixedLocator
from numpy.typing import ArrayLike, NDArray

from mechscreen.figures.text import number
from mechscreen.spaces import Parameter

_DENSE = (1.0, 2.0, 5.0)
_MOST_MARKS = 8


def limits(parameter: Parameter) -> tuple[float, float]:
    """Return the coordinates of an axis's ends."""
    if parameter.marks:
        return 0.0, 1.0
    first, last = parameter.ends
    return (math.log10(first), math.log10(last)) if parameter.scale == "log" else (first, last)


def edges(parameter: Parameter, cells: int) -> NDArray[np.float64]:
    """Return the coordinates of the edges of cells of equal share, (cells + 1,)."""
    return np.linspace(*limits(parameter), cells + 1)


def extent(x: Parameter, y: Parameter) -> tuple[float, float, float, float]:
    """Return what `imshow` takes for an image over the plane of two parameters."""
    return (*limits(x), *limits(y))


def mark(axis: Axis, parameter: Parameter, most: int = _MOST_MARKS) -> None:
    """Set the ticks of an axis: decades on a log scale, the values where they are few; else Matplotlib's own."""
    if parameter.marks:
        _fix(axis, parameter, *_thinned(list(parameter.marks), list(parameter.marks.values()), most))
    elif parameter.scale == "log":
        values = _decades(*parameter.ends, most)
        _fix(axis, parameter, [math.log10(value) for value in values], [_power(value) for value in values])


def mark_ends(axis: Axis, parameter: Parameter) -> None:
    """Set two ticks, at the ends of the range, or at the first and last of a few values."""
    if parameter.marks:
        places, names = list(parameter.marks), list(parameter.marks.values())
        _fix(axis, parameter, [places[0], places[-1]], [names[0], names[-1]])
    else:
        _fix(axis, parameter, limits(parameter), [f"{parameter.low:g}", f"{parameter.high:g}"])


def frame(ax: Axes, x: Parameter, y: Parameter) -> None:
    """Set limits and ticks of both axes."""
    ax.set(xlim=limits(x), ylim=limits(y))
    mark(ax.xaxis, x)
    mark(ax.yaxis, y)


def in_values(axis: Axis, coordinates: ArrayLike) -> NDArray[Any]:
    """Return what lies at coordinates along an axis: of a parameter its values, or the names of its few values."""
    formatter, given = axis.get_major_formatter(), np.asarray(coordinates, dtype=float)
    return formatter.values(given) if isinstance(formatter, _Names) else given


class _Names(FixedFormatter):
    """Names of ticks, on the axis of a parameter."""

    def __init__(self, parameter: Parameter, names: Sequence[str]) -> None:
        super().__init__(names)
        self._parameter = parameter

    def values(self, coordinates: NDArray[np.float64]) -> NDArray[Any]:
        """Return what lies at coordinates along the axis."""
        marks = self._parameter.marks
        if marks:
            places = np.abs(np.subtract.outer(coordinates, list(marks))).argmin(axis=-1)
            return np.array(list(marks.values()), dtype=object)[places]
        return 10.0**coordinates if self._parameter.scale == "log" else coordinates


def _fix(axis: Axis, parameter: Parameter, places: Sequence[float], names: Sequence[str]) -> None:
    axis.set_major_locator(FixedLocator(places))
    axis.set_major_formatter(_Names(parameter, names))


def _thinned(places: list[float], names: list[str], most: int) -> tuple[list[float], list[str]]:
    step = -(-len(places) // most)
    return places[::step], names[::step]


def _decades(low: float, high: float, most: int) -> list[float]:
    """Return round values within a range on a log scale: powers of ten, and 2 and 5 times those if they are few."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    inside = [10.0**k for k in range(first, last + 1) if low * (1 - 1e-9) <= 10.0**k <= high * (1 + 1e-9)]
    if len(inside) >= 3:
        return inside[:: -(-len(inside) // most)]
    dense = [m * 10.0**k for k in range(first - 1, last + 1) for m in _DENSE]
    found = [value for value in dense if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
    return found if len(found) >= 2 else [low, high]


def _power(value: float) -> str:
    exponent = round(math.log10(value))
    if 0.001 <= value <= 1000 or not math.isclose(value, 10.0**exponent):
        return number(value)
    return f"$10^{{{exponent}}}$"
