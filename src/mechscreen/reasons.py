"""Why samples failed, counted; reasons that differ in their numbers alone are one."""

from __future__ import annotations

import re

_NUMBER = re.compile(r"(?<![\w.])[+−-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?", re.IGNORECASE)
"""A number that is no part of a name: that of ``u = -1.5e-3``, none of ``u2``."""


class Reasons:
    """Counts of failed samples, by status and reason.

    Memory does not grow with the samples where a model's reasons hold the numbers of each.
    """

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], tuple[str, int]] = {}
        """By status and what is alike in the reasons: the first of these, and how many there are."""

    def add(self, status: str, reason: str, count: int = 1) -> None:
        """Count some samples that failed alike."""
        alike = (status, _NUMBER.sub("…", reason))
        first, before = self._found.get(alike, (reason, 0))
        self._found[alike] = (first, before + count)

    @property
    def total(self) -> int:
        """Number of samples."""
        return sum(count for _, count in self._found.values())

    def listed(self) -> list[tuple[str, str, int]]:
        """Return status, an example (the first that came), and the count of all alike; the most frequent ones first."""
        found = [(status, first, count) for (status, _), (first, count) in self._found.items()]
        return sorted(found, key=lambda entry: (-entry[2], entry[:2]))
