"""One network's predictions for many parameter sets."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.networks import in_float32, network_shape, worth_compiling
from mechscreen.emulators.settings import Precision

FloatArray = NDArray[np.float32]


@cache
def _openvino() -> tuple[Any, Any]:
    """Return the module and its one core, which is kept to the end of the process.

    A core gives the process another stack for signals, and when it goes puts back the one before, even if that was
    another core's and is gone (OpenVINO 2026.4): the next signal, such as SLURM's notice of preemption, would then end
    the process.
    """
    # OpenVINO reports its use over the network where this package is found; compute nodes should keep still.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino, openvino.Core()


class Predictor:
    """A network, called in batches of one shape.

    The last batch is filled up, so that the compiled function sees a single shape and a row's prediction does not
    depend on how many rows are asked for.

    Parameters
    ----------
    network
        A network of `mechscreen.emulators.networks`. It may be trained on; the predictions are those of its weights at
        the time.
    batch_size
        Parameter sets of one call.
    """

    def __init__(self, network: Any, batch_size: int) -> None:
        self.dimensions, self.outputs, self.points = network_shape(network)
        self.batch_size = batch_size
        if not network.compiled:
            network.jit_compile = worth_compiling(network)
        self._predict: Callable[[FloatArray], Mapping[str, FloatArray]] = network.predict_on_batch

    def __call__(self, parameters: NDArray[Any]) -> dict[str, FloatArray]:
        """Return ``{"profiles": (n, outputs, points), "log_peaks": (n, outputs)}`` for normalised (n, d)."""
        n = len(parameters)
        result = {
            "profiles": np.empty((n, self.outputs, self.points), np.float32),
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


class CompiledPredictor(Predictor):
    """A network with the weights that it has now, compiled for the processor by OpenVINO.

    On a processor, dense layers run faster than by Keras, above all in bfloat16 where the processor has instructions
    for it (docs/emulators.md, "Speed"). Parameters as for `Predictor`, and

    precision
        Of the products; ``bfloat16`` is float32 where the processor has no instructions for it.
    """

    def __init__(self, network: Any, batch_size: int, precision: Precision) -> None:
        super().__init__(network, batch_size)
        import tensorflow as tf

        ov, core = _openvino()
        # OpenVINO chooses the precision of the products itself, and fails on some of the casts of mixed precision.
        network = in_float32(network)
        # OpenVINO takes the weights where they lie in memory, so they must live as long as it does.
        self._weights_of = network
        names = ("profiles", "log_peaks")

        @tf.function(input_signature=[tf.TensorSpec((batch_size, self.dimensions), tf.float32)])
        def call(parameters: Any) -> list[Any]:
            said = network(parameters, training=False)
            return [said[name] for name in names]

        model = ov.convert_model(call.get_concrete_function())
        # OpenMP allows a number for each level of nesting; zero leaves the choice to OpenVINO.
        threads = int(os.environ.get("OMP_NUM_THREADS", "").partition(",")[0] or 0)
        settings = {
            "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": 1,
            # Every rank would pin itself to the first core.
            "ENABLE_CPU_PINNING": False,
        }
        request = core.compile_model(model, "CPU", settings).create_infer_request()

        def predict(rows: FloatArray) -> Mapping[str, FloatArray]:
            request.infer([rows], share_inputs=True)
            return {name: request.get_output_tensor(k).data for k, name in enumerate(names)}

        self._predict = predict


def fastest_predictor(network: Any, batch_size: int, precision: Precision = "float32") -> Predictor:
    """Return the fastest predictor for a network that is not trained any more, on this machine.

    That is Keras, in the network's own precision, where there is a GPU, where TensorFlow is not the backend, for loops
    and for aligned profiles; elsewhere OpenVINO.
    """
    if worth_compiling(network):
        return Predictor(network, batch_size)
    return CompiledPredictor(network, batch_size, precision)
