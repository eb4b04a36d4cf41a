"""Searches for the largest value, against maxima that are known."""

import numpy as np
import pytest

from mechscreen.inference import climb

TOP = np.array([0.3, 0.8, 0.55])


def bowl(positions, owner):
    # Steeper along one axis than another, and turned.
    away = positions - TOP[: positions.shape[1]]
    return 2.0 - 10 * (away[:, 0] + away[:, -1]) ** 2 - (away**2).sum(axis=1)


def rngs(n, seed=0):
    return [np.random.default_rng([seed, k]) for k in range(n)]


def run(value, starts, free=None, steps=300):
    starts = np.array(starts, float)
    free = np.ones(starts.shape[1], bool) if free is None else free
    return climb(value, starts, free, steps, rngs(len(starts)))


def test_the_top_of_a_bowl_is_found_from_anywhere():
    found = run(bowl, np.random.default_rng(1).random((6, 3)))
    np.testing.assert_allclose(found.positions, np.tile(TOP, (6, 1)), atol=2e-3)
    assert found.values == pytest.approx(2.0, abs=1e-4)
    assert found.done.all()
    assert (found.values >= found.before).all()
    assert (found.looked > 50).all()


def test_one_parameter_is_enough():
    found = run(lambda x, owner: -((x[:, 0] - 0.3) ** 2), [[0.9], [0.1]])
    np.testing.assert_allclose(found.positions[:, 0], 0.3, atol=1e-3)


def test_a_top_beyond_the_range_is_sought_at_its_end():
    found = run(lambda x, owner: x[:, 0] - x[:, 1], [[0.2, 0.2], [0.9, 0.9]])
    np.testing.assert_allclose(found.positions, [[1, 0], [1, 0]], atol=1e-3)
    assert ((found.positions >= 0) & (found.positions <= 1)).all()


def test_what_has_no_value_is_gone_around():
    def value(x, owner):
        return np.where(x[:, 0] > 0.5, np.nan, x[:, 0] - (x[:, 1] - 0.4) ** 2)

    found = run(value, [[0.1, 0.9], [0.7, 0.4]])
    np.testing.assert_allclose(found.positions, [[0.5, 0.4]] * 2, atol=5e-3)
    assert found.before[1] == -np.inf


def test_where_nothing_has_a_value_a_search_ends_where_it_began():
    found = run(lambda x, owner: np.full(len(x), np.nan), [[0.25, 0.5]])
    np.testing.assert_array_equal(found.positions, [[0.25, 0.5]])
    assert found.values == -np.inf


def test_what_is_not_free_stays():
    starts = [[0.9, 0.1, 0.9], [0.1, 0.2, 0.1]]
    found = run(bowl, starts, free=np.array([True, False, True]))
    np.testing.assert_array_equal(found.positions[:, 1], [0.1, 0.2])
    assert found.values == pytest.approx(2.0 - (found.positions[:, 1] - 0.8) ** 2, abs=1e-3)
    none = run(bowl, starts, free=np.zeros(3, bool))
    np.testing.assert_array_equal(none.positions, starts)
    assert none.done.all()


def test_a_search_is_the_same_alone_and_beside_others():
    starts = np.random.default_rng(2).random((4, 3))
    together = run(bowl, starts)
    alone = climb(bowl, starts[2:3], np.ones(3, bool), 300, rngs(4)[2:3])
    np.testing.assert_array_equal(alone.positions[0], together.positions[2])
    again = run(bowl, starts)
    np.testing.assert_array_equal(again.positions, together.positions)


def test_each_search_has_what_it_is_asked_for():
    def value(x, owner):
        return -((x - np.array([0.2, 0.7])[owner, None]) ** 2).sum(axis=1)

    found = run(value, [[0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_allclose(found.positions, [[0.2, 0.2], [0.7, 0.7]], atol=2e-3)


def test_a_search_that_is_cut_short_says_so():
    assert not run(bowl, [[0.9, 0.1, 0.9]], steps=5).done.any()
