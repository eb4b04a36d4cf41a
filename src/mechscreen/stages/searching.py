"""Searches for the best parameter sets, saved as they go: what those for any objective share."""

from __future__ import annotations

from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

from mechscreen.campaign import Campaign
from mechscreen.resumable import Resumable
from mechscreen.stages.provenance import provenance
from mechscreen.storage import ArrayFile

STREAM = "polish"
"""Of the random numbers that draw where searches begin."""

F = TypeVar("F", bound=ArrayFile)


class Searching(Resumable, Generic[F]):
    """The searches of a campaign, as far as they are.

    Attributes
    ----------
    kind
        Of the file of searches, whose array ``ended`` says which are at their end.
    found
        What it holds; on rank 0.
    """

    unit = "searches"
    label = "polish"
    kind: type[F]
    found: F

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.path: Path = campaign.paths.polished.with_name("searches.h5")
        self.partial_path = self.path.with_name(self.path.name + ".partial")
        self._identity = campaign.identity("polished")

    @property
    def total(self) -> int:
        """Number of searches."""
        return self.campaign.searches

    @property
    def done(self) -> int:
        """Number of searches that are at their end."""
        return int(self.found.ended.sum())  # type: ignore[attr-defined]

    def check(self) -> None:
        """Verify what is there."""
        self.kind.verify(self.path, self._identity, n=self.total)

    def load(self) -> None:
        """Take over what was found, in arrays of its own."""
        found = self.kind.read(self.partial_path, self._identity, n=self.total)
        self.found = self.kind(**{name: np.array(value) for name, value in vars(found).items()})

    def result(self) -> F:
        """Return what was found, of a file that is whole."""
        return self.kind.read(self.path, self._identity)

    def save(self) -> None:
        """Write what is found."""
        self.found.write(self.partial_path, provenance(self.campaign, "polished"))

    def finish(self) -> None:
        """Write all of it."""
        self.found.write(self.path, provenance(self.campaign, "polished"))
