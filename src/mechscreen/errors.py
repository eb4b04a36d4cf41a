"""The one exception that people see."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class InputError(ValueError):
    """Something a person gave is wrong; the message says what, where and what to do.

    The command line prints the message alone, without a traceback, and exits with code 2.
    """


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` for the valid name most like `name`, or an empty string."""
    close = get_close_matches(name, list(valid), n=1, cutoff=0.6)
    return f"; did you mean '{close[0]}'?" if close else ""
