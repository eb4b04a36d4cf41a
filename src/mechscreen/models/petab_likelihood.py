"""How likely measurements are under PEtab's noise models (https://petab.readthedocs.io, version 1), for many samples.

A measurement m of an observable y has noise σ on the observable's scale h (lin, log, log10), r = (h(y) − h(m)) / σ:

    normal:   −2 ln p(m) = r² + ln(2π σ²) − 2 ln h'(m)
    laplace:  −2 ln p(m) = 2 |r| + 2 ln(2σ) − 2 ln h'(m)

as in `petab.v1.calculate`, with the derivative h' that a density on another scale has.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mechscreen.models.outputs import FloatArray

Transformation = Literal["lin", "log", "log10"]
Distribution = Literal["normal", "laplace"]

_SCALES: Mapping[Transformation, Callable[[Any], Any]] = {
    "lin": lambda values: values,
    "log": np.log,
    "log10": np.log10,
}


@dataclass(frozen=True)
class Fit:
    """How well n samples fit m measurements, (n, m) each.

    Attributes
    ----------
    residuals
        In units of the noise, r.
    misfits
        What of −2 ln L depends on residuals: r² of normal, 2 |r| of Laplace noise.
    noises
        The rest of −2 ln L: what depends on the noise and on the measurements alone.
    """

    residuals: FloatArray
    misfits: FloatArray
    noises: FloatArray

    def __add__(self, other: Fit) -> Fit:
        of_both = zip(vars(self).values(), vars(other).values(), strict=True)
        return Fit(*(np.concatenate(both, axis=1) for both in of_both))

    @property
    def chi2(self) -> FloatArray:
        """(n,), sum of squared residuals."""
        with np.errstate(all="ignore"):
            return np.square(self.residuals).sum(axis=1)

    @property
    def misfit(self) -> FloatArray:
        """(n,), what of −2 ln L depends on residuals."""
        return self.misfits.sum(axis=1)

    @property
    def noise(self) -> FloatArray:
        """(n,), the rest of −2 ln L."""
        return self.noises.sum(axis=1)

    @property
    def llh(self) -> FloatArray:
        """Log-likelihood."""
        return -(self.misfit + self.noise) / 2


def nothing(n: int) -> Fit:
    """Return the fit of n samples to no measurement."""
    return Fit(*np.zeros((3, n, 0)))


def fit(
    simulated: FloatArray,
    measured: FloatArray,
    sigma: FloatArray,
    transformation: Transformation,
    distribution: Distribution,
) -> Fit:
    """Return the fit of n samples to m measurements.

    Parameters
    ----------
    simulated, sigma
        (n, m), observables and their noise; no sample fits for which an observable or a noise is `unusable` (NaN).
    measured
        (m,)
    """
    bad = unusable(simulated, sigma, transformation)
    # A sample that is off by more than a number can say has no fit either.
    with np.errstate(all="ignore"):
        scale = _SCALES[transformation]
        residuals = (scale(simulated) - scale(measured)) / sigma
        residuals[bad] = np.nan
        log_sigma = np.where(bad, np.nan, np.log(sigma))
        squares = residuals**2
    if distribution == "normal":
        misfit, noise = squares, math.log(2 * math.pi) + 2 * log_sigma
    else:
        misfit, noise = 2 * np.abs(residuals), 2 * (math.log(2) + log_sigma)
    noise = noise + 2 * _log_stretch(measured, transformation)
    return Fit(residuals, misfit, noise)


def unusable(simulated: FloatArray, sigma: FloatArray, transformation: Transformation) -> NDArray[np.bool_]:
    """Return where there is no likelihood, (n, m): no logarithm of the observable, or noise that is not above 0."""
    bad = ~(np.isfinite(simulated) & np.isfinite(sigma) & (sigma > 0))
    return bad if transformation == "lin" else bad | (simulated <= 0)


def _log_stretch(measured: FloatArray, transformation: Transformation) -> FloatArray:
    """Return −ln h'(m), (m,)."""
    if transformation == "lin":
        return np.zeros(len(measured))
    return np.log(measured) + (math.log(math.log(10)) if transformation == "log10" else 0.0)
