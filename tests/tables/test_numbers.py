"""What is a number, and by which notation."""

import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.errors import InputError
from mechscreen.tables.numbers import (
    Notation,
    fill_value,
    is_beyond,
    is_missing,
    may_be_number,
    notation,
    points_that_may_divide,
)


def find(*cells, **options):
    return notation(cells, lambda cell: "here", **options)


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("7", 7.0),
        ("-7.", -7.0),
        (".5", 0.5),
        ("+1e-3", 0.001),
        ("1.5D+03", 1500.0),
        ("−2.5", -2.5),
        ("–2.5E−1", -0.25),
        ("1 234 567.5", 1234567.5),
        ("1'234", 1234.0),
        ("007", 7.0),
        ("1\u2007234.5", 1234.5),
        ("1.5×10^3", 1500.0),
        ("1.5 x 10^-3", 0.0015),
        ("−2·10⁻⁷", -2e-7),
        ("9" * 400, float("inf")),
    ],
)
def test_numbers_with_points(cell, value):
    assert Notation().parse(cell) == value


NONE = """
1_234 _1 1__0 1.5e1_0 inf nan infinity 0x10 0b1 1j 1e e5 1e5.5 1,5 1,234 1.2.3 - + . １２ ٣ 1/2 12% $1 1- (1) 10^6 1×10
x10^3 1e2×10^3 1.5×10^ 1.5×10^3^2 1.5×10^2.5
"""


@pytest.mark.parametrize("cell", [*NONE.split(), "", "1.5 ", " 1", "1 23", "12 34", "1' 234"])
def test_what_is_none(cell):
    assert Notation().parse(cell) is None
    assert cell in ("1,5", "1,234") or not may_be_number(cell)


@given(st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([".", ","]))
def test_what_python_writes_is_read_to_the_last_bit(value, decimal):
    assert Notation(decimal).parse(repr(value).replace(".", decimal)) == value


@given(
    st.integers(-(10**15), 10**15), st.sampled_from([(".", ","), (",", "."), (",", " "), (".", "'"), (",", "\u202f")])
)
def test_thousands_are_divided_in_threes(number, marks):
    decimal, group = marks
    cell = f"{number:,}".replace(",", group) + f"{decimal}25"
    expected = float(Fraction(number) + (Fraction(1, 4) if number >= 0 else Fraction(-1, 4)))
    assert Notation(decimal, groups=True).parse(cell) == expected
    if group in ".," and abs(number) >= 1000:
        assert Notation(decimal).parse(cell) is None


@given(st.text("0123456789.,-+eE_' ", max_size=12))
def test_a_number_has_one_reading_by_each_notation_or_none(cell):
    for mark in ".,":
        found = Notation(mark).parse(cell)
        assert found is None or "_" not in cell
        if found is not None and re.fullmatch(r"[^ ']*", cell):
            assert found == float(cell.replace(mark, "."))


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (["1", "2"], Notation(".")),
        (["0.5", "1.234"], Notation(".")),
        (["0,5", "1,234"], Notation(",")),
        (["1,234.5", "2,345"], Notation(".", groups=True)),
        (["1.234,5", "2.345"], Notation(",", groups=True)),
        (["1,234,567"], Notation(".", groups=True)),
        (["1 234,5"], Notation(",")),
        (["1,5e3"], Notation(",")),
        (["0,123"], Notation(",")),
        (["1,5×10^3", "7"], Notation(",")),
        (["1234,567"], Notation(",")),
        (["2021-03-04", "a,b", "1.2.3"], Notation(".")),
    ],
)
def test_the_table_shows_how_its_numbers_are_written(cells, expected):
    assert find(*cells) == find(*reversed(cells)) == expected


@pytest.mark.parametrize(
    ("cells", "cause"),
    [
        (["1,234"], "'1,234' may be 1234 or 1.234"),
        (["1.234"], "'1.234' may be 1234 or 1.234"),
        (["-12,345", "7"], "'-12,345' may be -12345 or -12.345"),
        (["0.5", "1,234"], "'1,234' may be 1234 or 1.234"),
        (["0,5", "1.234"], "'1.234' may be 1234 or 1.234"),
        (["0,5", "0.5"], "'0.5' has a decimal point, but '0,5' a decimal comma"),
        (["1,234,567", "0,5"], "'1,234,567' has a decimal point, but '0,5' a decimal comma"),
    ],
)
def test_two_readings_are_refused(cells, cause):
    for given_cells in (cells, cells[::-1]):
        with pytest.raises(InputError, match=re.escape(cause)):
            find(*given_cells)


def test_what_is_declared_decides_and_points_may_be_usual():
    assert find("1,234", declared=".") == Notation(".", groups=True)
    assert find("1,234", declared=",") == Notation(",")
    assert find("1.234", points_are_usual=True) == Notation(".")
    with pytest.raises(InputError):
        find("1,234", points_are_usual=True)


def test_what_stands_for_no_value():
    assert all(map(is_missing, ["", "NA", "n.d.", "NaN", "-", "#N/A", "None", ".", "#NV", "#WERT!", r"\N", "k. A."]))
    assert not any(map(is_missing, ["0", "x", "<1", "n"]))
    assert all(map(is_beyond, ["<0.25", "< 0,25", "≤1e-3", ">100", "<LOD", "BDL", "b.d.l."]))
    assert not any(map(is_beyond, ["<", "<b>", "0.25", "NA", "<1_0"]))


def test_points_may_divide_thousands_where_whole_numbers_stand_beside_them():
    assert points_that_may_divide([["950", "1.234"]]) == "1.234"
    assert points_that_may_divide([["7", "8"], ["5", "1.200", "3.456"]]) == "1.200"
    for plain in (
        [["950", "1.234", "0.5"]],
        [["950", "1.234"], ["0.500"]],
        [["12", "1.234"]],
        [["1.200", "3.400"], ["950", "7"]],
        [["950", "1000"]],
    ):
        assert points_that_may_divide(plain) is None


def test_codes_for_missing_values_are_far_from_all_others():
    assert fill_value(["1", "-999", "3"], [1.0, -999.0, 3.0]) == "-999"
    assert fill_value(["1", "9999.0", "3"], [1.0, 9999.0, 3.0]) == "9999.0"
    assert fill_value(["-5", "-999", "3"], [-5.0, -999.0, 3.0]) is None
    assert fill_value(["998", "999", "1000"], [998.0, 999.0, 1000.0]) is None
    assert fill_value(["1", "-9.99e2"], [1.0, -999.0]) is None
    assert fill_value(["-999"], [-999.0]) is None
    assert fill_value(["0.5", "-99", "3"], [0.5, -99.0, 3.0]) == "-99"
    assert fill_value(["-50", "-99", "3"], [-50.0, -99.0, 3.0]) is None
    for code in ("1e20", "-1E+30", "9.969209968386869e+36", "3.4028235e38", "1.7976931348623157e308"):
        assert fill_value(["0.5", code], [0.5, float(code)]) == code
        assert fill_value(["1e19", code], [1e12 * abs(float(code)), float(code)]) is None
