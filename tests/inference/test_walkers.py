"""Walkers, against distributions that are known."""

import numpy as np
import pytest
from scipy import stats

from mechscreen.inference import Walkers, credible, independent, walkers_of
from mechscreen.spaces import Parameter

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


def test_walkers_that_stay_each_on_its_peak_tell_nothing_of_their_shares():
    rng = np.random.default_rng(0)
    chain = 0.02 * rng.standard_normal((4000, 32, 1)) + np.where(np.arange(32) < 16, 0.2, 0.8)[:, None]
    assert independent(chain[:, :16])[2] > 10_000
    assert independent(chain)[2] == 0


def test_autocorrelation_times_are_those_of_theory():
    rng, memory = np.random.default_rng(0), 0.9
    chain = np.zeros((20_000, 8, 1))
    for k in range(1, len(chain)):
        chain[k] = memory * chain[k - 1] + rng.standard_normal((8, 1))
    _, times, number = independent(chain)
    assert times == pytest.approx((1 + memory) / (1 - memory), rel=0.05)
    assert number == pytest.approx(14_000 * 8 / 19, rel=0.05)


def test_what_reaches_an_end_of_its_range_is_not_determined_there():
    rng = np.random.default_rng(0)
    inside = np.clip(rng.normal(0.5, 0.05, 4000), 0, 1)
    values = np.column_stack([inside, 0.3 * rng.random(4000), 1 - 0.3 * rng.random(4000), rng.random(4000)])
    found = credible([Parameter(name, 0.0, 1.0) for name in "abcd"], values)
    assert [about.known for about in found] == ["determined", "bounded above", "bounded below", "not determined"]
    assert found[3].quantiles == pytest.approx([0.025, 0.25, 0.5, 0.75, 0.975], abs=0.03)


def test_what_is_narrow_and_near_an_end_is_determined():
    rng = np.random.default_rng(0)
    near = credible([Parameter("a", 0.0, 1e6)], rng.normal(5000, 10, (4000, 1)))
    decaying = credible([Parameter("a", 0.0, 1.0)], rng.exponential(0.01, (4000, 1)))
    assert [near[0].known, decaying[0].known] == ["determined", "bounded above"]


def test_of_values_that_stand_alone_one_has_to_have_almost_all_draws():
    parameter = Parameter("who", 0.0, 1.0, categories=("wild", "mutant"))
    few, many = (np.arange(1000) < share for share in (20, 400))
    assert credible([parameter], few[:, None].astype(float))[0].known == "determined"
    assert credible([parameter], many[:, None].astype(float))[0].known == "not determined"
