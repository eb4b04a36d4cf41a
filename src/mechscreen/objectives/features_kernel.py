"""Compiled loop over the peaks of curves; what they are is in `mechscreen.objectives.features`."""

from __future__ import annotations

import numba
import numpy as np


@numba.njit(cache=True, nogil=True)
def find_peaks(curves, times, least, count, first, last, opening, closing, largest):  # type: ignore[no-untyped-def]
    """Fill for each curve, (n,): number of peaks, time of the first and of the last, first and last swing, prominence.

    Peaks have a prominence of `least`, (n,), or more; the prominence that is filled is the largest of any maximum. A
    swing is the fall from a peak to the lowest point before the next one. What there is not is NaN.
    """
    points = curves.shape[1]
    for sample in range(curves.shape[0]):
        x = curves[sample]
        count[sample] = 0
        first[sample] = last[sample] = opening[sample] = closing[sample] = np.nan
        largest[sample] = 0.0
        before = -1
        i = 1
        while i < points - 1:
            if not x[i] > x[i - 1]:
                i += 1
                continue
            # A plateau counts once, in its middle.
            end = i
            while end + 1 < points and x[end + 1] == x[i]:
                end += 1
            if end + 1 == points or x[end + 1] > x[i]:
                i = end + 1
                continue
            left, j = x[i], i - 1
            while j >= 0 and x[j] <= x[i]:
                left = min(left, x[j])
                j -= 1
            right, j = x[i], end + 1
            while j < points and x[j] <= x[i]:
                right = min(right, x[j])
                j += 1
            prominence = np.float64(x[i]) - np.float64(max(left, right))
            largest[sample] = max(largest[sample], prominence)
            if prominence >= least[sample]:
                middle = (i + end) // 2
                if before >= 0:
                    trough = x[before]
                    for j in range(before, middle):
                        trough = min(trough, x[j])
                    swing = np.float64(x[before]) - np.float64(trough)
                    if count[sample] == 1:
                        opening[sample] = swing
                    closing[sample] = swing
                at = times[middle]
                if i == end:
                    # The top of the parabola through the peak and its neighbours (for equal steps).
                    a, b, c = np.float64(x[i - 1]), np.float64(x[i]), np.float64(x[i + 1])
                    bend = a - 2 * b + c
                    if bend < 0:
                        at += 0.5 * (a - c) / bend * 0.5 * (times[i + 1] - times[i - 1])
                if count[sample] == 0:
                    first[sample] = at
                last[sample] = at
                count[sample] += 1
                before = middle
            i = end + 1
