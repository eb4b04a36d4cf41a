"""Candidate terms of the right-hand sides: monomials, and functions given by the user."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.discovery.forms import KINDS, Sizes
from mechscreen.discovery.kernels import monomial_values, monomials
from mechscreen.discovery.shapes import Shape, Unknown
from mechscreen.errors import InputError, nearest

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
TermFunction = Callable[..., Any]

_COMMON, _RARER = 2, 2.0
"""Degree up to which monomials are as common as any, and what each degree more costs: e times as rare, in −2 ln p."""


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
    forms
        Kinds of terms with unknowns inside (`mechscreen.discovery.forms.KINDS`): ``["rational"]``.
    unknowns
        Names in `functions` of numbers that are to be found, with their lowest and highest values, or None for any
        positive ones: ``{"K": None, "n": (1, 8)}``.
    """

    degree: int
    functions: Sequence[str] | Mapping[str, TermFunction] = field(default=())
    constant: bool = True
    forms: Sequence[str] = ()
    unknowns: Mapping[str, tuple[float, float] | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for kind in self.forms:
            if kind not in KINDS:
                valid = ", ".join(KINDS)
                raise InputError(f"library: no kind of terms '{kind}'{nearest(kind, KINDS)} (valid: {valid})")
        for name in self.unknowns:
            if not any(name in self._unknowns_of(text) for text in self.functions):
                raise InputError(f"library: the unknown '{name}' stands in no term of one's own (functions)")
        if self.degree != int(self.degree) or not 0 <= self.degree <= 12:
            raise InputError(f"library: degree {self.degree} is not a whole number from 0 to 12")

    def bind(self, states: Sequence[str], inputs: Sequence[str] = ()) -> Library:
        """Return the terms for the given variables, of which `inputs` have no equation."""
        variables = [*states, *inputs]
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
            plain = [text for text in self.functions if not self._unknowns_of(text)]
            functions = {text: Shape.of(text, variables, [], []) for text in plain}
        for name in functions:
            if name in names:
                raise InputError(f"library: '{name}' is already among the monomials")
        if not names and not self.functions:
            raise InputError("library: no terms; raise the degree or give functions")
        return Library(tuple(states), tuple(inputs), table, tuple(functions.values()), (*names, *functions))

    def shapes(self, variables: Sequence[str], values: FloatArray) -> list[Shape]:
        """Return the terms with unknowns inside, and those of the kinds that are only sought where data speak for them.

        Parameters
        ----------
        values
            (n, d + q) of the variables, NaN where missing: where unknowns are sought hangs on their sizes.
        """
        sizes = Sizes.of(variables, values)
        own = [
            sizes.of_user(text, {name: self.unknowns[name] for name in names})
            for text in self.functions
            if (names := self._unknowns_of(text))
        ]
        return [*own, *(shape for kind in self.forms for shape in KINDS[kind](sizes))]

    def _unknowns_of(self, text: str) -> list[str]:
        """Return the unknowns that a term of one's own has."""
        words = set(re.findall(r"[A-Za-z_]\w*", text)) if not isinstance(self.functions, Mapping) else set()
        return [name for name in self.unknowns if name in words]


@dataclass(frozen=True)
class Rational(Polynomial):
    """Monomials, and rates that saturate or are inhibited, whose constants are found with the coefficients."""

    degree: int = 2
    forms: Sequence[str] = ("rational",)


def monomial_name(exponents: Sequence[int], variables: Sequence[str]) -> str:
    """Return the monomial's name, such as "1", "x" or "x^2*y"."""
    factors = [v if e == 1 else f"{v}^{e}" for v, e in zip(variables, exponents, strict=True) if e]
    return "*".join(factors) or "1"


@dataclass(frozen=True)
class Library:
    """Candidate terms bound to variables: states, and inputs after them.

    Attributes
    ----------
    states, inputs
        (d,) and (q,) names.
    exponents
        (n_monomials, d + q).
    functions
        Further terms after the monomials, some of which may have unknowns inside.
    names
        (M,) names of all terms.
    """

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    exponents: IntArray
    functions: tuple[TermFunction, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    def with_functions(self, more: Sequence[Shape]) -> Library:
        """Return the terms with others after them."""
        return replace(self, functions=(*self.functions, *more), names=(*self.names, *(shape.name for shape in more)))

    def index(self, name: str) -> int:
        """Return the position of a term; factors may stand in any order."""
        wanted = _canonical(name)
        for m, own in enumerate(self.names):
            if own == name or _canonical(own) == wanted:
                return m
        raise InputError(f"library: no term '{name}'{nearest(name, self.names)} (terms: {', '.join(self.names)})")

    def of_equation(self, k: int) -> Library:
        """Return the same terms with the state k alone, and all others among the inputs, before these."""
        others = [j for j in range(len(self.states)) if j != k]
        order = [k, *others, *range(len(self.states), len(self.states) + len(self.inputs))]
        place = np.argsort(order)

        def reordered(function: TermFunction) -> TermFunction:
            if isinstance(function, Shape):
                return function.reordered(order)
            return lambda *values: function(*(values[j] for j in place))

        return Library(
            (self.states[k],),
            (*(self.states[j] for j in others), *self.inputs),
            np.ascontiguousarray(self.exponents[:, order]),
            tuple(reordered(function) for function in self.functions),
            self.names,
        )

    @cached_property
    def unknowns(self) -> list[tuple[int, int]]:
        """The term of each unknown, and its place there, (I,)."""
        first = len(self.exponents)
        return [
            (first + i, j)
            for i, function in enumerate(self.functions)
            if isinstance(function, Shape)
            for j in range(len(function.unknowns))
        ]

    @property
    def inside(self) -> list[Unknown]:
        """The unknowns, (I,)."""
        return [unknown for f in self.functions if isinstance(f, Shape) for unknown in f.unknowns]

    @property
    def positions(self) -> FloatArray:
        """(I,), where the unknowns are on the scales that they are sought on."""
        return np.concatenate([np.zeros(0), *(f.positions for f in self.functions if isinstance(f, Shape))])

    @property
    def rarity(self) -> FloatArray:
        """(M,), what each term costs beside the price of any, for being rare: high powers, and `Shape.rarity`."""
        powers = _RARER * np.maximum(self.exponents.sum(axis=1) - _COMMON, 0)
        own = [function.rarity if isinstance(function, Shape) else 0.0 for function in self.functions]
        return np.concatenate([powers, own])

    def at(self, positions: FloatArray) -> Library:
        """Return the terms with unknowns at positions (I,), called as before (`told`)."""
        if len(positions) == 0:
            return self
        functions, begin = list(self.functions), 0
        for i, function in enumerate(functions):
            if isinstance(function, Shape):
                end = begin + len(function.unknowns)
                functions[i], begin = function.at(positions[begin:end]), end
        return replace(self, functions=tuple(functions))

    def told(self) -> Library:
        """Return the terms, those with unknowns inside called by the values that these have."""
        first = len(self.exponents)
        own = [
            f.name if isinstance(f, Shape) else name for f, name in zip(self.functions, self.names[first:], strict=True)
        ]
        return replace(self, names=(*self.names[:first], *own))

    def evaluate(self, x: FloatArray, terms: IntArray | None = None) -> tuple[FloatArray, FloatArray]:
        """Values (n, M) and derivatives (n, M, d + q) at x (n, d + q), of all or of the chosen terms."""
        return self.expand(x, terms)[:2]

    def values(self, x: FloatArray, terms: IntArray | None = None) -> FloatArray:
        """Values (n, M) alone, as `evaluate`."""
        chosen = np.arange(len(self)) if terms is None else np.asarray(terms)
        n_monomials = len(self.exponents)
        values = monomial_values(np.ascontiguousarray(x), self.exponents[chosen[chosen < n_monomials]])
        further = [self.functions[m - n_monomials] for m in chosen[chosen >= n_monomials]]
        if not further:
            return values
        with np.errstate(all="ignore"):
            extra = [np.broadcast_to(np.asarray(function(*x.T), dtype=float), (len(x),)) for function in further]
        return np.concatenate([values, np.stack(extra, axis=1)], axis=1)

    def expand(self, x: FloatArray, terms: IntArray | None = None) -> tuple[FloatArray, FloatArray, FloatArray]:
        """As `evaluate`, and derivatives (n, I) by the positions of unknowns, 0 for those of other terms."""
        changes = np.zeros((len(x), len(self.unknowns)))
        chosen = np.arange(len(self)) if terms is None else np.asarray(terms)
        n_monomials = len(self.exponents)
        values, slopes = monomials(x, self.exponents[chosen[chosen < n_monomials]])
        if (chosen < n_monomials).all():
            return values, slopes, changes
        extra = []
        for m in chosen[chosen >= n_monomials]:
            function = self.functions[m - n_monomials]
            if isinstance(function, Shape):
                value, slope, change = function.expand(list(x.T))
                first = self.unknowns.index((m, 0)) if len(function.unknowns) else 0
                changes[:, first : first + len(function.unknowns)] = change
                extra.append((value, slope))
            else:
                extra.append(_differentiate(function, x))
        values = np.concatenate([values, np.stack([v for v, _ in extra], axis=1)], axis=1)
        slopes = np.concatenate([slopes, np.stack([s for _, s in extra], axis=1)], axis=1)
        return values, slopes, changes


def _canonical(name: str) -> str:
    return "*".join(sorted(name.replace(" ", "*").replace("**", "^").split("*")))


def _differentiate(function: TermFunction, x: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Values (n,) and central-difference derivatives (n, d) of a user's function."""
    n, d = x.shape
    columns = [x[:, j] for j in range(d)]
    with np.errstate(all="ignore"):
        values = np.broadcast_to(np.asarray(function(*columns), dtype=float), (n,)).copy()
        slopes = np.zeros((n, d))
        for j in range(d):
            spread = float(np.max(np.abs(columns[j]))) or 1.0
            step = spread * np.finfo(float).eps ** (1 / 3)
            up = function(*columns[:j], columns[j] + step, *columns[j + 1 :])
            down = function(*columns[:j], columns[j] - step, *columns[j + 1 :])
            slopes[:, j] = (np.asarray(up, dtype=float) - np.asarray(down, dtype=float)) / (2 * step)
    return values, slopes
