from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from mechscreen import odds
from mechscreen.tally import ALL_KEYS, DISAGREEMENT_BINS, Counts, Drawn, Hits, Kept, plane_pairs, random_keys

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
    assert counts.are_consistent()


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
    assert counts.are_consistent()


@pytest.mark.parametrize("name", ["classes", "trusted", "planes", "disagreement_levels"])
def test_counts_that_were_tampered_with_do_not_add_up(samples, name):
    counts = counted(*samples)
    counts.arrays()[name].flat[0] += 10_000
    assert not counts.are_consistent()


@pytest.mark.parametrize("most", [5, 60, 5000])
@pytest.mark.parametrize("least", [odds.LIKELY, odds.LIKELY + 35, odds.LEVELS])
def test_hits_above_a_limit_are_as_many_as_are_to_be_kept_and_drawn_at_random(most, least):
    rng = np.random.default_rng(8)
    p = 1 / (1 + np.exp(-rng.uniform(-3, 7, 3000)))
    every = replace(some_hits(rng, 3000), probability=p)
    kept = Kept(most, Hits.none(2, 1, (1, 5)))
    for rows in np.array_split(rng.permutation(3000), 30):
        kept.add(every.take(rows))
    found = kept.result().of_least(least, most)
    keys = random_keys(every.index)
    for label in (3, 4):
        own = np.flatnonzero((every.labels == label) & (odds.levels_of(p) >= least))
        there = every.index[own[np.argsort(keys[own])]]
        mine = found.index[found.labels == label]
        # Those of the lowest keys, whatever their probability: few, where a stratum that is kept in part ends early.
        assert set(mine) == set(there[: len(mine)])
        assert len(mine) == len(there) if len(there) <= most else most / 2 < len(mine) <= most
    assert (np.diff(found.index) > 0).all()


def test_probabilities_are_counted_by_class_and_level_and_add_up(samples):
    unit, labels, disagreement = samples
    counts = Counts.zeros(3, 4, 10, probable=True)
    counts.add(unit, labels, disagreement, LIMIT)
    assert not counts.are_consistent()
    rng = np.random.default_rng(6)
    likeliest, levels = rng.choice([1, 2], len(unit)), rng.integers(0, odds.LEVELS, len(unit))
    for rows in np.array_split(np.arange(len(unit)), 3):
        counts.add_probable(likeliest[rows], levels[rows])
    expected, *_ = np.histogram2d(likeliest, levels, bins=[np.arange(4), np.arange(odds.LEVELS + 1)])
    np.testing.assert_array_equal(counts.probable, expected)
    assert counts.are_consistent()


@pytest.mark.parametrize("most", [1, 30, 1000])
def test_of_each_stratum_some_are_drawn_at_random_and_it_is_known_which_are_missing(most):
    rng = np.random.default_rng(7)
    levels = rng.integers(0, odds.LEVELS, 3000).astype(np.uint16)
    everything = Drawn(rng.choice(10**6, 3000, replace=False), levels)
    kept = Kept(most, Drawn.none())
    for rows in np.array_split(rng.permutation(3000), 20):
        kept.add(everything.take(rows))
    found = kept.result()
    assert (np.diff(found.index) > 0).all()
    known, strata = found.known_keys(most), odds.STRATUM_OF[levels]
    for stratum in range(odds.STRATA):
        own = everything.index[strata == stratum]
        there = found.index[odds.STRATUM_OF[found.levels] == stratum]
        assert len(there) == min(most, len(own))
        assert set(there) == set(own[random_keys(own) <= known[stratum]])
        assert (known[stratum] == ALL_KEYS) == (len(own) < most)


def test_planes_are_all_pairs_once():
    assert plane_pairs(3).tolist() == [[0, 1], [0, 2], [1, 2]]
    assert len(plane_pairs(13)) == 78


def test_a_single_parameter_spans_a_plane_with_itself():
    unit = np.random.default_rng(4).random((500, 1))
    counts = Counts.zeros(1, 1, 10)
    counts.add(unit, np.zeros(500, np.int64), np.zeros(500, np.float32), LIMIT)
    assert counts.are_consistent()
    np.testing.assert_array_equal(counts.planes[0, 0], np.diag(np.histogram(unit, 10, (0, 1))[0]))


def test_random_keys_are_those_of_splitmix64_and_as_good_as_random():
    # The first outputs for the seed 0 (Vigna's splitmix64.c, as in Java's SplittableRandom).
    first = [0xE220A8397B1DCDAF, 0x6E789E6AA1B965F4, 0x06C45D188009454F, 0xF88BB8A8724C81EC]
    assert random_keys(np.arange(4)).tolist() == first
    keys = random_keys(np.arange(2**33, 2**33 + 100_000)) / 2.0**64
    assert stats.kstest(keys, "uniform").pvalue > 0.001
    assert abs(np.corrcoef(keys[1:], keys[:-1])[0, 1]) < 0.02


def some_hits(rng, n):
    # Few different disagreements, so that ties occur.
    return Hits(
        np.sort(rng.choice(10_000, n, replace=False)).astype(np.int64),
        rng.random((n, 2)),
        rng.choice([3, 4], n, p=[0.95, 0.05]),
        rng.integers(0, 40, n).astype(np.float32),
        rng.random((n, 1, 5), dtype=np.float32),
        rng.random((n, 1), dtype=np.float32),
        np.full(n, np.nan),
    )


@pytest.mark.parametrize("most", [1, 50, 500, 2000])
def test_kept_hits_are_a_random_sample_of_each_class_in_any_order(most):
    rng = np.random.default_rng(8)
    hits = some_hits(rng, 1000)
    keys = random_keys(hits.index)
    by_key = sorted(range(1000), key=lambda i: keys[i])
    expected = sorted(i for label in (3, 4) for i in [j for j in by_key if hits.labels[j] == label][:most])
    assert len(expected) == sum(min(most, int((hits.labels == label).sum())) for label in (3, 4))
    for parts in (1, 3, 100):
        kept = Kept(most, Hits.none(2, 1, (1, 5)))
        for rows in np.array_split(rng.permutation(1000), parts):
            kept.add(hits.take(rows))
        result = kept.result()
        for name, column in result.columns().items():
            np.testing.assert_array_equal(column, hits.columns()[name][expected])


def test_kept_hits_of_none_are_none():
    kept = Kept(10, Hits.none(2, 1, (1, 5)))
    kept.add(Hits.none(2, 1, (1, 5)))
    assert len(kept.result()) == 0
    assert kept.result().profiles.shape == (0, 1, 5)
