"""What a backend is: a network's predictions for many parameter sets, in batches of one shape."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.architectures.base import Network
from mechscreen.emulators.settings import Precision
from mechscreen.errors import InputError

FloatArray = NDArray[np.float32]

AUTO = "auto"
"""What stands for the backend that is fastest on this machine."""


class Predictor(ABC):
    """A network, called in batches of one shape, by a backend: a library that computes what networks say.

    The last batch is filled up, so that the compiled function sees a single shape and a row's prediction does not
    depend on how many rows are asked for. Subclass it, name it, say what it can do, and write `_prepare`; an installed
    package adds it by an entry point of that name in the group ``mechscreen.backends``. Its module must not import
    what takes seconds outside the methods that need it.

    Parameters
    ----------
    network
        A network of `mechscreen.emulators.networks`.
    batch_size
        Parameter sets of one call.
    precision
        Of the products.

    Attributes
    ----------
    name
        The backend's, as in ``emulators.backend``.
    precisions
        Those that it can be told to compute in.
    loops
        Whether it can run networks that loop over their points.
    keras
        What Keras has to run on, "" where it does not matter.

    Raises
    ------
    InputError
        If the backend cannot do this.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[Precision, ...]] = ("float32",)
    loops: ClassVar[bool] = True
    keras: ClassVar[str] = ""

    def __init__(self, network: Any, batch_size: int, precision: Precision = "float32") -> None:
        from mechscreen.emulators.networks import kind_of, network_shape

        self.check(kind_of(network), precision)
        self.dimensions, self.outputs, self.shape = network_shape(network)
        self.batch_size = batch_size
        self._predict = self._prepare(network, precision)

    @classmethod
    def check(cls, kind: type[Network], precision: Precision) -> None:
        """See that the backend can run a kind of network, and in a precision.

        Raises
        ------
        InputError
            If it cannot.
        """
        if kind.recurrent and not cls.loops:
            raise InputError(
                f"backend '{cls.name}' cannot run networks that loop over their points, as this one does; take "
                f"{AUTO} or keras"
            )
        if precision not in cls.precisions:
            raise InputError(
                f"backend '{cls.name}' cannot be told to predict in {precision} (valid: {', '.join(cls.precisions)})"
            )

    @abstractmethod
    def _prepare(self, network: Any, precision: Precision) -> Callable[[FloatArray], Mapping[str, FloatArray]]:
        """Return what maps normalised parameters (batch size, d) to ``{"profiles": …, "log_peaks": …}``."""

    def __call__(self, parameters: NDArray[Any]) -> dict[str, FloatArray]:
        """Return ``{"profiles": (n, *shape), "log_peaks": (n, outputs)}`` for normalised (n, d)."""
        n = len(parameters)
        result = {
            "profiles": np.empty((n, *self.shape), np.float32),
            "log_peaks": np.empty((n, self.outputs), np.float32),
        }
        for start in range(0, n, self.batch_size):
            part = slice(start, start + self.batch_size)
            self.fill(parameters[part], result["profiles"][part], result["log_peaks"][part])
        return result

    def fill(self, parameters: NDArray[Any], profiles: FloatArray, log_peaks: FloatArray) -> None:
        """Predict at most one batch into the two arrays."""
        rows = np.zeros((self.batch_size, self.dimensions), np.float32)
        rows[: len(parameters)] = parameters
        said = self._predict(rows)
        profiles[:] = said["profiles"][: len(parameters)]
        log_peaks[:] = said["log_peaks"][: len(parameters)]
