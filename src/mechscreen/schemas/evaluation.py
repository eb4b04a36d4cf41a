"""What the ensemble makes of the test split, and how its error falls with the number of samples."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mechscreen.emulators.conformal import Bands, Inside
from mechscreen.emulators.metrics import is_useless
from mechscreen.figures.text import percent
from mechscreen.schemas.model import Floats, Integers, ModelArrays, Singles
from mechscreen.storage import ArrayFile, Record, StageRecord

_ENOUGH, _BY_CHANCE = 10, 1.64
"""Samples, and standard deviations, of `Confusion.knows_nothing`."""
_OTHER, _FAR = 3.0, 4.0
"""Factor, and standard deviations, by which shares differ that are told of."""


@dataclass(frozen=True, kw_only=True)
class Predictions(ArrayFile, kind="predictions"):
    """The test split, simulated and predicted: ``evaluation/predictions.h5``.

    Attributes
    ----------
    backend
        What computed the predictions.
    error, member_errors
        Distance of the ensemble, and of each member, from the simulation (`mechscreen.models.distances.Distance`).
    spread
        Standard deviation of what the members say; evaluations of earlier versions lack it.
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
    spread: Annotated[Singles, "n *shape"] | None = None
    about: ModelArrays


@dataclass(frozen=True, kw_only=True)
class PatternsFile(ArrayFile, kind="patterns"):
    """What outputs the ensemble says there are, whatever is looked for: ``evaluation/patterns.h5``.

    Attributes
    ----------
    looked
        Random parameter sets that it predicted.
    groups, silhouette
        How many of what is shown are groups, the rest being unusual, and how far these are apart
        (`mechscreen.patterns.Patterns`).
    share
        (n,), of all sets, those of the group, or nearer to it than to all else that is shown.
    labels, disagreement
        (n,), class, and how far the members are apart.
    parameters, profiles, log_peaks
        (n, …), of what is shown.
    others
        (n, some, *shape), profiles of some sets of each group; NaN of what is unusual.
    """

    looked: int
    groups: int
    silhouette: float
    share: Annotated[Floats, "n"]
    labels: Annotated[Integers, "n"]
    disagreement: Annotated[Singles, "n"]
    parameters: Annotated[Floats, "n d"]
    profiles: Annotated[Singles, "n *shape"]
    log_peaks: Annotated[Singles, "n outputs"]
    others: Annotated[Singles, "n some *shape"]
    about: ModelArrays

    def __len__(self) -> int:
        return len(self.share)


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
    """Errors of an output alone.

    Attributes
    ----------
    r2
        About the mean at each point; evaluations of earlier versions lack it.
    noise
        Of a mean of replicates, the share of the mean square error that is noise of the mean; None of others.
    """

    r2: float | None = None
    noise: float | None = None


class Coverage(Record):
    """Which shares of values, and of samples all of whose values, lie in their bands; None where there are none."""

    samples: int
    values: float | None
    whole: float | None

    @classmethod
    def of(cls, inside: Inside, samples: int) -> Self:
        """Return the shares of what was counted, of so many different samples."""
        return cls(
            samples=samples,
            values=inside.values / inside.known if inside.known else None,
            whole=inside.whole / inside.samples if inside.samples else None,
        )


class BandMeasures(Record):
    """What bands of an output are worth (`mechscreen.emulators.conformal`).

    Attributes
    ----------
    level
        Share that is to lie inside.
    test, classes
        What lies inside, of halves of the test split with bands that follow from the others, and of the samples of each
        class: means over some ways to halve it.
    width
        Median of the widths of values' bands, in the unit of the output's errors.
    floor, pointwise, whole
        The bands that follow from the whole test split (`mechscreen.emulators.conformal.Bands`), of this level.
    """

    level: float
    test: Coverage
    classes: dict[str, Coverage]
    width: float
    floor: list[float]
    pointwise: list[float]
    whole: float

    @property
    def bands(self) -> Bands:
        """The bands, by which hits are judged, and examples drawn."""
        pointwise = np.array([self.pointwise])
        return Bands(np.array([self.level]), np.array(self.floor), pointwise, np.array([self.whole]))


class Confusion(Record):
    """How many samples of each class (rows) are taken for each class (columns), and which share for their own."""

    classes: list[str]
    counts: list[list[int]]
    same_class: float

    @property
    def samples(self) -> NDArray[np.int64]:
        """(classes,), simulated samples of each class."""
        return np.array(self.counts, dtype=np.int64).sum(axis=1)

    @property
    def knows_nothing(self) -> bool:
        """Whether the ensemble names classes no better than who always names the commonest.

        Among samples that one of the two names rightly and the other wrongly, the ensemble is right for no more than
        half, or for so few more (of ten and more) that one-sided chance has 5 % (McNemar 1947). False of one class
        alone.
        """
        counts, samples = np.array(self.counts, dtype=np.int64), self.samples
        if np.count_nonzero(samples) < 2:
            return False
        commonest = int(samples.argmax())
        lost = int(samples[commonest] - counts[commonest, commonest])
        gained = int(np.trace(counts) - counts[commonest, commonest])
        apart = gained + lost
        return gained <= lost or (apart >= _ENOUGH and gained - lost < _BY_CHANCE * math.sqrt(apart))


class DisagreementBins(Record):
    """Means of bins of disagreement (`mechscreen.emulators.metrics.DisagreementCurve`)."""

    disagreement: list[float | None]
    error: list[float | None]
    standard_error: list[float | None]
    count: list[float | None]


class DisagreementMeasures(Record):
    """What the screen's limit keeps and discards, and how disagreement and error go together.

    Attributes
    ----------
    mean
        Mean disagreement; evaluations of earlier versions have none.
    """

    limit: float
    mean: float | None = None
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


class Influence(Record):
    """What a parameter has to do with a feature: Sobol's indices and rank correlation, with standard errors.

    None where they are not defined (`mechscreen.importance.Influences`).
    """

    first: float | None
    first_error: float | None
    total: float | None
    total_error: float | None
    correlation: float | None
    correlation_error: float | None


class FeatureImportance(Record):
    """What decides a feature: the share of the parameter sets that lack it, and the influence of each parameter."""

    undefined: float
    parameters: dict[str, Influence]


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
    bands
        What bands are worth, of each output by name; none of a test split that is too small, and in evaluations of
        earlier versions.
    importance, features
        What decides the class and each output, and each of the campaign's features, by name; evaluations of earlier
        versions have no `features`.
    """

    kind: Literal["metrics"] = "metrics"
    network: str
    combine: str
    backend: str = "not recorded"
    ensemble: Measures
    members: list[Measures]
    outputs: dict[str, OutputMeasures] = Field(default_factory=dict)
    classes: dict[str, Measures]
    bands: dict[str, BandMeasures] = Field(default_factory=dict)
    confusion: Confusion
    disagreement: DisagreementMeasures
    importance: Importance
    features: dict[str, FeatureImportance] = Field(default_factory=dict)

    @property
    def useless(self) -> list[str]:
        """Names of the outputs for which the emulators are no better than the mean, or hardly."""
        return [name for name, measured in self.outputs.items() if is_useless(measured.r2)]

    @property
    def doubts(self) -> list[str]:
        """Sentences on what the emulators do not know."""
        said = []
        for name in self.useless:
            r2 = self.outputs[name].r2
            assert r2 is not None
            than = "they are no better than its mean" if r2 <= 0 else "they hardly know more of it than its mean"
            said.append(
                f"The emulators are WORTHLESS for {name}: {than} (R² {r2:.2f}); what they say of it, and hits that "
                "depend on it, mean nothing."
            )
        if self.confusion.knows_nothing:
            samples = self.confusion.samples
            commonest = self.confusion.classes[int(samples.argmax())]
            said.append(
                f"The ensemble names the class of {percent(self.confusion.same_class)} of the test samples, no better "
                f"than always to name the commonest, {commonest} ({percent(samples.max() / samples.sum())}): its "
                "classes, and hits, mean nothing."
            )
        return said

    def doubts_of_share(self, targets: Collection[str], found: float, screened: int) -> list[str]:
        """Return a sentence where the target is much rarer, or commoner, in the screen than among simulations.

        Parameters
        ----------
        targets
            Classes that are looked for; none where their shares cannot be compared.
        found, screened
            Parameter sets of theirs, whatever the members' disagreement, and all, of a screen of the same space.
        """
        samples = self.confusion.samples
        tested, all_tested = (
            int(samples[[name in targets for name in self.confusion.classes]].sum()),
            int(samples.sum()),
        )
        if not targets or not all_tested or not screened:
            return []
        simulated, emulated = tested / all_tested, found / screened
        most = max(simulated, emulated)
        by_chance = _FAR * math.sqrt(most * (1 - most) / all_tested)
        if min(simulated, emulated) * _OTHER >= most or abs(simulated - emulated) <= by_chance:
            return []
        what = "do not know it" if emulated < simulated else "see it where it is not"
        return [
            f"The target has {percent(simulated)} of the simulated test samples and {percent(emulated)} of the "
            f"screened parameter sets: the emulators {what}."
        ]


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
