"""Measured inputs: variables that act on the others and have no equation."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mechscreen import InputError
from mechscreen.discovery import Polynomial, discover
from mechscreen.discovery.inputs import Course, goes_in_steps, steps

# x' = u − x with a step u, to two decimals.
T = np.arange(12) * 0.5
X = np.array([0, 0.39, 0.64, 0.78, 0.86, 0.53, 0.33, 0.20, 0.11, 0.45, 0.67, 0.80])
U = np.array([1.0, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1])


def relaxing(seed, noise=0.02):
    """Times, and x and u of x' = u − x, u switching at every other sample of eight."""
    t = np.linspace(0, 10, 41)
    u = np.floor(t / 2) % 2
    x = np.zeros(len(t))
    for i in range(1, len(t)):
        x[i] = u[i - 1] + (x[i - 1] - u[i - 1]) * np.exp(-(t[i] - t[i - 1]))
    return t, np.stack([x + noise * np.random.default_rng(seed).standard_normal(len(t)), u], axis=1)


def terms(model, k=0):
    return {model.term_names[m]: m for m in np.flatnonzero(model.support[k])}


def test_a_step_input_gets_no_equation_and_the_other_the_right_one():
    model = discover(T, np.stack([X, U], axis=1), Polynomial(1), names=["x", "u"], inputs=["u"])
    assert (model.names, model.inputs) == (("x",), ("u",))
    assert model.coefficients[0] == pytest.approx([0, -0.986, 0.988], abs=0.002)
    assert model.caveats == ()


def test_terms_and_intervals_are_right_with_noise():
    held = []
    for seed in range(20):
        model = discover(*relaxing(seed), Polynomial(1), names=["x", "u"], inputs=["u"])
        assert set(terms(model)) == {"x", "u"}
        for name, truth in (("x", -1.0), ("u", 1.0)):
            low, high = model.intervals()[0, terms(model)[name]]
            held.append(low <= truth <= high)
    assert np.mean(held) >= 0.85


def test_smooth_inputs_with_noise_give_the_right_terms():
    """S' = P − E, P and E measured with noise, against the solution by hand."""
    t = np.linspace(0, 20, 80)
    supply, demand = 2 + np.sin(t), 1 + np.cos(0.7 * t)
    stock = 6 + t - np.cos(t) - np.sin(0.7 * t) / 0.7
    right = 0
    for seed in range(10):
        y = np.stack([stock, supply, demand], axis=1) + 0.03 * np.random.default_rng(seed).standard_normal((80, 3))
        model = discover(t, y, Polynomial(1), names=["S", "P", "E"], inputs=["P", "E"])
        right += set(terms(model)) == {"P", "E"}
        if set(terms(model)) == {"P", "E"}:
            assert model.coefficients[0] == pytest.approx([0, 0, 1, -1], abs=0.03)
    assert right >= 9


def test_the_fitted_solution_is_that_of_another_integrator():
    t, y = relaxing(3)
    model = discover(t, y, Polynomial(1), names=["x", "u"], inputs=["u"])
    (_, a, b), start = model.coefficients[0], model.initial[0]
    expected = [start[0]]
    for begin, end, u in zip(t[:-1], t[1:], y[:-1, 1], strict=True):
        piece = solve_ivp(lambda _, x, u=u: a * x + b * u, (begin, end), expected[-1:], rtol=1e-10, atol=1e-12)
        expected.append(piece.y[0, -1])
    np.testing.assert_allclose(model.denoised[0][:, 0], expected, atol=1e-4)
    np.testing.assert_allclose(model.simulate(start, t)[:, 0], expected, atol=1e-3)
    held = model.simulate(start, t, inputs=lambda now: np.ones((len(now), 1)))
    assert held[-1, 0] == pytest.approx(-b / a, rel=1e-3)


def test_a_dose_that_differs_from_trajectory_to_trajectory_is_an_input():
    t = np.linspace(0, 4, 20)
    doses = [0.5, 1.0, 2.0, 3.0]
    rng = np.random.default_rng(0)
    y = [
        np.stack([dose * (1 - np.exp(-t)) + 0.01 * rng.standard_normal(20), np.full(20, dose)], axis=1)
        for dose in doses
    ]
    model = discover([t] * 4, y, Polynomial(1), names=["x", "dose"], inputs=["dose"])
    assert set(terms(model)) == {"x", "dose"}
    assert model.coefficients[0] == pytest.approx([0, -1, 1], abs=0.03)


def test_samples_before_an_inputs_first_value_are_left_out():
    t, y = relaxing(0)
    y[:5, 1] = np.nan
    model = discover(t, y, Polynomial(1), names=["x", "u"], inputs=["u"])
    assert len(model.t[0]) == 36
    assert set(terms(model)) == {"x", "u"}


@pytest.mark.parametrize(
    ("inputs", "change", "message"),
    [
        (["v"], None, "no variable 'v' for an input"),
        (["x", "u"], None, "all columns are inputs"),
        (["u"], np.nan, "data: no value of the input 'u'"),
    ],
)
def test_what_is_no_input_is_refused(inputs, change, message):
    y = np.stack([X, U], axis=1)
    if change is not None:
        y[:, 1] = change
    with pytest.raises(InputError, match=message):
        discover(T, y, Polynomial(1), names=["x", "u"], inputs=inputs)


def test_steps_keep_each_value_until_the_sample_with_the_next():
    course = steps(T, U)
    np.testing.assert_allclose(course(T)[:, 0], U, atol=1e-12)
    np.testing.assert_allclose(course(T[:-1] + 0.49)[:, 0], U[:-1], atol=1e-12)
    np.testing.assert_array_equal(course.jumps, [2.0, 4.0])
    assert goes_in_steps([U])
    assert not goes_in_steps([X])
    # Switched with almost each sample.
    assert goes_in_steps([np.array([1, 1, 0, 1, 0, 1, 0, 0, 1.0])])
    assert not goes_in_steps([np.array([1, 2, 3, 2, 3.0])])


def test_courses_stay_what_they_are_with_other_units_and_beside_one_another():
    one = steps(T, U)
    other = Course(T, np.sin(T)[:, None], np.cos(T)[:, None], np.zeros(0))
    both = one.beside(other).scaled(1.0, 2.0, np.array([4.0, 0.5]))
    at = np.linspace(0, 5.5, 111)
    expected = np.concatenate([one(at) / 4, other(at) / 0.5], axis=1)
    away = np.abs(at[:, None] - one.jumps).min(axis=1) > 1e-3
    np.testing.assert_allclose(both((at - 1) / 2)[away], expected[away], atol=1e-9)
