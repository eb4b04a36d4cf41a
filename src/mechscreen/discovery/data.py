"""Trajectories: checks, scales, nodes and smoothing."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import PchipInterpolator

from mechscreen.discovery import kernels
from mechscreen.discovery.collocation import Grid
from mechscreen.discovery.hermite import hermite, hermite_slopes
from mechscreen.discovery.inputs import Course, constant, goes_in_steps, steps
from mechscreen.discovery.library import FloatArray
from mechscreen.discovery.noise import KINDS, choose
from mechscreen.errors import InputError, at_most, nearest

MIN_SAMPLES = 8
"""Samples that a variable must have in all: fewer cannot tell a noise level from a law."""

MIN_OF_TRAJECTORY = 3
"""Rows that the only trajectory must have; of several, each must have more values than it has unknown starts."""

NOISE_FLOOR = 1e-5
"""Smallest noise assumed, relative to a variable's root mean square: below it, rounding and discretisation show."""

MAX_NODES = 20_000

_MOSTLY_NOISE, _OF_SPIKES = 0.5, 0.1
"""Share of a variable's spread, above which what smoothing leaves may be spikes, and noise beside them at first."""
_PROPORTIONAL = 1e-9
"""Deviation, in shares of the largest value, up to which two variables are in a fixed proportion."""
_CROWDED = 0.1
"""Unknown starts for each sample, from which on these take much of what samples tell."""


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
    sampled, samples
        Names of inputs that go smoothly, for which no equation is sought, and their values (n, s) as of `y`.
    in_steps, courses
        Names of inputs that go in steps, and what they do in each trajectory; no courses without such.
    noise, errors
        Kind of each variable's noise, of `mechscreen.discovery.noise.KINDS`, ``"auto"`` where that is to be found out,
        or ``"given"``; and standard deviations as of `y` for the latter, but for a factor.
    unchanging
        Variables that never change, which were left out.
    alike
        Which variables are the same, or in a fixed proportion, in all samples, for people.
    kept, left_out
        Which of the trajectories that were given these are, and what kept out each of the others, for people.
    """

    names: tuple[str, ...]
    t: tuple[FloatArray, ...]
    y: tuple[FloatArray, ...]
    hidden: np.ndarray
    sampled: tuple[str, ...] = ()
    samples: tuple[FloatArray, ...] = ()
    in_steps: tuple[str, ...] = ()
    courses: tuple[Course, ...] = ()
    noise: tuple[str, ...] = ()
    errors: tuple[FloatArray, ...] = ()
    unchanging: tuple[str, ...] = ()
    alike: tuple[str, ...] = ()
    kept: tuple[int, ...] = ()
    left_out: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.t)

    @property
    def pooled(self) -> FloatArray:
        """All values, (n_total, d)."""
        return np.concatenate(self.y)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Names of all q inputs, those that are sampled first."""
        return self.sampled + self.in_steps

    @property
    def with_inputs(self) -> FloatArray:
        """All values, and those of the inputs at the same times, (n_total, d + q)."""
        parts = [self.pooled]
        if self.sampled:
            parts.append(np.concatenate(self.samples))
        if self.courses:
            parts.append(np.concatenate([course(t) for course, t in zip(self.courses, self.t, strict=True)]))
        return np.concatenate(parts, axis=1)

    @property
    def crowded(self) -> bool:
        """Whether trajectories are so short that their starts take much of what the samples tell."""
        return len(self) > 1 and len(self) * len(self.names) > _CROWDED * np.isfinite(self.pooled).sum()

    def of_equation(self, k: int) -> Trajectories:
        """Return the samples of variable k, with all others as inputs, before those there are."""
        others = [j for j in range(len(self.names)) if j != k]
        known = self.samples or [np.zeros((len(t), 0)) for t in self.t]
        return replace(
            self,
            names=(self.names[k],),
            y=tuple(y[:, [k]] for y in self.y),
            hidden=self.hidden[[k]],
            noise=self.noise[k : k + 1],
            errors=tuple(own[:, [k]] for own in self.errors),
            sampled=(*(self.names[j] for j in others), *self.sampled),
            samples=tuple(np.concatenate([y[:, others], u], axis=1) for y, u in zip(self.y, known, strict=True)),
        )

    def without(self, constant: NDArray[np.bool_]) -> Trajectories:
        """Return all but some variables (d,), which are constants."""
        kept = np.flatnonzero(~constant)
        return replace(
            self,
            names=tuple(self.names[k] for k in kept),
            y=tuple(y[:, kept] for y in self.y),
            hidden=self.hidden[kept],
            noise=tuple(self.noise[k] for k in kept),
            errors=tuple(own[:, kept] for own in self.errors),
            unchanging=tuple(self.names[k] for k in np.flatnonzero(constant)),
        )


def check_trajectories(
    t: ArrayLike | Sequence[ArrayLike],
    y: ArrayLike | Sequence[ArrayLike],
    names: Sequence[str] | None,
    hidden: Sequence[str],
    inputs: Sequence[str] = (),
    noise: str | Mapping[str, str] = "auto",
    errors: ArrayLike | Sequence[ArrayLike] | None = None,
    constants: Mapping[str, Sequence[float]] | None = None,
    *,
    called: Sequence[str] | None = None,
    exact_start: bool = False,
) -> Trajectories:
    """Check and copy what the user gave; columns of `inputs`, and constants of each trajectory, become courses.

    Of several trajectories, those that tell nothing are left out, and `Trajectories.left_out` says why.

    Parameters
    ----------
    called
        What people call the trajectories; by number, from 1, unless given.
    exact_start
        Whether first rows are exact initial values.

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
    wheres = called or ([f"trajectory {i + 1}" for i in range(len(values))] if several else ["data"])
    checked = [_check_one(a, b, where) for a, b, where in zip(times, values, wheres, strict=True)]
    d = checked[0][1].shape[1]
    if any(b.shape[1] != d for _, b in checked):
        raise InputError(
            f"discover: the trajectories have {sorted({b.shape[1] for _, b in checked})} variables; all need the same"
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
    for name in inputs:
        if name not in labels:
            raise InputError(f"discover: no variable '{name}' for an input{nearest(name, labels)}")
    if len(inputs) == d:
        raise InputError("discover: all columns are inputs; an equation needs a variable")
    faults = [_fault(*own, labels, hidden, inputs, exact_start=exact_start, only=len(checked) == 1) for own in checked]
    kept = tuple(i for i, fault in enumerate(faults) if not fault)
    if not kept:
        raise InputError(f"discover, {wheres[0]}: {faults[0]}" + (", and no other is better" if several else ""))
    checked_t, checked_y = [checked[i][0] for i in kept], [checked[i][1] for i in kept]
    left_out = tuple(f"{where}: {fault}" for where, fault in zip(wheres, faults, strict=True) if fault)
    data = _split_inputs(checked_t, checked_y, labels, inputs)
    data = replace(data, kept=kept, left_out=left_out)
    data = _with_constants(data, constants or {}, len(checked))
    data = _with_noise(data, labels, [b for _, b in checked], noise, errors, wheres)
    is_hidden = np.array([label in hidden for label in data.names])
    pooled = data.pooled
    constant = np.zeros(len(data.names), dtype=bool)
    for k, label in enumerate(data.names):
        present = pooled[np.isfinite(pooled[:, k]), k]
        if is_hidden[k]:
            if any(np.isfinite(b[1:, k]).any() for b in data.y):
                raise InputError(
                    f"discover: '{label}' is named as hidden but has values after a trajectory's first row"
                )
            continue
        if len(present) < MIN_SAMPLES:
            raise InputError(
                f"discover: '{label}' has {len(present)} values{_beside(data)}; at least {MIN_SAMPLES} are needed "
                "(a variable that was never measured must be named as hidden)"
            )
        if np.ptp(present) <= 1e-14 * np.abs(present).max():
            constant[k] = True
    if is_hidden.all():
        raise InputError("discover: all variables are hidden")
    if (constant | is_hidden).all():
        raise InputError(f"discover: {', '.join(data.names)}: constant throughout; there is nothing to be explained")
    data = replace(data, hidden=is_hidden).without(constant)
    return replace(data, alike=tuple(_alike(data)))


def _alike(data: Trajectories) -> list[str]:
    """Say which variables and inputs are proportional in all samples, so that their terms cannot be told apart."""
    names, values = (*data.names, *data.inputs), data.with_inputs
    lines = []
    for j, k in itertools.combinations(range(len(names)), 2):
        a, b = values[np.isfinite(values[:, [j, k]]).all(axis=1)][:, [j, k]].T
        if len(a) < 2 or not a.any():
            continue
        factor = float(a @ b / (a @ a))
        if factor and np.abs(b - factor * a).max() <= _PROPORTIONAL * np.abs(b).max():
            one, other = names[j], names[k]
            lines.append(
                f"{other} is the same as {one} in all samples"
                if factor == 1
                else f"{other} is {factor:.6g} {one} in all samples"
            )
            sign = "+" if factor > 0 else "-"
            lines[-1] += (
                f"; of coefficients k of the two in an equation, the data determine only k_{one} {sign} "
                f"{abs(factor):.6g} k_{other}; leave one of them out (--columns)"
            )
    return at_most(lines, what=" such pairs of variables")


def _with_noise(
    data: Trajectories,
    labels: tuple[str, ...],
    y: Sequence[FloatArray],
    noise: str | Mapping[str, str],
    errors: ArrayLike | Sequence[ArrayLike] | None,
    wheres: Sequence[str],
) -> Trajectories:
    """Say of which kind the noise is, and how large where it was given; `y` and `errors` of all that were given."""
    kinds = dict.fromkeys(labels, noise) if isinstance(noise, str) else dict.fromkeys(labels, "auto") | dict(noise)
    for name, kind in kinds.items():
        if name not in labels:
            raise InputError(f"discover: no variable '{name}' for a kind of noise{nearest(name, labels)}")
        if kind not in ("auto", *KINDS):
            valid = ", ".join(("auto", *KINDS))
            raise InputError(f"discover: no kind of noise '{kind}'{nearest(kind, KINDS)} (valid: {valid})")
    given: tuple[FloatArray, ...] = ()
    if errors is not None:
        every: Any = errors if isinstance(errors, list | tuple) and np.ndim(errors[0]) >= 1 else [errors]
        arrays = [np.array(one, dtype=float).reshape(len(one), -1) for one in every]
        if [one.shape for one in arrays] != [own.shape for own in y]:
            raise InputError(
                f"discover: errors have shapes {[one.shape for one in arrays]}, values {[own.shape for own in y]}; "
                "give one error for each value"
            )
        columns = [labels.index(name) for name in data.names]
        for where, one, own in zip(wheres, arrays, y, strict=True):
            for k in columns:
                stated = np.isfinite(one[:, k])
                if not stated.any():
                    continue
                wrong = np.flatnonzero(np.isfinite(own[:, k]) & ~(stated & (one[:, k] > 0)))
                if wrong.size:
                    raise InputError(
                        f"discover, {where}: the error of '{labels[k]}' in row {wrong[0] + 1} is "
                        f"{one[wrong[0], k]:g}; give one above 0 for each value, or none for the variable"
                    )
                kinds[labels[k]] = "given"
        # Samples before an input's first value were left out.
        given = tuple(arrays[i][-len(own_t) :][:, columns] for i, own_t in zip(data.kept, data.t, strict=True))
    return replace(data, noise=tuple(kinds[name] for name in data.names), errors=given)


def _split_inputs(
    t: Sequence[FloatArray], y: Sequence[FloatArray], labels: tuple[str, ...], inputs: Sequence[str]
) -> Trajectories:
    """Take inputs out of the values; what is left begins where all inputs are known."""
    column = {name: labels.index(name) for name in inputs}
    in_steps = [name for name in inputs if goes_in_steps([own[:, column[name]] for own in y])]
    sampled = [name for name in inputs if name not in in_steps]
    others = [k for k, name in enumerate(labels) if name not in inputs]
    begun_t, begun_y, samples, courses = [], [], [], []
    for own_t, own_y in zip(t, y, strict=True):
        first = _begin(own_y[:, [column[name] for name in inputs]])
        begun_t.append(own_t[first:])
        begun_y.append(own_y[first:][:, others])
        samples.append(own_y[first:][:, [column[name] for name in sampled]])
        if in_steps:
            courses.append(functools.reduce(Course.beside, [steps(own_t, own_y[:, column[name]]) for name in in_steps]))
    names = tuple(labels[k] for k in others)
    hidden = np.zeros(len(names), bool)
    return Trajectories(
        names, tuple(begun_t), tuple(begun_y), hidden, tuple(sampled), tuple(samples), tuple(in_steps), tuple(courses)
    )


def _with_constants(data: Trajectories, constants: Mapping[str, Sequence[float]], count: int) -> Trajectories:
    """Add inputs that never change in a trajectory; `constants` have values of all `count` that were given."""
    for name, values in constants.items():
        if name in (*data.names, *data.inputs):
            raise InputError(f"discover: '{name}' is a constant and a column of the values; give it as one of them")
        if not name.isidentifier():
            raise InputError(f"discover: the constant's name '{name}' is not an identifier (letters, digits, _)")
        try:
            numbers = np.array(values, dtype=float)
        except (TypeError, ValueError):
            raise InputError(f"discover: constant '{name}': not numbers") from None
        if numbers.shape != (count,) or not np.isfinite(numbers[list(data.kept)]).all():
            raise InputError(f"discover: constant '{name}': give one finite number for each of {count} trajectories")
        numbers = numbers[list(data.kept)]
        if np.ptp(numbers) == 0:
            raise InputError(
                f"discover: constant '{name}' is {numbers[0]:g} in all trajectories, so that terms of it cannot be "
                "told from others; leave it out"
            )
        own = [constant(numbers[i : i + 1]) for i in range(len(data))]
        known = [course.beside(one) for course, one in zip(data.courses, own, strict=True)] if data.courses else own
        data = replace(data, in_steps=(*data.in_steps, name), courses=tuple(known))
    return data


def _begin(inputs: FloatArray) -> int:
    """Return the first row in which all inputs (n, q) are known."""
    known = np.isfinite(inputs)
    return int(known.argmax(axis=0).max(initial=0))


def _check_one(t: ArrayLike, y: ArrayLike, where: str) -> tuple[FloatArray, FloatArray]:
    """Return times (n,) and values (n, d) as arrays, which is all that must hold of each trajectory."""
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
    infinite = np.argwhere(np.isinf(values))
    if infinite.size:
        i, k = infinite[0]
        raise InputError(f"discover, {where}: row {i + 1}, variable {k + 1} is infinite; use NaN for a missing value")
    return times, values


def _fault(
    t: FloatArray,
    y: FloatArray,
    names: Sequence[str],
    hidden: Sequence[str],
    inputs: Sequence[str],
    *,
    exact_start: bool,
    only: bool,
) -> str:
    """Return why a trajectory, times (n,) and values (n, d), cannot be used; ``""`` if it can.

    Each variable has a start that is unknown, which takes a value; what more there are tell of the equations.
    """
    if only and len(t) < MIN_OF_TRAJECTORY:
        return f"{len(t)} samples; a trajectory needs at least {MIN_OF_TRAJECTORY}"
    if len(t) < 2:
        return "one row" if len(t) else "no rows"
    bad = np.flatnonzero(~np.isfinite(t))
    if bad.size:
        return f"time in row {bad[0] + 1} is {t[bad[0]]}"
    steps = np.diff(t)
    if (steps <= 0).any():
        i = int(np.flatnonzero(steps <= 0)[0])
        what = "is repeated" if steps[i] == 0 else f"comes after {t[i]:g}"
        return (
            f"times must increase, but row {i + 2} ({t[i + 1]:g}) {what}; sort the rows, merge repeats, or mark "
            "separate trajectories"
        )
    known = np.isfinite(y)
    for k, name in enumerate(names):
        if name in inputs and not known[:, k].any():
            return f"no value of the input '{name}'"
    first = _begin(y[:, [k for k, name in enumerate(names) if name in inputs]])
    if len(t) - first < (MIN_OF_TRAJECTORY if only else 2):
        return f"its inputs begin at {t[first]:g}, with {len(t) - first} samples left"
    if only:
        # What its variables lack is said of all samples.
        return ""
    own = [k for k, name in enumerate(names) if name not in (*hidden, *inputs)]
    counts = known[first:][:, own].sum(axis=0)
    if not counts.any():
        return "no values"
    for k, count in zip(own, counts, strict=True):
        if not count:
            return f"no value of '{names[k]}'"
    if counts.sum() <= len(own):
        return "one value of each variable"
    if exact_start and not known[first + 1 :][:, own].any():
        return "no values after its start"
    return ""


def _beside(data: Trajectories) -> str:
    """Return what was left out, for a message on what is missing."""
    return f" (left out: {'; '.join(at_most(data.left_out))})" if data.left_out else ""


def _default_names(d: int) -> tuple[str, ...]:
    return ("x", "y", "z")[:d] if d <= 3 else tuple(f"x{k}" for k in range(d))


@dataclass(frozen=True)
class Scales:
    """What makes the problem dimensionless: states are divided by `state` (d,), inputs by `inputs` (q,).

    Times are counted from a trajectory's of `origins`, and divided by `time`.
    """

    state: FloatArray
    time: float
    origins: tuple[float, ...]
    inputs: FloatArray

    @property
    def both(self) -> FloatArray:
        """Of states and inputs, (d + q,)."""
        return np.concatenate([self.state, self.inputs])

    def courses(self, data: Trajectories) -> list[Course]:
        """Return the courses of inputs that go in steps, without units."""
        size = self.inputs[len(data.sampled) :]
        pairs = zip(data.courses, self.origins, strict=True) if data.courses else ()
        return [course.scaled(origin, self.time, size) for course, origin in pairs]


@dataclass(frozen=True)
class Smoothed:
    """Samples without units on nodes, and smoothed: of d states, of s sampled inputs and of their rates of change.

    Attributes
    ----------
    states
        (N, d + 2 s).
    noise
        (d + 2 s,), standard deviations of the samples; 1 for what has none.
    walks
        (s,), intensities of the random walks that the inputs' rates of change are.
    kinds, factors
        (d,) of noise, and what is to be multiplied by `noise` for the standard deviation of a sample of size 1: of a
        value, of its square root, or of an error that was given.
    """

    grid: Grid
    scales: Scales
    states: FloatArray
    noise: FloatArray
    walks: FloatArray
    kinds: tuple[str, ...]
    factors: FloatArray


def smooth_samples(grid: Grid) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Cubic smoothing spline of each variable; its stiffness maximises the evidence (Wahba 1978).

    Returns states (N, d), rates (N, d), noise standard deviations (d,) and the intensities (d,) of the random walk that
    a rate is before samples are seen; zeros, ones and zeros for a hidden variable.
    """
    d = grid.rows.shape[1]
    states, rates, noise = np.zeros((len(grid), d)), np.zeros((len(grid), d)), np.ones(d)
    walks = np.zeros(d)
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
        ratio = 10.0**best / spacing**3
        states[:, k], rates[:, k], variance, _ = kernels.smooth(*data, ratio)
        values = [y[np.isfinite(y[:, k]), k] for _, y in grid.trajectories]
        for own, first, last in zip(values, grid.starts[:-1], grid.starts[1:], strict=True):
            if len(own) == 0:
                states[first:last, k] = np.mean(np.concatenate(values))
        noise[k] = max(np.sqrt(variance), NOISE_FLOOR)
        walks[k] = np.sqrt(ratio) * noise[k]
    return states, rates, noise, walks


def uniform_nodes(t: FloatArray, step: float) -> FloatArray:
    """Equidistant nodes from the first to the last time, at most `step` apart, at least three."""
    return np.linspace(t[0], t[-1], max(int(np.ceil((t[-1] - t[0]) / step)), 2) + 1)


def scale_and_smooth(
    data: Trajectories, step: float, fitted: Sequence[tuple[FloatArray, FloatArray]] | None = None
) -> Smoothed:
    """Make the data dimensionless, choose nodes, and smooth.

    The time scale is the shortest over the variables of rms(x − mean)/rms(dx/dt); nodes are `step` of it apart.
    `fitted` are curves of each trajectory, times (n,) and values (n, d), that are known better than by smoothing.
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
    states, rates, _, _ = smooth_samples(grid)
    spread = states[:, seen].std(axis=0)
    speed = np.sqrt((rates[:, seen] ** 2).mean(axis=0))
    fastest = float((speed / np.maximum(spread, 1e-300)).max())
    time = float(np.clip(1.0 / fastest, 2.0 * duration * step**-1 / MAX_NODES, duration))
    spans = [t / time for t in spans]
    known = data.with_inputs[:, len(scale) :]
    scales = Scales(scale, time, origins, np.sqrt(np.nanmean(known**2, axis=0)))
    s = len(data.sampled)
    if s:
        values = [np.concatenate([y, u / scales.inputs[:s]], axis=1) for y, u in zip(values, data.samples, strict=True)]
    grid = Grid(list(zip(spans, values, strict=True)), [uniform_nodes(t, step) for t in spans])
    states, rates, noise, walks = smooth_samples(grid)
    _interpolate(grid, states, rates, noise, len(scale))
    if fitted is not None:
        _follow(
            grid,
            [((t - begin) / time, x / scale) for (t, x), begin in zip(fitted, origins, strict=True)],
            states,
            rates,
            noise,
        )
    errors, kinds, factors = _errors(data, scales, grid, states, rates)
    if errors is not None:
        # Smoothed as before: with few samples, weights make a straight line of what repeats.
        grid = Grid(grid.trajectories, grid.nodes, errors)
        noise = noise * _relative(grid, states, rates)
    d = len(scale)
    if data.courses:
        nodes = [course.with_jumps(own) for course, own in zip(scales.courses(data), grid.nodes, strict=True)]
        smoothed = list(zip(grid.nodes, grid.split(states), grid.split(rates), nodes, strict=True))
        states, rates = (np.concatenate([part(*own) for own in smoothed]) for part in (hermite, hermite_slopes))
        grid = grid.with_nodes(nodes)
    if s:
        # The inputs' rates of change are states without samples.
        bare = [np.concatenate([y, np.full((len(y), s), np.nan)], axis=1) for y in values]
        beside = [np.concatenate([own, np.ones((len(own), s))], axis=1) for own in grid.errors]
        grid = Grid(list(zip(spans, bare, strict=True)), grid.nodes, beside)
        states = np.concatenate([states, rates[:, d:]], axis=1)
        noise = np.concatenate([noise, np.ones(s)])
    return Smoothed(grid, scales, states, noise, walks[d:], kinds, factors)


def _interpolate(grid: Grid, states: FloatArray, rates: FloatArray, noise: FloatArray, d: int) -> None:
    """Let d variables that smoothing takes for noise follow the samples: spikes of a sample or two look like it.

    Inputs stay as they are: how far they swing was told by smoothing, too.
    """
    for k in np.flatnonzero(grid.counts[:d] > 0):
        samples = [(t[np.isfinite(y[:, k])], y[np.isfinite(y[:, k]), k]) for t, y in grid.trajectories]
        spread = float(np.std(np.concatenate([y for _, y in samples])))
        if noise[k] <= _MOSTLY_NOISE * spread:
            continue
        of_states, of_rates = grid.split(states), grid.split(rates)
        for (t, y), nodes, own, slopes in zip(samples, grid.nodes, of_states, of_rates, strict=True):
            if len(t) > 1:
                curve = PchipInterpolator(t, y)
                inside = np.clip(nodes, t[0], t[-1])
                own[:, k], slopes[:, k] = curve(inside), curve(inside, 1)
        noise[k] = _OF_SPIKES * spread


def _follow(
    grid: Grid,
    curves: Sequence[tuple[FloatArray, FloatArray]],
    states: FloatArray,
    rates: FloatArray,
    noise: FloatArray,
) -> None:
    """Put curves (n,), (n, d) in the place of smoothed states, of their rates and of the noise that they leave."""
    left, d = [], curves[0][1].shape[1]
    of_states, of_rates = grid.split(states), grid.split(rates)
    for (times, x), (t, y), nodes, own, slopes in zip(
        curves, grid.trajectories, grid.nodes, of_states, of_rates, strict=True
    ):
        changes = np.gradient(x, times, axis=0)
        for k in range(d):
            own[:, k] = np.interp(nodes, times, x[:, k])
            slopes[:, k] = np.interp(nodes, times, changes[:, k])
        left.append(y[:, :d] - hermite(times, x, changes, t))
    for k in np.flatnonzero(grid.counts[:d] > 0).tolist():
        noise[k] = max(float(np.sqrt(np.nanmean(np.concatenate(left)[:, k] ** 2))), NOISE_FLOOR)


def _relative(grid: Grid, states: FloatArray, rates: FloatArray) -> FloatArray:
    """Return the size of residuals (d,) in units of the samples' errors, in shares of that without units."""
    plain, weighted = np.zeros(states.shape[1]), np.zeros(states.shape[1])
    curves = zip(grid.nodes, grid.split(states), grid.split(rates), strict=True)
    for (t, y), errors, (n, x, f) in zip(grid.trajectories, grid.errors, curves, strict=True):
        left = y - hermite(n, x, f, t)
        plain += np.nansum(left**2, axis=0)
        weighted += np.nansum((left / errors) ** 2, axis=0)
    return np.sqrt(np.where(plain > 0, weighted / np.maximum(plain, 1e-300), 1.0))


def _errors(
    data: Trajectories, scales: Scales, grid: Grid, states: FloatArray, rates: FloatArray
) -> tuple[list[FloatArray] | None, tuple[str, ...], FloatArray]:
    """Return the samples' errors in each trajectory, whose mean square is one, kinds and factors of `Smoothed`.

    None for errors that are all the same. How they depend on what is measured is told by smoothing with such errors.
    """
    d, wanted = len(data.names), data.noise or ("auto",) * len(data.names)
    errors = [np.ones_like(y) for _, y in grid.trajectories]
    kinds, factors = ["constant"] * d, scales.state.copy()
    curves = list(zip(grid.nodes, grid.split(states), grid.split(rates), strict=True))
    for k, kind in enumerate(wanted):
        if data.hidden[k] or kind == "constant":
            continue
        known = [np.isfinite(y[:, k]) for _, y in grid.trajectories]
        if kind == "given":
            own = [given[:, k] for given in data.errors]
            kinds[k], factors[k] = kind, scales.state[k]
        else:
            times = [t[there] for (t, _), there in zip(grid.trajectories, known, strict=True)]
            smoothed = [hermite(n, x[:, [k]], f[:, [k]], t)[:, 0] for (n, x, f), t in zip(curves, times, strict=True)]
            left = [y[there, k] - x for (_, y), there, x in zip(grid.trajectories, known, smoothed, strict=True)]
            # What smoothing leaves of a few samples tells of their bends, not of their noise.
            kinds_of_auto = KINDS if not data.crowded else ("constant",)
            spread = choose(left, smoothed, kinds_of_auto if kind == "auto" else (kind,), smoothed=True)
            kinds[k] = spread.kind
            if spread.kind == "constant":
                continue
            size = float(np.sqrt(np.mean(np.concatenate(smoothed) ** 2)))
            own = [np.ones(len(there)) for there in known]
            for error, there, x in zip(own, known, smoothed, strict=True):
                error[there] = spread.at(x, size)
            factors[k] = 1 / (
                size if spread.kind == "proportional" else np.sqrt(size * scales.state[k]) / scales.state[k]
            )
        norm = float(np.sqrt(np.mean(np.concatenate([e[there] for e, there in zip(own, known, strict=True)]) ** 2)))
        factors[k] /= norm
        for error, one in zip(errors, own, strict=True):
            error[:, k] = np.where(np.isfinite(one), one / norm, 1.0)
    return (None if all(kind == "constant" for kind in kinds) else errors), tuple(kinds), factors
