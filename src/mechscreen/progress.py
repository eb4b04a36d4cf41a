"""Progress that people can follow: a bar on a terminal, plain lines in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

if TYPE_CHECKING:
    from tqdm import tqdm


class Progress:
    """Counts finished units of work and shows count, rate and time left; a context manager.

    On a terminal a bar, after `delay` seconds; elsewhere a line such as ``shard-00003: 120/250 samples, 31/s, 4 s
    left``, at most one every `interval` seconds, and one when the work ends.

    Parameters
    ----------
    total, initial
        Units in all, None where nobody knows, and units that were finished before.
    stream
        Where to show it; standard error unless given.
    """

    def __init__(
        self,
        total: int | None,
        label: str,
        unit: str,
        *,
        initial: int = 0,
        interval: float = 10.0,
        delay: float = 0.0,
        stream: TextIO | None = None,
    ) -> None:
        self.total = total
        self.label = label
        self.unit = unit
        self.count = initial
        self._initial = initial
        self._interval = interval
        self._stream = stream or sys.stderr
        self._start = self._shown = time.monotonic()
        self._shown_count = -1
        self._bar: tqdm | None = None
        if self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, initial=initial, desc=label, unit=f" {unit}", delay=delay, file=self._stream)

    def advance(self, n: int = 1) -> None:
        """Count `n` more units as finished."""
        self.count += n
        if self._bar is not None:
            self._bar.update(n)
        elif time.monotonic() - self._shown >= self._interval:
            self._show()

    def close(self) -> None:
        """Show the last state."""
        if self._bar is not None:
            self._bar.close()
        elif self.count != self._shown_count and (self.total is not None or self._shown > self._start):
            self._show()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _show(self) -> None:
        self._shown = time.monotonic()
        self._shown_count = self.count
        elapsed = self._shown - self._start
        done = self.count - self._initial
        if self.total is None:
            took = format_duration(elapsed)
            print(f"{self.label}: {self.count} {self.unit}, {took}", file=self._stream, flush=True)
            return
        parts = [f"{self.label}: {self.count}/{self.total} {self.unit}"]
        if done and elapsed > 0:
            rate = done / elapsed
            parts.append(f"{rate:,.0f}/s" if rate >= 100 else f"{rate:.3g}/s")
            left = (self.total - self.count) / rate
            parts.append(f"{format_duration(left)} left" if left > 0 else f"took {format_duration(elapsed)}")
        print(", ".join(parts), file=self._stream, flush=True)


def format_duration(seconds: float) -> str:
    """Return seconds as ``4.2 s``, ``3 min 20 s`` or ``5 h 12 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def printable(text: str) -> str:
    """Return a text in which characters that steer a terminal, or hide, are spelled out, as in a literal of Python."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
