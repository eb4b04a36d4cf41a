"""Files that one process holds."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import TextIO

from mechscreen import system
from mechscreen.errors import StorageError
from mechscreen.storage.files import exists, explaining, reading

_LOOK_SECONDS = 0.5
"""For how long `hold` tries again: `is_held` takes the lock for a moment."""
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
"""Where a file system knows no locks."""


def hold(path: Path) -> TextIO | None:
    """Open a text file for reading and appending, and lock it for as long as the stream is open, or the process lives.

    Returns
    -------
    The stream; None if another process holds the file. Where the file system knows no locks, nobody holds anything.
    """
    with explaining(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        stream = path.open("a+", encoding="utf-8")
    end = time.monotonic() + _LOOK_SECONDS
    while True:
        try:
            system.lock(stream.fileno())
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


def is_held(path: Path) -> bool | None:
    """Return whether a process holds a file by `hold`; None where the file system knows no locks, and nobody can tell.

    Raises
    ------
    StorageError
        If the environment does not tell.
    """
    if not exists(path):
        return False
    with reading(path), os.fdopen(system.open_at_once(path), "rb") as stream:
        try:
            system.lock(stream.fileno(), shared=True)
        except BlockingIOError:
            return True
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            return None
    return False
