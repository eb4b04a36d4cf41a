"""Chaotic systems of the dysts database (Gilpin 2021), as in the study of Kaptanoglu et al. (2023)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from scipy.integrate import solve_ivp

from discovery_study.cases import System
from mechscreen.discovery.library import FloatArray
from mechscreen.errors import InputError, nearest

DEGREE = 4
"""Degree of the study's library."""

TRAJECTORIES = 5
SAMPLES = 1000
SAMPLES_PER_PERIOD = 100

WARM_UP = 33
"""Periods of the solution on which the trajectories start, at random."""


@dataclass(frozen=True)
class Attractor(System):
    """A chaotic system, observed along several trajectories on its attractor.

    Attributes
    ----------
    start
        (d,) a state on the attractor.
    period
        The dominant period.
    """

    start: tuple[float, ...]
    period: float

    def trajectories(self, seed: int) -> tuple[FloatArray, list[FloatArray]]:
        """Return times (1000,) and five exact trajectories (1000, d), from starts that depend on `seed`."""
        warm = _solve(self, np.array(self.start), np.linspace(0, WARM_UP * self.period, 1000), 1e-9)
        starts = np.random.default_rng([seed, 0]).choice(len(warm), TRAJECTORIES, replace=False)
        t = np.arange(SAMPLES) * self.period / SAMPLES_PER_PERIOD
        return t, [_solve(self, warm[i], t, 1e-11) for i in starts]

    def observe(self, seed: int, *, noise: float = 0.01) -> tuple[list[FloatArray], list[FloatArray]]:
        """Noisy trajectories: times and values.

        As in the study, all variables of a trajectory have the same noise: `noise` times the mean over the variables of
        their root mean squares.
        """
        t, exact = self.trajectories(seed)
        rng = np.random.default_rng([seed, 1])
        y = [x + noise * np.sqrt((x**2).mean(axis=0)).mean() * rng.standard_normal(x.shape) for x in exact]
        return [t] * len(y), y


def _solve(system: Attractor, start: FloatArray, t: FloatArray, tolerance: float) -> FloatArray:
    rate = system.rate()
    solution = solve_ivp(
        lambda _, x: rate(x), (t[0], t[-1]), start, method="DOP853", t_eval=t, rtol=tolerance, atol=tolerance
    )
    return np.ascontiguousarray(solution.y.T)


@cache
def systems() -> dict[str, Attractor]:
    """Return all systems by name; see benchmarks/export_dysts.py for where they come from."""
    records = json.loads(Path(__file__).with_name("dysts.json").read_text(encoding="utf-8"))
    return {
        name: Attractor(name, tuple(r["equations"]), r["equations"], tuple(r["start"]), r["period"])
        for name, r in records.items()
    }


def get_attractor(name: str) -> Attractor:
    """Return a system by name.

    Raises
    ------
    InputError
        If there is none.
    """
    try:
        return systems()[name]
    except KeyError:
        raise InputError(f"no dysts system '{name}'{nearest(name, systems())}") from None
