"""Which of many parameter sets are best in one respect or another: the Pareto front."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def front(values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return the rows that no other is better than in one respect and as good in the other, by their first values.

    Parameters
    ----------
    values
        (n, 1) or (n, 2), all of which are to be large; rows with NaN are of no front. Of equal rows the first one is.
    """
    known = np.flatnonzero(np.isfinite(values).all(axis=1))
    columns = [-values[known, k] for k in reversed(range(values.shape[1]))]
    # By the first value, from the largest on; of equal ones by the second.
    ordered = known[np.lexsort(columns)]
    if values.shape[1] == 1:
        return ordered[:1]
    second = values[ordered, 1]
    before = np.concatenate([[-np.inf], np.maximum.accumulate(second)[:-1]]) if len(second) else second
    return ordered[second > before]
