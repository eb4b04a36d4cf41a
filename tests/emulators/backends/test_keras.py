import os
import subprocess
import sys

from mechscreen.emulators.backends.keras import KerasPredictor
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.settings import DenseSettings


def test_the_networks_of_an_ensemble_do_not_warn_of_one_another():
    """TensorFlow takes the functions of several networks for one that is traced again and again."""
    program = """
import numpy as np
from mechscreen.emulators.quiet import be_quiet
be_quiet()
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.backends.keras import KerasPredictor
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


def test_dense_layers_are_not_compiled_by_keras(samples):
    network = build_network(DenseSettings(width=8, blocks=1), samples, seed=5)
    KerasPredictor(network, 16)
    assert not network.jit_compile
