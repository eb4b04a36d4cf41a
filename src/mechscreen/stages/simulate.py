"""Simulate: sample numbers to simulations, one shard in one MPI job."""

from __future__ import annotations

import hashlib
import json
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
from mechscreen.campaign import SAMPLE_TIME_LIMIT, Campaign
from mechscreen.errors import InputError
from mechscreen.isolation import STARTED_IN, Abandoned, CallFailed, Isolated, Raised, TimedOut
from mechscreen.models import Model, Simulations, get_model
from mechscreen.models.outputs import Status
from mechscreen.parallel import Comm, Deadline, Interrupted, failing_together, hand_out, rank_of, size_of
from mechscreen.progress import Progress
from mechscreen.sampling import sample_seeds, sample_unit
from mechscreen.stages.provenance import describe, provenance
from mechscreen.tables import read_parameters

log = logging.getLogger(__name__)

KIND = "simulations"
PARTIAL_KIND = "partial simulations"
SELECTION_KIND = "selection"

_STREAM = "simulations"
_BLOCK_SECONDS = 1.0
"""What a block should take: long beside a message, short beside the time that a cluster gives after its notice."""
_LARGEST_BLOCK = 64
_SAVE_EVERY = 15.0
"""Seconds between saves of a partial shard, …"""
_SAVE_SHARE = 0.05
"""… of which saving may take this share."""
_REASON_LENGTH = 200

_MISTAKES = (
    "AttributeError",
    "FileNotFoundError",
    "ImportError",
    "IndexError",
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


def simulate(campaign: Campaign, shard: int, comm: Comm = None, deadline: Deadline | None = None) -> Path:
    """Simulate the samples of one shard and write it; a call that all ranks make.

    The shard is the same, bit for bit, whatever the number of ranks and interruptions. What is done is saved beside it
    (``shard-00042.h5.partial``) from time to time and when `deadline` is reached, and the next attempt continues there.
    A shard that is there and whole is left as it is.

    Raises
    ------
    InputError
        If there is no such shard in the campaign, the shard cannot be written, or the first samples all fail alike by a
        mistake of the model's code.
    Interrupted
        On all ranks, when `deadline` was reached before the shard was complete.
    """
    path = campaign.paths.shard(shard)
    start, stop = campaign.simulations.sample_range(shard)
    task = Task(
        path=path,
        label=f"simulate {path.stem}",
        model=campaign.model_instance,
        model_name=campaign.model.name,
        model_options=campaign.model.options,
        sample_time_limit=campaign.simulations.sample_time_limit,
        index=np.arange(start, stop),
        parameters=_shard_parameters(campaign, shard),
        seeds=sample_seeds(campaign.seed, start, stop, "simulation seeds"),
        attributes={**provenance(campaign, "simulations", KIND), "shard": shard},
    )
    with failing_together(comm):
        whole = rank_of(comm) == 0 and path.exists() and _is_whole(campaign, shard)
    run_task(task, whole, comm, deadline)
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
    comm: Comm = None,
    deadline: Deadline | None = None,
) -> Path:
    """Simulate the parameter sets of a CSV file (see `mechscreen.tables`) and write them; a call that all ranks make.

    Interruptions are continued as in `simulate`.

    Parameters
    ----------
    sample_time_limit
        Seconds after which a sample is given up, as ``simulations.sample_time_limit`` of a campaign.

    Raises
    ------
    InputError
        If the table is wrong, or `out` exists and holds something else.
    """
    instance = get_model(model, **(options or {}))
    parameters = read_parameters(table, instance.space, normalised=normalised)
    outside = instance.space.outside(parameters)
    if outside and rank_of(comm) == 0:
        log.warning("%s: %d of %d parameter sets lie outside the model's own ranges", table, outside, len(parameters))
    identity = json.dumps([model, instance.version, dict(options or {}), sensitivity], sort_keys=True, default=str)
    fingerprint = hashlib.sha256(identity.encode() + parameters.tobytes()).hexdigest()[:12]
    n = len(parameters)
    task = Task(
        path=out,
        label=f"simulate {table.name}",
        model=instance,
        model_name=model,
        model_options=options or {},
        sample_time_limit=sample_time_limit,
        index=np.arange(n),
        parameters=parameters,
        seeds=np.arange(n, dtype=np.uint64),
        attributes={
            "kind": KIND,
            "campaign": fingerprint,
            "campaign_name": table.name,
            "model": model,
            "model_version": instance.version,
            "seed": 0,
        },
        sensitivity=sensitivity,
    )
    with failing_together(comm):
        whole = rank_of(comm) == 0 and out.exists()
        if whole:
            try:
                storage.verify(out, KIND, fingerprint)
            except InputError as error:
                raise InputError(f"{error} (it would be overwritten; choose another --out)") from None
    run_task(task, whole, comm, deadline)
    return out


def read_shard(campaign: Campaign, shard: int) -> storage.File:
    """Read a shard and check it against the campaign: checksum, origin, shapes, samples, and finite where status is OK.

    Raises
    ------
    InputError
        Naming the shard, what is wrong and what to do.
    """
    path = campaign.paths.shard(shard)
    file = storage.read(path, KIND, campaign.fingerprint("simulations"))
    start, stop = campaign.simulations.sample_range(shard)
    model = campaign.model_instance
    n, outputs, points = stop - start, len(model.outputs), len(model.outputs[0].grid)
    expected = {
        "index": (n,),
        "parameters": (n, len(campaign.space)),
        "profiles": (n, outputs, points),
        "log_peaks": (n, outputs),
        "status": (n,),
        "reasons": (n,),
    }
    for name, shape in expected.items():
        if file[name].shape != shape:
            raise storage.FileError(path, f"'{name}' has shape {file[name].shape}, expected {shape}")
    if not np.array_equal(file["index"], np.arange(start, stop)):
        raise storage.FileError(path, f"does not hold the samples {start} … {stop - 1}")
    if not np.allclose(file["parameters"], _shard_parameters(campaign, shard), rtol=1e-12, atol=0):
        raise storage.FileError(path, "its parameters are not those of its samples")
    status = file["status"]
    if not np.isin(status, [int(code) for code in Status]).all():
        raise storage.FileError(path, "holds a status that is none")
    ok = status == Status.OK
    finite = np.isfinite(file["profiles"]).all(axis=(1, 2)) & np.isfinite(file["log_peaks"]).all(axis=1)
    if not finite[ok].all():
        bad = start + int(np.flatnonzero(ok & ~finite)[0])
        raise storage.FileError(path, f"sample {bad} has status OK but is not finite")
    return file


def selected_parameters(campaign: Campaign, shard: int) -> NDArray[np.float64]:
    """Return the physical parameters that were selected for a shard of simulations, (n, d).

    Raises
    ------
    InputError
        If they are not there, damaged, or of another campaign.
    """
    path = campaign.paths.selected(shard)
    file = storage.read(path, SELECTION_KIND, campaign.fingerprint("selection"))
    size = campaign.simulations.shard_size
    parameters: NDArray[np.float64] = file["parameters"]
    if parameters.shape != (size, len(campaign.space)) or not np.array_equal(
        file["index"], np.arange(shard * size, (shard + 1) * size)
    ):
        raise storage.FileError(path, "does not hold the parameters of its shard")
    return parameters


@dataclass(frozen=True)
class Task:
    """Samples to simulate (n of them, numbers ascending) and the file that they go to."""

    path: Path
    label: str
    model: Model
    model_name: str
    model_options: Mapping[str, Any]
    sample_time_limit: float
    index: NDArray[np.int64]
    parameters: NDArray[np.float64]
    seeds: NDArray[np.uint64]
    attributes: dict[str, str | int | float]
    sensitivity: bool = False

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
class _Block:
    """Simulations of some samples."""

    profiles: NDArray[np.float32]
    log_peaks: NDArray[np.float64]
    status: NDArray[np.uint8]
    reasons: tuple[str, ...]
    sensitivity: NDArray[np.float64]
    seconds: float


_Parts = list[tuple[NDArray[np.int64], _Block]]
"""Rows of a task, and the simulations of these."""


class _Rows:
    """The simulations of a task, as far as they are done."""

    def __init__(self, task: Task) -> None:
        self.task = task
        n, outputs, points = len(task.index), len(task.model.outputs), len(task.model.outputs[0].grid)
        self.done = np.zeros(n, dtype=bool)
        self.profiles = np.full((n, outputs, points), np.nan, dtype=np.float32)
        self.log_peaks = np.full((n, outputs), np.nan)
        self.status = np.zeros(n, dtype=np.uint8)
        self.reasons = np.full(n, "", dtype=object)
        self.sensitivity = np.full((n, outputs), np.nan)

    def insert(self, rows: NDArray[np.int64], block: _Block | storage.File) -> None:
        """Enter the simulations of the given rows."""
        for name in self.task.results:
            getattr(self, name)[rows] = block[name] if isinstance(block, storage.File) else getattr(block, name)
        self.done[rows] = True

    def write(self, path: Path, kind: str) -> None:
        """Write what is done."""
        task, done = self.task, self.done
        storage.write(
            path,
            {
                "index": task.index[done],
                "parameters": task.parameters[done],
                "profiles": self.profiles[done],
                "log_peaks": self.log_peaks[done],
                "status": self.status[done],
                "reasons": list(self.reasons[done]),
                **({"sensitivity": self.sensitivity[done]} if task.sensitivity else {}),
                **describe(task.model),
            },
            {**task.attributes, "kind": kind},
        )

    def load_partial(self) -> None:
        """Take over what an earlier attempt left, if it is in order."""
        task = self.task
        if not task.partial_path.exists():
            return
        try:
            file = storage.read(task.partial_path, PARTIAL_KIND, str(task.attributes["campaign"]))
            rows = np.searchsorted(task.index, file["index"])
            if not (
                np.isin(file["index"], task.index).all() and np.array_equal(file["parameters"], task.parameters[rows])
            ):
                raise storage.FileError(task.partial_path, "holds other samples")
        except InputError as error:
            log.warning("%s: starting anew, since %s", task.label, error)
            task.partial_path.unlink()
            return
        self.insert(rows, file)
        log.info("%s: continuing with %d of %d samples", task.label, len(rows), len(task.index))


def run_task(task: Task, whole: bool, comm: Comm, deadline: Deadline | None) -> None:
    """Simulate what is missing of a task and write it; `whole` (of rank 0) says that nothing is.

    A call that all ranks make; see `simulate` for what it raises, and for how interruptions are continued.
    """
    with failing_together(comm):
        rows = None
        if rank_of(comm) == 0 and not whole:
            storage.check_writable(task.path)
            storage.check_writable(task.partial_path)
            rows = _Rows(task)
            rows.load_partial()
        if comm is not None:
            whole = comm.bcast(whole, root=0)
        if whole:
            if rank_of(comm) == 0:
                log.info("%s: is there already", task.label)
                task.partial_path.unlink(missing_ok=True)
            return
        complete = _simulate_rows(task, rows, comm, deadline)
        message = ""
        if rows is not None:
            if complete:
                rows.write(task.path, KIND)
                task.partial_path.unlink(missing_ok=True)
                _tell_failures(task, rows)
            else:
                rows.write(task.partial_path, PARTIAL_KIND)
                reason = (deadline.reason if deadline is not None else "") or "a rank was told to stop"
                message = (
                    f"{task.label}: {int(rows.done.sum())} of {len(rows.done)} samples are saved, since {reason}; "
                    "run the same command again to continue"
                )
        if comm is not None:
            message = comm.bcast(message, root=0)
        if message:
            raise Interrupted(message)


def _simulate_rows(task: Task, rows: _Rows | None, comm: Comm, deadline: Deadline | None) -> bool:
    """Simulate what is missing, into `rows` on rank 0; return there whether all was done."""
    with simulating(task.model, task.model_name, task.model_options, task.sample_time_limit, deadline) as simulator:
        work = partial(_simulate_block, task, simulator)
        if rows is None:
            return hand_out(comm, (), work, lambda block, parts: None)
        blocks = _Blocks(np.flatnonzero(~rows.done), size_of(comm))
        saves, mistake = _Saves(rows), _Mistake(task, rows)
        with Progress(len(rows.done), task.label, "samples", initial=int(rows.done.sum())) as progress:

            def collect(block: NDArray[np.int64], parts: _Parts) -> None:
                for some, result in parts:
                    mistake.look_at(result)
                    rows.insert(some, result)
                    progress.advance(len(some))
                    blocks.note(result.seconds / len(some))
                saves.save_when_due()

            hand_out(comm, blocks, work, collect, deadline.reached if deadline is not None else lambda: False)
        return bool(rows.done.all())


class _Blocks:
    """Cuts row numbers into blocks that take about the same time, smaller towards the end so that no rank idles."""

    def __init__(self, rows: NDArray[np.int64], ranks: int) -> None:
        self._rows = rows
        self._ranks = ranks
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
        wanted = min(_LARGEST_BLOCK, _BLOCK_SECONDS / max(self._seconds, 1e-9), left / (4 * self._ranks))
        # A power of two, which suits models that solve several samples at once.
        return 1 << max(0, int(wanted).bit_length() - 1)


class _Mistake:
    """Tells a mistake of the model's code from samples that fail."""

    def __init__(self, task: Task, rows: _Rows) -> None:
        self._task = task
        self._looking = not rows.done.any()
        self._enough = min(_ENOUGH_ALIKE, len(rows.done))
        self._reasons: list[str] = []

    def look_at(self, block: _Block) -> None:
        """Look at the first samples that are done.

        Raises
        ------
        InputError
            If all of them failed alike, by what is no fault of theirs.
        """
        if not self._looking:
            return
        self._reasons += block.reasons
        reason = self._reasons[0]
        alike = set(self._reasons) == {reason} and (block.status == Status.ERROR).all()
        self._looking = bool(alike) and (reason.partition(":")[0] in _MISTAKES or "broadcast" in reason)
        if self._looking and len(self._reasons) >= self._enough:
            raise InputError(
                f"{self._task.label}: model '{self._task.model_name}' fails for each of the first {len(self._reasons)} "
                f"samples: {reason}; mend its code{_ABOUT_FOLDERS if reason.startswith('FileNotFoundError') else ''}"
            )


_ABOUT_FOLDERS = (
    " (solve() runs in a folder of its own: make paths absolute in the constructor, or take them from the folder that "
    f"the environment variable {STARTED_IN} names)"
)


class _Saves:
    """Saves partial rows from time to time."""

    def __init__(self, rows: _Rows) -> None:
        self._rows = rows
        self._next = time.monotonic() + _SAVE_EVERY

    def save_when_due(self) -> None:
        start = time.monotonic()
        if start >= self._next:
            self._rows.write(self._rows.task.partial_path, PARTIAL_KIND)
            end = time.monotonic()
            self._next = end + max(_SAVE_EVERY, (end - start) / _SAVE_SHARE)


Simulator = Callable[..., Simulations]
"""Simulates samples, given parameters (n, d), seeds (n,) and whether to measure the sensitivity.

Raises `CallFailed` where the samples are at fault, and `Abandoned` where the deadline does not allow to wait.
"""


@contextmanager
def simulating(
    model: Model, name: str, options: Mapping[str, Any], sample_time_limit: float, deadline: Deadline | None = None
) -> Iterator[Simulator]:
    """Yield how a model's samples are simulated: in a process of its own, or here.

    Parameters
    ----------
    name, options
        By which a campaign names `model`.
    sample_time_limit
        Seconds that a call may take in a process of its own; twice as long for the sensitivity.
    """
    if not model.isolated:

        def here(parameters: NDArray[np.float64], seeds: NDArray[np.uint64], sensitivity: bool) -> Simulations:
            try:
                return model.simulate(parameters, seeds=seeds, sensitivity=sensitivity)
            except MemoryError:
                raise  # says something about the machine, not about the sample
            except Exception as error:
                raise Raised(f"{type(error).__name__}: {error}") from error

        yield here
        return
    # The class of a registered name need not be registered in another process.
    spec = name if ":" in name else f"{type(model).__module__}:{type(model).__qualname__}"
    with Isolated(f"model '{name}'", partial(get_model, spec, **options)) as isolated:

        def elsewhere(parameters: NDArray[np.float64], seeds: NDArray[np.uint64], sensitivity: bool) -> Simulations:
            solutions = 2 if sensitivity else 1
            return isolated.call(
                "simulate",
                parameters,
                seeds=seeds,
                sensitivity=sensitivity,
                seconds=solutions * sample_time_limit,
                give_up=deadline.overdue if deadline is not None else lambda: False,
            )

        yield elsewhere


def _simulate_block(task: Task, simulator: Simulator, rows: NDArray[np.int64]) -> _Parts:
    """Simulate samples; if that fails, one by one, so that only those at fault fail.

    Those that the deadline did not allow are missing.
    """
    done: _Parts = []
    with suppress(Abandoned):
        if len(rows) > 1:
            with suppress(CallFailed):
                return [(rows, _attempt(task, simulator, rows, task.sensitivity))]
        for row in rows[:, None]:
            done.append((row, _simulate_sample(task, simulator, row)))
    return done


def _simulate_sample(task: Task, simulator: Simulator, row: NDArray[np.int64]) -> _Block:
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
    shape = (1, len(task.model.outputs), len(task.model.outputs[0].grid))
    return _Block(
        np.full(shape, np.nan, dtype=np.float32),
        np.full(shape[:2], np.nan),
        np.array([Status.TIMEOUT if isinstance(failure, TimedOut) else Status.ERROR], dtype=np.uint8),
        (_reason(failure),),
        np.full(shape[:2], np.nan),
        time.perf_counter() - start,
    )


def _attempt(task: Task, simulator: Simulator, rows: NDArray[np.int64], sensitivity: bool) -> _Block:
    start = time.perf_counter()
    result = simulator(task.parameters[rows], task.seeds[rows], sensitivity)
    return _Block(
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


def _tell_failures(task: Task, rows: _Rows) -> None:
    """Say how many samples failed, and why most of them did."""
    for code in Status:
        failed = rows.status == code
        if code == Status.OK or not failed.any():
            continue
        reasons, counts = np.unique(rows.reasons[failed].astype(str), return_counts=True)
        log.warning(
            "%s: %d of %d samples have status %s, most often: %s",
            task.label,
            failed.sum(),
            len(failed),
            code.name,
            reasons[counts.argmax()],
        )
    if len(rows.status) and (rows.status != Status.OK).all():
        log.error("%s: NOT ONE of the %d samples could be simulated", task.label, len(rows.status))


def _is_whole(campaign: Campaign, shard: int) -> bool:
    try:
        read_shard(campaign, shard)
    except InputError as error:
        log.warning("simulate: making the shard anew, since %s", error)
        return False
    return True


def _shard_parameters(campaign: Campaign, shard: int) -> NDArray[np.float64]:
    """Return the physical parameters of a shard's samples, (n, d)."""
    if campaign.selection is not None:
        return selected_parameters(campaign, shard)
    start, stop = campaign.simulations.sample_range(shard)
    unit = sample_unit(campaign.simulations.sampling, campaign.seed, start, stop, len(campaign.space), _STREAM)
    return campaign.space.physical(unit, levels=True)
