"""Models of others, by their files: SBML, Antimony, COMBINE archives, solved by libroadrunner (Welsh et al. 2023).

A parameter of the campaign is anything whose value at the start the model says: global and local parameters, initial
values of species, sizes of compartments. An output is a time series of anything that has a value, its steady state, or
either over a range of doses.
"""

from __future__ import annotations

import copy
import importlib.metadata
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self, get_args

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError, check_keys, nearest
from mechscreen.models.base import Model, Solution
from mechscreen.models.densities import density
from mechscreen.models.options import points_of
from mechscreen.models.outputs import FloatArray, Output
from mechscreen.models.sbml_document import TIME, Document, Quantity, decisive, prepare, read_document, with_values
from mechscreen.models.sbml_engine import Engine, Method, first_line, selection_of
from mechscreen.models.trajectories import Trajectories
from mechscreen.sampling import split_mix
from mechscreen.spaces import Parameter, ParameterSpace

FACTOR = 10.0
"""A parameter varies between its value divided by it, and its value times it, unless it is said otherwise."""

_CALL = re.compile(r"(amount|concentration)\((\w+)\)")
_SPECIAL = ("scale", "floor", "unit", "of", "steady", "dose", "at", "density")
_SEEDS = 2**31 - 1

STEADY_WITHIN = 100.0
"""The time in which a steady state is to be reached, unless it is said otherwise, in ends of the time series."""


@dataclass(frozen=True)
class _Dose:
    """What is set to each of several values, and these."""

    parameter: str
    values: tuple[float, ...]


@dataclass(frozen=True)
class _Selected:
    """An output, what the engine calls it, and how it is found.

    It is a time series unless it is steady, over doses, or the density over trajectories of the value at the end.
    """

    output: Output
    quantity: str
    selection: str
    steady: bool = False
    dose: _Dose | None = None
    is_density: bool = False

    @property
    def size(self) -> int:
        """Number of values that one trajectory has of it."""
        return 1 if self.is_density else self.output.size


@dataclass(frozen=True)
class _Together:
    """Outputs that one run of the engine has: their places, what it calls them, and whether they are steady states."""

    places: list[int]
    selections: list[str]
    steady: bool


class SBMLModel(Model):
    """A model from a file.

    Parameters
    ----------
    file
        SBML (``.xml``), Antimony (``.ant``) or a COMBINE archive (``.omex``).
    outputs
        Names of species, parameters, compartments or reactions (their rates), ``amount(S)``, ``concentration(S)``; or a
        mapping from names of one's own to such, or to ``{of, scale, floor, unit}`` (`mechscreen.models.Output`), with
        ``steady: true`` for the steady state, a number, with ``dose: {parameter, low, high, points, scale}`` for what
        is reached over a grid of doses, ``at: end`` of the time or ``at: steady``, and with ``density``, points or
        ``{start, end, points}``, for the density over trajectories of its value at the end, at these points. A species
        is what its symbol means in the model: a concentration, unless it has only substance units. None: all species
        that reactions or rules change.
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
    steady_within
        Until when a steady state has to be reached; `STEADY_WITHIN` times `end` unless given. A state is steady once
        nothing that decides on the outputs would change until then by more than `sbml_engine.STEADY_RELATIVE` relative
        or `sbml_engine.STEADY_ABSOLUTE` absolute tolerances, at the pace of the last half of its time.
    """

    name: ClassVar[str] = "sbml"
    kinds: ClassVar[str] = "SBML, Antimony or a COMBINE archive"
    """Of files, in messages."""

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
        steady_within: float | None = None,
    ) -> None:
        if not file:
            raise InputError(f"model '{self.name}': its option 'file' names the model; give {self.kinds}")
        self._method = _one_of(self.name, "method", method, get_args(Method))
        self.stochastic = method == "ssa"
        self._grid = _grid(self.name, start, end, points)
        self._trajectories = _positive(self.name, "trajectories", trajectories) if method == "ssa" else 1
        self._tolerances = (relative_tolerance, absolute_tolerance)
        self._steps = _positive(self.name, "steps", steps)
        self._steady_within = _until(self.name, steady_within, end)
        path = Path(file).resolve()
        self.document = self._read(path)
        if method == "ssa" and self.document.by_itself:
            # Seen by trying: an event at a time comes with the next reaction, too late.
            raise InputError(f"{path}: has {' and '.join(self.document.by_itself)}, which method: ssa does not follow")
        self._values = {self._settable(name).name: float(value) for name, value in (values or {}).items()}
        self.space = ParameterSpace(list(self._parameters(vary)))
        if both := sorted(self._values.keys() & set(self.space.names)):
            raise InputError(
                f"model '{self.name}': {', '.join(both)}: stands in 'values', and varies; leave one of the two out"
            )
        self._selected = list(self._outputs(outputs))
        means = [selected.output for selected in self._selected if not selected.is_density]
        deviations = [_deviation(output) for output in means] if self._of_means else []
        self.outputs = (*(selected.output for selected in self._selected), *deviations)

    @property
    def version(self) -> str:  # type: ignore[override]
        """Of this module and of the engine, whose next versions may give other numbers."""
        engine = importlib.metadata.version("libroadrunner").rpartition(".")[0]
        # 2: fractions of molecules are refused.
        return f"{'2' if self._method == 'ssa' else '1'}, libroadrunner {engine}"

    @property
    def _of_means(self) -> bool:
        return self._method == "ssa" and self._trajectories > 1

    def holding(self, values: Mapping[str, float]) -> Self:
        """Return the model with other values at the start; see `Model.holding`."""
        if not values:
            return self
        held = copy.copy(self)
        # Compiled with the values that were.
        held.__dict__.pop("_engines", None)
        held._values = self._values | {self._settable(name).name: float(value) for name, value in values.items()}
        return held

    def _read(self, path: Path) -> Document:
        return read_document(path)

    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Solve the model; see `Model.solve`."""
        found = {output.name: np.full((len(parameters), *output.shape), np.nan) for output in self.outputs}
        flat = [values.reshape(len(parameters), -1) for values in found.values()]
        reasons = [""] * len(parameters)
        for row, (own, seed) in enumerate(zip(parameters, seeds, strict=True)):
            try:
                solved, reasons[row] = self._solve_one(own, seed)
            except RuntimeError as error:
                reasons[row] = first_line(error)
                continue
            for of_output, values in zip(flat, solved, strict=True):
                of_output[row] = values
        return Solution(found, reasons)

    def sbml_of(self, values: FloatArray) -> str:
        """Return the model as SBML, with the values of one parameter set, (d,), at the start."""
        own = dict(zip(self.space.names, values.tolist(), strict=True))
        return with_values(self.document, {**self._values, **own})

    def _solve_one(self, values: FloatArray, seed: np.uint64) -> tuple[list[FloatArray], str]:
        """Return the values of each output, one after the other, and why one has none."""
        if self._method == "ode":
            return self._run(values, seed), ""
        seeds = split_mix(seed, np.arange(self._trajectories, dtype=np.uint64))
        if not self._of_means:
            return self._run(values, seeds[0]), ""
        told = Trajectories(
            self._trajectories,
            [selected.size for selected in self._selected],
            [k for k, selected in enumerate(self._selected) if selected.is_density],
        )
        for own in seeds:
            told.add(self._run(values, own))
        solved, deviations, reasons = [], [], []
        for k, (selected, mean, deviation) in enumerate(zip(self._selected, told.mean, told.deviation, strict=True)):
            if selected.is_density:
                of_it, reason = density(selected.output.name, told.all_of(k), selected.output.grid)
                solved.append(of_it)
                reasons.append(reason)
            else:
                solved.append(mean)
                deviations.append(deviation)
        return [*solved, *deviations], "; ".join(filter(None, reasons))

    def _run(self, values: FloatArray, seed: np.uint64) -> list[FloatArray]:
        """Return what one trajectory has of each that is selected, (its size,)."""
        found: list[FloatArray] = [np.empty(0)] * len(self._selected)
        for dose, asked in self._asked.items():
            engine = self._engines[dose.parameter if dose else None]
            grid = self._grid if dose is None else self._grid[-1:]
            runs = [(values, seed)]
            if dose is not None:
                seeds = split_mix(seed, np.arange(len(dose.values), dtype=np.uint64))
                runs = [(np.append(values, amount), own) for amount, own in zip(dose.values, seeds, strict=True)]
            parts: dict[int, list[FloatArray]] = {k: [] for together in asked for k in together.places}
            for at, own in runs:
                engine.begin(at)
                for together in asked:
                    if together.steady:
                        rows = engine.steady(together.selections, self._watched, self._steady_within)
                    else:
                        rows = engine.run(together.selections, grid, int(own % np.uint64(_SEEDS)) + 1)
                    for k, row in zip(together.places, rows, strict=True):
                        series = np.atleast_1d(row)
                        parts[k].append(series[-1:] if self._selected[k].is_density else series)
            for k, several in parts.items():
                found[k] = several[0] if len(several) == 1 else np.concatenate(several)
        return found

    @cached_property
    def _asked(self) -> dict[_Dose | None, list[_Together]]:
        """What is asked of the engine: time series together, and steady states together, for each dose."""
        asked: dict[_Dose | None, list[_Together]] = {}
        for dose in dict.fromkeys(selected.dose for selected in self._selected):
            for steady in (False, True):
                of_both = [(k, s) for k, s in enumerate(self._selected) if (s.dose, s.steady) == (dose, steady)]
                if of_both:
                    together = _Together([k for k, _ in of_both], [s.selection for _, s in of_both], steady)
                    asked.setdefault(dose, []).append(together)
        return asked

    @cached_property
    def _engines(self) -> dict[str | None, Engine]:
        """The compiled model of this process, and one for each parameter that is a dose, which they set, too."""
        return {dose: self._engine(dose) for dose in {s.dose.parameter if s.dose else None for s in self._selected}}

    def _engine(self, dose: str | None) -> Engine:
        names = [*self.space.names, *([] if dose is None else [dose])]
        held = {name: value for name, value in self._values.items() if name != dose}
        return Engine(
            prepare(self.document, held, set(names)),
            [self.document.quantities[name] for name in names],
            self._method,
            self._tolerances,
            self._steps,
        )

    @cached_property
    def _watched(self) -> list[str]:
        """What changes and decides on the steady states that are outputs, as the engine calls it."""
        quantities = self.document.quantities
        steady = {selected.quantity for selected in self._selected if selected.steady}
        changing = [quantities[name] for name in sorted(decisive(self.document, steady)) if name in quantities]
        return [
            selection_of(quantity) for quantity in changing if quantity.kind != "reaction" and not quantity.constant
        ]

    def _settable(self, name: str) -> Quantity:
        quantity = self._quantity(name, "")
        if not quantity.settable:
            why = "is a rate" if quantity.kind == "reaction" else "follows from others"
            raise InputError(f"model '{self.name}': '{name}' {why}, and has no value to set; vary what it follows from")
        return quantity

    def _quantity(self, name: str, where: str) -> Quantity:
        try:
            return self.document.quantities[name]
        except (KeyError, TypeError):
            names = list(self.document.quantities)
            shown = ", ".join(names[:30]) + (f", … ({len(names)})" if len(names) > 30 else "")
            raise InputError(
                f"model '{self.name}'{where}: no '{name}'{nearest(str(name), names)} (valid: {shown})"
            ) from None

    def _parameters(self, vary: Sequence[str] | Mapping[str, Any] | None) -> Iterator[Parameter]:
        """Yield what varies, with its range."""
        if vary is None:
            constants = [q for q in self.document.of_kind("parameter") if q.constant and q.settable]
            vary = [q.name for q in constants if math.isfinite(q.value) and q.value != 0]
            if not vary:
                raise InputError(
                    f"model '{self.name}': has no constant parameter that is not 0; say what is to vary (vary)"
                )
        ranges = vary if isinstance(vary, Mapping) else dict.fromkeys(vary)
        for name, given in ranges.items():
            quantity = self._settable(name)
            fields = _range(self.name, quantity, given)
            yield Parameter(name, unit=quantity.unit, meaning=_meaning(quantity), **fields)

    def _outputs(self, outputs: Sequence[str] | Mapping[str, Any] | None) -> Iterator[_Selected]:
        """Yield the outputs."""
        if outputs is None:
            outputs = self._shown()
            if not outputs:
                raise InputError(
                    f"model '{self.name}': has no species that changes; say what its outputs are (outputs)"
                )
        if isinstance(outputs, str):
            raise InputError(f"model '{self.name}': outputs is text; write a list, [{outputs}]")
        named = outputs if isinstance(outputs, Mapping) else {name: name for name in outputs}
        for name, given in named.items():
            about = dict(given) if isinstance(given, Mapping) else {"of": given}
            check_keys(f"model '{self.name}', output '{name}'", about, _SPECIAL)
            yield self._output(str(name), about)

    def _shown(self) -> list[str]:
        """Return the names of what comes out where nothing is said."""
        return [quantity.name for quantity in self.document.of_kind("species") if not quantity.constant]

    def _output(self, name: str, about: dict[str, Any]) -> _Selected:
        of = str(about.get("of", name))
        call = _CALL.fullmatch(of)
        where = f"model '{self.name}', output '{name}'"
        quantity = self._quantity(call[2] if call else of, f", output '{name}'")
        if call and quantity.kind != "species":
            raise InputError(f"{where}: {call[1]}(…) is of a species, and {of} is none")
        in_amounts = call[1] == "amount" if call else quantity.in_amounts
        selection = selection_of(replace(quantity, in_amounts=in_amounts))
        positive = quantity.kind in ("species", "compartment", "observable")
        same = quantity.kind != "species" or in_amounts == quantity.in_amounts
        unit = about.get("unit", quantity.unit if same else "")
        if "density" in about:
            output = self._density(where, name, of, about, unit)
            return _Selected(output, quantity.name, selection, is_density=True)
        dose = self._dose(f"{where}, dose", about["dose"]) if "dose" in about else None
        steady = self._is_steady(where, about, quantity.name)
        if dose is not None:
            doses = self.document.quantities[dose.parameter]
            grid: Mapping[str, Any] = {"grid": dose.values, "grid_name": doses.name, "grid_unit": doses.unit}
        elif steady:
            grid = {}
        else:
            grid = {"grid": self._grid, "grid_name": "time", "grid_unit": self.document.time_unit}
        output = Output(
            name,
            **grid,
            unit=unit,
            scale=about.get("scale", "peak" if positive and grid else "linear"),
            floor=float(about.get("floor", 0.0)),
        )
        return _Selected(output, quantity.name, selection, steady, dose)

    def _is_steady(self, where: str, about: Mapping[str, Any], of: str) -> bool:
        """Return whether an output is a steady state, which there has to be."""
        given = about.get("steady", False)
        if not isinstance(given, bool):
            raise InputError(f"{where}: steady is true or false, not {given!r}")
        if "at" in about:
            if "dose" not in about or about["at"] not in ("end", "steady") or "steady" in about:
                raise InputError(f"{where}: 'at' is end or steady, goes with a dose, and takes the place of 'steady'")
            given = about["at"] == "steady"
        elif "dose" in about and "steady" in about:
            raise InputError(f"{where}: with a dose, say at: steady")
        if given and self._method == "ssa":
            raise InputError(f"{where}: a single trajectory has no steady state; take method: ode")
        if given:
            self._refuse_what_is_never_steady(where, of)
        return given

    def _refuse_what_is_never_steady(self, where: str, of: str) -> None:
        if TIME in decisive(self.document, {of}):
            raise InputError(
                f"{where}: {of} depends on time itself, so that it has no steady state; take its value at the end of "
                "a time series"
            )

    def _dose(self, where: str, given: Any) -> _Dose:
        keys = ("parameter", "low", "high", "points", "scale")
        if not isinstance(given, Mapping) or not {"parameter", "low", "high"} <= set(given):
            raise InputError(f"{where}: give parameter, low and high, and points and scale if need be")
        check_keys(where, given, keys)
        name = self._settable(given["parameter"]).name
        if name in self.space.names:
            raise InputError(f"{where}: {name} varies; leave it out of 'vary', or the dose out")
        low, high, points = given["low"], given["high"], given.get("points", 21)
        scale = _one_of(self.name, "scale of a dose", given.get("scale", "log"), ("log", "linear"))
        if any(isinstance(end, bool) or not isinstance(end, int | float) for end in (low, high, points)):
            raise InputError(f"{where}: {low!r} … {high!r}, points {points!r} are not numbers")
        if not (math.isfinite(low) and low < high < math.inf) or (scale == "log" and low <= 0):
            raise InputError(f"{where}: {low:g} … {high:g} is no range{' above 0' if scale == 'log' else ''}")
        if points != int(points) or not 2 <= points <= 10**4:
            raise InputError(f"{where}: points = {points} is not a whole number from 2 to 10,000")
        values = (np.geomspace if scale == "log" else np.linspace)(float(low), float(high), int(points))
        return _Dose(name, tuple(values.tolist()))

    def _density(self, where: str, name: str, of: str, about: dict[str, Any], unit: str) -> Output:
        """Return an output that is a density."""
        if not self._of_means:
            raise InputError(f"{where}: a density is over trajectories; take method: ssa, and trajectories")
        if others := sorted({"steady", "dose", "at"} & about.keys()):
            raise InputError(f"{where}: a density is of the values at the end, without {', '.join(others)}")
        points = points_of(where, about["density"])
        if points is None or points.ndim != 1 or len(points) < 2:
            raise InputError(
                f"{where}: density has the values at which it is told, two or more; give start, end, points"
            )
        return Output(
            name,
            points,
            unit=f"1/{unit}" if unit else "",
            grid_name=of,
            grid_unit=unit,
            scale=about.get("scale"),
            floor=float(about.get("floor", 0.0)),
            view="density",
        )


def _deviation(output: Output) -> Output:
    return replace(output, name=f"sd of {output.name}", scale="linear")


def _meaning(quantity: Quantity) -> str:
    words = quantity.meaning if quantity.meaning != quantity.name else ""
    of_start = {"species": "initial value", "compartment": "size"}.get(quantity.kind, "")
    return f"{of_start} of {words}" if of_start and words else words or of_start


def _range(model: str, quantity: Quantity, given: Any) -> dict[str, Any]:
    """Return the fields of a parameter that say its range."""
    where = f"model '{model}': vary '{quantity.name}'"
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


def _grid(model: str, start: float, end: float, points: int) -> FloatArray:
    if not (math.isfinite(start) and math.isfinite(end) and 0 <= start < end):
        raise InputError(f"model '{model}': start {start:g}, end {end:g}: time goes from 0 or later to a later end")
    if points != int(points) or not 2 <= points <= 10**6:
        raise InputError(f"model '{model}': points = {points} is not a whole number from 2 to a million")
    return np.linspace(float(start), float(end), int(points))


def _until(model: str, steady_within: float | None, end: float) -> float:
    if steady_within is None:
        return STEADY_WITHIN * float(end)
    if isinstance(steady_within, bool) or not (isinstance(steady_within, int | float) and 0 < steady_within < math.inf):
        raise InputError(f"model '{model}': steady_within = {steady_within!r} is no time above 0")
    return float(steady_within)


def _positive(model: str, name: str, value: int) -> int:
    if value != int(value) or value < 1:
        raise InputError(f"model '{model}': {name} = {value} is not a whole number above 0")
    return int(value)


def _one_of(model: str, name: str, value: Any, valid: Sequence[str]) -> Any:
    if value not in valid:
        raise InputError(
            f"model '{model}': no {name} '{value}'{nearest(str(value), valid)} (valid: {', '.join(valid)})"
        )
    return value
