"""A model under several conditions: wild type and mutants, doses, two starts; whatever the model is."""

from __future__ import annotations

import keyword
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError
from mechscreen.expressions import NUMBER, Expression, parse
from mechscreen.models.base import Model, Solution, read_solution
from mechscreen.models.outputs import FloatArray, Outputs
from mechscreen.sampling import split_mix
from mechscreen.spaces import Parameter, ParameterSpace

Settings = Mapping[str, Mapping[str, float | str]]
"""Name of each condition → name of a parameter → its value, or an expression of the varied ones."""


@dataclass(frozen=True)
class _Condition:
    """A condition as it is computed.

    Attributes
    ----------
    model
        The model, with what it does not vary held as the condition says.
    constants, expressions
        Of the parameters of its space that the condition sets.
    """

    name: str
    model: Model
    constants: Mapping[str, float]
    expressions: Mapping[str, Expression]

    @property
    def sets(self) -> set[str]:
        """Names of the parameters of the space that it sets."""
        return {*self.constants, *self.expressions}

    @property
    def speaks_of(self) -> set[str]:
        """Names of the parameters that its expressions take."""
        return {name for expression in self.expressions.values() for name in expression.names}


class Conditioned(Model):
    """A model that simulates each parameter set under each of several conditions, and returns all outputs side by side.

    The outputs are named ``condition.output``. What a condition sets has that value in it, and the varied one in the
    others; what all conditions set, and no expression takes, is no parameter any more. Each condition has random
    numbers of its own. Where one fails, the sample fails, with the name of the condition in its reason.

    Parameters
    ----------
    model
        Any.
    conditions
        For each its settings, ``{"wild": {}, "mutant": {"k1": 0.0}, "weak": {"k1": "0.1 * k1"}}``. They may leave the
        ranges of the parameters, and set what the model does not vary (`Model.holding`).

    Raises
    ------
    InputError
        If a condition cannot be called so, or sets what is not there, or to what it cannot be.
    """

    def __init__(self, model: Model, conditions: Settings) -> None:
        self._model = model
        self._conditions = [_condition(model, name, settings) for name, settings in conditions.items()]
        self.name = model.name  # type: ignore[misc]
        self.version = model.version  # type: ignore[misc]
        self.isolated = model.isolated  # type: ignore[misc]
        self.stochastic = model.stochastic
        self.seconds = model.seconds * len(self._conditions)
        self.files = getattr(model, "files", ())
        self.space = _space(model.space, self._conditions)
        self.outputs = tuple(
            replace(output, name=f"{condition.name}.{output.name}")
            for condition in self._conditions
            for output in condition.model.outputs
        )

    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Solve the model under all conditions; see `Model.solve`."""
        reasons = [""] * len(parameters)
        columns = self.space.columns(parameters)
        parts = []
        for place, condition in enumerate(self._conditions):
            own_seeds = split_mix(np.asarray(seeds, np.uint64), np.array([place], np.uint64))
            raw, own = _solved(condition, columns, own_seeds)
            parts.append(raw)
            told = [f"{condition.name}: {why}" if why else "" for why in own]
            reasons = [first or other for first, other in zip(reasons, told, strict=True)]
        return Solution(np.concatenate(parts, axis=1), reasons)


def _solved(
    condition: _Condition, columns: Mapping[str, FloatArray], seeds: NDArray[np.uint64]
) -> tuple[FloatArray, list[str]]:
    """Return the values of n samples under a condition, and the reason of each that has none."""
    values, reasons = _values(condition, columns, len(seeds))
    outputs = Outputs(condition.model.outputs)
    found = np.full((len(seeds), *outputs.shape), np.nan)
    rows = np.flatnonzero([not reason for reason in reasons])
    if len(rows):
        try:
            solution = condition.model.solve(values[rows], seeds[rows])
        except Exception as error:
            # Errors of the system say which file, and have more arguments.
            if len(error.args) == 1 and isinstance(error.args[0], str):
                error.args = (f"{error.args[0]} (condition '{condition.name}')",)
            raise
        found[rows], own = read_solution(solution, outputs, len(rows))
        for row, reason in zip(rows, own, strict=True):
            reasons[row] = reason
    return found, reasons


def _values(condition: _Condition, columns: Mapping[str, FloatArray], n: int) -> tuple[FloatArray, list[str]]:
    """Return what the model is given for n samples, (n, d), and for each what of it cannot be."""
    space = condition.model.space
    values = np.empty((n, len(space)))
    reasons = [""] * n
    for j, parameter in enumerate(space):
        name = parameter.name
        if name in condition.expressions:
            expression = condition.expressions[name]
            with np.errstate(all="ignore"):
                values[:, j] = expression(columns)
            for row in np.flatnonzero(~_takes(parameter, values[:, j])):
                reasons[row] = f"{name} = {expression.text} is {values[row, j]:g}, which it cannot be"
        else:
            values[:, j] = condition.constants[name] if name in condition.constants else columns[name]
    return values, reasons


def _condition(model: Model, name: str, settings: Mapping[str, float | str]) -> _Condition:
    where = f"condition '{name}'"
    if not str(name).isidentifier() or keyword.iskeyword(name):
        raise InputError(f"{where}: outputs are named after it, as in wild.A; give it letters, digits and underscores")
    space = model.space
    held: dict[str, float] = {}
    constants: dict[str, float] = {}
    expressions: dict[str, Expression] = {}
    for parameter, given in settings.items():
        here = f"{where}: {parameter} = {given}"
        own = space[parameter] if parameter in space.names else None
        category = own is not None and given in own.categories
        text = str(own.categories.index(str(given))) if own and category else str(given)
        expression = parse(text, dict.fromkeys(space.names, NUMBER), here)
        if expression.names and own is None:
            raise InputError(
                f"{here}: an expression sets what the model varies ({', '.join(space.names)}); let it vary, or give a "
                "number"
            )
        if expression.names:
            expressions[parameter] = expression
            continue
        value = np.asarray(expression({}), dtype=float)
        if not (np.isfinite(value) if own is None else _takes(own, value)):
            raise InputError(f"{here}: is no value that it takes")
        (held if own is None else constants)[parameter] = float(value)
    try:
        return _Condition(name, model.holding(held), constants, expressions)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None


def _takes(parameter: Parameter, values: FloatArray) -> NDArray[np.bool_]:
    """Return which values a parameter can have, whatever its range."""
    takes = np.isfinite(values)
    if parameter.integer:
        takes &= values == np.round(values)
    if parameter.categories:
        takes &= np.isin(values, np.arange(len(parameter.categories)))
    elif parameter.discrete and parameter.levels is not None:
        takes &= np.isin(values, parameter.levels)
    return takes


def _space(space: ParameterSpace, conditions: Sequence[_Condition]) -> ParameterSpace:
    """Return what varies still."""
    if not conditions:
        raise InputError("no condition; give at least one, such as wild: {}")
    everywhere = set.intersection(*(condition.sets for condition in conditions))
    gone = everywhere.difference(*(condition.speaks_of for condition in conditions))
    left = [parameter for parameter in space if parameter.name not in gone]
    if not left:
        raise InputError("every condition sets all parameters, so that nothing varies; leave one of them out")
    try:
        return ParameterSpace(left, derived=space.derived, constraints=space.constraints)
    except InputError as error:
        raise InputError(
            f"every condition sets {', '.join(sorted(gone))}, of which the model itself says more ({error}); leave it "
            "out of one of them"
        ) from None
