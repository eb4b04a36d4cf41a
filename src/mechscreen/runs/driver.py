"""The run of a campaign: the Snakemake process that drives it, one at a time."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn, TextIO

from pydantic import Field

from mechscreen import storage
from mechscreen.errors import InputError
from mechscreen.runs.records import read_record
from mechscreen.storage import FileError, Record

if TYPE_CHECKING:
    import psutil

RUN_VARIABLE = "MECHSCREEN_RUN"
"""Environment variable that holds the number of the run; processes that a run started are known by it."""

COMMAND_VARIABLE = "MECHSCREEN_COMMAND"
"""Environment variable that holds what a user called, where that made another run first (`mechscreen.runs.purged`)."""

RESTORED_VARIABLE = "MECHSCREEN_RESTORED"
"""Environment variable that holds the rules whose lost files were made anew before this run; ``inside`` in a run that
makes them."""

_MOST_BYTES = 2**20
_MINUTE = 60.0
_Absolute = Annotated[str, Field(pattern=r"^/[^\x00]*$", max_length=10_000)]


class Run(Record):
    """One run of Snakemake on a campaign.

    The file that holds it may have come with a folder from anywhere, so nothing that it names is executed, and jobs and
    processes are those of the run only where `is_of` says that the folder is the one that it ran on.

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
    results, device, inode
        The folder of results, and what the file system knows it by, which a copy does not take along.
    """

    number: str = Field(pattern=r"^[0-9a-f]{16}$")
    host: str = Field(max_length=1000)
    pid: int = Field(ge=1, lt=2**31)
    started: str = Field(max_length=100)
    command: tuple[str, ...] = Field(min_length=1)
    folder: _Absolute
    log: _Absolute | Literal[""]
    results: _Absolute | Literal[""] = ""
    device: int = 0
    inode: int = 0

    @property
    def place(self) -> str:
        """Where to look for it: ``process 4711 on login1``."""
        return f"process {self.pid} on {self.host}"

    @property
    def command_line(self) -> str:
        """The command as one would type it, in the shell's folder."""
        typed = shlex.join([Path(self.command[0]).name, *self.command[1:]])
        return typed if self.folder == _here() else f"cd {shlex.quote(self.folder)} && {typed}"

    @property
    def below(self) -> Path | None:
        """The folder of results, relative to where the run was started; None if it was elsewhere."""
        if not self.results:
            return None
        relative = Path(os.path.relpath(self.results, self.folder))
        return None if ".." in relative.parts else relative

    def is_of(self, root: Path) -> bool:
        """Return whether it ran on this very folder, which may have been moved since, and not on its original."""
        about = root.stat()
        return self.inode == about.st_ino and (self.is_in_place(root) or self.device == about.st_dev)

    def is_in_place(self, root: Path) -> bool:
        """Return whether it ran on a folder of this path."""
        return self.results == str(root.resolve())

    def folder_of(self, root: Path) -> Path | None:
        """Return where it was started, seen from a folder of results that may have been moved or copied from there.

        None if that cannot be told, since they were not moved or copied together.
        """
        if self.is_in_place(root) and self.is_of(root):
            return Path(self.folder)
        below, parts = self.below, root.resolve().parts
        if below is None or parts[-len(below.parts) :] != below.parts:
            return None
        return Path(*parts[: -len(below.parts)])


def _here() -> str:
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return ""


def record(root: Path) -> Path:
    """Return the file that a run holds while it lives, below the campaign's folder."""
    return root / "logs" / "run.json"


def run_first(wanted: Sequence[str], targets: Collection[str], environment: Mapping[str, str]) -> None:
    """Run Snakemake with this run's options for something else than its targets; end this run where that fails.

    What ends this run ends that one, which is waited for: it has jobs to cancel.

    Parameters
    ----------
    wanted
        Files, and options for them alone.
    targets
        Of this run, rules or files.
    environment
        Variables by which that run knows what it is for.
    """
    given = [word for word in sys.argv[1:] if word not in targets]
    command = [sys.executable, "-m", "snakemake", *wanted, *given]
    inside = {**os.environ, COMMAND_VARIABLE: shlex.join(sys.argv), **environment}
    if code := _wait(command, inside):
        sys.exit(code)


def start_again() -> NoReturn:
    """Start this run of Snakemake once more, which remembers which files it found."""
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _wait(command: Sequence[str], inside: Mapping[str, str]) -> int:
    process = subprocess.Popen(command, env=inside)
    before = signal.signal(signal.SIGTERM, lambda number, frame: process.send_signal(number))
    try:
        while True:
            # A terminal interrupts both.
            with suppress(KeyboardInterrupt):
                return process.wait()
    finally:
        signal.signal(signal.SIGTERM, before)


def begin(root: Path, log: str | None) -> TextIO:
    """Say that this process drives the campaign in `root`, for as long as the returned stream is open.

    Raises
    ------
    InputError
        If another process does.
    """
    stream = _hold(root)
    about = root.stat()
    run = Run(
        number=secrets.token_hex(8),
        host=socket.gethostname(),
        pid=os.getpid(),
        started=f"{datetime.now():%Y-%m-%d %H:%M}",
        command=tuple(shlex.split(os.environ.get(COMMAND_VARIABLE, "")) or sys.argv),
        folder=str(Path.cwd()),
        log=str(Path(log).absolute()) if log else "",
        results=str(root.resolve()),
        device=about.st_dev,
        inode=about.st_ino,
    )
    os.environ[RUN_VARIABLE] = run.number
    # In place: the lock is on this very file.
    stream.truncate(0)
    json.dump(run.model_dump(mode="json"), stream, indent=2)
    stream.flush()
    return stream


@contextmanager
def idle(root: Path) -> Iterator[None]:
    """Keep runs from beginning on the campaign in `root`, for as long as the block lasts; the latest stays recorded.

    Raises
    ------
    InputError
        If a run is at work.
    """
    with _hold(root):
        yield


def _hold(root: Path) -> TextIO:
    path = record(root)
    if path.is_symlink():
        raise InputError(f"{path}: is a link; remove it")
    stream = storage.hold(path)
    if stream is None:
        other = latest(root)
        where = f" ({other.place}, since {other.started})" if other else ""
        raise InputError(f"{root}: another run is at work on it{where}; wait until it has ended, or end it first")
    return stream


def latest(root: Path) -> Run | None:
    """Return the latest run on the campaign in `root`; None if there was none, or it was killed while it began.

    Raises
    ------
    InputError
        If its record cannot be read.
    """
    try:
        return read_record(record(root), Run, _MOST_BYTES)
    except FileError:
        return None


def is_alive(root: Path) -> bool | None:
    """Return whether a run drives the campaign in `root` now; None if that cannot be told from here.

    Where file locks do nothing, the process of the run is looked for, which is possible on its own machine alone.
    """
    path = record(root)
    # Opening a pipe would wait for who writes to it.
    held = path.is_file() and storage.is_held(path)
    if held is not None:
        return held
    run = latest(root)
    if run is None:
        return False
    return _is_process(run) if run.host == socket.gethostname() else None


def refuse_alive(root: Path, what: str) -> None:
    """See that no run is at work on a campaign, as far as can be told.

    Parameters
    ----------
    what
        What to do otherwise: ``wait, or end it first``.

    Raises
    ------
    InputError
        If one is, or may be.
    """
    alive = is_alive(root)
    if alive is False:
        return
    run = latest(root)
    where = run.place if run else "its process"
    if alive:
        raise InputError(f"{root}: a run is at work on it ({where}); {what}")
    raise InputError(
        f"{root}: whether its run ({where}) is at work cannot be told here, since file locks do nothing on this file "
        f"system; do this on {run.host if run else 'its machine'}"
    )


def _is_process(run: Run) -> bool:
    """Return whether the process of a run on this machine lives: its number may be another's by now."""
    import psutil

    try:
        process = psutil.Process(run.pid)
        began = datetime.strptime(run.started, "%Y-%m-%d %H:%M").timestamp()
        # A process is there before it says that it began, which is told to the minute.
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() < began + _MINUTE
    except (psutil.Error, ValueError):
        return False


def job_prefix(results: str) -> str:
    """Return what the names of a campaign's jobs on a cluster begin with: its name, and what tells its folder.

    Parameters
    ----------
    results
        Whole path of the campaign's folder.
    """
    name = re.sub(r"[^A-Za-z0-9-]", "-", Path(results).name)[:30]
    return f"{name}-{hashlib.sha256(results.encode()).hexdigest()[:12]}"


def this_run() -> str:
    """Return the number of the run that this process belongs to; empty outside of one."""
    return os.environ.get(RUN_VARIABLE, "")


def processes(run: Run) -> list[psutil.Process]:
    """Return the processes that a run started and that live: of this user, on this machine, without who asks."""
    if run.host != socket.gethostname():
        return []
    # Who asks how far a campaign is does not need it.
    import psutil

    found = []
    asking = psutil.Process()
    family = [asking, *asking.parents()]
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            of_run = process.environ().get(RUN_VARIABLE) == run.number
            ours = of_run and process.username() == asking.username()
            if ours and process.status() != psutil.STATUS_ZOMBIE and process not in family:
                found.append(process)
    return found
