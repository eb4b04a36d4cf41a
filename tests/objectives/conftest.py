import numpy as np
import pytest

POINTS = 501


def make_smooth_profiles(rng, n, waves=6):
    """Sums of bumps, scaled to a maximum of 1, on a flat rest: like real profiles, with 0 to many rings."""
    r = np.arange(POINTS)
    profiles = np.zeros((n, POINTS))
    for _ in range(waves):
        place, width = rng.uniform(-20, 520, (n, 1)), rng.uniform(3, 60, (n, 1))
        profiles += rng.uniform(0, 1, (n, 1)) * np.exp(-(((r - place) / width) ** 2))
    return profiles / profiles.max(axis=1, keepdims=True)


@pytest.fixture(scope="session")
def smooth_profiles():
    return make_smooth_profiles
