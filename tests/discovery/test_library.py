"""Candidate terms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen import InputError
from mechscreen.discovery import Polynomial


def test_names_and_exponents_of_a_quadratic_library():
    library = Polynomial(2).bind(("x", "y"))
    assert library.names == ("1", "x", "y", "x^2", "x*y", "y^2")
    assert library.exponents.tolist() == [[0, 0], [1, 0], [0, 1], [2, 0], [1, 1], [0, 2]]


@given(st.integers(1, 4), st.integers(0, 4))
def test_number_of_monomials_is_the_binomial_coefficient(d, degree):
    from math import comb

    library = Polynomial(degree).bind([f"v{k}" for k in range(d)])
    assert len(library) == comb(d + degree, degree)
    assert len(set(library.names)) == len(library)


def test_factors_of_a_term_may_stand_in_any_order():
    library = Polynomial(3).bind(("x", "y"))
    assert library.index("y*x^2") == library.index("x^2*y") == library.index("x^2 y")


def test_expressions_and_functions_give_values_and_derivatives():
    x = np.random.default_rng(0).uniform(0.5, 2, size=(9, 2))
    by_name = Polynomial(1, ["sin(x)*y", "x/(1 + y^2)"]).bind(("x", "y"))
    by_function = Polynomial(1, {"a": lambda x, y: np.sin(x) * y, "b": lambda x, y: x / (1 + y**2)}).bind(("x", "y"))
    for library in (by_name, by_function):
        values, slopes = library.evaluate(x)
        np.testing.assert_allclose(values[:, 3], np.sin(x[:, 0]) * x[:, 1])
        np.testing.assert_allclose(slopes[:, 3, 0], np.cos(x[:, 0]) * x[:, 1], rtol=1e-8)
        np.testing.assert_allclose(slopes[:, 4, 1], -2 * x[:, 0] * x[:, 1] / (1 + x[:, 1] ** 2) ** 2, rtol=1e-8)
    assert by_name.names[3:] == ("sin(x)*y", "x/(1 + y^2)")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sin(q)", "unknown name 'q'"),
        ("sine(x)", "did you mean 'sin'"),
        ("x +", "not an expression"),
        ("__import__('os')", "unknown name '__import__'"),
        ("x.real", "not allowed"),
        ("[x]", "not allowed"),
        ("x", "already among the monomials"),
    ],
)
def test_a_bad_expression_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        Polynomial(1, [text]).bind(("x", "y"))


@pytest.mark.parametrize("degree", [-1, 13, 1.5])
def test_a_bad_degree_is_refused(degree):
    with pytest.raises(InputError, match="degree"):
        Polynomial(degree)


def test_an_unknown_term_is_answered_with_the_nearest():
    with pytest.raises(InputError, match=r"no term 'x\*w'.*terms: 1, x, y"):
        Polynomial(2).bind(("x", "y")).index("x*w")
