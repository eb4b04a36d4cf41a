"""What a screen would keep for each confidence: how many of its hits are right, and how many of the target it finds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from mechscreen import odds
from mechscreen.figures import style
from mechscreen.figures.text import percent
from mechscreen.strata import BoolArray, Estimate, FloatArray, Strata, precision, rates_if_calibrated, recall

_DRAWS = 4000
_TOLD = (0.95, 0.8, 0.5)
"""Shares of right hits of which the caption says what is found."""


@dataclass(frozen=True)
class Choice:
    """What would be kept: sets of a probability of `least` at least.

    Attributes
    ----------
    least
        Probability.
    hits
        How many they are.
    right, found
        Share of them that is of the target, and of the target that is among them, if the calibration holds.
    chosen
        Whether this is what the screen keeps.
    """

    least: float
    hits: int
    right: Estimate
    found: Estimate
    chosen: bool


def choices(surveyed: Strata, expected: FloatArray, least_of: FloatArray, are_hits: BoolArray) -> list[Choice]:
    """Return what could be kept, the most probable sets first.

    Parameters
    ----------
    surveyed
        Of all that was screened.
    expected, least_of
        (strata,), mean probability of their sets, and what these have at least.
    are_hits
        (strata,), whether the screen keeps them.
    """
    rates = rates_if_calibrated(surveyed, expected, np.random.default_rng(0), _DRAWS)
    chosen = least_of[are_hits].min() if are_hits.any() else np.nan
    found = []
    for least in least_of[least_of >= odds.EDGES[odds.LIKELY]][::-1].tolist():
        kept = least_of >= least
        hits = int(surveyed.sizes[kept].sum())
        found.append(
            Choice(least, hits, precision(surveyed, rates, kept), recall(surveyed, rates, kept), least == chosen)
        )
    return found


@style.styled
def draw(surveyed: Strata, expected: FloatArray, least_of: FloatArray, are_hits: BoolArray) -> Figure:
    """Draw which share of hits is right over which share of the target is found; arguments as for `choices`."""
    found = choices(surveyed, expected, least_of, are_hits)
    if not found:
        return style.message("No set has a probability that would make it a hit.")
    figure = Figure(figsize=(0.75 * style.WIDTH, 4.2))
    ax = figure.subplots()
    share, x_error = _with_errors([one.found for one in found])
    right, y_error = _with_errors([one.right for one in found])
    ax.errorbar(share, right, y_error, x_error, color=style.CYCLE[0], marker="o", ms=4, lw=1)
    for one in found:
        if one.chosen:
            ax.plot(one.found.value, one.right.value, "D", color=style.CYCLE[1], ms=8, label="this screen", zorder=3)
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    ax.set(xlabel="share of the target that is found", ylabel="share of the hits that are right")
    ax.set(xlim=(-0.02, 1.02), ylim=(min(0.48, right.min() - 0.05), 1.02))
    if any(one.chosen for one in found):
        ax.legend(loc="lower left")
    return figure


def _with_errors(known: list[Estimate]) -> tuple[FloatArray, FloatArray]:
    """Return values, (n,), and how far the ends of their intervals are away, (2, n)."""
    value, low, high = np.array([[one.value, one.low, one.high] for one in known]).T
    return value, np.abs(np.stack([value - low, high - value]))


def caption(surveyed: Strata, expected: FloatArray, least_of: FloatArray, are_hits: BoolArray) -> str:
    """Return the numbers of this run; arguments as for `choices`."""
    found = choices(surveyed, expected, least_of, are_hits)
    texts = []
    for share in _TOLD:
        enough = [one for one in found if one.right.value >= share]
        most = max(enough, key=lambda one: one.hits) if enough else None
        told = "nothing" if most is None else f"{percent(most.found.value)} found ({most.hits:,} hits)"
        texts.append(f"{percent(share)} right: {told}")
    return f"{'; '.join(texts)}."
