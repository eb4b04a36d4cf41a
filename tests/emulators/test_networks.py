import json
import zipfile

import keras
import numpy as np
import pytest

from mechscreen.emulators.networks import (
    FEATURE_DEVIATION,
    build_network,
    load_network,
    network_shape,
    save_network,
)
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings, TrainingSettings
from mechscreen.emulators.training import Training
from mechscreen.errors import FileError

SETTINGS = [
    DenseSettings(width=16, blocks=2),
    LSTMSettings(embedding=5, units=6, feedback=4),
    AlignedSettings(width=16, blocks=2, nodes=9),
]
OUTPUTS, POINTS = 2, 12
X = np.random.default_rng(0).random((9, 3)).astype(np.float32)


def samples(log_peaks=None, parameters=X):
    if log_peaks is None:
        log_peaks = np.array([[-1, -1], [1, 1]] * 5, np.float32)[: len(parameters)]
    return Samples(parameters, bumps(len(parameters)), log_peaks)


def bumps(n):
    """Bumps that move along the points, (n, outputs, points); the same for each row."""
    x = np.arange(POINTS) - np.array([4.0, 7.0])[:, None] - np.linspace(-1, 1, n)[:, None, None]
    return np.exp(-0.5 * (x / 1.5) ** 2).astype(np.float32)


SAMPLES = samples()

each_network = pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: s.network)


@each_network
@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_a_network_maps_parameters_to_profiles_in_0_to_1_and_log_peaks(settings, precision):
    network = build_network(settings, SAMPLES, precision=precision)
    said = network.predict_on_batch(X)
    assert network_shape(network) == (3, 2, (2, 12))
    assert said["profiles"].shape == (9, 2, 12)
    assert said["log_peaks"].shape == (9, 2)
    assert (said["profiles"] >= 0).all()
    assert (said["profiles"] <= 1).all()
    assert (said["profiles"].max(axis=2) > 0.1).all()
    assert {values.dtype for values in said.values()} == {np.dtype(np.float32)}
    assert keras.config.dtype_policy().name == "float32"


def test_the_lstm_of_mixed_precision_rounds_its_products_and_not_its_profiles():
    exact, mixed = (build_network(SETTINGS[1], SAMPLES, seed=3, precision=p) for p in ("float32", "mixed_bfloat16"))
    said, expected = mixed.predict_on_batch(X)["profiles"], exact.predict_on_batch(X)["profiles"]
    assert 0 < np.abs(said - expected).max() < 0.01
    finer_than_bfloat16 = said.view(np.uint32) & np.uint32(0xFFFF)
    assert np.mean(finer_than_bfloat16 != 0) > 0.9


@each_network
def test_the_seed_alone_fixes_the_initial_weights(settings):
    def weights(seed):
        keras.utils.set_random_seed(int(np.random.default_rng().integers(1000)))
        weights = build_network(settings, SAMPLES, seed=seed).trainable_weights
        return [keras.ops.convert_to_numpy(weight) for weight in weights]

    assert all(np.array_equal(a, b) for a, b in zip(weights(2), weights(2), strict=True))
    drawn = [(a, b) for a, b in zip(weights(2), weights(3), strict=True) if a.ndim > 1]
    assert drawn
    assert not any(np.array_equal(a, b) for a, b in drawn)


@pytest.mark.parametrize("settings", SETTINGS[:2], ids=lambda s: s.network)
def test_log_peaks_are_in_the_units_of_the_training_set(settings):
    log_peaks = np.random.default_rng(1).normal([5.0, -2.0], [0.5, 3.0], (9, 2)).astype(np.float32)
    standard = (log_peaks - log_peaks.mean(axis=0)) / log_peaks.std(axis=0)
    said = build_network(settings, samples(log_peaks)).predict_on_batch(X)["log_peaks"]
    plain = build_network(settings, samples(standard)).predict_on_batch(X)["log_peaks"]
    np.testing.assert_allclose(said, log_peaks.mean(axis=0) + log_peaks.std(axis=0) * plain, rtol=1e-4)


def test_the_dense_network_sees_values_and_logarithms_scaled_by_the_training_set():
    network = build_network(SETTINGS[0], samples(parameters=0.2 + 0.1 * X))
    seen = keras.Model(network.input, network.get_layer("standard_features").output).predict_on_batch(0.2 + 0.1 * X)
    assert seen.shape == (9, 6)
    np.testing.assert_allclose(seen.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(seen.std(axis=0), FEATURE_DEVIATION, rtol=1e-4)


@each_network
def test_parameters_and_peaks_that_do_not_vary_are_no_trouble(settings):
    constant = samples(np.full((9, 2), 3.0, np.float32), np.full((9, 3), 0.3, np.float32))
    said = build_network(settings, constant).predict_on_batch(np.array([[0.3, 0.3, 0.3], [0.0, -0.1, 1.0]], np.float32))
    assert np.isfinite(said["profiles"]).all()
    assert np.abs(said["log_peaks"] - 3).max() < 30


@each_network
def test_a_saved_network_predicts_the_same(settings, tmp_path):
    network = build_network(settings, samples(np.arange(18, dtype=np.float32).reshape(9, 2)), seed=4)
    save_network(network, tmp_path / "model.keras")
    loaded = load_network(tmp_path / "model.keras")
    for name, values in network.predict_on_batch(X).items():
        np.testing.assert_array_equal(loaded.predict_on_batch(X)[name], values)


@each_network
def test_the_same_network_is_saved_as_the_same_bytes(settings, tmp_path):
    for name in ("one", "other"):
        save_network(build_network(settings, SAMPLES, seed=4), tmp_path / f"{name}.keras")
    assert (tmp_path / "one.keras").read_bytes() == (tmp_path / "other.keras").read_bytes()
    assert b"1980-01-01" in (tmp_path / "one.keras").read_bytes()


@each_network
def test_a_file_holds_the_network_and_not_its_optimiser(settings, tmp_path):
    network = build_network(settings, SAMPLES)
    save_network(network, tmp_path / "before.keras")
    job = Training(network, SAMPLES, SAMPLES, TrainingSettings(epochs=1, batch_size=3), seed=0)
    job.run_epoch()
    save_network(network, tmp_path / "after.keras")
    with zipfile.ZipFile(tmp_path / "after.keras") as archive:
        assert not json.loads(archive.read("config.json"))["compile_config"]
    before, after = ((tmp_path / f"{name}.keras").stat().st_size for name in ("before", "after"))
    assert after < 1.1 * before


def test_the_lstm_is_that_of_the_paper():
    """Recompute the profile, point by point from the edge, with the textbook LSTM and the last four outputs."""
    settings = SETTINGS[1]
    network = build_network(settings, SAMPLES, seed=11)
    cell = network.get_layer("points").cell
    weights = {variable.name: np.asarray(variable.value, dtype=float) for variable in cell.weights}
    embedding_kernel, embedding_bias = network.get_layer("embedding").get_weights()

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    z = X.astype(float) @ embedding_kernel + embedding_bias
    embedding = np.where(z > 0, z, np.expm1(z))
    hidden = memory = np.zeros((len(X), settings.units))
    outputs = [np.full((len(X), 2), 0.5)] * settings.feedback
    for _ in range(POINTS):
        fed = np.concatenate([embedding, *outputs[-settings.feedback :]], axis=1)
        gates = fed @ weights["kernel"] + hidden @ weights["recurrent_kernel"] + weights["bias"]
        input_gate, forget_gate, candidate, output_gate = np.split(gates, 4, axis=1)
        memory = sigmoid(forget_gate + 1) * memory + sigmoid(input_gate) * np.tanh(candidate)
        hidden = sigmoid(output_gate) * np.tanh(memory)
        outputs.append(sigmoid(hidden @ weights["output_kernel"] + weights["output_bias"]))
    edge_to_centre = np.stack(outputs[settings.feedback :], axis=2)
    said = network.predict_on_batch(X)
    np.testing.assert_allclose(said["profiles"], edge_to_centre[:, :, ::-1], atol=1e-6)
    peak_kernel, peak_bias = network.get_layer("standard_log_peaks").get_weights()
    mean, deviation = SAMPLES.log_peaks.mean(axis=0), SAMPLES.log_peaks.std(axis=0)
    expected = mean + deviation * (embedding @ peak_kernel + peak_bias)
    np.testing.assert_allclose(said["log_peaks"], expected, atol=1e-5)


def test_the_defaults_of_the_lstm_are_the_papers_sizes():
    network = build_network(LSTMSettings(), SAMPLES)
    shapes = {variable.name: tuple(variable.shape) for variable in network.get_layer("points").cell.weights}
    assert shapes["kernel"] == (64 + OUTPUTS * 16, 4 * 256)
    assert shapes["recurrent_kernel"] == (256, 4 * 256)
    assert network.get_layer("embedding").activation is keras.activations.elu


def test_a_file_that_holds_code_is_refused(tmp_path):
    inputs = keras.Input((3,))
    keras.Model(inputs, keras.layers.Lambda(lambda x: x + 1)(inputs)).save(tmp_path / "model.keras")
    with pytest.raises(FileError, match=r"model.keras: not a network that can be loaded safely"):
        load_network(tmp_path / "model.keras")


def test_a_damaged_or_missing_file_is_refused(tmp_path):
    (tmp_path / "model.keras").write_bytes(b"no zip file")
    with pytest.raises(FileError, match=r"model.keras: not a network"):
        load_network(tmp_path / "model.keras")
    with pytest.raises(FileError, match=r"other.keras: no such network"):
        load_network(tmp_path / "other.keras")


ON_JAX = """
import sys
from pathlib import Path
import keras, numpy as np
from mechscreen.emulators.networks import build_network, load_network, save_network
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings, TrainingSettings
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.training import Training

assert keras.backend.backend() == "jax"
folder = Path(sys.argv[1])
x = np.load(folder / "x.npy")
for name in ("dense", "lstm", "aligned"):
    for key, values in load_network(folder / f"{name}.keras").predict_on_batch(x).items():
        np.save(folder / f"{name}-{key}.npy", values)
profile = {True: np.exp(-(((np.arange(12) - 5) / 2) ** 2)), False: np.full(12, 0.25)}
networks = DenseSettings(width=8, blocks=1), LSTMSettings(embedding=4, units=4, feedback=2), AlignedSettings(width=8)
for settings in networks:
    profiles = np.tile(profile[settings.network == "aligned"], (len(x), 2, 1)).astype(np.float32)
    samples = Samples(x, profiles, np.ones((len(x), 2), np.float32))
    network = build_network(settings, samples)
    how = TrainingSettings(epochs=20, batch_size=3, learning_rate=0.05)
    training = Training(network, samples, samples, how, seed=0)
    while not training.finished:
        assert training.run_epoch()
    assert training.history[-1]["validation_rmse"] < 0.5 * training.history[0]["validation_rmse"], training.history
"""


@pytest.mark.slow
def test_networks_of_tensorflow_predict_and_train_with_jax(tmp_path, on_jax):
    pytest.importorskip("jax")
    np.save(tmp_path / "x.npy", X)
    expected = {}
    for settings in SETTINGS:
        network = build_network(settings, SAMPLES, seed=3)
        save_network(network, tmp_path / f"{settings.network}.keras")
        for key, values in network.predict_on_batch(X).items():
            expected[f"{settings.network}-{key}"] = values
    (tmp_path / "on_jax.py").write_text(ON_JAX)
    on_jax(tmp_path / "on_jax.py", tmp_path)
    for name, values in expected.items():
        np.testing.assert_allclose(np.load(tmp_path / f"{name}.npy"), values, atol=2e-5, err_msg=name)
