import numpy as np
import pytest

from mechscreen.figures import learning

SAMPLES = np.array([100, 1000, 10_000])
ENSEMBLE = 0.5 * SAMPLES**-0.4
MEMBERS = np.stack([1.1 * ENSEMBLE, 1.2 * ENSEMBLE], axis=1)


def test_every_network_and_the_ensemble_are_drawn():
    (axes,) = learning.draw(SAMPLES, ENSEMBLE, MEMBERS).axes
    single, ensemble = axes.lines
    np.testing.assert_allclose(ensemble.get_xydata(), np.stack([SAMPLES, ENSEMBLE], axis=1))
    np.testing.assert_allclose(single.get_ydata(), MEMBERS.ravel())


def test_one_network_is_no_ensemble():
    (axes,) = learning.draw(SAMPLES, MEMBERS[:, 0], MEMBERS[:, :1]).axes
    (single,) = axes.lines
    np.testing.assert_allclose(single.get_xydata(), np.stack([SAMPLES, MEMBERS[:, 0]], axis=1))


def test_the_caption_tells_the_slope():
    assert "to the power -0.40" in learning.caption(SAMPLES, ENSEMBLE)


@pytest.mark.parametrize("count", [1, 3])
def test_the_caption_names_the_ends(count):
    assert f"with {SAMPLES[count - 1]:,}" in learning.caption(SAMPLES[:count], ENSEMBLE[:count])
