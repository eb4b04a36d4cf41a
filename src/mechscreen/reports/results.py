"""A campaign's results, read as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.emulators.conformal import LEVEL, Bands, around, compare, count_inside
from mechscreen.models import Output
from mechscreen.models.distances import Distance
from mechscreen.models.outputs import Status
from mechscreen.relations import FORMS, Relation, fit_relation
from mechscreen.reports import best, surveyed
from mechscreen.reports.hits import features_of
from mechscreen.schemas.calibration import CalibrationFile
from mechscreen.schemas.dataset import Manifest
from mechscreen.schemas.emulators import read_history
from mechscreen.schemas.evaluation import Coverage, Metrics, PatternsFile, Predictions
from mechscreen.schemas.fits import Largest, Polished, Posterior, PosteriorSummary
from mechscreen.schemas.screen import ScreenHits, ScreenSummary
from mechscreen.schemas.validation import Robustness, Surveyed, ValidatedHits, ValidationSummary
from mechscreen.spaces import Parameter
from mechscreen.storage import exists
from mechscreen.tally import plane_pairs, random_keys

if TYPE_CHECKING:
    from mechscreen.figures.fits import Measured
    from mechscreen.figures.largest import Found
    from mechscreen.figures.pairs import Pair
    from mechscreen.figures.patterns import Shown
    from mechscreen.reports.largest import Best

_COUNTING = ("modes", "rings")
"""Objectives whose classes are numbers of what their names say."""

_MOST_HITS = 20_000
"""Hits of the screen that features are computed of, at most."""
_AT_ONCE = 1000


@dataclass(frozen=True)
class SampledHits:
    """A random sample of the hits that a screen found, or all of them.

    Attributes
    ----------
    found
        How many hits there are.
    labels, parameters, features
        (n,), their emulated classes; (n, d), physical values; (n,) each, what the campaign's features say of what was
        emulated, by name.
    """

    found: int
    labels: NDArray[np.int64]
    parameters: NDArray[np.float64]
    features: dict[str, NDArray[np.float64]]

    def __len__(self) -> int:
        return len(self.labels)


@dataclass(frozen=True)
class Round:
    """What a round learnt from, and how good its ensemble is."""

    manifest: Manifest
    metrics: Metrics


class Results:
    """A campaign's results, read as they are needed."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.outputs = campaign.outputs

    @cached_property
    def distance(self) -> Distance:
        """How outputs are compared."""
        return Distance.of(self.outputs, self.manifest.deviations)

    def test_pairs(self, places: Sequence[int] | None = None) -> list[Pair]:
        """Return the outputs at some places, or all, of the test split, both ways."""
        from mechscreen.figures.pairs import pairs

        test = self.predictions
        simulated, emulated = (test.profiles, test.log_peaks), (test.predicted_profiles, test.predicted_log_peaks)
        return pairs(self.outputs, simulated, emulated, places, ends=self._ends(test.predicted_profiles, test.spread))

    def hit_pairs(self, rows: NDArray[Any] | slice = slice(None)) -> list[Pair]:
        """Return the outputs of some validated hits, or all, both ways; first that which the objective looks at."""
        from mechscreen.figures.pairs import OF_EMULATOR, OF_MODEL, pairs

        hits = self.hits
        simulated = hits.profiles[rows], hits.log_peaks[rows]
        emulated = hits.emulated_profiles[rows], hits.emulated_log_peaks[rows]
        ways = OF_MODEL if self.campaign.by_model else OF_EMULATOR
        spread = None if hits.emulated_spread is None else hits.emulated_spread[rows]
        return pairs(self.outputs, simulated, emulated, self.order, ways, self._ends(emulated[0], spread))

    def _ends(self, predicted: NDArray[Any], spread: NDArray[Any] | None) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Return the ends of the bands of what is predicted, by the spread of the members; None without bands."""
        if spread is None or not self.bands:
            return None
        return around(self.outputs, self.bands, predicted, spread, LEVEL)[:2]

    def r_squared(self, output: Output) -> float | None:
        """R² of an output on the test split, about its mean; None where it does not vary, or was not measured."""
        # Evaluations of earlier versions have none.
        measured = self.metrics.outputs.get(output.name)
        return None if measured is None else measured.r2

    @property
    def useless(self) -> list[str]:
        """Names of the outputs for which the emulators are no better than the mean, or hardly."""
        return self.metrics.useless

    @property
    def doubts(self) -> list[str]:
        """Sentences on what is not to be believed: of the emulators, of the target's share, of the training set."""
        totals, campaign = self.screen.totals, self.campaign
        target = campaign.screen.objective.target if campaign.screens_all else ()
        of_share = self.metrics.doubts_of_share(target, totals.of_target, self.screen.samples)
        population = self.validation.population
        of_survey = [] if self.surveyed is None or population is None else surveyed.doubts(self.surveyed, population)
        return [*self.metrics.doubts, *of_share, *of_survey, *self.manifest.doubts, *best.doubts(self)]

    @property
    def objective(self) -> str:
        """What the classes tell apart, in words."""
        return self.campaign.screen.objective.name.rpartition(":")[2].replace("_", " ")

    @property
    def order(self) -> list[int]:
        """Places of the outputs, the one that the objective looks at first, where it says which."""
        first = self.campaign.about.objective.output
        return [first, *(k for k in range(len(self.outputs)) if k != first)]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class that the screen counts."""
        return self.campaign.screen_classes

    @property
    def classes(self) -> list[str]:
        """Each class as people call it: ``3 rings``, ``first half``."""
        return [self.called(name) for name in self.class_names]

    @property
    def target(self) -> str:
        """What is looked for: ``3 or 4 rings``."""
        return self.called(" or ".join(self.campaign.screen.objective.target))

    @property
    def varied(self) -> list[Parameter]:
        """The parameters that span the planes."""
        space = self.campaign.screen_space
        return [space.parameters[j] for j in space.varied]

    @cached_property
    def manifest(self) -> Manifest:
        """What the training set holds."""
        return Manifest.read(self.campaign.paths.manifest, self.campaign.identity("dataset"))

    @cached_property
    def metrics(self) -> Metrics:
        """Errors of the ensemble and its members on the test split."""
        return Metrics.read(self.campaign.paths.metrics, self.campaign.identity("evaluation"))

    @cached_property
    def rounds(self) -> list[Round]:
        """What each round of learning brought."""
        return [
            Round(
                Manifest.read(view.paths.manifest, view.identity("dataset")),
                Metrics.read(view.paths.metrics, view.identity("evaluation")),
            )
            for view in self.campaign.in_rounds
        ]

    @cached_property
    def calibration(self) -> CalibrationFile:
        """Probabilities of classes."""
        return CalibrationFile.read(self.campaign.paths.calibrated, self.campaign.identity("calibration"))

    @cached_property
    def bands(self) -> list[Bands]:
        """Bands around what the ensemble predicts of each output; [] where those of any were not found."""
        found = {} if self.campaign.by_model else self.metrics.bands
        if not all(output.name in found for output in self.outputs):
            return []
        return [found[output.name].bands for output in self.outputs]

    @cached_property
    def hits_in_bands(self) -> dict[str, Coverage]:
        """What of the validated hits lies in their bands, of each output by its name; {} where that is not known."""
        hits, bands = self.hits, self.bands
        ok = hits.status == Status.OK
        if not bands or hits.emulated_spread is None or not ok.any():
            return {}
        compared = compare(self.outputs, hits.profiles[ok], hits.emulated_profiles[ok], hits.emulated_spread[ok])
        n = int(ok.sum())
        found = {}
        for output, of_output, own in zip(self.outputs, bands, compared, strict=True):
            (inside,) = count_inside(of_output, own, [np.ones(n, bool)])
            found[output.name] = Coverage.of(inside, n)
        return found

    @cached_property
    def validation(self) -> ValidationSummary:
        """Figures of the validation."""
        return ValidationSummary.read(self.campaign.paths.validation_summary, self.campaign.identity("validation"))

    @cached_property
    def predictions(self) -> Predictions:
        """Simulated and emulated profiles of the test split."""
        return Predictions.read(self.campaign.paths.predictions, self.campaign.identity("evaluation"))

    @cached_property
    def patterns(self) -> PatternsFile | None:
        """What outputs there are, whatever is looked for; None where an earlier version evaluated."""
        path = self.campaign.paths.patterns
        return PatternsFile.read(path, self.campaign.identity("evaluation")) if exists(path) else None

    def shown_patterns(self) -> Shown:
        """Return what outputs there are, to be drawn."""
        from mechscreen.figures import patterns  # loads what draws

        found = self.patterns
        assert found is not None
        n, some = found.others.shape[:2]
        others = found.others.reshape(n * some, *found.others.shape[2:])

        def drawn(profiles: NDArray[Any], k: int) -> NDArray[Any]:
            outputs = self.outputs
            by_peak = outputs[k].scale == "peak"
            return (
                outputs.of(profiles, k)
                if by_peak
                else outputs.in_units(profiles, np.zeros((len(profiles), len(outputs))), k)
            )

        places = range(len(self.outputs))
        return patterns.Shown(
            self.outputs,
            [drawn(found.profiles, k) for k in places],
            [drawn(others, k).reshape(n, some, *self.outputs[k].shape) for k in places],
            found.groups,
            found.silhouette,
            found.looked,
            found.share,
            [self.classes[label] for label in found.labels.tolist()],
        )

    @cached_property
    def screen(self) -> ScreenSummary:
        """Counts of the screen."""
        return ScreenSummary.read(self.campaign.paths.screen_summary, self.campaign.identity("hits"))

    @cached_property
    def robustness(self) -> Robustness | None:
        """How far parameters of hits may move; None where that is not asked for."""
        if not self.campaign.validation.robustness:
            return None
        return Robustness.read(self.campaign.paths.robustness, self.campaign.identity("validation"))

    @cached_property
    def surveyed(self) -> Surveyed | None:
        """The sample of all screened sets; None where there is none."""
        if not self.campaign.surveyed:
            return None
        return Surveyed.read(self.campaign.paths.survey, self.campaign.identity("validation"))

    @cached_property
    def polished(self) -> Polished | None:
        """The sets that explain measured data best; None where none are looked for."""
        if not (self.campaign.matches and self.campaign.searches):
            return None
        return Polished.read(self.campaign.paths.polished, self.campaign.identity("polished"))

    @cached_property
    def largest(self) -> Largest | None:
        """The sets of the largest values; None where none are looked for."""
        if not (self.campaign.maximises and self.campaign.searches):
            return None
        return Largest.read(self.campaign.paths.polished, self.campaign.identity("polished"))

    @cached_property
    def posterior(self) -> Posterior | None:
        """Draws of the posterior; None where there are none."""
        if not self.campaign.drawn:
            return None
        return Posterior.read(self.campaign.paths.posterior, self.campaign.identity("posterior"))

    @cached_property
    def known(self) -> PosteriorSummary | None:
        """How well the parameters are known; None where no posterior was sampled."""
        if not self.campaign.drawn:
            return None
        return PosteriorSummary.read(self.campaign.paths.posterior_summary, self.campaign.identity("posterior"))

    def measured(self) -> list[Measured]:
        """Return each output that was measured, and what the sets say of it that explain it."""
        from mechscreen.figures import fits  # loads what draws

        found, draws, outputs = self.polished, self.posterior, self.outputs
        assert found is not None
        measured = []
        for k in np.unique(found.measured_output[found.measured_output >= 0]).tolist():
            rows = found.measured_output == k
            predicted = np.empty((0, *outputs[k].shape))
            if draws is not None:
                ok = draws.status == Status.OK
                predicted = outputs.in_units(draws.profiles[ok], draws.log_peaks[ok], k)
            measured.append(
                fits.Measured(
                    outputs[k],
                    found.measured_at[rows],
                    found.measured_value[rows],
                    found.measured_error[rows],
                    outputs.in_units(found.profiles[:1], found.log_peaks[:1], k)[0],
                    predicted,
                )
            )
        return measured

    @cached_property
    def best_sets(self) -> Best:
        """All that was simulated, by the values that were to be large (`mechscreen.reports.largest.best`)."""
        from mechscreen.reports import largest

        return largest.best(self)

    def found_largest(self) -> Found:
        """Return the largest values that were found, to be drawn."""
        from mechscreen.figures import largest as figure  # loads what draws
        from mechscreen.reports import largest

        found, space = self.largest, self.campaign.screen_space
        assert found is not None
        known = self.best_sets
        varied = list(space.varied)
        return figure.Found(
            largest.labels(self),
            found.emulated,
            found.simulated,
            "model" if self.campaign.polishes_by_model else "emulators",
            known.values[~known.from_search],
            known.emulated[~known.from_search],
            known.values[known.rows],
            [space[space.names[k]] for k in varied],
            known.parameters[known.rows][:, varied],
        )

    @cached_property
    def hits(self) -> ValidatedHits:
        """The validated hits."""
        return ValidatedHits.read(self.campaign.paths.validation_hits, self.campaign.identity("validation"))

    @cached_property
    def hit_features(self) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Each feature of the validated hits by its name: (n,) emulated, and (n,) simulated."""
        return features_of(self.campaign, self.hits)

    @cached_property
    def sampled(self) -> SampledHits:
        """A random sample of the hits of the screen, each class as frequent as among all."""
        campaign = self.campaign
        identity = campaign.identity("hits")
        found = {label: int(self.screen.found[label]) for label in campaign.targets}
        with ScreenHits.open(
            campaign.paths.screen_hits, identity, d=len(campaign.space), shape=campaign.outputs.shape
        ) as file:
            labels, keys = np.asarray(file.hits.labels), random_keys(np.asarray(file.hits.index))
            kept = {label: np.flatnonzero(labels == label) for label in found}
            # Blocks keep so many hits of each class: of the frequent ones a smaller share.
            shares = [len(rows) / found[label] for label, rows in kept.items() if found[label]]
            share = min([*shares, _MOST_HITS / max(1, sum(found.values()))])
            chosen = [
                rows[np.argsort(keys[rows])[: min(len(rows), round(share * found[label]))]]
                for label, rows in kept.items()
            ]
            rows = np.sort(np.concatenate(chosen))
            # Their outputs together may be more than memory holds.
            parts = [
                campaign.features(file.hits.profiles[some], file.hits.log_peaks[some])
                for some in np.array_split(rows, max(1, -(-len(rows) // _AT_ONCE)))
            ]
            features = {name: np.concatenate([part[name] for part in parts]) for name in campaign.features.names}
            return SampledHits(sum(found.values()), labels[rows], np.asarray(file.hits.parameters[rows]), features)

    @cached_property
    def histories(self) -> list[dict[str, NDArray[np.float64]]]:
        """Columns of each member's history of training."""
        members = range(self.campaign.emulators.members)
        return [read_history(self.campaign.paths.member(k) / "history.csv") for k in members]

    @cached_property
    def target_planes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Histograms over the planes: of the target's samples, and of all."""
        planes = self.screen.planes
        return planes[list(self.campaign.targets)].sum(axis=0), planes.sum(axis=0)

    @cached_property
    def relations(self) -> list[tuple[Parameter, Parameter, Relation]]:
        """Lines through the target's samples, (x, y, line), for a screen of two parameters; the straightest first."""
        return self.relations_over(0) if len(self.varied) == 2 else []

    def relations_over(self, plane: int) -> list[tuple[Parameter, Parameter, Relation]]:
        """Lines through the target's samples over one of the planes, (x, y, line); the straightest first.

        Lines are straight on the axes of the plane: on two in decades, a line is a power law.
        """
        counts = self.target_planes[0][plane]
        bins = len(counts)
        i, j = plane_pairs(len(self.varied))[plane]
        first, second = self.varied[i], self.varied[j]
        if first.discrete or second.discrete:
            # Bins are not equally wide in their values, which a line is fitted to.
            return []
        found = []
        for x, y, counted in ((first, second, counts), (second, first, counts.T)):
            across, up = (_centres(p, bins) for p in (x, y))
            # On an axis in decades, 1/x is a straight line, too.
            for form in FORMS if x.scale == "linear" and x.low > 0 else FORMS[:1]:
                relation = fit_relation(counted, across, up, form)
                if relation is not None:
                    found.append((x, y, relation))
        return sorted(found, key=lambda item: -item[2].r2_means)

    @cached_property
    def verdicts(self) -> list[str]:
        """What the model makes of each validated hit: its class, or why there is none."""
        labels, reasons = self.hits.labels, self.hits.reasons
        return [
            self.classes[label] if label >= 0 else f"failed ({reason})"
            for label, reason in zip(labels, reasons, strict=True)
        ]

    def called(self, name: str) -> str:
        """Return a class's name as people call it: with what it counts, where the objective is built in.

        Others say themselves what their classes are called.
        """
        if self.campaign.screen.objective.name not in _COUNTING:
            return name
        return f"{name} {self.objective.removesuffix('s') if name == '1' else self.objective}"


def _centres(parameter: Parameter, bins: int) -> NDArray[np.float64]:
    """Return the coordinates of the centres of bins: values, or decimal logarithms on an axis in decades."""
    ends = np.log10(parameter.ends) if parameter.scale == "log" else np.array(parameter.ends)
    return ends[0] + (np.arange(bins) + 0.5) / bins * (ends[1] - ends[0])
