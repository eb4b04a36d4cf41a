"""Histograms as matrix products of ones and zeros: exact, and on the units that do little else."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray


def marks(places: Any, number: int) -> Any:
    """Return a one for each place in a row of zeros, (n, number); no one for places outside."""
    # Half the bytes where sums of them stay in float32 by themselves; processors convert it all instead.
    kind = jnp.float32 if jax.default_backend() == "cpu" else jnp.bfloat16
    return (places[:, None] == jnp.arange(number, dtype=places.dtype)).astype(kind)


def product(first: Any, second: Any) -> Any:
    """Return how often two marks stand in one row, (marks, other marks), int64; exact below 2^24 rows."""
    found = lax.dot_general(first, second, (((0,), (0,)), ((), ())), preferred_element_type=jnp.float32)
    return found.astype(jnp.int64)


class Planes:
    """The histograms of classes over all planes of two axes (`mechscreen.tally.plane_pairs`).

    Parameters
    ----------
    classes, axes, bins
        How many there are.
    """

    def __init__(self, classes: int, axes: int, bins: int) -> None:
        self._classes, self._axes, self._bins = classes, axes, bins

    def count(self, labels: Any, position: Any) -> tuple[Any, ...]:
        """Return the histograms of a batch, in the shape of `zeros`.

        Parameters
        ----------
        labels
            (n,); samples of other labels than 0 … classes − 1 are not counted.
        position
            (n, axes), in [0, 1).
        """
        cells = jnp.minimum((position * self._bins).astype(jnp.int32), self._bins - 1)
        columns = [marks(cells[:, j], self._bins) for j in range(self._axes)]
        known = (labels >= 0) & (labels < self._classes)
        found = []
        for i in range(self._axes - (self._axes > 1)):
            place = jnp.where(known, labels * self._bins + cells[:, i], -1)
            others = columns[i + 1 :] or columns
            found.append(product(marks(place, self._classes * self._bins), jnp.concatenate(others, axis=1)))
        return tuple(found)

    def zeros(self) -> tuple[Any, ...]:
        """Return the histograms of no sample: of each axis, its marks by class beside those of the later axes."""
        others = [max(self._axes - 1 - i, 1) for i in range(self._axes - (self._axes > 1))]
        return tuple(jnp.zeros((self._classes * self._bins, number * self._bins), jnp.int64) for number in others)

    def gathered(self, histograms: tuple[Any, ...]) -> NDArray[np.int64]:
        """Return them as `mechscreen.tally.Counts` has them, (classes, planes, bins, bins)."""
        bins = self._bins
        parts = [np.empty((self._classes, 0, bins, bins), np.int64)]
        for histogram in histograms:
            by_axes = np.asarray(histogram).reshape(self._classes, bins, -1, bins)
            parts.append(by_axes.transpose(0, 2, 1, 3))
        return np.concatenate(parts, axis=1)
