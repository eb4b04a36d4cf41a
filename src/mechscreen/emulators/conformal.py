"""Bands around what an ensemble predicts that hold the truth as often as they say, by split-conformal prediction.

The error of a value is told in units of how far the members are apart there (Lei et al. 2018, J. Am. Stat. Assoc.
113:1094): the band is a multiple of that unit, the same for all samples, which is found on samples that no network has
seen. Of samples drawn as those were, the share whose truth lies inside is what was asked for, whatever the networks are
worth; a worthless ensemble has wide bands.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.errors import InputError
from mechscreen.models.outputs import Outputs

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LEVELS = (0.5, 0.8, 0.9, 0.95)
"""Shares of truths inside for which bands are found, …"""
LEVEL = 0.9
"""… and the one that is told of."""

SAMPLE_SHARE, ERROR_SHARE = 0.5, 0.3
"""Of a sample's spread over all its values, and of the median error at a value, what counts for the spread there.

Where members agree on a value by chance their spread says too little. With these shares bands of 90 % held, of a weak
ensemble of four for ring patterns, 91.7 % of the values of the rarest class, with 0 and 1 it was 82.8 %
(docs/measured/emulators.md)."""

_VALUES = 2**24
"""Scores that are computed at once."""


@dataclass(frozen=True)
class Bands:
    """Half-widths of bands in units of the members' spread.

    Attributes
    ----------
    levels
        (levels,), shares of truths inside: of each value, or of all values of a sample at once.
    floor
        (values,), spread below which members' agreement means nothing: a share of the median error there.
    pointwise
        (levels, values), factors of each value's band; infinite where there were too few samples to tell.
    whole
        (levels,), factors of the band that holds all values of a sample.

    Values, and samples, that are not there count for neither.
    """

    levels: FloatArray
    floor: FloatArray
    pointwise: FloatArray
    whole: FloatArray

    def unit(self, spread: ArrayLike) -> FloatArray:
        """Return what the factors multiply, (n, values), for a spread of the members, (n, values)."""
        return _unit(spread, _of_samples(spread), self.floor)

    def half_widths(self, spread: ArrayLike, level: float) -> tuple[FloatArray, FloatArray]:
        """Return half of the widths, (n, values), of the bands of each value, and of those that hold all values.

        Raises
        ------
        InputError
            If there are no bands of that level.
        """
        places = np.flatnonzero(np.isclose(self.levels, level))
        if not len(places):
            raise InputError(f"no bands of level {level:g} (there: {', '.join(f'{each:g}' for each in self.levels)})")
        unit = self.unit(spread)
        return unit * self.pointwise[places[0]], unit * self.whole[places[0]]

    def covered(
        self, truth: ArrayLike, predicted: ArrayLike, spread: ArrayLike, level: float
    ) -> tuple[BoolArray, BoolArray]:
        """Return whether each value, (n, values), and all values of each sample, (n,), lie in their band.

        A value that is NaN does not count: it lies inside.
        """
        error = np.abs(np.asarray(truth, dtype=float) - predicted)
        of_each, of_all = self.half_widths(spread, level)
        inside: BoolArray = ~(error > of_each)
        whole: BoolArray = np.all(~(error > of_all), axis=1)
        return inside, whole


def fit_bands(truth: ArrayLike, predicted: ArrayLike, spread: ArrayLike, levels: Sequence[float] = LEVELS) -> Bands:
    """Return bands for samples like some that no network has seen.

    Parameters
    ----------
    truth, predicted
        (n, values); values that are NaN in either do not count.
    spread
        (n, values), standard deviation of what the members say.
    levels
        Each between 0 and 1.
    """
    truth, predicted, spread = (np.asarray(values) for values in (truth, predicted, spread))
    n, values = truth.shape
    worst, floor, of_samples = np.full(n, -np.inf), np.empty(values), _of_samples(spread)
    pointwise = np.empty((len(levels), values))
    columns = max(1, _VALUES // max(1, n))
    for start in range(0, values, columns):
        part = slice(start, start + columns)
        error = np.abs(truth[:, part].astype(float) - predicted[:, part])
        known = ~np.isnan(error)
        # What half of the samples have exactly has no width there but what members differ by.
        floor[part] = [
            max(ERROR_SHARE * np.median(own[k]) if k.any() else 0.0, np.finfo(np.float32).tiny)
            for own, k in zip(error.T, known.T, strict=True)
        ]
        scores = np.where(known, error / _unit(spread[:, part], of_samples, floor[part]), -np.inf)
        worst = np.maximum(worst, scores.max(axis=1))
        pointwise[:, part] = np.transpose([quantiles(own[k], levels) for own, k in zip(scores.T, known.T, strict=True)])
    return Bands(np.array(levels), floor, pointwise, quantiles(worst[worst > -np.inf], levels))


def _of_samples(spread: ArrayLike) -> FloatArray:
    """Return the root mean square spread of each sample, (n, 1)."""
    found: FloatArray = np.sqrt(np.square(spread, dtype=float).mean(axis=1, keepdims=True))
    return found


def _unit(spread: ArrayLike, of_samples: FloatArray, floor: FloatArray) -> FloatArray:
    found: FloatArray = np.sqrt(np.square(spread, dtype=float) + (SAMPLE_SHARE * of_samples) ** 2 + floor**2)
    return found


def quantiles(scores: ArrayLike, levels: Sequence[float]) -> FloatArray:
    """Return the scores that a new one exceeds with a chance of at most 1 − level: the ⌈(n + 1) level⌉-th of n.

    Infinite where n is too small for that.
    """
    ordered = np.append(np.sort(np.asarray(scores, dtype=float)), math.inf)
    places = [math.ceil(len(ordered) * level - 1e-9) for level in levels]
    return ordered[np.array(places) - 1]


def spread_of(said: Sequence[ArrayLike]) -> NDArray[np.float32]:
    """Return the standard deviation of what members say, in the shape of what each says."""
    mean = sum(np.asarray(own, np.float32) for own in said) / np.float32(len(said))
    squares = sum(np.square(np.asarray(own, np.float32) - mean) for own in said)
    found: NDArray[np.float32] = np.sqrt(squares / np.float32(len(said)))
    return found


@dataclass(frozen=True)
class Compared:
    """What is known and predicted of an output of n samples.

    Attributes
    ----------
    truth, predicted, spread
        (n, values); the truth is NaN where simulation or prediction has no value.
    """

    truth: FloatArray
    predicted: NDArray[np.float32]
    spread: NDArray[np.float32]

    @property
    def arrays(self) -> tuple[FloatArray, NDArray[np.float32], NDArray[np.float32]]:
        """The three."""
        return self.truth, self.predicted, self.spread

    def take(self, rows: NDArray[np.intp]) -> Compared:
        """Return some samples."""
        return Compared(self.truth[rows], self.predicted[rows], self.spread[rows])


def compare(outputs: Outputs, profiles: ArrayLike, predicted: ArrayLike, spread: ArrayLike) -> list[Compared]:
    """Return what is known of each output, of profiles, predictions and spreads of n samples, (n, *outputs.shape)."""
    found = []
    for k in range(len(outputs)):
        truth, said, apart = (outputs.flat(values, k) for values in (profiles, predicted, spread))
        both = outputs.has_value(profiles, k) & outputs.has_value(predicted, k)
        found.append(Compared(np.where(both[:, None], truth, np.nan).astype(float), said, apart))
    return found


def around(
    outputs: Outputs, bands: Sequence[Bands], predicted: NDArray[Any], spread: NDArray[Any], level: float
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Return the ends of bands around what is predicted of n samples: of values, and of all values of an output.

    Parameters
    ----------
    bands
        Of each output.
    predicted, spread
        (n, *outputs.shape), what the ensemble says, and the standard deviation of what its members say.

    Returns
    -------
    low, high, low of the whole, high of the whole
        (n, *outputs.shape), scaled as profiles are.

    Raises
    ------
    InputError
        If there are no bands of that level.
    """
    ends = tuple(np.empty_like(predicted) for _ in range(4))
    for k, (output, own) in enumerate(zip(outputs, bands, strict=True)):
        middle = outputs.flat(predicted, k).astype(float)
        # What is divided by its peak lies between 0 and 1.
        least, most = (0.0, 1.0) if output.scale == "peak" else (-np.inf, np.inf)
        of_each, of_all = own.half_widths(outputs.flat(spread, k), level)
        shifted = middle - of_each, middle + of_each, middle - of_all, middle + of_all
        for end, values in zip(ends, shifted, strict=True):
            outputs.flat(end, k)[:] = np.clip(values, least, most)
    return ends[0], ends[1], ends[2], ends[3]


@dataclass(frozen=True)
class Inside:
    """How many values lie in their bands, and are known, and how many samples do with all of theirs, and there are."""

    values: int = 0
    known: int = 0
    whole: int = 0
    samples: int = 0

    def __add__(self, other: Inside) -> Inside:
        return Inside(
            self.values + other.values, self.known + other.known, self.whole + other.whole, self.samples + other.samples
        )


def count_inside(bands: Bands, own: Compared, groups: Sequence[BoolArray], level: float = LEVEL) -> list[Inside]:
    """Return how many of each of some groups of samples, (n,) each, lie in their bands."""
    values, whole = bands.covered(*own.arrays, level)
    known = ~np.isnan(own.truth)
    # A sample without a value of the output is neither inside nor outside.
    some: BoolArray = np.any(known, axis=1)
    of_samples = (values & known).sum(axis=1), known.sum(axis=1), whole & some, some
    return [Inside(*(int(counts[group].sum()) for counts in of_samples)) for group in groups]
