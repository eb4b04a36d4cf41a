"""The published procedure for the pattern model, as readable code: what the paper ran, and the yardstick.

It differs from `mechscreen.models.pattern_kernel` in time only: Λ, T and P are carried apart by an explicit
Runge–Kutta method for a macro-step of 0.01 and then projected onto the equilibrium of binding, everywhere on the disc.
Central differences can drive lysozyme below zero at a steep front, until the projection's square root has a negative
argument. The published program (MATLAB) then went on in complex numbers, and took the real part of the last state;
``arithmetic="complex"`` does the same, ``arithmetic="real"`` gives NaN.

The loops are compiled by Numba, for real and for complex numbers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from mechscreen.models.outputs import FloatArray
from mechscreen.models.pattern import LENGTH, OUTPUT_POINTS, REFERENCE_POINTS, groups

MACRO_STEP = 0.01
SWITCH_TIME = 10.0
LARGEST_EIGENVALUE = 4.85
"""Of the discrete radial Laplacian times the squared spacing; its eigenvector lives at the origin."""
STABLE = 2.4
"""Largest step times rate that is allowed in diffusion; the limit of the method is 2.78."""
ACCURATE = 0.3
"""Largest step times rate that is allowed in the growth of T7 RNA polymerase."""

Field = NDArray[Any]  # float64 or complex128

_jit = njit(error_model="numpy", nogil=True, cache=True)
# No reordering of sums: rounding in the projection decides patterns (docs/explanation/pattern-model.md).
_jit_slopes = njit(error_model="numpy", nogil=True, cache=True, fastmath={"contract", "nsz"})


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


class Grid(NamedTuple):
    """The disc. Arrays carry one point beyond each end, so that grid point i stands at i + 1.

    Attributes
    ----------
    points
        Grid points.
    spacing
        Of every difference, L/points; the radii are L/(points − 1) apart.
    radius
        (points + 2,), radii.
    area
        (points + 2,), weights of the integral over the disc by the trapezoid rule.
    """

    points: int
    spacing: float
    radius: FloatArray
    area: FloatArray


def make_grid(points: int) -> Grid:
    """Return the published grid of so many points."""
    radius, weights = np.zeros(points + 2), np.zeros(points + 2)
    radius[1:-1] = np.arange(points) * LENGTH / (points - 1)
    weights[1:-1] = LENGTH / (points - 1)
    weights[[1, -2]] /= 2
    return Grid(points, LENGTH / points, radius, 2 * np.pi * radius * weights)


def initial_fields(grid: Grid) -> FloatArray:
    """Return C, Λ, T, P and R at the start, (5, points + 2)."""
    x = np.pi * grid.radius / LENGTH
    fields = np.zeros((5, grid.points + 2))
    fields[0, 1:-1] = 0.2 * np.exp(-(x[1:-1] ** 2) / 0.005)
    fields[2] = 0.1 * fields[0]
    return fields


@_jit
def laplacian(X, i, grid):  # type: ignore[no-untyped-def]
    """∂²X/∂r² + (1/r) ∂X/∂r at array index i; at the origin 2 ∂²X/∂r²."""
    h = grid.spacing
    if i == 1:
        return 2 * (2 * X[2] - 2 * X[1]) / (h * h)
    return (X[i + 1] - 2 * X[i] + X[i - 1]) / (h * h) + (X[i + 1] - X[i - 1]) / (2 * h) / grid.radius[i]


@_jit
def front_index(C, points):  # type: ignore[no-untyped-def]
    """One-based index of the first point whose C is below 0.9 of the maximum; `points` where there is none."""
    # Of complex numbers, MATLAB's max() takes the one of largest magnitude, and "<" compares real parts.
    highest = C[1]
    for i in range(2, points + 1):
        if abs(C[i]) > abs(highest):
            highest = C[i]
    for i in range(1, points + 1):
        if (C[i] / highest).real < 0.9:
            return i
    return points


@_jit
def fill_capacity(phi, front, half_distance, exponent, grid):  # type: ignore[no-untyped-def]
    """Write the gene-expression capacity φ for a front at radius `front`."""
    half = half_distance**exponent
    for i in range(1, grid.points + 1):
        phi[i] = half / (half + max(front - grid.radius[i], 0.0) ** exponent)


@_jit_slopes
def fill_slopes(fields, slopes, N, A, phi, groups, grid):  # type: ignore[no-untyped-def]
    """Write the right-hand sides of C, Λ, T, P and R, without binding; return those of N and A."""
    G1, G2, G3, G4, G5, G6, G7, G8, G9, _, _, _, alpha, beta, _, _ = groups
    C, L, T, P, R = fields[0], fields[1], fields[2], fields[3], fields[4]
    for X in (C, L, T, P, R):
        X[0], X[grid.points + 1] = X[2], X[grid.points - 1]  # mirror points
    nutrient = N / (G2 + N)
    induction = A * A / (1 + A * A)
    eaten, made = 0.0 * N, 0.0 * A
    for i in range(1, grid.points + 1):
        c = C[i]
        mu = (1 - c) * nutrient / (1 + alpha * T[i] + beta * L[i])
        expression = (phi[i] if c != 0 else 0.0) * T[i] / (1 + T[i])
        repressed = expression / (1 + P[i])
        # The carrying velocity times the difference quotient of what is carried.
        carried = G1 / (c + 1e-5) * (C[i + 1] - C[i - 1]) / (4 * grid.spacing * grid.spacing)
        slopes[0, i] = G1 * laplacian(C, i, grid) + mu * c
        slopes[1, i] = carried * (L[i + 1] - L[i - 1]) - mu * L[i] - G6 * L[i] + G7 * expression * induction
        slopes[2, i] = carried * (T[i + 1] - T[i - 1]) - mu * T[i] - G8 * T[i] + G9 * repressed
        slopes[3, i] = carried * (P[i + 1] - P[i - 1]) - mu * P[i]
        slopes[4, i] = carried * (R[i + 1] - R[i - 1]) - mu * R[i] + expression * induction
        eaten += grid.area[i] * mu * c
        made += grid.area[i] * c * repressed
    return -G3 * eaten, G4 * made - G5 * A


@_jit
def needs_complex(fields, groups, points):  # type: ignore[no-untyped-def]
    """Whether the projection's square root has an argument with a negative real part."""
    L, T, P = fields[1], fields[2], fields[3]
    for i in range(1, points + 1):
        b = L[i] - groups[9] * T[i] - groups[10]
        if (b**2 + 4 * groups[10] * (L[i] + groups[11] * P[i])).real < 0:
            return True
    return False


@_jit
def bind(fields, exact, groups, points):  # type: ignore[no-untyped-def]
    """Project Λ, T and P onto the equilibrium of binding, as published or by an `exact` root that does not cancel."""
    G10, G11, G12 = groups[9], groups[10], groups[11]
    L, T, P = fields[1], fields[2], fields[3]
    for i in range(1, points + 1):
        b = L[i] - G10 * T[i] - G11
        root = np.sqrt(b**2 + 4 * G11 * (L[i] + G12 * P[i]))
        if exact:
            U, W = L[i] + G12 * P[i], G10 * T[i] + G12 * P[i]
            released = 2 * U * W / (U + W + G11 + root) - G12 * P[i]
        else:
            released = L[i] - 0.5 * (b + root)
        L[i] -= released
        P[i] += released / G12
        T[i] -= released / G10


@_jit
def _advance(fields, N, A, macro, end, macro_step, inner, stop, exact, groups, grid):  # type: ignore[no-untyped-def]
    """Take macro-steps up to number `end`; `stop` before a projection that needs complex numbers.

    Returns N, A and the number of macro-steps taken in all; where it stopped, the projection of the next is still due.
    """
    points, h = grid.points, macro_step / inner
    stage, slopes, total = np.zeros_like(fields), np.zeros_like(fields), np.zeros_like(fields)
    phi, shown = np.ones(points + 2), 0
    while macro < end:
        for step in range(inner):
            N_slope, A_slope, N_total, A_total = 0.0 * N, 0.0 * A, 0.0 * N, 0.0 * A
            total[:] = 0
            for node, weight in ((0.0, 1 / 6), (0.5, 1 / 3), (0.5, 1 / 3), (1.0, 1 / 6)):
                for field in range(5):
                    for i in range(1, points + 1):
                        stage[field, i] = fields[field, i] + node * h * slopes[field, i]
                if macro * macro_step + (step + node) * h > SWITCH_TIME:
                    index = front_index(stage[0], points)
                    if index != shown:
                        fill_capacity(phi, index * grid.spacing, groups[14], groups[15], grid)
                        shown = index
                N_slope, A_slope = fill_slopes(
                    stage, slopes, N + node * h * N_slope, A + node * h * A_slope, phi, groups, grid
                )
                for field in range(5):
                    for i in range(1, points + 1):
                        total[field, i] += weight * slopes[field, i]
                N_total, A_total = N_total + weight * N_slope, A_total + weight * A_slope
            for field in range(5):
                for i in range(1, points + 1):
                    fields[field, i] += h * total[field, i]
            N, A = N + h * N_total, A + h * A_total
        if stop and needs_complex(fields, groups, points):
            break
        bind(fields, exact, groups, points)
        macro += 1
    return N, A, macro


def simulate(
    parameters: FloatArray,
    *,
    arithmetic: Literal["real", "complex"] = "real",
    binding: Literal["reference", "exact"] = "reference",
    points: int = REFERENCE_POINTS,
    end_time: float = 150.0,
    macro_step: float = MACRO_STEP,
) -> Result:
    """Simulate one parameter set, physical units, shape (13,), by the published procedure; one to ten seconds.

    The explicit Runge–Kutta method inside a macro-step is the classical one of fourth order, in as many steps as the
    stability of diffusion and the growth of T7 RNA polymerase ask for. ``binding="exact"`` is the procedure without
    the rounding error of its projection (docs/explanation/pattern-model.md); another `macro_step` shows how far its
    result depends on the time between projections.
    """
    exact = binding == "exact"
    packed = tuple(float(g) for g in groups(np.asarray(parameters, dtype=float)[None])[0])
    grid = make_grid(points)
    diffusion = LARGEST_EIGENVALUE * packed[0] / grid.spacing**2
    inner = math.ceil(macro_step * max(diffusion / STABLE, packed[8] / ACCURATE))
    end = round(end_time / macro_step)

    fields: Field = initial_fields(grid)
    N, A, macro = _advance(fields, 1.0, 0.0, 0, end, macro_step, inner, True, exact, packed, grid)
    went_complex = macro < end
    if went_complex and arithmetic == "real":
        return Result(np.full(OUTPUT_POINTS, np.nan), went_complex)
    if went_complex:
        fields = fields.astype(complex)
        bind(fields, exact, packed, points)
        try:
            _advance(fields, complex(N), complex(A), macro + 1, end, macro_step, inner, False, exact, packed, grid)
        except ZeroDivisionError:  # what Numba makes of a complex number divided by one that is not finite
            fields[:] = np.nan
    stride = (points - 1) // (OUTPUT_POINTS - 1)
    return Result((fields[0] * fields[4])[1:-1][::stride].real.astype(float), went_complex)
