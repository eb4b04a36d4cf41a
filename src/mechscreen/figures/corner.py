"""Hits over the parameters that matter most: each alone, every two together, and how they go together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter
from numpy.typing import NDArray
from scipy import stats

from mechscreen.figures import scales, style
from mechscreen.figures.text import count, plain
from mechscreen.figures.wrapping import wrap
from mechscreen.spaces import Parameter

FloatArray = NDArray[np.float64]

_MOST = 6
"""Parameters that are drawn; more would be too small to read."""
_FEWEST = 20
"""Hits below which shares and correlations are chance."""
_CELLS, _BINS, _PER_CELL = 24, 20, 4
_SHADES = LinearSegmentedColormap.from_list("hits", ["white", style.SKY, style.BLUE, "#00243b"])
_SIGNED = LinearSegmentedColormap.from_list("signed", [style.BLUE, "white", style.VERMILION])
_DARK = 0.6
"""Correlation from which its number stands in white."""


@style.styled
def draw(parameters: Sequence[Parameter], values: FloatArray, priors: NDArray[Any]) -> Figure:
    """Draw the matrix: histograms on the diagonal, hits below it, rank correlations above it.

    Parameters
    ----------
    parameters
        The d parameters that vary.
    values
        (n, d), physical values of hits.
    priors
        (d, bins), how all that was screened lies along each parameter, in equal steps along its axis.
    """
    if len(values) < _FEWEST:
        return style.message(f"Too few hits to say how parameters go together: {count(len(values), 'hit')}.")
    position = _positions(parameters, values)
    shown, together = order(position, priors)[:_MOST], correlations(position)
    d = len(shown)
    size = min(style.WIDTH, 1.4 + 1.5 * d)
    figure = Figure(figsize=(size, size * 0.94), layout="none")  # type: ignore[arg-type]
    axes = figure.subplots(d, d, squeeze=False)
    left, bottom = 0.95 / size, 0.65 / size
    figure.subplots_adjust(left=left, right=0.99, top=0.99, bottom=bottom + 0.02, wspace=0.08, hspace=0.08)
    cells = int(np.clip(np.sqrt(len(values) / _PER_CELL), 5, _CELLS))
    room = 0.95 * size * (0.99 - left) / d
    for row, i in enumerate(shown):
        for column, j in enumerate(shown):
            ax = axes[row, column]
            x, y = parameters[j], parameters[i]
            if column > row:
                _correlation(ax, together[i, j])
                continue
            if column == row:
                _alone(ax, x, position[:, j], priors[j])
            else:
                _together(ax, x, y, position[:, [j, i]], cells)
            _frame(ax, x, y, bottom=row == d - 1, left=column == 0, diagonal=row == column, room=room)
    return figure


def caption(parameters: Sequence[Parameter], values: FloatArray, priors: NDArray[Any], found: int) -> str:
    """Return the numbers of this run; arguments as for `draw`, of a sample of so many hits that were found."""
    if len(values) < _FEWEST:
        return "There is nothing to show."
    position = _positions(parameters, values)
    shown, together = order(position, priors), correlations(position)
    text = f"{count(len(values), 'hit')}" + (f", a random sample of {found:,}" if len(values) < found else "")
    if len(shown) > _MOST:
        text += f"; the {_MOST} of {len(shown)} parameters that matter most"
    drawn = [(i, j) for place, i in enumerate(shown[:_MOST]) for j in shown[:place]]
    if drawn:
        i, j = max(drawn, key=lambda pair: abs(together[pair]))
        strongest = f"{together[i, j]:+.2f}".replace("-", "−")
        names = " and ".join(plain(parameters[k].symbol) or parameters[k].name for k in (j, i))
        text += f". The strongest correlation is that of {names}: {strongest}"
    return f"{text}."


def order(position: FloatArray, priors: NDArray[Any]) -> list[int]:
    """Return the parameters in the order in which they matter to the hits, most first.

    By the larger of two numbers between 0 and 1: how far the hits' distribution along the parameter is from that of all
    that was screened (the largest difference of the two cumulative ones, as Kolmogorov and Smirnov take it), and the
    largest rank correlation, without its sign, with another parameter among the hits.

    Parameters
    ----------
    position
        (n, d), of hits along the axes, in [0, 1].
    priors
        As for `draw`.
    """
    together = np.abs(correlations(position))
    np.fill_diagonal(together, 0.0)
    bins = priors.shape[1]
    matter = []
    for k, prior in enumerate(priors):
        hits = np.histogram(position[:, k], bins=bins, range=(0, 1))[0]
        apart = np.abs(np.cumsum(hits) / hits.sum() - np.cumsum(prior) / max(prior.sum(), 1)).max()
        matter.append(max(float(apart), float(together[k].max(initial=0.0))))
    return [int(k) for k in np.argsort(-np.array(matter), kind="stable")]


def correlations(position: FloatArray) -> FloatArray:
    """Return Spearman's rank correlations of n hits, (d, d); 0 with what does not vary among them."""
    ranks = stats.rankdata(position, axis=0)
    ranks -= ranks.mean(axis=0)
    spread = np.sqrt((ranks**2).sum(axis=0))
    unit = np.divide(ranks, spread, out=np.zeros_like(ranks), where=spread > 0)
    return np.asarray(unit.T @ unit)


def _positions(parameters: Sequence[Parameter], values: FloatArray) -> FloatArray:
    return np.stack([np.clip(p.position(values[:, k]), 0, 1) for k, p in enumerate(parameters)], axis=1)


def _alone(ax: Axes, parameter: Parameter, position: FloatArray, prior: NDArray[Any]) -> None:
    """Draw which shares of the hits, and of all that was screened, lie in each step along a parameter."""
    steps = len(parameter.marks) if 0 < len(parameter.marks) <= _BINS else _BINS
    hits = np.histogram(position, bins=steps, range=(0, 1))[0] / len(position)
    centres = (np.arange(len(prior)) + 0.5) / len(prior)
    of_all = np.histogram(centres, bins=steps, range=(0, 1), weights=prior)[0] / max(prior.sum(), 1)
    edges = scales.edges(parameter, steps)
    ax.stairs(hits, edges, fill=True, color=style.BLUE, alpha=0.6, label="hits")
    ax.stairs(of_all, edges, color="black", lw=1.0, ls=(0, (3, 2)), label="all screened sets")
    ax.set_ylim(0, 1.08 * max(hits.max(), of_all.max()))
    ax.set_label("share")


def _together(ax: Axes, x: Parameter, y: Parameter, position: FloatArray, cells: int) -> None:
    steps = [len(p.marks) if 0 < len(p.marks) <= cells else cells for p in (x, y)]
    counts = np.histogram2d(position[:, 0], position[:, 1], bins=steps, range=[(0.0, 1.0), (0.0, 1.0)])[0]
    about: dict[str, Any] = {"origin": "lower", "aspect": "auto", "interpolation": "nearest", "label": "hits in a cell"}
    top = max(1.0, float(np.quantile(counts, 0.99)))
    ax.imshow(counts.T, extent=scales.extent(x, y), cmap=_SHADES, norm=Normalize(0, top), **about)


def _correlation(ax: Axes, value: float) -> None:
    """Write a rank correlation; the colour says the same."""
    ax.set(xticks=[], yticks=[], facecolor=_SIGNED(0.5 + 0.5 * value))
    colour = "white" if abs(value) > _DARK else "black"
    text = f"{value:+.2f}".replace("-", "−")
    ax.text(0.5, 0.5, text, ha="center", va="center", transform=ax.transAxes, fontsize=10, color=colour)
    for spine in ax.spines.values():
        spine.set(visible=True, color="0.8")


def _frame(ax: Axes, x: Parameter, y: Parameter, *, bottom: bool, left: bool, diagonal: bool, room: float) -> None:
    ax.set_xlim(scales.limits(x))
    if not diagonal:
        ax.set_ylim(scales.limits(y))
    for axis, parameter in ((ax.xaxis, x), (ax.yaxis, y)):
        axis.set_tick_params(length=2, pad=1.5, labelsize=7)
        if diagonal and axis is ax.yaxis:
            axis.set_major_locator(FixedLocator([]))
            axis.set_major_formatter(NullFormatter())
        else:
            scales.mark_ends(axis, parameter)
    ax.tick_params(labelbottom=bottom, labelleft=left)
    if bottom:
        ax.set_xlabel(wrap(x.label, room, 3))
        for label, side in zip(ax.get_xticklabels(), ("left", "right"), strict=True):
            label.set(ha=side)
    if left:
        ax.set_ylabel(wrap(y.label, room, 3))
        if not diagonal:
            for label, side in zip(ax.get_yticklabels(), ("bottom", "top"), strict=True):
                label.set(va=side)
