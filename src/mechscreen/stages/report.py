"""Report: results → figures, an HTML page for people, and the few lines that a run ends with."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import mechscreen
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError, nearest
from mechscreen.figures import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mechscreen.figures.page import Picture
    from mechscreen.stages.results import Results

log = logging.getLogger(__name__)


def figure_names(campaign: Campaign) -> list[str]:
    """Return the figures of a campaign's report, in its order; a screen of two parameters has a single plane."""
    two = len(campaign.screen_space.varied) == 2
    return [name for name in FIGURES if name != ("planes" if two else "plane")]


def figure_inputs(campaign: Campaign, name: str) -> dict[str, Path | list[Path]]:
    """Return the files that a figure is drawn from, by what they are.

    Raises
    ------
    InputError
        If there is no such figure.
    """
    names = figure_names(campaign)
    if name not in names:
        raise InputError(f"no figure '{name}'{nearest(name, names)} (valid: {', '.join(names)})")
    paths = campaign.paths
    if name in ("accuracy", "profiles", "disagreement"):
        return {"predictions": paths.predictions}
    if name in ("planes", "plane", "marginals"):
        return {"summary": paths.screen_summary}
    if name in ("hits", "novelty"):
        return {"hits": paths.validation_hits}
    return {"histories": [paths.member(k) / "history.csv" for k in range(campaign.emulators.members)]}


def draw(campaign: Campaign, name: str) -> Path:
    """Draw a figure of `mechscreen.figures.FIGURES`; return the path of the PNG, which holds its caption, too.

    Raises
    ------
    InputError
        If there is no such figure, or a file that it needs is missing, wrong or of another campaign.
    """
    figure_inputs(campaign, name)
    from mechscreen.figures.style import to_png
    from mechscreen.stages.results import Results

    figure, numbers = _DRAWN[name](Results(campaign))
    about = FIGURES[name]
    metadata = {
        "Title": about.title,
        "Description": f"{about.text} {numbers}",
        "Source": f"campaign {campaign.name}, mechscreen {mechscreen.__version__}",
    }
    path = campaign.paths.figure(name)
    png = to_png(figure, metadata)
    with storage.replacing(path) as temporary:
        temporary.write_bytes(png)
    return path


def report(campaign: Campaign) -> Path:
    """Write ``report.html`` and ``summary.txt``, drawing the figures that are missing or older than their files.

    Raises
    ------
    InputError
        If a file of the results is missing, wrong or of another campaign.
    """
    from mechscreen.figures.page import Page, render
    from mechscreen.stages import findings
    from mechscreen.stages.results import Results

    results = Results(campaign)
    pictures = []
    for name in figure_names(campaign):
        path = campaign.paths.figure(name)
        if not _up_to_date(path, figure_inputs(campaign, name)):
            draw(campaign, name)
        pictures.append(_picture(name, path))
    page = Page(
        title=findings.title(results),
        headline=findings.headline(results),
        numbers=findings.key_numbers(results),
        pictures=pictures,
        tables=findings.tables(results),
        provenance=findings.provenance(campaign),
        configuration=campaign.to_yaml(),
        explorer=_explorer(results),
    )
    storage.write_text(campaign.paths.report, render(page))
    storage.write_text(campaign.paths.summary, findings.summary(results))
    log.info("report: %s", campaign.paths.report)
    return campaign.paths.report


def _explorer(results: Results) -> str:
    """Return the data of the page's interactive part; "" where there is no hit."""
    from mechscreen.figures import explorer, planes
    from mechscreen.stages.hits import trust_order

    found = results.hits
    rows = trust_order(found.arrays)
    rows = rows[explorer.choose(len(rows))]
    if not len(rows) or not results.varied:
        return ""
    space = results.campaign.screen_space
    target, total = results.target_planes
    hits = [
        {
            "sample": int(found["index"][i]),
            "parameters": [float(f"{value:.6g}") for value in found["parameters"][i]],
            "rmse": float(f"{found['rmse'][i]:.4g}") if np.isfinite(found["rmse"][i]) else None,
            "disagreement": float(f"{found['disagreement'][i]:.4g}"),
            "emulated": results.classes[found["emulated_labels"][i]],
            "simulated": results.verdicts[i],
            "confirmed": bool(found["confirmed"][i]),
            "stands": bool(found["confirmed"][i] & found["same_class"][i]),
        }
        for i in rows
    ]
    # Of the target, which may be several classes, and of every class that was found.
    counts = {results.target: target, **dict(zip(results.classes, results.screen["planes"], strict=True))}
    densities = {name: planes.relative_density(of_class, total) for name, of_class in counts.items() if of_class.any()}
    order = results.order
    outputs = [results.outputs[k] for k in order]
    profiles = (found["profiles"][rows][:, order], found["emulated_profiles"][rows][:, order])
    return explorer.data(list(space), list(space.varied), densities, outputs, hits, *profiles)


def _draw_accuracy(results: Results) -> tuple[Figure, str]:
    from mechscreen.figures import accuracy

    test = results.predictions
    arrays = (test["profiles"], test["predicted_profiles"], test["log_peaks"], test["predicted_log_peaks"])
    return accuracy.draw(*arrays, results.outputs), accuracy.caption(*arrays)


def _draw_profiles(results: Results) -> tuple[Figure, str]:
    from mechscreen.figures import profiles

    test, classes, outputs = results.predictions, results.classes, results.outputs
    figure = profiles.draw(test["profiles"], test["predicted_profiles"], test["labels"], classes, outputs)
    return figure, profiles.caption(test["labels"], classes, outputs)


def _draw_disagreement(results: Results) -> tuple[Figure, str]:
    from mechscreen.figures import disagreement

    test = results.predictions
    arguments = (test["disagreement"], test["error"], results.campaign.screen.disagreement_limit)
    return disagreement.draw(*arguments), disagreement.caption(*arguments)


def _draw_hits(results: Results) -> tuple[Figure, str]:
    from mechscreen.figures import hits

    found, order = results.hits, results.order
    outputs = [results.outputs[k] for k in order]
    emulated, simulated = found["emulated_profiles"][:, order], found["profiles"][:, order]
    error, stands = found["rmse"], found["confirmed"] & found["same_class"]
    figure = hits.draw(emulated, simulated, error, results.verdicts, stands, outputs)
    return figure, hits.caption(error, stands, outputs)


def _draw_planes(results: Results) -> tuple[Figure, str]:
    from mechscreen.figures import planes

    target, total = results.target_planes
    arguments = (results.varied, target, total, results.target)
    return planes.draw(*arguments), planes.caption(*arguments)


def _draw_plane(results: Results) -> tuple[Figure, str]:
    from mechscreen.figures import plane
    from mechscreen.figures.text import number

    counts = results.screen["planes"][:, 0]
    x, y = results.varied
    relation = None
    if results.relations:
        x, y, relation = results.relations[0]
        counts = counts if x is results.varied[0] else counts.swapaxes(1, 2)
    held = ", ".join(f"{p.name} {number(p.low)}" for p in results.campaign.screen_space if p.fixed)
    figure = plane.draw(x, y, counts, results.classes, relation)
    return figure, plane.caption(x, y, counts, results.target, relation, held)


def _draw_marginals(results: Results) -> tuple[Figure, str]:
    from mechscreen.figures import planes

    counts, names = results.screen["planes"], results.class_names
    figure = planes.draw_marginals(results.varied, counts, names, results.objective)
    return figure, planes.marginals_caption(counts, names)


def _draw_training(results: Results) -> tuple[Figure, str]:
    from mechscreen.figures import training

    return training.draw(results.histories), training.caption(results.histories)


def _draw_novelty(results: Results) -> tuple[Figure, str]:
    from mechscreen.figures import novelty

    found = results.hits
    arguments = (
        found["rmse"],
        found["nearest_distance"][found["confirmed"]],
        results.campaign.validation.rmse_limit,
    )
    return novelty.draw(*arguments), novelty.caption(*arguments)


_DRAWN: Mapping[str, Callable[[Results], tuple[Figure, str]]] = {
    "accuracy": _draw_accuracy,
    "profiles": _draw_profiles,
    "disagreement": _draw_disagreement,
    "hits": _draw_hits,
    "planes": _draw_planes,
    "plane": _draw_plane,
    "marginals": _draw_marginals,
    "training": _draw_training,
    "novelty": _draw_novelty,
}


def _up_to_date(path: Path, inputs: Mapping[str, Path | list[Path]]) -> bool:
    files = [file for item in inputs.values() for file in (item if isinstance(item, list) else [item])]
    if not (storage.exists(path) and all(storage.exists(file) for file in files)):
        return False
    return path.stat().st_mtime >= max(file.stat().st_mtime for file in files)


def _picture(name: str, path: Path) -> Picture:
    from mechscreen.figures.page import Picture
    from mechscreen.figures.style import read_metadata

    png = path.read_bytes()
    texts = read_metadata(png)
    return Picture(name, texts.get("Title", name), texts.get("Description", ""), png)
