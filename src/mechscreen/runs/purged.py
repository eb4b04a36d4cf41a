"""Files that are gone, as a scratch file system removes old ones: which of them are made anew, and in what order.

Snakemake makes a missing file where something needs it, and then everything anew that was ever made of it, whole or
not. So what is gone and needed, and has whole files that were made of it, is made first, by a run of its own; then it
has the bytes that it had, and by their checksum Snakemake leaves the rest as it is.

Of some files Snakemake does not know that they are read, or wanted: those of the training set behind its manifest, the
record beside a network, tables and pictures of a campaign that has its report.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from mechscreen import storage
from mechscreen.errors import FileError
from mechscreen.runs import driver
from mechscreen.runs.unrecorded import differs
from mechscreen.schemas.dataset import Manifest

if TYPE_CHECKING:
    from mechscreen.campaign import Campaign
    from mechscreen.runs.jobs import Rule

RESULTS = (
    "train_member",
    "train_ensemble",
    "evaluate_ensemble",
    "calibrate_ensemble",
    "gather_screen",
    "validate_hits",
    "polish_sets",
    "infer_posterior",
    "draw_figure",
    "write_report",
)
"""Rules whose files are results, which are made again though nothing is made of them any more; what these gathered is
not."""
_INSIDE = "inside"
"""In the place of rules, in a run that makes lost files."""
_LISTED = 3

Job = tuple[str, str]
"""Name of a rule, and of one of its jobs."""

READ_TRAINING_SET = (
    "train_member",
    "train_ensemble",
    "train_on_samples",
    "measure_learning",
    "evaluate_ensemble",
    "validate_hits",
)
"""Rules whose jobs read the files of the training set, and not its manifest alone."""


def restore_first(name: str, rules: Sequence[Rule], targets: Collection[str], *, dry_run: bool) -> None:
    """Make anew what is gone and needed, where whole files were made of it, and start this run of Snakemake once more.

    Does not return then; in a dry run, and where there is nothing to make, it does.

    Parameters
    ----------
    name
        Of the campaign.
    rules, targets
        As of `to_restore`.
    dry_run
        Whether it is only said.
    """
    done = os.environ.get(driver.RESTORED_VARIABLE, "").split()
    if _INSIDE in done:
        return
    whose, files = to_restore(rules, targets, restored=done)
    if not files:
        return
    names = [str(path) for path in files]
    told = ", ".join(names[:_LISTED] + [f"{len(names) - _LISTED} more"] * (len(names) > _LISTED))
    print(f"{name}: first {told}, since files are gone; what was made of them stays", file=sys.stderr)
    if dry_run:
        print("(below, as if it did not)", file=sys.stderr)
        return
    driver.run_first([*names, "--force"], targets, {driver.RESTORED_VARIABLE: _INSIDE})
    os.environ[driver.RESTORED_VARIABLE] = " ".join([*done, whose])
    driver.start_again()


def to_restore(
    rules: Sequence[Rule], asked: Collection[str] = (), restored: Collection[str] = ()
) -> tuple[str, list[Path]]:
    """Return what is to be made anew before all else: a rule, and the files that stand for its jobs.

    Parameters
    ----------
    rules
        Of the campaign, in the order in which data flows.
    asked
        Targets of the run, rules or files; none: the report.
    restored
        Names of rules whose files were made anew already.

    Returns
    -------
    Empty if there is nothing of the kind.
    """
    jobs = {(rule.name, job): path for rule in rules for job, path in rule.targets.items()}
    by_name = {rule.name: rule for rule in rules}
    there = cache(storage.exists)
    if not any(map(there, jobs.values())):
        return "", []
    made = {job: _made(by_name[job[0]], job[1]) for job in jobs}
    maker = {path: job for job, paths in made.items() for path in paths}
    if all(map(there, maker)):
        return "", []
    needed, unseen = _needed(by_name, jobs, made, maker, asked)
    whole = {job for job in _leading_to(_final(jobs, by_name, asked)[0], by_name, maker) if there(jobs[job])} - needed
    of_whole = {path for job in whole for path in _inputs(by_name[job[0]], job[1])}
    first = [job for job in needed if job in unseen or not of_whole.isdisjoint(made[job])]
    for name in by_name:
        if name not in restored and (paths := [jobs[job] for job in jobs if job in first and job[0] == name]):
            return name, paths
    return "", []


def _needed(
    rules: Mapping[str, Rule],
    jobs: Mapping[Job, Path],
    made: Mapping[Job, Sequence[Path]],
    maker: Mapping[Path, Job],
    asked: Collection[str],
) -> tuple[set[Job], set[Job]]:
    """Return the jobs that have to run, and those of them of which Snakemake does not see it."""
    there = cache(storage.exists)
    needed: set[Job] = set()

    def follow(waiting: list[Job]) -> None:
        """Add jobs, and those that make what is gone of their inputs."""
        while waiting:
            job = waiting.pop()
            if job not in needed:
                needed.add(job)
                read = _inputs(rules[job[0]], job[1])
                waiting += [maker[path] for path in read if path in maker and not there(path)]

    def lacks(job: Job) -> bool:
        """Return whether what a job made is there, and something that it reads is gone."""
        if not there(jobs[job]):
            return False
        read = [*_inputs(rules[job[0]], job[1]), *_read_unseen(rules[job[0]], job[1])]
        return any(path in maker and not there(path) for path in read)

    final, wanted = _final(jobs, rules, asked)
    follow([job for job in final if not there(jobs[job])])
    # Whether a file is the campaign's is read from it, which takes long of ten thousand: only where its inputs are gone
    # does it matter here.
    follow([job for job in _leading_to(final, rules, maker) if lacks(job) and differs(rules[job[0]], job[1])])
    unseen: set[Job] = set()
    while True:
        read = [path for job in needed for path in _read_unseen(rules[job[0]], job[1])]
        gone = {maker[path] for path in read if path in maker and not there(path)}
        gone |= {job for job in wanted if not all(map(there, made[job]))}
        if gone <= needed:
            return needed, unseen
        unseen |= gone - needed
        follow([*gone - needed])


def _final(jobs: Mapping[Job, Path], rules: Mapping[str, Rule], asked: Collection[str]) -> tuple[list[Job], list[Job]]:
    """Return the jobs that Snakemake runs for, and those whose files people want besides."""
    if not asked or "all" in asked:
        final = [job for job in jobs if job[0] == "write_report"]
        return final, [job for job in jobs if job[0] in RESULTS]
    # The last rule of a stage makes what stands for it.
    last = {rule.noun: rule.name for rule in rules.values()}
    names = {last.get(target, target) for target in asked}
    final = [job for job, path in jobs.items() if job[0] in names or str(path) in asked]
    return final, final


def _leading_to(final: Iterable[Job], rules: Mapping[str, Rule], maker: Mapping[Path, Job]) -> set[Job]:
    """Return some jobs, and all whose files they are made of."""
    found: set[Job] = set()
    waiting = [*final]
    while waiting:
        job = waiting.pop()
        if job not in found:
            found.add(job)
            waiting += [maker[path] for path in _inputs(rules[job[0]], job[1]) if path in maker]
    return found


def _inputs(rule: Rule, job: str) -> list[Path]:
    found = rule.inputs(job).values()
    return [path for files in found for path in (files if isinstance(files, list) else [files])]


def _read_unseen(rule: Rule, job: str) -> Iterator[Path]:
    """Yield what a job reads besides its inputs."""
    campaign = rule.of(job)
    if rule.name in READ_TRAINING_SET:
        for part in (campaign, *campaign.earlier_rounds):
            yield from training_files(part)
    if rule.name == "merge_shards" and campaign.selection is not None:
        yield from (campaign.paths.selected(number) for number in range(campaign.simulations.shards))
    yield from (path.with_name("member.json") for path in _inputs(rule, job) if path.name == "model.keras")


def training_files(campaign: Campaign) -> list[Path]:
    """Return the campaign's own files of the training set, as its manifest lists them; none if it is not there."""
    with suppress(FileError):
        manifest = Manifest.read(campaign.paths.manifest, campaign.identity("dataset"))
        return [campaign.paths.dataset / entry.file for entry in manifest.files]
    return []


def _made(rule: Rule, job: str) -> list[Path]:
    """Return the files that a job makes, the one that stands for them first."""
    campaign, target = rule.of(job), rule.targets[job]
    paths = campaign.paths
    match rule.name:
        case "merge_shards":
            return [target, *training_files(campaign)]
        case "train_member" | "train_on_samples":
            return _of_member(target)
        case "train_ensemble":
            members = [paths.member(number) / "model.keras" for number in range(campaign.emulators.members)]
            others = [model for model in members if model != target]
            return [file for model in (target, *others) for file in _of_member(model)]
        case "measure_learning":
            return [target, paths.learning_figure]
        case "evaluate_ensemble":
            return [target, paths.predictions]
        case "gather_screen":
            return [target, paths.screen_summary]
        case "validate_hits":
            surveyed = [paths.survey] if campaign.surveyed else []
            moved = [paths.robustness] if campaign.validation.robustness else []
            return [target, paths.validation_summary, *surveyed, *moved]
        case "write_report":
            return [target, *_written_with_report(campaign)]
        case _:
            return [target]


def _of_member(model: Path) -> list[Path]:
    """Return the files of a member, given its network."""
    return [model, model.with_name("history.csv"), model.with_name("member.json")]


def _written_with_report(campaign: Campaign) -> list[Path]:
    """Return what writing the report makes, or makes again where it was lost."""
    paths = campaign.paths
    found = [paths.summary, paths.validation_table]
    if campaign.by_model or campaign.base is not None:
        return found
    members = [paths.member(number) for number in range(campaign.emulators.members)]
    whole = all(storage.exists(member / name) for member in members for name in ("model.keras", "member.json"))
    return [*found, paths.ensemble] if whole else found
