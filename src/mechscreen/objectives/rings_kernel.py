"""Compiled loops that count the peaks of mirrored profiles; what is counted is in `mechscreen.objectives.rings`.

They stand in this one file, because Numba renews a cached binary only when the file that holds the entry point,
`count_mirrored_peaks`, has changed.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

TIED, NOT_FINITE = 1, 2
"""Verdicts: SciPy's choice among equal heights may change the count; a value is not finite."""


@numba.njit(cache=True, nogil=True)
def count_mirrored_peaks(profiles, distance, prominence, off_centre, centre, verdict):  # type: ignore[no-untyped-def]
    """Fill `off_centre` and `centre`, or set `verdict` where they cannot be told here."""
    points = profiles.shape[1]
    # Peaks of the half, from the centre outwards: the edges of each one's plateau.
    first = np.empty(points, dtype=np.int64)
    last = np.empty(points, dtype=np.int64)
    # The same peaks in the mirrored profile, by position (the centre is 0), and what became of each.
    position = np.empty(2 * points, dtype=np.int64)
    height = np.empty(2 * points, dtype=np.float64)
    kept = np.empty(2 * points, dtype=np.bool_)

    for sample in range(profiles.shape[0]):
        x = profiles[sample]
        lowest = _lowest(x)
        if not np.isfinite(lowest):
            verdict[sample] = NOT_FINITE
            continue
        # A peak less than `prominence` above the lowest point cannot count, nor can those that it could displace,
        # which are lower still; leaving them out spares the ripple of flat regions. The margin covers rounding.
        count = _half_peaks(x, lowest + 0.999 * prominence, first, last)
        has_centre = count > 0 and first[0] == 0
        pairs = count - 1 if has_centre else count
        size = 2 * pairs + has_centre
        for k in range(pairs):
            half = count - pairs + k
            edges = first[half] + last[half]
            # SciPy rounds the middle of a plateau down, so a plateau of even size is not quite mirrored.
            position[size - pairs + k] = edges // 2
            position[pairs - 1 - k] = -((edges + 1) // 2)
            height[size - pairs + k] = height[pairs - 1 - k] = x[first[half]]
        if has_centre:
            position[pairs] = 0
            height[pairs] = x[0]
        if not _keep_by_distance(position[:size], height[:size], distance, kept):
            verdict[sample] = TIED
            continue

        for k in range(pairs):
            standing = np.int64(kept[pairs - 1 - k]) + np.int64(kept[size - pairs + k])
            half = count - pairs + k
            if standing and _prominence(x, first[half], last[half]) >= prominence:
                off_centre[sample] += standing
        centre[sample] = has_centre and kept[pairs] and _prominence(x, first[0], last[0]) >= prominence


@numba.njit(cache=True, nogil=True)
def _lowest(x):  # type: ignore[no-untyped-def]
    """Return the least value, NaN if any value is not finite."""
    lowest = x[0]
    spoilt = x[0] - x[0]
    for value in x:
        lowest = min(lowest, value)
        spoilt += value - value
    return np.float64(lowest) + spoilt


# Unsigned indices spare the compiled loops a test for negative ones; that is a third of the time here.
_ONE = np.uint64(1)


@numba.njit(cache=True, nogil=True)
def _half_peaks(x, threshold, first, last):  # type: ignore[no-untyped-def]
    """Find the plateaus of x, of at least `threshold`, that are peaks of its mirror image; return their number."""
    end = np.uint64(len(x) - 1)
    count = 0
    i = np.uint64(0)
    while True:
        if x[i] < threshold:
            # No peak down here; stop before the next point that is high enough.
            while i < end and x[i + _ONE] < threshold:
                i += _ONE
        start = i
        while i < end and x[i + _ONE] > x[i]:
            i += _ONE
            start = i
        while i < end and x[i + _ONE] == x[i]:
            i += _ONE
        if i == end:
            return count
        if x[i + _ONE] > x[i]:
            continue
        if x[i] >= threshold:
            first[count] = start
            last[count] = i
            count += 1
        while i < end and x[i + _ONE] <= x[i]:
            i += _ONE


@numba.njit(cache=True, nogil=True)
def _keep_by_distance(position, height, distance, kept):  # type: ignore[no-untyped-def]
    """Let peaks closer than `distance` to a higher one go; return False where equal heights leave it open."""
    size = len(position)
    close = False
    for i in range(size):
        kept[i] = True
        close |= i > 0 and position[i] - position[i - 1] < distance
    if not close:
        return True

    undecided: Any = np.arange(size)
    mirrored = True
    while len(undecided):
        highest = -np.inf
        for i in undecided:
            highest = max(highest, height[i])
        before = -1
        for i in undecided:
            if height[i] != highest:
                continue
            if before >= 0 and position[i] - position[before] < distance:
                # A peak and its own mirror image: either may go, the outcomes mirror each other, so the count is the
                # same. This holds once; then the rest is no longer symmetric.
                for j in range(size):
                    mirrored &= position[j] == -position[size - 1 - j]
                if not (mirrored and before == size - 1 - i):
                    return False
                mirrored = False
                kept[before] = False
            before = i
        # What is lower and too close goes: once seen from the left, once from the right.
        nearest = position[0] - distance
        for i in undecided:
            if height[i] == highest and kept[i]:
                nearest = position[i]
            elif position[i] - nearest < distance:
                kept[i] = False
        nearest = position[size - 1] + distance
        for i in undecided[::-1]:
            if height[i] == highest and kept[i]:
                nearest = position[i]
            elif nearest - position[i] < distance:
                kept[i] = False
        count = 0
        for i in undecided:
            if kept[i] and height[i] != highest:
                undecided[count] = i
                count += 1
        undecided = undecided[:count]
    return True


@numba.njit(cache=True, nogil=True)
def _prominence(x, first, last):  # type: ignore[no-untyped-def]
    """Prominence, over the whole mirrored profile, of the peak whose plateau is x[first … last]."""
    top = x[first]
    outer = top
    i = np.uint64(last + 1)
    while i < len(x) and x[i] <= top:
        outer = min(outer, x[i])
        i += _ONE
    inner = top
    i = np.uint64(first)
    while i > 0 and x[i - _ONE] <= top:
        i -= _ONE
        inner = min(inner, x[i])
    # Nothing higher up to the centre: beyond it lies the mirror image, at least as deep as the outer side.
    base = outer if i == 0 else max(inner, outer)
    return np.float64(top) - np.float64(base)
