"""Noise that is correlated from sample to sample: what is said, and whether intervals hold."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.signal import lfilter

from mechscreen.discovery import discover
from mechscreen.discovery.memory import remembers
from mechscreen.discovery.noise import correlated

T = np.linspace(0, 20, 150)
EXACT = solve_ivp(
    lambda _, y: [y[0] - 0.5 * y[0] * y[1], 0.25 * y[0] * y[1] - 0.6 * y[1]], (0, 20), [4, 1], "LSODA", T, rtol=1e-9
).y.T
TRUTH = {("x", "x"): 1.0, ("x", "x*y"): -0.5, ("y", "y"): -0.6, ("y", "x*y"): 0.25}


def _noise(correlation, shape, seed):
    white = np.random.default_rng(seed).standard_normal((shape[0] + 100, shape[1]))
    return lfilter([np.sqrt(1 - correlation**2)], [1, -correlation], white, axis=0)[100:]


def _found(correlation, seed):
    return discover(T, EXACT + 0.05 * EXACT.std(axis=0) * _noise(correlation, EXACT.shape, seed), noise="constant")


def test_the_correlation_of_neighbours_is_that_of_the_noise():
    own = _noise(0.6, (4000, 1), 0)[:, 0]
    own[[7, 900]] = np.nan
    correlation, pairs = correlated([own[:2000], own[2000:]])
    assert correlation == pytest.approx(0.6, abs=0.04)
    assert pairs == 4000 - 2 - 2


def test_where_noise_is_correlated_terms_are_right_and_intervals_hold():
    right, held = 0, []
    for seed in range(20):
        model = _found(0.6, seed)
        assert any("are correlated, 0." in caveat for caveat in model.caveats)
        places = [(model.names.index(name), model.term_names.index(term)) for name, term in TRUTH]
        right += model.support.sum() == len(TRUTH) and all(model.support[place] for place in places)
        ends = model.intervals()
        held += [ends[place][0] <= value <= ends[place][1] for place, value in zip(places, TRUTH.values(), strict=True)]
        # The noise that is told is that of a sample.
        assert model.noise == pytest.approx(0.05 * EXACT.std(axis=0), rel=0.35)
    assert right >= 19
    # As of white noise they would hold in six of ten.
    assert np.mean(held) >= 0.85


def test_of_white_noise_nothing_is_said():
    assert not any("are correlated" in caveat for seed in range(10) for caveat in _found(0.0, seed).caveats)


def test_it_is_said_how_many_samples_tell_as_much_as_one():
    assert remembers("x", 1.0) == ""
    assert remembers("x", 4.0).startswith("the residuals of x are correlated, 0.60 from sample to sample")
    assert "(4 samples tell as much as one)" in remembers("x", 4.0)
