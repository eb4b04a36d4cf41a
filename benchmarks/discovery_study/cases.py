"""Test systems with known equations, those of Hu et al. (2021) and their peers', and data made from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from mechscreen.discovery.library import FloatArray, Polynomial
from mechscreen.discovery.runge_kutta import rk4_step
from mechscreen.errors import InputError, nearest

FINE_STEP = 1e-3
"""Step of the Runge–Kutta integration that makes the data, as in Hu et al."""

TRAINING_SHARE = 0.8
"""Share of the samples, from the start, that is used for fitting; the rest is for forecasts."""


@dataclass(frozen=True)
class System:
    """Differential equations with polynomial right-hand sides.

    Attributes
    ----------
    name
        As in tables.
    variables
        (d,) names.
    equations
        Per variable, the coefficient of each term.
    """

    name: str
    variables: tuple[str, ...]
    equations: Mapping[str, Mapping[str, float]]

    @property
    def degree(self) -> int:
        """Degree of the smallest library that holds the system."""
        terms = [term for row in self.equations.values() for term in row if term != "1"]
        return max(sum(int(f.partition("^")[2] or 1) for f in term.split("*")) for term in terms)

    def coefficients(self, degree: int | None = None) -> FloatArray:
        """Return the true coefficients (d, n_terms) in the library of a degree, the smallest unless given."""
        library = Polynomial(self.degree if degree is None else degree).bind(self.variables)
        theta = np.zeros((len(self.variables), len(library)))
        for k, name in enumerate(self.variables):
            for term, value in self.equations[name].items():
                theta[k, library.index(term)] = value
        return theta

    def rate(self) -> Callable[[FloatArray], FloatArray]:
        """Return the function of states (d,) that gives their time derivatives (d,)."""
        exponents = Polynomial(self.degree).bind(self.variables).exponents
        theta = self.coefficients()
        used = np.flatnonzero((theta != 0).any(axis=0))
        theta, exponents = theta[:, used], exponents[used]
        return lambda x: theta @ np.prod(x**exponents, axis=1)


@dataclass(frozen=True)
class Case(System):
    """A system of Hu et al., or a peer's, and how it is observed: one trajectory, the end of it kept for forecasts.

    Attributes
    ----------
    start
        (d,) initial state.
    duration
        Time covered, training and forecast together.
    noise
        Standard deviation of the noise relative to each variable's largest absolute value; to its standard
        deviation with `noise_of_spread`.
    noise_of_spread
        See `noise`.
    training_share
        Share of the samples used for fitting.
    """

    start: tuple[float, ...]
    duration: float
    noise: float
    noise_of_spread: bool = False
    training_share: float = TRAINING_SHARE

    def solution(self, step: float) -> tuple[FloatArray, FloatArray]:
        """Return times (n,) and exact states (n, d), every `step`, over the whole duration."""
        every = round(step / FINE_STEP)
        if every < 1 or abs(every * FINE_STEP - step) > 1e-9 * step:
            raise InputError(f"case '{self.name}': step {step:g} is no multiple of {FINE_STEP:g}")
        states = _solve(self.name)[::every]
        return step * np.arange(len(states), dtype=float), states

    def noise_levels(self, states: FloatArray, noise: float | None = None) -> FloatArray:
        """Return the standard deviation of the noise (d,)."""
        size = states.std(axis=0) if self.noise_of_spread else np.abs(states).max(axis=0)
        return (self.noise if noise is None else noise) * size

    def observe(
        self, seed: int, *, noise: float | None = None, step: float = 0.01, keep: float = 1.0
    ) -> tuple[FloatArray, FloatArray]:
        """Noisy training data: times (n,) and values (n, d).

        `noise` replaces the case's own level; `keep` is the share of the samples that is not lost, at random.
        """
        t, states = self.solution(step)
        rng = np.random.default_rng(seed)
        y = states + self.noise_levels(states, noise) * rng.standard_normal(states.shape)
        n = int(self.training_share * len(t))
        t, y = t[:n], y[:n]
        if keep < 1.0:
            kept = np.sort(rng.choice(n, size=round(keep * n), replace=False))
            t, y = t[kept], y[kept]
        return t, y

    def bound(self, t: FloatArray, noise: FloatArray) -> FloatArray:
        """Cramér–Rao bound: the least standard errors (d, n_terms) that unbiased estimates of the true terms can have.

        Samples of noise (d,) at times t (n,), initial state unknown, support and noise level known. The covariance of
        state and coefficients is carried along the true solution (Kalman filter without process noise, started
        from ignorance), with sensitivities by Runge–Kutta, whose step alone is shared with the package under test.
        """
        library = Polynomial(self.degree).bind(self.variables)
        theta = self.coefficients()
        active = np.argwhere(theta != 0)
        d, p = len(self.variables), len(active)
        size = np.abs(_solve(self.name)).max(axis=0)
        scale = np.concatenate([size, np.abs(theta[tuple(active.T)])])

        def flow(both: FloatArray) -> FloatArray:
            """Time derivatives of the state and its sensitivities, a column and d + p more."""
            values, slopes = library.evaluate(both[None, :, 0])
            direct = np.zeros((d, d + p))
            direct[active[:, 0], d + np.arange(p)] = values[0, active[:, 1]]
            return np.column_stack([theta @ values[0], (theta @ slopes[0]) @ both[:, 1:] + direct])

        states = _solve(self.name)
        covariance = np.diag(np.concatenate([size**2, scale[d:] ** 2])) * 1e6
        identity = np.eye(d + p)
        now = 0.0
        for time in t:
            n_steps = int(np.ceil((time - now) / 0.01 - 1e-9))
            # From the true state each time: over a chaotic trajectory, this coarser integration would drift away.
            both = np.column_stack([states[round(now / FINE_STEP)], np.eye(d, d + p)])
            h = (time - now) / max(n_steps, 1)
            for _ in range(n_steps):
                both = rk4_step(flow, both, h)
            now = float(time)
            transition = identity.copy()
            transition[:d] = both[:, 1:]
            covariance = transition @ covariance @ transition.T
            for k in range(d):
                column = covariance[:, k] / (covariance[k, k] + noise[k] ** 2)
                update = identity.copy()
                update[:, k] -= column
                # Joseph's form, which stays positive where the plain one loses its digits.
                covariance = update @ covariance @ update.T + noise[k] ** 2 * np.outer(column, column)
        errors = np.zeros_like(theta)
        errors[tuple(active.T)] = np.sqrt(np.diag(covariance)[d:])
        return errors


@lru_cache(maxsize=16)
def _solve(name: str) -> FloatArray:
    """States (n, d) of a case every `FINE_STEP`, by Runge–Kutta of order 4."""
    case = get_case(name)
    rate = case.rate()
    x = np.array(case.start, dtype=float)
    states = np.empty((round(case.duration / FINE_STEP) + 1, len(x)))
    states[0] = x
    for i in range(1, len(states)):
        states[i] = x = rk4_step(rate, x, FINE_STEP)
    states.flags.writeable = False
    return states


_LORENZ = {"x": {"x": -10.0, "y": 10.0}, "y": {"x": 28.0, "y": -1.0, "x*z": -1.0}, "z": {"x*y": 1.0, "z": -8 / 3}}

CASES = {
    case.name: case
    for case in (
        Case(
            "over-damped",
            ("x", "y"),
            {"x": {"x": 1.5, "x*y": -1.0, "x^2": -1.0}, "y": {"y": -1.0, "x*y": 1.0}},
            (4.0, 2.0), 20.0, 0.01,
        ),
        Case(
            "spiral",
            ("x", "y"),
            {"x": {"x": 2.0, "x*y": -1.1, "x^2": -0.1}, "y": {"y": -1.0, "y^2": -0.1, "x*y": 0.9}},
            (1.0, 0.5), 30.0, 0.01,
        ),
        Case(
            "cycle",
            ("x", "y"),
            {"x": {"x": 1.0, "x*y": -0.05}, "y": {"y": -1.0, "x*y": 0.03}},
            (100.0, 20.0), 40.0, 0.01,
        ),
        Case("lorenz", ("x", "y", "z"), _LORENZ, (0.0, 2.0, 9.0), 40.0, 0.005),
        Case("lorenz-short", ("x", "y", "z"), _LORENZ, (-8.0, 8.0, 27.0), 10.0, 0.2, True, 1.0),
    )
}  # fmt: skip


def get_case(name: str) -> Case:
    """Return a case by name.

    Raises
    ------
    InputError
        If there is none, listing the valid names.
    """
    try:
        return CASES[name]
    except KeyError:
        raise InputError(f"no case '{name}'{nearest(name, CASES)} (valid: {', '.join(CASES)})") from None
