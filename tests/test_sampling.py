import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import qmc

from mechscreen import sampling
from mechscreen.sampling import assign_split, sample_seeds, sample_unit

METHODS = ("uniform", "sobol")


def philox4x64(key, counter):
    """Philox4x64-10 as in Salmon et al. 2011, on Python's integers: four 64-bit words for a 256-bit counter."""
    mask = 2**64 - 1
    k0, k1 = key & mask, key >> 64
    c = [counter >> 64 * i & mask for i in range(4)]
    for _ in range(10):
        p0, p1 = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [p1 >> 64 ^ c[1] ^ k0, p1 & mask, p0 >> 64 ^ c[3] ^ k1, p0 & mask]
        k0, k1 = k0 + 0x9E3779B97F4A7C15 & mask, k1 + 0xBB67AE8584CAA73B & mask
    return c


def test_philox_of_this_test_gives_the_published_answer():
    # Known-answer test of the authors' Random123 library.
    expected = [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B]
    assert philox4x64(0, 0) == expected


@pytest.mark.parametrize("number", [0, 1, 7, 10**8, 2**40 + 3])
def test_uniform_row_is_philox_of_its_number(number):
    key = int.from_bytes(hashlib.sha256(b"5\0screen").digest()[:16], "little")
    # NumPy steps the counter before it uses it; 13 values take four counts.
    words = [word for j in range(4) for word in philox4x64(key, 4 * number + j + 1)]
    expected = [(word >> 11) * 2.0**-53 for word in words[:13]]
    assert sample_unit("uniform", 5, number, number + 1, 13, "screen")[0].tolist() == expected


@st.composite
def partitions(draw):
    start = draw(st.integers(0, 10**6))
    cuts = draw(st.lists(st.integers(0, 200), max_size=6))
    return [start, *sorted(start + cut for cut in cuts), start + 200]


@pytest.mark.parametrize("method", METHODS)
@given(edges=partitions(), dimensions=st.integers(1, 14), seed=st.integers(0, 2**63 - 1), backwards=st.booleans())
@settings(deadline=None, max_examples=50)
def test_any_partition_into_blocks_gives_the_same_rows(method, edges, dimensions, seed, backwards):
    whole = sample_unit(method, seed, edges[0], edges[-1], dimensions, "a")
    blocks = list(pairwise(edges))
    for start, stop in reversed(blocks) if backwards else blocks:
        rows = sample_unit(method, seed, start, stop, dimensions, "a")
        np.testing.assert_array_equal(rows, whole[start - edges[0] : stop - edges[0]])


@pytest.mark.parametrize("method", METHODS)
def test_values_are_uniform(method):
    values = sample_unit(method, 1, 1000, 21_000, 13, "simulations")
    assert values.shape == (20_000, 13)
    assert values.min() >= 0
    assert values.max() < 1
    assert min(stats.kstest(column, "uniform").pvalue for column in values.T) > 1e-3
    assert np.abs(np.corrcoef(values.T) - np.eye(13)).max() < 0.05


def test_sobol_fills_the_cube_more_evenly():
    even, random = (qmc.discrepancy(sample_unit(method, 1, 0, 1024, 5, "a")) for method in ("sobol", "uniform"))
    assert even < 0.2 * random


def test_sobol_continues_in_another_scrambling(monkeypatch):
    monkeypatch.setattr(sampling, "SEQUENCE_LENGTH", 64)
    monkeypatch.setattr(sampling, "_last_engine", None)
    values = sample_unit("sobol", 1, 0, 200, 3, "a")
    np.testing.assert_array_equal(sample_unit("sobol", 1, 60, 140, 3, "a"), values[60:140])
    assert len(np.unique(values[:, 0])) == 200
    # Each sequence is balanced by itself: 64 points, one in each 64th of every axis.
    for first in (0, 64, 128):
        cells = np.sort((values[first : first + 64] * 64).astype(int), axis=0)
        np.testing.assert_array_equal(cells, np.tile(np.arange(64)[:, None], (1, 3)))


@pytest.mark.parametrize("method", METHODS)
def test_samples_far_out_are_reached(method):
    start = 10**12 // 2**27 * 2**27 + 10_000
    rows = sample_unit(method, 1, start, start + 8, 13, "screen")
    np.testing.assert_array_equal(sample_unit(method, 1, start + 4, start + 8, 13, "screen"), rows[4:])


@pytest.mark.parametrize("method", METHODS)
def test_streams_and_seeds_differ(method):
    values = [
        sample_unit(method, seed, 0, 1000, 1, stream)[:, 0] for seed in (1, 2) for stream in ("simulations", "screen")
    ]
    if method == "uniform":
        assert np.abs(np.corrcoef(values) - np.eye(4)).max() < 0.15
    assert len(np.unique(values)) == 4000


def test_no_samples_are_an_empty_array():
    for method in METHODS:
        assert sample_unit(method, 1, 5, 5, 3, "a").shape == (0, 3)
    assert sample_seeds(1, 5, 5, "a").shape == (0,)
    with pytest.raises(ValueError, match="not a range"):
        sample_unit("uniform", 1, 5, 4, 3, "a")
    with pytest.raises(ValueError, match="sampling method"):
        sample_unit("halton", 1, 0, 4, 3, "a")


def test_seeds_depend_on_the_sample_alone_and_differ():
    seeds = sample_seeds(3, 0, 10_000, "a")
    assert seeds.dtype == np.uint64
    assert len(np.unique(seeds)) == 10_000
    np.testing.assert_array_equal(sample_seeds(3, 700, 900, "a"), seeds[700:900])


def test_split_meets_its_fractions_and_never_moves_a_sample():
    splits = assign_split(4, 0, 100_000, (0.8, 0.1, 0.1))
    assert splits.dtype == np.uint8
    counts = np.bincount(splits, minlength=3)
    assert stats.chisquare(counts, [80_000, 10_000, 10_000]).pvalue > 1e-3
    np.testing.assert_array_equal(assign_split(4, 0, 30_000, (0.8, 0.1, 0.1)), splits[:30_000])
    with pytest.raises(ValueError, match="add up"):
        assign_split(4, 0, 10, (0.8, 0.1))


NUMBERS = np.array([0, 1, 2, 5, 1000, 2**27 - 1, 2**27, 2**31 + 5, 10**10], np.uint64)


@pytest.mark.parametrize("words", [1, 4, 13])
def test_words_of_samples_here_and_there_are_those_of_ranges(words):
    found = sampling.words_at(3, "screen", NUMBERS, words)
    key = sampling._key(3, "screen")
    counts = -(-words // 4)
    for row, number in zip(found, NUMBERS, strict=True):
        each = [philox4x64(key, int(number) * counts + count + 1) for count in range(counts)]
        assert row.tolist() == [word for four in each for word in four][:words]
        own = sample_unit("uniform", 3, int(number), int(number) + 1, words, "screen")[0]
        np.testing.assert_array_equal(sampling.unit_of(row), own)


@pytest.mark.parametrize("method", METHODS)
def test_points_of_samples_here_and_there_are_those_of_ranges(method):
    numbers = NUMBERS[:7]
    found = sampling.unit_at(method, 5, numbers, 6, "screen")
    expected = [sample_unit(method, 5, int(number), int(number) + 1, 6, "screen")[0] for number in numbers]
    np.testing.assert_array_equal(found, expected)


def test_jax_makes_the_same_integers():
    jax = pytest.importorskip("jax")
    with jax.enable_x64(True):
        words = jax.jit(lambda index: sampling.words_at(3, "screen", index, 13))(NUMBERS)
        np.testing.assert_array_equal(words, sampling.words_at(3, "screen", NUMBERS, 13))
        directions = sampling.sobol_directions(5, "screen", 0, 6)
        points = jax.jit(lambda place: sampling.sobol_at(directions, place))(NUMBERS[:6])
        np.testing.assert_array_equal(points, sampling.unit_at("sobol", 5, NUMBERS[:6], 6, "screen"))
