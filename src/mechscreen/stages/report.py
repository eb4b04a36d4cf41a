"""Report: results → figures, an HTML page for people, and the few lines that a run ends with."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.figures import figure_names, get_figure
from mechscreen.stages.table import VERBS
from mechscreen.version import __version__

if TYPE_CHECKING:
    from mechscreen.reports.page import Picture
    from mechscreen.reports.results import Results

log = logging.getLogger(__name__)


def draw(campaign: Campaign, name: str) -> Path:
    """Draw a figure of the report; return the path of the PNG, which holds its caption, too.

    Raises
    ------
    InputError
        If there is no such figure, or a file that it needs is missing, wrong or of another campaign.
    """
    about = get_figure(campaign, name)
    from mechscreen.figures.style import to_png
    from mechscreen.reports.results import Results

    figure, numbers = about.draw(Results(campaign))
    metadata = {
        "Title": about.title,
        "Description": f"{about.text} {numbers}",
        "Source": f"campaign {campaign.name}, mechscreen {__version__}",
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
    from mechscreen.reports import direct, findings
    from mechscreen.reports.hits import to_csv
    from mechscreen.reports.page import Page, render
    from mechscreen.reports.results import Results

    results = Results(campaign)
    said = direct if campaign.by_model else findings
    pictures = []
    for name in figure_names(campaign):
        path = campaign.paths.figure(name)
        if not _up_to_date(path, get_figure(campaign, name).inputs(campaign)):
            draw(campaign, name)
        pictures.append(_picture(name, path))
    page = Page(
        title=findings.title(results),
        headline=said.headline(results),
        numbers=said.key_numbers(results),
        pictures=pictures,
        tables=said.tables(results, VERBS),
        origin=findings.origin(campaign),
        configuration=campaign.to_yaml(),
        explorer=_explorer(results),
    )
    storage.write_text(campaign.paths.report, render(page))
    storage.write_text(campaign.paths.summary, said.summary(results))
    # The campaign may ask for other features than when the hits were validated.
    storage.update_text(campaign.paths.validation_table, to_csv(campaign, results.hits))
    _restore_ensemble_record(campaign)
    log.info("report: %s", campaign.paths.report)
    return campaign.paths.report


def _restore_ensemble_record(campaign: Campaign) -> None:
    """Write how the ensemble was evaluated, where that was lost since, and its networks are whole."""
    from mechscreen.stages.predict import write_ensemble_record

    if campaign.by_model or storage.exists(campaign.paths.ensemble):
        return
    try:
        write_ensemble_record(campaign)
    except storage.FileError as error:
        log.warning("report: %s is gone, and not written again, since %s", campaign.paths.ensemble, error)


def _explorer(results: Results) -> str:
    """Return the data of the page's interactive part; "" where there is no hit."""
    from mechscreen.figures import planes
    from mechscreen.reports import explorer

    found = results.hits
    rows = found.by_trust
    rows = rows[explorer.choose(len(rows), results.outputs)]
    if not len(rows) or not results.varied:
        return ""
    space = results.campaign.screen_space
    target, total = results.target_planes
    hits = [
        {
            "sample": int(found.index[i]),
            "parameters": [float(f"{value:.6g}") for value in found.parameters[i]],
            "rmse": float(f"{found.rmse[i]:.4g}") if np.isfinite(found.rmse[i]) else None,
            "disagreement": None if results.campaign.by_model else float(f"{found.disagreement[i]:.4g}"),
            "emulated": results.classes[found.emulated_labels[i]],
            "simulated": results.verdicts[i],
            "confirmed": bool(found.confirmed[i]),
            "stands": bool(found.stands[i]),
        }
        for i in rows
    ]
    # Of the target, which may be several classes, and of every class that was found.
    counts = {results.target: target, **dict(zip(results.classes, results.screen.planes, strict=True))}
    densities = {name: planes.relative_density(of_class, total) for name, of_class in counts.items() if of_class.any()}
    features = {
        label: np.stack([simulated[rows], emulated[rows]], axis=1)
        for label, (emulated, simulated) in zip(
            results.campaign.features.labels, results.hit_features.values(), strict=True
        )
    }
    return explorer.data(list(space), list(space.varied), densities, results.hit_pairs(rows), hits, features)


def _up_to_date(path: Path, inputs: Mapping[str, Path | list[Path]]) -> bool:
    files = [file for item in inputs.values() for file in (item if isinstance(item, list) else [item])]
    if not (storage.exists(path) and all(storage.exists(file) for file in files)):
        return False
    return path.stat().st_mtime >= max(file.stat().st_mtime for file in files)


def _picture(name: str, path: Path) -> Picture:
    from mechscreen.figures.style import read_metadata
    from mechscreen.reports.page import Picture

    png = path.read_bytes()
    texts = read_metadata(png)
    return Picture(name, texts.get("Title", name), texts.get("Description", ""), png)
