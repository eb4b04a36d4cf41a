"""Files that are whole or absent, and whose every bit is checked when they are read.

Arrays are kept in HDF5 files. The first 512 bytes (HDF5's *user block*, which its readers skip) hold the word
``mechscreen`` and the SHA-256 of all bytes that follow, so any flipped bit, truncation or addition is found; HDF5 by
itself finds few of them. The same content gives the same bytes: no times are stored, and the order is fixed. A file is
written under a temporary name in the same folder, flushed to disk and renamed, so it appears whole or not at all.

A `FileError` tells of a file's content, a `StorageError` of the environment, which says nothing about the file.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import io
import json
import math
import os
import re
import secrets
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self, TextIO

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from mechscreen.errors import ADVICE, REMAKE, FileError, InputError, MechscreenError, StorageError, says_absent
from mechscreen.version import __version__

FORMAT_VERSION = 2

Attribute = str | int | float
Layout = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
"""Name → (shape, data type) of each array."""

_USER_BLOCK = 512
_MAGIC = b"mechscreen"
_HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_LOOK_SECONDS = 0.5
"""For how long `hold` tries again: `is_held` takes the lock for a moment."""
_STALE_AFTER = 24 * 3600.0
"""Seconds after which a temporary file of another machine counts as left behind."""


class FormatError(MechscreenError):
    """A file of an earlier release, which can be converted."""

    def __init__(self, path: Path, version: int, software: Any) -> None:
        super().__init__(
            f"{path}: has format {version}, written by mechscreen {software}; convert its folder of results, which "
            "loses nothing: mechscreen migrate results/NAME"
        )


class Identity(Protocol):
    """What a file depends on. What it means is the caller's business."""

    @property
    def fingerprint(self) -> str:
        """The file's attribute ``campaign``."""

    def difference(self, recorded: Any) -> str:
        """Return how a file's attribute ``identity`` differs, for people; empty if that cannot be told."""


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
        self._whole = {name: _encode(values) for name, values in (whole or {}).items()}
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
        self._stream.seek(_USER_BLOCK)
        digest = hashlib.file_digest(self._stream, "sha256").hexdigest()
        self._put(0, _user_block(digest))


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
    with h5py.File(skeleton, "w", userblock_size=_USER_BLOCK, libver=("earliest", "v110")) as file:
        for name in sorted(attributes):
            file.attrs[name] = _encode_attribute(attributes[name])
        places = {}
        for name, (shape, given) in layout.items():
            dtype = np.dtype(given)
            # h5py's own create_dataset drops the settings for scalars.
            space = h5py.h5s.create_simple(shape) if shape else h5py.h5s.create(h5py.h5s.SCALAR)
            kind = h5py.h5t.py_create(dtype, logical=True)
            dataset = h5py.h5d.create(file.id, name.encode(), kind, space, dcpl=settings)
            places[name] = _Place(dataset.get_offset() if math.prod(shape) else 0, tuple(shape), dtype)
    return places


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
        return File(file.path, file.attributes, {name: _load(data) for name, data in file.arrays.items()})


@contextmanager
def open_file(path: Path, kind: str, identity: Identity | None = None) -> Iterator[File]:
    """Verify a file as `read` does, and yield it with arrays that are read as they are indexed (``file["x"][3:5]``)."""
    with open_unchecked(path) as file:
        _check_attributes(path, file.attributes, kind, identity)
        yield file


@contextmanager
def open_unchecked(path: Path) -> Iterator[File]:
    """Yield a file as `open_file` does, but verify its checksum alone: of any kind, origin and format."""
    _check_digest(path)
    with _reading(path), h5py.File(path, "r", locking=False) as handle:
        attributes = {name: _decode_attribute(path, name, value) for name, value in handle.attrs.items()}
        yield File(path, attributes, {name: _dataset(path, handle, name) for name in handle})


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


def verify(path: Path, kind: str, identity: Identity | None = None) -> Mapping[str, Attribute]:
    """Verify a file as `read` does, and return its attributes."""
    with open_file(path, kind, identity) as file:
        return file.attributes


def exists(path: Path) -> bool:
    """Return whether there is something under a name.

    Unlike `pathlib`, it does not take an error of the environment for a file that is missing.

    Raises
    ------
    StorageError
        If the environment does not tell.
    """
    with _reading(path):
        try:
            path.stat()
        except OSError as error:
            if says_absent(error):
                return False
            raise
    return True


def listing(folder: Path) -> list[Path]:
    """Return what is in a folder, by name; nothing where there is none.

    Raises
    ------
    StorageError
        If the environment does not tell.
    """
    with _reading(folder):
        return sorted(folder.iterdir()) if exists(folder) else []


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises
    ------
    StorageError
        If the environment does not allow it.
    """
    with _explaining(path, "removed"):
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as ``sha256sum`` prints it; raises as `read` does."""
    with _reading(path), path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8), atomically."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def update_text(path: Path, text: str) -> None:
    """Write a text file (UTF-8), atomically; one that holds the same already stays as it is, with its time.

    Raises
    ------
    StorageError
        If the environment does not let it be read or written.
    """
    try:
        if read_text(path) == text:
            return
    except FileError:
        pass
    write_text(path, text)


def write_json(path: Path, values: Any) -> None:
    """Write a JSON file, atomically."""
    write_text(path, json.dumps(values, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_text(path: Path) -> str:
    """Read a text file (UTF-8).

    Raises
    ------
    FileError
        If it is missing, or no text.
    StorageError
        If the environment does not let it be read.
    """
    with _reading(path):
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise FileError(path, f"not UTF-8 text (byte {error.start})") from None


def read_json(path: Path) -> Any:
    """Read a JSON file; raises as `read_text` does, and a `FileError` if it is not JSON."""
    text = read_text(path)
    try:
        return json.loads(text)
    except ValueError as error:
        raise FileError(path, f"not valid JSON ({error})") from None


def read_record(path: Path, kind: str, identity: Identity | None = None) -> dict[str, Any]:
    """Read a JSON file that says what made it, and check that as `read` does.

    Raises
    ------
    FileError, FormatError, StorageError
        As `read`.
    """
    values = read_json(path)
    if not isinstance(values, dict) or values.get("kind") != kind:
        raise FileError(path, f"is no record of '{kind}'")
    # Those of format 1 did not say so.
    _check_attributes(path, {"format_version": 1, **values}, kind, identity)
    return values


def move_aside(error: FileError) -> str:
    """Rename the file that an error tells of, if it is there, so that it is made anew; return what to say about it."""
    path = error.path
    if not exists(path):
        return ""
    names = (path.with_name(f"{path.name}.bad{suffix}") for suffix in ["", *(f".{k}" for k in range(2, 1000))])
    aside = next(name for name in names if not exists(name))
    with _explaining(path, "moved aside"):
        path.rename(aside)
    return f"; moved to {aside.name}"


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary name beside `path`; when the block ends, the file written there takes its place.

    The temporary name ends like `path` does, for libraries that go by the suffix. If the block raises, the temporary
    file is removed and `path` stays as it was.

    Raises
    ------
    InputError
        If the path is none for a file: a folder stands there, a part of it is a file, its name is too long.
    StorageError
        If the environment does not allow it: the disk is full, the folder is read-only, ….
    """
    with _explaining(path):
        temporary = _make_temporary(path)
        try:
            yield temporary
            _flush(temporary)
            temporary.replace(path)
            _flush(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def hold(path: Path) -> TextIO | None:
    """Open a text file for reading and appending, and lock it for as long as the stream is open, or the process lives.

    Returns
    -------
    The stream; None if another process holds the file. Where the file system knows no locks, nobody holds anything.
    """
    with _explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
    end = time.monotonic() + _LOOK_SECONDS
    while True:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            # Someone may only be looking.
            if time.monotonic() < end:
                time.sleep(_LOOK_SECONDS / 10)
                continue
            stream.close()
            return None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                stream.close()
                raise StorageError(path, "locked", error.errno or errno.EIO) from error
        return stream


def is_held(path: Path) -> bool:
    """Return whether a process holds a file by `hold`.

    Raises
    ------
    StorageError
        If the environment does not tell.
    """
    if not exists(path):
        return False
    # Opening a pipe would wait for who writes to it.
    with _reading(path), os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK)) as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
    return False


def check_writable(path: Path) -> None:
    """See that a file can be written under `path`, before the work that makes it.

    Raises
    ------
    InputError, StorageError
        As `replacing` would.
    """
    with _explaining(path):
        if path.is_dir():
            raise _is_folder(path)
        # Folders that are missing are not made: whoever finds the next thing wrong would have to remove them.
        folder = next(parent for parent in path.parents if exists(parent))
        _make_temporary(folder / path.name).unlink()


def _is_folder(path: Path) -> InputError:
    return InputError(f"{path}: is a folder, and a file has to be written there; move the folder away")


def _make_temporary(path: Path) -> Path:
    """Make an empty temporary file beside `path`, and its folder."""
    if path.is_dir():
        raise _is_folder(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_stale(path)
    temporary = path.with_name(f".{path.stem}.{_host()}.{os.getpid()}.{secrets.token_hex(4)}.tmp{path.suffix}")
    temporary.touch()
    return temporary


@contextmanager
def _explaining(path: Path, action: str = "written") -> Iterator[None]:
    """Tell people about errors of the file system, where a file is changed."""
    try:
        yield
    except OSError as error:
        if error.errno in _PATH_PROBLEMS:
            raise InputError(f"{path}: cannot be {action}: {_PATH_PROBLEMS[error.errno]}") from error
        if error.errno in ADVICE:
            raise StorageError(path, action, error.errno) from error
        raise


_PATH_PROBLEMS = {
    errno.ENOTDIR: "a part of its path is a file, not a folder; move that file away or use another results folder",
    errno.EEXIST: "a part of its path is a file, not a folder; move that file away or use another results folder",
    errno.ENAMETOOLONG: "its name is too long; use a shorter one",
    errno.EISDIR: "a folder stands in its place; move the folder away",
}


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Tell people about errors of the file system and of HDF5, where a file is read: of its content, or not."""
    try:
        yield
    except IsADirectoryError:
        raise FileError(path, "is a folder where a file should be", "move it away and run again") from None
    except OSError as error:
        number = error.errno or _number_in(error)
        if number is None:
            raise _not_hdf5(path, error) from None
        if says_absent(OSError(number, "")):
            raise FileError(path, "does not exist", "run the command that makes it") from None
        raise StorageError(path, "read", number) from error
    except (RuntimeError, KeyError) as error:
        # So h5py tells of some errors: of the file system with their number, of the content without.
        number = _number_in(error)
        if number is not None:
            raise StorageError(path, "read", number) from error
        if "nable to" not in str(error):
            raise
        raise _not_hdf5(path, error) from None


def _number_in(error: Exception) -> int | None:
    """Return the system's error number that HDF5 tells in its message."""
    match = re.search(r"errno = (\d+)", str(error))
    return int(match.group(1)) if match else None


def _not_hdf5(path: Path, error: Exception) -> FileError:
    return FileError(path, f"cannot be opened as HDF5 ({error})")


_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""Where a file system knows no locks."""


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


def _remove_stale(path: Path) -> None:
    """Remove temporary files of `path` that a killed process left behind."""
    pattern = re.compile(rf"\.{re.escape(path.stem)}\.([^.]+)\.(\d+)\.[0-9a-f]+\.tmp{re.escape(path.suffix)}")
    for candidate in path.parent.iterdir():
        match = pattern.fullmatch(candidate.name)
        if match is None:
            continue
        with suppress(OSError):
            here = match.group(1) == _host()
            if not _runs(int(match.group(2))) if here else time.time() - candidate.stat().st_mtime > _STALE_AFTER:
                candidate.unlink()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _flush(path: Path) -> None:
    """Wait until a file or folder is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush folders.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def _user_block(digest: str) -> bytes:
    return (_MAGIC + b"\nsha256 " + digest.encode() + b"\n").ljust(_USER_BLOCK, b"\0")


def _check_digest(path: Path) -> None:
    with _reading(path), path.open("rb") as stream:
        _compare(path, stream)


def _compare(path: Path, stream: BufferedReader) -> None:
    head = stream.read(_USER_BLOCK)
    if not head:
        raise FileError(path, "is empty")
    if not head.startswith(_MAGIC):
        what = "an HDF5 file, but not one of mechscreen's" if head.startswith(_HDF5_SIGNATURE) else "no mechscreen file"
        raise FileError(path, f"is {what}", f"give another one, or {REMAKE}")
    if head != _user_block(hashlib.file_digest(stream, "sha256").hexdigest()):
        raise FileError(path, "is damaged (its checksum does not match its content)")


def _check_attributes(path: Path, attributes: Mapping[str, Any], kind: str, identity: Identity | None) -> None:
    version = attributes.get("format_version")
    if not isinstance(version, int) or "kind" not in attributes or "campaign" not in attributes:
        raise FileError(path, "lacks the attributes of a mechscreen file")
    if version > FORMAT_VERSION:
        raise FileError(
            path,
            f"has format {version}, written by mechscreen {attributes.get('software_version')}; "
            f"this is mechscreen {__version__}, which reads up to format {FORMAT_VERSION}",
            "update it",
        )
    if version < FORMAT_VERSION:
        raise FormatError(path, version, attributes.get("software_version", "0.1.0"))
    if attributes["kind"] != kind:
        raise FileError(path, f"holds '{attributes['kind']}' where '{kind}' is expected", "give another file")
    if identity is not None and attributes["campaign"] != identity.fingerprint:
        difference = identity.difference(attributes.get("identity"))
        raise FileError(
            path,
            f"made with {difference}"
            if difference
            else f"written by campaign {attributes['campaign']} (this one is {identity.fingerprint})",
            "remove it or use another results folder",
        )


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


def _load(data: Any) -> NDArray[Any]:
    values = data[()]
    return np.asarray(values, dtype=str) if isinstance(values, np.ndarray) and values.dtype == object else values


def _encode(values: NDArray[Any] | list[str]) -> NDArray[Any]:
    """Return an array as it is stored: strings as UTF-8 of one length, because HDF5's others are not reproducible."""
    array = np.array(values, dtype=str) if isinstance(values, list) else np.asarray(values)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind != "U" or array.ndim != 1:
        raise ValueError(f"cannot store an array of type {array.dtype} and shape {array.shape}")
    encoded = [str(text).encode("utf-8", "backslashreplace") for text in array]
    length = max([1, *map(len, encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", length))


def _encode_attribute(value: Attribute) -> Any:
    if isinstance(value, str):
        encoded = value.encode("utf-8", "backslashreplace")
        return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(1, len(encoded))))
    return np.int64(value) if isinstance(value, int) else np.float64(value)


def _decode_attribute(path: Path, name: str, value: Any) -> Attribute:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, str):
        return value
    raise FileError(path, f"attribute '{name}' is neither text nor a number")
