"""Make lake.csv: algae and daphnia of four lakes, by a known model, with noise (docs/tutorials/from-equations.md).

Algae grow up to what the lake carries, daphnia eat them and are sated (Rosenzweig & MacArthur 1963). With these
numbers all lakes come to rest.

    python examples/lake.py > lake.csv
    python examples/lake.py measured > lake-measured.csv

The second is a part of the first, as measurements to be fitted: algae of two lakes, every fourth day
(docs/gallery/fit.md).
"""

from __future__ import annotations

import csv
import sys

import numpy as np
from scipy.integrate import solve_ivp

GROWTH, CROWDING, APPETITE, HALF, YIELD, DEATH = 1.0, 1 / 3, 1.0, 1.0, 0.6, 0.4
STARTS = ((2.5, 0.3), (0.5, 1.5), (1.0, 0.2), (2.0, 2.0))
DAYS = np.linspace(0, 40, 61)
NOISE = 0.02
"""Standard deviation, of each value."""


def rates(day: float, state: np.ndarray) -> list[float]:
    """Return what algae and daphnia gain in a day."""
    algae, daphnia = state
    eaten = algae * daphnia / (HALF + algae)
    return [GROWTH * algae - CROWDING * algae**2 - APPETITE * eaten, YIELD * eaten - DEATH * daphnia]


def table(seed: int = 7) -> str:
    """Return the samples as CSV."""
    rng = np.random.default_rng(seed)
    lines = ["trajectory,day,algae,daphnia"]
    for number, start in enumerate(STARTS, 1):
        states = solve_ivp(rates, (0, DAYS[-1]), start, t_eval=DAYS, rtol=1e-9, atol=1e-9).y.T
        measured = states * (1 + NOISE * rng.standard_normal(states.shape))
        lines += [f"{number},{day:.4g},{a:.4g},{d:.4g}" for day, (a, d) in zip(DAYS, measured, strict=True)]
    return "\n".join([*lines, ""])


def measured(lakes: tuple[int, ...] = (2, 4), every: int = 6) -> str:
    """Return algae of some of the lakes as measurements, each with its standard deviation; not those of the start."""
    lines = ["output,time,value,error"]
    for row in csv.DictReader(table().splitlines()):
        sample = round(float(row["day"]) / DAYS[1])
        if int(row["trajectory"]) in lakes and sample and sample % every == 0:
            error = NOISE * float(row["algae"])
            lines.append(f"lake_{row['trajectory']}.algae,{row['day']},{row['algae']},{error:.2g}")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(measured() if "measured" in sys.argv else table(), end="")
