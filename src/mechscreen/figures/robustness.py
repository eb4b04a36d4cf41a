"""How far each parameter of hits may move alone before the behaviour is lost."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from numpy.typing import NDArray

from mechscreen.figures import style
from mechscreen.figures.text import count, percent, plain

_MOST = (0.1, 0.9)


@style.styled
def draw(labels: Sequence[str], kept: NDArray[np.float64], whole: NDArray[np.bool_]) -> Figure:
    """Draw a row for each parameter, the one that may move least on top.

    Parameters
    ----------
    labels
        Of the parameters that moved.
    kept, whole
        (n, parameters, 2), as in `mechscreen.schemas.validation.Robustness`.
    """
    if not kept.size:
        return style.message("No hit to move: the model confirms none, or no parameter can move.")
    order = _order(kept)
    figure = Figure(figsize=(style.WIDTH, 0.3 * len(labels) + 0.9))
    ax = figure.subplots()
    for row, k in enumerate(order.tolist()):
        ax.axhspan(row - 0.32, row + 0.32, color="0.95", lw=0, zorder=0)
        for side, (sign, colour) in enumerate(((-1, style.BLUE), (1, style.VERMILION))):
            low, high = np.quantile(kept[:, k, side], _MOST)
            ax.plot([sign * low, sign * high], [row, row], color=colour, lw=2, solid_capstyle="butt")
            ax.plot(sign * np.median(kept[:, k, side]), row, "o", color=colour, ms=5)
    ax.axvline(0, color="black", lw=0.8)
    ax.set(xlim=(-1, 1), ylim=(len(labels) - 0.4, -0.6), xlabel="share of the range by which the parameter may move")
    ax.set_yticks(range(len(labels)), [labels[k] for k in order])
    ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{abs(100 * x):.0f} %"))
    for x, said, colour in ((-0.98, "down", style.BLUE), (0.98, "up", style.VERMILION)):
        ax.text(x, -0.75, said, color=colour, ha="left" if x < 0 else "right", va="bottom")
    ax.tick_params(left=False)
    ax.spines["left"].set_visible(False)
    return figure


def caption(labels: Sequence[str], kept: NDArray[np.float64], whole: NDArray[np.bool_]) -> str:
    """Return the numbers of this run; arguments as for `draw`."""
    if not kept.size:
        return "There is nothing to show."
    least = np.where(whole, 1.0, kept).min(axis=(1, 2))
    tightest = plain(labels[int(_order(kept)[0])])
    return (
        f"{count(len(kept), 'hit')}; in the median any parameter may move by {percent(float(np.median(least)))} of its "
        f"range. The tightest is {tightest}."
    )


def _order(kept: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the parameters, the one that may move least, down and up together, first."""
    return np.argsort(np.median(kept.sum(axis=2), axis=0), kind="stable")
