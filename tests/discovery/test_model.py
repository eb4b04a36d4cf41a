"""What a model says of itself: its printed equations are its right-hand sides."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from discovered import FORMS, FUNCTIONS, NAMES, made, models, shape

sympy = pytest.importorskip("sympy")
parser = pytest.importorskip("sympy.parsing.sympy_parser")
READ = (*parser.standard_transformations, parser.convert_xor, parser.implicit_multiplication)


def read(line):
    """Return the variable of a printed equation, and its right-hand side as a function of all variables."""
    left, right = line.split(" = ")
    symbols = {name: sympy.Symbol(name) for name in NAMES}
    return left, sympy.lambdify(list(symbols.values()), parser.parse_expr(right, symbols, READ), "numpy")


def see_that_equations_are_the_rates(model):
    x = np.random.default_rng(0).uniform(0.3, 2.5, (20, len(NAMES)))
    sizes = np.abs(model.library.evaluate(x)[0]) @ np.abs(model.coefficients).T
    for precision, digits in ((17, 1e-12), (4, 6e-4)):
        read_back = [read(line) for line in model.equations(precision)]
        assert [left for left, _ in read_back] == [f"d{name}/dt" for name in NAMES]
        found = np.stack([np.broadcast_to(right(*x.T), len(x)) for _, right in read_back], axis=1)
        assert (np.abs(found - model.rates(x)) <= digits * sizes).all(), model.equations(precision)


def to_four_digits(model):
    """Return a model whose unknowns inside of terms have the digits that are printed."""
    inside = zip(model.library.inside, model.library.positions, strict=True)
    positions = [unknown.position(float(f"{unknown.value(position):.4g}")) for unknown, position in inside]
    return replace(model, library=model.library.at(np.array(positions)))


@settings(deadline=None, max_examples=150)
@given(models())
def test_printed_equations_are_read_back_as_the_right_hand_sides_of_the_model(model):
    see_that_equations_are_the_rates(to_four_digits(model))


@pytest.mark.parametrize("text", [text for text in FUNCTIONS if text not in ("1", "3")])
def test_every_term_that_people_give_is_read_back(text):
    coefficients = np.zeros((3, 2))
    coefficients[:, 1] = (-1.5, 0.25, 3e-7)
    see_that_equations_are_the_rates(made(0, [text], (), coefficients))


@pytest.mark.parametrize(("text", "inside"), FORMS)
def test_every_term_with_unknowns_inside_is_read_back_at_either_end_of_these(text, inside):
    for end in (0, 1):
        coefficients = np.zeros((3, 2))
        coefficients[:, 1] = (-1.5, 0.25, 3e-7)
        values = [ends[end] for ends in inside.values()]
        see_that_equations_are_the_rates(made(0, (), [shape(text, inside, values)], coefficients))


def test_equations_are_printed_as_people_write_them():
    coefficients = np.zeros((3, 8))
    coefficients[0, 1], coefficients[0, 4], coefficients[0, 0] = 1, -0.5, 2
    coefficients[1, 5:7] = (-2, 3)
    shapes = [shape("sin(w*x + p)", {"w": (0.05, 9.0), "p": (-6.0, 6.0)}, [1.5, -0.25])]
    coefficients[2, 7] = -1
    model = made(1, ["x*E", "x - prey", "1/(1 + x)"], shapes, coefficients)
    assert model.equations() == [
        "dx/dt = 2 + 1 x - 0.5 x*E",
        "dprey/dt = -2 (x - prey) + 3/(1 + x)",
        "dE/dt = -1 sin(1.5*x + (-0.25))",
    ]
