"""Cases that were once answered wrongly, as people reported them: what is to be said of each."""

import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mechscreen.discovery import DiscoveredModel, Polynomial, Undetermined, discover


def _said(model: DiscoveredModel, *parts: str) -> bool:
    return any(all(part in caveat for part in parts) for caveat in model.caveats)


def _solved(rate, start, t):
    return solve_ivp(lambda _, y: rate(y), (t[0], t[-1]), start, "LSODA", t, rtol=1e-10, atol=1e-12).y.T


def _logistic(n: int = 50) -> tuple[np.ndarray, np.ndarray]:
    t = np.linspace(0, 8, n)
    return t, 3 / (1 + 9 * np.exp(-t)) * (1 + 0.01 * np.random.default_rng(1).standard_normal(n))


def _predators(t):
    return _solved(lambda y: [y[0] - 0.5 * y[0] * y[1], 0.5 * y[0] * y[1] - y[1]], [2.0, 1.0], t)


def test_twelve_points_that_a_straight_line_cannot_follow_are_not_passed_off_as_one():
    x = [0.20, 0.45, 0.90, 1.55, 2.17, 2.60, 2.82, 2.92, 2.97, 2.99, 2.99, 3.00]
    assert _said(discover(np.arange(12) * 0.75, x, Polynomial(1)), "what the equations leave of x is not noise")


def test_a_neighbour_that_does_not_fit_is_named_and_the_others_are_told_without_it():
    t = np.linspace(0, 10, 60)
    exact = _solved(lambda y: [-y[0] / (0.2 + y[0]), 0.5 * y[0] - 0.3 * y[1]], [2.0, 0.0], t)
    noise = 1 + 0.01 * np.random.default_rng(0).standard_normal(exact.shape)
    model = discover(t, exact * noise, Polynomial(1), names=["S", "P"])
    assert _said(model, "dS/dt does not fit", "dP/dt = 0.50", "S - 0.29")


STEP = np.array([1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1.0])
FOLLOWS = np.array([0, 0.39, 0.64, 0.78, 0.86, 0.53, 0.33, 0.20, 0.11, 0.45, 0.67, 0.80])


def test_what_jumps_is_asked_about_and_an_input_has_no_equation():
    t, both = np.arange(12) * 0.5, np.c_[FOLLOWS, STEP]
    assert _said(discover(t, both, Polynomial(1), names=["x", "u"]), "is u an input?")
    model = discover(t, both, Polynomial(1), names=["x", "u"], inputs=["u"])
    assert model.names == ("x",)
    assert model.equations() == ["dx/dt = -0.986 x + 0.9885 u"]


def test_a_signal_on_a_large_offset_is_found():
    p = 101325 + np.array([1, 0.607, 0.368, 0.223, 0.135, 0.082, 0.050, 0.030, 0.018, 0.011, 0.007, 0.004])
    model = discover(np.arange(12.0), p, Polynomial(1), names=["p"])
    constant, slope = model.coefficients[0]
    assert slope == pytest.approx(-0.5, abs=0.001)
    assert -constant / slope == pytest.approx(101325, abs=0.01)
    assert re.search(r"measured: p 101325(\.0\d*)? to 101326(\.0\d*)?; ", model.summary())


def test_noise_in_proportion_brings_no_false_term():
    t = np.linspace(0, 6, 40)
    x = 10 * np.exp(-t) * (1 + 0.05 * np.random.default_rng(5).standard_normal(40))
    model = discover(t, x)
    assert model.noise_kinds == ("proportional",)
    assert [model.term_names[m] for m in np.flatnonzero(model.support[0])] == ["x"]


@pytest.mark.parametrize(
    ("column", "asked"),
    [
        (np.arange(50.0), "a counter?"),
        (37 + 1e-3 * np.random.default_rng(1).standard_normal(50), "may as well be left out"),
    ],
    ids=["counter", "nearly constant"],
)
def test_a_column_that_is_no_variable_is_told_and_spoils_nothing(column, asked):
    t, x = _logistic()
    model = discover(t, np.c_[x, column], names=["x", "other"])
    assert _said(model, asked)
    assert {model.term_names[m] for m in np.flatnonzero(model.support[0])} == {"x", "x^2"}


def test_a_number_of_the_replicate_is_told_and_spoils_nothing():
    t, x = _logistic()
    model = discover([t, t], [np.c_[x, np.full(50, k)] for k in (1, 2)], names=["x", "replicate"])
    assert _said(model, "replicate is a constant of each trajectory")
    assert {model.term_names[m] for m in np.flatnonzero(model.support[0])} == {"x", "x^2"}


def test_of_half_an_oscillator_the_other_half_is_missed():
    t = np.linspace(0, 12, 60)
    with pytest.raises(Undetermined, match="a further variable is missing"):
        discover(t, np.cos(t) + 0.01 * np.random.default_rng(1).standard_normal(60))


def test_of_a_column_that_is_twice_another_what_is_determined_is_named_and_nothing_is_known():
    t = np.linspace(0, 6, 50)
    a = np.exp(-t) + 0.005 * np.random.default_rng(1).standard_normal(50)
    model = discover(t, np.c_[a, 2 * a], Polynomial(1), names=["a", "b"])
    assert _said(model, "b is 2 a in all samples", "k_a + 2 k_b")
    assert "known" not in model.summary()


def test_the_better_model_is_visited_where_one_column_is_exact_and_another_noisy():
    t = np.linspace(0, 10, 40)
    exact = 0.1 * (t - 1 + np.exp(-t)) + np.exp(-t)
    right = 0
    for seed in range(20):
        x = exact + 0.01 * np.random.default_rng(seed).standard_normal(40)
        model = discover(t, np.c_[x, 0.1 * t], Polynomial(2), names=["x", "u"])
        right += {model.term_names[m] for m in np.flatnonzero(model.support[0])} == {"x", "u"}
    # 48 of 150 were missed.
    assert right >= 19


def test_brackets_of_terms_are_kept():
    t = np.linspace(0, 6, 80)
    y = _solved(lambda y: [0.8 * (y[1] - y[0]), -0.3 * y[1]], [0.2, 2.0], t)
    y += 0.005 * np.random.default_rng(0).standard_normal(y.shape)
    model = discover(t, y, Polynomial(1, ["(y - x)"], constant=False), names=["x", "y"])
    assert "y - x" not in model.equations()[0].replace("(y - x)", "")


@pytest.mark.parametrize("digits", [4, 12])
def test_without_noise_the_truth_has_no_caveat(digits):
    t = np.linspace(0, 10, 101)
    model = discover(t, np.round(_predators(t), digits), names=["x", "y"])
    assert model.caveats == ()
    assert model.equations() == ["dx/dt = 1 x - 0.5 x*y", "dy/dt = -1 y + 0.5 x*y"]


def test_an_exact_wave_beside_predators_ends_in_no_traceback():
    t = np.linspace(0, 20, 120)
    model = discover(t, np.c_[_predators(t), np.sin(t)], names=["x", "y", "s"])
    assert _said(model, "what the equations leave of s is not noise")


def test_a_variable_that_one_trajectory_has_once_ends_in_no_traceback():
    t, x = np.linspace(0, 3, 7), np.exp(-np.linspace(0, 3, 7))
    once = np.full(7, np.nan)
    once[0] = 1.0
    model = discover([t, t, t], [np.c_[once, x], np.c_[x, x**2], np.c_[x, x]], names=["x", "y"])
    assert np.isfinite(model.coefficients).all()
