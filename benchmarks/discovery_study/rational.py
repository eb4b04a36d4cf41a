"""Rational systems whose form is not told: Michaelis and Menten, Hill 2 and 4, Holling II, inhibition, toggle, Goodwin.

Five trajectories each, 1 % noise of each variable's range. *Right structure*: each right-hand side, brought to lowest
terms, has the true monomials above and below the fraction bar. *Inner parameters* are K of x^n/(K^n + x^n), and K and
L of x/(K + x + x²/L); whether their intervals hold them is scored where the model has these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from discovery_study import fitting
from discovery_study.fitting import Data
from discovery_study.formula import Dynamics, Model
from discovery_study.scoring import Row
from mechscreen.discovery import DiscoveredModel
from mechscreen.discovery.library import FloatArray
from mechscreen.errors import InputError, nearest

TRAJECTORIES = 5
SAMPLES = 50
NOISE = 0.01


@dataclass(frozen=True)
class Rational:
    """A rational system.

    Attributes
    ----------
    dynamics
        Its equations.
    duration
        Of each trajectory.
    starts
        (d, 2) lowest and highest initial values; trajectories begin between them, evenly in the logarithm.
    inner
        True values of the numbers inside the fractions.
    """

    dynamics: Dynamics
    duration: float
    starts: tuple[tuple[float, float], ...]
    inner: tuple[float, ...]

    def trajectories(self, seed: int) -> tuple[FloatArray, list[FloatArray]]:
        """Return times (n,) and five exact trajectories (n, d) from starts that depend on the seed."""
        rng = np.random.default_rng([seed, 0])
        t = np.linspace(0.0, self.duration, SAMPLES)
        low, high = np.array(self.starts).T
        return t, [self.dynamics.solve(low * (high / low) ** rng.random(len(low)), t) for _ in range(TRAJECTORIES)]

    def observe(self, seed: int) -> Data:
        """Return five noisy trajectories."""
        t, exact = self.trajectories(seed)
        rng = np.random.default_rng([seed, 1])
        sigma = NOISE * np.ptp(np.concatenate(exact), axis=0)
        y = [x + sigma * rng.standard_normal(x.shape) for x in exact]
        return Data(self.dynamics.variables, [t] * TRAJECTORIES, y)


def _system(
    equations: Mapping[str, str], duration: float, starts: tuple[float, float], inner: tuple[float, ...]
) -> Rational:
    return Rational(Dynamics(tuple(equations), tuple(equations.values())), duration, (starts,) * len(equations), inner)


SYSTEMS: Mapping[str, Rational] = {
    "michaelis-menten": _system({"s": "-1.5*s/(0.6 + s)"}, 3.0, (0.5, 4.0), (0.6,)),
    "hill-2": _system({"x": "3*x^2/(1.44 + x^2) + 0.2 - 1.0*x"}, 6.0, (0.1, 5.0), (1.2,)),
    "hill-4": _system({"x": "3*x^4/(2.0736 + x^4) + 0.2 - 1.0*x"}, 6.0, (0.1, 5.0), (1.2,)),
    "holling-2": _system(
        {
            "prey": "1.0*prey - 0.25*prey^2 - 1.2*prey*pred/(0.8 + prey)",
            "pred": "0.9*prey*pred/(0.8 + prey) - 0.4*pred",
        },
        20.0, (0.4, 3.0), (0.8, 0.8),
    ),
    "inhibition": _system({"s": "-2*s/(0.5 + s + 0.4*s^2)"}, 6.0, (1.0, 8.0), (0.5, 2.5)),
    "toggle": _system({"u": "4/(1 + v^2) - 1.0*u", "v": "4/(1 + u^2) - 1.0*v"}, 8.0, (0.2, 4.0), (1.0, 1.0)),
    "goodwin-10": _system(
        {"x": "0.2/(1 + z^10) - 0.1*x", "y": "0.1*x - 0.1*y", "z": "0.1*y - 0.1*z"}, 100.0, (0.3, 2.0), (1.0,),
    ),
}  # fmt: skip
"""The systems by name."""


def measure(name: str, seed: int, *, method: str, library: str, limit: float) -> Row:
    """Discover a rational system.

    Returns
    -------
    As `fitting.fit`, with ``right`` (structure), and ``inner`` and ``covered``: how many inner parameters there are
    of which the model tells an interval, and how many of these hold the truth.

    Raises
    ------
    InputError
        If there is no such system.
    """
    if name not in SYSTEMS:
        raise InputError(f"no rational system '{name}'{nearest(name, SYSTEMS)} (valid: {', '.join(SYSTEMS)})")
    system = SYSTEMS[name]
    found = fitting.fit(system.observe(seed), library, partial(judge, system), limit=limit, method=method)
    return {"system": name, "points": TRAJECTORIES * SAMPLES} | found


def judge(system: Rational, model: Model) -> Row:
    """Return ``right``, ``inner`` and ``covered`` of a model (`measure`)."""
    right = system.dynamics.is_found(model)
    intervals = inner_intervals(model) if right else np.zeros((0, 2))
    if len(intervals) == 0:
        return {"right": right, "inner": 0, "covered": 0}
    # Which interval is of which parameter is told by their middles.
    own = [intervals[np.argmin(np.abs(intervals.mean(axis=1) - value))] for value in system.inner]
    held = sum(bool(low <= value <= high) for (low, high), value in zip(own, system.inner, strict=True))
    return {"right": right, "inner": len(system.inner), "covered": held}


def inner_intervals(model: Model) -> FloatArray:
    """Return 95 % intervals (n, 2) of the numbers inside the fractions, none where the model tells none."""
    unknowns = model.unknowns() if isinstance(model, DiscoveredModel) else []
    return np.array([(low, high) for *_, low, high in unknowns]).reshape(-1, 2)
