"""When to stop: before a time limit, or once a signal asks for it."""

from __future__ import annotations

import math
import os
import signal
import time
from types import FrameType, TracebackType
from typing import Any, Self

from mechscreen import system
from mechscreen.errors import InputError

_JOB_BEGAN = "MECHSCREEN_JOB_BEGAN"
"""Environment variable: number of a SLURM job, and when it began, in seconds since 1970."""
_LAST_SECONDS = 10.0
"""What work in hand is given once it is time to stop; SLURM, for one, kills 30 s after SIGTERM."""


def begin_job() -> None:
    """Note that a job of the cluster begins, for the `Deadline` of the processes that this one starts.

    The first call in a job counts.
    """
    # Only Snakemake's process calls this; the ranks are spared the import.
    import psutil

    job = os.environ.get("SLURM_JOB_ID", "")
    if job and os.environ.get(_JOB_BEGAN, "").partition(" ")[0] != job:
        os.environ[_JOB_BEGAN] = f"{job} {psutil.Process().create_time()}"


def _since_job_began() -> float:
    """Return the seconds since `begin_job` was called in this job; 0 if it was not."""
    job, _, began = os.environ.get(_JOB_BEGAN, "").partition(" ")
    return max(0.0, time.time() - float(began)) if job and job == os.environ.get("SLURM_JOB_ID") else 0.0


class Deadline:
    """Says when to stop: before a time limit, or once a signal asked for it; a context manager.

    Inside the context SIGTERM and SIGUSR1 (a cluster's notice, ``mpiexec`` that is told to end) and SIGINT (Ctrl-C)
    only set a mark, so that the work ends in good order; a second Ctrl-C interrupts at once. Leaving the context
    restores the handlers.

    Parameters
    ----------
    seconds
        Time allowed; None for no limit. In a job that called `begin_job`, it counts from there. SLURM_JOB_END_TIME, if
        it is set, counts too.
    margin
        Seconds kept back for finishing the blocks in work and writing them; at most a tenth of the time allowed.
    """

    _SAME_KEYSTROKE = 1.0
    """Seconds: a terminal and mpiexec both pass Ctrl-C on, so that it arrives twice."""

    def __init__(self, seconds: float | None = None, *, margin: float = 60.0) -> None:
        if seconds is not None and math.isnan(seconds):
            raise InputError("the time limit is not a number")
        limits = [] if seconds is None else [seconds - _since_job_began()]
        job_end = os.environ.get("SLURM_JOB_END_TIME")
        if job_end is not None:
            if not job_end.isdecimal():
                raise InputError(f"SLURM_JOB_END_TIME is {job_end!r}; unset it, or give seconds since 1970")
            limits.append(int(job_end) - time.time())
        # From here on the monotonic clock counts, which nobody sets.
        now = time.monotonic()
        limit = min(limits, default=math.inf)
        self._margin = min(margin, 0.1 * limit)
        self._end = now + limit - self._margin
        self._signal: signal.Signals | None = None
        self._signal_time = 0.0
        self._previous: dict[int, Any] = {}

    @property
    def reason(self) -> str:
        """Why to stop; empty while there is no reason."""
        if self._signal is not None:
            return f"received {self._signal.name}"
        if time.monotonic() >= self._end:
            return "the time limit is near"
        return ""

    def reached(self) -> bool:
        """Return whether to stop."""
        return bool(self.reason)

    def overdue(self) -> bool:
        """Return whether to stop without waiting for the work in hand: `_LAST_SECONDS` after `reached` at most."""
        now = time.monotonic()
        told = self._signal is not None and now >= self._signal_time + _LAST_SECONDS
        return told or now >= self._end + min(_LAST_SECONDS, 0.5 * self._margin)

    def __enter__(self) -> Self:
        for number in system.NOTICES:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self._signal is not None and time.monotonic() - self._signal_time > self._SAME_KEYSTROKE
        if number == signal.SIGINT and again:
            raise KeyboardInterrupt
        if self._signal is None:
            self._signal = signal.Signals(number)
            self._signal_time = time.monotonic()


class _Never(Deadline):
    """No time limit, and signals do what they always do."""

    def __init__(self) -> None:
        self._signal = None
        self._margin = 0.0
        self._end = math.inf
        self._previous = {}


NEVER: Deadline = _Never()
"""A deadline that is never reached."""
