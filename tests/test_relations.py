import numpy as np
import pytest
from scipy import stats

from mechscreen.relations import fit_relation

CENTRES = (np.arange(50) + 0.5) / 50


def counts_of(x, y):
    """Counts over the plane, and the samples at the centres of their cells."""
    counts = np.histogram2d(x, y, bins=50, range=[[0, 1], [0, 1]])[0].astype(int)
    return counts, (np.floor(x * 50) + 0.5) / 50, (np.floor(y * 50) + 0.5) / 50


@pytest.fixture
def band():
    random = np.random.default_rng(3)
    x = random.uniform(0.1, 1, 4000)
    return x, 0.05 + 0.06 / x + random.normal(0, 0.02, 4000)


@pytest.mark.parametrize("form", ["linear", "inverse"])
def test_line_is_the_least_squares_line_through_all_samples(band, form):
    counts, x, y = counts_of(*band)
    relation = fit_relation(counts, CENTRES, CENTRES, form)
    design = np.stack([np.ones(len(x)), x if form == "linear" else 1 / x], axis=1)
    (intercept, slope), residual, *_ = np.linalg.lstsq(design, y, rcond=None)
    assert relation.samples == 4000
    np.testing.assert_allclose([relation.intercept, relation.slope], [intercept, slope], rtol=1e-9)
    np.testing.assert_allclose(relation.r2, 1 - residual[0] / np.sum((y - y.mean()) ** 2), rtol=1e-9)
    errors = np.sqrt(np.diag(np.linalg.inv(design.T @ design)) * residual[0] / 3998)
    half = errors * stats.t.ppf(0.975, 3998)
    np.testing.assert_allclose(relation.intercept_interval, [intercept - half[0], intercept + half[0]], rtol=1e-6)
    np.testing.assert_allclose(relation.slope_interval, [slope - half[1], slope + half[1]], rtol=1e-6)


def test_the_law_that_holds_explains_the_means_best(band):
    counts, *_ = counts_of(*band)
    inverse, linear = (fit_relation(counts, CENTRES, CENTRES, form) for form in ("inverse", "linear"))
    assert inverse.r2_means > 0.99 > 0.9 > linear.r2_means
    assert inverse.slope_interval[0] < 0.06 < inverse.slope_interval[1]


def test_a_broad_band_has_straight_means_though_its_samples_scatter():
    random = np.random.default_rng(5)
    x = random.uniform(0, 1, 20_000)
    counts, *_ = counts_of(x, 0.3 + 0.2 * x + random.uniform(-0.25, 0.25, 20_000))
    relation = fit_relation(counts, CENTRES, CENTRES, "linear")
    assert relation.r2 < 0.3
    assert relation.r2_means > 0.9


def test_a_line_says_between_which_values_it_holds(band):
    counts, *_ = counts_of(*band)
    counts[-3:] = 0
    counts[-3, 0] = 9  # fewer than a mean asks for
    for form in ("linear", "inverse"):
        relation = fit_relation(counts, CENTRES, CENTRES, form)
        np.testing.assert_allclose(relation.x_range, [0.11, 0.93])


def test_too_few_samples_give_no_line():
    counts = np.zeros((50, 50), int)
    counts[:9, 4] = 100
    counts[9:, 5] = 9
    assert fit_relation(counts, CENTRES, CENTRES, "linear") is None
