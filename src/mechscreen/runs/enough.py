"""Rounds until what the ensemble knows is enough: which there are to be, only the evaluations of rounds say.

A run plans what it makes before it starts. So where a rule is to end the rounds, a run first makes the next round
whose evaluation decides, by a run of its own, and starts once more; a dry run lists the most that there can be. Where
the rule is about what the screen finds, that run screens with the round's ensemble, too.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from pathlib import Path

from mechscreen.campaign import Campaign, read_mapping
from mechscreen.campaign.sections import EnoughSection
from mechscreen.errors import FileError, InputError
from mechscreen.runs import driver
from mechscreen.schemas.evaluation import Metrics
from mechscreen.schemas.validation import Population, ValidationSummary
from mechscreen.storage import exists, read_text, write_text

_INSIDE = "MECHSCREEN_ROUND"
"""Set where a run makes a round for another one."""
_ANSWERS = "MECHSCREEN_ANSWER"
"""Set where such a run screens with the ensemble of the round, as if it were the last one."""


def is_enough(rule: EnoughSection, metrics: Metrics) -> bool:
    """Return whether one of the rule's conditions on an ensemble holds."""
    error, disagreement = metrics.ensemble.rmse, metrics.disagreement.mean
    return (rule.error is not None and error is not None and error <= rule.error) or (
        rule.disagreement is not None and disagreement is not None and disagreement <= rule.disagreement
    )


def is_known(rule: EnoughSection, answer: Population) -> bool:
    """Return whether it is known what the screen finds, as well as the rule asks for; not where it finds nothing."""
    low, high = answer.recall.if_calibrated
    if rule.width is None or low is None or not high:
        return False
    return high - low <= rule.width


def as_recorded(campaign: Campaign) -> Campaign:
    """Return the campaign with the rounds that its run has written down, as jobs of that run take it."""
    path = campaign.paths.campaign
    if not _ends(campaign) or not exists(path):
        return campaign
    return campaign.until_round(min(campaign.rounds, int(read_mapping(path).get("rounds", 1))))


def with_enough_rounds(campaign: Campaign) -> Campaign:
    """Return the campaign with the rounds that it takes, as far as evaluations that are there say.

    Raises
    ------
    InputError
        If an evaluation of an earlier version does not tell what the rule asks for.
    """
    if not _ends(campaign):
        return campaign
    if _ANSWERS in os.environ:
        return campaign.until_round(int(os.environ[_INSIDE]))
    for number in range(1, campaign.rounds):
        enough, _ = _decided(campaign, number)
        if enough is None:
            return campaign
        if enough:
            return campaign.until_round(number)
    return campaign


def make_rounds_first(campaign: Campaign, targets: Collection[str], *, whole_run: bool) -> None:
    """Make the next round whose evaluation decides whether others follow, and start this run of Snakemake once more.

    Does not return then; where nothing is to be decided, and where files are asked for, it does.

    Parameters
    ----------
    targets
        Of this run, rules or files.
    whole_run
        Whether nothing is left out of it, or made though it is there.

    Raises
    ------
    InputError
        If something has to be decided, and the run is no whole one.
    """
    if _INSIDE in os.environ or not _ends(campaign) or any(os.sep in target for target in targets):
        return
    wanted_of = ((number, _decided(campaign, number)[1]) for number in range(1, campaign.rounds))
    number, wanted = next(((number, wanted) for number, wanted in wanted_of if wanted), (0, None))
    if wanted is None:
        return
    if not whole_run:
        raise InputError(
            f"'{campaign.name}': round {number} has to say first whether others follow (selection.enough); run without "
            "--forcerun, --forceall, --until and --omit-from first"
        )
    print(f"{campaign.name}: round {number} first, which says whether others follow", file=sys.stderr)
    answers = wanted == campaign.paths.validation_summary
    driver.run_first([str(wanted)], targets, {_INSIDE: str(number)} | ({_ANSWERS: "1"} if answers else {}))
    if answers:
        write_text(_answer_file(campaign, number), read_text(wanted))
    driver.start_again()


def _ends(campaign: Campaign) -> bool:
    """Return whether a rule may end a campaign's rounds."""
    return campaign.rounds > 1 and campaign.selection is not None and campaign.selection.enough != EnoughSection()


def _decided(campaign: Campaign, number: int) -> tuple[bool | None, Path | None]:
    """Return whether a round is the last one, None where that is open, and which file would then say more."""
    assert campaign.selection is not None
    rule, metrics = campaign.selection.enough, _metrics(campaign, number)
    if metrics is None:
        return None, campaign.of_round(number).paths.metrics
    if is_enough(rule, metrics):
        return True, None
    if rule.width is None:
        return False, None
    try:
        identity = campaign.until_round(number).identity("validation")
        answer = ValidationSummary.read(_answer_file(campaign, number), identity).population
    except FileError:
        return None, campaign.paths.validation_summary
    return answer is not None and is_known(rule, answer), None


def _answer_file(campaign: Campaign, number: int) -> Path:
    """Return where it is kept what the screen by a round's ensemble found: the next round's takes its place."""
    return campaign.paths.answers / f"after-round-{number}.json"


def _metrics(campaign: Campaign, number: int) -> Metrics | None:
    view = campaign.of_round(number)
    try:
        metrics = Metrics.read(view.paths.metrics, view.identity("evaluation"))
    except FileError:
        return None
    assert campaign.selection is not None
    if campaign.selection.enough.disagreement is not None and metrics.disagreement.mean is None:
        raise InputError(
            f"{view.paths.metrics}: made by an earlier version, does not tell the mean disagreement that "
            f"selection.enough asks for; remove it, so that it is made again"
        )
    return metrics
