"""Sample numbers to random values: row i depends on the method, the seed, the stream and i alone.

Nothing here depends on how many samples are drawn at once or by whom, so that ranks, shards and reruns may cut the
range of samples as they like.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechscreen.arrays import namespace

FloatArray = NDArray[np.float64]
Sampling = Literal["uniform", "sobol"]

_WORDS_PER_COUNT = 4
"""64-bit words that Philox4x64 makes of each value of its counter."""
_ROUNDS = 10
_MULTIPLIERS = (0xD2E7470EE14C6C93, 0xCA5A826395121157)
_KEY_STEPS = (0x9E3779B97F4A7C15, 0xBB67AE8584CAA73B)

_SEQUENCE_BITS = 27
SEQUENCE_LENGTH = 2**_SEQUENCE_BITS
"""Points of one Sobol sequence; the next ones come from an independent scrambling of it."""
_SOBOL_BITS = 32


def sample_unit(
    method: Sampling, seed: int, start: int, stop: int, dimensions: int, stream: str
) -> NDArray[np.float64]:
    """Return samples ``start … stop − 1`` as points of the unit cube.

    Parameters
    ----------
    method
        ``uniform``: independent, by the counter-based generator Philox4x64-10 (Salmon et al., SC 2011).
        ``sobol``: a Sobol sequence with Owen-type scrambling (Matoušek, J. Complexity 14, 1998), which fills the cube
        more evenly.
    stream
        Name of what the numbers are for; different streams are independent.

    Returns
    -------
    (stop − start, dimensions), in [0, 1).
    """
    if not 0 <= start <= stop:
        raise ValueError(f"samples {start} … {stop} are not a range")
    if method == "uniform":
        unit: NDArray[np.float64] = unit_of(_philox_words(seed, stream, start, stop, dimensions))
        return unit
    if method == "sobol":
        return _sobol(seed, stream, start, stop, dimensions)
    raise ValueError(f"no sampling method '{method}'")


def sample_seeds(seed: int, start: int, stop: int, stream: str) -> NDArray[np.uint64]:
    """Return one 64-bit seed for each of the samples ``start … stop − 1``, shape (stop − start,)."""
    return _philox_words(seed, stream, start, stop, 1)[:, 0]


def split_mix(seeds: NDArray[np.uint64] | np.uint64, counter: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the words of SplitMix64's sequences (Steele, Lea & Flood 2014) for seeds and places in them, broadcast."""
    z = seeds + (counter + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def words_at(seed: int, stream: str, index: Any, words: int) -> Any:
    """Return `words` random 64-bit words for each of the samples of these numbers, (n, words).

    The words are those that ranges of samples have (`sample_unit`, `sample_seeds`), by array operations alone: for
    samples here and there, and in a program that JAX compiles.

    Parameters
    ----------
    index
        (n,), uint64, an array of NumPy or JAX.
    """
    xp = namespace(index)
    counts = -(-words // _WORDS_PER_COUNT)
    key = _key(seed, stream)
    parts = []
    for count in range(counts):
        # Its counter is raised before it is used.
        counter = index * np.uint64(counts) + np.uint64(count + 1)
        parts += _philox(xp, counter, key & (2**64 - 1), key >> 64)
    return xp.stack(parts[:words], axis=1)


class Directions(NamedTuple):
    """A scrambled Sobol sequence: its first point, (d,), and its direction numbers, (27, d); uint32."""

    shift: NDArray[np.uint32]
    numbers: NDArray[np.uint32]


@lru_cache(maxsize=8)
def sobol_directions(seed: int, stream: str, sequence: int, dimensions: int) -> Directions:
    """Return what the points ``sequence · SEQUENCE_LENGTH + …`` of `sample_unit` are made of; half a second."""
    start = sequence * SEQUENCE_LENGTH
    points = [_sobol(seed, stream, start, start + 1, dimensions)]
    # Point 2^k differs from the one before by direction number k alone (Antonov & Saleev 1979).
    points += [_sobol(seed, stream, start + 2**k - 1, start + 2**k + 1, dimensions) for k in range(_SEQUENCE_BITS)]
    first, *pairs = ((point * 2.0**_SOBOL_BITS).astype(np.uint32) for point in points)
    return Directions(first[0], np.array([pair[0] ^ pair[1] for pair in pairs]))


def sobol_at(directions: Directions, place: Any) -> Any:
    """Return points of a Sobol sequence by their places in it, (n,), an array of NumPy or JAX; (n, d) in [0, 1)."""
    xp = namespace(place)
    gray = (place ^ (place >> np.uint64(1)))[:, None]
    points = xp.broadcast_to(xp.asarray(directions.shift), (len(place), len(directions.shift)))
    for k in range(_SEQUENCE_BITS):
        bit = (gray >> np.uint64(k)) & np.uint64(1)
        points = points ^ (bit.astype(np.uint32) * xp.asarray(directions.numbers[k]))
    return points.astype(np.float64) * 2.0**-_SOBOL_BITS


def unit_at(method: Sampling, seed: int, index: NDArray[np.uint64], dimensions: int, stream: str) -> FloatArray:
    """Return samples of these numbers, (n,), as points of the unit cube, (n, dimensions); see `sample_unit`."""
    if method == "uniform":
        unit: FloatArray = unit_of(words_at(seed, stream, index, dimensions))
        return unit
    points = np.empty((len(index), dimensions))
    sequences, places = np.divmod(index, np.uint64(SEQUENCE_LENGTH))
    for sequence in np.unique(sequences):
        rows = sequences == sequence
        points[rows] = sobol_at(sobol_directions(seed, stream, int(sequence), dimensions), places[rows])
    return points


def unit_of(words: Any) -> Any:
    """Return 64-bit words as float64 in [0, 1)."""
    return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _philox(xp: Any, counter: Any, *key: int) -> list[Any]:
    """Return the four words of Philox4x64-10 (Salmon et al., SC 2011) for the lowest words of some counters, (n,)."""
    zero = xp.zeros_like(counter)
    words = [counter, zero, zero, zero]
    keys = list(key)
    for _ in range(_ROUNDS):
        (high0, low0), (high1, low1) = (
            _multiplied(words[place], factor) for place, factor in zip((0, 2), _MULTIPLIERS, strict=True)
        )
        words = [high1 ^ words[1] ^ np.uint64(keys[0]), low1, high0 ^ words[3] ^ np.uint64(keys[1]), low0]
        keys = [(k + step) % 2**64 for k, step in zip(keys, _KEY_STEPS, strict=True)]
    return words


def _multiplied(values: Any, factor: int) -> tuple[Any, Any]:
    """Return the upper and the lower 64 bits of products, of halves of 32 bits whose products fit."""
    half, mask = np.uint64(32), np.uint64(2**32 - 1)
    low, high = np.uint64(factor & (2**32 - 1)), np.uint64(factor >> 32)
    first, second = values & mask, values >> half
    cross = second * low + ((first * low) >> half)
    other = first * high + (cross & mask)
    return second * high + (cross >> half) + (other >> half), values * np.uint64(factor)


def assign_split(seed: int, start: int, stop: int, fractions: Sequence[float]) -> NDArray[np.uint8]:
    """Return the split (0, 1, …) that each of the samples ``start … stop − 1`` belongs to, shape (stop − start,).

    A sample's split depends on the seed and its number alone, so that a growing data set never moves a sample from
    one split to another. The `fractions` (adding up to 1) are met in the limit of many samples.
    """
    if not np.isclose(sum(fractions), 1.0):
        raise ValueError(f"fractions {list(fractions)} do not add up to 1")
    edges = np.cumsum(fractions)[:-1]
    values = sample_unit("uniform", seed, start, stop, 1, "split")[:, 0]
    return np.searchsorted(edges, values, side="right").astype(np.uint8)


def _philox_words(seed: int, stream: str, start: int, stop: int, words: int) -> NDArray[np.uint64]:
    """Return `words` random 64-bit words for each sample; sample i owns a fixed range of the counter."""
    counts = -(-words // _WORDS_PER_COUNT)
    generator = np.random.Philox(key=_key(seed, stream), counter=0)
    generator.advance(start * counts)
    raw = generator.random_raw((stop - start) * counts * _WORDS_PER_COUNT)
    return np.asarray(raw, dtype=np.uint64).reshape(stop - start, counts * _WORDS_PER_COUNT)[:, :words]


def _key(seed: int, *names: str | int) -> int:
    """Return a 128-bit key for a seed and the names of what it is used for."""
    text = "\0".join(str(part) for part in (seed, *names))
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "little")


def _sobol(seed: int, stream: str, start: int, stop: int, dimensions: int) -> NDArray[np.float64]:
    pieces: list[NDArray[np.float64]] = []
    while start < stop or not pieces:
        sequence, first = divmod(start, SEQUENCE_LENGTH)
        n = min(stop - start, SEQUENCE_LENGTH - first)
        engine = _sobol_engine(_key(seed, stream, "sobol", sequence), first, dimensions)
        with warnings.catch_warnings():
            # Balance needs 2^m points from the start of the sequence; blocks are parts of such a set.
            warnings.filterwarnings("ignore", message="The balance properties of Sobol", category=UserWarning)
            pieces.append(engine.random(n))
        start += n
    return np.concatenate(pieces)


_last_engine: tuple[int, int, Any] | None = None


def _sobol_engine(key: int, first: int, dimensions: int) -> Any:
    """Return a `scipy.stats.qmc.Sobol` whose next point is number `first`.

    Skipping costs some 4 ns a point (0.5 s for a whole sequence), so the last engine is kept: blocks mostly come in
    order.
    """
    global _last_engine
    if _last_engine is None or _last_engine[:2] != (key, dimensions) or _last_engine[2].num_generated > first:
        from scipy.stats import qmc  # takes a second

        engine = qmc.Sobol(dimensions, scramble=True, bits=_SOBOL_BITS, rng=np.random.default_rng(key))
        _last_engine = (key, dimensions, engine)
    engine = _last_engine[2]
    skip = first - engine.num_generated
    return engine.fast_forward(skip) if skip else engine
