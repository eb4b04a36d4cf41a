"""The networks: Keras models from normalised parameters to profiles and logarithms of peaks.

Every network maps an array (n, dimensions) to ``{"profiles": (n, outputs, points), "log_peaks": (n, outputs)}``. They
are built from Keras's own layers and the ones registered below, so that a saved one loads in Keras's safe mode.
"""

from __future__ import annotations

import errno
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.aligned import Aligned, alignment
from mechscreen.emulators.backend import PACKAGE, has_gpu, keras
from mechscreen.emulators.samples import Samples, moments
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings, NetworkSettings
from mechscreen.errors import FileError, StorageError, says_absent

layers = keras.layers
ops = keras.ops

FEATURE_DEVIATION = 0.25
"""Standard deviation that the dense network's features are scaled to; smaller ones make it start out smoother."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class FeedbackLSTMCell(keras.layers.Layer):
    """One point of a profile: an LSTM step that is fed the embedding and the network's own last outputs.

    Parameters
    ----------
    units
        Units of the LSTM.
    outputs
        Values that each step returns, each passed through a sigmoid.
    feedback
        How many of the last steps' outputs are fed back.
    products
        Precision of the operands of matrix products. All else is in float32, above all the state, which adds up over
        hundreds of points.

    Notes
    -----
    The LSTM is the usual one, with the forget gate's bias at one; the state is (hidden, cell, window of outputs). It is
    run by `keras.layers.RNN`, as one compiled loop.
    """

    def __init__(
        self,
        units: int,
        outputs: int,
        feedback: int,
        seed: int | None = None,
        products: str = "float32",
        **kwargs: Any,
    ) -> None:
        # Keras casts the state of a loop to the precision that its cell computes in.
        super().__init__(**{"dtype": "float32", **kwargs})
        self.units = units
        self.outputs = outputs
        self.feedback = feedback
        self.seed = seed
        self.products = products
        self.state_size = [units, units, feedback * outputs]
        self.output_size = outputs

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Create the weights for embeddings of shape (n, embedding)."""
        seeds = _seeds(self.seed)
        embedding, units = int(input_shape[-1] or 0), self.units
        self.kernel = self.add_weight(
            shape=(embedding + self.feedback * self.outputs, 4 * units),
            initializer=keras.initializers.GlorotUniform(next(seeds)),
            name="kernel",
        )
        self.recurrent_kernel = self.add_weight(
            shape=(units, 4 * units),
            initializer=keras.initializers.Orthogonal(seed=next(seeds)),
            name="recurrent_kernel",
        )
        self.bias = self.add_weight(shape=(4 * units,), initializer="zeros", name="bias")
        self.output_kernel = self.add_weight(
            shape=(units, self.outputs), initializer=keras.initializers.GlorotUniform(next(seeds)), name="output_kernel"
        )
        self.output_bias = self.add_weight(shape=(self.outputs,), initializer="zeros", name="output_bias")

    def get_initial_state(self, batch_size: Any) -> list[Any]:
        """Return zeros for the LSTM and, as the paper has it, 0.5 for the outputs before the first."""
        zeros = ops.zeros((batch_size, self.units))
        return [zeros, zeros, ops.full((batch_size, self.state_size[2]), 0.5)]

    def call(self, inputs: Any, states: list[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """Return the outputs (n, outputs) of one point and the next state."""
        hidden, cell, window = states
        # One product instead of three: the loop is bound by its matrix products.
        kernel = ops.concatenate([self.kernel, self.recurrent_kernel], axis=0)
        gates = self._product(ops.concatenate([inputs, window, hidden], axis=1), kernel) + self.bias
        input_gate, forget_gate, candidate, output_gate = ops.split(gates, 4, axis=1)
        cell = ops.sigmoid(forget_gate + 1.0) * cell + ops.sigmoid(input_gate) * ops.tanh(candidate)
        hidden = ops.sigmoid(output_gate) * ops.tanh(cell)
        output = ops.sigmoid(self._product(hidden, self.output_kernel) + self.output_bias)
        window = ops.concatenate([window[:, self.outputs :], output], axis=1)
        return output, [hidden, cell, window]

    def _product(self, values: Any, kernel: Any) -> Any:
        operands = (ops.cast(operand, self.products) for operand in (values, kernel))
        return ops.cast(ops.matmul(*operands), "float32")

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = ("units", "outputs", "feedback", "seed", "products")
        return {**super().get_config(), **{name: getattr(self, name) for name in own}}


@keras.saving.register_keras_serializable(package=PACKAGE)
class EdgeToCentre(keras.layers.Layer):
    """Turn a sequence (n, points, outputs) that runs from edge to centre into profiles (n, outputs, points)."""

    def call(self, inputs: Any) -> Any:
        """Return the profiles, centre first."""
        return ops.transpose(ops.flip(inputs, axis=1), (0, 2, 1))

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of the profiles."""
        samples, points, outputs = input_shape
        return samples, outputs, points


@keras.saving.register_keras_serializable(package=PACKAGE)
class ValuesAndLogarithms(keras.layers.Layer):
    """Normalised values (n, d) to those values and their logarithms, (n, 2 d).

    Rates and half-saturation constants act through their products and ratios, which are sums of logarithms.
    """

    LEAST = 1e-3
    """What is added to a value first: parameters may be zero."""

    def call(self, inputs: Any) -> Any:
        """Return values and logarithms."""
        return ops.concatenate([inputs, ops.log(ops.maximum(inputs, 0.0) + self.LEAST)], axis=-1)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """Return the shape of values and logarithms."""
        return (*input_shape[:-1], 2 * int(input_shape[-1] or 0))


def build_network(settings: NetworkSettings, samples: Samples, *, seed: int = 0, precision: str = "float32") -> Any:
    """Return an untrained `keras.Model`.

    Parameters
    ----------
    settings
        Which network, and its sizes.
    samples
        What it will be trained on: it takes its shape from them, and their means and standard deviations become part
        of it, so that its own numbers are of the order of one.
    seed
        Fixes the initial weights.
    precision
        Keras's name of a dtype policy. The heads stay in float32.
    """
    inputs = keras.Input(samples.parameters.shape[1:], name="parameters")
    seeds = _seeds(seed)
    if isinstance(settings, AlignedSettings):
        return _aligned(settings, inputs, samples, seeds, precision)
    with _policy(precision):
        if isinstance(settings, DenseSettings):
            features, profiles = _dense(settings, inputs, samples, seeds)
        else:
            features, profiles = _lstm(settings, inputs, samples, seeds)
    log_peaks = _in_units_of(samples.log_peaks, "log_peaks", features, seeds)
    return keras.Model(inputs, {"profiles": profiles, "log_peaks": log_peaks}, name=settings.network)


@contextmanager
def _policy(precision: str) -> Iterator[None]:
    """Let layers that are made meanwhile compute in a precision."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def _in_units_of(values: NDArray[Any], name: str, features: Any, seeds: Iterator[int]) -> Any:
    """Return a linear map of the features with mean and deviation of some values of the training set, (n, outputs)."""
    mean, deviation = moments(values)
    initial = keras.initializers.GlorotUniform(next(seeds))
    standard = layers.Dense(values.shape[1], kernel_initializer=initial, dtype="float32", name=f"standard_{name}")
    return layers.Rescaling(deviation.tolist(), mean.tolist(), dtype="float32", name=name)(standard(features))


def _dense(settings: DenseSettings, inputs: Any, samples: Samples, seeds: Iterator[int]) -> tuple[Any, Any]:
    """Residual blocks; a linear map from the last features to all points."""
    _, outputs, points = samples.profiles.shape
    features = _features(settings, inputs, samples, seeds)
    flat = _layer(outputs * points, "points", seeds, "sigmoid", dtype="float32")(features)
    return features, layers.Reshape((outputs, points), dtype="float32", name="profiles")(flat)


def _aligned(settings: AlignedSettings, inputs: Any, samples: Samples, seeds: Iterator[int], precision: str) -> Any:
    """Residual blocks; linear maps from the last features to places, spreads and shapes, and to integrals.

    The peak of a profile is its integral over its area, so that the network need only know the former: for a density,
    what of it lies on the grid.
    """
    _, outputs, points = samples.profiles.shape
    with _policy(precision):
        features = _features(settings, inputs, samples, seeds)
    parts = []
    for name, width, activation in (("moments", 2, None), ("shapes", settings.nodes, "sigmoid")):
        flat = _layer(outputs * width, f"flat_{name}", seeds, activation, dtype="float32")(features)
        parts.append(layers.Reshape((outputs, width), dtype="float32", name=name)(flat))
    aligned = Aligned(settings.nodes, points, dtype="float32", name="aligned")
    profiles, log_areas = aligned(parts)
    log_integrals = _in_units_of(aligned.adapt(samples), "log_integrals", features, seeds)
    log_peaks = layers.Subtract(dtype="float32", name="log_peaks")([log_integrals, log_areas])
    return keras.Model(inputs, {"profiles": profiles, "log_peaks": log_peaks}, name=settings.network)


def _layer(width: int, name: str, seeds: Iterator[int], activation: str | None = None, **options: Any) -> Any:
    initial = keras.initializers.HeNormal(next(seeds))
    return layers.Dense(width, activation, kernel_initializer=initial, name=name, **options)


def _gelu(name: str, values: Any) -> Any:
    """Return the activation of some values, in float32: in bfloat16 it takes three times as long on a processor."""
    return layers.Activation("gelu", dtype="float32", name=name)(values)


def _features(settings: DenseSettings | AlignedSettings, inputs: Any, samples: Samples, seeds: Iterator[int]) -> Any:
    """Residual blocks of two layers each."""
    to_features = ValuesAndLogarithms(dtype="float32", name="values_and_logarithms")
    mean, deviation = moments(keras.ops.convert_to_numpy(to_features(samples.parameters)))
    variance = (deviation / FEATURE_DEVIATION) ** 2
    standard = layers.Normalization(
        mean=mean.tolist(), variance=variance.tolist(), dtype="float32", name="standard_features"
    )(to_features(inputs))
    features = _gelu("embedding", _layer(settings.width, "embedding_sum", seeds)(standard))
    for i in range(1, settings.blocks + 1):
        inner = _layer(settings.width, f"block{i}_inner_sum", seeds)(features)
        change = _layer(settings.width, f"block{i}_outer", seeds)(_gelu(f"block{i}_inner", inner))
        features = _gelu(f"block{i}", layers.Add(dtype="float32", name=f"block{i}_sum")([features, change]))
    return features


def _lstm(settings: LSTMSettings, inputs: Any, samples: Samples, seeds: Iterator[int]) -> tuple[Any, Any]:
    """Wang et al. (2019): an embedding, and an LSTM over the points from the edge of the colony to its centre."""
    _, outputs, points = samples.profiles.shape
    initial = keras.initializers.HeNormal(next(seeds))
    embedding = layers.Dense(settings.embedding, "elu", kernel_initializer=initial, name="embedding")(inputs)
    cell = FeedbackLSTMCell(
        settings.units,
        outputs,
        settings.feedback,
        seed=next(seeds),
        products=keras.config.dtype_policy().compute_dtype,
        name="cell",
    )
    repeated = layers.RepeatVector(points, name="repeated")(embedding)
    sequence = layers.RNN(cell, return_sequences=True, dtype="float32", name="points")(repeated)
    return embedding, EdgeToCentre(dtype="float32", name="profiles")(sequence)


def save_network(network: Any, path: Path) -> None:
    """Write `network` to a `.keras` file (weights and configuration; no code, no pickle)."""
    # Without the state of the optimiser, which Keras would store with a network that was trained: twice its size.
    keras.Model(network.input, network.output, name=network.name).save(path)


def load_network(path: Path) -> Any:
    """Return the network stored at `path`.

    Raises
    ------
    FileError
        If there is no such file, it is damaged, or it holds code; code is never run.
    StorageError
        If the environment does not let it be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        if not says_absent(error):
            raise StorageError(path, "read", error.errno or errno.EIO) from error
        raise FileError(path, "no such network", "train it first") from None
    # Keras takes a file that cannot be read for one that is not there. From a copy, its errors are of the content.
    with TemporaryDirectory() as folder:
        copy = Path(folder, "model.keras")
        copy.write_bytes(content)
        try:
            return keras.saving.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:
            raise FileError(path, f"not a network that can be loaded safely ({error})", "train it again") from error


def network_shape(network: Any) -> tuple[int, int, int]:
    """Return (dimensions, outputs, points) of a network."""
    _, outputs, points = network.output["profiles"].shape
    return int(network.input_shape[1]), int(outputs), int(points)


def in_float32(network: Any) -> Any:
    """Return a network with the same weights whose layers compute in float32; the weights always are."""
    if all(layer.compute_dtype == "float32" for layer in network.layers):
        return network
    config = json.loads(json.dumps(network.get_config()).replace('"mixed_bfloat16"', '"float32"'))
    twin = type(network).from_config(config)
    twin.set_weights(network.get_weights())
    return twin


def worth_compiling(network: Any) -> bool:
    """Return whether XLA makes a network faster.

    On a CPU it makes loops a quarter faster, and aligned networks nearly four times in prediction and 1.7 times in
    training (docs/emulators.md, "Speed"), but dense layers take a fifth longer than with TensorFlow's own kernels.
    """
    of_curves = alignment(network) is not None
    return keras.backend.backend() != "tensorflow" or is_recurrent(network) or of_curves or has_gpu()


def is_recurrent(network: Any) -> bool:
    """Return whether a network runs a loop over its points."""
    return any(isinstance(layer, layers.RNN) for layer in network.layers)


def _seeds(seed: int | None) -> Iterator[int]:
    """Yield 32-bit seeds, one for each weight that is drawn at random."""
    generator: np.random.Generator = np.random.default_rng(seed)
    while True:
        value: NDArray[np.int64] = generator.integers(2**31, size=1)
        yield int(value[0])
