import numpy as np
import pytest

from mechscreen.tally import DISAGREEMENT_BINS, BestHits, Counts, Hits, plane_pairs

LIMIT = 0.1


@pytest.fixture
def samples():
    rng = np.random.default_rng(5)
    n = 3000
    return rng.random((n, 4)), rng.choice(3, n, p=[0.7, 0.25, 0.05]), rng.exponential(0.1, n).astype(np.float32)


def counted(unit, labels, disagreement, parts=1, order=slice(None)):
    """Counts of samples that come in several parts."""
    counts = Counts.zeros(3, 4, 10)
    for rows in np.array_split(np.arange(len(unit))[order], parts):
        counts.add(unit[rows], labels[rows], disagreement[rows], LIMIT)
    return counts


def test_counts_are_those_of_numpy(samples):
    unit, labels, disagreement = samples
    counts = counted(*samples)
    assert counts.classes.tolist() == np.bincount(labels).tolist()
    for label in range(3):
        members = labels == label
        assert counts.trusted[label] == (members & (disagreement <= LIMIT)).sum()
        for plane, (i, j) in enumerate(plane_pairs(4)):
            expected, *_ = np.histogram2d(unit[members, i], unit[members, j], bins=10, range=[[0, 1], [0, 1]])
            np.testing.assert_array_equal(counts.planes[label, plane], expected)
        edges = np.linspace(0, 1, DISAGREEMENT_BINS + 1)
        inside = np.minimum(disagreement[members].astype(float), 0.999)
        np.testing.assert_array_equal(counts.disagreement_levels[label], np.histogram(inside, edges)[0])
    assert counts.add_up()


def test_counts_do_not_depend_on_order_or_grouping(samples):
    whole = counted(*samples)
    backwards = counted(*samples, parts=7, order=slice(None, None, -1))
    merged = counted(*(column[1000:] for column in samples))
    merged.merge(counted(*(column[:1000] for column in samples)))
    for counts in (backwards, merged):
        for name, array in whole.arrays().items():
            np.testing.assert_array_equal(array, counts.arrays()[name])


def test_counts_at_the_end_of_the_range_fall_into_the_last_bin():
    counts = Counts.zeros(1, 2, 7)
    counts.add(np.array([[np.nextafter(1, 0), 1.0]]), np.array([0]), np.array([1.5], np.float32), LIMIT)
    assert counts.planes[0, 0, 6, 6] == 1
    assert counts.disagreement_levels[0, -1] == 1
    assert counts.add_up()


@pytest.mark.parametrize("name", ["classes", "trusted", "planes", "disagreement_levels"])
def test_counts_that_were_tampered_with_do_not_add_up(samples, name):
    counts = counted(*samples)
    counts.arrays()[name].flat[0] += 10_000
    assert not counts.add_up()


def test_planes_are_all_pairs_once():
    assert plane_pairs(3).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert len(plane_pairs(13)) == 78
    assert plane_pairs(1).shape == (0, 2)


def some_hits(rng, n):
    # Few different disagreements, so that ties occur.
    return Hits(
        np.sort(rng.choice(10_000, n, replace=False)).astype(np.int64),
        rng.random((n, 2)),
        np.full(n, 3),
        rng.integers(0, 40, n).astype(np.float32),
        rng.random((n, 1, 5), dtype=np.float32),
        rng.random((n, 1), dtype=np.float32),
    )


@pytest.mark.parametrize("most", [1, 50, 500, 2000])
def test_best_hits_are_the_same_in_any_order(most):
    rng = np.random.default_rng(8)
    hits = some_hits(rng, 1000)
    expected = sorted(sorted(range(1000), key=lambda i: (hits.disagreement[i], hits.index[i]))[:most])
    for parts in (1, 3, 100):
        best = BestHits(most, Hits.none(2, 1, 5))
        for rows in np.array_split(rng.permutation(1000), parts):
            best.add(hits.take(rows))
        result = best.result()
        for name, column in result.columns().items():
            np.testing.assert_array_equal(column, hits.columns()[name][expected])


def test_best_hits_of_none_are_none():
    best = BestHits(10, Hits.none(2, 1, 5))
    best.add(Hits.none(2, 1, 5))
    assert len(best.result()) == 0
    assert best.result().profiles.shape == (0, 1, 5)
