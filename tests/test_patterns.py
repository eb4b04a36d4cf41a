"""Groups and what is unusual, on points whose groups are known, and against scikit-learn's silhouette."""

import numpy as np
import pytest

from mechscreen.patterns import _principal, _silhouette, find_patterns

CENTRES = np.array([[0.0, 0.0, 0.0], [10.0, 0.0, 0.0], [0.0, 10.0, 5.0]])


def cloud(numbers=(600, 300, 100), seed=0):
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(numbers)), numbers)
    order = rng.permutation(len(labels))
    labels = labels[order]
    return CENTRES[labels] + rng.standard_normal((len(labels), 3)), labels


def find(points, trusted=None, seed=0):
    trusted = np.ones(len(points), bool) if trusted is None else trusted
    return find_patterns(points, trusted, np.random.default_rng(seed))


def test_groups_that_are_apart_are_found_the_largest_first():
    points, labels = cloud()
    found = find(points)
    assert found.groups == 3
    assert found.clear
    np.testing.assert_array_equal(found.of_group, labels)
    np.testing.assert_allclose(points[found.shown[:3]], CENTRES, atol=1.0)
    assert np.bincount(found.of_group).tolist() == [600, 300, 100]


def test_one_cloud_has_no_clear_groups():
    points = np.random.default_rng(1).standard_normal((1500, 6))
    assert not find(points).clear


def test_what_is_unlike_all_else_is_shown_however_rare():
    points, _ = cloud()
    points[17] = [30.0, 30.0, 30.0]
    points[18] = [-20.0, 5.0, 0.0]
    found = find(points)
    assert found.shown[found.groups : found.groups + 2].tolist() == [17, 18]
    assert (found.nearest[[17, 18]] == [found.groups, found.groups + 1]).all()
    alone = np.bincount(found.nearest, minlength=len(found.shown))[found.groups : found.groups + 2]
    assert alone.tolist() == [1, 1]


def test_what_is_not_trusted_makes_no_group_and_stands_for_nothing():
    points, labels = cloud()
    points[17] = [30.0, 30.0, 30.0]
    trusted = np.arange(len(points)) != 17
    assert 17 not in find(points, trusted).shown
    found = find(points, labels != 0)
    assert found.groups == 2
    assert (labels[found.shown] != 0).all()


def test_points_that_are_all_the_same_are_one_group():
    found = find(np.ones((50, 4)))
    assert found.groups == 1
    assert len(found.shown) == 1
    assert found.silhouette == 0


def test_the_same_random_numbers_find_the_same():
    points, _ = cloud()
    np.testing.assert_array_equal(find(points).shown, find(points).shown)


def test_silhouettes_are_those_of_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    points, labels = cloud((40, 30, 20), seed=3)
    points += np.random.default_rng(4).standard_normal(points.shape) * 3
    distances = metrics.pairwise_distances(points)
    assert _silhouette(distances, labels, 3) == pytest.approx(metrics.silhouette_score(points, labels))


@pytest.mark.parametrize("coordinates", [5, 300], ids=["few", "more than points"])
def test_principal_components_are_those_of_a_singular_value_decomposition(coordinates):
    rng = np.random.default_rng(5)
    points = rng.standard_normal((60, 4)) * [9, 5, 3, 1] @ rng.standard_normal((4, coordinates))
    centred = points - points.mean(axis=0)
    u, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    kept = int((np.cumsum(sizes**2) / np.sum(sizes**2) < 0.99).sum()) + 1
    found = _principal(points)
    assert found.shape == (60, kept)
    np.testing.assert_allclose(np.abs(found), np.abs(u[:, :kept] * sizes[:kept]), rtol=1e-6, atol=1e-8)
