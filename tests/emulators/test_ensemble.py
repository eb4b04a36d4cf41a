import numpy as np
import pytest

from mechscreen import InputError
from mechscreen.emulators import ensemble
from mechscreen.emulators.ensemble import Ensemble, combine_members
from mechscreen.emulators.metrics import rmse
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import DenseSettings
from mechscreen.models import Output
from mechscreen.models.distances import Distance

DIMENSIONS, OUTPUTS, POINTS = 3, 2, 21
X = np.random.default_rng(0).random((37, DIMENSIONS)).astype(np.float32)


def network(seed, outputs=OUTPUTS):
    samples = Samples(X, np.zeros((len(X), outputs, POINTS), np.float32), np.zeros((len(X), outputs), np.float32))
    return build_network(DenseSettings(width=16, blocks=1), samples, seed=seed)


NETWORKS = [network(seed) for seed in range(4)]


def scores_by_definition(members):
    """Mean RMSE of each member (rows) to the others, for each sample (columns); a plain loop."""
    profiles = [member.predict_on_batch(X)["profiles"] for member in members]
    return np.array(
        [np.mean([rmse(a, b) for j, b in enumerate(profiles) if j != i], axis=0) for i, a in enumerate(profiles)]
    )


@pytest.mark.parametrize("size", [2, 3, 4])
def test_disagreement_is_the_mean_score(size):
    prediction = Ensemble(NETWORKS[:size], combine="mean", batch_size=16).predict(X)
    np.testing.assert_allclose(prediction.disagreement, scores_by_definition(NETWORKS[:size]).mean(axis=0), rtol=1e-4)


def test_the_vote_is_the_profile_and_peak_of_the_member_with_the_least_score():
    prediction = Ensemble(NETWORKS, batch_size=16).predict(X)
    best = scores_by_definition(NETWORKS).argmin(axis=0)
    assert len(set(best)) > 1
    said = [member.predict_on_batch(X) for member in NETWORKS]
    for i, member in enumerate(best):
        np.testing.assert_allclose(prediction.profiles[i], said[member]["profiles"][i], atol=1e-6)
        np.testing.assert_allclose(prediction.log_peaks[i], said[member]["log_peaks"][i], atol=1e-5)


def test_two_members_cannot_vote():
    with pytest.raises(InputError, match="of two members neither agrees more with the other; take combine: mean"):
        Ensemble(NETWORKS[:2])


def test_the_mean_is_that_of_all_members_with_the_same_disagreement():
    vote, mean = Ensemble(NETWORKS).predict(X), Ensemble(NETWORKS, combine="mean").predict(X)
    said = [member.predict_on_batch(X) for member in NETWORKS]
    for name in ("profiles", "log_peaks"):
        np.testing.assert_allclose(getattr(mean, name), np.mean([s[name] for s in said], axis=0), atol=1e-5)
    np.testing.assert_array_equal(mean.disagreement, vote.disagreement)


@pytest.mark.parametrize("combine", ["vote", "mean"])
def test_what_members_said_can_be_combined_afterwards(combine, monkeypatch):
    monkeypatch.setattr(ensemble, "_ROWS", 3)
    said = [member.predict_on_batch(X) for member in NETWORKS]
    combined = combine_members(said, combine)
    expected = Ensemble(NETWORKS, combine=combine).predict(X)
    for name in ("profiles", "log_peaks", "disagreement"):
        np.testing.assert_allclose(getattr(combined, name), getattr(expected, name), atol=1e-5)


def test_an_ensemble_of_one_predicts_what_it_says_without_disagreement():
    prediction = Ensemble(NETWORKS[:1]).predict(X)
    np.testing.assert_allclose(prediction.profiles, NETWORKS[0].predict_on_batch(X)["profiles"], atol=1e-6)
    np.testing.assert_array_equal(prediction.disagreement, 0)


def test_a_row_is_predicted_the_same_whatever_rows_stand_beside_it():
    ensemble = Ensemble(NETWORKS[:3], batch_size=16)
    whole = ensemble.predict(X)
    for rows in (slice(0, 1), slice(5, 21), slice(20, 37)):
        part = ensemble.predict(X[rows])
        np.testing.assert_array_equal(part.profiles, whole.profiles[rows])
        np.testing.assert_array_equal(part.disagreement, whole.disagreement[rows])


def test_no_rows_give_no_predictions():
    prediction = Ensemble(NETWORKS[:3]).predict(np.zeros((0, DIMENSIONS)))
    assert prediction.profiles.shape == (0, OUTPUTS, POINTS)
    assert len(prediction) == 0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.zeros((4, 2)), r"shape \(4, 2\); expected \(n, 3\)"),
        (np.full((4, 3), np.nan), "row 0: a value is not finite"),
    ],
)
def test_wrong_parameters_are_refused(values, message):
    with pytest.raises(InputError, match=message):
        Ensemble(NETWORKS[:3]).predict(values)


def test_networks_of_different_shapes_are_no_ensemble():
    with pytest.raises(InputError, match="member 1 of the ensemble"):
        Ensemble([NETWORKS[0], network(0, outputs=1)], combine="mean")
    with pytest.raises(InputError, match="at least one member"):
        Ensemble([])


def test_a_number_that_members_do_not_all_have_is_the_mean_of_those_that_have_it():
    distance = Distance.of([Output("it", given="has it"), Output("has it")], [2.0, 0.5])
    said = [
        {"profiles": np.array(values, np.float32)[:, :, None], "log_peaks": np.zeros((2, 2), np.float32)}
        for values in ([[4, 1], [4, 0.1]], [[8, 0.9], [6, 0.2]], [[-50, 0.3], [9, 0.6]])
    ]
    combined = combine_members(said, "mean", distance)
    np.testing.assert_allclose(combined.profiles[:, 0, 0], [6, 9])
    np.testing.assert_allclose(combined.profiles[:, 1, 0], [2.2 / 3, 0.3], rtol=1e-6)
    # Of three pairs: their distances by the definition, a number counting where both have it.
    pairs = [[4 / 2 + 0.1 / 0.5, 0.7 / 0.5, 0.6 / 0.5], [0.1 / 0.5, 0.5 / 0.5, 0.4 / 0.5]]
    np.testing.assert_allclose(combined.disagreement, np.mean(pairs, axis=1) / 2, rtol=1e-5)


def test_members_that_differ_in_what_counts_for_nothing_do_not_disagree():
    outputs = [Output("v"), Output("error of v", compare="nothing"), Output("w")]
    distance = Distance.of(outputs, [1.0, 1.0, 2.0])
    a, b = np.random.default_rng(1).normal(size=(2, 6, 3, 1)).astype(np.float32)
    b[3:, [0, 2]] = a[3:, [0, 2]]
    said = [{"profiles": values, "log_peaks": np.zeros((6, 3), np.float32)} for values in (a, b)]
    combined = combine_members(said, "mean", distance)
    expected = (np.abs(a - b)[:, 0, 0] + np.abs(a - b)[:, 2, 0] / 2) / 2
    np.testing.assert_allclose(combined.disagreement, expected, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(combined.disagreement[3:], 0)
