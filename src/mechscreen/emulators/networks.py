"""The networks: Keras models from normalised parameters to profiles and logarithms of peaks.

Every network maps an array (n, dimensions) to ``{"profiles": (n, outputs, points), "log_peaks": (n, outputs)}``; where
outputs differ in shape, profiles are (n, values), one output after the other (`mechscreen.models.Outputs`). They are
built from Keras's own layers and the ones registered below, so that a saved one loads in Keras's safe mode.
"""

from __future__ import annotations

import errno
import json
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.architectures.base import Network
from mechscreen.emulators.quiet_keras import PACKAGE, has_gpu, keras
from mechscreen.emulators.samples import Samples, moments
from mechscreen.errors import FileError, StorageError, says_absent
from mechscreen.registry import NETWORKS

layers = keras.layers
ops = keras.ops

_ROWS = 1024
"""Samples that are worked on at once."""

FEATURE_DEVIATION = 0.25
"""Standard deviation that the dense network's features are scaled to; smaller ones make it start out smoother."""


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


def build_network(settings: Network, samples: Samples, *, seed: int = 0, precision: str = "float32") -> Any:
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
    outputs = settings.outputs(inputs, samples, random_seeds(seed), precision)
    return keras.Model(inputs, outputs, name=settings.network)


@contextmanager
def policy(precision: str) -> Iterator[None]:
    """Let layers that are made meanwhile compute in a precision."""
    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(previous)


def in_units_of(values: NDArray[Any], name: str, features: Any, seeds: Iterator[int]) -> Any:
    """Return a linear map of the features with mean and deviation of some values of the training set, (n, outputs)."""
    return _rescaled(*moments(values), name, features, seeds)


def log_peaks_of(samples: Samples, features: Any, seeds: Iterator[int]) -> Any:
    """Return a linear map of the features to log peaks, (n, outputs); 0 for outputs that are not scaled by theirs."""
    mean, deviation = moments(samples.log_peaks)
    by_peak = np.array([output.scale == "peak" for output in samples.distance.outputs])
    return _rescaled(np.where(by_peak, mean, 0), np.where(by_peak, deviation, 0), "log_peaks", features, seeds)


def values_of(samples: Samples, features: Any, seeds: Iterator[int]) -> Any:
    """Return a map of the features to all values of a sample, in the shape of `samples.profiles`.

    What is scaled by its peak is a sigmoid of a linear map; other outputs are a linear map, in units of their standard
    deviations around their mean curves in the training set.
    """
    outputs, shape = samples.distance.outputs, samples.profiles.shape[1:]
    if all(output.varies and output.scale == "peak" for output in outputs):
        flat = layer(sum(outputs.sizes), "points", seeds, "sigmoid", dtype="float32")(features)
        return layers.Reshape(shape, dtype="float32", name="profiles")(flat)
    means, parts = _mean_values(samples), []
    for k, output in enumerate(outputs):
        name = f"output{k}"
        if not output.varies:
            # A number by its peak is one, whatever the parameters.
            parts.append(_rescaled(np.ones(1), np.zeros(1), name, features, seeds))
        elif output.scale == "peak":
            parts.append(layer(output.size, name, seeds, "sigmoid", dtype="float32")(features))
        else:
            mean = means[outputs.starts[k] : outputs.starts[k + 1]]
            parts.append(_rescaled(mean, np.full_like(mean, samples.distance.deviations[k]), name, features, seeds))
    together = layers.Concatenate(dtype="float32", name="outputs")(parts) if len(parts) > 1 else parts[0]
    return layers.Reshape(shape, dtype="float32", name="profiles")(together)


def _mean_values(samples: Samples) -> NDArray[np.float64]:
    """Return the mean of every value over the samples that have it, (values,).

    Some samples at a time, since they may be read as they are indexed.
    """
    total = np.zeros(sum(samples.distance.outputs.sizes))
    for start in range(0, len(samples), _ROWS):
        rows = np.arange(start, min(start + _ROWS, len(samples)))
        total += samples.distance.outputs.side_by_side(samples.profiles[rows]).sum(axis=0, dtype=np.float64)
    return total / samples.distance.outputs.samples_with(len(samples), total)


def _rescaled(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], name: str, features: Any, seeds: Iterator[int]
) -> Any:
    """Return a linear map of the features, in units of some deviations around some means, (n, values)."""
    initial = keras.initializers.GlorotUniform(next(seeds))
    standard = layers.Dense(len(mean), kernel_initializer=initial, dtype="float32", name=f"standard_{name}")
    return layers.Rescaling(deviation.tolist(), mean.tolist(), dtype="float32", name=name)(standard(features))


def layer(units: int, name: str, seeds: Iterator[int], activation: str | None = None, **options: Any) -> Any:
    """Return a layer of neurons."""
    initial = keras.initializers.HeNormal(next(seeds))
    return layers.Dense(units, activation, kernel_initializer=initial, name=name, **options)


def _gelu(name: str, values: Any) -> Any:
    """Return the activation of some values, in float32: in bfloat16 it takes three times as long on a processor."""
    return layers.Activation("gelu", dtype="float32", name=name)(values)


def residual_features(width: int, blocks: int, inputs: Any, samples: Samples, seeds: Iterator[int]) -> Any:
    """Return the last features of a first layer and residual blocks of two layers each, (n, width)."""
    to_features = ValuesAndLogarithms(dtype="float32", name="values_and_logarithms")
    mean, deviation = moments(keras.ops.convert_to_numpy(to_features(samples.parameters)))
    variance = (deviation / FEATURE_DEVIATION) ** 2
    standard = layers.Normalization(
        mean=mean.tolist(), variance=variance.tolist(), dtype="float32", name="standard_features"
    )(to_features(inputs))
    features = _gelu("embedding", layer(width, "embedding_sum", seeds)(standard))
    for i in range(1, blocks + 1):
        inner = layer(width, f"block{i}_inner_sum", seeds)(features)
        change = layer(width, f"block{i}_outer", seeds)(_gelu(f"block{i}_inner", inner))
        features = _gelu(f"block{i}", layers.Add(dtype="float32", name=f"block{i}_sum")([features, change]))
    return features


_NO_DATE = "1980-01-01@00:00:00"
"""The first that ZIP archives know."""


def save_network(network: Any, path: Path) -> None:
    """Write `network` to a `.keras` file (weights and configuration; no code, no pickle); same network, same bytes."""
    # Without the state of the optimiser, which Keras would store with a network that was trained: twice its size.
    keras.Model(network.input, network.output, name=network.name).save(path)
    # A network that is trained again, since it was lost, is no reason to make anew what was made with it.
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    content["metadata.json"] = _with(content["metadata.json"], "date_saved", lambda _: _NO_DATE)
    # Keras numbers objects that stand in several places by where they are in memory.
    numbers = count(1)
    seen: dict[Any, int] = defaultdict(lambda: next(numbers))
    content["config.json"] = _with(content["config.json"], "shared_object_id", seen.__getitem__)
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in content.items():
            archive.writestr(zipfile.ZipInfo(name), part)


def _with(text: bytes, key: str, change: Callable[[Any], Any]) -> bytes:
    """Return a JSON text in which all values of a key are changed."""

    def changed(values: dict[str, Any]) -> dict[str, Any]:
        return values | ({key: change(values[key])} if key in values else {})

    return json.dumps(json.loads(text, object_hook=changed)).encode()


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
            with zipfile.ZipFile(copy) as archive:
                name = json.loads(archive.read("config.json"))["config"]["name"]
            for module in NETWORKS.get(name).layers:
                import_module(module)
            return keras.saving.load_model(copy, compile=False, safe_mode=True)
        except Exception as error:
            raise FileError(path, f"not a network that can be loaded safely ({error})", "train it again") from error


def network_shape(network: Any) -> tuple[int, int, tuple[int, ...]]:
    """Return the number of parameters and of outputs of a network, and the shape of its profiles of a sample."""
    shape = tuple(map(int, network.output["profiles"].shape[1:]))
    return int(network.input_shape[1]), int(network.output["log_peaks"].shape[1]), shape


def in_float32(network: Any) -> Any:
    """Return a network with the same weights whose layers compute in float32; the weights always are."""
    if all(layer.compute_dtype == "float32" for layer in network.layers):
        return network
    config = json.loads(json.dumps(network.get_config()).replace('"mixed_bfloat16"', '"float32"'))
    twin = type(network).from_config(config)
    twin.set_weights(network.get_weights())
    return twin


def worth_compiling(network: Any) -> bool:
    """Return whether XLA makes a network faster: on a GPU always, on a processor as its kind says."""
    return keras.backend.backend() != "tensorflow" or kind_of(network).worth_compiling or has_gpu()


def kind_of(network: Any) -> type[Network]:
    """Return the kind of a Keras model that `build_network` made, by its name.

    Raises
    ------
    InputError
        If no such kind is installed.
    """
    kind: type[Network] = NETWORKS.get(network.name)
    return kind


def random_seeds(seed: int | None) -> Iterator[int]:
    """Yield 32-bit seeds, one for each weight that is drawn at random."""
    generator: np.random.Generator = np.random.default_rng(seed)
    while True:
        value: NDArray[np.int64] = generator.integers(2**31, size=1)
        yield int(value[0])
