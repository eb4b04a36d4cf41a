"""The space that a model is studied in: its parameters, those that follow from others, and what is allowed together."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.arrays import as_array, namespace
from mechscreen.errors import InputError, nearest
from mechscreen.expressions import NUMBER, TRUTH, Expression, parse
from mechscreen.spaces.parameter import FloatArray, Parameter

_VALUES = ("low", "high", "levels")
"""Fields of a parameter that hold values of it."""


@dataclass(frozen=True)
class Draws:
    """Parameter sets that were drawn.

    Attributes
    ----------
    physical
        (n, d), values in physical units.
    position
        (n, d), in [0, 1): where each lies along the axis of its parameter (`Parameter.position`).
    """

    physical: FloatArray
    position: FloatArray


class ParameterSpace:
    """What is drawn and studied; maps unit cube ↔ physical ↔ normalised values.

    *Unit* values in [0, 1) are what samplers draw: shares of the prior of the (possibly narrowed) range.
    *Normalised* values are what emulators and published tables use: 0 is `zero`, 1 is `one` of each parameter, on its
    scale, whatever the campaign's range. Arrays of parameter sets have the shape (n, d).

    Parameters
    ----------
    derived
        Name → expression, of parameters of the model that are not drawn but follow from those that are.
    constraints
        Conditions on drawn and derived parameters that every set fulfils (``"k1 < k2"``).

    Raises
    ------
    InputError
        If a name stands for two things, or an expression cannot be read.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter],
        *,
        derived: Mapping[str, str] | None = None,
        constraints: Sequence[str] = (),
    ) -> None:
        self.parameters = tuple(parameters)
        self.names = tuple(p.name for p in self.parameters)
        if not self.parameters or len(set(self.names)) != len(self.names):
            raise InputError(f"parameter names must be unique and at least one: {list(self.names)}")
        self.low = np.array([p.low for p in self.parameters])
        self.high = np.array([p.high for p in self.parameters])
        self.derived = dict(derived or {})
        self.constraints = tuple(constraints)
        self._zero = np.array([p.zero for p in self.parameters])
        self._scale = np.array([p.one for p in self.parameters]) - self._zero
        self._linear = all(p.scale == "linear" and p.inputs == 1 for p in self.parameters)
        # A category's name stands for its number.
        self._constants = {
            name: float(number)
            for p in self.parameters
            for number, name in enumerate(p.categories)
            if name not in self.names
        }
        known = dict.fromkeys([*self._constants, *self.names], NUMBER)
        self._derived: dict[str, Expression] = {}
        for name, text in self.derived.items():
            if name in known:
                raise InputError(f"derived parameter '{name}': is drawn, too; leave out one of the two")
            self._derived[name] = parse(text, known, f"derived parameter '{name}': '{text}'")
            known[name] = NUMBER
        self._constraints = [parse(text, known, f"constraint '{text}'", wanted=TRUTH) for text in self.constraints]

    def __len__(self) -> int:
        return len(self.parameters)

    def __iter__(self) -> Iterator[Parameter]:
        return iter(self.parameters)

    def __getitem__(self, name: str) -> Parameter:
        try:
            return self.parameters[self.names.index(name)]
        except ValueError:
            raise InputError(
                f"no parameter '{name}'{nearest(name, self.names)} (valid: {', '.join(self.names)})"
            ) from None

    @property
    def varied(self) -> tuple[int, ...]:
        """Places of the parameters that are not held fixed."""
        return tuple(j for j, parameter in enumerate(self) if not parameter.fixed)

    @property
    def continuous(self) -> tuple[int, ...]:
        """Places of those of them that are neither whole numbers nor categories."""
        return tuple(j for j in self.varied if not self.parameters[j].discrete)

    @property
    def conditional(self) -> bool:
        """Whether some sets are not allowed, so that the parameters depend on one another."""
        return bool(self._constraints)

    def draw(self, unit: ArrayLike, *, levels: bool = False) -> Draws:
        """Map unit values to parameter sets, allowed or not.

        Parameters
        ----------
        levels
            Whether levels count of which values between mean something, too, as for a training set.
        """
        u, xp = as_array(unit, float), namespace(unit)
        drawn = [parameter.draw(u[:, j], levels=levels) for j, parameter in enumerate(self.parameters)]
        values, position = (xp.stack(columns, axis=1) for columns in zip(*drawn, strict=True))
        return Draws(values, position)

    def physical(self, unit: ArrayLike, *, levels: bool = False) -> FloatArray:
        """Map unit values to physical values, as `draw`."""
        return self.draw(unit, levels=levels).physical

    def at(self, position: FloatArray, *, levels: bool = False) -> FloatArray:
        """Map positions along the axes, (n, d) in [0, 1), to physical values, (n, d), allowed or not; as `draw`."""
        return np.stack([p.at(position[:, j], levels=levels) for j, p in enumerate(self.parameters)], axis=1)

    def position(self, physical: FloatArray) -> FloatArray:
        """Map physical values, (n, d), to positions along the axes, (n, d) in [0, 1]; a fixed one is at 0."""
        columns = zip(self.parameters, physical.T, strict=True)
        return np.stack([np.zeros(len(x)) if p.fixed else p.position(x) for p, x in columns], axis=1)

    def shares(self, physical: FloatArray) -> FloatArray:
        """Map physical values, (n, d), to unit values, (n, d): shares of the prior below them; a fixed one is at 0."""
        columns = zip(self.parameters, physical.T, strict=True)
        return np.stack([np.zeros(len(x)) if p.fixed else p.share(x) for p, x in columns], axis=1)

    def allowed(self, physical: FloatArray) -> NDArray[np.bool_]:
        """Return which of n parameter sets fulfil all constraints, and have finite derived parameters, (n,)."""
        allowed = namespace(physical).ones(len(physical), dtype=bool)
        if not self._constraints and not self._derived:
            return allowed
        with np.errstate(all="ignore"):
            columns = self.columns(physical)
            for name in self._derived:
                allowed = allowed & namespace(physical).isfinite(columns[name])
            for constraint in self._constraints:
                allowed = allowed & constraint({**self._constants, **columns})
        return allowed

    def columns(self, physical: FloatArray) -> dict[str, FloatArray]:
        """Return the values of each parameter by its name, (n,) each; those that are derived after those drawn."""
        xp = namespace(physical)
        columns = dict(zip(self.names, as_array(physical, float).T, strict=True))
        with np.errstate(all="ignore"):
            for name, expression in self._derived.items():
                columns[name] = xp.broadcast_to(expression({**self._constants, **columns}), len(physical)).astype(float)
        return columns

    def values_for(self, names: Sequence[str], physical: FloatArray) -> FloatArray:
        """Return what a model with such parameters is given for n parameter sets, (n, len(names))."""
        if tuple(names) == self.names and not self._derived:
            return physical
        columns = self.columns(physical)
        return np.column_stack([columns[name] for name in names])

    @property
    def inputs(self) -> int:
        """Numbers by which networks are told a parameter set."""
        return sum(parameter.inputs for parameter in self)

    def normalise(self, physical: ArrayLike) -> FloatArray:
        """Map physical values to normalised values, (n, `inputs`)."""
        values = as_array(physical, float)
        if self._linear:
            return (values - self._zero) / self._scale
        return namespace(values).concatenate([p.normalise(values[:, j]) for j, p in enumerate(self)], axis=1)

    def denormalise(self, normalised: ArrayLike) -> FloatArray:
        """Map normalised values, (n, `inputs`), to physical values."""
        values = np.asarray(normalised, dtype=float)
        if self._linear:
            return self._zero + values * self._scale
        first = np.cumsum([0, *(p.inputs for p in self)])
        parts = [p.denormalise(values[:, a : a + p.inputs]) for a, p in zip(first[:-1], self, strict=True)]
        return np.column_stack(parts)

    def restrict(self, changes: Mapping[str, Mapping[str, Any]]) -> ParameterSpace:
        """Return this space with the fields of some parameters replaced (``{"KT": {"high": 500}}``).

        Categories may be given by their names.

        Raises
        ------
        InputError
            For an unknown parameter, or a range that leaves the model's own.
        """
        replaced = {}
        for name, given in changes.items():
            old = self[name]
            values = {key: _numbered(old, value) for key, value in given.items() if key in _VALUES}
            if given.get("scale", old.scale) != old.scale:
                # What networks take for 0 and 1 on the one scale may have no place on the other.
                values |= {"zero": math.nan, "one": math.nan}
            new = replace(old, **{**given, **values})
            if new.low < old.low or new.high > old.high:
                fixed = f": held fixed at {old.low}, unless an option of the model lets it vary"
                own = fixed if old.fixed else f" {old.low} … {old.high}"
                raise InputError(f"parameter '{name}': {new.low} … {new.high} leaves the model's range{own}")
            replaced[name] = new
        parameters = [replaced.get(p.name, p) for p in self.parameters]
        return ParameterSpace(parameters, derived=self.derived, constraints=self.constraints)

    def check(self, physical: ArrayLike) -> FloatArray:
        """Return `physical` as a finite (n, d) array of floats.

        Raises
        ------
        InputError
            Naming the first row and parameter that is not finite, or not above 0 on a log scale; or the shape that was
            expected.
        """
        values = np.asarray(physical, dtype=float)
        if values.ndim != 2 or values.shape[1] != len(self):
            raise InputError(
                f"parameters have shape {values.shape}; expected (n, {len(self)}): {', '.join(self.names)}"
            )
        bad = np.argwhere(~np.isfinite(values))
        if bad.size:
            i, j = bad[0]
            raise InputError(f"parameters, row {i}: '{self.names[j]}' is {values[i, j]}; give a finite number")
        return values

    def outside(self, physical: FloatArray) -> int:
        """Return how many of n parameter sets, (n, d), lie outside the ranges by more than rounding."""
        slack = 1e-9 * np.maximum(np.abs(self.low), np.abs(self.high))
        inside = (physical >= self.low - slack) & (physical <= self.high + slack)
        return int((~inside.all(axis=1)).sum())


def within(position: FloatArray) -> FloatArray:
    """Return positions along axes in [0, 1): those beyond an end are put there."""
    return np.clip(position, 0, np.nextafter(1, 0))


def mirrored(position: FloatArray) -> FloatArray:
    """Return positions along axes, or unit values, in [0, 1): those beyond an end are mirrored there."""
    folded = np.abs(position) % 2
    return np.minimum(np.where(folded < 1, folded, 2 - folded), np.nextafter(1, 0))


def _numbered(parameter: Parameter, value: Any) -> Any:
    """Return what a field is given as, with numbers for names of categories."""
    if isinstance(value, tuple):
        return tuple(_numbered(parameter, part) for part in value)
    if not isinstance(value, str):
        return value
    if value in parameter.categories:
        return float(parameter.categories.index(value))
    valid = f" (valid: {', '.join(parameter.categories)})" if parameter.categories else ""
    raise InputError(f"parameter '{parameter.name}': no value '{value}'{nearest(value, parameter.categories)}{valid}")
