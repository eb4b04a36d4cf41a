"""Features of curves, against SciPy and against curves whose features are known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import signal

from mechscreen.errors import InputError
from mechscreen.models import Output, Outputs
from mechscreen.objectives import Features, Labelling, get_objective
from mechscreen.objectives.features import FEATURES, Curve, find_peaks

T = np.linspace(0, 100, 2001)


def feature(name, values, grid=T, **options):
    return np.asarray(FEATURES[name].compute(Curve.of(np.atleast_2d(values), grid), **options))[0]


@given(arrays(np.float64, (3, 25), elements=st.integers(0, 6).map(float)), st.floats(0.05, 0.9))
def test_peaks_are_those_of_scipy(values, share):
    grid = np.arange(25.0)
    found = find_peaks(Curve.of(values, grid), share)
    for k, curve in enumerate(values):
        least = share * np.abs(curve).max()
        expected = signal.find_peaks(curve, prominence=least)[0] if least > 0 else []
        assert found.count[k] == len(expected)
        if len(expected):
            # A parabola moves a top by half a step at most.
            assert found.first[k] == pytest.approx(expected[0], abs=0.5)
            assert found.last[k] == pytest.approx(expected[-1], abs=0.5)
        else:
            assert np.isnan(found.first[k])
        every = signal.find_peaks(curve, prominence=0)[1]["prominences"]
        assert found.prominence[k] == pytest.approx(max(every, default=0.0))


@given(st.floats(3, 20), st.floats(0.1, 5), st.floats(0, 6))
def test_a_sine_has_its_period_and_amplitude_whatever_its_phase(period, amplitude, phase):
    curve = 10 + amplitude * np.sin(2 * np.pi * T / period + phase)
    assert feature("period", curve, prominence=0.005) == pytest.approx(period, rel=2e-3)
    assert feature("amplitude", curve) == pytest.approx(amplitude, rel=1e-2)
    assert feature("mean", curve, after=0, before=100) == pytest.approx(10, abs=amplitude * period / 100)
    assert abs(feature("damping", curve, prominence=0.005)) < 0.05
    assert not feature("steady", curve, tolerance=1e-4)


def test_a_damped_wave_has_its_decrement():
    # The swing falls by e^(−γ P) from a peak to the next.
    curve = np.exp(-0.05 * T) * np.cos(2 * np.pi * T / 8)
    assert feature("damping", curve, prominence=0.01) == pytest.approx(0.05 * 8, rel=0.02)
    assert feature("period", curve, prominence=0.01) == pytest.approx(8, rel=1e-2)


def test_what_does_not_oscillate_has_no_period_and_fulfils_no_condition_on_it():
    for curve in (np.exp(-T), np.ones_like(T), np.exp(-((T - 50) ** 2) / 20)):
        assert np.isnan(feature("period", curve))
    assert feature("steady", np.exp(-T))
    assert not feature("steady", T)
    assert feature("peaks", np.exp(-((T - 50) ** 2) / 20)) == 1


def test_ripples_of_what_does_nothing_are_no_peaks_whatever_part_is_looked_at():
    rough = 5 * np.exp(-T / 5) + 1e-3 * np.sin(T)
    assert feature("peaks", rough) == feature("peaks", rough, after=50) == 0
    assert feature("peaks", rough, prominence=1e-5, after=50) >= 7
    assert feature("steady", rough)


def test_numbers_of_curves_that_are_known():
    bell = 3 * np.exp(-((T - 40) ** 2) / (2 * 5**2))
    assert feature("maximum", bell) == pytest.approx(3)
    assert feature("time_of_peak", bell) == 40
    assert feature("width", bell) == pytest.approx(2 * np.sqrt(2 * np.log(2)) * 5, rel=1e-3)
    assert feature("area", bell) == pytest.approx(3 * 5 * np.sqrt(2 * np.pi), rel=1e-6)
    assert feature("crossing", bell, level=1.5) == pytest.approx(40 - np.sqrt(2 * np.log(2)) * 5, rel=1e-3)
    assert np.isnan(feature("crossing", bell, level=4))
    assert np.isnan(feature("width", T))
    assert (feature("initial", T), feature("final", T), feature("minimum", T)) == (0, 100, 0)
    assert feature("final", T, before=50) == 50
    assert feature("rings", bell, distance=10) == 1
    assert feature("modes", np.exp(-((T - 20) ** 2) / 9) + np.exp(-((T - 60) ** 2) / 9)) == 2


def labelling(classes, *outputs):
    return Labelling(get_objective("conditions", classes=classes), Outputs(outputs))


def test_a_sample_is_of_the_first_class_whose_condition_it_fulfils():
    classes = {"slow": "period(x) > 10", "moving": "period(x) > 0 and level < 2", "high": "level >= 2"}
    label = labelling(classes, Output("x", T), Output("level"))
    curves = 1 + np.array([np.sin(T / 2), np.sin(T), np.sin(T), 0 * T, 0 * T])
    level = np.array([5.0, 1.0, 3.0, 2.0, 0.0])
    peaks = curves.max(axis=1)
    stored = np.concatenate([curves / peaks[:, None], level[:, None]], axis=1)
    found = label(stored, np.stack([np.log(peaks), np.zeros(5)], axis=1))
    assert label.objective.class_names == ("other", "slow", "moving", "high")
    assert found.tolist() == [1, 2, 3, 3, 0]
    assert label(stored[:0], np.zeros((0, 2))).tolist() == []


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (None, "needs the option 'classes'"),
        ({}, "needs the option 'classes'"),
        (["a"], "needs the option 'classes'"),
        ({"a": 3}, "class 'a': 3 is no condition"),
        ({"other": "x > 1"}, "the class 'other' is what fulfils no condition"),
        ({"a": "period(x)"}, "is a number; it must be a condition"),
        ({"a": "period(y) > 1"}, "class 'a': 'period.y. > 1': unknown name 'y'"),
        ({"a": "x > 1"}, "'x' is a curve where a number should be"),
        ({"a": "perod(x) > 1"}, "unknown name 'perod'; did you mean 'period'"),
        ({"a": "period(x, afer=3) > 1"}, "period takes one argument"),
        ({"a": "mean(x, after=200) > 1"}, "the grid has fewer than two points; it goes from 0 to 100"),
    ],
)
def test_conditions_that_make_no_sense_are_refused_with_the_class(classes, message):
    with pytest.raises(InputError, match=message):
        labelling(classes, Output("x", T))


X = Output("x", T, unit="nM", grid_name="time", grid_unit="h")
LEVEL = Output("level", unit="mM")


def stored(curves, level):
    """Return curves (n, points) and numbers (n,) as profiles and log peaks."""
    outputs = Outputs((X, LEVEL))
    raw = outputs.join({"x": curves, "level": level}, len(curves))
    profiles, log_peaks, *_ = outputs.scaled(raw)
    return profiles, log_peaks


def test_features_are_told_by_name_in_their_units_and_are_not_there_where_a_sample_lacks_them():
    curves = 10 + np.array([[2.0], [1.0], [0.0]]) * np.sin(2 * np.pi * T / np.array([[5.0], [20.0], [20.0]]))
    expressions = {"P": "period(x, prominence=0.05)", "swing": "amplitude(x) / mean(x)", "level": "level", "2": "1 + 1"}
    features = Features(expressions, Outputs((X, LEVEL)), "screen.features")
    found = features(*stored(curves, np.array([1.0, np.nan, 3.0])))
    # The second sample failed: nothing is known of it, not even how many peaks it has.
    np.testing.assert_allclose(found["P"], [5, np.nan, np.nan], rtol=2e-3)
    np.testing.assert_allclose(found["swing"], [0.2, np.nan, 0], rtol=1e-2, atol=1e-9)
    np.testing.assert_allclose(found["level"], [1, np.nan, 3])
    np.testing.assert_allclose(found["2"], [2, np.nan, 2])
    assert features.names == ("P", "swing", "level", "2")
    assert features.labels == ("P [h]", "swing", "level [mM]", "2")
    none = features(*(part[:0] for part in stored(curves, curves[:, 0])))
    assert [len(values) for values in none.values()] == [0] * 4


def test_a_feature_that_divides_by_nothing_is_not_there():
    features = Features(["maximum(x) / level", "log(level)"], Outputs((X, LEVEL)), "screen.features")
    found = features(*stored(np.ones((2, len(T))), np.array([0.0, 2.0])))
    np.testing.assert_allclose(found["maximum(x) / level"], [np.nan, 0.5])
    np.testing.assert_allclose(found["log(level)"], [np.nan, np.log(2)])


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("period(x)", "h"),
        ("crossing( x , level=2)", "h"),
        ("amplitude(x, after=50)", "nM"),
        ("level", "mM"),
        ("peaks(x)", ""),
        ("area(x)", ""),
        ("maximum(x) - minimum(x)", ""),
        ("maximum(x) / mean(x)", ""),
        ("2 * maximum(x)", ""),
        ("maximum(x) * (level)", ""),
    ],
)
def test_units_are_those_of_one_feature_and_of_no_formula(text, unit):
    assert Features([text], Outputs((X, LEVEL)), "screen.features").units == {text: unit}


@pytest.mark.parametrize(
    ("expressions", "message"),
    [
        (["perod(x)"], "'screen.features': 'perod.x.': unknown name 'perod'; did you mean 'period'"),
        (["period(xx)"], "unknown name 'xx'; did you mean 'x'"),
        (["x"], "is a curve; it must be a number"),
        (["steady(x)"], "is a condition; it must be a number"),
        ({"swing": "maximum(x) -"}, "'maximum.x. -': not an expression"),
        (["mean(x, after=200)"], "'screen.features': between 200 and 100 the grid has fewer than two points"),
        (["level", "level"], "'screen.features': 'level' stands there twice"),
        ({" ": "level"}, "' ' is no name"),
        ({"a\nb": "level"}, "is no name"),
    ],
)
def test_features_that_make_no_sense_are_refused_with_the_key(expressions, message):
    with pytest.raises(InputError, match=message):
        Features(expressions, Outputs((X, LEVEL)), "screen.features")


def test_conditions_name_the_numbers_that_stand_in_them_once():
    classes = {
        "slow": "period( x ) > 10 and not steady(x)",
        "high": "level >= 2 and (period(x) < 9 or min(peaks(x, prominence=0.2), 3) > 1)",
    }
    label = labelling(classes, Output("x", T), Output("level"))
    assert label.objective.features == ("period(x)", "level", "peaks(x, prominence=0.2)")
