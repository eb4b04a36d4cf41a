"""What a campaign found, in words and tables, for the report and the end of a run."""

from __future__ import annotations

import csv
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

from mechscreen.campaign import STAGES, Campaign
from mechscreen.emulators.metrics import USELESS
from mechscreen.figures.planes import shifts
from mechscreen.figures.text import correlation, count, duration, number, percent, plain
from mechscreen.models import Output
from mechscreen.reports.page import Cell, KeyNumber, Table
from mechscreen.reports.results import Results
from mechscreen.schemas.dataset import Manifest
from mechscreen.schemas.evaluation import Indices, Metrics
from mechscreen.schemas.validation import Share, ValidationSummary
from mechscreen.spaces import ParameterSpace, allowed_share

_TOP_HITS = 10
_PACKAGES = ("mechscreen", "numpy", "scipy", "numba", "h5py", "keras", "tensorflow", "jax", "mpi4py", "snakemake")


def title(results: Results) -> str:
    """Return what was looked for in what."""
    campaign = results.campaign
    return f"{campaign.name}: {results.target} in the {campaign.about.model.title} model"


def headline(results: Results) -> str:
    """Return what was found, in a sentence or two."""
    screen, validation = results.screen, results.validation
    found, discarded = screen.totals.hits_found, screen.totals.hits_discarded
    text = f"Among {screen.samples:,} parameter sets, the emulators found "
    text += f"{count(found, 'hit') if found else 'no hit'} ({results.target})"
    if not found and discarded:
        text += f"; {discarded:,} more were discarded, since the members disagree"
    useless = results.useless
    warning = ""
    if useless:
        warning = (
            f" The emulators are worthless for {' and '.join(useless)}: they hardly know more of it than its mean."
        )
        warning += " What is said of it, and hits that depend on it, mean nothing."
    if not validation.validated:
        return f"{text}.{warning}"
    near, same = validation.confirmed, validation.same_class
    return (
        f"{text}. Of {count(validation.validated, 'hit')} simulated by the {results.campaign.about.model.title} "
        f"model{_chosen(validation)}, {near.count:,} came within RMSE {validation.rmse_limit:g} of what was "
        f"emulated ({_interval(near)}), and {same.count:,} were of the emulated class ({_interval(same)}).{warning}"
    )


def _chosen(validation: ValidationSummary) -> str:
    """Return how the hits that were simulated were chosen, in brackets, where they are not all."""
    return "" if validation.selection == "all hits" else f" ({validation.selection})"


def _interval(share: Share) -> str:
    low, high = share.interval or (None, None)
    return f"{percent(share.share)}, 95 % interval {percent(low)} to {percent(high)}"


def key_numbers(results: Results) -> list[KeyNumber]:
    """Return the numbers that come first."""
    manifest, metrics, validation = results.manifest, results.metrics, results.validation
    screen, totals = results.screen, results.screen.totals
    samples = manifest.samples
    ensemble, single = metrics.ensemble, _single(metrics)
    kept = int(screen.trusted.sum()) / max(1, int(screen.disagreement_levels.sum()))
    numbers = [
        KeyNumber(
            "Simulations",
            f"{manifest.simulations:,}",
            f"{_selected(manifest)}{manifest.dropped.count:,} dropped; {samples['train']:,} train, "
            f"{samples['validation']:,} validate, {samples['test']:,} test",
        ),
        KeyNumber("Test RMSE", number(ensemble.rmse), f"one network: {number(single)} (mean)"),
        _quality(results),
        KeyNumber(
            "Parameter sets screened",
            f"{screen.samples:,}",
            f"{percent(1 - kept)} discarded: disagreement above {totals.disagreement_limit:g}",
        ),
        KeyNumber(
            f"Hits ({results.target})",
            f"{totals.hits_found:,}",
            f"{totals.hits_discarded:,} more discarded for disagreement",
        ),
    ]
    screened = results.campaign.screen_space
    if screened.conditional:
        from scipy.stats import binomtest  # takes a second

        allowed, tried = allowed_share(screened)
        interval = binomtest(allowed, tried).proportion_ci(method="wilson")
        numbers.append(
            KeyNumber(
                "Of the ranges, the constraints allow",
                percent(allowed / tried),
                f"95 % interval {percent(interval.low)} to {percent(interval.high)}, of {tried:,} sets drawn by the "
                f"priors alone: {', '.join(screened.constraints)}",
            )
        )
    if totals.recall is not None:
        numbers.append(
            KeyNumber(
                "Hits that the cascade finds",
                percent(totals.recall),
                f"95 % interval {percent(totals.recall_low)} to {percent(totals.recall_high)}, by "
                f"{count(int(screen.audit[0]), 'audited sample')}; the whole ensemble looked at "
                f"{percent(int(screen.disagreement_levels.sum()) / screen.samples)} of all",
            )
        )
    if not validation.validated:
        return numbers
    near, same, both = validation.confirmed, validation.same_class, validation.confirmed_and_same_class
    total = f"of {count(validation.validated, 'simulated hit')}"
    numbers += [
        KeyNumber(
            f"Confirmed: RMSE at most {validation.rmse_limit:g}",
            percent(near.share),
            f"{near.count:,} {total}; {_interval(near)}",
        ),
        KeyNumber(
            "Same class when simulated",
            percent(same.share),
            f"{same.count:,} {total}; {_interval(same)}; both: {both.count:,}",
        ),
    ]
    distance = validation.nearest_training_distance.median
    if distance is not None:
        new = f"median RMSE of confirmed hits; {validation.training_target:,} of the "
        new += f"{count(validation.training_samples, 'training sample')} are of the target"
        numbers.append(KeyNumber("Distance to the nearest training sample", number(distance), new))
    return numbers


def _quality(results: Results) -> KeyNumber:
    ensemble = results.metrics.ensemble
    if ensemble.r2_shape is not None:
        return KeyNumber(
            "Test R²", f"{correlation(ensemble.r2_shape)} profiles", f"{correlation(ensemble.r2_peak)} ln(peak)"
        )
    return KeyNumber("Test R²", *_least_known(results))


def _least_known(results: Results) -> tuple[str, str]:
    """Return R² of the output that is emulated worst, and which it is."""
    known = [(value, output.name) for output in results.outputs if (value := results.r_squared(output)) is not None]
    if not known:
        return correlation(None), "no output varies"
    value, name = min(known)
    return correlation(value), f"the worst of {count(len(results.outputs), 'output')}: {name}" if known[1:] else name


def _selected(manifest: Manifest) -> str:
    """Return how many simulations an ensemble selected, if it did."""
    return f"{manifest.selected:,} of them selected, " if manifest.selected else ""


def summary(results: Results) -> str:
    """Return the few lines that a run ends with."""
    manifest, metrics, screen = results.manifest, results.metrics, results.screen
    ensemble = metrics.ensemble
    if ensemble.r2_shape is not None:
        quality = f"R² {correlation(ensemble.r2_shape)} (profiles), {correlation(ensemble.r2_peak)} (ln peak)"
    else:
        quality = "R² {} ({})".format(*_least_known(results))
    lines = {
        "simulations": (f"{manifest.simulations:,}, {_selected(manifest)}{manifest.dropped.count:,} of them dropped"),
        "test error": f"RMSE {number(ensemble.rmse)} (one network: {number(_single(metrics))}), {quality}",
        **({"WORTHLESS": f"the emulators, for {' and '.join(results.useless)}"} if results.useless else {}),
        "screened": count(screen.samples, "parameter set"),
        "hits": f"{screen.totals.hits_found:,} ({results.target})",
        **_stands(results.validation),
        "report": str(results.campaign.paths.report),
    }
    return "\n".join([title(results), *(f"  {label:<12} {text}" for label, text in lines.items()), ""])


def _stands(validation: ValidationSummary) -> dict[str, str]:
    """Return the lines of the summary on what the model makes of the hits."""
    if not validation.validated:
        return {"confirmed": "none, since there is no hit"}
    near, same = validation.confirmed, validation.same_class
    total = f"of {count(validation.validated, 'simulated hit')}"
    return {
        "confirmed": f"{near.count:,} {total} within RMSE {validation.rmse_limit:g}: {_interval(near)}",
        "same class": f"{same.count:,} {total}: {_interval(same)}",
    }


def _single(metrics: Metrics) -> float:
    """Return the mean test RMSE of one network."""
    return float(np.mean([member.rmse for member in metrics.members if member.rmse is not None]))


def tables(results: Results, verbs: Iterable[str]) -> list[Table]:
    """Return the tables of the results, without those that would be empty; `verbs` are the stages in their order."""
    found = [
        _class_table(results),
        _confusion_table(results),
        _output_table(results),
        _parameter_table(results),
        _relation_table(results),
        _verdict_table(results),
        _hit_table(results),
        _member_table(results),
        _dropped_table(results),
        _time_table(results.campaign, verbs),
    ]
    return [table for table in found if table.rows]


def _class_table(results: Results) -> Table:
    training = results.validation.training_classes
    screened, trusted = results.screen.classes, results.screen.trusted
    rows = []
    for name, called, n, kept in zip(
        results.class_names, results.classes, screened.tolist(), trusted.tolist(), strict=True
    ):
        mark = "target" if name in results.campaign.screen.objective.target else None
        shares = [percent(a / max(b, 1)) for a, b in ((training[name], sum(training.values())), (n, screened.sum()))]
        error = results.metrics.classes[name].rmse
        rows.append([called, training[name], shares[0], error, n, shares[1], kept, mark])
    return Table(
        "Classes",
        ["class", "training samples", "share", "test RMSE", "screened sets", "share", "of these trusted", ""],
        rows,
        "Training and test samples go by their simulated, screened parameter sets by their emulated profile. Trusted: "
        f"the members' disagreement is at most {results.campaign.screen.disagreement_limit:g}.",
    )


def _confusion_table(results: Results) -> Table:
    names = results.classes
    counts = np.array(results.metrics.confusion.counts)
    seen = [k for k in range(len(names)) if counts[k].any() or counts[:, k].any()]
    return Table(
        "Classes of the test split, simulated and emulated",
        ["simulated", *(f"emulated: {names[k]}" for k in seen)],
        [[names[i], *(int(counts[i, k]) for k in seen)] for i in seen],
        f"The ensemble names the class of {percent(results.metrics.confusion.same_class)} of the test samples as "
        "the simulation does.",
    )


def _output_table(results: Results) -> Table:
    # Of one profile the text tells all; evaluations of earlier versions do not list it.
    told = len(results.outputs) == 1 and results.metrics.ensemble.r2_shape is not None
    outputs = () if told else results.outputs
    rows: list[list[Cell]] = []
    for output, deviation in zip(outputs, () if told else results.distance.deviations, strict=True):
        measured = results.metrics.outputs[output.name]
        rows.append(
            [
                output.name,
                measured.rmse,
                measured.rmse_90_percent,
                _unit_of_error(output, float(deviation)),
                correlation(results.r_squared(output)),
                "WORTHLESS" if output.name in results.useless else None,
                correlation(measured.r2_shape),
                measured.log_peak_rmse,
                correlation(measured.r2_peak),
            ]
        )
    return Table(
        "Outputs",
        [
            "output",
            "test RMSE",
            "90 % of samples below",
            "in units of",
            "R²",
            "",
            "R², shapes",
            "RMSE of ln(peak)",
            "R², ln(peak)",
        ],
        rows,
        "The ensemble on the test split, each output alone. R²: which share of its variation about the mean the "
        f"emulators explain; with less than {USELESS:g} they are worthless for it. The RMSE of a sample, by which "
        "hits are confirmed and members disagree, is the mean over the outputs.",
    )


def _unit_of_error(output: Output, deviation: float) -> str:
    """Return what an error of 1 is."""
    if output.compare == "shape":
        return "its maximum"
    if output.scale == "peak":
        return "the larger of two peaks"
    if output.scale == "log":
        return f"a factor of {np.exp(deviation):.3g} (a standard deviation)"
    return f"{deviation:.3g} {output.unit}".strip() + " (a standard deviation)"


def _parameter_table(results: Results) -> Table:
    target, total = results.target_planes
    space, varied = results.campaign.space, results.varied
    lean: dict[str, float] = {}
    if len(target) and target.sum():
        values = shifts(target, total, len(varied))
        lean = {parameter.name: float(value) for parameter, value in zip(varied, values, strict=True)}
    importance = results.metrics.importance.parameters
    on_log = ", in decades where it is drawn over decades" if any(p.scale == "log" for p in varied) else ""
    # The class, and the peak of the output that it is read off.
    shown = (0, 1 + results.order[0])
    rows: list[list[Cell]] = [
        [
            parameter.name,
            plain(parameter.symbol),
            parameter.meaning,
            parameter.low,
            parameter.high,
            parameter.unit,
            parameter.drawn,
            f"{lean[parameter.name]:+.3f}".replace("-", "−") if parameter.name in lean else None,
            *_indices(importance.get(parameter.name), shown),
        ]
        for parameter in sorted(space, key=lambda p: -abs(lean.get(p.name, 0.0)))
    ]
    rows += [[name, "", "", None, None, "", f"follows: {text}", *[None] * 3] for name, text in space.derived.items()]
    return Table(
        "Parameters",
        [
            "parameter",
            "symbol",
            "meaning",
            "from",
            "to",
            "unit",
            "drawn",
            "target's lean",
            "share in the class",
            f"share in the {results.metrics.importance.quantities[shown[1]]}",
        ],
        rows,
        "Lean: how far the mean of the target lies from the mean of all screened parameter sets, in shares of the "
        f"range{on_log}; positive towards large values. The largest come first. {_shares_of_variance(space)}",
    )


def _shares_of_variance(space: ParameterSpace) -> str:
    """Return what the shares are, or why there are none."""
    if space.conditional:
        return (
            f"Shares of the variance are not given: the constraints ({', '.join(space.constraints)}) tie parameters "
            "together, so that no share is one's own."
        )
    return (
        "Share: Sobol's total index with its standard error, by the ensemble over the campaign's ranges and priors: "
        "which part of the variance (of the class's number, of the output) is left where all others are known."
    )


def _indices(entry: Indices | None, shown: Sequence[int]) -> list[Cell]:
    """Return the total indices of the quantities at some places, with errors."""
    if entry is None:
        return [None] * len(shown)
    pairs = ((entry.total[k], entry.total_error[k]) for k in shown)
    return [None if value is None or error is None else f"{value:.3f} ± {error:.3f}" for value, error in pairs]


def _relation_table(results: Results) -> Table:
    rows: list[list[Cell]] = [
        [
            f"{y.name} = a + b {'/' if relation.form == 'inverse' else '·'} {x.name}",
            *(
                f"{number(value)} ({number(low)} to {number(high)})".replace("-", "−")
                for value, (low, high) in (
                    (relation.intercept, relation.intercept_interval),
                    (relation.slope, relation.slope_interval),
                )
            ),
            f"{relation.r2_means:.4f}",
            f"{relation.r2:.4f}",
            f"{number(relation.x_range[0])} to {number(relation.x_range[1])}",
            relation.samples,
        ]
        for x, y, relation in results.relations
    ]
    return Table(
        "How the two parameters go together in the target",
        ["line", "a (95 % interval)", "b (95 % interval)", "R² of the means", "R² of samples", "range", "samples"],
        rows,
        "Least squares through all samples of the target, whatever the members' disagreement, in physical units. R² of "
        "the means: of a line through the mean of one parameter in each bin of the other. Range: of the latter, where "
        "there are such means.",
    )


def _verdict_table(results: Results) -> Table:
    validation = results.validation
    if not validation.validated:
        return Table("What the model makes of the hits", [], [])
    trusted = dict(zip(results.class_names, results.screen.trusted.tolist(), strict=True))
    rows: list[list[Cell]] = []
    for name, shares in validation.emulated_classes.items():
        near, same = shares.confirmed, shares.same_class
        if shares.validated:
            stands: list[Cell] = [near.count, _interval(near), same.count, _interval(same)]
            rows.append([results.called(name), trusted[name], shares.validated, *stands])
    error, unclear = validation.rmse, validation.indeterminate
    note = f"Confirmed: RMSE at most {validation.rmse_limit:g}. "
    if error.sd is not None:
        note += f"RMSE of all: mean {number(error.mean)}, standard deviation {number(error.sd)}. "
    if validation.beyond_limit.count:
        note += (
            f"Of {count(validation.beyond_limit.count, 'miss', 'misses')}, {unclear.count:,} are "
            "indeterminate: what the model says moves by more than that when the parameters change by 5·10⁻⁶ of "
            "their values."
        )
    return Table(
        "What the model makes of the hits",
        ["emulated", "hits", "simulated", "confirmed", "share", "same class", "share"],
        rows,
        note,
    )


def _hit_table(results: Results) -> Table:
    found = results.hits
    order = found.by_trust[:_TOP_HITS]
    space, verdicts = results.campaign.space, results.verdicts
    rows = [
        [
            str(found.index[i]),
            float(found.rmse[i]),
            "yes" if found.confirmed[i] else "no",
            verdicts[i],
            float(found.disagreement[i]),
            float(found.nearest_distance[i]),
            *map(float, found.parameters[i]),
        ]
        for i in order
    ]
    units = [f"{p.name} [{p.unit}]" if p.unit else p.name for p in space]
    return Table(
        "Hits that stand best",
        ["sample", "RMSE", "confirmed", "simulated", "disagreement", "to training", *units],
        rows,
        f"The {len(rows)} of {count(len(found), 'validated hit')} with the least RMSE between emulator and "
        "model, the confirmed ones of the same class first. To training: RMSE to the nearest training sample. "
        f"Parameters in physical units. All of them: {results.campaign.paths.validation_table}.",
    )


def _member_table(results: Results) -> Table:
    rows: list[list[Cell]] = []
    for k, (history, measured) in enumerate(zip(results.histories, results.metrics.members, strict=True)):
        best = int(np.argmin(history["validation_rmse"]))
        rows.append(
            [
                f"member {k}",
                len(history["epoch"]),
                int(history["epoch"][best]),
                float(history["validation_rmse"][best]),
                measured.rmse,
                correlation(measured.r2_shape),
                correlation(measured.r2_peak),
                duration(float(history["seconds"].sum())),
            ]
        )
    ensemble = results.metrics.ensemble
    quality = [correlation(ensemble.r2_shape), correlation(ensemble.r2_peak)]
    rows.append(["ensemble", None, None, None, ensemble.rmse, *quality, None])
    return Table(
        f"Members of the {results.campaign.emulators.architecture.network} ensemble",
        [
            "",
            "epochs",
            "epoch kept",
            "validation RMSE",
            "test RMSE",
            "test R², profiles",
            "test R², ln(peak)",
            "time",
        ],
        rows,
    )


def _dropped_table(results: Results) -> Table:
    reasons = results.manifest.dropped.reasons
    return Table(
        "Simulations dropped",
        ["status", "reason", "count"],
        [[item.status.lower().replace("_", " "), item.reason, item.count] for item in reasons],
        "Of reasons that differ in their numbers alone, the first one stands for all, and the count is of all.",
    )


def _time_table(campaign: Campaign, verbs: Iterable[str]) -> Table:
    """Add up Snakemake's benchmark files, one per job, in a folder per stage."""
    root = campaign.paths.root / "benchmarks"
    rows: list[list[Cell]] = []
    for verb in verbs:
        jobs = [row for path in sorted((root / verb).glob("*.tsv")) for row in _read_benchmark(path)]
        if jobs:
            seconds, memory = zip(*jobs, strict=True)
            largest = max((value for value in memory if value is not None), default=None)
            rows.append([verb, len(jobs), duration(sum(seconds)), duration(max(seconds)), largest])
    return Table(
        "Time of the stages",
        ["stage", "jobs", "time, all jobs", "time, longest job", "memory [MB]"],
        rows,
        "As Snakemake measured them; jobs may have run at the same time. Memory: the largest of a job's processes "
        "together.",
    )


def _read_benchmark(path: Path) -> list[tuple[float, float | None]]:
    """Return seconds and peak memory (MB) of each run in a file; a job too short to be measured has no memory."""
    with path.open(encoding="utf-8", newline="") as stream:
        return [(float(row["s"]), _or_none(row["max_rss"])) for row in csv.DictReader(stream, delimiter="\t")]


def _or_none(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def origin(campaign: Campaign) -> list[Table]:
    """Return what the results can be traced by."""
    return [
        Table(
            "Origin",
            ["", ""],
            [
                ["seed", str(campaign.seed)],
                ["model", f"{campaign.model.name}, version {campaign.about.model.version}"],
                *([f"fingerprint of {stage}", campaign.fingerprint(stage)] for stage in STAGES),
            ],
            "Files of the results carry these fingerprints; a file with another one is refused.",
        ),
        Table(
            "Versions",
            ["package", "version"],
            [["Python", platform.python_version()], *_versions(_PACKAGES)],
            "On the machine that wrote this page.",
        ),
    ]


def _versions(packages: Sequence[str]) -> list[list[Cell]]:
    found: list[list[Cell]] = []
    for package in packages:
        try:
            found.append([package, version(package)])
        except PackageNotFoundError:
            continue
    return found
