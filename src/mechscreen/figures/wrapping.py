"""Texts of any length in the room that there is for them."""

from __future__ import annotations

import re
from collections.abc import Iterable

from matplotlib import rcParams
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

_WORD = re.compile(r"(?:\$[^$]*\$|[^\s$]|\$)+")
_PART = re.compile(r"[^_/.-]*[_/.-]+|[^_/.-]+")


def wrap(text: str, inches: float, most: int | None = None, size: str = "axes.labelsize") -> str:
    """Break a text into lines of at most so many inches.

    It is broken at spaces, within a word only where that is too long, and there behind ``_``, ``-``, ``/`` or ``.`` if
    there are any. Formulas (``$…$``) stay whole, so that a line with one may be longer.

    Parameters
    ----------
    most
        Lines to keep; where there are more, the last ends with ``…``.
    size
        The setting of Matplotlib that says how large the text is.
    """
    points = rcParams[size]
    lines = [line for given in text.split("\n") for line in _filled(_WORD.findall(given), " ", inches, points)]
    if most is None or len(lines) <= most:
        return "\n".join(lines)
    last = lines[most - 1]
    while last and "$" not in last and _width(f"{last}…", points) > inches:
        last = last[:-1]
    return "\n".join([*lines[: most - 1], f"{last}…"])


def _filled(parts: Iterable[str], between: str, inches: float, points: float) -> list[str]:
    """Put as many parts into each line as there is room for."""
    lines: list[str] = []
    for part in parts:
        longer = f"{lines[-1]}{between}{part}" if lines else part
        if _width(longer, points) <= inches:
            lines[-1:] = [longer]
        elif len(part) == 1 or "$" in part or _width(part, points) <= inches:
            lines.append(part)
        else:
            smaller = _PART.findall(part)
            lines += _filled(smaller if len(smaller) > 1 else part, "", inches, points)
    return lines


def _width(text: str, points: float) -> float:
    return float(TextPath((0, 0), text, prop=FontProperties(size=points)).get_extents().width) / 72
