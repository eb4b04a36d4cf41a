"""Levels of probability."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen import odds


@given(st.floats(1e-9, 1 - 1e-9))
def test_a_probability_is_in_the_level_whose_ends_are_about_it(p):
    level = int(odds.levels_of(np.array([p]))[0])
    assert odds.EDGES[level] <= p * (1 + 1e-9)
    if level + 1 < odds.LEVELS:
        assert p <= odds.EDGES[level + 1] * (1 + 1e-9)
        # What the mean says of it is right within a twentieth of its odds.
        if level:
            assert np.log(odds.MEANS[level] / (1 - odds.MEANS[level]) * (1 - p) / p) == pytest.approx(0, abs=0.051)


def test_strata_are_levels_that_follow_one_another_and_one_begins_where_hits_may():
    assert np.all(np.diff(odds.STRATUM_OF) >= 0)
    assert set(odds.STRATUM_OF) == set(range(odds.STRATA))
    assert odds.STRATUM_OF[odds.LIKELY] == odds.STRATUM_OF[odds.LIKELY - 1] + 1
    assert odds.EDGES[odds.LIKELY] == pytest.approx(1 / (1 + np.exp(3)))


@given(st.lists(st.integers(0, 1000), min_size=odds.LEVELS, max_size=odds.LEVELS), st.floats(0.06, 0.99))
def test_kept_levels_are_as_many_as_are_right_with_the_confidence(counts, confidence):
    counts = np.array(counts)

    def mean(level):
        return (counts * odds.MEANS)[level:].sum() / max(1, counts[level:].sum())

    limit = odds.limit_for(counts, confidence)
    enough = [level for level in range(odds.LIKELY, odds.LEVELS) if counts[level:].sum() and mean(level) >= confidence]
    assert limit == (min(enough) if enough else odds.LEVELS)


def test_where_nothing_is_probable_there_are_no_hits():
    counts = np.zeros(odds.LEVELS, np.int64)
    assert odds.limit_for(counts, 0.5) == odds.LEVELS
    counts[: odds.LIKELY] = 10**9
    assert odds.limit_for(counts, 0.06) == odds.LEVELS
