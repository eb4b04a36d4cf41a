"""Compare: the results of two campaigns → a page on both beside each other."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.stages.report import pictures_of
from mechscreen.stages.table import VERBS

if TYPE_CHECKING:
    from mechscreen.reports.page import Picture

log = logging.getLogger(__name__)


def compare(campaign: Campaign, other: Campaign) -> Path:
    """Write a page on a campaign beside another one into the folder of the first, and return its path.

    Raises
    ------
    InputError
        If both are the same, or a file of the results is missing, wrong or of another campaign.
    """
    from mechscreen.reports import comparison
    from mechscreen.reports.page import render
    from mechscreen.reports.results import Results

    campaigns = (campaign, other)
    roots = [one.paths.root.resolve() for one in campaigns]
    if roots[0] == roots[1]:
        raise InputError(f"--compare {other.paths.root}: is the campaign itself; give the folder of another one")
    called = [one.name for one in campaigns]
    if called[0] == called[1]:
        called = [f"{root.parent.name}/{root.name}" for root in roots]
    beside = Path(os.path.relpath(roots[1], roots[0]))
    pictures = [pictures_of(campaign), _moved(pictures_of(other), beside)]
    page = comparison.compare([Results(one) for one in campaigns], called, pictures, VERBS)
    path = campaign.paths.comparison(roots[1].name)
    storage.write_text(path, render(page))
    log.info("comparison: %s", path)
    return path


def _moved(pictures: Mapping[str, Picture], folder: Path) -> dict[str, Picture]:
    """Return pictures whose files are below another folder."""
    return {
        name: replace(picture, files={kind: (folder / file).as_posix() for kind, file in picture.files.items()})
        for name, picture in pictures.items()
    }
