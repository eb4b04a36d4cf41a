import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.models.distances import Distance
from mechscreen.models.outputs import Output, Outputs

GRID = np.linspace(0, 1, 30)
RNG = np.random.default_rng(0)


def test_shapes_are_compared_by_the_rmse_of_profiles_whatever_their_peaks():
    a, b = RNG.random((2, 5, 3, 30))
    found = Distance.of_shapes(3, 30)(a, RNG.normal(size=(5, 3)), b, RNG.normal(size=(5, 3)))
    np.testing.assert_allclose(found, np.sqrt(((a - b) ** 2).mean(axis=2)).mean(axis=1), rtol=1e-12)


@given(st.floats(-300, 300), st.floats(-300, 300))
def test_values_are_compared_in_units_of_the_larger_peak_so_that_nothing_is_further_than_one(p, q):
    outputs = Outputs((Output("y", GRID),))
    raw = [np.exp(-((GRID - place) ** 2) * 30)[None, None] for place in (0.5, 0.7)]
    (a, la, *_), (b, lb, *_) = (outputs.scaled(values) for values in raw)
    found = Distance.of(outputs)(a, la + p, b, lb + q)[0]
    true_a, true_b = (values * np.exp(add) for values, add in zip(raw, (p, q), strict=True))
    true_a, true_b = (values / max(true_a.max(), true_b.max()) for values in (true_a, true_b))
    assert found == pytest.approx(np.sqrt(((true_a - true_b) ** 2).mean()), rel=1e-9, abs=1e-300)
    assert 0 <= found <= 1


def test_of_a_number_by_its_peak_the_distance_is_the_relative_difference():
    distance = Distance.of([Output("y", np.array([0.0]))])
    one = np.ones((3, 1, 1))
    found = distance(one, np.log([[1.0], [2.0], [5.0]]), one, np.log([[1.0], [1.0], [6.0]]))
    np.testing.assert_allclose(found, [0, 0.5, 1 / 6], atol=1e-12)


def test_other_scales_are_compared_in_standard_deviations_and_outputs_are_averaged():
    distance = Distance.of([Output("v"), Output("w", np.arange(4.0), scale="linear")], [2.0, 10.0])
    a, b = np.zeros((1, 5)), np.array([[3.0, 10, 10, 10, 10]])
    np.testing.assert_allclose(distance.by_output(a, np.zeros((1, 2)), b, np.zeros((1, 2))), [[1.5, 1.0]])
    assert distance(a, np.zeros((1, 2)), b, np.zeros((1, 2)))[0] == 1.25


def test_what_failed_has_no_distance():
    distance = Distance.of([Output("y", GRID)])
    nothing = np.full((1, 1, 30), np.nan)
    assert np.isnan(distance(nothing, np.array([[np.nan]]), np.ones((1, 1, 30)), np.zeros((1, 1)))).all()


def test_coordinates_lie_as_far_apart_as_samples_that_are_near_each_other():
    outputs = Outputs((Output("v"), Output("w", np.arange(4.0), scale="linear"), Output("k", np.array([0.0]))))
    distance = Distance.of(outputs, [2.0, 10.0, 1.0])
    profiles = RNG.normal(size=(2, 6))
    profiles[:, 5] = 1
    profiles[1] = profiles[0] + [2e-4, 1e-3, 1e-3, 1e-3, 1e-3, 0]
    log_peaks = np.array([[0, 0, 2.0], [0, 0, 2.0001]])
    points = distance.coordinates(profiles, log_peaks)
    apart = np.sqrt(((points[0] - points[1]) ** 2).mean())
    assert apart == pytest.approx(distance(profiles[:1], log_peaks[:1], profiles[1:], log_peaks[1:])[0], rel=1e-3)


def test_what_one_of_two_samples_does_not_have_is_told_by_the_output_that_says_so():
    distance = Distance.of([Output("has it"), Output("it", given="has it")], [0.5, 2.0])
    here, there = (
        np.array(values, float)[:, :, None] for values in ([[1, 5]] * 3 + [[0, 0]], [[1, 9], [0, 0], [1, 5], [0, 7]])
    )
    none = np.zeros((4, 2))
    np.testing.assert_allclose(distance.by_output(here, none, there, none), [[0, 2], [2, 0], [0, 0], [0, 0]])


def test_outputs_that_are_compared_by_nothing_do_not_count():
    outputs = [Output("v"), Output("noise", compare="nothing"), Output("w", np.arange(4.0), scale="linear")]
    distance = Distance.of(outputs, [2.0, 5.0, 10.0])
    counted = Distance.of([outputs[0], outputs[2]], [2.0, 10.0])
    a, b = RNG.normal(size=(2, 7, 6))
    rest, none = [0, 2, 3, 4, 5], np.zeros((7, 3))
    expected = counted(a[:, rest], none[:, 1:], b[:, rest], none[:, 1:])
    np.testing.assert_allclose(distance(a, none, b, none), expected)
    np.testing.assert_allclose(distance.coordinates(a, none), counted.coordinates(a[:, rest], none[:, 1:]))
    assert distance.by_output(a, none, b, none).shape == (7, 3)
