"""One table of time series in many dialects: the same numbers to the last bit, or one line that says why not."""

import csv
import io
from datetime import datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechscreen.errors import InputError
from mechscreen.tables import read_time_series

TIMES = [0.0, 0.5, 1.0, 2.25, 4.0, 50.5]
PG = [1234.5, 987.25, -0.1, 3.5e-07, 12345678.0, 2.0]
ALGAE = [0.30000000000000004, None, 7.0, 1e300, 100.0, 41.125]
NAMES = ["t", "PG", "algae"]
BEGIN = datetime(2021, 3, 4)


def number(value, decimal=".", thousands=""):
    """Return a number as somebody may write it."""
    text = repr(value)
    if thousands and "e" not in text:
        whole, _, rest = text.partition(".")
        text = f"{int(whole):,}".replace(",", "§").replace("-0", "-0") + "." + rest
        text = text if value >= 0 or whole != "-0" else "-" + text
    return text.replace(".", decimal).replace("§", thousands)


def rows(decimal=".", thousands="", missing="", times=None):
    """Return the table's rows as texts."""
    times = times or [number(t, decimal) for t in TIMES]
    columns = [[missing if v is None else number(v, decimal, thousands) for v in values] for values in (PG, ALGAE)]
    return [list(row) for row in zip(times, *columns, strict=True)]


def text(separator=",", names=NAMES, end="\n", before="", behind="", units=None, quote=False, body=None, **options):
    """Return the table in a dialect."""
    lines = [*([names] if names else []), *([units] if units else []), *(body or rows(**options))]
    stream = io.StringIO()
    quoting = csv.QUOTE_ALL if quote else csv.QUOTE_MINIMAL
    if len(separator) == 1:
        csv.writer(stream, delimiter=separator, quoting=quoting, lineterminator="\n").writerows(lines)
        written = stream.getvalue()
    else:
        written = "".join(separator.join(line) + "\n" for line in lines)
    return (before + written.replace("\n", behind + "\n")).replace("\n", end)


def dates(form):
    """Return the times as dates in a notation, and what they are in then."""
    return [(BEGIN + timedelta(hours=t)).strftime(form) for t in TIMES]


LONG = "time,variable,value\n" + "".join(
    f"{t!r},{name},{'' if v is None else repr(v)}\n"
    for name, values in (("PG", PG), ("algae", ALGAE))
    for t, v in zip(TIMES, values, strict=True)
)
UNITS_IN_NAMES = ["t", "[PG]", "algae (10^6 cells/ml)"]
GERMAN = {"separator": ";", "decimal": ","}
IN_DAYS = [t / 24 for t in TIMES]
WITH_INDEX = [[str(i), *row] for i, row in enumerate(rows())]

# Name → content, what must be told of it, and what is other than in the plain table.
READ = {
    "plain": (text(), "comma-separated", {}),
    "semicolons": (text(";"), "semicolon-separated", {}),
    "tabs": (text("\t"), "tab-separated", {}),
    "bars": (text("|"), "separated by bars", {}),
    "blanks": (text(" ", missing="NA"), "separated by blanks", {}),
    "runs of blanks": (text("    ", missing="NA"), "separated by blanks", {}),
    "blanks before and behind": (text("  ", missing="NA", behind="  ").replace("\n", "\n  "), "by blanks", {}),
    "names with blanks between wide blanks": (
        text("   ", names=["t", "PG", "the algae"], missing="NA"), "two blanks or more", {"names": ("PG", "the_algae")}
    ),
    "commas and blanks": (text(", "), "comma-separated", {}),
    "semicolons and decimal commas": (text(**GERMAN), "semicolon-separated, decimal commas", {}),
    "tabs and decimal commas": (text("\t", decimal=","), "tab-separated, decimal commas", {}),
    "blanks and decimal commas": (text(" ", decimal=",", missing="NA"), "separated by blanks, decimal commas", {}),
    "quoted decimal commas between commas": (text(decimal=","), "comma-separated, decimal commas", {}),
    "all in quotes": (text(quote=True), "comma-separated", {}),
    "quotes behind blanks": (text(quote=True).replace(",", ", "), "comma-separated", {}),
    "commas between thousands": (text(";", thousands=","), "commas between thousands", {}),
    "commas between thousands in quotes": (text(thousands=","), "commas between thousands", {}),
    "points between thousands": (text(**GERMAN, thousands="."), "decimal commas, points between thousands", {}),
    "blanks between thousands": (text(**GERMAN, thousands=" "), "decimal commas", {}),
    "narrow blanks between thousands": (text(**GERMAN, thousands="\u202f"), "decimal commas", {}),
    "apostrophes between thousands": (text(";", thousands="'"), "semicolon-separated", {}),
    "true minus signs": (text().replace("-", "−"), "comma-separated", {}),
    "exponents as Fortran has them": (text().replace("e", "D").replace("algaD", "algae"), "comma-separated", {}),
    "comments": (text(before="# of May\n# by hand\n"), "2 comment lines", {}),
    "comments with per cent and bars": (text(before="% of May\n// by hand\n"), "2 comment lines", {}),
    "comments between rows": (text().replace("\n1.0", "\n# pause\n1.0"), "1 comment line", {}),
    "names in a comment": (
        text(" ", names=None, missing="NA", before="# made by hand\n# t PG algae\n"),
        "names from the comment in line 2", {}
    ),
    "sep=": (text(";", before="sep=;\n"), "semicolon-separated", {}),
    "sep= and decimal=": (text(**GERMAN, before="sep=;\ndecimal=,\n"), "decimal commas", {}),
    "sep= in quotes behind a mark": (("\ufeff" + text("\t", before='"sep=\t"\n')), "tab-separated", {}),
    "a row of units": (text(units=["h", "µM", "10^6/ml"]), "a row of units in line 2 (h, µM, 10^6/ml)", {}),
    "a row of units in brackets, one of them none": (text(units=["[h]", "(µM)", "-"]), "a row of units", {}),
    "units in names": (text(names=UNITS_IN_NAMES), "PG for '[PG]'", {"shown": tuple(UNITS_IN_NAMES[1:])}),
    "UTF-16": (text().encode("utf-16"), "UTF-16", {}),
    "UTF-16 without a mark": (text().encode("utf-16-le"), "UTF-16", {}),
    "UTF-16, big-endian, without a mark": (text("\t").encode("utf-16-be"), "UTF-16", {}),
    "UTF-32": (text().encode("utf-32"), "UTF-32", {}),
    "Latin-1": (
        text(names=["t", "PG (µM)", "Größe"]).encode("latin-1"), "Latin-1", {"names": ("PG", "Größe")}
    ),
    "byte order mark": (text().encode("utf-8-sig"), "comma-separated", {}),
    "lines of old Macs": (text(end="\r"), "comma-separated", {}),
    "lines of Windows": (text(end="\r\n"), "comma-separated", {}),
    "lines of Windows, twice": (text(end="\r\r\n"), "comma-separated", {}),
    "an end as DOS has it": (text() + "\x1a", "comma-separated", {}),
    "blank lines": (text().replace("\n", "\n\n"), "comma-separated", {}),
    "an unnamed index": (text(names=["", *NAMES], body=WITH_INDEX), "which counts rows, left out", {}),
    "names of rows as R writes them": (
        text(" ", missing="NA").replace("\n", '\n"§" ').removesuffix('"§" ').replace("§", "{}").format(*range(1, 7)),
        "which counts rows, left out", {}
    ),
    "names of rows as pandas prints them": (
        "    t  PG  algae\n" + "".join(f"{i}  {'  '.join(row)}\n" for i, row in enumerate(rows(missing="NaN"))),
        "which counts rows, left out", {}
    ),
    "an index that was written twice": (
        text(names=["", "Unnamed: 0", *NAMES], body=[[row[0], *row] for row in WITH_INDEX]),
        "2 first columns, which count rows, left out", {}
    ),
    "commas at the end": (text(behind=","), "comma-separated", {}),
    "commas at the end of rows alone": (text(behind=",").replace(",\n", "\n", 1), "comma-separated", {}),
    "rows of nothing but commas": (text() + ",,\n,,\n", "comma-separated", {}),
    "no header": (text(names=None), "no header", {"names": ("column2", "column3")}),
    "a table in Markdown": (
        "| t | PG | algae |\n|---|:--|--:|\n" + "".join(f"| {' | '.join(row)} |\n" for row in rows()), "by bars", {}
    ),
    "a table of a database": (
        text(" | ", missing="NA").replace("\n", "\n---+----+------\n", 1), "separated by bars", {}
    ),
    "a title": (text(before="Ponds, measured in May\n\n"), "1 line above the header left out", {}),
    "what an instrument says first": (
        "Reader: A7\nRun;12\nDate: 4.3.2021\n" + text(**GERMAN, units=["h", "µM", "-"]),
        "3 lines above the header left out, a row of units in line 5", {}
    ),
    "a title that a spreadsheet fills with commas": (
        text(before="Ponds in May,,\n,,\nTank,7,\n"), "2 lines above the header left out", {}
    ),
    "more lines above than rows": (
        "".join(f"Key {k}: {k}\n" for k in range(12)) + text(";", missing="NA"), "12 lines above the header left", {}
    ),
    "a long table": (LONG, "a row for each value of 2 variables", {}),
    "a long table with decimal commas": (
        LONG.replace(",", ";").replace(".", ","), "decimal commas, times from 'time', a row for each value", {}
    ),
    "NA": (text(missing="NA"), "comma-separated", {}),
    "n.d.": (text(missing="n.d."), "comma-separated", {}),
    "errors of spreadsheets": (text(missing="#DIV/0!"), "comma-separated", {}),
    "errors of a German spreadsheet at the beginning of a line": (
        text(**GERMAN, names=["algae", "PG", "time"], body=[row[::-1] for row in rows(decimal=",", missing="#WERT!")]),
        "semicolon-separated, decimal commas, times from 'time'", {"names": ("algae", "PG"), "reverse": True}
    ),
    "powers of ten by hand": (
        text(";", body=[[t, *(c if c == "NA" else f"{c}·10⁰" for c in row)] for t, *row in rows(missing="NA")])
        .replace("e-07·10⁰", "×10^-7").replace("e+300·10⁰", "×10^300"),
        "semicolon-separated", {}
    ),
    "more than a plate reader can measure": (text(missing="OVRFLW"), "1 value beyond detection left out", {}),
    "below detection": (text(missing="<0.25"), "1 value beyond detection left out", {}),
    "below detection with a decimal comma": (text(**GERMAN, missing="< 0,25"), "1 value beyond detection left out", {}),
    "another name of the time": (text(names=["Time (h)", *NAMES[1:]]), "times from 'Time (h)'", {}),
    "the time in German": (text(names=["Zeit [h]", *NAMES[1:]], **GERMAN), "times from 'Zeit [h]'", {}),
    "time behind variables": (
        text(names=["PG", "algae", "time"], body=[[*row[1:], row[0]] for row in rows()]), "times from 'time'", {}
    ),
    "dates": (
        text(names=["date", *NAMES[1:]], times=dates("%Y-%m-%d %H:%M")), "times in days since 2021-03-04 00:00",
        {"t": IN_DAYS}
    ),
    "dates with zones": (
        text(names=["date", *NAMES[1:]], times=dates("%Y-%m-%dT%H:%M:%S+01:00")),
        "times in days since 2021-03-03 23:00 UTC", {"t": IN_DAYS}
    ),
    "dates with points": (
        text(**GERMAN, names=["Datum", *NAMES[1:]], times=dates("%d.%m.%Y %H:%M")),
        "dates day first, times in days since 2021-03-04 00:00", {"t": IN_DAYS}
    ),
    "dates with names of months": (
        text(names=["when", *NAMES[1:]], times=dates("%d-%b-%Y %H:%M:%S")), "times in days since", {"t": IN_DAYS}
    ),
    "dates with names of German months": (
        text(**GERMAN, names=["Datum", *NAMES[1:]], times=dates("%d. März %Y %H:%M Uhr")),
        "times in days since 2021-03-04 00:00", {"t": IN_DAYS}
    ),
    "dates and times of the day in columns of their own": (
        text(
            ";",
            names=["date", "clock", *NAMES[1:]],
            body=[
                [day, time, *row[1:]] for day, time, row in zip(dates("%d.%m.%Y"), dates("%H:%M"), rows(), strict=True)
            ],
        ),
        "times in days since 2021-03-04 00:00", {"t": IN_DAYS}
    ),
    "times since a start": (
        text(names=["elapsed", *NAMES[1:]], times=[f"{int(t)}:{int(60 * (t % 1)):02}:00" for t in TIMES]),
        "times in days since 00:00", {"t": IN_DAYS}
    ),
}  # fmt: skip

AMBIGUOUS = [["0", "1,234"], ["1", "2,345"], ["2", "987"]]

# Name → content, and the cause that must be named.
REFUSED = {
    "decimal commas between commas, without quotes": ("t,PG\n0,0,1,5\n0,5,2,5\n", "if it has decimal commas"),
    "the same with a whole time": ("t,PG\n0,1,5\n1,2,5\n2,3,5\n", "if it has decimal commas"),
    "the same without a header": ("0,0,1,5\n1,0,2,5\n2,0,3,5\n", "may have 4 columns, or fewer with decimal commas"),
    "thousands between commas, without quotes": ("0,1,234.5\n1,2,345.5\n2,3,456.5\n", "marks between thousands"),
    "thousands or decimals": (text(";", names=["t", "x"], body=AMBIGUOUS), "'1,234' may be 1234 or 1.234"),
    "thousands or decimals in quotes": (text(names=["t", "x"], body=AMBIGUOUS), "'1,234' may be 1234 or 1.234"),
    "points that may be of thousands": ("t;x\n0;1.234\n1;2.345\n", "'1.234' may be 1234 or 1.234"),
    "points that may be of thousands between commas": ("t,x\n0,950\n1,1.234\n", "'1.234' may be 1234 or 1.234"),
    "the same of times": ("t x\n500 7\n1.000 8\n1.500 9\n", "column 't': '1.000' may be 1000 or 1.000"),
    "decimal commas in exponents": ("0,1,5E-3\n1,2,5E-3\n2,3,5E-3\n", "or fewer with decimal commas"),
    "decimal commas and a point": ("t;x\n0;0,5\n1;1.234\n", "'1.234' may be 1234 or 1.234"),
    "decimal commas and points": ("t;x\n0;0,5\n1;0.75\n", "'0.75' has a decimal point, but '0,5' a decimal comma"),
    "day or month first": ("date,x\n03/04/2021,1\n04/04/2021,2\n", "may be 2021-04-03 (day first) or 2021-03-04"),
    "both day and month first": ("date,x\n13/04/2021,1\n04/14/2021,2\n", "month first, but '13/04/2021' the day"),
    "years of two digits": ("date,x\n04.03.21,1\n05.03.21,2\n", "a year of two digits"),
    "dates as numbers": ("date,x\n20210304,1\n20210305,2\n", "may be a number or a date"),
    "hours or minutes": ("time,x\n00:30,1\n01:00,2\n", "hours and minutes, or minutes and seconds"),
    "one time zone": ("date,x\n2021-03-04T00:00Z,1\n2021-03-05T00:00,2\n", "a time zone, or lacks"),
    "no such date": ("date,x\n2021-02-28,1\n2021-02-29,2\n", "line 3, column 'date': '2021-02-29' is no date"),
    "underscores": ("t,x\n0,1\n1,1_234\n", "line 3, column 'x': '1_234' is not a finite number"),
    "digits of other scripts": ("t,x\n0,1\n1,１２\n", "'１２' is not a finite number"),
    "lakhs": ('t,x\n0,"1,23,456"\n1,2.5\n', "'1,23,456' is not a finite number"),
    "per cent": ("t,x\n0,1\n1,12 %\n", "'12 %' is not a finite number"),
    "a unit in the cell": ("t,x\n0,10 mM\n1,12 mM\n", "'10 mM' is not a finite number; write numbers alone"),
    "an error in the cell": ("t,x\n0,10±1\n1,12±1\n", "'10±1' is not a finite number; write numbers alone"),
    "what nobody sees": ("t,x\n0,10\n1,\u200b12\n", "column 'x': '\\u200b12' is not a finite number"),
    "a column too narrow to be shown": ("x,t\n1,0\n####,1\n", "line 3, column 'x': '####' is not a finite number"),
    "a month without a day": ("time,x\n2020-01,1\n2020-02,2\n", "times are numbers, or dates such as 2021-03-04"),
    "a date that lacks": ("time,x\n2020-01-01,1\n,2\n", "line 3, column 'time': is empty, and others are dates"),
    "tables one after the other": ("t,x\n0,1\n1,2\nt,x\n0,1\n", "line 4: the header stands there again"),
    "rows in quotes": ('"time,x"\n"0,1.5"\n"1,2.5"\n', "take away quotes around whole rows"),
    "another separator": ("time^x\n0^1\n1^2\n", "has one column ('time^x'); separate columns by commas"),
    "an index that may be times": (",x\n0,1\n1,2\n", "if the first column, which counts rows, has the times, name it"),
    "tabs, and a name that lacks": ("Time (h)\tx\n0\t1.5\t2\n1\t2.5\t3\n", "3 values, but the header names 2 columns"),
    "a counter without a name, or times and no last name": (
        "t x\n0 5 1.5\n1 6 2.5\n",
        "3 values, but the header names 2",
    ),
    "names above units, of which one lacks": (
        "time;x\nh;mM;g\n0;1;2\n1;2;3\n",
        "line 2: 3 values, but the header names 2",
    ),
    "names above units, of which most lack": ("time,,\nh,mM,g\n0,1,2\n1,2,3\n", "line 1: a column has no name"),
    "a short code for missing values": ("t,x\n0,1\n1,-99\n2,3\n", "line 3, column 'x': -99 looks like a code"),
    "a code of fields": ("t,x\n0,1\n1,1E+20\n2,3\n", "line 3, column 'x': 1E+20 looks like a code"),
    "a code for missing values": ("t,x\n0,1\n1,-999\n2,3\n", "line 3, column 'x': -999 looks like a code"),
    "two times": ("hour,day,x\n0,0,1\n1,0,2\n", "which column has the times, 'hour' or 'day'?"),
    "no time": ("a,b\n0,1\n1,2\n", "none that plainly has the times"),
    "counter or times": ("0,1.5,2\n1,2.5,3\n2,3.5,4\n", "its first column may be times, or count rows"),
    "a line of another separator above": ("t;x\n0,1\n1,2\n", "line 1: has one cell, and all other rows have 2"),
    "a table above": ("a,b\n1,2\nt,x,y\n0,1,2\n1,2,3\n", "line 3: 3 values, but the header names 2 columns"),
    "a table with names of runs above": ("run,t,x\na,0,1\nt,y\n0,1\n1,2\n", "line 3: 2 values"),
    "a row for each variable": ("t,0,1\nx,1,2\ny,3,4\n", "a row for each variable ('y'), and a column for each time"),
    "a column of texts": ("t,tank,x\n0,a,1\n1,a,2\n", "line 2, column 'tank': holds texts ('a')"),
    "a short row": ("t,x\n0,1\n1\n2,3\n", "line 3: 1 value, but the header names 2 columns"),
    "a last line": ("t,x\n0,1\n1,2\n2 rows\n", "line 4: 1 value"),
    "a quote that stays open": ('t,x\n0,"1\n1,2\n', "line 2: not valid CSV (a quote is opened there"),
    "a quote and more": ('t,x\n0,"1"5\n1,2\n', "line 2: not valid CSV"),
    "names or values": ("a,1,2\nb,3,4\n", "line 1: has texts ('a') and numbers ('1')"),
    "a column without a name": ("t,x,\n0,1,2\n1,2,3\n", "line 1: a column has no name (number 3)"),
    "two readings of marks": ("1 234  5\n2 345  6\n", "may be separated by blanks or separated by two blanks or more"),
    "a time that falls back": ("t,x\n0,1\n1,2\n0,3\n", "line 4, column 't': the time falls back from 1 to 0"),
    "a time twice": ("t,x\n0,1\n1,2\n1,3\n", "line 4, column 't': 1 stands there twice (line 3)"),
    "a value twice": ("time,variable,value\n0,x,1\n0,x,2\n", "line 3, column 'time': 0 stands there twice (line 2)"),
    "a long table with more": ("time,variable,value,tank\n0,x,1,a\n1,x,2,a\n", "further columns (tank)"),
    "a workbook": (b"PK\x03\x04\x14\x00", "a workbook (Excel, LibreOffice)"),
    "a page": ("<html><body><table><tr><td>t</td></tr></table>", "HTML, XML or JSON"),
    "a page in parts": ("<div class='a'>\n<table><tr>", "HTML, XML or JSON"),
    "an array": (b"\x93NUMPY\x01\x00", "an array of NumPy"),
    "bytes": (bytes(range(256)), "is no text"),
}


@pytest.fixture
def bring(tmp_path):
    def bring(content, **options):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_time_series(path, **options)

    return bring


@pytest.mark.parametrize("name", READ)
def test_the_numbers_of_a_dialect_are_those_of_the_table(bring, name):
    content, told, other = READ[name]
    series = bring(content)
    assert series.t[0].tolist() == other.get("t", TIMES)
    expected = np.array([PG, ALGAE], dtype=float).T[:, :: -1 if other.get("reverse") else 1]
    assert np.array_equal(series.y[0], expected, equal_nan=True)
    assert series.names == other.get("names", ("PG", "algae"))
    assert series.shown[: len(other.get("shown", ()))] == other.get("shown", ())
    assert told in series.read_as


@pytest.mark.parametrize("name", REFUSED)
def test_what_may_be_read_in_two_ways_or_none_is_refused_in_one_line(bring, tmp_path, name):
    content, cause = REFUSED[name]
    with pytest.raises(InputError) as caught:
        bring(content)
    told = str(caught.value)
    assert told.startswith(str(tmp_path / "table.csv"))
    assert cause in told
    assert "\n" not in told


def test_there_are_fifty_dialects_and_more():
    assert len(READ) >= 50
    assert len(REFUSED) >= 30


def test_what_the_table_declares_decides_between_two_readings(bring):
    for mark, values in ((".", [1234, 2345, 987]), (",", [1.234, 2.345, 987])):
        series = bring(text(";", names=["t", "x"], body=AMBIGUOUS, before=f"decimal={mark}\n"))
        assert series.y[0][:, 0].tolist() == values
    with pytest.raises(InputError, match="'decimal=;' cannot be"):
        bring("decimal=;\nt;x\n0;1\n")


numbers = st.floats(allow_nan=False, allow_infinity=False)
plain = st.decimals(-100_000, 10_000_000, places=3).map(float) | st.integers(-5000, 5_000_000).map(float) | numbers


@st.composite
def dialects(draw):
    """Return what the writer of the table takes, and how the text becomes bytes."""
    separator = draw(st.sampled_from([",", ";", "\t", "|", " ", "  "]))
    decimal = draw(st.sampled_from([".", ","]))
    others = [mark for mark in ("", "", "'", ",", ".", " ", "\u00a0") if mark != decimal]
    blanks = separator.strip(" ") == ""
    thousands = draw(st.sampled_from([mark for mark in others if not (blanks and mark in (" ", "\u00a0"))]))
    if separator == "  " and (thousands or decimal == ","):
        decimal, thousands = ".", ""
    return (
        {
            "separator": separator,
            "decimal": decimal,
            "thousands": thousands,
            "names": draw(st.sampled_from([NAMES, NAMES, NAMES, None, ["t", "[PG]", "algae (10^6 cells/ml)"]]))
            if not blanks
            else NAMES,
            "end": draw(st.sampled_from(["\n", "\r\n", "\r"])),
            "before": draw(st.sampled_from(["", "# by hand\n", "\n\n", "# 1,5; 2\n# x\n"])),
            "behind": "" if blanks else draw(st.sampled_from(["", "", separator])),
            "quote": len(separator) == 1 and draw(st.booleans()),
            "units": None if blanks else draw(st.sampled_from([None, None, ["h", "µM", "-"]])),
        },
        draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "latin-1"])),
    )


def assert_one_line_about(path, error):
    """Being refused is as right as being read."""
    assert str(error).startswith(str(path))
    assert "\n" not in str(error)


@given(
    columns=st.lists(st.tuples(plain, plain), min_size=2, max_size=8),
    times=st.lists(plain, min_size=8, max_size=8, unique=True),
    dialect=dialects(),
)
@settings(deadline=None, max_examples=400)
def test_any_table_in_any_dialect_is_read_to_the_last_bit_or_refused(tmp_path_factory, columns, times, dialect):
    options, encoding = dialect
    times = sorted(times)[: len(columns)]
    marks = {key: options.pop(key) for key in ("decimal", "thousands")}
    body = [[number(v, **marks) for v in (t, *row)] for t, row in zip(times, columns, strict=True)]
    if options["names"] is None:
        options["units"] = None
    content = text(body=body, **options)
    path = tmp_path_factory.mktemp("any") / "table.csv"
    path.write_bytes(content.encode(encoding))
    try:
        series = read_time_series(path)
    except InputError as error:
        assert_one_line_about(path, error)
        # Nothing is ambiguous about points without marks between thousands, where columns have names.
        usual = marks == {"decimal": ".", "thousands": ""} and options["separator"] in (",", " ", "  ")
        code = "looks like a code" in str(error)
        assert code or not (usual and options["names"])
    else:
        assert series.t[0].tolist() == times
        assert series.y[0].tolist() == [list(row) for row in columns]


@st.composite
def disturbances(draw):
    """Return what somebody or a program does to a table beyond its dialect, of a list of rows of cells."""
    separator = draw(st.sampled_from([",", ";", "\t", "|", " "]))
    decimal = draw(st.sampled_from(".,"))
    style = draw(st.sampled_from(["repr", "short", ".3f", ".2f", ".16e", "power"]))
    return {
        "separator": separator,
        "decimal": decimal,
        "style": style,
        "thousands": draw(st.sampled_from([mark for mark in ("", "", "", ".", ",", "'") if mark != decimal])),
        "missing": draw(st.sampled_from(["NA", "-", "n.d.", "."])),
        "names": draw(
            st.sampled_from([["time", "x", "y"], ["Time (h)", "OD (a.u.)", "[PG]"], ["Zeit [s]", "T / K", "α"]])
        ),
        "header": draw(st.sampled_from([True, True, True, False])),
        "index": draw(st.sampled_from([None, None, "named", "unnamed"])),
        "careless": draw(st.sampled_from([False, False, True])),
        "quote": draw(st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_MINIMAL, csv.QUOTE_ALL])),
        "above": draw(st.sampled_from(["", "", "Ponds, in May", "Run 7§§", "Operator§me", "Key: 1\nKey: 2\nKey: 3"])),
        "below": draw(st.sampled_from(["", "", "§§", "Total§3", "end"])),
        "between": draw(st.sampled_from([None, None, "", "# 1,5; 2", "§§"])),
        "behind": draw(st.sampled_from(["", "", "§"])),
        "encoding": draw(st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])),
    }


def styled(value, style, decimal, thousands):
    """Return a number in a style, and what it is then."""
    if style == "power":
        factor, power = f"{value:.16e}".split("e")
        return f"{factor}×10^{int(power)}".replace(".", decimal), value
    written = repr(value) if style in ("repr", "short") else f"{value:{style}}"
    if style == "short" and written.endswith(".0"):
        written = str(int(value))
    kept = float(written)
    if thousands and "e" not in written:
        sign, (whole, mark, rest) = "-" * written.startswith("-"), written.lstrip("-").partition(".")
        return sign + f"{int(whole):,}".replace(",", thousands) + decimal * len(mark) + rest, kept
    return written.replace(".", decimal), kept


def disturbed(times, columns, how):
    """Return a table as somebody left it, and its times and values as they were written."""
    kept_times, kept, body = [], [], []
    for t, row in zip(times, columns, strict=True):
        cells = [
            styled(v, how["style"], how["decimal"], how["thousands"]) if v is not None else None for v in (t, *row)
        ]
        kept_times.append(cells[0][1])
        kept.append([np.nan if cell is None else cell[1] for cell in cells[1:]])
        body.append([how["missing"] if cell is None else cell[0] for cell in cells])
    lines = [*([how["names"]] if how["header"] else []), *body]
    if how["index"]:
        first = 1 if how["header"] else 0
        lines = [
            *([["", *lines[0]] if how["index"] == "named" else lines[0]] if first else []),
            *([str(i), *row] for i, row in enumerate(lines[first:])),
        ]
    separator = how["separator"]
    stream = io.StringIO()
    csv.writer(stream, delimiter=separator, quoting=how["quote"], lineterminator="\n").writerows(lines)
    written = [separator.join(row) for row in lines] if how["careless"] else stream.getvalue().splitlines()
    written = [line + how["behind"] for line in written]
    if how["between"] is not None:
        written.insert(len(written) // 2, how["between"])
    content = "\n".join(filter(None, [how["above"], *written, how["below"]]))
    return content.replace("§", separator).encode(how["encoding"]), kept_times, kept


@given(
    columns=st.lists(st.tuples(st.none() | plain, plain), min_size=3, max_size=6),
    times=st.lists(st.integers(0, 3_000_000), min_size=6, max_size=6, unique=True),
    per=st.sampled_from([1, 1, 10, 1000]),
    how=disturbances(),
)
@settings(deadline=None, max_examples=400)
def test_a_table_that_people_and_programs_touched_is_read_as_it_was_written_or_refused(
    tmp_path_factory, columns, times, per, how
):
    content, kept_times, kept = disturbed([t / per for t in sorted(times)[: len(columns)]], columns, how)
    # A row of 1.234 and nothing that says whether points divide thousands is what CSV has points for.
    told = how["decimal"] == "." or how["thousands"] != "."
    path = tmp_path_factory.mktemp("any") / "table.csv"
    path.write_bytes(content)
    try:
        series = read_time_series(path)
    except InputError as error:
        assert_one_line_about(path, error)
    else:
        if told or how["separator"] not in (",", " "):
            assert series.t[0].tolist() == kept_times
            assert np.array_equal(series.y[0], np.array(kept, dtype=float), equal_nan=True)


@given(content=st.text('tx0123456789.,;:\t\n "-/#eE<%_', max_size=60))
@settings(deadline=None, max_examples=400)
def test_any_text_is_refused_in_one_line_or_gives_the_numbers_that_stand_there(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("any") / "table.csv"
    path.write_text("t,x\n" + content, newline="")
    try:
        series = read_time_series(path)
    except InputError as error:
        assert_one_line_about(path, error)
    else:
        for t, y in zip(series.t, series.y, strict=True):
            assert np.isfinite(t).all()
            assert (np.diff(t) > 0).all()
            assert not np.isinf(y).any()
