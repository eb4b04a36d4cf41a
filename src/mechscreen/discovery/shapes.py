"""Terms with unknowns inside, such as ``x/(K + x)``: K is found with the coefficients."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mechscreen import expressions
from mechscreen.discovery.dual import Dual, sloped, variables
from mechscreen.discovery.hermite import FloatArray

_NEAR = 1.3
"""Factor up to which whole numbers are near."""
_FREQUENT = {1: 0.3, 2: 0.3, 3: 0.1, 4: 0.15}
_RARE = 0.02
"""How frequent whole exponents are taken to be, dimers and tetramers more than others; of those not named."""
_STARTS = 5
"""How many values a search for an unknown begins at, of which none were given."""


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
    tries
        Values at which a search for it begins; some between its ends unless given.
    """

    name: str
    low: float
    high: float
    log: bool = True
    whole: bool = False
    tries: tuple[float, ...] = ()

    @property
    def starts(self) -> tuple[float, ...]:
        """Values at which a search for it begins."""
        if self.tries:
            return self.tries
        even = np.linspace(self.position(self.low), self.position(self.high), _STARTS + 2)[1:-1]
        return tuple(self.value(float(position)) for position in even)

    def called(self, name: str) -> Unknown:
        """Return the same with another name."""
        return replace(self, name=name)

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
    rarity: float = 0.0
    """−2 ln of how much rarer the term is than others, for the criterion: its form, or its whole numbers."""
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
        rarity: float = 0.0,
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
        return cls(text, tuple(variables), expression, tuple(unknowns), tuple(values), rarity, tuple(floors))

    def __call__(self, *columns: FloatArray) -> FloatArray:
        """Return the term's values (n,), of the variables' (n,) each."""
        return np.broadcast_to(np.asarray(self._at(self.values, columns), dtype=float), columns[0].shape)

    def _at(self, values: Sequence[Any], columns: Sequence[Any]) -> Any:
        """Return what the term is for values of the unknowns and of the variables, of whatever kind these are."""
        known = dict(zip(self.variables, self._floored(columns), strict=True)) | {
            unknown.name: value for unknown, value in zip(self.unknowns, values, strict=True)
        }
        return self.expression(known)

    def _floored(self, columns: Sequence[Any]) -> Sequence[Any]:
        """Return columns (n,) that are nowhere below their floors."""
        return [np.maximum(x, floor) for x, floor in zip(columns, self.floors, strict=True)] if self.floors else columns

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
        """Return values (n,), and how these change with columns, (n, d), and with positions of the unknowns, (n, I)."""
        d = len(columns)
        inside = [
            # Beyond the ends too, so that a fit there knows which way is back.
            Dual(np.asarray(value), {d + i: value if unknown.log else 1.0})
            for i, (unknown, value) in enumerate(zip(self.unknowns, self.values, strict=True))
        ]
        with np.errstate(all="ignore"):
            found = self._at(inside, variables(columns))
        return sloped(found, columns[0], d, len(inside))

    def rounded(self) -> list[Shape]:
        """Return the term with whole numbers nearby for an unknown that may be whole, which is none then; or none."""
        at = next((i for i, unknown in enumerate(self.unknowns) if unknown.whole), None)
        if at is None:
            return []
        unknown, value = self.unknowns[at], self.values[at]
        numbers = range(max(int(value / _NEAR), 1), math.ceil(value * _NEAR) + 1)
        return [
            Shape.of(
                re.sub(r"\*\*1\b", "", re.sub(rf"\b{unknown.name}\b", str(number), self.text)),
                self.variables,
                self.unknowns[:at] + self.unknowns[at + 1 :],
                self.values[:at] + self.values[at + 1 :],
                (),
                self.rarity - 2 * math.log(_FREQUENT.get(number, _RARE) / _FREQUENT[1]),
            )
            for number in numbers
            if unknown.low <= number <= unknown.high
        ]

    def turned(self) -> Shape:
        """Return what is left of one: of repression activation, x^n/(K^n + x^n), and back; others as they are."""
        found = re.fullmatch(r"(\w+)(\*\*\w+)?/\((\w+)(\*\*\w+)? \+ (\w+)(\*\*\w+)?\)", self.text)
        if found is None or not found[2] == found[4] == found[6] or found[1] not in (found[3], found[5]):
            return self
        power, k, x = found[2] or "", found[3], found[5]
        text = f"{x if found[1] == k else k}{power}/({k}{power} + {x}{power})"
        return Shape.of(text, self.variables, self.unknowns, self.values, self.floors, self.rarity)

    @property
    def ends(self) -> tuple[list[float], list[float]]:
        """Lowest and highest values of the unknowns."""
        return [unknown.low for unknown in self.unknowns], [unknown.high for unknown in self.unknowns]

    def many(self, columns: Sequence[FloatArray], positions: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return values (g, n) at positions (g, I) of the unknowns, and their changes with these, (I, g, n)."""
        inside = []
        for i, (unknown, own) in enumerate(zip(self.unknowns, positions.T, strict=True)):
            value = np.exp(own)[:, None] if unknown.log else own[:, None]
            inside.append(Dual(value, {i: value if unknown.log else 1.0}))
        shape = len(positions), len(columns[0])
        with np.errstate(all="ignore"):
            found = self._at(inside, columns)
        slopes = found.slopes if isinstance(found, Dual) else {}
        changes = np.stack([np.broadcast_to(slopes.get(i, 0.0), shape) for i in range(len(inside))])
        value = found.value if isinstance(found, Dual) else found
        return np.broadcast_to(np.asarray(value, dtype=float), shape), changes

    @property
    def name(self) -> str:
        """The term with the values of its unknowns, as an expression."""
        values = {unknown.name: f"{value:.4g}" for unknown, value in zip(self.unknowns, self.values, strict=True)}
        values = {name: value if float(value) >= 0 else f"({value})" for name, value in values.items()}
        return re.sub(r"[^\W\d]\w*", lambda found: values.get(found[0], found[0]), self.text)
