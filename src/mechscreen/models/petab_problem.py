"""Problems of parameter estimation in PEtab's tables (Schmiester et al. 2021), version 1, read and refused by name.

What the tables say becomes experiments (what is simulated), series (which observable is compared, at which times) and
measurements (values, and their noise). Nothing is simulated here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml
from numpy.typing import NDArray

from mechscreen.errors import InputError, unreadable
from mechscreen.models.outputs import FloatArray
from mechscreen.models.petab_formulas import Formula, read_formula
from mechscreen.models.petab_likelihood import Distribution, Transformation
from mechscreen.models.petab_parameters import PetabParameter, read_parameters
from mechscreen.models.sbml_document import Document, read_document

Value = float | str
"""A number, or the name of an estimated parameter."""

_TABLES = ("condition_files", "measurement_files", "observable_files")
_PICTURES = "visualization_files"


@dataclass(frozen=True)
class Experiment:
    """A simulation: which values the model begins with, and when it is looked at.

    Attributes
    ----------
    name
        Of its condition; with what it was at rest in before, where the condition was simulated from several states.
    before
        Values of the model in which it comes to rest first; None where it begins at the model's initial values.
    settings
        Values of the model at time 0, beside the estimated parameters of its own. After `before`, what is not named
        stays as it is.
    times
        (T,), ascending.
    rest
        Whether it is looked at a last time when it has come to rest.
    """

    name: str
    before: Mapping[str, Value] | None
    settings: Mapping[str, Value]
    times: FloatArray
    rest: bool

    @property
    def looks(self) -> int:
        """How often the model is looked at."""
        return len(self.times) + self.rest


@dataclass(frozen=True)
class Series:
    """An observable in an experiment.

    Attributes
    ----------
    name
        ``observable.condition``.
    replaced
        What stands for names of its formula that are no quantity of the model.
    places
        At which of the experiment's looks, (points,).
    times
        (points,), infinite where it is at rest.
    least
        The least value that was measured.
    """

    name: str
    observable: str
    experiment: int
    formula: Formula
    transformation: Transformation
    replaced: Mapping[str, Value]
    places: NDArray[np.int64]
    times: FloatArray
    least: float


@dataclass(frozen=True)
class Measurements:
    """Measurements of a series with noise by one formula.

    Attributes
    ----------
    series
        Which it is.
    places
        Of its points, (m,).
    values
        What was measured, (m,).
    rows
        Numbers of the rows of the measurement table, (m,).
    noise, replaced
        Formula of the noise, and what stands for names of it that are no quantity of the model.
    """

    series: int
    places: NDArray[np.int64]
    values: FloatArray
    rows: NDArray[np.int64]
    noise: Formula
    replaced: Mapping[str, Value]
    distribution: Distribution


@dataclass(frozen=True)
class Problem:
    """A problem of parameter estimation.

    Attributes
    ----------
    files
        All beside the problem's own that say something of it, as it names them.
    parameters
        Of the parameter table, by name.
    """

    path: Path
    files: tuple[str, ...]
    document: Document
    parameters: Mapping[str, PetabParameter]
    experiments: tuple[Experiment, ...]
    series: tuple[Series, ...]
    measurements: tuple[Measurements, ...]

    @property
    def held(self) -> dict[str, float]:
        """What the parameter table says of the model and does not estimate."""
        return {
            name: parameter.nominal
            for name, parameter in self.parameters.items()
            if not parameter.estimated and name in self.document.quantities
        }

    @property
    def knows_noise(self) -> bool:
        """Whether the noise of all measurements is given, and follows from nothing that is estimated or simulated."""
        return all(
            set(group.noise.names) <= group.replaced.keys()
            and not any(isinstance(value, str) for value in group.replaced.values())
            for group in self.measurements
        )


def read_problem(path: Path) -> Problem:
    """Read a problem from its YAML file.

    Raises
    ------
    InputError
        If it is none, or has what cannot be simulated, which is named.
    """
    files = files_of(path)
    problem = _by_petab(path, files)
    document = read_document(path.parent / next(file for kind, file in files if kind == "sbml_files"))
    reader = _Reader(path, problem, document)
    return Problem(
        path=path,
        files=tuple(file for kind, file in files if kind != _PICTURES),
        document=document,
        parameters=reader.parameters,
        experiments=tuple(reader.experiments()),
        series=tuple(reader.series()),
        measurements=tuple(reader.measurements()),
    )


def files_of(path: Path) -> list[tuple[str, str]]:
    """Return the files that a problem's YAML names, each with the key by which it does; tables of figures, too.

    Raises
    ------
    InputError
        If it is no problem of version 1 with one model and one set of tables.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise unreadable(path, error, "give the YAML file of a PEtab problem") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: not YAML ({' '.join(str(error).split())[:200]})") from None
    if not isinstance(content, dict) or "format_version" not in content or "problems" not in content:
        raise InputError(f"{path}: is no PEtab problem; it lacks format_version or problems")
    if not re.fullmatch(r"v?1(\.\d+)*", str(content["format_version"])):
        raise InputError(f"{path}: is of PEtab version {content['format_version']}; version 1 alone is read")
    if content.get("extensions"):
        raise InputError(f"{path}: uses extensions of PEtab ({', '.join(content['extensions'])}), which are not known")
    problems = content["problems"]
    if not isinstance(problems, list) or len(problems) != 1 or not isinstance(problems[0], dict):
        raise InputError(f"{path}: holds several problems or none; write a file for each")
    parts = problems[0]
    if parts.get("mapping_files"):
        raise InputError(f"{path}: has mapping_files, which are not read; name the model's own entities in the tables")
    table = content.get("parameter_file")
    if not isinstance(table, str):
        raise InputError(f"{path}: parameter_file is {table!r}; name one table")
    found = [("parameter_file", table)]
    for key in ("sbml_files", *_TABLES):
        named = parts.get(key) or []
        if not isinstance(named, list) or not named:
            raise InputError(f"{path}: has no {key}; list them")
        found += [(key, file) for file in named]
    found += [(_PICTURES, file) for file in parts.get(_PICTURES) or []]
    if len(parts["sbml_files"]) > 1:
        raise InputError(f"{path}: has several models ({', '.join(map(str, parts['sbml_files']))}); one alone is read")
    if strange := [file for _, file in found if not isinstance(file, str) or "://" in file]:
        raise InputError(f"{path}: names {strange[0]}, which is no path on this machine")
    names = [Path(file).name for _, file in found]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise InputError(f"{path}: has several files of one name ({', '.join(double)}); rename them")
    return found


def _by_petab(path: Path, files: list[tuple[str, str]]) -> Any:
    """Return the problem as the `petab` library has it, checked by it; without tables of figures."""
    from petab.v1 import Problem as PetabProblem
    from petab.v1 import lint

    named = {key: [file for kind, file in files if kind == key] for key in ("sbml_files", *_TABLES)}
    table = next(file for kind, file in files if kind == "parameter_file")
    try:
        problem = PetabProblem.from_yaml(
            {"format_version": 1, "parameter_file": table, "problems": [named]}, base_path=str(path.parent)
        )
        lint.check_condition_df(problem.condition_df, model=problem.model, observable_df=problem.observable_df)
        lint.check_observable_df(problem.observable_df)
        lint.check_measurement_df(problem.measurement_df, problem.observable_df)
        lint.assert_measurement_conditions_present_in_condition_table(problem.measurement_df, problem.condition_df)
        lint.check_parameter_df(
            problem.parameter_df, problem.model, problem.observable_df, problem.measurement_df, problem.condition_df
        )
        lint.assert_model_parameters_in_condition_or_parameter_table(
            problem.model, problem.condition_df, problem.parameter_df
        )
    except OSError as error:
        raise unreadable(Path(error.filename or path), error, f"{path} names it") from None
    except ImportError:
        raise
    except Exception as error:
        # Its checks raise what their parts do.
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise InputError(f"{path}: not a valid PEtab problem ({reason})") from None
    return problem


class _Reader:
    """Reads the tables."""

    def __init__(self, path: Path, problem: Any, document: Document) -> None:
        self._path = path
        self._problem = problem
        self._document = document
        self.parameters = {p.name: p for p in read_parameters(problem.parameter_df, path)}
        for name in self.parameters:
            if name in document.quantities and not document.quantities[name].settable:
                raise InputError(f"{path}: parameter '{name}' follows from a rule of the model; it cannot be set")
        self._rows = list(self._read_rows())
        self._formulas = {
            (observable, key): read_formula(row.get(key), f"{path}: observable '{observable}', {key}")
            for observable, row in problem.observable_df.iterrows()
            for key in ("observableFormula", "noiseFormula")
        }
        # Of each, in the order in which the measurements come to them.
        self._conditions = list(dict.fromkeys(row.condition for row in self._rows))
        self._keys = list(dict.fromkeys(row.series for row in self._rows))

    def experiments(self) -> Iterator[Experiment]:
        for condition in self._conditions:
            before, simulated = condition
            times = {row.time for row in self._rows if row.condition == condition}
            if before and self._problem.model.sbml_model.getNumEvents():
                raise InputError(
                    f"{self._path}: condition '{simulated}' is preequilibrated, and the model has events; which of "
                    "them happened before is not said, so that this is not simulated"
                )
            yield Experiment(
                name=self._name(condition),
                before=self._settings(before, bool(before)) if before else None,
                settings=self._settings(simulated, bool(before)),
                times=np.array(sorted(times - {math.inf})),
                rest=math.inf in times,
            )

    def series(self) -> Iterator[Series]:
        names: list[str] = []
        for key in self._keys:
            rows = [row for row in self._rows if row.series == key]
            times = np.array(sorted({row.time for row in rows}))
            condition, observable = rows[0].condition, rows[0].observable
            looked = sorted({row.time for row in self._rows if row.condition == condition})
            formula = self._formulas[observable, "observableFormula"]
            names.append(self._series_name(key, names))
            replaced = self._replaced(formula, rows[0], "observable")
            if "time" in formula.names and not np.isfinite(times).all():
                raise InputError(
                    f"{self._path}: observable '{observable}' depends on time, and has measurements at rest"
                )
            yield Series(
                name=names[-1],
                observable=observable,
                experiment=self._conditions.index(condition),
                formula=formula,
                transformation=self._of_observable(observable, "observableTransformation", get_args(Transformation)),
                replaced=replaced,
                places=np.array([looked.index(time) for time in times]),
                times=times,
                least=min(row.value for row in rows),
            )

    def measurements(self) -> Iterator[Measurements]:
        for number, key in enumerate(self._keys):
            of_series = [row for row in self._rows if row.series == key]
            times = sorted({row.time for row in of_series})
            for noise in dict.fromkeys(row.noise for row in of_series):
                rows = [row for row in of_series if row.noise == noise]
                formula = self._formulas[rows[0].observable, "noiseFormula"]
                yield Measurements(
                    series=number,
                    places=np.array([times.index(row.time) for row in rows]),
                    values=np.array([row.value for row in rows]),
                    rows=np.array([row.number for row in rows]),
                    noise=formula,
                    replaced=self._replaced(formula, rows[0], "noise"),
                    distribution=self._of_observable(rows[0].observable, "noiseDistribution", get_args(Distribution)),
                )

    def _read_rows(self) -> Iterator[_Row]:
        from petab.v1.measurements import split_parameter_replacement_list

        for number, (_, row) in enumerate(self._problem.measurement_df.iterrows()):
            before = row.get("preequilibrationConditionId")
            found = _Row(
                number=number,
                observable=str(row["observableId"]),
                condition=(before if isinstance(before, str) and before else "", str(row["simulationConditionId"])),
                time=float(row["time"]),
                value=float(row["measurement"]),
                parameters=tuple(split_parameter_replacement_list(row.get("observableParameters"))),
                noise=tuple(split_parameter_replacement_list(row.get("noiseParameters"))),
            )
            where = f"{self._path}: measurement table, row {number + 1}"
            if not found.time >= 0 or not math.isfinite(found.value):
                raise InputError(
                    f"{where}: measurement {found.value:g} at time {found.time:g}; give a number, from time 0"
                )
            transformation = self._of_observable(found.observable, "observableTransformation", get_args(Transformation))
            if transformation != "lin" and found.value <= 0:
                raise InputError(f"{where}: {found.value:g} has no {transformation}, which '{found.observable}' takes")
            yield found

    def _of_observable(self, observable: str, column: str, valid: tuple[str, ...]) -> Any:
        """Return what the observable table says in a column; the first of the valid words where it says nothing."""
        value = self._problem.observable_df.loc[observable].get(column)
        value = value if isinstance(value, str) and value else valid[0]
        if value not in valid:
            raise InputError(
                f"{self._path}: observable '{observable}': {column} {value} is not computed (valid: {', '.join(valid)})"
            )
        return value

    def _value(self, value: Any, where: str) -> Value:
        """Return a number, or a parameter that is estimated, of what stands in a table."""
        from petab.v1.core import to_float_if_float

        value = to_float_if_float(value)
        if not isinstance(value, str):
            return float(value)
        if value not in self.parameters:
            raise InputError(f"{self._path}: {where}: '{value}' is neither a number nor in the parameter table")
        parameter = self.parameters[value]
        return value if parameter.estimated else parameter.nominal

    def _settings(self, condition: str, from_rest: bool) -> dict[str, Value]:
        """Return the values that a condition gives the model."""
        found: dict[str, Value] = {}
        for name, quantity, value in self._cells(condition):
            where = f"condition '{condition}'"
            if name in self.parameters:
                raise InputError(f"{self._path}: '{name}' stands in the condition table and in the parameter table")
            if quantity is None:
                continue
            if not quantity.settable:
                raise InputError(f"{self._path}: {where}: '{name}' follows from a rule of the model; it cannot be set")
            given = not (isinstance(value, float) and math.isnan(value))
            if given and from_rest and quantity.kind == "compartment":
                raise InputError(
                    f"{self._path}: {where}: sets the size of '{name}' where it is preequilibrated; not done"
                )
            if given:
                found[name] = value
            elif not self._problem.model.is_state_variable(name):
                # A parameter that is left out is as the model says, after a preequilibration with another value, too.
                if not math.isfinite(quantity.value):
                    raise InputError(f"{self._path}: {where}: gives '{name}' no value, and the model has none to take")
                found[name] = quantity.value
        return found

    def _cells(self, condition: str) -> Iterator[tuple[str, Any, Value]]:
        """Yield what a condition says: of what, the model's quantity of that name or None, the value or NaN."""
        row = self._problem.condition_df.loc[condition]
        for name, value in row.items():
            if name != "conditionName":
                yield str(name), self._document.quantities.get(name), self._value(value, f"condition '{condition}'")

    def _replaced(self, formula: Formula, row: _Row, kind: str) -> dict[str, Value]:
        """Return what stands for the names of a formula that are no quantities of the model."""
        overrides = row.parameters if kind == "observable" else row.noise
        own = {f"{kind}Parameter{k}_{row.observable}": value for k, value in enumerate(overrides, 1)}
        of_condition = {name: value for name, quantity, value in self._cells(row.condition[1]) if quantity is None}
        found: dict[str, Value] = {}
        where = f"observable '{row.observable}', {kind} formula"
        for name in formula.names:
            if name in own:
                found[name] = self._value(own[name], f"measurement table, row {row.number + 1}")
            elif name != "time" and name not in self._document.quantities:
                value = found[name] = self._value(of_condition.get(name, name), where)
                if isinstance(value, float) and math.isnan(value):
                    raise InputError(f"{self._path}: condition '{row.condition[1]}' gives '{name}' no value; give one")
        return found

    def _name(self, condition: tuple[str, str]) -> str:
        before, simulated = condition
        several = len([other for other in self._conditions if other[1] == simulated]) > 1
        return f"{simulated}.after_{before or 'nothing'}" if several else simulated

    def _series_name(self, key: tuple[Any, ...], taken: list[str]) -> str:
        """Return a name that expressions can speak of, and that no other series has."""
        observable, condition, overrides, at_rest = key
        name = f"{observable}.{self._name(condition)}"
        others = {other[2] for other in self._keys if other[:2] == key[:2]}
        if len(others) > 1:
            words = "_".join(re.sub(r"\W", "_", str(value)) for value in overrides)
            name += f".with_{words or 'nothing'}"
        name += ".at_rest" if at_rest else ""
        while name in taken:
            name += "_"
        return name


@dataclass(frozen=True)
class _Row:
    """A measurement as it stands in the table."""

    number: int
    observable: str
    condition: tuple[str, str]
    """What it was preequilibrated in, or "", and what it was simulated in."""
    time: float
    value: float
    parameters: tuple[Value, ...]
    noise: tuple[Value, ...]

    @property
    def series(self) -> tuple[Any, ...]:
        return self.observable, self.condition, self.parameters, math.isinf(self.time)
