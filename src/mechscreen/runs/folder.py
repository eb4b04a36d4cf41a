"""A folder of results, looked at without its campaign: the plan that was written into it when a run started.

The plan is enough to tell how far a campaign is, from anywhere, for a folder that was moved or copied, and without the
code of the model. Its paths are relative to the folder.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.runs.forecast import Step, forecast
from mechscreen.runs.records import read_record
from mechscreen.storage import Record

_WORD = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_MOST_BYTES = 2**28
"""Of a plan: a million jobs and more."""

JobName = Annotated[str, Field(pattern=rf"^({_WORD}/)?{_WORD}$", max_length=200)]
"""A job's, with its round's folder where that is not the first."""
Word = Annotated[str, Field(pattern=rf"^{_WORD}$", max_length=200)]
Relative = Annotated[str, Field(pattern=rf"^(\.\./{_WORD}/)?{_WORD}(/{_WORD})*$", max_length=1000)]
"""Path below the folder, or below the folder of another campaign beside it, whose files a campaign may use."""


class PlannedRule(Record):
    """A rule of the workflow, as planned.

    Attributes
    ----------
    rule, noun, verb
        As in the table of stages.
    study, asked
        Whether it belongs to a study of its own instead of the report, and whether the run was asked for that.
    seconds
        Expected of one job.
    targets
        Name of each job → the file that says that it is done.
    """

    rule: Word
    noun: Word
    verb: Word
    study: bool
    asked: bool
    seconds: float = Field(ge=0, le=1e12)
    targets: dict[JobName, Relative]


class Plan(Record):
    """What there is to do in a campaign, in the order in which data flows.

    Its edition tells what defaults keys have where ``campaign.yaml`` is lost.
    """

    format: Literal[1] = 1
    campaign: Word
    edition: int | None = None
    rules: tuple[PlannedRule, ...] = Field(min_length=1)


def plan_file(root: Path) -> Path:
    """Return where the plan of a campaign stands, below its folder."""
    return root / "plan.json"


def write_plan(campaign: Campaign, steps: Iterable[Step], asked: Collection[str] = ()) -> None:
    """Write the plan of a campaign into its folder.

    Parameters
    ----------
    campaign, steps
        Whose run starts, and the forecast of it.
    asked
        Targets of the run, rules or files.
    """
    _planned(campaign, steps, asked).write(plan_file(campaign.paths.root))


def _planned(campaign: Campaign, steps: Iterable[Step], asked: Collection[str] = ()) -> Plan:
    root = campaign.paths.root
    targets = {os.path.normpath(target) for target in asked}
    return Plan(
        campaign=campaign.name,
        edition=campaign.edition,
        rules=tuple(
            PlannedRule(
                rule=step.rule.name,
                noun=step.rule.noun,
                verb=step.rule.verb,
                study=step.rule.study,
                asked=not targets.isdisjoint([step.rule.noun, *map(os.path.normpath, step.rule.targets.values())]),
                seconds=step.seconds,
                targets={job: os.path.relpath(path, root) for job, path in step.rule.targets.items()},
            )
            for step in steps
        ),
    )


def read_plan(root: Path) -> Plan:
    """Return the plan in a folder of results.

    Raises
    ------
    InputError
        If the folder holds no campaign, or the plan cannot be read.
    FileError
        If the plan is none.
    """
    check_folder(root)
    path = plan_file(root)
    if not os.path.lexists(path):
        # No run has started since a campaign of an earlier release was converted.
        campaign = Campaign.open(root)
        return _planned(campaign, forecast(campaign))
    return read_record(path, Plan, _MOST_BYTES)


def check_folders(folders: Iterable[Path]) -> None:
    """See that nothing else stands where folders are, or will be made.

    Raises
    ------
    InputError
        If something does.
    """
    places = {place for folder in set(folders) for place in (folder, *folder.parents)}
    for place in sorted(places):
        if os.path.lexists(place) and not place.is_dir():
            raise InputError(f"{place}: is no folder, and results go there; move it away or use another results folder")


def check_folder(root: Path) -> None:
    """See that a folder is one of results.

    Raises
    ------
    InputError
        If not.
    """
    if not (root / "campaign.yaml").is_file():
        raise InputError(f"{root}: holds no campaign (no campaign.yaml); give a folder such as results/demo")
