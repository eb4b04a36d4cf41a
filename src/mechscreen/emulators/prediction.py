"""One network's predictions for many parameter sets."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class Predictor:
    """A network, called in batches of one shape.

    The last batch is filled up, so that the compiled function sees a single shape and a row's prediction does not
    depend on how many rows are asked for.
    """

    def __init__(self, network: Any, batch_size: int) -> None:
        self._network = network
        self._batch_size = batch_size

    def __call__(self, parameters: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Return ``{"profiles": (n, outputs, points), "log_peaks": (n, outputs)}`` for normalised (n, d)."""
        n, size = len(parameters), self._batch_size
        result: dict[str, NDArray[np.float32]] = {}
        for start in range(0, max(n, 1), size):
            rows = np.asarray(parameters[start : start + size], dtype=np.float32)
            filled = len(rows)
            if filled < size:
                rows = np.concatenate([rows, np.zeros((size - filled, rows.shape[1]), np.float32)])
            for name, values in self._network.predict_on_batch(rows).items():
                if name not in result:
                    result[name] = np.empty((n, *values.shape[1:]), np.float32)
                result[name][start : start + filled] = values[:filled]
        return result
