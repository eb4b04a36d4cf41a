"""Ring counting: its time, and its equality with SciPy's `find_peaks`, on profiles that a screen meets.

    python benchmarks/rings.py config/paper.yaml            # a campaign with a training set and trained networks

Profiles are those of the whole training set, as simulated, and what the ensemble predicts for parameter sets of the
screen. One thread. Where hits were validated, also which of the two thresholds decides where the simulation is of
another class.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks

from mechscreen.campaign import SPLITS, Campaign
from mechscreen.objectives import Rings
from mechscreen.reports.results import Results
from mechscreen.stages.merge import map_split
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.screen import BATCH
from mechscreen.stages.search import Search

DISTANCE, PROMINENCE = 50, 0.1
"""Those of the paper."""

RINGS = Rings(DISTANCE, PROMINENCE)


def published(profile: NDArray[Any]) -> int:
    """Count the rings of one profile by SciPy: half the peaks of the mirrored profile that are off its centre."""
    mirrored = np.concatenate([profile[:0:-1], profile])
    peaks, _ = find_peaks(mirrored, distance=DISTANCE, prominence=PROMINENCE)
    return min(np.count_nonzero(peaks != len(profile) - 1) // 2, len(RINGS.class_names) - 1)


class Comparison:
    """Profiles counted both ways."""

    def __init__(self) -> None:
        self.seconds: list[float] = []
        self.scipy_seconds: list[float] = []
        self.classes: Counter[int] = Counter()
        self.different = 0
        RINGS(np.zeros((1, 1, 501), np.float32), np.zeros((1, 1)))  # compiles

    def add(self, profiles: NDArray[Any]) -> None:
        """Count the rings of profiles (n, 1, points)."""
        began = time.perf_counter()
        labels = RINGS(profiles, np.zeros((len(profiles), 1)))
        counted = time.perf_counter()
        expected = [published(profile) for profile in profiles[:, 0]]
        self.seconds.append((counted - began) / len(profiles))
        self.scipy_seconds.append((time.perf_counter() - counted) / len(profiles))
        self.different += int(np.count_nonzero(labels != expected))
        self.classes.update(labels.tolist())

    def tell(self, name: str) -> None:
        """Print what was found."""
        own, scipy = (1e6 * statistics.median(values) for values in (self.seconds, self.scipy_seconds))
        total = self.classes.total()
        shares = ", ".join(f"{RINGS.class_names[k]}: {n / total:.3%}" for k, n in sorted(self.classes.items()))
        print(
            f"{name}: {total:,} profiles ({shares}), {self.different} counted otherwise than by SciPy; "
            f"{own:.2f} µs a profile, SciPy {scipy:.1f}",
            flush=True,
        )


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--count", type=int, default=1_000_000, help="predicted profiles")
    arguments = parser.parse_args()
    campaign = Campaign.load(arguments.config)
    simulated = Comparison()
    for split in SPLITS:
        profiles = map_split(campaign, split).profiles
        for start in range(0, len(profiles), BATCH):
            simulated.add(profiles[np.arange(start, min(start + BATCH, len(profiles)))])
    simulated.tell("simulated")
    search, ensemble = Search(campaign), load_campaign_ensemble(campaign)
    predicted = Comparison()
    for start in range(0, arguments.count, BATCH):
        _, physical = search.sample(start, min(start + BATCH, arguments.count))
        predicted.add(ensemble.predict(campaign.space.normalise(physical)).profiles)
    predicted.tell("predicted")
    if campaign.paths.validation_hits.exists():
        tell_misses(campaign)


def tell_misses(campaign: Campaign) -> None:
    """Say how many of the hits whose simulation is of another class are of the same with half the thresholds."""
    hits = Results(campaign).hits
    missed = (hits["labels"] >= 0) & ~hits["same_class"]
    profiles, log_peaks, wanted = (hits[name][missed] for name in ("profiles", "log_peaks", "emulated_labels"))
    print(f"hits: {len(missed):,} simulated, {missed.sum()} of another class then")
    for what, distance, prominence in (
        ("half the distance", DISTANCE // 2, PROMINENCE),
        ("half the prominence", DISTANCE, PROMINENCE / 2),
        ("half of both", DISTANCE // 2, PROMINENCE / 2),
    ):
        same = Rings(distance, prominence)(profiles, log_peaks) == wanted
        print(f"    of the same class with {what}: {same.sum()}")


if __name__ == "__main__":
    main()
