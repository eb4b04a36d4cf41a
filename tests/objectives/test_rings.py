from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks

from mechscreen.errors import InputError, ModelError
from mechscreen.objectives import get_objective, mirrored_peaks

REFERENCE = Path(__file__).resolve().parents[3] / "shared" / "data" / "reference_simulations.csv"
POINTS = 501


def scipy_counts(profiles, distance, prominence):
    """Off-centre peaks and centre peak as SciPy finds them on the mirrored profiles."""
    off_centre, centre = [], []
    for x in profiles:
        peaks, _ = find_peaks(np.concatenate([x[:0:-1], x]), distance=distance, prominence=prominence)
        centre.append(len(x) - 1 in peaks)
        off_centre.append(len(peaks) - centre[-1])
    return np.array(off_centre), np.array(centre)


def assert_same_as_scipy(profiles, distance=50, prominence=0.1):
    off_centre, centre = mirrored_peaks(profiles, distance, prominence)
    expected_off_centre, expected_centre = scipy_counts(profiles, distance, prominence)
    wrong = np.flatnonzero((off_centre != expected_off_centre) | (centre != expected_centre))
    assert not wrong.size, f"{wrong.size} of {len(profiles)} differ, the first is number {wrong[0]}"


@pytest.fixture(scope="module")
def reference_table():
    if not REFERENCE.exists():
        pytest.skip(f"needs the reference simulations ({REFERENCE})")
    return np.loadtxt(REFERENCE, delimiter=",")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_peaks_are_scipys_on_smooth_profiles(smooth_profiles, dtype):
    assert_same_as_scipy(smooth_profiles(np.random.default_rng(1), 3000).astype(dtype))


def test_peaks_are_scipys_with_ripple_as_networks_make_it(smooth_profiles):
    rng = np.random.default_rng(2)
    profiles = smooth_profiles(rng, 1500)
    for size in (1e-6, 1e-3, 0.05):
        assert_same_as_scipy((profiles + size * rng.standard_normal(profiles.shape)).astype(np.float32))


def test_peaks_are_scipys_on_noise():
    rng = np.random.default_rng(3)
    assert_same_as_scipy(rng.random((300, POINTS), dtype=np.float32))
    assert_same_as_scipy(rng.random((300, POINTS), dtype=np.float32), distance=3, prominence=0.5)


@pytest.mark.parametrize("levels", [2, 3, 5, 20])
def test_peaks_are_scipys_with_plateaus_and_equal_heights(smooth_profiles, levels):
    rng = np.random.default_rng(levels)
    steps = np.repeat(rng.integers(0, levels, (1500, 60)), rng.integers(1, 20, 60), axis=1)[:, :POINTS]
    assert_same_as_scipy((steps / (levels - 1)).astype(np.float32))
    saturated = np.clip(smooth_profiles(rng, 1000) * 1.5, 0, 1)
    assert_same_as_scipy(np.round(saturated * levels) / levels)


def test_ties_that_scipy_breaks_by_its_sort_are_broken_the_same():
    """Three equal peaks, each within the distance of the next: which one SciPy takes first decides between 1 and 2."""
    profile = np.zeros((1, POINTS))
    for count in range(2, 12):
        profile[0, 40 * count] = 1.0
        assert_same_as_scipy(profile)


def test_mirrored_peaks_closer_than_the_distance_leave_one():
    profile = np.zeros((1, POINTS))
    profile[0, 24] = 1.0
    profile[0, 60] = 0.9
    off_centre, _ = mirrored_peaks(profile, 50, 0.1)
    assert off_centre == 2  # one of the pair at ±24, and of the pair at ±60 the one on the other side
    assert_same_as_scipy(profile)


@settings(max_examples=300, deadline=None)
@given(
    heights=st.lists(st.integers(0, 4), min_size=2, max_size=40),
    repeats=st.integers(1, 7),
    distance=st.one_of(st.integers(1, 60), st.floats(1, 60)),
    prominence=st.sampled_from([0.0, 0.1, 0.25, 0.5, 0.75, 1.0]),
)
def test_peaks_are_scipys_for_any_profile_distance_and_prominence(heights, repeats, distance, prominence):
    assert_same_as_scipy(np.repeat(heights, repeats)[None] / 4, distance, prominence)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.floats(0, 1, width=32), min_size=1, max_size=60), st.integers(1, 20))
def test_peaks_are_scipys_for_any_values(values, distance):
    assert_same_as_scipy(np.array([values], dtype=np.float32), distance, 0.1)


def test_reference_table_gives_the_peak_counts_that_it_lists(reference_table):
    profiles, listed = reference_table[:, 13:514], reference_table[:, -1]
    assert_same_as_scipy(profiles)
    off_centre, centre = mirrored_peaks(profiles, 50, 0.1)
    assert np.mean(off_centre + centre == listed) >= 0.99
    rings = get_objective("rings")(profiles[:, None], reference_table[:, [514]])
    assert np.mean(rings == listed // 2) >= 0.99


def test_rings_are_counted_in_pairs_and_a_spot_at_the_centre_is_none():
    def profile(*places):
        r = np.arange(POINTS)
        return sum(np.exp(-(((r - place) / 12) ** 2)) for place in places)

    profiles = np.array(
        [
            profile(0),
            profile(200),
            profile(0, 200),
            profile(80, 180, 280),
            profile(0, 80, 180, 280),
            profile(60, 120, 180, 240, 300),
            profile(60, 120, 180, 240, 300, 360, 420),
            np.zeros(POINTS),
        ]
    )
    rings = get_objective("rings")
    labels = rings(profiles[:, None], np.zeros((len(profiles), 1)))
    assert labels.tolist() == [0, 1, 1, 3, 3, 5, 5, 0]
    assert rings.class_names == ("0", "1", "2", "3", "4", "5 or more")


def test_rings_look_at_the_chosen_output():
    profiles = np.zeros((1, 2, POINTS))
    profiles[0, 0] = np.linspace(1, 0, POINTS)
    profiles[0, 1, 200] = 1
    log_peaks = np.zeros((1, 2))
    assert get_objective("rings")(profiles, log_peaks).tolist() == [0]
    assert get_objective("rings", output=1)(profiles, log_peaks).tolist() == [1]
    with pytest.raises(InputError, match="looks at output 2"):
        get_objective("rings", output=2)(profiles, log_peaks)


def test_a_profile_that_is_not_finite_is_refused(smooth_profiles):
    profiles = smooth_profiles(np.random.default_rng(0), 3)
    for value in (np.nan, np.inf, -np.inf):
        profiles[1, 300] = value
        with pytest.raises(ModelError, match="profile 1 holds a value that is not finite"):
            mirrored_peaks(profiles, 50, 0.1)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"distance": 0.5}, "distance 0.5 must be a number of grid points, at least 1"),
        ({"distance": float("nan")}, "distance nan"),
        ({"distance": "far"}, "distance is 'far'"),
        ({"prominence": -1}, "prominence -1 must be a number, 0 or more"),
        ({"output": -1}, "output -1"),
        ({"output": 0.5}, "output 0.5"),
        ({"distnace": 50}, "distnace"),
    ],
)
def test_a_wrong_option_is_named(options, message):
    with pytest.raises(InputError, match=message):
        get_objective("rings", **options)
