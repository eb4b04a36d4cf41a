"""Tables of the suites as Markdown, from one row for each data set."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from discovery_study.fitting import is_silent, says_misfit
from discovery_study.odebench import GOOD, PUBLISHED, TRUTH
from discovery_study.scoring import Row, wilson
from discovery_study.truths import TOLD

SURE = 0.95
"""Confidence from which a support counts as said to be sure."""

Rows = Sequence[Row]
Holds = Callable[[Row], Any]
Column = tuple[str, Callable[[Rows], Any]]
"""Heading, and what stands below it for some rows."""


def group(rows: Iterable[Row], *keys: str) -> dict[tuple[Any, ...], list[Row]]:
    """Return rows by the values of some keys, in the order in which they come."""
    groups: dict[tuple[Any, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row.get(key) for key in keys), []).append(row)
    return groups


def table(headings: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """Return a Markdown table."""
    text = ["| " + " | ".join(headings) + " |", "|" + "---|" * len(headings)]
    text += ["| " + " | ".join(map(_cell, line)) + " |" for line in lines]
    return "\n".join(text) + "\n"


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value).replace("|", "\\|")


def columns(named: Iterable[tuple[Sequence[Any], Rows]], keys: Sequence[str], wanted: Sequence[Column]) -> str:
    """Return a Markdown table of groups of rows: what they are called, and a cell from each column."""
    lines = [(*name, *(cell(rows) for _, cell in wanted)) for name, rows in named]
    return table([*keys, *(heading for heading, _ in wanted)], lines)


def count(rows: Iterable[Row], holds: Holds) -> int:
    """Return how many rows something holds for."""
    return sum(bool(holds(row)) for row in rows)


def share(hits: int, of: int) -> str:
    """Return "12/20, 60.0 %", "" where there is nothing to count."""
    return f"{hits}/{of}, {100 * hits / of:.1f} %" if of else ""


def interval(rows: Rows, holds: Holds) -> str:
    """Return the share of the rows that something holds for, with Wilson's 95 % interval."""
    if not rows:
        return ""
    hits = count(rows, holds)
    low, high = wilson(hits, len(rows))
    return f"{share(hits, len(rows))} [{100 * low:.0f}–{100 * high:.0f}]"


def median(rows: Iterable[Row], key: str) -> float:
    """Return the median of what is known, NaN if nothing is."""
    values = [row[key] for row in rows if row.get(key) is not None]
    return float(np.median(values)) if values else math.nan


def is_right(row: Row) -> bool:
    """Whether the support found is the true one."""
    return bool(row.get("right"))


def is_told(row: Row) -> bool:
    """Whether something was said against the equations: a caveat, or none were given and why."""
    return bool(row["refused"]) if "failed" in row else not is_silent(row)


def is_warned(row: Row) -> bool:
    """Whether it was said that the equations do not fit: by a caveat, or by giving none."""
    return bool(row.get("refused")) or says_misfit(row)


def is_sure(row: Row) -> bool:
    """Whether the support is said to be sure, and nothing against it."""
    return is_silent(row) and row["confidence"] >= SURE


def is_broken(row: Row) -> bool:
    """Whether a fit crashed or took too long."""
    return "failed" in row and not row["refused"]


SECONDS: Column = ("seconds, median", lambda rows: median(rows, "seconds"))
LONGEST: Column = ("longest", lambda rows: max(row["seconds"] for row in rows))
BROKEN: Column = ("too slow or crashed", lambda rows: count(rows, is_broken))


def reconstructs(row: Row) -> bool:
    """Whether R² from the first start counts."""
    return (row.get("reconstruction") or 0.0) > GOOD


def generalises(row: Row) -> bool:
    """Whether R² from the second start counts."""
    return (row.get("generalisation") or 0.0) > GOOD


def fails(row: Row) -> bool:
    """Whether one of both R² does not count."""
    return not (reconstructs(row) and generalises(row))


def _right_inside(rows: Rows) -> str:
    inside = [row for row in rows if row.get("inside") is not False and row["method"] != TRUTH]
    return share(count(inside, is_right), len(inside))


def _silent_failures(rows: Rows) -> str:
    failed = [row for row in rows if fails(row)]
    return "" if rows[0]["method"] == TRUTH else f"{count(failed, is_silent)} of {len(failed)}"


SCORES: Sequence[Column] = (
    ("reconstruction", lambda rows: share(count(rows, reconstructs), len(rows))),
    ("generalisation", lambda rows: share(count(rows, generalises), len(rows))),
    ("right support where inside", _right_inside),
    ("failed without caveat", _silent_failures),
)


def odebench(rows: Rows) -> str:
    """Both scores by method and condition, by kind of system, and each failure with its reason."""
    named: list[tuple[Sequence[Any], Rows]] = list(group(rows, "method", "noise", "dropped").items())
    for (method,), own in group(rows, "method").items():
        if len(group(own, "noise", "dropped")) > 1:
            named.append(((f"{method}, mean", "", ""), own))
    text = ["Share of systems with R² > 0.9.\n"]
    text += [columns(named, ("method", "noise", "dropped"), [*SCORES, BROKEN, SECONDS, LONGEST])]
    text += [PUBLISHED]
    for what in ("kind", "dimension", "chaotic"):
        named = sorted(group(rows, "method", what).items(), key=str)
        text += [f"\nBy {what}, all conditions together.\n"]
        text += [columns(named, ("method", what), [("data sets", len), *SCORES, SECONDS])]
    text += ["\nFailures: R² from one of both starts at most 0.9, or no model.\n"]
    headings = ("method", "noise", "dropped", "seed", "system", "kind", "R² first", "R² second", "why")
    return "\n".join([*text, table(headings, (_failure(row) for row in rows if fails(row)))])


def _failure(row: Row) -> Sequence[Any]:
    kind = f"{row['kind']}{', chaotic' if row['chaotic'] else ''}"
    where = (row["method"], row["noise"], row["dropped"], row["seed"], row["system"], kind)
    return (*where, row.get("reconstruction"), row.get("generalisation"), why(row))


def why(row: Row) -> str:
    """Return the reason of a failure: what the method said, and what is known from the truth."""
    if "failed" in row:
        return str(row["failed"])
    reasons = []
    if is_right(row):
        reasons.append("right support" + (", chaotic" if row.get("chaotic") else ", rough coefficients"))
    elif row.get("inside") is not None:
        reasons.append("wrong support" if row["inside"] else "the library lacks the terms")
    if "caveats" in row:
        reasons.append(f"caveats: {'; '.join(row['caveats'])}" if row["caveats"] else "NO CAVEAT")
    return "; ".join(reasons)


def mdbench(rows: Rows) -> str:
    """NMSE of rates at noisy held-out points, by method and noise."""

    def below(largest: float) -> Callable[[Rows], str]:
        return lambda own: share(count(own, lambda row: (row.get("nmse") or math.inf) < largest), len(own))

    wanted: list[Column] = [
        ("data sets", len),
        ("no model", lambda own: count(own, lambda row: "failed" in row)),
        ("NMSE, median of models", lambda own: median(own, "nmse")),
        ("below 0.01", below(0.01)),
        ("below 0.1", below(0.1)),
        ("right support", lambda own: share(count(own, is_right), len(own))),
        SECONDS,
    ]
    return columns(group(rows, "method", "snr").items(), ("method", "SNR (dB)"), wanted)


def truths(rows: Rows) -> str:
    """Whether caveats tell truths outside the library from those inside, by number of points and by family."""
    missed = [row for row in rows if row["inside"] is False and row["miss"] >= TOLD]
    inside = [row for row in rows if row["inside"] and row["as_assumed"]]
    fitted = [row for row in inside if "failed" not in row]
    text = [
        f"- truth outside, missed by {TOLD:g} σ or more: any caveat, or refused: {interval(missed, is_told)}; a caveat "
        f"that says more than that data are few or noisy, or refused: {interval(missed, is_warned)}",
        f"- truth inside, noise as assumed: such a caveat all the same (false): {interval(fitted, says_misfit)}; any: "
        f"{interval(fitted, is_told)}; refused: {interval(inside, lambda row: row.get('refused'))}",
        "",
    ]
    bins = ((12, 12), (13, 24), (25, 49), (50, 99), (100, 200))
    named: list[tuple[Sequence[Any], Rows]] = []
    for name, own in (("missed", missed), ("inside", inside)):
        named += [((f"{name}, {a} to {b} points",), [r for r in own if a <= r["points"] <= b]) for a, b in bins]
    for (family, is_inside), own in sorted(group(rows, "family", "inside").items(), key=str):
        if is_inside is not False:
            named.append(((f"{family}, inside" if is_inside else f"{family}, perhaps inside",), own))
        else:
            named.append(((f"{family}, missed",), [row for row in own if row["miss"] >= TOLD]))
            named.append(((f"{family}, less",), [row for row in own if row["miss"] < TOLD]))
    wanted: list[Column] = [
        ("cases", len),
        ("right support", lambda own: count(own, is_right) if own[0]["inside"] is not False else ""),
        ("silent", lambda own: count(own, is_silent)),
        ("caveat of misfit", lambda own: count(own, says_misfit)),
        ("other caveat alone", lambda own: count(own, lambda r: is_told(r) and not is_warned(r))),
        ("refused", lambda own: count(own, lambda r: r.get("refused"))),
        BROKEN,
        SECONDS,
    ]
    return "\n".join(text) + "\n" + columns([(name, own) for name, own in named if own], ("",), wanted)


def reliability(rows: Rows) -> str:
    """Whether supports that are said to be sure are right: ODEBench and random cases by our method."""
    outside = [row for row in rows if row.get("inside") is False and row.get("miss", TOLD) >= TOLD]
    models = [row for row in rows if "failed" not in row]
    # Of a library that is not of monomials, all that is closed counts as inside.
    known = [row for row in models if row.get("inside") is not False]
    far = [row for row in models if row.get("inside") is not False or row.get("miss", TOLD) >= TOLD]
    text = []
    for name, own in (
        ("truth inside the library", known),
        (f"and all of ODEBench, and truths that the library misses by {TOLD:g} σ", far),
        ("and truths that it misses by less", models),
    ):
        text.append(
            f"- {name}: right of those said to be ≥ {100 * SURE:.0f} % sure and without caveat: "
            f"{interval([row for row in own if is_sure(row)], is_right)}; said so of those that are right: "
            f"{interval([row for row in own if is_right(row)], is_sure)}"
        )
    edges = (0.0, 0.5, 0.8, 0.9, 0.95, 0.99, 1.01)
    by_confidence = [
        ((f"{100 * low:.0f} to {min(100 * high, 100):.0f} %",), [r for r in known if low <= r["confidence"] < high])
        for low, high in pairwise(edges)
    ]
    wanted: list[Column] = [
        ("data sets", len),
        ("said, mean", lambda own: f"{100 * np.mean([row['confidence'] for row in own]):.1f} %"),
        ("right", lambda own: interval(own, is_right)),
        ("right of those without caveat", lambda own: interval([row for row in own if is_silent(row)], is_right)),
    ]
    text += ["", "Truth inside the library, by what is said.", ""]
    text += [columns([(name, own) for name, own in by_confidence if own], ("confidence",), wanted)]
    lines = []
    for low, high in ((12, 24), (25, 49), (50, 99), (100, 200)):
        own, out = ([r for r in part if low <= r["points"] <= high] for part in (known, outside))
        sure, right = [row for row in own if is_sure(row)], [row for row in own if is_right(row)]
        said = (interval(sure, is_right), interval(right, is_sure), interval(out, is_told))
        lines.append((f"{low} to {high}", len(own), *said))
    headings = ("points", "inside", "right of the sure", "sure of the right", "outside, missed: caveat, or refused")
    return "\n".join([*text, "\nBy number of points.\n", table(headings, lines)])


def rational(rows: Rows) -> str:
    """Right structures and intervals of rational systems."""

    def held(own: Rows) -> str:
        return share(sum(row.get("covered", 0) for row in own), sum(row.get("inner", 0) for row in own))

    wanted: list[Column] = [
        ("right structure", lambda own: interval(own, is_right)),
        ("inner parameters within 95 % intervals", held),
        ("wrong without caveat", lambda own: count(own, lambda row: is_silent(row) and not is_right(row))),
        ("no model", _reasons),
        SECONDS,
    ]
    named: list[tuple[Sequence[Any], Rows]] = list(group(rows, "method", "system").items())
    named += [((method, "all"), own) for (method,), own in group(rows, "method").items()]
    return columns(named, ("method", "system"), wanted)


def _reasons(rows: Rows) -> str:
    """How often each reason for no model came."""
    counts = group(({"why": row["failed"][:60]} for row in rows if "failed" in row), "why")
    return "; ".join(f"{len(own)} × {reason}" for (reason,), own in counts.items())


def speed(rows: Rows) -> str:
    """Seconds by this version and another commit's, and their ratio."""

    def ratio(of: Callable[[list[float]], Any]) -> Callable[[Rows], float | None]:
        def cell(own: Rows) -> float | None:
            ratios = [row["ratio"] for row in own if row["ratio"] is not None]
            return float(of(ratios)) if ratios else None

        return cell

    def ended(suffix: str) -> Callable[[Rows], list[Row]]:
        return lambda own: [row for row in own if f"failed{suffix}" not in row]

    def right(suffix: str) -> Callable[[Rows], str]:
        def cell(own: Rows) -> str:
            known = [row for row in own if {"right", "right_before"} & set(row)]
            return share(count(known, lambda row: row.get(f"right{suffix}")), len(known))

        return cell

    wanted: list[Column] = [
        ("runs", len),
        ("seconds, median", lambda own: median(ended("")(own), "seconds")),
        ("longest", lambda own: max((row["seconds"] for row in ended("")(own)), default=None)),
        ("before", lambda own: median(ended("_before")(own), "seconds_before")),
        ("ratio, median", ratio(np.median)),
        ("least", ratio(min)),
        ("most", ratio(max)),
        ("exact", right("")),
        ("exact before", right("_before")),
        ("error, median", lambda own: median(own, "error")),
        ("error before", lambda own: median(own, "error_before")),
        ("did not end", _not_ended),
    ]
    return columns(group(rows, "case", "before").items(), ("case", "compared with"), wanted)


def _not_ended(rows: Rows) -> str:
    names = {"failed": "now", "failed_before": "before"}
    return "; ".join(dict.fromkeys(f"{name} {row[key]}" for row in rows for key, name in names.items() if key in row))


def grids(rows: Rows) -> str:
    """Right supports over noise and length of the data."""
    text = []
    for (method, system, unit), own in group(rows, "method", "system", "noise_in").items():
        lengths = [length for (length,) in group(own, "length")]
        lines = []
        for (noise,), at in group(own, "noise").items():
            cells = {length: at_length for (length,), at_length in group(at, "length").items()}
            lines.append((noise, *(share(count(cells[x], is_right), len(cells[x])) for x in lengths if x in cells)))
        text.append(
            f"\n{system} by {method}: right supports by noise ({unit}) and {own[0]['length_in']}; "
            f"{median(own, 'seconds'):.3g} s in the median, {max(row['seconds'] for row in own):.3g} s at most\n"
        )
        text.append(table(("noise", *map(str, lengths)), lines))
    return "\n".join(text)
