"""A campaign told to somebody who was not there: what was asked and found, how sure it is, what was missed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from mechscreen.figures import SECTIONS
from mechscreen.figures.text import count, number, percent
from mechscreen.reports import best, steps
from mechscreen.reports.page import KeyNumber, Picture, Section, Table
from mechscreen.reports.results import Results


def tell(
    results: Results,
    numbers: Sequence[KeyNumber],
    pictures: Sequence[tuple[str, Picture]],
    tables: Sequence[Table],
    origin: Sequence[Table],
) -> list[Section]:
    """Return the sections of a campaign's report, in the order of `mechscreen.figures.SECTIONS`.

    Parameters
    ----------
    pictures
        Each with the key of its section.
    origin
        Tables by which the results can be traced.
    """
    text = {"asked": _asked(results), "missed": _missed(results), "fails": _fails(results)}
    points = {"fails": _doubts(results), "next": steps.after(results)}
    made = replace(
        Section("made", ""), code=("Configuration", results.campaign.to_yaml()), tables=[*_of(tables, "made"), *origin]
    )
    return [
        replace(
            made if key == "made" else Section(key, "", tables=_of(tables, key)),
            title=title,
            short=short,
            text=text.get(key, ()),
            points=points.get(key, ()),
            numbers=[item for item in numbers if item.section == key],
            pictures=[picture for section, picture in pictures if section == key],
            has_explorer=key == "found",
        )
        for key, (title, short) in SECTIONS.items()
    ]


def _of(tables: Sequence[Table], key: str) -> list[Table]:
    return [table for table in tables if table.section == key]


def _asked(results: Results) -> list[str]:
    """Return the question in words: of which model, over what, by what it is decided, and how it was gone about."""
    campaign, space = results.campaign, results.campaign.screen_space
    model, objective = campaign.about.model, campaign.screen.objective
    held = len(space) - len(space.varied)
    text = [
        f"Which parameter sets of the {model.title} model give {results.target}? "
        f"{count(len(space.varied), 'parameter')} of {len(space)} vary within the ranges below"
        + (f", and {held} {'is' if held == 1 else 'are'} held" if held else "")
        + f". The objective “{objective.name}” tells apart the classes {', '.join(results.classes)}, by "
        f"{_listed([_told(output) for output in results.outputs])}."
    ]
    if campaign.by_model:
        return [*text, f"The model itself simulated all {results.screen.samples:,} parameter sets that were looked at."]
    members = campaign.emulators.members
    return [
        *text,
        f"{count(members, 'neural network')} learnt from {results.manifest.samples['train']:,} simulations of random "
        f"parameter sets, and predicted {results.screen.samples:,} others. What they called {results.target} are hits, "
        f"of which the model itself simulated {results.validation.validated:,}.",
    ]


def _told(output: object) -> str:
    from mechscreen.models import Output

    assert isinstance(output, Output)
    unit = f" [{output.unit}]" if output.unit else ""
    over = " and ".join(output.axes)
    return f"{output.name}{unit}" + (f" over {over}" if over else "")


_MOST_LISTED = 6


def _listed(names: Sequence[str]) -> str:
    shown = "; ".join(names[:_MOST_LISTED])
    return shown + (f"; and {len(names) - _MOST_LISTED} more" if len(names) > _MOST_LISTED else "")


def _missed(results: Results) -> list[str]:
    """Return what is known of what the screen did not find."""
    campaign, totals = results.campaign, results.screen.totals
    if campaign.by_model:
        return [
            "Of the parameter sets that were looked at nothing is missed, but those that could not be simulated. They "
            "are a random sample of the space: between them there may be sets of the target of every kind that is "
            f"rarer than one in {results.screen.samples:,}."
        ]
    text = []
    if totals.hits_discarded:
        text.append(
            f"{count(totals.hits_discarded, 'parameter set')} that the networks called {results.target} in the mean "
            f"were not kept, since the members disagree by more than {totals.disagreement_limit:g}."
        )
    if results.validation.population is None and totals.recall is None:
        text.append(
            "How many parameter sets of the target the networks took for something else is not known: all that was "
            "simulated after the screen are hits. A survey of all screened sets would say (validation.survey, with "
            "calibration.count)."
        )
        of_target = [results.metrics.confusion.classes.index(name) for name in campaign.screen.objective.target]
        counts = np.array(results.metrics.confusion.counts)[of_target]
        are, seen = int(counts.sum()), int(counts[:, of_target].sum())
        if are:
            text.append(
                f"A hint: of the {count(are, 'test simulation')} of the target, the ensemble names {seen:,} "
                f"({percent(seen / are)}) as such."
            )
        else:
            text.append("The test simulations hold none of the target, so that they give no hint either.")
    return text


def _doubts(results: Results) -> list[str]:
    return best.doubts(results) if results.campaign.by_model else results.doubts


def _fails(results: Results) -> list[str]:
    """Return what is to be said before the doubts."""
    text = [
        "What speaks against the results:"
        if _doubts(results)
        else "None of the checks that every report makes speaks against the results (docs/explanation/trust.md)."
    ]
    validation = results.validation
    if results.campaign.by_model or not validation.validated:
        return text
    wrong = validation.validated - validation.confirmed.count
    if wrong:
        error = validation.rmse.largest
        largest = "" if error is None else f"; the largest RMSE of all is {number(error)}"
        text.append(
            f"Of {count(validation.validated, 'simulated hit')}, {wrong:,} {'is' if wrong == 1 else 'are'} not "
            f"confirmed{largest}. The figure “Hits and what the model makes of them” ends with the worst."
        )
    if validation.failed:
        text.append(f"Of {count(validation.failed, 'hit')} the simulation failed.")
    return text
