"""How far two sets of values of the same samples are apart, as each output is to be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.models.outputs import FloatArray, Output, Outputs

_VALUES = 2**21
"""Values that are worked on at once, so that temporary arrays stay small."""

LOG_PEAK_SHARE = 0.5
"""Root mean square of a profile that is divided by its maximum, about: what a small error of its log peak counts for
in `Distance.coordinates`."""


@dataclass(frozen=True)
class Distance:
    """The distance of samples' values: the mean over the outputs of a root mean square error (RMSE) over their points.

    Outputs that are compared by ``nothing`` do not count.

    That of an output is compared by ``values`` or by ``shape`` (`mechscreen.models.Output`). By shape, it is the RMSE
    of profiles that are each divided by their own maximum. By value, what is scaled by its peak has the larger of the
    two peaks for its unit, so that the distance is between 0 and 1 and, of numbers, a relative difference; what is
    scaled otherwise has the output's standard deviation over the training set.

    Attributes
    ----------
    outputs
        Of the model.
    deviations
        (outputs,), that standard deviation of scaled values; 1 where the peak is the unit (`Outputs.deviations`).
    """

    outputs: Outputs
    deviations: FloatArray

    @classmethod
    def of(cls, outputs: Sequence[Output], deviations: ArrayLike | None = None) -> Distance:
        """Return the distance for some outputs, whose standard deviations are 1 unless given."""
        units = np.ones(len(outputs)) if deviations is None else np.asarray(deviations, dtype=float)
        return cls(Outputs(outputs), units)

    @classmethod
    def of_shapes(cls, outputs: int, points: int) -> Distance:
        """Return the RMSE of the shapes of so many profiles."""
        return cls.of([Output(str(k), np.arange(points), compare="shape") for k in range(outputs)])

    @property
    def of_peaks(self) -> NDArray[np.bool_]:
        """(outputs,), whether an output's peak counts beside its shape."""
        return np.array([output.scale == "peak" and output.compare == "values" for output in self.outputs])

    @property
    def counts(self) -> NDArray[np.bool_]:
        """(outputs,), whether an output counts."""
        return np.array([output.counts for output in self.outputs])

    @property
    def units(self) -> FloatArray:
        """(outputs,), by which errors of outputs are divided before their mean over all is the distance."""
        counts = self.counts
        return np.where(counts, self.deviations * counts.mean(), np.inf)

    def __call__(
        self, profiles: ArrayLike, log_peaks: ArrayLike, others: ArrayLike, other_log_peaks: ArrayLike
    ) -> FloatArray:
        """Return the distance of each of n samples, (n,); NaN where a value is.

        Parameters
        ----------
        profiles, others
            (n, *outputs.shape), scaled values.
        log_peaks, other_log_peaks
            (n, outputs), logarithms of the peaks.
        """
        each, counts = self.by_output(profiles, log_peaks, others, other_log_peaks), self.counts
        return (each if counts.all() else each[:, counts]).mean(axis=-1)

    def by_output(
        self, profiles: ArrayLike, log_peaks: ArrayLike, others: ArrayLike, other_log_peaks: ArrayLike
    ) -> FloatArray:
        """Return the same of each output alone, (n, outputs)."""
        a, b, p, q = (np.asarray(array) for array in (profiles, others, log_peaks, other_log_peaks))
        if a.shape != b.shape or a.shape[1:] != self.outputs.shape:
            raise ValueError(
                f"values of shapes {a.shape} and {b.shape} cannot be compared; the outputs say {self.outputs.shape}"
            )
        found = np.empty((len(a), len(self.outputs)))
        rows = max(1, _VALUES // max(1, math.prod(a.shape[1:])))
        for start in range(0, len(a), rows):
            part = slice(start, start + rows)
            for k in range(len(self.outputs)):
                found[part, k] = self._of_output(k, a[part], p[part, k], b[part], q[part, k])
        return found

    def _of_output(
        self,
        k: int,
        profiles: NDArray[Any],
        log_peaks: NDArray[Any],
        others: NDArray[Any],
        other_log_peaks: NDArray[Any],
    ) -> FloatArray:
        a, b = (self.outputs.flat(values, k).astype(np.float64) for values in (profiles, others))
        if self.outputs[k].given:
            # Where one of the two has no value, the output that says so tells the difference.
            both = self.outputs.has_value(profiles, k) & self.outputs.has_value(others, k)
            return np.where(both, np.abs(a - b)[:, 0], 0.0) / self.deviations[k]
        if self.of_peaks[k]:
            largest = np.maximum(log_peaks, other_log_peaks)
            a *= np.exp(log_peaks - largest)[:, None]
            b *= np.exp(other_log_peaks - largest)[:, None]
        return np.sqrt(np.square(a - b).mean(axis=-1)) / self.deviations[k]

    def coordinates(self, profiles: ArrayLike, log_peaks: ArrayLike) -> NDArray[Any]:
        """Return n samples as points, (n, coordinates): their root mean square difference is about the distance.

        By it the nearest of many is found. Where all outputs have as many points and are compared by their shapes, it
        is the RMSE over all of their points.
        """
        flat = self.outputs.side_by_side(profiles)
        if self.outputs.uniform and not self.of_peaks.any() and self.outputs.all_by_peak and self.counts.all():
            return flat
        parts = []
        for k, output in enumerate(self.outputs):
            if not self.counts[k]:
                continue
            values = self.outputs.flat(profiles, k)
            if output.given:
                values = np.where(self.outputs.has_value(profiles, k)[:, None], values, 0)
            parts.append(values / (self.deviations[k] * math.sqrt(output.size)))
            if self.of_peaks[k]:
                share = LOG_PEAK_SHARE if output.size > 1 else 1.0
                parts.append(share * np.asarray(log_peaks)[:, [k]])
        together = np.concatenate(parts, axis=1)
        return together * math.sqrt(together.shape[1] / self.counts.sum())
