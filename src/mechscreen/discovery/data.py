"""Trajectories: checks, scales, nodes and smoothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mechscreen.discovery import kernels
from mechscreen.discovery.collocation import Grid
from mechscreen.discovery.library import FloatArray
from mechscreen.errors import InputError

MIN_SAMPLES = 8
"""Samples that a variable must have in all: fewer cannot tell a noise level from a law."""

NOISE_FLOOR = 1e-6
"""Smallest noise assumed, relative to a variable's root mean square: below it, rounding and discretisation show."""

MAX_NODES = 20_000


@dataclass(frozen=True)
class Trajectories:
    """Checked samples of one or several trajectories.

    Attributes
    ----------
    names
        (d,) variables.
    t, y
        Per trajectory, times (n,), strictly increasing, and values (n, d), NaN where missing.
    hidden
        (d,) True for variables without any sample.
    """

    names: tuple[str, ...]
    t: tuple[FloatArray, ...]
    y: tuple[FloatArray, ...]
    hidden: np.ndarray

    def __len__(self) -> int:
        return len(self.t)

    @property
    def pooled(self) -> FloatArray:
        """All values, (n_total, d)."""
        return np.concatenate(self.y)


def check_trajectories(
    t: ArrayLike | Sequence[ArrayLike],
    y: ArrayLike | Sequence[ArrayLike],
    names: Sequence[str] | None,
    hidden: Sequence[str],
) -> Trajectories:
    """Check and copy what the user gave.

    Raises
    ------
    InputError
        For shapes that do not fit, times that do not increase, values that are infinite, constant or too few.
    """
    several = isinstance(y, list | tuple) and len(y) > 0 and np.ndim(y[0]) == 2
    times: Any = t if several else [t]
    values: Any = y if several else [y]
    if len(times) != len(values):
        raise InputError(f"discover: {len(times)} arrays of times for {len(values)} trajectories")
    checked_t, checked_y = [], []
    for i, (own_t, own_y) in enumerate(zip(times, values, strict=True)):
        where = f"trajectory {i}" if several else "data"
        a, b = _check_one(own_t, own_y, where)
        checked_t.append(a)
        checked_y.append(b)
    d = checked_y[0].shape[1]
    if any(b.shape[1] != d for b in checked_y):
        raise InputError(
            f"discover: the trajectories have {sorted({b.shape[1] for b in checked_y})} variables; all need the same"
        )
    labels = tuple(names) if names is not None else _default_names(d)
    if len(labels) != d or len(set(labels)) != d:
        raise InputError(f"discover: {len(labels)} names {list(labels)} for {d} variables; give one unique name each")
    for label in labels:
        if not label.isidentifier():
            raise InputError(f"discover: variable name '{label}' is not an identifier (letters, digits, _)")
    for label in hidden:
        if label not in labels:
            raise InputError(f"discover: hidden variable '{label}' is not among the variables {', '.join(labels)}")
    is_hidden = np.array([label in hidden for label in labels])
    pooled = np.concatenate(checked_y)
    for k, label in enumerate(labels):
        present = pooled[np.isfinite(pooled[:, k]), k]
        if is_hidden[k]:
            if any(np.isfinite(b[1:, k]).any() for b in checked_y):
                raise InputError(
                    f"discover: '{label}' is named as hidden but has values after a trajectory's first row"
                )
            continue
        if len(present) < MIN_SAMPLES:
            raise InputError(
                f"discover: '{label}' has {len(present)} values; at least {MIN_SAMPLES} are needed "
                "(a variable that was never measured must be named as hidden)"
            )
        if np.ptp(present) <= 1e-14 * np.abs(present).max():
            raise InputError(f"discover: '{label}' is constant ({present[0]:g}); leave it out")
    if is_hidden.all():
        raise InputError("discover: all variables are hidden")
    return Trajectories(labels, tuple(checked_t), tuple(checked_y), is_hidden)


def _check_one(t: ArrayLike, y: ArrayLike, where: str) -> tuple[FloatArray, FloatArray]:
    try:
        times, values = np.array(t, dtype=float), np.array(y, dtype=float)
    except (TypeError, ValueError) as error:
        raise InputError(f"discover, {where}: not numbers ({error})") from None
    if values.ndim == 1:
        values = values[:, None]
    if times.ndim != 1 or values.ndim != 2 or len(times) != len(values):
        raise InputError(
            f"discover, {where}: times have shape {times.shape}, values {values.shape}; need (n,) and (n, d)"
        )
    if len(times) < 3:
        raise InputError(f"discover, {where}: {len(times)} samples; a trajectory needs at least 3")
    bad = np.flatnonzero(~np.isfinite(times))
    if bad.size:
        raise InputError(f"discover, {where}: time in row {bad[0]} is {times[bad[0]]}")
    steps = np.diff(times)
    if (steps <= 0).any():
        i = int(np.flatnonzero(steps <= 0)[0])
        what = "is repeated" if steps[i] == 0 else f"comes after {times[i]:g}"
        raise InputError(
            f"discover, {where}: times must increase, but row {i + 1} ({times[i + 1]:g}) {what}; "
            "sort the rows, merge repeats, or mark separate trajectories"
        )
    infinite = np.argwhere(np.isinf(values))
    if infinite.size:
        i, k = infinite[0]
        raise InputError(f"discover, {where}: row {i}, variable {k} is infinite; use NaN for a missing value")
    return times, values


def _default_names(d: int) -> tuple[str, ...]:
    return ("x", "y", "z")[:d] if d <= 3 else tuple(f"x{k}" for k in range(d))


@dataclass(frozen=True)
class Scales:
    """What makes the problem dimensionless: states are divided by `state` (d,), times by `time` after `origin`."""

    state: FloatArray
    time: float
    origins: tuple[float, ...]


def smooth_samples(grid: Grid) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Cubic smoothing spline of each variable; its stiffness maximises the evidence (Wahba 1978).

    Returns states (N, d), rates (N, d) and noise standard deviations (d,); zeros and ones for a hidden variable.
    """
    d = grid.rows.shape[1]
    states, rates, noise = np.zeros((len(grid), d)), np.zeros((len(grid), d)), np.ones(d)
    for k in range(d):
        if grid.counts[k] == 0:
            continue
        spacing = grid.duration / grid.counts[k]
        data = (
            np.ascontiguousarray(grid.rows[:, k]), np.ascontiguousarray(grid.factor[:, k]),
            np.ascontiguousarray(grid.target[:, k]), grid.rest[k], grid.counts[k], grid.h,
        )  # fmt: skip
        tried: dict[float, float] = {}

        def deviance(
            stiffness: float, data: tuple = data, tried: dict[float, float] = tried, u: float = spacing
        ) -> float:
            if stiffness not in tried:
                tried[stiffness] = kernels.smooth(*data, 10.0**stiffness / u**3)[3]
            return tried[stiffness]

        best = min(np.arange(-9.0, 7.0, 1.0), key=deviance)
        for step in (0.5, 0.25):
            best = min((best - step, best, best + step), key=deviance)
        states[:, k], rates[:, k], variance, _ = kernels.smooth(*data, 10.0**best / spacing**3)
        noise[k] = max(np.sqrt(variance), NOISE_FLOOR)
    return states, rates, noise


def uniform_nodes(t: FloatArray, step: float) -> FloatArray:
    """Equidistant nodes from the first to the last time, at most `step` apart, at least three."""
    return np.linspace(t[0], t[-1], max(int(np.ceil((t[-1] - t[0]) / step)), 2) + 1)


def scale_and_smooth(data: Trajectories, step: float) -> tuple[Grid, Scales, FloatArray, FloatArray]:
    """Make the data dimensionless, choose nodes, and smooth.

    The time scale is the shortest over the variables of rms(x − mean)/rms(dx/dt); nodes are `step` of it apart.

    Returns the grid, the scales, the smoothed states (N, d) and the noise (d,), dimensionless.
    """
    pooled = data.pooled
    scale = np.ones(len(data.names))
    seen = ~data.hidden
    scale[seen] = np.sqrt(np.nanmean(pooled[:, seen] ** 2, axis=0))
    scale[~seen] = np.exp(np.log(scale[seen]).mean())
    origins = tuple(float(t[0]) for t in data.t)
    spans = [t - origin for t, origin in zip(data.t, origins, strict=True)]
    values = [y / scale for y in data.y]
    duration = sum(float(t[-1]) for t in spans)
    spacing = float(np.median(np.concatenate([np.diff(t) for t in spans])))
    first = max(duration / 4000, spacing / 3)
    grid = Grid(list(zip(spans, values, strict=True)), [uniform_nodes(t, first) for t in spans])
    states, rates, _ = smooth_samples(grid)
    spread = states[:, seen].std(axis=0)
    speed = np.sqrt((rates[:, seen] ** 2).mean(axis=0))
    fastest = float((speed / np.maximum(spread, 1e-300)).max())
    time = float(np.clip(1.0 / fastest, 2.0 * duration * step**-1 / MAX_NODES, duration))
    spans = [t / time for t in spans]
    grid = Grid(list(zip(spans, values, strict=True)), [uniform_nodes(t, step) for t in spans])
    states, _, noise = smooth_samples(grid)
    return grid, Scales(scale, time, origins), states, noise
