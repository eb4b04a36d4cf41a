"""Reads HDF5 files, whose every bit is checked."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from mechscreen.errors import REMAKE, FileError
from mechscreen.storage.files import read_json, reading
from mechscreen.storage.hdf5 import HDF5_SIGNATURE, MAGIC, USER_BLOCK, Attribute, decode_attribute, user_block
from mechscreen.storage.origin import Identity, check_origin


@dataclass(frozen=True)
class File:
    """A verified file: its attributes, and its arrays by name."""

    path: Path
    attributes: Mapping[str, Attribute]
    arrays: Mapping[str, NDArray[Any]]

    def __getitem__(self, name: str) -> NDArray[Any]:
        try:
            return self.arrays[name]
        except KeyError:
            raise FileError(self.path, f"holds no array '{name}'") from None


def read(path: Path, kind: str, identity: Identity | None = None) -> File:
    """Verify a file and return its attributes and arrays.

    Parameters
    ----------
    kind
        What the file must hold.
    identity
        What the file must depend on; None accepts anything.

    Raises
    ------
    FileError
        Naming the file, what is wrong with it and what to do.
    StorageError
        If the environment does not let it be read, which says nothing about the file.
    """
    with open_file(path, kind, identity) as file:
        return File(file.path, file.attributes, {name: load(data) for name, data in file.arrays.items()})


@contextmanager
def open_file(path: Path, kind: str, identity: Identity | None = None, *, digest: bool = True) -> Iterator[File]:
    """Verify a file as `read` does, and yield it with arrays that are read as they are indexed (``file["x"][3:5]``).

    Without `digest` its checksum is not looked at, for who did so already.
    """
    with open_unchecked(path, digest=digest) as file:
        check_origin(path, file.attributes, kind, identity)
        yield file


@contextmanager
def open_unchecked(path: Path, *, digest: bool = True) -> Iterator[File]:
    """Yield a file as `open_file` does, but verify its checksum alone: of any kind, origin and format."""
    if digest:
        _check_digest(path)
    with reading(path), h5py.File(path, "r", locking=False) as handle:
        attributes = {name: decode_attribute(path, name, value) for name, value in handle.attrs.items()}
        yield File(path, attributes, {name: _dataset(path, handle, name) for name in handle})


def verify(path: Path, kind: str, identity: Identity | None = None) -> Mapping[str, Attribute]:
    """Verify a file as `read` does, and return its attributes."""
    with open_file(path, kind, identity) as file:
        return file.attributes


def read_origin(path: Path) -> Mapping[str, Any]:
    """Return what an HDF5 or JSON file says of its origin (`mechscreen.storage.origin`), without verifying the rest.

    Raises
    ------
    FileError
        If it is missing, or no such file.
    StorageError
        If the environment does not let it be read.
    """
    if path.suffix == ".json":
        values = read_json(path)
        if not isinstance(values, dict):
            raise FileError(path, "is no record")
        return values
    with reading(path), h5py.File(path, "r", locking=False) as handle:
        return {name: decode_attribute(path, name, value) for name, value in handle.attrs.items()}


class Rows:
    """Rows of one array that stands in several files, read as they are indexed.

    It is indexed by an array of row numbers, as trainings do; `numpy.asarray` reads all of it.

    The files are mapped, so the operating system keeps them in memory for as long as there is room, and reads again
    what it had to let go.

    Attributes
    ----------
    shape, dtype
        Those of all rows together.
    """

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self._parts = tuple(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self.shape: tuple[int, ...] = (int(self._ends[-1]), *parts[0].shape[1:])
        self.dtype = parts[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        """Read all rows, for whatever takes an array."""
        return np.concatenate(self._parts).astype(dtype or self.dtype, copy=False)

    def __getitem__(self, rows: NDArray[np.integer[Any]]) -> NDArray[Any]:
        """Return some rows, in the order of their numbers ``rows`` (n,), from 0."""
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(self):
            raise IndexError(f"rows {rows.min()} to {rows.max()} of {len(self)}")
        found = np.empty((len(rows), *self.shape[1:]), self.dtype)
        part_of = np.searchsorted(self._ends, rows, side="right")
        for number, part in enumerate(self._parts):
            here = np.flatnonzero(part_of == number)
            found[here] = part[rows[here] - (self._ends[number] - len(part))]
        return found


def map_rows(files: Iterable[tuple[Path, Identity]], name: str, kind: str) -> Rows:
    """Verify files, each with its identity, as `read` does, and return the array `name` of all of them as one.

    Raises
    ------
    FileError, StorageError
        As `read`.
    """
    parts = []
    for path, identity in files:
        with open_file(path, kind, identity) as file:
            array: Any = file[name]  # of h5py
            parts.append(
                np.memmap(path, array.dtype, "r", array.id.get_offset(), array.shape) if array.size else array[:]
            )
    return Rows(parts)


def _check_digest(path: Path) -> None:
    with reading(path), path.open("rb") as stream:
        _compare(path, stream)


def _compare(path: Path, stream: BufferedReader) -> None:
    head = stream.read(USER_BLOCK)
    if not head:
        raise FileError(path, "is empty")
    if not head.startswith(MAGIC):
        what = "an HDF5 file, but not one of mechscreen's" if head.startswith(HDF5_SIGNATURE) else "no mechscreen file"
        raise FileError(path, f"is {what}", f"give another one, or {REMAKE}")
    if head != user_block(hashlib.file_digest(stream, "sha256").hexdigest()):
        raise FileError(path, "is damaged (its checksum does not match its content)")


def _dataset(path: Path, handle: h5py.File, name: str) -> Any:
    """Return a dataset, refusing what could point outside the file or claim more than the file holds."""
    item = handle[name] if isinstance(handle.get(name, getlink=True), h5py.HardLink) else None
    if (
        not isinstance(item, h5py.Dataset)
        or item.external
        or item.is_virtual
        or item.dtype.kind not in "biufS"
        or item.id.get_storage_size() != item.size * item.dtype.itemsize
    ):
        raise FileError(path, f"'{name}' is not a plain array")
    return item.asstr("utf-8") if item.dtype.kind == "S" else item


def load(data: Any) -> NDArray[Any]:
    """Return all of an array of a file."""
    values = data[()]
    return np.asarray(values, dtype=str) if isinstance(values, np.ndarray) and values.dtype == object else values
