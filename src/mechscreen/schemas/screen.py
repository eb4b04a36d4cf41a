"""The screen: what is kept of its blocks, and of all of them together.

Names in shapes, besides those of the package: hits; targets, classes that are looked for; varied, parameters that span
the planes; planes, pairs of them; bins, of a parameter; levels, bins of disagreement; batches, of a block; failures,
samples that the model failed for; odds, levels of probability (`mechscreen.odds`); drawn, samples of all probabilities.

Where probabilities are asked for (``calibration.count``), hits are the most probable sets, as many as are right with
``screen.confidence`` in the mean: which ones, only all blocks together say. Blocks keep those that may be hits, of
which a class is the likeliest of the target's, so many of each stratum of probability; arrays `probable` and `drawn_…`
are there, in other files they are not.

Where the model itself looks (``screen.by: model``), the last class is that of the samples that it failed for, arrays
`failed_…` are some of them, drawn at random (`mechscreen.tally.Failures`), and disagreement is 0.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mechscreen.schemas.model import Booleans, Floats, Integers, ModelArrays, Singles, Texts
from mechscreen.storage import ArrayFile

_Narrow = NDArray[np.uint32]
"""Counts of a block, which has fewer than 2^32 samples: half the space will do."""


@dataclass(frozen=True, kw_only=True)
class Totals(ArrayFile):
    """What was looked for, and how often it was found.

    Attributes
    ----------
    recall, recall_low, recall_high
        Share of the hits that a cascade finds, by its audit, with a 95 % confidence interval.
    backend
        What computed the predictions; several, where blocks differ.
    confidence, least_probability
        Of hits by probability: what was asked for, and what each of them has at least.
    expected_right, expected_missed
        By their probabilities, how many of the hits are of the target, and how many of the other samples.
    """

    objective: str
    disagreement_limit: float
    hits_found: int
    hits_discarded: int
    hits_kept: int
    recall: float | None = None
    recall_low: float | None = None
    recall_high: float | None = None
    backend: str = "not recorded"
    confidence: float | None = None
    least_probability: float | None = None
    expected_right: float | None = None
    expected_missed: float | None = None

    @property
    def of_target(self) -> float:
        """Samples that are of the target as far as the screen knows, hits or not."""
        if self.expected_right is None or self.expected_missed is None:
            return self.hits_found + self.hits_discarded
        return self.expected_right + self.expected_missed

    @property
    def backends(self) -> set[str]:
        """Names of what computed the predictions."""
        return set(self.backend.split(", "))


@dataclass(frozen=True, kw_only=True)
class Axes(ArrayFile):
    """Names of the classes and of the parameters that span the planes, and where bins begin and end."""

    class_names: Annotated[Texts, "classes"]
    targets: Annotated[Integers, "targets"]
    axes: Annotated[Texts, "varied"]
    pairs: Annotated[Integers, "planes 2"]
    disagreement_edges: Annotated[Floats, "edges"]


@dataclass(frozen=True, kw_only=True)
class HitColumns(ArrayFile):
    """Hits, as `mechscreen.tally.Hits` has them."""

    index: Annotated[Integers, "hits"]
    parameters: Annotated[Floats, "hits d"]
    labels: Annotated[Integers, "hits"]
    disagreement: Annotated[Singles, "hits"]
    profiles: Annotated[Singles, "hits *shape"]
    log_peaks: Annotated[Singles, "hits outputs"]
    probability: Annotated[Floats, "hits"] | None = None


@dataclass(frozen=True, kw_only=True)
class ScreenBlock(ArrayFile, kind="screen block"):
    """Counts (`mechscreen.tally.Counts`) and hits of a block: ``screen/block-00017.h5``."""

    block: int
    totals: Totals
    classes: Annotated[_Narrow, "classes"]
    trusted: Annotated[_Narrow, "classes"]
    planes: Annotated[_Narrow, "classes planes bins bins"]
    disagreement_levels: Annotated[_Narrow, "classes levels"]
    audit: Annotated[_Narrow, "2"]
    hits: HitColumns
    axes: Axes
    about: ModelArrays
    failed_index: Annotated[Integers, "failures"] | None = None
    failed_parameters: Annotated[Floats, "failures d"] | None = None
    failed_status: Annotated[NDArray[np.uint8], "failures"] | None = None
    failed_reasons: Annotated[Texts, "failures"] | None = None
    probable: Annotated[_Narrow, "classes odds"] | None = None
    drawn_index: Annotated[Integers, "drawn"] | None = None
    drawn_levels: Annotated[NDArray[np.uint16], "drawn"] | None = None


@dataclass(frozen=True, kw_only=True)
class PartialBlock(ScreenBlock, kind="partial screen block"):
    """A block as far as it is, until it is whole: ``block-00017.h5.partial``; done: which of its batches are."""

    done: Annotated[Booleans, "batches"]


@dataclass(frozen=True, kw_only=True)
class ScreenSummary(ArrayFile, kind="screen summary"):
    """Counts of all blocks (`mechscreen.tally.Counts`): ``screen/summary.h5``.

    Attributes
    ----------
    limit
        Of hits by probability: the level from which on samples are hits.
    """

    samples: int
    totals: Totals
    axes: Axes
    classes: Annotated[Integers, "classes"]
    trusted: Annotated[Integers, "classes"]
    planes: Annotated[Integers, "classes planes bins bins"]
    disagreement_levels: Annotated[Integers, "classes levels"]
    audit: Annotated[Integers, "2"]
    failed_index: Annotated[Integers, "failures"] | None = None
    failed_parameters: Annotated[Floats, "failures d"] | None = None
    failed_status: Annotated[NDArray[np.uint8], "failures"] | None = None
    failed_reasons: Annotated[Texts, "failures"] | None = None
    limit: int | None = None
    probable: Annotated[Integers, "classes odds"] | None = None
    drawn_index: Annotated[Integers, "drawn"] | None = None
    drawn_levels: Annotated[NDArray[np.uint16], "drawn"] | None = None

    @property
    def found(self) -> NDArray[np.int64]:
        """(classes,), hits of each: by probability where that is asked for, else those that are trusted."""
        if self.probable is None or self.limit is None:
            return self.trusted
        return self.probable[:, self.limit :].sum(axis=1)


@dataclass(frozen=True, kw_only=True)
class ScreenHits(ArrayFile, kind="screen hits"):
    """The hits that the blocks kept, in the order of their sample numbers: ``screen/hits.h5``."""

    samples: int
    totals: Totals
    hits: HitColumns
    about: ModelArrays
