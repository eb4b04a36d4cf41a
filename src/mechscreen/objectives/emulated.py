"""A model whose outputs are features of another's: what networks learn in the place of curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError, check_keys
from mechscreen.expressions import Expression, Kind, normalised, parse
from mechscreen.models import Model, Output, Outputs, Solution
from mechscreen.models.base import read_solution
from mechscreen.objectives.features import ALL, MAY_LACK, kinds_of, unit_of, values_of

_KEYS = ("of", "scale", "floor", "unit")

Emulated = Sequence[str] | Mapping[str, str | Mapping[str, Any]]
"""Expressions, or names → expressions, or names → ``{of, scale, floor, unit}``."""


class FeaturesOf(Model):
    """A model's features as numbers: ``[period(x), amplitude(x)]``.

    Networks that learn a curve which oscillates, point by point, learn its phase before all else; of the features of
    what they say then little is right. A feature that not every sample has (a period) comes with a second output,
    ``has period(x)``, which says whether there is one.

    Parameters
    ----------
    model
        Whose outputs the expressions speak of.
    emulate
        What is learnt. Without a name, an output is called as it is written.

    Raises
    ------
    InputError
        If an expression cannot be read or is no number.
    """

    def __init__(self, model: Model, emulate: Emulated) -> None:
        self._model = model
        self._of = Outputs(model.outputs)
        self.name, self.version = model.name, model.version  # type: ignore[misc]
        self.isolated, self.seconds, self.space = model.isolated, model.seconds, model.space  # type: ignore[misc]
        self.stochastic = model.stochastic
        self.files = getattr(model, "files", ())
        kinds = kinds_of(self._of)
        self._expressions = dict(_read(name, about, kinds) for name, about in _named(emulate).items())
        self.outputs = tuple(self._outputs(_named(emulate)))

    def _outputs(self, named: Mapping[str, Mapping[str, Any]]) -> list[Output]:
        outputs = []
        for name, about in named.items():
            expression = self._expressions[name]
            lacks = not MAY_LACK.isdisjoint(expression.calls)
            outputs.append(
                Output(
                    name,
                    unit=str(about.get("unit", unit_of(expression.text, self._of))),
                    scale=about.get("scale", "linear"),
                    floor=float(about.get("floor", 0.0)),
                    given=_has(name) if lacks else "",
                )
            )
            if lacks:
                outputs.append(Output(_has(name)))
        return outputs

    def solve(self, parameters: NDArray[np.float64], seeds: NDArray[np.uint64]) -> Solution:
        """Solve the model and return its features; see `Model.solve`."""
        n = len(parameters)
        raw, reasons = read_solution(self._model.solve(parameters, seeds), self._of, n)
        solved = np.isfinite(self._of.side_by_side(raw)).all(axis=1)
        values = values_of({output.name: self._of.of(raw, k) for k, output in enumerate(self._of)}, self._of)
        lacking = {output.name: output.given for output in self.outputs if output.given}
        found = {}
        with np.errstate(all="ignore"):
            for name, expression in self._expressions.items():
                number = np.broadcast_to(expression(values), n).astype(float)
                found[name] = np.where(solved, number, np.nan)
                if name in lacking:
                    has = np.isfinite(number)
                    found[name][~has] = np.nan
                    found[lacking[name]] = np.where(solved, has, np.nan)
        return Solution(found, reasons)


def _has(name: str) -> str:
    return f"has {name}"


def _named(emulate: Emulated) -> dict[str, Mapping[str, Any]]:
    """Return what is said of each feature by its name."""
    named: dict[str, Mapping[str, Any]] = {}
    if isinstance(emulate, Mapping):
        named = {
            str(name): dict(given) if isinstance(given, Mapping) else {"of": given} for name, given in emulate.items()
        }
        for name, about in named.items():
            check_keys(f"emulate: '{name}'", about, _KEYS)
        return named
    for text in emulate:
        try:
            name = normalised(text)
        except SyntaxError as error:
            raise InputError(f"emulate: '{text}': not an expression ({error.msg})") from None
        if name in named:
            raise InputError(f"emulate: '{name}' stands there twice; leave one out")
        named[name] = {"of": text}
    return named


def _read(name: str, about: Mapping[str, Any], kinds: Mapping[str, Kind]) -> tuple[str, Expression]:
    text = str(about.get("of", name))
    return name, parse(text, kinds, f"emulate: '{text}'", functions=ALL)
