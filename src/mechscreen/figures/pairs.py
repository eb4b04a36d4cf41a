"""Outputs of samples, simulated and emulated side by side, as figures show them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import ArrayLike, NDArray

from mechscreen.emulators.conformal import LEVEL
from mechscreen.figures import style
from mechscreen.figures.text import number
from mechscreen.models import Output, Outputs


@dataclass(frozen=True)
class Ways:
    """What the two ways to know a sample are called.

    Attributes
    ----------
    simulation, emulator
        As nouns, in legends.
    simulated, emulated
        Of a sample.
    """

    simulation: str
    emulator: str
    simulated: str
    emulated: str


OF_EMULATOR = Ways("simulation", "emulator", "simulated", "emulated")
OF_MODEL = Ways("simulated again", "in the screen", "simulated again", "in the screen")
"""Where the screen is by the model itself."""


@dataclass(frozen=True)
class Pair:
    """One output of n samples, both ways.

    Attributes
    ----------
    simulated, emulated
        (n, *output.shape): divided by their maxima where these do not count, else in the output's unit; NaN where a
        simulation failed.
    low, high
        The same of the ends of the emulation's bands; None without.
    ways
        What the two are called.
    """

    output: Output
    simulated: NDArray[Any]
    emulated: NDArray[Any]
    ways: Ways = OF_EMULATOR
    low: NDArray[Any] | None = None
    high: NDArray[Any] | None = None

    @property
    def label(self) -> str:
        """Label of the axis of its values."""
        return value_label(self.output)

    @property
    def limits(self) -> tuple[float, float]:
        """Least and largest value of all samples; 0 and 1 where they are divided by their maxima."""
        if self.output.compare == "shape":
            return 0.0, 1.0
        both = np.concatenate([self.simulated.ravel(), self.emulated.ravel()])
        both = both[np.isfinite(both)]
        return (float(both.min()), float(both.max())) if both.size else (0.0, 1.0)

    def take(self, rows: ArrayLike) -> Pair:
        """Return some of the samples."""
        chosen = np.asarray(rows, dtype=np.intp)
        low, high = (None if end is None else end[chosen] for end in (self.low, self.high))
        return replace(self, simulated=self.simulated[chosen], emulated=self.emulated[chosen], low=low, high=high)


def pairs(
    outputs: Sequence[Output],
    simulated: tuple[ArrayLike, ArrayLike],
    emulated: tuple[ArrayLike, ArrayLike],
    order: Sequence[int] | None = None,
    ways: Ways = OF_EMULATOR,
    ends: tuple[ArrayLike, ArrayLike] | None = None,
) -> list[Pair]:
    """Return the outputs of n samples, in some order, from their profiles and log peaks.

    `ends` are those of bands around emulated profiles.
    """
    places = Outputs(outputs)

    def shown(k: int, profiles: ArrayLike, log_peaks: ArrayLike) -> NDArray[Any]:
        by_shape = places[k].compare == "shape"
        return places.of(profiles, k) if by_shape else places.in_units(profiles, log_peaks, k)

    def bands(k: int) -> list[NDArray[Any]]:
        # They are of the scaled values: of what is shown in its unit, the peak errs, too.
        scaled = places[k].scale == "peak" and places[k].compare != "shape"
        return [] if scaled else [shown(k, end, emulated[1]) for end in ends or ()]

    return [
        Pair(places[k], shown(k, *simulated), shown(k, *emulated), ways, *bands(k))
        for k in (range(len(places)) if order is None else order)
    ]


def value_label(output: Output) -> str:
    """Label of the axis of an output's values; those that are divided by their maximum have no unit."""
    if output.compare == "shape":
        return f"{output.name} / max"
    return f"{output.name} [{output.unit}]" if output.unit else output.name


def draw(ax: Axes, pair: Pair, i: int) -> None:
    """Draw an output of sample i both ways; few ticks, for a small panel."""
    if pair.output.view == "image":
        _images(ax, pair, i)
    elif pair.output.view == "number":
        _numbers(ax, pair, i)
    else:
        ends = None if pair.low is None or pair.high is None else (pair.low[i], pair.high[i])
        style.profiles(ax, pair.output, pair.simulated[i], pair.emulated[i], ends)


def legend(figure: Figure, shown: Sequence[Pair]) -> None:
    """Say above the panels which of `draw` is which."""
    marks: list[Any] = []
    first, second = shown[0].ways.simulation, shown[0].ways.emulator
    if any(pair.output.view in ("line", "disc", "density") for pair in shown):
        marks += [Line2D([], [], label=first, **style.SIMULATED), Line2D([], [], label=second, **style.EMULATED)]
        if any(pair.low is not None for pair in shown):
            marks += [Patch(label=f"{100 * LEVEL:g} % band", **style.BAND)]
    if any(pair.output.view == "number" for pair in shown):
        marks += [Line2D([], [], **{**_DOT, "label": first}), Line2D([], [], **{**_RING, "label": second})]
    if marks:
        figure.legend(handles=marks, loc="outside upper right", ncols=len(marks))


_DOT: Mapping[str, Any] = {"marker": "o", "markersize": 5, "color": "black", "linestyle": "none", "label": "simulated"}
_RING: Mapping[str, Any] = {
    "marker": "o",
    "markersize": 9,
    "markerfacecolor": "none",
    "markeredgecolor": style.ORANGE,
    "markeredgewidth": 1.6,
    "linestyle": "none",
    "label": "emulated",
}


def _numbers(ax: Axes, pair: Pair, i: int) -> None:
    """Draw two numbers on an axis that holds those of all samples."""
    style.along_numbers(ax, pair.output, *pair.limits)
    ax.plot(float(np.squeeze(pair.simulated[i])), 0, **_DOT)
    ax.plot(float(np.squeeze(pair.emulated[i])), 0, **_RING)
    ax.axhline(0, color="0.8", linewidth=0.7, zorder=0)


_GAP = 0.06
"""Share of an image's width between the two."""


def _images(ax: Axes, pair: Pair, i: int) -> None:
    """Draw the simulated field and, to its right, the emulated one, in the same colours."""
    two = np.stack([pair.simulated[i], pair.emulated[i]])
    known = two[np.isfinite(two)]
    scale = Normalize(*((float(known.min()), float(known.max())) if known.size else (0.0, 1.0)))
    rows, columns = pair.output.grids
    ways = pair.ways.simulated, pair.ways.emulated
    width, height = float(np.ptp(columns)) or 1.0, float(np.ptp(rows)) or 1.0
    for place, image in enumerate(two):
        left = place * (1 + _GAP) * width
        about: Mapping[str, Any] = {"origin": "lower", "norm": scale, "aspect": "auto", "label": ways[place]}
        shown = ax.imshow(image, extent=(left, left + width, 0, height), **about)
        style.MOVED[shown] = left - float(columns[0]), -float(rows[0])
        ax.text(left + width / 2, 1.02 * height, ways[place], ha="center", va="bottom", fontsize=7)
    ax.set_xlim(0, (2 + _GAP) * width)
    ax.set_ylim(0, height)
    ax.set_aspect("equal" if 0.2 < width / height < 5 else "auto")
    # The right one stands on the same axes as the left one, which has their ends.
    ax.set_xticks([0, width], [f"{columns[0]:g}", f"{columns[-1]:g}"], fontsize=7)
    ax.set_yticks([0, height], [f"{rows[0]:g}", f"{rows[-1]:g}"], fontsize=7)
    for spine in ax.spines.values():
        spine.set_visible(False)
    colour_key(ax, shown, pair.label)


def colour_key(ax: Axes, image: AxesImage, label: str) -> None:
    """Say beside a small panel what its colours stand for."""
    figure = ax.get_figure(root=True)
    assert figure is not None
    bar = figure.colorbar(image, cax=ax.inset_axes((1.03, 0, 0.035, 1)))
    bar.set_ticks(list(image.get_clim()))
    bar.ax.set_yticklabels([number(end) for end in image.get_clim()], fontsize=7)
    bar.set_label(label, fontsize=7, labelpad=1)


def about_fields(shown: Sequence[Pair]) -> str:
    """Return a sentence on what lies along and up the images, which have no room for it; "" where there is none."""
    told = []
    for pair in shown:
        if pair.output.view == "image":
            (up, rows), (along, columns) = zip(pair.output.axes, pair.output.grids, strict=True)
            told.append(
                f"{pair.output.name}: {along} from {columns[0]:g} to {columns[-1]:g} along, {up} from {rows[0]:g} to "
                f"{rows[-1]:g} up"
            )
    return f" Fields: {'; '.join(told)}." if told else ""
