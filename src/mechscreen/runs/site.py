"""What a SLURM has to give to one job: the largest node's memory, the longest time."""

from __future__ import annotations

import math
import re
import subprocess
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Limits:
    """The most that a job can be given; infinite where nobody says.

    Attributes
    ----------
    megabytes
        Memory of the largest node.
    minutes
        Longest time limit of a partition.
    """

    megabytes: float = math.inf
    minutes: float = math.inf

    def memory(self, first: int, times: int) -> int:
        """Return `times` the memory asked for at first, but no more than there is; never less than at first."""
        return int(max(first, min(times * first, self.megabytes)))

    def time(self, first: int, times: int) -> int:
        """Return `times` the minutes asked for at first, but no more than is allowed; never less than at first."""
        return int(max(first, min(times * first, self.minutes)))


NONE = Limits()


@cache
def limits() -> Limits:
    """Return the limits of the SLURM of this machine, asked once; none where it does not say."""
    command = ("sinfo", "--noheader", "--format=%m|%l")
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return NONE
    return read_limits(said)


def read_limits(said: str) -> Limits:
    """Return the largest of what ``sinfo --format=%m|%l`` lists; none where that is unreadable."""
    rows = [line.split("|") for line in said.splitlines()]
    try:
        return Limits(
            max(float(memory.rstrip("+")) for memory, _ in rows),
            max(read_minutes(time) for _, time in rows),
        )
    except ValueError:
        return NONE


def read_minutes(text: str) -> float:
    """Return minutes as SLURM writes them: ``infinite``, ``30:00``, ``2-12:00:00``.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    text = text.strip()
    if text.lower() in ("infinite", "unlimited", "n/a"):
        return math.inf
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 1440 * days + 60 * hours + minutes + seconds / 60
