"""What an objective is, and what those of one output share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.arrays import as_array, namespace
from mechscreen.errors import InputError

IntArray = NDArray[np.int64]

UNDECIDED = -1
"""Label that a compiled program gives a sample whose class it leaves to the objective as NumPy computes it."""


class Objective(Protocol):
    """Anything that labels samples.

    One that has to know the outputs, their grids for example, has a method ``bind(outputs)`` too, which returns the
    objective for these, or raises an `InputError`.
    """

    @property
    def version(self) -> str:
        """Changes whenever labels change; it is part of the campaign's identity."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class; label k is the class ``class_names[k]``."""

    def __call__(self, *arrays: Any) -> IntArray:
        """Label the outputs of n samples, by name or as profiles and log peaks; return (n,) labels."""


class OfOneOutput(ABC):
    """An objective that looks at the shape of one output alone."""

    output: int

    @abstractmethod
    def label(self, profiles: NDArray[Any]) -> IntArray:
        """Return (n,) labels for the profiles of that output, (n, points), NumPy's or JAX's."""

    def __call__(self, profiles: ArrayLike, log_peaks: ArrayLike) -> IntArray:
        """Return (n,) labels for profiles (n, outputs, points); `log_peaks` is not looked at."""
        values: NDArray[Any] = as_array(profiles)
        if values.ndim != 3 or self.output >= values.shape[1]:
            raise InputError(
                f"objective '{type(self).__name__.lower()}' looks at output {self.output} of profiles "
                f"(n, outputs, points); these have shape {values.shape}"
            )
        return self.label(values[:, self.output])


def is_numpy(array: Any) -> bool:
    """Return whether an array is NumPy's, so that compiled loops take it, and not one of JAX's."""
    return namespace(array) is np


def as_floats(profiles: ArrayLike) -> NDArray[Any]:
    """Return profiles in a precision that the compiled loops take, without a copy where they are in one."""
    values = np.asarray(profiles)
    return values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
