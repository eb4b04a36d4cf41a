"""Walkers that sample a posterior together: differential evolution Monte Carlo, by emcee.

Each proposal is a walker's place and the difference between those of two others (ter Braak, Stat. Comput. 2006),
scaled, or, one in five, in full, which leads from one peak of the posterior to another. emcee: Foreman-Mackey et al.,
PASP 2013. Its snooker moves are not used: those of emcee 3.1.6 make 0.77 of a share of 0.70 between two peaks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

STEPS_OF_A_TIME = 50
"""So many autocorrelation times a chain has to be long, for that time to be known (emcee's own rule)."""
_FEWEST = 32
"""Walkers."""
_MOST_STEPS = 10**9
_WINDOW = 5
"""Autocorrelation times after which the autocorrelation is noise."""
_BURN_IN = 0.3
"""Share of the steps that are left out at the beginning."""


def walkers_of(dimensions: int) -> int:
    """Return the number of walkers for so many parameters."""
    return max(_FEWEST, 2 * dimensions + 2)


class Walkers:
    """Walkers in the unit cube, whose logarithm of the posterior is given; resumable at any step.

    Parameters
    ----------
    log_posterior
        (n, d) → (n,); −∞ where there is none. It is never asked for positions outside of [0, 1).
    seed
        From it all random numbers follow.
    """

    def __init__(self, walkers: int, dimensions: int, log_posterior: Callable[[FloatArray], FloatArray], seed: int):
        import emcee
        from emcee import moves

        inside = self._inside(log_posterior)
        self._sampler = emcee.EnsembleSampler(
            walkers,
            dimensions,
            inside,
            vectorize=True,
            moves=[(moves.DEMove(), 0.8), (moves.DEMove(gamma0=1.0), 0.2)],
        )
        # emcee prints a traceback of what its own wrapper is told to raise, such as that a deadline is reached.
        self._sampler.log_prob_fn = inside
        self._state = emcee.State
        self._random: Any = np.random.RandomState(seed).get_state()

    @staticmethod
    def _inside(log_posterior: Callable[[FloatArray], FloatArray]) -> Callable[[FloatArray], FloatArray]:
        def of(x: FloatArray) -> FloatArray:
            found = np.full(len(x), -np.inf)
            inside = ((x >= 0) & (x < 1)).all(axis=1)
            if inside.any():
                found[inside] = log_posterior(x[inside])
            return found

        return of

    @property
    def random(self) -> NDArray[np.uint64]:
        """State of the random numbers, as an array that can be stored."""
        _, keys, place, has, _ = self._random
        assert not has
        return np.array([*keys, place], np.uint64)

    @random.setter
    def random(self, stored: NDArray[np.uint64]) -> None:
        self._random = ("MT19937", stored[:-1].astype(np.uint32), int(stored[-1]), 0, 0.0)

    def walk(self, places: FloatArray, log_posterior: FloatArray) -> Iterator[tuple[FloatArray, FloatArray, int]]:
        """Yield places (walkers, d), their log posterior (walkers,) and how many moved, step by step, without end."""
        state, before = self._state(places, log_prob=log_posterior, random_state=self._random), places
        steps = self._sampler.sample(state, iterations=_MOST_STEPS, store=False, skip_initial_state_check=True)
        for after in steps:
            kind, keys, place, _, _ = after.random_state
            # A number that is kept for the next step is drawn anew, as by a chain that goes on there.
            self._random = (kind, keys, place, 0, 0.0)
            self._sampler.random_state = self._random
            now = after.coords.copy()
            yield now, after.log_prob.copy(), int((now != before).any(axis=1).sum())
            before = now


def counted(chain: NDArray[Any]) -> NDArray[Any]:
    """Return the steps of a chain, (steps, …), that count: without the first ones."""
    return chain[int(_BURN_IN * len(chain)) :]


def independent(chain: NDArray[Any]) -> tuple[NDArray[Any], FloatArray, int]:
    """Return what counts of a chain, (steps, walkers, d), its autocorrelation times, (d,), and independent draws.

    The first steps are left out. Their number is that of the slowest parameter; 0 where the chain is too short to say.
    Times are of places about the mean of all walkers (Goodman & Weare 2010), and not about the mean of each, as emcee
    has them: walkers that stay each on a peak of its own tell nothing of the shares of these.
    """
    counts = counted(chain)
    if len(counts) < 2:
        return counts, np.full(chain.shape[2], np.nan), 0
    times = np.array([_autocorrelation_time(counts[:, :, j].astype(float)) for j in range(chain.shape[2])])
    longest = float(np.max(times))
    if not np.isfinite(longest) or len(counts) < STEPS_OF_A_TIME * longest:
        return counts, times, 0
    return counts, times, int(len(counts) * chain.shape[1] / longest)


def _autocorrelation_time(x: FloatArray) -> float:
    """Return the integrated autocorrelation time of walkers, (steps, walkers), in the window that Sokal (1989) says."""
    n = len(x)
    spectrum = np.fft.rfft(x - x.mean(), 2 * n, axis=0)
    covariance = np.fft.irfft(np.square(np.abs(spectrum)), 2 * n, axis=0)[:n].mean(axis=1)
    if not covariance[0] > 0:
        return math.nan
    times = 2 * np.cumsum(covariance / covariance[0]) - 1
    enough = np.flatnonzero(np.arange(n) >= _WINDOW * times)
    return float(times[enough[0]] if len(enough) else times[-1])
