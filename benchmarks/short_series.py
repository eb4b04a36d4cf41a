"""Many short trajectories: are coefficients right in the mean, and do their intervals hold the truth?

    python benchmarks/short_series.py --sets 60 --case logistic

Prints a line for each case: how often the support is right, errors of coefficients in units of their standard errors
(mean and standard deviation over all data sets), how many 95 % intervals hold the truth, the noise found over the true
one, and seconds of processor time for a data set.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from mechscreen.discovery import Polynomial, discover
from mechscreen.errors import InputError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Trajectories of a system from random starts: rates, where starts (d,) lie, and the true coefficients."""

    rate: Callable[[FloatArray], list[float]]
    low: tuple[float, ...]
    high: tuple[float, ...]
    truth: Mapping[tuple[int, str], float]
    trajectories: int = 200
    rows: int = 4
    step: float = 1.0
    noise: float = 0.03

    def observe(self, seed: int) -> tuple[list[FloatArray], list[FloatArray], FloatArray]:
        """Return times and noisy values of all trajectories, and the noise (d,); of each variable's size, `noise`."""
        rng = np.random.default_rng(seed)
        t = np.arange(self.rows) * self.step
        starts = np.exp(rng.uniform(np.log(self.low), np.log(self.high), (self.trajectories, len(self.low))))
        exact = [
            solve_ivp(lambda _, x: self.rate(x), (0, t[-1]), start, t_eval=t, rtol=1e-9, atol=1e-10).y.T
            for start in starts
        ]
        size = self.noise * np.sqrt(np.mean(np.concatenate(exact) ** 2, axis=0))
        return [t] * self.trajectories, [x + size * rng.standard_normal(x.shape) for x in exact], size


def _logistic(x: FloatArray) -> list[float]:
    return [x[0] - x[0] ** 2]


def _predators(x: FloatArray) -> list[float]:
    return [x[0] - x[0] * x[1], x[0] * x[1] - x[1]]


_GROWTH = {(0, "x"): 1.0, (0, "x^2"): -1.0}
_PREDATION = {(0, "x"): 1.0, (0, "x*y"): -1.0, (1, "y"): -1.0, (1, "x*y"): 1.0}
CASES: Mapping[str, Case] = {
    "logistic": Case(_logistic, (0.05,), (1.5,), _GROWTH),
    "logistic-apart": Case(_logistic, (0.05,), (1.5,), _GROWTH, step=2.0, noise=0.05),
    "predators": Case(_predators, (0.4, 0.4), (2.5, 2.5), _PREDATION),
    "predators-noisy": Case(_predators, (0.4, 0.4), (2.5, 2.5), _PREDATION, noise=0.05),
    "replicates": Case(_predators, (1.7, 0.7), (1.9, 0.9), _PREDATION, trajectories=100, rows=20, step=0.6, noise=0.04),
}


def measure(case: Case, seeds: range) -> str:
    """Return what is found over some data sets, as a line."""
    errors, within, noises, seconds = [], [], [], []
    right = 0
    for seed in seeds:
        t, y, size = case.observe(seed)
        begin = time.process_time()
        try:
            model = discover(t, y, Polynomial(2))
        except InputError:
            continue
        seconds.append(time.process_time() - begin)
        places = [(k, model.term_names.index(term)) for k, term in case.truth]
        if {(int(k), int(m)) for k, m in np.argwhere(model.support)} != set(places):
            continue
        right += 1
        noises.append(model.noise / size)
        intervals = model.intervals()
        for place, true in zip(places, case.truth.values(), strict=True):
            errors.append((model.coefficients[place] - true) / model.standard_errors[place])
            within.append(intervals[place][0] < true < intervals[place][1])
    found = np.reshape(errors, (right, len(case.truth)))
    return (
        f"right {right}/{len(seeds)}, error {found.mean(axis=0).round(2)} ± {found.std(axis=0).round(2)}, "
        f"within {100 * np.mean(within):.1f} %, noise {np.mean(noises, axis=0).round(3)}, {np.mean(seconds):.2f} s"
    )


def main() -> None:
    """Measure the cases that are named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=60, help="data sets of each case")
    parser.add_argument("--case", action="append", choices=list(CASES), help="all unless given")
    options = parser.parse_args()
    for name in options.case or CASES:
        print(f"{name}: {measure(CASES[name], range(options.sets))}", flush=True)


if __name__ == "__main__":
    main()
