"""The compiled simulator of the MYC/E2F model against the readable reference, SciPy and theory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.stats import kstest

from mechscreen.models import myc_e2f_kernel as kernel
from mechscreen.models import myc_e2f_reference as reference
from mechscreen.models.myc_e2f import MycE2FModel, tapered
from mechscreen.models.myc_e2f_parameters import MOLECULES, PARAMETERS
from mechscreen.models.myc_e2f_reference import SPECIES
from mechscreen.sampling import sample_unit

LANES = kernel.LANES
PUBLISHED = [(5000, 0.01)]
NOMINAL = MycE2FModel(vary=[]).space.low
u4 = np.uint32


def parameters(count: int, vary: str = "core") -> np.ndarray:
    return MycE2FModel(vary=vary).space.physical(sample_unit("uniform", 3, 0, count, len(PARAMETERS), "kernel"))


def changed(**values: float) -> np.ndarray:
    row = NOMINAL.copy()
    for name, value in values.items():
        row[PARAMETERS.index(name)] = value
    return row


def simulate(row: np.ndarray, count: int, phases=PUBLISHED, **options) -> np.ndarray:
    settings = {"seed": 1, "implicit": True, "intrinsic": 5.0, "extrinsic": 50.0} | options
    return kernel.simulate(row, settings.pop("seed"), count, phases, **settings)


def without_noise(row: np.ndarray, phases=PUBLISHED, **options) -> np.ndarray:
    return simulate(row, 1, phases, intrinsic=0.0, extrinsic=0.0, **options)[:, 0]


# --- Random numbers


@pytest.mark.parametrize(
    ("counter", "key", "words"),
    [
        ([0] * 4, [0] * 2, [0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8]),
        ([0xFFFFFFFF] * 4, [0xFFFFFFFF] * 2, [0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD]),
        (
            [0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344],
            [0xA4093822, 0x299F31D0],
            [0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1],
        ),
    ],
)
def test_random_words_are_those_of_philox_4x32_10(counter, key, words):
    # Known answers of Random123 (Salmon et al. 2011).
    assert list(kernel._philox(*map(u4, counter), *map(u4, key))) == words


@pytest.fixture(scope="module")
def normals() -> np.ndarray:
    """Normal numbers of 1200 steps, (steps, normals, lanes)."""
    drawn, words = np.empty(kernel.NORMALS * LANES, np.float32), np.empty(4 * kernel.BLOCKS * LANES, u4)
    steps = []
    for step in range(1200):
        kernel._draw(drawn, words, 1000, step, u4(7), u4(9))
        steps.append(drawn.copy())
    return np.array(steps, dtype=float).reshape(1200, kernel.NORMALS, LANES)


def test_normal_numbers_are_normal(normals):
    for row in normals.transpose(1, 0, 2):
        assert kstest(row.ravel(), "norm").pvalue > 1e-4
    n = normals.size
    for power, moment, spread in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert np.mean(normals**power) == pytest.approx(moment, abs=5 * np.sqrt(spread / n))
    expected = n * 6.334e-5  # beyond four standard deviations
    assert np.sum(np.abs(normals) > 4) == pytest.approx(expected, abs=5 * np.sqrt(expected))


def test_normal_numbers_of_a_step_its_lanes_and_its_neighbours_are_independent(normals):
    flat = normals.transpose(0, 2, 1)
    for a, b in ((flat, flat), (flat[:-1], flat[1:]), (flat[:, :-1], flat[:, 1:])):
        x, y = (part.reshape(-1, kernel.NORMALS) for part in (a, b))
        for f in (lambda v: v, np.square, np.abs):
            correlation = np.corrcoef(f(x).T, f(y).T)[: kernel.NORMALS, kernel.NORMALS :]
            if a is b:
                np.fill_diagonal(correlation, 0)
            assert np.abs(correlation).max() < 5 / np.sqrt(len(x))


# --- What does not matter


def test_a_trajectory_depends_on_seed_and_number_and_not_on_the_lane_it_runs_in():
    together = simulate(NOMINAL, 3 * LANES, [(300, 0.01)])
    for first, count in ((0, 5), (17, LANES), (LANES + 3, LANES + 20), (3 * LANES - 1, 1)):
        alone = simulate(NOMINAL, count, [(300, 0.01)], first=first)
        np.testing.assert_array_equal(alone, together[:, first : first + count])
    other = simulate(NOMINAL, LANES, [(300, 0.01)], seed=1 + 2**32)
    assert not (other == together[:, :LANES]).any()


def test_a_process_that_compiles_and_one_that_loads_the_cached_binary_agree_bit_by_bit(tmp_path):
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parent)!r})
from test_myc_e2f_kernel import NOMINAL, simulate
sys.stdout.buffer.write(simulate(NOMINAL, 100, [(500, 0.01)]).tobytes())
"""
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    first, second = (
        subprocess.run([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE, check=True).stdout
        for _ in range(2)
    )
    assert list(tmp_path.rglob("*.nbc")), "nothing was cached"
    assert len(first) == 10 * 100 * 4
    assert first == second


# --- Against the readable reference


@pytest.mark.parametrize("implicit", [True, False])
def test_without_noise_it_is_the_readable_reference(implicit):
    # The published step is unstable for most parameter sets, where the last bit decides; not for slow binding.
    rows = parameters(4) if implicit else [changed(kRE=5, kRBDP=0.5, KRP=0.2)]
    for row in rows:
        phases = [(700, 0.01), (3, 0.002)]
        expected = reference.simulate(row, 1, phases, implicit=implicit, intrinsic=0, extrinsic=0)[:, 0]
        np.testing.assert_allclose(without_noise(row, phases, implicit=implicit), expected, rtol=3e-4)


@pytest.mark.parametrize("implicit", [True, False])
def test_one_step_has_mean_and_covariance_of_the_reactions(implicit):
    # The reference has 31 noises of reactions and 10 of species; here they are merged into 13.
    count, step = 400_000, 1e-4
    start = np.array([700, 900, 500, 600, 400, 800, 300, 650, 550, 750], dtype=float)
    row = changed(kRE=60, KRP=1.0)
    grown = simulate(row, count, [(1, step)], implicit=implicit, start=start) - start[:, None].astype(np.float32)
    found = reference.reactions(start[:, None], reference.name_parameters(row))
    N, a = reference.stoichiometry(found), np.array([r.propensity[0] for r in found.values()])
    expected = step * (5 * N @ np.diag(a) @ N.T + 50 * np.eye(10))
    covariance = np.cov(grown.astype(float))
    scale = np.sqrt((np.outer(np.diag(expected), np.diag(expected)) + expected**2) / count)
    # An implicit step shrinks fluctuations by its relaxation within the step, here up to 1 %.
    assert np.abs((covariance - expected) / (5 * scale + (0.02 * np.abs(expected) if implicit else 0))).max() < 1
    mean = grown.mean(axis=1, dtype=float)
    error = 5 * np.sqrt(np.diag(expected) / count)
    np.testing.assert_allclose(mean, step * N @ a, atol=error.max() + (0.02 * step * np.abs(N) @ a).max())


@pytest.mark.parametrize("implicit", [True, False])
def test_final_values_are_distributed_as_the_references(implicit):
    row, count, phases = changed(kRE=60), 1500, [(800, 0.01)]
    theirs = reference.simulate(row, count, phases, implicit=implicit, intrinsic=5.0, extrinsic=50.0, seed=4)
    ours = simulate(row, 6000, phases, implicit=implicit)
    for a, b in zip(theirs, ours, strict=True):
        assert a.mean() == pytest.approx(b.mean(), abs=5 * b.std() / np.sqrt(1200))
        assert a.std() == pytest.approx(b.std(), rel=0.12)
    np.testing.assert_allclose(np.corrcoef(theirs), np.corrcoef(ours), atol=0.15)


# --- Against SciPy and theory


def final_of_ode(row: np.ndarray) -> np.ndarray:
    p = reference.name_parameters(row)
    solution = solve_ivp(
        lambda t, x: reference.slopes(x[:, None], p)[:, 0], (0, 50), np.zeros(10), method="LSODA", rtol=1e-8, atol=1e-7
    )
    return solution.y[:, -1]


def test_without_noise_it_is_scipys_solution_within_a_thousandth_and_of_first_order():
    rows = np.vstack([NOMINAL, parameters(23)])
    exact = np.array([final_of_ode(row) for row in rows])
    errors = {
        h: np.abs(np.array([without_noise(row, tapered(round(50 / h), h)) for row in rows]) / exact - 1).max(axis=1)
        for h in (0.02, 0.01)
    }
    assert errors[0.01][0] < 2e-4
    # What is beyond a thousandth is on its way between two states at 50 h.
    assert np.mean(errors[0.01] < 1e-3) >= 0.85
    measurable = errors[0.01] > 3e-4
    assert measurable.sum() >= 4
    assert np.median(errors[0.02][measurable] / errors[0.01][measurable]) == pytest.approx(2, abs=0.3)


def test_noise_of_conversions_conserves_rb_and_e2f_along_every_trajectory():
    none = {name: 0.0 for name in PARAMETERS if name[0] == "d" or name[0] == "k"}
    row = changed(**none | {"kRE": 180, "kRBDP": 3.6, "kRBP1": 18, "kRBP2": 18})
    start = np.array([0, 0, 900, 300, 700, 200, 50, 3, 0, 0], dtype=float)  # one species is almost used up
    final = dict(
        zip(SPECIES, simulate(row, 500, [(1000, 0.01)], extrinsic=0.0, start=start).astype(float), strict=True)
    )
    np.testing.assert_allclose(final["RB"] + final["RP"] + final["RE"], 753, rtol=1e-5)
    np.testing.assert_allclose(final["EFp"] + final["RE"], 903, rtol=1e-5)
    assert all(final[name].std() > 1 for name in ("EFp", "RB", "RP", "RE"))


def test_moments_of_a_linear_species_are_those_of_theory():
    # MYC is made at a constant rate and decays: an Ornstein–Uhlenbeck process but for the noise, which grows with it.
    k, d, step, steps, count = 602 / 1.5, 0.7, 0.01, 400, 40_000
    found = simulate(NOMINAL, count, [(steps, step)])[0].astype(float)
    time = steps * step
    mean = k / d * (1 - np.exp(-d * time))
    # dV/dt = −2 d V + 5 (k + d m) + 50
    variance = (10 * k + 50) * (1 - np.exp(-2 * d * time)) / (2 * d) - 5 * k * np.exp(-d * time) / d * (
        1 - np.exp(-d * time)
    )
    # Errors of the step: 0.35 % of both.
    assert found.mean() == pytest.approx(mean, abs=5 * np.sqrt(variance / count) + 0.002 * mean)
    assert found.var() == pytest.approx(variance, rel=5 * np.sqrt(2 / count) + 0.0035)


@pytest.mark.parametrize("implicit", [True, False])
def test_moments_of_a_linear_conversion_are_those_of_theory(implicit):
    # phospho-RB becomes RB at a constant rate c and both decay; their noise is shared, and its covariance negative.
    none = {name: 0.0 for name in PARAMETERS if name[0] in "dk"}
    c, d = 2.0, 0.5
    row = changed(**none | {"kRBDP": c * 1e5, "KRP": 1e5, "dRB": d, "dRP": d})
    start = np.zeros(10)
    start[SPECIES.index("RP")], start[SPECIES.index("RB")] = 8000, 3000
    A = np.array([[-c - d, 0], [c, -d]])  # of (RP, RB)

    def moments(t: float, y: np.ndarray) -> np.ndarray:
        m, V = y[:2], y[2:].reshape(2, 2)
        rates = np.array([c * m[0], d * m[0], d * m[1]])
        N = np.array([[-1, -1, 0], [1, 0, -1]])
        return np.concatenate([A @ m, (A @ V + V @ A.T + 5 * N @ np.diag(rates) @ N.T + 50 * np.eye(2)).ravel()])

    exact = solve_ivp(moments, (0, 1), [8000, 3000, 0, 0, 0, 0], rtol=1e-9).y[:, -1]
    count = 20_000
    found = simulate(row, count, [(1000, 0.001)], implicit=implicit, start=start).astype(float)
    x = found[[SPECIES.index("RP"), SPECIES.index("RB")]]
    np.testing.assert_allclose(x.mean(axis=1), exact[:2], rtol=6e-3)  # 0.31 % is the step
    covariance = exact[2:].reshape(2, 2)
    assert covariance[0, 1] < -0.05 * np.sqrt(covariance[0, 0] * covariance[1, 1])
    spread = np.sqrt((np.outer(np.diag(covariance), np.diag(covariance)) + covariance**2) / count)
    assert (np.abs(np.cov(x) - covariance) <= 5 * spread + 0.005 * np.abs(covariance)).all()


def test_variance_converges_with_the_step_at_first_order():
    k, d, count = 602 * 5 / 1.5, 3.5, 60_000
    exact = (10 * k + 50) / (2 * d)
    row = changed(kMC=5, dMC=d)
    errors = [
        simulate(row, count, [(round(4 / h), h)])[0].astype(float).var() / exact - 1 for h in (0.2, 0.1, 0.05, 0.025)
    ]
    ratios = np.array(errors[:-1]) / errors[1:]
    # Of this scheme they are 1/(1 − d h/2) − 1 exactly.
    expected = [1 / (1 - d * h / 2) - 1 for h in (0.2, 0.1, 0.05, 0.025)]
    np.testing.assert_allclose(errors, expected, atol=5 * np.sqrt(2 / count))
    assert ratios[-1] == pytest.approx(2, abs=0.5)


def test_what_relaxes_within_a_step_ends_with_its_own_fluctuations():
    # RB is phosphorylated within a third of a step here.
    start = np.array([573, 896, 649, 144, 12, 122, 1580, 530, 99, 173], dtype=float)
    rb = SPECIES.index("RB")
    fine, short, plain = (
        simulate(NOMINAL, 3000, phases, start=start)[rb].std()
        for phases in ([(2500, 0.0002)], tapered(50, 0.01), [(50, 0.01)])
    )
    assert short == pytest.approx(fine, rel=0.08)
    assert plain < 0.8 * fine


def test_the_published_step_makes_rb_from_nothing_and_the_implicit_one_does_not():
    # At most kRB · 50 h = 9 µM can be made; noise that is clipped adds some.
    row = changed(kRBP1=60, kRE=600)
    total = {
        implicit: simulate(row, 128, implicit=implicit)[[SPECIES.index(n) for n in ("RB", "RP", "RE")]].sum(axis=0)
        for implicit in (True, False)
    }
    assert total[True].mean() / MOLECULES < 9
    assert total[False].mean() / MOLECULES > 15
