"""What the ensemble makes of the test split, and how its error falls with the number of samples."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field

from mechscreen.schemas.model import Floats, Integers, ModelArrays, Singles
from mechscreen.storage import ArrayFile, Record, StageRecord


@dataclass(frozen=True, kw_only=True)
class Predictions(ArrayFile, kind="predictions"):
    """The test split, simulated and predicted: ``evaluation/predictions.h5``.

    Attributes
    ----------
    backend
        What computed the predictions.
    error, member_errors
        Distance of the ensemble, and of each member, from the simulation (`mechscreen.models.distances.Distance`).
    """

    backend: str = "not recorded"
    index: Annotated[Integers, "n"]
    parameters: Annotated[Floats, "n d"]
    profiles: Annotated[Singles, "n *shape"]
    log_peaks: Annotated[Singles, "n outputs"]
    labels: Annotated[Integers, "n"]
    predicted_profiles: Annotated[Singles, "n *shape"]
    predicted_log_peaks: Annotated[Singles, "n outputs"]
    predicted_labels: Annotated[Integers, "n"]
    disagreement: Annotated[Singles, "n"]
    error: Annotated[Floats, "n"]
    member_errors: Annotated[Floats, "n members"]
    about: ModelArrays


class Measures(Record):
    """Errors on a set of samples (`mechscreen.emulators.metrics.summarise`); None where one is undefined."""

    samples: int
    rmse: float | None
    rmse_median: float | None
    rmse_90_percent: float | None
    l2_norm: float | None
    ks_distance: float | None
    kl_divergence: float | None
    log_peak_rmse: float | None
    r2_shape: float | None
    r2_peak: float | None


class OutputMeasures(Measures):
    """Errors of an output alone; r2, about the mean at each point, which evaluations of earlier versions lack."""

    r2: float | None = None


class Confusion(Record):
    """How many samples of each class (rows) are taken for each class (columns), and which share for their own."""

    classes: list[str]
    counts: list[list[int]]
    same_class: float


class DisagreementBins(Record):
    """Means of bins of disagreement (`mechscreen.emulators.metrics.DisagreementCurve`)."""

    disagreement: list[float | None]
    error: list[float | None]
    standard_error: list[float | None]
    count: list[float | None]


class DisagreementMeasures(Record):
    """What the screen's limit keeps and discards, and how disagreement and error go together."""

    limit: float
    kept: float
    rmse_kept: float | None
    rmse_discarded: float | None
    pearson: float | None
    spearman: float | None
    bins: DisagreementBins


class Indices(Record):
    """Sobol's indices of a parameter for each quantity, first order and total, with standard errors."""

    first: list[float | None]
    first_error: list[float | None]
    total: list[float | None]
    total_error: list[float | None]


class Importance(Record):
    """Which share of the variance of some quantities each parameter explains."""

    quantities: list[str]
    parameters: dict[str, Indices]


class Metrics(StageRecord):
    """How good the emulators are: ``evaluation/metrics.json``.

    Attributes
    ----------
    network, combine, backend
        As in the campaign's section ``emulators``.
    ensemble, members
        Errors of the ensemble, and of each network.
    outputs, classes
        Errors of each output, and of the samples of each class, by name; evaluations of earlier versions have no
        `outputs`.
    """

    kind: Literal["metrics"] = "metrics"
    network: str
    combine: str
    backend: str = "not recorded"
    ensemble: Measures
    members: list[Measures]
    outputs: dict[str, OutputMeasures] = Field(default_factory=dict)
    classes: dict[str, Measures]
    confusion: Confusion
    disagreement: DisagreementMeasures
    importance: Importance


class SizeMeasures(Record):
    """What was learnt from so many samples.

    Attributes
    ----------
    wrong
        Share of the test samples whose error is beyond `LearningCurve.error_limit`.
    """

    training_samples: int
    ensemble: Measures
    wrong: float
    member_rmse: list[float]


class LearningCurve(StageRecord):
    """How the error on the test split falls with the training samples: ``learning/<network>/learning.json``."""

    kind: Literal["learning curve"] = "learning curve"
    network: str
    combine: str
    test_samples: int
    error_limit: float
    sizes: list[SizeMeasures]
