"""How the members learnt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mechscreen.figures import style
from mechscreen.figures.text import count

_PANELS = {
    "loss": "loss (training)",
    "validation_rmse": "RMSE of profiles (validation)",
    "validation_log_peak_rmse": "RMSE of ln(peak) (validation)",
}


@style.styled
def draw(histories: Sequence[Mapping[str, NDArray[Any]]]) -> Figure:
    """Draw the learning curves.

    Parameters
    ----------
    histories
        Per member the columns of its history, each (epochs,): `epoch`, `loss`, `validation_rmse` and
        `validation_log_peak_rmse`.
    """
    figure = Figure(figsize=(style.WIDTH, 3.0))
    # Where no output has a peak of its own, there is no error of it.
    panels = {column: label for column, label in _PANELS.items() if any((h[column] > 0).any() for h in histories)}
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    for ax, (column, label) in zip(axes, panels.items(), strict=True):
        for member, history in enumerate(histories):
            colour = style.CYCLE[member % len(style.CYCLE)]
            epoch, values = history["epoch"], history[column]
            # A short history would not show as a line.
            ax.plot(epoch, values, ".-" if len(epoch) < 5 else "-", color=colour, lw=1.1, label=f"member {member}")
            if column != "loss":
                best = _best(history)
                ax.plot(epoch[best], values[best], "o", ms=6, mfc="white", mec=colour, mew=1.4, zorder=5)
        ax.set(yscale="log", xlabel="epoch")
        style.log_axis(ax.yaxis)
        ax.set_title(label, loc="left")
        ax.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper right", ncols=6)
    return figure


def caption(histories: Sequence[Mapping[str, NDArray[Any]]]) -> str:
    """Return the numbers of this run; `histories` as for `draw`."""
    kept = [f"{int(h['epoch'][_best(h)])} of {len(h['epoch'])}" for h in histories]
    return f"{count(len(histories), 'member')}; epoch kept: {', '.join(kept)}."


def _best(history: Mapping[str, NDArray[Any]]) -> int:
    return int(np.argmin(history["validation_rmse"]))
