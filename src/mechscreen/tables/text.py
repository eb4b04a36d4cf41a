"""From the bytes of a file to its lines: encoding, line ends, comments, and what the first lines declare."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

from mechscreen.errors import InputError, unreadable
from mechscreen.tables.numbers import SPREADSHEET_ERRORS

_NO_TABLES = {
    b"PK\x03\x04": "a workbook (Excel, LibreOffice) or another ZIP archive; save its sheet as CSV",
    b"PK\x05\x06": "a ZIP archive without files",
    b"\xd0\xcf\x11\xe0": "an Excel workbook; save its sheet as CSV",
    b"\x1f\x8b": "compressed (gzip); unpack it",
    b"BZh": "compressed (bzip2); unpack it",
    b"\xfd7zXZ": "compressed (xz); unpack it",
    b"\x28\xb5\x2f\xfd": "compressed (Zstandard); unpack it",
    b"7z\xbc\xaf\x27\x1c": "compressed (7-Zip); unpack it",
    b"\x89HDF": "an HDF5 file, not a table in text",
    b"PAR1": "a Parquet file; write it as CSV",
    b"ARROW1": "a Feather file; write it as CSV",
    b"\x93NUMPY": "an array of NumPy; write it as CSV (numpy.savetxt)",
    b"MATLAB 5.0": "a MAT-file; write its table as CSV (writetable)",
    b"SQLite format 3": "a database of SQLite; write its table as CSV",
    b"\x89PNG": "a picture",
    b"%PDF": "a PDF; write its table as CSV",
    b"{\\rtf": "a document of a word processor; save its table as plain text",
}
"""First bytes of files that are no tables in text → what they are, and what to do."""

_MARKS = {
    codecs.BOM_UTF8: "UTF-8",
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",
    codecs.BOM_UTF16_BE: "UTF-16",
}
"""Byte order mark → encoding; those of UTF-32 begin with one of UTF-16, and come first."""

_MARKUP = re.compile(r"\s*(?:<!|<\?xml|<[a-z][a-z0-9]*(?: [^<>\n]*)?>\s*<|[{\[]\s*[{\[\"])", re.IGNORECASE)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ufffe\uffff]")
# Spreadsheets write errors such as #N/A, which begin no comment, and ##### where a column is too narrow.
_ERROR = "|".join(re.escape(error[1:]) for error in sorted(SPREADSHEET_ERRORS))
_COMMENT = re.compile(rf'\s*"?(?:#(?!(?:{_ERROR})(?:\W|$)|#+[,;\t|]\s*\S)|%|//)', re.IGNORECASE)
_DECLARED = re.compile(r'\s*["#%/ ]*(?P<what>sep|decimal)=(?P<mark>\\t|.)"?[,;\t ]*', re.IGNORECASE)


@dataclass(frozen=True)
class Line:
    """A line of a table, or several where a quoted cell goes over them: the number of the first, and the text."""

    number: int
    text: str


@dataclass(frozen=True)
class Text:
    """What stands in a file.

    Attributes
    ----------
    lines
        Those that are neither blank nor comments nor declarations.
    comments
        Lines that begin with ``#``, ``%`` or ``//``.
    encoding
        ``UTF-8``, ``UTF-16``, ``UTF-32`` or ``Latin-1``.
    separator, decimal
        What a line ``sep=;`` or ``decimal=,`` before the table declares, if there is one.
    """

    lines: list[Line]
    comments: list[Line]
    encoding: str
    separator: str | None
    decimal: str | None


def read_text(path: Path, remedy: str) -> Text:
    """Read a file of text.

    Parameters
    ----------
    remedy
        What to do where it cannot be read.

    Raises
    ------
    InputError
        If the file cannot be read, is no text, has a quote that is not closed, or declares what cannot be.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error, remedy) from None
    text, encoding = _decoded(path, content)
    lines, comments, declared = _sorted(path, re.split(r"\r\n|\n|\r", text))
    return Text(lines, comments, encoding, declared.get("sep"), declared.get("decimal"))


def _decoded(path: Path, content: bytes) -> tuple[str, str]:
    for start, what in _NO_TABLES.items():
        if content.startswith(start):
            raise InputError(f"{path}: is {what}")
    text, encoding = _by_encoding(path, content)
    text = text.removesuffix("\x1a")  # with which DOS ended files
    if _MARKUP.match(text):
        raise InputError(f"{path}: is HTML, XML or JSON, not a table in text; save it as CSV")
    if found := _CONTROL.search(text.replace("\r", "")):
        raise InputError(f"{path}: is no text (it has the character {found[0]!r}); save it as CSV in UTF-8")
    return text, encoding


def _by_encoding(path: Path, content: bytes) -> tuple[str, str]:
    encoding = next((name for mark, name in _MARKS.items() if content.startswith(mark)), None)
    try:
        if encoding == "UTF-8":
            return content.decode("utf-8-sig"), "UTF-8"
        if encoding is not None:
            return content.decode(encoding), encoding
        # Of letters, digits and marks UTF-16 has every second byte zero.
        low, high = content[::2].count(0), content[1::2].count(0)
        if low + high > len(content) / 3 and not min(low, high):
            return content.decode("utf-16-le" if high else "utf-16-be"), "UTF-16"
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not {encoding or 'UTF-16'} text (byte {error.start}); save it as UTF-8") from None
    try:
        return content.decode("utf-8"), "UTF-8"
    except UnicodeDecodeError:
        pass
    try:
        # What Windows calls Latin-1: it has letters and dashes where ISO 8859-1 has control characters.
        return content.decode("cp1252"), "Latin-1"
    except UnicodeDecodeError:
        return content.decode("latin-1"), "Latin-1"


def _sorted(path: Path, given: list[str]) -> tuple[list[Line], list[Line], dict[str, str]]:
    """Return lines, comments, and what was declared before the first line."""
    lines: list[Line] = []
    comments: list[Line] = []
    declared: dict[str, str] = {}
    begun: list[str] = []
    start = 0
    for number, text in enumerate(given, 1):
        if begun:
            begun.append(text)
            if text.count('"') % 2:
                lines.append(Line(start, "\n".join(begun)))
                begun = []
        elif not lines and (found := _DECLARED.fullmatch(text)):
            _declare(f"{path}, line {number}", found["what"].lower(), found["mark"], declared)
        elif _COMMENT.match(text):
            comments.append(Line(number, text))
        elif text.count('"') % 2:
            begun, start = [text], number
        elif text.strip():
            lines.append(Line(number, text))
    if begun:
        raise InputError(f"{path}, line {start}: not valid CSV (a quote is opened there, and closed nowhere)")
    return lines, comments, declared


def _declare(where: str, what: str, mark: str, declared: dict[str, str]) -> None:
    mark = "\t" if mark == "\\t" else mark
    allowed = {"sep": ",;\t| ", "decimal": ",."}[what]
    if mark not in allowed or declared.setdefault(what, mark) != mark:
        raise InputError(f"{where}: '{what}={mark}' cannot be; there may be one such line, with one of {allowed!r}")
