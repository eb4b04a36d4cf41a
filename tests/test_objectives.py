from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import find_peaks, peak_prominences

from mechscreen.errors import InputError, MechscreenError, ModelError
from mechscreen.models import Output, Outputs
from mechscreen.objectives import Labelling, UserObjective, count_modes, get_objective, mirrored_peaks

REFERENCE = Path(__file__).resolve().parents[2] / "shared" / "data" / "reference_simulations.csv"
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


def smooth_profiles(rng, n, waves=6):
    """Sums of bumps, scaled to a maximum of 1, on a flat rest: like real profiles, with 0 to many rings."""
    r = np.arange(POINTS)
    profiles = np.zeros((n, POINTS))
    for _ in range(waves):
        place, width = rng.uniform(-20, 520, (n, 1)), rng.uniform(3, 60, (n, 1))
        profiles += rng.uniform(0, 1, (n, 1)) * np.exp(-(((r - place) / width) ** 2))
    return profiles / profiles.max(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def reference_table():
    if not REFERENCE.exists():
        pytest.skip(f"needs the reference simulations ({REFERENCE})")
    return np.loadtxt(REFERENCE, delimiter=",")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_peaks_are_scipys_on_smooth_profiles(dtype):
    assert_same_as_scipy(smooth_profiles(np.random.default_rng(1), 3000).astype(dtype))


def test_peaks_are_scipys_with_ripple_as_networks_make_it():
    rng = np.random.default_rng(2)
    profiles = smooth_profiles(rng, 1500)
    for size in (1e-6, 1e-3, 0.05):
        assert_same_as_scipy((profiles + size * rng.standard_normal(profiles.shape)).astype(np.float32))


def test_peaks_are_scipys_on_noise():
    rng = np.random.default_rng(3)
    assert_same_as_scipy(rng.random((300, POINTS), dtype=np.float32))
    assert_same_as_scipy(rng.random((300, POINTS), dtype=np.float32), distance=3, prominence=0.5)


@pytest.mark.parametrize("levels", [2, 3, 5, 20])
def test_peaks_are_scipys_with_plateaus_and_equal_heights(levels):
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


def test_a_profile_that_is_not_finite_is_refused():
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


def test_modes_are_scipys_on_smooth_and_on_rippled_profiles():
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


def test_an_unknown_objective_is_answered_with_the_nearest():
    with pytest.raises(InputError, match="did you mean 'rings'"):
        get_objective("ring")


def test_a_users_objective_is_not_asked_about_nothing(tmp_path):
    (tmp_path / "listed.py").write_text("def even(profiles, log_peaks):\n    return [0 for _ in log_peaks]\n")
    objective = get_objective(f"{tmp_path / 'listed.py'}:even", classes=["yes", "no"])
    assert objective(np.zeros((2, 1, 5)), np.zeros((2, 1))).tolist() == [0, 0]
    assert objective(np.zeros((0, 1, 5)), np.zeros((0, 1))).shape == (0,)


@pytest.fixture
def user_file(tmp_path):
    path = tmp_path / f"objective_of_{tmp_path.name}.py"
    path.write_text(
        "import numpy as np\n"
        "def bright(profiles, log_peaks):\n"
        "    assert profiles.ndim == 3 and log_peaks.ndim == 2\n"
        "    return (log_peaks[:, 0] > 0).astype(int)\n"
        "def floats(profiles, log_peaks):\n"
        "    return log_peaks[:, 0]\n"
        "def too_short(profiles, log_peaks):\n"
        "    return np.zeros(len(log_peaks) - 1, int)\n"
        "def too_high(profiles, log_peaks):\n"
        "    return np.arange(len(log_peaks))\n"
        "def above(profiles, log_peaks, *, threshold: float = 1):\n"
        "    return (log_peaks[:, 0] > threshold).astype(int)\n"
        "def without_default(profiles, log_peaks, threshold):\n"
        "    return np.zeros(len(log_peaks), int)\n"
        "number = 3\n"
    )
    return path


ARRAYS = np.zeros((3, 1, 4)), np.array([[-1.0], [0.5], [2.0]])


def test_a_users_function_labels_profiles(user_file):
    objective = get_objective(f"{user_file}:bright", classes=["dark", "bright"])
    assert objective.class_names == ("dark", "bright")
    labels = objective(*ARRAYS)
    assert labels.tolist() == [0, 1, 1]
    assert labels.dtype == np.int64


def test_a_users_function_takes_options(user_file):
    bright = f"{user_file}:above"
    labels = {t: get_objective(bright, classes=["a", "b"], threshold=t)(*ARRAYS).tolist() for t in (0, 1.0)}
    assert labels == {0: [0, 1, 1], 1.0: [0, 0, 1]}
    assert get_objective(bright, classes=["a", "b"])(*ARRAYS).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        ("above", {"treshold": 1}, r"no option 'treshold'; did you mean 'threshold'\? \(valid: classes, threshold\)"),
        ("above", {"threshold": "1e-3"}, "threshold is '1e-3'; it must be a number, such as 0.001 without quotes"),
        ("bright", {"threshold": 1}, r"no option 'threshold' \(valid: classes\)"),
        ("without_default", {}, "needs the option 'threshold', which has no default"),
        ("above", {"profiles": 1}, "no option 'profiles'"),
    ],
)
def test_a_wrong_option_of_a_users_function_is_named(user_file, function, options, message):
    with pytest.raises(InputError, match=message):
        get_objective(f"{user_file}:{function}", classes=["a", "b"], **options)


def test_a_users_class_is_made_with_its_options(tmp_path):
    (tmp_path / "own.py").write_text(
        "import numpy as np\n"
        "class Above:\n"
        "    class_names = ('below', 'above')\n"
        "    def __init__(self, threshold: float = 0.0):\n"
        "        self.threshold = threshold\n"
        "    def __call__(self, profiles, log_peaks):\n"
        "        return (log_peaks[:, 0] > self.threshold).astype(int)\n"
    )
    objective = get_objective(f"{tmp_path}/own.py:Above", threshold=1.0)
    assert objective.class_names == ("below", "above")
    assert objective(*ARRAYS).tolist() == [0, 0, 1]
    with pytest.raises(InputError, match="no option 'classes'"):
        get_objective(f"{tmp_path}/own.py:Above", classes=["a"])


@pytest.mark.parametrize(
    ("function", "message"),
    [
        ("floats", "returned float64 values"),
        ("too_short", r"shape \(2,\) for 3 samples"),
        ("too_high", "label 2 for sample 2; labels are 0 … 1"),
        ("number", "is not a function"),
        ("brihgt", "did you mean 'bright'"),
    ],
)
def test_a_users_function_that_breaks_the_contract_is_named(user_file, function, message):
    with pytest.raises(MechscreenError, match=message):
        get_objective(f"{user_file}:{function}", classes=["dark", "bright"])(*ARRAYS)


@pytest.mark.parametrize("options", [{}, {"classes": "dark"}, {"classes": []}, {"classes": ["a", "a"]}, {"limit": 1}])
def test_a_users_function_needs_names_of_classes(user_file, options):
    with pytest.raises(InputError, match="classes"):
        get_objective(f"{user_file}:bright", **options)


V, W = Output("V", np.arange(3.0), scale="linear"), Output("W", scale="log")
TWO = Outputs((V, W))


def by_name(outputs, threshold=1.0):
    return ((outputs["V"].max(axis=1) > threshold) & (outputs["W"] > 0)).astype(int)


def by_profiles(profiles, log_peaks):
    return (profiles[:, 0, 0] > 0).astype(int)


def labelling(function, outputs, **options):
    return Labelling(UserObjective("mine", function, {"classes": ["no", "yes"], **options}), outputs)


def test_a_function_of_one_argument_gets_the_outputs_by_name_in_their_units():
    raw = {"V": np.array([[-3.0, 2.0, 0.0], [-3.0, 0.5, 0.0]]), "W": np.array([4.0, 5.0])}
    profiles, log_peaks, *_ = TWO.scaled(TWO.join(raw, 2))
    assert labelling(by_name, TWO)(profiles, log_peaks).tolist() == [1, 0]
    assert labelling(by_name, TWO, threshold=0.25)(profiles, log_peaks).tolist() == [1, 1]
    assert labelling(by_name, TWO)(profiles[:0], log_peaks[:0]).tolist() == []


def test_a_function_of_profiles_is_refused_for_outputs_of_different_shapes_with_the_way_on():
    with pytest.raises(
        InputError, match=r"the model's are 'V' \(3,\), 'W' \(\); write it as a function of the outputs"
    ):
        labelling(by_profiles, TWO)
    assert labelling(by_profiles, Outputs((V,)))(np.ones((2, 1, 3)), np.zeros((2, 1))).tolist() == [1, 1]


@pytest.mark.parametrize(
    ("output", "reason"), [(0, "'V' is no profile that is scaled by its peak"), (5, "no output 5")]
)
def test_rings_and_modes_need_a_profile_that_is_scaled_by_its_peak(output, reason):
    with pytest.raises(InputError, match=reason):
        Labelling(get_objective("modes", output=output), TWO)


def test_rings_find_their_output_among_others_of_any_shape():
    outputs = Outputs((W, Output("ring", np.linspace(0, 1, 201))))
    profile = np.exp(-(((np.linspace(0, 1, 201) - 0.5) / 0.1) ** 2))
    values = np.concatenate([[0.3], profile])[None]
    assert Labelling(get_objective("rings", output=1), outputs)(values, np.zeros((1, 2))).tolist() == [1]
