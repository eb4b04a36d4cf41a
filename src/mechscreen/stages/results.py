"""A campaign's results, read as they are needed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign, Stage
from mechscreen.errors import InputError
from mechscreen.models import Parameter
from mechscreen.registry import OBJECTIVES
from mechscreen.relations import FORMS, Relation, fit_relation
from mechscreen.stages import evaluate, validate
from mechscreen.stages.screen import SUMMARY_KIND
from mechscreen.stages.train import read_history
from mechscreen.tally import plane_pairs


class Results:
    """A campaign's results, read as they are needed."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.outputs = campaign.model_instance.outputs

    @property
    def objective(self) -> str:
        """What the classes tell apart, in words."""
        return self.campaign.screen.objective.name.rpartition(":")[2].replace("_", " ")

    @property
    def order(self) -> list[int]:
        """Places of the outputs, the one that the objective looks at first, where it says which."""
        first = getattr(self.campaign.objective, "output", 0)
        return [first, *(k for k in range(len(self.outputs)) if k != first)]

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class."""
        return self.campaign.objective.class_names

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
    def manifest(self) -> Mapping[str, Any]:
        """What the training set holds."""
        return self._json(self.campaign.paths.manifest, "dataset")

    @cached_property
    def metrics(self) -> Mapping[str, Any]:
        """Errors of the ensemble and its members on the test split."""
        metrics = self._json(self.campaign.paths.metrics, "evaluation")
        self._check_evaluation(self.campaign.paths.metrics, metrics)
        return metrics

    @cached_property
    def validation(self) -> Mapping[str, Any]:
        """Figures of the validation."""
        return self._json(self.campaign.paths.validation_summary, "validation")

    @cached_property
    def predictions(self) -> storage.File:
        """Simulated and emulated profiles of the test split."""
        path = self.campaign.paths.predictions
        file = storage.read(path, evaluate.KIND, self.campaign.fingerprint("evaluation"))
        self._check_evaluation(path, file.attributes)
        return file

    @cached_property
    def screen(self) -> storage.File:
        """Counts of the screen."""
        return storage.read(self.campaign.paths.screen_summary, SUMMARY_KIND, self.campaign.fingerprint("screen"))

    @cached_property
    def hits(self) -> storage.File:
        """The validated hits."""
        return storage.read(self.campaign.paths.validation_hits, validate.KIND, self.campaign.fingerprint("validation"))

    @cached_property
    def histories(self) -> list[dict[str, NDArray[np.float64]]]:
        """Columns of each member's history of training."""
        members = range(self.campaign.emulators.members)
        return [read_history(self.campaign.paths.member(k) / "history.csv") for k in members]

    @cached_property
    def target_planes(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Histograms over the planes: of the target's samples, and of all."""
        planes = self.screen["planes"]
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
        labels, reasons = self.hits["labels"], self.hits["reasons"]
        return [
            self.classes[label] if label >= 0 else f"failed ({reason})"
            for label, reason in zip(labels, reasons, strict=True)
        ]

    def called(self, name: str) -> str:
        """Return a class's name as people call it: with what it counts, where the objective is built in.

        One that was added says itself what its classes are called.
        """
        if self.campaign.screen.objective.name not in OBJECTIVES.built_in:
            return name
        return f"{name} {self.objective.removesuffix('s') if name == '1' else self.objective}"

    def _check_evaluation(self, path: Path, attributes: Mapping[str, Any]) -> None:
        if attributes.get("evaluated_by") != self.campaign.evaluated_by:
            raise InputError(
                f"{path}: evaluated by another screen.objective or screen.disagreement_limit; run the workflow again "
                "(or mechscreen evaluate)"
            )

    def _json(self, path: Path, stage: Stage) -> Mapping[str, Any]:
        values = storage.read_json(path)
        fingerprint = self.campaign.fingerprint(stage)
        found = values.get("campaign") if isinstance(values, dict) else None
        if found != fingerprint:
            raise InputError(f"{path}: written by campaign {found} (this one is {fingerprint}); run its stage again")
        return values
