"""Compiled loop that fills the histograms of `mechscreen.tally.Counts`."""

from __future__ import annotations

import numba


@numba.njit(cache=True, nogil=True)
def count_planes(cells, labels, pairs, planes):  # type: ignore[no-untyped-def]
    """Count each sample's cell in every plane; `cells` is (dimensions, n), `pairs` (planes, 2)."""
    # One plane after the other: its histogram stays in the cache, all of them together would not.
    for plane in range(len(pairs)):
        i, j = pairs[plane]
        for sample in range(len(labels)):
            planes[labels[sample], plane, cells[i, sample], cells[j, sample]] += 1
