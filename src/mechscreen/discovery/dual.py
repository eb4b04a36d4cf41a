"""Values together with how they change: exact slopes of an expression in one pass (forward mode; Wengert 1964)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from mechscreen.discovery.hermite import FloatArray

_Partials = tuple[Any, ...]


class Dual:
    """Values (n,), and their slopes (n,) by some numbers, those that are zero left out.

    An expression of NumPy's functions computes with it as with an array.
    """

    __slots__ = ("slopes", "value")

    def __init__(self, value: FloatArray, slopes: Mapping[int, Any]) -> None:
        self.value, self.slopes = value, slopes

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **_: Any) -> Any:
        """Compute a function of arrays and of values with slopes, by the chain rule."""
        if method != "__call__" or ufunc not in _RULES:
            return NotImplemented
        values = [one.value if isinstance(one, Dual) else one for one in inputs]
        value = ufunc(*values)
        slopes: dict[int, Any] = {}
        for place, one in enumerate(inputs):
            if isinstance(one, Dual):
                partial = _RULES[ufunc](place, value, *values)
                for number, slope in one.slopes.items():
                    own = partial * slope
                    slopes[number] = slopes[number] + own if number in slopes else own
        return Dual(value, slopes)


def _power(place: int, value: Any, base: Any, exponent: Any) -> Any:
    """Partial derivatives of a power: by its base, also where that is zero, and by its exponent."""
    if place == 1:
        return value * np.log(base)
    return exponent * np.power(base, exponent - 1) if np.any(base == 0) else exponent * value / base


_RULES: Mapping[np.ufunc, Callable[..., Any]] = {
    np.positive: lambda place, value, a: 1.0,
    np.negative: lambda place, value, a: -1.0,
    np.add: lambda place, value, a, b: 1.0,
    np.subtract: lambda place, value, a, b: -1.0 if place else 1.0,
    np.multiply: lambda place, value, a, b: a if place else b,
    np.divide: lambda place, value, a, b: -value / b if place else 1.0 / b,
    np.power: _power,
    np.sin: lambda place, value, a: np.cos(a),
    np.cos: lambda place, value, a: -np.sin(a),
    np.tan: lambda place, value, a: 1 + value**2,
    np.exp: lambda place, value, a: value,
    np.log: lambda place, value, a: 1 / a,
    np.sqrt: lambda place, value, a: 0.5 / value,
    np.tanh: lambda place, value, a: 1 - value**2,
    np.sinh: lambda place, value, a: np.cosh(a),
    np.cosh: lambda place, value, a: np.sinh(a),
    np.maximum: lambda place, value, a, b: 1.0 * (b > a if place else a >= b),
}
"""Partial derivatives by the argument at a place, of the functions that expressions have."""


def variables(columns: Sequence[FloatArray]) -> list[Dual]:
    """Return columns (n,) that are told apart by their places."""
    return [Dual(column, {j: 1.0}) for j, column in enumerate(columns)]


def sloped(found: Any, like: FloatArray, d: int, count: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return values (n,), slopes (n, d) by the first d numbers, and (n, I) by the others, of what may be a constant.

    Parameters
    ----------
    like
        (n,), any column.
    """
    n = len(like)
    slopes = np.zeros((n, d + count))
    if isinstance(found, Dual):
        for number, slope in found.slopes.items():
            slopes[:, number] = slope
        found = found.value
    return np.broadcast_to(np.asarray(found, dtype=float), (n,)), slopes[:, :d], slopes[:, d:]
