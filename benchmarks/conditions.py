"""Count how often discovery finds the right terms and what varies under conditions (docs/measured/discovery.md).

    python benchmarks/conditions.py --sets 100

x' = r x − (r/2) x², a trajectory of 20 samples for each of three rates r, with noise of 1 % of the largest value.
"""

from __future__ import annotations

import argparse

import numpy as np

from mechscreen.discovery import discover
from mechscreen.discovery.library import FloatArray

LABELS = ("A", "B", "C")
CAPACITY = 2.0


def growth(seed: int, rates: FloatArray) -> tuple[list[FloatArray], list[FloatArray]]:
    """Return times and values of each condition."""
    rng = np.random.default_rng(seed)
    t = np.linspace(0, 10, 20)
    curves = [0.1 * CAPACITY / (0.1 + (CAPACITY - 0.1) * np.exp(-r * t)) for r in rates]
    return [t] * len(rates), [(x + 0.01 * CAPACITY * rng.standard_normal(20))[:, None] for x in curves]


def main() -> None:
    """Print the counts, and how many intervals hold where what varies is told."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=100, help="data sets")
    sets = parser.parse_args().sets
    for rates in (np.array([0.5, 1.0, 2.0]), np.ones(3)):
        right = 0
        for seed in range(sets):
            t, y = growth(seed, rates)
            model = discover(t, y, groups=LABELS)
            expected = {"x", "x^2"} if len(set(rates)) > 1 else set()
            right += _named(model.support[0], model.term_names) == {"x", "x^2"} and (
                _named(model.varying[0], model.term_names) == expected
            )
        print(f"rates {rates}: {right} of {sets} with the right terms and the right ones that vary")
    rates, held, inside = np.array([0.5, 1.0, 2.0]), 0, 0
    for seed in range(sets):
        t, y = growth(seed, rates)
        model = discover(t, y, groups=LABELS, varies=[("x", "x"), ("x", "x^2")], noise="constant")
        if _named(model.support[0], model.term_names) != {"x", "x^2"}:
            continue
        for label, rate in zip(LABELS, rates, strict=True):
            ends = model.of_group(label).intervals()[0]
            for name, true in (("x", rate), ("x^2", -rate / CAPACITY)):
                low, high = ends[model.library.index(name)]
                inside, held = inside + 1, held + (low < true < high)
    print(f"{held} of {inside} intervals hold the truth, what varies being told")


def _named(there: np.ndarray, names: tuple[str, ...]) -> set[str]:
    return {name for name, used in zip(names, there, strict=True) if used}


if __name__ == "__main__":
    main()
