"""Make lake.csv: algae and daphnia of four lakes, by a known model, with noise (docs/tutorials/from-equations.md).

Algae grow up to what the lake carries, daphnia eat them and are sated (Rosenzweig & MacArthur 1963). With these
numbers all lakes come to rest.

    python examples/lake.py > lake.csv
"""

from __future__ import annotations

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


if __name__ == "__main__":
    print(table(), end="")
