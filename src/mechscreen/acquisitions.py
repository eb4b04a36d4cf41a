"""Which of many candidates are worth a simulation: arrays in, rows out.

An acquisition is called with `Candidates`, the number of rows to choose, and a generator of random numbers, on which
alone its choice may depend besides; it returns so many different rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError
from mechscreen.registry import ACQUISITIONS

MOST_TARGETS = 0.5
"""Share that `committee` chooses, at most, of candidates of which a member says that they are of the target's classes.
"""

_LEAST = 1e-9
"""Added to each disagreement, so that there are enough candidates that can be drawn."""


@dataclass(frozen=True)
class Candidates:
    """What an ensemble says of n parameter sets.

    Attributes
    ----------
    parameters
        (n, d), normalised.
    disagreement
        (n,), mean RMSE between the profiles of two members.
    in_target
        (n,), whether any member finds a class of the target there.
    """

    parameters: NDArray[np.float64]
    disagreement: NDArray[np.float32]
    in_target: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.disagreement)


Acquisition = Callable[[Candidates, int, np.random.Generator], NDArray[np.intp]]


def choose(name: str, candidates: Candidates, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return which `size` candidates an acquisition chooses, ascending.

    Parameters
    ----------
    name
        A registered name, ``package.module:function`` or ``path/to/file.py:function``.

    Raises
    ------
    InputError
        If there is no such acquisition, or it does not return so many different rows.
    """
    rows = np.asarray(ACQUISITIONS.get(name)(candidates, size, rng))
    if rows.shape != (size,) or not np.issubdtype(rows.dtype, np.integer):
        raise InputError(
            f"acquisition '{name}' returned {rows.dtype} values of shape {rows.shape}; it must return {size} row "
            "numbers"
        )
    if len(np.unique(rows)) < size or rows.min() < 0 or rows.max() >= len(candidates):
        raise InputError(
            f"acquisition '{name}' must return different row numbers of 0 … {len(candidates) - 1}; it returned "
            f"{len(np.unique(rows))} different ones of {rows.min()} … {rows.max()}"
        )
    return np.sort(rows)


def committee(candidates: Candidates, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose by the ensemble's disagreement, the target first.

    First come those of which any member of the ensemble says that they are of the target's classes; they are half of
    the chosen at most. The others follow. Both are drawn without replacement, in proportion to the ensemble's
    disagreement: query by committee (Seung, Opper & Sompolinsky, COLT 1992), with chance left in it, so that the chosen
    are no crowd of near-equal worst cases.
    """

    def draw(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
        weights = candidates.disagreement[rows].astype(np.float64) + _LEAST
        return rng.choice(rows, min(most, len(rows)), replace=False, p=weights / weights.sum(), shuffle=False)

    first = np.flatnonzero(candidates.in_target)
    if len(first):
        first = draw(first, int(MOST_TARGETS * size))
    rest = np.setdiff1d(np.arange(len(candidates)), first)
    return np.concatenate([first, draw(rest, size - len(first))])
