"""What decides a quantity: which share of its variance each parameter explains, and which way it goes along each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from scipy.stats import qmc

from mechscreen.spaces import ParameterSpace, Sampler

FloatArray = NDArray[np.float64]
Quantities = Callable[[FloatArray], NDArray[Any]]
"""Parameter sets (n, d), in physical units → quantities of each, (n, quantities), NaN where a set does not have one."""

FEWEST = 20
"""Sets with a quantity that its correlations need."""
_ROUNDING = 1e-6
"""Of the largest value: what varies by less does not vary, in the single precision that networks compute in."""


@dataclass(frozen=True)
class Estimate:
    """Means of independent estimates and their standard errors, (quantities, varied); NaN where there are none."""

    mean: FloatArray
    error: FloatArray

    @classmethod
    def of(cls, estimates: list[FloatArray]) -> Self:
        """Return those of several estimates, (quantities, varied) each."""
        every = np.array(estimates)
        return cls(every.mean(axis=0), every.std(axis=0, ddof=1) / np.sqrt(len(every)))


@dataclass(frozen=True)
class Influences:
    """What the parameters that vary have to do with some quantities, over ranges and priors of their space.

    Attributes
    ----------
    first, total
        Sobol's indices: which share of the variance a parameter explains alone, and which one is left where all others
        are known. NaN for a quantity that does not vary, or that some set does not have: over the others alone, no
        share is a parameter's own. NaN for all where constraints tie the parameters together.
    correlation
        Spearman's rank correlation with each parameter, over the sets that have the quantity; NaN for a category that
        is one of three or more, which have no order.
    undefined
        (quantities,), share of the sets that do not have a quantity.
    """

    first: Estimate
    total: Estimate
    correlation: Estimate
    undefined: FloatArray


def influences(space: ParameterSpace, quantities: Quantities, seed: int, repeats: int, points: int) -> Influences:
    """Estimate the influence of each parameter on some quantities.

    Sobol's indices by the estimators of Saltelli et al. (2010), Table 2 (b) and (f), on sets of Sobol's sequence.

    Parameters
    ----------
    repeats, points
        Number of independent estimates, two at least, whose scatter gives the errors, and points of each (a power of
        two); every estimate takes `points` times (varied + 2) sets.
    """
    first, total, correlation, undefined = [], [], [], []
    for repeat in range(repeats):
        if space.conditional:
            draws = Sampler(space, "uniform", seed, "importance").draw(2 * points * repeat, 2 * points * (repeat + 1))
            sets = draws.physical
            every = found = quantities(sets).astype(float)
            shares = np.full((2, found.shape[1], len(space.varied)), np.nan)
        else:
            pages = _pages(space, np.random.default_rng([seed, repeat]), points)
            together = np.concatenate(pages)
            every = quantities(together).astype(float)
            sets, found = together[: 2 * points], every[: 2 * points]
            shares = sobol_indices(every.reshape(len(pages), points, -1))
        first.append(shares[0])
        total.append(shares[1])
        correlation.append(_rank_correlations(space, sets, found))
        undefined.append(np.isnan(every).mean(axis=0))
    return Influences(Estimate.of(first), Estimate.of(total), Estimate.of(correlation), np.mean(undefined, axis=0))


def sobol_indices(values: FloatArray) -> FloatArray:
    """Return indices of first order, and total ones, (2, quantities, varied), of what was found in `_pages`.

    SciPy's `sobol_indices` does the same, but says 0 where there are none.

    Parameters
    ----------
    values
        (2 + varied, points, quantities).
    """
    a, b = values[0], values[1]
    both = np.concatenate([a, b])
    variance = both.var(axis=0)
    # Multiplied with what has a mean of its own, rounding and chance would grow (Sobol & Levitan 1999).
    a, b, mixed = a - both.mean(axis=0), b - both.mean(axis=0), values[2:] - both.mean(axis=0)
    known = np.sqrt(variance) > _ROUNDING * np.abs(both).max(axis=0)
    variance = np.where(known, variance, np.nan)
    first = (b * (mixed - a)).mean(axis=1) / variance
    total = 0.5 * np.square(a - mixed).mean(axis=1) / variance
    shares: FloatArray = np.array([first.T, total.T])
    shares[:, ~np.isfinite(shares).all(axis=(0, 2))] = np.nan
    return shares


def _pages(space: ParameterSpace, generator: np.random.Generator, points: int) -> list[FloatArray]:
    """Return the sets A, B, and for each parameter that varies A with its values in B, (points, d) each."""
    varied = list(space.varied)
    unit = qmc.Sobol(2 * len(varied), rng=generator, bits=64).random(points)
    a, b = np.zeros((2, points, len(space)))
    a[:, varied], b[:, varied] = unit[:, : len(varied)], unit[:, len(varied) :]
    pages = [a, b]
    for j in varied:
        mixed = a.copy()
        mixed[:, j] = b[:, j]
        pages.append(mixed)
    return [space.physical(page) for page in pages]


def _rank_correlations(space: ParameterSpace, sets: FloatArray, found: FloatArray) -> FloatArray:
    """Return Spearman's correlations, (quantities, varied)."""
    varied = space.varied
    correlations = np.full((found.shape[1], len(varied)), np.nan)
    for q, values in enumerate(found.T):
        has = np.isfinite(values)
        if has.sum() < FEWEST or np.ptp(values[has]) <= _ROUNDING * np.abs(values[has]).max():
            continue
        ranks = stats.rankdata(values[has])
        for k, j in enumerate(varied):
            column = sets[has, j]
            if space.parameters[j].inputs == 1 and np.ptp(column) > 0:
                correlations[q, k] = np.corrcoef(ranks, stats.rankdata(column))[0, 1]
    return correlations
