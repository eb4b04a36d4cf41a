"""Work over MPI ranks, and when to stop it."""

from mechscreen.ranks.deadline import NEVER, Deadline, begin_job
from mechscreen.ranks.hand_out import ALONE, Comm, Interrupted, Ranks

__all__ = ["ALONE", "NEVER", "Comm", "Deadline", "Interrupted", "Ranks", "begin_job"]
