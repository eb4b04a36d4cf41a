import numpy as np
import pytest

from mechscreen.emulators.aligned import alignment, curves
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import AlignedSettings, DenseSettings
from mechscreen.models import Output
from mechscreen.models.distances import Distance

SETTINGS = AlignedSettings(width=8, blocks=1)


def densities(n=200):
    """Densities that move along uneven grids, one of them cut off at zero, with an integral of one."""
    rng = np.random.default_rng(2)
    grids = np.array([np.concatenate([np.arange(100) / 50, np.linspace(2, end, 900)]) for end in (20.0, 300.0)])
    place = np.exp(rng.uniform(np.log([[0.3], [5.0]]), np.log([[15.0], [200.0]]), (2, n))).T[:, :, None]
    x = (grids - place) / (0.3 * np.sqrt(place))
    profiles = np.exp(-0.5 * x**2) * (1 + 0.5 * np.tanh(x))
    peaks = profiles.max(axis=2)
    integral = (profiles * np.gradient(grids, axis=1)).sum(axis=2)
    log_peaks = np.log(peaks / integral)
    parameters = rng.random((n, 3)).astype(np.float32)
    outputs = Distance.of([Output(str(k), grid, compare="shape") for k, grid in enumerate(grids)])
    return Samples(parameters, (profiles / peaks[:, :, None]).astype(np.float32), log_peaks.astype(np.float32), outputs)


TOLD = densities()


@pytest.fixture
def layer():
    return alignment(build_network(SETTINGS, TOLD))


def split(said):
    """Return moments and shapes of curves."""
    return said[..., :2], said[..., 2 : 2 + SETTINGS.nodes]


def test_what_the_aligned_network_is_fitted_to_says_the_profiles_and_their_peaks(layer):
    told = layer.represent(TOLD)
    moments, shapes = split(told["curves"])
    np.testing.assert_allclose(moments.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(told["log_integrals"], 0, atol=1e-4)
    profiles, log_areas = layer([moments, shapes])
    np.testing.assert_allclose(profiles, TOLD.profiles, atol=0.02)
    np.testing.assert_allclose(told["log_integrals"] - log_areas, TOLD.log_peaks, atol=0.03)


def test_the_part_that_is_fitted_says_what_the_profiles_are_made_of():
    network = build_network(SETTINGS, TOLD)
    said, fitted = (part.predict_on_batch(TOLD.parameters) for part in (network, curves(network)))
    profiles, log_areas = alignment(network)(split(fitted["curves"]))
    np.testing.assert_array_equal(profiles, said["profiles"])
    np.testing.assert_allclose(fitted["log_integrals"] - log_areas, said["log_peaks"], atol=1e-5)


@pytest.mark.parametrize(("place", "spread", "shape"), [(0.02, 0, 0), (0, 0.1, 0), (0, 0, 0.2), (0.03, -0.1, -0.2)])
def test_the_error_of_curves_is_that_of_the_profiles_on_their_grids(layer, place, spread, shape):
    truth = layer.represent(TOLD)["curves"]
    moments, shapes = split(truth)
    said = [moments + np.array([place, spread], np.float32), shapes * (1 + shape * (1 - shapes))]
    found = np.sqrt(layer.squared_error(truth, np.concatenate(said, axis=2, dtype=np.float32)))
    profiles, _ = layer(said)
    expected = np.sqrt(np.mean((np.asarray(profiles) - TOLD.profiles) ** 2, axis=2))
    assert np.median(expected) > 1e-3
    np.testing.assert_allclose(np.median(found / expected, axis=0), 1, atol=0.15)


def test_curves_that_are_right_have_no_error(layer):
    truth = layer.represent(TOLD)["curves"]
    error = layer.squared_error(truth, truth[..., : 2 + SETTINGS.nodes])
    np.testing.assert_allclose(error, 0, atol=1e-8)


def test_a_profile_that_is_placed_beyond_its_grid_ends_at_its_last_point(layer):
    moments, shapes = np.zeros((1, 2, 2), np.float32), np.full((1, 2, SETTINGS.nodes), 0.5, np.float32)
    moments[..., 0], moments[..., 1] = layer.LIMIT, -layer.LIMIT
    profiles, log_areas = (np.asarray(values) for values in layer([moments, shapes]))
    assert profiles[..., -1].max() == 1
    least = np.gradient(np.array([output.grid for output in TOLD.distance.outputs]), axis=1).min(axis=1)
    assert (log_areas[0] > np.log(least) - 1e-5).all()


def test_only_the_aligned_network_aligns():
    assert alignment(build_network(DenseSettings(width=8, blocks=1), TOLD)) is None
