"""Simulated samples, as networks take them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mechscreen.models.distances import Distance


@dataclass(frozen=True)
class Samples:
    """Simulated samples that a network learns from or is judged by.

    Attributes
    ----------
    parameters
        (n, d), normalised.
    profiles
        (n, outputs, points), or (n, values) where outputs differ in shape (`mechscreen.models.Outputs`); scaled.
    log_peaks
        (n, outputs), natural logarithms of the maxima that profiles were divided by; 0 where they were not.
    distance
        What the outputs are, and how they are compared; profiles by their shapes, on equal steps, unless given.
    """

    parameters: NDArray[np.float32]
    profiles: NDArray[np.float32]
    log_peaks: NDArray[np.float32]
    distance: Distance = cast("Distance", None)  # noqa: RUF009 - filled below

    def __post_init__(self) -> None:
        if self.distance is None:
            object.__setattr__(self, "distance", Distance.of_shapes(*self.profiles.shape[1:]))

    def __len__(self) -> int:
        return len(self.parameters)

    def take(self, rows: NDArray[np.intp]) -> Samples:
        """Return some rows."""
        return replace(
            self, parameters=self.parameters[rows], profiles=self.profiles[rows], log_peaks=self.log_peaks[rows]
        )


def moments(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each column; the latter 1 where a column does not vary."""
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    # A parameter that is held fixed varies by rounding alone, which must not be magnified.
    return mean, np.where(deviation > 1e-6 * (1 + np.abs(mean)), deviation, 1.0)
