"""Densities of samples: what a stochastic model has for profiles."""

from __future__ import annotations

import numpy as np

from mechscreen.models.outputs import FloatArray

BINS = 64
"""Bins within one bandwidth; the error falls as its square and is 6e-5 of a single kernel's peak."""
REACH = 6
"""Bandwidths at which a kernel is cut off."""


def normal_reference(values: FloatArray) -> float:
    """Return the normal-reference bandwidth of n values: (4/(3n))^(1/5) times their standard deviation.

    It is the best one for normal values (Silverman 1986, Density Estimation, eq. 3.28), and what
    `scipy.stats.gaussian_kde` calls "silverman".
    """
    return float((4 / (3 * len(values))) ** 0.2 * values.std(ddof=1))


def resolved_bandwidth(values: FloatArray, grid: FloatArray) -> float:
    """Return the normal-reference bandwidth, or the wider one that a coarse grid asks for.

    A density that is narrower than the spacing of the grid would fall between two points. Kernels are widened until its
    standard deviation is the spacing at the median of the values; where the values spread as far by themselves, nothing
    changes.
    """
    place = int(np.clip(np.searchsorted(grid, np.median(values)), 1, len(grid) - 1))
    spacing = grid[place] - grid[place - 1]
    return max(normal_reference(values), float(np.sqrt(max(spacing**2 - values.var(ddof=1), 0.0))))


def density(what: str, values: FloatArray, grid: FloatArray, unit: str = "") -> tuple[FloatArray, str]:
    """Estimate the density of `values` (n,) at the points of a grid, and say why there is none.

    Returns
    -------
    density
        (points,), per unit of the values, by `kernel_density` with `resolved_bandwidth`. Zero everywhere where all
        values are one, or most lie beyond the grid; NaN where one is not finite.
    reason
        Why, with the name that `what` is; "" where there is a density.
    """
    low, high = float(values.min()), float(values.max())
    told = f" {unit}" if unit else ""
    if not np.isfinite(high - low):
        return np.full(len(grid), np.nan), f"{what} is not finite"
    if low == high:
        return np.zeros(len(grid)), f"{what} is {low:g}{told} in every trajectory: it has no density"
    if not grid[0] <= np.median(values) <= grid[-1]:
        end = grid[-1] if np.median(values) > grid[-1] else grid[0]
        return np.zeros(len(grid)), f"{what} is beyond its grid, {end:g}{told}, in most trajectories"
    return kernel_density(values, grid, resolved_bandwidth(values, grid)), ""


def kernel_density(values: FloatArray, grid: FloatArray, bandwidth: float) -> FloatArray:
    """Estimate the density of `values` by Gaussian kernels.

    Values are spread over the two nearest of many equal bins, the bins convolved with the kernel, and the result is
    interpolated (Wand 1994, J. Comput. Graph. Stat. 3:433). Within 1e-3 of the peak it is the sum over all values.

    Parameters
    ----------
    values
        (n,), finite.
    grid
        (points,), any points.
    bandwidth
        Standard deviation of a kernel, positive.

    Returns
    -------
    (points,), per unit of the values.
    """
    width = bandwidth / BINS
    low = values.min()
    place = (values - low) / width
    left = place.astype(np.int64)
    share = place - left
    bins = int(left.max()) + 2
    weights = np.bincount(left, 1 - share, bins) + np.bincount(left + 1, share, bins)
    kernel = np.exp(-0.5 * (np.arange(-REACH * BINS, REACH * BINS + 1) / BINS) ** 2)
    # Of sum one in this discrete form, so that the density integrates to one.
    smooth = np.convolve(weights, kernel / kernel.sum()) / (len(values) * width)
    centres = low + width * (np.arange(len(smooth)) - REACH * BINS)
    return np.interp(grid, centres, smooth, left=0.0, right=0.0)
