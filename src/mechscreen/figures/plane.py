"""Which class lies where in a screen of two parameters (Wang et al. 2019, Fig. 5b–d), and the law of its target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from numpy.typing import NDArray

from mechscreen.figures import scales, style
from mechscreen.figures.text import count, number, percent, plain
from mechscreen.figures.wrapping import wrap
from mechscreen.relations import Relation
from mechscreen.spaces import Parameter

_COLOURS = ("0.85", *style.CYCLE)
"""The first class, by far the most frequent as a rule, is light."""


@style.styled
def draw(x: Parameter, y: Parameter, counts: NDArray[Any], classes: Sequence[str], relation: Relation | None) -> Figure:
    """Draw the class that most samples of each cell have.

    Parameters
    ----------
    counts
        (classes, bins, bins), samples of each class over the plane of `x` and `y`.
    relation
        A line to draw, y over x.
    """
    width, height = style.WIDTH, 4.4
    figure = Figure(figsize=(width, height))
    ax = figure.subplots()
    colours = [_COLOURS[k % len(_COLOURS)] for k in range(len(classes))]
    most = np.where(counts.sum(axis=0) > 0, counts.argmax(axis=0), -1)
    ax.imshow(
        np.ma.masked_less(most, 0).T,
        cmap=ListedColormap(colours),
        norm=BoundaryNorm(np.arange(len(classes) + 1) - 0.5, len(classes)),
        origin="lower",
        extent=scales.extent(x, y),
        aspect="auto",
        interpolation="nearest",
    )
    handles: list[Any] = [
        Patch(color=colours[k], label=f"{wrap(name, 0.2 * width)}: {percent(float(counts[k].sum() / counts.sum()))}")
        for k, name in enumerate(classes)
        if counts[k].any()
    ]
    if relation is not None:
        values = np.linspace(*relation.x_range, 400)
        line = relation.intercept + relation.slope * (values if relation.form == "linear" else 1 / values)
        low, high = scales.limits(y)
        inside = (line >= low) & (line <= high)
        handles += ax.plot(
            values[inside], line[inside], color="black", lw=1.4, ls=(0, (4, 2)), label="line of the target"
        )
    scales.frame(ax, x, y)
    ax.set(xlabel=wrap(_described(x), 0.5 * width), ylabel=wrap(_described(y), 0.75 * height))
    figure.legend(handles=handles, loc="outside right upper")
    return figure


def caption(
    x: Parameter, y: Parameter, counts: NDArray[Any], target_name: str, relation: Relation | None, held: str
) -> str:
    """Return the numbers of this run; arguments as for `draw`, and the parameters that were held, in words."""
    bins = counts.shape[-1]
    text = f"{count(int(counts.sum()), 'sample')} in {bins} × {bins} cells. Held: {held}."
    if relation is None:
        return f"{text} The target ({target_name}) has too few samples for a line."
    return f"{text} The line of the target ({target_name}): {equation(x, y, relation)}."


def equation(x: Parameter, y: Parameter, relation: Relation) -> str:
    """Return the line as people write it, with both R²."""
    sign = "−" if relation.slope < 0 else "+"
    over = "/" if relation.form == "inverse" else " · "
    return (
        f"{on_axis(y)} = {number(relation.intercept)} {sign} {number(abs(relation.slope))}{over}{on_axis(x)}, "
        f"R² {relation.r2_means:.3f} of the means in the bins, {relation.r2:.3f} of {relation.samples:,} samples"
    )


def on_axis(parameter: Parameter) -> str:
    """Return what a line along a parameter's axis is in: ``K``, or ``lg K`` in decades."""
    symbol = plain(parameter.symbol) or parameter.name
    return f"lg {symbol}" if parameter.scale == "log" else symbol


def in_values(parameter: Parameter, coordinates: Sequence[float]) -> list[float]:
    """Return the values of a parameter at coordinates along its axis."""
    return [10.0**c if parameter.scale == "log" else c for c in coordinates]


def _described(parameter: Parameter) -> str:
    return f"{parameter.label}: {parameter.meaning}" if parameter.meaning else parameter.label
