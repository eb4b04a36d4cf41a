"""The published procedure for the pattern model, as readable code: what the paper ran, and the yardstick.

It differs from `mechscreen.models.pattern_kernel` in time only: Λ, T and P are carried apart by an explicit
Runge–Kutta method for a macro-step of 0.01 and then projected onto the equilibrium of binding. Central differences
can drive lysozyme below zero at a steep front, until the projection's square root has a negative argument. The
published program (MATLAB) then went on in complex numbers, and took the real part of the last state;
``arithmetic="complex"`` does the same, ``arithmetic="real"`` gives NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mechscreen.models.base import FloatArray
from mechscreen.models.pattern import LENGTH, OUTPUT_POINTS, REFERENCE_POINTS, groups

MACRO_STEP = 0.01
SWITCH_TIME = 10.0
Field = NDArray[Any]  # float64 or complex128


@dataclass
class State:
    """Cells, lysozyme, T7 RNA polymerase, complex and mCherry on the grid; nutrient and AHL, which are well mixed."""

    C: Field
    L: Field
    T: Field
    P: Field
    R: Field
    N: complex
    A: complex

    def plus(self, step: float, slope: State) -> State:
        """Return this state moved along `slope`."""
        return State(*(x + step * dx for x, dx in zip(vars(self).values(), vars(slope).values(), strict=True)))


@dataclass(frozen=True)
class Result:
    """Outcome of one simulation of the published procedure.

    Attributes
    ----------
    profile
        (501,), C · R at the end; its real part.
    went_complex
        Whether the projection met a negative square-root argument.
    """

    profile: FloatArray
    went_complex: bool


class _Problem:
    """One parameter set on its grid."""

    def __init__(self, parameters: FloatArray, points: int) -> None:
        (
            self.G1, self.G2, self.G3, self.G4, self.G5, self.G6, self.G7, self.G8, self.G9, self.G10, self.G11,
            self.G12, self.alpha, self.beta, self.Kphi, self.exp_phi,
        ) = groups(parameters[None])[0]  # fmt: skip
        self.points = points
        self.radius = np.arange(points) * LENGTH / (points - 1)
        self.spacing = LENGTH / points  # of every difference; the radii above are L/(points − 1) apart
        self.weights = np.full(points, LENGTH / (points - 1))  # trapezoid rule
        self.weights[[0, -1]] /= 2

    def start(self, dtype: type) -> State:
        """Return the initial state."""
        x = np.pi * np.arange(self.points) / (self.points - 1)
        C: Field = (0.2 * np.exp(-(x**2) / 0.005)).astype(dtype)
        zero = np.zeros_like(C)
        return State(C=C, L=zero, T=0.1 * C, P=zero, R=zero, N=1.0, A=0.0)

    def gradient(self, X: Field) -> Field:
        """Central difference; mirror points beyond both ends make it zero there."""
        result = np.zeros_like(X)
        result[1:-1] = (X[2:] - X[:-2]) / (2 * self.spacing)
        return result

    def laplacian(self, X: Field) -> Field:
        """∂²X/∂r² + (1/r) ∂X/∂r, at the origin 2 ∂²X/∂r²."""
        result = np.empty_like(X)
        result[1:-1] = (X[2:] - 2 * X[1:-1] + X[:-2]) / self.spacing**2 + self.gradient(X)[1:-1] / self.radius[1:-1]
        result[0] = 2 * (2 * X[1] - 2 * X[0]) / self.spacing**2
        result[-1] = (2 * X[-2] - 2 * X[-1]) / self.spacing**2
        return result

    def front(self, C: Field) -> float:
        """Radius of the first point whose C is below 0.9 of the maximum; L where there is none."""
        # Of complex numbers, MATLAB's max() takes the one of largest magnitude, and "<" compares real parts.
        below = (C / C[np.argmax(np.abs(C))]).real < 0.9
        index = np.argmax(below) + 1 if below.any() else self.points
        return float(index * self.spacing)

    def capacity(self, C: Field, time: float) -> FloatArray:
        """Gene-expression capacity φ."""
        if time <= SWITCH_TIME:
            phi = np.ones(self.points)
        else:
            half = self.Kphi**self.exp_phi
            phi = half / (half + np.maximum(self.front(C) - self.radius, 0.0) ** self.exp_phi)
        phi[C == 0] = 0.0
        return phi

    def slope(self, s: State, time: float) -> State:
        """Right-hand sides, without binding."""
        mu = (1 - s.C) * s.N / (self.G2 + s.N) / (1 + self.alpha * s.T + self.beta * s.L)
        expression = self.capacity(s.C, time) * s.T / (1 + s.T)
        induction = s.A**2 / (1 + s.A**2)
        repressed = expression / (1 + s.P)
        velocity = self.G1 / (s.C + 1e-5) * self.gradient(s.C)

        def carried(X: Field, source: Field | float) -> Field:
            return velocity * self.gradient(X) - mu * X + source

        disc = 2 * np.pi * self.radius * self.weights
        return State(
            C=self.G1 * self.laplacian(s.C) + mu * s.C,
            L=carried(s.L, -self.G6 * s.L + self.G7 * expression * induction),
            T=carried(s.T, -self.G8 * s.T + self.G9 * repressed),
            P=carried(s.P, 0.0),
            R=carried(s.R, expression * induction),
            N=-self.G3 * (disc @ (mu * s.C)),
            A=self.G4 * (disc @ (s.C * repressed)) - self.G5 * s.A,
        )

    def bind(self, s: State) -> bool:
        """Project Λ, T and P onto the equilibrium of binding; return whether the root's argument was negative."""
        b = s.L - self.G10 * s.T - self.G11
        argument = b**2 + 4 * self.G11 * (s.L + self.G12 * s.P)
        released = s.L - 0.5 * (b + np.sqrt(argument))
        s.L = s.L - released
        s.P = s.P + released / self.G12
        s.T = s.T - released / self.G10
        return bool((argument.real < 0).any())


def simulate(
    parameters: FloatArray,
    *,
    arithmetic: Literal["real", "complex"] = "real",
    points: int = REFERENCE_POINTS,
    end_time: float = 150.0,
) -> Result:
    """Simulate one parameter set, physical units, shape (13,), by the published procedure; about half a minute.

    The explicit Runge–Kutta method inside a macro-step is the classical one of fourth order, in as many steps as
    diffusion's stability asks for.
    """
    problem = _Problem(np.asarray(parameters, dtype=float), points)
    state = problem.start(complex if arithmetic == "complex" else float)
    stiffness = 4 * problem.G1 / problem.spacing**2
    inner = int(np.ceil(MACRO_STEP * stiffness / 2.4))
    h = MACRO_STEP / inner
    went_complex = False
    with np.errstate(invalid="ignore", over="ignore"):
        for macro in range(round(end_time / MACRO_STEP)):
            for step in range(inner):
                time = macro * MACRO_STEP + step * h
                k1 = problem.slope(state, time)
                k2 = problem.slope(state.plus(h / 2, k1), time + h / 2)
                k3 = problem.slope(state.plus(h / 2, k2), time + h / 2)
                k4 = problem.slope(state.plus(h, k3), time + h)
                state = state.plus(h / 6, k1).plus(h / 3, k2).plus(h / 3, k3).plus(h / 6, k4)
            went_complex |= problem.bind(state)
            if went_complex and arithmetic == "real":
                return Result(np.full(OUTPUT_POINTS, np.nan), went_complex)
    stride = (points - 1) // (OUTPUT_POINTS - 1)
    return Result((state.C * state.R)[::stride].real.astype(float), went_complex)
