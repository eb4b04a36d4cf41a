import numpy as np
import pytest

from mechscreen.emulators.losses import SMOOTHING
from mechscreen.emulators.networks import build_network, kind_of
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, TrainingSettings

OUTPUTS, POINTS = 2, 30
RNG = np.random.default_rng(0)
PLACES = RNG.uniform(8, 22, (20, OUTPUTS, 1))
SAMPLES = Samples(
    RNG.random((20, 3)).astype(np.float32),
    np.exp(-0.5 * ((np.arange(POINTS) - PLACES) / 2) ** 2).astype(np.float32),
    RNG.normal(size=(20, OUTPUTS)).astype(np.float32),
)
TRUTH = SAMPLES.profiles.astype(float)


DENSE, ALIGNED = DenseSettings(width=8, blocks=1), AlignedSettings(width=8, blocks=1, nodes=16)


def fit(loss="rmse", network=DENSE):
    built = build_network(network, SAMPLES)
    return kind_of(built).fit(built, SAMPLES, TrainingSettings(loss=loss))


def of_profiles(fitted, predicted):
    """Return the weighted loss of some profiles."""
    loss = fitted.losses["profiles"](SAMPLES.profiles, predicted.astype(np.float32))
    return fitted.weights["profiles"] * float(np.mean(loss))


def test_mse_and_cross_entropy_are_summed_over_the_points():
    predicted = np.clip(TRUTH + RNG.normal(0, 0.1, TRUTH.shape), 0.01, 0.99)
    squares = ((predicted - TRUTH) ** 2).sum(axis=2).mean()
    assert of_profiles(fit("mse"), predicted) == pytest.approx(squares, rel=1e-4)
    entropy = -(TRUTH * np.log(predicted) + (1 - TRUTH) * np.log(1 - predicted)).sum(axis=2).mean()
    assert of_profiles(fit("cross_entropy"), predicted) == pytest.approx(entropy, rel=1e-3)


@pytest.mark.parametrize("error", [0.1, 1e-4])
def test_rmse_is_a_root_that_is_rounded_off_near_zero(error):
    expected = np.hypot(error, SMOOTHING) - SMOOTHING
    assert of_profiles(fit(), TRUTH + error) == pytest.approx(expected, rel=0.02)


def test_an_aligned_profile_that_does_not_overlap_the_true_one_is_told_by_how_far_it_is_off():
    fitted = fit(network=ALIGNED)
    truth = fitted.targets["curves"]
    losses = []
    for shift in (0.0, 2.0, 2.5, 3.0):
        predicted = truth[..., : 2 + ALIGNED.nodes].copy()
        predicted[..., 0] += shift
        losses.append(float(np.mean(fitted.losses["curves"](truth, predicted))))
    assert losses[0] == pytest.approx(0, abs=1e-5)
    assert np.all(np.diff(losses) > 0.1)
