"""Dates and times of the day as numbers, in a unit that suits how long they last."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import InputError

_NAMES_OF_MONTHS = (
    "jan january januar jänner jän janvier janv enero ene",
    "feb february februar februari feber février fevrier févr fevr fév febrero",
    "mar march märz maerz mär mrz mars marzo",
    "apr april avril avr abril abr",
    "may mai mayo",
    "jun june juni juin junio",
    "jul july juli juillet juil julio",
    "aug august août aout agosto ago",
    "sep sept september septembre septiembre",
    "oct october oktober okt octobre octubre",
    "nov november novembre noviembre",
    "dec december dezember dez décembre decembre déc diciembre dic",
)
"""In English, German, French and Spanish, and what is short for them; none means two months."""
_MONTHS = {name: month for month, names in enumerate(_NAMES_OF_MONTHS, 1) for name in names.split()}
_MONTH = rf"(?P<month>{'|'.join(sorted(_MONTHS, key=len, reverse=True))})\.?"
_CLOCK = (
    r"(?:[T ,]+(?P<H>[0-9]{1,2}):(?P<M>[0-9]{2})(?::(?P<S>[0-9]{2})(?:[.,](?P<f>[0-9]{1,9}))?)?"
    r"(?: ?(?P<half>[AP]M)| Uhr)?(?: ?(?P<zone>Z|UTC|GMT|[+\-−][0-9]{2}(?::?[0-9]{2})?))?)?"
)
_DATES = [
    re.compile(text + _CLOCK, re.IGNORECASE)
    for text in (
        r"(?P<y>[0-9]{4})(?P<mark>[-/.])(?P<m>[0-9]{1,2})(?P=mark)(?P<d>[0-9]{1,2})",
        r"(?P<first>[0-9]{1,2})(?P<mark>[-/.])(?P<second>[0-9]{1,2})(?P=mark)(?P<y>[0-9]{4})",
        rf"(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th|er|º)?(?:[-. /]+| de ){_MONTH}(?:[- /,]+| de )(?P<y>[0-9]{{4}})",
        rf"{_MONTH} +(?P<d>[0-9]{{1,2}})(?:st|nd|rd|th)?,? +(?P<y>[0-9]{{4}})",
        rf"(?P<y>[0-9]{{4}})[- /]{_MONTH}[- /](?P<d>[0-9]{{1,2}})",
    )
]
_OF_DAY = re.compile(r"[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]{1,9})?)?(?: ?[AP]M)?", re.IGNORECASE)
_SHORT_YEAR = re.compile(r"[0-9]{1,2}([-/.])[0-9]{1,2}\1[0-9]{2}(?:[T ,].*)?")
_ELAPSED = re.compile(
    r"(?:(?P<days>[0-9]+) days?,? )?(?P<h>[0-9]+):(?P<m>[0-5][0-9]):(?P<s>[0-5][0-9])(?:[.,](?P<f>[0-9]{1,9}))?"
    r"(?: ?(?P<half>[AP]M))?",
    re.IGNORECASE,
)
_TWO_PARTS = re.compile(r"(?P<first>[0-9]+):(?P<second>[0-5][0-9])(?:[.,](?P<f>[0-9]{1,9}))?")
_COMPACT = re.compile(r"(?:19|20)[0-9]{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])(?:[0-9]{4}|[0-9]{6})?")

_YEAR_AND_MONTH = re.compile(r"(?:19|20)[0-9]{2}[.,]?(?:0[1-9]|1[0-2])")
_OF_DATES = re.compile(r"dat[eu]|month|monat|mois|fecha|yyyy", re.IGNORECASE)

_SECOND = 10**9
_UNITS = {"seconds": _SECOND, "minutes": 60 * _SECOND, "hours": 3600 * _SECOND, "days": 86400 * _SECOND}
"""In nanoseconds."""
_ENOUGH = {"seconds": 120, "minutes": 120, "hours": 48}
"""So many of a unit, and the next one suits better."""

Where = Callable[[int], str]
"""Row → where it stands, for messages."""


@dataclass(frozen=True)
class Times:
    """Dates as numbers.

    Attributes
    ----------
    values
        (n,), in `unit`, since `origin`: the first of them, or midnight for times of the day.
    unit
        ``seconds``, ``minutes``, ``hours`` or ``days``.
    day_first
        Whether dates had to be read as day, month, year.
    """

    values: NDArray[np.float64]
    unit: str
    origin: str
    day_first: bool = False


def is_date(cell: str) -> bool:
    """Return whether a cell is a date or a time of the day, in some notation."""
    return any(pattern.fullmatch(cell) for pattern in (*_DATES, _SHORT_YEAR, _ELAPSED, _TWO_PARTS))


def are_dates(cells: Sequence[str]) -> bool:
    """Return whether all cells of a column are dates or times of the day."""
    return bool(cells) and all(map(is_date, cells))


def are_days(cells: Sequence[str]) -> bool:
    """Return whether all cells of a column are dates without times of the day."""
    return are_dates(cells) and not any(":" in cell for cell in cells)


def are_times_of_day(cells: Sequence[str]) -> bool:
    """Return whether all cells of a column are times that may stand behind a date."""
    return bool(cells) and all(map(_OF_DAY.fullmatch, cells))


def check_plain(cells: Sequence[str], label: str, where: Where) -> None:
    """See that times that are written as numbers are not dates that are written as numbers.

    Raises
    ------
    InputError
        If all look like ``20210304`` or ``202103041230``, with which nobody can reckon; or like ``202103`` or
        ``2021.03`` in a column of dates.
    """
    months = _OF_DATES.search(label) and all(map(_YEAR_AND_MONTH.fullmatch, cells))
    if cells and (months or all(map(_COMPACT.fullmatch, cells))):
        raise InputError(f"{where(0)}: '{cells[0]}' may be a number or a date; write dates as 2021-03-04")


def to_times(cells: Sequence[str], label: str, where: Where) -> Times:
    """Return dates, or times of the day, as numbers.

    Parameters
    ----------
    cells
        All of a column, of which each is a date (`are_dates`).
    label
        The column's, which may say that times are ``hh:mm`` or ``mm:ss``.

    Raises
    ------
    InputError
        If two readings are possible, notations are mixed, or there is no such date.
    """
    for i, cell in enumerate(cells):
        if _SHORT_YEAR.fullmatch(cell):
            raise InputError(f"{where(i)}: '{cell}' has a year of two digits; write dates as 2021-03-04")
    clocks = [bool(_ELAPSED.fullmatch(cell) or _TWO_PARTS.fullmatch(cell)) for cell in cells]
    if any(clocks):
        if not all(clocks):
            i = clocks.index(not clocks[0])
            raise InputError(f"{where(i)}: '{cells[i]}' is written otherwise than '{cells[0]}'; write all alike")
        moments = [_elapsed(cell, label, where(i)) for i, cell in enumerate(cells)]
        unit, values = _in_unit(moments, 0)
        return Times(values, unit, "00:00")
    found = [next(f for pattern in _DATES if (f := pattern.fullmatch(cell))) for cell in cells]
    day_first = _day_first(found, where)
    moments, zones = [], set()
    for i, one in enumerate(found):
        moment, zone = _moment(one, bool(day_first), where(i))
        moments.append(moment)
        zones.add(zone)
        if len(zones) > 1:
            raise InputError(
                f"{where(i)}: '{one[0]}' has a time zone, or lacks the one that others have; write all alike"
            )
    unit, values = _in_unit(moments, min(moments))
    return Times(values, unit, _told(min(moments)) + (" UTC" if zones == {True} else ""), bool(day_first))


def _told(moment: int) -> str:
    seconds, rest = divmod(moment, _SECOND)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"{text}.{rest:09}".rstrip("0") if rest else text.removesuffix(":00")


def _day_first(found: Sequence[re.Match[str]], where: Where) -> bool | None:
    """Return whether days come before months; None where months have names, or years come first."""
    pairs = [(i, int(one["first"]), int(one["second"])) for i, one in _with(found, "first")]
    if not pairs:
        return None
    days = [i for i, first, _ in pairs if first > 12]
    months = [i for i, _, second in pairs if second > 12]
    if days and months:
        raise InputError(
            f"{where(months[0])}: '{found[months[0]][0]}' has the month first, but '{found[days[0]][0]}' the day "
            f"({where(days[0])}); write dates as 2021-03-04"
        )
    # Where points divide dates, days come first, in every country that writes so.
    if days or months or all(found[i]["mark"] == "." for i, _, _ in pairs):
        return not months
    if all(first == second for _, first, second in pairs):
        return True
    i, first, second = next(pair for pair in pairs if pair[1] != pair[2])
    by_day, by_month = (f"{found[i]['y']}-{month:02}-{day:02}" for day, month in ((first, second), (second, first)))
    raise InputError(
        f"{where(i)}: '{found[i][0]}' may be {by_day} (day first) or {by_month} (month first); write dates so, the "
        "year first"
    )


def _with(found: Sequence[re.Match[str]], name: str) -> Iterator[tuple[int, re.Match[str]]]:
    return ((i, one) for i, one in enumerate(found) if name in one.groupdict())


def _moment(one: re.Match[str], day_first: bool, where: str) -> tuple[int, bool]:
    """Return nanoseconds since 1970, and whether a time zone is given."""
    parts: dict[str, Any] = one.groupdict()
    if "first" in parts:
        parts["d"], parts["m"] = (parts["first"], parts["second"])[:: 1 if day_first else -1]
    month = int(parts["m"]) if "m" in parts else _MONTHS[parts["month"].lower()]
    hour = _hour(one, int(parts["H"] or 0), where)
    try:
        moment = datetime(
            int(parts["y"]), month, int(parts["d"]), hour, int(parts["M"] or 0), int(parts["S"] or 0), tzinfo=UTC
        )
    except ValueError as error:
        raise InputError(f"{where}: '{one[0]}' is no date ({error})") from None
    seconds = int(moment.timestamp())
    zone = (parts["zone"] or "").replace("−", "-").replace(":", "")
    if zone[:1] in ("+", "-"):
        away = 3600 * int(zone[1:3]) + 60 * int(zone[3:] or 0)
        seconds -= away if zone[0] == "+" else -away
    return seconds * _SECOND + _fraction(parts["f"]), bool(zone)


def _hour(one: re.Match[str], hour: int, where: str) -> int:
    """Return an hour of 24, where AM or PM may stand behind it."""
    half = one["half"]
    if not half:
        return hour
    if not 1 <= hour <= 12:
        raise InputError(f"{where}: '{one[0]}' is no time of the day")
    return hour % 12 + (12 if half.lower() == "pm" else 0)


def _elapsed(cell: str, label: str, where: str) -> int:
    """Return nanoseconds since midnight, or since a clock began."""
    if found := _ELAPSED.fullmatch(cell):
        days, hours, minutes, seconds = (int(found[name] or 0) for name in ("days", "h", "m", "s"))
        hours = _hour(found, hours, where)
        return ((days * 24 + hours) * 3600 + minutes * 60 + seconds) * _SECOND + _fraction(found["f"])
    found = _TWO_PARTS.fullmatch(cell)
    assert found is not None
    told = label.lower().replace(" ", "")
    first, second = int(found["first"]), int(found["second"])
    if "mm:ss" in told and "h:mm:ss" not in told:
        return (60 * first + second) * _SECOND + _fraction(found["f"])
    if re.search(r"h:mm(?!:ss)", told) and not found["f"]:
        return (3600 * first + 60 * second) * _SECOND
    raise InputError(
        f"{where}: '{cell}' may be hours and minutes, or minutes and seconds; say which in the column's name "
        "(hh:mm or mm:ss), or write hh:mm:ss"
    )


def _fraction(digits: str | None) -> int:
    return int((digits or "").ljust(9, "0"))


def _in_unit(moments: Sequence[int], origin: int) -> tuple[str, NDArray[np.float64]]:
    span = max(moments) - min(moments)
    unit = next((unit for unit, many in _ENOUGH.items() if span < many * _UNITS[unit]), "days")
    # Whole numbers of Python are divided without a rounding in between.
    return unit, np.array([(moment - origin) / _UNITS[unit] for moment in moments])
