"""A population in strata, of each of which some were looked at: how many share a property, and of how many it is known.

Rates of a property in the strata are known as draws (`Rates`), by which any quantity that follows from them has an
estimate and an interval: `prevalence`, `precision`, `recall`. They come in two kinds: `rates_by_counts` trusts nothing
but what was looked at, `rates_if_calibrated` believes that probabilities that were expected hold alike in all strata.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import brentq
from scipy.special import expit, logit, xlog1py, xlogy

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

DRAWS = 20_000
"""Of which an interval's ends are quantiles: these have an error of a fiftieth of the interval."""
LEVEL = 0.95
_SURE = 0.001
_ENOUGH = 100
"""Draws."""

_SHIFTS = np.linspace(-24, 24, 1921)
_MEANS = np.linspace(-4, 4, 161)
_SPREADS = np.geomspace(0.02, 2, 33)
"""On which `rates_if_calibrated` integrates, all in units of a log-odds."""
_ENDS = 1e-9
"""Least distance of an expected rate from 0 and 1."""
_USUAL_SPREAD = 0.5
"""Scale of the half-Cauchy prior of the spread (Gelman 2006, Bayesian Analysis 1:515)."""


@dataclass(frozen=True)
class Strata:
    """How many there are in each stratum, how many of them were looked at, by chance, and had a property.

    Attributes
    ----------
    sizes, looked, found
        (strata,) each; found ≤ looked ≤ sizes.
    """

    sizes: NDArray[np.int64]
    looked: NDArray[np.int64]
    found: NDArray[np.int64]


@dataclass(frozen=True)
class Rates:
    """The rates of a property in some strata, as far as they are known.

    Attributes
    ----------
    value
        (strata,), estimates.
    low, high
        (draws, strata), from the distributions that give lower ends of intervals, and upper ones.
    """

    value: FloatArray
    low: FloatArray
    high: FloatArray


@dataclass(frozen=True)
class Estimate:
    """A number, and its 95 % interval; NaN where nothing is known."""

    value: float
    low: float
    high: float


def rates_by_counts(strata: Strata, rng: np.random.Generator, draws: int = DRAWS) -> Rates:
    """Return rates that trust nothing but what was looked at.

    Each has the confidence distributions of a binomial rate, by which intervals of functions of several are melded
    (Fay, Proschan & Brittain 2015, Biometrics 71:146): of a stratum alone the interval is that of Clopper and Pearson
    where none or all have the property (up to 3.7/n if none of n has), else its mid-P version, which covers as often as
    it says.
    """
    n, x = strata.looked, strata.found
    low, high = (np.empty((draws, len(n))) for _ in range(2))
    for k, (of, found) in enumerate(zip(n.tolist(), x.tolist(), strict=True)):
        low[:, k] = rng.beta(found, of - found + 1, draws) if found else 0.0
        high[:, k] = rng.beta(found + 1, of - found, draws) if found < of else 1.0
        if 0 < found < of:
            low[:, k] = high[:, k] = np.where(rng.random(draws) < 0.5, low[:, k], high[:, k])
    value = np.divide(x, n, out=np.full(len(n), np.nan), where=n > 0)
    return _of_whole_strata(strata, Rates(value, low, high))


def rates_if_calibrated(strata: Strata, expected: ArrayLike, rng: np.random.Generator, draws: int = DRAWS) -> Rates:
    """Return rates on the assumption that expected ones are wrong in all strata alike.

    The log-odds of a stratum is that of its expected rate and a shift; the shifts are normal about a common mean, and
    both that mean and their spread are what the strata that were looked at say (flat and half-Cauchy priors). So where
    nothing was found, or hardly looked, the rate is the expected one, as well as that was right elsewhere.

    Parameters
    ----------
    expected
        (strata,), mean probabilities of the strata's members.
    """
    base = logit(np.clip(np.asarray(expected, dtype=float), _ENDS, 1 - _ENDS))
    p = expit(base[:, None] + _SHIFTS)
    n, x = strata.looked[:, None], strata.found[:, None]
    likelihood = xlogy(x, p) + xlog1py(n - x, -p)
    likelihood = np.exp(likelihood - likelihood.max(axis=1, keepdims=True))
    mean, spread = (grid.ravel() for grid in np.meshgrid(_MEANS, _SPREADS, indexing="ij"))
    # Of the shifts on their grid, for each mean and spread.
    normal = np.exp(-0.5 * ((_SHIFTS - mean[:, None]) / spread[:, None]) ** 2)
    normal /= normal.sum(axis=1, keepdims=True)
    # Spreads lie as a geometric series does, each for a range in proportion to itself.
    with np.errstate(divide="ignore"):  # what is impossible
        of_strata = np.log(normal @ likelihood.T).sum(axis=1)
    posterior = of_strata + np.log(spread / (1 + (spread / _USUAL_SPREAD) ** 2))
    posterior = np.exp(posterior - posterior.max())
    chosen, which = np.unique(rng.choice(len(mean), draws, p=posterior / posterior.sum()), return_inverse=True)
    found = np.empty((draws, len(base)))
    for k in range(len(base)):
        cumulated = np.cumsum(normal[chosen] * likelihood[k], axis=1)
        cumulated /= cumulated[:, -1:]
        # All distributions one after the other, so that a draw of each is found at once.
        place = np.searchsorted((cumulated + np.arange(len(chosen))[:, None]).ravel(), which + rng.random(draws))
        found[:, k] = p[k, np.minimum(place - which * len(_SHIFTS), len(_SHIFTS) - 1)]
    return _of_whole_strata(strata, Rates(found.mean(axis=0), found, found))


def _of_whole_strata(strata: Strata, rates: Rates) -> Rates:
    """Return rates that are known exactly where all were looked at."""
    whole = strata.looked == strata.sizes
    exact = np.divide(strata.found, strata.sizes, out=np.zeros(len(whole)), where=strata.sizes > 0)
    return Rates(*(np.where(whole, exact, values) for values in (rates.value, rates.low, rates.high)))


def prevalence(strata: Strata, rates: Rates, random: tuple[int, int] | None = None) -> Estimate:
    """Return the share of the population that has the property, by Horvitz and Thompson for `rates_by_counts`.

    Parameters
    ----------
    random
        Of others that were drawn from the whole population: how many have the property, and all. Draws count as likely
        as these are by them.
    """
    shares = strata.sizes / strata.sizes.sum()
    value, low, high = rates.value @ shares, rates.low @ shares, rates.high @ shares
    if random is None:
        return _estimate(value, low, high)
    found, of = random
    # The same draws, each as often as it is likely.
    low, high = (_resampled(draws, xlogy(found, draws) + xlog1py(of - found, -draws)) for draws in (low, high))
    return _estimate(np.median(np.concatenate([low, high])), low, high)


def agree(strata: Strata, rates: Rates, random: tuple[int, int]) -> bool:
    """Return whether a random sample of the population, as for `prevalence`, is likely by enough draws of the rates."""
    found, of = random
    draws = rates.high @ (strata.sizes / strata.sizes.sum())
    log_weights = xlogy(found, draws) + xlog1py(of - found, -draws)
    if not np.isfinite(top := log_weights.max()):
        return False
    weights = np.exp(log_weights - top)
    # As many draws of equal weight.
    return bool(weights.sum() ** 2 / (weights @ weights) >= _ENOUGH)


def _resampled(draws: FloatArray, log_weights: FloatArray) -> FloatArray:
    """Return values of draws at even steps of their weights."""
    order = np.argsort(draws)
    if not np.isfinite(top := log_weights.max()):
        return draws
    weights = np.cumsum(np.exp(log_weights[order] - top))
    places = np.searchsorted(weights, (np.arange(len(draws)) + 0.5) / len(draws) * weights[-1])
    return draws[order[np.minimum(places, len(draws) - 1)]]


def precision(strata: Strata, rates: Rates, kept: BoolArray) -> Estimate:
    """Return the share of those in kept strata, (strata,), that has the property."""
    sizes = strata.sizes[kept]
    if not sizes.sum():
        return Estimate(np.nan, np.nan, np.nan)
    shares = sizes / sizes.sum()
    return _estimate(rates.value[kept] @ shares, rates.low[:, kept] @ shares, rates.high[:, kept] @ shares)


def recall(strata: Strata, rates: Rates, kept: BoolArray) -> Estimate:
    """Return the share of those with the property that is in kept strata, (strata,)."""

    def share(inside: FloatArray, outside: FloatArray) -> FloatArray:
        known = inside @ np.where(kept, strata.sizes, 0)
        total = known + outside @ np.where(kept, 0, strata.sizes)
        return np.divide(known, total, out=np.full(np.shape(total), np.nan), where=total > 0)

    return _estimate(
        share(rates.value, rates.value), share(rates.low, rates.high), share(rates.high, rates.low), unknown=(0.0, 1.0)
    )


def _estimate(
    value: FloatArray | np.float64, low: FloatArray, high: FloatArray, unknown: tuple[float, float] = (np.nan, np.nan)
) -> Estimate:
    """Return an estimate with the interval that draws give; what is not defined in a draw is at its farthest there."""
    tail = (1 - LEVEL) / 2
    least, most = np.where(np.isnan(low), unknown[0], low), np.where(np.isnan(high), unknown[1], high)
    return Estimate(float(value), float(np.quantile(least, tail)), float(np.quantile(most, 1 - tail)))


def contradicted(found: int, looked: int, expected: float, strata: int = 1) -> bool:
    """Return whether finds in one of some strata say that a rate is far from the expected one: by half of it, or more.

    By an exact binomial test, that calls one survey in a thousand wrong of which all rates are as expected.
    """
    if not looked or expected * looked / 1.5 < found < expected * looked * 1.5:
        return False
    from scipy.stats import binomtest  # takes a second

    return bool(binomtest(found, looked, expected).pvalue < _SURE / strata)


def allocate(
    sizes: ArrayLike,
    rates: ArrayLike,
    count: int,
    looked: ArrayLike,
    least: int = 0,
) -> NDArray[np.int64]:
    """Return how many more to look at in each stratum, (strata,), so that the prevalence is known best.

    Neyman's allocation (1934, J. R. Stat. Soc. 97:558): in all, in proportion to a stratum's size and the deviation of
    the property there. What was looked at before counts, and stays; no stratum gets more than it has.

    Parameters
    ----------
    sizes, looked
        (strata,), how many there are, and were looked at before.
    rates
        (strata,), rates that are expected.
    count
        How many to look at more; fewer where there are no more.
    least
        How many to look at in each stratum in all, if it has so many, and `count` lets it.
    """
    n, p, before = (np.asarray(values, dtype=float) for values in (sizes, rates, looked))
    total = min(before.sum() + count, n.sum())
    needed = np.clip(least, before, n)
    if needed.sum() >= total:
        lack = needed - before
        more = lack * (total - before.sum()) / max(1.0, lack.sum())
    else:
        deviation = n * np.sqrt(p * (1 - p))
        # Where nothing is expected, the rest is looked for in the end.
        weight = np.maximum(deviation, n * max(float(deviation.max()), 1.0) * 1e-12)

        def beyond(log_level: float) -> float:
            return float(np.clip(np.exp(log_level) * weight, needed, n).sum() - total)

        ends = np.log(n[n > 0] / weight[n > 0])
        # The lowest level at which no stratum is beyond its needs, and the highest, at which all are full.
        level = brentq(beyond, float(ends.min()) - np.log(n.max() * len(n)) - 1, float(ends.max()) + 1)
        more = np.clip(np.exp(level) * weight, needed, n) - before
    return _rounded(more, n - before, round(total - before.sum()))


def _rounded(values: FloatArray, room: FloatArray, total: int) -> NDArray[np.int64]:
    """Return whole numbers near some values that sum up to a total: the largest remainders are rounded up."""
    found = np.floor(values).astype(np.int64)
    order = np.argsort(found - values, kind="stable")
    while lack := total - int(found.sum()):
        found[order[found[order] < room[order]][:lack]] += 1
    return found
