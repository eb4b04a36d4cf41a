"""Right-hand sides as formulas: what they have in common, what kind they are, their solutions."""

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from discovery_study.formula import Dynamics, equations_of, parse, structure
from discovery_study.scoring import as_model
from mechscreen.discovery import Polynomial

XY = ("x", "y")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("0.5*x*(1 - 0.01*x)", "3*x - 2*x^2", True),
        ("0.5*x", "3*x - 2*x^2", False),
        ("-2*x/(0.6 + x)", "-1/(1 + 0.3/x)", True),
        ("-2*x/(0.6 + x)", "-2*x^2/(0.6 + x^2)", False),
        ("x^2/(1 + x^2) - x + 0.1", "0.1 - x + 3/(1 + 2/x^2)", True),
        ("0.21 - sin(x)", "-1.3*sin(x) + 4", True),
        ("0.21 - sin(x)", "0.21 - cos(x)", False),
        ("1/(1 + 1.65*exp(-1.04*x)) - 0.5", "2/(3 + exp(-x)) - 1.5", True),
        ("sin(x - y)", "2*sin(0.9*x - 1.1*y)", True),
        ("x*log(2.3*x)", "x*log(x) + 2*x", True),
        ("0", "0*x", True),
    ],
)
def test_expressions_are_the_same_but_for_their_numbers(one, other, same):
    assert (structure(parse(one, XY), XY) == structure(parse(other, XY), XY)) is same


@settings(max_examples=30, deadline=None)
@given(st.dictionaries(st.sampled_from(Polynomial(3).bind(XY).names), st.floats(0.01, 100), min_size=1, max_size=5))
def test_a_polynomials_structure_is_its_monomials(terms):
    library = Polynomial(3).bind(XY)
    expression = parse(" + ".join(f"{value!r}*{term}" for term, value in terms.items()), XY)
    above, below = structure(sympy.factor(expression), XY)
    assert above == {tuple(library.exponents[library.index(term)]) for term in terms}
    assert below == {(0, 0)}


@pytest.mark.parametrize(
    ("equations", "kind", "degree"),
    [
        (("1.5*x - x*y", "-y + x^2*y"), "polynomial", 3),
        (("x/(1 + y)", "x"), "rational", None),
        (("sin(x)", "exp(y)"), "trigonometric", None),
        (("1/(1 + exp(-x))", "y"), "exponential", None),
        (("x*log(x)", "y"), "logarithm", None),
        (("x*(1 - x)**1.2", "y"), "power", None),
        (("y*Abs(y)", "x"), "absolute value", None),
    ],
)
def test_kind_and_degree_of_a_system(equations, kind, degree):
    system = Dynamics(XY, equations)
    assert (system.kind, system.degree) == (kind, degree)


def test_solutions_are_those_that_are_known():
    t = np.linspace(0, 5, 30)
    decay = Dynamics(("x",), ("-0.7*x",)).solve([3.0], t)
    np.testing.assert_allclose(decay[:, 0], 3 * np.exp(-0.7 * t), rtol=1e-7)
    swing = Dynamics(XY, ("y", "-4*x")).solve([1.0, 0.0], t)
    np.testing.assert_allclose(swing[:, 0], np.cos(2 * t), atol=1e-6)
    late = Dynamics(("x",), ("-0.7*x",)).solve([3.0], t + 2)
    np.testing.assert_allclose(late, decay, rtol=1e-7)


def test_a_solution_that_leaves_all_bounds_is_missing_from_there():
    t = np.linspace(0, 2, 21)
    path = Dynamics(("x",), ("x^2",)).solve([1.0], t)[:, 0]
    np.testing.assert_allclose(path[:9], 1 / (1 - t[:9]), rtol=1e-6)
    assert np.isnan(path[11:]).all()


def test_a_model_is_found_if_it_has_precisely_the_true_terms():
    system = Dynamics(XY, ("1.5*x - x*y", "y*(x - 1)"))
    library = Polynomial(2).bind(XY)
    theta = np.zeros((2, len(library)))
    for k, term in ((0, "x"), (0, "x*y"), (1, "y"), (1, "x*y")):
        theta[k, library.index(term)] = 0.3
    t, y = [np.arange(3.0)], [np.zeros((3, 2))]
    model = as_model(XY, t, y, 2, theta)
    assert system.is_found(model)
    assert [str(e) for e in equations_of(model)] == ["0.3*x*y + 0.3*x", "0.3*x*y + 0.3*y"]
    theta[1, library.index("1")] = 1e-9
    assert not system.is_found(as_model(XY, t, y, 2, theta))
