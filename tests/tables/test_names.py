"""What columns are called."""

import keyword
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.tables.names import is_time, same_unit, short_name, short_names, split_unit


@pytest.mark.parametrize(
    ("label", "short", "unit"),
    [
        ("x", "x", ""),
        ("[PG]", "PG", ""),
        ("[PG] (µM)", "PG", "µM"),
        ("algae (10^6 cells/ml)", "algae", "10^6 cells/ml"),
        ("cell density [1/ml]", "cell_density", "1/ml"),
        ("T / K", "T", "K"),
        ("A/B", "A_B", ""),
        ("NH4+", "NH4", ""),
        ("2nd", "x_2nd", ""),
        ("α", "α", ""),
        ("x₂", "x2", ""),
        ("(a)", "a", ""),
        ("%", "x", ""),
    ],
)
def test_labels_have_short_names_and_units(label, short, unit):
    assert short_name(label) == short
    assert split_unit(label)[1] == unit


@given(st.lists(st.text(min_size=1, max_size=8) | st.sampled_from(["x", "x (a)", "x (b)", "x_2", "[x]"]), unique=True))
def test_short_names_are_identifiers_and_each_is_there_once(labels):
    names = short_names(labels)
    assert all(name.isidentifier() for name in names)
    assert len(set(names)) == len(labels)
    assert all(name == label for name, label in zip(names, labels, strict=True) if label.isidentifier())


TIMES = """
t, time, Time (h), TIME, Zeit, Zeit [s], day, Days, t [min], time_h, time in hours, Datum, elapsed_time, timestamp
Elapsed time (s), sampling time, Date/Time, temps (h), t/s, time - h
"""


@pytest.mark.parametrize("label", re.split(r", |\n", TIMES.strip()))
def test_what_is_plainly_a_time(label):
    assert is_time(label)


@pytest.mark.parametrize(
    "label", ["T", "x", "lifetime", "time_to_peak", "t2", "h", "min", "s", "temperature", "daylight", "tag_count", ""]
)
def test_what_is_none(label):
    assert not is_time(label)


def test_units_are_alike_however_micro_and_blanks_are_written():
    assert same_unit("µM", "μM")
    assert same_unit("[10^6 / ml]", "10^6/ml")
    assert not same_unit("µM", "nM")
    assert not same_unit("10⁶", "106")
    assert not keyword.iskeyword(short_name("x (a)"))
