"""Bands of split-conformal prediction: they cover as often as they say, whatever the predictions are worth."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechscreen.emulators.conformal import fit_bands, quantiles, spread_of
from mechscreen.errors import InputError


def drawn(rng, n, values=7):
    """Errors of very different size, of which the spread of the members tells only some, and heavy tails."""
    size = 10 ** rng.uniform(-3, 0, (n, 1))
    spread = size * rng.uniform(0.3, 2, (n, values))
    predicted = rng.normal(size=(n, values))
    return predicted + size * rng.standard_t(3, (n, values)), predicted, spread


@pytest.mark.parametrize("level", [0.5, 0.9])
def test_bands_cover_as_often_as_they_say(level):
    pointwise, whole = [], []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        bands = fit_bands(*drawn(rng, 500))
        of_values, of_samples = bands.covered(*drawn(rng, 500), level)
        pointwise.append(of_values.mean())
        whole.append(of_samples.mean())
    # Of one split, coverage has a standard deviation of 0.02; the mean of sixty, of 0.003.
    assert np.mean(pointwise) == pytest.approx(level, abs=0.01)
    assert np.mean(whole) == pytest.approx(level, abs=0.01)


def test_a_worthless_ensemble_has_wide_bands_that_hold():
    rng = np.random.default_rng(1)
    truth, other = rng.normal(size=(2, 1000, 3))
    agreed = np.zeros((1000, 3))
    bands = fit_bands(truth, 0 * truth, agreed)
    assert bands.covered(other, 0 * truth, agreed, 0.9)[0].mean() == pytest.approx(0.9, abs=0.03)
    half = bands.half_widths(agreed, 0.9)[0]
    assert half == pytest.approx(np.full((1000, 3), 1.645), rel=0.1)


def test_bands_are_wider_where_members_disagree():
    rng = np.random.default_rng(2)
    bands = fit_bands(*drawn(rng, 5000))
    near, far = bands.unit(np.array([[1e-6] * 7, [1.0] * 7]))
    assert np.all(far > 20 * near)


def test_values_that_a_sample_does_not_have_do_not_count():
    rng = np.random.default_rng(3)
    truth, predicted, spread = drawn(rng, 400)
    with_gaps = np.where(rng.random(truth.shape) < 0.3, np.nan, truth)
    with_gaps[:, -1] = np.nan
    bands = fit_bands(with_gaps, predicted, spread)
    kept = ~np.isnan(with_gaps[:, 0])
    alone = fit_bands(truth[kept], predicted[kept], spread[kept])
    assert np.array_equal(bands.pointwise[:, 0], alone.pointwise[:, 0])
    assert bands.covered(with_gaps, predicted, spread, 0.9)[0][:, -1].all()


def test_values_are_scored_alike_in_one_piece_or_several(monkeypatch):
    from mechscreen.emulators import conformal

    some = drawn(np.random.default_rng(4), 300, values=20)
    whole = fit_bands(*some)
    monkeypatch.setattr(conformal, "_VALUES", 900)
    pieces = fit_bands(*some)
    assert np.array_equal(whole.pointwise, pieces.pointwise)
    assert np.array_equal(whole.whole, pieces.whole)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=1, max_size=60, unique=True), st.floats(0.05, 0.99))
def test_of_a_score_and_those_it_is_exchangeable_with_the_quantile_holds_the_asked_share(scores, level):
    """Each of n + 1 scores in turn is the new one: of all, at least that share is within the quantile of the others."""
    within = [own <= quantiles(scores[:k] + scores[k + 1 :], [level])[0] for k, own in enumerate(scores)]
    assert sum(within) >= level * len(scores) - 1e-9


def test_too_few_samples_say_nothing():
    assert quantiles([1.0, 2.0, 3.0], [0.5, 0.9]).tolist() == [2.0, np.inf]
    assert quantiles(range(1, 10), [0.9]) == 9.0
    assert quantiles([], [0.5]) == np.inf


def test_levels_that_are_not_there_are_named():
    bands = fit_bands(*drawn(np.random.default_rng(5), 50), levels=(0.5, 0.9))
    with pytest.raises(InputError, match=r"no bands of level 0\.7 \(there: 0\.5, 0\.9\)"):
        bands.half_widths(np.zeros((1, 7)), 0.7)


def test_the_spread_of_members_is_their_standard_deviation():
    said = np.random.default_rng(6).normal(size=(4, 5, 2, 3)).astype(np.float32)
    assert spread_of(list(said)) == pytest.approx(said.std(axis=0), rel=1e-5)
