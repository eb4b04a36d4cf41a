"""Whether what a fit leaves is noise, tested with distributions that hold for few samples.

Of a true model with white noise ε, the residuals are M ε, where M removes what the fitted starts and coefficients can
explain (of the linearised model). So the distribution of any statistic of the residuals that does not depend on their
size is known, also of twelve samples with three unknowns, and is drawn here. The statistics: their correlation from
sample to sample, how far their sums wander, and how much of them a slowly varying addition to a rate would explain
(Neyman's smooth test, with the number of its components chosen by the data as by Ledwina, JASA 1994).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from mechscreen.discovery.collocation import Collocation, Fit
from mechscreen.discovery.hermite import FloatArray, basis, place
from mechscreen.discovery.library import IntArray
from mechscreen.discovery.tangent import by_coefficients, propagate

MOST_RESIDUALS = 3000
"""Of all variables and trajectories together, up to which the distribution is drawn."""
_BINS, _BINS_OF_TRAJECTORY = 60, 8
"""Residuals of a variable, and of one trajectory at least; of more samples, neighbours are added up."""
_MOST_DRAWS, _NUMBERS = 4000, 4_000_000
"""Of residuals under noise: as many as that, or fewer, so that these are all numbers in them."""
_FEW_DRAWS, _LIKELY = 400, 0.05
_WAVES = 6
"""Components of a slowly varying addition to a rate: a constant and half waves over the trajectory."""
_WALK_WAVES, _LARGER = 30, 10.0
"""Components of the random walk of an input's rate of change, and how much larger than in the mean they may be."""
_NEW, _LOST = 1e-4, 1e-7
"""Share of a column that must lie outside of the others' span to count, and outside of that of the starts."""
_FEWEST = 4
"""Samples of a variable that can be correlated."""


_Statistic = Callable[[FloatArray], FloatArray]
"""Residuals (n, draws) → some numbers of each, (s, draws)."""


@dataclass(frozen=True)
class Misfit:
    """How unlikely the residuals are, were the model true.

    Attributes
    ----------
    correlated
        (d,), probability of residuals of a variable that are as correlated or wander as far; NaN where not tested.
    driven
        (d,), probability of residuals that an addition to an equation's rate explains as well; NaN where not tested.
    """

    correlated: FloatArray
    driven: FloatArray

    @property
    def probability(self) -> FloatArray:
        """(d,), of residuals as unusual in one of the two ways, of any variable (Bonferroni); NaN where not tested."""
        return np.minimum(2 * len(self.driven) * np.fmin(self.correlated, self.driven), 1.0)


def examine(problem: Collocation, fit: Fit, noise: FloatArray) -> Misfit | None:
    """Test the residuals of a fit; None where there are too many samples, or the solution is too unstable.

    Parameters
    ----------
    noise
        (d,), of the samples, without units.
    """
    every = _Samples.of(problem)
    d = len(problem.library.states)
    samples, begins = every.binned()
    if len(begins) + len(problem.walks) * len(problem.grid.nodes) * _WALK_WAVES > MOST_RESIDUALS:
        return None
    known = _linearised(problem, fit, every)
    weight = 1 / (noise[samples.variable] * np.sqrt(np.diff(begins, append=len(every.value))))
    own = 1 / every.error

    def binned(values: FloatArray) -> FloatArray:
        return (np.add.reduceat((values.T * own).T, begins).T * weight).T

    residuals = binned(every.value - known.predicted)
    starts, coefficients, waves, walks = map(binned, (known.starts, known.coefficients, known.waves, known.walks))
    if not all(np.isfinite(part).all() for part in (starts, coefficients, waves)):
        return None
    # What inputs do is unknown, too, but a walk, whose components are more residuals. One that swings is no such walk:
    # it has larger components than most.
    n, w = walks.shape
    without_walks = residuals + walks @ (walks.T @ residuals)
    explained = _Explained.by(
        starts, known.trajectory[begins],
        np.block([[coefficients, _LARGER * walks], [np.zeros((w, coefficients.shape[1])), np.eye(w)]]),
    )  # fmt: skip
    remove = explained.remove

    found = remove(np.concatenate([without_walks, np.zeros(w)])[:, None])[:, 0]
    of_each: list[_Statistic | None] = []
    for k in range(d):
        chosen = np.flatnonzero(samples.variable == k)
        of_each.append(_of_correlation(samples, chosen) if len(chosen) >= _FEWEST else None)
    for k in range(d):
        shapes = _orthonormal(remove(np.concatenate([waves[:, k], np.zeros((w, _WAVES))])), ordered=True)
        of_each.append(functools.partial(_smooth, shapes) if shapes.shape[1] else None)
    probabilities = np.full(2 * d, np.nan)
    rng = np.random.default_rng(0)
    # Few draws tell what is likely; what may be unlikely takes many.
    for draws in (_FEW_DRAWS, min(_MOST_DRAWS, _NUMBERS // len(found))):
        null = remove(rng.standard_normal((n + w, draws)))
        for number, tell in enumerate(of_each):
            if tell is not None and not probabilities[number] > _LIKELY:
                probabilities[number] = _probability(tell(found[:, None])[:, 0], tell(null))
        if not (probabilities <= _LIKELY).any():
            break
    return Misfit(probabilities[:d], probabilities[d:])


def leverages(problem: Collocation, fit: Fit, noise: FloatArray) -> list[FloatArray] | None:
    """Return by which share the starts and coefficients make each residual's variance smaller, (n, d) in a trajectory.

    NaN where there is no sample; None where the solution is too unstable to tell. `noise` as for `examine`.
    """
    samples = _Samples.of(problem)
    known = _linearised(problem, fit, samples)
    weight = 1 / (noise[samples.variable] * samples.error)
    starts, coefficients = known.starts * weight[:, None], known.coefficients * weight[:, None]
    if not (np.isfinite(starts).all() and np.isfinite(coefficients).all()):
        return None
    taken = _Explained.by(starts, known.trajectory, coefficients).shares()
    out, begin = [], 0
    for _, y in problem.grid.trajectories:
        own = np.full(y.shape[::-1], np.nan)
        there = np.isfinite(y.T)
        own[there] = taken[begin : begin + int(there.sum())]
        begin += int(there.sum())
        out.append(own.T)
    return out


class _Explained:
    """What starts and other unknowns can explain of residuals; each trajectory has starts of its own."""

    def __init__(self, rows: Sequence[slice], of_starts: Sequence[FloatArray], of_others: FloatArray) -> None:
        self._rows, self._of_starts, self._of_others = rows, of_starts, of_others

    @classmethod
    def by(cls, starts: FloatArray, trajectory: IntArray, others: FloatArray) -> _Explained:
        """Return what is explained by starts (n, d), of a trajectory (n,), and by others (n or more, c)."""
        edges = np.flatnonzero(np.diff(trajectory, prepend=-1, append=-1))
        rows = [slice(a, b) for a, b in itertools.pairwise(edges)] if starts.shape[1] else []
        explained = cls(rows, [_orthonormal(starts[own]) for own in rows], np.zeros((len(others), 0)))
        left = explained.remove(others)
        size = np.linalg.norm(others, axis=0)
        left = left[:, np.linalg.norm(left, axis=0) > _LOST * size]
        return cls(rows, explained._of_starts, _orthonormal(left))

    def remove(self, values: FloatArray) -> FloatArray:
        """Return what is left of values (n or more, draws)."""
        left = values.copy()
        for own, basis_of_starts in zip(self._rows, self._of_starts, strict=True):
            left[own] -= basis_of_starts @ (basis_of_starts.T @ left[own])
        return np.asarray(left - self._of_others @ (self._of_others.T @ left))

    def shares(self) -> FloatArray:
        """Return by which share each residual's variance is smaller, (n or more,)."""
        share = np.square(self._of_others).sum(axis=1)
        for own, basis_of_starts in zip(self._rows, self._of_starts, strict=True):
            share[own] += np.square(basis_of_starts).sum(axis=1)
        return share


@dataclass(frozen=True)
class _Samples:
    """All samples, (n,) each: in order of trajectories, variables and times.

    Attributes
    ----------
    interval, position
        Between which nodes, and the share of the interval that lies before.
    value, error
        What was measured, and its standard deviation, but for a factor for each variable.
    first
        Whether it is the first of its variable in its trajectory.
    """

    variable: IntArray
    interval: IntArray
    position: FloatArray
    value: FloatArray
    error: FloatArray
    first: np.ndarray

    @classmethod
    def of(cls, problem: Collocation) -> _Samples:
        """Return those that a problem fits."""
        grid = problem.grid
        parts: list[tuple[FloatArray, ...]] = []
        for (t, y), errors, nodes, start in zip(grid.trajectories, grid.errors, grid.nodes, grid.starts, strict=False):
            i, z = place(nodes, t)
            for k in range(y.shape[1]):
                known = np.flatnonzero(np.isfinite(y[:, k]))
                first = np.arange(len(known)) == 0
                parts.append((np.full(len(known), k), start + i[known], z[known], y[known, k], errors[known, k], first))
        return cls(*(np.concatenate(of_all) for of_all in zip(*parts, strict=True)))

    def binned(self) -> tuple[_Samples, IntArray]:
        """Return samples that each stand for some neighbours of a trajectory, and where these begin."""
        begin = np.flatnonzero(self.first)
        series = np.cumsum(self.first) - 1
        size = -(-np.bincount(self.variable) // _BINS)[self.variable]
        size = np.minimum(size, np.maximum(np.bincount(series) // _BINS_OF_TRAJECTORY, 1)[series])
        number = np.arange(len(self.first)) - begin[series]
        chosen = np.flatnonzero(number % size == 0)
        return _Samples(*(of_all[chosen] for of_all in vars(self).values())), chosen


@dataclass(frozen=True)
class _Linearised:
    """What is predicted for n samples, and how that changes with what is unknown, or might be added.

    Attributes
    ----------
    predicted, trajectory
        (n,), and which one a sample is of.
    starts, coefficients
        (n, d + 2 s) of its own trajectory, none where they are exact, and (n, P) active ones.
    waves
        (n, d, w), added to the rate of each equation.
    walks
        (n, …), parts of those of the inputs' rates, each as large as it is in the mean.
    """

    predicted: FloatArray
    trajectory: IntArray
    starts: FloatArray
    coefficients: FloatArray
    waves: FloatArray
    walks: FloatArray


def _linearised(problem: Collocation, fit: Fit, samples: _Samples) -> _Linearised:
    """Linearise the solution of a fit."""
    grid, rates = problem.grid, fit.rates
    n, width = fit.x.shape
    d, s, trajectories = len(problem.library.states), len(problem.walks), len(grid.nodes)
    p = len(fit.active)
    begin_walks = p + d * _WAVES
    total = begin_walks + s * trajectories * _WALK_WAVES
    forced, forced_mid = np.zeros((n, width, total)), np.zeros((n - 1, width, total))
    forced[:, :, :p], forced_mid[:, :, :p] = by_coefficients(problem, fit)
    shape, shape_mid = _waves(grid.nodes, _WAVES)
    for k in range(d):
        own = slice(p + k * _WAVES, p + (k + 1) * _WAVES)
        forced[:, k, own], forced_mid[:, k, own] = shape, shape_mid
    if s:
        shape, shape_mid = _waves(grid.nodes, _WALK_WAVES)
        for number, (nodes, first, last) in enumerate(zip(grid.nodes, grid.starts[:-1], grid.starts[1:], strict=True)):
            size = np.sqrt(np.where(np.arange(_WALK_WAVES) > 0, 2, 1) / (nodes[-1] - nodes[0]))
            for j, walk in enumerate(problem.walks):
                begin = begin_walks + (j * trajectories + number) * _WALK_WAVES
                own = slice(begin, begin + _WALK_WAVES)
                forced[first:last, d + s + j, own] = walk * size * shape[first:last]
                forced_mid[first : last - 1, d + s + j, own] = walk * size * shape_mid[first : last - 1]
    with np.errstate(all="ignore"):
        states = propagate(problem, fit, forced, forced_mid)
    slopes = rates.jacobian @ states
    slopes[:, :, width:] += forced
    i, variable, h = samples.interval, samples.variable, grid.h[samples.interval]
    parts = basis(samples.position, h)

    def between(x: FloatArray, f: FloatArray) -> FloatArray:
        ends = (x[i, variable], f[i, variable], x[i + 1, variable], f[i + 1, variable])
        return np.sum([(part * end.T).T for part, end in zip(parts, ends, strict=True)], axis=0)

    predicted, moved = between(fit.x, rates.f), between(states, slopes)
    by_quantity = moved[:, width:]
    return _Linearised(
        predicted=predicted,
        trajectory=np.searchsorted(grid.starts, i, side="right") - 1,
        starts=moved[:, : 0 if problem.exact_starts else width],
        coefficients=by_quantity[:, :p],
        waves=by_quantity[:, p:begin_walks].reshape(len(i), d, _WAVES),
        walks=by_quantity[:, begin_walks:],
    )


def _waves(nodes: Sequence[FloatArray], count: int) -> tuple[FloatArray, FloatArray]:
    """Return cos jπs at nodes (N, w) and midpoints (N − 1, w), s being the share of a trajectory's time."""
    order = np.arange(count)
    at_nodes, between = [], []
    for own in nodes:
        share = (own - own[0]) / (own[-1] - own[0])
        at_nodes.append(np.cos(np.pi * share[:, None] * order))
        middle = np.append(0.5 * (share[1:] + share[:-1]), 1.0)
        between.append(np.cos(np.pi * middle[:, None] * order))
    return np.concatenate(at_nodes), np.concatenate(between)[:-1]


def _orthonormal(columns: FloatArray, *, ordered: bool = False) -> FloatArray:
    """Return an orthonormal basis of columns (n, c), without those that hardly add to it; in their order if asked."""
    size = np.linalg.norm(columns, axis=0)
    scaled = columns[:, size > 0] / size[size > 0]
    if not ordered:
        left, values, _ = np.linalg.svd(scaled, full_matrices=False)
        return left[:, values > 1e-8 * max(values.max(initial=0.0), 1e-300)]
    found = np.zeros((len(columns), 0))
    for column in scaled.T:
        new = column
        for _ in range(2):
            new = new - found @ (found.T @ new)
        length = float(np.linalg.norm(new))
        if length > _NEW:
            found = np.concatenate([found, new[:, None] / length], axis=1)
    return found


def _of_correlation(samples: _Samples, chosen: IntArray) -> _Statistic:
    """Return what tells how residuals of a variable go together: (n, draws) → (2, draws)."""
    follows = ~samples.first[chosen]
    groups = np.cumsum(samples.first[chosen]) - 1
    begins = np.flatnonzero(samples.first[chosen])

    def tell(values: FloatArray) -> FloatArray:
        own = values[chosen]
        total = np.square(own).sum(axis=0)
        together = (own[1:] * own[:-1] * follows[1:, None]).sum(axis=0) / total
        sums = np.cumsum(own, axis=0)
        before = np.concatenate([np.zeros((1, own.shape[1])), sums])[begins]
        wander = np.abs(sums - before[groups]).max(axis=0) / np.sqrt(total)
        return np.stack([together, wander])

    return tell


def _smooth(shapes: FloatArray, values: FloatArray) -> FloatArray:
    """Return how much of residuals (n, draws) the first few of some shapes (n, c) explain, as an F, (c, draws)."""
    total = np.square(values).sum(axis=0)
    explained = np.cumsum(np.square(shapes.T @ values), axis=0) / total
    count = np.arange(1, shapes.shape[1] + 1)[:, None]
    return np.asarray(explained / np.maximum(1 - explained, 1e-12) / count)


def _probability(found: FloatArray, null: FloatArray) -> float:
    """Return the probability that the most unusual of some statistics (s,) is as unusual, by draws (s, draws)."""
    draws = null.shape[1]
    ranks = np.empty_like(null)
    order = np.argsort(null, axis=1)
    np.put_along_axis(ranks, order, np.arange(draws, 0, -1)[None] / (draws + 1) * np.ones((len(null), 1)), axis=1)
    own = (1 + (null >= found[:, None]).sum(axis=1)) / (draws + 1)
    least = ranks.min(axis=0)
    return float((1 + (least <= own.min()).sum()) / (draws + 1))
