"""Example profiles, emulated and simulated (Wang et al. 2019, Fig. 2b)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.figures import pairs, style
from mechscreen.figures.pairs import Pair
from mechscreen.figures.text import count, number
from mechscreen.figures.wrapping import wrap

_COLUMNS = {0.0: "least error", 0.25: "1st quartile", 0.5: "median", 0.75: "3rd quartile", 1.0: "largest error"}
_OF_FIELDS = (0.0, 0.5, 1.0)
"""Columns of fields, which need more room."""
_ROW, _ROOM = 1.15, 1.1
"""Inches: of a row, and for what stands beside it."""


@style.styled
def draw(
    shown: Sequence[Pair],
    errors: NDArray[Any],
    labels: NDArray[Any],
    class_names: Sequence[str],
) -> Figure:
    """Draw a row of examples for every class that occurs (one output), or for every output (several).

    Parameters
    ----------
    shown
        The outputs of n test samples that are more than a number.
    errors
        (n, outputs shown), of each.
    labels
        (n,), class of each simulated sample, an index into `class_names`.
    """
    rows = _rows(len(labels), labels, class_names, shown)
    if not rows:
        return style.message("No profiles to show: the test split is empty.")
    fields = any(pair.output.view == "image" for pair in shown)
    columns = _OF_FIELDS if fields else tuple(_COLUMNS)
    figure = Figure(figsize=(style.WIDTH, 0.75 + _ROW * len(rows) * (1.4 if fields else 1)))
    axes = figure.subplots(len(rows), len(columns), sharey="row", squeeze=False)
    same_grid = len({pair.output.axes for pair in shown}) == 1
    for row, (heading, members, k) in enumerate(rows):
        pair, of_row = shown[k].take(members), errors[members, k]
        places = _placed(style.spread(of_row, columns), len(columns))
        for ax, i in zip(axes[row], places, strict=True):
            if i is None:
                ax.set_axis_off()
                continue
            pairs.draw(ax, pair, i)
            image = pair.output.view == "image"
            ax.set_title(f"RMSE {number(of_row[i])}", fontsize=8, pad=12 if image else None)
            if row == len(rows) - 1 or not same_grid:
                ax.set_xlabel(pair.output.axes[-1])
        axes[row, 0].set_ylabel(heading)
    for ax, heading in zip(axes[0], (_COLUMNS[column] for column in columns), strict=True):
        above = 32 if shown[rows[0][2]].output.view == "image" else 18
        ax.annotate(heading, (0.5, 1.0), (0, above), "axes fraction", "offset points", ha="center", va="bottom")
    labels_of_values = {"value / max" if pair.output.compare == "shape" else "value" for pair in shown}
    figure.supylabel(shown[0].label if len(shown) == 1 else " or ".join(sorted(labels_of_values)), fontsize=9)
    pairs.legend(figure, shown)
    return figure


def caption(labels: NDArray[Any], class_names: Sequence[str], shown: Sequence[Pair]) -> str:
    """Return the numbers of this run; arguments as for `draw`."""
    if len(shown) > 1:
        return f"A row for every output. {count(len(labels), 'test sample')}.{pairs.about_fields(shown)}"
    numbers = np.bincount(labels, minlength=len(class_names))
    absent = [name for name, n in zip(class_names, numbers, strict=True) if not n]
    text = f"A row for every class of the simulation; {count(len(labels), 'test sample')}"
    text += f", none of the class {' or '.join(absent)}." if absent else "."
    return text + pairs.about_fields(shown)


def _rows(
    n: int, labels: NDArray[Any], class_names: Sequence[str], shown: Sequence[Pair]
) -> list[tuple[str, NDArray[Any], int]]:
    """Return heading, sample numbers and output of each row."""
    if len(shown) > 1:
        return [(_heading(pair), np.arange(n), k) for k, pair in enumerate(shown) if n]
    classes = [(name, np.flatnonzero(labels == k)) for k, name in enumerate(class_names)]
    return [(f"{wrap(name, _ROOM)}\nn = {len(members):,}", members, 0) for name, members in classes if len(members)]


def _heading(pair: Pair) -> str:
    return wrap(pair.output.name if pair.output.compare == "shape" else pair.label, _ROOM)


def _placed(chosen: NDArray[Any], columns: int) -> list[int | None]:
    """Put fewer examples than columns where they belong: the best at the left, the worst at the right."""
    places: list[int | None] = [None] * columns
    slots = np.round(np.linspace(0, columns - 1, len(chosen))).astype(int)
    for slot, i in zip(slots, chosen, strict=True):
        places[slot] = int(i)
    return places
