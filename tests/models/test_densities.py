import numpy as np
import pytest
from scipy.stats import gaussian_kde

from mechscreen.models.densities import kernel_density, normal_reference, resolved_bandwidth
from mechscreen.models.myc_e2f import density_grid

RNG = np.random.default_rng(0)
SAMPLES = {
    "normal": RNG.normal(3, 0.4, 10_000),
    "clipped at zero": np.maximum(RNG.normal(0.05, 0.2, 10_000), 0),
    "two modes": np.concatenate([RNG.normal(0.2, 0.05, 7000), RNG.normal(6, 0.8, 3000)]),
    "long tail": np.exp(RNG.normal(0, 1.2, 10_000)),
    "few": RNG.normal(1, 1, 20),
    "two": np.array([1.0, 2.0]),
    "narrow": RNG.normal(1, 0.03, 10_000),
}


@pytest.mark.parametrize("values", SAMPLES.values(), ids=SAMPLES)
def test_density_is_scipys_within_a_thousandth_of_the_peak(values):
    grid = density_grid(50.0)
    expected = gaussian_kde(values, "silverman")(grid)
    found = kernel_density(values, grid, normal_reference(values))
    assert np.abs(found - expected).max() <= 1e-3 * expected.max()


def test_normal_reference_is_scipys_bandwidth():
    values = SAMPLES["two modes"]
    assert normal_reference(values) == pytest.approx(float(gaussian_kde(values, "silverman").covariance[0, 0]) ** 0.5)


def test_density_integrates_to_one():
    grid = np.linspace(-5, 500, 50_000)
    values = SAMPLES["long tail"]
    assert np.trapezoid(kernel_density(values, grid, normal_reference(values)), grid) == pytest.approx(1, abs=2e-3)


def test_a_density_that_the_grid_resolves_has_the_normal_reference_bandwidth():
    values = SAMPLES["narrow"]
    assert resolved_bandwidth(values, density_grid(50.0)) == normal_reference(values)  # points are 0.02 apart there


@pytest.mark.parametrize(("place", "spacing"), [(0.531, 0.02), (1.5, 0.02), (7.2, 48 / 899), (30.0, 48 / 899)])
def test_a_density_narrower_than_the_grid_is_widened_to_its_spacing(place, spacing):
    grid = density_grid(50.0)
    values = place + RNG.normal(0, 1e-3, 5000)
    found = kernel_density(values, grid, resolved_bandwidth(values, grid))
    assert found.sum() * spacing == pytest.approx(1, abs=0.01)
    assert np.average(grid, weights=found) == pytest.approx(place, abs=1e-3)
    assert np.sqrt(np.average((grid - place) ** 2, weights=found)) == pytest.approx(spacing, rel=0.02)
