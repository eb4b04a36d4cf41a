"""The training set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from mechscreen.schemas.model import Floats, Integers, ModelArrays, Singles
from mechscreen.storage import ArrayFile, Record, StageRecord


@dataclass(frozen=True, kw_only=True)
class SplitShard(ArrayFile, kind="dataset"):
    """Usable samples of a split: ``dataset/train-00003.h5``.

    Attributes
    ----------
    split
        ``train``, ``validation`` or ``test``.
    index, parameters, profiles, log_peaks
        As in `mechscreen.schemas.simulations.SimulationFile`.
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
    samples: dict[str, int]
    dropped: Dropped
    files: list[SplitEntry]
