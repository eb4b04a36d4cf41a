"""The nearest parameter set that fits best: least squares, and noise that is estimated with them.

Steps are those of Fisher's scoring (`mechscreen.inference.scoring`), which are Gauss and Newton's where noise is known,
damped as Levenberg and Marquardt do. What takes no simulation (`mechscreen.inference.settling`) moves with the rest and
is then where it fits best: to first order that is variable projection, and spares the simulations that finding scales
and noise by steps would take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mechscreen.inference.scoring import information
from mechscreen.inference.settling import settle, slopes_of
from mechscreen.objectives.observations import Compared

FloatArray = NDArray[np.float64]
Compare = Callable[[FloatArray], Compared]

_STEP = 1e-4
"""Of the differences, in shares of a parameter's range: solvers of differential equations leave noise below it."""
DAMPING = 1e-2
"""At the beginning of a search, in shares of the curvature."""
_LESS, _MORE, _LEAST_DAMPING, _MOST_DAMPING = 0.1, 5.0, 1e-10, 1e8
"""After a step that helps, after one that does not, and where it ends."""
_GOOD = 0.25
"""Share of what a step promised that it has to bring for the next one to be damped less."""
_FLAT = 1e-2
"""Share of the largest curvature, by which the least curved directions are damped, too: what hardly matters does not
jump from one end of its range to the other."""
_GAIN, _PROMISE = 1e-4, 1e-6
"""Of −2 ln L: a step that brings less, or promises less, is the last one."""


@dataclass(frozen=True)
class Fit:
    """A parameter set on its way to the best one nearby.

    Attributes
    ----------
    start, position
        (d,), in [0, 1]: where it began, with what takes no simulation settled, and where it is.
    before, deviance
        −2 ln L at both.
    deviations
        (d,), how far each position may move alone until −2 ln L is 1 more, by its curvature.
    damping
        That of the next step.
    looked
        Parameter sets that were compared, without those that take no simulation.
    done
        Whether it gets no better.
    """

    start: FloatArray
    position: FloatArray
    before: float
    deviance: float
    deviations: FloatArray
    damping: float
    looked: int
    done: bool


def improve(
    compare: Compare,
    starts: FloatArray,
    steps: int,
    free: NDArray[np.bool_],
    aside: NDArray[np.bool_],
    damping: float = DAMPING,
) -> Fit | None:
    """Go some steps from the best of some positions towards the best one nearby; None where none has a −2 ln L.

    Within [0, 1], with differences to one side, away from the nearer end.

    Parameters
    ----------
    compare
        Compares positions, (n, d), with the measurements.
    starts
        (n, d), positions of which the best one is gone on from.
    steps
        That are tried.
    free, aside
        (d,), which positions may change, and which of them take no simulation.
    damping
        Of the first step; that of an earlier `Fit`, to go on with it.
    """
    settled, found = settle(compare, starts, free & aside)
    k = int(np.argmin(found.deviance))
    if not np.isfinite(found.deviance[k]):
        return None
    search = _Search(compare, free, aside, settled[k], _row(found, k), damping, looked=len(starts))
    before, tried, done = search.deviance, 0, not free.any()
    while not done and tried < steps:
        search.curve()
        came = search.deviance
        while tried < steps:
            tried += 1
            done = not search.step()
            if done or search.deviance < came:
                done = done or came - search.deviance < _GAIN
                break
    return Fit(
        settled[k],
        search.position,
        before,
        search.deviance,
        search.deviations(),
        search.damping,
        search.looked,
        done,
    )


class _Search:
    """Where a search is, and what is known there.

    Attributes
    ----------
    position, deviance
        (d,), and −2 ln L.
    damping
        Of the next step.
    looked
        Sets that were compared, by simulations of their own.
    """

    def __init__(
        self,
        compare: Compare,
        free: NDArray[np.bool_],
        aside: NDArray[np.bool_],
        position: FloatArray,
        found: Compared,
        damping: float,
        looked: int,
    ) -> None:
        self._compare, self._free, self._aside = compare, free, free & aside
        self.position, self._found, self.deviance = position, found, float(found.deviance[0])
        self.damping, self.looked = damping, looked
        self._gradient, self._curvature = np.empty(0), np.empty((0, 0))

    def curve(self) -> None:
        """Find gradient and curvature, by simulations of the neighbours."""
        slopes = Compared(*(np.zeros((len(self.position), self._found.noise.size)) for _ in range(2)))
        columns = np.flatnonzero(self._free & ~self._aside)
        steps = np.where(self.position[columns] > 0.5, -_STEP, _STEP)
        lost = self._differences(columns, steps, slopes)
        # Where a neighbour cannot be simulated, or is not allowed, the other one tells; without both, nothing does.
        inside = lost & (np.abs(self.position[columns] - steps - 0.5) <= 0.5)
        self._differences(columns[inside], -steps[inside], slopes)
        if self._aside.any():
            of_settled = slopes_of(self._compare, self.position, self._aside)
            slopes.residuals[self._aside], slopes.noise[self._aside] = of_settled.residuals, of_settled.noise
        for values in (slopes.residuals, slopes.noise):
            values[~np.isfinite(values)] = 0
        of_free = Compared(slopes.residuals[None, self._free], slopes.noise[None, self._free])
        gradient, curvature = information(self._found, of_free)
        self._gradient, self._curvature = gradient[0], curvature[0]

    def _differences(self, columns: NDArray[np.intp], steps: FloatArray, into: Compared) -> NDArray[np.bool_]:
        """Find derivatives by some positions, by steps of each; return for which there are none."""
        if not len(columns):
            return np.zeros(0, bool)
        rows = np.repeat(self.position[None], len(columns), axis=0)
        rows[np.arange(len(columns)), columns] += steps
        self.looked += len(columns)
        there = self._compare(rows)
        known = np.isfinite(there.deviance)
        for values, here, slopes in (
            (there.residuals, self._found.residuals, into.residuals),
            (there.noise, self._found.noise, into.noise),
        ):
            slopes[columns[known]] = ((values - here) / steps[:, None])[known]
        return ~known

    def step(self) -> bool:
        """Try a step, and make it if it helps; return False where none will."""
        x, diagonal = self.position[self._free], np.diag(self._curvature)
        largest = float(diagonal.max())
        if not largest > 0:
            return False
        damped = self._curvature + np.diag(self.damping * np.maximum(diagonal, _FLAT * largest) + 1e-12 * largest)
        step = _within(self._gradient, damped, -x, 1 - x)
        promised = -float(2 * self._gradient @ step + step @ self._curvature @ step)
        if promised < _PROMISE:
            return False
        tried = self.position.copy()
        tried[self._free] = np.clip(x + step, 0, 1)
        settled, found = settle(self._compare, tried[None], self._aside)
        self.looked += 1
        gain = self.deviance - float(found.deviance[0])
        if not gain > 0:
            self.damping *= _MORE
            return self.damping < _MOST_DAMPING
        self.position, self._found, self.deviance = settled[0], found, float(found.deviance[0])
        if gain > _GOOD * promised:
            self.damping = max(self.damping * _LESS, _LEAST_DAMPING)
        return True

    def deviations(self) -> FloatArray:
        """Return how far each position may move alone; see `Fit`. Of where the curvature was found last."""
        found = np.full(len(self.position), np.nan)
        if len(self._gradient):
            found[self._free] = 1 / np.sqrt(np.maximum(np.diag(self._curvature), 1e-12))
        return found


def _within(gradient: FloatArray, curvature: FloatArray, low: FloatArray, high: FloatArray) -> FloatArray:
    """Return the step that is the best by a gradient and a positive curvature, within a box that holds 0."""
    from scipy.linalg import solve_triangular
    from scipy.optimize import lsq_linear

    root = np.linalg.cholesky(curvature).T
    right = -solve_triangular(root, gradient, trans="T")
    step: FloatArray = solve_triangular(root, right)
    if ((step >= low) & (step <= high)).all():
        return step
    # No end may be both a lower and an upper one.
    box = np.minimum(low, -1e-12), np.maximum(high, 1e-12)
    return np.asarray(lsq_linear(root, right, box, method="bvls").x)


def _row(of: Compared, k: int) -> Compared:
    return Compared(of.residuals[k : k + 1], of.noise[k : k + 1])
