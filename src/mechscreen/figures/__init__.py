"""Pictures of a campaign's results: arrays in, Matplotlib figures and their captions out.

This module is light (no Matplotlib): the workflow reads names and texts by it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar

from mechscreen.errors import InputError, nearest
from mechscreen.registry import FIGURES

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mechscreen.campaign import Campaign
    from mechscreen.reports.results import Results


SECTIONS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "asked": ("What was asked", "Asked"),
        "found": ("What was found", "Found"),
        "sure": ("How sure that is", "How sure"),
        "missed": ("What was missed", "Missed"),
        "fails": ("Where it fails", "Where it fails"),
        "next": ("What to do next", "Next"),
        "made": ("How it was made", "Made"),
    }
)
"""Sections of the report in their order: key → title, and its short form."""


class CampaignFigure(ABC):
    """A figure of a campaign's report.

    Subclass it, and write `inputs` and `draw`. An installed package adds it by an entry point in the group
    ``mechscreen.figures``, by whose name the report calls it. Its module must not import Matplotlib, which takes a
    second, outside `draw`.

    Attributes
    ----------
    title, text
        What it shows, whatever the run.
    section
        Where the report has it: of `SECTIONS`.
    """

    title: ClassVar[str]
    text: ClassVar[str]
    section: ClassVar[str] = "found"

    @classmethod
    def suits(cls, campaign: Campaign) -> bool:
        """Return whether a campaign's report has it."""
        return True

    @classmethod
    @abstractmethod
    def inputs(cls, campaign: Campaign) -> dict[str, Path | list[Path]]:
        """Return the files that it is drawn from, by what they are."""

    @classmethod
    @abstractmethod
    def draw(cls, results: Results) -> tuple[Figure, str]:
        """Return the picture, and a caption: the numbers of this run, which follow `text`."""


def figure_names(campaign: Campaign) -> list[str]:
    """Return the figures of a campaign's report, in its order."""
    return [name for name in FIGURES.names() if FIGURES.get(name).suits(campaign)]


def get_figure(campaign: Campaign, name: str) -> type[CampaignFigure]:
    """Return a figure of a campaign's report.

    Raises
    ------
    InputError
        If the campaign has no such figure.
    """
    names = figure_names(campaign)
    if name not in names:
        raise InputError(f"no figure '{name}'{nearest(name, names)} (valid: {', '.join(names)})")
    figure: type[CampaignFigure] = FIGURES.get(name)
    if figure.section not in SECTIONS:
        raise InputError(f"figure '{name}': section = '{figure.section}' (valid: {', '.join(SECTIONS)})")
    return figure
