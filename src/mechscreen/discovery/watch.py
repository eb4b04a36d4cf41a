"""How long a search may take, and what it shows of itself."""

from __future__ import annotations

import math
import time

from mechscreen.progress import Progress, format_duration


class Watch:
    """Ends a search in time, and counts the models that it fits.

    Parameters
    ----------
    limit
        Seconds by the clock, from now on; None for as long as it takes.
    progress
        Shows how many models were fitted.
    """

    def __init__(self, limit: float | None = None, progress: Progress | None = None) -> None:
        self._limit = math.inf if limit is None else limit
        self._end = time.monotonic() + self._limit
        self._progress = progress
        self._cut = False

    @property
    def late(self) -> bool:
        """Whether the time is over. Who asks leaves out what he had still to do."""
        self._cut = self._cut or time.monotonic() >= self._end
        return self._cut

    def count(self) -> None:
        """Count one more model that was fitted."""
        if self._progress is not None:
            self._progress.advance()

    @property
    def caveats(self) -> tuple[str, ...]:
        """What is to be said of a search that was ended."""
        if not self._cut:
            return ()
        return (f"the search was ended after {format_duration(self._limit)}: it may have missed better equations",)
