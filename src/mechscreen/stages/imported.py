"""Simulations that people bring along: tables of parameters and outputs, checked against a campaign.

They are for training alone, as selected ones are: the split never moves, and errors are those of a random sample. What
is said of the space (class shares, the unit of errors) leaves them out.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.errors import InputError, nearest, unreadable
from mechscreen.labels import SAMPLE, Labels, columns_of, table_names
from mechscreen.models.outputs import Status
from mechscreen.schemas.model import ModelArrays
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.spaces import Parameter, ParameterSpace
from mechscreen.tables import Table, known_by, known_names, read_table
from mechscreen.tables import tell as tell_of
from mechscreen.tables.names import listed

FIRST = 10**9
"""Number of the first imported simulation; a campaign's own have smaller ones (`SimulationsSection.count`)."""

_TEXTS = (".csv", ".tsv", ".tab", ".txt", ".dat")
_NOT_FINITE = ("nan", "inf", "infinity")
_MOST_TOLD = 10
_SLACK = 1e-9
"""By which a value may leave its range, relative to its size: rounding."""
_SAME = 1e-6
"""Of the ranges: parameter sets that are nearer to each other are the same, whatever digits a table has."""


@dataclass(frozen=True)
class Imported:
    """Simulations that were brought along, n in all, as the training set has its own.

    Attributes
    ----------
    parameters, profiles, log_peaks
        As in `mechscreen.schemas.simulations.SimulationFile`.
    failed
        How many more there were that had failed, in a file that says so.
    """

    parameters: NDArray[np.float64]
    profiles: NDArray[np.float32]
    log_peaks: NDArray[np.float64]
    failed: int = 0

    def __len__(self) -> int:
        return len(self.parameters)

    def of(self, campaign: Campaign, parameters: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Return which of them have the parameters of one of m samples, (m, d): whether each is one, (n,).

        Where no parameter is continuous, samples are alike by chance, and none is taken for another.
        """
        from scipy.spatial import cKDTree

        space = campaign.space
        if not len(self) or not len(parameters) or not any(_is_continuous(p) for p in space):
            return np.zeros(len(self), bool)
        tree = cKDTree(space.normalise(parameters))
        distance, _ = tree.query(space.normalise(self.parameters), p=np.inf, distance_upper_bound=_SAME)
        return np.asarray(distance <= _SAME)

    def take(self, chosen: NDArray[np.bool_]) -> dict[str, NDArray[Any]]:
        """Return the arrays of some of them, and their numbers, as a file of the training set has them."""
        return {
            "index": FIRST + np.flatnonzero(chosen),
            "parameters": self.parameters[chosen],
            "profiles": self.profiles[chosen],
            "log_peaks": self.log_peaks[chosen],
        }


def read_imported(campaign: Campaign, tables: Sequence[str | Path] | None = None) -> list[Imported]:
    """Read and check tables of simulations: those of ``simulations.imported``, unless others are given.

    A table in text (`mechscreen.tables`) has a column for each parameter that varies, by its name, and the columns of
    each output (`mechscreen.labels`); a column ``sample`` is passed over. NPZ and HDF5 files have ``parameters``
    (n, d), ``parameter_names`` (d,), and each output by its name, (n, *its shape); axes, where they stand there, are
    compared. All values are in the model's units. A file that `mechscreen simulate` wrote is one, too; what failed
    there is left out.

    Raises
    ------
    InputError
        If a table cannot be read, has other columns, or has rows that are no simulations of the campaign's model within
        its ranges, or that stand there twice: the first of them by their number, and what is wrong with each.
    """
    seen: dict[bytes, str] = {}
    given = campaign.simulations.imported if tables is None else tables
    return [_checked(campaign, Path(table), _read(campaign, Path(table)), seen) for table in given]


def together(campaign: Campaign) -> Imported:
    """Return all that a campaign imports, one table after the other; raises as `read_imported`."""
    found = read_imported(campaign)
    outputs = campaign.outputs
    return Imported(
        np.concatenate([np.empty((0, len(campaign.space))), *(one.parameters for one in found)]),
        np.concatenate([np.empty((0, *outputs.shape), np.float32), *(one.profiles for one in found)]),
        np.concatenate([np.empty((0, len(outputs))), *(one.log_peaks for one in found)]),
        sum(one.failed for one in found),
    )


def _is_continuous(parameter: Parameter) -> bool:
    return not (parameter.fixed or parameter.discrete or parameter.levels is not None)


@dataclass(frozen=True)
class _Table:
    """What a file says, n rows.

    Attributes
    ----------
    names, parameters
        Of the columns of ``parameters``, (n, d).
    raw
        (n, *`Outputs.shape`), in the model's units.
    place
        Row → where it stands: ``line 7``.
    failed
        Rows that say that they failed, which were left out.
    """

    names: Sequence[str]
    parameters: NDArray[np.float64]
    raw: NDArray[np.float64]
    place: Callable[[int], str]
    failed: int = 0


def _read(campaign: Campaign, path: Path) -> _Table:
    readers = dict.fromkeys(_TEXTS, _from_text) | {".npz": _from_npz, ".h5": _from_hdf5, ".hdf5": _from_hdf5}
    suffix = path.suffix.lower()
    if suffix not in readers:
        raise InputError(f"{path}: simulations are read from {', '.join(readers)}; give one of these")
    return readers[suffix](campaign, path)


def _from_text(campaign: Campaign, path: Path) -> _Table:
    space, outputs = campaign.space, campaign.outputs
    shown = table_names(space, outputs)
    of_outputs = [c for label, o in zip(shown, outputs, strict=True) for c in columns_of(label, o.shape)]
    units = {parameter.name: parameter.unit for parameter in space}
    units |= {c: o.unit for label, o in zip(shown, outputs, strict=True) for c in columns_of(label, o.shape)}
    units.setdefault(SAMPLE, "")
    table = read_table(path, known_by(units), f"its first row names the columns: {listed(list(units))}")
    names = known_names(table, units)
    _check_names(f"{path}, line {table.head}", "column", names, list(units), [*_varied(space), *of_outputs])
    if not len(table):
        raise InputError(f"{path}: has a header but no simulations; add a row of values for each")
    tell_of(table)
    places = {name: place for place, name in enumerate(names)}
    parameters = [name for name in space.names if name in places]
    return _Table(
        parameters,
        _stacked([_values(table, places[name], space[name].categories) for name in parameters], len(table)),
        _stacked([_values(table, places[name]) for name in of_outputs], len(table)).reshape(-1, *outputs.shape),
        lambda i: f"line {table.lines[i]}",
    )


def _values(table: Table, column: int, categories: Sequence[str] = ()) -> NDArray[np.float64]:
    """Return the values of a column; ``nan`` and ``inf`` are for the check to find."""
    found = {text: float(text) for text in table.texts(column) if text.lower().lstrip("+-") in _NOT_FINITE}
    found |= {category: float(place) for place, category in enumerate(categories)}
    return table.numbers(column, found, "; give simulations that have all values")


def _stacked(columns: Sequence[NDArray[np.float64]], n: int) -> NDArray[np.float64]:
    return np.array(columns).reshape(len(columns), n).T


def _from_npz(campaign: Campaign, path: Path) -> _Table:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except OSError as error:
        raise unreadable(path, error, "give an NPZ file") from None
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, AttributeError) as error:
        raise InputError(f"{path}: is no NPZ file of plain arrays ({' '.join(str(error).split())[:200]})") from None
    return _from_arrays(campaign, path, arrays)


def _from_hdf5(campaign: Campaign, path: Path) -> _Table:
    import h5py

    try:
        with path.open("rb"):
            pass
        with h5py.File(path, "r", locking=False) as file:
            ours = file.attrs.get("kind") in (SimulationFile.kind, SimulationFile.kind.encode())
            arrays = {} if ours else {name: item[()] for name, item in file.items() if isinstance(item, h5py.Dataset)}
    except OSError as error:
        if error.errno is not None:
            raise unreadable(path, error, "give an HDF5 file") from None
        raise InputError(f"{path}: is no HDF5 file ({' '.join(str(error).split())[:200]})") from None
    return _from_simulations(campaign, path) if ours else _from_arrays(campaign, path, arrays)


def _from_arrays(campaign: Campaign, path: Path, arrays: Mapping[str, Any]) -> _Table:
    space, outputs = campaign.space, campaign.outputs
    labels = Labels(outputs)
    needed = ["parameters", "parameter_names", *labels.names]
    _check_names(str(path), "array", list(arrays), [*needed, SAMPLE, *labels.axes], needed)
    for name, (_, points) in labels.axes.items():
        if name in arrays and not np.array_equal(arrays[name], points):
            raise InputError(f"{path}: its axis '{name}' is another than the model's, and so are its outputs")
    names = [n.decode() if isinstance(n, bytes) else str(n) for n in np.ravel(arrays["parameter_names"]).tolist()]
    _check_names(f"{path}, parameter_names", "parameter", names, space.names, _varied(space))
    parameters = _floats(path, "parameters", arrays["parameters"])
    n = len(parameters) if parameters.ndim else 0
    if parameters.shape != (n, len(names)):
        raise InputError(f"{path}: 'parameters' has shape {parameters.shape}; expected (n, {len(names)})")
    if not n:
        raise InputError(f"{path}: has no simulations")
    parts = [_floats(path, name, arrays[name]) for name in labels.names]
    for label, output, part in zip(labels.names, outputs, parts, strict=True):
        if part.shape != (n, *output.shape):
            raise InputError(f"{path}: '{label}' has shape {part.shape}; expected {(n, *output.shape)}")
    return _Table(names, parameters, outputs.join(parts, n), lambda i: f"row {i}")


def _floats(path: Path, name: str, values: Any) -> NDArray[np.float64]:
    array = np.asarray(values)
    if array.dtype.kind not in "biuf":
        raise InputError(f"{path}: '{name}' holds no numbers (type {array.dtype})")
    return array.astype(np.float64)


def _from_simulations(campaign: Campaign, path: Path) -> _Table:
    """Read what `mechscreen simulate` wrote, a shard or a table."""
    found = SimulationFile.read(path)
    outputs = campaign.outputs
    expected, about = ModelArrays.of(campaign), found.about
    for what in ("output_names", "output_units", "output_scales", "grid", "output_shapes"):
        here, there = getattr(expected, what), getattr(about, what)
        if (here is None) != (there is None) or (here is not None and not np.array_equal(here, there)):
            raise InputError(f"{path}: is of another model: its {what} differ from the campaign's")
    names = about.parameter_names.tolist()
    _check_names(f"{path}, parameter_names", "parameter", names, campaign.space.names, _varied(campaign.space))
    rows = np.flatnonzero(found.status == Status.OK)
    if not len(rows):
        raise InputError(f"{path}: all of its {len(found.status)} simulations failed")
    values = outputs.by_name(found.profiles[rows].astype(np.float64), found.log_peaks[rows])
    raw = outputs.join(values, len(rows))
    return _Table(names, found.parameters[rows], raw, lambda i: f"row {rows[i]}", len(found.status) - len(rows))


def _varied(space: ParameterSpace) -> list[str]:
    return [parameter.name for parameter in space if not parameter.fixed]


def _check_names(where: str, what: str, names: Sequence[str], known: Sequence[str], needed: Sequence[str]) -> None:
    """See that names are known, stand there once, and that none that is needed is missing."""
    for name in names:
        if name not in known:
            told = f"no {what} {name!r} in this campaign{nearest(name, known)}" if name else f"a {what} has no name"
            raise InputError(f"{where}: {told} (there are {listed(known)})")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{where}: {what} '{twice}' stands there {names.count(twice)} times; keep one")
    have = set(names)
    if missing := [name for name in needed if name not in have]:
        raise InputError(f"{where}: lacks the {what}{'s' if len(missing) > 1 else ''} {listed(missing)}")


def _checked(campaign: Campaign, path: Path, table: _Table, seen: dict[bytes, str]) -> Imported:
    """Return the simulations of a table, if all can be taken; note in `seen` which there are, and where."""
    space, outputs = campaign.space, campaign.outputs
    n = len(table.parameters)
    parameters = np.tile(space.low, (n, 1))
    parameters[:, [space.names.index(name) for name in table.names]] = table.parameters
    profiles, log_peaks, status, reasons = outputs.scaled(table.raw)
    with np.errstate(over="ignore"):
        stored = profiles.astype(np.float32)
    wrong: dict[int, str] = {}
    for i, why in _problems(space, parameters):
        wrong.setdefault(i, why)
    for i in np.flatnonzero(status != Status.OK).tolist():
        wrong.setdefault(i, reasons[i])
    for i in np.flatnonzero(~np.isfinite(outputs.side_by_side(stored)).all(axis=1)).tolist():
        wrong.setdefault(i, "a value is too large for single precision")
    for i, row in enumerate(np.concatenate([parameters, outputs.side_by_side(table.raw)], axis=1)):
        key = hashlib.blake2b(row.tobytes(), digest_size=16).digest()
        if key in seen:
            wrong.setdefault(i, f"is {seen[key]} once more, parameters and outputs; give each simulation once")
        seen.setdefault(key, f"{table.place(i)} of {path}")
    if wrong:
        told = "; ".join(f"{table.place(i)}: {wrong[i]}" for i in sorted(wrong)[:_MOST_TOLD])
        more = f"; and {len(wrong) - _MOST_TOLD} more" if len(wrong) > _MOST_TOLD else ""
        raise InputError(f"{path}: {len(wrong)} of {n} rows cannot be taken: {told}{more}")
    return Imported(parameters, stored, log_peaks, table.failed)


def _problems(space: ParameterSpace, parameters: NDArray[np.float64]) -> Iterator[tuple[int, str]]:
    """Yield which parameter sets the campaign would not draw, and why."""
    for parameter, values in zip(space, parameters.T, strict=True):
        slack = _SLACK * max(abs(parameter.low), abs(parameter.high))
        with np.errstate(invalid="ignore"):
            outside = ~((values >= parameter.low - slack) & (values <= parameter.high + slack))
        for i in np.flatnonzero(outside).tolist():
            yield i, f"'{parameter.name}' is {values[i]:.8g}, outside of {parameter.low:g} … {parameter.high:g}"
        if not parameter.discrete:
            continue
        taken = np.round(values) if parameter.levels is None else _nearest_level(parameter.levels, values)
        for i in np.flatnonzero(~outside & (np.abs(values - taken) > slack)).tolist():
            yield i, f"'{parameter.name}' is {values[i]:.8g}, which it does not take"
    inside = np.isfinite(parameters).all(axis=1)
    allowed = np.ones(len(parameters), bool)
    allowed[inside] = space.allowed(parameters[inside])
    for i in np.flatnonzero(~allowed).tolist():
        yield i, f"its parameters are not allowed ({', '.join(space.constraints) or 'what follows from them'})"


def _nearest_level(levels: Sequence[float], values: NDArray[np.float64]) -> NDArray[np.float64]:
    table = np.array(levels)
    return table[np.abs(values[:, None] - table).argmin(axis=1)]


def tell(campaign: Campaign, tables: Sequence[Path]) -> str:
    """Return what a campaign would take of some tables, or takes of those that it imports, for people.

    Raises
    ------
    InputError
        If there is none, or one of them cannot be taken (`read_imported`).
    """
    given = [str(table) for table in tables] or list(campaign.simulations.imported)
    if not given:
        raise InputError(f"'{campaign.name}' imports nothing (simulations.imported); name the tables to look at")
    lines = []
    for table, one in zip(given, read_imported(campaign, given), strict=True):
        sets = len(np.unique(one.parameters, axis=0))
        again = f", {sets:,} parameter sets" if sets < len(one) else ""
        failed = f"; {one.failed:,} more failed, and are left out" if one.failed else ""
        lines.append(f"{table}: {len(one):,} simulations{again}{failed}")
    if set(given) <= set(campaign.simulations.imported):
        lines.append(f"'{campaign.name}' imports {'them' if len(given) > 1 else 'it'}: the next run learns from them.")
    else:
        listed = ", ".join(dict.fromkeys([*campaign.simulations.imported, *given]))
        lines += ["All can be taken. To learn from them, write into the configuration:", f"  imported: [{listed}]"]
        lines += ["below 'simulations', and run it again; this remakes the training set and all after it."]
    return "\n".join(lines)


def is_own(index: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which numbers of training samples are of a campaign's own simulations, (n,)."""
    return index < FIRST
