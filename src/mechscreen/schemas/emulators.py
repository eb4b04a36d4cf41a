"""Networks, how they are used together, and what they predict of tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mechscreen.emulators.conformal import Bands
from mechscreen.emulators.settings import Combine, Precision
from mechscreen.models import Output, Outputs
from mechscreen.models.distances import Distance
from mechscreen.schemas.model import Floats, ModelArrays, Singles, Texts
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
class EnsembleBands(ArrayFile, kind="bands"):
    """Bands around what an ensemble predicts: ``bands.h5`` beside its members (`mechscreen.emulators.conformal.Bands`).

    Values are those of a sample one output after the other.

    Attributes
    ----------
    combine
        How the members were used together.
    samples
        How many of the test split they follow from.
    networks
        SHA-256 of each member's network, in their order.
    """

    combine: str
    samples: int
    networks: Annotated[Texts, "members"]
    levels: Annotated[Floats, "levels"]
    floor: Annotated[Floats, "values"]
    pointwise: Annotated[Floats, "levels values"]
    whole: Annotated[Floats, "levels outputs"]
    log_peak_floor: Annotated[Floats, "outputs"]
    log_peak: Annotated[Floats, "levels outputs"]

    @classmethod
    def of(
        cls, of_values: Sequence[Bands], of_log_peaks: Sequence[Bands], combine: str, samples: int, networks: list[str]
    ) -> Self:
        """Return those of each output's values and log peaks."""
        return cls(
            combine=combine,
            samples=samples,
            networks=np.array(networks, dtype=str),
            levels=of_values[0].levels,
            floor=np.concatenate([bands.floor for bands in of_values]),
            pointwise=np.concatenate([bands.pointwise for bands in of_values], axis=1),
            whole=np.stack([bands.whole for bands in of_values], axis=1),
            log_peak_floor=np.concatenate([bands.floor for bands in of_log_peaks]),
            log_peak=np.concatenate([bands.pointwise for bands in of_log_peaks], axis=1),
        )

    def of_values(self, outputs: Outputs, k: int) -> Bands:
        """Return the bands of the values of output k."""
        part = slice(outputs.starts[k], outputs.starts[k + 1])
        return Bands(self.levels, self.floor[part], self.pointwise[:, part], self.whole[:, k])

    def of_log_peaks(self, k: int) -> Bands:
        """Return the bands of the log peaks of output k."""
        return Bands(self.levels, self.log_peak_floor[[k]], self.log_peak[:, [k]], self.log_peak[:, k])


@dataclass(frozen=True, kw_only=True)
class PredictedTable(ArrayFile, kind="predicted table"):
    """What `mechscreen predict` writes.

    Attributes
    ----------
    members, combine, backend
        Number of networks, how they were used together, and what computed them.
    level
        Of the bands, where these were asked for.
    low, high
        Ends of the band of each value, scaled as the profiles are.
    whole_low, whole_high
        Ends of the band that holds all values of an output at once.
    log_peak_low, log_peak_high
        Ends of the band of each log peak.
    """

    members: int
    combine: str
    backend: str
    level: float | None = None
    parameters: Annotated[Floats, "n d"]
    profiles: Annotated[Singles, "n *shape"]
    log_peaks: Annotated[Singles, "n outputs"]
    disagreement: Annotated[Singles, "n"]
    low: Annotated[Singles, "n *shape"] | None = None
    high: Annotated[Singles, "n *shape"] | None = None
    whole_low: Annotated[Singles, "n *shape"] | None = None
    whole_high: Annotated[Singles, "n *shape"] | None = None
    log_peak_low: Annotated[Singles, "n outputs"] | None = None
    log_peak_high: Annotated[Singles, "n outputs"] | None = None
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
