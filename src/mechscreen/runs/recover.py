"""The way on after Snakemake itself was killed: its leftover jobs are ended, its lock is taken away."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil

from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.runs import driver
from mechscreen.runs.status import status

_PATIENCE = 90.0
"""Seconds that jobs are given to save what they have."""
_POLL = 0.5


def recover(campaign: Campaign, say: Callable[[str], None]) -> None:
    """End what a dead run left behind, unlock its folder, and say what remains.

    Raises
    ------
    InputError
        If the run is alive, or its folder cannot be unlocked.
    """
    root = campaign.paths.root
    run = driver.latest(root)
    if driver.is_alive(root):
        raise InputError(f"{root}: a run is at work on it; wait, or end {run.place if run else 'its process'} first")
    if run is None:
        say(f"{root}: no run is recorded")
    else:
        _cancel_slurm_jobs(run, say)
        _end_processes(run, say)
        _unlock(run, say)
    say(status(campaign))


def _cancel_slurm_jobs(run: driver.Run, say: Callable[[str], None]) -> None:
    """Cancel the jobs that SLURM still has of a run; they are named by what Snakemake calls the run ID."""
    log = Path(run.log)
    text = log.read_text(encoding="utf-8", errors="replace") if run.log and log.is_file() else ""
    found = re.search(r"SLURM run ID: (\S+)", text)
    if found is None:
        return
    if shutil.which("scancel") is None:
        raise InputError(f"the run was on SLURM, which is not here; run this where it was started ({run.host})")
    name = found[1]
    jobs = _slurm_jobs(name)
    if not jobs:
        return
    say(f"cancelling {len(jobs)} jobs of SLURM run {name}: {' '.join(jobs)}")
    subprocess.run(["scancel", "--name", name], check=True)
    _wait(lambda: not _slurm_jobs(name))


def _slurm_jobs(name: str) -> list[str]:
    command = ["squeue", "--noheader", "--me", "--name", name, "--format=%i"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()


def _end_processes(run: driver.Run, say: Callable[[str], None]) -> None:
    """End the processes of a run on this machine: first with the notice that lets them save."""
    left = [] if run.host != socket.gethostname() else driver.processes(run)
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


def _unlock(run: driver.Run, say: Callable[[str], None]) -> None:
    locks = Path(run.folder) / ".snakemake" / "locks"
    if not locks.is_dir() or not any(locks.iterdir()):
        return
    done = subprocess.run([*run.command, "--unlock"], cwd=run.folder, capture_output=True, text=True)
    if done.returncode != 0:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{run.folder}: cannot be unlocked ({reason}); by hand: {run.command_line} --unlock")
    say(f"unlocked {run.folder}")
