"""Where classes lie in parameter space: all planes of two parameters (Wang et al. 2019, Fig. 5a), and each alone.

Counts of samples come as histograms over the planes of d parameters, (d(d − 1)/2, bins, bins), in the order of
`mechscreen.tally.plane_pairs`. Bins are equally wide along the axis of each parameter (`mechscreen.figures.scales`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullFormatter
from numpy.typing import NDArray

from mechscreen.figures import scales, style
from mechscreen.figures.text import count
from mechscreen.figures.wrapping import wrap
from mechscreen.spaces import Parameter
from mechscreen.tally import plane_pairs

# More would be too small to read.
_MOST_PARAMETERS = 13
# From so many on, labels turn to have room, …
_MANY = 5
# … and the empty half of the matrix has room for one plane enlarged.
_ENLARGE_FROM = 7
# Inches that a legend needs beside a name.
_HANDLE = 0.4
# Names longer than so many lines end with an ellipsis: as high as a panel; and what does not reach the next panels.
_MOST_LINES = 5
_MOST_LINES_ENLARGED = 3
# Where cells hold fewer samples than that on average, they show chance rather than structure.
_PER_CELL = 10
_PER_STEP = 50


@style.styled
def draw(parameters: Sequence[Parameter], target: NDArray[Any], total: NDArray[Any], target_name: str) -> Figure:
    """Draw the triangular matrix of planes.

    Parameters
    ----------
    parameters
        The d parameters that vary.
    target, total
        (planes, bins, bins), counts of the samples of the target, and of all.
    """
    if len(parameters) < 2:
        return style.message("No planes to show: fewer than two parameters vary.")
    if target.sum() == 0:
        return style.message(f"Nothing to show: the screen found no sample of the target ({target_name}).")
    shown = _most_telling(target, total, len(parameters))
    curves = marginals(target, total, len(parameters))[shown]
    d = len(shown)
    ratio = {
        (shown.index(i), shown.index(j)): _density(hits, samples)
        for (i, j), hits, samples in zip(plane_pairs(len(parameters)), target, total, strict=True)
        if i in shown and j in shown
    }

    size = min(11.0, 1.6 + 0.78 * d) if d > 2 else 4.6
    # Panels almost touch, so that a row or column reads as one.
    figure = Figure(figsize=(size, size), layout="none")  # type: ignore[arg-type]
    axes = figure.subplots(d, d, squeeze=False)
    left, bottom, rest = (0.95 if d >= _MANY else 0.8) / size, (0.95 if d >= _MANY else 0.6) / size, 1 - 0.15 / size
    figure.subplots_adjust(left=left, right=rest, top=rest, bottom=bottom, wspace=0.08, hspace=0.08)
    panel = size * (rest - left) / d
    scale = Normalize(0, max(2.0, float(np.quantile(np.concatenate([r.ravel() for r in ratio.values()]), 0.995))))
    top = max(2.0, float(curves.max()) * 1.08)
    for row in range(d):
        for column in range(d):
            ax = axes[row, column]
            if column > row:
                ax.set_visible(False)
                continue
            x, y = parameters[shown[column]], parameters[shown[row]]
            if column == row:
                _curve(ax, x, curves[row], top)
            else:
                _cells(ax, x, y, ratio[column, row], scale)
            _outer(
                ax,
                x,
                y,
                bottom=row == d - 1,
                left=column == 0,
                diagonal=row == column,
                many=d >= _MANY,
                room=0.95 * panel,
            )
            if row == d - 1 and d >= _MANY:
                # Below the ticks, which are turned, by as much as in the next panel.
                ax.xaxis.set_label_coords(0.5, -0.5 * d / (size * (rest - bottom)))

    image = axes[-1, 0].images[0]
    key = f"density of {target_name}"
    if d >= _ENLARGE_FROM:
        column, row = max(ratio, key=lambda plane: float(ratio[plane].std()))
        x, y = parameters[shown[column]], parameters[shown[row]]
        large = figure.add_axes((0.62, 0.62, 0.3, 0.3))
        _cells(large, x, y, ratio[column, row], scale)
        scales.frame(large, x, y)
        room = 0.3 * size
        large.set(
            xlabel=wrap(_described(x), room, _MOST_LINES_ENLARGED),
            ylabel=wrap(_described(y), room, _MOST_LINES_ENLARGED),
            title="the plane with the most structure, enlarged",
        )
        bar = figure.add_axes((0.935, 0.62, 0.014, 0.3))
        figure.colorbar(image, cax=bar, extend="max", label=wrap(f"{key}, relative to all samples", room))
    else:
        bar = figure.add_axes((0.62, 0.86, 0.34, 0.03))
        figure.colorbar(image, cax=bar, orientation="horizontal", extend="max")
        bar.set_title(wrap(f"{key},\nrelative to all samples", 0.4 * size))
    return figure


def caption(parameters: Sequence[Parameter], target: NDArray[Any], total: NDArray[Any], target_name: str) -> str:
    """Return the numbers of this run; arguments as for `draw`."""
    if len(parameters) < 2 or target.sum() == 0:
        return "There is nothing to show."
    found, samples = int(target[0].sum()), int(total[0].sum())
    cells = _resolution(target.shape[1], found, 2)
    text = f"Target: {target_name}, {found:,} of {count(samples, 'sample')}, whatever the members' disagreement; "
    text += f"{count(len(target), 'plane')} of {cells} × {cells} cells."
    if found < _PER_CELL * cells**2:
        text += " With so few samples, single cells show chance."
    if len(parameters) > _MOST_PARAMETERS:
        text += f" Shown: the {_MOST_PARAMETERS} of {len(parameters)} parameters along which the target varies most."
    return text


@style.styled
def draw_marginals(
    parameters: Sequence[Parameter], counts: NDArray[Any], class_names: Sequence[str], objective: str
) -> Figure:
    """Draw a panel for each parameter, with a curve for each class.

    Parameters
    ----------
    counts
        (classes, planes, bins, bins), samples of each class.
    objective
        What the classes tell apart; the title of the legend.
    """
    found = _found(counts)
    drawn = [k for k in range(len(class_names)) if found[k] >= 2 * _PER_STEP]
    if counts.shape[1] == 0:
        return style.message("No curves to show: no parameter varies.")
    if not drawn:
        return style.message("No class has enough samples to be drawn along the parameters.")
    names = [class_names[k] for k in drawn]

    def room_of(columns: int) -> float:
        return 0.85 * (style.WIDTH - 0.6) / columns

    # The legend stands in a free panel, or below where its lines would be too long for one.
    columns = min(4, len(parameters) + 1)
    inside = all(wrap(name, room_of(columns) - _HANDLE) == name for name in names)
    columns = columns if inside else min(4, len(parameters))
    room = room_of(columns)
    names = [wrap(name, style.WIDTH - 2 * _HANDLE) for name in names]
    below = 0 if inside else 0.5 + 0.15 * "\n".join(names).count("\n")
    rows = -(-(len(parameters) + inside) // columns)
    figure = Figure(figsize=(style.WIDTH, 0.5 + 1.5 * rows + below))
    axes = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    total = counts.sum(axis=0)
    top = 2.0
    for place, k in enumerate(drawn):
        curves = marginals(counts[k], total, len(parameters))
        top = max(top, float(curves.max()))
        colour = style.CYCLE[place % len(style.CYCLE)]
        for ax, parameter, curve in zip(axes, parameters, curves, strict=False):
            ax.stairs(
                curve, scales.edges(parameter, len(curve)), baseline=None, lw=1.4, color=colour, label=names[place]
            )
    for j, (ax, parameter) in enumerate(zip(axes, parameters, strict=False)):
        ax.axhline(1, color="0.5", lw=0.8, ls=(0, (3, 2)))
        ax.set(xlabel=wrap(parameter.label, room, _MOST_LINES), xlim=scales.limits(parameter), ylim=(0, top * 1.05))
        ax.locator_params(axis="x", nbins=3)
        scales.mark(ax.xaxis, parameter, 4)
        if j % columns == 0:
            ax.set_ylabel("relative\nfrequency")
    for ax in axes[len(parameters) :]:
        ax.set_axis_off()
    legend = axes[0].get_legend_handles_labels()
    if inside:
        axes[len(parameters)].legend(*legend, loc="center", title=wrap(objective, room))
    else:
        figure.legend(*legend, loc="outside lower left", title=wrap(objective, style.WIDTH - _HANDLE))
    return figure


def marginals_caption(counts: NDArray[Any], class_names: Sequence[str]) -> str:
    """Return the numbers of this run; arrays as for `draw_marginals`."""
    few = [name for name, n in zip(class_names, _found(counts), strict=True) if n < 2 * _PER_STEP]
    text = f"{count(int(_found(counts).sum()), 'sample')}."
    if few:
        text += f" Without a curve, for it would show chance: {', '.join(few)} (fewer than {2 * _PER_STEP} samples)."
    return text


def marginals(target: NDArray[Any], total: NDArray[Any], d: int) -> NDArray[Any]:
    """Return the frequency of `target` relative to `total` along each of d parameters, (d, cells)."""
    cells = _resolution(target.shape[1], int(target[0].sum()), 1)
    return np.array(
        [_ratio(_joined(hits, cells), _joined(samples, cells)) for hits, samples in _along(target, total, d)]
    )


def relative_density(target: NDArray[Any], total: NDArray[Any]) -> NDArray[Any]:
    """Return the frequency of `target` relative to `total` in every plane, (planes, bins, bins), 0 where none is."""
    if not target.any():
        return np.zeros(target.shape)
    smooth = []
    for hits, samples in zip(target, total, strict=True):
        cells = _density(hits, samples)
        smooth.append(cells.repeat(len(hits) // len(cells), axis=0).repeat(len(hits) // len(cells), axis=1))
    return np.array(smooth)


def shifts(target: NDArray[Any], total: NDArray[Any], d: int) -> NDArray[Any]:
    """Return how far the mean of `target` lies from that of `total` along each of d parameters, in ranges, (d,)."""
    centres = (np.arange(target.shape[1]) + 0.5) / target.shape[1]
    return np.array(
        [
            np.average(centres, weights=hits) - np.average(centres, weights=samples)
            for hits, samples in _along(target, total, d)
        ]
    )


def along(total: NDArray[Any], d: int) -> NDArray[np.int64]:
    """Return counts along each of d parameters alone, (d, bins), of histograms over their planes."""
    return np.array([samples for _, samples in _along(total, total, d)])


def _along(target: NDArray[Any], total: NDArray[Any], d: int) -> list[tuple[NDArray[Any], NDArray[Any]]]:
    """Return both counts along each parameter alone, from a plane that it spans."""
    pairs = plane_pairs(d)
    result = []
    for j in range(d):
        plane = int(np.flatnonzero((pairs == j).any(axis=1))[0])
        other = 1 if pairs[plane, 0] == j else 0
        result.append((target[plane].sum(axis=other), total[plane].sum(axis=other)))
    return result


def _most_telling(target: NDArray[Any], total: NDArray[Any], d: int) -> list[int]:
    """Return the parameters to show, in their own order: all, or those along which the target varies most."""
    if d <= _MOST_PARAMETERS:
        return list(range(d))
    variation = marginals(target, total, d).std(axis=1)
    return sorted(int(j) for j in np.argsort(-variation, kind="stable")[:_MOST_PARAMETERS])


def _found(counts: NDArray[Any]) -> NDArray[np.int64]:
    """Return the samples of each class; every plane holds all of them."""
    return counts[:, :1].sum(axis=(1, 2, 3))


def _resolution(bins: int, found: int, dimensions: int) -> int:
    """Return the most cells along an axis that `found` samples can fill; it divides `bins`."""
    least = _PER_STEP if dimensions == 1 else _PER_CELL
    divisors = [k for k in range(1, bins + 1) if bins % k == 0]
    return max(k for k in divisors if k <= 5 or found >= least * k**dimensions)


def _joined(counts: NDArray[Any], cells: int) -> NDArray[Any]:
    """Add up neighbouring bins to `cells` along each axis."""
    width = len(counts) // cells
    for axis in range(counts.ndim):
        counts = np.add.reduceat(counts, np.arange(0, counts.shape[axis], width), axis=axis)
    return counts


def _density(hits: NDArray[Any], samples: NDArray[Any]) -> NDArray[Any]:
    cells = _resolution(len(hits), int(hits.sum()), 2)
    return _ratio(_joined(hits, cells), _joined(samples, cells))


def _ratio(hits: NDArray[Any], samples: NDArray[Any]) -> NDArray[Any]:
    expected = samples * (hits.sum() / samples.sum())
    return np.divide(hits, expected, out=np.zeros(hits.shape), where=expected > 0)


def _cells(ax: Axes, x: Parameter, y: Parameter, ratio: NDArray[Any], scale: Normalize) -> None:
    ax.imshow(ratio.T, origin="lower", extent=scales.extent(x, y), aspect="auto", norm=scale, interpolation="nearest")


def _curve(ax: Axes, parameter: Parameter, relative: NDArray[Any], top: float) -> None:
    edges = scales.edges(parameter, len(relative))
    ax.stairs(relative, edges, fill=True, color="0.75", label=style.SHOWN_ELSEWHERE)
    ax.stairs(relative, edges, color="black", lw=0.9)
    ax.axhline(1, color=style.VERMILION, lw=0.8, ls=(0, (3, 2)))
    ax.set(xlim=scales.limits(parameter), ylim=(0, top))


def _described(parameter: Parameter) -> str:
    return f"{parameter.label}: {parameter.meaning}" if parameter.meaning else parameter.label


def _outer(
    ax: Axes, x: Parameter, y: Parameter, *, bottom: bool, left: bool, diagonal: bool, many: bool, room: float
) -> None:
    """Mark the ends of the ranges; name them on the left and bottom of the matrix only, in lines of `room` inches."""
    for axis, parameter in ((ax.xaxis, x), (ax.yaxis, y)):
        axis.set_tick_params(length=2, pad=1.5, labelsize=7)
        scales.mark_ends(axis, parameter)
    ax.tick_params(labelbottom=bottom, labelleft=left)
    if diagonal:
        # Its height is frequency, not the parameter.
        ax.yaxis.set_major_locator(FixedLocator([]))
        ax.yaxis.set_major_formatter(NullFormatter())
        ax.set_label("frequency relative to all samples")
    if bottom:
        ax.set_xlabel(wrap(_on_two_lines(x) if many else x.label, room, _MOST_LINES))
        _align(ax.get_xticklabels(), "ha", ("left", "right"), rotation=90 if many else 0)
    if left:
        turn, side = (0, "right") if many else (90, "center")
        name = wrap(_on_two_lines(y) if many else y.label, room, _MOST_LINES)
        ax.set_ylabel(name, rotation=turn, ha=side, va="bottom" if turn else "center", labelpad=4)
        if not diagonal:
            _align(ax.get_yticklabels(), "va", ("bottom", "top"), rotation=0)


def _on_two_lines(parameter: Parameter) -> str:
    """Return the label with its unit below, where there is no room for it beside."""
    return parameter.label.replace(f" [{parameter.unit}]", f"\n[{parameter.unit}]")


def _align(labels: Sequence[Any], side: str, sides: tuple[str, str], rotation: float) -> None:
    """Keep the labels of a range's ends inside it, lest they meet those of the next panel."""
    for label, value in zip(labels, sides, strict=True):
        label.set(**{side: value}, rotation=rotation, rotation_mode="default")
