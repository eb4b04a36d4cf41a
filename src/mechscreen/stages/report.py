"""Report: results → figures, an HTML page for people, and the few lines that a run ends with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
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

_KINDS: Mapping[str, str] = {"png": "PNG", "svg": "SVG", "csv": "its data (CSV)"}
"""Files of a figure, and what the page calls them."""


def draw(campaign: Campaign, name: str) -> Path:
    """Draw a figure of the report; return the path of the PNG, which holds its texts, too.

    Beside it stand the same as SVG, and what it draws as a table.

    Raises
    ------
    InputError
        If there is no such figure, or a file that it needs is missing, wrong or of another campaign.
    """
    about = get_figure(campaign, name)
    from mechscreen.figures.data import describe, to_csv
    from mechscreen.figures.style import to_png, to_svg
    from mechscreen.reports.results import Results

    figure, numbers = about.draw(Results(campaign))
    metadata = {
        "Title": about.title,
        "Description": f"{about.text} {numbers}",
        "Alternative": f"{about.title}. {describe(figure)}".strip(),
        "Source": f"campaign {campaign.name}, mechscreen {__version__}",
    }
    # The PNG last: where it is, the others are.
    made = {"csv": to_csv(figure).encode(), "svg": to_svg(figure, metadata), "png": to_png(figure, metadata)}
    for kind, content in made.items():
        with storage.replacing(campaign.paths.figure(name, kind)) as temporary:
            temporary.write_bytes(content)
    return campaign.paths.figure(name)


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
    from mechscreen.reports.story import tell

    results = Results(campaign)
    said = direct if campaign.by_model else findings
    page = Page(
        title=findings.title(results),
        headline=said.headline(results),
        sections=tell(
            results,
            said.key_numbers(results),
            [(get_figure(campaign, name).section, picture) for name, picture in pictures_of(campaign).items()],
            said.tables(results, VERBS),
            findings.origin(campaign),
        ),
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


def pictures_of(campaign: Campaign) -> dict[str, Picture]:
    """Return the pictures of a campaign's report by name, drawing those that are missing or older than their files.

    Raises
    ------
    InputError
        If a file that one is drawn from is missing, wrong or of another campaign.
    """
    from mechscreen.figures.style import read_metadata
    from mechscreen.reports.page import Picture

    pictures = {}
    for name in figure_names(campaign):
        files = {kind: campaign.paths.figure(name, kind) for kind in _KINDS}
        if not _up_to_date(list(files.values()), get_figure(campaign, name).inputs(campaign)):
            draw(campaign, name)
        png = files["png"].read_bytes()
        texts = read_metadata(png)
        beside = {_KINDS[kind]: path.relative_to(campaign.paths.root).as_posix() for kind, path in files.items()}
        title, caption = texts.get("Title", name), texts.get("Description", "")
        pictures[name] = Picture(name, title, caption, png, texts.get("Alternative", ""), beside)
    return pictures


def _up_to_date(paths: Sequence[Path], inputs: Mapping[str, Path | list[Path]]) -> bool:
    files = [file for item in inputs.values() for file in (item if isinstance(item, list) else [item])]
    if not all(storage.exists(file) for file in (*paths, *files)):
        return False
    return min(path.stat().st_mtime for path in paths) >= max(file.stat().st_mtime for file in files)
