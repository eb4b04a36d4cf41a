"""Which way −2 ln L falls, and how curved it is: Fisher's scoring, of normal noise.

The curvature is the expected information. In it means and noise do not mix: a step is as long as the noise of now
allows, however much of it is misfit. That of the noise is the mean of the expected and the observed one, so that steps
are neither too long where noise is too large, nor too short where it is too small.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mechscreen.objectives.observations import Compared

FloatArray = NDArray[np.float64]


def information(found: Compared, slopes: Compared) -> tuple[FloatArray, FloatArray]:
    """Return half the gradient of −2 ln L, (n, k), and half its curvature, (n, k, k).

    Parameters
    ----------
    found
        How n positions compare, (n, m).
    slopes
        Its derivatives by k parameters, (n, k, m).
    """
    residuals = found.residuals[:, None]
    gradient = (residuals * slopes.residuals + slopes.noise / 2).sum(axis=2)
    # How far expectations move, in units of the noise.
    moves = slopes.residuals + residuals * slopes.noise / 2
    of_variance = (1 + residuals**2) / 4 * slopes.noise
    return gradient, moves @ moves.swapaxes(1, 2) + of_variance @ slopes.noise.swapaxes(1, 2)
