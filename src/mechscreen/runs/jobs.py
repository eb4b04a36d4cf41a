"""The jobs of a campaign: for each rule of the workflow, the files that say that its jobs are done."""

from __future__ import annotations

import os
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
        Name of each job, and of its log (``shard-00003``) → the file that says that it is done.
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

    @property
    def identity(self) -> Identity:
        """What its files depend on."""
        return self.campaign.identity(self.row.depends)

    def inputs(self, job: str = "") -> Files:
        """Return the files that a job reads, by what they are; of rules whose jobs all read the same, without a job."""
        if self.row.each_its_own:
            return self.row.inputs(self.campaign, job)
        # Of ten thousand jobs that read the same, the list is made once.
        if not self._read:
            self._read[""] = self.row.inputs(self.campaign, job)
        return self._read[""]


def rules(campaign: Campaign) -> tuple[Rule, ...]:
    """Return the rules of a campaign, in the order in which data flows; those of its studies too."""
    # A job that holds its log needs no table.
    from mechscreen.stages.table import TABLE

    return tuple(Rule(row, campaign, row.targets(campaign)) for row in TABLE if row.applies(campaign))


def log_file(root: Path, verb: str, job: str) -> Path:
    """Return the log of a job, below the campaign's folder."""
    return root / "logs" / verb / f"{job}.log"


def benchmark_file(root: Path, verb: str, job: str) -> Path:
    """Return Snakemake's measurement of a job."""
    return root / "benchmarks" / verb / f"{job}.tsv"


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
