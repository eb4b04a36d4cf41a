"""Modes of a density."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.arrays import namespace
from mechscreen.errors import InputError, ModelError
from mechscreen.objectives.base import UNDECIDED, IntArray, OfOneOutput, as_floats, is_numpy


class Modes(OfOneOutput):
    """Number of modes of a density: maxima with a dip on both sides, those at either end of the grid included.

    A maximum that is at least `height` of the profile's is a mode if, on the way to a higher one, the profile falls by
    at least `dip` of the maximum itself: its prominence, as `scipy.signal.peak_prominences` has it for a profile that
    goes on with zeros, is at least `dip` of its height. Classes: 1, 2, 3 or more modes.

    Parameters
    ----------
    dip
        Least fall beside a mode, in units of the mode's own height.
    height
        Least height of a mode, in units of the profile's maximum. Where there is next to nothing, estimated densities
        and emulators have ripples that are deep for their height.
    output
        Index of the model's output that is looked at.
    """

    version = "1"
    class_names = ("1", "2", "3 or more")

    def __init__(self, dip: float = 0.3, height: float = 0.05, output: int = 0) -> None:
        for name, value in (("dip", dip), ("height", height)):
            if not (isinstance(value, int | float) and 0 < value < 1):
                raise InputError(f"objective 'modes': {name} {value!r} must be a number between 0 and 1")
        if not (isinstance(output, int) and output >= 0):
            raise InputError(f"objective 'modes': output {output!r} must be the index of an output, 0 or more")
        self._dip = float(dip)
        self._height = float(height)
        self.output = int(output)

    def label(self, profiles: NDArray[Any]) -> IntArray:
        """Return (n,) labels for profiles (n, points)."""
        if is_numpy(profiles):
            return np.clip(count_modes(profiles, self._dip, self._height), 1, 3) - 1
        from mechscreen.objectives import peaks_in_arrays

        modes, undecided = peaks_in_arrays.count_modes(profiles, self._dip, self._height)
        labels: IntArray = namespace(modes).where(undecided, UNDECIDED, modes.clip(1, 3) - 1)
        return labels


def count_modes(profiles: ArrayLike, dip: float, height: float) -> IntArray:
    """Count the maxima of at least `height` of the profile's and a prominence of at least `dip` of their own height.

    Parameters
    ----------
    profiles
        (n, points), not negative; beyond either end they count as zero.
    dip, height
        As in `Modes`.

    Returns
    -------
    (n,); 0 where a profile is zero everywhere.

    Raises
    ------
    ModelError
        If a profile holds a value that is not finite.
    """
    # Numba is imported where something is computed.
    from mechscreen.objectives import modes_kernel

    values = as_floats(profiles)
    modes = np.zeros(len(values), dtype=np.int64)
    modes_kernel.count_modes(values, dip, height, modes)
    bad = np.flatnonzero(modes < 0)
    if bad.size:
        raise ModelError(f"profile {bad[0]} holds a value that is not finite; its modes cannot be counted")
    return modes
