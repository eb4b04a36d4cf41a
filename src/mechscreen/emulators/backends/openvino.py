"""Predictions by OpenVINO, on a processor."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from mechscreen.emulators.backends.base import FloatArray, Predictor
from mechscreen.emulators.settings import Precision
from mechscreen.errors import InputError


class OpenVINOPredictor(Predictor):
    """A network with the weights that it has now, compiled for the processor by OpenVINO.

    On a processor, dense layers run faster than by Keras, above all in bfloat16 where the processor has instructions
    for it (docs/measured/emulators.md, "Speed"); elsewhere ``bfloat16`` is float32. It converts what TensorFlow is to
    run.
    """

    name = "openvino"
    precisions = ("float32", "bfloat16")
    loops = False
    keras = "tensorflow"

    def _prepare(self, network: Any, precision: Precision) -> Callable[[FloatArray], Mapping[str, FloatArray]]:
        from mechscreen.emulators.networks import in_float32
        from mechscreen.emulators.quiet_keras import keras

        if keras.backend.backend() != "tensorflow":
            raise InputError(
                f"backend 'openvino' converts networks that TensorFlow runs, and Keras runs on "
                f"{keras.backend.backend()} here; take emulators.backend: keras, or KERAS_BACKEND=tensorflow"
            )
        import tensorflow as tf

        ov, core = _openvino()
        # OpenVINO chooses the precision of the products itself, and fails on some of the casts of mixed precision.
        network = in_float32(network)
        # OpenVINO takes the weights where they lie in memory, so they must live as long as it does.
        self._weights_of = network
        names = ("profiles", "log_peaks")

        @tf.function(input_signature=[tf.TensorSpec((self.batch_size, self.dimensions), tf.float32)])
        def call(parameters: Any) -> list[Any]:
            said = network(parameters, training=False)
            return [said[name] for name in names]

        try:
            with _root_logger_kept():
                model = ov.convert_model(call.get_concrete_function())
        except Exception as error:
            reason = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"backend 'openvino' cannot convert the network '{network.name}' ({reason[-1]}); take "
                "emulators.backend: keras"
            ) from error
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

        return predict


@cache
def _openvino() -> tuple[Any, Any]:
    """Return the module and its one core, which is kept to the end of the process.

    A core gives the process another stack for signals, and when it goes puts back the one before, even if that was
    another core's and is gone (OpenVINO 2026.4): the next signal, such as SLURM's notice of preemption, would then end
    the process.
    """
    # OpenVINO reports its use over the network where this package is found; compute nodes should keep still.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise InputError(
            f"backend 'openvino' cannot be loaded ({error}); pip install 'mechscreen[emulators]'"
        ) from None

    return openvino, openvino.Core()


@contextmanager
def _root_logger_kept() -> Iterator[None]:
    """Put the root logger back as it was: OpenVINO lets it tell errors alone, to the end where a conversion fails."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
