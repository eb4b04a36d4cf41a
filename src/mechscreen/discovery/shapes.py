"""Terms with unknowns inside, such as ``x/(K + x)``: K is found with the coefficients."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from mechscreen import expressions
from mechscreen.discovery.hermite import FloatArray

_DIFFERENCE = 1e-5
"""Of an unknown, for slopes."""


@dataclass(frozen=True)
class Unknown:
    """An unknown number inside of a term.

    Attributes
    ----------
    name
        As in the term.
    low, high
        Between which it is sought.
    log
        Whether it is positive and sought on a logarithmic scale.
    whole
        Whether it is taken to be a whole number where that explains the data as well.
    """

    name: str
    low: float
    high: float
    log: bool = True
    whole: bool = False

    def position(self, value: float) -> float:
        """Return where a value is on the scale that it is sought on."""
        return math.log(value) if self.log else value

    def value(self, position: float) -> float:
        """Return the value at a position, the nearest one within the ends."""
        ends = (self.position(self.low), self.position(self.high))
        inside = min(max(position, ends[0]), ends[1])
        return math.exp(inside) if self.log else inside


@dataclass(frozen=True)
class Shape:
    """A term with unknowns inside, at some values of these.

    Attributes
    ----------
    text
        The term, with the names of the unknowns.
    variables
        Names of the columns that it is called with.
    unknowns, values
        What is unknown, and the values that these have now.
    """

    text: str
    variables: tuple[str, ...]
    expression: expressions.Expression
    unknowns: tuple[Unknown, ...]
    values: tuple[float, ...]
    floors: tuple[float, ...] = ()
    """By column, below which variables are taken to be there, since negative ones have no powers; empty: nowhere."""

    @classmethod
    def of(
        cls,
        text: str,
        variables: Sequence[str],
        unknowns: Sequence[Unknown],
        values: Sequence[float],
        floors: Sequence[float] = (),
    ) -> Shape:
        """Return a term that is written as an expression in variables and unknowns.

        Raises
        ------
        InputError
            If it is none.
        """
        names = dict.fromkeys([*variables, *(unknown.name for unknown in unknowns)], expressions.NUMBER)
        where = f"library term '{text}'"
        expression = expressions.parse(text, names, where, functions=expressions.SMOOTH)
        return cls(text, tuple(variables), expression, tuple(unknowns), tuple(values), tuple(floors))

    def __call__(self, *columns: FloatArray) -> FloatArray:
        """Return the term's values (n,), of the variables' (n,) each."""
        return self._at(self.values, columns)

    def _at(self, values: Sequence[float] | Sequence[FloatArray], columns: Sequence[FloatArray]) -> FloatArray:
        if self.floors:
            columns = [np.maximum(x, floor) for x, floor in zip(columns, self.floors, strict=True)]
        known: Mapping[str, object] = dict(zip(self.variables, columns, strict=True)) | {
            unknown.name: value for unknown, value in zip(self.unknowns, values, strict=True)
        }
        return np.broadcast_to(np.asarray(self.expression(known), dtype=float), columns[0].shape)

    def reordered(self, order: Sequence[int]) -> Shape:
        """Return the term for columns in another order."""
        floors = tuple(self.floors[j] for j in order) if self.floors else ()
        return replace(self, variables=tuple(self.variables[j] for j in order), floors=floors)

    @property
    def positions(self) -> FloatArray:
        """(I,), where the unknowns are on their scales."""
        return np.array([u.position(v) for u, v in zip(self.unknowns, self.values, strict=True)])

    def at(self, positions: Sequence[float] | FloatArray) -> Shape:
        """Return the term with unknowns at positions of their scales."""
        return replace(self, values=tuple(u.value(p) for u, p in zip(self.unknowns, positions, strict=True)))

    def expand(self, columns: Sequence[FloatArray]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return values (n,), and how these change with columns, (n, d), and with positions of the unknowns, (n, I).

        By central differences, all of them computed at once: terms are many, and columns short.
        """
        n, used, unknowns = len(columns[0]), _used(self.text, self.variables), self.unknowns
        parts = 1 + 2 * (len(used) + len(unknowns))
        moved = [np.tile(column, (parts, 1)) for column in columns]
        steps: list[float] = []
        for at, j in enumerate(used):
            step = (float(np.max(np.abs(columns[j]))) or 1.0) * np.finfo(float).eps ** (1 / 3)
            moved[j][1 + 2 * at] += step
            moved[j][2 + 2 * at] -= step
            steps.append(float(step))
        inside = []
        for at, (unknown, position) in enumerate(zip(unknowns, self.positions, strict=True), len(used)):
            positions = np.full((parts, 1), position)
            positions[1 + 2 * at] += _DIFFERENCE
            positions[2 + 2 * at] -= _DIFFERENCE
            # Beyond the ends too, so that a fit there knows which way is back.
            inside.append(np.exp(positions) if unknown.log else positions)
            steps.append(_DIFFERENCE)
        with np.errstate(all="ignore"):
            found = self._at(inside, moved)
        slopes = (found[1::2] - found[2::2]) / (2 * np.array(steps)[:, None])
        by_columns = np.zeros((n, len(columns)))
        by_columns[:, list(used)] = slopes[: len(used)].T
        return found[0], by_columns, slopes[len(used) :].T

    def rounded(self) -> Shape:
        """Return the term with the nearest whole numbers for unknowns that may be whole, which are none then."""
        if not any(unknown.whole for unknown in self.unknowns):
            return self
        text = self.text
        left = []
        for unknown, value in zip(self.unknowns, self.values, strict=True):
            if unknown.whole:
                text = re.sub(rf"\b{unknown.name}\b", f"{max(round(value), 1)}", text)
            else:
                left.append((unknown, value))
        text = re.sub(r"\*\*1\b", "", text)
        unknowns, values = zip(*left, strict=True) if left else ((), ())
        return Shape.of(text, self.variables, unknowns, values, self.floors)

    def turned(self) -> Shape:
        """Return what is left of one: of repression activation, x^n/(K^n + x^n); others as they are."""
        found = re.fullmatch(r"K\*\*n/\(K\*\*n \+ (\w+)\*\*n\)", self.text)
        if found is None:
            return self
        text = f"{found[1]}**n/(K**n + {found[1]}**n)"
        return Shape.of(text, self.variables, self.unknowns, self.values, self.floors)

    @property
    def name(self) -> str:
        """The term with the values of its unknowns, as an expression."""
        values = {unknown.name: f"{value:.4g}" for unknown, value in zip(self.unknowns, self.values, strict=True)}
        values = {name: value if float(value) >= 0 else f"({value})" for name, value in values.items()}
        return re.sub(r"[A-Za-z_]\w*", lambda found: values.get(found[0], found[0]), self.text)


@cache
def _used(text: str, variables: tuple[str, ...]) -> tuple[int, ...]:
    """Return the variables, by their places, that a term depends on."""
    named = set(re.findall(r"[A-Za-z_]\w*", text))
    return tuple(j for j, name in enumerate(variables) if name in named)
