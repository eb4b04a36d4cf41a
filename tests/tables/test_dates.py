"""Dates and times of the day as numbers."""

import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.errors import InputError
from mechscreen.tables.dates import are_dates, to_times


def read(*cells, label="time"):
    assert are_dates(cells)
    return to_times(cells, label, lambda row: f"line {row + 2}")


@pytest.mark.parametrize(
    ("cells", "values", "unit", "origin"),
    [
        (["2021-03-04", "2021-03-06"], [0, 2], "days", "2021-03-04 00:00"),
        (["2021/3/4 1:00", "2021/3/4 13:30"], [0, 12.5], "hours", "2021-03-04 01:00"),
        (["2021-03-04T00:00:00Z", "2021-03-04T00:30:00Z"], [0, 30], "minutes", "2021-03-04 00:00 UTC"),
        (["2021-03-04T00:00:01.5", "2021-03-04T00:00:03"], [0, 1.5], "seconds", "2021-03-04 00:00:01.5"),
        (["28.02.2021", "01.03.2021"], [0, 24], "hours", "2021-02-28 00:00"),
        (["02/28/2021", "03/02/2021"], [0, 2], "days", "2021-02-28 00:00"),
        (["28-02-2021", "02-03-2021"], [0, 2], "days", "2021-02-28 00:00"),
        (["4 Mar 2021", "6-March-2021"], [0, 2], "days", "2021-03-04 00:00"),
        (["Mar 4, 2021 12:00 AM", "Mar. 4 2021 12:00 PM"], [0, 12], "hours", "2021-03-04 00:00"),
        (["2021-03-06", "2021-03-04"], [2, 0], "days", "2021-03-04 00:00"),
        (["2021-03-28T01:30:00+01:00", "2021-03-28T03:30:00+02:00"], [0, 60], "minutes", "2021-03-28 00:30 UTC"),
        (["2021-03-04 23:00-0500", "2021-03-05 04:30 UTC"], [0, 30], "minutes", "2021-03-05 04:00 UTC"),
        (["10:00:00", "34:00:00"], [10, 34], "hours", "00:00"),
        (["0 days 00:00:30", "1 day, 00:00:30"], [30 / 3600, 24 + 30 / 3600], "hours", "00:00"),
        (["1. März 2020", "4. Mrz. 2020", "1. Mai 2020"], [0, 3, 61], "days", "2020-03-01 00:00"),
        (["30. Dez 2020", "1. Jänner 2021", "5-Januar-2021"], [0, 2, 6], "days", "2020-12-30 00:00"),
        (["1er février 2021", "3 août 2021"], [0, 183], "days", "2021-02-01 00:00"),
        (["1 de enero de 2021", "4 de mayo de 2021"], [0, 123], "days", "2021-01-01 00:00"),
        (["1st March 2021", "4th March 2021"], [0, 3], "days", "2021-03-01 00:00"),
        (["2021-Mar-01", "2021 May 1"], [0, 61], "days", "2021-03-01 00:00"),
        (["11:00:00 AM", "12:00:00 PM", "1:30:00 PM"], [11, 12, 13.5], "hours", "00:00"),
        (["12:00:00 am", "12:00:00 PM"], [0, 12], "hours", "00:00"),
        (["01.05.2020 08:00 Uhr", "01.05.2020 12:30 Uhr"], [0, 4.5], "hours", "2020-05-01 08:00"),
        (["05/05/2021", "06/06/2021"], [0, 32], "days", "2021-05-05 00:00"),
    ],
)
def test_dates_are_told_apart_and_reckoned(cells, values, unit, origin):
    found = read(*cells)
    assert found.values.tolist() == values
    assert (found.unit, found.origin) == (unit, origin)


def test_two_parts_of_a_time_are_what_the_label_says():
    assert read("00:30", "01:00", label="time (hh:mm)").values.tolist() == [30, 60]
    assert read("00:30", "01:00.5", label="Zeit [mm:ss]").values.tolist() == [30, 60.5]
    with pytest.raises(InputError, match="hours and minutes, or minutes and seconds"):
        read("00:30", "01:00", label="time (hh:mm:ss)")


@pytest.mark.parametrize(
    ("cells", "cause"),
    [
        (
            ["01/02/2021", "03/02/2021"],
            "line 2: '01/02/2021' may be 2021-02-01 (day first) or 2021-01-02 (month first)",
        ),
        (["01-02-2021"], "may be 2021-02-01"),
        (["13/01/2021", "01/13/2021"], "line 3: '01/13/2021' has the month first, but '13/01/2021' the day (line 2)"),
        (["01.13.2021", "13.01.2021"], "has the month first"),
        (["1.2.21"], "a year of two digits"),
        (["2021-02-30"], "'2021-02-30' is no date"),
        (["2021-02-03 25:00"], "is no date"),
        (["2021-02-03 13:00 PM"], "is no time of the day"),
        (["13:00:00 PM"], "is no time of the day"),
        (["2021-02-03", "10:00:00"], "line 3: '10:00:00' is written otherwise than '2021-02-03'"),
        (["2021-02-03T00:00Z", "2021-02-03T01:00"], "line 3: '2021-02-03T01:00' has a time zone, or lacks"),
    ],
)
def test_two_readings_and_none_are_refused(cells, cause):
    with pytest.raises(InputError, match=re.escape(cause)):
        read(*cells)


@pytest.mark.parametrize(
    "cell",
    [
        "20210304",
        "44259.5",
        "2021",
        "2021-03",
        "12",
        "1.5",
        "Monday",
        "",
        "2021-W09",
        "Mai 2020",
        "1-Jan",
        "1 Marx 2020",
    ],
)
def test_numbers_and_words_are_no_dates(cell):
    assert not are_dates([cell])


moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1))


@given(st.lists(moments, min_size=2, max_size=5), st.integers(-23, 23))
def test_differences_are_those_of_the_clock(given_moments, hours):
    zone = timezone(timedelta(hours=hours))
    cells = [moment.replace(tzinfo=UTC).astimezone(zone).isoformat() for moment in given_moments]
    found = read(*cells)
    unit = timedelta(**{found.unit: 1})
    first = min(given_moments)
    assert found.values.tolist() == [
        # To the last bit: the ratio of two whole numbers, rounded once.
        ((moment - first) // timedelta(microseconds=1)) / (unit // timedelta(microseconds=1))
        for moment in given_moments
    ]
