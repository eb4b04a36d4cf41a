"""Noise that is correlated from sample to sample: are terms right, and do their intervals hold the truth?

    python benchmarks/noise_memory.py --sets 100

Predators and prey, 150 samples of two and a half periods, noise of 5 % of each variable's spread that is AR(1). A line
for each correlation: how often the terms are right, how many 95 % intervals of right ones hold the truth, how often the
correlation is told, and seconds of processor time for a data set.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp
from scipy.signal import lfilter

from mechscreen.discovery import discover

FloatArray = NDArray[np.float64]

TRUTH = {(0, "x"): 1.0, (0, "x*y"): -0.5, (1, "y"): -0.6, (1, "x*y"): 0.25}
CORRELATIONS = (0.0, 0.3, 0.6, 0.8)
SAMPLES, END, NOISE, BEFORE = 150, 20.0, 0.05, 100


def noise(correlation: float, seed: int) -> FloatArray:
    """Return noise of standard deviation 1, (n, 2)."""
    white = np.random.default_rng(seed).standard_normal((SAMPLES + BEFORE, 2))
    return np.asarray(lfilter([np.sqrt(1 - correlation**2)], [1, -correlation], white, axis=0)[BEFORE:])


def measure(correlation: float, sets: int) -> str:
    """Return the line of a correlation."""
    t = np.linspace(0, END, SAMPLES)
    exact = solve_ivp(
        lambda _, y: [y[0] - 0.5 * y[0] * y[1], 0.25 * y[0] * y[1] - 0.6 * y[1]],
        (0, END),
        [4, 1],
        "LSODA",
        t,
        rtol=1e-9,
    ).y.T
    right, held, told, seconds = 0, [], 0, []
    for seed in range(sets):
        y = exact + NOISE * exact.std(axis=0) * noise(correlation, seed)
        began = time.process_time()
        model = discover(t, y, noise="constant")
        seconds.append(time.process_time() - began)
        told += any("are correlated" in caveat for caveat in model.caveats)
        found = {(int(k), model.term_names[m]) for k, m in np.argwhere(model.support)}
        if found == set(TRUTH):
            right += 1
            ends = model.intervals()
            places = {key: ends[key[0], model.term_names.index(key[1])] for key in TRUTH}
            held += [places[key][0] <= value <= places[key][1] for key, value in TRUTH.items()]
    return (
        f"correlation {correlation:g}: terms right {right} of {sets}, intervals hold {sum(held)} of {len(held)} "
        f"({np.mean(held):.1%}), told in {told}, {np.median(seconds):.2f} s"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=100, help="data sets")
    sets = parser.parse_args().sets
    for correlation in CORRELATIONS:
        print(measure(correlation, sets), flush=True)


if __name__ == "__main__":
    main()
