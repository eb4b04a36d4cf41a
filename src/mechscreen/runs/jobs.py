"""The jobs of a campaign: for each rule of the workflow, the files that say that its jobs are done."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.stages.report import figure_names


@dataclass(frozen=True)
class Rule:
    """A rule of the workflow, and its jobs.

    Attributes
    ----------
    name
        As in the workflow: ``simulate_shard``.
    stage
        Noun that names the folder of the results: ``simulations``.
    verb
        Of the command line, and folder of the logs: ``simulate``.
    targets
        Name of each job, and of its log (``shard-00003``) → the file that says that it is done.
    """

    name: str
    stage: str
    verb: str
    targets: Mapping[str, Path]


def rules(campaign: Campaign) -> tuple[Rule, ...]:
    """Return the rules of a campaign's report, in the order in which data flows."""
    paths = campaign.paths
    shards = [paths.shard(k) for k in range(campaign.simulations.shards)]
    blocks = [paths.block(k) for k in range(campaign.screen.blocks)]
    members = [paths.member(k) for k in range(campaign.emulators.members)]
    # Only where the campaign selects: there may be very many shards.
    selected = [] if campaign.selection is None else [paths.selected(k) for k in range(campaign.simulations.shards)]
    select = [Rule("select_shard", "selection", "select", {path.stem: path for path in selected})] if selected else []
    return (
        *select,
        Rule("simulate_shard", "simulations", "simulate", {path.stem: path for path in shards}),
        Rule("merge_shards", "dataset", "merge", {"merge": paths.manifest}),
        Rule("train_member", "emulators", "train", {path.name: path / "model.keras" for path in members}),
        Rule("evaluate_ensemble", "evaluation", "evaluate", {"evaluate": paths.metrics}),
        Rule("screen_block", "screen", "screen", {path.stem: path for path in blocks}),
        Rule("gather_screen", "screen", "screen", {"gather": paths.screen_hits}),
        Rule("validate_hits", "validation", "validate", {"validate": paths.validation_hits}),
        Rule("draw_figure", "figures", "report", {name: paths.figure(name) for name in figure_names(campaign)}),
        Rule("write_report", "report", "report", {"report": paths.report}),
    )


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
