"""A search that is ended in time, and what it shows."""

import io

import numpy as np
import pytest

from discovery_study.cases import get_case
from mechscreen import InputError
from mechscreen.discovery import discover
from mechscreen.discovery.watch import Watch
from mechscreen.progress import Progress


def test_without_a_limit_it_is_never_late():
    watch = Watch()
    assert not watch.late
    assert watch.caveats == ()


def test_nothing_is_said_where_nobody_had_to_stop():
    assert Watch(1e-9).caveats == ()


def test_once_late_it_says_what_may_be_missing():
    watch = Watch(1e-9)
    assert watch.late
    assert watch.caveats == ("the search was ended after 0.0 s: it may have missed better equations",)


def test_a_search_that_is_ended_returns_the_best_it_has_with_a_caveat():
    t, y = get_case("lorenz-short").observe(0, noise=0.2)
    ended = discover(t, y, time_limit=1e-6)
    assert ended.caveats[-1].startswith("the search was ended after 0.0 s")
    assert np.isfinite(ended.coefficients).all()
    whole = discover(t, y)
    assert not any("was ended" in caveat for caveat in whole.caveats)
    assert whole.criterion <= ended.criterion


def test_enough_time_changes_nothing():
    t, y = get_case("cycle").observe(0, step=0.5)
    assert discover(t, y, time_limit=1e6).coefficients.tobytes() == discover(t, y).coefficients.tobytes()


def test_a_network_has_no_limit():
    t, y = get_case("cycle").observe(0, step=0.5)
    with pytest.raises(InputError, match="a time limit goes with the default method"):
        discover(t, y, method="odenet", time_limit=60.0)


def test_models_are_counted_as_they_are_fitted():
    shown = Progress(None, "discover", "models fitted", stream=io.StringIO())
    discover(*get_case("cycle").observe(0, step=0.5), progress=shown)
    assert shown.count > 1
