"""Calls in a process of their own, so that one that hangs or crashes ends nothing but itself.

The process is a fresh interpreter (`subprocess`) rather than one of `multiprocessing`'s, which imports the calling
program's main module again: under MPI that would start MPI a second time with the rank's identity.
"""

from __future__ import annotations

import math
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from socket import gethostname, socketpair
from types import TracebackType
from typing import Any, Self

from mechscreen import system
from mechscreen.errors import InputError, ModelError, StorageError

_OWN_FAULT = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSYS", "SIGTRAP")
"""Signals that a process brings on itself. All others come from outside and say nothing about the call."""

_MPI_VARIABLES = ("PMI_", "PMIX_", "OMPI_", "MPI_LOCAL")
"""Beginnings of the variables by which a launcher tells a rank who it is. A rank's child is none."""

_LOOK_EVERY = 0.2
"""Seconds between looks at the clock and the process while waiting for a result, which arrives at once."""

_KILL_SECONDS = 5.0
"""Seconds to wait for a process to be gone."""

_FRESH_SECONDS = 600.0
"""So young a folder may not be locked yet."""

_SHOWN = 2**14
"""Bytes of what is printed that are shown as they come, and of the last ones, which are shown in the end."""

_START = (
    "import sys; sys.path[:] = {path!r}; from mechscreen.served import serve; serve({descriptor}, {parent}, {folder!r})"
)

STARTED_IN = "MECHSCREEN_FOLDER"
"""Environment variable of the process: the folder in which the caller works, and in which the object is made."""


class CallFailed(Exception):  # noqa: N818 - a result like any other to those who call
    """A call that came to nothing by its own fault; its message is the reason."""


class Raised(CallFailed):
    """What was called raised; ``ValueError: …``, and the traceback as a note."""


class TimedOut(CallFailed):
    """The call took longer than it was given."""


class Crashed(CallFailed):
    """The call ended its process."""


class Abandoned(Exception):  # noqa: N818
    """The caller did not want to wait any longer."""


class Isolated:
    """An object in a process of its own, whose methods can be called; a context manager.

    The process starts with the first call, and again after one that ended it. It outlives SIGTERM, SIGUSR1 and SIGINT,
    which the caller is to heed, but not the caller; what it starts heeds them as usual, and a call that may have failed
    by that is abandoned. It leads a process group, so that what it started ends with it.

    What is printed there goes to standard error: the beginning as it comes, and the end once the object is closed. The
    rest is left out, since each of a million calls may print.

    The object is made in the folder in which the caller works. Its methods are called in a folder of the process's own,
    below ``$TMPDIR``, which is empty at first and removed in the end, so that files of one name do not meet.

    Parameters
    ----------
    what
        Names the object in messages ("model 'decay'").
    make
        Returns the object, when it is called in the process; pickled by reference, so a function of a module or a
        `functools.partial` of one.
    """

    def __init__(self, what: str, make: Callable[[], Any]) -> None:
        self._what = what
        self._make = make
        self._child: _Child | None = None
        self._printed = _Printed(what)

    def call(
        self,
        method: str,
        *arguments: Any,
        seconds: float,
        give_up: Callable[[], bool] = lambda: False,
        **named: Any,
    ) -> Any:
        """Call a method of the object and return its result.

        Parameters
        ----------
        seconds
            Time the call may take; the start of the process does not count.
        give_up
            Asked while waiting; once it is true, the call is ended.

        Raises
        ------
        Raised, TimedOut, Crashed
            If the call failed.
        Abandoned
            After `give_up`, or where a notice to end may have been what made it fail.
        MemoryError
            If there was not enough memory, or the process was killed from outside, as happens then.
        StorageError
            If the environment failed it: a lost file system, a full disk.
        ModelError
            If the object cannot be made in another process.
        InputError
            If there can be no folder for it, and on Windows.
        """
        try:
            if self._child is None:
                self._child = _Child(self._what, self._printed)
                self._begin(self._child, give_up)
            return self._child.ask((method, arguments, named), seconds, give_up)
        except Raised:
            raise  # and the process can be called again
        except BaseException:
            self._end()
            raise

    def close(self) -> None:
        """End the process, whatever it does."""
        self._end()
        self._printed.finish()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _end(self) -> None:
        if self._child is not None:
            self._child.end()
            self._child = None

    def _begin(self, child: _Child, give_up: Callable[[], bool]) -> None:
        try:
            child.ask(self._make, math.inf, give_up)
        except CallFailed as failure:
            raise ModelError(f"{self._what} cannot be made in a process of its own: {failure}") from failure


class _Child:
    """The caller's side of the process."""

    def __init__(self, what: str, printed: _Printed) -> None:
        system.check_processes(what)
        self._what = what
        try:
            self._folder = _Folder()
        except OSError as error:
            raise InputError(
                f"no folder can be made in {tempfile.gettempdir()} ({error.strerror}); set TMPDIR to one that can be "
                "written to"
            ) from None
        ours, theirs = socketpair()
        reading, writing = os.pipe()
        with theirs, os.fdopen(writing, "wb") as output, system.notices_held_back():
            # Modules may be imported after the process has changed its folder.
            path = [os.path.abspath(part) for part in sys.path]  # noqa: PTH100 - "" is the folder, too
            start = _START.format(path=path, descriptor=theirs.fileno(), parent=os.getpid(), folder=self._folder.path)
            self._process = subprocess.Popen(
                [sys.executable, "-c", start],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                pass_fds=[theirs.fileno()],
                process_group=0,
                env=_environment(),
            )
            self._ended = threading.Event()
            self._reader = threading.Thread(target=printed.read, args=(reading, self._ended), daemon=True)
            self._reader.start()  # with notices held back, too: they are the main thread's
        self._connection = Connection(ours.detach())

    def ask(self, message: Any, seconds: float, give_up: Callable[[], bool]) -> Any:
        """Send a message and return the answer to it, or raise as `Isolated.call` does."""
        end = time.monotonic() + seconds
        try:
            self._connection.send(message)
            while not self._connection.poll(_LOOK_EVERY):
                # A process that it started may keep the connection open.
                if self._process.poll() is not None and not self._connection.poll():
                    raise EOFError
                if time.monotonic() >= end:
                    raise TimedOut(f"no result within {seconds:g} s")
                if give_up():
                    raise Abandoned
            outcome, *content = self._connection.recv()
        except (EOFError, OSError):
            raise self._death() from None
        if outcome == "memory":
            raise MemoryError(*content)
        if outcome == "storage":
            path, number = content
            raise StorageError(f"{self._what}: {path}", "read or written", number)
        if outcome == "abandoned":
            raise Abandoned
        if outcome == "raised":
            text, trace = content
            failure = Raised(text)
            failure.add_note(trace)
            raise failure
        return content[0]

    def _death(self) -> Exception:
        """Return what it means that the process has ended by itself."""
        code = self._process.wait()
        if code >= 0:
            return Crashed(f"the process ended with exit code {code}")
        name = {number.value: number.name for number in signal.Signals}.get(-code, f"signal {-code}")
        if name in _OWN_FAULT:
            return Crashed(f"the process was ended by {name}")
        hint = ", most probably because the memory was used up" if name == "SIGKILL" else ""
        return MemoryError(f"a process was ended from outside by {name}{hint}")

    def end(self) -> None:
        """End the process and what it started."""
        system.end_group(self._process)
        # Where a file system hangs, a process that waits for it cannot be killed.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)
        self._ended.set()
        self._reader.join(_KILL_SECONDS)
        self._connection.close()
        self._folder.remove()


class _Printed:
    """What the processes of one object print, of which some is passed on to standard error.

    It is read all the time, since who prints waits until it is.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._begin()

    def _begin(self) -> None:
        self._room = _SHOWN
        self._last = b""
        self._left_out = 0

    def read(self, descriptor: int, ended: threading.Event) -> None:
        """Read until nobody can write any more, or nothing comes once the process has ended."""
        with os.fdopen(descriptor, "rb", buffering=0) as stream:
            while True:
                if wait([descriptor], _LOOK_EVERY):
                    data = stream.read(2**16)
                    if not data:
                        return
                    self._take(data)
                elif ended.is_set():  # what it started may have left its group, and keeps the pipe open
                    return

    def finish(self) -> None:
        """Show the last of it, and how much is not shown."""
        if self._left_out:
            _show(f"\n… {self._left_out:,} bytes that {self._what} printed are left out here …\n".encode())
        _show(self._last)
        self._begin()

    def _take(self, data: bytes) -> None:
        shown, rest = data[: self._room], data[self._room :]
        self._room -= len(shown)
        _show(shown)
        known = self._last + rest
        self._last = known[-_SHOWN:]
        self._left_out += len(known) - len(self._last)


def _show(data: bytes) -> None:
    """Write to standard error as the process itself would have."""
    with suppress(OSError):  # nobody listens
        while data:
            data = data[os.write(2, data) :]


class _Folder:
    """A folder for a process to work in, below ``$TMPDIR``.

    A caller that is killed leaves it behind; the next one on this machine removes it. As long as a caller lives, its
    folder is locked.
    """

    def __init__(self) -> None:
        prefix = f"mechscreen-{gethostname()}-"
        self._made = tempfile.TemporaryDirectory(prefix=prefix, ignore_cleanup_errors=True)
        self.path = self._made.name
        self._lock = os.open(self.path, os.O_RDONLY)
        with suppress(OSError):  # where locks do nothing, what is left behind stays
            system.lock(self._lock)
            for other in Path(self.path).parent.glob(f"{prefix}*"):
                _remove_if_left_behind(other)

    def remove(self) -> None:
        """Remove it, with all that is in it."""
        self._made.cleanup()
        os.close(self._lock)


def _remove_if_left_behind(folder: Path) -> None:
    with suppress(OSError):  # of another user, or gone meanwhile
        if time.time() - folder.stat().st_mtime < _FRESH_SECONDS:
            return
        lock = os.open(folder, os.O_RDONLY)
        try:
            system.lock(lock)
            shutil.rmtree(folder, ignore_errors=True)
        finally:
            os.close(lock)


def _environment() -> dict[str, str]:
    """Return the environment of the process."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_MPI_VARIABLES)}
    kept[STARTED_IN] = str(Path.cwd())
    if modules := kept.get("PYTHONPATH"):  # of interpreters that it starts in its turn
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(part).absolute()) for part in modules.split(os.pathsep))
    return kept
