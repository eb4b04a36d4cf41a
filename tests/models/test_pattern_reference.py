"""The published procedure for the pattern model against the published simulations, theory and conservation laws."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import j0, jn_zeros

from mechscreen.models import pattern_reference as reference
from mechscreen.models.pattern import LENGTH, PatternModel, groups
from mechscreen.sampling import sample_unit

POINTS = 501


@pytest.fixture(scope="module")
def grid() -> reference.Grid:
    return reference.make_grid(POINTS)


@pytest.fixture(scope="module")
def row() -> np.ndarray:
    return PatternModel.space.physical(sample_unit("uniform", 5, 0, 1, 13, "reference"))[0]


@pytest.fixture(scope="module")
def packed(row) -> tuple[float, ...]:
    return tuple(groups(row[None])[0].tolist())


def laplacian(field: np.ndarray, grid: reference.Grid) -> np.ndarray:
    padded = np.concatenate([field[1:2], field, field[-2:-1]])
    return np.array([reference.laplacian(padded, i, grid) for i in range(1, grid.points + 1)])


def test_laplacian_of_a_bessel_function_is_its_eigenvalue(grid):
    k = jn_zeros(1, 3)[-1] / LENGTH  # J0'(kL) = 0, as the mirror points ask
    field = j0(k * grid.radius[1:-1])
    # The spacing of the differences, L/501, is not that of the radii, L/500: an error of 0.4 % by design.
    np.testing.assert_allclose(laplacian(field, grid), -(k**2) * field, atol=6e-3 * k**2)


def test_the_step_is_bounded_by_the_largest_eigenvalue_of_the_laplacian(grid):
    matrix = np.stack([laplacian(unit, grid) for unit in np.eye(POINTS)], axis=1)
    largest = -np.linalg.eigvals(matrix).real.min() * grid.spacing**2
    assert 0.99 * reference.LARGEST_EIGENVALUE < largest <= reference.LARGEST_EIGENVALUE


def test_nutrient_is_used_up_as_cells_grow(grid, packed):
    fields = reference.initial_fields(grid)
    slopes = np.zeros_like(fields)
    eaten, _ = reference.fill_slopes(fields, slopes, 1.0, 0.0, np.ones(POINTS + 2), packed, grid)
    growth = slopes[0, 1:-1] - packed[0] * laplacian(fields[0, 1:-1], grid)
    assert eaten == pytest.approx(-packed[2] * (grid.area[1:-1] @ growth))
    assert eaten < 0


@pytest.mark.parametrize("exact", [False, True])
def test_projection_reaches_binding_equilibrium_and_keeps_both_totals(grid, packed, exact):
    rng = np.random.default_rng(0)
    fields = reference.initial_fields(grid)
    fields[1], fields[2], fields[3] = (scale * rng.random(POINTS + 2) for scale in (1e-3, 1.0, 1e-2))
    G10, G11, G12 = packed[9:12]

    def totals() -> tuple[np.ndarray, np.ndarray]:
        return fields[1] + G12 * fields[3], G10 * fields[2] + G12 * fields[3]

    before = totals()
    assert not reference.needs_complex(fields, packed, POINTS)
    reference.bind(fields, exact, packed, POINTS)
    np.testing.assert_allclose(totals(), before)
    L, T, P = fields[1:4, 1:-1]
    np.testing.assert_allclose(L * G10 * T, G11 * G12 * P, rtol=1e-6, atol=1e-15)


def test_the_published_projection_rounds_little_lysozyme_to_zero_and_the_exact_one_does_not(grid, packed):
    little = 1e-17 * packed[10]
    left = []
    for exact in (False, True):
        fields = np.zeros((5, POINTS + 2))
        fields[1] = fields[2] = little
        reference.bind(fields, exact, packed, POINTS)
        left.append(fields[1, 7])
    assert left[0] == 0
    assert left[1] == pytest.approx(little)


def test_negative_lysozyme_asks_for_complex_numbers(grid, packed):
    fields = reference.initial_fields(grid)
    fields[1, 7] = -packed[10]  # the square root's argument is (2 G11)² − 4 G11², less what T adds
    assert not reference.needs_complex(fields * 0, packed, POINTS)
    fields[2, 7] = 0
    fields[3, 7] = -0.1 * packed[10] / packed[11]
    assert reference.needs_complex(fields, packed, POINTS)


def test_front_is_the_first_point_below_nine_tenths_of_the_maximum():
    C = np.zeros(503)
    C[1:-1] = np.linspace(1.0, 0.0, 501)  # 0.9 at index 50, below it at 51, one-based 52
    assert reference.front_index(C, 501) == 52


def test_complex_arithmetic_gives_the_real_result_where_nothing_goes_complex(row):
    real = reference.simulate(row, points=POINTS, end_time=11.0)
    complex_ = reference.simulate(row, points=POINTS, end_time=11.0, arithmetic="complex")
    assert not real.went_complex
    np.testing.assert_array_equal(complex_.profile, real.profile)


def test_a_set_that_goes_complex_is_nan_in_real_arithmetic_and_finite_in_complex():
    row = PatternModel.space.physical(sample_unit("uniform", 2019, 44, 45, 13, "published"))[0]
    real = reference.simulate(row, points=POINTS, end_time=60.0)
    complex_ = reference.simulate(row, points=POINTS, end_time=60.0, arithmetic="complex")
    assert real.went_complex
    assert complex_.went_complex
    assert np.isnan(real.profile).all()
    assert np.isfinite(complex_.profile).all()


def test_fast_diffusion_and_fast_growth_stay_stable(row):
    names = PatternModel.space.names
    stiff = row.copy()
    for name, value in (("KC", 0.005), ("alpha_c", 0.2), ("alpha_T", 8000.0), ("KT", 50.0)):
        stiff[names.index(name)] = value
    result = reference.simulate(stiff, points=POINTS, end_time=12.0, arithmetic="complex")
    assert np.isfinite(result.profile).all()
