"""Right-hand sides as formulas of any kind: their rates, their solutions, and what two of them have in common."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy
from scipy.integrate import solve_ivp

from mechscreen.discovery.library import FloatArray
from mechscreen.discovery.model import DiscoveredModel

Structure = tuple[frozenset[object], ...]
"""What a right-hand side is but for its numbers: monomials above and below the fraction bar, or else kinds of terms."""

KINDS = (
    ("trigonometric", (sympy.sin, sympy.cos, sympy.tan, sympy.cot)),
    ("exponential", (sympy.exp,)),
    ("logarithm", (sympy.log,)),
    ("absolute value", (sympy.Abs,)),
)
"""Kinds of right-hand sides by the functions in them; the first that is found names a system."""


def parse(text: str, variables: Sequence[str]) -> sympy.Expr:
    """Return the expression of a text, in which powers may be written ``x^2`` and factors ``x*y``."""
    symbols = {name: sympy.Symbol(name, real=True) for name in variables}
    return sympy.sympify(text.replace("^", "**"), locals=symbols)


def structure(expression: sympy.Expr, variables: Sequence[str]) -> Structure:
    """Return what an expression is but for its numbers, so that two ways to write it are the same.

    A ratio of polynomials is brought to lowest terms, with its numbers taken as exact; of anything else each term of
    the sum is a kind, in which numbers but whole exponents are one symbol.
    """
    symbols = [sympy.Symbol(name, real=True) for name in variables]
    exact = sympy.nsimplify(expression, rational=True)
    if exact.is_rational_function(*symbols):
        above, below = (sympy.Poly(part, *symbols) for part in sympy.fraction(sympy.cancel(sympy.together(exact))))
        return frozenset(above.monoms()) if not above.is_zero else frozenset(), frozenset(below.monoms())
    terms = sympy.Add.make_args(sympy.expand(expression))
    return (frozenset(_kind(term.as_coeff_Mul()[1]) for term in terms),)


def _kind(term: sympy.Expr) -> str:
    """Return a term without numbers as factors, and with one sign for all others but whole exponents."""
    if term.is_Number:
        return "_"
    if not term.args:
        return str(term)
    if term.is_Pow:
        return f"{_kind(term.base)}^{term.exp if term.exp.is_Integer else _kind(term.exp)}"
    parts = sorted({_kind(part) for part in term.args if not (term.is_Mul and part.is_Number)})
    return parts[0] if term.is_Mul and len(parts) == 1 else f"{type(term).__name__}({', '.join(parts)})"


def equations_of(model: Model) -> list[sympy.Expr]:
    """Return the right-hand sides that a model has found."""
    if isinstance(model, Formulas):
        return list(model.dynamics.expressions)
    names = model.names
    terms = [parse(_readable(term), names) for term in model.term_names]
    return [
        sympy.Add(*(sympy.Float(row[m]) * terms[m] for m in np.flatnonzero(row)))
        for row in np.asarray(model.coefficients)
    ]


def _readable(term: str) -> str:
    """Return a term's name as Python has it: factors that stand side by side are multiplied."""
    return re.sub(r"(?<=[\w)]) +(?=[\w(])", "*", term)


@dataclass(frozen=True)
class Dynamics:
    """Differential equations with right-hand sides of any kind.

    Attributes
    ----------
    variables
        (d,) names.
    equations
        (d,) right-hand sides, as text.
    """

    variables: tuple[str, ...]
    equations: tuple[str, ...]

    @cached_property
    def expressions(self) -> tuple[sympy.Expr, ...]:
        """(d,) right-hand sides."""
        return tuple(parse(text, self.variables) for text in self.equations)

    @cached_property
    def structures(self) -> tuple[Structure, ...]:
        """(d,) what the right-hand sides are but for their numbers."""
        return tuple(structure(expression, self.variables) for expression in self.expressions)

    @property
    def degree(self) -> int | None:
        """Degree of the smallest library of monomials that holds all equations, None if there is none."""
        highest = 0
        for own in self.structures:
            if len(own) == 1 or own[1] != {(0,) * len(self.variables)}:
                return None
            highest = max([highest, *(sum(monomial) for monomial in own[0])])  # type: ignore[call-overload]
        return highest

    @property
    def kind(self) -> str:
        """Name of the kind of right-hand sides: that of the hardest of the equations."""
        if self.degree is not None:
            return "polynomial"
        for name, functions in KINDS:
            if any(expression.has(*functions) for expression in self.expressions):
                return name
        return "rational" if all(len(own) == 2 for own in self.structures) else "power"

    @cached_property
    def rate(self) -> Callable[..., list[float]]:
        """Function of the states' components that gives their time derivatives, of arrays too."""
        symbols = [sympy.Symbol(name, real=True) for name in self.variables]
        return sympy.lambdify(symbols, list(self.expressions), "numpy", cse=True)

    def rates(self, x: FloatArray) -> FloatArray:
        """Time derivatives (n, d) at states x (n, d)."""
        with np.errstate(all="ignore"):
            columns = self.rate(*x.T)
        return np.stack([np.broadcast_to(column, len(x)) for column in columns], axis=1)

    def solve(self, start: Sequence[float] | FloatArray, t: FloatArray, *, largest: float = 1e9) -> FloatArray:
        """States (n, d) at times t (n,) from the start (d,) at t[0]; NaN from where they leave all bounds."""

        def leaves(_: float, x: FloatArray) -> float:
            return largest - float(np.abs(x).max())

        leaves.terminal = True  # type: ignore[attr-defined]
        out = np.full((len(t), len(self.variables)), np.nan)
        with np.errstate(all="ignore"):
            solution = solve_ivp(
                lambda _, x: self.rate(*x), (t[0], t[-1]), np.asarray(start, dtype=float), method="LSODA", t_eval=t,
                rtol=1e-9, atol=1e-10, events=leaves,
            )  # fmt: skip
        reached = solution.y.T
        out[: len(reached)] = reached
        return out

    def is_found(self, model: Model) -> bool:
        """Whether a model has all the terms of these equations and no others."""
        found = (structure(expression, self.variables) for expression in equations_of(model))
        return all(own == other for own, other in zip(self.structures, found, strict=True))


@dataclass(frozen=True)
class Formulas:
    """What another method found that is no sum of monomials, in the parts of a model that are asked for.

    Attributes
    ----------
    names
        (d,) variables.
    found
        (d,) right-hand sides, as text.
    """

    names: tuple[str, ...]
    found: tuple[str, ...]
    confidence: float = math.nan
    caveats: tuple[str, ...] = ()

    @cached_property
    def dynamics(self) -> Dynamics:
        """The equations."""
        return Dynamics(self.names, self.found)

    @property
    def coefficients(self) -> FloatArray:
        """(d, n) ones, one for each term of the expanded sums, and zeros."""
        counts = [len(sympy.Add.make_args(sympy.expand(e))) if e != 0 else 0 for e in self.dynamics.expressions]
        return (np.arange(max(counts)) < np.array(counts)[:, None]).astype(float)

    def equations(self) -> list[str]:
        """Return one line per equation."""
        return [f"d{name}/dt = {text}" for name, text in zip(self.names, self.found, strict=True)]

    def rates(self, x: FloatArray) -> FloatArray:
        """Time derivatives (n, d) at states x (n, d)."""
        return self.dynamics.rates(np.asarray(x))

    def simulate(self, x0: Sequence[float] | FloatArray, t: FloatArray) -> FloatArray:
        """Integrate the equations from x0 (d,) at t[0]; (n, d)."""
        return self.dynamics.solve(x0, t)


Model = DiscoveredModel | Formulas
"""What is judged."""
