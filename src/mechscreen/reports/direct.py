"""What a screen by the model itself found (``screen.by: model``), in words and tables; `findings` tells of others."""

from __future__ import annotations

from collections.abc import Iterable

from mechscreen.campaign import NOT_SIMULATED
from mechscreen.figures.text import count, percent
from mechscreen.models.outputs import Status
from mechscreen.reasons import Reasons
from mechscreen.reports import best
from mechscreen.reports.findings import chosen, parameter_table, relation_table, time_table, title, with_interval
from mechscreen.reports.page import Cell, KeyNumber, Table, placed
from mechscreen.reports.results import Results
from mechscreen.schemas.validation import Share

SAME = 1e-6
"""RMSE up to which two simulations are the same numbers: the screen keeps hits in single precision."""
_TOP_HITS = 10
_REASONS = 10


def headline(results: Results) -> str:
    """Return what was found, in a few sentences."""
    screen, totals = results.screen, results.screen.totals
    model = results.campaign.about.model.title
    found = count(totals.hits_found, "hit") if totals.hits_found else "no hit"
    share = with_interval(Share.of(totals.hits_found, screen.samples))
    text = f"Of {screen.samples:,} parameter sets, each simulated by the {model} model itself, "
    text += f"{found} ({results.target}): {share}."
    fit = [best.statement(results), *best.doubts(results)] if results.campaign.searches else []
    return " ".join([text, *fit, *_of_failures(results), *_of_seeds(results)])


def _of_failures(results: Results) -> list[str]:
    failed = int(results.screen.classes[-1])
    if not failed:
        return []
    share = percent(failed / results.screen.samples)
    said = f"{failed:,} ({share}) could not be simulated and are a class of their own, “{NOT_SIMULATED}”."
    if 2 * failed > results.screen.samples:
        said += " The model hardly runs in this space: narrow its ranges, or state constraints."
    return [said]


def _of_seeds(results: Results) -> list[str]:
    """Return what other seeds make of the hits."""
    validation = results.validation
    if not validation.validated:
        return []
    again = f"{count(validation.validated, 'hit')}{chosen(validation)} simulated again with other seeds"
    if _same_numbers(results):
        return [f"Of {again}, all gave the same numbers: the model takes no account of seeds, and hits need no check."]
    return [
        f"Of {again}, {validation.same_class.count:,} were of the same class ({with_interval(validation.same_class)}): "
        "a hit is one realisation, and the others are there by the chance of their seed."
    ]


def _same_numbers(results: Results) -> bool:
    validation = results.validation
    largest = validation.rmse.largest
    same = validation.same_class.count == validation.validated
    return same and not validation.failed and largest is not None and largest <= SAME


def key_numbers(results: Results) -> list[KeyNumber]:
    """Return the numbers that come first."""
    screen, totals, validation = results.screen, results.screen.totals, results.validation
    failed = int(screen.classes[-1])
    numbers = [
        KeyNumber(
            "Parameter sets simulated", f"{screen.samples:,}", "by the model itself; there are no emulators", "asked"
        ),
        KeyNumber(
            f"Hits ({results.target})",
            f"{totals.hits_found:,}",
            with_interval(Share.of(totals.hits_found, screen.samples)),
        ),
        KeyNumber("Could not be simulated", f"{failed:,}", percent(failed / screen.samples), "fails"),
    ]
    if validation.validated:
        note = f"{validation.same_class.count:,} of {count(validation.validated, 'hit')}; "
        note += "all the same numbers" if _same_numbers(results) else with_interval(validation.same_class)
        numbers.append(KeyNumber("Same class with other seeds", percent(validation.same_class.share), note, "sure"))
    return numbers + best.key_numbers(results)


def summary(results: Results) -> str:
    """Return the few lines that a run ends with."""
    screen, validation = results.screen, results.validation
    failed = int(screen.classes[-1])
    hits = Share.of(screen.totals.hits_found, screen.samples)
    lines = {
        "simulated": f"{count(screen.samples, 'parameter set')} by the model itself, without emulators",
        **({"failed": f"{failed:,} ({percent(failed / screen.samples)})"} if failed else {}),
        "hits": f"{hits.count:,} ({results.target}): {with_interval(hits)}",
    }
    if validation.validated:
        again = f"of {count(validation.validated, 'hit')} with other seeds"
        lines["again"] = (
            f"all {again} gave the same numbers"
            if _same_numbers(results)
            else f"{validation.same_class.count:,} {again} of the same class: {with_interval(validation.same_class)}"
        )
    if told := best.statement(results):
        lines["best"] = told
    lines["report"] = str(results.campaign.paths.report)
    said = [*lines.items(), *(("BEWARE", doubt) for doubt in best.doubts(results))]
    return "\n".join([title(results), *(f"  {label:<12} {text}" for label, text in said), ""])


def tables(results: Results, verbs: Iterable[str]) -> list[Table]:
    """Return the tables of the results, without those that would be empty; `verbs` are the stages in their order."""
    return placed(
        {
            "asked": [parameter_table(results)],
            "found": [_class_table(results), relation_table(results), best.table(results), _hit_table(results)],
            "fails": [_failure_table(results)],
            "made": [time_table(results.campaign, verbs)],
        }
    )


def _class_table(results: Results) -> Table:
    samples = results.screen.samples
    targets = results.campaign.screen.objective.target
    rows: list[list[Cell]] = [
        [called, n, with_interval(Share.of(n, samples)), "target" if name in targets else None]
        for name, called, n in zip(results.class_names, results.classes, results.screen.classes.tolist(), strict=True)
    ]
    return Table(
        "Classes",
        ["class", "parameter sets", "share", ""],
        rows,
        "Each parameter set goes by the model's own simulation of it.",
    )


def _hit_table(results: Results) -> Table:
    found = results.hits
    space, verdicts = results.campaign.space, results.verdicts
    rows: list[list[Cell]] = [
        [
            str(found.index[i]),
            results.classes[found.emulated_labels[i]],
            verdicts[i],
            float(found.rmse[i]),
            *map(float, found.parameters[i]),
        ]
        for i in found.by_trust[:_TOP_HITS]
    ]
    units = [parameter.head for parameter in space]
    return Table(
        "Hits that other seeds change least",
        ["sample", "in the screen", "again", "RMSE", *units],
        rows,
        f"The {len(rows)} of {count(len(found), 'hit')} simulated again with the least RMSE between the two, those of"
        "  the same class first; in units of the outputs' deviations over these hits, or of their peaks. "
        f"Parameters in physical units. All of them: {results.campaign.paths.validation_table}.",
    )


def _failure_table(results: Results) -> Table:
    """Return why samples failed, by those that the screen kept."""
    screen = results.screen
    failed = int(screen.classes[-1])
    if screen.failed_status is None or screen.failed_reasons is None or not failed:
        return Table("Parameter sets that could not be simulated", [], [])
    reasons = Reasons()
    for status, reason in zip(screen.failed_status.tolist(), screen.failed_reasons.tolist(), strict=True):
        reasons.add(Status(status).name, reason)
    rows: list[list[Cell]] = [
        [status.lower().replace("_", " "), reason, n, percent(n / reasons.total)]
        for status, reason, n in reasons.listed()[:_REASONS]
    ]
    drawn = "all of them" if reasons.total == failed else f"{reasons.total:,} of them, drawn at random"
    return Table(
        "Parameter sets that could not be simulated",
        ["status", "reason", "count", "share"],
        rows,
        f"{failed:,} of {screen.samples:,} ({percent(failed / screen.samples)}); here {drawn}. Of reasons that differ "
        "in their numbers alone, the first one stands for all.",
    )
