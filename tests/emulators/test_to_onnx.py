"""Ensembles as ONNX, run by ONNX Runtime, beside what Keras says."""

import keras
import numpy as np
import onnx
import onnxruntime
import pytest

from mechscreen.emulators.architectures.base import Network
from mechscreen.emulators.ensemble import Ensemble
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings
from mechscreen.emulators.to_onnx.ensemble import ensemble_graph
from mechscreen.emulators.to_onnx.graph import make_model
from mechscreen.errors import InputError
from mechscreen.models import Output, Parameter, ParameterSpace
from mechscreen.models.distances import Distance

N = 40
GRID = np.arange(12.0)
PROFILES = [Output("calcium", GRID, unit="µM"), Output("gene", GRID + 3, compare="shape")]
MIXED = [
    Output("period", given="oscillates", scale="log", unit="h"),
    Output("oscillates"),
    Output("level", scale="log"),
    Output("trace", GRID, scale="linear"),
    Output("spread", GRID[:5], compare="nothing"),
    Output("field", (GRID[:3], GRID[:4])),
    Output("delay", given="oscillates"),
]
SPACE = ParameterSpace(
    [
        Parameter("k", 1e-4, 10.0, "1/s", scale="log"),
        Parameter("n", 1000.0, 1004.0, integer=True),
        Parameter("strain", 0, 2, categories=("wild", "mutant", "double")),
        Parameter("c", 0.0, 5.0, zero=-1.0, one=9.0),
        Parameter("held", 3.0, 3.0),
    ]
)
SETTINGS = [
    DenseSettings(width=16, blocks=2),
    LSTMSettings(embedding=5, units=6, feedback=4),
    AlignedSettings(width=16, blocks=2, nodes=9),
]


def sets(n=N, seed=1):
    return SPACE.physical(np.random.default_rng(seed).random((n, len(SPACE))))


def samples(outputs):
    """Bumps for profiles, and random numbers for all else."""
    rng = np.random.default_rng(0)
    x = np.arange(12.0) - np.linspace(3, 8, N)[:, None]
    bumps = np.stack([np.exp(-0.5 * (x / width) ** 2) for width in (1.0, 1.5)], axis=1)
    distance = Distance.of(outputs, np.linspace(1, 2, len(outputs)))
    values = bumps if distance.outputs.uniform else rng.random((N, *distance.outputs.shape))
    log_peaks = rng.normal(size=(N, len(outputs)))
    parameters = SPACE.normalise(sets()).astype(np.float32)
    return Samples(parameters, values.astype(np.float32), log_peaks.astype(np.float32), distance)


def ensemble(settings, outputs, members=3, combine="vote", precision="float32"):
    """Networks with random weights, so that they differ and no bias is zero."""
    networks, rng = [], np.random.default_rng(5)
    known = samples(outputs)
    for seed in range(members):
        network = build_network(settings, known, seed=seed, precision=precision)
        for weight in network.trainable_weights:
            weight.assign(weight + rng.normal(0, 0.05, weight.shape))
        networks.append(network)
    return Ensemble(networks, combine=combine, backend="keras", distance=known.distance)


def run(made, parameters):
    names = [f"out_{k}" for k in range(len(made.distance.outputs))]
    model = make_model(ensemble_graph(made, SPACE, names), "the tests", "1", {})
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    called = [value.name for value in session.get_outputs()]
    return names, dict(zip(called, session.run(called, {"parameters": parameters}), strict=True))


def assert_the_same(made, parameters):
    """See that ONNX Runtime says what the ensemble says, to 2e-5 of the largest value of each output."""
    names, found = run(made, parameters)
    outputs, normalised = made.distance.outputs, SPACE.normalise(parameters)
    said = made.predict(normalised)
    members = made.predict_members(normalised)
    for k, name in enumerate(names):
        each = [outputs.in_units(own["profiles"], own["log_peaks"], k) for own in members]
        for ours, expected in (
            (found[name], outputs.in_units(said.profiles, said.log_peaks, k)),
            (found[f"{name}_of_members"], np.stack(each)),
        ):
            assert ours.dtype == np.float32
            assert ours.shape == expected.shape
            np.testing.assert_allclose(ours, expected, rtol=0, atol=2e-5 * np.nanmax(np.abs(expected)))
    np.testing.assert_allclose(found["disagreement"], said.disagreement, rtol=1e-4, atol=1e-6)
    return found


@pytest.mark.parametrize("combine", ["vote", "mean"])
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: s.network)
def test_onnx_runtime_says_what_the_ensemble_says(settings, combine):
    found = assert_the_same(ensemble(settings, PROFILES, combine=combine), sets())
    assert found["disagreement"].min() > 0
    assert np.ptp(found["out_0"], axis=0).max() > 0


@pytest.mark.parametrize("combine", ["vote", "mean"])
def test_outputs_of_any_shape_and_scale_come_in_units_and_nan_where_there_is_none(combine):
    found = assert_the_same(ensemble(SETTINGS[0], MIXED, combine=combine), sets())
    without = np.isnan(found["out_0"])
    assert 0 < without.mean() < 1
    np.testing.assert_array_equal(without, np.isnan(found["out_6"]))
    assert not np.isnan(found["out_5"]).any()
    assert found["out_5"].shape == (N, 3, 4)


def test_one_network_disagrees_with_nobody():
    assert (assert_the_same(ensemble(SETTINGS[0], PROFILES, members=1), sets(1))["disagreement"] == 0).all()


def test_any_number_of_sets_is_taken_and_a_row_does_not_depend_on_the_others():
    made, parameters = ensemble(SETTINGS[1], PROFILES), sets(7)
    _, whole = run(made, parameters)
    _, one = run(made, parameters[3:4])
    np.testing.assert_allclose(one["out_0"][0], whole["out_0"][3], atol=1e-6)


@pytest.mark.parametrize("settings", SETTINGS[:2], ids=lambda s: s.network)
def test_networks_of_mixed_precision_are_written_in_single(settings):
    mixed = ensemble(settings, PROFILES, precision="mixed_bfloat16")
    exact = ensemble(settings, PROFILES)
    for one, other in zip(exact.members, mixed.members, strict=True):
        one.set_weights(other.get_weights())
    (_, ours), (_, expected) = run(mixed, sets()), run(exact, sets())
    np.testing.assert_array_equal(ours["out_1"], expected["out_1"])


class Strange(Network):
    network: str = "strange"

    def weights(self, dimensions, outputs, points):
        return 1

    def outputs(self, inputs, samples, seeds, precision):
        flat = keras.layers.Dense(24)(keras.layers.LeakyReLU(name="leaky")(inputs))
        return {"profiles": keras.layers.Reshape((2, 12))(flat), "log_peaks": keras.layers.Dense(2)(inputs)}


def test_a_layer_that_onnx_is_not_told_of_is_refused_by_its_name():
    network = build_network(Strange(), samples(PROFILES))
    made = Ensemble.__new__(Ensemble)
    made.members, made.combine, made.distance = (network,), "mean", samples(PROFILES).distance
    with pytest.raises(InputError, match=r"network 'strange' has a layer 'leaky' \(LeakyReLU\)"):
        ensemble_graph(made, SPACE, ["a", "b"])
