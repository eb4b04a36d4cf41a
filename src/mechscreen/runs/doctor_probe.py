"""The doctor's probes (`mechscreen.runs.probe`): how they are called, and what is read of what they say."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mechscreen.runs.findings import Finding
from mechscreen.runs.probe import FAILED, FOUND, SAW

RANKS = 2
"""Of the probe of MPI."""
MPI_ADVICE = (
    "put the launcher of your MPI into the profile (mpi: &launcher …), e.g. 'srun --mpi=pmix --kill-on-bad-exit'; "
    "`srun --mpi=list` names what SLURM has (docs/howto/cluster.md)"
)
GPU_ADVICE = (
    "pip install 'tensorflow[and-cuda]' ('jax[cuda12]' for emulators.together), or load the site's CUDA modules; or "
    "remove gpu from the profile and train on processors (docs/howto/cluster.md)"
)
CARDS_ADVICE = (
    "for screen_block ask for as many GPUs on a node as ranks (gpu: 4, tasks: 4, tasks_per_gpu: 0), and pip install "
    "'jax[cuda12]'; or remove gpu there and screen on processors (docs/howto/gpu.md)"
)
_PROBE = f"{shlex.quote(sys.executable)} -m mechscreen.runs.probe"


def ranks_command(launcher: str, marker: Path) -> str:
    """Return the command that starts ranks that look for each other, and for a file."""
    return f"{launcher} -n {RANKS} {_PROBE} ranks {RANKS} {shlex.quote(str(marker))}"


def gpu_command(library: str = "") -> str:
    """Return the command that looks for a GPU, started as the SLURM plugin starts what is no MPI job.

    Parameters
    ----------
    library
        That Keras runs on there (``jax``); its own choice by default.
    """
    chosen = f"env KERAS_BACKEND={library} " if library else ""
    return f"srun -n1 --cpu-bind=q {chosen}{_PROBE} gpu"


def cards_command(launcher: str, ranks: int) -> str:
    """Return the command that starts the ranks of a screen, which say what card each takes."""
    return f"{launcher} -n {ranks} {_PROBE} cards {ranks}"


def read(what: str, code: int, said: str, advice: str) -> Iterator[Finding]:
    """Yield what a probe found, and what it saw beside that on its machines.

    Parameters
    ----------
    code, said
        Exit code of the probe, and all that it, its launcher and SLURM said.
    advice
        What to do if it failed.
    """
    lines = [line for line in said.splitlines() if line.strip()]
    failed, found, saw = (
        [line.partition(mark)[2].strip() for line in lines if mark in line] for mark in (FAILED, FOUND, SAW)
    )
    if code == 0 and found and not failed:
        yield Finding(what, found[0])
    else:
        yield Finding(what, failed[0] if failed else " | ".join(lines[-3:]) or f"exit code {code}", advice)
    for trouble in dict.fromkeys(saw):
        told, _, do = trouble.rpartition("; ")
        yield Finding("folders", told, do)


@contextmanager
def marker(results: Path) -> Iterator[Path]:
    """Yield a new file in the folder of results, which jobs must see."""
    path = (results / f".doctor.{os.getpid()}").absolute()
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def environment() -> dict[str, str]:
    """Return the environment of jobs: as in the workflow, programs beside this Python come first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"}
