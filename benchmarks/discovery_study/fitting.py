"""One fit by one method in a process of its own, within a limit of time: what came of it, in plain values."""

from __future__ import annotations

import math
import multiprocessing
import os
import resource
import signal
import subprocess
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np

import mechscreen
from discovery_study.formula import Formulas, Model
from discovery_study.scoring import Row, as_model, get_method
from mechscreen.discovery import Undetermined, discover
from mechscreen.discovery.library import FloatArray, Polynomial

PATIENCE = 10
"""How many times its processor time a fit may take by the clock, on a machine with other work."""

PEER_DEGREE = 3
"""Degree of the monomials that other methods are given where ours is given another library."""

IMPRECISE = ("information-limited", "is known to", "nearly degenerate", "cannot be told apart", "not determined")
"""What caveats say that tell of few or noisy data, and not of equations that do not fit."""


@dataclass(frozen=True)
class Data:
    """Time series to discover from.

    Attributes
    ----------
    names
        (d,) variables.
    t, y
        Per trajectory, times (n,) and values (n, d).
    """

    names: tuple[str, ...]
    t: Sequence[FloatArray]
    y: Sequence[FloatArray]


Judge = Callable[[Model], Row]
"""What is to be known of a model; runs where it was found."""


def library_of(name: str) -> Polynomial:
    """Return the library that a study names: ``degree 3``, or a kind of forms beside monomials (``rational``)."""
    kind, _, degree = name.partition(" ")
    return Polynomial(int(degree)) if kind == "degree" else Polynomial(3 if kind == "auto" else 2, forms=[kind])


def degree_of(library: str) -> int | None:
    """Return the degree of a library of monomials alone, else None."""
    kind, _, degree = library.partition(" ")
    return int(degree) if kind == "degree" else None


def find(data: Data, library: str, method: str = "collocation") -> Model:
    """Discover equations by one of our methods, or by another one (`discovery_study.scoring.Peer`)."""
    peer = get_method(method)
    if peer is None:
        return discover(list(data.t), list(data.y), library_of(library), names=data.names, method=method)
    degree = degree_of(library) or PEER_DEGREE
    found = peer(list(data.t), list(data.y), data.names, degree, np.zeros(0))
    if isinstance(found, Sequence):
        return Formulas(data.names, tuple(found))
    return as_model(data.names, list(data.t), list(data.y), degree, np.asarray(found, dtype=float))


def fit(data: Data, library: str, judge: Judge, *, limit: float, method: str = "collocation") -> Row:
    """Discover equations in a process of its own, and judge them there.

    Returns
    -------
    ``seconds`` (processor time of the search), and either what the judge says with ``equations``, ``confidence``,
    ``caveats`` and ``terms`` (how many), or ``failed`` with the reason and ``refused`` (whether the method said so
    itself); a crash, and more than `limit` seconds of processor time, are failures.
    """
    _warm_up()
    return within(limit, lambda: _fit(data, library, judge, method))


@cache
def _warm_up() -> None:
    """Load what is compiled, once, so that each fit's process has it from its parent."""
    t = np.linspace(0.0, 5.0, 40)
    discover(t, 3 + np.exp(-t) + 1e-3 * np.sin(40 * t), Polynomial(2))


def _fit(data: Data, library: str, judge: Judge, method: str) -> Row:
    began = time.process_time()
    try:
        model = find(data, library, method)
    except Undetermined as error:
        return {"seconds": time.process_time() - began, "failed": f"refused: {error}", "refused": True}
    row: Row = {"seconds": time.process_time() - began}
    row |= {
        "equations": model.equations(),
        "terms": int(np.count_nonzero(model.coefficients)),
        "confidence": float(model.confidence),
        "caveats": list(model.caveats),
    }
    return row | judge(model)


def within(limit: float, work: Callable[[], Row]) -> Row:
    """Do some work in a process of its own, and return what it returns; a crash and a lack of time are rows, too."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_work, args=(theirs, limit, work), daemon=True)
    process.start()
    theirs.close()
    row: Row = {"seconds": limit, "failed": f"took longer than {limit:g} s", "refused": False}
    try:
        if ours.poll(PATIENCE * limit):
            row = ours.recv()
    except EOFError:
        process.join()
        if process.exitcode not in (-signal.SIGXCPU, -signal.SIGKILL):
            row["failed"] = f"crashed: the process ended with {process.exitcode}"
    finally:
        process.kill()
        process.join()
        ours.close()
    return row


def _work(out: Connection, limit: float, work: Callable[[], Row]) -> None:
    """Do the work and send what it returns; the system ends the process where it takes too much processor time."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(limit), math.ceil(limit) + 1))
    try:
        out.send(work())
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(last.filename).name}, line {last.lineno}"
        failed = f"crashed: {type(error).__name__}: {error} ({where})"
        out.send({"seconds": time.process_time(), "failed": failed, "refused": False})
    out.close()
    # Without what the parent would do at its end.
    os._exit(0)


def says_misfit(row: Row) -> bool:
    """Whether a caveat says more than that the data are few or noisy."""
    return any(not any(words in caveat for words in IMPRECISE) for caveat in row.get("caveats", ()))


def is_silent(row: Row) -> bool:
    """Whether a model was given without any caveat."""
    return "failed" not in row and not row["caveats"]


@cache
def commit() -> str:
    """Return the commit of the package that is measured, "+" for changes since, "" where it is not in a repository."""
    folder = Path(mechscreen.__file__).parent

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True)
        return done.stdout.strip() if done.returncode == 0 else ""

    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain", "--", ".") else "")
