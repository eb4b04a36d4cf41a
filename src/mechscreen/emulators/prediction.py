"""One network's predictions for many parameter sets, by one of several backends. Imports nothing heavy."""

from __future__ import annotations

import logging
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.architectures.base import Network
from mechscreen.emulators.settings import Precision
from mechscreen.errors import InputError, nearest
from mechscreen.registry import BACKENDS

FloatArray = NDArray[np.float32]

AUTO = "auto"
"""What stands for the backend that is fastest on this machine."""


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

    Class attributes
    ----------------
    name
        The backend's, as in ``emulators.backend``.
    precisions
        Those that it can be told to compute in.
    loops
        Whether it can run networks that loop over their points.

    Raises
    ------
    InputError
        If the backend cannot do this.
    """

    name: ClassVar[str]
    precisions: ClassVar[tuple[Precision, ...]] = ("float32",)
    loops: ClassVar[bool] = True

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


class OpenVINOPredictor(Predictor):
    """A network with the weights that it has now, compiled for the processor by OpenVINO.

    On a processor, dense layers run faster than by Keras, above all in bfloat16 where the processor has instructions
    for it (docs/emulators.md, "Speed"); elsewhere ``bfloat16`` is float32. It converts what TensorFlow is to run.
    """

    name = "openvino"
    precisions = ("float32", "bfloat16")
    loops = False

    def _prepare(self, network: Any, precision: Precision) -> Callable[[FloatArray], Mapping[str, FloatArray]]:
        from mechscreen.emulators.backend import keras
        from mechscreen.emulators.networks import in_float32

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


def check_backend(name: str, kind: type[Network], precision: Precision) -> None:
    """See that there is a backend, and that it can run a kind of network, and in a precision.

    Raises
    ------
    InputError
        If not.
    """
    if name == AUTO:
        return
    names = [AUTO, *BACKENDS.names()]
    if name not in names:
        raise InputError(f"no backend '{name}'{nearest(name, names)} (valid: {', '.join(names)})")
    BACKENDS.get(name).check(kind, precision)


def make_predictor(network: Any, batch_size: int, precision: Precision = "float32", backend: str = AUTO) -> Predictor:
    """Return a predictor for a network that is not trained any more, by the backend of that name.

    ``auto`` is the fastest on this machine: Keras, in the network's own precision, where there is a GPU, where
    TensorFlow is not what runs it, for loops and for aligned profiles; elsewhere OpenVINO.

    Raises
    ------
    InputError
        If there is no such backend, or it cannot do this.
    """
    if backend == AUTO:
        from mechscreen.emulators.networks import worth_compiling

        if worth_compiling(network):
            return KerasPredictor(network, batch_size)
        backend = OpenVINOPredictor.name
    predictor: Predictor = BACKENDS.get(backend)(network, batch_size, precision)
    return predictor
