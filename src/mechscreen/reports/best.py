"""What searches for the best parameter sets found: those that explain measured data, or have the largest values."""

from __future__ import annotations

from types import ModuleType
from typing import TYPE_CHECKING

from mechscreen.reports import fitted, largest
from mechscreen.reports.page import KeyNumber, Table

if TYPE_CHECKING:
    from mechscreen.reports.results import Results


def _of(results: Results) -> ModuleType:
    return largest if results.campaign.maximises else fitted


def statement(results: Results) -> str:
    """Return what was found, in a sentence; "" where nothing was looked for."""
    return str(_of(results).statement(results))


def doubts(results: Results) -> list[str]:
    """Return what is to be said against it."""
    return list(_of(results).doubts(results))


def key_numbers(results: Results) -> list[KeyNumber]:
    """Return the numbers that come first."""
    return list(_of(results).key_numbers(results))


def table(results: Results) -> Table:
    """Return the sets, or what is known of their parameters; no rows where nothing was looked for."""
    found: Table = _of(results).table(results)
    return found
