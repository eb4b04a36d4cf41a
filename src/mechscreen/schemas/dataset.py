"""The training set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from mechscreen.figures.text import count, percent
from mechscreen.schemas.model import Floats, Integers, ModelArrays, Singles
from mechscreen.storage import ArrayFile, Record, StageRecord

FEW_TO_LEARN, FEW_TO_JUDGE = 100, 20
"""Fewer training samples teach a network little; fewer test or validation samples say little of it."""


def doubts_of(samples: Mapping[str, float], simulations: float, dropped: float, reason: str = "") -> list[str]:
    """Return sentences on what is wrong with a training set: too few samples, a model that fails for most.

    Parameters
    ----------
    samples
        Number by split.
    simulations, dropped
        How many there were, and are of no use.
    reason
        Why most of the latter are.
    """
    said = []
    learn, choose, judge = (round(samples[split]) for split in ("train", "validation", "test"))
    if learn < FEW_TO_LEARN or min(choose, judge) < FEW_TO_JUDGE:
        said.append(
            f"The networks have {count(learn, 'sample')} to learn from, {choose:,} to choose epochs by and {judge:,} "
            "to be judged by: so few teach little, and what they say of errors is chance; raise simulations.count."
        )
    if simulations and dropped > simulations / 2:
        most = f", most often: {reason}" if reason else ""
        said.append(
            f"Of the simulations {percent(dropped / simulations)} failed{most}: the screen goes through a space in "
            "which the model hardly runs; narrow the ranges, or state constraints."
        )
    return said


@dataclass(frozen=True, kw_only=True)
class SplitShard(ArrayFile, kind="dataset"):
    """Usable samples of a split: ``dataset/train-00003.h5``.

    Attributes
    ----------
    split
        ``train``, ``validation`` or ``test``.
    index, parameters, profiles, log_peaks
        As in `mechscreen.schemas.simulations.SimulationFile`; numbers from 10⁹ on are of imported simulations.
    """

    split: str
    index: Annotated[Integers, "n"]
    parameters: Annotated[Floats, "n d"]
    profiles: Annotated[Singles, "n *shape"]
    log_peaks: Annotated[Floats, "n outputs"]
    about: ModelArrays


class Reason(Record):
    """Why simulations were dropped, and how many; of reasons that differ in numbers alone, the first."""

    status: str
    reason: str
    count: int


class Dropped(Record):
    """Simulations that are of no use."""

    count: int
    reasons: list[Reason]


class SplitEntry(Record):
    """A file of the training set.

    Attributes
    ----------
    sha256
        Of all of the file.
    """

    file: str
    split: str
    rows: int
    sha256: str


class Manifest(StageRecord):
    """What the training set holds: ``dataset/manifest.json``.

    Attributes
    ----------
    parameters, outputs
        Names.
    sizes
        Values of each output.
    deviations
        Standard deviation of each output over the training split, as it is scaled: the unit of errors; 1 for profiles
        that are scaled by their peaks.
    simulations, selected
        Of this campaign and those that it goes on from; those of them that an ensemble selected.
    imported, repeated
        Simulations that people brought along and that the training split has besides; those that were left out, since
        the campaign has them itself.
    samples, dropped
        What came of them: number by split, and those that are of no use.
    files
        The campaign's own.
    """

    kind: Literal["dataset"] = "dataset"
    parameters: list[str]
    outputs: list[str]
    sizes: list[int] | None = None
    deviations: list[float] | None = None
    simulations: int
    selected: int = 0
    imported: int = 0
    repeated: int = 0
    samples: dict[str, int]
    dropped: Dropped
    files: list[SplitEntry]

    @property
    def doubts(self) -> list[str]:
        """Sentences on what is wrong with it (`doubts_of`)."""
        reason = self.dropped.reasons[0].reason if self.dropped.reasons else ""
        return doubts_of(self.samples, self.simulations, self.dropped.count, reason)
