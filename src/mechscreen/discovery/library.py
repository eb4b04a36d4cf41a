"""Candidate terms of the right-hand sides: monomials, and functions given by the user."""

from __future__ import annotations

import ast
import itertools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.discovery.kernels import monomials
from mechscreen.errors import InputError, nearest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TermFunction = Callable[..., Any]

_FUNCTIONS = {name: getattr(np, name) for name in ("sin", "cos", "tan", "exp", "log", "sqrt", "tanh", "sinh", "cosh")}
_SIGNS: dict[type[ast.unaryop], Callable[[Any], Any]] = {ast.UAdd: np.positive, ast.USub: np.negative}
_ARITHMETIC: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: np.add, ast.Sub: np.subtract, ast.Mult: np.multiply, ast.Div: np.divide, ast.Pow: np.power,
}  # fmt: skip
_DEEPEST = 100
"""Levels of an expression."""


@dataclass(frozen=True)
class Polynomial:
    """All monomials up to a degree, and any further functions of the variables.

    Parameters
    ----------
    degree
        Highest total degree of the monomials, at least 0.
    functions
        Further terms: names of expressions in the variables (``"sin(x)"``, ``"x/(1 + y)"``), or a mapping from a name
        to a function of the variables' arrays, in their order.
    constant
        Whether the constant term 1 is a candidate.
    """

    degree: int
    functions: Sequence[str] | Mapping[str, TermFunction] = field(default=())
    constant: bool = True

    def __post_init__(self) -> None:
        if self.degree != int(self.degree) or not 0 <= self.degree <= 12:
            raise InputError(f"library: degree {self.degree} is not a whole number from 0 to 12")

    def bind(self, variables: Sequence[str]) -> Library:
        """Return the terms for the given variables."""
        d = len(variables)
        exponents = [
            tuple(sum(1 for v in chosen if v == j) for j in range(d))
            for degree in range(self.degree + 1)
            for chosen in itertools.combinations_with_replacement(range(d), degree)
        ]
        if not self.constant:
            exponents = exponents[1:]
        table = np.array(exponents, dtype=np.int64).reshape(len(exponents), d)
        names = [monomial_name(row, variables) for row in exponents]
        if isinstance(self.functions, Mapping):
            functions = dict(self.functions)
        else:
            functions = {text: _compile(text, variables) for text in self.functions}
        for name in functions:
            if name in names:
                raise InputError(f"library: '{name}' is already among the monomials")
        if not names and not functions:
            raise InputError("library: no terms; raise the degree or give functions")
        return Library(tuple(variables), table, tuple(functions.values()), (*names, *functions))


def monomial_name(exponents: Sequence[int], variables: Sequence[str]) -> str:
    """Return the monomial's name, such as "1", "x" or "x^2*y"."""
    factors = [v if e == 1 else f"{v}^{e}" for v, e in zip(variables, exponents, strict=True) if e]
    return "*".join(factors) or "1"


def _compile(text: str, variables: Sequence[str]) -> TermFunction:
    """Turn an expression in the variables into a function; nothing but arithmetic and known functions is allowed."""
    where = f"library term '{text}'"
    try:
        tree = ast.parse(text.strip().replace("^", "**"), mode="eval")
        evaluate = _function(tree.body, variables, where)
    except SyntaxError as error:
        raise InputError(f"{where}: not an expression ({error.msg})") from None
    except ValueError as error:
        raise InputError(f"{where}: not an expression ({error})") from None
    except (RecursionError, MemoryError):
        raise InputError(f"library term '{text[:40]} …': nested too deep") from None
    return lambda *values: evaluate(dict(zip(variables, values, strict=True)))


def _function(
    node: ast.expr, variables: Sequence[str], where: str, depth: int = 0
) -> Callable[[Mapping[str, Any]], Any]:
    """Return what computes a part of an expression from the variables' values.

    A name before parentheses is a function's, any other a variable's, so that a variable may be called ``exp``.
    """
    if depth > _DEEPEST:
        raise RecursionError

    def part(inner: ast.expr) -> Callable[[Mapping[str, Any]], Any]:
        return _function(inner, variables, where, depth + 1)

    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            # Of whole numbers, Python would work out 9^9^9^9.
            constant = np.float64(value) if abs(value) <= sys.float_info.max else np.float64(np.inf)
            if not np.isfinite(constant):
                raise InputError(f"{where}: a number of it is too large")
            return lambda values: constant
        case ast.Name(id=name):
            if name not in variables:
                raise InputError(f"{where}: unknown name '{name}'{nearest(name, [*variables, *_FUNCTIONS])}")
            return lambda values: values[name]
        case ast.UnaryOp(op=operator, operand=operand) if type(operator) in _SIGNS:
            sign, inner = _SIGNS[type(operator)], part(operand)
            return lambda values: sign(inner(values))
        case ast.BinOp(left=left, op=operator, right=right) if type(operator) in _ARITHMETIC:
            join = _ARITHMETIC[type(operator)]
            first, second = part(left), part(right)
            return lambda values: join(first(values), second(values))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=keywords):
            if name not in _FUNCTIONS:
                raise InputError(f"{where}: unknown name '{name}'{nearest(name, [*variables, *_FUNCTIONS])}")
            if len(arguments) != 1 or keywords or isinstance(arguments[0], ast.Starred):
                raise InputError(
                    f"{where}: '{ast.unparse(node)}' is not allowed; {name} takes one argument, as in {name}(x)"
                )
            function, argument = _FUNCTIONS[name], part(arguments[0])
            return lambda values: function(argument(values))
    raise InputError(f"{where}: '{ast.unparse(node)}' is not allowed; use + - * / ^ and {', '.join(_FUNCTIONS)}")


@dataclass(frozen=True)
class Library:
    """Candidate terms bound to variables.

    Attributes
    ----------
    variables
        (d,) names.
    exponents
        (n_monomials, d).
    functions
        Further terms after the monomials.
    names
        (M,) names of all terms.
    """

    variables: tuple[str, ...]
    exponents: IntArray
    functions: tuple[TermFunction, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def index(self, name: str) -> int:
        """Return the position of a term; factors may stand in any order."""
        wanted = _canonical(name)
        for m, own in enumerate(self.names):
            if own == name or _canonical(own) == wanted:
                return m
        raise InputError(f"library: no term '{name}'{nearest(name, self.names)} (terms: {', '.join(self.names)})")

    def evaluate(self, x: FloatArray, terms: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Values (n, M) and derivatives (n, M, d) at states x (n, d), of all or of the chosen terms."""
        chosen = np.arange(len(self)) if terms is None else np.asarray(terms)
        n_monomials = len(self.exponents)
        values, slopes = monomials(x, self.exponents[chosen[chosen < n_monomials]])
        if (chosen < n_monomials).all():
            return values, slopes
        extra = [_differentiate(self.functions[m - n_monomials], x) for m in chosen[chosen >= n_monomials]]
        values = np.concatenate([values, np.stack([v for v, _ in extra], axis=1)], axis=1)
        slopes = np.concatenate([slopes, np.stack([s for _, s in extra], axis=1)], axis=1)
        return values, slopes


def _canonical(name: str) -> str:
    return "*".join(sorted(name.replace(" ", "*").replace("**", "^").split("*")))


def _differentiate(function: TermFunction, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values (n,) and central-difference derivatives (n, d) of a user's function."""
    n, d = x.shape
    columns = [x[:, j] for j in range(d)]
    with np.errstate(all="ignore"):
        values = np.broadcast_to(np.asarray(function(*columns), dtype=float), (n,)).copy()
        slopes = np.empty((n, d))
        for j in range(d):
            spread = float(np.max(np.abs(columns[j]))) or 1.0
            step = spread * np.finfo(float).eps ** (1 / 3)
            up = function(*columns[:j], columns[j] + step, *columns[j + 1 :])
            down = function(*columns[:j], columns[j] - step, *columns[j + 1 :])
            slopes[:, j] = (np.asarray(up, dtype=float) - np.asarray(down, dtype=float)) / (2 * step)
    return values, slopes
