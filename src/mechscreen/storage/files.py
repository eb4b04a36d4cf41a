"""Files that are whole or absent, and what the file system says of them.

A file is written under a temporary name in the same folder, flushed to disk and renamed, so it appears whole or not at
all. A `FileError` tells of a file's content, a `StorageError` of the environment, which says nothing about the file.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from mechscreen import system
from mechscreen.errors import ADVICE, FileError, InputError, StorageError, says_absent

_STALE_AFTER = 24 * 3600.0
"""Seconds after which a temporary file of another machine counts as left behind."""
_TEMPORARY = re.compile(r"\.(?P<stem>.+)\.(?P<host>[^.]+)\.(?P<pid>\d+)\.[0-9a-f]{8}\.tmp(?P<suffix>(\.[^.]*)?)")
"""Name of a temporary file (`_make_temporary`)."""


def exists(path: Path) -> bool:
    """Return whether there is something under a name.

    Unlike `pathlib`, it does not take an error of the environment for a file that is missing.

    Raises
    ------
    StorageError
        If the environment does not tell.
    """
    with reading(path):
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
    with reading(folder):
        return sorted(folder.iterdir()) if exists(folder) else []


def remove(path: Path) -> None:
    """Remove a file, if it is there.

    Raises
    ------
    StorageError
        If the environment does not allow it.
    """
    with explaining(path, "removed"):
        path.unlink(missing_ok=True)


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file, as ``sha256sum`` prints it; raises as `read` does."""
    with reading(path), path.open("rb") as stream:
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
    with reading(path):
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise FileError(path, f"not UTF-8 text (byte {error.start})") from None


def read_json(path: Path) -> Any:
    """Read a JSON file; raises as `read_text` does, and a `FileError` if it is not JSON."""
    return parse_json(path, read_text(path))


def parse_json(path: Path, text: str) -> Any:
    """Return what the text of a JSON file says; a `FileError` if it is not JSON."""
    try:
        return json.loads(text)
    except ValueError as error:
        raise FileError(path, f"not valid JSON ({error})") from None


def move_aside(error: FileError) -> str:
    """Rename the file that an error tells of, if it is there, so that it is made anew; return what to say about it."""
    path = error.path
    if not exists(path):
        return ""
    names = (path.with_name(f"{path.name}.bad{suffix}") for suffix in ["", *(f".{k}" for k in range(2, 1000))])
    aside = next(name for name in names if not exists(name))
    with explaining(path, "moved aside"):
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
    with explaining(path):
        temporary = _make_temporary(path)
        try:
            yield temporary
            system.flush(temporary)
            temporary.replace(path)
            system.flush(path.parent)
        except BaseException:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise


def check_writable(path: Path) -> None:
    """See that a file can be written under `path`, before the work that makes it.

    Raises
    ------
    InputError, StorageError
        As `replacing` would.
    """
    with explaining(path):
        if path.is_dir():
            raise _is_folder(path)
        # Folders that are missing are not made: whoever finds the next thing wrong would have to remove them.
        folder = next(parent for parent in path.parents if exists(parent))
        _make_temporary(folder / path.name).unlink()


def check_new(path: Path) -> None:
    """See that a file that is asked for is not there yet.

    Raises
    ------
    InputError
        If it is.
    """
    if exists(path):
        raise InputError(f"{path}: is there already; remove it, or give another name")


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
def explaining(path: Path, action: str = "written") -> Iterator[None]:
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
def reading(path: Path) -> Iterator[None]:
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


def _host() -> str:
    return re.sub(r"[^A-Za-z0-9-]", "-", socket.gethostname())


def is_temporary(path: Path) -> bool:
    """Return whether a file has the name of one that `replacing` yields."""
    return _TEMPORARY.fullmatch(path.name) is not None


def is_stale(path: Path) -> bool:
    """Return whether the process that made a temporary file has ended, as far as that can be told; looks at its age.

    Raises
    ------
    OSError
        If the file is gone by now.
    """
    match = _TEMPORARY.fullmatch(path.name)
    assert match is not None
    if match["host"] == _host() and (running := system.is_running(int(match["pid"]))) is not None:
        return not running
    return time.time() - path.stat().st_mtime > _STALE_AFTER


def _remove_stale(path: Path) -> None:
    """Remove temporary files of `path` that a killed process left behind."""
    for candidate in path.parent.iterdir():
        match = _TEMPORARY.fullmatch(candidate.name)
        if match is None or (match["stem"], match["suffix"]) != (path.stem, path.suffix):
            continue
        with suppress(OSError):
            if is_stale(candidate):
                candidate.unlink()
