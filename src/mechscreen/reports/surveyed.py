"""What a survey of all screened sets says, in words and a table: how many are of the target, what the screen misses."""

from __future__ import annotations

import numpy as np

from mechscreen.figures.text import UNDEFINED, number, percent
from mechscreen.reports.page import KeyNumber, Table
from mechscreen.schemas.validation import Known, Population, Surveyed
from mechscreen.strata import contradicted

_OF_SPACE, _OF_SCREENED = "of the space", "of what was screened"


def statement(population: Population, target: str, whole: bool) -> str:
    """Return in a sentence how many sets are of the target, and what the screen finds of them.

    Parameters
    ----------
    target
        In words.
    whole
        Whether all of the space was screened.
    """
    prevalence, recall, precision = population.prevalence, population.recall, population.precision
    space = _OF_SPACE if whole else _OF_SCREENED
    most = f"at most {percent(prevalence.trusting_nothing[1])} without trust"
    text = f"{target[:1].upper()}{target[1:]}: {percent(prevalence.value)} {space} ("
    text += f"{_interval(prevalence)} if the calibration holds; {most})"
    if precision.value is None:
        return f"{text}; none of them is a hit."
    return (
        f"{text}; the screen finds {percent(recall.value)} of them ({_interval(recall)}; at least "
        f"{percent(recall.trusting_nothing[0])}); {percent(precision.value)} of its hits are right "
        f"({_interval(precision)}; at least {percent(precision.trusting_nothing[0])})."
    )


def key_numbers(population: Population, target: str, whole: bool) -> list[KeyNumber]:
    """Return the numbers of a survey that come first; arguments as for `statement`."""
    of_all = _OF_SPACE if whole else _OF_SCREENED
    return [
        KeyNumber(
            f"{target[:1].upper()}{target[1:]}, {of_all}",
            percent(population.prevalence.value),
            _both(population.prevalence),
        ),
        KeyNumber(
            f"Of all {target}, the screen finds", percent(population.recall.value), _both(population.recall), "missed"
        ),
        KeyNumber(
            "Of the screen's hits are right", percent(population.precision.value), _both(population.precision), "sure"
        ),
    ]


def _interval(known: Known) -> str:
    """Return the ends of the interval of a share if the calibration holds: ``90–95 %``."""
    low, high = known.if_calibrated
    return f"{percent(low).removesuffix(' %')}–{percent(high)}"


def _both(known: Known) -> str:
    if known.value is None:
        return "nothing is known of it"
    low, high = known.trusting_nothing
    return f"95 % interval {_interval(known)} if the calibration holds, {percent(low)} to {percent(high)} without trust"


def doubts(surveyed: Surveyed, population: Population) -> list[str]:
    """Return sentences on what contradicts the probabilities: strata, those that are no hits together, training."""
    found = _of_strata(surveyed)
    rest = ~surveyed.kept
    looked, expected, finds = surveyed.looked[rest], surveyed.expected[rest], surveyed.found[rest]
    total, known = int(looked.sum()), float(looked @ expected)
    if not found and total and contradicted(int(finds.sum()), total, known / total):
        found = [
            f"Of {total:,} simulated sets that are no hits, {number(known)} were to be of the target, and "
            f"{int(finds.sum()):,} are: the calibration does not hold there."
        ]
    if population.contradicting is not None:
        found.append(
            f"{percent(population.contradicting)} of the training simulations are of the target, which the survey "
            "contradicts: they are left out of how many there are."
        )
    return found


def _of_strata(surveyed: Surveyed) -> list[str]:
    return [
        f"Of {looked:,} simulated sets with a probability from {number(least)} on, {number(expected * looked)} were to "
        f"be of the target, and {found:,} are: the calibration does not hold there."
        for least, looked, found, expected in zip(
            *(array.tolist() for array in (surveyed.least, surveyed.looked, surveyed.found, surveyed.expected)),
            strict=True,
        )
        if contradicted(found, looked, expected, len(surveyed.least))
    ]


def table(surveyed: Surveyed | None, population: Population | None) -> Table:
    """Return the strata of a survey; no rows without one."""
    title = "What a survey of all screened sets finds"
    if surveyed is None or population is None:
        return Table(title, [], [])
    ends = np.append(surveyed.least[1:], 1.0)
    rows = [
        [
            f"{number(least)} to {number(end)}",
            int(size),
            "hits" if kept else None,
            int(looked),
            number(expected * looked),
            int(found),
            percent(found / looked) if looked else UNDEFINED,
        ]
        for least, end, size, kept, looked, expected, found in zip(
            surveyed.least,
            ends,
            surveyed.sizes,
            surveyed.kept,
            surveyed.looked,
            surveyed.expected,
            surveyed.found,
            strict=True,
        )
    ]
    note = (
        f"{population.simulated:,} sets were drawn at random from the screened ones of each probability, and "
        f"simulated: {number(population.expected)} were to be of the target, and {population.found:,} are"
        + (f"; {population.failed:,} could not be simulated, and are of no class" if population.failed else "")
        + ". “If the calibration holds”: probabilities are wrong in all rows alike, as far as the rows say (a "
        "hierarchical model of the log-odds). “Without trust”: by what was simulated alone, whatever the networks say; "
        "of n simulations without a find, up to 3.7/n of a row may be of the target."
    )
    if population.training:
        note += (
            f" How many are of the target is known by {population.training:,} training simulations too, which are a "
            "random sample; of what the screen misses they say nothing, since the networks have seen them."
        )
    head = ["probability", "screened sets", "", "simulated", "of the target by probability", "of the target", "share"]
    return Table(title, head, rows, note)
