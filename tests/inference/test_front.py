"""Pareto fronts, against every pair compared."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.inference import front

VALUES = st.one_of(st.integers(0, 6).map(float), st.just(np.nan))


@given(st.lists(st.tuples(VALUES, VALUES), max_size=30))
def test_no_other_is_as_good_in_both_and_better_in_one(rows):
    values = np.array(rows, float).reshape(-1, 2)
    known = [k for k in range(len(values)) if np.isfinite(values[k]).all()]
    best = {
        tuple(values[k])
        for k in known
        if not any((values[j] >= values[k]).all() and (values[j] > values[k]).any() for j in known)
    }
    found = values[front(values)]
    assert {tuple(row) for row in found} == best
    assert len(found) == len(best)
    assert (np.diff(found[:, 0]) < 0).all()
    assert (np.diff(found[:, 1]) > 0).all()


def test_of_one_value_it_is_the_largest():
    assert front(np.array([[1.0], [np.nan], [3.0], [2.0]])).tolist() == [2]
    assert front(np.empty((0, 1))).tolist() == []
