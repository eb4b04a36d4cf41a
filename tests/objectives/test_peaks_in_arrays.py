"""Peaks by array operations of JAX, beside the compiled loops, and through them SciPy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from mechscreen.errors import ModelError
from mechscreen.models import Output, Outputs
from mechscreen.objectives import Labelling, get_objective, mirrored_peaks
from mechscreen.objectives.base import UNDECIDED
from mechscreen.objectives.features import FEATURES, Curve, find_peaks
from mechscreen.objectives.modes import count_modes

jax = pytest.importorskip("jax")
from mechscreen.objectives import peaks_in_arrays  # noqa: E402


@pytest.fixture(autouse=True)
def in_double_precision():
    with jax.enable_x64(True):
        yield


def profiles_of(kind, points, n=600):
    rng, x = np.random.default_rng(5), np.linspace(0, 1, points)
    if kind == "ripple":
        values = 1 / (1 + np.exp((x - rng.random((n, 1))) / 0.02)) + rng.normal(0, 1e-3, (n, points))
    elif kind == "noise":
        values = rng.random((n, points))
    else:
        places, widths = rng.random((n, 6, 1)), rng.uniform(0.01, 0.2, (n, 6, 1))
        values = (rng.random((n, 6, 1)) ** 2 * np.exp(-(((x - places) / widths) ** 2))).sum(axis=1)
    if kind == "steps":
        values = np.round(values * 6) / 6
    return values.astype(np.float32)


kinds = pytest.mark.parametrize("kind", ["bumps", "ripple", "noise", "steps"])
sizes = pytest.mark.parametrize(("points", "distance"), [(501, 50), (61, 12), (30, 1)])


@kinds
@sizes
def test_mirrored_peaks_are_those_of_the_compiled_loop_or_left_to_it(kind, points, distance):
    profiles = profiles_of(kind, points)
    off_centre, centre, undecided = map(
        np.asarray, jax.jit(lambda x: peaks_in_arrays.mirrored_peaks(x, distance, 0.1))(profiles)
    )
    expected, expected_centre = mirrored_peaks(profiles, distance, 0.1)
    known = ~undecided
    np.testing.assert_array_equal(off_centre[known], expected[known])
    np.testing.assert_array_equal(centre[known], expected_centre[known])
    assert expected.max() >= 2
    # Without equal heights nothing is left open.
    assert undecided.mean() <= (0.2 if kind == "steps" else 0.01)


small = arrays.arrays(np.float32, (16, 9), elements=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]))


@settings(max_examples=60)
@given(small, st.integers(1, 6))
def test_plateaus_and_equal_heights_are_counted_as_scipy_counts_them_or_left_open(profiles, distance):
    off_centre, centre, undecided = map(np.asarray, peaks_in_arrays.mirrored_peaks(profiles, distance, 0.1))
    expected, expected_centre = mirrored_peaks(profiles, distance, 0.1)
    np.testing.assert_array_equal(off_centre[~undecided], expected[~undecided])
    np.testing.assert_array_equal(centre[~undecided], expected_centre[~undecided])


@kinds
def test_modes_are_those_of_the_compiled_loop(kind):
    profiles = profiles_of(kind, 101)
    modes, undecided = peaks_in_arrays.count_modes(profiles, 0.3, 0.05)
    np.testing.assert_array_equal(modes, count_modes(profiles, 0.3, 0.05))
    assert not undecided.any()


@settings(max_examples=60)
@given(small)
def test_modes_with_plateaus_are_those_of_the_compiled_loop(profiles):
    modes, _ = peaks_in_arrays.count_modes(profiles, 0.3, 0.05)
    np.testing.assert_array_equal(modes, count_modes(profiles, 0.3, 0.05))


@kinds
def test_peaks_of_curves_are_those_of_the_compiled_loop(kind):
    curve = Curve.of(profiles_of(kind, 120), np.linspace(0, 3, 120) ** 1.3)
    expected = find_peaks(curve, 0.05)
    found = peaks_in_arrays.find_peaks(curve.values, curve.grid, 0.05 * curve.size.astype(float))
    for name, values in zip(vars(expected), found, strict=True):
        np.testing.assert_allclose(values, getattr(expected, name), rtol=1e-12, err_msg=name)


def test_values_that_are_not_finite_are_left_to_the_objective_which_refuses_them():
    profiles = profiles_of("bumps", 61, n=4)
    profiles[1, 7] = np.nan
    for name in ("rings", "modes"):
        objective = get_objective(name)
        labels = objective.label(jax.numpy.asarray(profiles))
        assert (np.asarray(labels) == UNDECIDED).tolist() == [False, True, False, False]
        with pytest.raises(ModelError, match="profile 1 holds a value that is not finite"):
            objective.label(profiles)


GRID = np.linspace(0, 10, 80)
OUTPUTS = Outputs([Output("x", GRID, scale="linear"), Output("y", GRID), Output("z", scale="log")])
CLASSES = {
    "oscillates": "period(x) > 1 and damping(x) < 0.5",
    "ringed": "rings(y, distance=5) >= 3",
    "two modes": "modes(y) == 2",
    "wide": "width(y) > 3 or crossing(x, level=0.5) < 1",
    "large": "maximum(y) > 2 * mean(y) and area(y, after=2) / amplitude(x) > 5 and not steady(x)",
    "early": "time_of_peak(y) < 3 or initial(x) < final(x) or min(z, prominence(x)) > 0.3",
}


@pytest.fixture(scope="module")
def said():
    rng, n = np.random.default_rng(1), 2000
    rate, fall = rng.uniform(0.2, 4, (n, 1)), rng.uniform(0, 0.6, (n, 1))
    x = np.exp(-fall * GRID) * np.sin(rate * GRID + rng.uniform(0, 6, (n, 1)))
    y = profiles_of("bumps", 80, n)
    z = rng.normal(0, 0.5, (n, 1))
    return np.concatenate([x, y, z], axis=1).astype(np.float32), rng.normal(0, 0.5, (n, 3)).astype(np.float32)


@pytest.mark.parametrize("name", CLASSES)
def test_conditions_on_features_label_arrays_of_jax_as_those_of_numpy(name, said):
    labelling = Labelling(get_objective("conditions", classes={name: CLASSES[name], "positive": "z > 1"}), OUTPUTS)
    expected = labelling(*said)
    labels = np.asarray(jax.jit(labelling)(*map(jax.numpy.asarray, said)))
    known = labels != UNDECIDED
    np.testing.assert_array_equal(labels[known], expected[known])
    assert known.mean() > 0.99
    assert np.bincount(expected, minlength=3).min() > 5, "each class must occur for this test to mean anything"


@pytest.mark.parametrize("name", sorted(FEATURES))
def test_each_feature_is_the_same_of_arrays_of_either_library(name, said):
    y = said[0][:, 80:160]
    compute = FEATURES[name].compute
    expected = compute(Curve.of(y, GRID))
    found = compute(Curve.of(jax.numpy.asarray(y), GRID))
    np.testing.assert_allclose(found, expected, rtol=2e-5)
