"""The networks: Keras models from normalised parameters to profiles and logarithms of peaks.

Every network maps an array (n, dimensions) to ``{"profiles": (n, outputs, points), "log_peaks": (n, outputs)}``. They
are built from Keras's own layers and the ones registered below, so that a saved one loads in Keras's safe mode.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.backend import keras
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import DenseSettings, LSTMSettings
from mechscreen.errors import InputError

layers = keras.layers
ops = keras.ops

PACKAGE = "mechscreen"

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

    Notes
    -----
    The LSTM is the usual one, with the forget gate's bias at one; the state is (hidden, cell, window of outputs). It is
    run by `keras.layers.RNN`, as one compiled loop.
    """

    def __init__(self, units: int, outputs: int, feedback: int, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.outputs = outputs
        self.feedback = feedback
        self.seed = seed
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
        zeros = ops.zeros((batch_size, self.units), dtype=self.compute_dtype)
        return [zeros, zeros, ops.full((batch_size, self.state_size[2]), 0.5, dtype=self.compute_dtype)]

    def call(self, inputs: Any, states: list[Any], training: bool = False) -> tuple[Any, list[Any]]:
        """Return the outputs (n, outputs) of one point and the next state."""
        hidden, cell, window = states
        # One product instead of three: the loop is bound by its matrix products.
        kernel = ops.concatenate([self.kernel, self.recurrent_kernel], axis=0)
        gates = ops.matmul(ops.concatenate([inputs, window, hidden], axis=1), kernel) + self.bias
        take, forget, new, show = ops.split(gates, 4, axis=1)
        cell = ops.sigmoid(forget + 1.0) * cell + ops.sigmoid(take) * ops.tanh(new)
        hidden = ops.sigmoid(show) * ops.tanh(cell)
        output = ops.sigmoid(ops.matmul(hidden, self.output_kernel) + self.output_bias)
        window = ops.concatenate([window[:, self.outputs :], output], axis=1)
        return output, [hidden, cell, window]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"units": self.units, "outputs": self.outputs, "feedback": self.feedback, "seed": self.seed}
        return {**super().get_config(), **own}


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


def build_network(
    settings: DenseSettings | LSTMSettings, samples: Samples, *, seed: int = 0, precision: str = "float32"
) -> Any:
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
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        if isinstance(settings, DenseSettings):
            features, profiles = _dense(settings, inputs, samples, seeds)
        else:
            features, profiles = _lstm(settings, inputs, samples, seeds)
    finally:
        keras.config.set_dtype_policy(previous)
    mean, deviation = _moments(samples.log_peaks)
    standard = layers.Dense(
        samples.log_peaks.shape[1],
        kernel_initializer=keras.initializers.GlorotUniform(next(seeds)),
        dtype="float32",
        name="standard_log_peaks",
    )(features)
    log_peaks = layers.Rescaling(deviation.tolist(), mean.tolist(), dtype="float32", name="log_peaks")(standard)
    return keras.Model(inputs, {"profiles": profiles, "log_peaks": log_peaks}, name=settings.network)


def _dense(settings: DenseSettings, inputs: Any, samples: Samples, seeds: Iterator[int]) -> tuple[Any, Any]:
    """Residual blocks of two layers each; a linear map from the last features to all points."""

    def dense(width: int, name: str, activation: str | None = None, **options: Any) -> Any:
        initial = keras.initializers.HeNormal(next(seeds))
        return layers.Dense(width, activation, kernel_initializer=initial, name=name, **options)

    _, outputs, points = samples.profiles.shape
    to_features = ValuesAndLogarithms(dtype="float32", name="values_and_logarithms")
    mean, deviation = _moments(keras.ops.convert_to_numpy(to_features(samples.parameters)))
    variance = (deviation / FEATURE_DEVIATION) ** 2
    standard = layers.Normalization(
        mean=mean.tolist(), variance=variance.tolist(), dtype="float32", name="standard_features"
    )(to_features(inputs))
    features = dense(settings.width, "embedding", "gelu")(standard)
    for i in range(1, settings.blocks + 1):
        change = dense(settings.width, f"block{i}_inner", "gelu")(features)
        change = dense(settings.width, f"block{i}_outer")(change)
        features = layers.Activation("gelu", name=f"block{i}")(layers.Add(name=f"block{i}_sum")([features, change]))
    flat = dense(outputs * points, "points", "sigmoid", dtype="float32")(features)
    return features, layers.Reshape((outputs, points), dtype="float32", name="profiles")(flat)


def _lstm(settings: LSTMSettings, inputs: Any, samples: Samples, seeds: Iterator[int]) -> tuple[Any, Any]:
    """Wang et al. (2019): an embedding, and an LSTM over the points from the edge of the colony to its centre."""
    _, outputs, points = samples.profiles.shape
    initial = keras.initializers.HeNormal(next(seeds))
    embedding = layers.Dense(settings.embedding, "elu", kernel_initializer=initial, name="embedding")(inputs)
    cell = FeedbackLSTMCell(settings.units, outputs, settings.feedback, seed=next(seeds), name="cell")
    repeated = layers.RepeatVector(points, name="repeated")(embedding)
    sequence = layers.RNN(cell, return_sequences=True, name="points")(repeated)
    return embedding, EdgeToCentre(dtype="float32", name="profiles")(sequence)


def _moments(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each column; the latter 1 where a column does not vary."""
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    # A parameter that is held fixed varies by rounding alone, which must not be magnified.
    return mean, np.where(deviation > 1e-6 * (1 + np.abs(mean)), deviation, 1.0)


def save_network(network: Any, path: Path) -> None:
    """Write `network` to a `.keras` file (weights and configuration; no code, no pickle)."""
    network.save(path)


def load_network(path: Path) -> Any:
    """Return the network stored at `path`.

    Raises
    ------
    InputError
        If there is no such file, it is damaged, or it holds code; code is never run.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such network; train it first")
    try:
        return keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:
        raise InputError(f"{path}: not a network that can be loaded safely ({error}); train it again") from error


def network_shape(network: Any) -> tuple[int, int, int]:
    """Return (dimensions, outputs, points) of a network."""
    _, outputs, points = network.get_layer("profiles").output.shape
    return int(network.input_shape[1]), int(outputs), int(points)


def is_recurrent(network: Any) -> bool:
    """Return whether a network runs a loop over its points."""
    return any(isinstance(layer, layers.RNN) for layer in network.layers)


def _seeds(seed: int | None) -> Iterator[int]:
    """Yield 32-bit seeds, one for each weight that is drawn at random."""
    generator: np.random.Generator = np.random.default_rng(seed)
    while True:
        value: NDArray[np.int64] = generator.integers(2**31, size=1)
        yield int(value[0])
