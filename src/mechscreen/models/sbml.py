"""Models of others, by their files: SBML, Antimony, COMBINE archives, solved by libroadrunner (Welsh et al. 2023).

A parameter of the campaign is anything whose value at the start the model says: global and local parameters, initial
values of species, sizes of compartments. An output is a time series of anything that has a value.
"""

from __future__ import annotations

import importlib.metadata
import math
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError, ModelError, check_keys, nearest
from mechscreen.models.base import Model, Solution
from mechscreen.models.outputs import FloatArray, Output
from mechscreen.models.sbml_document import Prepared, Quantity, prepare, read_document
from mechscreen.sampling import split_mix
from mechscreen.spaces import Parameter, ParameterSpace

Method = Literal["ode", "ssa"]

FACTOR = 10.0
"""A parameter varies between its value divided by it, and its value times it, unless it is said otherwise."""

_CALL = re.compile(r"(amount|concentration)\((\w+)\)")
_SPECIAL = ("scale", "floor", "unit", "of")
_SEEDS = 2**31 - 1


@dataclass(frozen=True)
class _Selected:
    """An output, and what the engine calls it."""

    output: Output
    selection: str


class SBMLModel(Model):
    """A model from a file.

    Parameters
    ----------
    file
        SBML (``.xml``), Antimony (``.ant``) or a COMBINE archive (``.omex``).
    outputs
        Names of species, parameters, compartments or reactions (their rates), ``amount(S)``, ``concentration(S)``; or a
        mapping from names of one's own to such, or to ``{of, scale, floor, unit}`` (`mechscreen.models.Output`). A
        species is what its symbol means in the model: a concentration, unless it has only substance units. None: all
        species that reactions or rules change.
    vary
        What campaigns vary: names, or a mapping from names to ``[low, high]`` or ``{low, high, scale}``. None: all
        constant parameters that are not 0. Without a range, from a tenth of the model's value to ten times that, on a
        log scale.
    values
        Values at the start that differ from the model's, by name.
    end, points, start
        The time series have so many points from `start` to `end`, in the model's time; the model begins at 0.
    method
        ``ode``, or ``ssa``: Gillespie's direct method.
    trajectories
        Of ``ssa``: the outputs are the means of so many, and their standard deviations, ``sd of …``.
    relative_tolerance, absolute_tolerance, steps
        Of CVODE, and the most steps that it may take from one point to the next.
    """

    name: ClassVar[str] = "sbml"

    def __init__(
        self,
        file: str = "",
        outputs: Sequence[str] | Mapping[str, Any] | None = None,
        vary: Sequence[str] | Mapping[str, Any] | None = None,
        values: Mapping[str, float] | None = None,
        end: float = 100.0,
        points: int = 101,
        start: float = 0.0,
        method: Method = "ode",
        trajectories: int = 100,
        relative_tolerance: float = 1e-8,
        absolute_tolerance: float = 1e-12,
        steps: int = 100_000,
    ) -> None:
        if not file:
            raise InputError(
                "model 'sbml': its option 'file' names the model; give SBML, Antimony or a COMBINE archive"
            )
        self._method = _one_of("method", method, get_args(Method))
        self._grid = _grid(start, end, points)
        self._trajectories = _positive("trajectories", trajectories) if method == "ssa" else 1
        self._tolerances = (relative_tolerance, absolute_tolerance)
        self._steps = _positive("steps", steps)
        path = Path(file).resolve()
        self.document = read_document(path)
        if method == "ssa" and self.document.by_itself:
            # Seen by trying: an event at a time comes with the next reaction, too late.
            raise InputError(f"{path}: has {' and '.join(self.document.by_itself)}, which method: ssa does not follow")
        self._values = {self._settable(name).name: float(value) for name, value in (values or {}).items()}
        self.space = ParameterSpace(list(self._parameters(vary)))
        if both := sorted(self._values.keys() & set(self.space.names)):
            raise InputError(
                f"model 'sbml': {', '.join(both)}: stands in 'values', and varies; leave one of the two out"
            )
        self._selected = list(self._outputs(outputs))
        own = [selected.output for selected in self._selected]
        self.outputs = (*own, *(_deviation(output) for output in own)) if self._of_means else tuple(own)

    @property
    def version(self) -> str:  # type: ignore[override]
        """Of this module and of the engine, whose next versions may give other numbers."""
        engine = importlib.metadata.version("libroadrunner").rpartition(".")[0]
        return f"1, libroadrunner {engine}"

    @property
    def _of_means(self) -> bool:
        return self._method == "ssa" and self._trajectories > 1

    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Solve the model; see `Model.solve`."""
        found = np.full((len(parameters), len(self.outputs), len(self._grid)), np.nan)
        reasons = [""] * len(parameters)
        for row, (values, seed) in enumerate(zip(parameters, seeds, strict=True)):
            try:
                found[row] = self._solve_one(values, seed)
            except RuntimeError as error:
                reasons[row] = _first_line(error)
        return Solution({output.name: found[:, k] for k, output in enumerate(self.outputs)}, reasons)

    def _solve_one(self, values: FloatArray, seed: np.uint64) -> FloatArray:
        """Return the series of all outputs, (outputs, points)."""
        engine = self._engine
        engine.begin(values)
        seeds = split_mix(seed, np.arange(self._trajectories, dtype=np.uint64)) % np.uint64(_SEEDS)
        if not self._of_means:
            return engine.run(int(seeds[0]) + 1)
        # Running sums, as trajectories may be many (Welford 1962).
        mean = np.zeros((len(self._selected), len(self._grid)))
        squares = np.zeros_like(mean)
        for count, own in enumerate(seeds, 1):
            series = engine.run(int(own) + 1)
            step = series - mean
            mean += step / count
            squares += step * (series - mean)
        return np.concatenate([mean, np.sqrt(squares / (self._trajectories - 1))])

    @cached_property
    def _engine(self) -> _Engine:
        """The compiled model of this process."""
        return _Engine(
            prepare(self.document, self._values, set(self.space.names)),
            [selected.selection for selected in self._selected],
            [self.document.quantities[name] for name in self.space.names],
            self._grid,
            self._method,
            self._tolerances,
            self._steps,
        )

    def _settable(self, name: str) -> Quantity:
        quantity = self._quantity(name, "")
        if not quantity.settable:
            why = "is a rate" if quantity.kind == "reaction" else "follows from a rule"
            raise InputError(f"model 'sbml': '{name}' {why}, and has no value to set; vary what it follows from")
        return quantity

    def _quantity(self, name: str, where: str) -> Quantity:
        try:
            return self.document.quantities[name]
        except (KeyError, TypeError):
            names = list(self.document.quantities)
            shown = ", ".join(names[:30]) + (f", … ({len(names)})" if len(names) > 30 else "")
            raise InputError(f"model 'sbml'{where}: no '{name}'{nearest(str(name), names)} (valid: {shown})") from None

    def _parameters(self, vary: Sequence[str] | Mapping[str, Any] | None) -> Iterator[Parameter]:
        """Yield what varies, with its range."""
        if vary is None:
            constants = [q for q in self.document.of_kind("parameter") if q.constant and q.settable]
            vary = [q.name for q in constants if math.isfinite(q.value) and q.value != 0]
            if not vary:
                raise InputError("model 'sbml': has no constant parameter that is not 0; say what is to vary (vary)")
        ranges = vary if isinstance(vary, Mapping) else dict.fromkeys(vary)
        for name, given in ranges.items():
            quantity = self._settable(name)
            fields = _range(quantity, given)
            yield Parameter(name, unit=quantity.unit, meaning=_meaning(quantity), **fields)

    def _outputs(self, outputs: Sequence[str] | Mapping[str, Any] | None) -> Iterator[_Selected]:
        """Yield the outputs."""
        if outputs is None:
            changed = [q for q in self.document.of_kind("species") if not q.constant]
            if not changed:
                raise InputError("model 'sbml': has no species that changes; say what its outputs are (outputs)")
            outputs = [q.name for q in changed]
        if isinstance(outputs, str):
            raise InputError(f"model 'sbml': outputs is text; write a list, [{outputs}]")
        named = outputs if isinstance(outputs, Mapping) else {name: name for name in outputs}
        for name, given in named.items():
            about = dict(given) if isinstance(given, Mapping) else {"of": given}
            check_keys(f"model 'sbml', output '{name}'", about, _SPECIAL)
            yield self._output(str(name), about)

    def _output(self, name: str, about: dict[str, Any]) -> _Selected:
        of = str(about.get("of", name))
        call = _CALL.fullmatch(of)
        quantity = self._quantity(call[2] if call else of, f", output '{name}'")
        if call and quantity.kind != "species":
            raise InputError(f"model 'sbml', output '{name}': {call[1]}(…) is of a species, and {of} is none")
        in_amounts = call[1] == "amount" if call else quantity.in_amounts
        selection = f"[{quantity.name}]" if quantity.kind == "species" and not in_amounts else quantity.name
        positive = quantity.kind in ("species", "compartment")
        same = quantity.kind != "species" or in_amounts == quantity.in_amounts
        output = Output(
            name,
            self._grid,
            unit=about.get("unit", quantity.unit if same else ""),
            grid_name="time",
            grid_unit=self.document.time_unit,
            scale=about.get("scale", "peak" if positive else "linear"),
            floor=float(about.get("floor", 0.0)),
        )
        return _Selected(output, selection)


class _Engine:
    """The model as the engine has it: compiled once, begun anew for each sample."""

    def __init__(
        self,
        prepared: Prepared,
        selections: Sequence[str],
        varied: Sequence[Quantity],
        grid: FloatArray,
        method: Method,
        tolerances: tuple[float, float],
        steps: int,
    ) -> None:
        if "tensorflow" in sys.modules and "roadrunner" not in sys.modules:
            # Seen by trying: loading it would end the process. The other way round all is well.
            raise ModelError(
                "model 'sbml': libroadrunner cannot be loaded after TensorFlow into one process; import roadrunner "
                "before Keras, or simulate in a process of its own, as campaigns and mechscreen simulate do"
            )
        import roadrunner

        roadrunner.Logger.setLevel(roadrunner.Logger.LOG_FATAL)
        self._all = roadrunner.SelectionRecord.ALL
        self._runner = roadrunner.RoadRunner(prepared.sbml)
        self._runner.setIntegrator("cvode" if method == "ode" else "gillespie")
        integrator = self._runner.integrator
        if method == "ode":
            relative, absolute = tolerances
            for setting, value in (
                ("relative_tolerance", relative),
                ("absolute_tolerance", absolute),
                ("maximum_num_steps", steps),
            ):
                integrator.setValue(setting, value)
        else:
            integrator.setValue("variable_step_size", False)
        self._method = method
        self._selections = list(selections)
        self._at_once = prepared.at_once
        symbols = [f"[{q.name}]" if q.kind == "species" and not q.in_amounts else q.name for q in varied]
        self._species = [(symbol, k) for k, symbol in enumerate(symbols) if varied[k].kind == "species"]
        self._others = [(symbol, k) for k, symbol in enumerate(symbols) if varied[k].kind != "species"]
        self._values: list[float] = []
        # The model begins at 0.
        self._times = list(grid) if grid[0] == 0 else [0.0, *grid]
        self._skipped = len(self._times) - len(grid)

    def begin(self, values: FloatArray) -> None:
        """Say the values at the start of the next runs."""
        self._values = values.tolist()
        if not self._at_once:
            # The engine makes a new model of each, which takes it some 0.05 s.
            for symbol, place in [*self._others, *self._species]:
                self._runner.setValue(f"init({symbol})", self._values[place])

    def run(self, seed: int) -> FloatArray:
        """Return the time series, (selections, points); the seed is for `ssa` alone."""
        runner = self._runner
        # What events changed in the run before is as it was; then what follows from the values is worked out.
        runner.reset(self._all)
        if self._at_once:
            for symbol, place in self._others:
                runner.setValue(symbol, self._values[place])
            runner.reset()
            for symbol, place in self._species:
                runner.setValue(symbol, self._values[place])
        if self._method == "ssa":
            runner.integrator.setValue("seed", seed)
        if not self._skipped:
            found = runner.simulate(self._times[0], self._times[-1], len(self._times), self._selections)
        else:
            found = runner.simulate(times=self._times, selections=self._selections)
        return np.asarray(found, dtype=float).T[:, self._skipped :]


def _deviation(output: Output) -> Output:
    return Output(
        f"sd of {output.name}",
        output.grid,
        unit=output.unit,
        grid_name="time",
        grid_unit=output.grid_unit,
        floor=output.floor,
        scale="linear",
    )


def _meaning(quantity: Quantity) -> str:
    words = quantity.meaning if quantity.meaning != quantity.name else ""
    of_start = {"species": "initial value", "compartment": "size"}.get(quantity.kind, "")
    return f"{of_start} of {words}" if of_start and words else words or of_start


def _range(quantity: Quantity, given: Any) -> dict[str, Any]:
    """Return the fields of a parameter that say its range."""
    where = f"model 'sbml': vary '{quantity.name}'"
    if isinstance(given, Mapping):
        if not set(given) <= {"low", "high", "scale"} or not {"low", "high"} <= set(given):
            raise InputError(f"{where}: give low and high, and scale where it is not log")
        low, high, scale = given["low"], given["high"], given.get("scale")
    elif given is None:
        value = quantity.value
        if not math.isfinite(value) or value == 0:
            is_it = "0" if value == 0 else "not given, or follows from others"
            raise InputError(f"{where}: its value is {is_it}, so its range cannot be guessed; give [low, high]")
        low, high = sorted([value / FACTOR, value * FACTOR])
        scale = None
    elif isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2:
        low, high, scale = given[0], given[1], None
    else:
        raise InputError(f"{where}: {given!r} is no range; give [low, high]")
    if any(isinstance(end, bool) or not isinstance(end, int | float) for end in (low, high)):
        raise InputError(f"{where}: {low!r} … {high!r} are not numbers")
    return {"low": float(low), "high": float(high), "scale": scale or ("log" if low > 0 else "linear")}


def _grid(start: float, end: float, points: int) -> FloatArray:
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end):
        raise InputError(f"model 'sbml': start {start:g}, end {end:g}: time goes from 0 or later to a later end")
    if points != int(points) or not 2 <= points <= 10**6:
        raise InputError(f"model 'sbml': points = {points} is not a whole number from 2 to a million")
    return np.linspace(float(start), float(end), int(points))


def _positive(name: str, value: int) -> int:
    if value != int(value) or value < 1:
        raise InputError(f"model 'sbml': {name} = {value} is not a whole number above 0")
    return int(value)


def _one_of(name: str, value: Any, valid: Sequence[str]) -> Any:
    if value not in valid:
        raise InputError(f"model 'sbml': no {name} '{value}'{nearest(str(value), valid)} (valid: {', '.join(valid)})")
    return value


def _first_line(error: Exception) -> str:
    """Return what the engine says, without its preamble."""
    text = " ".join(str(error).split())
    return text.rpartition("Error in CVODE: ")[2] or text
