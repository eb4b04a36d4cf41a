"""What columns are called: labels as they stand in a table, their units, and short names for equations."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

_IN_BRACKETS = re.compile(r"(?P<base>.*\S)\s*[(\[{](?P<unit>[^()\[\]{}]*(?:\([^()]*\)[^()\[\]{}]*)*)[)\]}]", re.DOTALL)
_AFTER_SLASH = re.compile(r"(?P<base>.*\S) +/ +(?P<unit>\S+)")
_WHOLE_BRACKET = re.compile(r"[(\[{](.+)[)\]}]", re.DOTALL)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_TIMES = _words(
    "t time times timepoint timepoints timestamp datetime date dates zeit zeiten zeitpunkt uhrzeit datum temps tiempo "
    "fecha tempo tid czas clock"
)
_ALONE = _words(
    "second seconds sec secs minute minutes mins hour hours hrs day days week weeks month months year years sekunde "
    "sekunden minuten stunde stunden tag tage woche wochen monat monate jahr jahre jour jours dia dias"
)
_UNITS = _ALONE | _words("s ms us µs μs ns min h hr std d wk yr yrs a utc local gmt hh mm ss yyyy dd in of elapsed")
_BEFORE = _words(
    "elapsed sampling sample measurement measured experiment experimental real relative rel simulation simulated total"
)


def split_unit(label: str) -> tuple[str, str]:
    """Return a label without its unit, and the unit: ``algae (10^6 cells/ml)``, ``T [K]``, ``T / K``; or ``""``."""
    for pattern in (_IN_BRACKETS, _AFTER_SLASH):
        if found := pattern.fullmatch(label.strip()):
            return found["base"], found["unit"].strip()
    return label.strip(), ""


def short_name(label: str) -> str:
    """Return an identifier for a label: ``PG`` for ``[PG]``, ``algae`` for ``algae (10^6 cells/ml)``."""
    if label.isidentifier():
        return label
    base = split_unit(label)[0]
    if whole := _WHOLE_BRACKET.fullmatch(base):
        base = whole[1]
    letters = (c if f"x{c}".isidentifier() else "_" for c in unicodedata.normalize("NFKC", base))
    name = re.sub("__+", "_", "".join(letters)).strip("_") or "x"
    return name if name.isidentifier() else f"x_{name}"


def short_names(labels: Sequence[str]) -> list[str]:
    """Return an identifier for each label, each once; labels that are identifiers keep theirs."""
    taken = {label for label in labels if label.isidentifier()}
    used: dict[str, int] = {}
    names = []
    for label in labels:
        name = own = short_name(label)
        while not label.isidentifier() and name in taken:
            used[own] = used.get(own, 1) + 1
            name = f"{own}_{used[own]}"
        taken.add(name)
        names.append(name)
    return names


def is_time(label: str) -> bool:
    """Return whether a column is plainly called a time: ``time``, ``Time (h)``, ``Zeit``, ``day``, ``elapsed_time``."""
    base = split_unit(label)[0].strip("[](){} ")
    if base == "T" or re.search(r"[0-9]", base):
        return False
    words = re.findall(r"[^\W\d_]+", unicodedata.normalize("NFKC", base).lower())
    while len(words) > 1 and words[0] in _BEFORE:
        del words[0]
    if len(words) == 1 and words[0] in _ALONE:
        return True
    return bool(words) and words[0] in _TIMES and set(words[1:]) <= _TIMES | _UNITS


def same_unit(one: str, other: str) -> bool:
    """Return whether two units are written alike, but for blanks, kinds of µ, and brackets around them."""
    return _plain(one) == _plain(other)


def _plain(unit: str) -> str:
    text = unit.replace(" ", "").replace("\u00b5", "\u03bc").replace("·", "*").replace("⋅", "*")
    return re.sub(r"^[(\[{](.*)[)\]}]$", r"\1", text)


def listed(labels: Iterable[str], most: int = 20) -> str:
    """Return labels, comma-separated, of many the first ones."""
    labels = list(labels)
    more = f", … ({len(labels)} in all)" if len(labels) > most else ""
    return ", ".join(labels[:most]) + more
