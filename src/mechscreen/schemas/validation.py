"""What the model makes of the hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mechscreen.schemas.model import Booleans, Floats, Integers, ModelArrays, Singles, Texts
from mechscreen.storage import ArrayFile, Record, StageRecord

FAILED = -1
"""Label of a simulation that failed."""


@dataclass(frozen=True, kw_only=True)
class ValidatedHits(ArrayFile, kind="validation"):
    """Hits that were simulated: ``validation/hits.h5``.

    Attributes
    ----------
    index, parameters, disagreement, emulated_…
        As in `mechscreen.schemas.screen.HitColumns`.
    labels
        Class of the simulation, `FAILED` where there is none.
    profiles, log_peaks, status, reasons
        As in `mechscreen.schemas.simulations.SimulationFile`.
    rmse, log_peak_error
        Distance of what was emulated from the simulation (`mechscreen.models.distances.Distance`), and that of the log
        peaks; NaN where the simulation failed.
    confirmed, same_class
        Whether the model confirms the hit (`ValidationSummary.confirmed_by`), and its simulation is of the emulated
        class.
    nearest_distance, nearest_index
        The nearest sample of the training split: distance of the simulation from it, and number; NaN and −1 where
        there is none.
    sensitivity
        How far the model's outputs move when the parameters change by 5·10⁻⁶ of their values, in units of their
        deviations; NaN where that was not measured.
    emulated_spread
        Standard deviation of what the members say; validations of earlier versions, and of screens by the model, lack
        it.
    probability
        That the hit is of the target's classes, where probabilities are asked for (``calibration.count``).
    """

    rmse_limit: float
    index: Annotated[Integers, "n"]
    parameters: Annotated[Floats, "n d"]
    disagreement: Annotated[Singles, "n"]
    emulated_labels: Annotated[Integers, "n"]
    emulated_profiles: Annotated[Singles, "n *shape"]
    emulated_log_peaks: Annotated[Singles, "n outputs"]
    labels: Annotated[Integers, "n"]
    profiles: Annotated[Singles, "n *shape"]
    log_peaks: Annotated[Floats, "n outputs"]
    status: Annotated[NDArray[np.uint8], "n"]
    reasons: Annotated[Texts, "n"]
    rmse: Annotated[Floats, "n"]
    log_peak_error: Annotated[Floats, "n outputs"]
    confirmed: Annotated[Booleans, "n"]
    same_class: Annotated[Booleans, "n"]
    nearest_distance: Annotated[Floats, "n"]
    nearest_index: Annotated[Integers, "n"]
    sensitivity: Annotated[Floats, "n outputs"]
    emulated_spread: Annotated[Singles, "n *shape"] | None = None
    probability: Annotated[Floats, "n"] | None = None
    class_names: Annotated[Texts, "classes"]
    about: ModelArrays

    def __len__(self) -> int:
        return len(self.index)

    @property
    def stands(self) -> NDArray[np.bool_]:
        """(n,), whether the model confirms the hit, in the class that was emulated."""
        return self.confirmed & self.same_class

    @property
    def by_trust(self) -> NDArray[np.intp]:
        """Rows by trust.

        First those that the model confirms with the class that was emulated, then those of another class, then the
        rest; in each, the smallest error first.
        """
        return np.lexsort((self.rmse, ~self.confirmed, ~self.stands))


class Share(Record):
    """How many, their share, and its 95 % confidence interval; None where there is nothing."""

    count: int
    share: float | None
    interval: tuple[float, float] | None

    @classmethod
    def of(cls, count: int, total: int) -> Self:
        """Return the share of so many in all, with its interval (Wilson 1927)."""
        from scipy.stats import binomtest  # takes a second

        if not total:
            return cls(count=0, share=None, interval=None)
        interval = binomtest(count, total).proportion_ci(0.95, method="wilson")
        return cls(count=count, share=count / total, interval=(float(interval.low), float(interval.high)))


class Spread(Record):
    """Mean, standard deviation, median, least and largest value; None where there are too few values."""

    mean: float | None
    sd: float | None
    median: float | None
    least: float | None
    largest: float | None


class ClassShares(Record):
    """What came of the hits of an emulated class."""

    found: int
    validated: int
    confirmed: Share
    same_class: Share


@dataclass(frozen=True, kw_only=True)
class Surveyed(ArrayFile, kind="survey"):
    """A sample of all screened sets, in strata by probability: ``validation/survey.h5``.

    Attributes
    ----------
    least, sizes, expected
        Of each stratum: the probability of the target that its sets have at least, how many there are, and their mean
        probability.
    kept
        Whether its sets are hits.
    looked, found
        How many of it were simulated, drawn at random, and were of the target.
    index, parameters
        What was simulated: number among the screen's samples, and physical values.
    labels
        Its class, `FAILED` where there is none.
    """

    least: Annotated[Floats, "strata"]
    sizes: Annotated[Integers, "strata"]
    expected: Annotated[Floats, "strata"]
    kept: Annotated[Booleans, "strata"]
    looked: Annotated[Integers, "strata"]
    found: Annotated[Integers, "strata"]
    index: Annotated[Integers, "n"]
    parameters: Annotated[Floats, "n d"]
    labels: Annotated[Integers, "n"]
    class_names: Annotated[Texts, "classes"]


@dataclass(frozen=True, kw_only=True)
class Robustness(ArrayFile, kind="robustness"):
    """How far each parameter of hits may move alone before the behaviour is lost: ``validation/robustness.h5``.

    Attributes
    ----------
    index, parameters
        (n,) and (n, d), of the hits: number among the screen's samples, and physical values.
    left_out
        Hits that were to be moved, and which the ensemble does not label so: they are hits by their probability.
    varied
        (varied,), the parameters that moved.
    kept
        (n, varied, 2), how far each may move down and up, by the ensemble, in shares of its range.
    whole
        Whether that is all the way to the end of its range, or to where constraints allow no more.
    checked_hit, checked_parameter, checked_side, checked_inside
        (m,), places of which the model was asked: row and column of `kept`, 0 for down and 1 for up, and whether it is
        where the behaviour is kept last, or lost first.
    in_target, simulated
        (m,), whether the model says that the behaviour is kept there, and whether it could be simulated.
    """

    index: Annotated[Integers, "n"]
    parameters: Annotated[Floats, "n d"]
    left_out: int
    varied: Annotated[Integers, "varied"]
    kept: Annotated[Floats, "n varied 2"]
    whole: Annotated[Booleans, "n varied 2"]
    checked_hit: Annotated[Integers, "m"]
    checked_parameter: Annotated[Integers, "m"]
    checked_side: Annotated[Integers, "m"]
    checked_inside: Annotated[Booleans, "m"]
    in_target: Annotated[Booleans, "m"]
    simulated: Annotated[Booleans, "m"]
    about: ModelArrays

    def __len__(self) -> int:
        return len(self.index)

    @property
    def least(self) -> NDArray[np.float64]:
        """(n,), how far any parameter may move, down or up: the least of those that do not reach an end."""
        return np.where(self.whole, 1.0, self.kept).min(axis=(1, 2), initial=1.0)

    def confirmed(self, inside: bool) -> Share:
        """Return how often the model says what the ensemble does: that the behaviour is kept last, or lost first."""
        rows = self.simulated & (self.checked_inside == inside)
        return Share.of(int((self.in_target[rows] == inside).sum()), int(rows.sum()))


class Known(Record):
    """A share as far as it is known: an estimate, and 95 % intervals; None where nothing is.

    Attributes
    ----------
    value, if_calibrated
        If probabilities that were expected are wrong in all strata alike (`mechscreen.strata.rates_if_calibrated`).
    trusting_nothing
        By what was simulated alone (`mechscreen.strata.rates_by_counts`).
    """

    value: float | None
    if_calibrated: tuple[float | None, float | None]
    trusting_nothing: tuple[float | None, float | None]


class Population(Record):
    """What a survey says of all screened sets.

    Attributes
    ----------
    simulated, failed, found
        Parameter sets of the survey, simulations of them that failed, which are of no class, and that were of the
        target.
    expected
        How many of the target there were to be by their probabilities.
    training
        Training simulations by which the prevalence is known too, since they are a random sample; None: they are not,
        or contradict the survey.
    contradicting
        Then, which share of them is of the target.
    prevalence, precision, recall
        Share of the screened sets that are of the target, of the hits that are, and of those of the target that are
        hits.
    """

    simulated: int
    failed: int
    found: int
    expected: float
    training: int | None
    contradicting: float | None = None
    prevalence: Known
    precision: Known
    recall: Known


class ValidationSummary(StageRecord):
    """The figures of the validation: ``validation/summary.json``.

    Attributes
    ----------
    target, disagreement_limit, rmse_limit
        What was looked for, and what counts as a hit and as confirmed.
    hits_found, hits_kept, hits_discarded
        Of the screen; discarded are those that its members disagree about.
    selection, validated, failed
        How the hits that were simulated were chosen, how many, and how many of these simulations failed.
    confirmed_by
        What confirms a hit: ``class``, one that was asked for; ``curve``, a distance within `rmse_limit`; or features,
        each with its relative error. Before edition 2 of the campaign's defaults it was the curve.
    confirmed, same_class, confirmed_and_same_class, within_limit, beyond_limit
        Shares of those that were validated: within the limit is the distance; beyond_limit are those that were
        simulated and not confirmed.
    indeterminate
        Of these, what moves by more than `rmse_limit` when parameters change in the sixth digit.
    emulated_classes, simulated_classes
        By the class that was emulated, and number by the class that the model says.
    rmse, log_peak_error, disagreement, nearest_training_distance
        Of all hits that were simulated; the last of those confirmed.
    training_samples, training_classes, training_target
        Samples of the training split, by class, and of the target, without imported ones.
    population
        What a survey of all screened sets says (``validation.survey``); None without one.
    """

    kind: Literal["validation"] = "validation"
    target: list[str]
    disagreement_limit: float
    rmse_limit: float
    hits_found: int
    hits_kept: int
    hits_discarded: int
    selection: str
    validated: int
    failed: int
    confirmed_by: str | dict[str, float] = "curve"
    confirmed: Share
    within_limit: Share | None = None
    beyond_limit: Share
    indeterminate: Share
    same_class: Share
    confirmed_and_same_class: Share
    rmse: Spread
    emulated_classes: dict[str, ClassShares]
    log_peak_error: Spread
    disagreement: Spread
    simulated_classes: dict[str, int]
    nearest_training_distance: Spread
    training_samples: int
    training_classes: dict[str, int]
    training_target: int
    population: Population | None = None
