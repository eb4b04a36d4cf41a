import gc
import logging
import subprocess
import sys
import weakref

import numpy as np
import pytest

from mechscreen.emulators import networks
from mechscreen.emulators.backends import openvino
from mechscreen.emulators.backends.choice import make_predictor
from mechscreen.emulators.backends.keras import KerasPredictor
from mechscreen.emulators.backends.openvino import OpenVINOPredictor
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.settings import DenseSettings, LSTMSettings
from mechscreen.errors import InputError


def test_bfloat16_is_off_by_its_rounding_at_most(network, sets):
    exact, coarse = (OpenVINOPredictor(network, 16, p)(sets)["profiles"] for p in ("float32", "bfloat16"))
    # Eight bits of mantissa; the products of five layers.
    assert np.abs(coarse - exact).max() < 5 * 2**-8
    if "BF16" in openvino._openvino()[1].get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        assert np.abs(coarse - exact).max() > 2**-16


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_network_of_mixed_precision_is_compiled_with_its_weights(samples, precision, sets):
    # With the width of a real one, from which on OpenVINO fuses the casts.
    mixed = build_network(DenseSettings(), samples, seed=4, precision="mixed_bfloat16")
    same = build_network(DenseSettings(), samples, seed=4)
    said, expected = (OpenVINOPredictor(one, 512, precision)(sets)["profiles"] for one in (mixed, same))
    np.testing.assert_array_equal(said, expected)
    assert mixed.get_layer("block1_outer").compute_dtype == "bfloat16", "the network itself stays as it is"


def test_weights_of_mixed_precision_live_as_long_as_the_predictor_that_reads_them(samples, monkeypatch, sets):
    made, original = [], networks.in_float32

    def in_float32(network):
        twin = original(network)
        made.append(weakref.ref(twin))
        return twin

    monkeypatch.setattr(networks, "in_float32", in_float32)
    mixed = build_network(DenseSettings(), samples, seed=4, precision="mixed_bfloat16")
    predictor = OpenVINOPredictor(mixed, 512, "float32")
    gc.collect()
    assert made[0]() is not None, "OpenVINO reads what has come to lie in their place"
    np.testing.assert_allclose(predictor(sets)["profiles"], mixed.predict_on_batch(sets)["profiles"], atol=0.03)


def test_a_predictor_follows_the_training_and_a_compiled_one_keeps_its_weights(samples, sets):
    network = build_network(DenseSettings(width=16, blocks=1), samples, seed=5)
    follows, keeps = KerasPredictor(network, 16), OpenVINOPredictor(network, 16, "float32")
    before = keeps(sets)["profiles"]
    network.set_weights([1.5 * weight for weight in network.get_weights()])
    assert np.abs(follows(sets)["profiles"] - before).max() > 1e-3
    np.testing.assert_array_equal(keeps(sets)["profiles"], before)


def test_where_tensorflow_does_not_run_the_networks_openvino_refuses_them(network, monkeypatch):
    monkeypatch.setattr("keras.backend.backend", lambda: "jax")
    with pytest.raises(InputError, match="converts networks that TensorFlow runs, and Keras runs on jax here"):
        make_predictor(network, 16, backend="openvino")


def test_a_network_that_openvino_cannot_convert_is_told_with_a_way_on(samples, monkeypatch):
    recurrent = build_network(LSTMSettings(embedding=4, units=5, feedback=2), samples)
    monkeypatch.setattr(OpenVINOPredictor, "loops", True)
    root = logging.getLogger()
    before = root.level, list(root.handlers)
    with pytest.raises(InputError, match=r"cannot convert the network 'lstm' \(.*\); take emulators.backend: keras"):
        make_predictor(recurrent, 16, backend="openvino")
    # OpenVINO would have silenced every warning to come.
    assert (root.level, list(root.handlers)) == before


@pytest.mark.parametrize("threads", ["", "2", "2,1"])
def test_threads_may_be_given_as_openmp_allows(network, monkeypatch, threads, sets):
    monkeypatch.setenv("OMP_NUM_THREADS", threads)
    assert np.isfinite(OpenVINOPredictor(network, 16, "float32")(sets)["profiles"]).all()


def test_nothing_is_reported_over_the_network(network):
    OpenVINOPredictor(network, 16, "float32")
    assert sys.modules["openvino_telemetry"] is None


SIGNAL_AFTER_PREDICTORS = """
import gc, os, signal
import numpy as np
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.backends.openvino import OpenVINOPredictor
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
