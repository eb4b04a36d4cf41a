"""The networks: Keras models from normalised parameters to profiles and logarithms of peaks.

Every network maps an array (n, dimensions) to ``{"profiles": (n, outputs, points), "log_peaks": (n, outputs)}``. They
are built from Keras's own layers and the ones registered below, so that a saved one loads in Keras's safe mode.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.backend import has_gpu, keras
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings, NetworkSettings
from mechscreen.errors import InputError

layers = keras.layers
ops = keras.ops

PACKAGE = "mechscreen"

_ROWS = 512
"""Profiles that are worked on at once."""

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


@keras.saving.register_keras_serializable(package=PACKAGE)
class Aligned(keras.layers.Layer):
    """Profiles on a grid from their places, spreads and shapes.

    Place and spread are mean and standard deviation of a profile taken as a density. Its shape is its values at nodes
    that lie `REACH` of its spreads around its place (in functional data analysis, a registered curve). A narrow peak
    that moves is hard to learn point by point; here what moves is one number.

    Parameters
    ----------
    nodes
        Points of a shape.
    points
        Points of the grids.

    Notes
    -----
    Places and spreads are given as logarithms, place from the start of the grid, in standard deviations of the training
    set around its mean; none goes further than `LIMIT`.
    """

    REACH = (-4.0, 7.0)
    LIMIT = 6.0

    def __init__(self, nodes: int, points: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nodes = nodes
        self.points = points

    def build(self, input_shapes: Sequence[tuple[int | None, ...]]) -> None:
        """Create what the training set fixes; `adapt` fills it."""
        outputs = int(input_shapes[0][1] or 0)

        def fixed(name: str, shape: tuple[int, ...]) -> Any:
            return self.add_weight(name=name, shape=shape, initializer="ones", trainable=False)

        self.grids, self.steps = fixed("grids", (outputs, self.points)), fixed("steps", (outputs, self.points))
        self.mean, self.deviation = fixed("mean", (outputs, 2)), fixed("deviation", (outputs, 2))

    def adapt(self, samples: Samples) -> NDArray[np.float64]:
        """Take grids, means and deviations from the training set; return its log integrals, (n, outputs)."""
        outputs = samples.log_peaks.shape[1]
        grids = np.tile(np.arange(self.points), (outputs, 1)) if samples.grids is None else samples.grids
        self.grids.assign(grids)
        self.steps.assign(np.gradient(grids, axis=1))
        parts = np.array_split(np.arange(len(samples)), 1 + len(samples) // _ROWS)
        moments, log_areas = zip(*(self._places_and_spreads(samples.profiles[rows]) for rows in parts), strict=True)
        mean, deviation = _moments(np.concatenate(moments))
        self.mean.assign(mean)
        self.deviation.assign(deviation)
        return samples.log_peaks + np.concatenate(log_areas)

    def represent(self, profiles: NDArray[Any], log_peaks: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """Return what a network that predicts some profiles should say: what it is fitted to."""
        moments, log_areas = self._places_and_spreads(profiles)
        mean, deviation, grids = (keras.ops.convert_to_numpy(v) for v in (self.mean, self.deviation, self.grids))
        steps = keras.ops.convert_to_numpy(self.steps)
        place, spread = grids[:, 0] - steps[:, 0] + np.exp(moments[..., 0]), np.exp(moments[..., 1])
        nodes = np.linspace(*self.REACH, self.nodes)
        shapes = np.empty((*log_peaks.shape, self.nodes), np.float32)
        for i, k in np.ndindex(*log_peaks.shape):
            shapes[i, k] = np.interp(place[i, k] + spread[i, k] * nodes, grids[k], profiles[i, k])
        return {
            "moments": ((moments - mean) / deviation).astype(np.float32),
            "shapes": shapes,
            "log_integrals": (log_peaks + log_areas).astype(np.float32),
        }

    def _places_and_spreads(self, profiles: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the logarithms of places and spreads (n, outputs, 2) and of areas (n, outputs)."""
        grids, steps = (keras.ops.convert_to_numpy(v).astype(np.float64) for v in (self.grids, self.steps))
        from_start, least = grids - grids[:, :1], steps.min(axis=1)
        weights = np.maximum(profiles, 0) * steps
        area = np.maximum(weights.sum(axis=2), least)
        place = (weights * from_start).sum(axis=2) / area
        square = (weights * from_start**2).sum(axis=2) / area - place**2
        spread = np.sqrt(np.maximum(square, (least / 2) ** 2))
        return np.log(np.stack([place + steps[:, 0], spread], axis=2)), np.log(area)

    def call(self, inputs: Sequence[Any]) -> tuple[Any, Any]:
        """Return profiles (n, outputs, points) and the logarithms of their areas (n, outputs).

        `inputs` are moments (n, outputs, 2) and shapes (n, outputs, nodes).
        """
        moments, shapes = inputs
        logs = self.mean + self.deviation * ops.clip(moments, -self.LIMIT, self.LIMIT)
        place = self.grids[:, 0] - self.steps[:, 0] + ops.exp(logs[..., 0])
        place = ops.minimum(ops.maximum(place, self.grids[:, 0]), self.grids[:, -1])
        low, high = self.REACH
        own = (self.grids - place[..., None]) * ops.exp(-logs[..., 1])[..., None]
        at = ops.clip((own - low) * ((self.nodes - 1) / (high - low)), 0.0, self.nodes - 1.001)
        left = ops.floor(at)
        place_of = ops.cast(left, "int32")
        y0, y1 = (ops.take_along_axis(shapes, place_of + i, axis=2) for i in (0, 1))
        # Beyond its reach a shape is zero: what little a sigmoid leaves there would add up along a long grid.
        inside = ops.cast(ops.logical_and(own >= low, own <= high), "float32")
        profiles = inside * (y0 + (at - left) * (y1 - y0))
        profiles = profiles / ops.maximum(ops.max(profiles, axis=-1, keepdims=True), 1e-6)
        # A maximum of one at a point of the grid is an area of one step at least.
        areas = ops.maximum(ops.sum(profiles * self.steps, axis=-1), ops.min(self.steps, axis=-1))
        return profiles, ops.log(areas)

    def compute_output_shape(self, input_shapes: Sequence[tuple[int | None, ...]]) -> tuple[Any, Any]:
        """Return the shapes of profiles and areas."""
        return (*input_shapes[0][:2], self.points), input_shapes[0][:2]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "nodes": self.nodes, "points": self.points}


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
    mean, deviation = _moments(values)
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
    mean, deviation = _moments(keras.ops.convert_to_numpy(to_features(samples.parameters)))
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


def _moments(values: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation of each column; the latter 1 where a column does not vary."""
    mean, deviation = values.mean(axis=0, dtype=np.float64), values.std(axis=0, dtype=np.float64)
    # A parameter that is held fixed varies by rounding alone, which must not be magnified.
    return mean, np.where(deviation > 1e-6 * (1 + np.abs(mean)), deviation, 1.0)


def save_network(network: Any, path: Path) -> None:
    """Write `network` to a `.keras` file (weights and configuration; no code, no pickle)."""
    # Without the state of the optimiser, which Keras would store with a network that was trained: twice its size.
    keras.Model(network.input, network.output, name=network.name).save(path)


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
    """XLA makes loops a quarter faster, and on a CPU dense layers a fifth slower than TensorFlow's own kernels."""
    return keras.backend.backend() != "tensorflow" or is_recurrent(network) or has_gpu()


def is_recurrent(network: Any) -> bool:
    """Return whether a network runs a loop over its points."""
    return any(isinstance(layer, layers.RNN) for layer in network.layers)


def fitted_part(network: Any) -> Any:
    """Return what training fits: the network, or the part of it that says moments, shapes and integrals."""
    if _alignment(network) is None:
        return network
    names = ("moments", "shapes", "log_integrals")
    return keras.Model(network.input, {name: network.get_layer(name).output for name in names})


def represent(network: Any, samples: Samples) -> dict[str, Any]:
    """Return what the `fitted_part` should say of some samples: arrays that rows can be taken from."""
    aligned = _alignment(network)
    if aligned is None:
        return {"profiles": samples.profiles, "log_peaks": samples.log_peaks}
    parts = [
        aligned.represent(samples.profiles[rows], samples.log_peaks[rows])
        for rows in np.array_split(np.arange(len(samples)), 1 + len(samples) // _ROWS)
    ]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _alignment(network: Any) -> Aligned | None:
    return next((layer for layer in network.layers if isinstance(layer, Aligned)), None)


def _seeds(seed: int | None) -> Iterator[int]:
    """Yield 32-bit seeds, one for each weight that is drawn at random."""
    generator: np.random.Generator = np.random.default_rng(seed)
    while True:
        value: NDArray[np.int64] = generator.integers(2**31, size=1)
        yield int(value[0])
