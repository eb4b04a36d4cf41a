import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.figures.text import count, duration, number, percent, plain


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.012345, "0.0123"),
        (12345.6, "12,346"),
        (1.5e-7, "1.5·10⁻⁷"),
        (-3e12, "-3·10¹²"),
        (math.nan, "not defined"),
    ],
)
def test_number_has_three_digits(value, text):
    assert number(value) == text


def test_count_takes_the_plural():
    assert [count(0, "hit"), count(1, "hit"), count(1204, "hit")] == ["0 hits", "1 hit", "1,204 hits"]
    assert count(2, "class", "classes") == "2 classes"


@given(st.floats(0, 1))
def test_percent_says_0_or_100_only_of_nothing_and_everything(share):
    shown = float(percent(share).removesuffix(" %"))
    if 1e-7 < share < 1 - 1e-7:
        assert 0 < shown < 100
    assert abs(shown - 100 * share) <= 0.051


def test_symbols_are_readable_without_mathematics():
    assert plain(r"$\alpha_T$") == "α_T"
    assert plain(r"$K_\varphi$") == "K_φ"
    assert plain(r"$\alpha_\Lambda$") == "α_Λ"
    assert plain("$K_{on}$") == "K_on"
    assert plain(r"\unknown") == r"\unknown"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (9.96, "10 s"),
        (59.6, "1 min 0 s"),
        (227, "3 min 47 s"),
        (3599.9, "1 h 0 min"),
        (7980, "2 h 13 min"),
    ],
)
def test_durations_carry_over(seconds, text):
    assert duration(seconds) == text
