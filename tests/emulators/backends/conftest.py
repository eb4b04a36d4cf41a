import numpy as np
import pytest

from mechscreen.emulators.networks import build_network
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import DenseSettings


@pytest.fixture(scope="session")
def samples():
    random = np.random.default_rng(1)
    return Samples(
        random.random((50, 3), np.float32), random.random((50, 2, 21), np.float32), random.random((50, 2), np.float32)
    )


@pytest.fixture(scope="session")
def sets():
    """Normalised parameter sets that fill no whole number of batches."""
    return np.random.default_rng(2).random((37, 3), np.float32)


@pytest.fixture(scope="module")
def network(samples):
    return build_network(DenseSettings(width=64, blocks=2), samples, seed=4)
