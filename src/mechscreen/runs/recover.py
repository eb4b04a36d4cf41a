"""The way on after Snakemake itself was killed: its leftover jobs are ended, its lock is taken away."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import psutil

from mechscreen.errors import InputError
from mechscreen.progress import printable
from mechscreen.runs import driver
from mechscreen.runs.folder import check_folder
from mechscreen.runs.records import read_plain
from mechscreen.runs.status import status
from mechscreen.storage import FileError

_PATIENCE = 90.0
"""Seconds that jobs are given to save what they have."""
_POLL = 0.5
_LARGEST_LOG, _LARGEST_LOCK = 2**26, 2**28
"""Bytes of what is read of Snakemake's."""
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_SLURM_RUN = re.compile(rf"SLURM run ID: ((?:[A-Za-z0-9_-]{{1,50}}_)?{_UUID})\s")
"""As the plugin names a run: a UUID, behind a prefix that the profile may give."""


def recover(root: Path, say: Callable[[str], None]) -> None:
    """End what a dead run left behind, unlock its folder, and say what remains.

    The folder of results is enough, wherever it stands. What is written in it ends nothing but jobs and processes of a
    run on this very folder, and is never executed; a copy leaves those of its original alone.

    Raises
    ------
    InputError
        If the folder holds no campaign, the run is alive, or what it left cannot be ended or unlocked.
    """
    check_folder(root)
    run = driver.latest(root)
    driver.refuse_alive(root, "wait, or end it first")
    if run is None:
        say(printable(f"{root}: no run is recorded"))
    else:
        if run.is_of(root):
            slurm_runs = _slurm_runs(run, root)
            if slurm_runs:
                _cancel_slurm_jobs(slurm_runs, run.host, say)
            elif run.host != socket.gethostname():
                say(printable(f"the run was on another machine; to end what it left there, run this on {run.host}"))
            _end_processes(run, say)
        else:
            original = f" of {run.results}" if run.results else ""
            say(printable(f"{root}: is a copy{original}, whose jobs and processes are left alone"))
        _unlock(run, root, say)
    say(status(root))


def _cancel_slurm_jobs(names: Sequence[str], host: str, say: Callable[[str], None]) -> None:
    """Cancel the jobs that SLURM still has of runs; they are named by what Snakemake calls the run ID."""
    if shutil.which("scancel") is None:
        raise InputError(printable(f"the run was on SLURM, which is not here; run this where it started ({host})"))
    for name in names:
        jobs = _slurm_jobs(name)
        if jobs:
            say(f"cancelling {len(jobs)} jobs of SLURM run {name}: {' '.join(jobs)}")
            _ask_slurm("scancel", *jobs)
    _wait(lambda: not any(map(_slurm_jobs, names)))


def _slurm_runs(run: driver.Run, root: Path) -> list[str]:
    """Return the names that SLURM knows the jobs of a run by: from Snakemake's log and, if it is lost, from SLURM."""
    logged = _slurm_run(run, root)
    if logged is not None:
        return [logged]
    if not run.results or shutil.which("squeue") is None or shutil.which("scancel") is None:
        return []
    ours = re.compile(rf"{re.escape(driver.job_prefix(run.results))}_{_UUID}")
    try:
        names = _ask_slurm("squeue", "--noheader", "--me", "--format=%j").split()
    except InputError:
        # A machine may have SLURM's commands and no SLURM, and the run none of it.
        return []
    return sorted({name for name in names if ours.fullmatch(name)})


def _slurm_run(run: driver.Run, root: Path) -> str | None:
    """Return the name that SLURM knows the jobs of a run by; None if Snakemake's log holds none."""
    folder = run.folder_of(root)
    if not run.log or folder is None:
        return None
    try:
        # The folder may have been moved since.
        text = read_plain(folder / os.path.relpath(run.log, run.folder), _LARGEST_LOG).decode(errors="replace")
    except FileError:
        return None
    found = _SLURM_RUN.search(text)
    return found[1] if found else None


def _slurm_jobs(name: str) -> list[str]:
    jobs = _ask_slurm("squeue", "--noheader", "--me", "--name", name, "--format=%i").split()
    return [job for job in jobs if re.fullmatch(r"\d[\w+\[\],%-]*", job)]


def _ask_slurm(*command: str) -> str:
    """Return what a command of SLURM prints."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        said = (getattr(error, "stderr", None) or str(error)).strip().splitlines()
        reason = said[-1] if said else "no message"
        raise InputError(printable(f"{command[0]} failed: {reason}; try again when SLURM answers")) from None


def _end_processes(run: driver.Run, say: Callable[[str], None]) -> None:
    """End the processes of a run on this machine: first with the notice that lets them save."""
    left = driver.processes(run)
    if not left:
        return
    say(f"ending {len(left)} processes: {' '.join(str(process.pid) for process in left)}")
    for process in left:
        _send(process.terminate)
    _wait(lambda: not driver.processes(run))
    for process in driver.processes(run):
        _send(process.kill)
    _wait(lambda: not driver.processes(run))


def _send(signal: Callable[[], None]) -> None:
    with suppress(psutil.NoSuchProcess):
        signal()


def _wait(over: Callable[[], bool]) -> None:
    end = time.monotonic() + _PATIENCE
    while not over() and time.monotonic() < end:
        time.sleep(_POLL)


def _unlock(run: driver.Run, root: Path, say: Callable[[str], None]) -> None:
    """Take away Snakemake's locks on the results of a dead run, and no others.

    Each is a file that lists what a run reads, or writes. `snakemake --unlock` would take away those of other campaigns
    too, and import the model.
    """
    folder = run.folder_of(root)
    if folder is None:
        return
    locks = folder / ".snakemake" / "locks"
    if not (run.is_of(root) and run.is_in_place(root)) and not locks.resolve().is_relative_to(folder):
        # A copied link leads to the original.
        return
    ours = [lock for lock in sorted(locks.glob("*.lock")) if _is_ours(lock, folder, root.resolve())]
    for lock in ours:
        try:
            lock.unlink(missing_ok=True)
        except OSError as error:
            raise InputError(
                printable(f"{lock}: cannot be removed ({error.strerror}); by hand: snakemake --unlock, in {folder}")
            ) from None
    if ours:
        say(printable(f"unlocked {folder}"))


def _is_ours(lock: Path, folder: Path, root: Path) -> bool:
    """Return whether a lock is on files of these results, and of none that a living run may use."""
    try:
        lines = read_plain(lock, _LARGEST_LOCK).decode().splitlines()
    except (FileError, UnicodeDecodeError):
        return False
    below = {os.path.dirname(line.strip()) for line in lines if line.strip()}  # noqa: PTH120
    places = {Path(os.path.realpath(folder / name)) for name in below}
    # A campaign may read the networks of others beside it.
    others = {place for place in places if not place.is_relative_to(root)}
    return len(others) < len(places) and not any(_may_be_used(place, root.parent) for place in others)


def _may_be_used(place: Path, results: Path) -> bool:
    """Return whether a file does not stand in the results of a campaign that no run works on."""
    if not place.is_relative_to(results) or place == results:
        return True
    return driver.is_alive(results / place.relative_to(results).parts[0]) is not False
