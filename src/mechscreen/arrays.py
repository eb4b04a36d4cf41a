"""Arrays of any library: which functions to work on them with, so that one formula serves processors and cards."""

from __future__ import annotations

from typing import Any

import numpy as np


def namespace(*arrays: Any) -> Any:
    """Return the functions for some arrays: those of the first one's library that is not NumPy, else NumPy's.

    A library says them by the array API standard (``__array_namespace__``); JAX's are all of `jax.numpy`.
    """
    for array in arrays:
        if not isinstance(array, np.ndarray | np.generic) and hasattr(array, "__array_namespace__"):
            return array.__array_namespace__()
    return np


def as_array(values: Any, dtype: Any = None) -> Any:
    """Return an array as it is, or in a precision; of anything else a NumPy array."""
    return namespace(values).asarray(values, dtype=dtype)
