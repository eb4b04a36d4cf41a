"""Terms with unknowns inside: their values, slopes and names, and equations that are found with them."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import solve_ivp

from mechscreen import InputError
from mechscreen.discovery import Polynomial, discover
from mechscreen.discovery.forms import KINDS, Sizes
from mechscreen.discovery.shapes import Shape, Unknown

K, N = Unknown("K", 1e-2, 1e2), Unknown("n", 0.5, 20, whole=True)


def observed(rate, starts, end, n, seed=0, noise=0.01):
    """Times and values of several trajectories, with noise in shares of the values' spread."""
    rng, t = np.random.default_rng(seed), np.linspace(0, end, n)
    states = [solve_ivp(rate, (0, end), start, t_eval=t, rtol=1e-9, atol=1e-9).y.T for start in starts]
    return [t] * len(starts), [y + noise * y.std(axis=0) * rng.standard_normal(y.shape) for y in states]


def test_a_shape_has_its_values_and_is_told_with_them():
    shape = Shape.of("y*x/(K + x)", ["x", "y"], [K], [0.5])
    x, y = np.array([0.5, 2.0]), np.array([1.0, 3.0])
    np.testing.assert_allclose(shape(x, y), y * x / (0.5 + x))
    assert shape.name == "y*x/(0.5 + x)"
    np.testing.assert_allclose(shape.reordered([1, 0])(y, x), shape(x, y))
    wave = Shape.of("sin(K*x + p)", ["x"], [K, Unknown("p", -3, 3, log=False)], [1, -2.0])
    assert wave.name == "sin(1*x + (-2))"
    greek = Shape.of("αK/(K + αK)", ["αK"], [K], [0.5])
    assert greek.name == "αK/(0.5 + αK)"
    assert greek.expand([x])[1] == pytest.approx((0.5 / (0.5 + x) ** 2)[:, None])


@pytest.mark.parametrize("kind", KINDS)
def test_slopes_by_unknowns_are_those_of_differences(kind):
    rng = np.random.default_rng(0)
    values = rng.uniform(0.5, 2.0, (50, 2))
    for shape in KINDS[kind](Sizes.of(["x", "y"], values)):
        columns = list(values.T)
        for i, slope in enumerate(shape.expand(columns)[2].T):
            ends = [shape.at(shape.positions + way * 1e-4 * (np.arange(len(shape.positions)) == i)) for way in (1, -1)]
            expected = (ends[0](*columns) - ends[1](*columns)) / 2e-4
            np.testing.assert_allclose(slope, expected, rtol=1e-3, atol=1e-5, err_msg=shape.text)


@settings(deadline=None, max_examples=50)
@given(st.floats(2e-2, 50), st.floats(0.6, 19))
def test_positions_and_values_of_unknowns_go_both_ways(k, n):
    shape = Shape.of("x**n/(K**n + x**n)", ["x"], [K, N], [k, n])
    assert shape.at(shape.positions).values == pytest.approx((k, n))
    assert shape.at(shape.positions + 100).values == (pytest.approx(K.high), pytest.approx(N.high))


def test_whole_numbers_are_unknowns_no_more():
    shapes = Shape.of("x**n/(K**n + x**n)", ["x"], [K, N], [0.5, 3.9]).rounded()
    assert [shape.text for shape in shapes] == [f"x**{n}/(K**{n} + x**{n})" for n in (3, 4, 5, 6)]
    assert all([unknown.name for unknown in shape.unknowns] == ["K"] for shape in shapes)
    assert shapes[1].rarity < shapes[0].rarity < shapes[2].rarity == shapes[3].rarity
    assert Shape.of("K**n/(K**n + x**n)", ["x"], [K, N], [0.5, 1.2]).rounded()[0].text == "K/(K + x)"
    assert shapes[0].rounded() == []


@pytest.mark.parametrize(
    ("text", "turned"),
    [
        ("K**n/(K**n + x**n)", "x**n/(K**n + x**n)"),
        ("K/(K + x)", "x/(K + x)"),
        ("x**2/(K**2 + x**2)", "K**2/(K**2 + x**2)"),
    ],
)
def test_what_is_left_of_repression_is_activation(text, turned):
    unknowns = [K, N] if "n" in text else [K]
    shape = Shape.of(text, ["x"], unknowns, [0.5, 3.0][: len(unknowns)])
    assert (shape.turned().text, shape.turned().turned()) == (turned, shape)
    x = np.linspace(0.1, 3, 5)
    np.testing.assert_allclose(shape(x) + shape.turned()(x), 1)
    whole = Shape.of("x/(K + x + x**2/L)", ["x"], [K, Unknown("L", 0.1, 10)], [0.5, 2.0])
    assert whole.turned() is whole


def test_waves_and_exponentials_of_negative_values_are_found():
    pendulum = observed(lambda t, y: [y[1], -2 * np.sin(1.3 * y[0])], [[1.5, 0], [-0.5, 1], [0.3, -1.5]], 8, 120)
    model = discover(*pendulum, Polynomial(1, forms=["trigonometric"]), names=["a", "v"])
    assert [model.term_names[m] for m in np.flatnonzero(model.support[0])] == ["v"]
    (wave,) = np.flatnonzero(model.support[1])
    assert model.term_names[wave].startswith("sin(1.3*a")
    x = np.linspace(-2, 2, 41)
    for kind in ("trigonometric", "exponential"):
        for shape in KINDS[kind](Sizes.of(["x"], x[:, None])):
            if "log" in shape.text or "**" in shape.text:
                continue
            own = dict(zip((unknown.name for unknown in shape.unknowns), shape.values, strict=True))
            expected = [
                eval(shape.text, {"exp": np.exp, "sin": np.sin, "cos": np.cos, **own, "x": value}) for value in x
            ]
            np.testing.assert_allclose(shape(x), expected, err_msg=shape.text)


def test_what_a_term_does_not_know_is_refused():
    with pytest.raises(InputError, match="library term 'x/\\(K \\+ z\\)'"):
        Shape.of("x/(K + z)", ["x"], [K], [1.0])


STARTS = [[3.0], [1.5], [0.7], [2.0], [0.3]]


@pytest.mark.parametrize(
    ("rate", "starts", "text", "coefficients", "inside"),
    [
        (lambda t, y: [-y[0] / (0.5 + y[0])], STARTS, "x/(K + x)", [-1.0], [0.5]),
        (
            lambda t, y: [0.1 + 2 * y[0] ** 4 / (1 + y[0] ** 4) - y[0]],
            STARTS,
            "x**4/(K**4 + x**4)",
            [0.1, -1, 2],
            [1.0],
        ),
    ],
    ids=["Michaelis-Menten", "Hill"],
)
def test_the_form_and_its_unknowns_are_found(rate, starts, text, coefficients, inside):
    model = discover(*observed(rate, starts, 6, 40), Polynomial(2, forms=["rational"]), names=["x"])
    used = np.flatnonzero(model.support[0])
    shape = model.library.functions[used[-1] - len(model.library.exponents)]
    assert shape.text == text
    np.testing.assert_allclose(model.coefficients[0, used], coefficients, rtol=0.05)
    for (_, _, value, low, high), truth in zip(model.unknowns(), inside, strict=True):
        assert value == pytest.approx(truth, rel=0.15)
        assert low < value < high
        assert low / 1.05 < truth < high * 1.05


def test_two_equations_share_a_form():
    """Predators that are satiated (Rosenzweig & MacArthur 1963)."""

    def rate(t, y):
        eaten = y[0] * y[1] / (1 + y[0])
        return [y[0] * (1 - y[0] / 4) - eaten, 0.6 * eaten - 0.3 * y[1]]

    model = discover(
        *observed(rate, [[1, 0.5], [3, 1], [2, 2]], 20, 60), Polynomial(2, forms=["rational"]), names=["x", "y"]
    )
    (told,) = model.unknowns()
    assert told[1:3] == ("K", pytest.approx(1.0, rel=0.05))
    np.testing.assert_allclose(sorted(model.coefficients[0][model.support[0]]), [-1, -0.25, 1], rtol=0.03)
    np.testing.assert_allclose(sorted(model.coefficients[1][model.support[1]]), [-0.3, 0.6], rtol=0.03)


def test_only_powers_and_logarithms_take_a_variable_to_be_positive():
    values = np.random.default_rng(0).uniform(0.5, 2, (20, 2))
    for kind in KINDS:
        for shape in KINDS[kind](Sizes.of(["x", "y"], values)):
            floored = any(np.isfinite(shape.floors))
            assert floored == bool(re.search(r"\*\*[np]|log", shape.text)), shape.text
            assert np.isfinite(shape(np.array([-0.01]), np.array([-0.01]))).all()
    hill = next(shape for shape in KINDS["hill"](Sizes.of(["x"], values[:, :1])) if "**n" in shape.text)
    assert {shape.floors for shape in hill.rounded()} == {()}


def test_rates_that_saturate_are_sought_of_variables_that_are_positive_alone():
    values = np.array([[1.0, -1.0], [2.0, 1.0], [-0.05, 3.0]])
    assert Sizes.of(["x", "y"], values).positive == ("x",)
    assert not any("y/(" in shape.text or "y**n" in shape.text for shape in KINDS["hill"](Sizes.of(["x", "y"], values)))
