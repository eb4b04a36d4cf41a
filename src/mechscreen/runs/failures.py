"""What failed in the runs of a campaign, as the driver saw it: a line of ``logs/failures.jsonl`` for each attempt."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from pydantic import Field

from mechscreen.runs.causes import Cause, Reason
from mechscreen.runs.folder import JobName, Word
from mechscreen.runs.records import add_line, read_lines
from mechscreen.storage import Record

_MOST_BYTES = 2**28
LONGEST = 20_000
"""Characters of a command, or of what was said, that are kept."""


class Failure(Record):
    """One attempt at a job that failed.

    Attributes
    ----------
    run
        Number of the run (`mechscreen.runs.driver.Run`).
    at
        When the driver saw it, in seconds since 1970.
    rule, verb, job, wildcards
        Which; the verb and the name of the job are those of its log.
    attempt
        Counted from 1.
    cause, said
        Why, and the words that say so.
    command, asked_by
        Where it was refused: what was called, and the lines of the profile that asked for what was refused.
    """

    run: str = Field(max_length=100)
    at: float
    rule: Word
    verb: Word
    job: JobName
    wildcards: dict[str, str]
    attempt: int
    cause: Cause
    said: str = Field(max_length=LONGEST)
    command: str = Field(default="", max_length=LONGEST)
    asked_by: tuple[str, ...] = ()

    @property
    def reason(self) -> Reason:
        """The cause with its words."""
        return Reason(self.cause, self.said)


def failures_file(root: Path) -> Path:
    """Return where failures are noted, below the campaign's folder."""
    return root / "logs" / "failures.jsonl"


def note(root: Path, failure: Failure) -> None:
    """Add a failure to those of the campaign in `root`.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    add_line(failures_file(root), failure)


def read_failures(root: Path, run: str) -> list[Failure]:
    """Return the failures of a run, in their order; lines that are none, and a file that is none, are passed over.

    Raises
    ------
    StorageError
        If the file cannot be read.
    """
    return [failure for failure in read_lines(failures_file(root), Failure, _MOST_BYTES) if failure.run == run]


class Growth:
    """How much more each job is to be given than at first, by why its attempts failed so far in this run.

    Only a job that lacked memory gets more of it, and only one that met its time limit more time; one that failed for
    no known cause gets both.
    """

    def __init__(self, failures: Iterable[Failure] = ()) -> None:
        self._failed: dict[tuple[str, ...], list[Cause]] = {}
        for failure in failures:
            self.add(failure)

    def add(self, failure: Failure) -> None:
        """Count another one."""
        self._failed.setdefault(_key(failure.rule, failure.wildcards), []).append(failure.cause)

    def memory(self, rule: str, wildcards: Mapping[str, str]) -> int:
        """Return by what to multiply a job's memory."""
        return 1 + sum(cause.wants_memory for cause in self._of(rule, wildcards))

    def time(self, rule: str, wildcards: Mapping[str, str]) -> int:
        """Return by what to multiply a job's time."""
        return 1 + sum(cause.wants_time for cause in self._of(rule, wildcards))

    def count(self, cause: Cause, rule: str, wildcards: Mapping[str, str]) -> int:
        """Return how many attempts at a job failed for a cause."""
        return self._of(rule, wildcards).count(cause)

    def _of(self, rule: str, wildcards: Mapping[str, str]) -> list[Cause]:
        return self._failed.get(_key(rule, wildcards), [])


def _key(rule: str, wildcards: Mapping[str, str]) -> tuple[str, ...]:
    return rule, *(f"{name}={value}" for name, value in sorted(wildcards.items()))
