"""Grids of noise and length of data that two other methods publish: ODR-BINDy and Bayesian-ARGOS.

ODR-BINDy (Fung 2025, arXiv 2507.23426; scripts in its repository): Lorenz, Rössler and Van der Pol from one start,
samples every 0.01 (Rössler 0.05) from the first step to the end; noise of one size in all variables, in parts of the
standard deviation of all values of all variables over the longest time. Libraries of degree 2 (Van der Pol 3). It is
told the size of the noise; ours is not.

Bayesian-ARGOS (Zhang, Li & Carvalho 2026, arXiv 2604.11929; scripts in its repository): six chaotic systems from
random starts, samples every 0.01; noise of each variable in parts of its own standard deviation, as a ratio of signal
to noise in dB (``inf``: none), either 5,000 samples at all ratios or 49 dB at all numbers of samples. Libraries of
degree 5. Its seventh system, Thomas', is of sines, and left out; so are most steps of its grid (1 dB, a tenth of a
decade).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from discovery_study import fitting
from discovery_study.fitting import Data
from discovery_study.formula import Dynamics
from discovery_study.scoring import Row
from mechscreen.discovery.library import FloatArray

ODR_NOISES = tuple(round(0.025 * k, 3) for k in range(1, 17))
RATIOS = (1, 13, 25, 37, 49, 61, math.inf)
SAMPLES = tuple(round(10 ** (2 + k / 2)) for k in range(6))
RATIO_OF_SAMPLES = 49
SAMPLES_OF_RATIOS = 5000


@dataclass(frozen=True)
class Grid:
    """A system of ODR-BINDy.

    Attributes
    ----------
    dynamics
        Its equations.
    start
        (d,) state at the first sample.
    step
        Time between samples.
    lengths
        Times at which the data end.
    degree
        Of the library.
    """

    dynamics: Dynamics
    start: tuple[float, ...]
    step: float
    lengths: tuple[float, ...]
    degree: int


_LORENZ = ("-10*x + 10*y", "28*x - 1.0*y - 1.0*x*z", "1.0*x*y - 8*z/3")
_ROSSLER = ("-1.0*y - 1.0*z", "1.0*x + 0.2*y", "0.2 + 1.0*x*z - 5.7*z")
_XYZ = ("x", "y", "z")

ODR_BINDY: Mapping[str, Grid] = {
    "lorenz": Grid(Dynamics(_XYZ, _LORENZ), (-8.0, 8.0, 27.0), 0.01, tuple(map(float, range(4, 11))), 2),
    "rossler": Grid(Dynamics(_XYZ, _ROSSLER), (-6.0, 5.0, 0.0), 0.05, tuple(map(float, range(10, 31, 2))), 2),
    "van-der-pol": Grid(
        Dynamics(("x", "y"), ("1.0*y", "-1.0*x + 0.5*y - 0.5*x^2*y")),
        (-2.0, 1.0),
        0.01,
        tuple(map(float, range(4, 13))),
        3,
    ),
}
"""The systems of ODR-BINDy."""

Box = tuple[tuple[float, float], ...]

ARGOS: Mapping[str, tuple[tuple[str, str, str], Box]] = {
    "lorenz": (_LORENZ, ((-15, 15), (-15, 15), (10, 40))),
    "rossler": (_ROSSLER, ((-10, 10), (-10, 10), (0, 20))),
    "halvorsen": (
        ("-1.89*x - 4*y - 4*z - 1.0*y^2", "-1.89*y - 4*z - 4*x - 1.0*z^2", "-1.89*z - 4*x - 4*y - 1.0*x^2"),
        ((-4, 4),) * 3,
    ),
    "sprott": (("1.0*y + 2.07*x*y + 1.0*x*z", "1 - 1.79*x^2 + 1.0*y*z", "1.0*x - 1.0*x^2 - 1.0*y^2"), ((-1, 1),) * 3),
    "dadras": (("1.0*y - 3*x + 2.7*y*z", "1.7*y - 1.0*x*z + 1.0*z", "2*x*y - 9*z"), ((-4, 4),) * 3),
    "aizawa": (
        (
            "-3.5*y - 0.7*x + 1.0*x*z", "3.5*x - 0.7*y + 1.0*y*z",
            "0.95*z + 0.65 + 0.1*x^3*z - z^3/3 - 0.25*x^2*z - 1.0*x^2 - 0.25*y^2*z - 1.0*y^2",
        ),
        ((-2, 2), (-2, 2), (-1, 2)),
    ),
}  # fmt: skip
"""The systems of Bayesian-ARGOS, and between what their starts are drawn."""

ARGOS_DEGREE = 5


def odr_bindy_rows() -> tuple[str, ...]:
    """Return system and noise of each row; each has all lengths."""
    return tuple(f"{name}-noise-{noise:g}" for name in ODR_BINDY for noise in ODR_NOISES)


def argos_rows() -> tuple[str, ...]:
    """Return system and what is varied in each row."""
    return tuple(f"{name}-{what}" for name in ARGOS for what in ("ratios", "samples"))


def measure(row: str, seed: int, *, method: str, library: str | None, limit: float) -> list[Row]:
    """Discover all data sets of a row; as `fitting.fit`, with ``right``."""
    if row.endswith(("-ratios", "-samples")):
        return _measure_argos(row, seed, method=method, library=library, limit=limit)
    name, _, noise = row.rpartition("-noise-")
    grid, rows = ODR_BINDY[name], []
    t, exact = _solution(name)
    sigma = float(noise) * float(exact.std())
    y = exact + sigma * np.random.default_rng(seed).standard_normal(exact.shape)
    for length in grid.lengths:
        n = round(length / grid.step)
        data = Data(grid.dynamics.variables, [t[:n]], [y[:n]])
        found = _fit(grid.dynamics, data, library or f"degree {grid.degree}", method, limit)
        known = {"system": name, "noise": float(noise), "length": length, "points": n}
        units = {"noise_in": "parts of all values' standard deviation", "length_in": "time at the end"}
        rows.append(known | units | found)
    return rows


def _fit(dynamics: Dynamics, data: Data, library: str, method: str, limit: float) -> Row:
    return fitting.fit(data, library, lambda model: {"right": dynamics.is_found(model)}, limit=limit, method=method)


@lru_cache(maxsize=4)
def _solution(name: str) -> tuple[FloatArray, FloatArray]:
    grid = ODR_BINDY[name]
    t = grid.step * np.arange(1, round(grid.lengths[-1] / grid.step) + 1, dtype=np.float64)
    return t, grid.dynamics.solve(grid.start, t)


def _measure_argos(row: str, seed: int, *, method: str, library: str | None, limit: float) -> list[Row]:
    name, _, what = row.rpartition("-")
    equations, box = ARGOS[name]
    dynamics = Dynamics(_XYZ, equations)
    rng = np.random.default_rng([seed, list(ARGOS).index(name)])
    conditions = (
        [(RATIO_OF_SAMPLES, n) for n in SAMPLES] if what == "samples" else [(r, SAMPLES_OF_RATIOS) for r in RATIOS]
    )
    longest = max(n for _, n in conditions)
    t = 0.01 * np.arange(longest, dtype=np.float64)
    exact = np.full((longest, 3), np.nan)
    # Of some starts solutions leave all bounds; these are drawn anew.
    while not np.isfinite(exact).all():
        exact = dynamics.solve([rng.uniform(*side) for side in box], t, largest=1e4)
    noise = rng.standard_normal(exact.shape)
    rows = []
    for ratio, n in conditions:
        y = exact[:n] + 10 ** (-ratio / 20) * exact[:n].std(axis=0) * noise[:n]
        found = _fit(dynamics, Data(_XYZ, [t[:n]], [y]), library or f"degree {ARGOS_DEGREE}", method, limit)
        known = {"system": row, "noise": str(ratio), "length": n, "points": n}
        rows.append(known | {"noise_in": "SNR in dB", "length_in": "samples"} | found)
    return rows
