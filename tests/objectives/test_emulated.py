import numpy as np
import pytest

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution
from mechscreen.errors import InputError
from mechscreen.models import Outputs
from mechscreen.objectives import Conditions, FeaturesOf, Labelling

TIME = np.linspace(0, 40, 801)


class Waves(Model):
    name = "waves-of-the-features"
    version = "3"
    space = ParameterSpace([Parameter("frequency", 0.3, 3.0), Parameter("size", -1.0, 1.0)])
    outputs = (
        Output("x", TIME, unit="nM", grid_name="time", grid_unit="h", scale="linear"),
        Output("size", unit="nM"),
    )

    def solve(self, parameters, seeds):
        frequency, size = parameters.T
        x = np.maximum(size, 0)[:, None] * np.sin(frequency[:, None] * TIME)
        x[size > 0.95] = np.nan
        reasons = np.where(size > 0.95, "too large", "")
        return Solution({"x": x, "size": size}, reasons.tolist())


SETS = np.array([[1.0, 0.5], [2.0, -0.5], [0.5, 0.25], [1.0, 0.99]])


def test_features_are_numbers_of_which_those_that_a_curve_lacks_are_undefined():
    model = FeaturesOf(Waves(), ["period(x)", "amplitude( x,after=10 )", "size"])
    found = model.simulate(SETS)
    assert [output.name for output in model.outputs] == [
        "period(x)", "has period(x)", "amplitude(x, after=10)", "size",
    ]  # fmt: skip
    assert [output.unit for output in model.outputs] == ["h", "", "nM", "nM"]
    assert found.status.tolist() == [0, 0, 0, 1]
    assert found.reasons[3] == "too large"
    said = Outputs(model.outputs).by_name(found.profiles[:3], found.log_peaks[:3])
    np.testing.assert_allclose(said["period(x)"], [2 * np.pi, np.nan, 4 * np.pi], rtol=1e-3)
    np.testing.assert_allclose(said["has period(x)"], [1, 0, 1])
    np.testing.assert_allclose(said["amplitude(x, after=10)"], [0.5, 0, 0.25], rtol=1e-3)
    np.testing.assert_allclose(said["size"], SETS[:3, 1])


def test_the_same_condition_is_asked_of_curves_and_of_features_that_were_emulated():
    condition = {"slow": "period( x ) > 8 and amplitude(x) > 0.2", "dead": "not amplitude(x) > 0"}
    curves, features = Waves(), FeaturesOf(Waves(), ["period(x)", "amplitude(x)"])
    labels = []
    for model in (curves, features):
        found = model.simulate(SETS[:3])
        assert not found.status.any()
        labels.append(Labelling(Conditions(condition), Outputs(model.outputs))(found.profiles, found.log_peaks))
    np.testing.assert_array_equal(*labels)
    assert labels[0].tolist() == [0, 2, 1]


def test_a_feature_may_have_a_name_a_scale_and_a_unit_of_its_own():
    model = FeaturesOf(
        Waves(), {"T": {"of": "period(x)", "scale": "log", "unit": "hours"}, "swing": "2 * amplitude(x)"}
    )
    assert [(output.name, output.scale, output.unit) for output in model.outputs] == [
        ("T", "log", "hours"), ("has T", "linear", ""), ("swing", "linear", ""),
    ]  # fmt: skip
    found = model.simulate(SETS[:2])
    assert found.status.tolist() == [0, 0]
    assert found.profiles[0, 0, 0] == pytest.approx(np.log(2 * np.pi), rel=1e-3)


@pytest.mark.parametrize(
    ("emulate", "message"),
    [
        (["period(y)"], "emulate: 'period\\(y\\)': unknown name 'y'"),
        (["period(x"], "emulate: 'period\\(x': not an expression"),
        (["steady(x)"], "is a condition; it must be a number"),
        (["x"], "is a curve; it must be a number"),
        (["period(x)", "period( x )"], "stands there twice"),
        ({"T": {"of": "period(x)", "scales": "log"}}, "emulate: 'T': no 'scales'; did you mean 'scale'?"),
        ({"T": {"scale": "log"}}, "unknown name 'T'"),
    ],
)
def test_what_cannot_be_emulated_is_refused_by_name(emulate, message):
    with pytest.raises(InputError, match=message):
        FeaturesOf(Waves(), emulate)
