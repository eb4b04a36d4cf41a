"""Cubic Hermite interpolation between nodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_DRAWN = 200
"""Points of a curve in a picture, at least."""


def place(nodes: FloatArray, times: FloatArray) -> tuple[NDArray[np.int64], FloatArray]:
    """Return the interval of each time, (n,), and the share of it that lies before."""
    i = np.clip(np.searchsorted(nodes, times, side="right") - 1, 0, len(nodes) - 2)
    return i, (times - nodes[i]) / (nodes[i + 1] - nodes[i])


def basis(z: FloatArray, h: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return the weights of value and slope at the beginning, and of those at the end, of an interval of width h.

    At the share z of it; z and h are of one shape.
    """
    return (1 + 2 * z) * (1 - z) ** 2, z * (1 - z) ** 2 * h, z * z * (3 - 2 * z), z * z * (z - 1) * h


def hermite(nodes: FloatArray, x: FloatArray, f: FloatArray, times: FloatArray) -> FloatArray:
    """Return values at the given times, (n, d), from values (N, d) and slopes (N, d) at the nodes."""
    i, h, z = _place(nodes, times)
    a, b, c, d = basis(z, h)
    return np.asarray(a * x[i] + b * f[i] + c * x[i + 1] + d * f[i + 1])


def dense_curve(nodes: FloatArray, x: FloatArray, f: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return times (n,) that divide all intervals alike, enough of them for a picture, and values (n, d) there."""
    parts = -(-_DRAWN // len(nodes))
    times = np.interp(np.arange(parts * (len(nodes) - 1) + 1) / parts, np.arange(len(nodes)), nodes)
    return times, hermite(nodes, x, f, times)


def hermite_slopes(nodes: FloatArray, x: FloatArray, f: FloatArray, times: FloatArray) -> FloatArray:
    """Return slopes at the given times, (n, d); as `hermite`."""
    i, h, z = _place(nodes, times)
    return np.asarray(
        6 * z * (1 - z) / h * (x[i + 1] - x[i]) + (1 - z) * (1 - 3 * z) * f[i] + z * (3 * z - 2) * f[i + 1]
    )


def _place(nodes: FloatArray, times: FloatArray) -> tuple[NDArray[np.int64], FloatArray, FloatArray]:
    """Return the interval of each time, its width, and the share of it that lies before, (n, 1) but for the first."""
    i, z = place(nodes, times)
    return i, (nodes[i + 1] - nodes[i])[:, None], z[:, None]
