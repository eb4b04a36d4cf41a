"""What a mechanistic model is: named parameters in, numbers, profiles and fields out."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.errors import InputError, ModelError, nearest
from mechscreen.models.distances import Distance
from mechscreen.models.outputs import FloatArray, Output, Outputs
from mechscreen.registry import MODELS, construct


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model and the range it is studied in.

    Attributes
    ----------
    name
        Identifier, as it stands in configurations and table headers.
    low, high
        Bounds of the range, in physical units; equal for a parameter that is held fixed.
    unit, symbol, meaning
        For axes, tables and people. `symbol` is Matplotlib text.
    levels
        The only values a training set takes, or None where the whole range is sampled.
    zero, one
        Physical values that normalise to 0 and 1; `low` and `high` unless given (a value that is held fixed is 0). They
        stay when a campaign narrows the range, so a normalised value always means the same.
    """

    name: str
    low: float
    high: float
    unit: str = ""
    symbol: str = ""
    meaning: str = ""
    levels: tuple[float, ...] | None = None
    zero: float = math.nan
    one: float = math.nan

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise InputError(f"parameter '{self.name}': {self.low} … {self.high} is not a range")
        if math.isnan(self.zero):
            object.__setattr__(self, "zero", self.low)
        if math.isnan(self.one):
            fixed = self.high == self.zero  # and normalises to 0
            object.__setattr__(self, "one", self.zero + max(1.0, abs(self.zero)) if fixed else self.high)
        if self.zero == self.one:
            raise InputError(f"parameter '{self.name}': 'zero' and 'one' are both {self.one}")
        if self.levels is not None:
            outside = [level for level in self.levels if not self.low <= level <= self.high]
            if outside or not self.levels:
                raise InputError(
                    f"parameter '{self.name}': levels {list(self.levels)} must be at least one value within "
                    f"{self.low} … {self.high}"
                )

    @property
    def fixed(self) -> bool:
        """True where the range is a single value."""
        return self.low == self.high

    @property
    def label(self) -> str:
        """Symbol (or name) with the unit in brackets, for an axis."""
        text = self.symbol or self.name
        return f"{text} [{self.unit}]" if self.unit else text


class ParameterSpace:
    """The box a model is studied in; maps unit cube ↔ physical ↔ normalised values.

    *Unit* values in [0, 1) are what samplers draw: 0 is `low`, 1 is `high` of the (possibly narrowed) range.
    *Normalised* values are what emulators and published tables use: 0 is `zero`, 1 is `one` of each parameter,
    whatever the campaign's range. All methods take and return arrays of shape (n, d).
    """

    def __init__(self, parameters: Sequence[Parameter]) -> None:
        self.parameters = tuple(parameters)
        self.names = tuple(p.name for p in self.parameters)
        if not self.parameters or len(set(self.names)) != len(self.names):
            raise InputError(f"parameter names must be unique and at least one: {list(self.names)}")
        self.low = np.array([p.low for p in self.parameters])
        self.high = np.array([p.high for p in self.parameters])
        self._zero = np.array([p.zero for p in self.parameters])
        self._scale = np.array([p.one for p in self.parameters]) - self._zero

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

    def physical(self, unit: ArrayLike, *, levels: bool = False) -> FloatArray:
        """Map unit values (n, d) to physical values; with `levels`, onto the levels where a parameter has any."""
        u = np.asarray(unit, dtype=float)
        values = self.low + u * (self.high - self.low)
        if levels:
            for j, parameter in enumerate(self.parameters):
                if parameter.levels is not None:
                    table = np.array(parameter.levels)
                    values[:, j] = table[np.minimum((u[:, j] * len(table)).astype(int), len(table) - 1)]
        return values

    def normalise(self, physical: ArrayLike) -> FloatArray:
        """Map physical values (n, d) to normalised values."""
        return (np.asarray(physical, dtype=float) - self._zero) / self._scale

    def denormalise(self, normalised: ArrayLike) -> FloatArray:
        """Map normalised values (n, d) to physical values."""
        return self._zero + np.asarray(normalised, dtype=float) * self._scale

    def restrict(self, changes: Mapping[str, Mapping[str, Any]]) -> ParameterSpace:
        """Return this space with the fields of some parameters replaced (``{"KT": {"high": 500}}``).

        Raises
        ------
        InputError
            For an unknown parameter, or a range that leaves the model's own.
        """
        replaced = {}
        for name, fields in changes.items():
            old = self[name]
            new = replace(old, **dict(fields))
            if new.low < old.low or new.high > old.high:
                fixed = f": held fixed at {old.low}, unless an option of the model lets it vary"
                own = fixed if old.fixed else f" {old.low} … {old.high}"
                raise InputError(f"parameter '{name}': {new.low} … {new.high} leaves the model's range{own}")
            replaced[name] = new
        return ParameterSpace([replaced.get(p.name, p) for p in self.parameters])

    def check(self, physical: ArrayLike) -> FloatArray:
        """Return `physical` as a finite (n, d) array of floats.

        Raises
        ------
        InputError
            Naming the first row and parameter that is not finite, or the shape that was expected.
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


NUDGE = 5e-6
"""Relative change of every parameter that a sensitivity is measured with: the rounding of a table of five digits."""


@dataclass(frozen=True)
class Solution:
    """What a model's solver returns for n parameter sets.

    Attributes
    ----------
    profiles
        In the model's units; NaN where a sample could not be solved. Of each output by its name, an array (n, *shape);
        or one array (n, outputs, points), where all outputs have as many points.
    reasons
        Per sample, why it could not be solved; "" where it could. Empty if the solver has none to give.
    """

    profiles: FloatArray | Mapping[str, ArrayLike]
    reasons: Sequence[str] = ()


@dataclass(frozen=True)
class Simulations:
    """Simulated parameter sets, each a row, failures included.

    Attributes
    ----------
    profiles
        (n, outputs, points) where all outputs have as many points, else (n, values), one output after the other
        (`mechscreen.models.Outputs`): values divided by their own maximum, or as the output's scale says; NaN where
        `status` is not OK.
    log_peaks
        (n, outputs), natural logarithm of that maximum; 0 where nothing was divided by.
    status
        (n,), values of `Status`.
    reasons
        (n,), why a sample failed; "" where it did not.
    sensitivity
        (n, outputs), distance (`mechscreen.models.distances.Distance`, all deviations 1) between each output and the
        one for parameters changed by a relative ±`NUDGE`; NaN where either failed. None unless it was asked for.
    """

    profiles: FloatArray
    log_peaks: FloatArray
    status: NDArray[np.uint8]
    reasons: tuple[str, ...]
    sensitivity: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.status)


class WrongSolution(ValueError):  # noqa: N818 - its name begins the reason that people read
    """What `Model.solve` returned is not what the contract says: a mistake of the code, and not of a sample."""


class Model(ABC):
    """A mechanistic model. Subclass it, name it, describe parameters and outputs, and write `solve`.

    A subclass registers itself under `name` when it is defined. Its constructor's keyword arguments are the
    model's options (`model.options` in a campaign); they must be plain values.

    Class attributes
    ----------------
    name, version
        `version` changes whenever results change; it is part of the campaign's identity.
    seconds
        About what a simulation takes on one core; jobs ask for time and ranks by it (``mechscreen plan`` measures it).
    space
        The parameters and their ranges.
    outputs
        What it returns: numbers, profiles and fields, one `Output` each.
    isolated
        Campaigns run it in a process of its own, so that a sample that hangs or crashes is recorded and ends nothing
        else. False for a model whose `solve` always ends.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    isolated: ClassVar[bool] = True
    seconds: float = 1.0
    space: ParameterSpace
    outputs: tuple[Output, ...]

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "name" not in cls.__dict__:
            return
        MODELS.define(cls.name, cls)

    @abstractmethod
    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Solve the model for physical `parameters` (n, d); row i may depend on row i and `seeds[i]` alone.

        A deterministic model ignores `seeds`. Rows must not influence one another: not by their order, not by
        their number.
        """

    def simulate(
        self,
        parameters: ArrayLike,
        *,
        normalised: bool = False,
        seeds: ArrayLike | None = None,
        sensitivity: bool = False,
    ) -> Simulations:
        """Simulate n parameter sets.

        Parameters
        ----------
        parameters
            (n, d), physical units, or normalised values with `normalised`.
        seeds
            (n,), one 64-bit seed per sample for a stochastic model; 0 … n − 1 unless given.
        sensitivity
            Also simulate a neighbour of each parameter set, with the same seed, and tell how far its profile lies:
            what the last digits of the parameters decide, no emulator can know. Takes twice as long.

        Raises
        ------
        InputError
            If the array has another shape or holds a value that is not finite.
        """
        values = self.space.check(parameters)
        if normalised:
            values = self.space.denormalise(values)
        n = len(values)
        sample_seeds = np.arange(n, dtype=np.uint64) if seeds is None else np.asarray(seeds, dtype=np.uint64)
        result = _scaled(self.solve(values, sample_seeds), self.outputs, n)
        if not sensitivity:
            return result
        neighbours = _scaled(self.solve(_nudge(values, sample_seeds), sample_seeds), self.outputs, n)
        distance = Distance.of(self.outputs).by_output(
            result.profiles, result.log_peaks, neighbours.profiles, neighbours.log_peaks
        )
        return replace(result, sensitivity=distance)


def _nudge(values: FloatArray, seeds: NDArray[np.uint64]) -> FloatArray:
    """Change every parameter by a relative ±`NUDGE`; the signs depend on the sample's seed alone."""
    signs = [np.random.default_rng(int(seed)).choice([-1.0, 1.0], values.shape[1]) for seed in seeds]
    return values * (1 + NUDGE * np.reshape(signs, values.shape))


def _scaled(solution: Solution, outputs: Sequence[Output], n: int) -> Simulations:
    """Return what a solver gave as simulations: profiles by their peaks, and a status and a reason for each sample."""
    if not isinstance(solution, Solution):
        raise WrongSolution(f"the model's solve() must return Solution(profiles), not {type(solution).__name__}")
    outputs = Outputs(outputs)
    if isinstance(solution.profiles, Mapping):
        try:
            raw = outputs.join(solution.profiles, n)
        except ValueError as error:
            raise WrongSolution(f"the model's solve() returned {error}") from None
    else:
        raw = np.asarray(solution.profiles, dtype=float)
    if raw.shape != (n, *outputs.shape):
        raise WrongSolution(
            f"the model's solve() returned profiles of shape {raw.shape}; its outputs say {(n, *outputs.shape)}"
        )
    if len(solution.reasons) not in (0, n):
        raise WrongSolution(f"the model's solve() returned {len(solution.reasons)} reasons for {n} samples")
    profiles, log_peaks, status, found = outputs.scaled(raw)
    given = list(solution.reasons) or [""] * n
    reasons = tuple((own or why) if code else "" for own, why, code in zip(given, found, status, strict=True))
    return Simulations(profiles, log_peaks, status, reasons)


def model_names() -> list[str]:
    """Names of the registered models."""
    return sorted(MODELS.names())


def get_model(spec: str, /, **options: Any) -> Model:
    """Return a model by name, ``package.module:Class`` or ``path/to/file.py:Class``.

    Names are those of the built-in models, of those that installed packages add (entry points of the group
    ``mechscreen.models``), and of those that are defined in this process.

    Raises
    ------
    InputError
        If there is no such model, or an option is unknown to it (the message lists the valid names).
    ModelError
        If its module cannot be imported, or its outputs are not as `Model` says.
    """
    model: Model = construct(MODELS.get(spec), options, f"model '{spec}'")
    _check_outputs(model, spec)
    return model


def _check_outputs(model: Model, spec: str) -> None:
    """See that the outputs are as `Model` says."""
    if not model.outputs:
        raise ModelError(f"model '{spec}' has no outputs; give it at least one Output")
    names = [output.name for output in model.outputs]
    if len(set(names)) != len(names):
        raise ModelError(f"model '{spec}': its outputs are named {names}; give each a name of its own")
    for output in model.outputs:
        output.check(f"model '{spec}'")
