"""Pictures of a campaign's results: arrays in, Matplotlib figures and their captions out.

This module is light (no Matplotlib): the workflow reads names and texts from it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Description:
    """What a figure shows, whatever the run; the figure's own `caption` adds the run's numbers."""

    title: str
    text: str


FIGURES: Mapping[str, Description] = {
    "hits": Description(
        "Hits and what the model makes of them",
        "Emulated profiles of hits (orange, dashed) and the model's own simulations of the same parameters (black). "
        "They are taken at equal steps from the least to the largest error of all validated hits, so that the last "
        "are the worst. Ticked: the error is within the limit and the simulation is of the same class; all others "
        "have a cross and a red title. Where a profile runs along a radius, the disc beside it shows it from above: "
        "left half emulated, right half simulated, bright where the value is high.",
    ),
    "planes": Description(
        "Where the target lies in parameter space",
        "A panel for every two parameters. The colour is the density of the target relative to all samples of the "
        "screen: 1 is as frequent as on the whole, 3 is three times as frequent, 0 is absent. The diagonal shows "
        "the same for each parameter alone, with a dashed line at 1. Axes run over the campaign's range of a "
        "parameter, whose ends are marked.",
    ),
    "plane": Description(
        "The classes over the two parameters that vary",
        "Colour: the class that most samples of a cell have; white: no sample. The legend has their shares of all "
        "samples. Dashed: a least-squares line through the target's samples; of four (either parameter over the other, "
        "or over its inverse) the one that explains the means in the bins best.",
    ),
    "marginals": Description(
        "The classes along each parameter",
        "Frequency of each class along each parameter, relative to its frequency on the whole (dashed: 1). A class "
        "that does not depend on a parameter stays on the dashed line.",
    ),
    "accuracy": Description(
        "Emulated against simulated values",
        "Test split, which no network has seen. Left: every point of every profile, each profile divided by its own"
        " maximum; the colour counts the points of a cell. Right: the logarithm of those maxima. A perfect emulator"
        " stays on the line.",
    ),
    "profiles": Description(
        "Example profiles of the test split",
        "Simulations (black) and their emulations (orange, dashed). From left to right stand the samples of the "
        "least error, the quartiles and the largest error of each row, so that no column is a choice of good "
        "examples.",
    ),
    "disagreement": Description(
        "Disagreement of the members against error",
        "Disagreement of the ensemble's members, which the screen knows, against the error of the ensemble, which "
        "only a simulation can tell; both are RMSE of profiles. Grey: test samples. Black: means of 15 bins, "
        "equally wide on the logarithmic axis, with standard errors (none where a bin holds one sample). The screen"
        " discards what lies right of the dashed limit.",
    ),
    "novelty": Description(
        "How good, and how new, the hits are",
        "Left: RMSE between the emulated profile of each validated hit and the model's own; what lies right of the "
        "dashed limit is not confirmed. Right: RMSE between the simulated profile of each confirmed hit and the "
        "profile of the training split that is nearest to it; small values are patterns that the simulations held "
        "already.",
    ),
    "training": Description(
        "Training",
        "Loss on the training split while the weights change, and errors on the validation split at the end of each"
        " epoch. A circle marks the epoch whose weights are kept, the one of the least profile RMSE.",
    ),
}
"""Figures of a report, in its order; `mechscreen.stages.report.figure_names` says which ones a campaign has."""
