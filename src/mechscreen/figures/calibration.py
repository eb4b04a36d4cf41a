"""Are probabilities of classes what they say? A reliability diagram (DeGroot & Fienberg 1983, Statistician 32:12)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.emulators.metrics import Reliability, reliability
from mechscreen.figures import style
from mechscreen.figures.text import count, number

_ADDED = 0.5
"""Added to finds and misses, so that a share of 0 or 1 has an error, too (Agresti & Coull)."""


def curves(
    judged: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any], class_names: Sequence[str]
) -> dict[str, Reliability]:
    """Return how reliable the probabilities of each class are, by name; of those that any sample may be of.

    Parameters
    ----------
    judged
        (n, classes), probabilities by calibrations that do not know the samples.
    labels, weights
        (n,), class of each, and how many it stands for.
    """
    found = {name: reliability(judged[:, k], labels == k, weights) for k, name in enumerate(class_names)}
    return {name: curve for name, curve in found.items() if curve.count.sum()}


@style.styled
def draw(judged: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any], class_names: Sequence[str]) -> Figure:
    """Draw shares over probabilities for each class; arguments as for `curves`."""
    found = curves(judged, labels, weights, class_names)
    if not found:
        return style.message("No class has a probability that is worth telling.")
    figure = Figure(figsize=(0.75 * style.WIDTH, 4.6))
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color="0.6", lw=1)
    for place, (name, curve) in enumerate(found.items()):
        n = curve.effective + 2 * _ADDED
        smoothed = (curve.share * curve.effective + _ADDED) / n
        color, marker = style.CYCLE[place % len(style.CYCLE)], "osD^vP*"[place % 7]
        ax.errorbar(
            curve.probability,
            curve.share,
            np.sqrt(smoothed * (1 - smoothed) / n),
            color=color,
            marker=marker,
            ms=4,
            lw=1,
            label=name,
        )
    ax.set(xlabel="probability", ylabel="share in the simulations", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    ax.set_aspect("equal")
    ax.legend(loc="lower right", title="class")
    return figure


def caption(judged: NDArray[Any], labels: NDArray[Any], weights: NDArray[Any], class_names: Sequence[str]) -> str:
    """Return the numbers of this run; arguments as for `curves`."""
    errors = [
        f"{name} {number(curve.error)} ({count(int(curve.count.sum()), 'simulation')})"
        for name, curve in curves(judged, labels, weights, class_names).items()
    ]
    text = f"{count(len(labels), 'simulation')} that no network has seen"
    return f"{text}; mean distance from the diagonal: {', '.join(errors)}." if errors else f"{text}."
