"""What Snakemake measured of jobs, in files that may have come from anywhere."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from mechscreen.runs.records import read_plain
from mechscreen.storage import FileError

_MOST_BYTES = 2**20
_BELIEVED = 1e9
"""Seconds or megabytes of a job: thirty years, a million gigabytes."""


class Measured(NamedTuple):
    """What a job took.

    Attributes
    ----------
    seconds
        From its start to its end.
    megabytes
        The largest sum over its processes on its first node; None where it was too short to be looked at.
    """

    seconds: float
    megabytes: float | None


def measured(benchmark: Path) -> Measured | None:
    """Return what a job took, by its benchmark file; None if that is missing, or says something else.

    Raises
    ------
    StorageError
        If it cannot be read.
    """
    try:
        lines = read_plain(benchmark, _MOST_BYTES).decode().splitlines()
        row = list(csv.DictReader(lines, delimiter="\t"))[-1]
    except (FileError, IndexError, UnicodeDecodeError, csv.Error):
        return None
    seconds = _number(row.get("s"))
    return None if seconds is None else Measured(seconds, _number(row.get("max_rss")))


def _number(text: object) -> float | None:
    """Return a number that can be believed; None of others, and of ``NA``."""
    try:
        number = float(str(text))
    except ValueError:
        return None
    return number if 0 <= number <= _BELIEVED else None
