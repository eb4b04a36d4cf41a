"""How far hits are from the model's own profiles, and from all that the emulators learnt from."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.figures import style
from mechscreen.figures.text import count, number


@style.styled
def draw(rmse: NDArray[Any], distance: NDArray[Any], rmse_limit: float) -> Figure:
    """Draw the two histograms.

    Parameters
    ----------
    rmse
        (n,), of the validated hits; NaN where the model failed.
    distance
        (confirmed,), RMSE to the nearest training profile.
    """
    solved = rmse[np.isfinite(rmse)]
    if not len(solved):
        return style.message("No hits to show: the screen found none, or none could be simulated.")
    figure = Figure(figsize=(style.WIDTH, 2.8))
    left, right = figure.subplots(1, 2)
    _histogram(left, solved, "RMSE to the simulation", "validated hits")
    left.axvline(rmse_limit, **style.LIMIT, label=f"limit {rmse_limit:g}")
    left.legend()
    if len(distance):
        _histogram(right, distance, "RMSE to the nearest training profile", "confirmed hits")
    else:
        right.text(0.5, 0.5, "no confirmed hit", ha="center", va="center", transform=right.transAxes)
        right.set_axis_off()
    return figure


def caption(rmse: NDArray[Any], distance: NDArray[Any], rmse_limit: float) -> str:
    """Return the numbers of this run; arguments as for `draw`."""
    solved = rmse[np.isfinite(rmse)]
    if not len(solved):
        return "There is no hit to show."
    text = f"Of {count(len(rmse), 'validated hit')}, {int((solved <= rmse_limit).sum()):,} stay within "
    text += f"{rmse_limit:g}; mean RMSE {number(solved.mean())}"
    if len(solved) < len(rmse):
        text += f"; {len(rmse) - len(solved):,} could not be simulated"
    if len(distance):
        text += f". Median distance to the training split: {number(float(np.median(distance)))}"
    return text + "."


def _histogram(ax: Axes, values: NDArray[Any], x_label: str, y_label: str) -> None:
    positive = values[values > 0]
    low = float(positive.min()) if len(positive) else 1e-6
    edges = np.geomspace(low / 1.2, max(float(values.max()), low) * 1.2, 31)
    ax.hist(np.maximum(values, low), bins=list(edges), color=style.BLUE)
    ax.set(xscale="log", xlabel=x_label, ylabel=y_label)
    style.log_axis(ax.xaxis)
