"""Models that are made of terms and coefficients, without a search: of every kind that a library may have."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from mechscreen.discovery import DiscoveredModel, Polynomial
from mechscreen.discovery.shapes import Shape, Unknown

NAMES = ("x", "prey", "E")
FORMS = (
    ("x/(K + x)", {"K": (0.05, 20.0)}),
    ("x**n/(K**n + x**n)", {"K": (0.05, 20.0), "n": (0.5, 8.0)}),
    ("K**n/(K**n + prey**n)", {"K": (0.05, 20.0), "n": (0.5, 8.0)}),
    ("x/(K + x + x**2/L)", {"K": (0.05, 20.0), "L": (0.05, 20.0)}),
    ("E*x/(K + x**2)", {"K": (0.05, 20.0)}),
    ("sin(w*x + p)", {"w": (0.05, 9.0), "p": (-6.0, 6.0)}),
    ("exp(-k*E)", {"k": (0.01, 2.0)}),
    ("exp(k*E)", {"k": (0.01, 1.0)}),
    ("1/(1 + exp(-k*(x - m)))", {"k": (0.1, 9.0), "m": (-3.0, 3.0)}),
    ("x*log(x/K)", {"K": (0.05, 20.0)}),
    ("prey**p", {"p": (0.1, 4.0)}),
    ("-K + x", {"K": (0.05, 20.0)}),
    ("-x**n", {"n": (0.5, 3.0)}),
)
"""Terms with unknowns inside, and between which these are."""
FUNCTIONS = (
    "sin(x)", "x - prey", "-x", "x/(1 + prey)", "1/(1 + x)", "1/x/E", "2^x", "2*x*E", "0.5/(x + 2)", "(x - E)*prey",
    "-x**2", "(-x)**2", "x**prey**0.5", "log(x)*E", "tanh(x - 2)", "1 / x", "x - (prey - E)", "1e-3*x", "sqrt(x)",
    "x^1.5", "x^-2", "1", "3",
)  # fmt: skip
"""Terms as people give them."""

numbers = st.floats(1e-4, 1e4).flatmap(lambda size: st.sampled_from([size, -size]))


def made(degree, functions=(), shapes=(), coefficients=None, errors=None, initial=(1.0, 2.0, 0.5), names=NAMES):
    """Return a model with these terms; coefficients and errors are (d, terms), 1 and 0 unless given."""
    library = Polynomial(degree, tuple(functions)).bind(names).with_functions(shapes).told()
    d = len(names)
    values = np.ones((d, len(library))) if coefficients is None else np.asarray(coefficients, dtype=float)
    spread = np.zeros_like(values) if errors is None else np.asarray(errors, dtype=float)
    times, start = np.linspace(0, 2, 21), np.asarray(initial, dtype=float)
    return DiscoveredModel(
        library=library,
        coefficients=values,
        covariance=np.diag(spread.ravel() ** 2),
        noise=np.full(d, 0.1),
        t=(times,),
        denoised=(np.tile(start, (len(times), 1)),),
        initial=start[None],
        freedom=100,
        unknown_errors=np.full(len(library.unknowns), 0.01),
    )


def shape(text, inside, values, floors=()):
    """Return a term with unknowns inside."""
    unknowns = [Unknown(name, low, high, log=name not in ("p", "m") or low > 0) for name, (low, high) in inside.items()]
    return Shape.of(text, NAMES, unknowns, values, floors)


@st.composite
def models(draw):
    """A model of some terms of every kind, each in some equation."""
    functions = draw(st.lists(st.sampled_from([f for f in FUNCTIONS if f != "1"]), max_size=3, unique=True))
    forms = draw(st.lists(st.sampled_from(FORMS), max_size=3, unique_by=lambda form: form[0]))
    shapes = [
        shape(text, inside, [draw(st.floats(*ends, allow_subnormal=False)) for ends in inside.values()])
        for text, inside in forms
    ]
    degree = draw(st.integers(0, 3))
    terms = len(Polynomial(degree, functions).bind(NAMES)) + len(shapes)
    coefficients = np.zeros((len(NAMES), terms))
    for row in coefficients:
        # All functions somewhere, some monomials.
        chosen = draw(st.lists(st.integers(0, terms - 1), max_size=4, unique=True))
        for m in chosen:
            row[m] = draw(numbers)
    return made(degree, functions, shapes, coefficients)
