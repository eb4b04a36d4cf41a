"""Sample numbers to random values: row i depends on the method, the seed, the stream and i alone.

Nothing here depends on how many samples are drawn at once or by whom, so that ranks, shards and reruns may cut the
range of samples as they like.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Sampling = Literal["uniform", "sobol"]

_WORDS_PER_COUNT = 4
"""64-bit words that Philox4x64 makes of each value of its counter."""

_SEQUENCE_LENGTH = 2**27
"""Points of one Sobol sequence; the next ones come from an independent scrambling of it."""


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
        words = _philox_words(seed, stream, start, stop, dimensions)
        return (words >> np.uint64(11)).astype(np.float64) * 2.0**-53
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
        sequence, first = divmod(start, _SEQUENCE_LENGTH)
        n = min(stop - start, _SEQUENCE_LENGTH - first)
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

        engine = qmc.Sobol(dimensions, scramble=True, bits=32, rng=np.random.default_rng(key))
        _last_engine = (key, dimensions, engine)
    engine = _last_engine[2]
    skip = first - engine.num_generated
    return engine.fast_forward(skip) if skip else engine
