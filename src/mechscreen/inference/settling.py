"""The best values of what says how a model is measured, for each simulation: noise, scales, offsets.

They need no simulation of their own, so that searches need not vary them: for each set of the others they are where
−2 ln L is least (hierarchical optimisation: Loos, Krause & Hasenauer, Bioinformatics 2018; variable projection: Golub &
Pereyra, SIAM J. Numer. Anal. 1973).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from mechscreen.inference.scoring import information
from mechscreen.objectives.observations import Compared

FloatArray = NDArray[np.float64]

_STEP = 1e-6
"""Of the differences, in shares of a range: nothing is simulated anew, and formulas leave no noise above it."""
_MOST = 40
"""Steps."""
_TOLERANCE = 1e-5
"""Of −2 ln L: less than what a step brings, or promises, is nothing."""
_DAMPING, _LESS, _MORE, _MOST_DAMPING = 1e-2, 0.1, 5.0, 1e8
"""Marquardt's, in shares of the curvature: at first, after a step that helps, after one that does not, at last."""


def settle(
    compare: Callable[[FloatArray], Compared], positions: FloatArray, which: NDArray[np.bool_]
) -> tuple[FloatArray, Compared]:
    """Return positions, (n, d), of which some are where −2 ln L is least nearby, and how they compare.

    By scoring (`mechscreen.inference.scoring`) with Marquardt's damping within [0, 1], all rows side by side.

    Parameters
    ----------
    compare
        Compares positions, (n, d), with the measurements.
    which
        (d,), those that are to be settled. Rows without −2 ln L stay as they are.
    """
    columns = np.flatnonzero(which)
    if not len(columns):
        return positions, compare(positions)
    best = positions.copy()
    best[:, columns] = np.clip(best[:, columns], 0.0, 1.0)
    found, slopes = _with_slopes(compare, best, columns)
    damping = np.full(len(best), _DAMPING)
    left = np.flatnonzero(np.isfinite(found.deviance))
    for _ in range(_MOST):
        steps, promised = _steps(best[left][:, columns], _rows(found, left), _rows(slopes, left), damping[left])
        go = promised > _TOLERANCE
        left, steps = left[go], steps[go]
        if not len(left):
            break
        tried = best[left]
        tried[:, columns] = np.clip(tried[:, columns] + steps, 0.0, 1.0)
        there, of_there = _with_slopes(compare, tried, columns)
        gain = found.deviance[left] - there.deviance
        better = gain > 0
        rows = left[better]
        best[rows] = tried[better]
        for kept, new in ((found, there), (slopes, of_there)):
            kept.residuals[rows], kept.noise[rows] = new.residuals[better], new.noise[better]
        damping[left] *= np.where(better, _LESS, _MORE)
        left = left[(damping[left] < _MOST_DAMPING) & ~(better & (gain < _TOLERANCE))]
    return best, found


def slopes_of(compare: Callable[[FloatArray], Compared], position: FloatArray, which: NDArray[np.bool_]) -> Compared:
    """Return the derivatives by what can be settled, (k, m), of how a position, (d,), compares."""
    _, slopes = _with_slopes(compare, position[None], np.flatnonzero(which))
    return Compared(slopes.residuals[0], slopes.noise[0])


def _with_slopes(
    compare: Callable[[FloatArray], Compared], positions: FloatArray, columns: NDArray[np.intp]
) -> tuple[Compared, Compared]:
    """Return how positions compare, (n, m), and its derivatives by some of them, (n, k, m)."""
    n, k = len(positions), len(columns)
    rows = np.repeat(positions[:, None], 1 + k, axis=1)
    # Away from the nearer end.
    steps = np.where(positions[:, columns] > 0.5, -_STEP, _STEP)
    rows[:, np.arange(1, 1 + k), columns] += steps
    told = compare(rows.reshape(n * (1 + k), -1))
    of_both = []
    with np.errstate(invalid="ignore"):
        for flat in (told.residuals, told.noise):
            values = flat.reshape(n, 1 + k, -1)
            of_both.append((values[:, 0].copy(), (values[:, 1:] - values[:, :1]) / steps[:, :, None]))
    (residuals, of_residuals), (noise, of_noise) = of_both
    return Compared(residuals, noise), Compared(of_residuals, of_noise)


def _rows(of: Compared, rows: NDArray[np.intp]) -> Compared:
    return Compared(of.residuals[rows], of.noise[rows])


def _steps(x: FloatArray, found: Compared, slopes: Compared, damping: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return steps of what is settled, (n, k), and by how much less −2 ln L they promise, (n,)."""
    gradient, curvature = information(found, slopes)
    # What is at an end, and would leave its range, stays.
    stays = ((x <= 0) & (gradient > 0)) | ((x >= 1) & (gradient < 0)) | ~np.isfinite(gradient)
    gradient = np.where(stays, 0.0, gradient)
    curvature = np.where(stays[:, :, None] | stays[:, None, :], 0.0, curvature)
    own = np.arange(x.shape[1])
    diagonal = curvature[:, own, own]
    curvature[:, own, own] = np.where(stays, 1.0, diagonal * (1 + damping[:, None]) + 1e-12)
    steps = np.asarray(-np.linalg.solve(curvature, gradient[:, :, None])[:, :, 0], np.float64)
    return steps, -(gradient * steps).sum(axis=1)
