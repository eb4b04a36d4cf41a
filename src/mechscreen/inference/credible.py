"""What a posterior says of each parameter: median, credible interval, and whether the data determine it at all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mechscreen.spaces import Parameter

Known = Literal["determined", "bounded above", "bounded below", "not determined", "not known"]

LEVELS = (0.025, 0.25, 0.5, 0.75, 0.975)
_NEAR, _REACHED = 0.05, 0.1
"""A posterior reaches an end of the range where the nearest stretch, so much of its interval's width, holds more than
this share of what it would if the posterior were even."""
_SURE = 0.95
"""Share of the draws that have one value, of a parameter that takes some alone and is determined."""


@dataclass(frozen=True)
class Credible:
    """What is known of a parameter.

    Attributes
    ----------
    quantiles
        Of its values, at `LEVELS`: the first and the last are the 95 % credible interval.
    known
        ``determined``, if the posterior reaches neither end of the range; ``bounded above`` if it reaches the lower end
        alone, ``bounded below`` the upper one, ``not determined`` if both; ``not known`` of draws that are too few.
    """

    quantiles: tuple[float, ...]
    known: Known


def credible(parameters: Sequence[Parameter], values: NDArray[np.float64]) -> list[Credible]:
    """Return what draws of a posterior, (n, d), say of each parameter."""
    found = []
    for parameter, x in zip(parameters, values.T, strict=True):
        quantiles = tuple(float(q) for q in np.quantile(x, LEVELS))
        found.append(Credible(quantiles, _known(parameter, x)))
    return found


def _known(parameter: Parameter, values: NDArray[np.float64]) -> Known:
    if parameter.discrete:
        most = np.unique(values, return_counts=True)[1].max()
        if most >= _SURE * len(values):
            return "determined"
        if parameter.categories:
            return "not determined"
    position = parameter.position(values)
    low, high = np.quantile(position, (LEVELS[0], LEVELS[-1]))
    near = max(_NEAR * (high - low), 1e-12)
    at_low, at_high = ((away < near).mean() > _REACHED * _NEAR for away in (position, 1 - position))
    if at_low and at_high:
        return "not determined"
    return "bounded above" if at_low else "bounded below" if at_high else "determined"
