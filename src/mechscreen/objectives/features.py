"""Features: what can be said of a curve in one number, each by its name in expressions.

``period(p53)``, ``amplitude(p53, after=50)``, ``peaks(x, prominence=0.2)``: a curve is a profile or time series of the
model, in its unit, on its grid. A feature that a curve does not have (the period of what does not oscillate) is NaN,
and a condition on it is not fulfilled. All take ``after`` and ``before``, which leave out the rest of the grid.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.arrays import as_array, namespace
from mechscreen.errors import InputError
from mechscreen.expressions import FUNCTIONS, NUMBER, TRUTH, Function, Kind, normalised, parse
from mechscreen.models import Output, Outputs
from mechscreen.objectives.base import UNDECIDED, is_numpy

CURVE = "curve"
"""Kind of a profile or time series in expressions."""

PROMINENCE = 0.1
"""Of a peak, at least, as a share of the largest absolute value of the whole curve: less may be the solver's tolerance,
or the roughness of what networks say of a curve that does nothing."""
STEADY = 0.01
"""Of a steady curve, at most: its range over the last tenth of the grid, as a share of the largest absolute value of
the whole curve."""


@dataclass(frozen=True)
class Curve:
    """Curves of n samples.

    Attributes
    ----------
    values
        (n, points), in the output's unit.
    grid
        (points,).
    size
        (n,), largest absolute value of the whole curves, of which these may be a part.
    undecided
        Of a program that JAX compiles: masks (n,) of curves whose features it leaves to NumPy, as they are come by.
    """

    values: NDArray[Any]
    grid: NDArray[np.float64]
    size: NDArray[Any]
    undecided: list[Any] = field(default_factory=list)

    @classmethod
    def of(cls, values: NDArray[Any], grid: NDArray[np.float64]) -> Curve:
        """Return whole curves."""
        return cls(values, grid, abs(values).max(axis=1))

    def part(self, after: float | None, before: float | None) -> Curve:
        """Return the part of the grid from `after` to `before`, two points at least."""
        if after is None and before is None:
            return self
        inside = np.ones(len(self.grid), bool)
        if after is not None:
            inside &= self.grid >= after
        if before is not None:
            inside &= self.grid <= before
        if inside.sum() < 2:
            raise InputError(
                f"between {after if after is not None else self.grid[0]:g} and "
                f"{before if before is not None else self.grid[-1]:g} the grid has fewer than two points; it goes from "
                f"{self.grid[0]:g} to {self.grid[-1]:g}"
            )
        values = namespace(self.values).take(self.values, np.flatnonzero(inside), axis=1)
        return Curve(values, self.grid[inside], self.size, self.undecided)

    @property
    def largest(self) -> NDArray[Any]:
        """(n,), the maximum."""
        return self.values.max(axis=1)

    @property
    def least(self) -> NDArray[Any]:
        """(n,), the minimum."""
        return self.values.min(axis=1)


@dataclass(frozen=True)
class Peaks:
    """Peaks of n curves: interior maxima, as `scipy.signal.find_peaks` has them with a least prominence.

    Attributes
    ----------
    count, first, last
        (n,): how many, and when the first and the last is; NaN where there is none. Between grid points by parabola.
    opening, closing
        (n,), falls from the first peak, and from the last but one, to the lowest point before the next; NaN where there
        are fewer than two.
    prominence
        (n,), the largest of any maximum; 0 where there is none.
    """

    count: NDArray[np.int64]
    first: NDArray[np.float64]
    last: NDArray[np.float64]
    opening: NDArray[np.float64]
    closing: NDArray[np.float64]
    prominence: NDArray[np.float64]


def find_peaks(curve: Curve, prominence: float) -> Peaks:
    """Find the peaks of curves whose prominence is at least that share of the curve's size."""
    least = float(prominence) * curve.size.astype(float)
    if not is_numpy(curve.values):
        from mechscreen.objectives import peaks_in_arrays

        return Peaks(*peaks_in_arrays.find_peaks(curve.values, curve.grid, least))
    # Numba is imported where something is computed.
    from mechscreen.objectives import features_kernel

    n = len(curve.values)
    count = np.zeros(n, np.int64)
    times = [np.empty(n) for _ in range(5)]
    features_kernel.find_peaks(np.ascontiguousarray(curve.values), curve.grid, least, count, *times)
    return Peaks(count, *times)


def _maximum(curve: Curve) -> NDArray[Any]:
    return curve.largest


def _minimum(curve: Curve) -> NDArray[Any]:
    return curve.least


def _final(curve: Curve) -> NDArray[Any]:
    return curve.values[:, -1]


def _initial(curve: Curve) -> NDArray[Any]:
    return curve.values[:, 0]


def _area(curve: Curve) -> NDArray[Any]:
    return namespace(curve.values).trapezoid(curve.values, curve.grid, axis=1)


def _mean(curve: Curve) -> NDArray[Any]:
    return _area(curve) / (curve.grid[-1] - curve.grid[0])


def _amplitude(curve: Curve) -> NDArray[Any]:
    return (curve.largest - curve.least) / 2


def _time_of_peak(curve: Curve) -> NDArray[Any]:
    return _grid(curve)[curve.values.argmax(axis=1)]


def _width(curve: Curve) -> NDArray[Any]:
    """Full width at half of the maximum, around it, by straight lines; NaN where an end of the grid is higher."""
    xp, values, grid = namespace(curve.values), curve.values.astype(float), _grid(curve)
    n, points = values.shape
    rows, place = xp.arange(n), xp.arange(points)
    top = values.argmax(axis=1)
    above = values >= curve.largest[:, None] / 2
    # The last point on the left, and the first on the right, that lies below.
    left = xp.where(~above & (place < top[:, None]), place, -1).max(axis=1)
    right = xp.where(~above & (place > top[:, None]), place, points).min(axis=1)
    known = (left >= 0) & (right < points) & (curve.largest > 0)
    half = values[rows, top] / 2

    def crossing(below: Any, beside: Any) -> Any:
        below, beside = (xp.clip(places, 0, points - 1) for places in (below, beside))
        first, second = values[rows, below], values[rows, beside]
        step = xp.where(known, second - first, 1)
        return grid[below] + (half - first) / step * (grid[beside] - grid[below])

    width: NDArray[Any] = xp.where(known, crossing(right, right - 1) - crossing(left, left + 1), np.nan)
    return width


def _steady(curve: Curve, tolerance: float = STEADY) -> NDArray[np.bool_]:
    last = curve.values[:, min(-2, -(len(curve.grid) // 10)) :]
    return namespace(last).ptp(last, axis=1) <= tolerance * curve.size


def _crossing(curve: Curve, level: float = 0.0) -> NDArray[Any]:
    """First time at which the curve goes through a level, by straight lines; NaN where it never does."""
    xp, values, grid = namespace(curve.values), curve.values.astype(float), _grid(curve)
    crosses = (values[:, :-1] < level) != (values[:, 1:] < level)
    place = crosses.argmax(axis=1)
    rows = xp.arange(len(values))
    first, second = values[rows, place], values[rows, place + 1]
    step = xp.where(second != first, (level - first) / xp.where(second != first, second - first, 1), 0)
    at: NDArray[Any] = xp.where(crosses.any(axis=1), grid[place] + step * xp.diff(grid)[place], np.nan)
    return at


def _peaks(curve: Curve, prominence: float = PROMINENCE) -> NDArray[Any]:
    return find_peaks(curve, prominence).count


def _prominence(curve: Curve) -> NDArray[Any]:
    return find_peaks(curve, 0.0).prominence


def _period(curve: Curve, prominence: float = PROMINENCE) -> NDArray[Any]:
    """Mean time from a peak to the next; NaN where there are fewer than two."""
    peaks = find_peaks(curve, prominence)
    xp = namespace(peaks.count)
    period: NDArray[Any] = xp.where(
        peaks.count > 1, (peaks.last - peaks.first) / xp.maximum(peaks.count - 1, 1), np.nan
    )
    return period


def _damping(curve: Curve, prominence: float = PROMINENCE) -> NDArray[Any]:
    """Logarithmic decrement: by how much the logarithm of the swing falls from a peak to the next.

    NaN where there are fewer than three peaks.
    """
    peaks = find_peaks(curve, prominence)
    xp = namespace(peaks.count)
    with np.errstate(all="ignore"):
        fall = xp.log(peaks.opening / peaks.closing) / xp.maximum(peaks.count - 2, 1)
    damping: NDArray[Any] = xp.where(peaks.count > 2, fall, np.nan)
    return damping


def _rings(curve: Curve, distance: float = 50, prominence: float = PROMINENCE) -> NDArray[Any]:
    from mechscreen.objectives.rings import mirrored_peaks, rings_in_arrays

    if is_numpy(curve.values):
        off_centre, _ = mirrored_peaks(_by_peak(curve), distance, prominence)
        return off_centre // 2
    rings, undecided = rings_in_arrays(_by_peak(curve), distance, prominence)
    curve.undecided.append(undecided)
    return rings


def _modes(curve: Curve, dip: float = 0.3, height: float = 0.05) -> NDArray[Any]:
    if is_numpy(curve.values):
        from mechscreen.objectives.modes import count_modes

        return count_modes(_by_peak(curve), dip, height)
    from mechscreen.objectives import peaks_in_arrays

    modes, undecided = peaks_in_arrays.count_modes(_by_peak(curve), dip, height)
    curve.undecided.append(undecided)
    return modes


def _by_peak(curve: Curve) -> NDArray[Any]:
    peak = curve.largest[:, None]
    xp = namespace(peak)
    share: NDArray[Any] = xp.where(peak > 0, curve.values / xp.where(peak > 0, peak, 1), 0)
    return share


def _grid(curve: Curve) -> Any:
    """Return the grid as an array of the library that the curves are of."""
    return namespace(curve.values).asarray(curve.grid)


def _feature(compute: Callable[..., Any], *options: str, gives: Kind = NUMBER) -> Function:
    def of_part(curve: Curve, after: float | None = None, before: float | None = None, **own: float) -> Any:
        return compute(curve.part(after, before), **own)

    return Function(of_part, (CURVE,), gives, options=("after", "before", *options))


FEATURES: Mapping[str, Function] = {
    "maximum": _feature(_maximum),
    "minimum": _feature(_minimum),
    "mean": _feature(_mean),
    "initial": _feature(_initial),
    "final": _feature(_final),
    "area": _feature(_area),
    "amplitude": _feature(_amplitude),
    "time_of_peak": _feature(_time_of_peak),
    "width": _feature(_width),
    "crossing": _feature(_crossing, "level"),
    "steady": _feature(_steady, "tolerance", gives=TRUTH),
    "peaks": _feature(_peaks, "prominence"),
    "prominence": _feature(_prominence),
    "period": _feature(_period, "prominence"),
    "damping": _feature(_damping, "prominence"),
    "rings": _feature(_rings, "distance", "prominence"),
    "modes": _feature(_modes, "dip", "height"),
}
"""Features by name; docs/howto/conditions.md says what each is."""

ALL: Mapping[str, Function] = {**FUNCTIONS, **FEATURES}
"""What may be called in expressions on outputs."""


def kind_of(output: Output) -> Kind | None:
    """Return what an output is in expressions: a number, a curve; None for a field, of which there are no features."""
    return {0: NUMBER, 1: CURVE}.get(len(output.grids))


class Features:
    """Numbers that are told of samples, by their names.

    Parameters
    ----------
    expressions
        Name → expression on the outputs; or expressions, which are their own names.
    outputs
        Of the model.
    where
        Names the configuration's key, for messages.

    Raises
    ------
    InputError
        If an expression cannot be read or is no number, or two are called the same.
    """

    def __init__(self, expressions: Iterable[str] | Mapping[str, str], outputs: Outputs, where: str) -> None:
        named = expressions if isinstance(expressions, Mapping) else _named_by_themselves(expressions, where)
        for name in named:
            if not name.strip() or not name.isprintable():
                raise InputError(f"'{where}': {name!r} is no name; give one of letters, digits and spaces")
        kinds = kinds_of(outputs)
        self._outputs = outputs
        self._expressions = {
            name: parse(text, kinds, f"'{where}': '{text}'", functions=ALL) for name, text in named.items()
        }
        self.units = {name: unit_of(text, outputs) for name, text in named.items()}
        # Options that no grid has room for are seen now.
        nothing = np.zeros((1, *outputs.shape))
        try:
            self(nothing, np.zeros((1, len(outputs))))
        except InputError as error:
            raise InputError(f"'{where}': {error}") from None

    @property
    def names(self) -> tuple[str, ...]:
        """What the numbers are called."""
        return tuple(self._expressions)

    @property
    def labels(self) -> tuple[str, ...]:
        """The names, each with its unit in brackets, where it is known."""
        return tuple(f"{name} [{unit}]" if unit else name for name, unit in self.units.items())

    def __len__(self) -> int:
        return len(self._expressions)

    def __call__(self, profiles: ArrayLike, log_peaks: ArrayLike) -> dict[str, NDArray[np.float64]]:
        """Return the numbers of n samples, (n,) each; NaN where a sample does not have one, or has no outputs.

        Parameters
        ----------
        profiles, log_peaks
            (n, *outputs.shape) and (n, outputs), as they are stored and predicted.
        """
        stored = np.asarray(profiles)
        n = len(stored)
        # Of a failed simulation some features would be numbers: how many peaks it has, for one.
        failed = np.isnan(self._outputs.side_by_side(stored)).all(axis=1)
        values = values_of(self._outputs.by_name(stored, log_peaks), self._outputs)
        with np.errstate(all="ignore"):
            found = {name: np.broadcast_to(of(values), n).astype(float) for name, of in self._expressions.items()}
        return {name: np.where(np.isfinite(numbers) & ~failed, numbers, np.nan) for name, numbers in found.items()}


def _named_by_themselves(expressions: Iterable[str], where: str) -> dict[str, str]:
    named: dict[str, str] = {}
    for text in expressions:
        if text in named:
            raise InputError(f"'{where}': '{text}' stands there twice; leave one out")
        named[text] = text
    return named


def kinds_of(outputs: Outputs) -> dict[str, Kind]:
    """Return what each output is in expressions, but for fields."""
    return {output.name: kind for output in outputs if (kind := kind_of(output)) is not None}


def values_of(outputs: Mapping[str, NDArray[Any]], of_model: Iterable[Output]) -> dict[str, Any]:
    """Return what expressions are computed of, by the names of outputs."""
    return {
        output.name: Curve.of(as_array(outputs[output.name]), output.grid)
        if kind_of(output) == CURVE
        else as_array(outputs[output.name])
        for output in of_model
        if kind_of(output) is not None
    }


def left_undecided(labels: NDArray[Any], values: Mapping[str, Any]) -> NDArray[Any]:
    """Return labels of samples, but for those whose features a compiled program leaves to NumPy: `UNDECIDED`."""
    xp = namespace(labels)
    for curve in values.values():
        for undecided in curve.undecided if isinstance(curve, Curve) else ():
            labels = xp.where(undecided, UNDECIDED, labels)
    return xp.asarray(labels, dtype=np.int64)


MAY_LACK = frozenset({"crossing", "damping", "period", "width"})
"""Features that not every curve has."""
_IN_GRID_UNITS = frozenset({"crossing", "period", "time_of_peak", "width"})
_IN_OUTPUT_UNITS = frozenset({"amplitude", "final", "initial", "maximum", "mean", "minimum", "prominence"})
_OF_ONE = re.compile(r"(\w+)\(\s*([\w.]+)\s*(,[^()]*)?\)")


def unit_of(text: str, outputs: Outputs) -> str:
    """Return the unit of an expression that is one feature of an output, or an output; "" of any other."""
    known = {output.name: output for output in outputs}
    call = None if normalised(text) in known else _OF_ONE.fullmatch(text.strip())
    function, name = (call[1], call[2]) if call else ("", normalised(text))
    output = known.get(name)
    if output is None or function not in {"", *_IN_GRID_UNITS, *_IN_OUTPUT_UNITS}:
        return ""
    unit = output.grid_unit if function in _IN_GRID_UNITS else output.unit
    return unit if isinstance(unit, str) else ""
