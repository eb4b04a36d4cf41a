"""What is known of the parameters, given measured data, in words and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mechscreen.figures.text import UNDEFINED, count, number
from mechscreen.reports.page import KeyNumber, Table
from mechscreen.schemas.fits import Polished

if TYPE_CHECKING:
    from mechscreen.reports.results import Results

_WITHIN = 1.0
"""Of −2 ln L, up to which searches came to the same."""
_USEFUL = 0.1
"""Share of the draws of emulators as which they count together, below which these know too little."""
_FEW = 3
"""Searches that come to the best −2 ln L, with fewer of which there may well be a better one."""


def statement(results: Results) -> str:
    """Return how well measured data are explained, and how many parameters they determine, in a sentence."""
    found, known = results.polished, results.known
    if found is None:
        return ""
    measured = len(found.measured_value)
    text = (
        f"The best set has −2 ln L = {found.deviance[0]:.2f} for {count(measured, 'measurement')}; "
        f"{_alike(found):,} of {_anew(found)} came within {_WITHIN:g} of it"
    )
    if known is not None and known.independent:
        text += f"; the data determine {known.determined} of {count(len(known.parameters), 'parameter')}"
    return f"{text}."


def doubts(results: Results) -> list[str]:
    """Return what is to be said against what was found."""
    found, known = results.polished, results.known
    told = []
    if found is not None:
        alike = _alike(found)
        if alike < _FEW:
            told.append(
                f"Only {alike} of {_anew(found)} came within {_WITHIN:g} of the best −2 ln L: there may "
                "be a better set elsewhere; raise polish.count."
            )
    if found is not None and known is not None:
        if known.effective is not None and known.effective < _USEFUL * (known.simulated or 0):
            told.append(
                f"The model's posterior is not the emulators': {known.simulated:,} draws that it simulated count as "
                f"{known.effective:.0f} would; add rounds, which learn where sets fit, or set polish.by: model."
            )
        if known.effective is None and known.best < found.deviance[0] - _WITHIN:
            told.append(
                f"Draws of the posterior came to −2 ln L = {known.best:.2f}, and searches to {found.deviance[0]:.2f}: "
                "these did not find the best set; raise polish.count."
            )
        if not known.enough:
            independent = f"{known.independent:,}" if known.independent else "too few to say how many"
            told.append(
                f"Of {known.wanted:,} independent draws of the posterior that were asked for there are {independent}: "
                "intervals are rough; raise posterior.simulations, and walkers go on where they are."
            )
    return told


def key_numbers(results: Results) -> list[KeyNumber]:
    """Return the numbers that come first."""
    found, known = results.polished, results.known
    if found is None:
        return []
    looks = "simulations" if results.campaign.polishes_by_model else "predictions"
    numbers = [
        KeyNumber(
            "Best −2 ln L",
            f"{found.deviance[0]:.2f}",
            f"{count(len(found.measured_value), 'measurement')}; {_alike(found):,} of {_anew(found)} came within "
            f"{_WITHIN:g} of it{_unfinished(found)}; {int(found.looked.sum()):,} {looks} in all",
        )
    ]
    if known is not None and known.independent:
        numbers.append(
            KeyNumber(
                "Parameters that the data determine",
                f"{known.determined} of {len(known.parameters)}",
                f"{known.independent:,} independent draws of the posterior by {known.simulations:,} {looks}"
                + (f", of which {known.simulated:,} were simulated" if known.simulated else ""),
            )
        )
    return numbers


def _alike(found: Polished) -> int:
    """Return how many searches that began anew came to the best −2 ln L.

    One that began near it, since another one had ended there, says nothing of other places.
    """
    return int((found.deviance[~found.from_search] < found.deviance[0] + _WITHIN).sum())


def _anew(found: Polished) -> str:
    """Return how many searches began anew, and how many went on from these, in words."""
    anew = int((~found.from_search).sum())
    others = len(found) - anew
    return count(anew, "search", "searches") + (f" (besides {others:,} that went on from the best)" if others else "")


def _unfinished(found: Polished) -> str:
    near = found.deviance < found.deviance[0] + _WITHIN
    left = int((near & ~found.done).sum())
    return f"; {left:,} of all that did have not come to an end" if left else ""


def table(results: Results) -> Table:
    """Return what is known of each parameter; no rows where nothing was sampled."""
    title, known, found = "What is known of the parameters", results.known, results.polished
    if known is None or found is None:
        return Table(title, [], [])
    space = results.campaign.screen_space
    rows = []
    for name, about in known.parameters.items():
        parameter, (low, lower, middle, upper, high) = space[name], about.quantiles
        rows.append(
            [
                parameter.head,
                number(float(found.parameters[0, space.names.index(name)])),
                number(middle),
                f"{number(lower)} to {number(upper)}",
                f"{number(low)} to {number(high)}",
                f"{number(parameter.low)} to {number(parameter.high)}",
                about.known,
                UNDEFINED if about.independent is None else round(about.independent),
            ]
        )
    note = (
        "Credible intervals of the posterior: what the data leave of the priors within the ranges that were screened. "
        "A parameter is “bounded above” where its posterior reaches the lower end of its range, so that the data say "
        "only how large it may be, “bounded below” at the upper end, and “not determined” at both."
    )
    head = ["parameter", "best set", "median", "50 %", "95 %", "range", "", "independent draws"]
    return Table(title, head, rows, note)
