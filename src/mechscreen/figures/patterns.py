"""What outputs there are, whatever is looked for: groups of what is alike, and what is unlike all else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.figures import style
from mechscreen.figures.pairs import value_label
from mechscreen.figures.text import count, number, percent
from mechscreen.figures.wrapping import wrap
from mechscreen.models import Output
from mechscreen.patterns import CLEAR

_ACROSS = 4
_MOST_OUTPUTS = 4
_RARE = 0.001
_OTHER: Mapping[str, Any] = {"color": "0.75", "linewidth": 0.6}


@dataclass(frozen=True)
class Shown:
    """What is shown.

    Attributes
    ----------
    outputs
        Of the model.
    values, others
        Of each output, (n, *output.shape) and (n, some, *output.shape): divided by its maximum where it is scaled so,
        else in its unit; NaN where there are no others.
    groups, silhouette, looked
        As in `mechscreen.schemas.evaluation.PatternsFile`.
    share, classes
        (n,), of all sets, and the class of each.
    """

    outputs: Sequence[Output]
    values: Sequence[NDArray[Any]]
    others: Sequence[NDArray[Any]]
    groups: int
    silhouette: float
    looked: int
    share: NDArray[np.float64]
    classes: Sequence[str]


@style.styled
def draw(shown: Shown) -> Figure:
    """Draw a panel for each group and what is unusual; of several outputs a row, with a panel for each output."""
    n, outputs = len(shown.share), list(range(min(len(shown.outputs), _MOST_OUTPUTS)))
    if len(outputs) == 1:
        rows = -(-n // _ACROSS)
        figure = Figure(figsize=(style.WIDTH, 1.45 * rows + 0.3))
        axes = figure.subplots(rows, _ACROSS, squeeze=False)
        for ax in axes.flat[n:]:
            ax.set_axis_off()
        for k, ax in enumerate(axes.flat[:n]):
            _draw(ax, shown, 0, k)
            ax.set_title(wrap(_called(shown, k), style.WIDTH / _ACROSS - 0.2, 2), fontsize=8)
            if k + _ACROSS >= n:
                ax.set_xlabel(shown.outputs[0].axes[-1] if shown.outputs[0].grids else _label(shown.outputs[0]))
        if shown.outputs[0].view == "image":
            figure.supylabel(shown.outputs[0].axes[0], fontsize=9)
            figure.colorbar(axes[0, 0].images[0], ax=axes, label=_label(shown.outputs[0]), fraction=0.03)
        elif shown.outputs[0].grids:
            figure.supylabel(_label(shown.outputs[0]), fontsize=9)
        return figure
    figure = Figure(figsize=(style.WIDTH, 0.95 * n + 0.5))
    axes = figure.subplots(n, len(outputs), squeeze=False)
    for k in range(n):
        for column in outputs:
            ax, output = axes[k, column], shown.outputs[column]
            _draw(ax, shown, column, k)
            if k == 0:
                ax.set_title(wrap(_label(output), style.WIDTH / len(outputs) - 0.5, 2), fontsize=8)
            if k == n - 1 and output.grids and output.view != "image":
                ax.set_xlabel(output.axes[0])
        axes[k, 0].set_ylabel(wrap(_called(shown, k), 0.95), rotation=0, ha="right", va="center", fontsize=8)
    for column in outputs:
        if shown.outputs[column].view == "image":
            about: Mapping[str, Any] = {"location": "bottom", "fraction": 0.02, "label": _label(shown.outputs[column])}
            figure.colorbar(axes[0, column].images[0], ax=axes[:, column], **about)
    return figure


def _called(shown: Shown, k: int) -> str:
    share = shown.share[k]
    often = f"1 in {round(1 / share):,}" if 0 < share < _RARE else percent(share)
    return f"{often}: {shown.classes[k]}" if k < shown.groups else f"unusual, {often}: {shown.classes[k]}"


def _draw(ax: Axes, shown: Shown, column: int, k: int) -> None:
    output, value, others = shown.outputs[column], shown.values[column][k], shown.others[column][k]
    others = others[np.isfinite(others.reshape(len(others), -1)).all(axis=1)]
    if output.view == "image":
        low, high = _limits(shown, column)
        rows, columns = output.grids
        about: Mapping[str, Any] = {"origin": "lower", "aspect": "auto", "vmin": low, "vmax": high}
        ax.imshow(value, extent=(columns[0], columns[-1], rows[0], rows[-1]), **about)
        ax.set(xticks=[columns[0], columns[-1]], yticks=[rows[0], rows[-1]])
        if 0.2 < np.ptp(columns) / (np.ptp(rows) or 1.0) < 5:
            ax.set_aspect("equal")
    elif output.view == "number":
        style.along_numbers(ax, output, *_limits(shown, column))
        ax.plot(others.ravel(), np.zeros(others.size), ".", color="0.7", ms=4)
        ax.plot(float(np.squeeze(value)), 0, "o", color="black", ms=5)
    else:
        first, last = style.shown_points(output, np.concatenate([value[None], others]))
        for one in others:
            ax.plot(output.grid, one, **_OTHER)
        if output.view == "density":
            ax.fill_between(output.grid, value, color="black", label=style.SHOWN_ELSEWHERE, **style.FILLED)
        ax.plot(output.grid, value, color="black", lw=1.5)
        style.along_grid(ax, output, first, last)
        low, high = _limits(shown, column)
        if output.scale == "peak":
            ax.set_ylim(-0.05, 1.12)
            ax.set_yticks([0, 1])
        elif output.scale == "log" and low > 0:
            ax.set_yscale("log")
            ax.set_ylim(low / 1.2, high * 1.2)
        else:
            margin = 0.08 * ((high - low) or 1.0)
            ax.set_ylim(low - margin, high + margin)
            ax.locator_params(axis="y", nbins=3)


def _limits(shown: Shown, column: int) -> tuple[float, float]:
    """Return the least and the largest value of an output, of all that is shown: panels are compared."""
    everything = np.concatenate([shown.values[column].ravel(), shown.others[column].ravel()])
    everything = everything[np.isfinite(everything)]
    return (float(everything.min()), float(everything.max())) if everything.size else (0.0, 1.0)


def _label(output: Output) -> str:
    return f"{output.name} / max" if output.scale == "peak" else value_label(output)


def caption(shown: Shown) -> str:
    """Return the numbers of this run."""
    text = f"{shown.looked:,} random parameter sets, predicted; {count(shown.groups, 'group')}"
    apart = f"mean silhouette {number(shown.silhouette)}"
    if shown.groups == 1:
        text += ": there are no parts of them that are apart"
    elif shown.silhouette < CLEAR:
        text += f" that go over into one another ({apart})"
    else:
        text += f", {apart}"
    if len(shown.outputs) > _MOST_OUTPUTS:
        text += f"; {_MOST_OUTPUTS} of {len(shown.outputs)} outputs are drawn"
    return f"{text}."
