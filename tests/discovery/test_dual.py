"""Values with slopes: those of expressions are exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechscreen import expressions
from mechscreen.discovery.dual import Dual, sloped, variables

NAMES = dict.fromkeys("xy", expressions.NUMBER)


def text(depth):
    """Expressions in x and y that are smooth between 0.5 and 2."""
    leaf = st.one_of(st.sampled_from(["x", "y"]), st.floats(0.5, 2).map(lambda value: f"{value:.3g}"))
    if depth == 0:
        return leaf
    inner = text(depth - 1)
    two = st.tuples(inner, st.sampled_from("+-*"), inner).map(lambda parts: f"({' '.join(parts)})")
    ratio = st.tuples(inner, inner).map(lambda parts: f"{parts[0]}/(3 + ({parts[1]})**2)")
    power = st.tuples(leaf, st.integers(1, 3)).map(lambda parts: f"({parts[0]})**{parts[1]}")
    called = st.tuples(st.sampled_from(["sin", "cos", "tanh", "exp"]), leaf).map(
        lambda parts: f"{parts[0]}({parts[1]})"
    )
    return st.one_of(leaf, two, ratio, power, called, st.tuples(inner).map(lambda parts: f"-({parts[0]})"))


@settings(deadline=None, max_examples=200)
@given(text(3))
def test_slopes_are_those_of_differences(expression):
    rng = np.random.default_rng(0)
    columns = rng.uniform(0.5, 2, (2, 20))
    compute = expressions.parse(expression, NAMES, "test", functions=expressions.SMOOTH)

    def at(x, y):
        return np.broadcast_to(compute({"x": x, "y": y}), x.shape)

    value, slopes, _ = sloped(compute(dict(zip("xy", variables(columns), strict=True))), columns[0], 2, 0)
    np.testing.assert_allclose(value, at(*columns))
    h = 1e-6
    for j, (dx, dy) in enumerate([(h, 0), (0, h)]):
        difference = (at(columns[0] + dx, columns[1] + dy) - at(columns[0] - dx, columns[1] - dy)) / (2 * h)
        np.testing.assert_allclose(slopes[:, j], difference, rtol=1e-5, atol=1e-5 * (1 + np.abs(value).max()))


@pytest.mark.parametrize(
    ("written", "slope"),
    [
        ("sqrt(x)", lambda x: 0.5 / np.sqrt(x)),
        ("log(x)", lambda x: 1 / x),
        ("tan(x)", lambda x: 1 / np.cos(x) ** 2),
        ("sinh(x)", np.cosh),
        ("cosh(x)", np.sinh),
        ("2**x", lambda x: np.log(2) * 2**x),
        ("x**x", lambda x: x**x * (1 + np.log(x))),
    ],
)
def test_slopes_of_functions_are_known(written, slope):
    x = np.linspace(0.3, 1.2, 7)
    compute = expressions.parse(written, NAMES, "test", functions=expressions.SMOOTH)
    np.testing.assert_allclose(compute({"x": Dual(x, {0: 1.0})}).slopes[0], slope(x))


def test_a_power_has_its_slope_where_the_base_is_zero_and_a_constant_has_none():
    x = np.array([0.0, 2.0])
    np.testing.assert_allclose(np.power(Dual(x, {0: 1.0}), 2).slopes[0], [0, 4])
    value, slopes, others = sloped(3.0, x, 1, 1)
    assert (value.tolist(), slopes.tolist(), others.tolist()) == ([3, 3], [[0], [0]], [[0], [0]])
    with pytest.raises(TypeError):
        np.floor(Dual(x, {0: 1.0}))
