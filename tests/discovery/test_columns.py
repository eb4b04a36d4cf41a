"""What columns look like apart from any equation: constants, inputs, counters, labels, and a variable that turns."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mechscreen.discovery import Polynomial, discover
from mechscreen.discovery.model import Undetermined

T = np.linspace(0, 8, 50)
GROWING = 3 / (1 + 9 * np.exp(-T)) * (1 + 0.01 * np.random.default_rng(1).standard_normal(50))


def cautions(model, word):
    return [caveat for caveat in model.caveats if word in caveat]


def growth(model):
    """The coefficients of x' = x − x²/3, and whether they are all of its equation."""
    k, library = model.names.index("x"), model.library
    own = {library.names[m]: model.coefficients[k, m] for m in np.flatnonzero(model.support[k])}
    return own == {"x": pytest.approx(1, abs=0.02), "x^2": pytest.approx(-1 / 3, abs=0.02)}


@pytest.mark.parametrize("place", [0, 1])
def test_a_constant_column_is_left_out_and_named(place):
    columns = [GROWING, np.full(50, 37.0)]
    names = ["x", "temp"]
    order = [1, 0] if place == 0 else [0, 1]
    model = discover(T, np.stack([columns[j] for j in order], axis=1), names=[names[j] for j in order])
    assert growth(model)
    assert model.names == ("x",)
    assert model.caveats == ("temp is constant throughout, and left out",)


def test_a_nearly_constant_column_spoils_nothing():
    temperature = 37 + 1e-3 * np.random.default_rng(2).standard_normal(50)
    model = discover(T, np.stack([GROWING, temperature], axis=1), names=["x", "temp"])
    assert growth(model)
    assert model.caveats == ("temp does not change but for noise, and may as well be left out",)


def test_a_column_that_keeps_its_value_and_jumps_is_asked_about():
    t = np.arange(12) * 0.5
    x = [0, 0.39, 0.64, 0.78, 0.86, 0.53, 0.33, 0.20, 0.11, 0.45, 0.67, 0.80]
    u = [1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1]
    model = discover(t, np.array([x, u], float).T, Polynomial(1), names=["x", "u"])
    assert len(cautions(model, "is u an input?")) == 1


def test_a_row_number_is_asked_about_and_does_not_enter_another_equation():
    model = discover(T, np.stack([GROWING, np.arange(50)], axis=1), names=["x", "row"])
    assert growth(model)
    assert len(cautions(model, "is row a counter?")) == 1


def test_the_number_of_a_replicate_is_asked_about():
    y = [np.stack([GROWING, np.full(50, number)], axis=1) for number in (1, 2)]
    model = discover([T, T], y, names=["x", "replicate"])
    assert growth(model)
    assert len(cautions(model, "replicate is a constant of each trajectory")) == 1


def test_variables_that_move_by_themselves_are_not_asked_about():
    t = np.linspace(0, 10, 80)
    y = solve_ivp(lambda t, y: [y[0] - y[0] * y[1], y[0] * y[1] - y[1]], (0, 10), [2, 1], t_eval=t, rtol=1e-9).y.T
    assert discover(t, y).caveats == ()
    # To few digits, many samples at rest repeat.
    rounded = np.round(3 / (1 + 9 * np.exp(-np.linspace(0, 30, 60))), 2)
    assert not any("?" in caveat for caveat in discover(np.linspace(0, 30, 60), rounded).caveats)


def test_of_a_cosine_alone_a_second_variable_is_said_to_be_missing():
    t = np.linspace(0, 12, 60)
    x = np.cos(t) + 0.01 * np.random.default_rng(1).standard_normal(60)
    with pytest.raises(Undetermined, match=r"x rises and falls, .* a further variable is missing"):
        discover(t, x)


def test_noise_around_a_constant_is_called_that():
    with pytest.raises(Undetermined, match="look like noise around a constant state"):
        discover(np.arange(100.0), 3 + np.random.default_rng(0).standard_normal(100))
