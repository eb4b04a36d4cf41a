"""What people see when something is wrong: one message without a traceback, and an exit code that says whose it is.

Only a `FileError` may lead to a file's being made anew, moved aside or removed. A `StorageError` never does: it says
nothing about the file.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar

EXIT_MEMORY = 1
EXIT_INPUT = 2
EXIT_STORAGE = 74
"""EX_IOERR of sysexits.h: the environment is at fault, and the same command may go on once it is mended."""

EXIT_UNFINISHED = 75
"""EX_TEMPFAIL of sysexits.h: stopped by a time limit or signal, with a partial file that the next attempt continues."""

REMAKE = "remove it and run the command that makes it again"
"""What to do about a file that is wrong."""

LATE = "it may only be late; try again"
"""What to do about a file that a network file system may not show yet."""


class MechscreenError(Exception):
    """What the command line prints as its message alone, without a traceback; then it exits with `exit_code`.

    The message says what is wrong, where, and what to do.
    """

    exit_code: ClassVar[int] = EXIT_INPUT


class InputError(MechscreenError, ValueError):
    """Something a person gave is wrong: a key, a name, a table, a path."""


class ModelError(MechscreenError):
    """The code or the numbers of a model, an objective or a network are wrong.

    It cannot be imported, gives arrays of wrong shapes or types, or values that are not finite.
    """


class FileError(MechscreenError):
    """The content of a file is wrong, or it is not there: which file, its `problem`, and what to do.

    It may be moved aside and made anew.
    """

    def __init__(self, path: Path, problem: str, remedy: str = REMAKE) -> None:
        super().__init__(f"{path}: {problem}; {remedy}")
        self.path = path
        self.problem = problem


class StorageError(MechscreenError):
    """The environment does not let a file be read or written: a full disk, a quota, a lost network file system, ….

    Parameters
    ----------
    path
        The file.
    action
        What cannot be done with it: ``read``, ``written``.
    number
        The system's error number (`errno`).
    """

    exit_code = EXIT_STORAGE

    def __init__(self, path: Path | str, action: str, number: int) -> None:
        super().__init__(f"{path}: cannot be {action}: {ADVICE.get(number) or _unknown(number)}")
        self.path = path
        self.errno = number


class OutOfMemoryError(MechscreenError):
    """A `MemoryError` as people are told it.

    It says something of the machine, so that a retry with more memory may help.
    """

    exit_code = EXIT_MEMORY

    def __init__(self, reason: str) -> None:
        super().__init__(f"out of memory: {reason or 'there was not enough of it'}; give the job more memory")


_REMOTE_IO: int = getattr(errno, "EREMOTEIO", errno.EIO)  # Linux alone has it

ADVICE = {
    errno.ENOSPC: "no space left on the disk; free some and run again, or use another results folder",
    errno.EDQUOT: "the disk quota is used up; free some and run again, or use another results folder",
    errno.EFBIG: "the file would exceed the largest size allowed here; raise the limit (ulimit -f)",
    errno.EROFS: "the file system is read-only; use another results folder",
    errno.EACCES: "permission denied; change the permissions of file and folder, or use others",
    errno.EPERM: "operation not permitted; change the permissions of file and folder, or use others",
    errno.EIO: "the disk reports an input/output error; run again, and tell the administrator if it comes again",
    _REMOTE_IO: "the disk reports an input/output error; run again, and tell the administrator if it comes again",
    errno.ESTALE: "the network file system lost it; run again",
    errno.ENOTCONN: "the file system is not connected; run again when it is",
    errno.EHOSTDOWN: "the file server does not answer; run again when it does",
    errno.ETIMEDOUT: "the file server does not answer; run again when it does",
    errno.ECONNREFUSED: "no server answers there; start it, and run again",
    errno.ENOENT: "its folder was removed meanwhile; run again",
    errno.EMFILE: "too many files are open; raise the limit (ulimit -n)",
    errno.ENFILE: "too many files are open on this machine; run again",
}
"""What to do about errors of the environment, by their number."""

_ENVIRONMENT = ADVICE.keys() - {errno.ENOENT, errno.EACCES, errno.EPERM, errno.EROFS, errno.EFBIG}
"""Those that say nothing about the code that meets them; a missing file or permission may be its own mistake."""


def _unknown(number: int) -> str:
    known = errno.errorcode.get(number, "unknown")
    return f"the system reports error {number} ({known}); run again once that is mended"


_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG}
_OF_PATH = _ABSENT | {errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.EINVAL}


def says_absent(error: OSError) -> bool:
    """Return whether an error means that there is no such file."""
    return error.errno in _ABSENT


def unreadable(path: Path, error: OSError, remedy: str) -> MechscreenError:
    """Return what to raise where a file that a person named cannot be read, for its path or for the environment."""
    if error.errno is None or error.errno in _OF_PATH:
        return InputError(f"{path}: cannot be read ({error.strerror}); {remedy}")
    return StorageError(path, "read", error.errno)


def as_told(error: BaseException) -> MechscreenError | None:
    """Return an error as people are told it; None where it is a mistake of the code, which needs its traceback.

    Errors of the file system and of memory reach libraries too, which raise them as they are.
    """
    if isinstance(error, MechscreenError):
        return error
    if isinstance(error, MemoryError):
        return OutOfMemoryError(str(error))
    if isinstance(error, OSError) and error.errno in ADVICE.keys() - _OF_PATH:
        return StorageError(error.filename or "a file", "read or written", error.errno)
    return None


def by_environment(error: BaseException, whose: str = "") -> StorageError | None:
    """Return what the environment did to a user's code, which `whose` begins to tell; None for other errors."""
    if isinstance(error, OSError) and error.errno in _ENVIRONMENT:
        return StorageError(f"{whose}{error.filename or 'a file'}", "read or written", error.errno)
    return None


def check_keys(where: str, given: Iterable[object], valid: Sequence[str]) -> None:
    """See that all keys that were given are valid.

    Raises
    ------
    InputError
        Naming the first that is not, and the nearest that is; the message begins with `where`.
    """
    for key in given:
        if key not in valid:
            raise InputError(f"{where}: no '{key}'{nearest(str(key), valid)} (valid: {', '.join(valid)})")


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the valid name most like `name`, or an empty string."""
    close = get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""


def at_most(lines: Sequence[str], most: int = 3, what: str = "") -> list[str]:
    """Return lines; of more than `most` the first ones, and how many more there are of `what`."""
    return list(lines) if len(lines) <= most else [*lines[: most - 1], f"… and {len(lines) - most + 1} more{what}"]
