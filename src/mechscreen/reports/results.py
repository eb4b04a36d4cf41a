"""A campaign's results, read as they are needed."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.models import Output
from mechscreen.models.distances import Distance
from mechscreen.relations import FORMS, Relation, fit_relation
from mechscreen.schemas.dataset import Manifest
from mechscreen.schemas.emulators import read_history
from mechscreen.schemas.evaluation import Metrics, Predictions
from mechscreen.schemas.screen import ScreenSummary
from mechscreen.schemas.validation import ValidatedHits, ValidationSummary
from mechscreen.spaces import Parameter
from mechscreen.tally import plane_pairs

if TYPE_CHECKING:
    from mechscreen.figures.pairs import Pair

_COUNTING = ("modes", "rings")
"""Objectives whose classes are numbers of what their names say."""


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
        return pairs(self.outputs, simulated, emulated, places)

    def hit_pairs(self, rows: NDArray[Any] | slice = slice(None)) -> list[Pair]:
        """Return the outputs of some validated hits, or all, both ways; first that which the objective looks at."""
        from mechscreen.figures.pairs import pairs

        hits = self.hits
        simulated = hits.profiles[rows], hits.log_peaks[rows]
        emulated = hits.emulated_profiles[rows], hits.emulated_log_peaks[rows]
        return pairs(self.outputs, simulated, emulated, self.order)

    def r_squared(self, output: Output) -> float | None:
        """R² of an output on the test split, about its mean; None where it does not vary, or was not measured."""
        # Evaluations of earlier versions have none.
        measured = self.metrics.outputs.get(output.name)
        return None if measured is None else measured.r2

    @property
    def useless(self) -> list[str]:
        """Names of the outputs for which the emulators are no better than the mean, or hardly."""
        from mechscreen.emulators.metrics import is_useless

        return [output.name for output in self.outputs if is_useless(self.r_squared(output))]

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
        """Name of each class."""
        return self.campaign.class_names

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
    def validation(self) -> ValidationSummary:
        """Figures of the validation."""
        return ValidationSummary.read(self.campaign.paths.validation_summary, self.campaign.identity("validation"))

    @cached_property
    def predictions(self) -> Predictions:
        """Simulated and emulated profiles of the test split."""
        return Predictions.read(self.campaign.paths.predictions, self.campaign.identity("evaluation"))

    @cached_property
    def screen(self) -> ScreenSummary:
        """Counts of the screen."""
        return ScreenSummary.read(self.campaign.paths.screen_summary, self.campaign.identity("screen"))

    @cached_property
    def hits(self) -> ValidatedHits:
        """The validated hits."""
        return ValidatedHits.read(self.campaign.paths.validation_hits, self.campaign.identity("validation"))

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
        """Lines through the target's samples over one of the planes, (x, y, line); the straightest first."""
        counts = self.target_planes[0][plane]
        bins = len(counts)
        i, j = plane_pairs(len(self.varied))[plane]
        first, second = self.varied[i], self.varied[j]
        if any(p.discrete or p.scale != "linear" for p in (first, second)):
            # Bins are not equally wide in their values, which a line is fitted to.
            return []
        found = []
        for x, y, counted in ((first, second, counts), (second, first, counts.T)):
            across, up = (p.low + (np.arange(bins) + 0.5) / bins * (p.high - p.low) for p in (x, y))
            for form in FORMS if x.low > 0 else FORMS[:1]:
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
