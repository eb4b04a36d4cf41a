import numpy as np
import pytest

from mechscreen.emulators.backends.choice import check_backend, make_predictor
from mechscreen.emulators.backends.keras import KerasPredictor
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings
from mechscreen.errors import InputError


@pytest.mark.parametrize(
    "settings", [LSTMSettings(embedding=4, units=5, feedback=2), AlignedSettings(width=8, blocks=1, nodes=8)]
)
def test_loops_and_aligned_profiles_stay_with_keras_and_are_compiled(samples, settings):
    network = build_network(settings, samples, seed=5)
    assert type(make_predictor(network, 16)) is KerasPredictor
    assert network.jit_compile


def test_what_computes_is_chosen_by_name(samples, network, sets):
    aligned = build_network(AlignedSettings(width=8, blocks=1, nodes=8), samples, seed=5)
    for one, fastest in ((network, "openvino"), (aligned, "keras")):
        made = {name: make_predictor(one, 16, "float32", name) for name in ("auto", "keras", "openvino")}
        assert {name: predictor.name for name, predictor in made.items()} == {
            "auto": fastest,
            "keras": "keras",
            "openvino": "openvino",
        }
        said = [predictor(sets)["profiles"] for predictor in made.values()]
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
def test_a_backend_refuses_what_it_cannot_do_before_and_when_it_is_made(samples, backend, settings, precision, message):
    with pytest.raises(InputError, match=message):
        check_backend(backend, type(settings), precision)
    with pytest.raises(InputError, match=message):
        make_predictor(build_network(settings, samples), 16, precision, backend)
