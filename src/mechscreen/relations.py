"""How two parameters go together among the samples of a class: straight lines through their counts over a plane.

Wang et al. (2019) read such laws off their screens of two parameters (Fig. S7): K_T falls as 1/α_C, and grows with α_T.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Form = Literal["linear", "inverse"]

FORMS: tuple[Form, ...] = ("linear", "inverse")

FEWEST = 10
"""Samples that a bin needs for its mean to count, and bins that a line needs."""


@dataclass(frozen=True)
class Relation:
    """The least-squares line y = `intercept` + `slope` · x, or with 1/x where `form` is "inverse".

    Attributes
    ----------
    intercept, slope
        In the units of the axes; of an axis in decades, the decimal logarithm is x or y.
    intercept_interval, slope_interval
        95 % confidence intervals of the fitted line, for sampling error alone: not whether the law is a line.
    r2, r2_means
        Share of the variance of y that the line explains: of all samples, and of the means of y in the bins of x (for
        which a line of their own is fitted). The second says how straight the middle of a broad band is.
    x_range
        Centres of the first and the last bin of x that count for the means: the line says nothing beyond.
    samples
        How many samples there are.
    """

    form: Form
    intercept: float
    slope: float
    intercept_interval: tuple[float, float]
    slope_interval: tuple[float, float]
    r2: float
    r2_means: float
    x_range: tuple[float, float]
    samples: int


def fit_relation(
    counts: NDArray[np.int64], x: NDArray[np.float64], y: NDArray[np.float64], form: Form
) -> Relation | None:
    """Fit a line through the samples of a class.

    Parameters
    ----------
    counts
        (len(x), len(y)), samples in each cell of the plane.
    x, y
        Centres of the cells along the axes, decimal logarithms where these are in decades; x > 0 where `form` is
        "inverse".

    Returns
    -------
    The relation, or None where fewer than `FEWEST` bins of x have `FEWEST` samples each.
    """
    along = counts.sum(axis=1)
    enough = along >= FEWEST
    if np.count_nonzero(enough) < FEWEST:
        return None
    abscissa = x if form == "linear" else 1 / x
    samples = int(counts.sum())
    # The moments of all samples from their counts: a screen has too many to write them out for a library's line.
    cells, weights = np.stack([axis.ravel() for axis in np.meshgrid(abscissa, y, indexing="ij")]), counts.ravel()
    mean_x, mean_y = np.average(cells, axis=1, weights=weights)
    (xx, xy), (_, yy) = np.cov(cells, fweights=weights, ddof=0)
    slope = xy / xx
    r2 = xy**2 / (xx * yy) if yy > 0 else 1.0
    slope_error = np.sqrt((1 - r2) * yy / xx / (samples - 2))
    intercept_error = slope_error * np.sqrt(xx + mean_x**2)
    of_means = stats.linregress(abscissa[enough], (counts @ y)[enough] / along[enough])
    wide = float(stats.t.ppf(0.975, samples - 2))

    def interval(middle: float, error: float) -> tuple[float, float]:
        return float(middle - wide * error), float(middle + wide * error)

    intercept = float(mean_y - slope * mean_x)
    return Relation(
        form,
        intercept,
        float(slope),
        interval(intercept, intercept_error),
        interval(slope, slope_error),
        float(r2),
        float(of_means.rvalue**2),
        (float(x[enough].min()), float(x[enough].max())),
        samples,
    )
