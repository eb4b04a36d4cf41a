"""The nearest parameter set of the largest value, by CMA-ES: features such as counts and periods have no slopes.

Covariance matrix adaptation: Hansen & Ostermeier, Evolutionary Computation 2001; by pycma (Hansen, Akimoto & Baudis).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_STEP = 0.1
"""Standard deviation of the first steps, in shares of the ranges."""
_TOLERANCE = 1e-6
"""Of values, and of positions, below which a search ends."""


@dataclass(frozen=True)
class Climbed:
    """Where searches came to.

    Attributes
    ----------
    positions
        (n, d), in [0, 1].
    before, values
        (n,), at the start, and there; −∞ where there is none.
    looked
        (n,), positions that were valued.
    done
        (n,), whether it found no larger value any more.
    """

    positions: FloatArray
    before: FloatArray
    values: FloatArray
    looked: NDArray[np.int64]
    done: NDArray[np.bool_]


def climb(
    value: Callable[[FloatArray, NDArray[np.intp]], FloatArray],
    starts: FloatArray,
    free: NDArray[np.bool_],
    steps: int,
    rngs: list[np.random.Generator],
) -> Climbed:
    """Search from each position for the largest value nearby; all searches go on side by side, so that calls are few.

    Parameters
    ----------
    value
        Values positions, (m, d), of the searches of such numbers, (m,): on a scale on which they differ by about 1; NaN
        where there is none.
    starts
        (n, d).
    free
        (d,), which positions may change.
    steps
        Generations at most.
    rngs
        Random numbers of each search.
    """
    import cma

    n, freedom = len(starts), int(free.sum())
    numbers = np.arange(n)
    before = _known(value(starts, numbers))
    best, positions = before.copy(), starts.copy()
    looked, done = np.ones(n, np.int64), np.zeros(n, bool)
    # pycma knows no search along one axis: a second one is drawn, and not looked at.
    padded = max(2, freedom)
    options = {
        "bounds": [0, 1],
        "seed": np.nan,
        "verbose": -9,
        "verb_log": 0,
        "verb_filenameprefix": "",
        "signals_filename": "",
        "maxiter": steps,
        "tolfun": _TOLERANCE,
        "tolfunhist": _TOLERANCE,
        "tolx": _TOLERANCE,
    }
    strategies = []
    for start, rng in zip(starts, rngs, strict=True):
        centre = np.full(padded, 0.5)
        centre[:freedom] = np.clip(start[free], 0.0, 1.0)
        of_search = {**options, "randn": lambda *shape, rng=rng: rng.standard_normal(shape)}
        strategies.append(cma.CMAEvolutionStrategy(centre, _STEP, of_search))
    active = list(range(n)) if freedom else []
    while active:
        asked = [strategies[k].ask() for k in active]
        owner = np.repeat(active, [len(some) for some in asked])
        drawn = np.concatenate([np.array(some)[:, :freedom] for some in asked])
        wanted = starts[owner].copy()
        wanted[:, free] = np.clip(drawn, 0.0, 1.0)
        found = _known(value(wanted, owner))
        looked[:] += np.bincount(owner, minlength=n)
        first = 0
        for k, some in zip(active, asked, strict=True):
            own = found[first : first + len(some)]
            top = int(np.argmax(own))
            if own[top] > best[k]:
                best[k], positions[k] = own[top], wanted[first + top]
            # What has no value is worse than all else, by a number that the strategy can work with.
            finite = own[np.isfinite(own)]
            worst = float(finite.min()) - 1.0 if len(finite) else 0.0
            strategies[k].tell(some, np.where(np.isfinite(own), -own, -worst).tolist())
            first += len(some)
        for k in list(active):
            if stopped := strategies[k].stop():
                done[k] = "maxiter" not in stopped
                active.remove(k)
    return Climbed(positions, before, best, looked, done | (freedom == 0))


def _known(values: FloatArray) -> FloatArray:
    return np.where(np.isfinite(values), values, -np.inf)
