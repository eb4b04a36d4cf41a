"""The campaigns of the gallery, and what is said of each beside its own summary."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import yaml
from matplotlib.figure import Figure

import mechscreen
from mechscreen.figures.style import MAP, styled
from mechscreen.objectives.modes import Modes

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


def oscillators(results: Path) -> str:
    """Compare with the condition under which the steady state of three like proteins is unstable."""
    opened = mechscreen.open(results)
    hits = opened.hits
    alpha, n, decay = (hits[name].to_numpy() for name in ("alpha", "n", "decay"))
    # Where alpha / (1 + x^n) = decay x, found by halving, in logarithms.
    low, high = np.full(len(hits), -20.0), np.full(len(hits), 20.0)
    for _ in range(60):
        middle = (low + high) / 2
        above = alpha / (1 + np.exp(n * middle)) > decay * np.exp(middle)
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    unstable = n / (1 + np.exp(-n * low)) > 2
    period = opened.validated["period(A, after=50)"].to_numpy()
    near = np.abs(period[:, 1] / period[:, 0] - 1) < 0.1
    return (
        f"Of the {len(hits):,} hits that the screen kept, {100 * unstable.mean():.1f} % have a steady state x that is "
        f"unstable by the formula n xⁿ/(1 + xⁿ) > 2. Of {len(period)} simulated hits, {near.sum()} have a period that "
        "was emulated within 10 %."
    )


def modes(results: Path) -> str:
    """Simulate the hits again, with as many trajectories as the paper has."""
    opened = mechscreen.open(results)
    model = mechscreen.get_model("myc_e2f", vary="core", trajectories=10_000)
    hits = opened.validated
    again = model.simulate(hits["parameters"].to_numpy())
    two = MODES.label(again.profiles[:, MODES.output]) > 0
    few = hits["simulated_class"].to_numpy() != "1"
    return (
        f"Of the {len(two)} simulated hits, {few.sum()} have two modes in the campaign, and {two.sum()} "
        "when they are simulated again with 10,000 trajectories each and other random numbers."
    )


def stripes(results: Path) -> str:
    """Compare with the condition for a pattern to grow, that of Turing (1952)."""
    opened = mechscreen.open(results)
    sets = opened.simulations["parameters"].to_numpy()
    labels = _turing().pattern({"u": opened.simulations["u"].to_numpy()})
    hits = opened.hits[["feed", "conversion", "slow", "fast"]].to_numpy()
    counts = np.bincount(labels, minlength=4)
    told = ", ".join(f"{count} {name}" for count, name in zip(counts, PATTERNS, strict=True))
    return (
        f"Of the {len(labels)} simulations: {told}. By the formula B > (1 + A √(D_u/D_v))² patterns grow in "
        f"{100 * _grows(hits).mean():.1f} % of the {len(hits):,} hits that the screen kept, in "
        f"{100 * _grows(sets[labels > 0]).mean():.1f} % of the simulated patterns, and in "
        f"{100 * _grows(sets[labels == 0]).mean():.1f} % of what is uniform."
    )


def _grows(sets: np.ndarray) -> np.ndarray:
    feed, conversion, slow, fast = sets.T
    return conversion > (1 + feed * np.sqrt(slow / fast)) ** 2


def _turing() -> ModuleType:
    """Return the model's file."""
    if str(ROOT / "examples") not in sys.path:
        sys.path.append(str(ROOT / "examples"))
    import turing

    return turing


@styled
def fields(results: Path) -> Figure:
    """Draw fields of simulated sets, four of each class: places are no output of the model, and solved for again."""
    turing, simulations = _turing(), mechscreen.open(results).simulations
    labels = turing.pattern({"u": simulations["u"].to_numpy()})
    figure = Figure(figsize=(7, 8))
    for number, (name, row) in enumerate(zip(PATTERNS, figure.subplots(4, 4), strict=True)):
        row[0].set_ylabel(name)
        for ax, place in zip(row, np.flatnonzero(labels == number), strict=False):
            feed, conversion, slow, fast = simulations["parameters"].to_numpy()[place]
            # Patterns are about the steady state, which is the middle of the colours.
            ax.imshow(turing.field(feed, conversion, slow, fast), MAP, vmin=0, vmax=2 * feed, origin="lower")
            ax.set_title(f"$A$ {feed:.2f}, $B$ {conversion:.2f}\n$D_u$ {slow:.2f}, $D_v$ {fast:.1f}", fontsize=9)
            ax.set(xticks=(), yticks=())
    figure.tight_layout()
    return figure


def fit(results: Path) -> str:
    """Say where the truth lies, by which the data were made, among the draws of the posterior."""
    draws = pd.read_csv(results / "posterior/draws.csv")
    rows = ["| | truth | median | 95 % interval | |", "|---|---|---|---|---|"]
    for name, (meaning, truth) in DAPHNIA.items():
        low, middle, high = draws[name].quantile([0.025, 0.5, 0.975])
        held = "holds it" if low <= truth <= high else "misses it"
        rows.append(f"| {meaning}, `{name}` | {truth} | {middle:.3f} | {low:.3f} to {high:.3f} | {held} |")
    return "The posterior beside the numbers by which the data were made (examples/lake.py):\n\n" + "\n".join(rows)


PATTERNS = ("uniform", "spots", "stripes", "holes")
MODES = Modes(output=2)
"""As examples/modes.yaml asks."""
DAPHNIA = {
    "k_algae_3": ("appetite", 1.0),
    "k_daphnia_1": ("death", 0.4),
    "k_daphnia_2": ("appetite times yield", 0.6),
    "K_1": ("half saturation", 1.0),
}
"""Parameters of examples/lake.ant, what they are in examples/lake.py, and their values there."""
PIECES: Mapping[str, Piece] = {
    "program": Piece(
        "examples/programs/epidemic.yaml",
        ("planes", "hits"),
        epidemics,
        before="cc -O2 -o epidemic examples/programs/epidemic.c",
    ),
    "repressilator": Piece("examples/repressilator.yaml", ("planes", "feature_accuracy"), oscillators),
    "rings": Piece("examples/campaign.yaml", ("hits", "corner"), rings),
    "modes": Piece("examples/modes.yaml", ("hits", "planes"), modes),
    "turing": Piece("examples/turing.yaml", ("hits", "planes"), stripes, drawn={"fields": fields}),
    "fit": Piece("examples/lake-fit.yaml", ("fits", "parameters"), fit),
}
"""By the names of their pages."""
QUICK = ("program", "repressilator")
"""Those that tests remake."""
