import numpy as np
import pytest

from mechscreen import odds
from mechscreen.figures import confidence
from mechscreen.strata import Strata


def surveyed(kept_from=2, strata=4):
    """Arguments for `choices`."""
    part = slice(0, strata)
    sizes, looked, found = np.array([[100_000, 1000, 800, 600], [5000, 500, 400, 300], [1, 105, 275, 294]])[:, part]
    least = odds.EDGES[[0, odds.LIKELY, odds.LIKELY + 30, odds.LIKELY + 60]][part]
    return (
        Strata(sizes, looked, found),
        np.array([1e-4, 0.2, 0.7, 0.98])[part],
        least,
        (np.arange(4) >= kept_from)[part],
    )


def test_what_could_be_kept_is_told_from_the_most_probable_on(shown):
    found = confidence.choices(*surveyed())
    assert [one.hits for one in found] == [600, 1400, 2400]
    assert [one.chosen for one in found] == [False, True, False]
    right = np.array([588, 550 + 588, 210 + 550 + 588])
    assert [one.right.value for one in found] == pytest.approx(right / [600, 1400, 2400], abs=0.02)
    assert [one.found.value for one in found] == pytest.approx(right / (right[-1] + 15), abs=0.02)
    text = shown(confidence.draw(*surveyed()))
    for word in ("share of the target that is found", "share of the hits that are right", "this screen"):
        assert word in text
    assert confidence.caption(*surveyed()).startswith("95.0 % right: 4")
    assert "80.0 % right: 8" in confidence.caption(*surveyed())


def test_where_the_screen_keeps_nothing_it_has_no_mark_and_where_nothing_is_likely_that_is_said(shown):
    assert "this screen" not in shown(confidence.draw(*surveyed(kept_from=4)))
    none = surveyed(kept_from=4, strata=1)
    assert "No set has a probability" in shown(confidence.draw(*none))
    assert confidence.caption(*none) == "95.0 % right: nothing; 80.0 % right: nothing; 50.0 % right: nothing."
