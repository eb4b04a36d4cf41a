"""ODEBench, the 63 systems of d'Ascoli et al. (2024, after Strogatz), and the ODE part of MDBench, which has the same.

Protocol of ODEBench (arXiv 2310.05573 and the evaluation in its repository): 150 points at equal steps from 0 to 10
of the solution from the first start; each value is multiplied by 1 + σ ξ with ξ standard normal; then a share of the
points is dropped at random. The equations found are integrated from the exact first start (*reconstruction*) and from
the exact second one (*generalisation*), and compared with the exact solution at all 150 times: 1 − Σ(x̂ − x)²/Σ(x −
x̄)² with sums over times and variables (R², variables weighted by their variance), 0 where the solution does not
reach the end; more than 0.9 counts. Here solutions have relative errors of 1e-9 (there 1e-5), and data sets are other
draws of the noise.

Protocol of MDBench's ODE part (arXiv 2509.20529 and its repository): the same solutions, σ = 10^(−SNR/20), the first
120 points for training; the rates that the equations have at the *noisy* last 30 points are compared with the true
rates of the exact ones: Σ(f̂ − f)²/Σf² (NMSE).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from discovery_study import fitting
from discovery_study.fitting import Data
from discovery_study.formula import Dynamics, Model
from discovery_study.refit import refit
from discovery_study.scoring import Row
from mechscreen.discovery.library import FloatArray
from mechscreen.errors import InputError

NOISES = (0.0, 0.01, 0.02, 0.03, 0.04, 0.05)
DROPPED = (0.0, 0.5)
RATIOS = (40, 30, 20, 10)
"""Signal to noise in MDBench, in dB."""

POINTS = 150
TRAINING = 120
"""Of MDBench's points."""

GOOD = 0.9
"""R² above which a solution counts."""

CHAOTIC = frozenset({55, 56, 59, 60, 61})
"""Systems whose solutions part from one another, so that good equations need not give a good R²."""

TRUTH = "truth"
"""Method that refits the constants of the true equations: what could be reached at most."""

PUBLISHED = "Published, mean over the grid: ODEFormer (d'Ascoli et al. 2024) 66.4 % and 32.8 %."


@dataclass(frozen=True)
class BenchSystem:
    """A system of ODEBench with its two starts."""

    number: int
    description: str
    dynamics: Dynamics
    starts: tuple[tuple[float, ...], tuple[float, ...]]

    @property
    def labels(self) -> Row:
        """What tables sort by."""
        return {
            "system": self.number,
            "description": self.description,
            "dimension": len(self.dynamics.variables),
            "kind": self.dynamics.kind,
            "chaotic": self.number in CHAOTIC,
        }

    def solution(self, start: int) -> tuple[FloatArray, FloatArray]:
        """Times (150,) and exact states (150, d) from the first (0) or second (1) start."""
        t = np.linspace(0.0, 10.0, POINTS)
        return t, _solve(self, start)

    def observe(self, seed: int, noise: float, dropped: float = 0.0) -> tuple[FloatArray, FloatArray]:
        """Noisy times (n,) and values (n, d) from the first start."""
        t, exact = self.solution(0)
        rng = np.random.default_rng([seed, self.number])
        y = exact * (1 + noise * rng.standard_normal(exact.shape))
        kept = np.sort(rng.permutation(POINTS)[int(dropped * POINTS) :])
        return t[kept], y[kept]


@cache
def _solve(system: BenchSystem, start: int) -> FloatArray:
    states = system.dynamics.solve(system.starts[start], np.linspace(0.0, 10.0, POINTS))
    states.flags.writeable = False
    return states


@cache
def read_systems(path: Path) -> tuple[BenchSystem, ...]:
    """Read the systems from ODEBench's file (a list of objects with id, description, equations and starts).

    Raises
    ------
    InputError
        If it cannot be read, or holds something else.
    """
    try:
        records: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            BenchSystem(
                int(r["id"]), str(r["description"]),
                Dynamics(tuple(f"x_{i}" for i in range(len(r["equations"]))), tuple(r["equations"])),
                (tuple(map(float, r["starts"][0])), tuple(map(float, r["starts"][1]))),
            )
            for r in records
        )  # fmt: skip
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise InputError(f"{path}: cannot be read as ODEBench's systems ({type(error).__name__}: {error})") from None


def rows() -> tuple[str, ...]:
    """Return the names of ODEBench's grid: noise and share of dropped points."""
    return tuple(f"noise-{noise:g}-dropped-{dropped:g}" for noise in NOISES for dropped in DROPPED)


def mdbench_rows() -> tuple[str, ...]:
    """Return the names of MDBench's levels of noise."""
    return tuple(f"snr-{ratio}" for ratio in RATIOS)


def measure(
    systems: Sequence[BenchSystem], row: str, seed: int, *, method: str, library: str, limit: float
) -> list[Row]:
    """Discover all systems under one condition of ODEBench; one row each."""
    noise, dropped = map(float, row.split("-")[1::2])
    return [
        {"noise": noise, "dropped": dropped}
        | measure_system(system, seed, noise, dropped, method=method, library=library, limit=limit)
        for system in systems
    ]


def measure_system(
    system: BenchSystem, seed: int, noise: float, dropped: float, *, method: str, library: str, limit: float
) -> Row:
    """Discover one system from one noisy data set.

    Returns
    -------
    As `fitting.fit`, with ``reconstruction`` and ``generalisation`` (R²), ``right`` (whether the support is the true
    one) and ``inside`` (whether the library, of monomials, holds the true equations; None for another library).
    """
    t, y = system.observe(seed, noise, dropped)
    row: Row = {**system.labels, "points": len(t)}
    if method == TRUTH:
        return row | fitting.within(limit, lambda: _score_refitted(system, t, y, noise))
    degree, needed = fitting.degree_of(library), system.dynamics.degree
    row["inside"] = None if degree is None else needed is not None and needed <= degree
    row |= fitting.fit(
        Data(system.dynamics.variables, [t], [y]),
        library,
        lambda model: _score(system, model),
        limit=limit,
        method=method,
    )
    return row


def _score(system: BenchSystem, model: Model) -> Row:
    scores = (score(system.solution(k)[1], _path(system, model, k)) for k in (0, 1))
    return dict(zip(("reconstruction", "generalisation"), scores, strict=True)) | {
        "right": system.dynamics.is_found(model)
    }


def _path(system: BenchSystem, model: Model, start: int) -> FloatArray:
    return model.simulate(system.starts[start], system.solution(start)[0])


def _score_refitted(system: BenchSystem, t: FloatArray, y: FloatArray, noise: float) -> Row:
    """Scores of the true equations with their constants refitted to the data."""
    fitted, seconds = refit(system.dynamics, system.starts[0], t, y, noise)
    scores = (score(system.solution(k)[1], fitted.solve(system.starts[k], system.solution(k)[0])) for k in (0, 1))
    return dict(zip(("reconstruction", "generalisation"), scores, strict=True)) | {
        "seconds": seconds, "equations": list(fitted.equations), "confidence": None, "caveats": [], "right": True,
    }  # fmt: skip


def score(exact: FloatArray, path: FloatArray) -> float:
    """R² of a path (n, d), with variables weighted by their variance; 0 where it does not reach the end."""
    if not np.isfinite(path).all():
        return 0.0
    with np.errstate(over="ignore"):
        return float(1 - ((path - exact) ** 2).sum() / ((exact - exact.mean(axis=0)) ** 2).sum())


def measure_mdbench(
    systems: Sequence[BenchSystem], row: str, seed: int, *, method: str, library: str, limit: float
) -> list[Row]:
    """Discover all systems at one level of MDBench's noise; one row each, with ``nmse``."""
    ratio = int(row.partition("-")[2])
    noise = 10 ** (-ratio / 20)
    found = []
    for system in systems:
        t, y = system.observe(seed, noise)
        own: Row = {"snr": ratio, **system.labels, "points": TRAINING}
        data = Data(system.dynamics.variables, [t[:TRAINING]], [y[:TRAINING]])
        own |= fitting.fit(data, library, partial(_nmse, system, y), limit=limit, method=method)
        found.append(own)
    return found


def _nmse(system: BenchSystem, y: FloatArray, model: Model) -> Row:
    """Distance of the rates at the noisy last points from the true ones at the exact points."""
    true = system.dynamics.rates(system.solution(0)[1][TRAINING:])
    off = model.rates(y[TRAINING:]) - true
    return {"nmse": float((off**2).sum() / (true**2).sum()), "right": system.dynamics.is_found(model)}
