"""Kinds of HDF5 files, declared: which arrays and attributes a file holds, of which types and shapes.

A kind is a dataclass. Its arrays are annotated with their symbolic shapes, as jaxtyping writes them; a name stands for
the same number wherever it occurs in a file, and ``*name`` for any number of axes:

    @dataclass(frozen=True, kw_only=True)
    class Trajectories(ArrayFile, kind="trajectories"):
        seed: int
        time: Annotated[NDArray[np.float64], "points"]
        values: Annotated[NDArray[np.float32], "n points *shape"]
        reasons: Annotated[NDArray[np.str_], "n"] | None = None

Integers, floats and strings are attributes. What may be missing, because some files of the kind do not have it, is
None unless given. A field that is such a dataclass itself stands for its fields.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from typing import Any, ClassVar, Self, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import FileError
from mechscreen.storage.hdf5 import Attribute
from mechscreen.storage.origin import Identity
from mechscreen.storage.reader import File, load, open_file
from mechscreen.storage.writer import Writer, write

Size = int | tuple[int, ...]
"""What a name in a shape stands for; several axes, where it has a star."""


class ArrayFile:
    """Base of kinds of HDF5 files; see the module.

    Attributes
    ----------
    kind
        What the file says that it holds; "" for what is only a part of others.
    """

    kind: ClassVar[str] = ""

    def __init_subclass__(cls, kind: str = "") -> None:
        cls.kind = kind

    @classmethod
    def read(cls, path: Path, identity: Identity | None = None, **sizes: Size) -> Self:
        """Verify a file and return what it holds.

        Parameters
        ----------
        identity
            What the file must depend on; None accepts anything.
        sizes
            What names in the shapes must stand for; a name that is not given stands for what the file has.

        Raises
        ------
        FileError
            If it is missing, damaged, of another kind or origin, or lacks what is declared.
        FormatError
            If it is of an earlier release, and can be converted.
        StorageError
            If the environment does not let it be read.
        """
        with open_file(path, cls.kind, identity) as file:
            _check(cls, file, sizes)
            return _build(cls, file, load)

    @classmethod
    @contextmanager
    def open(cls, path: Path, identity: Identity | None = None, **sizes: Size) -> Iterator[Self]:
        """Verify a file as `read` does, and yield it with arrays that are read as they are indexed (``x[3:5]``)."""
        with open_file(path, cls.kind, identity) as file:
            _check(cls, file, sizes)
            yield _build(cls, file, lambda data: data)

    @classmethod
    @contextmanager
    def open_again(cls, path: Path, identity: Identity | None = None, **sizes: Size) -> Iterator[Self]:
        """Yield what `open` does, of a file whose checksum was verified before."""
        with open_file(path, cls.kind, identity, digest=False) as file:
            _check(cls, file, sizes)
            yield _build(cls, file, lambda data: data)

    @classmethod
    def verify(cls, path: Path, identity: Identity | None = None, **sizes: Size) -> None:
        """Verify a file; errors as of `read`."""
        with cls.open(path, identity, **sizes):
            pass

    @classmethod
    def declared(cls) -> Declared:
        """Return what files of this kind hold."""
        return _declared(cls)

    def write(self, path: Path, origin: Mapping[str, Attribute]) -> None:
        """Write the file, atomically.

        Parameters
        ----------
        origin
            Attributes that say what made it, `campaign` and `identity` among them.

        Raises
        ------
        ValueError
            If an array is not as declared.
        InputError, StorageError
            As `mechscreen.storage.replacing`.
        """
        arrays, attributes = _contents(self)
        sizes: dict[str, Size] = {}
        declared = {array.name: array for array in _declared(type(self)).arrays}
        for name, values in arrays.items():
            problem = declared[name].problem(values.dtype, values.shape, sizes)
            if problem:
                raise ValueError(f"{type(self).__name__}: {problem}")
        write(path, arrays, {**origin, "kind": self.kind, **attributes})

    @classmethod
    def writer(
        cls,
        path: Path,
        origin: Mapping[str, Attribute],
        sizes: Mapping[str, Size],
        whole: Mapping[str, Any],
        optional: Collection[str] = (),
    ) -> Writer:
        """Return a `Writer` of a file in pieces.

        Parameters
        ----------
        origin
            As for `write`.
        sizes
            What the names stand for in the shapes of the arrays that are appended, along their first axis.
        whole
            The fields that are known: they are written at once.
        optional
            Arrays that may be missing, and are appended too.
        """
        declared = _declared(cls)
        arrays, attributes = _contents_of(declared, whole)
        layout = {
            array.name: (array.shape(sizes), array.dtype)
            for array in declared.arrays
            if array.name not in arrays and (not array.optional or array.name in optional)
        }
        return Writer(path, layout, {**origin, "kind": cls.kind, **attributes}, whole=arrays)


@dataclass(frozen=True)
class DeclaredArray:
    """An array as declared."""

    name: str
    dtype: np.dtype[Any]
    axes: tuple[str, ...]
    optional: bool

    def problem(self, dtype: np.dtype[Any], shape: tuple[int, ...], sizes: dict[str, Size]) -> str:
        """Return what is wrong with an array, nothing if it is as declared; note in `sizes` what names stand for."""
        same = dtype.kind in "UOS" if self.dtype.kind == "U" else dtype == self.dtype
        if not same:
            return f"'{self.name}' is of type {dtype}, expected {'text' if self.dtype.kind == 'U' else self.dtype}"
        if self._binds(shape, sizes):
            return ""
        expected: list[str] = []
        for axis in self.axes:
            size = sizes.get(axis.removeprefix("*"), axis)
            expected += map(str, size) if isinstance(size, tuple) else [str(size)]
        text = f"({expected[0]},)" if len(expected) == 1 else f"({', '.join(expected)})"
        return f"'{self.name}' has shape {shape}, expected {text}"

    def _binds(self, shape: tuple[int, ...], sizes: dict[str, Size]) -> bool:
        left = list(shape)
        for place, axis in enumerate(self.axes):
            name = axis.removeprefix("*")
            if name != axis:
                # All that the axes behind it leave.
                number = max(0, len(left) - (len(self.axes) - place - 1))
                here: Size = tuple(left[:number])
                del left[:number]
            elif left:
                here = left.pop(0)
            else:
                return False
            if here != (int(axis) if axis.isdigit() else sizes.setdefault(name, here)):
                return False
        return not left

    def shape(self, sizes: Mapping[str, Size]) -> tuple[int, ...]:
        """Return the shape, where all names are known."""
        found: list[int] = []
        for axis in self.axes:
            size = int(axis) if axis.isdigit() else sizes[axis.removeprefix("*")]
            found += size if isinstance(size, tuple) else (size,)
        return tuple(found)


@dataclass(frozen=True)
class Declared:
    """What a kind declares, in order: arrays, attributes by name (type, whether it may be missing), and parts."""

    arrays: tuple[DeclaredArray, ...]
    attributes: Mapping[str, tuple[type, bool]]
    parts: Mapping[str, type[ArrayFile]]


_DECLARED: dict[type[ArrayFile], Declared] = {}


def _declared(kind: type[ArrayFile]) -> Declared:
    """Return what a kind declares; annotations are looked at once."""
    if kind not in _DECLARED:
        _DECLARED[kind] = _declare(kind)
    return _DECLARED[kind]


def _declare(kind: type[ArrayFile]) -> Declared:
    hints = get_type_hints(kind, include_extras=True)
    arrays: list[DeclaredArray] = []
    attributes: dict[str, tuple[type, bool]] = {}
    parts: dict[str, type[ArrayFile]] = {}
    for field in fields(kind):  # type: ignore[arg-type]  # subclasses are dataclasses
        hint, optional = hints[field.name], field.default is not MISSING
        if type(None) in get_args(hint):
            (hint,) = (one for one in get_args(hint) if one is not type(None))
        if hasattr(hint, "__metadata__"):
            (dtype,) = get_args(get_args(hint.__origin__)[1])
            arrays.append(DeclaredArray(field.name, np.dtype(dtype), tuple(hint.__metadata__[0].split()), optional))
        elif issubclass(hint, ArrayFile):
            parts[field.name] = hint
            arrays += _declared(hint).arrays
            attributes |= _declared(hint).attributes
        else:
            attributes[field.name] = hint, optional
    return Declared(tuple(arrays), attributes, parts)


def _check(kind: type[ArrayFile], file: File, sizes: Mapping[str, Size]) -> None:
    """See that a file holds what its kind declares."""
    declared, known = _declared(kind), dict(sizes)
    for array in declared.arrays:
        if array.name not in file.arrays and array.optional:
            continue
        data = file[array.name]
        problem = array.problem(data.dtype, _shape(data), known)
        if problem:
            raise FileError(file.path, problem)
    for name, (of, optional) in declared.attributes.items():
        if name not in file.attributes:
            if not optional:
                raise FileError(file.path, f"lacks the attribute '{name}'")
        elif not isinstance(file.attributes[name], (int, float) if of is float else of):
            raise FileError(file.path, f"attribute '{name}' is no {of.__name__}")


def _shape(data: Any) -> tuple[int, ...]:
    # Views of texts, which have one axis, do not tell.
    return tuple(data.shape) if hasattr(data, "shape") else (len(data),)


def _build(kind: type[ArrayFile], file: File, load: Any) -> Any:
    """Return what is in a file that was checked, its arrays passed through `load`."""
    declared = _declared(kind)
    values: dict[str, Any] = {name: _build(part, file, load) for name, part in declared.parts.items()}
    own = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    for name in own - values.keys():
        if name in file.arrays:
            values[name] = load(file.arrays[name])
        elif name in file.attributes:
            values[name] = file.attributes[name]
    return kind(**values)


def _contents(content: ArrayFile) -> tuple[dict[str, NDArray[Any]], dict[str, Attribute]]:
    """Return the arrays and the attributes of a content, without those that are None."""
    values = {field.name: getattr(content, field.name) for field in fields(content)}  # type: ignore[arg-type]
    return _contents_of(_declared(type(content)), values)


def _contents_of(declared: Declared, values: Mapping[str, Any]) -> tuple[dict[str, NDArray[Any]], dict[str, Attribute]]:
    arrays: dict[str, NDArray[Any]] = {}
    attributes: dict[str, Attribute] = {}
    for name, value in values.items():
        if name in declared.parts:
            of_part = _contents(value)
            arrays |= of_part[0]
            attributes |= of_part[1]
        elif value is not None:
            (attributes if name in declared.attributes else arrays)[name] = value
    return arrays, attributes
