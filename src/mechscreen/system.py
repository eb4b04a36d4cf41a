"""What operating systems do differently, in one place: locks, signals, processes, flushing.

All of it works on Linux. On macOS two things are weaker, and on Windows some are not there; each function says so. No
other module imports what a system may lack (`fcntl`, `resource`, …), and mypy looks at the package for each system.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mechscreen.errors import InputError

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl
    import resource

if sys.platform == "win32":
    NOTICES = (signal.SIGTERM, signal.SIGINT)
else:
    NOTICES = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
"""What clusters and terminals send to all processes of a job, so that they end."""

_FAR = 2**30
"""Where Windows locks a byte: what is locked there cannot be read by others, and no file that is locked is so long."""
_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)
_LOOK_SECONDS = 1.0


def lock(descriptor: int, *, shared: bool = False) -> None:
    """Lock an open file until it is closed, or the process ends.

    Windows has no shared locks, so that two who look at the same moment whether a file is held may hold each other up;
    and it locks no folders.

    Raises
    ------
    BlockingIOError
        If another process has it locked.
    OSError
        If the file system knows no locks.
    """
    if sys.platform == "win32":
        at = os.lseek(descriptor, 0, os.SEEK_CUR)
        os.lseek(descriptor, _FAR, os.SEEK_SET)
        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except PermissionError as error:
            raise BlockingIOError(errno.EAGAIN, "locked") from error
        finally:
            os.lseek(descriptor, at, os.SEEK_SET)
    else:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)


def open_at_once(path: Path) -> int:
    """Open a file for reading its bytes; opening a pipe would wait for who writes to it, and does not here."""
    if sys.platform == "win32":
        return os.open(path, os.O_RDONLY | os.O_BINARY)
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK)


def flush(path: Path) -> None:
    """Wait until a file or folder is on the disk; Windows flushes files alone."""
    if sys.platform == "win32":
        if path.is_dir():
            return
        descriptor = os.open(path, os.O_RDWR | os.O_BINARY)  # it flushes what can be written to
    else:
        descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot flush folders.
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)


def is_running(pid: int) -> bool | None:
    """Return whether a process of this machine lives; None on Windows, where the signal that asks would end it."""
    if sys.platform == "win32":
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def free_inodes(folder: Path) -> int | None:
    """Return how many more files the file system takes; None where it counts none."""
    if sys.platform == "win32":
        return None
    at = os.statvfs(folder)
    return at.f_favail if at.f_files else None


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process that leads a group, and all in it; on Windows, where there are no groups, the process alone."""
    if sys.platform == "win32":
        process.kill()
        return
    # macOS does not permit it where the whole group has ended.
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)


@contextmanager
def watching(process: subprocess.Popen[bytes]) -> Iterator[Callable[[float], bool]]:
    """Yield what waits for a process for some seconds at most, and returns whether it has ended.

    Linux wakes who waits. Elsewhere, and with a kernel before 5.3, it is looked again after up to 0.05 s.
    """
    descriptor = _descriptor_of(process.pid)
    if descriptor is None:

        def ended(seconds: float) -> bool:
            with suppress(subprocess.TimeoutExpired):
                process.wait(seconds)
            return process.returncode is not None

        yield ended
        return
    try:
        yield lambda seconds: bool(select.select([descriptor], [], [], seconds)[0])
    finally:
        os.close(descriptor)


def _descriptor_of(pid: int) -> int | None:
    if sys.platform == "linux":
        with suppress(OSError):
            return os.pidfd_open(pid)
    return None


def check_processes(what: str) -> None:
    """See that an object, `what`, can be called in a process of its own (`mechscreen.isolation`).

    Raises
    ------
    InputError
        On Windows.
    """
    if sys.platform == "win32":
        raise InputError(f"{what} runs in a process of its own, which there is not on Windows; use WSL, Linux or macOS")


@contextmanager
def notices_held_back() -> Iterator[None]:
    """Keep `NOTICES` waiting while the block lasts, for processes that begin in it, too; on Windows they come."""
    if sys.platform == "win32":
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, NOTICES)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def end_with(parent: int) -> None:
    """Have this process end with the one that started it.

    Linux's kernel sees to that. Elsewhere a thread does, which waits while a call holds the interpreter.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
    else:
        threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(_LOOK_SECONDS)
    os._exit(1)


def used_by_children() -> tuple[float, ...]:
    """Return what the processes used that this one started and that have ended; nothing on Windows."""
    if sys.platform == "win32":
        return ()
    else:
        return tuple(resource.getrusage(resource.RUSAGE_CHILDREN))


def has_children() -> bool:
    """Return whether a process that this one started is still there; True where the system does not say."""
    if sys.platform != "linux":
        return True
    try:
        return any(path.read_text() for path in Path("/proc/self/task").glob("*/children"))
    except OSError:  # a kernel that does not say, or a thread that has just ended
        return True
