import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.errors import ModelError
from mechscreen.models.outputs import Output, Outputs, Status

GRID = np.arange(3.0)
PLAIN = Output("prey", GRID)
FLOORED = Output("predator", GRID, floor=1e-6)


def scaled(values, *outputs):
    return Outputs(outputs).scaled(np.array(values, dtype=float))


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
    profiles, log_peaks, status, reasons = scaled(np.empty((0, 2, 3)), PLAIN, FLOORED)
    assert (profiles.shape, log_peaks.shape, len(status), reasons) == ((0, 2, 3), (0, 2), 0, [])


NUMBER, SIGNED = Output("potential", unit="mV"), Output("rate", np.arange(4.0), scale="linear")
DECADES = Output("conductance", scale="log", unit="nS")
FIELD = Output("field", (np.arange(2.0), np.arange(3.0)), grid_name=("y", "x"), grid_unit="mm")
ANY = Outputs((NUMBER, PLAIN, SIGNED, DECADES, FIELD))


def test_a_number_is_linear_a_profile_goes_by_its_peak_and_each_says_how_it_is_shown():
    assert [output.scale for output in ANY] == ["linear", "peak", "linear", "log", "peak"]
    assert [output.view for output in ANY] == ["number", "line", "line", "number", "image"]
    assert [output.shape for output in ANY] == [(), (3,), (4,), (), (2, 3)]
    assert (FIELD.axes, PLAIN.axes, NUMBER.axes) == (("y [mm]", "x [mm]"), ("position",), ())


def test_a_single_point_is_shown_as_a_number():
    assert Output("y", np.array([0.0])).view == "number"
    assert Output("y", (np.zeros(1), np.zeros(1))).view == "number"


def test_outputs_of_as_many_points_stand_side_by_side_and_all_others_one_after_the_other():
    assert Outputs((PLAIN, FLOORED)).shape == (2, 3)
    assert Outputs((NUMBER, DECADES)).shape == (2, 1)
    assert Outputs((FIELD,)).shape == (6,)
    assert ANY.shape == (1 + 3 + 4 + 1 + 6,)


@given(st.integers(0, 2**32 - 1))
def test_outputs_of_any_kind_come_back_in_their_units_under_their_names(seed):
    random = np.random.default_rng(seed)
    raw = {
        output.name: random.lognormal(0, 5, (7, *output.shape)) * (random.choice([-1, 1]) if output is SIGNED else 1)
        for output in ANY
    }
    raw["potential"] = random.normal(0, 60, 7)
    profiles, log_peaks, status, _ = ANY.scaled(ANY.join(raw, 7))
    assert (status == Status.OK).all()
    assert (log_peaks[:, [0, 2, 3]] == 0).all()
    for name, values in ANY.by_name(profiles, log_peaks).items():
        np.testing.assert_allclose(values, raw[name], rtol=1e-9)


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        ({"potential": np.zeros(2)}, "outputs ['potential']; the model's are"),
        ({**{o.name: np.ones((2, *o.shape)) for o in ANY}, "field": np.ones((2, 3, 2))}, "'field' of shape (2, 3, 2)"),
    ],
)
def test_an_output_that_is_missing_or_of_another_shape_is_named(raw, reason):
    with pytest.raises(ValueError, match="output") as error:
        ANY.join(raw, 2)
    assert reason in str(error.value)


def test_what_has_no_logarithm_is_named_unless_there_is_a_floor():
    _, _, status, reasons = Outputs((DECADES,)).scaled(np.array([[[1.0]], [[0.0]], [[-2.0]]]))
    assert list(status) == [Status.OK, Status.NEGATIVE, Status.NEGATIVE]
    assert reasons[1].startswith("output 'conductance' is 0, which has no logarithm: give it a floor")
    floored = Output("conductance", scale="log", floor=1e-3)
    profiles, _, status, _ = Outputs((floored,)).scaled(np.array([[[0.0]], [[0.1]]]))
    assert (status == Status.OK).all()
    np.testing.assert_allclose(profiles[:, 0, 0], np.log([1e-3, 0.1]))


def test_a_bad_value_of_a_field_is_named_with_its_row_and_column():
    raw = np.ones((1, 6))
    raw[0, 5] = np.nan
    assert Outputs((FIELD,)).scaled(raw)[3] == ["output 'field' is nan at point 1, 2"]


def test_deviations_are_those_of_numpy_over_the_samples_however_these_come():
    random = np.random.default_rng(0)
    outputs = Outputs((NUMBER, SIGNED, Output("dead", scale="linear"), PLAIN))
    values = random.normal(size=(50, sum(outputs.sizes))) * np.arange(1, 10) + 30
    values[:, 5] = 4.0
    found = outputs.deviations(outputs.scatter(values[:13]) + outputs.scatter(values[13:]))
    expected = np.sqrt(values[:, 1:5].var(axis=0).mean())
    np.testing.assert_allclose(found, [values[:, 0].std(), expected, 1, 1])


@given(st.sampled_from(ANY))
def test_an_output_survives_being_written_down(output):
    again = Output.from_record(json.loads(json.dumps(output.to_record())))
    assert again.to_record() == output.to_record()
    assert [grid.tolist() for grid in again.grids] == [grid.tolist() for grid in output.grids]


def test_outputs_written_down_by_earlier_versions_are_compared_by_their_shapes():
    assert Output.from_record({"name": "gene", "grid": [0.0, 1.0], "unit": ""}).compare == "shape"


@pytest.mark.parametrize(
    ("output", "message"),
    [
        (Output("y", np.array([1.0, 0.0])), "its grid must be finite and ascending"),
        (Output("y", np.array([])), "its grid must be finite and ascending"),
        (Output("y", (np.arange(2.0),) * 3), "its grid has 3 axes"),
        (Output("y", scale="peak"), "a number has no shape beside its peak"),
        (Output("y", scale="cubic"), "no scale 'cubic'"),
        (Output("y", GRID, scale="linear", compare="shape"), "compare must be 'values'"),
        (Output("y", GRID, view="image"), "cannot be shown as 'image' (valid: line, disc, density)"),
        (Output("y", GRID, floor=-1.0), "its floor is -1.0"),
        (Output("y", GRID, grid_name=("y", "x")), "names 2 axes, and its grid has 1"),
    ],
)
def test_an_output_that_makes_no_sense_is_refused_by_name(output, message):
    with pytest.raises(ModelError) as error:
        output.check("model 'm'")
    assert str(error.value).startswith("model 'm', output 'y': ")
    assert message in str(error.value)


LACKING = Outputs([Output("has it"), Output("it", unit="h", scale="log", given="has it"), Output("size")])


def test_a_number_that_a_sample_does_not_have_comes_back_as_nan_and_fails_nothing():
    raw = np.array([[1, 5.0, 3], [0, np.nan, 4], [1, 20.0, 6]])[:, :, None]
    profiles, log_peaks, status, reasons = LACKING.scaled(raw)
    assert status.tolist() == [0, 0, 0]
    assert np.isfinite(profiles).all()
    np.testing.assert_allclose(LACKING.by_name(profiles, log_peaks)["it"], [5, np.nan, 20])
    np.testing.assert_array_equal(LACKING.has_value(profiles, 1), [True, False, True])
    unsure = profiles + np.array([-0.4, 0.0, 0.0])[:, None]
    np.testing.assert_allclose(LACKING.by_name(unsure, log_peaks)["it"], [5, np.nan, 20])
    _, _, status, reasons = LACKING.scaled(np.array([[1, np.inf, 3], [np.nan, np.nan, 1.0]])[:, :, None])
    assert status.tolist() == [Status.NOT_FINITE] * 2
    assert reasons == ["output 'it' is inf", "output 'has it' is nan"]


def test_the_deviation_of_such_a_number_is_that_of_the_samples_that_have_it():
    rng = np.random.default_rng(3)
    has = rng.random(500) < 0.3
    it = np.where(has, rng.lognormal(2, 0.7, 500), np.nan)
    profiles = LACKING.scaled(np.stack([has, it, rng.random(500)], axis=1)[:, :, None])[0]
    assert LACKING.deviations(LACKING.scatter(profiles))[1] == pytest.approx(np.log(it[has]).std())


def test_what_does_not_say_whether_it_is_there_is_written_down_as_earlier_versions_did():
    assert "given" not in Output("x").to_record()
    assert Output.from_record(LACKING[1].to_record()) == LACKING[1]
