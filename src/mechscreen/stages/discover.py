"""Discover: a table of time series → equations as JSON, a figure and a report."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.errors import InputError, nearest
from mechscreen.progress import Progress
from mechscreen.tables import TimeSeries, read_time_series
from mechscreen.version import __version__

if TYPE_CHECKING:
    from mechscreen.discovery import DiscoveredModel, Knowledge

log = logging.getLogger(__name__)

FORECAST = 0.25
"""Length of the forecast, as a share of a trajectory's duration."""
_QUICK = 2.0
"""Seconds that a search may take before it shows how far it is."""
MOST_DRAWN = 8
"""Trajectories in the figure; more cannot be told apart."""


def discover(
    table: Path,
    out: Path,
    *,
    time: str = "t",
    degree: int = 2,
    columns: Sequence[str] = (),
    trajectory: str = "trajectory",
    functions: Sequence[str] = (),
    hidden: Sequence[str] = (),
    inputs: Sequence[str] = (),
    constants: Sequence[str] = (),
    group: str | None = None,
    varies: Sequence[str] | None = None,
    forms: Sequence[str] = (),
    unknowns: Mapping[str, tuple[float, float] | None] = {},
    noise: Sequence[str] = (),
    exact_start: bool = False,
    knowledge: Path | None = None,
    method: str = "collocation",
    split_at_restart: bool = False,
    time_limit: float | None = None,
) -> DiscoveredModel:
    """Find equations for the time series of a table; write ``model.json``, ``discovery.png`` and ``report.html``.

    Parameters
    ----------
    table
        A column of times, a column per variable, and perhaps one that numbers or names trajectories; or a row for each
        value (`mechscreen.tables.read_time_series`).
    out
        Folder for the results.
    time, trajectory
        Names of those columns. A table without the trajectory column holds one trajectory; where there is no column
        ``t``, the one that plainly has the times is taken.
    degree, functions
        Candidate terms: monomials up to this degree, and further expressions in the variables.
    columns
        Variables to use; all other columns unless given.
    hidden
        Variables that are not in the table, or are there with their exact initial value alone.
    inputs
        Columns that act on the variables and for which no equation is sought.
    constants
        Columns of numbers that are the same throughout each trajectory, and that terms may have.
    group, varies
        Column of labels of conditions, the same throughout each trajectory, and which coefficients have a value for
        each condition, as ``equation: term``; found out unless given.
    forms
        Kinds of terms with unknowns inside, of `mechscreen.discovery.forms.KINDS`.
    unknowns
        Numbers in `functions` that are to be found, as for `mechscreen.discovery.Polynomial`.
    noise
        How large the noise is: a kind, of `mechscreen.discovery.noise.KINDS`, for all variables, or ``x=kind``, or
        ``x=column`` of the standard deviations of x's samples; whichever kind suits the data unless given.
    exact_start, method
        As for `mechscreen.discovery.discover`.
    knowledge
        YAML file; see `read_knowledge`.
    split_at_restart
        Another trajectory begins where the time falls back.
    time_limit
        Seconds after which the search ends with what it has found.

    Raises
    ------
    InputError
        If the table or the settings are unusable, or the data determine no model; nothing is written then.
    """
    from mechscreen.discovery import Polynomial
    from mechscreen.discovery import discover as find

    kinds, columns_of_errors = _noise(noise)
    entries = None if varies is None else [_entry(text) for text in varies]
    if entries is not None and group is None:
        raise InputError("--varies: coefficients vary by condition; name the column that tells these with --group")
    series = read_time_series(
        table,
        time=time,
        trajectory=trajectory,
        columns=[*columns, *columns_of_errors.values()] if columns else (),
        hidden=hidden,
        split_at_restart=split_at_restart,
        group=group,
        constants=constants,
    )
    log.info("%s: read as %s", table, series.read_as)
    storage.check_writable(out / "model.json")
    called = dict(zip(series.shown, series.names, strict=True))
    series, errors = _without_errors(
        series, {called.get(name, name): called.get(column, column) for name, column in columns_of_errors.items()}
    )
    with Progress(None, "discover", "models fitted", delay=_QUICK) as progress:
        model = find(
            list(series.t),
            list(series.y),
            Polynomial(degree, tuple(functions), forms=tuple(forms), unknowns=unknowns),
            names=series.names,
            hidden=series.hidden,
            inputs=[called.get(name, name) for name in inputs],
            constants=series.constants,
            groups=series.groups or None,
            varies=None if entries is None else [(called.get(name, name), term) for name, term in entries],
            knowledge=None if knowledge is None else read_knowledge(knowledge),
            noise=kinds if isinstance(kinds, str) else {called.get(name, name): kind for name, kind in kinds.items()},
            errors=errors,
            exact_start=exact_start,
            method=method,
            called=series.called,
            time_limit=time_limit,
            progress=progress,
        )
    model = replace(model, left_out=(*series.left_out, *model.left_out))
    used = _chosen(series, model.kept)
    settings = {
        "table": str(table),
        "read_as": series.read_as,
        "time": series.time,
        "variables": dict(zip(series.names, series.shown, strict=True)),
        "trajectories": list(used.labels),
        "degree": degree,
        "functions": list(functions),
        "hidden": list(series.hidden),
        "inputs": list(inputs),
        "constants": list(constants),
        "group": group,
        "varies": None if varies is None else list(varies),
        "forms": list(forms),
        "unknowns": dict(unknowns),
        "noise": list(noise),
        "exact_start": exact_start,
        "knowledge": None if knowledge is None else str(knowledge),
        "method": method,
    }
    record = {"software_version": __version__, "table_sha256": storage.sha256(table), "settings": settings}
    picture = _draw(model, used)
    storage.write_json(out / "model.json", record | {"model": model.to_dict()})
    with storage.replacing(out / "discovery.png") as temporary:
        temporary.write_bytes(picture)
    storage.write_text(out / "report.html", _report(model, used, record, picture))
    return model


def _noise(given: Sequence[str]) -> tuple[str | dict[str, str], dict[str, str]]:
    """Return kinds of noise, for all variables or some, and columns of errors (``kind``, ``x=kind``, ``x=column``)."""
    from mechscreen.discovery.noise import KINDS

    kinds: dict[str, str] = {}
    columns: dict[str, str] = {}
    for one in given:
        name, stated, what = (part.strip() for part in one.partition("="))
        if not stated:
            if len(given) > 1:
                raise InputError(f"--noise {one}: one kind for all variables, or name=kind for each; not both")
            return one, {}
        (kinds if what in ("auto", *KINDS) else columns)[name] = what
    return kinds or "auto", columns


def _entry(text: str) -> tuple[str, str]:
    """Return the equation and the term of a coefficient, ``equation: term`` as in files of knowledge."""
    equation, colon, term = (part.strip() for part in text.partition(":"))
    if not (equation and colon and term):
        raise InputError(f"--varies '{text}': write a coefficient as equation: term, such as 'x: x*y' or 'x: 1'")
    return equation, term


def _without_errors(
    series: TimeSeries, columns: Mapping[str, str]
) -> tuple[TimeSeries, list[NDArray[np.float64]] | None]:
    """Return time series without columns of errors, and these (n, d) in each trajectory, NaN for other variables."""
    if not columns:
        return series, None
    for name in (*columns, *columns.values()):
        if name not in series.names:
            raise InputError(
                f"--noise: no column '{name}'{nearest(name, series.names)} (there are: {', '.join(series.shown)})"
            )
    kept = [j for j, name in enumerate(series.names) if name not in columns.values()]
    errors = []
    for y in series.y:
        own = np.full((len(y), len(kept)), np.nan)
        for place, j in enumerate(kept):
            if series.names[j] in columns:
                own[:, place] = y[:, series.names.index(columns[series.names[j]])]
        errors.append(own)
    bare = replace(
        series,
        names=tuple(series.names[j] for j in kept),
        shown=tuple(series.shown[j] for j in kept),
        y=tuple(y[:, kept] for y in series.y),
    )
    return bare, errors


def _chosen(series: TimeSeries, kept: Sequence[int]) -> TimeSeries:
    """Return time series with some trajectories alone."""
    return replace(
        series,
        labels=tuple(series.labels[i] for i in kept),
        t=tuple(series.t[i] for i in kept),
        y=tuple(series.y[i] for i in kept),
        called=tuple(series.called[i] for i in kept),
        groups=tuple(series.groups[i] for i in kept) if series.groups else (),
        constants={name: tuple(values[i] for i in kept) for name, values in series.constants.items()},
    )


def read_knowledge(path: Path) -> Knowledge:
    """Read statements about coefficients from a YAML file; keys as the arguments of `mechscreen.discovery.Knowledge`.

    A coefficient is written as ``equation: term``, for example ``exclude: [{x: "1"}]``, ``fixed: {x: {x*y: -0.05}}``,
    ``tied: [{P: {m^2: 1}, M: {m^2: 2}}]``, ``mirrored: {m: {M: -1}}``.

    Raises
    ------
    InputError
        If the file is unusable or a statement has another form.
    """
    from mechscreen.campaign import read_mapping
    from mechscreen.discovery import Knowledge

    given = read_mapping(path)
    valid = ("only", "exclude", "fixed", "required", "tied", "mirrored")
    for key in given:
        if key not in valid:
            raise InputError(f"{path}: unknown key '{key}'{nearest(str(key), valid)} (valid: {', '.join(valid)})")

    def pairs(statements: Any) -> list[tuple[str, str]]:
        return [(str(k), str(term)) for entry in statements for k, term in entry.items()]

    def values(statements: Any) -> dict[tuple[str, str], float]:
        return {(str(k), str(term)): float(v) for k, terms in statements.items() for term, v in terms.items()}

    try:
        return Knowledge(
            only={str(k): [str(term) for term in terms] for k, terms in given.get("only", {}).items()},
            exclude=pairs(given.get("exclude", [])),
            fixed=values(given.get("fixed", {})),
            required=pairs(given.get("required", [])),
            tied=[values(group) for group in given.get("tied", [])],
            mirrored={
                str(k): (str(source), float(factor))
                for k, own in given.get("mirrored", {}).items()
                for source, factor in own.items()
            },
        )
    except (AttributeError, TypeError, ValueError) as error:
        raise InputError(f"{path}: a statement has the wrong form ({error}); see docs/howto/discover.md") from None


def _drawn(count: int) -> list[int]:
    """Return which of `count` trajectories are drawn: of many, some at equal distances in the table."""
    return sorted({round(i) for i in np.linspace(0, count - 1, min(count, MOST_DRAWN))})


def _draw(model: DiscoveredModel, series: TimeSeries) -> bytes:
    """Return the figure of data, fit and forecast as PNG."""
    from mechscreen.figures import discovery, style

    own = [series.names.index(name) for name in model.names]
    # What inputs will do is not known, unless they are constants.
    stays = set(model.inputs) <= set(series.constants)
    drawn = _drawn(len(series.t))
    data, fits, forecasts = [], [], []
    for i in drawn:
        t, last = model.t[i], model.denoised[i][-1]
        ahead = np.linspace(t[-1], t[-1] + FORECAST * (t[-1] - t[0]), 200) if stays else t[-1:]
        data.append((series.t[i], series.y[i][:, own]))
        fits.append(model.curves[i])
        forecasts.append((ahead, model.of_trajectory(i).simulate(last, ahead)))
    # Between two of these marks Matplotlib sees a formula.
    shown, time = [series.shown[k].replace("$", r"\$") for k in own], series.time.replace("$", r"\$")
    groups = [series.groups[i].replace("$", r"\$") for i in drawn] if series.groups else []
    figure = discovery.draw(shown, time, data, fits, forecasts, groups)
    caption = discovery.caption(len(drawn), len(series.t))
    return style.to_png(figure, {"Title": "Data, fit and forecast", "Description": caption})


def _report(model: DiscoveredModel, series: TimeSeries, record: Mapping[str, Any], picture: bytes) -> str:
    """Return the report as HTML."""
    from mechscreen.figures import discovery
    from mechscreen.reports.page import KeyNumber, Page, Picture, Section, Table, render

    found = model.to_dict()
    caption = discovery.caption(len(_drawn(len(series.t))), len(series.t))
    n_samples = int(sum(np.isfinite(y).sum() for y in series.y))
    confidence = found["support_confidence"]
    numbers = [
        KeyNumber("terms", str(int(model.support.sum())), f"of {model.support.size} candidates"),
        KeyNumber("samples", f"{n_samples:,}", f"in {len(series.t)} trajectories"),
    ]
    if confidence is not None:
        numbers.append(KeyNumber("support", f"{100 * confidence:.1f} %", "among it and all supports one move away"))
    coefficients = Table(
        "Coefficients",
        ["equation", "term", "value", "standard error", "95 % from", "to"],
        [
            [
                f"d{c['equation']}/dt",
                f"{c['term']} ({own['group']})" if "group" in own else c["term"],
                *(_rounded(own[k]) for k in ("value", "standard_error", "low", "high")),
            ]
            for c in found["coefficients"]
            for own in c.get("groups", [c])
        ]
        + [
            ["", f"{c['unknown']} of {c['term']}", _rounded(c["value"]), None, _rounded(c["low"]), _rounded(c["high"])]
            for c in found["unknowns"]
        ],
    )
    tables = [Table("Equations", ["equation"], [[line] for line in model.equations()]), coefficients]
    if model.groups:
        told = [[group.label, str(len(group.trajectories))] for group in model.groups]
        tables.append(Table("Conditions", ["condition", "trajectories"], told, f"{model.conditions_in_words()}."))
    if found["left_out"]:
        tables.append(Table("Left out", ["trajectory, and why"], [[line] for line in found["left_out"]]))
    if found["caveats"]:
        tables.append(Table("Caveats", ["what limits the result"], [[line] for line in found["caveats"]]))
    if found["alternatives"]:
        tables.append(
            Table(
                "Nearest other supports",
                ["change", "criterion is worse by"],
                [[a["change"], _rounded(a["price"])] for a in found["alternatives"]],
                "A difference of 6 makes a support 20 times less probable.",
            )
        )
    if series.shown != series.names:
        called = [list(pair) for pair in zip(series.names, series.shown, strict=True)]
        tables.append(Table("Names", ["in equations", "in the table"], called))
    noise = [list(pair) for pair in model.noise_in_words()]
    tables.append(Table("Noise of the samples", ["variable", "standard deviation"], noise))
    settings = record["settings"]
    origin = Table(
        "Made by",
        ["what", "value"],
        [["mechscreen", record["software_version"]], ["SHA-256 of the table", record["table_sha256"]]],
    )
    shown = Picture("discovery", "Data, fit and forecast", caption, picture)
    stated = ("Settings", "\n".join(f"{key}: {value}" for key, value in settings.items()))
    return render(
        Page(
            title=f"Equations of {Path(settings['table']).name}",
            headline="; ".join(model.equations()),
            sections=[
                Section("found", "What was found", numbers=numbers, pictures=[shown]),
                Section("tables", "Tables", tables=tables),
                Section("made", "How it was made", tables=[origin], code=stated),
            ],
        )
    )


def _rounded(value: float | None) -> str | None:
    return None if value is None else f"{value:.5g}"
