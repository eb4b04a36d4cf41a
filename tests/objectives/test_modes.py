import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks, peak_prominences

from mechscreen.errors import InputError, ModelError
from mechscreen.objectives import count_modes, get_objective


def scipy_modes(profiles, dip, height):
    """Maxima of profiles with zeros around them, by SciPy."""
    counts = []
    for x in profiles:
        padded = np.concatenate([[0], x, [0]]).astype(float)
        peaks, _ = find_peaks(padded)
        prominences = peak_prominences(padded, peaks)[0]
        high = padded[peaks] >= height * padded.max()
        counts.append(int(np.sum(high & (prominences >= dip * padded[peaks]))))
    return np.array(counts)


def test_modes_are_scipys_on_smooth_and_on_rippled_profiles(smooth_profiles):
    rng = np.random.default_rng(3)
    for ripple in (0, 1e-3, 0.05):
        profiles = smooth_profiles(rng, 1000)
        profiles = np.maximum(profiles + ripple * rng.standard_normal(profiles.shape), 0)
        for dip, height in ((0.3, 0.05), (0.02, 0.001), (0.9, 0.5)):
            np.testing.assert_array_equal(count_modes(profiles, dip, height), scipy_modes(profiles, dip, height))


@settings(max_examples=300, deadline=None)
@given(
    heights=st.lists(st.integers(0, 8), min_size=1, max_size=40),
    repeats=st.integers(1, 3),
    dip=st.sampled_from([0.1, 0.25, 0.5, 0.75]),
    height=st.sampled_from([0.01, 0.125, 0.5]),
)
def test_modes_are_scipys_for_any_profile(heights, repeats, dip, height):
    profiles = np.repeat(heights, repeats)[None] / 8
    np.testing.assert_array_equal(count_modes(profiles, dip, height), scipy_modes(profiles, dip, height))


def test_modes_of_mixtures_of_normals_are_those_of_theory():
    # Two equal normals of unit variance have two modes where they are more than two apart, with a dip that grows.
    x = np.linspace(-3, 12, 1000)

    def normal(mean, sd=1.0):
        return np.exp(-0.5 * ((x - mean) / sd) ** 2) / sd

    profiles = np.array(
        [
            normal(4),
            normal(3) + normal(4.9),
            normal(1) + normal(7),
            normal(0, 0.3) + 0.5 * normal(4, 0.6) + normal(9),
            np.exp(-np.abs(x + 3)),  # a mode at the end of the grid
            np.exp(-np.abs(x + 3)) + 0.3 * normal(6),
            normal(2) + 0.01 * normal(8),  # too low
        ]
    )
    modes = get_objective("modes")
    profiles /= profiles.max(axis=1, keepdims=True)
    assert modes(profiles[:, None], np.zeros((7, 1))).tolist() == [0, 0, 1, 2, 0, 1, 0]
    assert modes.class_names == ("1", "2", "3 or more")
    assert get_objective("modes", height=0.005)(profiles[:, None], np.zeros((7, 1)))[-1] == 1


def test_modes_look_at_the_chosen_output_and_refuse_what_is_not_finite():
    profiles = np.zeros((1, 2, 30))
    profiles[0, 0, 5] = profiles[0, 1, [5, 20]] = 1
    assert get_objective("modes")(profiles, np.zeros((1, 2))).tolist() == [0]
    assert get_objective("modes", output=1)(profiles, np.zeros((1, 2))).tolist() == [1]
    with pytest.raises(InputError, match="'modes' looks at output 2"):
        get_objective("modes", output=2)(profiles, np.zeros((1, 2)))
    profiles[0, 1, 3] = np.nan
    with pytest.raises(ModelError, match="profile 0 holds a value that is not finite"):
        get_objective("modes", output=1)(profiles, np.zeros((1, 2)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dip": 0}, "dip 0 must be a number between 0 and 1"),
        ({"height": 1.5}, "height 1.5"),
        ({"dip": "deep"}, "dip is 'deep'"),
        ({"output": -1}, "output -1"),
    ],
)
def test_a_wrong_option_of_modes_is_named(options, message):
    with pytest.raises(InputError, match=message):
        get_objective("modes", **options)
