"""Two campaigns beside each other: what was configured differently, and what came of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from mechscreen.figures.text import correlation, count, duration, percent
from mechscreen.reports.findings import measured_jobs, with_interval
from mechscreen.reports.page import Cell, KeyNumber, Page, Picture, Section, Table
from mechscreen.reports.results import Results
from mechscreen.schemas.validation import Known, Share

_NOT_COMPARED = ("name", "results")
"""Keys that say where a campaign is, and not what it is."""
_ABSENT = "—"


def compare(
    both: Sequence[Results],
    called: Sequence[str],
    pictures: Sequence[Mapping[str, Picture]],
    verbs: Iterable[str],
) -> Page:
    """Return a page on two campaigns.

    Parameters
    ----------
    called
        What each is called on the page.
    pictures
        Those of each report, by name.
    verbs
        The stages, in their order.
    """
    found, classes, outputs = _found(both, called), _classes(both, called), _outputs(both, called)
    return Page(
        title=f"{called[0]} beside {called[1]}",
        headline=" ".join(_headline(results, name) for results, name in zip(both, called, strict=True)),
        sections=[
            Section("asked", "What was asked differently", "Configuration", tables=[_configuration(both, called)]),
            Section("found", "What was found", "Found", numbers=_numbers(both, called), tables=[found, classes]),
            Section("sure", "How good the emulators are", "Accuracy", tables=[outputs] if outputs.rows else []),
            Section("time", "What it took", "Time", tables=[_time(both, called, verbs)]),
            Section("figures", "Figures beside each other", "Figures", beside=_beside(called, pictures)),
        ],
    )


def differences(first: Mapping[str, Any], second: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the keys of two configurations whose values differ, with both values; a dash where there is none."""
    one, other = _flat(first), _flat(second)
    sections = list(dict.fromkeys([*first, *second]))
    keys = [key for key in dict.fromkeys([*one, *other]) if key.split(".")[0] not in _NOT_COMPARED]
    keys.sort(key=lambda key: sections.index(key.split(".")[0]))
    return [(key, one.get(key, _ABSENT), other.get(key, _ABSENT)) for key in keys if one.get(key) != other.get(key)]


def _flat(values: Mapping[str, Any], above: str = "") -> dict[str, str]:
    flat: dict[str, str] = {}
    for key, value in values.items():
        name = f"{above}{key}"
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{name}.")
        else:
            flat[name] = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return flat


def _configuration(both: Sequence[Results], called: Sequence[str]) -> Table:
    found = differences(*(results.campaign.model_dump(mode="json") for results in both))
    note = "Keys of which the values differ." if found else "The two configurations are the same."
    return Table("Configuration", ["key", *called], found, note)


def _headline(results: Results, name: str) -> str:
    hits, screened = results.screen.totals.hits_found, results.screen.samples
    text = f"{name}: {count(hits, 'hit')} ({results.target}) among {screened:,} parameter sets"
    validation = results.validation
    if not validation.validated:
        return f"{text}."
    share = validation.same_class if results.campaign.by_model else validation.confirmed
    what = "of the same class with other seeds" if results.campaign.by_model else "confirmed"
    return f"{text}, {percent(share.share)} of {validation.validated:,} simulated ones {what}."


def _numbers(both: Sequence[Results], called: Sequence[str]) -> list[KeyNumber]:
    return [
        KeyNumber(f"Hits, {name}", f"{results.screen.totals.hits_found:,}", results.target)
        for results, name in zip(both, called, strict=True)
    ]


def _found(both: Sequence[Results], called: Sequence[str]) -> Table:
    rows: list[list[Cell]] = [
        ["target", *(results.target for results in both)],
        ["model", *(results.campaign.about.model.title for results in both)],
        ["simulations", *(_of_manifest(results, "simulations") for results in both)],
        ["training samples", *(_of_manifest(results, "train") for results in both)],
        ["parameter sets screened", *(results.screen.samples for results in both)],
        ["hits", *(results.screen.totals.hits_found for results in both)],
        ["hits, of those screened", *(_hit_share(results) for results in both)],
        ["discarded for disagreement", *(results.screen.totals.hits_discarded for results in both)],
        ["hits simulated", *(results.validation.validated for results in both)],
        ["confirmed by", *(_confirmed_by(results) for results in both)],
        ["confirmed", *(_share(results, results.validation.confirmed) for results in both)],
        ["of the same class", *(_share(results, results.validation.same_class) for results in both)],
        ["of the target, by a survey", *(_surveyed(results, "prevalence") for results in both)],
        ["of these found, by a survey", *(_surveyed(results, "recall") for results in both)],
    ]
    note = (
        "Shares with 95 % intervals: where these do not overlap, chance hardly explains the difference. Hits are of "
        "each campaign's own target and limits, which the first table has."
    )
    return Table("Results", ["", *called], [row for row in rows if any(cell is not None for cell in row[1:])], note)


def _of_manifest(results: Results, what: str) -> Cell:
    if results.campaign.by_model:
        return None
    return results.manifest.simulations if what == "simulations" else results.manifest.samples[what]


def _hit_share(results: Results) -> str:
    return with_interval(Share.of(results.screen.totals.hits_found, results.screen.samples))


def _confirmed_by(results: Results) -> Cell:
    by = results.validation.confirmed_by
    return by if isinstance(by, str) else ", ".join(by)


def _share(results: Results, share: Share) -> Cell:
    return with_interval(share) if results.validation.validated else None


def _surveyed(results: Results, what: str) -> Cell:
    population = results.validation.population
    if population is None:
        return None
    known: Known = getattr(population, what)
    low, high = known.if_calibrated
    return f"{percent(known.value)}, 95 % interval {percent(low)} to {percent(high)}"


def _classes(both: Sequence[Results], called: Sequence[str]) -> Table:
    names = dict.fromkeys(name for results in both for name in results.classes)
    of_each = [dict(zip(results.classes, results.screen.classes.tolist(), strict=True)) for results in both]

    def shown(k: int, name: str) -> str:
        if name not in of_each[k]:
            return _ABSENT
        return percent(of_each[k][name] / max(1, both[k].screen.samples))

    rows = [[name, *(shown(k, name) for k in range(len(both)))] for name in names]
    return Table("Shares of classes", ["class", *called], rows, "Of all parameter sets that were screened.")


def _outputs(both: Sequence[Results], called: Sequence[str]) -> Table:
    learnt = [None if results.campaign.by_model else results.metrics for results in both]
    if not any(learnt):
        return Table("Accuracy", [], [])
    rows: list[list[Cell]] = [
        ["RMSE, all outputs", *(None if one is None else one.ensemble.rmse for one in learnt)],
        ["same class", *(None if one is None else percent(one.confusion.same_class) for one in learnt)],
    ]
    names = dict.fromkeys(output.name for results in both for output in results.outputs)
    for name in names:
        measured = [None if one is None else one.outputs.get(name) for one in learnt]
        rows.append([f"RMSE, {name}", *(None if one is None else one.rmse for one in measured)])
        rows.append([f"R², {name}", *(None if one is None else correlation(one.r2) for one in measured)])
    note = (
        "Of each ensemble on its own test split. RMSE of outputs that are not compared by shape or peak is in units of "
        "their deviations among the campaign's own simulations, and so compares campaigns over the same ranges alone."
    )
    kept = [row for row in rows if any(cell is not None for cell in row[1:])]
    return Table("Accuracy", ["test split", *called], kept, note)


def _time(both: Sequence[Results], called: Sequence[str], verbs: Iterable[str]) -> Table:
    rows: list[list[Cell]] = []
    sums = [0.0] * len(both)
    for verb in verbs:
        seconds = [sum(one for one, _ in measured_jobs(results.campaign, verb)) for results in both]
        sums = [a + b for a, b in zip(sums, seconds, strict=True)]
        if any(seconds):
            rows.append([verb, *(duration(one) if one else _ABSENT for one in seconds)])
    if rows:
        rows.append(["all", *map(duration, sums)])
    return Table("Time of all jobs", ["stage", *called], rows, "As Snakemake measured them, on whatever they ran.")


def _beside(
    called: Sequence[str], pictures: Sequence[Mapping[str, Picture]]
) -> list[tuple[str, str, Sequence[Picture]]]:
    names = dict.fromkeys(name for of_one in pictures for name in of_one)
    rows: list[tuple[str, str, Sequence[Picture]]] = []
    for name in names:
        row = [
            replace(of_one[name], name=f"{name}-{k}", title=called[k])
            for k, of_one in enumerate(pictures)
            if name in of_one
        ]
        title = next(of_one[name].title for of_one in pictures if name in of_one)
        rows.append((name, title, row))
    return rows
