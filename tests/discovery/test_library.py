"""Candidate terms."""

import ast
import math

import numpy as np
import pytest
from hypothesis import given, settings
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
        ("log(x,y)", r"'log\(x, y\)' is not allowed; log takes one argument, as in log\(x\)"),
        ("log(x,2)", "log takes one argument"),
        ("1 + sin()", "sin takes one argument"),
        ("sin(*x)", "sin takes one argument"),
        ("sin(x, out=y)", "sin takes one argument"),
        ("sin(**x)", "sin takes one argument"),
        ("sin(log)", "unknown name 'log'"),
        ("sin(x)(y)", "not allowed"),
        ("x(y)", "unknown name 'x'"),
        ("x < y", "is a condition"),
        ("x if y else 1", "not allowed"),
        ("x @ y", "not allowed"),
        ("x % 2", "not allowed"),
        ("~x", "not allowed"),
        ("True", "not allowed"),
        ("2j*x", "not allowed"),
        ("x, y", "not allowed"),
        ("(a := x)", "not allowed"),
        ("lambda: x", "not allowed"),
        ("1e999*x", "a number of it is too large"),
        ("x*1" + 400 * "0", "a number of it is too large"),
        ("x*1" + 5000 * "0", "not an expression"),
        ("x\0", "not an expression"),
        ("", "not an expression"),
        (500 * "(" + "x" + 500 * ")", "not an expression|nested too deep"),
        (50_000 * "-" + "x", "nested too deep"),
        ("x" + 2000 * "+x", "nested too deep"),
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


_MATH = {name: getattr(math, name) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "sinh", "cosh")}


def by_hand(node, values):
    """Evaluate an expression in Python's own floats; NaN where it has no real and finite value."""
    try:
        match node:
            case ast.Constant(value=value):
                return float(value)
            case ast.Name(id=name):
                return values[name]
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -by_hand(operand, values)
            case ast.UnaryOp(op=ast.UAdd(), operand=operand):
                return by_hand(operand, values)
            case ast.Call(func=ast.Name(id=name), args=[argument]):
                return _MATH[name](by_hand(argument, values))
        left, right = by_hand(node.left, values), by_hand(node.right, values)
        match node.op:
            case ast.Add():
                return left + right
            case ast.Sub():
                return left - right
            case ast.Mult():
                return left * right
            case ast.Div():
                return left / right
        power = left**right
        return math.nan if isinstance(power, complex) else power
    except (ValueError, OverflowError, ZeroDivisionError):
        return math.nan


# "exp" is a variable too, as a column of somebody's table may be.
NAMES = ("x", "y", "exp")
leaf = st.sampled_from([*NAMES, *NAMES, "log", "q", "2", "0.5", "9", "1e300", "10", "True", "1j", "'a'"])
texts = st.recursive(
    leaf,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([*"+-*/^", "**", "//", "%", "<", "@", " or ", ",", "."]), inner).map("".join),
        st.tuples(st.sampled_from("+-~"), inner).map("".join),
        inner.map("({})".format),
        st.tuples(
            st.sampled_from(["sin", "exp", "log", "sqrt", "cosh", "x"]), st.lists(inner, min_size=1, max_size=2)
        ).map(lambda call: f"{call[0]}({','.join(call[1])})"),
        st.tuples(st.sampled_from(["sin(*{})", "exp({}, out=x)", "log({}, where=y)", "[{}]", "{}[0]"]), inner).map(
            lambda form: form[0].format(form[1])
        ),
    ),
    max_leaves=8,
)


@pytest.mark.filterwarnings("ignore::SyntaxWarning")
@settings(max_examples=400)
@given(texts)
def test_an_expression_is_refused_or_means_what_python_says_and_changes_nothing(text):
    x = np.array([[0.3, 2.0, 1.5], [1.25, 0.7, 0.4], [2.5, 1.1, -3.0]])
    before = x.copy()
    try:
        library = Polynomial(0, [text]).bind(NAMES)
    except InputError:
        return
    values, _ = library.evaluate(x)
    tree = ast.parse(text.replace("^", "**"), mode="eval").body
    for row, value in zip(x, values[:, 1], strict=True):
        expected = by_hand(tree, dict(zip(NAMES, map(float, row), strict=True)))
        if np.isfinite(expected):
            assert value == pytest.approx(expected, rel=1e-9, abs=1e-300)
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("text", ["exp(x)/(1 + y^2)", "-x^2", "2*exp", "exp(exp)", "sqrt(x)*tanh(y) - 3", " sin(x)"])
def test_an_expression_in_order_is_taken(text):
    assert Polynomial(0, [text]).bind(NAMES).names == ("1", text)
