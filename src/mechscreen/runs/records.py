"""Small JSON files in a folder of results, which may have come from anywhere: read with limits, and not believed."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from mechscreen import system
from mechscreen.errors import FileError, StorageError
from mechscreen.progress import printable
from mechscreen.storage import Record, first_problem
from mechscreen.storage.files import explaining

_REMEDY = "the next run of Snakemake writes it anew"
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENXIO, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG}
"""Errors that say that there is no such file, and nothing of the disk."""

_R = TypeVar("_R", bound=Record)


def read_record(path: Path, kind: type[_R], most_bytes: int) -> _R:
    """Read a record.

    Raises
    ------
    FileError
        If the file says something else; and as of `read_plain`.
    StorageError
        As of `read_plain`.
    """
    text = read_plain(path, most_bytes)
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        problem = printable(first_problem(error))
        raise FileError(path, f"not a record of mechscreen ({problem})", _REMEDY) from None


def read_lines(path: Path, kind: type[_R], most_bytes: int) -> list[_R]:
    """Return the records in the lines of a file; lines that are none, and a file that is none, are passed over.

    Raises
    ------
    StorageError
        If the file cannot be read.
    """
    try:
        lines = read_plain(path, most_bytes).splitlines()
    except FileError:
        return []
    found = []
    for line in lines:
        # One that was half-written when its writer was killed, or of another version.
        with suppress(ValidationError):
            found.append(kind.model_validate_json(line))
    return found


def add_line(path: Path, record: Record) -> None:
    """Add a record to a file as a line.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    with explaining(path), path.open("a", encoding="utf-8") as stream:
        stream.write(record.model_dump_json() + "\n")


def read_plain(path: Path, most_bytes: int) -> bytes:
    """Return the content of a plain file; a pipe or a device, which may never end, is none.

    Raises
    ------
    FileError
        If it is missing, no plain file, or larger than `most_bytes`.
    StorageError
        If it cannot be read.
    """
    try:
        with os.fdopen(system.open_at_once(path), "rb") as stream:
            about = os.fstat(stream.fileno())
            if stat.S_ISREG(about.st_mode) and about.st_size <= most_bytes:
                return stream.read(most_bytes)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise StorageError(path, "read", error.errno or 0) from None
        raise FileError(path, "does not exist", _REMEDY) from None
    raise FileError(path, f"is no plain file of up to {most_bytes} bytes", "move it away")
