"""Compiled loop that counts the modes of profiles; what they are is in `mechscreen.objectives.modes`."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def count_modes(profiles, dip, height, modes):  # type: ignore[no-untyped-def]
    """Fill `modes`; −1 where a profile is not finite."""
    zero = np.float64(0.0)
    for sample in range(profiles.shape[0]):
        x = profiles[sample]
        highest = x[0]
        spoilt = x[0] - x[0]
        for value in x:
            highest = max(highest, value)
            spoilt += value - value
        if spoilt != 0:
            modes[sample] = -1
            continue
        least = max(np.float64(height) * highest, 0.0)
        count = 0
        for i in range(len(x)):
            top = np.float64(x[i])
            if top < least or top <= 0 or (i > 0 and x[i - 1] >= x[i]):
                continue
            # A plateau counts once, at its first point.
            last = i
            while last + 1 < len(x) and x[last + 1] == x[i]:
                last += 1
            if last + 1 < len(x) and x[last + 1] > x[i]:
                continue
            # Lowest value on the way to a higher one, on either side; zero where there is none.
            left, j = top, i - 1
            while j >= 0 and x[j] <= x[i]:
                left = min(left, np.float64(x[j]))
                j -= 1
            if j < 0:
                left = zero
            right, j = top, last + 1
            while j < len(x) and x[j] <= x[i]:
                right = min(right, np.float64(x[j]))
                j += 1
            if j == len(x):
                right = zero
            if top - max(left, right) >= dip * top:
                count += 1
        modes[sample] = count
