"""Writes HDF5 files: the same content gives the same bytes, since no times are stored, and the order is fixed."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np
from numpy.typing import NDArray

from mechscreen.storage.files import replacing
from mechscreen.storage.hdf5 import USER_BLOCK, Attribute, Layout, encode, encode_attribute, user_block
from mechscreen.storage.origin import FORMAT_VERSION
from mechscreen.version import __version__


def write(path: Path, arrays: Mapping[str, NDArray[Any] | list[str]], attributes: Mapping[str, Attribute]) -> None:
    """Write arrays and attributes, atomically.

    Parameters
    ----------
    arrays
        Numbers of any shape; strings as a list or a one-dimensional array of them.
    attributes
        At least `kind` (what the file holds), `campaign` (fingerprint of what it depends on) and `identity` (what that
        is, as JSON); `format_version` and `software_version` are added.

    Raises
    ------
    InputError, StorageError
        As `replacing`; nothing appears under `path` then.
    """
    with Writer(path, {}, attributes, whole=arrays):
        pass


class Writer:
    """Writes a file in pieces, for arrays that do not fit into memory; a context manager.

    Each array of `layout` is filled along its first axis by `append`; those of `whole` are written at once. The file
    appears when the block ends, provided that every array is full; if the block raises, nothing remains.

    HDF5 only lays the file out, in memory; the bytes are written here, because the HDF5 library does not survive a full
    disk (it ends the interpreter).
    """

    def __init__(
        self,
        path: Path,
        layout: Layout,
        attributes: Mapping[str, Attribute],
        whole: Mapping[str, NDArray[Any] | list[str]] | None = None,
    ) -> None:
        missing = {"kind", "campaign", "identity"} - attributes.keys()
        if missing:
            raise ValueError(f"attributes lack {', '.join(sorted(missing))}")
        self.path = path
        self._whole = {name: encode(values) for name, values in (whole or {}).items()}
        shapes = {**layout, **{name: (values.shape, values.dtype) for name, values in self._whole.items()}}
        self._skeleton = _Skeleton()
        self._places = _lay_out(self._skeleton, shapes, attributes)
        self._filled = dict.fromkeys(layout, 0)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            temporary = stack.enter_context(replacing(self.path))
            self._stream = stack.enter_context(temporary.open("w+b"))
            # Called first on leaving, with the exception if there is one.
            stack.push(self._finish)
            for offset, data in self._skeleton.pieces.items():
                self._put(offset, data)
            for name, values in self._whole.items():
                self._put(self._places[name].offset, values.tobytes())
            self._stack = stack.pop_all()
        return self

    def append(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add rows to some or all arrays of the layout."""
        for name, rows in arrays.items():
            place = self._places[name]
            first = self._filled[name]
            last = first + len(rows)
            if rows.shape[1:] != place.shape[1:] or last > place.shape[0]:
                raise ValueError(f"array '{name}', {place.shape}: {rows.shape} does not fit after {first} rows")
            data = np.ascontiguousarray(rows, dtype=place.dtype)
            if data.size:
                self._put(place.offset + first * (data.nbytes // len(data)), data.data)
            self._filled[name] = last

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def _put(self, offset: int, data: bytes | memoryview) -> None:
        self._stream.seek(offset)
        self._stream.write(data)

    def _finish(self, kind: type[BaseException] | None, error: BaseException | None, trace: Any) -> None:
        if error is not None:
            return
        for name, rows in self._filled.items():
            if rows != self._places[name].shape[0]:
                raise ValueError(f"array '{name}': {rows} of {self._places[name].shape[0]} rows were written")
        self._stream.truncate(self._skeleton.size)
        self._stream.seek(USER_BLOCK)
        digest = hashlib.file_digest(self._stream, "sha256").hexdigest()
        self._put(0, user_block(digest))


@dataclass(frozen=True)
class _Place:
    """Where an array stands in a file."""

    offset: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]


class _Skeleton(io.RawIOBase):
    """A file in memory that keeps only the bytes written to it, not the space between them."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: dict[int, bytes] = {}
        """Offset → bytes, in the order in which they are to be written."""
        self.size = 0
        self._position = 0

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self._position = offset + (self.size if whence == os.SEEK_END else 0)
        return self._position

    def tell(self) -> int:
        return self._position

    def write(self, data: Any) -> int:
        piece = bytes(data)
        # A later write of the same place comes last.
        self.pieces.pop(self._position, None)
        self.pieces[self._position] = piece
        self._position += len(piece)
        self.size = max(self.size, self._position)
        return len(piece)

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        start, stop = self._position, self._position + len(view)
        view[:] = bytes(len(view))
        for offset, piece in self.pieces.items():
            first, last = max(start, offset), min(stop, offset + len(piece))
            if first < last:
                view[first - start : last - start] = piece[first - offset : last - offset]
        self._position = stop
        return len(view)

    def truncate(self, size: int | None = None) -> int:
        self.size = self._position if size is None else size
        return self.size


def _lay_out(skeleton: _Skeleton, layout: Layout, attributes: Mapping[str, Attribute]) -> dict[str, _Place]:
    """Write everything but the arrays' content of a file into `skeleton`; return the places of the arrays."""
    attributes = {**attributes, "format_version": FORMAT_VERSION, "software_version": __version__}
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_layout(h5py.h5d.CONTIGUOUS)
    settings.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
    settings.set_fill_time(h5py.h5d.FILL_TIME_NEVER)
    settings.set_obj_track_times(False)
    # "earliest", because newer headers of groups hold the time of their creation.
    with h5py.File(skeleton, "w", userblock_size=USER_BLOCK, libver=("earliest", "v110")) as file:
        for name in sorted(attributes):
            file.attrs[name] = encode_attribute(attributes[name])
        places = {}
        for name, (shape, given) in layout.items():
            dtype = np.dtype(given)
            # h5py's own create_dataset drops the settings for scalars.
            space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
            kind = h5py.h5t.py_create(dtype, logical=True)
            dataset = h5py.h5d.create(file.id, name.encode(), kind, space, dcpl=settings)
            places[name] = _Place(dataset.get_offset() if math.prod(shape) else 0, tuple(shape), dtype)
    return places
