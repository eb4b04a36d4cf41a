import numpy as np
import pytest

from mechscreen.figures import accuracy, hits, profiles
from mechscreen.figures.pairs import about_fields, pairs
from mechscreen.models import Output, Outputs

RNG = np.random.default_rng(0)
OUTPUTS = Outputs(
    (
        Output("potential", unit="mV"),
        Output("rate constant", unit="1/s", scale="log"),
        Output("current", np.linspace(0, 5, 40), unit="pA", scale="linear", grid_name="time", grid_unit="ms"),
        Output("density", (np.linspace(0, 1, 8), np.linspace(0, 3, 12)), grid_name=("y", "x"), grid_unit="mm"),
        Output("shape", np.arange(10.0), compare="shape"),
    )
)
N = 20


@pytest.fixture
def shown_pairs():
    raw = {output.name: np.exp(RNG.normal(size=(N, *output.shape))) for output in OUTPUTS}
    raw["potential"] = RNG.normal(-60, 10, N)
    raw["current"] -= 3
    simulated = OUTPUTS.scaled(OUTPUTS.join(raw, N))[:2]
    return raw, pairs(OUTPUTS, simulated, (simulated[0] + 0.01, simulated[1] + 0.01))


def test_values_are_shown_in_their_units_and_shapes_divided_by_their_maxima(shown_pairs):
    raw, found = shown_pairs
    for pair in found[:4]:
        np.testing.assert_allclose(pair.simulated, raw[pair.output.name], rtol=1e-9)
    assert [pair.label for pair in found[:3]] == ["potential [mV]", "rate constant [1/s]", "current [pA]"]
    assert found[4].label == "shape / max"
    np.testing.assert_allclose(found[4].simulated.max(axis=1), 1)
    assert found[0].limits == pytest.approx((raw["potential"].min(), raw["potential"].max() + 0.01))


def test_hits_show_numbers_as_marks_series_as_lines_and_fields_side_by_side(shown_pairs, shown):
    raw, found = shown_pairs
    figure = hits.draw(found, np.linspace(0, 0.2, N), ["fast"] * N, np.arange(N) < 10)
    texts = shown(figure)
    assert "potential [mV]" in texts
    assert texts.count("simulated\n") >= 4, "above each image"
    assert "density" in texts
    images = [ax for ax in figure.axes if ax.images]
    assert [len(ax.images) for ax in images] == [2] * 4
    np.testing.assert_allclose(images[0].images[0].get_array(), raw["density"][0], rtol=1e-9)
    marks = [ax for ax in figure.axes if ax.get_xlabel() == "potential [mV]"]
    assert marks[0].lines[0].get_xdata()[0] == pytest.approx(raw["potential"][0])


def test_the_caption_says_what_lies_along_and_up_a_field(shown_pairs):
    _, found = shown_pairs
    assert about_fields(found) == " Fields: density: x [mm] from 0 to 3 along, y [mm] from 0 to 1 up."
    assert about_fields(found[:3]) == ""


def test_a_failed_simulation_leaves_its_side_empty(shown_pairs, shown):
    _, found = shown_pairs
    for pair in found:
        pair.simulated[3] = np.nan
    rmse = np.linspace(0, 0.2, N)
    rmse[3] = np.nan
    assert "RMSE not defined" in shown(hits.draw(found, rmse, ["failed"] * N, rmse < 0.1))


def test_examples_have_rows_for_series_and_fields_in_their_units(shown_pairs, shown):
    _, found = shown_pairs
    texts = shown(profiles.draw(found[2:], RNG.random((N, 3)), np.zeros(N, int), ("all",)))
    assert "current [pA]" in texts
    assert "time [ms]" in texts
    assert "x [mm]" in texts
    assert texts.count("emulated\n") == 3, "fields have room for three examples"


def test_accuracy_has_a_panel_for_each_output_and_names_those_that_are_not_known(shown_pairs, shown):
    _, found = shown_pairs
    r_squared = [0.99, None, 0.02, 0.97, 1.0]
    texts = shown(accuracy.draw_each(found, r_squared))
    assert "potential [mV]\nR² = 0.9900" in texts
    assert "rate constant [1/s]\ndoes not vary" in texts
    assert "worthless for current (red)" in accuracy.caption_each(found, r_squared)


def test_bands_are_shown_of_what_is_not_scaled_by_a_peak_that_errs_too():
    outputs = Outputs((Output("by peak", np.arange(5.0)), Output("shape", np.arange(5.0), compare="shape")))
    values, log_peaks = RNG.random((3, 2, 5)), np.zeros((3, 2))
    by_peak, shape = pairs(outputs, (values, log_peaks), (values, log_peaks), ends=(values - 0.1, values + 0.1))
    assert by_peak.low is by_peak.high is None
    np.testing.assert_allclose(shape.high - shape.low, 0.2)
    assert shape.take([1]).low.shape == (1, 5)
