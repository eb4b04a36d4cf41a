"""Where searches begin that go on from others."""

import numpy as np

from mechscreen.inference import redrawn

RNG = np.random.default_rng


def test_two_to_six_of_what_varies_are_those_of_the_draw():
    drawn, varied = RNG(0).random((500, 12)), np.arange(12) >= 3
    position = RNG(1).random(12)
    found = redrawn(position, drawn, varied, RNG(2))
    anew = found != position
    np.testing.assert_array_equal(found[anew], drawn[anew])
    assert not anew[:, :3].any()
    assert set(anew.sum(axis=1)) == {2, 3, 4, 5, 6}
    # Each as often as any other one.
    assert np.ptp(anew[:, 3:].mean(axis=0)) < 0.12


def test_of_a_single_parameter_it_is_that_one():
    found = redrawn(np.zeros(2), np.ones((5, 2)), np.array([False, True]), RNG(0))
    np.testing.assert_array_equal(found, np.tile([0.0, 1.0], (5, 1)))


def test_the_same_random_numbers_give_the_same():
    drawn, varied = RNG(0).random((9, 4)), np.ones(4, bool)
    np.testing.assert_array_equal(*(redrawn(np.zeros(4), drawn, varied, RNG(7)) for _ in range(2)))
