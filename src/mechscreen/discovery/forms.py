"""Forms of terms with unknowns inside, by kind: what a library beyond monomials offers for some variables."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mechscreen.discovery.hermite import FloatArray
from mechscreen.discovery.shapes import Shape, Unknown

_FAR = 100.0
"""How far beyond a variable's size an unknown of its units is sought."""
_FLOOR = 1e-6
"""Of a variable's size, below which powers and logarithms take it to be there."""


@dataclass(frozen=True)
class Sizes:
    """Of variables, by name: root mean square, and the distance between the smallest and the largest value."""

    size: Mapping[str, float]
    span: Mapping[str, float]

    @classmethod
    def of(cls, names: Sequence[str], values: FloatArray) -> Sizes:
        """Return those of values (n, d), NaN where missing."""
        size = np.sqrt(np.nanmean(values**2, axis=0))
        span = np.nanmax(values, axis=0) - np.nanmin(values, axis=0)
        return cls(
            {name: float(one) or 1.0 for name, one in zip(names, size, strict=True)},
            {name: float(one) or 1.0 for name, one in zip(names, span, strict=True)},
        )

    def made(self, text: str, *unknowns: tuple[Unknown, float]) -> Shape:
        """Return a term with unknowns that begin at some values."""
        inside, values = zip(*unknowns, strict=True)
        return Shape.of(text, list(self.size), inside, values, [_FLOOR * size for size in self.size.values()])

    def like(self, name: str, x: str, share: float, power: int = 1) -> tuple[Unknown, float]:
        """Return an unknown of the units of a variable, or of a power of it, that begins at a share of its size."""
        size = self.size[x] ** power
        return Unknown(name, size / _FAR, size * _FAR), share * size

    def pace(self, name: str, x: str, turns: float) -> tuple[Unknown, float]:
        """Return an unknown by which a variable is multiplied, so that it takes so many units over its range."""
        unit = 1 / self.span[x]
        return Unknown(name, 0.02 * unit, 50 * unit), turns * unit


def exponent(value: float) -> tuple[Unknown, float]:
    """Return an exponent of Hill, whole if that is as good."""
    return Unknown("n", 0.5, 20.0, whole=True), value


def rational(sizes: Sizes) -> Iterator[Shape]:
    """Yield saturating and inhibiting rates, of one variable and of two.

    Michaelis–Menten, Hill, repression, inhibition by the substrate, and predation of Holling's types II and IV.
    """
    for x in sizes.size:
        for share in (0.3, 1.5):
            yield sizes.made(f"{x}/(K + {x})", sizes.like("K", x, share))
        for n in (2.0, 4.0):
            yield sizes.made(f"{x}**n/(K**n + {x}**n)", sizes.like("K", x, 1.0), exponent(n))
        for n in (1.0, 3.0, 8.0):
            yield sizes.made(f"K**n/(K**n + {x}**n)", sizes.like("K", x, 1.0), exponent(n))
        yield sizes.made(f"{x}/(K + {x} + {x}**2/L)", sizes.like("K", x, 0.5), sizes.like("L", x, 1.0))
        for y in sizes.size:
            if y != x:
                yield sizes.made(f"{y}*{x}/(K + {x})", sizes.like("K", x, 0.7))
                yield sizes.made(f"{y}*{x}/(K + {x}**2)", sizes.like("K", x, 0.7, power=2))


def trigonometric(sizes: Sizes) -> Iterator[Shape]:
    """Yield waves of one variable."""
    for x in sizes.size:
        for turns in (0.5, 1.0, 2.0):
            phase = Unknown("p", -2 * math.pi, 2 * math.pi, log=False)
            yield sizes.made(f"sin(w*{x} + p)", sizes.pace("w", x, turns * 2 * math.pi), (phase, 0.0))


def exponential(sizes: Sizes) -> Iterator[Shape]:
    """Yield exponentials, logistic steps, logarithms and powers of one variable."""
    for x in sizes.size:
        for turns in (0.5, 3.0):
            yield sizes.made(f"exp(-k*{x})", sizes.pace("k", x, turns))
            yield sizes.made(f"exp(k*{x})", sizes.pace("k", x, turns))
        middle = Unknown("m", -_FAR * sizes.size[x], _FAR * sizes.size[x], log=False)
        yield sizes.made(f"1/(1 + exp(-k*({x} - m)))", sizes.pace("k", x, 5.0), (middle, 0.5 * sizes.size[x]))
        yield sizes.made(f"{x}*log({x}/K)", sizes.like("K", x, 1.5))
        for power in (0.5, 1.5):
            yield sizes.made(f"{x}**p", (Unknown("p", 0.05, 6.0), power))


KINDS: Mapping[str, Callable[[Sizes], Iterator[Shape]]] = {
    "rational": rational,
    "trigonometric": trigonometric,
    "exponential": exponential,
}
"""Kinds of forms, in the order in which they are tried."""
