"""Rings of a profile: peaks on both sides of the centre."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.arrays import namespace
from mechscreen.errors import InputError, ModelError
from mechscreen.objectives.base import UNDECIDED, IntArray, OfOneOutput, as_floats, is_numpy


class Rings(OfOneOutput):
    """Number of rings: pairs of peaks of the profile mirrored at the centre (Wang et al. 2019).

    The profile (`points` values, centre first) is mirrored to 2·points − 1 values; its peaks are those of
    ``scipy.signal.find_peaks(mirrored, distance=distance, prominence=prominence)``. A peak at the centre is a spot, not
    a ring; the others come in mirrored pairs, each a ring. Classes: 0, 1, 2, 3, 4, 5 or more rings.

    Parameters
    ----------
    distance
        Least distance between two peaks, in grid points; of two that are closer the higher stays.
    prominence
        Least prominence of a peak, in units of the profile's maximum.
    output
        Index of the model's output that is looked at.
    """

    version = "1"
    class_names = ("0", "1", "2", "3", "4", "5 or more")

    def __init__(self, distance: float = 50, prominence: float = 0.1, output: int = 0) -> None:
        if not (isinstance(distance, int | float) and 1 <= distance < math.inf):
            raise InputError(f"objective 'rings': distance {distance!r} must be a number of grid points, at least 1")
        if not (isinstance(prominence, int | float) and 0 <= prominence < math.inf):
            raise InputError(f"objective 'rings': prominence {prominence!r} must be a number, 0 or more")
        if not (isinstance(output, int) and output >= 0):
            raise InputError(f"objective 'rings': output {output!r} must be the index of an output, 0 or more")
        self._distance = float(distance)
        self._prominence = float(prominence)
        self.output = int(output)

    def label(self, profiles: NDArray[Any]) -> IntArray:
        """Return (n,) labels for profiles (n, points)."""
        last = len(self.class_names) - 1
        if is_numpy(profiles):
            off_centre, _ = mirrored_peaks(profiles, self._distance, self._prominence)
            return np.minimum(off_centre // 2, last)
        rings, undecided = rings_in_arrays(profiles, self._distance, self._prominence)
        labels: IntArray = namespace(rings).where(undecided, UNDECIDED, rings.clip(max=last))
        return labels


def mirrored_peaks(profiles: ArrayLike, distance: float, prominence: float) -> tuple[IntArray, NDArray[np.bool_]]:
    """Count the peaks of profiles mirrored at their first point.

    Equal to counting ``scipy.signal.find_peaks(np.r_[x[:0:-1], x], distance=distance, prominence=prominence)[0]`` for
    every row x, but works on the half that is given. SciPy lets the higher of two close peaks stay, and among equal
    heights the one that ``numpy.argsort`` happens to put last, which depends on the processor. Where that choice can
    change the count (a fraction of the profiles with equal heights), SciPy itself is asked.

    Parameters
    ----------
    profiles
        (n, points), centre first.
    distance, prominence
        As in `scipy.signal.find_peaks`.

    Returns
    -------
    off_centre
        (n,), number of peaks that are not at the centre.
    centre
        (n,), True where there is a peak at the centre.

    Raises
    ------
    ModelError
        If a profile holds a value that is not finite.
    """
    # Numba is imported where something is computed.
    from mechscreen.objectives import rings_kernel

    values = as_floats(profiles)
    off_centre = np.zeros(len(values), dtype=np.int64)
    centre = np.zeros(len(values), dtype=np.bool_)
    verdict = np.zeros(len(values), dtype=np.uint8)
    rings_kernel.count_mirrored_peaks(values, math.ceil(distance), prominence, off_centre, centre, verdict)
    if verdict.any():
        bad = np.flatnonzero(verdict == rings_kernel.NOT_FINITE)
        if bad.size:
            raise ModelError(f"profile {bad[0]} holds a value that is not finite; its peaks cannot be counted")
        for i in np.flatnonzero(verdict == rings_kernel.TIED):
            off_centre[i], centre[i] = _scipy_peaks(values[i], distance, prominence)
    return off_centre, centre


def rings_in_arrays(profiles: Any, distance: float, prominence: float) -> tuple[Any, Any]:
    """Return the rings of profiles (n, points), JAX's, and where these are to be counted by `mirrored_peaks`, (n,)."""
    from mechscreen.objectives import peaks_in_arrays

    off_centre, _, undecided = peaks_in_arrays.mirrored_peaks(profiles, distance, prominence)
    return off_centre // 2, undecided


def _scipy_peaks(profile: NDArray[Any], distance: float, prominence: float) -> tuple[int, bool]:
    from scipy.signal import find_peaks

    mirrored = np.concatenate([profile[:0:-1], profile])
    peaks, _ = find_peaks(mirrored, distance=distance, prominence=prominence)
    at_centre = bool(np.any(peaks == len(profile) - 1))
    return len(peaks) - at_centre, at_centre
