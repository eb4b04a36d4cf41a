"""Predictions by Keras."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mechscreen.emulators.backends.base import FloatArray, Predictor
from mechscreen.emulators.settings import Precision


class KerasPredictor(Predictor):
    """A network as Keras calls it, in the precision of its training.

    It may be trained on; the predictions are those of its weights at the time.
    """

    name = "keras"

    def _prepare(self, network: Any, precision: Precision) -> Callable[[FloatArray], Mapping[str, FloatArray]]:
        from mechscreen.emulators.networks import worth_compiling

        if not network.compiled:
            network.jit_compile = worth_compiling(network)
        predict: Callable[[FloatArray], Mapping[str, FloatArray]] = network.predict_on_batch
        return predict
