"""Discovery study: known systems, noisy data and several methods → tables and figures of how well each does."""

from __future__ import annotations

import csv
import io
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast, get_args

import numpy as np

from discovery_study import actin, reports, scoring
from discovery_study.actin import Curve
from discovery_study.cases import get_case
from discovery_study.fitting import commit
from discovery_study.odebench import TRUTH
from discovery_study.study import RELIABILITY, Figure, Part, Study, TableSection, method_name
from discovery_study.suites import SUITES, Asked
from mechscreen import __version__, storage
from mechscreen.discovery import Polynomial
from mechscreen.discovery import discover as find
from mechscreen.discovery.pipeline import METHODS
from mechscreen.errors import InputError, nearest

GOOD = 0.01
"""Distance from the true coefficients up to which the published study of the dysts systems counts a success."""


def run(
    path: Path, *, part: str | None = None, figure: str | None = None, table: str | None = None, **changes: Any
) -> None:
    """Measure a part (``actin/<salt>`` for actin's curves) or a table, draw a figure, or else gather all tables.

    `changes` (``seeds``, ``library``, ``results``) take the place of what the study says of the table.

    Raises
    ------
    InputError
        If the study's file is unusable, or has no such part, figure or table.
    """
    study = Study.load(path)
    if table is not None:
        measure_table(study, table, **changes)
    elif part is not None:
        group, _, name = part.partition("/")
        if group == "actin":
            measure_actin(study, name)
        else:
            measure_part(study, part)
    elif figure is not None:
        if figure not in get_args(Figure):
            raise InputError(f"no figure '{figure}'{nearest(figure, get_args(Figure))}")
        draw(study, cast(Figure, figure))
    else:
        gather(study)


def measure_table(
    study: Study, name: str, *, seeds: int | None = None, library: str | None = None, results: str | None = None
) -> None:
    """Measure the parts of a table that are not there yet, one after the other; gather it and print it.

    Raises
    ------
    InputError
        If the study has no such table, or its method cannot be loaded.
    """
    if name not in study.tables:
        raise InputError(f"study '{study.name}': no table '{name}'{nearest(name, study.tables)}")
    given = {key: value for key, value in (("seeds", seeds), ("library", library)) if value is not None}
    values = study.model_dump(mode="json")
    values["tables"] = {name: values["tables"][name] | given}
    study = Study.from_dict(values | ({"results": results} if results else {}))
    for part in study.parts(name):
        if not storage.exists(study.folder / f"{part.name}.json"):
            print(f"{part.name}: {part.count} data sets", file=sys.stderr, flush=True)
            measure_part(study, part.name)
    print(gather_table(study, name)[1].read_text(encoding="utf-8"))
    if study.tables[name].suite in RELIABILITY and not study.is_left_out(name):
        print(_gather_reliability(study)[1].read_text(encoding="utf-8"))


def measure_part(study: Study, name: str) -> Path:
    """Measure one method on some seeds of a row, and write what came out as JSON.

    Raises
    ------
    InputError
        If the study has no such part, or its method cannot be loaded.
    """
    part = study.part(name)
    table = study.tables[part.table]
    if part.method != TRUTH:
        scoring.get_method(part.method)
    out = study.folder / f"{name}.json"
    storage.check_writable(out)
    rows = []
    for seed in range(part.first, part.first + part.count):
        if table.suite is not None:
            asked = Asked(table.library, table.seconds, Path(study.odebench), table.before)
            found = SUITES[table.suite].measure(asked, part.row, seed, part.method)
        elif table.rows:
            row = next(row for row in table.rows if row.name == part.row)
            found = [scoring.measure(row.case, seed, **row.options(), method=part.method)]
        else:
            found = [scoring.measure_attractor(part.row, seed, method=part.method)]
        rows += [{"seed": seed} | own for own in found]
    record = {"software_version": __version__, "commit": commit(), "part": name, "rows": rows}
    storage.write_json(out, _without_nan(record))
    return out


def measure_actin(study: Study, salt: str) -> Path:
    """Discover both models of actin's aggregation by our methods, and write them with their errors as JSON.

    Raises
    ------
    InputError
        If the study has no such salt, or its file is unusable.
    """
    if salt not in study.salts:
        raise InputError(f"study '{study.name}': no actin curves '{salt}' (valid: {', '.join(study.salts)})")
    curves = read_curves(Path(study.actin[salt])) if study.actin else actin.synthetic_curves()
    record: dict[str, Any] = {"software_version": __version__, "salt": salt, "models": []}
    record["curves"] = [{"total": c.total, "t": c.t.tolist(), "polymer": c.polymer.tolist()} for c in curves]
    kinds = (
        ("data-driven", actin.discover_data_driven, actin.DATA_DRIVEN_TERMS),
        ("physical", actin.discover_physical, actin.PHYSICAL_TERMS),
    )
    for kind, discover, terms in kinds:
        for method in METHODS:
            model = discover(curves, method)
            index = {name: k for k, name in enumerate(model.names)}
            paths = []
            for curve in curves:
                first = curve.t[0] if kind == "data-driven" else 0.0
                t = np.linspace(first, curve.t[-1], 200)
                paths.append({"t": t.tolist(), "polymer": actin.predict(model, curve, t).tolist()})
            record["models"].append(
                {
                    "kind": kind,
                    "method": method,
                    "equations": model.equations(),
                    "coefficients": {
                        symbol: float(model.coefficients[index[equation], model.library.index(term)])
                        for symbol, (equation, term) in terms.items()
                    },
                    "error": actin.mean_absolute_error(model, curves),
                    "published_error": actin.PUBLISHED_ERRORS.get((salt, kind)),
                    "caveats": list(model.caveats),
                    "paths": paths,
                }
            )
    out = study.folder / "actin" / f"{salt}.json"
    storage.write_json(out, _without_nan(record))
    return out


def read_curves(path: Path) -> list[Curve]:
    """Read curves of polymer over time from a CSV with the columns m_tot_uM, t_hours and M_uM.

    Raises
    ------
    InputError
        Naming the file and what is wrong with it.
    """
    from mechscreen.stages.discover import read_time_series

    series = read_time_series(path, time="t_hours", trajectory="m_tot_uM", columns=["M_uM"])
    curves = []
    for label, t, y in zip(series.labels, series.t, series.y, strict=True):
        try:
            total = float(label)
        except ValueError:
            raise InputError(f"{path}: column 'm_tot_uM' must hold the total concentration, not '{label}'") from None
        seen = np.isfinite(y[:, 0])
        curves.append(Curve(total, t[seen], y[seen, 0]))
    return curves


def gather(study: Study) -> list[Path]:
    """Gather all parts into a table as CSV and Markdown each; return the files.

    Two more tables hold the coefficients: ``coefficients`` of the rows with published values, ``actin`` of both models.

    Raises
    ------
    InputError
        If a part is missing, or not the study's, or has other seeds.
    """
    written = []
    for table in study.tables:
        written += gather_table(study, table)
    if "reliability" in study.table_names:
        written += _gather_reliability(study)
    rows = [row for table in study.tables.values() for row in _coefficients(table)]
    if rows:
        written += _write(study.folder / "coefficients", rows, _markdown(rows, {key: key for key in rows[0]}))
    found = [_read(study.folder / "actin" / f"{salt}.json") for salt in study.salts]
    rows = _actin_rows(found)
    written += _write(study.folder / "actin", rows, _markdown(rows, {key: key for key in rows[0]}))
    return written


def gather_table(study: Study, table: str) -> list[Path]:
    """Gather the parts of one table as CSV and Markdown; return the files."""
    if study.is_left_out(table):
        text = f"Not measured: {study.odebench} is not there (`odebench` in the study names the file of its systems).\n"
        return _write(study.folder / table, [], text)
    if study.tables[table].suite is not None:
        rows, commits = _data_sets(study, table)
        told = f"Measured on {', '.join(commits)}.\n\n"
        return _write(study.folder / table, rows, told + SUITES[str(study.tables[table].suite)].report(rows))
    rows = _summaries(study, table)
    attractors = bool(study.tables[table].systems)
    text = _markdown(rows, ATTRACTOR_COLUMNS if attractors else COLUMNS)
    if attractors:
        text = _attractor_totals(rows) + "\n" + text
    return _write(study.folder / table, rows, text)


def _gather_reliability(study: Study) -> list[Path]:
    """Gather how far confidence can be relied on, from the data sets of our method in all tables that tell of it."""
    tables = [
        name for name, table in study.tables.items() if table.suite in RELIABILITY and not study.is_left_out(name)
    ]
    rows = [
        {"table": name} | row for name in tables for row in _data_sets(study, name)[0] if row["method"] == "collocation"
    ]
    kept = ("table", "seed", "points", "inside", "miss", "right", "confidence", "caveats")
    return _write(
        study.folder / "reliability", [{k: row.get(k) for k in kept} for row in rows], reports.reliability(rows)
    )


def _data_sets(study: Study, table: str) -> tuple[list[dict[str, Any]], list[str]]:
    """All rows of a suite's table, with their method, and the commits that they were measured on."""
    found: list[dict[str, Any]] = []
    commits: dict[str, None] = {}
    for part in study.parts(table):
        record = _read_part(study, part)
        commits[record["commit"] or "no commit"] = None
        found += [{"method": method_name(part.method)} | row for row in record["rows"]]
    return found, list(commits)


def _coefficients(table: TableSection) -> list[dict[str, Any]]:
    """Rows of Tables 1 to 3: the true coefficients and ours from the first data set, where the paper has values."""
    rows = []
    for row in table.rows:
        if row.published is None:
            continue
        case = get_case(row.case)
        t, y = case.observe(0, noise=row.noise, step=row.step, keep=row.keep)
        model = find(t, y, Polynomial(row.degree), names=case.variables)
        truth = case.coefficients(row.degree)
        for k, m in np.argwhere((truth != 0) | model.support):
            value = model.coefficients[k, m]
            rows.append(
                {
                    "row": row.name,
                    "equation": f"d{case.variables[k]}/dt",
                    "term": model.term_names[m],
                    "true": float(truth[k, m]),
                    "found": float(value),
                    "standard error": float(model.standard_errors[k, m]),
                    "relative error": abs(value / truth[k, m] - 1) if truth[k, m] else math.nan,
                    "largest of Hu et al.": row.published,
                }
            )
    return rows


def _write(stem: Path, rows: Sequence[Mapping[str, Any]], markdown: str) -> list[Path]:
    """Write a table under ``stem.csv`` and ``stem.md``."""
    headings = list(dict.fromkeys(key for row in rows for key in row))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(headings)
    writer.writerows([_in_cell(row.get(key)) for key in headings] for row in rows)
    paths = [stem.with_name(f"{stem.name}.csv"), stem.with_name(f"{stem.name}.md")]
    storage.write_text(paths[0], buffer.getvalue())
    storage.write_text(paths[1], markdown)
    return paths


def _read(path: Path) -> Any:
    if not storage.exists(path):
        raise InputError(f"{path}: is missing; run this part of the study first")
    record = storage.read_json(path)
    if not isinstance(record, dict) or not {"rows", "models"} & set(record):
        raise storage.FileError(path, "holds no results of a discovery study", "remove it and run this part again")
    return record


def _summaries(study: Study, table: str) -> list[dict[str, Any]]:
    """One row per row and method, from all parts' files."""
    collected: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for part in study.parts(table):
        collected.setdefault((part.row, part.method), []).extend(_read_part(study, part)["rows"])
    published = {row.name: row.published for row in study.tables[table].rows}
    return [
        {"row": row, "method": method_name(method)} | scoring.summarise(rows) | {"published_error": published.get(row)}
        for (row, method), rows in collected.items()
    ]


def _read_part(study: Study, part: Part) -> Any:
    """Read a part's file, which holds the seeds that the study wants."""
    path = study.folder / f"{part.name}.json"
    record = _read(path)
    seeds = list(dict.fromkeys(row["seed"] for row in record["rows"]))
    if seeds != list(range(part.first, part.first + part.count)):
        problem = f"holds {len(seeds)} data sets, the study wants {part.count}"
        raise storage.FileError(path, problem, "run this part again")
    return record


COLUMNS = {
    "row": "row",
    "method": "method",
    "exact_share": "exact [95 %]",
    "false": "false +/−",
    "error_median": "error, median",
    "error_worst": "worst",
    "published_error": "Hu et al.",
    "error_over_bound": "error / bound",
    "coverage": "coverage",
    "forecast_error": "forecast error",
    "valid_time": "valid time",
    "seconds": "seconds",
}
"""Columns of the tables of cases, and their headings."""

ATTRACTOR_COLUMNS = {
    "row": "system", "method": "method", "exact_share": "exact [95 %]", "false": "false +/−",
    "distance": "error of all coefficients", "error_median": "largest error", "seconds": "seconds",
}  # fmt: skip


def _markdown(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    lines = ["| " + " | ".join(columns.values()) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(_told(row, key) for key in columns) + " |" for row in rows]
    return "\n".join(lines) + "\n"


def _told(row: Mapping[str, Any], key: str) -> str:
    """Return a cell as people read it."""
    if key == "exact_share":
        low, high = 100 * row["exact_low"], 100 * row["exact_high"]
        return f"{row['exact']}/{row['runs']} [{low:.0f}–{high:.0f} %]"
    if key == "false":
        return f"{_plain(row['false_positives'])} / {_plain(row['false_negatives'])}"
    value = row.get(key)
    if key in ("error_median", "error_worst", "published_error", "distance") and isinstance(value, float):
        return "" if math.isnan(value) else f"{100 * value:.3g} %"
    if key == "coverage" and isinstance(value, float):
        return f"{100 * value:.1f} %"
    return _plain(value)


def _plain(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _in_cell(value: Any) -> str:
    """Return a value of a CSV, in which lists are separated by semicolons."""
    return "; ".join(map(str, value)) if isinstance(value, list) else _plain(value)


def _attractor_totals(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a line per method: how many systems it identified, as the published study counts."""
    lines = []
    for method in dict.fromkeys(row["method"] for row in rows):
        distances = np.array([row["distance"] for row in rows if row["method"] == method])
        exact = sum(row["exact"] for row in rows if row["method"] == method)
        runs = sum(row["runs"] for row in rows if row["method"] == method)
        good, fair = int((distances < GOOD).sum()), int((distances < 0.1).sum())
        lines.append(
            f"- {method}: error of all coefficients below 1 % for {good} of {len(distances)} systems, below 10 % for "
            f"{fair}; median {100 * np.median(distances):.3g} %; exact support in {exact} of {runs} data sets"
        )
    return "\n".join(lines) + "\n"


def _actin_rows(records: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Rows of Tables 4 and 5: coefficients of each model by salt and method, beside what is published."""
    rows: list[dict[str, Any]] = []
    for record in records:
        for model in record["models"]:
            error, published = model["error"], model["published_error"]
            row = {"model": model["kind"], "salt": record["salt"], "method": model["method"]}
            row |= {"error (µM)": math.nan if error is None else error, "error of Hu et al.": published}
            rows.append(row | {symbol: _nonzero(value) for symbol, value in model["coefficients"].items()})
    rows.sort(key=lambda row: (row["model"], row["salt"]))
    known = actin.PUBLISHED_KCL
    rows.append({"model": "physical", "salt": "KCl", "method": "Hu et al., Table 5", "error (µM)": 0.578} | known)
    headings = ["model", "salt", "method", "error (µM)", "error of Hu et al.", *actin.PHYSICAL_TERMS]
    return [{key: row.get(key) for key in headings} for row in rows]


def _nonzero(value: float | None) -> float | None:
    return value or None


def _without_nan(value: Any) -> Any:
    """Replace numbers that JSON does not have by null."""
    if isinstance(value, dict):
        return {key: _without_nan(own) for key, own in value.items()}
    if isinstance(value, list):
        return [_without_nan(own) for own in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def draw(study: Study, name: Figure) -> Path:
    """Draw one of the paper's figures as PNG.

    Raises
    ------
    InputError
        If a result that it shows is missing.
    """
    from discovery_study import figures
    from mechscreen.figures.style import to_png

    if name == "actin":
        records = [_read(study.folder / "actin" / f"{salt}.json") for salt in study.salts]
        figure, caption = figures.draw_actin(records), figures.ACTIN
    elif name == "noise":
        figure, caption = figures.draw_noise(*_noise_of("cycle", noise=0.1)), figures.NOISE
    elif name == "lorenz":
        figure, caption = figures.draw_lorenz(_forecast_of("lorenz")), figures.LORENZ
    else:
        cases = ("over-damped", "spiral", "cycle")
        figure, caption = figures.draw_lotka_volterra([_forecast_of(case) for case in cases]), figures.LOTKA_VOLTERRA
    out = study.folder / "figures" / f"{name}.png"
    with storage.replacing(out) as temporary:
        temporary.write_bytes(to_png(figure, {"Title": name, "Description": caption}))
    return out


def _forecast_of(name: str) -> dict[str, Any]:
    """Discover a case from its first data set; data, truth, and the model's solution beyond the data."""
    case = get_case(name)
    t, y = case.observe(0)
    times, states = case.solution(0.01)
    model = find(t, y, names=case.variables)
    n = len(t)
    return {
        "name": name,
        "variables": case.variables,
        "equations": model.equations(3),
        "t": t,
        "y": y,
        "times": times,
        "states": states,
        "fit": model.denoised[0],
        "ahead": times[n - 1 :],
        "forecast": model.simulate(model.denoised[0][-1], times[n - 1 :]),
    }


def _noise_of(name: str, noise: float) -> tuple[Any, Any, dict[str, Any]]:
    """Return times (n,), the true noise (n, d) and by method the learned one (n, d) of a case's first data set."""
    case = get_case(name)
    t, y = case.observe(0, noise=noise)
    exact = case.solution(0.01)[1][: len(t)]
    return t, y - exact, {method: y - np.asarray(find(t, y, method=method).denoised[0]) for method in METHODS}
