"""Cases with known equations, and scores."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from discovery_study.cases import CASES, get_case
from discovery_study.scoring import compare, forecast, measure, summarise, wilson
from mechscreen import InputError


@pytest.mark.parametrize("name", ["over-damped", "spiral", "cycle"])
def test_solutions_agree_with_an_adaptive_integrator(name):
    case = get_case(name)
    t, states = case.solution(0.1)
    theta = case.coefficients()
    names = case.variables

    def rate(_, x):
        values = [np.prod(x**e) for e in _exponents(names)]
        return theta @ values

    exact = solve_ivp(rate, (0, t[-1]), case.start, t_eval=t, rtol=1e-11, atol=1e-11).y.T
    np.testing.assert_allclose(states, exact, rtol=1e-6, atol=1e-6)


def _exponents(names):
    from mechscreen.discovery import Polynomial

    return Polynomial(2).bind(names).exponents


def test_noise_is_relative_to_the_largest_value_or_to_the_spread():
    for name, size in (("cycle", lambda s: np.abs(s).max(axis=0)), ("lorenz-short", lambda s: s.std(axis=0))):
        case = get_case(name)
        _, states = case.solution(0.01)
        np.testing.assert_allclose(case.noise_levels(states, 0.5), 0.5 * size(states))
        _, y = case.observe(0, noise=0.5)
        np.testing.assert_allclose((y - states[: len(y)]).std(axis=0), 0.5 * size(states), rtol=0.1)


def test_eighty_percent_are_for_fitting_and_lost_samples_are_the_seeds_alone():
    case = get_case("cycle")
    t, y = case.observe(4, step=0.5)
    assert len(t) == 64
    kept_t, kept_y = case.observe(4, step=0.5, keep=0.5)
    assert len(kept_t) == 32
    rows = np.searchsorted(t, kept_t)
    np.testing.assert_array_equal(kept_y, y[rows])


@pytest.mark.parametrize(("call", "message"), [
    (lambda: get_case("cycel"), "did you mean 'cycle'"),
    (lambda: CASES["cycle"].solution(0.0015), "no multiple"),
])  # fmt: skip
def test_wrong_cases_are_refused(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_the_wilson_interval_of_a_full_score():
    # Wilson (1927) for 100 of 100: lower limit n/(n + z²).
    low, high = wilson(100, 100)
    assert low == pytest.approx(100 / (100 + 1.959964**2))
    assert high == pytest.approx(1.0)


def test_scores_count_false_terms_and_lost_ones():
    case = get_case("cycle")
    found = case.coefficients()
    found[0, 0], found[1, 4] = 0.3, 0.0
    row = compare(case, 2, found)
    assert (row["exact"], row["false_positives"], row["false_negatives"]) == (False, 1, 1)
    assert row["error"] == 1.0


def test_a_perfect_forecast_is_valid_to_the_end_and_a_constant_one_is_not():
    case = get_case("cycle")
    t, states = case.solution(0.1)
    n = int(0.8 * len(t))
    perfect = forecast(case, 0.1, lambda x0, times: states[n:])
    assert perfect == {"forecast_error": 0.0, "valid_time": pytest.approx(t[-1] - t[n])}
    constant = forecast(case, 0.1, lambda x0, times: np.tile(x0, (len(times), 1)))
    assert constant["valid_time"] < 2


def test_a_measured_row_says_all_and_rows_add_up():
    rows = [measure("cycle", seed, step=0.5) for seed in range(4)]
    summary = summarise(rows)
    assert summary["exact"] == summary["runs"] == 4
    assert 0.4 < summary["error_over_bound"] < 2
    assert summary["error_median"] <= summary["error_worst"] < 0.05
    assert summary["valid_time"] == pytest.approx(7.5, abs=0.6)


def test_another_method_is_judged_like_ours(tmp_path):
    (tmp_path / "mine.py").write_text("def truth(t, y, names, degree, truth):\n    return truth\n")
    row = measure("cycle", 0, step=0.5, method=f"{tmp_path / 'mine.py'}:truth")
    assert row["exact"]
    assert row["error"] == 0.0
    assert row["forecast_error"] < 1e-6
    assert "covered" not in row


@pytest.mark.parametrize(
    ("method", "message"), [("odenett", "did you mean 'odenet'"), ("none.py:f", r"no file .*none\.py")]
)
def test_a_method_that_is_not_there_is_refused(method, message):
    with pytest.raises(InputError, match=message):
        measure("cycle", 0, step=0.5, method=method)
