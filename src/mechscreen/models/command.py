"""Any program as a model: a command line, files that it reads, files that it writes.

Each sample runs in a scratch folder of its own, so that fixed file names do no harm. What a program is told are the
parameters, in its command line, in files made from templates, or in its environment; what it says is read from files or
from what it prints.
"""

from __future__ import annotations

import csv
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, TextIO

import numpy as np
from numpy.typing import NDArray

from mechscreen import system
from mechscreen.errors import InputError, check_keys, nearest, unreadable
from mechscreen.models.base import Model, Solution
from mechscreen.models.options import mapping_of, parameter_of, points_of
from mechscreen.models.outputs import FloatArray, Output
from mechscreen.spaces import Parameter, ParameterSpace

STDOUT = "stdout"
_NAME = re.compile(r"\{(\w+)\}")
_WORDS = ("seed", "folder")
"""What beside parameters stands in templates: the sample's seed, and the folder in which the campaign was started."""
_MOST_BYTES = 2**26
"""Of what is read from a program, and of a template."""
_LAST_LINES, _LONGEST = 5, 400
_LONGEST_LINE = 4 * 10**6
"""Characters."""
_LOOK_EVERY = 0.2
"""Seconds between looks at the clock, and at how much was printed."""
_WHERE = "model 'command'"
_RANGES, _FILES = "{k1: [0.1, 10]}", "{y: {file: out.csv, column: y}}"
"""Examples, in messages."""
_OUTPUT_KEYS = ("file", "column", "path", "row", "grid", "scale", "unit", "floor", "grid_name", "grid_unit", "view")


class Unusable(Exception):  # noqa: N818 - its text is the reason that people read
    """What a program did or wrote is of no use: why."""


class CommandModel(Model):
    """A program that is called once for each sample.

    Parameters
    ----------
    command
        Its command line, split as a shell would, without one: ``./simulate --k1 {k1} --seed {seed}``. A program with a
        slash in its name is looked for from the folder in which the campaign is started, ``{folder}``; it runs in a
        scratch folder.
    parameters
        Name → ``[low, high]``, or a mapping to fields of `mechscreen.Parameter` (``{low, high, scale, integer, unit,
        …}``). Each has to stand somewhere: in the command, in a template, or in the environment.
    outputs
        Name → where it is read: ``{file: out.csv, column: x}`` (CSV, TSV and other columns of numbers, by name or by
        number from 0), ``{file: out.npy}``, ``{file: out.h5, path: group/x}``, ``{file: out.json, path: a.b}``;
        ``file: stdout`` for what it prints. With ``grid``, a profile or time series: the points, or
        ``{start, end, points}``; without, a number (of a column the last row, unless ``row`` says another). Further
        keys are those of `mechscreen.Output`: scale, unit, floor, ….
    templates
        Name of a file in the scratch folder → file that it is made from; in both forms, ``{k1}`` stands for a value.
    environment
        Variable → text in which ``{k1}`` stands for a value.
    time_limit
        Seconds that a run may take.
    """

    name: ClassVar[str] = "command"
    version: ClassVar[str] = "1"

    def __init__(
        self,
        command: str = "",
        parameters: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Any] | None = None,
        templates: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        time_limit: float = 600.0,
    ) -> None:
        self._folder = Path.cwd()
        self.space = ParameterSpace(
            [_parameter(name, given) for name, given in mapping_of(_WHERE, "parameters", parameters, _RANGES).items()]
        )
        self._reads = [_Read.of(name, given) for name, given in mapping_of(_WHERE, "outputs", outputs, _FILES).items()]
        self.outputs = tuple(read.output for read in self._reads)
        self._words = self._program(command)
        self._templates = {name: _template(name, Path(source)) for name, source in (templates or {}).items()}
        self._environment = {str(name): str(text) for name, text in (environment or {}).items()}
        self.files = self._own_files()
        self._check_names()
        if not (isinstance(time_limit, int | float) and 0 < time_limit < 1e7):
            raise InputError(f"model 'command': time_limit = {time_limit!r} is no number of seconds")
        self._time_limit = float(time_limit)

    def solve(self, parameters: FloatArray, seeds: NDArray[np.uint64]) -> Solution:
        """Call the program for each sample; see `Model.solve`."""
        found = {read.output.name: np.full((len(parameters), *read.output.shape), np.nan) for read in self._reads}
        reasons = [""] * len(parameters)
        for row, (values, seed) in enumerate(zip(parameters, seeds, strict=True)):
            # Below the folder of this process, which is removed in the end.
            with tempfile.TemporaryDirectory(prefix="sample-", ignore_cleanup_errors=True) as scratch:
                try:
                    self._run(Path(scratch), values, int(seed))
                    for read in self._reads:
                        found[read.output.name][row] = read.read(Path(scratch))
                except Unusable as why:
                    reasons[row] = str(why)
                    for name in found:
                        found[name][row] = np.nan
        return Solution(found, reasons)

    def script(self, values: FloatArray, seed: int) -> str:
        """Return a shell script that calls the program for one parameter set, (d,), as a simulation does."""
        told = self._told(values, seed)
        lines = ["#!/bin/sh", "set -eu"]
        for name, text in self._templates.items():
            content = _filled(text, told)
            end = next(f"END{k}" for k in range(len(content) + 1) if f"END{k}" not in content.splitlines())
            lines += [f"mkdir -p {shlex.quote(str(Path(name).parent))}"] if len(Path(name).parts) > 1 else []
            lines += [f"cat > {shlex.quote(name)} <<'{end}'", content.removesuffix("\n"), end]
        lines += [f"export {name}={shlex.quote(_filled(text, told))}" for name, text in self._environment.items()]
        lines.append(shlex.join(_filled(word, told) for word in self._words))
        return "\n".join(lines) + "\n"

    def _told(self, values: FloatArray, seed: int) -> dict[str, str]:
        """Return what stands for each name in braces."""
        told = {p.name: _told(p, value) for p, value in zip(self.space, values, strict=True)}
        return told | {"seed": str(seed), "folder": str(self._folder)}

    def _run(self, scratch: Path, values: FloatArray, seed: int) -> None:
        told = self._told(values, seed)
        for name, text in self._templates.items():
            path = scratch / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(_filled(text, told), encoding="utf-8")
        words = [_filled(word, told) for word in self._words]
        own = {name: _filled(text, told) for name, text in self._environment.items()}
        with (scratch / _PRINTED).open("wb") as printed, (scratch / _SAID).open("wb") as said:
            try:
                # A group of its own, so that whatever it starts ends with it.
                process = subprocess.Popen(
                    words,
                    cwd=scratch,
                    env={**os.environ, "PATH": _path(), **own},
                    stdin=subprocess.DEVNULL,
                    stdout=printed,
                    stderr=said,
                    process_group=0,
                )
            except OSError as error:
                raise Unusable(f"{words[0]}: cannot be started ({error.strerror})") from None
            try:
                self._wait(process, (printed.fileno(), said.fileno()), scratch)
            finally:
                system.end_group(process)  # with those that it left behind
                code = process.wait()
        if code != 0:
            how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
            raise Unusable(f"{how}: {_last_lines(scratch / _SAID)}")

    def _wait(self, process: subprocess.Popen[bytes], streams: Sequence[int], scratch: Path) -> None:
        """Wait until the program ends; raise `Unusable` where it takes too long, or prints without end."""
        end = time.monotonic() + self._time_limit
        # `Popen.wait` with a time limit looks again after up to 0.05 s, which is long beside a short program.
        with system.watching(process) as ended:
            while not ended(min(_LOOK_EVERY, max(0.0, end - time.monotonic()))):
                if time.monotonic() >= end:
                    raise Unusable(f"took longer than {self._time_limit:g} s; {_last_lines(scratch / _SAID)}")
                if max(os.fstat(stream).st_size for stream in streams) > _MOST_BYTES:
                    raise Unusable(f"printed more than is kept ({_MOST_BYTES / 1e6:.0f} MB), and was ended")

    def _program(self, command: str) -> list[str]:
        """Return the words of the command, the program's with its whole path."""
        if not isinstance(command, str) or not command.strip():
            raise InputError("model 'command': its option 'command' is missing, such as ./simulate --k1 {k1}")
        try:
            words = shlex.split(command)
        except ValueError as error:
            raise InputError(f"model 'command': command {command!r} cannot be split ({error})") from None
        program = words[0]
        if "/" in program and not _NAME.search(program):
            # Links stay: an environment's python is one.
            program = os.path.abspath(self._folder / program)  # noqa: PTH100
        if not _NAME.search(program) and shutil.which(program, path=_path()) is None:
            is_there = Path(program).exists()
            why = "may not be executed (chmod +x)" if is_there else "is not found; give its path, or install it"
            raise InputError(f"model 'command': the program {words[0]!r} {why}")
        return [program, *words[1:]]

    def _own_files(self) -> list[str]:
        """Return the files that the command line names, the program's own where it is a file of the user's."""
        words = [_filled(word, {"folder": str(self._folder)}) for word in self._words]
        paths = [Path(word) for word in words if "/" in word and not _NAME.search(word)]
        system = ("/usr/", "/bin/", "/lib", "/opt/", "/etc/", "/dev/", "/proc/")
        return [str(path) for path in paths if path.is_file() and not str(path).startswith(system)]

    def _check_names(self) -> None:
        """See that every name in the command is known, and every parameter stands somewhere."""
        known = [*self.space.names, *_WORDS]
        of_command = {name for word in self._words for name in _NAME.findall(word)}
        of_environment = {name for text in self._environment.values() for name in _NAME.findall(text)}
        for name in sorted(of_command | of_environment):
            if name not in known:
                raise InputError(
                    f"model 'command': no parameter '{name}'{nearest(name, known)} (valid: {', '.join(known)})"
                )
        # In a file, braces may mean something else.
        of_templates = {name for text in self._templates.values() for name in _NAME.findall(text)}
        for name in self.space.names:
            if name not in of_command | of_environment | of_templates:
                where = "command, templates or environment"
                raise InputError(
                    f"model 'command': parameter '{name}' stands nowhere in {where}; write {{{name}}} there"
                )


_PRINTED, _SAID = ".printed", ".said"


@dataclass(frozen=True)
class _Read:
    """An output, and where it is read."""

    output: Output
    file: str
    column: str | int | None
    path: str | None
    row: int

    @classmethod
    def of(cls, name: str, given: Any) -> _Read:
        where = f"model 'command', output '{name}'"
        if not isinstance(given, Mapping):
            raise InputError(
                f"{where}: {given!r} does not say where it is read; give {{file: out.csv, column: {name}}}"
            )
        check_keys(where, given, _OUTPUT_KEYS)
        file = given.get("file")
        if not isinstance(file, str) or not file:
            raise InputError(f"{where}: 'file' is missing; give the file that the program writes, or stdout")
        fields = {
            key: given[key] for key in ("scale", "unit", "floor", "grid_name", "grid_unit", "view") if key in given
        }
        output = Output(name, points_of(where, given.get("grid")), **fields)
        row = given.get("row", -1)
        if isinstance(row, bool) or not isinstance(row, int):
            raise InputError(f"{where}: row {row!r} is no whole number (0 is the first, -1 the last)")
        return cls(output, file, given.get("column"), given.get("path"), row)

    def read(self, scratch: Path) -> NDArray[np.float64]:
        """Return the output's values; raise `Unusable` where they are not there."""
        path = scratch / (_PRINTED if self.file == STDOUT else self.file)
        told = "what it printed" if self.file == STDOUT else self.file
        if not path.is_file():
            raise Unusable(f"wrote no {told}")
        if path.stat().st_size > _MOST_BYTES:
            raise Unusable(
                f"{told} has {path.stat().st_size / 1e6:.0f} MB, more than is read ({_MOST_BYTES / 1e6:.0f} MB)"
            )
        try:
            values = np.asarray(self._values(path), dtype=float)
        except (OSError, ValueError, TypeError, KeyError, IndexError, zipfile.BadZipFile, csv.Error) as error:
            raise Unusable(f"{told}: {self._wanted()} cannot be read ({_short(error)})") from None
        return self._shaped(values, told)

    def _wanted(self) -> str:
        if self.path is not None:
            return f"'{self.path}'"
        return "a number" if self.column is None else f"column '{self.column}'"

    def _values(self, path: Path) -> Any:
        suffix = path.suffix.lower() if self.file != STDOUT else ".txt"
        if suffix == ".npy":
            return np.load(path, allow_pickle=False)
        if suffix in (".h5", ".hdf5"):
            import h5py

            with h5py.File(path, "r") as file:
                found = file[self.path or self.output.name]
                # It may be packed.
                if found.nbytes > _MOST_BYTES:
                    raise ValueError(f"it has {found.nbytes / 1e6:.0f} MB, more than is read")
                return found[()]
        if suffix == ".json":
            value = json.loads(path.read_text(encoding="utf-8"))
            for part in (self.path or self.output.name).split("."):
                value = value[int(part)] if isinstance(value, list) else value[part]
            return value
        with path.open(encoding="utf-8") as stream:
            # Eight bytes for each, as there may be millions.
            return array("d", _column(_lines(stream), self.column, self.output.name))

    def _shaped(self, values: NDArray[np.float64], told: str) -> NDArray[np.float64]:
        shape = self.output.shape
        if not shape:
            if not values.size:
                raise Unusable(f"{told}: is empty")
            flat = values.reshape(-1)
            if not -len(flat) <= self.row < len(flat):
                raise Unusable(f"{told}: has {len(flat)} values, and no row {self.row}")
            return flat[self.row]
        if values.size != self.output.size:
            raise Unusable(
                f"{told}: has {values.size} values of '{self.output.name}', whose grid has {self.output.size}"
            )
        return values.reshape(shape)


def _path() -> str:
    """Return where programs are looked for: first beside this Python, as in jobs, whether or not it is activated."""
    return f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"


def _lines(stream: TextIO) -> Iterator[str]:
    """Yield the lines that hold something."""
    while line := stream.readline(_LONGEST_LINE):
        if len(line) == _LONGEST_LINE:
            raise ValueError(f"a line has more than {_LONGEST_LINE // 10**6} million characters")
        if line.strip() and not line.lstrip().startswith("#"):
            yield line


def _column(lines: Iterator[str], column: str | int | None, name: str) -> Iterator[float]:
    """Yield a column of numbers: of CSV, of tabs, or of blanks; by its number, its name, or the output's."""
    first = next(lines, None)
    if first is None:
        raise ValueError("it is empty")
    separator = next((mark for mark in (",", "\t", ";") if mark in first), None)
    lines = itertools.chain([first], lines)
    rows = csv.reader(lines, delimiter=separator) if separator else map(str.split, lines)
    top = next(rows)
    header = None if all(map(_is_number, top)) else [field.strip() for field in top]
    if isinstance(column, int):
        place = column
    elif header is None:
        if column is not None:
            raise KeyError(f"it has no header, and columns are known by numbers from 0, not as '{column}'")
        if len(top) != 1:
            raise KeyError(f"it has {len(top)} columns; say which")
        place = 0
    else:
        wanted = name if column is None else str(column)
        if wanted not in header:
            raise KeyError(f"no column '{wanted}'{nearest(wanted, header)} (it has {', '.join(header)})")
        place = header.index(wanted)
    for row in rows if header else itertools.chain([top], rows):
        yield _number(row[place])


def _number(field: str) -> float:
    if "_" in field:
        # Python takes 1_234 for a number, which no program means.
        raise ValueError(f"could not convert string to float: {field!r}")
    return float(field)


def _is_number(field: str) -> bool:
    try:
        _number(field)
    except ValueError:
        return False
    return True


def _short(error: Exception) -> str:
    text = error.args[0] if isinstance(error, KeyError) and error.args else str(error)
    return " ".join(str(text).split())[:_LONGEST]


def _last_lines(path: Path) -> str:
    """Return the last lines of what a program said, without all that came before."""
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - 4096))
        lines = stream.read().decode("utf-8", "replace").split("\n")
    said = " / ".join(line.strip() for line in lines[-_LAST_LINES - 1 :] if line.strip())
    return said[-_LONGEST:] or "it said nothing"


def _told(parameter: Parameter, value: float) -> str:
    """Return a value as programs read it: all digits; whole numbers without a point, categories by name."""
    if parameter.categories:
        return parameter.categories[round(value)]
    return str(round(value)) if parameter.integer else repr(float(value))


def _filled(text: str, told: Mapping[str, str]) -> str:
    return _NAME.sub(lambda match: told.get(match[1], match[0]), text)


def _template(name: str, source: Path) -> str:
    if Path(name).is_absolute() or ".." in Path(name).parts:
        raise InputError(f"model 'command': template '{name}' leaves the scratch folder; give a name inside it")
    try:
        if source.stat().st_size > _MOST_BYTES:
            raise InputError(f"{source}: is larger than {_MOST_BYTES // 2**20} MiB; that is no template")
        return source.read_text(encoding="utf-8")
    except OSError as error:
        raise unreadable(source, error, f"give the file that '{name}' is made from") from None
    except UnicodeDecodeError as error:
        raise InputError(f"{source}: not UTF-8 text (byte {error.start}); a template is text") from None


def _parameter(name: str, given: Any) -> Parameter:
    if name in _WORDS:
        raise InputError(f"{_WHERE}, parameter '{name}': {' and '.join(_WORDS)} are taken; give it another name")
    return parameter_of(_WHERE, name, given)
