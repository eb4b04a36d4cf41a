"""The nearest parameter set that fits best, by least squares.

−2 ln L = Σ r² + Σ l is a sum of squares of the residuals r and of √(l + c), what noise adds, with a c that makes all of
them positive (Stapor et al., Bioinformatics 2018; Raue et al., PLoS ONE 2013): where noise is not estimated, the latter
are constants.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mechscreen.objectives.observations import Compared

FloatArray = NDArray[np.float64]

_STEP = 1e-4
"""Of the differences, in shares of a parameter's range: solvers of differential equations leave noise below it."""
_OFFSET = 50.0
"""Added to what noise adds, beside what makes it positive."""
_INSIDE = 1e-9
"""How far from the ends of the ranges a search begins."""
_TOLERANCE = 1e-7


@dataclass(frozen=True)
class Fit:
    """A parameter set on its way to the best one nearby.

    Attributes
    ----------
    position
        (d,), in [0, 1].
    before, deviance
        −2 ln L at the start, and there.
    deviations
        (d,), how far each position may move alone until −2 ln L is 1 more, by its curvature.
    looked
        Parameter sets that were compared.
    done
        Whether it gets no better.
    """

    position: FloatArray
    before: float
    deviance: float
    deviations: FloatArray
    looked: int
    done: bool


def improve(
    compare: Callable[[FloatArray], Compared], start: FloatArray, steps: int, free: NDArray[np.bool_]
) -> Fit | None:
    """Go some steps from a position towards the best one nearby; None where −2 ln L is not known at the start.

    By a trust-region method within [0, 1] (`scipy.optimize.least_squares`; Branch, Coleman & Li 1999), with central
    differences.

    Parameters
    ----------
    compare
        Compares positions, (n, d), with the measurements.
    free
        (d,), which positions may change.
    """
    from scipy.optimize import least_squares

    looked = 0

    def look(moved: FloatArray) -> Compared:
        nonlocal looked
        looked += len(moved)
        positions = np.tile(start, (len(moved), 1))
        positions[:, free] = moved
        return compare(positions)

    def squares(found: Compared) -> FloatArray:
        with np.errstate(invalid="ignore"):
            return np.concatenate([found.residuals, np.sqrt(found.noise + offset)], axis=1)

    first = np.clip(start[free], _INSIDE, 1 - _INSIDE)
    at_start = look(first[None])
    before = float(at_start.deviance[0])
    if not np.isfinite(before):
        return None
    if not free.any():
        return Fit(start.copy(), before, before, np.full(len(start), np.nan), looked, True)
    offset = _OFFSET + max(0.0, -float(at_start.noise.min()))
    here = squares(at_start)[0]

    def residuals(x: FloatArray) -> FloatArray:
        return here if x is first else squares(look(x[None]))[0]

    def jacobian(x: FloatArray) -> FloatArray:
        upper, lower = np.minimum(x + _STEP, 1.0), np.maximum(x - _STEP, 0.0)
        both = np.concatenate([x + np.diag(upper - x), x + np.diag(lower - x)])
        values = squares(look(both))
        above, below = values[: len(x)], values[len(x) :]
        # Where a neighbour cannot be simulated, or is not allowed, the other one tells; without both, nothing does.
        lost = [~np.isfinite(part).all(axis=1) for part in (above, below)]
        if np.any(lost):
            middle = squares(look(x[None]))
            for part, end, gone in zip((above, below), (upper, lower), lost, strict=True):
                part[gone], end[gone] = middle, x[gone]
        width = np.where(upper > lower, upper - lower, 1.0)
        return ((above - below) / width[:, None]).T

    found = least_squares(
        residuals, first, jacobian, bounds=(0.0, 1.0), max_nfev=steps, ftol=_TOLERANCE, xtol=_TOLERANCE, gtol=None
    )
    position = start.copy()
    position[free] = found.x
    deviations = np.full(len(start), np.nan)
    curvature = np.square(found.jac).sum(axis=0)
    deviations[free] = 1 / np.sqrt(np.maximum(curvature, 1e-12))
    deviance = float(np.square(found.fun).sum() - offset * at_start.noise.shape[1])
    return Fit(position, before, deviance, deviations, looked, found.status > 0)
