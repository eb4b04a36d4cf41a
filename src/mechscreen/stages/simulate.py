"""Simulate: sample numbers to simulations, one shard in one MPI job."""

from __future__ import annotations

import hashlib
import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import SAMPLE_TIME_LIMIT, Campaign, Identity, Stage
from mechscreen.campaign.sources import neutral_name, source_of
from mechscreen.errors import InputError, ModelError, by_environment
from mechscreen.isolation import STARTED_IN, Abandoned, CallFailed, Isolated, Raised, TimedOut
from mechscreen.models import Model, Outputs, Simulations
from mechscreen.models.outputs import Status
from mechscreen.models.setup import Setup
from mechscreen.progress import Progress
from mechscreen.ranks import ALONE, NEVER, Deadline, Ranks
from mechscreen.reasons import Reasons
from mechscreen.registry import MODELS
from mechscreen.resumable import Resumable, run
from mechscreen.sampling import sample_seeds
from mechscreen.schemas.model import ModelArrays
from mechscreen.schemas.simulations import PartialSimulationFile, Selection, SimulationFile
from mechscreen.spaces import Sampler
from mechscreen.stages.provenance import provenance
from mechscreen.tables import read_parameters

log = logging.getLogger(__name__)

_STREAM = "simulations"
BLOCK_SECONDS = 1.0
"""What a block should take: long beside a message, short beside the time that a cluster gives after its notice."""
LARGEST_BLOCK = 64
"""Samples of a shard that are simulated in one call, at most."""
_REASON_LENGTH = 200

_MISTAKES = (
    "AttributeError",
    "FileNotFoundError",
    "ImportError",
    "IndexError",
    "InputError",
    "KeyError",
    "ModuleNotFoundError",
    "NameError",
    "NotImplementedError",
    "SyntaxError",
    "TypeError",
    "UnboundLocalError",
    "WrongSolution",
)
"""What is raised by mistakes of the code rather than by a sample."""
_ENOUGH_ALIKE = 8
"""So many first samples that fail alike, by one of these, show that all will."""


def simulate(campaign: Campaign, shard: int, ranks: Ranks = ALONE, deadline: Deadline = NEVER) -> Path:
    """Simulate the samples of one shard and write it; a call that all ranks make.

    The shard is the same, bit for bit, whatever the number of ranks and interruptions. What is done is saved beside it
    (``shard-00042.h5.partial``) from time to time and when `deadline` is reached, and the next attempt continues there.
    A shard that is there and whole is left as it is.

    Raises
    ------
    InputError
        If there is no such shard in the campaign.
    ModelError
        If the first samples all fail alike by a mistake of the model's code.
    StorageError
        If the shard cannot be written, or the environment fails the model.
    Interrupted
        On all ranks, when `deadline` was reached before the shard was complete.
    """
    path = campaign.paths.shard(shard)
    start, stop = campaign.simulations.sample_range(shard)
    task = Task.of(
        campaign,
        "simulations",
        path=path,
        label=f"simulate {path.stem}",
        index=np.arange(start, stop),
        parameters=shard_parameters(campaign, shard),
        seeds=sample_seeds(campaign.seed, start, stop, "simulation seeds"),
        shard=shard,
    )
    run_task(task, lambda: read_shard(campaign, shard), ranks, deadline)
    return path


def simulate_table(
    model: str,
    table: Path,
    out: Path,
    *,
    normalised: bool = False,
    sensitivity: bool = False,
    options: Mapping[str, Any] | None = None,
    sample_time_limit: float = SAMPLE_TIME_LIMIT,
    ranks: Ranks = ALONE,
    deadline: Deadline = NEVER,
) -> Path:
    """Simulate the parameter sets of a table (see `mechscreen.tables`) and write them; a call that all ranks make.

    Interruptions are continued as in `simulate`.

    Parameters
    ----------
    sample_time_limit
        Seconds after which a sample is given up, as ``simulations.sample_time_limit`` of a campaign.

    Raises
    ------
    InputError
        If the table is wrong, or `out` exists and holds something else.
    StorageError
        If `out` cannot be written.
    """
    setup = Setup(model, options or {})
    instance = setup.make()
    parameters = read_parameters(table, instance.space, normalised=normalised)
    outside = instance.space.outside(parameters)
    if outside and ranks.is_root:
        log.warning("%s: %d of %d parameter sets lie outside the model's own ranges", table, outside, len(parameters))
    source = source_of(model, getattr(instance, "files", ())) or MODELS.origin(model)
    identity = Identity(
        {
            "model.name": neutral_name(model),
            "model.version": instance.version,
            **{f"model.source.{name}": of_it for name, of_it in source.items()},
            **{f"model.options.{name}": value for name, value in (options or {}).items()},
            "simulations.sensitivity": sensitivity,
            "parameters": hashlib.sha256(parameters.tobytes()).hexdigest(),
        }
    )
    n = len(parameters)
    task = Task(
        path=out,
        label=f"simulate {table.name}",
        model=instance,
        setup=setup,
        sample_time_limit=sample_time_limit,
        index=np.arange(n),
        parameters=parameters,
        seeds=np.arange(n, dtype=np.uint64),
        about=ModelArrays.of(instance),
        origin={
            **identity.attributes,
            "campaign_name": table.name,
            "model": model,
            "model_version": instance.version,
            "seed": 0,
        },
        identity=identity,
        sensitivity=sensitivity,
    )

    def check() -> None:
        try:
            SimulationFile.verify(out, identity)
        except storage.FileError as error:
            raise InputError(f"{error} (it would be overwritten; choose another --out)") from None

    run_task(task, check, ranks, deadline)
    return out


def read_shard(campaign: Campaign, shard: int) -> SimulationFile:
    """Read a shard and check it against the campaign: checksum, origin, shapes, samples, and finite where status is OK.

    Raises
    ------
    InputError
        Naming the shard, what is wrong and what to do.
    """
    path = campaign.paths.shard(shard)
    start, stop = campaign.simulations.sample_range(shard)
    outputs = campaign.outputs
    found = SimulationFile.read(
        path,
        campaign.identity("simulations"),
        n=stop - start,
        d=len(campaign.space),
        shape=outputs.shape,
        outputs=len(outputs),
    )
    if not np.array_equal(found.index, np.arange(start, stop)):
        raise storage.FileError(path, f"does not hold the samples {start} … {stop - 1}")
    if not np.allclose(found.parameters, shard_parameters(campaign, shard), rtol=1e-12, atol=0):
        raise storage.FileError(path, "its parameters are not those of its samples")
    status = found.status
    if not np.isin(status, [int(code) for code in Status]).all():
        raise storage.FileError(path, "holds a status that is none")
    ok = status == Status.OK
    finite = np.isfinite(outputs.side_by_side(found.profiles)).all(axis=1) & np.isfinite(found.log_peaks).all(axis=1)
    if not finite[ok].all():
        bad = start + int(np.flatnonzero(ok & ~finite)[0])
        raise storage.FileError(path, f"sample {bad} has status OK but is not finite")
    return found


def selected_parameters(campaign: Campaign, shard: int) -> NDArray[np.float64]:
    """Return the physical parameters that were selected for a shard of simulations, (n, d).

    Raises
    ------
    InputError
        If they are not there, damaged, or of another campaign.
    """
    path = campaign.paths.selected(shard)
    size = campaign.simulations.shard_size
    found = Selection.read(path, campaign.identity("selection"), n=size, d=len(campaign.space))
    if not np.array_equal(found.index, np.arange(shard * size, (shard + 1) * size)):
        raise storage.FileError(path, "does not hold the parameters of its shard")
    return found.parameters


@dataclass(frozen=True)
class Task:
    """Samples to simulate (n of them, numbers ascending) and the file that they go to."""

    path: Path
    label: str
    model: Model
    setup: Setup
    sample_time_limit: float
    index: NDArray[np.int64]
    parameters: NDArray[np.float64]
    seeds: NDArray[np.uint64]
    about: ModelArrays
    origin: Mapping[str, storage.Attribute]
    identity: Identity
    shard: int | None = None
    sensitivity: bool = False
    to_model: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda parameters: parameters
    """What the model is given for rows of `parameters`."""

    @classmethod
    def of(cls, campaign: Campaign, stage: Stage, path: Path, label: str, **samples: Any) -> Task:
        """Return a task for a stage of a campaign; without samples unless they are given, by the fields' names."""
        none = {
            "index": np.empty(0, np.int64),
            "parameters": np.empty((0, len(campaign.space))),
            "seeds": np.empty(0, np.uint64),
        }
        return cls(
            path=path,
            label=label,
            model=campaign.model_instance,
            setup=campaign.model.setup,
            sample_time_limit=campaign.simulations.sample_time_limit,
            about=ModelArrays.of(campaign),
            origin=provenance(campaign, stage),
            identity=campaign.identity(stage),
            to_model=campaign.simulated,
            **none | samples,
        )

    @property
    def outputs(self) -> Outputs:
        """What the model returns."""
        return Outputs(self.model.outputs)

    @property
    def results(self) -> tuple[str, ...]:
        """Names of what each sample's simulation gives."""
        own = ("profiles", "log_peaks", "status", "reasons")
        return (*own, "sensitivity") if self.sensitivity else own

    @property
    def partial_path(self) -> Path:
        """Where the samples that are done wait for the next attempt."""
        return self.path.with_name(self.path.name + ".partial")


@dataclass(frozen=True)
class Simulated:
    """Simulations of some samples."""

    profiles: NDArray[np.float32]
    log_peaks: NDArray[np.float64]
    status: NDArray[np.uint8]
    reasons: tuple[str, ...]
    sensitivity: NDArray[np.float64]
    seconds: float


Parts = list[tuple[NDArray[np.int64], Simulated]]
"""Rows of a task, and the simulations of these."""


class _Simulation(Resumable):
    """The simulations of a task, as far as they are done."""

    unit = "samples"

    def __init__(self, task: Task, check: Callable[[], object]) -> None:
        self.task = task
        self.label, self.path, self.partial_path = task.label, task.path, task.partial_path
        self._check = check

    @property
    def total(self) -> int:
        """Number of samples."""
        return len(self.task.index)

    @property
    def done(self) -> int:
        """Number of samples that are simulated."""
        return int(self._done.sum())

    def check(self) -> None:
        """Verify what an earlier attempt made."""
        self._check()

    def begin(self) -> None:
        """Make room for the simulations."""
        task = self.task
        n, outputs = len(task.index), len(task.outputs)
        self._done = np.zeros(n, dtype=bool)
        self.profiles = np.full((n, *task.outputs.shape), np.nan, dtype=np.float32)
        self.log_peaks = np.full((n, outputs), np.nan)
        self.status = np.zeros(n, dtype=np.uint8)
        self.reasons = np.full(n, "", dtype=object)
        self.sensitivity = np.full((n, outputs), np.nan)

    def load(self) -> None:
        """Take over the samples of an earlier attempt."""
        task = self.task
        found = PartialSimulationFile.read(
            task.partial_path, task.identity, d=task.parameters.shape[1], shape=task.outputs.shape
        )
        rows = np.searchsorted(task.index, found.index)
        same = np.isin(found.index, task.index).all() and np.array_equal(found.parameters, task.parameters[rows])
        if not same or (task.sensitivity and found.sensitivity is None):
            raise storage.FileError(task.partial_path, "holds other samples")
        self._insert(rows, {name: getattr(found, name) for name in task.results})

    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Simulate what is missing; return on rank 0 whether all was done."""
        with simulating(self.task.model, self.task.setup, self.task.sample_time_limit, deadline) as simulator:
            work = partial(simulate_rows, self.task, simulator)
            if not ranks.is_root:
                return ranks.hand_out((), work, lambda block, parts: None)
            blocks, mistake = Blocks(np.flatnonzero(~self._done), ranks.size), Mistake(self.task, self._done)
            with Progress(self.total, self.label, self.unit, initial=self.done) as progress:

                def collect(block: NDArray[np.int64], parts: Parts) -> None:
                    for some, result in parts:
                        mistake.look_at(result)
                        self._insert(some, {name: getattr(result, name) for name in self.task.results})
                        progress.advance(len(some))
                        blocks.note(result.seconds / len(some))
                    save_when_due()

                ranks.hand_out(blocks, work, collect, deadline.reached)
            return bool(self._done.all())

    def save(self) -> None:
        """Write the samples that are done."""
        self._done_as(PartialSimulationFile).write(self.partial_path, self.task.origin)

    def finish(self) -> None:
        """Write the samples, and say how many failed."""
        self._done_as(SimulationFile).write(self.path, self.task.origin)
        _tell_failures(self.task, self.status, self.reasons)

    def _insert(self, rows: NDArray[np.int64], results: Mapping[str, Any]) -> None:
        for name, values in results.items():
            getattr(self, name)[rows] = values
        self._done[rows] = True

    def _done_as(self, kind: type[SimulationFile]) -> SimulationFile:
        """Return what is done, as a kind of file holds it."""
        task, done = self.task, self._done
        return kind(
            shard=task.shard,
            index=task.index[done],
            parameters=task.parameters[done],
            profiles=self.profiles[done],
            log_peaks=self.log_peaks[done],
            status=self.status[done],
            reasons=self.reasons[done].astype(str),
            sensitivity=self.sensitivity[done] if task.sensitivity else None,
            about=task.about,
        )


def run_task(task: Task, check: Callable[[], object], ranks: Ranks, deadline: Deadline) -> None:
    """Simulate what is missing of a task and write it; a call that all ranks make.

    `check` verifies a file that is there, by a `FileError` if it is to be made anew; for what else is raised, and for
    how interruptions are continued, see `mechscreen.resumable.run`.
    """
    run(_Simulation(task, check), ranks, deadline)


def run_sets(task: Task, ranks: Ranks, deadline: Deadline) -> None:
    """Simulate parameter sets that are no shard; what an earlier attempt made of the same ones is left as it is."""

    def check() -> None:
        found = SimulationFile.read(task.path, task.identity, d=task.parameters.shape[1], shape=task.outputs.shape)
        if not np.array_equal(found.parameters, task.parameters):
            raise storage.FileError(task.path, "holds other samples")

    run_task(task, check, ranks, deadline)


class Blocks:
    """Cuts row numbers into blocks that take about the same time, smaller towards the end so that no rank idles."""

    def __init__(self, rows: NDArray[np.int64], ranks: int, largest: int = LARGEST_BLOCK) -> None:
        self._rows = rows
        self._ranks = ranks
        self._largest = largest
        self._seconds: float | None = None

    def note(self, seconds: float) -> None:
        """Learn what a sample takes; the latest counts most, since the first includes compilation."""
        self._seconds = seconds if self._seconds is None else 0.5 * (self._seconds + seconds)

    def __iter__(self) -> Iterator[NDArray[np.int64]]:
        first = 0
        while first < len(self._rows):
            n = self._size(len(self._rows) - first)
            yield self._rows[first : first + n]
            first += n

    def _size(self, left: int) -> int:
        if self._seconds is None:
            return 1
        wanted = min(self._largest, BLOCK_SECONDS / max(self._seconds, 1e-9), left / (4 * self._ranks))
        # A power of two, which suits models that solve several samples at once.
        return 1 << max(0, int(wanted).bit_length() - 1)


class Mistake:
    """Tells a mistake of the model's code from samples that fail."""

    def __init__(self, task: Task, done: NDArray[np.bool_], enough: int = _ENOUGH_ALIKE) -> None:
        self._task = task
        self._looking = not done.any()
        self._enough = min(enough, len(done))
        self._reasons: list[str] = []

    def look_at(self, block: Simulated) -> None:
        """Look at the first samples that are done.

        Raises
        ------
        ModelError
            If all of them failed alike, by what is no fault of theirs.
        """
        if not self._looking:
            return
        self._reasons += block.reasons
        reason = self._reasons[0]
        alike = set(self._reasons) == {reason} and (block.status == Status.ERROR).all()
        self._looking = bool(alike) and (reason.partition(":")[0] in _MISTAKES or "broadcast" in reason)
        if self._looking and len(self._reasons) >= self._enough:
            raise ModelError(
                f"{self._task.label}: model '{self._task.setup.name}' fails for each of the first {len(self._reasons)} "
                f"samples: {reason}; mend its code{_ABOUT_FOLDERS if reason.startswith('FileNotFoundError') else ''}"
            )


_ABOUT_FOLDERS = (
    " (solve() runs in a folder of its own: make paths absolute in the constructor, or take them from the folder that "
    f"the environment variable {STARTED_IN} names)"
)


Simulator = Callable[..., Simulations]
"""Simulates samples, given parameters (n, d), seeds (n,) and whether to measure the sensitivity.

Raises `CallFailed` where the samples are at fault, `Abandoned` where the deadline does not allow to wait, and
`StorageError` or `MemoryError` where the machine is at fault, which says nothing about the samples.
"""


@contextmanager
def simulating(model: Model, setup: Setup, sample_time_limit: float, deadline: Deadline = NEVER) -> Iterator[Simulator]:
    """Yield how a model's samples are simulated: in a process of its own, or here.

    Parameters
    ----------
    setup
        What `model` was made of.
    sample_time_limit
        Seconds that a call may take in a process of its own; twice as long for the sensitivity.
    """
    if not model.isolated:

        def here(parameters: NDArray[np.float64], seeds: NDArray[np.uint64], sensitivity: bool) -> Simulations:
            try:
                return model.simulate(parameters, seeds=seeds, sensitivity=sensitivity)
            except MemoryError:
                raise
            except Exception as error:
                if failed := by_environment(error, f"model '{setup.name}': "):
                    raise failed from error
                raise Raised(f"{type(error).__name__}: {error}") from error

        yield here
        return
    with Isolated(f"model '{setup.name}'", setup.importable.make) as isolated:

        def elsewhere(parameters: NDArray[np.float64], seeds: NDArray[np.uint64], sensitivity: bool) -> Simulations:
            solutions = 2 if sensitivity else 1
            return isolated.call(
                "simulate",
                parameters,
                seeds=seeds,
                sensitivity=sensitivity,
                seconds=solutions * sample_time_limit,
                give_up=deadline.overdue,
            )

        yield elsewhere


def simulate_rows(task: Task, simulator: Simulator, rows: NDArray[np.int64]) -> Parts:
    """Simulate samples; if that fails, few by few and then one by one, so that only those at fault fail.

    Those that the deadline did not allow are missing.
    """
    done: Parts = []
    with suppress(Abandoned):
        _simulate_into(done, task, simulator, rows)
    return done


def _simulate_into(done: Parts, task: Task, simulator: Simulator, rows: NDArray[np.int64]) -> None:
    if len(rows) == 1:
        done.append((rows, _simulate_sample(task, simulator, rows)))
        return
    with suppress(CallFailed):
        done.append((rows, _attempt(task, simulator, rows, task.sensitivity)))
        return
    size = LARGEST_BLOCK if len(rows) > LARGEST_BLOCK else 1
    for first in range(0, len(rows), size):
        _simulate_into(done, task, simulator, rows[first : first + size])


def _simulate_sample(task: Task, simulator: Simulator, row: NDArray[np.int64]) -> Simulated:
    start = time.perf_counter()
    try:
        return _attempt(task, simulator, row, task.sensitivity)
    except CallFailed as error:
        failure = error
    if task.sensitivity:
        # Perhaps it failed for the neighbour, which says nothing about the sample.
        try:
            return _attempt(task, simulator, row, False)
        except CallFailed as error:
            failure = error
    log.debug("%s: sample %d failed", task.label, task.index[row[0]], exc_info=failure)
    of_outputs = np.full((1, len(task.outputs)), np.nan)
    return Simulated(
        np.full((1, *task.outputs.shape), np.nan, dtype=np.float32),
        of_outputs,
        np.array([Status.TIMEOUT if isinstance(failure, TimedOut) else Status.ERROR], dtype=np.uint8),
        (_reason(failure),),
        of_outputs,
        time.perf_counter() - start,
    )


def _attempt(task: Task, simulator: Simulator, rows: NDArray[np.int64], sensitivity: bool) -> Simulated:
    start = time.perf_counter()
    result = simulator(task.to_model(task.parameters[rows]), task.seeds[rows], sensitivity)
    return Simulated(
        result.profiles.astype(np.float32),
        result.log_peaks,
        result.status,
        tuple(reason[:_REASON_LENGTH] for reason in result.reasons),
        np.full_like(result.log_peaks, np.nan) if result.sensitivity is None else result.sensitivity,
        time.perf_counter() - start,
    )


def _reason(failure: CallFailed) -> str:
    """Return a failure as one short line, without addresses in memory, which differ from run to run."""
    text = " ".join(str(failure).split())
    return re.sub(r"0x[0-9a-f]+", "0x…", text)[:_REASON_LENGTH]


def _tell_failures(task: Task, status: NDArray[np.uint8], reasons: NDArray[np.object_]) -> None:
    """Say how many samples failed, and why most of them did."""
    for code in Status:
        failed = status == code
        if code == Status.OK or not failed.any():
            continue
        found = Reasons()
        for reason in reasons[failed]:
            found.add(code.name, str(reason))
        _, example, alike = found.listed()[0]
        log.warning(
            "%s: %d of %d samples have status %s, most often: %s (%d alike)",
            task.label,
            found.total,
            len(failed),
            code.name,
            example,
            alike,
        )
    if len(status) and (status != Status.OK).all():
        log.error("%s: NOT ONE of the %d samples could be simulated", task.label, len(status))


def shard_parameters(campaign: Campaign, shard: int) -> NDArray[np.float64]:
    """Return the physical parameters of a shard's samples, (n, d)."""
    if campaign.selection is not None:
        return selected_parameters(campaign, shard)
    start, stop = campaign.simulations.sample_range(shard)
    sampler = Sampler(campaign.space, campaign.simulations.sampling, campaign.seed, _STREAM, levels=True)
    return sampler.draw(start, stop).physical
