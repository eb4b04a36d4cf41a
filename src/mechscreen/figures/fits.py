"""Measured data, and what the parameter sets say that explain them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.figures import style
from mechscreen.figures.text import count
from mechscreen.figures.wrapping import wrap
from mechscreen.models import Output

FloatArray = NDArray[np.float64]

_MOST, _ACROSS = 12, 3
"""Panels in all, and beside one another."""
_BANDS = ((0.025, 0.975, 0.25), (0.25, 0.75, 0.4))
"""Quantiles of what is predicted, and how dark it is between them."""


@dataclass(frozen=True)
class Measured:
    """An output that was measured, and what is said of it.

    Attributes
    ----------
    output
        A number, profile or time series.
    at, value, error
        (m,), where it was measured, what, and with which standard deviation (NaN: not known).
    best
        Of the best set, (*shape,).
    predicted
        Of draws of the posterior, (n, *shape); n may be 0.
    """

    output: Output
    at: FloatArray
    value: FloatArray
    error: FloatArray
    best: FloatArray
    predicted: FloatArray


@style.styled
def draw(measured: Sequence[Measured]) -> Figure:
    """Draw a panel for each output that was measured."""
    if not measured:
        return style.message("None of what was measured is among the outputs of this campaign.")
    shown = measured[:_MOST]
    across = min(_ACROSS, len(shown))
    rows = -(-len(shown) // across)
    figure = Figure(figsize=(style.WIDTH * max(across, 2) / _ACROSS, 2.3 * rows + 0.3))
    axes = figure.subplots(rows, across, squeeze=False)
    for ax, one in zip(axes.flat, shown, strict=False):
        _draw(ax, one)
    for ax in axes.flat[len(shown) :]:
        ax.set_visible(False)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
    return figure


def _draw(ax: Axes, one: Measured) -> None:
    output = one.output
    grid, best = (output.grids[0], one.best) if output.grids else (np.zeros(1), np.atleast_1d(one.best))
    predicted = one.predicted.reshape(len(one.predicted), best.size)
    number_alone = not output.grids
    for low, high, dark in _BANDS if len(predicted) else ():
        ends = np.nanquantile(predicted, (low, high), axis=0)
        label = f"{100 * (high - low):.0f} % of the posterior"
        if number_alone:
            ax.fill_between([-0.4, 0.4], *ends.repeat(2, axis=1), color=style.BLUE, alpha=dark, lw=0, label=label)
        else:
            ax.fill_between(grid, *ends, color=style.BLUE, alpha=dark, lw=0, label=label)
    if number_alone:
        ax.plot([-0.4, 0.4], best.repeat(2), color=style.BLUE, lw=1.4, label="best set")
        ax.set(xticks=[], xlim=(-1, 1))
    else:
        ax.plot(grid, best, color=style.BLUE, lw=1.4, label="best set")
        ax.set_xlabel(output.axes[0])
    known = np.where(np.isfinite(one.error), one.error, 0.0)
    ax.errorbar(one.at, one.value, known, fmt="o", color="black", ms=3, lw=0.9, capsize=1.5, label="measured", zorder=3)
    if (one.value > 0).all() and one.value.max() > 100 * one.value.min() and output.scale == "log":
        ax.set_yscale("log")
    unit = f" [{output.unit}]" if output.unit else ""
    ax.set_title(wrap(f"{output.name}{unit}", style.WIDTH / _ACROSS - 0.4, 2))


def caption(measured: Sequence[Measured]) -> str:
    """Return the numbers of this run."""
    points = sum(len(one.value) for one in measured)
    text = f"{count(points, 'measurement')} of {count(len(measured), 'output')}"
    if len(measured) > _MOST:
        text += f", of which {_MOST} are shown"
    drawn = len(measured[0].predicted) if measured else 0
    return f"{text}; {count(drawn, 'draw')} of the posterior." if drawn else f"{text}."
