"""Expressions in configurations, tried against Python's own arithmetic, and against what must never be let in."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.errors import InputError
from mechscreen.expressions import FUNCTIONS, NUMBER, TRUTH, Function, parse

NAMES = {"a": NUMBER, "b": NUMBER, "mutant.x": NUMBER, "exp": NUMBER}
VALUES = {"a": np.array([0.5, 2.0, 3.0]), "b": np.array([1.0, -4.0, 0.25]), "mutant.x": np.full(3, 7.0), "exp": 1.5}


def numbers():
    return st.floats(0.1, 9.0).map(lambda value: f"{value:.3f}") | st.sampled_from(["a", "b", "exp"])


def sums(inner):
    joined = st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda parts: f"({parts[0]} {parts[1]} {parts[2]})")
    called = st.tuples(st.sampled_from(["sin", "tanh", "abs", "floor"]), inner).map(
        lambda parts: f"{parts[0]}({parts[1]})"
    )
    return joined | called | inner.map(lambda part: f"-{part}")


@given(st.recursive(numbers(), sums, max_leaves=12))
def test_numbers_are_those_of_python(text):
    expression = parse(text, NAMES, "here")
    known = {"sin": math.sin, "tanh": math.tanh, "abs": abs, "floor": math.floor}
    with np.errstate(all="ignore"):
        found = np.broadcast_to(expression(VALUES), 3)
    for k in range(3):
        values = {name: float(np.broadcast_to(value, 3)[k]) for name, value in VALUES.items()}
        try:
            expected = eval(text, {"__builtins__": {}}, {**known, **values})
        except (ZeroDivisionError, OverflowError, ValueError):
            continue
        assert found[k] == pytest.approx(expected, rel=1e-12)


@given(st.text(max_size=40))
def test_any_text_is_an_expression_or_refused_with_the_place(text):
    told = "here"
    try:
        parse(text, NAMES, "here")
    except InputError as error:
        told = str(error)
    assert told.startswith("here")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a < b", [True, False, False]),
        ("0 < a <= 2 and not b == 1", [False, True, False]),
        ("a > 2.5 or b > 0.5", [True, False, True]),
        ("mutant.x < 0.5 * 16 ", [True, True, True]),
        ("min(a, b, 0) < 0", [False, True, False]),
    ],
)
def test_conditions(text, expected):
    assert np.broadcast_to(parse(text, NAMES, "here", wanted=TRUTH)(VALUES), 3).tolist() == expected


def test_a_power_is_written_both_ways_and_names_are_noted_in_their_order():
    expression = parse("b^2 + a**0.5 + b", NAMES, "here")
    assert expression(VALUES) == pytest.approx(VALUES["b"] ** 2 + VALUES["a"] ** 0.5 + VALUES["b"])
    assert expression.names == ("b", "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a +", "not an expression"),
        ("aa", "unknown name 'aa'; did you mean 'a'"),
        ("lgo(a)", "unknown name 'lgo'; did you mean 'log'"),
        ("log(a, b)", r"log takes one argument, as in log\(x\)"),
        ("min(a)", r"min takes two arguments or more, as in min\(x, y, …\)"),
        ("log(x=a)", "log takes one argument"),
        ("log(*a)", "log takes one argument"),
        ("a.real", "unknown name 'a.real'"),
        ("().__class__", "unknown name"),
        ("(a).b.c()", "not allowed"),
        ("[a][0]", "not allowed"),
        ("lambda: a", "not allowed"),
        ("a if a else b", "not allowed"),
        ("'a'", "not allowed"),
        ("True", "not allowed"),
        ("a @ b", "not allowed"),
        ("a // b", "not allowed"),
        ("a in b", "not allowed"),
        ("(a := 2)", "not"),
        ("a < b", "is a condition; it must be a number"),
        ("(a < b) + 1", "'a < b' is a condition where a number should be"),
        ("9^9^9^9 + 1e999", "too large"),
        ("__import__('os')", "unknown name"),
        (500 * "(" + "a" + 500 * ")", "not an expression|nested too deep"),
        ("a" + 2000 * "+a", "nested too deep"),
    ],
)
def test_what_is_not_allowed_is_refused_and_named(text, message):
    with pytest.raises(InputError, match=message):
        parse(text, NAMES, "here")


def test_a_number_is_no_condition():
    with pytest.raises(InputError, match="is a number; it must be a condition, such as a < b"):
        parse("a + 1", NAMES, "here", wanted=TRUTH)


def test_functions_of_other_kinds_take_those_and_options_by_name():
    peaks = Function(
        lambda curve, prominence=0.0: (curve > prominence).sum(axis=1), ("curve",), options=("prominence",)
    )
    functions = {**FUNCTIONS, "peaks": peaks}
    names = {"y": "curve", "a": NUMBER}
    found = parse("peaks(y, prominence=0.5) + a", names, "here", functions=functions)
    assert found({"y": np.array([[0.2, 0.7], [0.9, 0.8]]), "a": 10}).tolist() == [11, 12]
    for text, message in [
        ("y + 1", "'y' is a curve where a number should be"),
        ("peaks(a)", "'a' is a number where a curve should be"),
        ("peaks(y, promince=1)", r"peaks takes one argument, as in peaks\(x, prominence=1\)"),
        ("peaks(y, prominence=a)", "is no number, which an option has to be"),
    ]:
        with pytest.raises(InputError, match=message):
            parse(text, names, "here", functions=functions)


def test_letters_that_python_reads_as_others_are_those_of_the_names():
    micro, greek = "\u00b5M", "\u03bcM"
    found = parse(f"{micro} + 1", {micro: NUMBER}, "here")
    assert found({micro: 2.0}) == 3.0
    assert found.names == (micro,)
    assert parse(f"{greek} + 1", {greek: NUMBER}, "here")({greek: 2.0}) == 3.0
