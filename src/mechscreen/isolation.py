"""Calls in a process of their own, so that one that hangs or crashes ends nothing but itself.

The process is a fresh interpreter (`subprocess`) rather than one of `multiprocessing`'s, which imports the calling
program's main module again: under MPI that would start MPI a second time with the rank's identity.
"""

from __future__ import annotations

import ctypes
import math
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from socket import socketpair
from types import TracebackType
from typing import Any, Self

from mechscreen.errors import ModelError

_NOTICES = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
"""What clusters and terminals send to all processes of a job. The caller heeds them; the calls in work go on."""

_OWN_FAULT = frozenset(
    {signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGSYS, signal.SIGTRAP}
)
"""Signals that a process brings on itself. All others come from outside and say nothing about the call."""

_MPI_VARIABLES = ("PMI_", "PMIX_", "OMPI_", "MPI_LOCAL")
"""Beginnings of the variables by which a launcher tells a rank who it is. A rank's child is none."""

_LOOK_EVERY = 0.2
"""Seconds between looks at the clock and the process while waiting for a result, which arrives at once."""

_KILL_SECONDS = 5.0
"""Seconds to wait for a process to be gone."""

_SET_PARENT_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2)

_START = "import sys; sys.path[:] = {path!r}; from mechscreen.isolation import _serve; _serve({descriptor}, {parent})"


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
    which the caller is to heed, but not the caller. It leads a process group, so that what it started ends with it.

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
            After `give_up`.
        MemoryError
            If there was not enough memory, or the process was killed from outside, as happens then.
        ModelError
            If the object cannot be made in another process.
        """
        try:
            if self._child is None:
                self._child = _Child()
                self._begin(self._child, give_up)
            return self._child.ask((method, arguments, named), seconds, give_up)
        except Raised:
            raise  # and the process can be called again
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the process, whatever it does."""
        if self._child is not None:
            self._child.end()
            self._child = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _begin(self, child: _Child, give_up: Callable[[], bool]) -> None:
        try:
            child.ask(self._make, math.inf, give_up)
        except CallFailed as failure:
            raise ModelError(f"{self._what} cannot be made in a process of its own: {failure}") from failure


class _Child:
    """The caller's side of the process."""

    def __init__(self) -> None:
        ours, theirs = socketpair()
        with theirs:
            # Blocked signals stay blocked in the new process until it ignores them; here they wait.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, _NOTICES)
            try:
                start = _START.format(path=sys.path, descriptor=theirs.fileno(), parent=os.getpid())
                self._process = subprocess.Popen(
                    [sys.executable, "-c", start],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    process_group=0,
                    env={name: value for name, value in os.environ.items() if not name.startswith(_MPI_VARIABLES)},
                )
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
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
        if -code in _OWN_FAULT:
            return Crashed(f"the process was ended by {name}")
        hint = ", most probably because the memory was used up" if -code == signal.SIGKILL else ""
        return MemoryError(f"a process was ended from outside by {name}{hint}")

    def end(self) -> None:
        """End the process and what it started."""
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        # Where a file system hangs, a process that waits for it cannot be killed.
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_KILL_SECONDS)
        self._connection.close()


def _serve(descriptor: int, parent: int) -> None:
    """Answer what comes through a socket, in the process that `parent` started."""
    for number in _NOTICES:
        signal.signal(number, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _NOTICES)
    # The kernel's watch over the parent; a thread of Python's would not run while a call holds the interpreter.
    ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
    if os.getppid() != parent:
        return
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    made: list[Any] = []

    def answer(message: Any) -> Any:
        if not made:
            made.append(message())
            return None
        method, arguments, named = message
        return getattr(made[0], method)(*arguments, **named)

    while True:
        try:
            received = connection.recv_bytes()
        except EOFError:
            return
        try:
            reply = pickle.dumps(("returned", answer(pickle.loads(received))))
        except MemoryError as error:
            reply = pickle.dumps(("memory", str(error)))
        except BaseException as error:
            reply = pickle.dumps(("raised", f"{type(error).__name__}: {error}", traceback.format_exc()))
        connection.send_bytes(reply)
