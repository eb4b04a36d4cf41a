"""The campaigns of the gallery, and what is said of each beside its own summary."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure

import mechscreen

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Piece:
    """A campaign of the gallery.

    Attributes
    ----------
    config
        Its configuration.
    pictures
        Names of the figures of its report that the page shows.
    beside
        Says what else was found, given the folder of results.
    before
        A command that it takes.
    drawn
        Further pictures, which are drawn given the folder of results.
    """

    config: str
    pictures: tuple[str, ...]
    beside: Callable[[Path], str]
    before: str = ""
    drawn: Mapping[str, Callable[[Path], Figure]] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """The campaign's folder of results, from the top of the checkout."""
        return Path("results") / yaml.safe_load((ROOT / self.config).read_text(encoding="utf-8"))["name"]


def epidemics(results: Path) -> str:
    """Compare with the peak of Kermack & McKendrick's epidemic (1927), which has a formula."""
    hits = mechscreen.open(results).hits
    reproduction, ill = hits["infection"] / hits["recovery"], hits["ill"]
    peak = 1 - (1 + np.log(reproduction * (1 - ill))) / reproduction
    severe, least = 100 * (peak > 0.2).mean(), reproduction.min()
    return (
        f"Of the {len(hits):,} hits that the screen kept, {severe:.2f} % have a peak above 0.2 by the formula "
        f"1 − (1 + ln(R (1 − I₀)))/R with R = infection/recovery. The least R of a hit is {least:.2f}."
    )


def rings(results: Path) -> str:
    """Say what hits are in truth that are no hits, and how the two parameters of the curve go together."""
    opened = mechscreen.open(results)
    classes = pd.Series(opened.validated["simulated_class"].to_numpy()).value_counts()
    tied = opened.hits[["alpha_c", "KT"]].corr("spearman").iloc[0, 1]
    told = ", ".join(f"{count} with {name}" for name, count in classes.items())
    return f"Rings of the simulated hits: {told}. Rank correlation of α_C and K_T among hits: {tied:.2f}."


PIECES: Mapping[str, Piece] = {
    "program": Piece(
        "examples/programs/epidemic.yaml",
        ("planes", "hits"),
        epidemics,
        before="cc -O2 -o epidemic examples/programs/epidemic.c",
    ),
    "rings": Piece("examples/campaign.yaml", ("hits", "corner"), rings),
}
"""By the names of their pages."""
QUICK = ("program",)
"""Those that tests remake."""
