"""How a solution changes with its start and with coefficients, and how long it is known."""

from __future__ import annotations

import numpy as np

from mechscreen.discovery import kernels
from mechscreen.discovery.collocation import Collocation, Fit
from mechscreen.discovery.hermite import FloatArray

_APART = 0.5
"""Share of a variable's spread by which two solutions have parted."""
_GROWN = 3.0
"""How many times the noise of a sample that must be, too."""
_START = 0.1
"""Standard deviation of a start, in units of a sample's: that of one sample alone is no fault of the equations."""


def by_coefficients(problem: Collocation, fit: Fit) -> tuple[FloatArray, FloatArray]:
    """Return how rates change with the active columns: at nodes, (N, d, P), and between them, (N − 1, d, P)."""
    (n, width), rates = fit.x.shape, fit.rates
    forced, forced_mid = np.zeros((n, width, len(fit.active))), np.zeros((n - 1, width, len(fit.active)))
    entries = problem.entries(rates, fit.active, problem.used_terms(fit.active))
    for column, k, m, weight in zip(*entries, strict=True):
        forced[:, k, column] += weight * rates.values[:, m]
        forced_mid[:, k, column] += weight * rates.values_mid[:, m]
    return forced, forced_mid


def propagate(problem: Collocation, fit: Fit, forced: FloatArray, forced_mid: FloatArray) -> FloatArray:
    """Return how the states at the nodes change with the trajectory's start and with additions to the rates.

    Of the linearised Hermite–Simpson equations; (N, d, d + P), for P additions (N, d, P) and (N − 1, d, P).
    """
    grid, rates = problem.grid, fit.rates
    h = grid.h[:, None, None]
    before, after, middle = rates.jacobian[:-1], rates.jacobian[1:], rates.jacobian_mid
    eye = np.eye(forced.shape[1])
    left = eye - h / 6 * (after + 4 * (0.5 * middle - 0.125 * h * (middle @ after)))
    right = eye + h / 6 * (before + 4 * (0.5 * middle + 0.125 * h * (middle @ before)))
    given = forced[:-1] + forced[1:] + 4 * forced_mid + 0.5 * h * (middle @ (forced[:-1] - forced[1:]))
    step = np.linalg.solve(left, np.concatenate([right, h / 6 * given], axis=2))
    return kernels.propagate(step, grid.starts[:-1])


def horizon(problem: Collocation, fit: Fit, noise: FloatArray, covariance: FloatArray) -> tuple[int, float] | None:
    """Return until when solutions of the equations are known: the least such time of all trajectories.

    That is where a standard deviation of a variable, from a start that is known ten times as well as a sample and from
    coefficients as they are known, is half of what the variable spreads. Linearised: where that grows without bound, a
    solution is chaotic or unstable.

    Parameters
    ----------
    noise, covariance
        (d,) of the samples, and (P, P) of the active columns.

    Returns
    -------
    The variable and the time since a start; None where solutions are known to the end.
    """
    d = len(problem.library.states)
    grid, width = problem.grid, fit.x.shape[1]
    with np.errstate(all="ignore"):
        moved = propagate(problem, fit, *by_coefficients(problem, fit))[:, :d]
        by_starts, by_columns = moved[:, :, :d], moved[:, :, width:]
        variance = np.square(by_starts * (_START * noise[:d])).sum(axis=2)
        variance += np.einsum("nkp,pq,nkq->nk", by_columns, covariance, by_columns)
    least = np.maximum(_APART * fit.x[:, :d].std(axis=0), _GROWN * noise[:d])
    parted = ~(variance < least**2)
    found = []
    for nodes, own in zip(grid.nodes, grid.split(parted), strict=True):
        if own.any():
            i = int(own.any(axis=1).argmax())
            found.append((float(nodes[i] - nodes[0]), int(own[i].argmax())))
    if not found:
        return None
    time, variable = min(found)
    return variable, time
