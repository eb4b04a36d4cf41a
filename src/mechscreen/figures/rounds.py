"""What each round of learning brought: error of the ensemble, and disagreement of its members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mechscreen.figures import style
from mechscreen.figures.text import number


@style.styled
def draw(samples: Sequence[int], error: Sequence[float], disagreement: Sequence[float | None]) -> Figure:
    """Draw errors over training samples.

    Parameters
    ----------
    samples
        Of the training split, in each round.
    error, disagreement
        Mean RMSE of the ensemble on the test split, and mean disagreement of its members there; None where that is not
        known.
    """
    figure = Figure(figsize=(0.75 * style.WIDTH, 3.6))
    ax = figure.subplots()
    rounds = np.arange(1, len(samples) + 1)
    ax.plot(rounds, error, "o-", color=style.CYCLE[0], label="error of the ensemble")
    known = [np.nan if value is None else value for value in disagreement]
    ax.plot(rounds, known, "s--", color=style.CYCLE[1], mfc="white", label="disagreement of its members")
    for place, n, value in zip(rounds, samples, error, strict=True):
        ax.annotate(f"{n:,}", (float(place), value), textcoords="offset points", xytext=(0, 7), ha="center", fontsize=8)
    ax.set(xlabel="round", ylabel="RMSE on the test split", ylim=(0, 1.2 * np.nanmax([*error, *known])))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(loc="lower left")
    return figure


def caption(samples: Sequence[int], error: Sequence[float], disagreement: Sequence[float | None]) -> str:
    """Return the numbers of this run; arguments as for `draw`."""
    steps = " → ".join(number(value) for value in error)
    return f"Mean RMSE {steps} with {' → '.join(f'{n:,}' for n in samples)} training samples."
