"""Walkers, against distributions that are known."""

import numpy as np
import pytest
from scipy import stats

from mechscreen.inference import Walkers, credible, independent, walkers_of

COVARIANCE = np.array([[0.01, 0.008], [0.008, 0.01]])
MEAN = np.array([0.5, 0.45])
NORMAL = stats.multivariate_normal(MEAN, COVARIANCE)


def walk(log_posterior, steps, d=2, seed=1, number=None):
    number = number or walkers_of(d)
    places = np.random.default_rng(seed).random((number, d))
    walkers = Walkers(number, d, log_posterior, seed)
    logs, chain = log_posterior(places), []
    for after, _, _ in walkers.walk(places, logs):
        chain.append(after)
        if len(chain) == steps:
            return np.array(chain)
    return None


def test_a_normal_distribution_is_sampled_with_its_moments():
    counts, times, number = independent(walk(NORMAL.logpdf, 4000))
    assert number > 2000
    draws = counts.reshape(-1, 2)
    # Cut at the ends of the cube, five deviations away.
    assert draws.mean(axis=0) == pytest.approx(MEAN, abs=0.1 * 0.1)
    assert np.cov(draws.T) == pytest.approx(COVARIANCE, rel=0.1)
    assert (times > 1).all()


def test_two_peaks_far_apart_keep_their_shares():
    def two(x):
        parts = [np.log(share) - ((x[:, 0] - at) / 0.02) ** 2 / 2 for share, at in ((0.7, 0.2), (0.3, 0.8))]
        return np.logaddexp(*parts)

    counts, _, number = independent(walk(two, 6000, d=1))
    assert number > 100
    assert (counts < 0.5).mean() == pytest.approx(0.7, abs=4 * np.sqrt(0.21 / number))


def test_nothing_is_asked_for_outside_of_the_cube():
    def corner(x):
        assert ((x >= 0) & (x < 1)).all()
        return -10 * x.sum(axis=1)

    counts, _, _ = independent(walk(corner, 2000))
    # An exponential, cut at 1.
    assert counts.mean() == pytest.approx(0.1 - 1 / np.expm1(10), rel=0.05)


def test_a_chain_that_was_stopped_goes_on_as_if_it_was_not():
    places = np.random.default_rng(0).random((32, 2))
    whole, parts = Walkers(32, 2, NORMAL.logpdf, 7), Walkers(32, 2, NORMAL.logpdf, 7)
    at_once = [next(steps) for steps in [whole.walk(places, NORMAL.logpdf(places))] for _ in range(20)]
    here, logs = places, NORMAL.logpdf(places)
    for k in range(20):
        anew = Walkers(32, 2, NORMAL.logpdf, 7)
        anew.random = parts.random
        here, logs, _ = next(anew.walk(here, logs))
        parts = anew
        np.testing.assert_array_equal(here, at_once[k][0])


def test_of_a_chain_that_is_too_short_nothing_is_said():
    assert independent(walk(NORMAL.logpdf, 60))[2] == 0


def test_what_reaches_an_end_of_its_range_is_not_determined_there():
    rng = np.random.default_rng(0)
    inside = np.clip(rng.normal(0.5, 0.05, 4000), 0, 1)
    unit = np.column_stack([inside, 0.3 * rng.random(4000), 1 - 0.3 * rng.random(4000), rng.random(4000)])
    found = credible(unit, unit)
    assert [about.known for about in found] == ["determined", "bounded above", "bounded below", "not determined"]
    assert found[3].quantiles == pytest.approx([0.025, 0.25, 0.5, 0.75, 0.975], abs=0.03)
