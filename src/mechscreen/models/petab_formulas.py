"""Formulas of PEtab's tables, read by the `petab` library and computed on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mechscreen.errors import InputError
from mechscreen.models.outputs import FloatArray


@dataclass(frozen=True)
class Formula:
    """A formula.

    Attributes
    ----------
    names
        Those that stand in it.
    """

    text: str
    names: tuple[str, ...]
    _compute: Callable[..., Any] = field(repr=False, compare=False)

    def __call__(self, values: Mapping[str, Any], shape: tuple[int, ...]) -> FloatArray:
        """Return its value, of a shape to which those of its names are stretched; NaN or infinite where it has none."""
        with np.errstate(all="ignore"):
            found = self._compute(*(np.broadcast_to(np.asarray(values[name], float), shape) for name in self.names))
        return np.array(np.broadcast_to(found, shape), dtype=float)


def read_formula(text: Any, where: str) -> Formula:
    """Return a formula; `text` is a number, too.

    Raises
    ------
    InputError
        If it is none; the message begins with `where`.
    """
    import sympy
    from petab.v1.math import sympify_petab

    if text is None or text == "" or (isinstance(text, float) and np.isnan(text)):
        raise InputError(f"{where}: is missing; give a formula or a number")
    try:
        expression = sympify_petab(text)
    except (ValueError, TypeError, ArithmeticError, RecursionError) as error:
        # SymPy says nothing of 0/0.
        reason = " ".join(str(error).split())[:200] or "it has no value"
        raise InputError(f"{where}: '{text}' is no formula that PEtab knows ({reason})") from None
    symbols = sorted(expression.free_symbols, key=str)
    # NumPy's functions alone, names replaced: the text was read by PEtab's grammar, and none of it is run.
    compute = sympy.lambdify(symbols, expression, modules="numpy", dummify=True)
    return Formula(str(text), tuple(map(str, symbols)), compute)
