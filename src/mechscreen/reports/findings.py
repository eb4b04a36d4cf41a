"""What a campaign found, in words and tables, for the report and the end of a run."""

from __future__ import annotations

import csv
import platform
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.emulators.conformal import LEVEL
from mechscreen.emulators.metrics import USELESS
from mechscreen.figures.features import within
from mechscreen.figures.plane import in_values
from mechscreen.figures.planes import shifts
from mechscreen.figures.text import correlation, count, duration, number, percent, plain
from mechscreen.models import Output
from mechscreen.reports import best, surveyed
from mechscreen.reports.page import Cell, KeyNumber, Table, placed
from mechscreen.reports.results import Results
from mechscreen.schemas.dataset import Manifest
from mechscreen.schemas.evaluation import Coverage, Indices, Metrics
from mechscreen.schemas.screen import Totals
from mechscreen.schemas.validation import Share, ValidationSummary
from mechscreen.spaces import Parameter, ParameterSpace, allowed_share

_TOP_HITS = 10
_PACKAGES = ("mechscreen", "numpy", "scipy", "numba", "h5py", "keras", "tensorflow", "jax", "mpi4py", "snakemake")


def title(results: Results) -> str:
    """Return what was looked for in what."""
    campaign = results.campaign
    return f"{campaign.name}: {results.target} in the {campaign.about.model.title} model"


def headline(results: Results) -> str:
    """Return what was found, in a sentence or two."""
    screen, validation = results.screen, results.validation
    totals = screen.totals
    found, discarded = totals.hits_found, totals.hits_discarded
    text = f"Among {screen.samples:,} parameter sets, the emulators found "
    text += f"{count(found, 'hit') if found else 'no hit'} ({results.target})"
    if not found and discarded:
        text += f"; {discarded:,} more were discarded, since the members disagree"
    if totals.confidence is not None:
        text += ", the most probable sets" if found else f": {_kept_by_probability(totals)}"
    if validation.population is not None:
        text += ". " + surveyed.statement(validation.population, results.target, results.campaign.screens_all)[:-1]
    if told := best.statement(results):
        text += f". {told[:-1]}"
    warning = "".join(f" {doubt}" for doubt in results.doubts)
    if not validation.validated:
        return f"{text}.{warning}"
    (_, near, what), (_, other, beside) = _judgements(validation)
    return (
        f"{text}. Of {count(validation.validated, 'hit')} simulated by the {results.campaign.about.model.title} "
        f"model{chosen(validation)}, {near.count:,} {what} ({_share(near, validation)}), and {other.count:,} {beside} "
        f"({_share(other, validation)}).{warning}"
    )


def _kept_by_probability(totals: Totals) -> str:
    """Return how hits were kept."""
    if not totals.hits_found:
        return f"none are of the target with a probability of {totals.confidence:g} in the mean"
    return (
        f"each of them with a probability of {number(totals.least_probability)} at least, and of "
        f"{totals.confidence:g} in the mean"
    )


def _judgements(validation: ValidationSummary) -> tuple[tuple[str, Share, str], tuple[str, Share, str]]:
    """Return what confirms hits, and what else is to be known of them: in short, how many, and in words."""
    same = ("same class when simulated", validation.same_class, "were of the emulated class")
    within = f"within RMSE {validation.rmse_limit:g}"
    if validation.confirmed_by == "curve":
        return (within, validation.confirmed, f"came {within} of what was emulated"), same
    if isinstance(validation.confirmed_by, str):
        curve = validation.within_limit or validation.confirmed
        does = ("does what was asked", validation.confirmed, "did what was asked")
        return does, (within, curve, f"came {within} of what was emulated")
    features = " and ".join(f"{name} within {100 * error:g} %" for name, error in validation.confirmed_by.items())
    return (features, validation.confirmed, f"had {features} of what was emulated"), same


def _share(share: Share, validation: ValidationSummary) -> str:
    """Return a share of the hits that were simulated, with its interval, and how it follows from their number."""
    by_count = share.count / validation.validated
    weighted = share.share is not None and abs(share.share - by_count) > 1e-9
    return with_interval(share) + (", each class as often as it was found" if weighted else "")


def chosen(validation: ValidationSummary) -> str:
    """Return how the hits that were simulated were chosen, in brackets, where they are not all."""
    return "" if validation.selection == "all hits" else f" ({validation.selection})"


def with_interval(share: Share) -> str:
    """Return a share with its interval."""
    low, high = share.interval or (None, None)
    return f"{percent(share.share)}, 95 % interval {percent(low)} to {percent(high)}"


def key_numbers(results: Results) -> list[KeyNumber]:
    """Return the numbers that come first."""
    manifest, metrics, validation = results.manifest, results.metrics, results.validation
    screen, totals = results.screen, results.screen.totals
    samples = manifest.samples
    ensemble, single = metrics.ensemble, _single(metrics)
    kept = int(screen.trusted.sum()) / max(1, int(screen.disagreement_levels.sum()))
    discarded = f"{percent(1 - kept)} discarded: disagreement above {totals.disagreement_limit:g}"
    beside = f"{totals.hits_discarded:,} more discarded for disagreement"
    if totals.confidence is not None:
        discarded, beside = (
            f"{number(totals.of_target)} of the target, by their probabilities",
            _kept_by_probability(totals),
        )
    numbers = [
        KeyNumber(
            "Simulations",
            f"{manifest.simulations:,}",
            f"{_selected(manifest)}{manifest.dropped.count:,} dropped; {samples['train']:,} train, "
            f"{samples['validation']:,} validate, {samples['test']:,} test{_imported(manifest)}",
            "asked",
        ),
        KeyNumber("Test RMSE", number(ensemble.rmse), f"one network: {number(single)} (mean)", "sure"),
        _quality(results),
        KeyNumber(
            "Parameter sets screened",
            f"{screen.samples:,}",
            discarded,
            "asked",
        ),
        KeyNumber(
            f"Hits ({results.target})",
            f"{totals.hits_found:,}",
            beside,
        ),
    ]
    if validation.population is not None:
        numbers += surveyed.key_numbers(validation.population, results.target, results.campaign.screens_all)
    numbers += best.key_numbers(results)
    screened = results.campaign.screen_space
    if screened.conditional:
        allowed, tried = allowed_share(screened)
        share = Share.of(allowed, tried)
        low, high = share.interval or (None, None)
        numbers.append(
            KeyNumber(
                "Of the ranges, the constraints allow",
                percent(share.share),
                f"95 % interval {percent(low)} to {percent(high)}, of {tried:,} sets drawn by the "
                f"priors alone: {', '.join(screened.constraints)}",
                "asked",
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
                "missed",
            )
        )
    if not validation.validated:
        return numbers
    (what, near, _), (beside, other, _) = _judgements(validation)
    total = f"of {count(validation.validated, 'simulated hit')}"
    both = "" if other is not validation.same_class else f"; both: {validation.confirmed_and_same_class.count:,}"
    numbers += [
        KeyNumber(
            f"Confirmed: {what}", percent(near.share), f"{near.count:,} {total}; {_share(near, validation)}", "sure"
        ),
        KeyNumber(
            beside[0].upper() + beside[1:],
            percent(other.share),
            f"{other.count:,} {total}; {_share(other, validation)}{both}",
            "sure",
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
            "Test R²", f"{correlation(ensemble.r2_shape)} profiles", f"{correlation(ensemble.r2_peak)} ln(peak)", "sure"
        )
    return KeyNumber("Test R²", *_least_known(results), "sure")


def _least_known(results: Results) -> tuple[str, str]:
    """Return R² of the output that is emulated worst, and which it is."""
    compared = [output for output in results.outputs if output.counts]
    known = [(value, output.name) for output in compared if (value := results.r_squared(output)) is not None]
    if not known:
        return correlation(None), "no output varies"
    value, name = min(known)
    return correlation(value), f"the worst of {count(len(compared), 'output')}: {name}" if known[1:] else name


def _selected(manifest: Manifest) -> str:
    """Return how many simulations an ensemble selected, if it did."""
    return f"{manifest.selected:,} of them selected, " if manifest.selected else ""


def _imported(manifest: Manifest) -> str:
    """Return how many simulations were imported, if any were."""
    return f"; {manifest.imported:,} more imported for training" if manifest.imported else ""


def summary(results: Results) -> str:
    """Return the few lines that a run ends with."""
    manifest, metrics, screen = results.manifest, results.metrics, results.screen
    ensemble = metrics.ensemble
    if ensemble.r2_shape is not None:
        quality = f"R² {correlation(ensemble.r2_shape)} (profiles), {correlation(ensemble.r2_peak)} (ln peak)"
    else:
        quality = "R² {} ({})".format(*_least_known(results))
    lines = {
        "simulations": f"{manifest.simulations:,}, {_selected(manifest)}{manifest.dropped.count:,} of them dropped"
        f"{_imported(manifest)}",
        "test error": f"RMSE {number(ensemble.rmse)} (one network: {number(_single(metrics))}), {quality}",
        "screened": count(screen.samples, "parameter set"),
        "hits": f"{screen.totals.hits_found:,} ({results.target})",
        **_of_all(results),
        **_stands(results.validation),
        **({"best": said} if (said := best.statement(results)) else {}),
        "report": str(results.campaign.paths.report),
    }
    told = [*lines.items(), *(("BEWARE", doubt) for doubt in results.doubts)]
    return "\n".join([title(results), *(f"  {label:<12} {text}" for label, text in told), ""])


def _of_all(results: Results) -> dict[str, str]:
    """Return the line of the summary on all that was screened, where a survey says it."""
    population = results.validation.population
    if population is None:
        return {}
    return {"of all": surveyed.statement(population, results.target, results.campaign.screens_all)}


def _stands(validation: ValidationSummary) -> dict[str, str]:
    """Return the lines of the summary on what the model makes of the hits."""
    if not validation.validated:
        return {"confirmed": "none, since there is no hit"}
    (what, near, _), (beside, other, _) = _judgements(validation)
    total = f"of {count(validation.validated, 'simulated hit')}"
    return {
        "confirmed": f"{near.count:,} {total}, {what}: {_share(near, validation)}",
        ("same class" if other is validation.same_class else "curve"): (
            f"{other.count:,} {total}"
            + ("" if other is validation.same_class else f" {beside}")
            + f": {_share(other, validation)}"
        ),
    }


def _single(metrics: Metrics) -> float:
    """Return the mean test RMSE of one network."""
    return float(np.mean([member.rmse for member in metrics.members if member.rmse is not None]))


def tables(results: Results, verbs: Iterable[str]) -> list[Table]:
    """Return the tables of the results, without those that would be empty; `verbs` are the stages in their order."""
    return placed(
        {
            "asked": [parameter_table(results)],
            "found": [
                _class_table(results),
                relation_table(results),
                best.table(results),
                _hit_table(results),
                _feature_table(results),
                _feature_importance_table(results),
                _pattern_table(results),
                _robustness_table(results),
                _robust_hit_table(results),
                _novel_table(results),
            ],
            "sure": [_verdict_table(results), _output_table(results), _band_table(results)],
            "missed": [surveyed.table(results.surveyed, results.validation.population)],
            "fails": [_confusion_table(results), _dropped_table(results)],
            "made": [_round_table(results), _member_table(results), time_table(results.campaign, verbs)],
        }
    )


def _pattern_table(results: Results) -> Table:
    found = results.patterns
    if found is None:
        return Table("Patterns", [], [])
    rows: list[list[Cell]] = [
        [
            f"group {k + 1}" if k < found.groups else "unusual",
            percent(float(found.share[k])),
            results.classes[found.labels[k]],
            float(found.disagreement[k]),
            *map(float, found.parameters[k]),
        ]
        for k in range(len(found))
    ]
    return Table(
        "Patterns",
        ["", "share", "class", "disagreement", *(parameter.head for parameter in results.campaign.space)],
        rows,
        f"The sets of the figure “What patterns there are”, of {found.looked:,} that were predicted: in the middle of "
        "each group, and unlike all before them. Predicted, not simulated.",
    )


def _robustness_table(results: Results) -> Table:
    title, found = "How robust hits are", results.robustness
    if found is None or not found.kept.size:
        return Table(title, [], [])
    space = results.campaign.screen_space
    rows: list[list[Cell]] = []
    for k, axis in enumerate(found.varied.tolist()):
        kept, whole = found.kept[:, k], found.whole[:, k]
        moved = [percent(float(np.median(kept[:, side]))) for side in (0, 1)]
        ends = [percent(float(whole[:, side].mean())) for side in (0, 1)]
        rows.append([space[space.names[axis]].head, moved[0], ends[0], moved[1], ends[1]])
    inside, outside = found.confirmed(True), found.confirmed(False)
    beside = f" ({found.left_out:,} more are hits by their probability alone)" if found.left_out else ""
    note = (
        f"Of {count(len(found), 'confirmed hit')}{beside}: how far each parameter may move alone before the ensemble "
        "says that the behaviour is lost, in shares of its range along its axis (medians), and how many hits keep it "
        f"to the end of the range. By the model, {with_interval(inside)} of the places where it is kept last keep it, "
        f"and {with_interval(outside)} of those where it is lost first have lost it."
    )
    return Table(title, ["parameter", "down", "to its end", "up", "to its end"], rows, note)


def _robust_hit_table(results: Results) -> Table:
    title, found = "Hits that are most robust", results.robustness
    if found is None or not found.kept.size:
        return Table(title, [], [])
    space = results.campaign.space
    rows: list[list[Cell]] = [
        [str(found.index[row]), percent(float(found.least[row])), *map(float, found.parameters[row])]
        for row in np.argsort(-found.least, kind="stable")[:_TOP_HITS].tolist()
    ]
    note = "How far any one parameter may move, down or up, before the ensemble says that the behaviour is lost."
    return Table(title, ["sample", "any may move", *(parameter.head for parameter in space)], rows, note)


def _novel_table(results: Results) -> Table:
    title, found = "Hits that are unlike all that the emulators learnt from", results.hits
    limit = results.campaign.validation.rmse_limit
    novel = np.flatnonzero(found.confirmed & (found.nearest_distance > limit))
    order = novel[np.argsort(-found.nearest_distance[novel], kind="stable")][:_TOP_HITS]
    rows: list[list[Cell]] = [
        [
            str(found.index[i]),
            results.classes[found.labels[i]],
            float(found.nearest_distance[i]),
            str(found.nearest_index[i]),
            *map(float, found.parameters[i]),
        ]
        for i in order.tolist()
    ]
    head = ["sample", "class", "RMSE to the nearest", "nearest training sample"]
    return Table(
        title,
        [*head, *(parameter.head for parameter in results.campaign.space)],
        rows,
        f"{len(novel):,} of {int(found.confirmed.sum()):,} confirmed hits are farther than {limit:g} from every "
        "sample of the training split, by their simulations: what the emulators did not learn from.",
    )


def _class_table(results: Results) -> Table:
    training = results.validation.training_classes
    screened, trusted = results.screen.classes, results.screen.found
    by_probability = results.screen.totals.confidence is not None
    kept_are = "hits" if by_probability else "of these trusted"
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
        [
            "class",
            "training samples",
            "share",
            "test RMSE",
            "screened sets",
            "share",
            kept_are,
            "",
        ],
        rows,
        "Training and test samples go by their simulated, screened parameter sets by their emulated profile. "
        + ("Imported simulations are not counted. " if results.manifest.imported else "")
        + (
            "Hits: by their probabilities, of which the class is the likeliest of the target's."
            if by_probability
            else f"Trusted: the members' disagreement is at most {results.campaign.screen.disagreement_limit:g}."
        ),
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
    replicated = any(measured.noise is not None for measured in results.metrics.outputs.values())
    about_noise = (
        " Share of noise: of the mean square error, what the replicates' standard errors make of it; an emulator that "
        "knew all means would have 100 %. Errors of means count for nothing."
    )
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
                *([None if measured.noise is None else percent(min(measured.noise, 1.0))] if replicated else []),
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
            *(["share of noise"] if replicated else []),
        ],
        rows,
        "The ensemble on the test split, each output alone. R²: which share of its variation about the mean the "
        f"emulators explain; with less than {USELESS:g} they are worthless for it. The RMSE of a sample, by which "
        f"members disagree and curves are compared, is the mean over the outputs.{about_noise if replicated else ''}",
    )


def _band_table(results: Results) -> Table:
    several = len(results.outputs) > 1
    rows: list[list[Cell]] = []
    for output in results.outputs:
        measured = results.metrics.bands.get(output.name)
        if measured is None:
            continue
        of_classes = {f"test samples, {results.called(name)}": own for name, own in measured.classes.items()}
        found: dict[str, Coverage | None] = {"test samples": measured.test, **of_classes}
        found["validated hits"] = results.hits_in_bands.get(output.name)
        for of, own in found.items():
            if own is not None and own.values is not None:
                named = [output.name] if several else []
                rows.append([*named, of, f"{own.samples:,}", percent(own.values), percent(own.whole)])
    measures = results.metrics.bands.items()
    widths = [f"{number(own.width)}{f' ({name})' if several else ''}" for name, own in measures if own.width]
    level = f"{100 * LEVEL:g} %"
    return Table(
        f"Bands of {level}",
        [*(["output"] if several else []), "of", "samples", "values inside", "samples inside as a whole"],
        rows,
        f"How often the model's values lie in the bands around what the ensemble predicts, which are to hold {level} "
        "of the values or, the wider ones, all values of as many samples. Test samples: bands that follow from one "
        "half of them, tried on the other, mean of 20 halvings; of all of them together a band holds what it says, of "
        "those of one class more or less. Hits: bands that follow from all test samples. Median width of a value's "
        f"band: {', '.join(widths)}, in the units of the errors. The bands of any parameter set: `mechscreen predict "
        "--bands`.",
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


def parameter_table(results: Results) -> Table:
    """Return the parameters, where the target lies among them and, where there are emulators, how much they matter."""
    target, total = results.target_planes
    space, varied = results.campaign.space, results.varied
    lean: dict[str, float] = {}
    if len(target) and target.sum():
        values = shifts(target, total, len(varied))
        lean = {parameter.name: float(value) for parameter, value in zip(varied, values, strict=True)}
    importance = None if results.campaign.by_model else results.metrics.importance
    on_log = ", in decades where it is drawn over decades" if any(p.scale == "log" for p in varied) else ""
    # The class, and the peak of the output that it is read off.
    shown = (0, 1 + results.order[0])
    no_share: list[Cell] = [] if importance is None else [None, None]
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
            *([] if importance is None else _indices(importance.parameters.get(parameter.name), shown)),
        ]
        for parameter in sorted(space, key=lambda p: -abs(lean.get(p.name, 0.0)))
    ]
    rows += [
        [name, "", "", None, None, "", f"follows: {text}", None, *no_share] for name, text in space.derived.items()
    ]
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
            *([] if importance is None else ["share in the class", f"share in the {importance.quantities[shown[1]]}"]),
        ],
        rows,
        "Lean: how far the mean of the target lies from the mean of all screened parameter sets, in shares of the "
        f"range{on_log}; positive towards large values. The largest come first."
        + ("" if importance is None else f" {_shares_of_variance(space)}"),
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
    return [_with_error(value, error) for value, error in pairs]


def _along(parameter: Parameter) -> str:
    return f"lg {parameter.name}" if parameter.scale == "log" else parameter.name


def relation_table(results: Results) -> Table:
    """Return the lines through the target's samples, of a screen of two parameters."""
    rows: list[list[Cell]] = [
        [
            f"{_along(y)} = a + b {'/' if relation.form == 'inverse' else '·'} {_along(x)}",
            *(
                f"{number(value)} ({number(low)} to {number(high)})".replace("-", "−")
                for value, (low, high) in (
                    (relation.intercept, relation.intercept_interval),
                    (relation.slope, relation.slope_interval),
                )
            ),
            f"{relation.r2_means:.4f}",
            f"{relation.r2:.4f}",
            " to ".join(map(number, in_values(x, relation.x_range))),
            relation.samples,
        ]
        for x, y, relation in results.relations
    ]
    decades = any(p.scale == "log" for x, y, _ in results.relations for p in (x, y))
    power = " Of a parameter in decades it is the decimal logarithm, lg: lg y = a + b · lg x is y = 10^a · x^b."
    return Table(
        "How the two parameters go together in the target",
        ["line", "a (95 % interval)", "b (95 % interval)", "R² of the means", "R² of samples", "range", "samples"],
        rows,
        "Least squares through all samples of the target, whatever the members' disagreement, in physical units. R² of "
        "the means: of a line through the mean of one parameter in each bin of the other. Range: of the latter, where "
        f"there are such means.{power if decades else ''}",
    )


def _verdict_table(results: Results) -> Table:
    validation = results.validation
    if not validation.validated:
        return Table("What the model makes of the hits", [], [])
    hits_of = dict(zip(results.class_names, results.screen.found.tolist(), strict=True))
    rows: list[list[Cell]] = []
    for name, shares in validation.emulated_classes.items():
        near, same = shares.confirmed, shares.same_class
        if shares.validated:
            stands: list[Cell] = [near.count, with_interval(near), same.count, with_interval(same)]
            rows.append([results.called(name), hits_of[name], shares.validated, *stands])
    error, unclear = validation.rmse, validation.indeterminate
    note = f"Confirmed: {_judgements(validation)[0][0]}. "
    expected = results.hits.probability
    if expected is not None:
        solved = results.hits.labels >= 0
        are = np.isin(results.hits.labels[solved], results.campaign.targets).mean() if solved.any() else None
        likely = expected[solved].mean() if solved.any() else None
        note += (
            f"By their probabilities, {percent(likely)} of the simulated hits were to be of the target's "
            f"classes; {percent(are)} are. "
        )
    if error.sd is not None:
        note += f"RMSE of all: mean {number(error.mean)}, standard deviation {number(error.sd)}. "
    if validation.beyond_limit.count:
        note += (
            f"Of {count(validation.beyond_limit.count, 'miss', 'misses')}, {unclear.count:,} are "
            f"indeterminate: what the model says moves by more than an RMSE of {validation.rmse_limit:g} when the "
            "parameters change by 5·10⁻⁶ of their values."
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
            *(float(values[i]) for both in results.hit_features.values() for values in both),
            *map(float, found.parameters[i]),
        ]
        for i in order
    ]
    features = [f"{label}, {way}" for label in results.campaign.features.labels for way in ("emulated", "simulated")]
    units = [parameter.head for parameter in space]
    return Table(
        "Hits that stand best",
        ["sample", "RMSE", "confirmed", "simulated", "disagreement", "to training", *features, *units],
        rows,
        f"The {len(rows)} of {count(len(found), 'validated hit')} with the least RMSE between emulator and "
        "model, the confirmed ones of the emulated class first. To training: RMSE to the nearest training sample. "
        f"Parameters in physical units. All of them: "
        f"{results.campaign.paths.validation_table}.",
    )


def _feature_table(results: Results) -> Table:
    """Return how the features spread over the hits of each class: emulated ones of the screen, simulated ones."""
    rows: list[list[Cell]] = []
    names, labels = results.campaign.features.names, results.campaign.features.labels
    some, hits = (results.sampled, results.hits) if names else (None, None)
    for name, label in zip(names, labels, strict=True):
        assert some is not None
        assert hits is not None
        emulated, simulated = results.hit_features[name]
        for place in results.campaign.targets:
            screened = some.features[name][some.labels == place]
            validated = hits.labels == place
            of_class = hits.emulated_labels == place
            both = of_class & np.isfinite(emulated) & np.isfinite(simulated)
            close = within(emulated, simulated)[both]
            rows.append(
                [
                    label,
                    results.classes[place],
                    *_spread(screened),
                    *_spread(simulated[validated]),
                    f"{int(close.sum()):,} of {len(close):,}" if len(close) else None,
                ]
            )
    sampled = "" if some is None or len(some) == some.found else f", a random sample of {some.found:,}"
    return Table(
        "Features of the hits, by class",
        [
            "feature",
            "class",
            "hits screened",
            "with it",
            "median (5 to 95 %)",
            "hits simulated",
            "with it",
            "median (5 to 95 %)",
            "within 10 %",
        ],
        rows,
        f"First what the emulators say of the hits of the screen{sampled}, by their emulated class; then what the "
        "model says of the validated hits, by their simulated class. Within 10 %: how many of the validated hits that "
        "were emulated to be of the class, and have the feature both ways, are emulated within 10 % of the simulated "
        "value.",
    )


def _spread(values: NDArray[np.float64]) -> list[Cell]:
    """Return how many values there are, how many of them are defined, and their median with 5 and 95 % quantiles."""
    known = values[np.isfinite(values)]
    if not len(known):
        return [len(values), 0, None]
    low, middle, high = np.quantile(known, [0.05, 0.5, 0.95])
    spread = f"{number(middle)} ({number(low)} to {number(high)})".replace("-", "−")
    return [len(values), len(known), spread]


def _feature_importance_table(results: Results) -> Table:
    """Return what decides each feature, where the evaluation knows; evaluations of earlier versions do not."""
    known = {name: found for name, found in results.metrics.features.items() if name in results.campaign.features.names}
    labels = dict(zip(results.campaign.features.names, results.campaign.features.labels, strict=True))
    space = results.campaign.space

    def strongest(parameter: str) -> float:
        return max(abs(found.parameters[parameter].correlation or 0.0) for found in known.values())

    varied = [space.names[j] for j in space.varied] if known else []
    rows: list[list[Cell]] = []
    for name in sorted(varied, key=lambda name: -strongest(name)):
        row: list[Cell] = [name, plain(space[name].symbol)]
        for found in known.values():
            influence = found.parameters[name]
            row.append(_with_error(influence.correlation, influence.correlation_error, sign=True))
            row.append(_with_error(influence.total, influence.total_error))
        rows.append(row)
    headings = [f"{what}, {labels[name]}" for name in known for what in ("rank correlation", "share")]
    lacking = [f"{labels[name]} {percent(found.undefined)}" for name, found in known.items() if found.undefined > 0]
    note = (
        "Rank correlation (Spearman's) of each parameter with the feature, by the ensemble over the campaign's ranges "
        "and priors, hits or not: which way it goes along the parameter. Share: Sobol's total index, which part of the "
        "feature's variance is left where all other parameters are known."
    )
    if space.conditional:
        note += (
            f" Shares are not given, and a correlation may be another parameter's: the constraints "
            f"({', '.join(space.constraints)}) tie parameters together."
        )
    if lacking:
        note += (
            f" Parameter sets that lack a feature: {', '.join(lacking)}. Correlations are over the others; shares are "
            "not given then, since over a part of the space none is a parameter's own."
        )
    return Table("What decides the features", ["parameter", "symbol", *headings], rows, f"{note} With standard errors.")


def _with_error(value: float | None, error: float | None, *, sign: bool = False) -> Cell:
    if value is None or error is None:
        return None
    return f"{value:{'+' if sign else ''}.3f} ± {error:.3f}".replace("-", "−")


def _round_table(results: Results) -> Table:
    title = "Rounds of learning"
    if results.campaign.own_rounds == 1:
        return Table(title, [], [])
    target = results.campaign.screen.objective.target
    rows: list[list[Cell]] = [
        [
            place,
            one.manifest.simulations,
            one.manifest.selected,
            one.manifest.samples["train"],
            one.metrics.ensemble.rmse,
            one.metrics.disagreement.mean,
            _of_target(one.metrics, target),
        ]
        for place, one in enumerate(results.rounds, 1)
    ]
    head = ["round", "simulations", "of them selected", "training samples", "test RMSE", "disagreement", "RMSE, target"]
    return Table(title, head, rows, "In all rounds together up to this one; the test split is that of the first.")


def _of_target(metrics: Metrics, target: Sequence[str]) -> float | None:
    """Return the mean RMSE of the test samples of some classes; None where there are none."""
    sizes = dict(zip(metrics.confusion.classes, metrics.confusion.samples.tolist(), strict=True))
    known = [(sizes[name], metrics.classes[name].rmse) for name in target]
    told = [(n, error) for n, error in known if n and error is not None]
    return sum(n * error for n, error in told) / sum(n for n, _ in told) if told else None


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


def time_table(campaign: Campaign, verbs: Iterable[str]) -> Table:
    """Add up Snakemake's benchmark files, one per job, in a folder per stage."""
    rows: list[list[Cell]] = []
    for verb in verbs:
        jobs = measured_jobs(campaign, verb)
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


def measured_jobs(campaign: Campaign, verb: str) -> list[tuple[float, float | None]]:
    """Return seconds and peak memory (MB) of each job of a stage; none where nothing was measured."""
    folders = [view.paths.root / "benchmarks" / verb for view in campaign.in_rounds]
    return [row for folder in folders for path in sorted(folder.glob("*.tsv")) for row in _read_benchmark(path)]


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
                *([f"fingerprint of {stage}", campaign.fingerprint(stage)] for stage in campaign.stages),
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
