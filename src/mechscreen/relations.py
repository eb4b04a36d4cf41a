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
        In the units of the axes.
    intercept_interval, slope_interval
        95 % confidence intervals.
    r2, r2_means
        Share of the variance of y that the line explains: of all samples, and of the means of y in the bins of x (for
        which a line of their own is fitted). The second says how straight the middle of a broad band is.
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
        Centres of the cells along the axes; x > 0 where `form` is "inverse".

    Returns
    -------
    The relation, or None where fewer than `FEWEST` bins of x have `FEWEST` samples each.
    """
    along = counts.sum(axis=1)
    enough = along >= FEWEST
    if np.count_nonzero(enough) < FEWEST:
        return None
    abscissa = x if form == "linear" else 1 / x
    i, j = np.nonzero(counts)
    line = stats.linregress(np.repeat(abscissa[i], counts[i, j]), np.repeat(y[j], counts[i, j]))
    of_means = stats.linregress(abscissa[enough], (counts @ y)[enough] / along[enough])
    samples = int(counts.sum())
    wide = float(stats.t.ppf(0.975, samples - 2))

    def interval(middle: float, error: float) -> tuple[float, float]:
        return middle - wide * error, middle + wide * error

    return Relation(
        form,
        float(line.intercept),
        float(line.slope),
        interval(float(line.intercept), float(line.intercept_stderr)),
        interval(float(line.slope), float(line.stderr)),
        float(line.rvalue**2),
        float(of_means.rvalue**2),
        samples,
    )
