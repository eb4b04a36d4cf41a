"""Example profiles, emulated and simulated (Wang et al. 2019, Fig. 2b)."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.emulators.metrics import rmse
from mechscreen.figures import style
from mechscreen.figures.text import count, number
from mechscreen.models import Output

_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
_HEADINGS = ("least error", "1st quartile", "median", "3rd quartile", "largest error")


@style.styled
def draw(
    simulated: NDArray[Any],
    emulated: NDArray[Any],
    labels: NDArray[Any],
    class_names: Sequence[str],
    outputs: Sequence[Output],
) -> Figure:
    """Draw a row of examples for every class that occurs (one output), or for every output (several).

    Parameters
    ----------
    simulated, emulated
        (n, outputs, points), profiles normalised to their maxima.
    labels
        (n,), class of each simulated sample, an index into `class_names`.
    """
    rows = _rows(len(simulated), labels, class_names, outputs)
    if not rows:
        return style.message("No profiles to show: the test split is empty.")
    figure = Figure(figsize=(style.WIDTH, 0.75 + 1.15 * len(rows)))
    axes = figure.subplots(len(rows), len(_QUANTILES), sharey=True, squeeze=False)
    same_grid = len({style.grid_label(output) for output in outputs}) == 1
    for row, (heading, members, k) in enumerate(rows):
        errors = rmse(simulated[members, k : k + 1], emulated[members, k : k + 1])
        places = _placed(style.spread(errors, _QUANTILES))
        for ax, i in zip(axes[row], places, strict=True):
            if i is None:
                ax.set_axis_off()
                continue
            style.profiles(ax, outputs[k], simulated[members[i], k], emulated[members[i], k])
            ax.set_title(f"RMSE {number(errors[i])}", fontsize=8)
            if row == len(rows) - 1 or not same_grid:
                ax.set_xlabel(style.grid_label(outputs[k]))
        axes[row, 0].set_ylabel(heading)
    for ax, heading in zip(axes[0], _HEADINGS, strict=True):
        ax.annotate(heading, (0.5, 1.0), (0, 18), "axes fraction", "offset points", ha="center", va="bottom")
    figure.supylabel(style.profile_label(outputs[0]) if len(outputs) == 1 else "value / max", fontsize=9)
    style.profile_legend(figure)
    return figure


def caption(labels: NDArray[Any], class_names: Sequence[str], outputs: Sequence[Output]) -> str:
    """Return the numbers of this run; arguments as for `draw`."""
    if len(outputs) > 1:
        return f"A row for every output. {count(len(labels), 'test sample')}."
    numbers = np.bincount(labels, minlength=len(class_names))
    absent = [name for name, n in zip(class_names, numbers, strict=True) if not n]
    text = f"A row for every class of the simulated profile; {count(len(labels), 'test sample')}"
    return f"{text}, none of the class {' or '.join(absent)}." if absent else f"{text}."


def _rows(
    n: int, labels: NDArray[Any], class_names: Sequence[str], outputs: Sequence[Output]
) -> list[tuple[str, NDArray[Any], int]]:
    """Return heading, sample numbers and output of each row."""
    if len(outputs) > 1:
        return [(output.name, np.arange(n), k) for k, output in enumerate(outputs) if n]
    classes = [(name, np.flatnonzero(labels == k)) for k, name in enumerate(class_names)]
    return [
        (f"{textwrap.fill(name, 16)}\nn = {len(members):,}", members, 0) for name, members in classes if len(members)
    ]


def _placed(chosen: NDArray[Any]) -> list[int | None]:
    """Put fewer than five examples where they belong: the best at the left, the worst at the right."""
    places: list[int | None] = [None] * len(_QUANTILES)
    slots = np.round(np.linspace(0, len(_QUANTILES) - 1, len(chosen))).astype(int)
    for slot, i in zip(slots, chosen, strict=True):
        places[slot] = int(i)
    return places
