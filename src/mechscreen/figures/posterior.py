"""How well measured data determine each parameter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from mechscreen.figures import style
from mechscreen.figures.text import number, plain
from mechscreen.inference.credible import Known
from mechscreen.spaces import Parameter

_COLOURS: dict[Known, str] = {
    "determined": style.BLUE,
    "bounded above": style.VERMILION,
    "bounded below": style.VERMILION,
    "not determined": "0.55",
    "not known": "0.55",
}
_TOLD: dict[Known, str] = {
    "determined": "determined",
    "bounded above": "no lower bound",
    "bounded below": "no upper bound",
    "not determined": "not determined",
    "not known": "too few draws",
}


@dataclass(frozen=True)
class Shown:
    """A parameter, its posterior (`mechscreen.inference.credible.Credible`), and its value in the best set."""

    parameter: Parameter
    quantiles: Sequence[float]
    known: Known
    best: float


@style.styled
def draw(shown: Sequence[Shown]) -> Figure:
    """Draw the credible intervals of all parameters, each within its range."""
    figure = Figure(figsize=(style.WIDTH, 0.27 * len(shown) + 1.0))
    ax = figure.subplots()
    for row, one in enumerate(shown):
        low, lower, middle, upper, high = one.parameter.position(np.array(one.quantiles))
        colour = _COLOURS[one.known]
        ax.plot([0, 1], [row, row], color="0.9", lw=7, solid_capstyle="butt", zorder=1)
        ax.plot([low, high], [row, row], color=colour, lw=1.4, zorder=2)
        ax.plot([lower, upper], [row, row], color=colour, lw=4, solid_capstyle="butt", zorder=2)
        ax.plot(middle, row, "o", color="white", mec=colour, ms=5, zorder=3)
        ax.plot(one.parameter.position(np.array([one.best])), [row], "D", color="black", ms=3, zorder=4)
        for x, value, side in ((-0.01, one.parameter.low, "right"), (1.01, one.parameter.high, "left")):
            ax.text(x, row, number(value), ha=side, va="center", fontsize=7, color="0.35")
        ax.text(1.13, row, _TOLD[one.known], ha="left", va="center", fontsize=7.5, color=colour)
    ax.set(xlim=(-0.12, 1.36), ylim=(len(shown) - 0.4, -0.6), xticks=[])
    ax.set_yticks(range(len(shown)), [one.parameter.label for one in shown])
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)
    marks = [
        Line2D([], [], color=style.BLUE, lw=4, label="50 %"),
        Line2D([], [], color=style.BLUE, lw=1.4, label="95 %"),
        Line2D([], [], ls="", marker="o", color="white", mec=style.BLUE, ms=5, label="median"),
        Line2D([], [], ls="", marker="D", color="black", ms=3, label="best set"),
        Line2D([], [], color="0.9", lw=7, label="range"),
    ]
    figure.legend(handles=marks, loc="outside lower center", ncols=5)
    return figure


def caption(shown: Sequence[Shown]) -> str:
    """Return the numbers of this run."""
    if any(one.known == "not known" for one in shown):
        return "There are too few independent draws to say which parameters are determined."
    determined = [one for one in shown if one.known == "determined"]
    text = f"{len(determined)} of {len(shown)} parameters are determined"
    others = [plain(one.parameter.symbol or one.parameter.name) for one in shown if one.known != "determined"]
    return f"{text}; not so: {', '.join(others)}." if others else f"{text}."
