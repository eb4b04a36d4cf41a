"""What a figure draws: as rows of a table, to plot it again, and in a sentence, for those who cannot see it."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import Collection, LineCollection, PolyCollection
from matplotlib.container import BarContainer
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import StepPatch
from numpy.typing import NDArray

from mechscreen.figures.scales import in_values
from mechscreen.figures.style import MOVED, SHOWN_ELSEWHERE
from mechscreen.figures.text import count, plain

HEAD = ("panel", "title", "along", "up", "series", "x", "y", "y from", "y to", "value", "what the value is")
"""Columns: the panel and what is written on it; then what is drawn there."""

_DIGITS = 6
_MOST_AXES = 3


@dataclass(frozen=True)
class _Drawn:
    """What one artist shows, all columns (n,); those that it does not have are None."""

    kind: str
    x: NDArray[Any] | None
    y: NDArray[Any] | None
    low: NDArray[Any] | None = None
    high: NDArray[Any] | None = None
    value: NDArray[Any] | None = None
    meaning: str = ""


def to_csv(figure: Figure) -> str:
    """Return what a figure draws as a table with the columns `HEAD`, a row for each point, bar or cell.

    Values stand in the units of the axes' labels; those of an axis over decades are not logarithms. `series` is the
    name in the legend or, where there is none, what is drawn and its number. Bands and error bars have both ends.
    """
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEAD)
    for number, ax in enumerate(_panels(figure), 1):
        about = [number, _one_line(_title(ax)), *_labels(ax)]
        for place, (artist, drawn) in enumerate(_drawn(ax), 1):
            label = str(artist.get_label())
            series = _one_line(label) if label and not label.startswith("_") else f"{drawn.kind} {place}"
            columns = (_along(ax, drawn.x, "x"), *(_along(ax, c, "y") for c in (drawn.y, drawn.low, drawn.high)))
            n = max(len(column) for column in (*columns, drawn.value) if column is not None)
            texts = [_texts(column, n) for column in (*columns, drawn.value)]
            for row in zip(*texts, strict=True):
                writer.writerow([*about, series, *row, drawn.meaning])
    return stream.getvalue()


def describe(figure: Figure) -> str:
    """Return in a sentence how many panels there are, what is drawn in them, and along which axes; "" of a text."""
    panels = _panels(figure)
    if not panels:
        return ""
    kinds = dict.fromkeys(drawn.kind for ax in panels for _, drawn in _drawn(ax))
    labels = [_labels(ax) for ax in panels]
    axes = dict.fromkeys(f"{up} over {along}" if up else along for along, up in labels if along)
    named = [*axes][:_MOST_AXES]
    left = len(axes) - len(named)
    text = f"{count(len(panels), 'panel')} with {', '.join(_MANY[kind] for kind in kinds)}"
    return text + (f": {'; '.join(named)}" if named else "") + (f"; and {left} more" if left else "") + "."


_MANY = {
    "line": "lines",
    "points": "points",
    "cells": "cells coloured by value",
    "band": "bands",
    "bars": "bars",
    "steps": "step curves",
    "image": "images",
    "segments": "ranges",
}


def _panels(figure: Figure) -> list[Axes]:
    """Return the axes that show data: neither hidden ones nor keys of colours."""
    mappables = figure.findobj(lambda artist: isinstance(artist, ScalarMappable))
    keys = [m.colorbar.ax for m in mappables if isinstance(m, ScalarMappable) and m.colorbar is not None]
    return [ax for ax in figure.axes if ax.get_visible() and ax not in keys and any(True for _ in _drawn(ax))]


def _drawn(ax: Axes) -> Iterator[tuple[Artist, _Drawn]]:
    """Yield what a panel shows, artist by artist."""
    bars = {id(bar) for container in ax.containers if isinstance(container, BarContainer) for bar in container}
    for container in ax.containers:
        if isinstance(container, BarContainer) and len(container):
            yield container[0], _of_bars(container)
    for artist in ax.get_children():
        if not artist.get_visible() or artist.get_label() == SHOWN_ELSEWHERE or id(artist) in bars:
            continue
        found = _of(ax, artist)
        if found is not None:
            yield artist, found


def _of(ax: Axes, artist: Artist) -> _Drawn | None:
    match artist:
        case Line2D():
            return _of_line(ax, artist)
        case LineCollection():
            ends = [np.asarray(segment) for segment in artist.get_segments() if len(segment) > 1]
            if not ends or not artist.get_transform().contains_branch(ax.transData):
                return None
            of_all = np.array([[*one.mean(axis=0), one[:, 1].min(), one[:, 1].max()] for one in ends])
            upright = all(one[0, 0] == one[-1, 0] for one in ends)
            if upright:
                return _Drawn("segments", of_all[:, 0], None, of_all[:, 2], of_all[:, 3])
            points = np.concatenate(ends)
            return _Drawn("segments", points[:, 0], points[:, 1])
        case PolyCollection() if len(np.asarray(artist.get_offsets())) < 2:
            return _of_band(ax, artist)
        case Collection():
            offsets = np.asarray(np.ma.getdata(artist.get_offsets()), dtype=float)
            if not len(offsets) or not artist.get_offset_transform().contains_branch(ax.transData):
                return None
            values = artist.get_array()
            kind = "cells" if isinstance(artist, PolyCollection) else "points"
            of_value = None if values is None else np.asarray(np.ma.filled(values.astype(float), np.nan)).ravel()
            return _Drawn(kind, offsets[:, 0], offsets[:, 1], value=of_value, meaning=_meaning(artist))
        case StepPatch():
            values, edges, _ = artist.get_data()
            return _Drawn("steps", (edges[1:] + edges[:-1]) / 2, np.asarray(values))
        case AxesImage():
            return _of_image(artist)
        case _:
            return None


def _of_line(ax: Axes, line: Line2D) -> _Drawn | None:
    """Return the points of a line, without what is a share of the panel instead of a value, as of `axhline`."""
    along, up = line.get_transform().contains_branch_seperately(ax.transData)
    x, y = (np.asarray(values, dtype=float) for values in (line.get_xdata(), line.get_ydata()))
    if not x.size or not (along or up):
        return None
    kind = "line" if line.get_linestyle() not in ("None", "none", "", " ") else "points"
    if along and up:
        return _Drawn(kind, x, y)
    return _Drawn(kind, x[:1] if along else None, y[:1] if up else None)


def _of_band(ax: Axes, band: PolyCollection) -> _Drawn | None:
    if not band.get_transform().contains_branch(ax.transData):
        return None
    points = np.concatenate([np.asarray(path.vertices) for path in band.get_paths()] or [np.empty((0, 2))])
    if not len(points):
        return None
    x, places = np.unique(points[:, 0], return_inverse=True)
    low, high = np.full(len(x), np.inf), np.full(len(x), -np.inf)
    np.minimum.at(low, places, points[:, 1])
    np.maximum.at(high, places, points[:, 1])
    return _Drawn("band", x, None, low, high)


def _of_bars(container: BarContainer) -> _Drawn:
    boxes = np.array([[*bar.get_xy(), bar.get_width(), bar.get_height()] for bar in container], dtype=float)
    left, bottom, width, height = boxes.T
    if container.orientation == "horizontal":
        return _Drawn("bars", left + width, bottom + height / 2)
    return _Drawn("bars", left + width / 2, bottom + height)


def _of_image(image: AxesImage) -> _Drawn | None:
    """Return the cells of an image that have a value; pictures of mere colours have none."""
    array = image.get_array()
    if array is None or array.ndim != 2:
        return None
    values = _unrepeated(np.asarray(np.ma.filled(array.astype(float), np.nan)))
    left, right, bottom, top = image.get_extent()
    if image.origin == "upper":
        bottom, top = top, bottom
    rows, columns = values.shape
    x = left + (np.arange(columns) + 0.5) / columns * (right - left)
    y = bottom + (np.arange(rows) + 0.5) / rows * (top - bottom)
    known = np.isfinite(values)
    right, upward = MOVED.get(image, (0.0, 0.0))
    across, up = np.meshgrid(x - right, y - upward)
    return _Drawn("image", across[known], up[known], value=values[known], meaning=_meaning(image))


def _unrepeated(values: NDArray[Any]) -> NDArray[Any]:
    """Return an image without cells that only repeat their neighbours, where all do so alike."""
    for axis in (0, 1):
        n = values.shape[axis]
        for step in (k for k in range(n, 1, -1) if n % k == 0):
            fewer = values.take(np.arange(0, n, step), axis=axis)
            if np.array_equal(fewer.repeat(step, axis=axis), values, equal_nan=True):
                values = fewer
                break
    return values


def _meaning(mappable: ScalarMappable) -> str:
    """Return what stands beside the key of its colours, which may be that of another one with the same scale."""
    figure = mappable.figure.get_figure(root=True)  # type: ignore[attr-defined]
    others = figure.findobj(lambda artist: isinstance(artist, ScalarMappable) and artist.norm is mappable.norm)
    for other in (mappable, *others):
        if other.colorbar is not None:
            ax = other.colorbar.ax
            return _one_line(ax.get_ylabel() or ax.get_xlabel() or ax.get_title())
    return ""


def _labels(ax: Axes) -> tuple[str, str]:
    """Return what lies along and up a panel.

    The panel at the edge of its row or column may say it, too; where that is not so of the height, it has it as its own
    label (`Axes.set_label`).
    """
    place = ax.get_subplotspec()
    along, up = ax.get_xlabel(), str(ax.get_label()) or ax.get_ylabel()
    if place is not None:
        for other in ax.get_figure(root=False).axes:  # type: ignore[union-attr]
            spec = other.get_subplotspec()
            if spec is None or spec.get_gridspec() is not place.get_gridspec() or not other.get_visible():
                continue
            along = along or (other.get_xlabel() if spec.colspan == place.colspan else "")
            up = up or (other.get_ylabel() if spec.rowspan == place.rowspan else "")
    figure = ax.get_figure(root=True)
    return _one_line(along or figure.get_supxlabel()), _one_line(up or figure.get_supylabel())  # type: ignore[union-attr]


def _title(ax: Axes) -> str:
    return ax.get_title() or ax.get_title(loc="left")


def _one_line(text: str) -> str:
    return plain(" ".join(text.split()))


def _along(ax: Axes, values: NDArray[Any] | None, which: str) -> NDArray[Any] | None:
    """Return values of a panel's coordinates, which may be logarithms or places among marks."""
    return None if values is None else in_values(ax.xaxis if which == "x" else ax.yaxis, values)


def _texts(column: NDArray[Any] | None, n: int) -> list[str]:
    if column is None:
        return [""] * n
    if column.dtype == object:  # names
        return [str(one) for one in column]
    return [f"{one:.{_DIGITS}g}" if np.isfinite(one) else "" for one in column.tolist()]
