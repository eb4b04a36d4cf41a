"""Which of many candidates are worth a simulation: arrays in, rows out.

An acquisition is called with `Candidates`, the number of rows to choose, and a generator of random numbers, on which
alone its choice may depend besides; it returns so many different rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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
    probable
        (n,), share of the members that find one, of what they say and of what they would say if they were farther
        apart (`mechscreen.emulators.calibration.STRETCH`): no calibrated probability, and near one half where a target
        begins or ends.
    measure_sensitivity
        What measures `sensitivity`, where that is asked for.
    """

    parameters: NDArray[np.float64]
    disagreement: NDArray[np.float32]
    in_target: NDArray[np.bool_]
    probable: NDArray[np.float64]
    measure_sensitivity: Callable[[], NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.disagreement)

    @cached_property
    def sensitivity(self) -> NDArray[np.float64]:
        """(n,), distance between what the ensemble says there and nearby, over that of the parameters.

        The mean over some directions; it takes as many predictions of each candidate.
        """
        return self.measure_sensitivity()


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
    weights = candidates.disagreement
    first = np.flatnonzero(candidates.in_target)
    if len(first):
        first = _drawn(first, weights, int(MOST_TARGETS * size), rng)
    return _completed(first, weights, size, rng)


def disagreement(candidates: Candidates, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw without replacement, in proportion to the ensemble's disagreement, whatever is looked for."""
    return _completed(np.empty(0, np.intp), candidates.disagreement, size, rng)


def target(candidates: Candidates, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose where it is least known whether a candidate is of the target.

    In proportion to p (1 − p), p being how probable that is (`Candidates.probable`), and to the ensemble's
    disagreement; where all members are sure of it, by the latter alone, if there are too few others.
    """
    p = candidates.probable
    unsure = np.flatnonzero((p > 0) & (p < 1))
    if len(unsure):
        unsure = _drawn(unsure, p * (1 - p) * (candidates.disagreement + _LEAST), size, rng)
    return _completed(unsure, candidates.disagreement, size, rng)


def sensitivity(candidates: Candidates, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw without replacement, in proportion to how much what the ensemble says changes with the parameters."""
    return _completed(np.empty(0, np.intp), candidates.sensitivity, size, rng)


def mix(candidates: Candidates, size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Choose half as `target` does, and the others as `disagreement`."""
    first = target(candidates, size // 2, rng)
    return _completed(first, candidates.disagreement, size, rng)


def _drawn(rows: NDArray[np.intp], weights: NDArray[Any], most: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Draw so many of some rows, or all, without replacement, in proportion to the weights of candidates, (n,)."""
    shares = weights[rows].astype(np.float64) + _LEAST
    return rng.choice(rows, min(most, len(rows)), replace=False, p=shares / shares.sum(), shuffle=False)


def _completed(rows: NDArray[np.intp], weights: NDArray[Any], size: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return some rows, and of the others so many that they are `size`."""
    rest = np.setdiff1d(np.arange(len(weights)), rows)
    return np.concatenate([rows, _drawn(rest, weights, size - len(rows), rng)])
