"""Whether what a model leaves is noise: the truth inside and outside of the library, with few samples."""

import re

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mechscreen.discovery import Polynomial, discover
from mechscreen.discovery.judge import fits

GROWTH = [0.20, 0.45, 0.90, 1.55, 2.17, 2.60, 2.82, 2.92, 2.97, 2.99, 2.99, 3.00]


def uptake(seed, n=25):
    """Times, and substrate and product of S' = −S/(0.2 + S), P' = 0.5 S − 0.3 P, with noise."""
    t = np.linspace(0, 12, n)
    found = solve_ivp(
        lambda _, y: [-y[0] / (0.2 + y[0]), 0.5 * y[0] - 0.3 * y[1]], (0, 12), [3, 0], t_eval=t, rtol=1e-9
    )
    return t, found.y.T + 0.02 * np.random.default_rng(seed).standard_normal((n, 2))


def test_twelve_points_of_a_law_that_the_library_lacks_get_a_caveat():
    model = discover(np.arange(12) * 0.75, GROWTH, Polynomial(1))
    assert any("is not noise" in line for line in model.caveats)


def test_twelve_points_of_a_law_in_the_library_get_none():
    model = discover(np.arange(12) * 0.75, GROWTH, Polynomial(2))
    assert model.coefficients[0] == pytest.approx([0, 1.2, -0.4], abs=0.01)
    assert model.caveats == ()


@pytest.mark.parametrize("n", [12, 40])
@pytest.mark.parametrize(
    ("degree", "rate", "start"),
    [
        (1, lambda t, y: [-0.5 * y[0]], [2.0]),
        (2, lambda t, y: [1.2 * y[0] - 0.4 * y[0] ** 2], [0.2]),
        (2, lambda t, y: [y[0] * (1 - y[1]), y[1] * (y[0] - 1)], [1.5, 0.7]),
    ],
    ids=["decay", "logistic", "predation"],
)
def test_noise_is_taken_for_noise(n, degree, rate, start):
    t = np.linspace(0, 8, n)
    states = solve_ivp(rate, (0, 8), start, t_eval=t, rtol=1e-9, atol=1e-9).y.T
    false = 0
    for seed in range(25):
        noise = 0.03 * states.std(axis=0) * np.random.default_rng(seed).standard_normal(states.shape)
        false += not fits(discover(t, states + noise, Polynomial(degree)))
    # At 2 %, five or more of 25 come about once in ten thousand.
    assert false < 5


def test_without_noise_a_right_model_has_no_caveat():
    t = np.linspace(0, 10, 200)
    found = solve_ivp(lambda _, y: [y[0] * (1 - y[1]), y[1] * (y[0] - 1)], (0, 10), [1.5, 0.7], t_eval=t, rtol=1e-8)
    assert discover(t, found.y.T).caveats == ()


def test_the_equation_that_does_not_fit_is_named_and_the_other_as_it_is_along_measured_variables():
    for seed in range(5):
        lines = discover(*uptake(seed, 60), Polynomial(1), names=["S", "P"]).caveats
        (told,) = [line for line in lines if "along the measured" in line]
        assert told.startswith("dS/dt does not fit")
        a, b = map(float, re.search(r"dP/dt = ([\d.]+) S - ([\d.]+) P$", told).groups())
        assert (a, b) == pytest.approx((0.5, 0.3), rel=0.03)
