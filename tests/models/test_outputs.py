import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.models.outputs import Output, Status, scale_profiles

GRID = np.arange(3.0)
PLAIN = Output("prey", GRID)
FLOORED = Output("predator", GRID, floor=1e-6)


def scaled(values, *outputs):
    return scale_profiles(np.array(values, dtype=float), outputs)


@given(st.lists(st.floats(1e-6, 1e300), min_size=3, max_size=3))
def test_a_profile_times_its_peak_is_what_the_model_returned(values):
    profiles, log_peaks, status, reasons = scaled([[values]], PLAIN)
    assert (status[0], reasons[0]) == (Status.OK, "")
    assert profiles[0, 0].max() == 1
    np.testing.assert_allclose(profiles[0, 0] * np.exp(log_peaks[0, 0]), values, rtol=1e-12 * 700)


@pytest.mark.parametrize("depth", [1e-300, 1e-12, 1e-6])
def test_what_lies_below_zero_by_rounding_is_zero(depth):
    profiles, log_peaks, status, _ = scaled([[[1, -depth, 2]]], PLAIN)
    assert status[0] == Status.OK
    np.testing.assert_array_equal(profiles[0, 0], [0.5, 0.0, 1.0])
    assert log_peaks[0, 0] == np.log(2)


@pytest.mark.parametrize("depth", [3e-6, 0.5, 1e6])
def test_a_negative_value_is_named_with_its_output_place_and_remedies(depth):
    profiles, log_peaks, status, reasons = scaled([[[1, 2, 3], [1, -depth, 1]]], PLAIN, FLOORED)
    assert status[0] == Status.NEGATIVE
    assert reasons[0].startswith(f"output 'predator' is {-depth:.4g} at point 1: clip rounding in solve()")
    assert np.isnan(profiles).all()
    assert np.isnan(log_peaks).all()


def test_a_value_that_is_not_finite_is_named_with_its_output_and_place():
    _, _, status, reasons = scaled([[[1, 2, 3], [1, 1, np.inf]], [[np.nan, -1, 0], [0, 0, 0]]], PLAIN, FLOORED)
    assert list(status) == [Status.NOT_FINITE] * 2
    assert reasons == ["output 'predator' is inf at point 2", "output 'prey' is nan at point 0"]


def test_extinct_is_a_result_where_the_output_has_a_floor():
    rates = np.linspace(0, 1, 101)
    values = [[[1, 2, 3], np.full(3, max(r - 0.5, 0.0))] for r in rates]
    profiles, log_peaks, status, _ = scaled(values, PLAIN, FLOORED)
    assert (status == Status.OK).all()
    dead = rates <= 0.5
    np.testing.assert_array_equal(profiles[:, 1], np.where(dead, 0.0, 1.0)[:, None] * np.ones(3))
    np.testing.assert_allclose(log_peaks[:, 1], np.log(np.maximum(rates - 0.5, 1e-6)))


def test_values_below_the_floor_are_zero_in_a_profile_above_it():
    profiles, log_peaks, _, _ = scaled([[[1e-7, 1e-6, 4e-6]], [[1e-9, 9e-7, 0]]], FLOORED)
    np.testing.assert_allclose(profiles[:, 0], [[0, 0.25, 1], [0, 0, 0]])
    np.testing.assert_allclose(log_peaks[:, 0], np.log([4e-6, 1e-6]))


@pytest.mark.parametrize("least", [0.0, 5e-324, 1e-310])
def test_nothing_and_what_no_double_holds_in_full_is_flat_where_there_is_no_floor(least):
    _, _, status, reasons = scaled([[[1, 2, 3], [least, 0, 0]]], PLAIN, PLAIN)
    assert status[0] == Status.FLAT
    assert "is zero everywhere; give it a floor" in reasons[0]


def test_no_samples_give_none():
    profiles, log_peaks, status, reasons = scale_profiles(np.empty((0, 2, 3)), (PLAIN, FLOORED))
    assert (profiles.shape, log_peaks.shape, len(status), reasons) == ((0, 2, 3), (0, 2), 0, [])
