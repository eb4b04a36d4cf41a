"""What `mechscreen doctor` finds."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What one look found.

    Attributes
    ----------
    what, found
        What was looked at, and what is there.
    advice
        What to change; empty where all is well.
    """

    what: str
    found: str
    advice: str = ""
