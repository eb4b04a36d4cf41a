"""What jobs took, beside what was forecast for them: by it the next ones ask for ranks, memory and time.

Snakemake measures each job, whatever executes it, and the driver notes with what ranks it was done and what was
forecast at typical speeds: a line of ``benchmarks/jobs.jsonl``. The ratio of the two holds for other sizes of a
campaign, and for other campaigns of the same model on the same machines.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import Field

from mechscreen.errors import LATE, FileError, InputError
from mechscreen.runs.benchmarks import measured
from mechscreen.runs.folder import JobName, Word, check_folder
from mechscreen.runs.forecast import LEAST_MEMORY, LONGEST_START, MOST, Ratio
from mechscreen.runs.records import add_line, read_lines, read_record
from mechscreen.stages.table import Cost
from mechscreen.storage import Record

_LATEST = 200
"""Jobs of a rule that are looked at."""
_MOST_BYTES = 2**28
_SPARE = 1.5
"""Memory is asked for with so much to spare, since Snakemake looks at it now and then only."""
_LATE, _POLL = 60.0, 1.0
"""Seconds for which a file may be late, and between looks."""
_OWN_MEGABYTES = 300.0
"""Of Snakemake, which calls itself once more in a job."""


class Done(Record):
    """A job that was done.

    Attributes
    ----------
    rule, job
        Which; the name of the job is that of its log.
    tasks
        Ranks that it was given.
    seconds
        That it took, with those of attempts before that met their time limit: what they did was kept.
    megabytes
        Of its processes together, those on its first node; None where it was too short to be measured.
    shares
        How often the memory of a first attempt it was given, since less was too little.
    start, core_seconds, memory
        What was forecast at typical speeds: seconds until it begins with its work, core-seconds of it, megabytes of the
        whole job.
    """

    rule: Word
    job: JobName
    tasks: int = Field(ge=1, le=10**6)
    seconds: float = Field(ge=0, le=1e12)
    megabytes: float | None = Field(None, ge=0, le=1e12)
    shares: int = Field(1, ge=1, le=1000)
    start: float = Field(ge=0, le=1e12)
    core_seconds: float = Field(ge=0, le=1e12)
    memory: float = Field(gt=0, le=1e12)


class Used(Record):
    """What the jobs of a run ask by: the number of the run, and the ratios of rules by their names."""

    run: str = Field("", max_length=100)
    rules: dict[Word, Ratio] = Field(default_factory=dict)


def done_file(root: Path) -> Path:
    """Return where jobs that were done are noted, below the campaign's folder."""
    return root / "benchmarks" / "jobs.jsonl"


def used_file(root: Path) -> Path:
    """Return where a run writes what its jobs ask by, so that each, which reads the workflow too, finds the same."""
    return root / "used.json"


def note_done(
    root: Path, rule: str, job: str, benchmark: Path, cost: Cost, tasks: int, lost: float, shares: int
) -> None:
    """Add a job to those that were done in a campaign's folder; nothing if it was not measured.

    Parameters
    ----------
    root
        The campaign's folder.
    rule, job, tasks, shares
        As in `Done`.
    benchmark
        What Snakemake measured.
    cost
        What was forecast at typical speeds.
    lost
        Seconds of attempts before that met their time limit.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    found = measured(benchmark)
    if found is None:
        return
    done = Done(
        rule=rule,
        job=job,
        tasks=tasks,
        seconds=found.seconds + lost,
        megabytes=found.megabytes,
        shares=shares,
        start=cost.start,
        core_seconds=cost.largest * cost.core_seconds,
        memory=tasks * cost.megabytes_of_rank(tasks),
    )
    add_line(done_file(root), done)


def used(root: Path, like: str | Path | None = None) -> Mapping[str, Ratio]:
    """Return what the jobs of each rule took: those in a campaign's folder, else those in that of another.

    Parameters
    ----------
    root
        The campaign's folder; there may be none yet.
    like
        Folder of a campaign before.

    Raises
    ------
    InputError
        If `like` holds no campaign, or no job that was measured.
    StorageError
        If a file cannot be read.
    """
    before: Mapping[str, Ratio] = {}
    if like is not None:
        try:
            check_folder(Path(like))
        except InputError as error:
            raise InputError(f"'resources_like': {error}") from None
        before = _ratios(Path(like))
        if not before:
            raise InputError(
                f"'resources_like': {like} holds no job that was measured beside its forecast; give the folder of a "
                "campaign that was run by this release, or leave the key out"
            )
    return {**before, **_ratios(root)}


def used_by_run(root: Path, run: str, patience: float = _LATE) -> Mapping[str, Ratio]:
    """Return what the run that a job belongs to asks by: ranks that are started have to be those that were asked for.

    Parameters
    ----------
    root
        The campaign's folder.
    run
        Number of the run; empty where it did not reach the job, which then takes what it finds.
    patience
        Seconds to wait for the file, which a network file system may show late.

    Raises
    ------
    FileError
        If the file is not the run's, or says something else.
    """
    end = time.monotonic() + patience
    while True:
        path = used_file(root)
        found = read_record(path, Used, _MOST_BYTES) if path.is_file() else Used()
        if run in ("", found.run):
            return found.rules
        if time.monotonic() >= end:
            raise FileError(path, "is not of the run that this job belongs to", LATE)
        time.sleep(_POLL)


def write_used(root: Path, run: str, ratios: Mapping[str, Ratio]) -> None:
    """Write what the jobs of a run ask by into a campaign's folder."""
    Used(run=run, rules=dict(ratios)).write(used_file(root))


def _ratios(root: Path) -> dict[str, Ratio]:
    jobs: dict[str, list[Done]] = {}
    for done in read_lines(done_file(root), Done, _MOST_BYTES):
        jobs.setdefault(done.rule, []).append(done)
    return {rule: _ratio(of_rule[-_LATEST:]) for rule, of_rule in jobs.items()}


def _ratio(jobs: Sequence[Done]) -> Ratio:
    # The median: three times what is expected is asked for, and one node that was slow is no reason for more.
    work = statistics.median(_work(done) for done in jobs)
    starts = [done.seconds for done in jobs if _is_all_start(done)]
    return Ratio(
        jobs=len(jobs),
        work=min(MOST, max(1 / MOST, work)),
        start=statistics.median(starts) if starts else None,
        memory=min(MOST, max(map(_memory, jobs))),
    )


def _is_all_start(done: Done) -> bool:
    """Return whether a job tells nothing of its work, since it was hardly more than a start."""
    return done.core_seconds / done.tasks <= done.start and done.seconds <= LONGEST_START


def _work(done: Done) -> float:
    if _is_all_start(done) or not done.core_seconds:
        return 1.0
    # Of a job that was done sooner than it was expected to begin, half is taken for work.
    return max(done.seconds - done.start, done.seconds / 2) * done.tasks / done.core_seconds


def _memory(done: Done) -> float:
    if done.megabytes is None:
        return float(done.shares)
    # Of ranks on several nodes, those on the first one are measured alone: they may ask for more, and never for less.
    least = 1.0 if done.tasks > 1 else LEAST_MEMORY
    wanted = (_SPARE * done.megabytes + _OWN_MEGABYTES) / done.memory
    return max(least, wanted, done.shares if done.shares > 1 else 0.0)
