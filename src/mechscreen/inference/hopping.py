"""Where another search may begin: where one ended, with some of its parameters drawn anew.

Searches end at the nearest best set, of which some models have many. A better one often shares most parameters with one
that is known (basin hopping: Wales & Doye, J. Phys. Chem. A 1997).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]

_FEWEST, _MOST = 2, 6
"""Parameters that are drawn anew."""


def redrawn(position: FloatArray, drawn: FloatArray, varied: NDArray[np.bool_], rng: np.random.Generator) -> FloatArray:
    """Return positions, (n, d), each with some of what varies taken from one that was drawn.

    Parameters
    ----------
    position
        (d,), where a search ended.
    drawn
        (n, d), positions.
    varied
        (d,), what may be drawn anew; of d ≤ 6 such ones all may be.
    """
    columns = np.flatnonzero(varied)
    found = np.repeat(position[None], len(drawn), axis=0)
    most = min(_MOST, len(columns))
    for row, other in zip(found, drawn, strict=True):
        some = rng.permutation(columns)[: rng.integers(min(_FEWEST, most), most + 1)]
        row[some] = other[some]
    return found
