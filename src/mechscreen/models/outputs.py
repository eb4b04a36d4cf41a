"""What a model returns: outputs of any shape, and how their values are scaled to be stored, learnt and compared."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from enum import IntEnum
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.arrays import as_array, namespace
from mechscreen.errors import ModelError

FloatArray = NDArray[np.float64]

Scale = Literal["peak", "linear", "log"]
View = Literal["number", "line", "disc", "density", "image"]

UNDERSHOOT = 1e-6
"""Share of a profile's peak by which it may fall below zero, as solvers do that keep to a tolerance; it is set to
zero."""

HALF = 0.5
"""From here on a network's answer to "is there a value?" is yes."""

_VIEWS: Mapping[int, tuple[View, ...]] = {0: ("number",), 1: ("line", "disc", "density"), 2: ("image",)}
"""How outputs of so many axes can be shown."""


@dataclass(frozen=True)
class Output:
    """One thing that a model returns: a number, a profile or time series, or a field of two dimensions.

    Attributes
    ----------
    name, unit
        For axes, tables and people; the names of a model's outputs differ.
    grid
        What it stands on: nothing for a number; the points, ascending, (points,), of a profile or time series; a pair
        of such arrays (rows, columns) for a field.
    grid_name, grid_unit
        What the points are; of a field a pair of names, and a unit or a pair of them.
    scale
        How values become what is stored and learnt. ``peak``: divided by their maximum, whose logarithm is learnt
        apart; for what is never negative, and the default for profiles and fields. ``linear``: as they are, for what
        has a sign, and the default for numbers. ``log``: their logarithms, for what is positive and spans decades.
    compare
        By what a prediction is judged: members of an ensemble by one another, epochs of a training, hits by the model's
        simulation. ``values``: what the model returns. ``shape``: each divided by its own maximum, whatever that is, as
        in Wang et al. (2019); with the scale ``peak`` alone. ``nothing``: it is learnt and shown, and counts for
        nothing, as what tells how sure the others are.
    view
        How figures show it: ``number``; ``line``, ``disc`` (a profile along a radius) or ``density`` (filled down to
        zero); ``image``.
    crop
        It is near zero over much of its grid; figures show the rest.
    given
        Of a number that not every sample has (the period of what does not oscillate is NaN): the name of another
        output, a number that is 1 where this one has a value and 0 where it has none. It is learnt and compared where
        there is one.
    floor
        Least value that counts, in its unit. With the scale ``peak``, what is below is zero, and a profile that is
        below everywhere is a result like any other (zero, with the floor for its peak) instead of a failed sample: a
        species that dies out, say. With ``log``, what is below is taken for it.
    """

    name: str
    grid: Any = None
    unit: str = ""
    grid_name: str | tuple[str, str] = ""
    grid_unit: str | tuple[str, str] = ""
    crop: bool = False
    floor: float = 0.0
    scale: Scale | None = None
    compare: Literal["values", "shape", "nothing"] = "values"
    view: View | None = None
    given: str = ""

    def __post_init__(self) -> None:
        grids = _as_grids(self.grid)
        set_field = object.__setattr__
        set_field(self, "grid", grids[0] if len(grids) == 1 else grids)
        for name in ("grid_name", "grid_unit"):
            text = getattr(self, name)
            set_field(self, name, text if isinstance(text, str) else tuple(text))
        set_field(self, "scale", self.scale or ("peak" if grids else "linear"))
        set_field(self, "view", self.view or self._views[0])

    @property
    def grids(self) -> tuple[FloatArray, ...]:
        """The points along each axis."""
        return (self.grid,) if isinstance(self.grid, np.ndarray) else self.grid

    @property
    def shape(self) -> tuple[int, ...]:
        """(), (points,) or (rows, columns)."""
        return tuple(len(grid) for grid in self.grids)

    @property
    def size(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def axes(self) -> tuple[str, ...]:
        """Labels of the axes: what the points are, with their unit in brackets."""
        number = len(self.grids)
        names, units = (
            (text,) * number if isinstance(text, str) else text for text in (self.grid_name, self.grid_unit)
        )
        return tuple(
            f"{name or 'position'} [{unit}]" if unit else name or "position"
            for name, unit in zip(names, units, strict=True)
        )

    @property
    def varies(self) -> bool:
        """Whether it is more than one number by its peak, which is all that is to be known of it then."""
        return self.scale != "peak" or self.size > 1

    @property
    def in_decades(self) -> bool:
        """Whether the points of a profile lie evenly over decades, as doses do; figures show them so."""
        if len(self.grids) != 1 or len(self.grid) < 3 or not self.grid[0] > 0:
            return False
        steps = np.diff(np.log(self.grid))
        return bool(np.allclose(steps, steps[0], rtol=1e-3))

    @property
    def counts(self) -> bool:
        """Whether it counts where predictions are judged."""
        return self.compare != "nothing"

    @property
    def _views(self) -> tuple[View, ...]:
        """How it can be shown; the way it is unless it says otherwise first."""
        own = _VIEWS.get(len(self.grids), ("image",))
        return ("number", *own) if self.grids and self.size == 1 else own

    def check(self, where: str) -> None:
        """See that it makes sense.

        Raises
        ------
        ModelError
            If not; the message begins with `where`.
        """
        where = f"{where}, output '{self.name}'"
        for grid in self.grids:
            if grid.ndim != 1 or not grid.size or not np.isfinite(grid).all() or (np.diff(grid) <= 0).any():
                raise ModelError(f"{where}: its grid must be finite and ascending, (points,)")
        if len(self.grids) not in _VIEWS:
            raise ModelError(f"{where}: its grid has {len(self.grids)} axes; a number has none, a field two")
        for text in (self.grid_name, self.grid_unit):
            if not isinstance(text, str) and len(text) != len(self.grids):
                raise ModelError(f"{where}: {list(text)} names {len(text)} axes, and its grid has {len(self.grids)}")
        if self.scale not in ("peak", "linear", "log"):
            raise ModelError(f"{where}: no scale '{self.scale}' (valid: peak, linear, log)")
        if self.scale == "peak" and not self.grids:
            raise ModelError(f"{where}: a number has no shape beside its peak; give it scale='linear' or scale='log'")
        if self.compare not in ("values", "shape", "nothing") or (self.compare == "shape" and self.scale != "peak"):
            raise ModelError(
                f"{where}: compare must be 'values', 'nothing' or, with scale='peak', 'shape'; not '{self.compare}'"
            )
        if self.view not in self._views:
            raise ModelError(f"{where}: cannot be shown as '{self.view}' (valid: {', '.join(self._views)})")
        if not 0 <= self.floor < math.inf:
            raise ModelError(f"{where}: its floor is {self.floor}; give the least value that counts")
        if self.given and self.grids:
            raise ModelError(f"{where}: is no number, so it cannot be undefined; leave 'given' out")

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        grids = [grid.tolist() for grid in self.grids]
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        if not self.given:
            del values["given"]  # which earlier versions did not write
        return {**values, "grid": grids[0] if len(grids) == 1 else grids}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return what `to_record` wrote, whatever it says besides; earlier versions left some of it out."""
        names = {field.name for field in fields(cls)}
        # They knew shapes alone.
        return cls(**{"compare": "shape", **{name: value for name, value in record.items() if name in names}})


def _as_grids(grid: Any) -> tuple[FloatArray, ...]:
    if grid is None:
        return ()
    if isinstance(grid, np.ndarray):
        return (grid.astype(float),)
    parts = tuple(grid)
    if parts and all(np.ndim(part) == 0 for part in parts):
        return (np.asarray(parts, dtype=float),)
    return tuple(np.asarray(part, dtype=float) for part in parts)


class Status(IntEnum):
    """What became of one sample."""

    OK = 0
    NOT_FINITE = 1
    NEGATIVE = 2
    """Below zero, with the scale ``peak``; not above it, with ``log``."""
    FLAT = 3
    """No signal: a profile's maximum is zero, so that it has no shape, and its output has no floor."""
    ERROR = 4
    """The model raised an exception for this sample, or ended its process."""
    TIMEOUT = 5
    """The model took longer than it is given for one sample."""


class Outputs(tuple[Output, ...]):
    """The outputs of a model, and where the values of each stand in an array of samples.

    Values of n samples are one array. Where all outputs have a single axis, or none, and as many points, its shape is
    (n, outputs, points); else (n, values), one output after the other.
    """

    @property
    def uniform(self) -> bool:
        """Whether values stand in an array (n, outputs, points)."""
        return len({output.size for output in self}) == 1 and all(len(output.grids) < 2 for output in self)

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each output."""
        return tuple(output.size for output in self)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the values of one sample."""
        return (len(self), self[0].size) if self.uniform else (sum(self.sizes),)

    @property
    def starts(self) -> NDArray[np.int64]:
        """Where each output starts among the values of a sample one after the other, and the end, (outputs + 1,)."""
        return np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)

    @property
    def givens(self) -> NDArray[np.int64]:
        """Which output says whether each one has a value, (outputs,); −1 for those that always have one."""
        places = {output.name: k for k, output in enumerate(self)}
        return np.array([places[output.given] if output.given else -1 for output in self], dtype=np.int64)

    def has_value(self, values: ArrayLike, k: int) -> NDArray[np.bool_]:
        """Return whether n samples have a value of output k, (n,), by what is stored or predicted of them."""
        place = int(self.givens[k])
        if place < 0:
            return namespace(values).ones(len(as_array(values)), dtype=bool)
        return self.flat(values, place)[:, 0] >= HALF

    @property
    def all_by_peak(self) -> bool:
        """Whether every output is scaled by its peak."""
        return all(output.scale == "peak" for output in self)

    @property
    def are_profiles(self) -> bool:
        """Whether all are profiles of equally many points, more than one, that are scaled by their peaks."""
        return self.uniform and self.all_by_peak and self[0].size > 1

    def flat(self, values: ArrayLike, k: int) -> NDArray[Any]:
        """Return the values of output k, (n, its size), of the values of n samples; no copy."""
        array = as_array(values)
        return array[:, k] if self.uniform else array[:, self.starts[k] : self.starts[k + 1]]

    def side_by_side(self, values: ArrayLike) -> NDArray[Any]:
        """Return the values of n samples as (n, values), one output after the other; no copy."""
        array = as_array(values)
        return array.reshape(len(array), sum(self.sizes))

    def of(self, values: ArrayLike, k: int) -> NDArray[Any]:
        """Return the values of output k, (n, *its shape), of the values of n samples; no copy."""
        flat = self.flat(values, k)
        return flat.reshape(len(flat), *self[k].shape)

    def in_units(self, profiles: ArrayLike, log_peaks: ArrayLike, k: int) -> NDArray[Any]:
        """Return what the model says of output k, in its unit, (n, *its shape), from what is stored of it.

        NaN where a sample has no value of it.
        """
        scaled = self.of(profiles, k)
        if self[k].given:
            scaled = namespace(scaled).where(self.has_value(profiles, k), scaled, np.nan).astype(scaled.dtype)
        return self.unscaled(scaled, as_array(log_peaks)[:, k], k)

    def unscaled(self, scaled: NDArray[Any], log_peaks: NDArray[Any], k: int) -> NDArray[Any]:
        """Return the same from what is stored of output k alone, (n, *its shape) and (n,)."""
        output = self[k]
        if output.scale == "linear":
            return scaled
        if output.scale == "log":
            return namespace(scaled).exp(scaled)
        peaks = namespace(log_peaks).exp(log_peaks)
        return scaled * peaks.reshape(-1, *(1,) * len(output.shape)).astype(scaled.dtype)

    def by_name(self, profiles: ArrayLike, log_peaks: ArrayLike) -> dict[str, NDArray[Any]]:
        """Return the same of every output by its name."""
        return {output.name: self.in_units(profiles, log_peaks, k) for k, output in enumerate(self)}

    def join(self, parts: Sequence[ArrayLike] | Mapping[str, ArrayLike], n: int) -> FloatArray:
        """Return the values of n samples, (n, *`shape`), of what is given for each output, in order or by name.

        Raises
        ------
        ValueError
            If an output is missing, unknown, or of another shape; the message says which.
        """
        if isinstance(parts, Mapping):
            names = [output.name for output in self]
            if set(parts) != set(names):
                raise ValueError(f"outputs {sorted(parts)}; the model's are {sorted(names)}")
            parts = [parts[name] for name in names]
        arrays = []
        for output, part in zip(self, parts, strict=True):
            array, shape = np.asarray(part, dtype=float), (n, *output.shape)
            if array.shape != shape:
                raise ValueError(f"'{output.name}' of shape {array.shape}; its output says {shape}")
            arrays.append(array.reshape(n, output.size))
        return np.concatenate(arrays, axis=1).reshape(n, *self.shape)

    def scaled(self, raw: FloatArray) -> tuple[FloatArray, FloatArray, NDArray[np.uint8], list[str]]:
        """Scale the values of n samples as the outputs say, and give every sample a status.

        Parameters
        ----------
        raw
            (n, *`shape`), in the units of the outputs.

        Returns
        -------
        profiles
            (n, *`shape`), values divided by their maximum, as they are, or their logarithms; NaN where the status is
            not OK.
        log_peaks
            (n, outputs), natural logarithm of what was divided by, in the output's unit; 0 where nothing was.
        status
            (n,), values of `Status`.
        reasons
            Per sample, why its status is not OK: which output, and where; "" where it is.
        """
        status = np.zeros(len(raw), dtype=np.uint8)
        reasons = [""] * len(raw)
        # From the least to the most serious one, and of one kind from the last output to the first, which is told.
        wrong = [problem for k, output in enumerate(self) for problem in _problems(output, self.flat(raw, k))]
        for code in (Status.FLAT, Status.NEGATIVE, Status.NOT_FINITE):
            for output, kind, places, values in reversed(wrong):
                for i in np.flatnonzero(places.any(axis=1)) if kind == code else ():
                    status[i] = code
                    reasons[i] = _reason(code, output, values[i], int(places[i].argmax()))
        ok = status == Status.OK
        profiles = np.full_like(raw, np.nan)
        log_peaks = np.full((len(raw), len(self)), np.nan)
        for k, output in enumerate(self):
            self.flat(profiles, k)[ok], log_peaks[ok, k] = _scale(output, self.flat(raw, k)[ok])
        return profiles, log_peaks, status, reasons

    def scatter(self, profiles: ArrayLike) -> Scatter:
        """Return sums that the outputs' standard deviations follow from, of the values of n samples."""
        flat = self.side_by_side(profiles).astype(np.float64)
        return Scatter(len(flat), flat.sum(axis=0), np.square(flat).sum(axis=0))

    def samples_with(self, n: int, totals: FloatArray) -> FloatArray:
        """Return how many of n samples have each value, (values,), by the sums of the values; 1 at least.

        Where a sample has no value, 0 is stored, so that sums are those of the others.
        """
        found = np.full(len(totals), float(max(n, 1)))
        for k, place in enumerate(self.givens):
            if place >= 0:
                found[self.starts[k]] = max(1.0, totals[self.starts[place]])
        return found

    def deviations(self, scatter: Scatter) -> FloatArray:
        """Return the unit in which each output's errors are told, (outputs,), from samples' sums.

        The standard deviation over samples, the root of its mean square over the points; 1 where an output does not
        vary, and for those that are scaled by their peaks, whose errors have that for their unit.
        """
        counts = self.samples_with(scatter.n, scatter.total)
        mean = scatter.total / counts
        variance = np.maximum(scatter.squares / counts - mean**2, 0)
        found = np.ones(len(self))
        for k, output in enumerate(self):
            part = slice(self.starts[k], self.starts[k + 1])
            deviation = float(np.sqrt(variance[part].mean()))
            # Rounding is no variation.
            if output.scale != "peak" and deviation > 1e-7 * (1 + float(np.abs(mean[part]).max())):
                found[k] = deviation
        return found


@dataclass(frozen=True)
class Scatter:
    """Sums over n samples: of each value and of its square, (values,)."""

    n: int
    total: FloatArray
    squares: FloatArray

    def __add__(self, other: Scatter) -> Scatter:
        return Scatter(self.n + other.n, self.total + other.total, self.squares + other.squares)


_Problem = tuple[Output, Status, NDArray[np.bool_], FloatArray]
"""An output, what is wrong, where (n, values), and its values."""


def _problems(output: Output, raw: FloatArray) -> Iterator[_Problem]:
    """Yield what is wrong with the values of an output, (n, values)."""
    bad = np.isinf(raw) if output.given else ~np.isfinite(raw)
    yield output, Status.NOT_FINITE, bad, raw
    if output.scale == "peak":
        with np.errstate(invalid="ignore"):
            peaks = raw.max(axis=1)
            yield output, Status.NEGATIVE, raw < -UNDERSHOOT * peaks[:, None], raw
        if output.floor <= 0:
            yield output, Status.FLAT, np.broadcast_to((peaks < np.finfo(float).tiny)[:, None], raw.shape), raw
    elif output.scale == "log" and output.floor <= 0:
        with np.errstate(invalid="ignore"):
            yield output, Status.NEGATIVE, raw <= 0, raw


def _scale(output: Output, raw: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the scaled values of an output, (n, values), and the logarithms of what they were divided by, (n,)."""
    if output.scale != "peak":
        scaled = np.log(np.maximum(raw, output.floor)) if output.scale == "log" else raw
        return np.nan_to_num(scaled, nan=0.0) if output.given else scaled, np.zeros(len(raw))
    scales = np.maximum(raw.max(axis=1), output.floor)
    kept = np.where((raw < 0) | (raw < output.floor), 0.0, raw)
    return kept / scales[:, None], np.log(scales)


def _reason(status: Status, output: Output, raw: FloatArray, place: int) -> str:
    """Say what is wrong with the values of an output, at the first place where it is."""
    if status == Status.FLAT:
        return f"output '{output.name}' is zero everywhere; give it a floor (Output(..., floor=...)) if it may be"
    where = ", ".join(str(int(i)) for i in np.unravel_index(place, output.shape)) if output.shape else ""
    found = f"output '{output.name}' is {raw[place]:.4g}" + (f" at point {where}" if where else "")
    if status == Status.NOT_FINITE:
        return found
    if output.scale == "log":
        return f"{found}, which has no logarithm: give it a floor, or scale='linear'"
    return f"{found}: clip rounding in solve(), or give it scale='linear' if it may be negative"
