"""What searches for the largest values found, in words and a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechscreen.figures.text import count, number, percent
from mechscreen.inference import front
from mechscreen.models.outputs import Status
from mechscreen.objectives import Features
from mechscreen.reports.page import Cell, KeyNumber, Table
from mechscreen.schemas.fits import Largest

if TYPE_CHECKING:
    from mechscreen.reports.results import Results

_SAME = 0.01
"""Of what searches gained on the sets where they began, up to which two values are the same."""
_FEW = 3
"""Searches that come to the largest value, with fewer of which there may well be a larger one."""
_PROMISED = 0.1
"""Share of the simulated value by which emulators may err where values are largest."""
_TOP, _OF_FRONT = 10, 20
"""Sets in the table."""
_AT_END = 0.01
"""Of a parameter's range, from an end of which a set lies at that end."""


class Best(NamedTuple):
    """Sets by simulated values: all that searches found, and all validated hits.

    Attributes
    ----------
    parameters, values, emulated
        (n, d), (n, expressions) twice.
    from_search
        (n,), whether a search found it.
    rows
        Of the best ones: by their value, or of two expressions the front.
    """

    parameters: NDArray[np.float64]
    values: NDArray[np.float64]
    emulated: NDArray[np.float64]
    from_search: NDArray[np.bool_]
    rows: NDArray[np.intp]


def best(results: Results) -> Best:
    """Return what is best of all that was simulated."""
    found, hits = results.largest, results.hits
    assert found is not None
    wanted = _wanted(results)
    of_hits, emulated_of_hits = (
        np.stack([*wanted(*of).values()], axis=1)
        for of in ((hits.profiles, hits.log_peaks), (hits.emulated_profiles, hits.emulated_log_peaks))
    )
    of_hits[hits.status != Status.OK] = np.nan
    values = np.concatenate([found.simulated, of_hits])
    emulated = np.concatenate([found.emulated, emulated_of_hits])
    if values.shape[1] == 2:
        rows = front(values)
    else:
        rows = np.argsort(-values[:, 0], kind="stable")
        rows = rows[np.isfinite(values[rows, 0])]
    from_search = np.arange(len(values)) < len(found)
    return Best(np.concatenate([found.parameters, hits.parameters]), values, emulated, from_search, rows)


def statement(results: Results) -> str:
    """Return what was found, in a sentence."""
    found = results.largest
    if found is None:
        return ""
    of, known = found.expressions[0], results.best_sets
    if not len(known.rows):
        return f"None of {count(len(found), 'search', 'searches')} found a set with a value of {of} by the model."
    top = known.rows[0]
    by = f"{count(len(found), 'search', 'searches')} found" if known.from_search[top] else "the validated hits have"
    text = f"The largest {of} that {by} is {number(known.values[top, 0])} by the model"
    if not results.campaign.polishes_by_model:
        text += f" ({number(known.emulated[top, 0])} by the emulators)"
    if found.simulated.shape[1] == 2:
        text += f"; {count(len(known.rows), 'set')} on the front between it and {found.expressions[1]}"
    return f"{text}."


def doubts(results: Results) -> list[str]:
    """Return what is to be said against what was found."""
    found = results.largest
    if found is None:
        return []
    told = [] if results.campaign.polishes_by_model else _broken_promises(found)
    known, of = results.best_sets, found.expressions[0]
    if not len(known.rows):
        return told
    if results.campaign.about.model.stochastic:
        told.append(
            f"The model is one of chance, and each set was simulated once: the largest {of} of so many is large by "
            "chance, too."
        )
    if found.simulated.shape[1] == 1 and (alike := _alike(found)) < _FEW:
        told.append(
            f"Only {alike} of {len(found):,} searches came to the largest {of}: there may be a larger one elsewhere; "
            "raise polish.count."
        )
    if ends := _at_ends(results, known.parameters[known.rows[0]]):
        told.append(
            f"The set of the largest {of} lies at the end of the range of {', '.join(ends)}: beyond it there may be "
            "larger ones."
        )
    return told


def key_numbers(results: Results) -> list[KeyNumber]:
    """Return the numbers that come first."""
    found = results.largest
    if found is None or not len((known := results.best_sets).rows):
        return []
    unfinished = int((~found.done).sum())
    note = f"by {found.looked.sum():,} {'simulations' if results.campaign.polishes_by_model else 'predictions'}"
    if found.simulated.shape[1] == 1:
        note += f"; {_alike(found):,} of {count(len(found), 'search', 'searches')} came to it"
    note += f"; {unfinished:,} did not come to an end" if unfinished else ""
    numbers = [KeyNumber(f"Largest {labels(results)[0]}", number(known.values[known.rows[0], 0]), note)]
    if found.simulated.shape[1] == 2:
        searched = f"{known.from_search[known.rows].sum():,} found by searches, the rest hits"
        numbers.append(KeyNumber("Sets on the front", f"{len(known.rows):,}", searched))
    return numbers


def table(results: Results) -> Table:
    """Return the best sets, or a selection of the front."""
    found = results.largest
    if found is None or not len((all_sets := results.best_sets).rows):
        return Table("The best sets", [], [])
    called = labels(results)
    two = len(called) == 2
    rows = all_sets.rows[:_TOP]
    title, note = "The best sets", f"The {len(rows)} best of all that was simulated, hits and what searches found."
    if two:
        rows = all_sets.rows
        if len(rows) > _OF_FRONT:
            rows = rows[np.linspace(0, len(rows) - 1, _OF_FRONT).round().astype(int)]
        title = "The front"
        note = (
            f"{len(rows)} of the {len(all_sets.rows)} sets, hits and what searches found, of which none is better in "
            "both: more of the one costs some of the other."
        )
    cells: list[list[Cell]] = []
    for row in rows.tolist():
        told: list[Cell] = []
        for k in range(len(called)):
            told += [number(all_sets.values[row, k]), number(all_sets.emulated[row, k])]
        by = "search" if all_sets.from_search[row] else "hit"
        cells.append([by, *told, *map(float, all_sets.parameters[row])])
    said = "in the search" if results.campaign.polishes_by_model else "emulated"
    head = [part for label in called for part in (label, said)]
    return Table(title, ["found as", *head, *(parameter.head for parameter in results.campaign.space)], cells, note)


def _broken_promises(found: Largest) -> list[str]:
    """Return what is to be said where the model does not keep what emulators say of their largest values."""
    told = []
    for k, of in enumerate(found.expressions.tolist()):
        emulated, simulated = found.emulated[:, k], found.simulated[:, k]
        promised = np.flatnonzero(np.isfinite(emulated))
        promised = promised[np.argsort(-emulated[promised], kind="stable")][:_TOP]
        kept = promised[np.isfinite(simulated[promised])]
        if 2 * len(kept) < len(promised):
            told.append(
                f"Of the {len(promised)} sets of which the emulators say the largest {of}, "
                f"{len(promised) - len(kept)} have none by the model: searches went where the emulators err; add "
                "rounds, or simulations."
            )
        elif len(kept):
            size = np.maximum(np.abs(simulated[kept]), _SAME * np.ptp(simulated[np.isfinite(simulated)]))
            off = float(np.median(np.abs(emulated[kept] - simulated[kept]) / np.where(size > 0, size, 1.0)))
            if off > _PROMISED:
                told.append(
                    f"Where {of} is largest, the emulators are {percent(off)} off in the median, so that searches went "
                    "where they err: add rounds, or simulations."
                )
    return told


def _alike(found: Largest) -> int:
    """Return how many searches came to the largest value; none where there is none."""
    values = found.simulated[np.isfinite(found.simulated[:, 0]), 0]
    if not len(values):
        return 0
    before = found.before[np.isfinite(found.before[:, 0]), 0]
    # By how far searches came: a few that went astray do not make all others alike.
    gained = values.max() - np.median(before) if len(before) else 0.0
    return int((values >= values.max() - max(_SAME * gained, 1e-6 * abs(values.max()))).sum())


def labels(results: Results) -> list[str]:
    """Return what was to be large, with units."""
    return [*_wanted(results).labels]


def _wanted(results: Results) -> Features:
    """Return what was to be large; the configuration may tell other features of hits."""
    assert results.largest is not None
    return Features(results.largest.expressions.tolist(), results.outputs, "screen.objective.options")


def _at_ends(results: Results, parameters: NDArray[np.float64]) -> list[str]:
    """Return which parameters of a set lie at an end of their ranges."""
    space = results.campaign.screen_space
    position = space.position(parameters[None])[0]
    return [space.names[k] for k in space.continuous if not _AT_END < position[k] < 1 - _AT_END]
