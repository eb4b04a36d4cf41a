"""Networks as functions of JAX, in a process of their own, since one process runs Keras on one library alone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mechscreen.emulators.backends.device import as_members
from mechscreen.emulators.networks import build_network, save_network
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings
from mechscreen.errors import InputError

pytest.importorskip("jax")

ON_JAX = """
import sys
from pathlib import Path
import numpy as np
from mechscreen.emulators.backends.choice import make_predictor, prepare

prepare("device")
from mechscreen.emulators.networks import keras, load_network
from mechscreen.emulators.backends.device import as_members
import jax

assert keras.backend.backend() == "jax"
folder = Path(sys.argv[1])
rows = np.load(folder / "rows.npy")
found = {}
for path in folder.glob("*.keras"):
    network = load_network(path)
    for precision in ("float32", "bfloat16"):
        said = make_predictor(network, 16, precision)(rows)
        found |= {f"{path.stem} {precision} {name}": values for name, values in said.items()}
assert make_predictor(network, 16).name == "device"
for names in (("dense", "dense2"), ("dense", "dense-wide")):
    networks = [load_network(folder / f"{name}.keras") for name in names]
    members = as_members(networks, "float32", len(rows))
    with jax.enable_x64(True):
        profiles, log_peaks = jax.jit(members.call)(members.weights, rows)
    assert profiles.dtype == log_peaks.dtype == np.float32
    found[f"{names[1]} members"] = profiles
np.savez(folder / "found.npz", **found)
"""

SETTINGS = {
    "dense": (DenseSettings(width=64, blocks=2), 4),
    "dense2": (DenseSettings(width=64, blocks=2), 5),
    "dense-wide": (DenseSettings(width=96, blocks=1), 6),
    "lstm": (LSTMSettings(embedding=4, units=5, feedback=2), 7),
    "aligned": (AlignedSettings(width=8, blocks=1, nodes=8), 8),
}


@pytest.fixture(scope="module")
def found(tmp_path_factory, samples, sets):
    """What networks say on JAX, and by TensorFlow, by name."""
    folder = tmp_path_factory.mktemp("networks")
    np.save(folder / "rows.npy", sets)
    expected = {}
    for name, (settings, seed) in SETTINGS.items():
        network = build_network(settings, samples, seed=seed)
        save_network(network, folder / f"{name}.keras")
        expected[name] = network.predict_on_batch(sets)
    (folder / "on_jax.py").write_text(ON_JAX)
    command = [sys.executable, str(folder / "on_jax.py"), str(folder)]
    ran = subprocess.run(command, cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    return np.load(folder / "found.npz"), expected


@pytest.mark.parametrize("name", SETTINGS)
def test_any_network_says_on_jax_what_it_says_by_tensorflow(found, name):
    on_jax, expected = found
    for output, values in expected[name].items():
        np.testing.assert_allclose(on_jax[f"{name} float32 {output}"], values, atol=2e-5)


def test_products_in_bfloat16_round_their_factors_alone(found):
    on_jax, expected = found
    for output, values in expected["dense"].items():
        error = np.abs(on_jax[f"dense bfloat16 {output}"] - values).max()
        # Factors of 8 bits, of layers whose values are of the order of one: heads are not rounded to 8 bits.
        assert 1e-5 < error < 0.02, output
    assert len(np.unique(on_jax["dense bfloat16 profiles"])) > 1000


@pytest.mark.parametrize("other", ["dense2", "dense-wide"])
def test_members_are_one_function_whether_or_not_they_are_of_one_kind(found, other):
    on_jax, expected = found
    for member, name in zip(on_jax[f"{other} members"], ("dense", other), strict=True):
        np.testing.assert_allclose(member, expected[name]["profiles"], atol=2e-5)


def test_networks_that_tensorflow_runs_are_refused_with_what_to_do(network):
    with pytest.raises(InputError, match="Keras runs on tensorflow here; set KERAS_BACKEND=jax, or take"):
        as_members([network], "float32", 16)
