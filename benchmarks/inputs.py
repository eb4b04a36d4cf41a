"""Variables under measured inputs: are the right terms found, and do their intervals hold the truth?

    python benchmarks/inputs.py --sets 100

x' = u − x under a step that is switched at random, of 12, 40 and 120 samples; S' = P − E, water in a soil under rain
and evaporation that were measured with errors. Prints a line for each: how often the terms are right, and how many 95 %
intervals of right ones hold the truth.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid

from mechscreen.discovery import Polynomial, Undetermined, discover

FloatArray = NDArray[np.float64]

FINE = 50
"""Parts of a step between samples in which solutions are made."""


@dataclass(frozen=True)
class Case:
    """Samples under inputs: times (n,), the variable and its inputs (n, 1 + q), their names, and the true terms."""

    names: tuple[str, ...]
    truth: Mapping[str, float]
    observe: Callable[[np.random.Generator], tuple[FloatArray, FloatArray]]


def step(samples: int) -> Case:
    """Return x' = u − x over six units of time, u switched between samples; noise of 1 % of x's range."""

    def observe(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        t = np.arange(samples) * 6.0 / samples
        u = np.where(np.cumsum(rng.random(samples) < 4.0 / samples) % 2 == 0, 1.0, 0.0)
        u[: samples // 4] = 1.0
        u[samples // 4 : samples // 2] = 0.0
        x = np.zeros(samples)
        for i in range(1, samples):
            x[i] = u[i - 1] + (x[i - 1] - u[i - 1]) * np.exp(-(t[i] - t[i - 1]))
        return t, np.c_[x + 0.01 * np.ptp(x) * rng.standard_normal(samples), u]

    return Case(("x", "u"), {"x": -1.0, "u": 1.0}, observe)


def soil() -> Case:
    """Return S' = P − E over 40 days, 160 samples; noise of 1 % of S's range and 2 % of the inputs' sizes."""

    def observe(rng: np.random.Generator) -> tuple[FloatArray, FloatArray]:
        t = np.arange(160) * 0.25
        fine = np.arange(160 * FINE) * 0.25 / FINE
        phases, paces = rng.uniform(0, 2 * np.pi, (2, 4)), rng.uniform(0.2, 1.2, (2, 4))
        waves = np.sin(paces[:, :, None] * fine + phases[:, :, None]).sum(axis=1)
        rain, loss = 2 + 0.5 * waves[0], 2 + 0.4 * waves[1]
        water = 20 + cumulative_trapezoid(rain - loss, fine, initial=0.0)
        exact = np.c_[water, rain, loss][::FINE]
        noise = [0.01 * np.ptp(exact[:, 0]), 0.04, 0.04]
        return t, exact + noise * rng.standard_normal(exact.shape)

    return Case(("S", "P", "E"), {"P": 1.0, "E": -1.0}, observe)


CASES = {"step-12": step(12), "step-40": step(40), "step-120": step(120), "soil": soil()}


def measure(name: str, sets: int) -> str:
    """Return the line of a case."""
    case = CASES[name]
    right, held, others = 0, 0, []
    for seed in range(sets):
        t, y = case.observe(np.random.default_rng(seed))
        try:
            model = discover(t, y, Polynomial(1), names=case.names, inputs=case.names[1:])
        except Undetermined as error:
            others.append(f"{seed}: {error}")
            continue
        assert model.names == case.names[:1], "an input has an equation"
        if {model.term_names[m] for m in np.flatnonzero(model.support[0])} == set(case.truth):
            right += 1
            ends = model.intervals()[0]
            places = {term: model.term_names.index(term) for term in case.truth}
            held += sum(ends[places[term]][0] <= value <= ends[places[term]][1] for term, value in case.truth.items())
        else:
            others.append(f"{seed}: {model.equations()[0]} ({model.confidence:.0%})")
    total = right * len(case.truth)
    line = f"{name}: terms right {right} of {sets}, intervals hold {held} of {total} ({held / max(total, 1):.1%})"
    return "\n    ".join([line, *others[:5]])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=100, help="data sets of each case")
    sets = parser.parse_args().sets
    for name in CASES:
        print(measure(name, sets), flush=True)


if __name__ == "__main__":
    main()
