"""Compiled loops that combine what the members of a `mechscreen.emulators.ensemble.Ensemble` say."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]

HALF = np.float32(0.5)
"""As in `mechscreen.models.outputs`."""


# Sums may be reordered; values that are not finite stay what they are, so that a screen sees them.
@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def combine(
    profiles: FloatArray,
    log_peaks: FloatArray,
    starts: NDArray[np.int64],
    given: NDArray[np.int64],
    of_peaks: NDArray[np.bool_],
    units: NDArray[np.float64],
    vote: bool,
    combined: FloatArray,
    combined_log_peaks: FloatArray,
    disagreement: FloatArray,
) -> None:
    """Combine profiles (members, n, values) and log peaks (members, n, outputs) into the last three arrays.

    `starts` (outputs + 1,), `of_peaks` and `units` (outputs,) are those of a `Distance`; `given` (outputs,) is the
    place of the value that says whether there is one of an output, −1 where there always is.
    """
    members, n, values = profiles.shape
    outputs = len(units)
    scores = np.empty(members)
    for i in range(n):
        scores[:] = 0.0
        for a in range(members):
            for b in range(a):
                distance = 0.0
                for o in range(outputs):
                    squares = np.float32(0.0)
                    says = given[o]
                    if says >= 0 and (profiles[a, i, says] < HALF or profiles[b, i, says] < HALF):
                        continue
                    if of_peaks[o]:
                        largest = max(log_peaks[a, i, o], log_peaks[b, i, o])
                        of_a, of_b = np.exp(log_peaks[a, i, o] - largest), np.exp(log_peaks[b, i, o] - largest)
                        for p in range(starts[o], starts[o + 1]):
                            squares += (of_a * profiles[a, i, p] - of_b * profiles[b, i, p]) ** 2
                    else:
                        for p in range(starts[o], starts[o + 1]):
                            squares += (profiles[a, i, p] - profiles[b, i, p]) ** 2
                    distance += np.sqrt(squares / (starts[o + 1] - starts[o])) / units[o]
                scores[a] += distance / outputs
                scores[b] += distance / outputs
        best = 0
        for a in range(1, members):
            if scores[a] < scores[best]:
                best = a
        disagreement[i] = scores.mean() / max(members - 1, 1)
        if vote:
            combined[i] = profiles[best, i]
            combined_log_peaks[i] = log_peaks[best, i]
        else:
            for p in range(values):
                total = np.float32(0.0)
                for a in range(members):
                    total += profiles[a, i, p]
                combined[i, p] = total / members
            for o in range(outputs):
                combined_log_peaks[i, o] = log_peaks[:, i, o].mean()
                says = given[o]
                if says >= 0:
                    # Of the members that say that there is a value.
                    total, number = np.float32(0.0), 0
                    for a in range(members):
                        if profiles[a, i, says] >= HALF:
                            total += profiles[a, i, starts[o]]
                            number += 1
                    if number:
                        combined[i, starts[o]] = total / number
