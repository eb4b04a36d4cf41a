"""How all figures look: colours that colour-blind people tell apart, type, sizes, and the PNG they end up in."""

from __future__ import annotations

import functools
import io
import textwrap
from collections.abc import Callable, Mapping
from typing import Any, ParamSpec
from weakref import WeakKeyDictionary

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.collections import Collection
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from matplotlib.transforms import Bbox
from numpy.typing import ArrayLike, NDArray

from mechscreen.figures.text import number
from mechscreen.models import Output

P = ParamSpec("P")

# Okabe & Ito (2008), "Color universal design": told apart with any form of colour blindness.
ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#E69F00",
    "#56B4E9",
    "#009E73",
    "#F0E442",
    "#0072B2",
    "#D55E00",
    "#CC79A7",
)
CYCLE = (BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY, "black")
MAP = "cividis"

SIMULATED: Mapping[str, Any] = {"color": "black", "linewidth": 1.8}
EMULATED: Mapping[str, Any] = {"color": ORANGE, "linewidth": 1.4, "linestyle": (0, (3.5, 1.5))}
FILLED: Mapping[str, Any] = {"alpha": 0.15, "linewidth": 0}
MOVED: WeakKeyDictionary[Artist, tuple[float, float]] = WeakKeyDictionary()
"""How far along and up artists are drawn from where their values are, for want of a panel of their own."""
SHOWN_ELSEWHERE = "_shown elsewhere"
"""Label of what shows numbers of its figure in another way: no data of its own (`mechscreen.figures.data`)."""
BAND: Mapping[str, Any] = {"color": ORANGE, "alpha": 0.3, "linewidth": 0}
LIMIT: Mapping[str, Any] = {"color": VERMILION, "linewidth": 1.2, "linestyle": (0, (5, 2))}

_NEAR_ZERO, _MARGIN = 0.01, 0.15
"""Share of a profile's maximum that is near zero; share of what is shown that is left free at either end."""

WIDTH = 9.0
"""Inches; what a report's page holds."""
DPI = 160
_PAD = 0.05
"""Inches left free beside what stands out of a figure."""
_MANY_POINTS = 3000
"""As which they are drawn in an SVG, at most."""

_SETTINGS = {
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.7,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "axes.prop_cycle": cycler(color=CYCLE),
    "image.cmap": MAP,
    "mathtext.default": "regular",
    "figure.constrained_layout.use": True,
}


def styled(draw: Callable[P, Figure]) -> Callable[P, Figure]:
    """Let a drawing function use the settings of all figures, whatever the caller's own are."""

    @functools.wraps(draw)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> Figure:
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(_SETTINGS)
            return draw(*args, **kwargs)

    return wrapper


@styled
def message(text: str) -> Figure:
    """Return a picture that says why there is nothing to draw."""
    figure = Figure(figsize=(WIDTH, 1.2))
    figure.text(0.5, 0.5, textwrap.fill(text, 90), ha="center", va="center", fontsize=10)
    return figure


def to_png(figure: Figure, metadata: Mapping[str, str]) -> bytes:
    """Return a PNG of at most 256 colours with texts inside it (`Title`, `Description`, …).

    The picture is as large as the figure, or larger where something in it, such as a long name, would be cut off.
    The same figure gives the same bytes. The palette makes a file of smooth colours a third of its size.
    """
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, bbox_inches=_whole(figure))
    texts = PngInfo()
    for key, value in metadata.items():
        texts.add_itxt(key, value)
    with Image.open(buffer) as image:
        reduced = image.convert("RGB").quantize(256, method=Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        buffer = io.BytesIO()
        reduced.save(buffer, format="png", dpi=(DPI, DPI), pnginfo=texts)
    return buffer.getvalue()


def to_svg(figure: Figure, metadata: Mapping[str, str]) -> bytes:
    """Return an SVG, whose texts stay texts; the same figure gives the same bytes.

    Many points, which would make it large, are a picture inside it.
    """
    for artist in figure.findobj(Collection):
        if isinstance(artist, Collection) and len(np.asarray(artist.get_offsets())) > _MANY_POINTS:
            artist.set_rasterized(True)
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "mechscreen"}):
        about = {"Date": None, **{key: value for key, value in metadata.items() if key in ("Title", "Description")}}
        figure.savefig(buffer, format="svg", dpi=DPI, bbox_inches=_whole(figure), metadata=about)
    return buffer.getvalue()


def _whole(figure: Figure) -> Bbox | None:
    """Return the box in inches that holds all of a figure; None where its own does."""
    figure.draw_without_rendering()
    own, needed = figure.bbox_inches, figure.get_tightbbox()
    if own.containsx(needed.x0) and own.containsx(needed.x1) and own.containsy(needed.y0) and own.containsy(needed.y1):
        return None
    return Bbox.union([own, needed.padded(_PAD)])


def read_metadata(png: bytes) -> dict[str, str]:
    """Return the texts inside a PNG that `to_png` made."""
    from PIL import Image

    with Image.open(io.BytesIO(png)) as image:
        return {str(key): str(value) for key, value in image.info.items() if isinstance(value, str)}


def shown_points(output: Output, profiles: NDArray[Any]) -> tuple[int, int]:
    """Return the first and the last point of the grid that a figure of some profiles (…, points) shows.

    All of them; where the output is to be cropped, those at which a profile is not near zero, and a margin.
    """
    last = len(output.grid) - 1
    if not output.crop:
        return 0, last
    values = np.abs(np.nan_to_num(profiles).reshape(-1, last + 1))
    near_zero = _NEAR_ZERO * values.max(axis=1, initial=0, keepdims=True)
    alive = np.flatnonzero(((values > 0) & (values >= near_zero)).any(axis=0))
    if not len(alive):
        return 0, last
    low, high = output.grid[alive[0]], output.grid[alive[-1]]
    margin = _MARGIN * max(high - low, output.grid[min(alive[-1] + 1, last)] - high)
    first, end = np.searchsorted(output.grid, [low - margin, high + margin])
    return max(int(first) - 1, 0), min(int(end), last)


def profiles(
    ax: Axes,
    output: Output,
    simulated: NDArray[Any],
    emulated: NDArray[Any],
    ends: tuple[NDArray[Any], NDArray[Any]] | None = None,
) -> None:
    """Draw one profile, both ways, and a band by its ends; few ticks, for a small panel."""
    first, last = shown_points(output, np.stack([simulated, emulated]))
    if ends is not None:
        ax.fill_between(output.grid, *ends, **BAND)
    for way, values, about in (("simulated", simulated, SIMULATED), ("emulated", emulated, EMULATED)):
        if output.view == "density":
            ax.fill_between(output.grid, values, color=about["color"], label=SHOWN_ELSEWHERE, **FILLED)
        ax.plot(output.grid, values, label=way, **about)
    along_grid(ax, output, first, last)
    if output.compare == "shape":
        ax.set_ylim(-0.05, 1.12)
        ax.set_yticks([0, 1])
    elif output.scale == "log":
        ax.set_yscale("log")
    else:
        ax.locator_params(axis="y", nbins=3)
        if output.view == "density":
            ax.set_ylim(bottom=0)


def along_grid(ax: Axes, output: Output, first: int, last: int) -> None:
    """Let the axis along a small panel go from one point of an output's grid to another, with few ticks."""
    low, high = float(output.grid[first]), float(output.grid[last])
    if output.in_decades:
        ax.set_xscale("log")
        log_axis_in_short(ax.xaxis, low, high)
    else:
        ax.locator_params(axis="x", nbins=3)
    ax.set_xlim(low, high)


def along_numbers(ax: Axes, output: Output, low: float, high: float) -> None:
    """Let a small panel be an axis that holds an output's numbers, from the least to the largest."""
    if output.scale != "log":
        margin = 0.08 * ((high - low) or 1.0)
        ax.set_xlim(low - margin, high + margin)
        ax.locator_params(axis="x", nbins=3)
    else:
        factor = max(1.2, (high / low) ** 0.08)
        ax.set_xscale("log")
        ax.set_xlim(low / factor, high * factor)
        log_axis_in_short(ax.xaxis, low / factor, high * factor)
    ax.set_ylim(-1, 1)
    ax.set_yticks([])
    ax.spines["left"].set_visible(False)


def log_axis(axis: Axis) -> None:
    """Label a logarithmic axis at 1, 2 and 5 with plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    axis.set_minor_formatter(NullFormatter())


def log_axis_in_short(axis: Axis, low: float, high: float, most: int = 3) -> None:
    """Label a short logarithmic axis at a few of 1, 2 and 5, or of the powers of ten."""
    powers = np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    candidates = [10 ** powers[:, None] * steps for steps in (np.array([1.0]), np.array([1.0, 2.0, 5.0]))]
    tens, fine = (ticks[(low <= ticks) & (ticks <= high)] for ticks in candidates)
    ticks = tens if len(tens) >= 2 else fine
    ticks = ticks[:: max(1, -(-len(ticks) // most))]
    axis.set_major_locator(FixedLocator(ticks.tolist() or [low, high]))
    axis.set_major_formatter(FuncFormatter(lambda value, _: number(value)))
    axis.set_minor_locator(NullLocator())


def spread(values: NDArray[Any], quantiles: ArrayLike) -> NDArray[np.int64]:
    """Return the indices of the values that stand at the quantiles, each index once."""
    order = np.argsort(values, kind="stable")
    ranks = np.round(np.asarray(quantiles) * (len(values) - 1)).astype(np.int64)
    return order[np.unique(ranks)]
