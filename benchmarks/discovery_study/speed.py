"""How long discoveries take that once took minutes, and those of docs/measured/discovery.md, beside another commit's.

Every discovery is a process of its own (`timed.py`), on one core; the two versions take turns, so that what else the
machine does falls on both. Each sees the same file.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

import mechscreen
from discovery_study.cases import get_case
from discovery_study.fitting import PATIENCE, Data
from discovery_study.formula import Dynamics
from discovery_study.scoring import Row
from mechscreen.discovery.library import FloatArray
from mechscreen.errors import InputError, nearest

BEFORE = "673738b"
"""The commit that is compared with unless the study names another."""

GOAL = 10.0
"""Seconds that each of the slow cases may take."""

PROGRAM = Path(__file__).with_name("timed.py")

START = 600.0
"""Seconds by the clock that a version may take to start and to compile."""


@dataclass(frozen=True)
class Timed:
    """Data, degree of the library that is searched, and true coefficients (d, n_terms) where they are scored."""

    data: Data
    degree: int
    truth: FloatArray | None = None


def _noisy(x: FloatArray, share: float, rng: np.random.Generator) -> FloatArray:
    return x + share * np.abs(x).max(axis=0) * rng.standard_normal(x.shape)


def scales() -> Timed:
    """An infection in ten dishes of 19 samples without noise: 1e8 cells and virus against a drug in mM."""
    system = Dynamics(
        ("cells", "infected", "virus", "drug"),
        (
            "-1e-7*cells*virus", "1e-7*cells*virus - 0.5*infected", "30*infected - 3*virus",
            "-0.1*drug - 1e-7*drug*infected",
        ),
    )  # fmt: skip
    rng = np.random.default_rng(2)
    t = np.linspace(0.0, 12.0, 19)
    starts = [[1e8 * rng.uniform(0.5, 1.5), 0.0, 1e4 * 10 ** rng.uniform(0, 2), rng.uniform(1, 5)] for _ in range(10)]
    return Timed(Data(system.variables, [t] * len(starts), [system.solve(s, t, largest=1e15) for s in starts]), 2)


def rossler() -> Timed:
    """Number 59 of ODEBench, a Rössler attractor, at 1 % noise in proportion: 150 points, cubic library."""
    system = Dynamics(("x_0", "x_1", "x_2"), ("-5*x_1 - 5*x_2", "5*x_0 + x_1", "5*x_2*(x_0 - 5.7) + 1"))
    t = np.linspace(0.0, 10.0, 150)
    x = system.solve([2.3, 1.1, 0.8], t)
    return Timed(Data(system.variables, [t], [x * (1 + 0.01 * np.random.default_rng(0).standard_normal(x.shape))]), 3)


def replicates() -> Timed:
    """A hundred replicates of 50 samples of Lorenz' system at 5 % noise, cubic library."""
    system = Dynamics(("x", "y", "z"), ("-10*x + 10*y", "28*x - 1.0*y - 1.0*x*z", "1.0*x*y - 8*z/3"))
    t = np.linspace(0.0, 2.0, 50)
    exact = system.solve([-8.0, 8.0, 27.0], t)
    rng = np.random.default_rng(0)
    y = [_noisy(exact, 0.05, rng) for _ in range(100)]
    return Timed(Data(system.variables, [t] * len(y), y), 3)


def spikes() -> Timed:
    """A damped oscillator of which ten of 400 samples are spikes, ten times its size and one sample wide."""
    system = Dynamics(("x", "y"), ("1.0*y", "-1.0*x - 0.1*y"))
    t = np.linspace(0.0, 40.0, 400)
    rng = np.random.default_rng(0)
    y = _noisy(system.solve([1.0, 0.0], t), 0.01, rng)
    y[rng.choice(400, 10, replace=False), rng.integers(0, 2, 10)] += 10.0
    return Timed(Data(system.variables, [t], [y]), 3)


def van_der_pol() -> Timed:
    """A relaxation oscillator, μ = 30, two periods in 1,000 samples without noise, of which a jump has one or two."""
    system = Dynamics(("x", "y"), ("1.0*y", "30*y - 30*x^2*y - 1.0*x"))
    t = np.linspace(0.0, 100.0, 1000)
    return Timed(Data(system.variables, [t], [system.solve([2.0, 0.0], t)]), 3)


def columns() -> Timed:
    """29 columns: a chain of reactions with one neighbour each, 120 samples, linear library of 30 terms."""
    names = tuple(f"s{k}" for k in range(29))
    first = ("-1.0*s0",)
    system = Dynamics(names, first + tuple(f"1.0*s{k - 1} - 1.0*s{k}" for k in range(1, 29)))
    t = np.linspace(0.0, 25.0, 120)
    x = system.solve([10.0, *[0.0] * 28], t)
    return Timed(Data(names, [t], [_noisy(x, 0.01, np.random.default_rng(0))]), 1)


SLOW: Mapping[str, Callable[[], Timed]] = {
    "scales": scales,
    "rossler": rossler,
    "replicates": replicates,
    "spikes": spikes,
    "van-der-pol": van_der_pol,
    "columns": columns,
}
"""Cases that once took minutes."""

DOCUMENTED: Mapping[str, tuple[str, dict[str, float], int]] = {
    "over-damped": ("over-damped", {}, 2),
    "spiral": ("spiral", {}, 2),
    "cycle": ("cycle", {}, 2),
    "cycle-noise-0.1": ("cycle", {"noise": 0.1}, 2),
    "cycle-step-0.001": ("cycle", {"step": 0.001}, 2),
    "cycle-step-0.1": ("cycle", {"step": 0.1}, 2),
    "cycle-step-0.5": ("cycle", {"step": 0.5}, 2),
    "cycle-noise-0.1-step-0.001": ("cycle", {"noise": 0.1, "step": 0.001}, 2),
    "cycle-noise-0.1-step-0.1": ("cycle", {"noise": 0.1, "step": 0.1}, 2),
    "cycle-noise-0.1-step-0.5": ("cycle", {"noise": 0.1, "step": 0.5}, 2),
    "lorenz": ("lorenz", {}, 2),
    "cycle-noise-0.5": ("cycle", {"noise": 0.5}, 2),
    "cycle-step-0.75": ("cycle", {"step": 0.75}, 2),
    "cycle-keep-0.5": ("cycle", {"keep": 0.5}, 2),
    "cycle-keep-0.02": ("cycle", {"keep": 0.02}, 2),
    "cycle-degree-5": ("cycle", {}, 5),
    "lorenz-degree-5": ("lorenz", {}, 5),
    "lorenz-short-noise-0.2": ("lorenz-short", {"noise": 0.2}, 2),
    "lorenz-short-noise-0.3": ("lorenz-short", {"noise": 0.3}, 2),
    "lorenz-short-noise-0.4": ("lorenz-short", {"noise": 0.4}, 2),
}
"""Rows of docs/measured/discovery.md: case, how it is observed, degree."""


def timed(name: str, seed: int) -> Timed:
    """Return a case by name; the slow ones have one data set.

    Raises
    ------
    InputError
        If there is none.
    """
    if name in SLOW:
        return SLOW[name]()
    if name not in DOCUMENTED:
        valid = (*SLOW, *DOCUMENTED)
        raise InputError(f"no timed case '{name}'{nearest(name, valid)} (valid: {', '.join(valid)})")
    case_name, observed, degree = DOCUMENTED[name]
    case = get_case(case_name)
    t, y = case.observe(seed, **observed)
    return Timed(Data(case.variables, [t], [y]), degree, case.coefficients(degree))


def measure(name: str, seed: int, *, limit: float, before: str = BEFORE) -> Row:
    """Time a case by this version and by another commit's, which of them first by turns.

    Returns
    -------
    ``seconds``, ``seconds_before``, ``ratio`` (None where either did not end), ``failed`` and ``failed_before`` where
    that is so; for the rows of the docs ``right`` and ``right_before`` (whether precisely the true terms were found),
    ``error`` and ``error_before`` (the largest relative error of a coefficient).
    """
    case = timed(name, seed)
    row: Row = {"case": name, "before": before}
    with _as_file(case) as file:
        sources = [("", Path(mechscreen.__file__).parents[1]), ("_before", checkout(before) / "src")]
        for suffix, source in sources[:: -1 if seed % 2 else 1]:
            told = run(source, file, case.degree, limit)
            row[f"seconds{suffix}"] = told["seconds"]
            if "failed" in told:
                row[f"failed{suffix}"] = told["failed"]
            elif case.truth is not None:
                found, used = np.array(told["coefficients"]), case.truth != 0
                row[f"right{suffix}"] = bool(np.array_equal(found != 0, used))
                row[f"error{suffix}"] = float(np.abs(found[used] / case.truth[used] - 1).max())
    ended = "failed" not in row and "failed_before" not in row
    return row | {"ratio": row["seconds"] / row["seconds_before"] if ended else None}


@contextmanager
def _as_file(case: Timed) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "data.npz"
        arrays: dict[str, Any] = {f"t{k}": own for k, own in enumerate(case.data.t)}
        arrays |= {f"y{k}": own for k, own in enumerate(case.data.y)}
        np.savez(file, names=np.array(case.data.names), **arrays)
        yield file


def run(source: Path, file: Path, degree: int, limit: float) -> Row:
    """Time a discovery by the version whose packages are in a folder; at most `limit` processor seconds."""
    environment = {**os.environ, "PYTHONPATH": str(source), "OMP_NUM_THREADS": "1"}
    command: Sequence[str] = [sys.executable, str(PROGRAM), str(file), str(degree), str(limit)]
    slow: Row = {"seconds": limit, "failed": f"took longer than {limit:g} s"}
    try:
        done = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=START + PATIENCE * limit
        )
    except subprocess.TimeoutExpired:
        return slow
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        return slow
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"seconds": 0.0, "failed": f"crashed: {last}"}
    told: Row = json.loads(done.stdout.splitlines()[-1])
    return told


@cache
def checkout(commit: str) -> Path:
    """Return a folder with a commit's files, made once and kept outside the repository.

    Raises
    ------
    InputError
        If there is no such commit, or no repository.
    """
    root = Path(__file__).parents[2]
    folder = Path(tempfile.gettempdir()) / f"mechscreen-{commit}-{os.getuid()}"
    if not folder.is_dir():
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            packed = subprocess.run(["git", "archive", commit], cwd=root, capture_output=True)
            if packed.returncode != 0:
                raise InputError(
                    f"{root}: {packed.stderr.decode(errors='replace').strip()}; the speed needs that commit"
                )
            subprocess.run(["tar", "-x", "-C", made], input=packed.stdout, check=True)
            # Another job may have been faster.
            if not folder.is_dir():
                shutil.copytree(made, folder)
    return folder
