"""Probabilities in levels: bins of their log-odds, so narrow that the middle of one stands for all that is in it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.arrays import namespace

_STEP = 0.1
_LOW, _HIGH = -20.0, 8.0
"""Log-odds; what is lower is in the first level, what is higher in the last."""
_INNER = round((_HIGH - _LOW) / _STEP)
LEVELS = _INNER + 2


def _probability(log_odds: NDArray[np.floating]) -> NDArray[np.float64]:
    return 1 / (1 + np.exp(-log_odds))


EDGES: NDArray[np.float64] = np.concatenate([[0.0], _probability(_LOW + _STEP * np.arange(_INNER + 1))])
"""(LEVELS,), the least probability of each level."""
MEANS: NDArray[np.float64] = _probability(_LOW + _STEP * (np.arange(LEVELS) - 0.5))
"""(LEVELS,), what those of a level have."""


def _level(log_odds: float) -> int:
    return round((log_odds - _LOW) / _STEP) + 1


LIKELY = _level(-3.0)
"""Level from which on a parameter set may be a hit, 0.047."""

_BEGINS = [0, *map(_level, (-12, -9, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5))]
STRATA = len(_BEGINS)
STRATA_OF_HITS = STRATA - _BEGINS.index(LIKELY)
"""Of those from which sets may be hits."""
STRATUM_OF: NDArray[np.int64] = np.searchsorted(_BEGINS, np.arange(LEVELS), "right") - 1
"""(LEVELS,), the stratum of each level: of those, so many levels are one that each has members to draw from."""


def levels_of(probability: Any) -> Any:
    """Return the level of each probability, int64; arrays of any library."""
    xp = namespace(probability)
    inner = xp.floor((xp.log(probability) - xp.log1p(-probability) - _LOW) / _STEP) + 1
    return xp.astype(xp.clip(inner, 0, LEVELS - 1), xp.int64)


def limit_for(counts: NDArray[np.int64], confidence: float) -> int:
    """Return the lowest level such that those from there on have a mean probability of `confidence` at least.

    Parameters
    ----------
    counts
        (LEVELS,), how many there are of each.

    Returns
    -------
    level
        At least `LIKELY`; `LEVELS` where there is none.
    """
    number = np.cumsum(counts[::-1])[::-1]
    expected = np.cumsum((counts * MEANS)[::-1])[::-1]
    enough = (number > 0) & (expected >= confidence * number)
    enough[:LIKELY] = False
    return int(np.argmax(enough)) if enough.any() else LEVELS
