"""The published procedure for the pattern model against the published simulations and conservation laws."""

from __future__ import annotations

import numpy as np
import pytest

from mechscreen.models import pattern_reference as reference
from mechscreen.models.pattern import LENGTH, PatternModel
from mechscreen.sampling import sample_unit


@pytest.fixture(scope="module")
def problem() -> reference._Problem:
    unit = sample_unit("uniform", 5, 0, 1, 13, "reference")
    return reference._Problem(PatternModel.space.physical(unit)[0], 501)


def test_laplacian_of_a_bessel_function_is_its_eigenvalue(problem):
    from scipy.special import j0, jn_zeros

    k = jn_zeros(1, 3)[-1] / LENGTH  # J0'(kL) = 0, as the mirror points ask
    field = j0(k * problem.radius)
    # The spacing of the differences, L/501, is not that of the radii, L/500: an error of 0.4 % by design.
    np.testing.assert_allclose(problem.laplacian(field), -(k**2) * field, atol=6e-3 * k**2)


def test_nutrient_is_used_up_as_cells_grow(problem):
    state = problem.start(float)
    slope = problem.slope(state, 0.0)
    disc = 2 * np.pi * problem.radius * problem.weights
    growth = slope.C - problem.G1 * problem.laplacian(state.C)
    assert pytest.approx(-problem.G3 * (disc @ growth)) == slope.N


def test_projection_reaches_binding_equilibrium_and_keeps_both_totals(problem):
    rng = np.random.default_rng(0)
    state = problem.start(float)
    state.L, state.T, state.P = 1e-3 * rng.random(501), rng.random(501), 1e-2 * rng.random(501)
    lysozyme = state.L + problem.G12 * state.P
    polymerase = problem.G10 * state.T + problem.G12 * state.P
    assert not problem.bind(state)
    np.testing.assert_allclose(state.L + problem.G12 * state.P, lysozyme)
    np.testing.assert_allclose(problem.G10 * state.T + problem.G12 * state.P, polymerase)
    np.testing.assert_allclose(
        state.L * problem.G10 * state.T, problem.G11 * problem.G12 * state.P, rtol=1e-6, atol=1e-15
    )


def test_front_is_the_first_point_below_nine_tenths_of_the_maximum(problem):
    C = np.linspace(1.0, 0.0, 501)  # 0.9 at index 50, below it at 51, one-based 52
    assert problem.front(C) == pytest.approx(52 * LENGTH / 501)


def test_complex_arithmetic_gives_the_real_result_where_nothing_goes_complex(problem):
    unit = sample_unit("uniform", 5, 0, 1, 13, "reference")
    row = PatternModel.space.physical(unit)[0]
    real = reference.simulate(row, points=501, end_time=11.0)
    complex_ = reference.simulate(row, points=501, end_time=11.0, arithmetic="complex")
    assert not real.went_complex
    np.testing.assert_allclose(complex_.profile, real.profile, rtol=1e-9, atol=1e-300)
