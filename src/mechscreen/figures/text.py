"""Numbers and names as people read them."""

from __future__ import annotations

import math
import re
import unicodedata

UNDEFINED = "not defined"


def number(value: float | None) -> str:
    """Return three significant digits; None and NaN where it is not defined."""
    if value is None or not math.isfinite(value):
        return UNDEFINED
    text = f"{value:.3g}"
    if "e" not in text:
        return text
    if 1e3 <= abs(value) < 1e7:
        return f"{value:,.0f}"
    mantissa, exponent = text.split("e")
    digits = str(int(exponent)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{mantissa}·10{digits}"


def correlation(value: float | None) -> str:
    """Return an R² with four decimals; None and NaN where it is not defined."""
    return UNDEFINED if value is None or not math.isfinite(value) else f"{value:.4f}"


def count(n: int, one: str, many: str | None = None) -> str:
    """Return ``1 hit``, ``1,204 hits``."""
    return f"{n:,} {one if n == 1 else many or one + 's'}"


def percent(share: float | None) -> str:
    """Return a share in per cent, with as many digits as tell it from 0 and 100 %; None where it is not defined."""
    if share is None:
        return UNDEFINED
    value = 100 * share
    edge = min(value, 100 - value)
    digits = 1 if edge >= 0.1 or edge <= 0 else min(6, 1 - math.floor(math.log10(edge)))
    return f"{value:.{digits}f} %"


def duration(seconds: float) -> str:
    """Return ``0.7 s``, ``47 s``, ``3 min 47 s`` or ``2 h 13 min``."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = round(seconds / 60)
    return f"{minutes // 60:,} h {minutes % 60} min"


def plain(symbol: str) -> str:
    r"""Return Matplotlib's ``$\alpha_T$`` as ``α_T``, for where it cannot be set."""

    def greek(match: re.Match[str]) -> str:
        name = match[1].removeprefix("var")
        size = "CAPITAL" if name[:1].isupper() else "SMALL"
        # Unicode spells lambda in its own way.
        name = name.upper().replace("LAMBDA", "LAMDA")
        try:
            return unicodedata.lookup(f"GREEK {size} LETTER {name}")
        except KeyError:
            return match[0]

    return re.sub(r"\\([A-Za-z]+)", greek, symbol).translate(str.maketrans("", "", "${}"))
