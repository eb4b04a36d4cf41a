import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from mechscreen.emulators import metrics
from mechscreen.models import Output, Outputs
from mechscreen.models.distances import Distance

RNG = np.random.default_rng(5)
TRUTH = RNG.random((7, 2, 40))
PREDICTED = np.clip(TRUTH + RNG.normal(0, 0.1, TRUTH.shape), 0.001, 1)


def test_rmse_and_l2_norm_are_means_over_the_outputs_of_a_sample():
    norms = np.linalg.norm(TRUTH - PREDICTED, axis=2)
    np.testing.assert_allclose(metrics.l2_norm(TRUTH, PREDICTED), norms.mean(axis=1))
    np.testing.assert_allclose(metrics.rmse(TRUTH, PREDICTED), norms.mean(axis=1) / np.sqrt(40))


def test_measures_do_not_depend_on_how_many_samples_are_worked_on_at_once(monkeypatch):
    whole = metrics.rmse(TRUTH, PREDICTED)
    monkeypatch.setattr(metrics, "_VALUES", 300)
    np.testing.assert_array_equal(metrics.rmse(TRUTH, PREDICTED), whole)


def test_profiles_of_different_shapes_are_not_compared():
    with pytest.raises(ValueError, match="cannot be compared"):
        metrics.rmse(TRUTH, PREDICTED[:, :1])


def test_ks_distance_is_scipys_for_samples_drawn_at_the_points():
    counts_a, counts_b = RNG.integers(1, 9, (2, 40))
    points = np.arange(40)
    expected = stats.ks_2samp(np.repeat(points, counts_a), np.repeat(points, counts_b)).statistic
    distance = metrics.ks_distance(counts_a[None, None] / counts_a.max(), counts_b[None, None] / counts_b.max())
    np.testing.assert_allclose(distance, [expected])


def test_a_profile_that_is_zero_everywhere_is_some_distance_off():
    truth = np.exp(-np.linspace(0, 3, 20))[None, None]
    for measure in (metrics.ks_distance, metrics.kl_divergence):
        assert 0.1 < measure(truth, np.zeros((1, 1, 20)))[0] < 1


def test_kl_divergence_is_scipys():
    expected = stats.entropy(TRUTH, PREDICTED, axis=2).mean(axis=1)
    np.testing.assert_allclose(metrics.kl_divergence(TRUTH, PREDICTED), expected, rtol=1e-9)


def test_kl_divergence_is_finite_where_a_prediction_is_zero_and_the_truth_is_not():
    truth = np.ones((1, 1, 10))
    predicted = np.where(np.arange(10) < 5, 1.0, 0.0)[None, None]
    assert 5 < metrics.kl_divergence(truth, predicted)[0] < np.log(1 / metrics.FLOOR)


def test_r_squared_is_the_square_of_the_correlation_of_a_fitted_line():
    x = RNG.random(50)
    y = 3 * x + RNG.normal(0, 0.3, 50)
    fit = stats.linregress(x, y)
    np.testing.assert_allclose(metrics.r_squared(y, fit.intercept + fit.slope * x), fit.rvalue**2)


def test_r_squared_of_a_constant_is_undefined():
    assert np.isnan(metrics.r_squared(np.ones(5), np.ones(5)))


def test_summary_of_no_samples_says_none_rather_than_nan():
    nothing = np.zeros((0, 1, 40))
    summary = metrics.summarise(nothing, nothing, nothing[..., 0], nothing[..., 0])
    assert summary.pop("samples") == 0
    assert set(summary.values()) == {None}


def test_summary_of_a_perfect_prediction():
    summary = metrics.summarise(TRUTH, TRUTH, TRUTH[..., 0], TRUTH[..., 0])
    assert summary["samples"] == 7
    assert (summary["rmse"], summary["kl_divergence"], summary["r2_shape"], summary["r2_peak"]) == (0, 0, 1, 1)


def test_confusion_counts_truth_in_rows_and_predictions_in_columns():
    table = metrics.confusion([0, 0, 1, 2, 2, 2], [0, 1, 1, 2, 2, 0], classes=4)
    np.testing.assert_array_equal(table, [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]])


def test_disagreement_curve_bins_logarithmically_with_standard_errors():
    disagreement = np.geomspace(1e-3, 1, 300)
    error = 2 * disagreement
    curve = metrics.disagreement_curve(disagreement, error, bins=15)
    np.testing.assert_array_equal(curve.count, np.full(15, 20))
    np.testing.assert_allclose(curve.error, 2 * curve.disagreement)
    np.testing.assert_allclose(curve.standard_error[0], stats.sem(error[:20]))
    np.testing.assert_allclose([curve.pearson, curve.spearman], 1)


def test_disagreement_curve_agrees_with_scipys_correlations():
    disagreement, error = RNG.random((2, 100))
    curve = metrics.disagreement_curve(disagreement, error)
    np.testing.assert_allclose(curve.pearson, stats.pearsonr(disagreement, error).statistic)
    np.testing.assert_allclose(curve.spearman, stats.spearmanr(disagreement, error).statistic)


@settings(max_examples=50)
@given(st.lists(st.floats(0, 1, allow_subnormal=False), max_size=30), st.integers(1, 20))
def test_every_sample_with_disagreement_is_in_one_bin(values, bins):
    curve = metrics.disagreement_curve(np.array(values), np.ones(len(values)), bins)
    assert curve.count.sum() == sum(value > 0 for value in values)
    assert (np.diff(curve.disagreement) > 0).all()


def test_correlations_are_those_of_values_and_ranks_and_undefined_where_nothing_varies():
    d, e = np.array([1.0, 2.0, 3.0, 4.0]), np.array([1.0, 4.0, 9.0, 5.0])
    curve = metrics.disagreement_curve(d, e)
    assert curve.pearson == pytest.approx(8.5 / np.sqrt(5 * 32.75), rel=1e-12)
    assert curve.spearman == pytest.approx(0.8, rel=1e-12)
    for a, b in ((d, np.ones(4)), (np.ones(4), e), (d[:1], e[:1])):
        curve = metrics.disagreement_curve(a, b)
        assert np.isnan([curve.pearson, curve.spearman]).all()


def test_what_is_explained_is_r_squared_about_the_mean_at_each_point():
    rng = np.random.default_rng(3)
    outputs = Outputs((Output("v", np.arange(4.0), scale="linear"), Output("k")))
    distance = Distance.of(outputs, [3.0, 0.5])
    # A mean curve that is large beside what varies says nothing of what is known.
    truth = rng.normal(size=(50, 5)) + np.array([100, 200, 300, 400, 5])
    said = truth + 0.5 * rng.normal(size=truth.shape)
    nothing = np.zeros((50, 2))
    expected = [
        1 - np.sum((truth[:, part] - said[:, part]) ** 2) / np.sum((truth[:, part] - truth[:, part].mean(axis=0)) ** 2)
        for part in (slice(4), slice(4, 5))
    ]
    np.testing.assert_allclose(metrics.explained(truth, said, nothing, nothing, distance), expected, rtol=1e-9)
    mean = np.broadcast_to(truth.mean(axis=0), truth.shape)
    np.testing.assert_allclose(metrics.explained(truth, mean, nothing, nothing, distance), 0, atol=1e-12)
    assert np.isnan(metrics.explained(mean, said, nothing, nothing, distance)).all()
