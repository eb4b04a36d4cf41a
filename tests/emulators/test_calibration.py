"""Probabilities from what members say: planted truths, whose chances are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechscreen.emulators.calibration import STRETCH, Calibration, Evidence, calibrate, evidence
from mechscreen.emulators.ensemble import combine_members
from mechscreen.models import Output, Outputs
from mechscreen.models.distances import Distance

GRID = np.linspace(0, 1, 9)
OUTPUTS = Outputs([Output("curve", GRID, scale="linear", compare="values")])
MEMBERS = 4


def label(profiles, log_peaks):
    """0, 1 or 2, by the mean of a curve."""
    return np.digitize(profiles[:, 0].mean(axis=1), [0.8, 2.0])


def curves(values):
    """What a member says of n samples: constants."""
    profiles = np.broadcast_to(np.asarray(values, np.float32)[:, None, None], (len(values), 1, 9))
    return {"profiles": profiles.copy(), "log_peaks": np.zeros((len(values), 1), np.float32)}


def planted(rng, n):
    """Curves, and members that err each by itself and all together, by a size that differs from sample to sample."""
    middle, size = rng.normal(0, 1, n), 10 ** rng.uniform(-2, 0, n)
    together = 0.6 * size * rng.normal(size=n)
    said = [curves(middle + together + size * rng.normal(size=n)) for _ in range(MEMBERS)]
    truth = label(curves(middle)["profiles"], None)
    disagreement = combine_members(said, "mean", Distance(OUTPUTS, np.ones(1))).disagreement
    return evidence(said, disagreement, label, 3, OUTPUTS), truth


def calibration_error(p, true, bins=10):
    """Return the expected calibration error among those of probability above 0.05, in bins of equal counts."""
    rows = np.flatnonzero(p > 0.05)
    parts = np.array_split(rows[np.argsort(p[rows])], bins)
    return sum(len(part) * abs(p[part].mean() - true[part].mean()) for part in parts) / len(rows)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(1)
    known, truth = planted(rng, 20_000)
    return calibrate(known, truth), *planted(rng, 40_000)


@pytest.mark.parametrize("k", [0, 1, 2])
def test_probabilities_are_how_often_a_class_is_true(fitted, k):
    calibration, found, truth = fitted
    p = calibration.probabilities(found)[:, k]
    # Of the rarest, 460 of the simulations are.
    assert calibration_error(p, truth == k) < 0.03
    brier, of_votes = (np.square(q - (truth == k)).mean() for q in (p, found.votes[:, k]))
    base = (truth == k).mean()
    assert brier < of_votes
    assert brier < 0.6 * base * (1 - base)


def test_the_probabilities_of_all_classes_add_up_to_one(fitted):
    p = fitted[0].probabilities(fitted[1])
    assert p.sum(axis=1) == pytest.approx(np.ones(len(p)))
    assert p.min() >= 0


def test_kept_sets_are_right_as_often_as_their_mean_probability_says(fitted):
    calibration, found, truth = fitted
    p = calibration.probabilities(found)[:, 2]
    order = np.argsort(-p)
    means = np.cumsum(p[order]) / np.arange(1, len(p) + 1)
    for confidence in (0.95, 0.8, 0.5):
        kept = order[: np.flatnonzero(means >= confidence)[-1] + 1]
        assert len(kept) > 500
        assert (truth[kept] == 2).mean() == pytest.approx(confidence, abs=0.03)


def test_a_sample_that_was_chosen_by_what_members_say_gives_what_a_random_one_does(fitted):
    """Of those of which no member says the rare class, one in forty was simulated."""
    rng = np.random.default_rng(3)
    found, truth = planted(rng, 60_000)
    candidate = (found.votes[:, 2] + found.stretched[:, 2]) > 0
    chance = np.where(candidate, 0.5, 0.025)
    rows = np.flatnonzero(rng.random(len(truth)) < chance)
    calibration = calibrate(found.take(rows), truth[rows], 1 / chance[rows])
    for k in range(3):
        assert calibration_error(calibration.probabilities(fitted[1])[:, k], fitted[2] == k) < 0.03
    p = calibration.probabilities(fitted[1])[:, 2]
    assert p.mean() == pytest.approx((fitted[2] == 2).mean(), rel=0.1)


def test_of_a_class_that_no_simulation_is_of_the_probability_is_small_everywhere():
    found, truth = planted(np.random.default_rng(4), 2000)
    kept = np.flatnonzero(truth < 2)
    p = calibrate(found.take(kept), truth[kept]).probabilities(found)[:, 2]
    assert np.all((p > 0) & (p < 0.02))


def test_where_all_are_of_one_class_it_is_near_certain():
    found, _ = planted(np.random.default_rng(5), 500)
    p = calibrate(found, np.zeros(500, np.int64)).probabilities(found)
    assert p[:, 0].min() > 0.98


def test_votes_are_the_members_labels_and_stretched_ones_those_of_members_farther_apart():
    values = np.array([[0.5, 3.0], [0.9, 3.0]])  # of two members, of two samples
    said = [curves(own) for own in values]
    found = evidence(said, np.zeros(2, np.float32), label, 3, OUTPUTS)
    assert found.votes.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    # 0.7 ± 0.2 becomes 0.7 ± 0.6.
    assert STRETCH == 3
    assert found.stretched.tolist() == [[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    far = evidence(said, np.zeros(2, np.float32), lambda profiles, _: (profiles[:, 0, 0] > 1.2).astype(int), 2, OUTPUTS)
    assert far.votes[0].tolist() == [1.0, 0.0]
    assert far.stretched[0].tolist() == [0.5, 0.5]


def test_what_is_scaled_by_its_peak_is_not_stretched_below_zero():
    outputs = Outputs([Output("profile", GRID)])
    said = [curves([value]) for value in (0.0, 0.5)]
    seen = []
    evidence(said, np.zeros(1, np.float32), lambda p, _: seen.append(p.min()) or np.zeros(1, int), 1, outputs)
    assert min(seen) == 0.0


@settings(max_examples=60, deadline=None)
@given(st.integers(30, 400), st.integers(0, 2**32 - 1))
def test_bins_ascend_and_the_order_of_probabilities_stays(n, seed):
    rng = np.random.default_rng(seed)
    votes = rng.integers(0, 5, n) / 4
    found = Evidence(np.stack([votes, 1 - votes], 1), np.stack([votes, 1 - votes], 1), rng.random(n).astype(np.float32))
    calibration = calibrate(found, rng.integers(0, 2, n), rng.exponential(size=n))
    for before, after in zip(calibration.before, calibration.after, strict=True):
        assert np.all(np.diff(before[~np.isnan(before)]) >= 0)
        assert np.all(np.diff(after[~np.isnan(after)]) >= -1e-12)
    assert np.isfinite(calibration.probabilities(found)).all()


def test_of_few_finds_probabilities_are_no_worse_than_before_they_were_moved():
    """Of 300 simulations one or two are of the rarest class."""
    worse = []
    for seed in range(6):
        rng = np.random.default_rng([seed, 77])
        found, truth = planted(rng, 300)
        rare = np.flatnonzero(truth == 2)
        kept = np.setdiff1d(np.arange(300), rare[2:])
        calibration = calibrate(found.take(kept), truth[kept])
        unmoved = Calibration(calibration.coefficients, calibration.before, calibration.before)
        test, labels = planted(rng, 20_000)
        losses = [
            -np.log(np.clip(which.probabilities(test)[np.arange(len(labels)), labels], 1e-12, 1)).mean()
            for which in (calibration, unmoved)
        ]
        worse.append(losses[0] / losses[1])
    assert np.median(worse) < 1.05
