"""Features of hits: over the planes of parameters, and as they are emulated against simulated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from scipy import stats

from mechscreen.figures import scales, style
from mechscreen.figures.text import count, percent
from mechscreen.figures.wrapping import wrap
from mechscreen.spaces import Parameter
from mechscreen.tally import plane_pairs

Both = tuple[NDArray[Any], NDArray[Any]]
"""A feature of n hits, (n,) emulated and (n,) simulated; NaN where a hit does not have it."""

_MOST_FEATURES = 8
_PLANES = 3
# A cell with fewer hits has no colour; with so many on average cells are chosen, up to so many along an axis.
_FEWEST = 3
_PER_CELL = 12
_MOST_CELLS = 20
# By so few cells planes are compared, so that each holds many hits.
_COARSE = 5
# Values over a larger range are shown in decades.
_WIDE = 30.0
_CLOSE = 0.1
# Light and pink: the map of colours goes through grey.
_MISSING = (0.95, 0.82, 0.88, 1.0)


@style.styled
def draw(parameters: Sequence[Parameter], values: NDArray[Any], features: Mapping[str, NDArray[Any]]) -> Figure:
    """Draw a row of planes for each feature.

    Parameters
    ----------
    parameters
        The d parameters that vary.
    values
        (n, d), physical values of the hits.
    features
        (n,) values of each feature, NaN where a hit does not have it, by its label.
    """
    drawn = _drawn(features)
    if not drawn:
        return style.message("No features to show: no hit has one.")
    position = _positions(parameters, values)
    columns = min(_PLANES, len(plane_pairs(len(parameters))))
    # A single plane is no wider than half of the page.
    width = style.WIDTH * (0.3 + 0.7 * columns / _PLANES)
    figure = Figure(figsize=(width, 2.3 * len(drawn) + 0.2))
    for row, (subfigure,) in zip(drawn, figure.subfigures(len(drawn), 1, squeeze=False), strict=True):
        axes = subfigure.subplots(1, columns, squeeze=False)[0]
        if len(parameters) == 1:
            _points(axes[0], parameters[0], position[:, 0], features[row])
            axes[0].set_ylabel(wrap(row, 2.0, 3))
        else:
            _row(subfigure, axes, parameters, position, row, features[row], width / columns)
    return figure


def caption(features: Mapping[str, NDArray[Any]], n: int, found: int, target_name: str) -> str:
    """Return the numbers of this run; features as for `draw`, of n hits of those that were found of the target."""
    which = "all of them" if n == found else f"a random sample of {found:,}"
    text = f"{count(n, 'hit')} ({target_name}), {which}."
    lacking = {name: float(np.isnan(one).mean()) for name, one in features.items() if np.isnan(one).any()}
    if lacking:
        text += f" Without the feature: {', '.join(f'{name} {percent(share)}' for name, share in lacking.items())}."
    if left_out := [name for name in features if name not in _drawn(features)]:
        text += f" Not shown: {', '.join(left_out)}."
    return text


@style.styled
def draw_pairs(features: Mapping[str, Both], stands: NDArray[np.bool_]) -> Figure:
    """Draw emulated against simulated values, a panel for each feature.

    Parameters
    ----------
    features
        Of the n validated hits, by its label.
    stands
        (n,), whether the model confirms the hit with its class.
    """
    shown = {name: both for name, both in features.items() if np.isfinite(both).all(axis=0).any()}
    if not shown:
        return style.message("No features to show: no validated hit has one both ways.")
    columns = min(_PLANES, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(style.WIDTH * columns / _PLANES, 2.7 * rows))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, (name, (emulated, simulated)) in zip(panels, shown.items(), strict=False):
        both = np.isfinite(emulated) & np.isfinite(simulated)
        _diagonal(ax, np.concatenate([emulated[both], simulated[both]]))
        fallen, standing = both & ~stands, both & stands
        ax.scatter(simulated[standing], emulated[standing], s=8, lw=0, alpha=0.6, color=style.BLUE)
        ax.scatter(simulated[fallen], emulated[fallen], s=12, lw=0.8, marker="x", color=style.VERMILION)
        near = percent(float(within(emulated, simulated)[both].mean()))
        ax.set_title(wrap(f"{name}\nwithin 10 %: {near}", style.WIDTH / _PLANES - 0.6, 4, "axes.titlesize"), loc="left")
        ax.set(xlabel="simulated", ylabel="emulated")
    for ax in panels[len(shown) :]:
        ax.set_axis_off()
    return figure


def pairs_caption(features: Mapping[str, Both]) -> str:
    """Return the numbers of this run; arguments as for `draw_pairs`."""
    told = []
    for name, (emulated, simulated) in features.items():
        said, has = np.isfinite(emulated), np.isfinite(simulated)
        parts = [f"{int((said & has).sum()):,} both ways"]
        parts += [f"{int((said & ~has).sum()):,} as emulated alone"] if (said & ~has).any() else []
        parts += [f"{int((has & ~said).sum()):,} as simulated alone"] if (has & ~said).any() else []
        told.append(f"{name}: {', '.join(parts)}")
    hits = len(next(iter(features.values()))[0])
    return f"{count(hits, 'validated hit')}. With the feature, {'; '.join(told)}."


def within(emulated: NDArray[Any], simulated: NDArray[Any]) -> NDArray[np.bool_]:
    """Return which of n values are off by a tenth of what is simulated at most, (n,); NaN never is."""
    return np.asarray(np.abs(emulated - simulated) <= _CLOSE * np.abs(simulated))


def telling_planes(
    parameters: Sequence[Parameter], position: NDArray[np.float64], values: NDArray[Any]
) -> list[tuple[int, int]]:
    """Return up to three planes over which a feature varies most, the first one most.

    By the share of the variance of its ranks that the means of coarse cells explain, less what chance does (ω², of an
    analysis of variance).

    Parameters
    ----------
    position
        (n, d), in [0, 1], of hits along the axes.
    values
        (n,), of the feature; NaN where a hit does not have it.
    """
    has = np.isfinite(values)
    ranks = stats.rankdata(values[has])
    scores = {}
    for i, j in plane_pairs(len(parameters)).tolist():
        cells = [_cells(parameters[k], _COARSE) for k in (i, j)]
        where = np.ravel_multi_index(_places(position[has][:, [i, j]], cells), cells)
        scores[i, j] = _explained(where, ranks, cells[0] * cells[1])
    return sorted(scores, key=lambda plane: -scores[plane])[:_PLANES]


def _explained(cell: NDArray[np.int64], values: NDArray[Any], cells: int) -> float:
    samples = np.bincount(cell, minlength=cells)
    sums = np.bincount(cell, weights=values, minlength=cells)[samples > 0]
    samples = samples[samples > 0]
    whole = float(np.square(values - values.mean()).sum())
    between = float(np.square(sums / samples - values.mean()) @ samples)
    free = len(values) - len(samples)
    if free <= 0 or whole <= 0:
        return 0.0
    noise = (whole - between) / free
    return (between - (len(samples) - 1) * noise) / (whole + noise)


def medians(
    where: tuple[NDArray[np.int64], NDArray[np.int64]], values: NDArray[Any], cells: Sequence[int]
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return the median of each cell, `cells`, NaN where there is no colour, and where most hits lack the feature.

    Parameters
    ----------
    where
        Places of n hits along both axes.
    values
        (n,); NaN where a hit does not have the feature.
    """
    found, lacking = np.full(cells, np.nan), np.zeros(cells, bool)
    flat = np.ravel_multi_index(where, cells)
    order = np.argsort(flat, kind="stable")
    members, starts = np.unique(flat[order], return_index=True)
    for cell, inside in zip(members, np.split(values[order], starts[1:]), strict=True):
        has = np.isfinite(inside)
        if len(inside) < _FEWEST:
            continue
        if 2 * has.sum() < len(inside):
            lacking.flat[cell] = True
        else:
            found.flat[cell] = np.median(inside[has])
    return found, lacking


def _row(
    figure: Any,
    axes: Sequence[Axes],
    parameters: Sequence[Parameter],
    position: NDArray[np.float64],
    label: str,
    values: NDArray[Any],
    room: float,
) -> None:
    """Draw the planes of a feature, with one key of colours."""
    most = int(np.clip(np.sqrt(len(values) / _PER_CELL), 4, _MOST_CELLS))
    planes = []
    for i, j in telling_planes(parameters, position, values):
        cells = [_cells(parameters[k], most) for k in (i, j)]
        planes.append((i, j, *medians(_places(position[:, [i, j]], cells), values, cells)))
    norm = _norm(np.concatenate([found[np.isfinite(found)] for _, _, found, _ in planes] or [np.empty(0)]))
    for ax, (i, j, found, lacking) in zip(axes, planes, strict=True):
        x, y = parameters[i], parameters[j]
        about: dict[str, Any] = {
            "origin": "lower",
            "extent": scales.extent(x, y),
            "aspect": "auto",
            "interpolation": "nearest",
        }
        ax.imshow(np.where(lacking[..., None], _MISSING, 0.0).swapaxes(0, 1), **about)
        image = ax.imshow(np.ma.masked_invalid(found).T, norm=norm, **about)
        scales.frame(ax, x, y)
        for axis, parameter in ((ax.xaxis, x), (ax.yaxis, y)):
            if not parameter.marks and parameter.scale != "log":
                axis.set_major_locator(MaxNLocator(4))
            else:
                scales.mark(axis, parameter, 4)
        ax.set(xlabel=wrap(x.label, 0.6 * room, 2), ylabel=wrap(y.label, 1.6, 2))
    bar = figure.colorbar(image, ax=list(axes), label=wrap(label, 1.9, 3), extend="both", aspect=15, fraction=0.06)
    if isinstance(norm, LogNorm):
        style.log_axis_in_short(bar.ax.yaxis, *_ends(norm))


def _points(ax: Axes, parameter: Parameter, position: NDArray[np.float64], values: NDArray[Any]) -> None:
    low, high = scales.limits(parameter)
    ax.scatter(low + position * (high - low), values, s=4, lw=0, alpha=0.5, color=style.BLUE)
    known = values[np.isfinite(values)]
    if _wide(known):
        ax.set_yscale("log")
        style.log_axis_in_short(ax.yaxis, known.min(), known.max())
    ax.set(xlabel=wrap(parameter.label, 3.0, 2), xlim=(low, high))
    scales.mark(ax.xaxis, parameter)


def _drawn(features: Mapping[str, NDArray[Any]]) -> list[str]:
    """Return the features of which there is enough to draw."""
    return [name for name, values in features.items() if np.isfinite(values).sum() >= _FEWEST][:_MOST_FEATURES]


def _positions(parameters: Sequence[Parameter], values: NDArray[Any]) -> NDArray[np.float64]:
    columns = [np.clip(p.position(values[:, k]), 0, 1) for k, p in enumerate(parameters)]
    return np.stack(columns, axis=1)


def _cells(parameter: Parameter, most: int) -> int:
    """Return how many cells an axis has: one for each value, where these are few."""
    marks = len(parameter.marks)
    return marks if 0 < marks <= _MOST_CELLS else most


def _places(position: NDArray[np.float64], cells: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    places = np.minimum((position * np.array(cells)).astype(np.int64), np.array(cells) - 1)
    return places[:, 0], places[:, 1]


def _wide(values: NDArray[Any]) -> bool:
    return len(values) > 0 and values.min() > 0 and values.max() / values.min() > _WIDE


def _norm(medians_of_cells: NDArray[Any]) -> Normalize:
    """Return the scale of the colours, in decades where values go over many; single cells may lie beyond its ends."""
    if not len(medians_of_cells):
        return Normalize(0, 1)
    low, high = np.quantile(medians_of_cells, [0.02, 0.98])
    if low == high:
        low, high = low - 0.5 * abs(low) - 1e-9, high + 0.5 * abs(high) + 1e-9
    return LogNorm(low, high) if _wide(np.array([low, high])) else Normalize(low, high)


def _ends(norm: Normalize) -> tuple[float, float]:
    assert norm.vmin is not None
    assert norm.vmax is not None
    return float(norm.vmin), float(norm.vmax)


def _diagonal(ax: Axes, values: NDArray[Any]) -> None:
    """Set equal axes for some values, and draw what a perfect emulator says, and a tenth more and less."""
    low, high = float(values.min()), float(values.max())
    if _wide(values):
        low, high = low / 1.2, high * 1.2
        ax.set(xscale="log", yscale="log")
    else:
        margin = 0.05 * ((high - low) or abs(high) or 1.0)
        low, high = low - margin, high + margin
    ends = np.geomspace(low, high, 50) if ax.get_xscale() == "log" else np.linspace(low, high, 50)
    ax.plot(ends, ends, color="0.3", lw=0.8)
    for factor in (1 - _CLOSE, 1 + _CLOSE):
        ax.plot(ends, factor * ends, color="0.3", lw=0.7, ls=(0, (1, 1.5)))
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        _few_ticks(axis, low, high, logarithmic=ax.get_xscale() == "log")


def _few_ticks(axis: Axis, low: float, high: float, *, logarithmic: bool) -> None:
    if logarithmic:
        style.log_axis_in_short(axis, low, high)
    else:
        axis.set_major_locator(MaxNLocator(4))
