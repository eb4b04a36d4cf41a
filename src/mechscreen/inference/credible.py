"""What a posterior says of each parameter: median, credible interval, and whether the data determine it at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Known = Literal["determined", "bounded above", "bounded below", "not determined"]

LEVELS = (0.025, 0.25, 0.5, 0.75, 0.975)
_END = 0.02
"""Share of the prior at an end of the range; a posterior that has as much there as the prior reaches that end."""


@dataclass(frozen=True)
class Credible:
    """What is known of a parameter.

    Attributes
    ----------
    quantiles
        Of its values, at `LEVELS`: the first and the last are the 95 % credible interval.
    known
        ``determined``, if the posterior reaches neither end of the range; ``bounded above`` if it reaches the lower end
        alone, ``bounded below`` the upper one, ``not determined`` if both.
    """

    quantiles: tuple[float, ...]
    known: Known


def credible(unit: NDArray[np.float64], values: NDArray[np.float64]) -> list[Credible]:
    """Return what draws of a posterior say of each parameter.

    Parameters
    ----------
    unit, values
        (n, d), where the draws lie in the prior (shares of it), and their values.
    """
    found = []
    for u, x in zip(unit.T, values.T, strict=True):
        # Half as much as of the prior itself counts as reaching it: draws are no exact density.
        low, high = ((part < _END).mean() > _END / 2 for part in (u, 1 - u))
        known: Known = (
            "not determined" if low and high else "bounded above" if low else "bounded below" if high else "determined"
        )
        found.append(Credible(tuple(float(q) for q in np.quantile(x, LEVELS)), known))
    return found
