"""The hits of the target and what the model itself makes of them (Wang et al. 2019, Fig. 3)."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from mechscreen.figures import pairs, style
from mechscreen.figures.pairs import Pair
from mechscreen.figures.text import count, number

_DISC_PIXELS = 161
_HITS, _COLUMNS = 12, 3
# Where the model has several outputs: a row of the first few for each of fewer hits.
_HITS_OF_SEVERAL, _OUTPUTS = 4, 4


@style.styled
def draw(
    shown: Sequence[Pair],
    rmse: NDArray[Any],
    verdicts: Sequence[str],
    stands: NDArray[Any],
) -> Figure:
    """Draw up to 12 hits; 4 where the model has several outputs, of which the first 4 are shown.

    Parameters
    ----------
    shown
        The outputs of the n validated hits, that which matters most first.
    rmse
        (n,), between emulation and simulation; NaN where the model failed.
    verdicts
        (n,), class of each simulated profile, or why there is none.
    stands
        (n,), True where the model confirms the hit, with the class that was emulated.
    """
    if not len(rmse):
        return style.message("No hits to show: the screen found none, or none was validated.")
    chosen = _chosen(rmse, len(shown))
    shown = [pair.take(chosen) for pair in shown[:_OUTPUTS]]
    # A panel per hit, or a row of panels per hit.
    cells = [(i, k) for i in range(len(chosen)) for k in range(len(shown))]
    columns = len(shown) if len(shown) > 1 else min(_COLUMNS, len(chosen))
    rows = -(-len(cells) // columns)

    has_disc = [shown[place % len(shown)].output.view == "disc" for place in range(columns)]
    widths = [width for disc in has_disc for width in ((1.55, 1.0) if disc else (2.0,))]
    places = np.cumsum([0, *(2 if disc else 1 for disc in has_disc)])
    figure = Figure(figsize=(min(style.WIDTH, 0.6 + 1.4 * sum(widths)), 0.6 + 1.45 * rows))
    grid = figure.add_gridspec(rows, len(widths), width_ratios=widths)
    for place, (i, k) in enumerate(cells):
        row, column = divmod(place, columns)
        pair, hit = shown[k], chosen[i]
        output = pair.output
        ax = figure.add_subplot(grid[row, places[column]])
        pairs.draw(ax, pair, i)
        if k == 0:
            # The sign says what the colour says, to those who do not see it.
            sign, colour = ("✓", "black") if stands[hit] else ("✗", style.VERMILION)
            verdict = textwrap.shorten(f"{pair.ways.simulated}: {verdicts[hit]}", 40, placeholder=" …")
            # Over the narrow panel of an image or a number, a title in one piece would run into the next.
            title = f"{sign} RMSE {number(rmse[hit])}\n{verdict}"
            ax.set_title(title, loc="left", fontsize=8, color=colour, pad=14 if output.view == "image" else None)
        if output.view == "number":
            ax.set_xlabel(pair.label)
        else:
            if column == 0 or len(shown) > 1:
                ax.set_ylabel(output.axes[0] if output.view == "image" else pair.label)
            if place + columns >= len(cells):
                ax.set_xlabel(output.axes[-1])
        if output.view == "disc":
            _disc(figure.add_subplot(grid[row, places[column] + 1]), pair.take([i]))
    pairs.legend(figure, shown)
    return figure


def caption(rmse: NDArray[Any], stands: NDArray[Any], shown: Sequence[Pair]) -> str:
    """Return the numbers of this run; arguments as for `draw`."""
    if not len(rmse):
        return "There is none to show."
    text = f"Shown: {len(_chosen(rmse, len(shown)))} of {count(len(rmse), 'validated hit')}"
    if len(shown) > _OUTPUTS:
        text += f", with {_OUTPUTS} of {len(shown)} outputs"
    return f"{text}; {int(stands.sum()):,} of the {len(rmse):,} are ticked.{pairs.about_fields(shown)}"


def rotate(profile: NDArray[Any], pixels: int = _DISC_PIXELS) -> NDArray[Any]:
    """Return the disc (pixels, pixels) whose radial profile, centre first, is given; NaN outside the disc."""
    x = np.linspace(-1, 1, pixels)
    radius = np.hypot(x[:, None], x[None, :])
    disc = np.interp(radius, np.linspace(0, 1, len(profile)), profile)
    disc[radius > 1] = np.nan
    return disc


def _chosen(rmse: NDArray[Any], outputs: int) -> NDArray[np.int64]:
    """Return the hits to show, from least to largest error; failed simulations count as worst."""
    most = _HITS if outputs == 1 else _HITS_OF_SEVERAL
    return style.spread(np.where(np.isnan(rmse), np.inf, rmse), np.linspace(0, 1, min(most, len(rmse))))


def _disc(ax: Axes, pair: Pair) -> None:
    """Draw a sample from above."""
    image = rotate(pair.simulated[0])
    half = image.shape[1] // 2
    image[:, :half] = rotate(pair.emulated[0])[:, :half]
    low, high = pair.limits
    about: Mapping[str, Any] = {"interpolation": "bilinear", "label": style.SHOWN_ELSEWHERE}
    ax.imshow(image, vmin=min(low, 0), vmax=high, **about)
    ax.axvline(half, color="white", lw=0.6, alpha=0.8)
    ax.set_axis_off()
