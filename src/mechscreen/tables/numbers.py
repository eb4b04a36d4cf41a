"""What is a number in a table, and which of the two readings of ``1,234`` and ``1.234`` is meant.

Python's own `float` takes more (``1_234``, ``infinity``, digits of any script); none of it is a number here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from mechscreen.errors import InputError

_SIGN = r"[+\-−–]?"
_EXPONENT = r"(?:[eEdD][+\-−–]?[0-9]+)?"
_BLANKS = " \u00a0\u2007\u2009\u202f"
_APOSTROPHES = "'’"

_DIGITS = re.compile(rf"{_SIGN}[0-9]+")
_WHOLE = re.compile(rf"{_SIGN}[0-9]+{_EXPONENT}")
# A comma at the end is no decimal mark: it may be what separates columns.
_DECIMAL = {
    ".": re.compile(rf"{_SIGN}(?:[0-9]+\.?[0-9]*|\.[0-9]+){_EXPONENT}"),
    ",": re.compile(rf"{_SIGN}(?:[0-9]+(?:,[0-9]+)?|,[0-9]+){_EXPONENT}"),
}
_EITHER = {mark: re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}}\{mark}[0-9]{{3}}") for mark in ".,"}
"""One mark, before three digits: it may divide thousands or begin decimals."""


_RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹"
_POWER = re.compile(rf"(?P<factor>[^ ]+?) ?[×x·⋅*] ?10(?:\^(?={_SIGN}[0-9])|(?=[⁺⁻{_RAISED}]))(?P<power>[^^ ]+)")
_LOWERED = str.maketrans("⁺⁻" + _RAISED, "+-0123456789")
"""``1.5×10^3`` and ``1,5·10⁻³``, as people write by hand."""


def _grouped(groups: str, decimal: str) -> re.Pattern[str]:
    """Return what numbers in groups of three look like."""
    return re.compile(rf"{_SIGN}[1-9][0-9]{{0,2}}(?P<mark>[{groups}])[0-9]{{3}}(?:(?P=mark)[0-9]{{3}})*{decimal}")


_BY_OTHERS = {mark: _grouped(_BLANKS + _APOSTROPHES, rf"(?:\{mark}[0-9]*)?") for mark in ".,"}
_BY_MARK = {mark: _grouped(rf"\{mark}", rf"(?:\{other}[0-9]*)?") for mark, other in (",.", ".,")}
"""Numbers whose thousands are divided by a mark, and whose decimals begin with the other."""

_ERROR_WORDS = (
    "#N/A #NA #NV #N/D #N/B #DIV/0! #¡DIV/0! #DEEL/0! #VALUE! #WERT! #VALEUR! #¡VALOR! #VALORE! #WAARDE! #NUM! #¡NUM! "
    "#ZAHL! #NOMBRE! #GETAL! #REF! #¡REF! #BEZUG! #RIF! #VERW! #NAME? #NOM? #¿NOMBRE? #NOME? #NAAM? #NULL! #NUL! "
    "#¡NULO! #NULLO! #LEEG! #CALC! #KALK! #SPILL! #ÜBERLAUF!"
)
SPREADSHEET_ERRORS = frozenset(_ERROR_WORDS.split())
"""What spreadsheets write where a formula has no value, in English, German, French, Spanish, Italian and Dutch."""

_MISSING_WORDS = (
    "na n/a n.a. n.a nan -nan null none nil - -- --- – — . .. ? n.d. n.d nd n/d nat <na> missing k.a. n.b. n.m. void "
    "\\n (null) nan(ind) -nan(ind) 1.#ind -1.#ind 1.#qnan -1.#qnan err:502 err:503 err:504 err:508 err:511 err:522"
)
_MISSING_PHRASES = ("n. a.", "n. d.", "k. a.", "n. b.", "no data", "not measured", "not determined")
MISSING = frozenset([*_MISSING_WORDS.split(), *_MISSING_PHRASES, *(error.lower() for error in SPREADSHEET_ERRORS), ""])
"""What stands for a missing value, in any case."""

_BEYOND = re.compile(r"[<>≤≥]=? *(?P<limit>.*)")
_NO_SIGNAL = re.compile(
    r"(?:[<>] ?)?(?:b\.?d\.?l\.?|b\.?l\.?q\.?|b\.?l\.?d\.?|ll?o[dq]|ulo[dq]|n\.n\.|ovrflw|over(?:flow)?)", re.IGNORECASE
)
_FILL = re.compile(r"-?999+(?:[.,](?:0+|9+))?|-99(?:[.,](?:0+|9+))?")
# Of netCDF and other formats of fields, and the largest numbers that machines hold.
_LARGE_FILL = re.compile(
    r"-?(?:1(?:[.,]0*)?e\+?(?:20|3[0-8])|9[.,]9692[0-9]*e\+?36|3[.,]402[0-9]*e\+?38|1[.,]797[0-9]*e\+?308)",
    re.IGNORECASE,
)


def is_missing(cell: str) -> bool:
    """Return whether a cell says that there is no value."""
    return cell.lower() in MISSING


def is_beyond(cell: str) -> bool:
    """Return whether a cell says that a value is below or above what could be measured, such as ``<0.25``."""
    found = _BEYOND.fullmatch(cell)
    return bool(_NO_SIGNAL.fullmatch(cell)) or (found is not None and may_be_number(found["limit"]))


def _with_e(cell: str) -> str:
    """Return ``1.5e3`` for ``1.5×10^3``, and other cells as they are."""
    if "^" not in cell and cell[-1:] not in _RAISED:
        return cell
    found = _POWER.fullmatch(cell)
    return f"{found['factor']}e{found['power'].translate(_LOWERED)}" if found else cell


def may_be_number(cell: str) -> bool:
    """Return whether a cell is a number by any way of writing them."""
    cell = _with_e(cell)
    patterns = (*_DECIMAL.values(), *_BY_OTHERS.values(), *_BY_MARK.values())
    return any(pattern.fullmatch(cell) for pattern in patterns)


def may_be_whole(cell: str) -> bool:
    """Return whether a cell is a whole number by some notation, perhaps with marks between thousands."""
    cell = _with_e(cell)
    patterns = (_WHOLE, *_EITHER.values(), _BY_OTHERS["."], _BY_MARK["."])
    return "," not in cell and any(pattern.fullmatch(cell) for pattern in patterns)


@dataclass(frozen=True)
class Notation:
    """How numbers are written in a table.

    Attributes
    ----------
    decimal
        Mark before decimals, ``.`` or ``,``.
    groups
        Whether the other mark divides thousands; blanks and apostrophes always may.
    """

    decimal: str = "."
    groups: bool = False

    def parse(self, cell: str) -> float | None:
        """Return the number that a cell is, to the last bit; None where it is none. Too large ones are infinite."""
        cell = _with_e(cell)
        if not self._simple.fullmatch(cell):
            if not any(pattern.fullmatch(cell) for pattern in self._with_groups):
                return None
            cell = re.sub(rf"[{_BLANKS}{_APOSTROPHES}{self._other if self.groups else ''}]", "", cell)
        if self.decimal == ",":
            cell = cell.replace(",", ".")
        try:
            return float(cell)
        except ValueError:
            return float(cell.translate(_AS_PYTHON))

    def parse_plain(self, cells: Sequence[str]) -> list[float] | None:
        """Return the numbers of cells, all of which Python reads as they are; None where one is written otherwise."""
        if self.decimal != "." or not all(map(self._simple.fullmatch, cells)):
            return None
        try:
            return list(map(float, cells))
        except ValueError:
            return None

    @cached_property
    def _simple(self) -> re.Pattern[str]:
        return _DECIMAL[self.decimal]

    @property
    def _other(self) -> str:
        return "," if self.decimal == "." else "."

    @property
    def _with_groups(self) -> list[re.Pattern[str]]:
        return [_BY_OTHERS[self.decimal], *([_BY_MARK[self._other]] if self.groups else [])]


_AS_PYTHON = str.maketrans({"−": "-", "–": "-", "d": "e", "D": "e"})


def notation(
    cells: Iterable[str],
    where: Callable[[str], str],
    *,
    declared: str | None = None,
    points_are_usual: bool = False,
    one_mark: bool = False,
) -> Notation:
    """Find how numbers are written.

    Parameters
    ----------
    cells
        All that may be numbers, in any order.
    where
        Cell → where it stands, for messages.
    declared
        The decimal mark, where the table says it.
    points_are_usual
        Whether ``1.234`` is 1.234 where nothing in the table says more; else it is refused, as ``1,234`` always is.
    one_mark
        Whether commas and points are not both there, so that one number that decides is enough.

    Raises
    ------
    InputError
        If two readings are possible, or both marks begin decimals.
    """
    decides: dict[str, str] = {}
    either: dict[str, str] = {}
    groups: set[str] = set()
    for cell in map(_with_e, cells):
        if _WHOLE.fullmatch(cell):
            continue
        if mark := next((mark for mark, pattern in _EITHER.items() if pattern.fullmatch(cell)), ""):
            either.setdefault(mark, cell)
            continue
        for mark, other in (".,", ",."):
            if _DECIMAL[mark].fullmatch(cell) or (mark in cell and _BY_OTHERS[mark].fullmatch(cell)):
                decides.setdefault(mark, cell)
            elif _BY_MARK[other].fullmatch(cell):
                decides.setdefault(mark, cell)
                groups.add(other)
        if decides and one_mark:
            break
    if len(decides) > 1 and declared is None:
        raise InputError(
            f"{where(decides['.'])}: '{decides['.']}' has a decimal point, but '{decides[',']}' a decimal comma; write "
            "all numbers alike"
        )
    mark = declared or next(iter(decides), "")
    if not mark:
        if not either or ("," not in either and points_are_usual):
            return Notation(".")
        raise two_readings(where, *either.values())
    other = "," if mark == "." else "."
    if other in either and other not in groups and declared is None:
        raise two_readings(where, either[other])
    return Notation(mark, other in groups or other in either)


def two_readings(where: Callable[[str], str], cell: str, *_: str) -> InputError:
    """Return what is told of a number with a mark that may divide thousands or begin decimals."""
    mark = "," if "," in cell else "."
    whole, decimals = cell.replace(mark, ""), cell.replace(mark, ".")
    return InputError(
        f"{where(cell)}: '{cell}' may be {whole} or {decimals}; say which by a line 'decimal=,' or 'decimal=.' before "
        "the table, or write numbers without marks for thousands"
    )


def points_that_may_divide(columns: Iterable[Iterable[str]]) -> str | None:
    """Return a cell such as ``1.200`` that may be 1200, though points begin decimals in tables of its kind.

    So it is where all points stand before three digits, and a column has whole numbers, too: of three digits, or beside
    decimals that end in zero. Who writes decimals writes 950.000 beside 1.200, or 1.2 beside 950.
    """
    doubtful = None
    for column in columns:
        either: list[str] = []
        whole: list[str] = []
        for cell in column:
            if "." not in cell:
                if _DIGITS.fullmatch(cell):
                    whole.append(cell)
            elif _EITHER["."].fullmatch(cell):
                either.append(cell)
            elif may_be_number(cell):
                return None
        if doubtful is None and either and whole:
            if any(len(cell.lstrip("+-−–")) == 3 for cell in whole):
                doubtful = either[0]
            else:
                doubtful = next((cell for cell in either if cell.endswith("0")), None)
    return doubtful


def fill_value(cells: Sequence[str], values: Sequence[float]) -> str | None:
    """Return a cell that looks like a code for missing values (-999, 1e20, …), far from all other values; else None."""
    codes = {
        cell: value
        for cell, value in zip(cells, values, strict=True)
        if ("99" in cell and _FILL.fullmatch(cell)) or (abs(value) >= 1e20 and _LARGE_FILL.fullmatch(cell))
    }
    for cell, code in codes.items():
        others = [value for value in values if math.isfinite(value) and value != code]
        far = 1e10 if abs(code) >= 1e20 else 10
        if others and (min(others) >= 0 if -1e20 < code < 0 else far * max(map(abs, others)) < abs(code)):
            return cell
    return None
