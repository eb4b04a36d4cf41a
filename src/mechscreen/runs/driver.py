"""The run of a campaign: the Snakemake process that drives it, one at a time."""

from __future__ import annotations

import json
import os
import secrets
import shlex
import socket
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from mechscreen import storage
from mechscreen.errors import InputError

if TYPE_CHECKING:
    import psutil

RUN_VARIABLE = "MECHSCREEN_RUN"
"""Environment variable that holds the number of the run; processes that a run started are known by it."""


@dataclass(frozen=True)
class Run:
    """One run of Snakemake on a campaign.

    Attributes
    ----------
    number
        Random, to know its processes by.
    host, pid
        Where it was started.
    started
        Local time, ``2026-11-24 10:31``.
    command, folder
        What was called, and where.
    log
        Snakemake's own log; empty if it writes none.
    """

    number: str
    host: str
    pid: int
    started: str
    command: tuple[str, ...]
    folder: str
    log: str

    @property
    def place(self) -> str:
        """Where to look for it: ``process 4711 on login1``."""
        return f"process {self.pid} on {self.host}"

    @property
    def command_line(self) -> str:
        """The command as one would type it, in the shell's folder."""
        typed = shlex.join([Path(self.command[0]).name, *self.command[1:]])
        return typed if Path(self.folder) == Path.cwd() else f"cd {shlex.quote(self.folder)} && {typed}"


def record(root: Path) -> Path:
    """Return the file that a run holds while it lives, below the campaign's folder."""
    return root / "logs" / "run.json"


def begin(root: Path, log: str | None) -> TextIO:
    """Say that this process drives the campaign in `root`, for as long as the returned stream is open.

    Raises
    ------
    InputError
        If another process does.
    """
    path = record(root)
    stream = storage.hold(path)
    if stream is None:
        other = latest(root)
        where = f" ({other.place}, since {other.started})" if other else ""
        raise InputError(f"{root}: another run is at work on it{where}; wait until it has ended, or end it first")
    run = Run(
        number=secrets.token_hex(8),
        host=socket.gethostname(),
        pid=os.getpid(),
        started=f"{datetime.now():%Y-%m-%d %H:%M}",
        command=tuple(sys.argv),
        folder=str(Path.cwd()),
        log=str(Path(log).absolute()) if log else "",
    )
    os.environ[RUN_VARIABLE] = run.number
    # In place: the lock is on this very file.
    stream.truncate(0)
    json.dump(asdict(run), stream, indent=2)
    stream.flush()
    return stream


def latest(root: Path) -> Run | None:
    """Return the latest run on the campaign in `root`; None if there was none, or it was killed while it began."""
    try:
        values = json.loads(record(root).read_text(encoding="utf-8"))
        return Run(**{**values, "command": tuple(values["command"])})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def is_alive(root: Path) -> bool:
    """Return whether a run drives the campaign in `root` now."""
    return storage.is_held(record(root))


def processes(run: Run) -> list[psutil.Process]:
    """Return the processes on this machine that a run started, and that live."""
    # Who asks how far a campaign is does not need it.
    import psutil

    found = []
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            of_run = process.environ().get(RUN_VARIABLE) == run.number
            if of_run and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
    return found
