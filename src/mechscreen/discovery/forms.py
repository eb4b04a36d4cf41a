"""Forms of terms with unknowns inside, by kind: what a library beyond monomials offers for some variables."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mechscreen.discovery.hermite import FloatArray
from mechscreen.discovery.shapes import Shape, Unknown
from mechscreen.errors import InputError

_FAR = 100.0
"""How far below a variable's size an unknown of its units is sought."""
_BEYOND = 10.0
"""How far above: farther off, a term that saturates is a straight line in what was measured."""
_LEVELS = (0.15, 0.5, 0.85)
POSITIVE = 0.2
"""Of a variable's size, down to which negative values are noise of a positive one."""
_FLOOR = 1e-6
"""Of a variable's size, below which powers and logarithms take it to be there."""


@dataclass(frozen=True)
class Sizes:
    """Of variables, by name.

    Attributes
    ----------
    size, span
        Root mean square, and the distance between the smallest and the largest value.
    positive
        Names of variables that are not negative, but for noise.
    levels
        Values that shares of 0.15 to 0.85 of all values are below.
    """

    size: Mapping[str, float]
    span: Mapping[str, float]
    positive: tuple[str, ...]
    levels: Mapping[str, tuple[float, ...]]

    @classmethod
    def of(cls, names: Sequence[str], values: FloatArray) -> Sizes:
        """Return those of values (n, d), NaN where missing."""
        size = np.sqrt(np.nanmean(values**2, axis=0))
        span = np.nanmax(values, axis=0) - np.nanmin(values, axis=0)
        return cls(
            {name: float(one) or 1.0 for name, one in zip(names, size, strict=True)},
            {name: float(one) or 1.0 for name, one in zip(names, span, strict=True)},
            tuple(
                name for name, one, own in zip(names, size, values.T, strict=True) if np.nanmin(own) > -POSITIVE * one
            ),
            dict(zip(names, map(tuple, np.nanquantile(np.abs(values), _LEVELS, axis=0).T.tolist()), strict=True)),
        )

    def made(self, text: str, *unknowns: Unknown, positive: str = "") -> Shape:
        """Return a term in which unknowns are written as ``?K``; they are called as no variable is.

        Parameters
        ----------
        positive
            Variable of a power or logarithm, which is taken to be positive where noise makes it negative.
        """
        names = {unknown.name: self._free(unknown.name) for unknown in unknowns}
        text = re.sub(r"\?(\w)", lambda found: names[found[1]], text)
        inside = [unknown.called(names[unknown.name]) for unknown in unknowns]
        floors = [_FLOOR * size if name == positive else -math.inf for name, size in self.size.items()]
        return Shape.of(
            text, list(self.size), inside, [unknown.starts[0] for unknown in inside], floors if positive else ()
        )

    def of_user(self, text: str, unknowns: Mapping[str, tuple[float, float] | None]) -> Shape:
        """Return a term of the user's, with unknowns between two values, or of sizes like variables or their inverses.

        Raises
        ------
        InputError
            If it is none, or an unknown is called as a variable is, or has no values.
        """
        inside = []
        for name, ends in unknowns.items():
            if name in self.size:
                raise InputError(f"library term '{text}': '{name}' is a variable; give the unknown another name")
            sizes = [*self.size.values(), *(1 / size for size in self.size.values())]
            low, high = ends or (min(sizes) / _FAR, max(sizes) * _FAR)
            if not low < high:
                raise InputError(f"library term '{text}': '{name}' from {low:g} to {high:g}: give the lower one first")
            inside.append(Unknown(name, low, high, log=low > 0))
        return Shape.of(text, list(self.size), inside, [unknown.starts[0] for unknown in inside])

    def _free(self, name: str) -> str:
        while name in self.size:
            name += "_"
        return name

    def like(self, name: str, x: str, *shares: float, power: int = 1) -> Unknown:
        """Return an unknown of the units of a variable, or of a power of it, that begins at shares of its size."""
        size = self.size[x] ** power
        return Unknown(name, size / _FAR, size * _BEYOND**power, tries=tuple(share * size for share in shares))

    def amid(self, name: str, x: str) -> Unknown:
        """Return an unknown of the units of a variable that begins at values that it has."""
        size = self.size[x]
        return Unknown(name, size / _FAR, size * _BEYOND, tries=tuple(max(one, size / _FAR) for one in self.levels[x]))

    def pace(self, name: str, x: str, *turns: float) -> Unknown:
        """Return an unknown by which a variable is multiplied, so that it takes so many units over its range."""
        unit = 1 / self.span[x]
        return Unknown(name, 0.02 * unit, 50 * unit, tries=tuple(one * unit for one in turns))


def exponent(*values: float) -> Unknown:
    """Return an exponent of Hill, whole if that is as good."""
    return Unknown("n", 0.5, 20.0, whole=True, tries=values)


def hill(sizes: Sizes) -> Iterator[Shape]:
    """Yield saturating rates of one variable: Michaelis–Menten, Hill, and repression."""
    for x in sizes.positive:
        yield sizes.made(f"{x}/(?K + {x})", sizes.like("K", x, 0.2, 1.0))
        middle = sizes.amid("K", x)
        yield sizes.made(f"{x}**?n/(?K**?n + {x}**?n)", middle, exponent(2.0, 6.0), positive=x)
        yield sizes.made(f"?K**?n/(?K**?n + {x}**?n)", middle, exponent(1.0, 2.0, 6.0), positive=x)


def rational(sizes: Sizes) -> Iterator[Shape]:
    """Yield Hill's rates, inhibition by the substrate, and predation of Holling's types II and IV."""
    yield from hill(sizes)
    for x in sizes.positive:
        yield sizes.made(f"{x}/(?K + {x} + {x}**2/?L)", sizes.like("K", x, 0.2, 1.0), sizes.like("L", x, 0.2, 1.0))
        for y in sizes.size:
            if y != x:
                yield sizes.made(f"{y}*{x}/(?K + {x})", sizes.like("K", x, 0.2, 1.0))
    for x, y in itertools.permutations(sizes.size, 2):
        yield sizes.made(f"{y}*{x}/(?K + {x}**2)", sizes.like("K", x, 0.2, 1.0, power=2))


def trigonometric(sizes: Sizes) -> Iterator[Shape]:
    """Yield waves of one variable, and products of those of angles, which are taken to be told in radians."""
    for x in sizes.size:
        yield sizes.made(f"sin({x})")
        yield sizes.made(f"cos({x})")
        phase = Unknown("p", -2 * math.pi, 2 * math.pi, log=False, tries=(0.0, 0.8, -0.8))
        yield sizes.made(
            f"sin(?w*{x} + ?p)", sizes.pace("w", x, *(turns * 2 * math.pi for turns in (0.4, 1, 2))), phase
        )
        for y in sizes.size:
            if y != x:
                yield sizes.made(f"{y}*sin({x})")
                yield sizes.made(f"{y}*cos({x})")
            yield sizes.made(f"sin({x})*cos({y})")
            if y > x:
                yield sizes.made(f"sin({x})*sin({y})")
                yield sizes.made(f"cos({x})*cos({y})")


def exponential(sizes: Sizes) -> Iterator[Shape]:
    """Yield exponentials, logistic steps, logarithms and powers of one variable."""
    for x in sizes.size:
        pace = sizes.pace("k", x, 0.5, 2.0, 6.0)
        yield sizes.made(f"exp(-?k*{x})", pace)
        yield sizes.made(f"exp(?k*{x})", pace)
        size = sizes.size[x]
        middle = Unknown("m", -_BEYOND * size, _BEYOND * size, log=False, tries=(0.0, 0.5 * size, size))
        yield sizes.made(f"1/(1 + exp(-?k*({x} - ?m)))", sizes.pace("k", x, 3.0, 10.0), middle)
    for x in sizes.positive:
        yield sizes.made(f"{x}*log({x}/?K)", sizes.like("K", x, 0.5, 1.5), positive=x)
        yield sizes.made(f"{x}**?p", Unknown("p", 0.05, 6.0, tries=(0.5, 1.5, 2.5)), positive=x)


def every(sizes: Sizes) -> Iterator[Shape]:
    """Yield the forms of all kinds, which are taken to be rarer than monomials."""
    for kind, rarity in ((rational, 5.0), (trigonometric, 7.0), (exponential, 7.0)):
        for shape in kind(sizes):
            yield replace(shape, rarity=rarity)


KINDS: Mapping[str, Callable[[Sizes], Iterator[Shape]]] = {
    "hill": hill,
    "rational": rational,
    "trigonometric": trigonometric,
    "exponential": exponential,
    "auto": every,
}
"""Kinds of forms."""
