"""What a mechanistic model is: named parameters in, numbers, profiles and fields out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.errors import InputError, ModelError, nearest
from mechscreen.models.distances import Distance
from mechscreen.models.outputs import FloatArray, Output, Outputs
from mechscreen.registry import MODELS, construct
from mechscreen.spaces import ParameterSpace

NUDGE = 5e-6
"""Relative change of continuous parameters that a sensitivity is measured by: the rounding of tables of five digits."""


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

    Attributes
    ----------
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
    stochastic
        Whether what `solve` returns depends on the seeds; None where that is not known.
    to_fit
        Options by which a model that compares itself with measurements returns the outputs ``residuals`` and
        ``noise_terms``, a number for each measurement: −2 ln L is the sum of the squares of the former and of the
        latter. None for other models.
    measured
        What these are of: output, point on its grid (0 for a number), value, and whether its noise is normal.
    measuring
        Names of parameters that say how the model is measured, and nothing of what is simulated: noise, scales,
        offsets. Sets that differ in these alone take next to no time once one of them was simulated.
    """

    name: ClassVar[str]
    version: ClassVar[str]
    isolated: ClassVar[bool] = True
    stochastic: bool | None = None
    to_fit: ClassVar[Mapping[str, Any] | None] = None
    measured: Sequence[tuple[str, float, float, bool]] = ()
    measuring: Sequence[str] = ()
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

    def holding(self, values: Mapping[str, float]) -> Self:
        """Return this model with some of what is no parameter of its space held at other values.

        For models that have more to set than they vary, such as those from files; others have nothing.

        Raises
        ------
        InputError
            If there is nothing of such a name, or it cannot be set.
        """
        for name in values:
            names = self.space.names
            raise InputError(f"no parameter '{name}'{nearest(name, names)} (valid: {', '.join(names)})")
        return self

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
        neighbours = _scaled(self.solve(self._nudge(values, sample_seeds), sample_seeds), self.outputs, n)
        distance = Distance.of(self.outputs).by_output(
            result.profiles, result.log_peaks, neighbours.profiles, neighbours.log_peaks
        )
        return replace(result, sensitivity=distance)

    def _nudge(self, values: FloatArray, seeds: NDArray[np.uint64]) -> FloatArray:
        """Change what is no number of something by a relative ±`NUDGE`; the signs depend on the sample's seed alone."""
        signs = [np.random.default_rng(int(seed)).choice([-1.0, 1.0], values.shape[1]) for seed in seeds]
        by = [0.0 if parameter.discrete else NUDGE for parameter in self.space]
        return values * (1 + np.array(by) * np.reshape(signs, values.shape))


def _scaled(solution: Solution, outputs: Sequence[Output], n: int) -> Simulations:
    """Return what a solver gave as simulations: profiles by their peaks, and a status and a reason for each sample."""
    raw, given = read_solution(solution, outputs, n)
    profiles, log_peaks, status, found = Outputs(outputs).scaled(raw)
    reasons = tuple((own or why) if code else "" for own, why, code in zip(given, found, status, strict=True))
    return Simulations(profiles, log_peaks, status, reasons)


def read_solution(solution: Solution, outputs: Sequence[Output], n: int) -> tuple[FloatArray, list[str]]:
    """Return the values of n samples that a solver gave, (n, *shape of the outputs), and the reason of each.

    Raises
    ------
    WrongSolution
        If they are not as the contract of `Model.solve` says.
    """
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
    return raw, list(solution.reasons) or [""] * n


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
    numbers = {output.name for output in model.outputs if not output.grids and not output.given}
    for output in model.outputs:
        if output.given and output.given not in numbers:
            raise ModelError(
                f"model '{spec}', output '{output.name}': given = '{output.given}' is no number that every sample has"
            )
    if not any(output.counts for output in model.outputs):
        raise ModelError(f"model '{spec}': no output counts (compare='nothing'); let one be compared")
