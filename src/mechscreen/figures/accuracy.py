"""Emulated against simulated values (Wang et al. 2019, Fig. 2a)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from mechscreen.emulators.metrics import is_useless
from mechscreen.emulators.metrics import r_squared as of_values
from mechscreen.figures import style, wrapping
from mechscreen.figures.pairs import Pair
from mechscreen.figures.text import correlation, count, number
from mechscreen.models import Output

# Beyond so many, points hide one another and cells are counted instead.
_MOST_POINTS = 3000


_COLUMNS = 3


@style.styled
def draw_each(shown: Sequence[Pair], r_squared: Sequence[float | None]) -> Figure:
    """Draw emulated against simulated values of outputs of any kind, a panel for each.

    Parameters
    ----------
    shown
        The outputs of the n test samples.
    r_squared
        Of each output, about the mean at each point (`mechscreen.emulators.metrics.explained`); None where undefined.
    """
    columns = min(_COLUMNS, len(shown))
    rows = -(-len(shown) // columns)
    figure = Figure(figsize=(style.WIDTH * columns / _COLUMNS, 2.6 * rows))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for ax, pair, r2 in zip(panels, shown, r_squared, strict=False):
        both = np.isfinite(pair.simulated) & np.isfinite(pair.emulated)
        x, y = pair.simulated[both].ravel(), pair.emulated[both].ravel()
        if not x.size:
            ax.set_title(f"{pair.label}\nno sample has it", loc="left")
            ax.set_axis_off()
            continue
        low, high = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
        logarithmic = pair.output.scale == "log"
        if logarithmic:
            low, high = low / 1.1, high * 1.1
            ax.set(xscale="log", yscale="log")
        else:
            margin = 0.03 * ((high - low) or 1.0)
            low, high = low - margin, high + margin
        if len(x) > _MOST_POINTS and not logarithmic:
            _density(ax, x, y, (low, high, low, high))
        else:
            chosen = slice(None, None, max(1, len(x) // _MOST_POINTS))
            ax.scatter(x[chosen], y[chosen], s=5, alpha=0.5, lw=0, color=style.BLUE)
        _diagonal(ax, low, high, "simulated", "emulated")
        if logarithmic:
            for axis in (ax.xaxis, ax.yaxis):
                style.log_axis_in_short(axis, low, high)
        quality = "does not vary" if r2 is None else f"R² = {correlation(r2)}"
        useless = pair.output.counts and is_useless(r2)
        title = wrapping.wrap(f"{pair.label}\n{quality}", style.WIDTH / _COLUMNS - 0.6, 3, "axes.titlesize")
        ax.set_title(title, loc="left", color=style.VERMILION if useless else "black")
    for ax in panels[len(shown) :]:
        ax.set_axis_off()
    return figure


def caption_each(shown: Sequence[Pair], r_squared: Sequence[float | None]) -> str:
    """Return the numbers of this run; arguments as for `draw_each`."""
    both = [(pair.output, r2) for pair, r2 in zip(shown, r_squared, strict=True)]
    useless = [output.name for output, r2 in both if output.counts and is_useless(r2)]
    text = f"{count(len(shown[0].simulated), 'test sample')}."
    if useless:
        text += f" The emulators are worthless for {', '.join(useless)} (red): hardly better than the mean."
    return text


@style.styled
def draw(
    simulated: NDArray[Any],
    emulated: NDArray[Any],
    simulated_peaks: NDArray[Any],
    emulated_peaks: NDArray[Any],
    outputs: Sequence[Output],
) -> Figure:
    """Draw profile values and log peaks, emulated against simulated.

    Parameters
    ----------
    simulated, emulated
        (n, outputs, points), profiles normalised to their maxima.
    simulated_peaks, emulated_peaks
        (n, outputs), ln(peak).
    outputs
        Of the model, in the order of the arrays' second axis.
    """
    figure = Figure(figsize=(style.WIDTH, 3.5))
    left, right = figure.subplots(1, 2)
    cells = _density(left, simulated, emulated, (0, 1, 0, 1))
    figure.colorbar(cells, ax=left, label="points in a cell", shrink=0.8)
    _diagonal(left, 0, 1, "simulated value / max", "emulated value / max")
    left.set_title("Profiles: " + _quality(simulated, emulated), loc="left")

    both = np.concatenate([simulated_peaks.ravel(), emulated_peaks.ravel()])
    margin = 0.03 * (float(np.ptp(both)) or 1.0)
    low, high = float(both.min()) - margin, float(both.max()) + margin
    if simulated_peaks.size > _MOST_POINTS:
        cells = _density(right, simulated_peaks, emulated_peaks, (low, high, low, high))
        figure.colorbar(cells, ax=right, label="samples in a cell", shrink=0.8)
    else:
        for k, output in enumerate(outputs):
            colour = style.CYCLE[k % len(style.CYCLE)]
            x, y = simulated_peaks[:, k], emulated_peaks[:, k]
            right.scatter(x, y, s=5, alpha=0.5, lw=0, color=colour, label=output.name)
        if len(outputs) > 1:
            right.legend(markerscale=2, loc="lower right")
    units = {output.unit for output in outputs}
    unit = f", peak in {units.pop()}" if len(units) == 1 and units != {""} else ""
    _diagonal(right, low, high, f"simulated ln(peak){unit}", f"emulated ln(peak){unit}")
    right.set_title("Peaks: " + _quality(simulated_peaks, emulated_peaks), loc="left")
    return figure


def caption(
    simulated: NDArray[Any], emulated: NDArray[Any], simulated_peaks: NDArray[Any], emulated_peaks: NDArray[Any]
) -> str:
    """Return the numbers of this run; arrays as for `draw`."""
    return (
        f"{count(len(simulated), 'test sample')}, {count(simulated.size, 'profile value')}. "
        f"Over all values, profiles: {_quality(simulated, emulated)}; "
        f"ln(peak): {_quality(simulated_peaks, emulated_peaks)}."
    )


def _quality(truth: NDArray[Any], estimate: NDArray[Any]) -> str:
    rmse = float(np.sqrt(np.mean(np.square(truth - estimate, dtype=float))))
    return f"R² = {correlation(of_values(truth, estimate))}, RMSE = {number(rmse)}"


def _density(ax: Axes, x: NDArray[Any], y: NDArray[Any], extent: tuple[float, float, float, float]) -> Any:
    return ax.hexbin(x.ravel(), y.ravel(), gridsize=55, bins="log", mincnt=1, extent=extent, linewidths=0.1)


def _diagonal(ax: Axes, low: float, high: float, x_label: str, y_label: str) -> None:
    ax.plot([low, high], [low, high], color=style.VERMILION, linewidth=0.9)
    ax.set(xlim=(low, high), ylim=(low, high), xlabel=x_label, ylabel=y_label, aspect="equal")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_locator(MaxNLocator(5))
