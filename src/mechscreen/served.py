"""The other side of `mechscreen.isolation`: what answers calls in a process of its own.

It stands on signals and forks of Linux and macOS; Windows has no such process.
"""

from __future__ import annotations

import io
import os
import pickle
import signal
import sys
import threading
import traceback
from multiprocessing.connection import Connection
from types import FrameType
from typing import Any

from mechscreen import system
from mechscreen.errors import by_environment

if sys.platform == "win32":
    raise ImportError("no process of its own on Windows")


class _Notices:
    """What became of notices to end, in the process.

    They are handled by doing nothing. Ignored, they would be ignored by all that the process starts, and
    `multiprocessing.Pool`, for one, ends its workers by SIGTERM and waits for them; handlers end at the start of
    another program, and are taken back in forks of this one. A fork begins with notices blocked, since one that came
    before they are taken back would be lost.
    """

    def __init__(self) -> None:
        self.seen = 0
        self._forking = threading.local()
        for number in system.NOTICES:
            signal.signal(number, self._note)
            signal.siginterrupt(number, False)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, system.NOTICES)
        os.register_at_fork(before=self._block, after_in_parent=self._unblock, after_in_child=self._heed)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.seen += 1

    def _block(self) -> None:
        self._forking.mask = signal.pthread_sigmask(signal.SIG_BLOCK, system.NOTICES)

    def _unblock(self) -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, self._forking.mask)

    def _heed(self) -> None:
        for number in system.NOTICES:
            # SIGINT, too: while a fork is made, Python ignores exceptions, a KeyboardInterrupt among them.
            signal.signal(number, signal.SIG_DFL)
        self._unblock()


def _told(error: BaseException) -> tuple[str, str, str | int]:
    """Return how the caller is told what a call raised."""
    if failed := by_environment(error):
        return "storage", str(failed.path), failed.errno
    return "raised", f"{type(error).__name__}: {error}", traceback.format_exc()


def serve(descriptor: int, parent: int, folder: str) -> None:
    """Answer what comes through a socket, in the process that `parent` started; the first call makes the object."""
    notices = _Notices()
    system.end_with(parent)
    if os.getppid() != parent:
        return
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # what waits in a buffer is lost when the process is killed
    os.set_inheritable(descriptor, False)
    connection = Connection(descriptor)
    made: list[Any] = []

    def answer(message: Any) -> Any:
        if not made:
            made.append(message())
            os.chdir(folder)
            return None
        method, arguments, named = message
        return getattr(made[0], method)(*arguments, **named)

    while True:
        try:
            received = connection.recv_bytes()
        except EOFError:
            return
        before, used = notices.seen, system.used_by_children()
        try:
            reply = pickle.dumps(("returned", answer(pickle.loads(received))))
            doubtful = False
        except MemoryError as error:
            reply, doubtful = pickle.dumps(("memory", str(error))), False
        except BaseException as error:
            reply, doubtful = pickle.dumps(_told(error)), True
        if notices.seen > before:
            # What it started may have been ended by the notice, whatever the call made of that.
            helped = system.has_children() or system.used_by_children() != used
            if doubtful or helped:
                reply = pickle.dumps(("abandoned",))
        connection.send_bytes(reply)
