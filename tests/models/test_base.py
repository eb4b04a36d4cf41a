import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen import Model, Output, Parameter, Solution, get_model
from mechscreen.errors import InputError, MechscreenError, ModelError
from mechscreen.models import Outputs, ParameterSpace, Status, model_names
from mechscreen.models.base import WrongSolution
from mechscreen.registry import MODELS

SPACE = ParameterSpace(
    [
        Parameter("rate", 0.2, 5.0, zero=0.0, one=5.0),
        Parameter("size", 1.0, 3.0, levels=(1.0, 2.0, 3.0)),
        Parameter("shift", -2.0, 2.0),
    ]
)


class Ramp(Model):
    """y = rate · grid, with a NaN for size > 2.5, a negative for shift < −1 and nothing at shift = 0."""

    name = "ramp-for-tests"
    version = "1"
    space = SPACE
    outputs = (Output("y", np.linspace(0, 1, 5)), Output("z", np.linspace(0, 2, 5)))

    def __init__(self, gain: float = 1.0):
        self.gain = gain

    def solve(self, parameters, seeds):
        grids = np.stack([output.grid for output in self.outputs])
        profiles = self.gain * parameters[:, 0, None, None] * grids
        profiles[parameters[:, 1] > 2.5] = np.nan
        profiles[parameters[:, 2] < -1] = -1.0
        profiles[parameters[:, 2] == 0, 1] = 0.0
        return Solution(profiles, ["too large" if size > 2.5 else "" for size in parameters[:, 1]])


class Decay(Model):
    """y = exp(−rate · x)."""

    name = "decay-for-tests"
    version = "1"
    space = ParameterSpace([Parameter("rate", 0.1, 5.0)])
    outputs = (Output("y", np.linspace(0, 2, 50)),)

    def solve(self, parameters, seeds):
        profiles = np.exp(-parameters[:, :, None] * self.outputs[0].grid)
        profiles[parameters[:, 0] == 3.0] = np.nan
        return Solution(profiles)


unit_values = st.lists(st.tuples(*[st.floats(0, 1)] * 3), min_size=1, max_size=20).map(np.array)


@given(unit_values)
def test_physical_values_stay_in_the_box_and_survive_normalising(unit):
    physical = SPACE.physical(unit)
    assert (physical >= SPACE.low).all()
    assert (physical <= SPACE.high).all()
    np.testing.assert_allclose(SPACE.denormalise(SPACE.normalise(physical)), physical, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("held", [2.0, 0.0, -3.0, 1e300])
def test_a_parameter_whose_range_is_one_value_is_held_fixed_and_normalises_to_nought(held):
    space = ParameterSpace([Parameter("y0", held, held), Parameter("k", 0.0, 2.0)])
    assert space.varied == (1,)
    np.testing.assert_array_equal(space.physical([[0.7, 0.5]]), [[held, 1.0]])
    np.testing.assert_array_equal(space.normalise([[held, 1.0]]), [[0.0, 0.5]])
    np.testing.assert_array_equal(space.denormalise([[0.0, 0.5]]), [[held, 1.0]])


def test_zero_and_one_must_differ_where_they_are_given():
    with pytest.raises(InputError, match=r"'y0': 'zero' and 'one' are both 1\.0"):
        Parameter("y0", 0.0, 2.0, zero=1.0, one=1.0)


@given(unit_values)
def test_a_parameter_with_levels_takes_only_them_in_training(unit):
    assert set(SPACE.physical(unit, levels=True)[:, 1]) <= {1.0, 2.0, 3.0}


def test_levels_are_equally_likely():
    unit = np.random.default_rng(0).random((30_000, 3))
    counts = np.unique(SPACE.physical(unit, levels=True)[:, 1], return_counts=True)[1]
    np.testing.assert_allclose(counts / 30_000, 1 / 3, atol=0.015)


def test_normalised_values_keep_their_meaning_when_the_range_is_narrowed():
    narrow = SPACE.restrict({"rate": {"low": 1.0, "high": 2.0}})
    physical = [[1.5, 2.0, 0.5]]
    np.testing.assert_array_equal(narrow.normalise(physical), SPACE.normalise(physical))
    assert SPACE.normalise([[2.5, 2.0, 0.0]])[0] == pytest.approx([0.5, 0.5, 0.5])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rat": {"low": 1.0}}, "did you mean 'rate'"),
        ({"rate": {"high": 9.0}}, "leaves the model's range"),
        ({"rate": {"low": 3.0, "high": 1.0}}, "not a range"),
        ({"size": {"levels": (0.5,)}}, "levels"),
        ({"size": {"high": 2.0}}, "levels"),
    ],
)
def test_a_wrong_change_of_a_range_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        SPACE.restrict(changes)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ((), "has no outputs"),
        (
            (Output("a", np.arange(5.0)), Output("a")),
            r"its outputs are named \['a', 'a'\]; give each a name of its own",
        ),
        ((Output("a", np.array([0.0, 2.0, 1.0])),), "'a': its grid must be finite and ascending"),
        ((Output("a", np.array([0.0, 1.0, np.nan])),), "'a': its grid must be finite and ascending"),
        ((Output("a", np.zeros((2, 2))),), "'a': its grid must be finite and ascending"),
        ((Output("a", np.arange(3.0), floor=-1.0),), "'a': its floor is -1.0; give the least value that counts"),
        ((Output("a", np.arange(3.0), floor=np.nan),), "'a': its floor is nan; give the least value that counts"),
    ],
)
def test_a_model_whose_outputs_make_no_sense_is_refused(monkeypatch, outputs, message):
    monkeypatch.setattr(Ramp, "outputs", outputs)
    with pytest.raises(ModelError, match=message):
        get_model(Ramp.name)


def test_profiles_are_divided_by_their_peaks():
    result = Ramp(gain=2.0).simulate([[0.5, 1.0, 1.0]])
    np.testing.assert_allclose(result.profiles[0], np.tile(np.linspace(0, 1, 5), (2, 1)))
    np.testing.assert_allclose(np.exp(result.log_peaks[0]), [1.0, 2.0])


def test_failed_samples_are_rows_with_a_status_and_a_reason():
    result = Ramp().simulate([[1, 1, 1], [1, 3, 1], [1, 1, -2], [1, 1, 0]])
    assert list(result.status) == [Status.OK, Status.NOT_FINITE, Status.NEGATIVE, Status.FLAT]
    assert result.reasons == (
        "",
        "too large",
        "output 'y' is -1 at point 0: clip rounding in solve(), or give it scale='linear' if it may be negative",
        "output 'z' is zero everywhere; give it a floor (Output(..., floor=...)) if it may be",
    )
    assert np.isnan(result.profiles[1:]).all()
    assert np.isfinite(result.profiles[0]).all()


def test_normalised_parameters_give_the_same_as_physical_ones():
    physical = np.array([[1.0, 2.0, 1.5]])
    direct, normalised = Ramp().simulate(physical), Ramp().simulate(SPACE.normalise(physical), normalised=True)
    np.testing.assert_allclose(direct.log_peaks, normalised.log_peaks, rtol=1e-12)


@pytest.mark.parametrize("bad", [[1.0, 2.0, 3.0], [[1.0, 2.0]], [[1.0, np.nan, 3.0]], [[np.inf, 1.0, 1.0]]])
def test_parameters_of_wrong_shape_or_value_are_refused(bad):
    with pytest.raises(InputError, match=r"shape|finite"):
        Ramp().simulate(bad)


def test_an_unknown_model_is_answered_with_the_valid_names():
    with pytest.raises(InputError, match=r"did you mean 'ramp-for-tests'\?.*valid: .*pattern"):
        get_model("ramp-for-test")


def test_a_name_cannot_be_registered_twice():
    with pytest.raises(InputError, match="already registered"):
        type("Other", (Ramp,), {"name": "ramp-for-tests"})
    assert type(get_model("ramp-for-tests")) is Ramp
    with pytest.raises(InputError, match=r"'pattern' is already registered by mechscreen.models.pattern.PatternModel"):
        type("Other", (Ramp,), {"name": "pattern", "__module__": "of_no_file"})


SIBLING = """
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace

class Same(Model):
    name, version = "same-by-path-and-by-import", "1"
    space = ParameterSpace([Parameter("k", 0.0, 1.0)])
    outputs = (Output("y", np.arange(3.0)),)
    def solve(self, parameters, seeds):
        return np.ones((len(parameters), 1, 3))
"""


@pytest.mark.parametrize("order", [("path", "import"), ("import", "path")])
def test_a_class_by_path_and_by_import_is_the_same_model(tmp_path, monkeypatch, order):
    name = f"same_{tmp_path.name}"
    (tmp_path / f"{name}.py").write_text(SIBLING)
    monkeypatch.syspath_prepend(tmp_path)
    specs = {"path": f"{tmp_path}/{name}.py:Same", "import": f"{name}:Same"}
    for which in order:
        assert get_model(specs[which]).name == "same-by-path-and-by-import"
    (tmp_path / f"other_{name}.py").write_text(SIBLING)
    with pytest.raises(InputError, match="'same-by-path-and-by-import' is already registered"):
        get_model(f"{tmp_path}/other_{name}.py:Same")
    MODELS._defined.pop("same-by-path-and-by-import")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("np.ones((len(p), 1, 3))", r"solve\(\) must return Solution\(profiles\), not ndarray"),
        ("None", r"must return Solution\(profiles\), not NoneType"),
        ("Solution(np.ones((len(p), 3)))", r"returned profiles of shape \(2, 3\); its outputs say \(2, 1, 3\)"),
        ("Solution(np.ones((len(p), 1, 3)), ['a'])", "returned 1 reasons for 2 samples"),
    ],
)
def test_what_solve_returns_is_checked(monkeypatch, returned, message):
    solve = eval(f"lambda self, p, seeds: {returned}", {"np": np, "Solution": Solution})
    monkeypatch.setattr(Decay, "solve", solve)
    monkeypatch.setattr(Decay, "outputs", (Output("y", np.arange(3.0)),))
    with pytest.raises(WrongSolution, match=message):
        Decay().simulate([[1.0], [2.0]])


def test_an_unknown_option_is_refused():
    with pytest.raises(InputError, match="gian"):
        get_model("ramp-for-tests", gian=2)


def test_a_users_model_is_loaded_from_a_file(tmp_path):
    source = tmp_path / "my_model.py"
    source.write_text(
        "import numpy as np\n"
        "from mechscreen import Model, Output, Parameter, ParameterSpace, Solution\n"
        "class Decay(Model):\n"
        "    name, version = 'decay-from-file', '1'\n"
        "    space = ParameterSpace([Parameter('k', 0.1, 2.0)])\n"
        "    outputs = (Output('y', np.linspace(0, 5, 11), grid_name='time', grid_unit='h'),)\n"
        "    def solve(self, parameters, seeds):\n"
        "        return Solution(np.exp(-parameters[:, :, None] * self.outputs[0].grid))\n"
    )
    result = get_model(f"{source}:Decay").simulate([[1.0]])
    np.testing.assert_allclose(result.profiles[0, 0], np.exp(-np.linspace(0, 5, 11)))
    assert "decay-from-file" in model_names()
    with pytest.raises(InputError, match="did you mean 'Decay'"):
        get_model(f"{source}:Decy")


@pytest.mark.parametrize("spec", ["nowhere.py:Model", "no_such_module:Model", "json:JSONDecoder"])
def test_a_wrong_address_of_a_model_is_refused(spec):
    with pytest.raises(MechscreenError, match="model '"):
        get_model(spec)


def test_sensitivity_is_how_far_the_profile_of_slightly_different_parameters_lies():
    rates = np.array([0.3, 1.0, 3.0, 4.0])
    result = Decay().simulate(rates[:, None], sensitivity=True)
    moved = 5e-6 * rates[:, None] * Decay.outputs[0].grid  # dy/d(ln rate) = −rate · x · y
    expected = np.sqrt(np.mean((moved * np.exp(-rates[:, None] * Decay.outputs[0].grid)) ** 2, axis=1))
    expected[2] = np.nan
    np.testing.assert_allclose(result.sensitivity, expected[:, None], rtol=1e-4)
    alone = Decay().simulate(rates[3:, None], seeds=[3], sensitivity=True)
    np.testing.assert_array_equal(alone.sensitivity[0], result.sensitivity[3])
    assert Decay().simulate(rates[:, None]).sensitivity is None


class Mixed(Model):
    """A number with a sign, a series and a field, returned by name."""

    name = "mixed-for-tests"
    version = "1"
    space = ParameterSpace([Parameter("a", 0.0, 1.0)])
    outputs = (
        Output("number", unit="mV"),
        Output("series", np.arange(3.0)),
        Output("field", (np.arange(2.0), np.arange(4.0)), scale="linear"),
    )
    left_out = ""

    def solve(self, parameters, seeds):
        a = parameters[:, 0]
        values = {
            "number": -a,
            "series": 1 + a[:, None] * np.arange(3.0),
            "field": a[:, None, None] * np.arange(-4.0, 4.0).reshape(2, 4),
        }
        return Solution({name: array for name, array in values.items() if name != self.left_out})


def test_outputs_that_differ_in_shape_are_returned_by_name():
    model = Mixed()
    result = model.simulate([[0.0], [0.5]])
    assert (result.profiles.shape, result.log_peaks.shape) == ((2, 1 + 3 + 8), (2, 3))
    by_name = Outputs(model.outputs).by_name(result.profiles, result.log_peaks)
    assert by_name["number"].tolist() == [0, -0.5]
    np.testing.assert_allclose(by_name["series"][1], [1, 1.5, 2])
    assert by_name["field"][1].tolist() == [[-2, -1.5, -1, -0.5], [0, 0.5, 1, 1.5]]


def test_a_sensitivity_is_told_in_the_units_of_each_output():
    result = Mixed().simulate([[0.5]], sensitivity=True)
    changed = 5e-6 * 0.5
    np.testing.assert_allclose(result.sensitivity[0, 0], changed, rtol=1e-6)
    np.testing.assert_allclose(
        result.sensitivity[0, 2], changed * np.sqrt(np.mean(np.arange(-4.0, 4.0) ** 2)), rtol=1e-6
    )


def test_an_output_that_solve_leaves_out_is_a_mistake_of_the_code(monkeypatch):
    monkeypatch.setattr(Mixed, "left_out", "series")
    with pytest.raises(
        WrongSolution, match=r"outputs \['field', 'number'\]; the model's are \['field', 'number', 'series'\]"
    ):
        Mixed().simulate([[0.5]])
