"""Timed cases: each is there, runs as a process of its own by either version, and a lack of time is told."""

from pathlib import Path

import numpy as np
import pytest

import mechscreen
from discovery_study import speed
from mechscreen import InputError
from mechscreen.discovery import Polynomial

SOURCE = Path(mechscreen.__file__).parents[1]


@pytest.mark.parametrize("name", speed.SLOW)
def test_slow_cases_are_finite_and_the_same_each_time(name):
    case, again = speed.timed(name, 0), speed.timed(name, 1)
    terms = len(Polynomial(case.degree).bind(case.data.names))
    for t, y, other in zip(case.data.t, case.data.y, again.data.y, strict=True):
        assert y.shape == (len(t), len(case.data.names))
        assert np.isfinite(y).all()
        np.testing.assert_array_equal(y, other)
    assert sum(map(len, case.data.t)) >= terms


def test_documented_rows_are_those_of_the_docs():
    text = (Path(__file__).parents[2] / "docs/measured/discovery.md").read_text()
    for name in speed.DOCUMENTED:
        assert f"\n| {name} | " in text
    assert [row for row in text.split("## Side by side")[0].split("\n") if row.startswith("| ") and "/100 [" in row]


def test_a_case_is_timed_by_this_version_and_another(monkeypatch):
    monkeypatch.setattr(speed, "checkout", lambda commit: SOURCE.parent)
    row = speed.measure("cycle-step-0.5", 0, limit=120)
    assert row["right"]
    assert row["right_before"]
    assert row["error"] == row["error_before"] < 0.05
    assert row["ratio"] == pytest.approx(row["seconds"] / row["seconds_before"])


def test_what_takes_longer_is_told_and_has_no_ratio(monkeypatch):
    monkeypatch.setattr(speed, "checkout", lambda commit: SOURCE.parent)
    row = speed.measure("columns", 1, limit=1)
    assert row["failed"] == row["failed_before"] == "took longer than 1 s"
    assert row["ratio"] is None


def test_a_case_or_commit_that_is_not_there_is_refused():
    with pytest.raises(InputError, match="did you mean 'scales'"):
        speed.timed("scale", 0)
    with pytest.raises(InputError, match="the speed needs that commit"):
        speed.checkout("none-such")
