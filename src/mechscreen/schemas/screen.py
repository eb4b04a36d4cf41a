"""The screen: what is kept of its blocks, and of all of them together.

Names in shapes, besides those of the package: hits; targets, classes that are looked for; varied, parameters that span
the planes; planes, pairs of them; bins, of a parameter; levels, bins of disagreement; batches, of a block; failures,
samples that the model failed for.

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


@dataclass(frozen=True, kw_only=True)
class PartialBlock(ScreenBlock, kind="partial screen block"):
    """A block as far as it is, until it is whole: ``block-00017.h5.partial``; done: which of its batches are."""

    done: Annotated[Booleans, "batches"]


@dataclass(frozen=True, kw_only=True)
class ScreenSummary(ArrayFile, kind="screen summary"):
    """Counts of all blocks (`mechscreen.tally.Counts`): ``screen/summary.h5``."""

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


@dataclass(frozen=True, kw_only=True)
class ScreenHits(ArrayFile, kind="screen hits"):
    """The hits that the blocks kept, in the order of their sample numbers: ``screen/hits.h5``."""

    samples: int
    totals: Totals
    hits: HitColumns
    about: ModelArrays
