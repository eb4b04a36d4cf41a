"""Small JSON files in a folder of results, which may have come from anywhere: read with limits, and not believed."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from mechscreen.errors import InputError
from mechscreen.progress import printable


class Record(BaseModel):
    """What such a file says: of the types that are declared, unchangeable; keys of later versions are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", allow_inf_nan=False)


_R = TypeVar("_R", bound=Record)


def read_record(path: Path, kind: type[_R], most_bytes: int) -> _R:
    """Read a record.

    Raises
    ------
    InputError
        If the file is missing, larger than `most_bytes`, no plain file, or says something else.
    """
    text = read_plain(path, most_bytes)
    try:
        return kind.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(key) for key in first["loc"])
        problem = f"{place[:100]}: {first['msg'][:200]}" if place else first["msg"][:200]
        raise InputError(
            f"{path}: not a record of mechscreen ({printable(problem)}); the next run writes it anew"
        ) from None


def read_plain(path: Path, most_bytes: int) -> bytes:
    """Return the content of a plain file; a pipe or a device, which may never end, is none.

    Raises
    ------
    InputError
        If it cannot be read, is no plain file, or is larger than `most_bytes`.
    """
    try:
        # Opening a pipe would wait for who writes to it.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as stream:
            about = os.fstat(descriptor)
            if not stat.S_ISREG(about.st_mode):
                raise InputError(f"{path}: is no plain file; move it away")
            if about.st_size > most_bytes:
                raise InputError(f"{path}: is larger than {most_bytes} bytes; move it away")
            return stream.read(most_bytes)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
