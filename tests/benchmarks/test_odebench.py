"""ODEBench and MDBench: their protocols, on a small file of the same form."""

import json

import numpy as np
import pytest

from discovery_study import odebench
from discovery_study.formula import Dynamics
from discovery_study.refit import parametrise, refit
from mechscreen import InputError

RECORDS = [
    {
        "id": 3,
        "description": "growth",
        "equations": ["0.79*x_0*(1 - 0.01346*x_0)"],
        "starts": [[7.3], [21.0]],
    },
    {"id": 23, "description": "pendulum", "equations": ["0.21 - sin(x_0)"], "starts": [[-2.74], [1.65]]},
]


@pytest.fixture
def systems(tmp_path):
    file = tmp_path / "systems.json"
    file.write_text(json.dumps(RECORDS))
    return odebench.read_systems(file)


def test_data_are_150_points_multiplied_by_noise_and_dropped_at_random(systems):
    t, exact = systems[0].solution(0)
    assert (len(t), t[0], t[-1]) == (150, 0.0, 10.0)
    # The logistic solution.
    k = 1 / 0.01346
    np.testing.assert_allclose(exact[:, 0], k / (1 + (k / 7.3 - 1) * np.exp(-0.79 * t)), rtol=1e-7)
    off = np.concatenate([systems[0].observe(seed, 0.05)[1] / exact - 1 for seed in range(20)])
    assert off.std() == pytest.approx(0.05, rel=0.05)
    some_t, some_y = systems[0].observe(7, 0.02, 0.5)
    assert len(some_t) == 75
    every_t, every_y = systems[0].observe(7, 0.02)
    np.testing.assert_array_equal(some_y, every_y[np.searchsorted(every_t, some_t)])


def test_scores_weight_variables_by_their_variance_and_a_lost_solution_is_zero():
    exact = np.stack([np.arange(10.0), 0.01 * np.arange(10.0)], axis=1)
    assert odebench.score(exact, exact) == 1
    constant = np.broadcast_to(exact.mean(axis=0), exact.shape)
    assert odebench.score(exact, constant) == pytest.approx(0)
    # Of the small variable, nothing is right, and that hardly counts.
    assert odebench.score(exact, np.stack([exact[:, 0], constant[:, 1]], axis=1)) > 0.999
    lost = exact.copy()
    lost[7:] = np.nan
    assert odebench.score(exact, lost) == 0


def test_a_system_that_the_library_holds_is_found_and_solved_from_both_starts(systems):
    row = odebench.measure_system(systems[0], 0, 0.01, 0.0, method="collocation", library="degree 3", limit=60)
    assert (row["system"], row["kind"], row["inside"], row["points"]) == (3, "polynomial", True, 150)
    assert row["right"]
    assert min(row["reconstruction"], row["generalisation"]) > 0.99


def test_one_that_it_does_not_hold_is_said_to_be_outside(systems):
    (row,) = odebench.measure(
        systems[1:], "noise-0.01-dropped-0.5", 0, method="collocation", library="degree 3", limit=60
    )
    assert (row["noise"], row["dropped"], row["points"]) == (0.01, 0.5, 75)
    assert (row["kind"], row["inside"]) == ("trigonometric", False)
    assert not row.get("right", False)


def test_the_true_equations_refitted_are_what_can_be_reached(systems):
    row = odebench.measure_system(systems[1], 0, 0.05, 0.5, method=odebench.TRUTH, library="degree 3", limit=60)
    assert min(row["reconstruction"], row["generalisation"]) > 0.99


def test_constants_are_factors_of_terms_and_numbers_within_them():
    forms, symbols, values = parametrise(Dynamics(("x",), ("0.5*x*(1 - x) + 1/(1 + 1.65*exp(-1.04*x))",)))
    assert sorted(values) == pytest.approx([-1.04, -0.5, 0.5, 1.0, 1.65])
    assert forms[0].free_symbols == {*symbols, *(s for s in forms[0].free_symbols if s.name == "x")}


def test_refitted_constants_are_the_least_squares_estimates():
    t = np.linspace(0, 4, 40)
    y = (3 * np.exp(-0.8 * t) * (1 + 0.01 * np.random.default_rng(0).standard_normal(40)))[:, None]
    fitted, _ = refit(Dynamics(("x",), ("-0.7*x",)), [3.0], t, y, 0.01)
    # With noise in proportion, a line through the logarithms.
    slope = np.polyfit(t, np.log(y[:, 0]), 1)[0]
    assert fitted.rates(np.ones((1, 1)))[0, 0] == pytest.approx(slope, rel=2e-3)


def test_mdbench_compares_rates_at_the_noisy_last_points(systems):
    (row,) = odebench.measure_mdbench(systems[:1], "snr-40", 0, method="collocation", library="degree 3", limit=60)
    assert (row["snr"], row["points"]) == (40, 120)
    # Of the equation as it is printed.
    found = Dynamics(("x_0",), (row["equations"][0].partition("= ")[2].replace(" x_0", "*x_0"),))
    noisy, true = systems[0].observe(0, 0.01)[1][120:], systems[0].dynamics.rates(systems[0].solution(0)[1][120:])
    expected = ((found.rates(noisy) - true) ** 2).sum() / (true**2).sum()
    assert row["nmse"] == pytest.approx(expected, rel=0.05)


def test_the_grid_is_the_published_one():
    assert len(odebench.rows()) == 12
    assert "noise-0.05-dropped-0.5" in odebench.rows()
    assert odebench.mdbench_rows() == ("snr-40", "snr-30", "snr-20", "snr-10")


@pytest.mark.parametrize("text", ["[", "[{}]", '[{"id": 1, "description": "", "equations": ["x_0"], "starts": [[1]]}]'])
def test_a_file_that_is_none_of_ODEBench_is_refused(tmp_path, text):  # noqa: N802
    file = tmp_path / "none.json"
    file.write_text(text)
    with pytest.raises(InputError, match=r"none\.json: cannot be read as ODEBench's systems"):
        odebench.read_systems(file)
