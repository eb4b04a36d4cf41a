import pytest

from mechscreen.reasons import Reasons


def counted(*reasons):
    found = Reasons()
    for reason in reasons:
        found.add("ERROR", reason)
    return [(reason, count) for _, reason, count in found.listed()]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("output 'b' is -0.5123 at point 7: clip it", "output 'b' is -4e-05 at point 31: clip it"),
        ("t=1.5e-3s", "t=20s"),
        ("x = [1. 2.5]", "x = [.5 −3.25]"),
        ("no result within 1 s", "no result within 20.5 s"),
        ("step-12 of 100", "step-3 of 100"),
    ],
)
def test_reasons_that_differ_in_numbers_alone_are_one_and_the_first_stands_for_them(first, second):
    assert counted(first, second, first) == [(first, 3)]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("output 'u1' is -1 at point 7", "output 'u2' is -1 at point 7"),
        ("output 'b' is nan at point 7", "output 'b' is inf at point 7"),
        ("version v1.5", "version v1.6"),
        ("does not converge", "does not end"),
    ],
)
def test_reasons_that_differ_in_names_or_words_stay_apart(first, second):
    assert counted(first, second, second) == [(second, 2), (first, 1)]


def test_the_same_reason_of_two_statuses_stays_apart_and_counts_add_up():
    found = Reasons()
    found.add("NEGATIVE", "at point 3", 4)
    found.add("ERROR", "at point 3")
    found.add("NEGATIVE", "at point 5", 2)
    assert found.listed() == [("NEGATIVE", "at point 3", 6), ("ERROR", "at point 3", 1)]
    assert found.total == 7


def test_nothing_counted_is_nothing_listed():
    assert Reasons().listed() == []
    assert Reasons().total == 0
