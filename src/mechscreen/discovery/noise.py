"""How large the noise of a sample is, beside what is measured: the same throughout, in proportion, or as of counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mechscreen.discovery.hermite import FloatArray

KINDS = ("constant", "proportional", "poisson")
"""Of noise: its standard deviation is the same, in proportion to the value, or to the value's square root."""

_FLOORS: Mapping[str, tuple[float, ...]] = {
    "constant": (1.0,),
    "proportional": (0.003, 0.03, 0.1, 0.3),
    "poisson": (0.01, 0.1),
}
"""Shares of a variable's size, below which noise does not become smaller."""
_CLEAR = 10.0
"""By how much −2 ln likelihood is less for a kind other than constant, where it is chosen."""
_FEWEST = 12
"""Samples from which on the kind is chosen."""


@dataclass(frozen=True)
class Spread:
    """How the noise of one variable depends on its value.

    Attributes
    ----------
    kind
        One of `KINDS`.
    floor
        Share of the variable's size (root mean square) below which it does not become smaller.
    """

    kind: str = "constant"
    floor: float = 1.0

    def at(self, values: FloatArray, size: float) -> FloatArray:
        """Return standard deviations (n,) at values of a variable, but for a factor."""
        if self.kind == "constant":
            return np.ones(len(values))
        if self.kind == "proportional":
            return np.hypot(values, self.floor * size) / size
        return np.sqrt(np.hypot(values, self.floor * size) / size)


def correlated(residuals: Sequence[FloatArray]) -> tuple[float, int]:
    """Return the correlation of neighbours among residuals (n,) of trajectories, NaN where missing, and their pairs."""
    together, squares, pairs, count = 0.0, 0.0, 0, 0
    for every in residuals:
        own = every[np.isfinite(every)]
        together += float(own[1:] @ own[:-1])
        squares += float(own @ own)
        pairs += max(len(own) - 1, 0)
        count += len(own)
    if pairs == 0 or squares == 0:
        return 0.0, pairs
    return together / pairs / (squares / count), pairs


def choose(
    residuals: Sequence[FloatArray],
    values: Sequence[FloatArray],
    kinds: tuple[str, ...] = KINDS,
    *,
    smoothed: bool = False,
) -> Spread:
    """Return the spread that suits residuals (n,) best, at values (n,) without noise, of trajectories in order of time.

    What a smoothed curve misses is no noise: its residuals are compared with the mean of those before and after.
    """
    level, inner = np.concatenate(values), np.concatenate(residuals)
    size = float(np.sqrt(np.mean(level**2)))
    if smoothed:
        inner = np.concatenate([own[1:-1] - 0.5 * (own[2:] + own[:-2]) for own in residuals])
        level = np.concatenate([own[1:-1] for own in values])

    def deviance(spread: Spread) -> float:
        errors = spread.at(level, size)
        return len(inner) * float(np.log(np.mean((inner / errors) ** 2) + 1e-300)) + 2 * float(np.log(errors).sum())

    spreads = [Spread(kind, floor) for kind in kinds for floor in _FLOORS[kind]]
    if len(kinds) > 1 and len(inner) < _FEWEST:
        return Spread()
    best = min(spreads, key=deviance)
    if "constant" in kinds and deviance(Spread()) - deviance(best) < _CLEAR:
        return Spread()
    return best
