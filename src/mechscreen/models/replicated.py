"""A stochastic model, each sample simulated several times: means, and how sure they are; whatever the model is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.errors import InputError
from mechscreen.models.base import Model, Solution, read_solution
from mechscreen.models.outputs import FloatArray, Output, Outputs, Status
from mechscreen.sampling import split_mix

_ERROR = "error of "


class Replicated(Model):
    """A model that simulates each parameter set several times, each with random numbers of its own.

    Its outputs are the means and, for each, the standard error of the mean, ``error of A``, which is compared by
    ``nothing``: it tells noise from what parameters do, and no hit is confirmed by it. Where one replicate fails, the
    sample fails, with the number of the replicate in its reason.

    Parameters
    ----------
    model
        Any whose results follow from the seeds of its samples.
    replicates
        How many, two at least.

    Raises
    ------
    InputError
        If the model says of itself that it is deterministic.
    """

    def __init__(self, model: Model, replicates: int) -> None:
        if replicates < 2:
            raise InputError(f"replicates = {replicates}: an error needs two at least")
        if model.stochastic is False:
            raise InputError(
                f"replicates = {replicates}: the model '{model.name}' is deterministic, so that all would be the same; "
                "leave them out"
            )
        self._model = model
        self._replicates = replicates
        self.name = model.name  # type: ignore[misc]
        self.version = model.version  # type: ignore[misc]
        self.isolated = model.isolated  # type: ignore[misc]
        self.stochastic = model.stochastic
        self.seconds = model.seconds * replicates
        self.files = getattr(model, "files", ())
        self.space = model.space
        self.outputs = (*model.outputs, *map(_error, model.outputs))

    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Solve the model for each replicate; see `Model.solve`."""
        n, of_one = len(parameters), Outputs(self._model.outputs)
        # Running sums, as replicates may be many (Welford 1962).
        mean = np.zeros((n, *of_one.shape))
        squares = np.zeros_like(mean)
        reasons = [""] * n
        rows = np.arange(n)
        for count in range(self._replicates):
            own_seeds = split_mix(np.asarray(seeds, np.uint64)[rows], np.array([count], np.uint64))
            raw, told = read_solution(self._model.solve(parameters[rows], own_seeds), of_one, len(rows))
            failed = _failed(of_one, raw, told)
            for place in np.flatnonzero(failed):
                reasons[rows[place]] = f"replicate {count + 1}: {told[place]}" if told[place] else ""
            # What failed once has failed.
            mean[rows[failed]] = np.nan
            rows, raw = rows[~failed], raw[~failed]
            if not len(rows):
                break
            step = raw - mean[rows]
            mean[rows] += step / (count + 1)
            squares[rows] += step * (raw - mean[rows])
        error = np.sqrt(squares / (self._replicates - 1) / self._replicates)
        return Solution(np.concatenate([mean, error], axis=1), reasons)


def _failed(outputs: Outputs, raw: FloatArray, reasons: Sequence[str]) -> NDArray[np.bool_]:
    """Return which samples have no solution; one that is zero everywhere may be one, if the model says no reason."""
    finite = np.isfinite(outputs.side_by_side(raw)).all(axis=1)
    _, _, status, _ = outputs.scaled(raw)
    return ~finite | (np.array([bool(reason) for reason in reasons]) & (status != Status.OK))


def _error(output: Output) -> Output:
    return replace(output, name=f"{_ERROR}{output.name}", scale="linear", compare="nothing", floor=0.0)


def error_places(outputs: Sequence[Output]) -> dict[int, int]:
    """Return the place of each output's standard error by the place of the output, for those that have one."""
    places = {output.name: k for k, output in enumerate(outputs)}
    found = {k: places.get(f"{_ERROR}{output.name}") for k, output in enumerate(outputs)}
    return {k: of_it for k, of_it in found.items() if of_it is not None and not outputs[of_it].counts}


def noise(outputs: Outputs, profiles: ArrayLike, log_peaks: ArrayLike, k: int, error: int) -> FloatArray:
    """Return how far the noise of its replicates alone moves output k of n samples, (n,).

    It is the root mean square of the standard errors over the points, in the units of a `Distance` whose deviations
    are 1.

    Parameters
    ----------
    profiles, log_peaks
        (n, *outputs.shape) and (n, outputs), as they are stored.
    error
        Place of the output that is its standard error.
    """
    of_points = outputs.flat(profiles, error).astype(float)
    if outputs[k].scale == "peak":
        of_points = of_points / np.exp(np.asarray(log_peaks)[:, k])[:, None]
    elif outputs[k].scale == "log":
        # A small relative error is one of the logarithm.
        of_points = of_points / np.exp(outputs.flat(profiles, k).astype(float))
    return np.sqrt(np.square(of_points).mean(axis=1))
