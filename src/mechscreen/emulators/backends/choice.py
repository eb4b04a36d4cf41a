"""Which backend computes: the one that is asked for by name, or the fastest on this machine."""

from __future__ import annotations

import os
import sys
from typing import Any

from mechscreen.emulators.architectures.base import Network
from mechscreen.emulators.backends.base import AUTO, Predictor
from mechscreen.emulators.backends.device import DevicePredictor
from mechscreen.emulators.backends.keras import KerasPredictor
from mechscreen.emulators.backends.openvino import OpenVINOPredictor
from mechscreen.emulators.settings import Precision
from mechscreen.errors import InputError, nearest
from mechscreen.registry import BACKENDS


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


def prepare(name: str) -> None:
    """Let Keras, where it is not imported yet and nobody said otherwise, run on what a backend needs."""
    if name != AUTO and BACKENDS.get(name).keras and "keras" not in sys.modules:
        os.environ.setdefault("KERAS_BACKEND", BACKENDS.get(name).keras)


def make_predictor(network: Any, batch_size: int, precision: Precision = "float32", backend: str = AUTO) -> Predictor:
    """Return a predictor for a network that is not trained any more, by the backend of that name.

    ``auto`` is the fastest on this machine: the device backend where Keras runs on JAX; Keras, in the network's own
    precision, where it runs on another library than TensorFlow, where TensorFlow sees a GPU, for loops and for aligned
    profiles; elsewhere OpenVINO.

    Raises
    ------
    InputError
        If there is no such backend, or it cannot do this.
    """
    if backend == AUTO:
        from mechscreen.emulators.networks import worth_compiling
        from mechscreen.emulators.quiet_keras import keras

        if keras.backend.backend() == "jax":
            return DevicePredictor(network, batch_size, precision)
        if worth_compiling(network):
            return KerasPredictor(network, batch_size)
        backend = OpenVINOPredictor.name
    predictor: Predictor = BACKENDS.get(backend)(network, batch_size, precision)
    return predictor
