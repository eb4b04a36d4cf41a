"""The jobs of a campaign: for each rule of the workflow, the files that say that its jobs are done."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from mechscreen import storage
from mechscreen.campaign import Campaign

if TYPE_CHECKING:
    from mechscreen.campaign.identity import Identity
    from mechscreen.stages.table import Files, Row


@dataclass(frozen=True)
class Rule:
    """A rule of the workflow, and its jobs in a campaign.

    Attributes
    ----------
    row
        Of the table of stages.
    campaign
        Whose jobs they are.
    targets
        Name of each job, and of its log (``shard-00003``; of rounds after the first ``round-2/shard-00003``) → the file
        that says that it is done.
    """

    row: Row
    campaign: Campaign
    targets: Mapping[str, Path]
    _read: dict[str, Files] = field(default_factory=dict, repr=False, compare=False)

    @property
    def name(self) -> str:
        """As in the workflow: ``simulate_shard``."""
        return self.row.rule

    @property
    def noun(self) -> str:
        """Names the folder of the results: ``simulations``."""
        return self.row.noun

    @property
    def verb(self) -> str:
        """Of the command line, and folder of the logs: ``simulate``."""
        return self.row.verb

    @property
    def study(self) -> bool:
        """Whether it belongs to a study of its own, named by its noun, and not to what leads to the report."""
        return self.row.study

    def of(self, job: str) -> Campaign:
        """Return the campaign as it is in the round of a job."""
        return self.campaign.of_round(_round_of(job)) if self.row.each_round else self.campaign

    def identity(self, job: str = "") -> Identity:
        """Return what the file of a job depends on."""
        return self.of(job).identity(self.row.depends)

    def inputs(self, job: str = "") -> Files:
        """Return the files that a job reads, by what they are; of rules whose jobs all read the same, without a job."""
        folder, _, own = job.rpartition("/")
        if self.row.each_its_own:
            return self.row.inputs(self.of(job), own)
        # Of ten thousand jobs that read the same, the list is made once.
        if folder not in self._read:
            self._read[folder] = self.row.inputs(self.of(job), own)
        return self._read[folder]

    @property
    def parts(self) -> list[tuple[Campaign, int]]:
        """The campaign in each round that has such jobs, and how many."""
        rounds = Counter(map(_round_of, self.targets))
        return (
            [(self.campaign.of_round(number), jobs) for number, jobs in rounds.items()]
            if self.row.each_round
            else [(self.campaign, len(self.targets))]
        )


def rules(campaign: Campaign) -> tuple[Rule, ...]:
    """Return the rules of a campaign, in the order in which data flows; those of its studies too."""
    # A job that holds its log needs no table.
    from mechscreen.stages.table import TABLE

    found = []
    for row in TABLE:
        rounds = range(1, campaign.own_rounds + 1) if row.each_round else (1,)
        views = {number: campaign.of_round(number) if row.each_round else campaign for number in rounds}
        some = {
            f"{folder_of(number)}{job}": path
            for number, view in views.items()
            if row.applies(view)
            for job, path in row.targets(view).items()
        }
        if some or (not row.each_round and row.applies(campaign)):
            found.append(Rule(row, campaign, some))
    return tuple(found)


def folder_of(number: int) -> str:
    """Return what comes before the names of jobs and files in a round: nothing in the first."""
    return f"round-{number}/" if number > 1 else ""


def _round_of(job: str) -> int:
    folder, slash, _ = job.rpartition("/")
    return int(folder.removeprefix("round-")) if slash else 1


def job_of(root: Path, log: Path) -> tuple[str, str]:
    """Return the verb and the name of the job whose log this is; the reverse of `log_file`."""
    *folder, _, verb, name = log.relative_to(root).with_suffix("").parts
    return verb, "/".join([*folder, name])


def log_file(root: Path, verb: str, job: str) -> Path:
    """Return the log of a job, below the campaign's folder; of a later round below that round's."""
    folder, _, name = job.rpartition("/")
    return root / folder / "logs" / verb / f"{name}.log"


def benchmark_file(root: Path, verb: str, job: str) -> Path:
    """Return Snakemake's measurement of a job."""
    folder, _, name = job.rpartition("/")
    return root / folder / "benchmarks" / verb / f"{name}.tsv"


@contextmanager
def at_work(log: Path) -> Iterator[bool]:
    """Hold the log of a job while working on it, which tells `mechscreen status` that it runs.

    A job that was called by hand has no log, and holds nothing. Yields whether no other process held it: two that make
    the same file are harmless, and one too many.
    """
    # A name that is too long makes pathlib raise; the job itself will say what is wrong with it.
    if not os.path.isfile(log):  # noqa: PTH113
        yield True
        return
    stream = storage.hold(log)
    try:
        yield stream is not None
    finally:
        if stream is not None:
            stream.close()
