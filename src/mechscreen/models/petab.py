"""Problems of parameter estimation in PEtab's tables as models: observables as they were measured, and their fit."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, get_args

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError, check_keys, nearest
from mechscreen.models.base import Model, Solution
from mechscreen.models.outputs import UNDERSHOOT, FloatArray, Output, Scale
from mechscreen.models.petab_likelihood import Fit, fit, nothing, unusable
from mechscreen.models.petab_problem import Experiment, Measurements, Problem, Series, Value, read_problem
from mechscreen.models.sbml_document import prepare
from mechscreen.models.sbml_engine import Engine, first_line, selection_of
from mechscreen.spaces import ParameterSpace

OUTPUTS = ("observables", "chi2", "noise", "llh")
_RESIDUALS = "residuals"
"""What is returned to those who fit, and never learnt."""
_LEAST = 1e-6
"""Of χ², which networks are told as a logarithm."""
_REMEMBERED = 200
"""Simulations, for sets that differ from them by how the model is measured alone."""
FLOOR = 1e-12
"""Share of the least measured value of a series. What is less, of an observable that is compared by its logarithm, is
taken for it: solvers cannot tell how much less it is, and no fit is twelve decades off."""


class PetabModel(Model):
    """A problem of parameter estimation (PEtab, version 1).

    What it estimates are its parameters, noise included, with the bounds, scales and priors of the parameter table. Its
    outputs are the observables as they were measured, ``observable.condition``: a time series, or a number where there
    is one time alone, which is infinite for what was measured at rest; and the numbers ``chi2``, ``noise`` (the rest of
    −2 ln L) and ``llh``, ln L = −(chi2 + noise) / 2. Where noise is Laplace's, ``misfit`` takes the place of χ² there.

    Parameters
    ----------
    file
        YAML of the problem.
    outputs
        Which of ``observables``, ``chi2``, ``noise``, ``llh`` it returns; None: all.
    scales
        Observable → scale of its outputs (`mechscreen.models.Output`). What is left out is ``log`` where the observable
        is compared by its logarithm, else ``linear``.
    relative_tolerance, absolute_tolerance, steps
        Of CVODE, and the most steps that it may take from one point to the next. Some problems need small tolerances:
        with a relative one of 1e-8, that of Crauste et al. (2017) is off by 2 %.
    """

    name: ClassVar[str] = "petab"
    seconds = 0.1
    stochastic = False
    to_fit: ClassVar[Mapping[str, Any]] = {"outputs": [_RESIDUALS]}

    def __init__(
        self,
        file: str = "",
        outputs: Sequence[str] | None = None,
        scales: Mapping[str, Scale] | None = None,
        relative_tolerance: float = 1e-10,
        absolute_tolerance: float = 1e-14,
        steps: int = 100_000,
    ) -> None:
        if not file:
            raise InputError(
                "model 'petab': its option 'file' names the problem; give the YAML file of a PEtab problem"
            )
        path = Path(file).resolve()
        self.problem: Problem = read_problem(path)
        self.files = [str(path.parent / name) for name in self.problem.files]
        self._tolerances = (float(relative_tolerance), float(absolute_tolerance))
        self._steps = int(steps)
        varied = [parameter.varied for parameter in self.problem.parameters.values()]
        self.space = ParameterSpace([parameter for parameter in varied if parameter is not None])
        self.outputs = tuple(self._outputs(outputs, scales or {}))

    @property
    def version(self) -> str:  # type: ignore[override]
        """Of this module and of the engine, whose next versions may give other numbers."""
        engine = importlib.metadata.version("libroadrunner").rpartition(".")[0]
        return f"1, libroadrunner {engine}"

    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Simulate all conditions; see `Model.solve`."""
        observables, found, reasons = self.compare(parameters)
        numbers = {
            "chi2": found.chi2,
            "misfit": found.misfit,
            "noise": found.noise,
            "llh": found.llh,
            # Their squares are what of −2 ln L depends on them.
            "residuals": np.sign(found.residuals) * np.sqrt(found.misfits),
            "noise_terms": found.noises,
        }
        by_name = {
            series.name: values[:, 0] if len(series.times) == 1 else values
            for series, values in zip(self.problem.series, observables, strict=True)
        } | numbers
        return Solution({output.name: by_name[output.name] for output in self.outputs}, reasons)

    def compare(self, parameters: FloatArray) -> tuple[list[FloatArray], Fit, list[str]]:
        """Return each series' values, (n, points), the fit, and why there is none, of n sets of what is estimated."""
        states, reasons = self._simulate(parameters)
        estimated = dict(zip(self.space.names, parameters.T, strict=True))
        observables = []
        for series in self.problem.series:
            values = self._values(series, states, estimated, series.replaced)
            computed = series.formula(values, (len(parameters), len(series.times)))
            observables.append(computed if series.transformation == "lin" else _floored(computed, series.least))
        total = nothing(len(parameters))
        for group in self.problem.measurements:
            series, simulated = self.problem.series[group.series], observables[group.series]
            values = self._values(series, states, estimated, group.replaced)
            sigma = group.noise(values, simulated.shape)[:, group.places]
            simulated = simulated[:, group.places]
            total += fit(simulated, group.values, sigma, series.transformation, group.distribution)
            _explain(reasons, group, series, simulated, sigma)
        return observables, total, reasons

    @property
    def measured(self) -> list[tuple[str, float, float, bool]]:  # type: ignore[override]
        """Output, time and value of each residual's measurement, and whether its noise is normal."""
        found = []
        for group in self.problem.measurements:
            series = self.problem.series[group.series]
            times = series.times[group.places] if len(series.times) > 1 else np.zeros(len(group.places))
            normal = series.transformation == "lin" and group.distribution == "normal"
            rows = zip(times.tolist(), group.values.tolist(), strict=True)
            found += [(series.name, time, value, normal) for time, value in rows]
        return found

    @cached_property
    def measuring(self) -> tuple[str, ...]:  # type: ignore[override]
        """Estimated parameters that are neither the model's own nor set in an experiment: noise, scales, offsets."""
        quantities, experiments = self.problem.document.quantities, self.problem.experiments
        settings = [settings for one in experiments for settings in (one.settings, one.before or {})]
        simulated = {*quantities, *(value for own in settings for value in own.values())}
        return tuple(name for name in self.space.names if name not in simulated)

    def _simulate(self, parameters: FloatArray) -> tuple[list[FloatArray], list[str]]:
        """Return the model's quantities in each experiment, (n, quantities, looks), and why a set has none.

        Sets that differ by how it is measured alone are simulated once.
        """
        own = [k for k, name in enumerate(self.space.names) if name not in self.measuring]
        found = []
        for values in parameters:
            key = values[own].tobytes()
            if key not in self._known:
                while len(self._known) >= _REMEMBERED:
                    del self._known[next(iter(self._known))]
                self._known[key] = self._simulate_one(values)
            found.append(self._known[key])
        experiments = range(len(self.problem.experiments))
        empty = [np.empty((0, len(self._selected), one.looks)) for one in self.problem.experiments]
        states = [np.stack([states[k] for states, _ in found]) if found else empty[k] for k in experiments]
        return states, [reason for _, reason in found]

    def _simulate_one(self, values: FloatArray) -> tuple[list[FloatArray], str]:
        """Return the model's quantities in each experiment, (quantities, looks), and why there are none."""
        estimated = dict(zip(self.space.names, values.tolist(), strict=True))
        experiments = self.problem.experiments
        states = [np.full((len(self._selected), experiment.looks), np.nan) for experiment in experiments]
        for k, experiment in enumerate(experiments):
            try:
                states[k] = self._run(experiment, estimated)
            except RuntimeError as error:
                why = self._engine_of(experiment)[0].without_rates() or first_line(error)
                return states, f"condition '{experiment.name}': {why}"
        return states, ""

    @cached_property
    def _known(self) -> dict[bytes, tuple[list[FloatArray], str]]:
        """The last simulations of this process, by what was simulated."""
        return {}

    def _run(self, experiment: Experiment, estimated: Mapping[str, float]) -> FloatArray:
        """Return the model's quantities in an experiment, (quantities, looks)."""
        engine, names = self._engine_of(experiment)
        first = experiment.settings if experiment.before is None else experiment.before
        engine.begin(np.array([_number(first.get(name, name), estimated) for name in names]))
        engine.reset()
        duration = float(experiment.times.max(initial=0.0)) or 1.0
        if experiment.before is not None:
            engine.rest(duration)
            quantities = self.problem.document.quantities
            changes = {selection_of(quantities[name]): value for name, value in experiment.settings.items()}
            engine.change({symbol: _number(value, estimated) for symbol, value in changes.items()})
        parts = [engine.go_on(self._selections, experiment.times)] if len(experiment.times) else []
        if experiment.rest:
            engine.rest(duration)
            parts.append(engine.now(self._selections)[:, None])
        return np.concatenate(parts, axis=1)

    def _engine_of(self, experiment: Experiment) -> tuple[Engine, tuple[str, ...]]:
        """Return the compiled model in which an experiment can be set, and what is set in it, in order."""
        own = experiment.settings if experiment.before is None else experiment.before
        of_model = [name for name in self.space.names if name in self.problem.document.quantities]
        names = tuple(sorted({*of_model, *own}))
        if names not in self._engines:
            self._engines[names] = Engine(
                prepare(self.problem.document, self.problem.held, set(names)),
                [self.problem.document.quantities[name] for name in names],
                "ode",
                self._tolerances,
                self._steps,
            )
        return self._engines[names], names

    @cached_property
    def _engines(self) -> dict[tuple[str, ...], Engine]:
        """The compiled models of this process, by what is set in them."""
        return {}

    @cached_property
    def _selected(self) -> tuple[str, ...]:
        """The model's quantities that formulas speak of."""
        formulas = [*(series.formula for series in self.problem.series), *(m.noise for m in self.problem.measurements)]
        names = {name for formula in formulas for name in formula.names}
        return tuple(name for name in self.problem.document.quantities if name in names)

    @cached_property
    def _selections(self) -> list[str]:
        """The same, as the engine calls them."""
        return [selection_of(self.problem.document.quantities[name]) for name in self._selected]

    def _values(
        self,
        series: Series,
        states: Sequence[FloatArray],
        estimated: Mapping[str, FloatArray],
        replaced: Mapping[str, Value],
    ) -> dict[str, Any]:
        """Return what the names of a formula stand for, (n, points) or what can be stretched to it."""
        quantities = states[series.experiment][:, :, series.places]
        found: dict[str, Any] = {name: quantities[:, k] for k, name in enumerate(self._selected)}
        found["time"] = series.times
        for name, value in replaced.items():
            found[name] = estimated[value][:, None] if isinstance(value, str) else value
        return found

    def _outputs(self, asked: Sequence[str] | None, scales: Mapping[str, Scale]) -> Iterator[Output]:
        """Yield the outputs."""
        if isinstance(asked, str) or asked == []:
            raise InputError(f"model 'petab': outputs is no list; give some of [{', '.join(OUTPUTS)}]")
        asked = OUTPUTS if asked is None else asked
        for name in asked:
            if name not in (*OUTPUTS, _RESIDUALS):
                raise InputError(
                    f"model 'petab': no output '{name}'{nearest(str(name), OUTPUTS)} (valid: {', '.join(OUTPUTS)})"
                )
        observables = tuple(dict.fromkeys(series.observable for series in self.problem.series))
        check_keys("model 'petab', scales", scales, observables)
        for name, scale in scales.items():
            if scale not in get_args(Scale):
                raise InputError(f"model 'petab', scales: no scale '{scale}' (valid: {', '.join(get_args(Scale))})")
            if scale == "peak" and any(s.observable == name and len(s.times) == 1 for s in self.problem.series):
                raise InputError(f"model 'petab', scales: '{name}' is measured once, and a number has no peak")
        if "observables" in asked:
            yield from (self._output(series, scales) for series in self.problem.series)
        if "chi2" in asked:
            yield Output("chi2", scale="log", floor=_LEAST)
        if "noise" in asked:
            yield Output("noise")
            if any(group.distribution != "normal" for group in self.problem.measurements):
                yield Output("misfit", scale="log", floor=_LEAST)
        if "llh" in asked:
            yield Output("llh")
        if _RESIDUALS in asked:
            measured = np.arange(sum(len(group.values) for group in self.problem.measurements), dtype=float)
            yield Output("residuals", measured, grid_name="measurement", scale="linear")
            yield Output("noise_terms", measured, grid_name="measurement", scale="linear")

    def _output(self, series: Series, scales: Mapping[str, Scale]) -> Output:
        by_logarithm = series.transformation != "lin"
        scale: Scale = scales.get(series.observable, "log" if by_logarithm else "linear")
        if len(series.times) == 1:
            return Output(series.name, scale=scale)
        unit = self.problem.document.time_unit
        return Output(series.name, series.times, grid_name="time", grid_unit=unit, scale=scale)


def _number(value: Value, estimated: Mapping[str, float]) -> float:
    return estimated[value] if isinstance(value, str) else value


def _floored(values: FloatArray, least: float) -> FloatArray:
    """Return values (n, points) of which those that are zero, or below by rounding, are a little above it."""
    rounding = np.maximum(UNDERSHOOT * np.abs(values).max(axis=1, keepdims=True), FLOOR * least)
    return np.where(values >= -rounding, np.maximum(values, FLOOR * least), values)


def _explain(reasons: list[str], group: Measurements, series: Series, simulated: FloatArray, sigma: FloatArray) -> None:
    """Say of samples without a likelihood why, where nothing was said before."""
    bad = unusable(simulated, sigma, series.transformation)
    for row in np.flatnonzero(bad.any(axis=1)):
        if not reasons[row]:
            k = int(bad[row].argmax())
            at = f"at time {series.times[group.places[k]]:g}"
            reasons[row] = (
                f"'{series.name}' has noise {sigma[row, k]:.4g} {at}, which is no deviation"
                if np.isfinite(simulated[row, k]) and not sigma[row, k] > 0
                else f"'{series.name}' is {simulated[row, k]:.4g} {at}, which has no likelihood"
            )
