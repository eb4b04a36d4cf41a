"""Signals on an offset: the same is found as without it, in the user's units."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mechscreen.discovery import Knowledge, Polynomial, discover

T = np.linspace(0, 16, 80)


def predation(offset, seed=0):
    """Lotka–Volterra with noise, and an offset on both columns."""
    y = solve_ivp(lambda t, y: [y[0] - y[0] * y[1], y[0] * y[1] - y[1]], (0, 16), [1.5, 1], t_eval=T, rtol=1e-9).y.T
    return offset + y + 0.01 * np.random.default_rng(seed).standard_normal(y.shape)


def test_a_decay_on_the_pressure_of_air_is_found():
    p = 101325 + np.array([1, 0.607, 0.368, 0.223, 0.135, 0.082, 0.050, 0.030, 0.018, 0.011, 0.007, 0.004])
    model = discover(np.arange(12.0), p, Polynomial(1), names=["p"])
    assert model.caveats == ()
    assert model.coefficients[0] == pytest.approx([50662.5, -0.5], rel=1e-3)
    assert -model.coefficients[0, 0] / model.coefficients[0, 1] == pytest.approx(101325, abs=0.01)


@pytest.mark.parametrize("offset", [300.0, 1e5, -273.15])
@pytest.mark.parametrize("seed", range(3))
def test_a_rate_is_found_on_an_offset_and_where_it_leads_to(offset, seed):
    t = np.linspace(0, 8, 40)
    x = np.exp(-0.6 * t) + 0.01 * np.random.default_rng(seed).standard_normal(40)
    lifted = discover(t, x + offset, names=["x"])
    assert [name for name, there in zip(lifted.term_names, lifted.support[0], strict=True) if there] == ["1", "x"]
    assert lifted.coefficients[0, 1] == pytest.approx(-0.6, abs=3 * lifted.standard_errors[0, 1])
    assert lifted.standard_errors[0, 1] < 0.01
    assert -lifted.coefficients[0, 0] / lifted.coefficients[0, 1] == pytest.approx(offset, abs=0.02)


@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_products_keep_the_differences_and_all_that_is_printed_says_the_same(offset):
    model = discover(T, predation(offset), names=["x", "y"])
    assert model.caveats == ()
    product = f"(x - {offset + 1:g})*(y - {offset + 1:g})"
    k = model.library.index(product) if product in model.term_names else None
    assert k is None or model.coefficients[:, k] == pytest.approx([-1, 1], abs=0.1)
    # Along the orbit: rates of the model are those of the law.
    orbit = predation(0.0)
    law = np.stack([orbit[:, 0] - orbit[:, 0] * orbit[:, 1], orbit[:, 0] * orbit[:, 1] - orbit[:, 1]], axis=1)
    assert model.rates(orbit + offset) == pytest.approx(law, abs=0.05)
    path = model.simulate(model.initial[0], T)
    assert np.abs(path - predation(offset)).max() < 0.06
    assert np.abs(model.denoised[0] - predation(offset)).max() < 0.05
    ((times, drawn),) = model.curves
    assert np.abs(np.interp(T, times, drawn[:, 0]) - model.denoised[0][:, 0]).max() < 0.01


@pytest.mark.parametrize("offset", [1e3, 1e5])
def test_printed_coefficients_have_the_digits_that_their_sum_needs(offset):
    model = discover(T, predation(offset), names=["x", "y"])
    state = dict(zip("xy", predation(offset)[7], strict=True))
    for line, rate in zip(model.equations(), model.rates(predation(offset)[7])[0], strict=True):
        text = line.split(" = ")[1].replace(" (", "*(").replace("^", "**")
        for name in ("x", "y"):
            text = text.replace(f" {name}", f"*{name}")
        text = text.replace("- *", "- ").replace("+ *", "+ ")
        assert eval(text, {}, state) == pytest.approx(rate, abs=2e-3)


def test_a_measured_input_may_ride_on_an_offset_too():
    # Newton's law of cooling, in kelvin, by a room that warms up and cools.
    t = np.linspace(0, 20, 80)
    room = 293 + 2 * np.sin(0.7 * t)
    body = solve_ivp(
        lambda t, y: -0.5 * (y - 293 - 2 * np.sin(0.7 * t)), (0, 20), [299.0], t_eval=t, rtol=1e-10, atol=1e-10
    ).y[0]
    noise = 0.02 * np.random.default_rng(0).standard_normal((80, 2))
    model = discover(t, np.stack([body, room], axis=1) + noise, Polynomial(1), names=["T", "room"], inputs=["room"])
    own = dict(zip(model.term_names, model.coefficients[0], strict=True))
    assert own["T"] == pytest.approx(-0.5, abs=0.02)
    assert own["room"] == pytest.approx(0.5, abs=0.02)
    assert abs(own["1"]) < 3 * model.standard_errors[0, 0] + 0.2
    assert model.courses[0](t)[:, 0] == pytest.approx(room, abs=0.1)


def test_what_depends_on_the_whole_value_keeps_it():
    # Predators and prey that stay within a tenth of their rest.
    y = solve_ivp(lambda t, y: [y[0] - y[0] * y[1], y[0] * y[1] - y[1]], (0, 16), [1.12, 1], t_eval=T, rtol=1e-9).y.T
    model = discover(T, y + 1e-4 * np.random.default_rng(0).standard_normal(y.shape), names=["x", "y"])
    assert model.equations()[0].endswith("x*y")
    assert model.support.sum() == 4


def test_what_is_stated_of_coefficients_is_of_whole_values():
    t = np.linspace(0, 8, 40)
    x = 5 + np.exp(-0.6 * t) + 0.001 * np.random.default_rng(0).standard_normal(40)
    model = discover(t, x, Polynomial(1), names=["x"], knowledge=Knowledge(fixed={("x", "1"): 3.0}))
    assert model.coefficients[0] == pytest.approx([3, -0.6], rel=0.01)
