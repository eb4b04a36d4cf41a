"""Probabilities of classes, and what they follow from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.calibration import Calibration, Evidence
from mechscreen.schemas.model import Floats, Integers, Singles, Texts
from mechscreen.storage import ArrayFile


@dataclass(frozen=True, kw_only=True)
class CalibrationFile(ArrayFile, kind="calibration"):
    """How probabilities follow from what members say, and the simulations that say so: ``calibration/calibration.h5``.

    Attributes
    ----------
    candidates, failed
        How many parameter sets the ensemble looked at, and how many simulations of those that were chosen failed.
    class_names
        Of the objective.
    coefficients, before, after
        As of `mechscreen.emulators.calibration.Calibration`.
    index, parameters
        Number of each simulation among the candidates, and physical values.
    labels
        Its class.
    weights
        How many candidates it stands for.
    votes, stretched, disagreement
        What the members say of it (`mechscreen.emulators.calibration.Evidence`).
    judged
        Probabilities of the classes by a calibration that does not know this simulation: each of five parts was left
        out in turn.
    """

    candidates: int
    failed: int
    class_names: Annotated[Texts, "classes"]
    coefficients: Annotated[Floats, "classes features"]
    before: Annotated[Floats, "classes bins"]
    after: Annotated[Floats, "classes bins"]
    index: Annotated[Integers, "n"]
    parameters: Annotated[Floats, "n d"]
    labels: Annotated[Integers, "n"]
    weights: Annotated[Floats, "n"]
    votes: Annotated[Floats, "n classes"]
    stretched: Annotated[Floats, "n classes"]
    disagreement: Annotated[Singles, "n"]
    judged: Annotated[Floats, "n classes"]

    def __len__(self) -> int:
        return len(self.index)

    @property
    def calibration(self) -> Calibration:
        """How probabilities follow from the evidence."""
        return Calibration(self.coefficients, self.before, self.after)

    @property
    def evidence(self) -> Evidence:
        """What the members say of the simulations."""
        return Evidence(self.votes, self.stretched, self.disagreement)

    def brier(self, classes: NDArray[np.intp] | list[int]) -> tuple[float, float]:
        """Return the Brier score of the probability of some classes together, and that of saying their share of all."""
        true, p = np.isin(self.labels, classes), self.judged[:, classes].sum(axis=1)
        share = self.weights / self.weights.sum()
        base = float(share @ true)
        return float(share @ np.square(p - true)), base * (1 - base)
