"""What is told of many trajectories of a stochastic model: means, standard deviations, all values of some."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from mechscreen.models.outputs import FloatArray


class Trajectories:
    """Sums over trajectories, as these are made one by one (Welford 1962, Technometrics 4:419).

    Parameters
    ----------
    number
        How many will be added; at least two.
    sizes
        How many values each of the quantities has.
    kept
        Places of the quantities, of one value each, of which every trajectory's is remembered.
    """

    def __init__(self, number: int, sizes: Sequence[int], kept: Sequence[int]) -> None:
        self._count = 0
        self._starts = np.cumsum(sizes)[:-1]
        self._mean = np.zeros(sum(sizes))
        self._squares = np.zeros(sum(sizes))
        self._all = {place: np.empty(number) for place in kept}

    def add(self, values: Sequence[FloatArray]) -> None:
        """Take in a trajectory: of each quantity its values, (size,)."""
        for place, found in self._all.items():
            found[self._count] = values[place][0]
        self._count += 1
        flat = np.concatenate(values)
        step = flat - self._mean
        self._mean += step / self._count
        self._squares += step * (flat - self._mean)

    @property
    def mean(self) -> list[FloatArray]:
        """Of each quantity, over those that were added, (size,)."""
        return np.split(self._mean, self._starts)

    @property
    def deviation(self) -> list[FloatArray]:
        """Standard deviations of the same, (size,)."""
        return np.split(np.sqrt(self._squares / (self._count - 1)), self._starts)

    def all_of(self, place: int) -> FloatArray:
        """Return what a quantity that is kept was in each of those that were added, (added,)."""
        return self._all[place][: self._count]


def is_whole(number: float) -> bool:
    """Return whether there may be so many molecules, but for rounding."""
    return abs(number - round(number)) <= 1e-9 * max(1.0, abs(number)) if math.isfinite(number) else False


def not_whole(name: str, number: float) -> str:
    """Return the reason for which there are no trajectories of a sample."""
    return f"'{name}' starts at {number:g}, and trajectories count molecules: its start must be a whole number"
