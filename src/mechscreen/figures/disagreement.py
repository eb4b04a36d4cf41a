"""Does disagreement between members tell of error? (Wang et al. 2019, Fig. 4b)."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.emulators.metrics import disagreement_curve
from mechscreen.figures import style
from mechscreen.figures.text import count, number, percent


@style.styled
def draw(disagreement: NDArray[Any], error: NDArray[Any], limit: float | None) -> Figure:
    """Draw error against disagreement of the test samples; both (n,), RMSE of profiles.

    Parameters
    ----------
    limit
        Beyond which a screen discards; None where it keeps hits by their probability.
    """
    shown = _positive(disagreement, error)
    if not shown.any():
        return style.message("No disagreement to show: an ensemble of one member cannot disagree with itself.")
    x, y = disagreement[shown], error[shown]
    figure = Figure(figsize=(style.WIDTH, 3.8))
    ax = figure.subplots()
    ax.scatter(x, y, s=4, color="0.45", alpha=min(0.6, max(0.12, 400 / len(x))), lw=0)
    bins = disagreement_curve(x, y)
    means = ax.errorbar(bins.disagreement, bins.error, bins.standard_error, fmt="o", color="black", ms=4, lw=1)
    means.set_label("mean of a bin ± s.e.")
    if limit is not None:
        ax.axvline(limit, **style.LIMIT, label=f"limit of the screen, {limit:g}")
    ax.set(xscale="log", yscale="log")
    ax.set(xlabel="disagreement of the members (RMSE)", ylabel="error of the ensemble (RMSE)")
    style.log_axis(ax.xaxis)
    style.log_axis(ax.yaxis)
    ax.legend(loc="upper left")
    return figure


def caption(disagreement: NDArray[Any], error: NDArray[Any], limit: float | None) -> str:
    """Return the numbers of this run; arguments as for `draw`."""
    if not _positive(disagreement, error).any():
        return "This ensemble has one member, hence no disagreement."
    text = count(len(error), "test sample")
    text += f"; rank correlation {number(disagreement_curve(disagreement, error).spearman)}"
    if limit is None:
        return text + "."
    kept = disagreement <= limit
    text += ". The screen discards what lies right of the dashed limit"
    text += f". Kept at the limit {limit:g}: {percent(kept.mean())}"
    if kept.any():
        text += f", mean error {number(error[kept].mean())}"
    if not kept.all():
        text += f"; discarded: {percent((~kept).mean())}, mean error {number(error[~kept].mean())}"
    return text + "."


def _positive(disagreement: NDArray[Any], error: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which samples logarithmic axes can hold."""
    return (disagreement > 0) & (error > 0)
