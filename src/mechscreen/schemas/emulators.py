"""Networks, how they are used together, and what they predict of tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mechscreen.emulators.settings import Combine, Precision
from mechscreen.models import Output, Outputs
from mechscreen.models.distances import Distance
from mechscreen.schemas.model import Floats, ModelArrays, Singles
from mechscreen.spaces import Parameter, ParameterSpace
from mechscreen.spaces.parameter import Scale
from mechscreen.storage import ArrayFile, FileError, Record, StageRecord, read_text, write_text


class ParameterRecord(Record):
    """A parameter in the range that networks were trained on, and what they take for 0 and 1."""

    name: str
    low: float
    high: float
    zero: float
    one: float
    unit: str
    scale: Scale = "linear"
    categories: list[str] = Field(default_factory=list)


class MemberRecord(StageRecord):
    """A member of the ensemble: ``member.json``, which stands for its whole folder.

    Attributes
    ----------
    member, member_seed
        Its number, and the seed that its weights and batches come from.
    dataset
        Fingerprint of the training set.
    training_samples, validation_samples
        How many it learnt from, and was chosen by.
    architecture, training
        Settings, as in the campaign's section ``emulators``.
    epochs, best_epoch, validation_rmse
        Epochs run, the one whose weights were kept, and its error.
    seconds, weights
        Time of the training, and number of weights.
    model_sha256
        Of ``model.keras``.
    outputs
        `mechscreen.models.Output.to_record`, and its `deviation` (`mechscreen.schemas.dataset.Manifest`).
    """

    kind: Literal["ensemble member"] = "ensemble member"
    member: int
    member_seed: int
    dataset: str
    training_samples: int
    validation_samples: int
    architecture: dict[str, Any]
    training: dict[str, Any]
    epochs: int
    best_epoch: int
    validation_rmse: float
    seconds: float
    weights: int
    model_sha256: str
    parameters: list[ParameterRecord]
    outputs: list[dict[str, Any]]
    keras_version: str
    backend: str

    @property
    def space(self) -> ParameterSpace:
        """The parameters."""
        return ParameterSpace([Parameter.from_record(parameter.model_dump()) for parameter in self.parameters])

    @property
    def deviations(self) -> list[float]:
        """Unit of the errors of each output."""
        # Networks of earlier versions learnt profiles by their peaks alone.
        return [output.get("deviation", 1.0) for output in self.outputs]

    @property
    def distance(self) -> Distance:
        """What the model returns, and how that is compared."""
        return Distance.of(Outputs(map(Output.from_record, self.outputs)), self.deviations)


class EnsembleRecord(Record):
    """How an ensemble was evaluated: ``ensemble.json`` beside its members.

    Attributes
    ----------
    members
        SHA-256 of each member's network, by the name of its folder.
    combine, precision, backend
        As in the campaign's section ``emulators``.
    """

    members: dict[str, str]
    combine: Combine
    precision: Precision
    backend: str


@dataclass(frozen=True, kw_only=True)
class PredictedTable(ArrayFile, kind="predicted table"):
    """What `mechscreen predict` writes.

    Attributes
    ----------
    members, combine, backend
        Number of networks, how they were used together, and what computed them.
    """

    members: int
    combine: str
    backend: str
    parameters: Annotated[Floats, "n d"]
    profiles: Annotated[Singles, "n *shape"]
    log_peaks: Annotated[Singles, "n outputs"]
    disagreement: Annotated[Singles, "n"]
    about: ModelArrays


def write_history(path: Path, epochs: Sequence[Mapping[str, float]]) -> None:
    """Write the history of a training, a row for each epoch: ``history.csv`` beside the member's record."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(epochs[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: f"{value:.7g}" for name, value in row.items()} for row in epochs)
    write_text(path, text.getvalue())


def read_history(path: Path) -> dict[str, NDArray[np.float64]]:
    """Return the columns of a member's history of training.

    Raises
    ------
    InputError
        If there is no such file, or it holds something else.
    """
    rows = list(csv.DictReader(read_text(path).splitlines()))
    try:
        return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}
    except (IndexError, ValueError, TypeError) as error:
        raise FileError(path, f"not a history of training ({error})", "train the member again") from None
