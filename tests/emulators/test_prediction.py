import gc
import logging
import os
import subprocess
import sys
import weakref

import numpy as np
import pytest

from mechscreen.emulators import networks, prediction
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.prediction import KerasPredictor, OpenVINOPredictor, check_backend, make_predictor
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings
from mechscreen.errors import InputError

random = np.random.default_rng(1)
SAMPLES = Samples(
    random.random((50, 3), np.float32), random.random((50, 2, 21), np.float32), random.random((50, 2), np.float32)
)
X = random.random((37, 3), np.float32)


@pytest.fixture(scope="module")
def network():
    return build_network(DenseSettings(width=64, blocks=2), SAMPLES, seed=4)


@pytest.mark.parametrize("make", [KerasPredictor, make_predictor, OpenVINOPredictor])
def test_all_batches_hold_what_the_network_says(network, make):
    said, expected = make(network, 16)(X), network.predict_on_batch(X)
    for name in ("profiles", "log_peaks"):
        assert said[name].shape == expected[name].shape
        np.testing.assert_allclose(said[name], expected[name], atol=1e-5)


def test_a_row_does_not_depend_on_those_beside_it(network):
    predictor = OpenVINOPredictor(network, 16, "float32")
    whole, some = predictor(X)["profiles"], predictor(X[20:25])["profiles"]
    np.testing.assert_array_equal(some, whole[20:25])
    assert predictor(X[:0])["profiles"].shape == (0, 2, 21)


def test_the_networks_of_an_ensemble_do_not_warn_of_one_another():
    """TensorFlow takes the functions of several networks for one that is traced again and again."""
    program = """
import numpy as np
from mechscreen.emulators.quiet import be_quiet
be_quiet()
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.prediction import KerasPredictor
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import DenseSettings
samples = Samples(np.ones((9, 2), np.float32), np.ones((9, 1, 5), np.float32), np.ones((9, 1), np.float32))
for seed in range(7):
    KerasPredictor(build_network(DenseSettings(width=2, blocks=0), samples, seed=seed), 4)(samples.parameters)
"""
    # Keras, which these tests import, sets it for TensorFlow.
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


def test_bfloat16_is_off_by_its_rounding_at_most(network):
    exact, coarse = (OpenVINOPredictor(network, 16, p)(X)["profiles"] for p in ("float32", "bfloat16"))
    # Eight bits of mantissa; the products of five layers.
    assert np.abs(coarse - exact).max() < 5 * 2**-8
    if "BF16" in prediction._openvino()[1].get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert np.abs(coarse - exact).max() > 2**-16


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_of_mixed_precision_is_compiled_with_its_weights(precision):
    # With the width of a real one, from which on OpenVINO fuses the casts.
    mixed = build_network(DenseSettings(), SAMPLES, seed=4, precision="mixed_bfloat16")
    same = build_network(DenseSettings(), SAMPLES, seed=4)
    said, expected = (OpenVINOPredictor(one, 512, precision)(X)["profiles"] for one in (mixed, same))
    np.testing.assert_array_equal(said, expected)
    assert mixed.get_layer("block1_outer").compute_dtype == "bfloat16", "the network itself stays as it is"


def test_weights_of_mixed_precision_live_as_long_as_the_predictor_that_reads_them(monkeypatch):
    made, original = [], networks.in_float32

    def in_float32(network):
        twin = original(network)
        made.append(weakref.ref(twin))
        return twin

    monkeypatch.setattr(networks, "in_float32", in_float32)
    mixed = build_network(DenseSettings(), SAMPLES, seed=4, precision="mixed_bfloat16")
    predictor = OpenVINOPredictor(mixed, 512, "float32")
    gc.collect()
    assert made[0]() is not None, "OpenVINO reads what has come to lie in their place"
    np.testing.assert_allclose(predictor(X)["profiles"], mixed.predict_on_batch(X)["profiles"], atol=0.03)


def test_a_predictor_follows_the_training_and_a_compiled_one_keeps_its_weights():
    network = build_network(DenseSettings(width=16, blocks=1), SAMPLES, seed=5)
    follows, keeps = KerasPredictor(network, 16), OpenVINOPredictor(network, 16, "float32")
    before = keeps(X)["profiles"]
    network.set_weights([1.5 * weight for weight in network.get_weights()])
    assert np.abs(follows(X)["profiles"] - before).max() > 1e-3
    np.testing.assert_array_equal(keeps(X)["profiles"], before)


@pytest.mark.parametrize(
    "settings", [LSTMSettings(embedding=4, units=5, feedback=2), AlignedSettings(width=8, blocks=1, nodes=8)]
)
def test_loops_and_aligned_profiles_stay_with_keras_and_are_compiled(settings):
    network = build_network(settings, SAMPLES, seed=5)
    assert type(make_predictor(network, 16)) is KerasPredictor
    assert network.jit_compile


def test_what_computes_is_chosen_by_name(network):
    aligned = build_network(AlignedSettings(width=8, blocks=1, nodes=8), SAMPLES, seed=5)
    for one, fastest in ((network, "openvino"), (aligned, "keras")):
        made = {name: make_predictor(one, 16, "float32", name) for name in ("auto", "keras", "openvino")}
        assert {name: predictor.name for name, predictor in made.items()} == {
            "auto": fastest,
            "keras": "keras",
            "openvino": "openvino",
        }
        said = [predictor(X)["profiles"] for predictor in made.values()]
        np.testing.assert_array_equal(said[0], said[1 + (fastest == "openvino")])
        np.testing.assert_allclose(said[1], said[2], atol=1e-5)


@pytest.mark.parametrize(
    ("backend", "settings", "precision", "message"),
    [
        (
            "keras",
            DenseSettings(width=8),
            "bfloat16",
            r"'keras' cannot be told to predict in bfloat16 \(valid: float32\)",
        ),
        ("openvino", LSTMSettings(units=4), "float32", "'openvino' cannot run networks that loop over their points"),
        ("openvin", DenseSettings(width=8), "float32", "no backend 'openvin'; did you mean 'openvino'"),
    ],
)
def test_a_backend_refuses_what_it_cannot_do_before_and_when_it_is_made(backend, settings, precision, message):
    with pytest.raises(InputError, match=message):
        check_backend(backend, type(settings), precision)
    with pytest.raises(InputError, match=message):
        make_predictor(build_network(settings, SAMPLES), 16, precision, backend)


def test_where_tensorflow_does_not_run_the_networks_openvino_refuses_them(network, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(InputError, match="converts networks that TensorFlow runs, and Keras runs on jax here"):
        make_predictor(network, 16, backend="openvino")


def test_a_network_that_openvino_cannot_convert_is_told_with_a_way_on(monkeypatch):
    recurrent = build_network(LSTMSettings(embedding=4, units=5, feedback=2), SAMPLES)
    monkeypatch.setattr(OpenVINOPredictor, "loops", True)
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with pytest.raises(InputError, match=r"cannot convert the network 'lstm' \(.*\); take emulators.backend: keras"):
        make_predictor(recurrent, 16, backend="openvino")
    # OpenVINO would have silenced every warning to come.
    assert (root.level, list(root.handlers)) == before


def test_dense_layers_are_not_compiled_by_keras():
    network = build_network(DenseSettings(width=8, blocks=1), SAMPLES, seed=5)
    KerasPredictor(network, 16)
    assert not network.jit_compile


@pytest.mark.parametrize("threads", ["", "2", "2,1"])
def test_threads_may_be_given_as_openmp_allows(network, monkeypatch, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert np.isfinite(OpenVINOPredictor(network, 16, "float32")(X)["profiles"]).all()


def test_nothing_is_reported_over_the_network(network):
    OpenVINOPredictor(network, 16, "float32")
    assert sys.modules["openvino_telemetry"] is None


SIGNAL_AFTER_PREDICTORS = """
import gc, os, signal
import numpy as np
from mechscreen.emulators import networks, prediction
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.prediction import OpenVINOPredictor
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import DenseSettings

x = np.zeros((4, 3), np.float32)
samples = Samples(x, np.zeros((4, 2, 21), np.float32), np.zeros((4, 2), np.float32))
network = build_network(DenseSettings(width=8, blocks=1), samples, seed=1)
predictors = [OpenVINOPredictor(network, 4, "float32") for _ in range(2)]
while predictors:
    predictors.pop(0)
    gc.collect()
seen = []
signal.signal(signal.SIGTERM, lambda number, frame: seen.append(number))
os.kill(os.getpid(), signal.SIGTERM)
assert seen == [signal.SIGTERM]
"""


def test_a_process_that_had_predictors_survives_a_signal():
    subprocess.run([sys.executable, "-c", SIGNAL_AFTER_PREDICTORS], check=True, timeout=120)
