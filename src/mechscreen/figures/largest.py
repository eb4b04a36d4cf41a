"""The largest values that searches found, and where the sets are that have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.figures import style
from mechscreen.figures.text import count, number, plain
from mechscreen.figures.wrapping import wrap
from mechscreen.spaces import Parameter

FloatArray = NDArray[np.float64]

_SHOWN = 10
"""Best sets of which it is shown where they are."""
_HIT: Mapping[str, Any] = {"ls": "", "marker": ".", "ms": 4, "color": "0.7", "mec": "none"}
_FOUND: Mapping[str, Any] = {"ls": "", "marker": "o", "ms": 4, "mfc": "none", "mec": style.BLUE, "mew": 0.9}


@dataclass(frozen=True)
class Found:
    """What searches found.

    Attributes
    ----------
    labels
        Of one expression or two, with their units.
    emulated, simulated
        (n, expressions), of what the searches found; `by` says what valued it: "emulators", or "model".
    hits, emulated_hits
        (hits, expressions), of the validated hits by simulation, and as the screen saw them.
    front
        (sets, expressions), the Pareto front of all of these, by simulation, the largest first value first.
    parameters
        Those that vary.
    best
        (sets, parameters), of the best sets, the best first, or of the front.
    """

    labels: Sequence[str]
    emulated: FloatArray
    simulated: FloatArray
    by: str
    hits: FloatArray
    emulated_hits: FloatArray
    front: FloatArray
    parameters: Sequence[Parameter]
    best: FloatArray


@style.styled
def draw(found: Found) -> Figure:
    """Draw values on the left, and on the right where the best sets are."""
    if not np.isfinite(found.simulated[:, 0]).any():
        return style.message("No set that was found has a value by the model.")
    rows = len(found.parameters)
    figure = Figure(figsize=(style.WIDTH, max(3.2, 0.25 * rows + 1.1)))
    left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
    if found.simulated.shape[1] == 2:
        _draw_front(left, found)
    else:
        _draw_values(left, found)
    _draw_places(right, found)
    return figure


def _draw_front(ax: Axes, found: Found) -> None:
    ax.plot(found.hits[:, 1], found.hits[:, 0], **_HIT, label="validated hits")
    ax.plot(found.simulated[:, 1], found.simulated[:, 0], **_FOUND, label="found by searches")
    line: dict[str, Any] = {"color": "black", "lw": 1.2, "marker": ".", "ms": 4, "drawstyle": "steps-pre"}
    ax.plot(found.front[:, 1], found.front[:, 0], **line, label="front")
    ax.set_xlabel(wrap(found.labels[1], 3.0))
    ax.set_ylabel(wrap(found.labels[0], 2.6))
    ax.legend()


def _draw_values(ax: Axes, found: Found) -> None:
    searched = np.column_stack([found.emulated[:, 0], found.simulated[:, 0]])
    hits = np.column_stack([found.emulated_hits[:, 0], found.hits[:, 0]])
    both = np.concatenate([searched, hits])
    both = both[np.isfinite(both).all(axis=1)]
    ax.plot(*hits.T, **_HIT, label="validated hits")
    ax.plot(*searched.T, **_FOUND, label="found by searches")
    said = "by the emulators" if found.by == "emulators" else "in the search"
    ax.set_xlabel(wrap(f"{found.labels[0]}, {said}", 3.0))
    ax.set_ylabel("the same, simulated")
    if len(both):
        margin = 0.05 * float(np.ptp(both)) or 0.05 * abs(float(both.max())) or 1.0
        ends = float(both.min()) - margin, float(both.max()) + margin
        ax.plot(ends, ends, color="0.8", lw=0.8, zorder=0)
        ax.set(xlim=ends, ylim=ends)
    ax.legend()


def _draw_places(ax: Axes, found: Found) -> None:
    shown = found.best[:_SHOWN] if found.simulated.shape[1] == 1 else found.best
    shades = np.linspace(0, 0.85, max(2, len(shown)))
    colours = style.matplotlib.colormaps[style.MAP](shades)
    for row, parameter in enumerate(found.parameters):
        ax.plot([0, 1], [row, row], color="0.9", lw=6, solid_capstyle="butt", zorder=1)
        at = parameter.position(shown[:, row])
        # The best one on top.
        ax.scatter(at[::-1], np.full(len(at), row), c=colours[: len(at)][::-1], s=16, lw=0, zorder=2)
        for x, value, side in ((-0.02, parameter.low, "right"), (1.02, parameter.high, "left")):
            ax.text(x, row, number(value), ha=side, va="center", fontsize=7, color="0.35")
    ax.set(xlim=(-0.25, 1.25), ylim=(len(found.parameters) - 0.4, -0.6), xticks=[])
    ax.set_yticks(range(len(found.parameters)), [parameter.label for parameter in found.parameters])
    ax.tick_params(left=False)
    ax.spines[:].set_visible(False)
    one = found.simulated.shape[1] == 1
    ax.set_title(f"the {count(len(shown), 'best set')}" if one else f"the {count(len(shown), 'set')} of the front")


def caption(found: Found) -> str:
    """Return the numbers of this run."""
    values = found.simulated[:, 0]
    if not np.isfinite(values).any():
        return "There is nothing to show."
    largest = number(float(np.nanmax(values)))
    text = f"{count(len(values), 'search', 'searches')}; largest {plain(found.labels[0])} {largest}"
    if found.simulated.shape[1] == 2:
        text += f"; {count(len(found.front), 'set')} on the front"
    return f"{text}."
