"""The compiled solver of the pattern model against the readable reference, SciPy and itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.linalg import solve_banded

from mechscreen.models import pattern_kernel as kernel
from mechscreen.models import pattern_reference as reference
from mechscreen.models.pattern import LENGTH, OUTPUT_POINTS, PatternModel, groups
from mechscreen.sampling import sample_unit


def parameters(count: int, stream: str = "kernel") -> np.ndarray:
    return PatternModel.space.physical(sample_unit("uniform", 3, 0, count, 13, stream))


def solve(rows: np.ndarray, **options) -> kernel.Solved:
    settings = {
        "output_points": OUTPUT_POINTS,
        "points": 2001,
        "length": LENGTH,
        "end_time": 150.0,
        "subgrid": False,
        "exact": False,
        "tolerance": 1e-5,
    }
    return kernel.solve(groups(rows), **(settings | options))


def shape_error(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    a, b = a / a.max(axis=-1, keepdims=True), b / b.max(axis=-1, keepdims=True)
    return np.sqrt(np.mean((a - b) ** 2, axis=-1))


@pytest.mark.parametrize("binding", ["reference", "exact"])
def test_agrees_with_the_readable_reference(binding):
    # A coarse grid and a short time make the reference quick; the front moves on from t = 10.
    rows = parameters(6)
    rows[0, PatternModel.space.names.index("exp_phi")] = 0  # φ falls to one half everywhere at t = 10
    compiled = solve(rows, points=501, end_time=25.0, exact=binding == "exact").profiles
    for row, profile in zip(rows, compiled, strict=True):
        published = reference.simulate(row, points=501, end_time=25.0, binding=binding)
        assert not published.went_complex
        assert shape_error(profile, published.profile) < 1e-3
        assert profile.max() == pytest.approx(published.profile.max(), rel=5e-3)


def test_a_process_that_compiles_and_one_that_loads_the_cached_binary_agree_bit_by_bit(tmp_path):
    program = f"""
import sys
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_pattern_kernel import parameters, solve
sys.stdout.buffer.write(solve(parameters(6)).profiles.tobytes())
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=True).stdout
        for _ in range(2)
    )
    assert list(tmp_path.rglob("*.nbc")), "nothing was cached"
    assert len(first) == 6 * OUTPUT_POINTS * 8
    assert first == second


def test_finer_steps_change_the_typical_profile_by_less_than_2e_5():
    rows = parameters(30)
    fine = solve(rows, tolerance=1e-6, longest_step=0.5)
    assert np.median(shape_error(solve(rows).profiles, fine.profiles)) <= 2e-5


def test_leaving_out_the_disc_ahead_of_the_colony_changes_nothing():
    rows = parameters(20)
    whole = solve(rows, cutoff=0.0)
    cut = solve(rows)
    assert cut.statistics[:, 2].mean() < 0.95 * whole.statistics[:, 2].mean()
    assert np.median(shape_error(cut.profiles, whole.profiles)) < 1e-6


def test_powers_agree_with_numpy():
    x = np.exp(np.random.default_rng(0).uniform(-20, 20, 1000))
    np.testing.assert_allclose([kernel._log2(v) for v in x], np.log2(x), atol=1e-12)
    y = np.random.default_rng(1).uniform(-900, 900, 1000)
    np.testing.assert_allclose([kernel._exp2(v) for v in y], np.exp2(y), rtol=1e-11)


@pytest.mark.parametrize("exponent", [0.3, 1.7, 5.0])
@pytest.mark.parametrize("front", [2.01, 71.234])
def test_capacity_is_the_hill_function_of_the_distance_to_the_front(front, exponent):
    points, spacing = 2001, 0.04
    phi, table = np.zeros(points + 2), np.zeros(points + 4)
    kernel._tabulate_capacity(table, np.log2(3.0), exponent, spacing)
    kernel._fill_capacity(phi, table, front, np.log2(3.0), exponent, spacing, points)
    distance = np.maximum(front - spacing * np.arange(points), 0)
    np.testing.assert_allclose(phi[1:-1], 3**exponent / (3**exponent + distance**exponent), rtol=1e-7)


@pytest.mark.parametrize("z", [0.7, 60.0])
def test_diffusion_solves_the_implicit_step(z):
    rng = np.random.default_rng(0)
    n, active = 59, 40  # not a multiple of the number of segments
    size = kernel.SEGMENTS * -(-n // kernel.SEGMENTS) + 2
    west, east, C = np.zeros(size), np.zeros(size), np.zeros(size)
    west[2 : n + 1], east[1:n] = rng.random(n - 1), rng.random(n - 1)
    C[1 : active + 1] = rng.random(active)
    bands = np.zeros((3, n))
    bands[0, 1:] = -z * east[1:n]
    bands[1] = 1 + z * (west[1 : n + 1] + east[1 : n + 1])
    bands[2, :-1] = -z * west[2 : n + 1]
    expected = solve_banded((1, 1), bands, C[1 : n + 1])
    factors = np.zeros((5, size))
    kernel._factorise(z, west, east, factors, n)
    C *= factors[2]
    kernel._diffuse(C, factors, active)
    np.testing.assert_allclose(C[1 : active + 1], expected[:active], rtol=1e-12)
    assert not C[active + 1 :].any()


@pytest.mark.parametrize("number", [117, 182])
def test_growth_ahead_of_the_colony_does_not_depend_on_the_step(number):
    # T grows by many orders of magnitude before cells arrive, and its front decides the pattern of these sets: with an
    # error estimate that looks at the colony alone they missed by 0.12 to 0.18.
    rows = PatternModel.space.physical(sample_unit("uniform", 2019, number, number + 1, 13, "published"))
    here = solve(rows, end_time=100.0)
    fine = solve(rows, end_time=100.0, longest_step=0.02)
    assert fine.statistics[0, 0] > 3 * here.statistics[0, 0]
    assert shape_error(here.profiles, fine.profiles)[0] < 0.01


def test_exact_binding_makes_a_set_well_conditioned_that_rounding_errors_decided():
    row = PatternModel.space.physical(sample_unit("uniform", 2019, 364, 365, 13, "published"))
    near = row * (1 + 5e-6)
    assert shape_error(solve(row, exact=True).profiles, solve(near, exact=True).profiles) < 1e-3
    exact = reference.simulate(row[0], binding="exact").profile
    assert shape_error(solve(row, exact=True).profiles[0], exact) < 5e-3
    assert shape_error(solve(row).profiles[0], exact) > 5e-2


def test_polymerase_that_dies_out_does_not_shorten_the_steps():
    # What is left of it is of the order of rounding errors, which are no reason for short steps.
    rows = PatternModel.space.physical(sample_unit("uniform", 2019, 340, 341, 13, "published"))
    assert solve(rows).statistics[0, 0] < 2000


def test_the_corner_where_polymerase_grows_fastest_is_solved():
    # Its steps became too short for as long as nothing but the error estimate bounded the explicit transport.
    highest = {"alpha", "beta", "Kphi", "exp_phi", "alpha_T", "alpha_L", "KP", "domainR"}
    corner = np.array([[p.high if p.name in highest else p.low for p in PatternModel.space]])
    found, fine = solve(corner), solve(corner, tolerance=3e-5)
    assert found.reasons == [""]
    assert shape_error(found.profiles, fine.profiles)[0] < 1e-3


def test_front_index_is_the_mean_of_the_published_one():
    # The published index, one-based: first point below the level; here below a straight slope that moves.
    for span in (0.3, 1.0, 2.6):
        positions = 17.35 + np.linspace(-span / 2, span / 2, 200_001)
        assert kernel._mean_front_index(17.35, span) == pytest.approx(np.mean(np.floor(positions) + 2), abs=1e-4)
    assert kernel._mean_front_index(17.35, 0.0) == 19
