"""A model under conditions, against the model itself at the values that they set."""

import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution, get_model
from mechscreen.errors import InputError
from mechscreen.models import Outputs, Status
from mechscreen.models.conditioned import Conditioned
from mechscreen.models.setup import Setup

GRID = np.linspace(0.0, 2.0, 5)


class Growth(Model):
    """y = x0 e^(k t) and its logarithm at the end; strain 1 does not grow; fails where k > 9, raises where x0 < 0."""

    name, version, isolated = "growth-under-conditions", "3", False
    seconds = 0.5
    space = ParameterSpace(
        [
            Parameter("x0", 1.0, 5.0, unit="µM"),
            Parameter("k", 0.1, 2.0, scale="log"),
            Parameter("strain", 0, 1, categories=("wild", "poisoned")),
            Parameter("copies", 1, 4, integer=True),
        ]
    )
    outputs = (Output("y", GRID, unit="µM", grid_name="time"), Output("rate"))

    def solve(self, parameters, seeds):
        if (parameters[:, 0] < 0).any():
            raise ValueError("x0 is negative")
        x0, k, strain, copies = parameters.T
        k = np.where(strain == 1, 0.0, k)
        y = (copies * x0)[:, None] * np.exp(k[:, None] * GRID)
        y[k > 9] = np.nan
        return Solution({"y": y, "rate": k}, ["k is too large" if large else "" for large in k > 9])


def sets(n, seed=0):
    rng = np.random.default_rng(seed)
    return np.column_stack(
        [rng.uniform(1, 5, n), rng.uniform(0.1, 2, n), rng.integers(0, 2, n), rng.integers(1, 5, n)]
    ).astype(float)


def in_units(model, parameters):
    found = model.simulate(parameters)
    assert (found.status == Status.OK).all(), found.reasons
    return Outputs(model.outputs).by_name(found.profiles, found.log_peaks)


CONDITIONS = {
    "wild": {},
    "knockout": {"k": 0.0},
    "weak": {"k": "0.1 * k", "x0": "x0 + 1"},
    "other": {"strain": "poisoned", "copies": 2},
}


def test_each_condition_is_the_model_at_the_values_that_it_sets():
    parameters = sets(20)
    found = in_units(Conditioned(Growth(), CONDITIONS), parameters)
    x0, k, strain, copies = parameters.T
    two, one, poisoned = np.full(20, 2.0), np.ones(20), np.zeros(20)
    expected = {
        "wild": (x0, k, strain, copies),
        "knockout": (x0, poisoned, strain, copies),
        "weak": (x0 + 1, 0.1 * k, strain, copies),
        "other": (x0, k, one, two),
    }
    for name, columns in expected.items():
        alone = in_units(Growth(), np.column_stack(columns))
        for output in ("y", "rate"):
            np.testing.assert_allclose(found[f"{name}.{output}"], alone[output], rtol=1e-6)


def test_outputs_stand_in_the_order_of_the_conditions_and_keep_units_and_grids():
    model = Conditioned(Growth(), {"b": {}, "a": {"k": 1}})
    assert [output.name for output in model.outputs] == ["b.y", "b.rate", "a.y", "a.rate"]
    assert (model.outputs[2].unit, model.outputs[2].grid_name, model.outputs[1].shape) == ("µM", "time", ())
    assert (model.name, model.version, model.isolated, model.seconds) == (Growth.name, "3", False, 1.0)


def test_what_all_conditions_set_varies_no_more_unless_an_expression_takes_it():
    both = {"a": {"k": 0, "x0": 1}, "b": {"k": 1, "x0": "2 * x0"}}
    assert Conditioned(Growth(), both).space.names == ("x0", "strain", "copies")


def test_a_condition_that_fails_fails_the_sample_and_is_named():
    model = Conditioned(Growth(), {"wild": {}, "fast": {"k": "20 * k"}})
    found = model.simulate([[1, 0.1, 0, 1], [1, 0.9, 0, 1]])
    assert found.status.tolist() == [Status.OK, Status.NOT_FINITE]
    assert found.reasons == ("", "fast: k is too large")
    assert np.isnan(found.profiles[1]).all()


def test_an_expression_without_a_value_fails_the_sample_and_not_its_neighbours():
    model = Conditioned(Growth(), {"wild": {}, "odd": {"x0": "log(x0 - 2)", "copies": "copies / 2"}})
    found = model.simulate([[3.5, 1, 0, 2], [1.5, 1, 0, 2], [3.5, 1, 0, 3]])
    assert found.status.tolist() == [Status.OK, Status.NOT_FINITE, Status.NOT_FINITE]
    assert found.reasons[1] == "odd: x0 = log(x0 - 2) is nan, which it cannot be"
    assert found.reasons[2] == "odd: copies = copies / 2 is 1.5, which it cannot be"


def test_what_the_model_raises_says_the_condition():
    with pytest.raises(ValueError, match=r"^x0 is negative \(condition 'low'\)$"):
        Conditioned(Growth(), {"wild": {}, "low": {"x0": -1}}).simulate(sets(2))


class Dice(Model):
    """A random number by the seed alone."""

    name, version, isolated = "dice-under-conditions", "1", False
    space = ParameterSpace([Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 1.0)])
    outputs = (Output("x"),)

    def solve(self, parameters, seeds):
        return Solution(np.array([np.random.default_rng(int(seed)).normal() for seed in seeds])[:, None, None])


@given(st.integers(0, 2**64 - 1))
def test_conditions_have_random_numbers_of_their_own_that_follow_from_the_samples_seed(seed):
    model = Conditioned(Dice(), {"one": {}, "two": {"a": 0.5}})
    once, again = (model.simulate(np.zeros((2, 2)), seeds=[seed, other]).profiles for other in (1, 2))
    assert np.array_equal(once[0], again[0])
    assert once[0, 0, 0] != once[0, 1, 0]


@pytest.mark.parametrize(
    ("conditions", "message"),
    [
        ({"not so": {}}, "condition 'not so': outputs are named after it"),
        ({"lambda": {}}, "condition 'lambda': outputs are named after it"),
        ({"a": {"kk": 1}}, r"condition 'a': no parameter 'kk'; did you mean 'k'\? \(valid: x0, k, strain, copies\)"),
        ({"a": {"k": "2 *"}}, r"condition 'a': k = 2 \*: not an expression"),
        ({"a": {"k": "2 * kk"}}, "condition 'a': k = 2 .* unknown name 'kk'; did you mean 'k'"),
        ({"a": {"z": "2 * k"}}, "condition 'a': z = .*: an expression sets what the model varies"),
        ({"a": {"k": "1 < 2"}}, "is a condition; it must be a number"),
        ({"a": {"copies": 1.5}}, "condition 'a': copies = 1.5: is no value that it takes"),
        ({"a": {"strain": 2}}, "condition 'a': strain = 2: is no value that it takes"),
        ({"a": {"strain": "sick"}}, "unknown name 'sick'"),
        ({}, "no condition"),
        ({"a": {"x0": 1, "k": 1, "strain": 0, "copies": 1}}, "every condition sets all parameters"),
    ],
)
def test_conditions_that_are_wrong_are_named(conditions, message):
    with pytest.raises(InputError, match=message):
        Conditioned(Growth(), conditions)


def test_a_constraint_of_the_model_on_what_all_conditions_set_is_refused():
    class Ordered(Dice):
        space = ParameterSpace([Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 1.0)], constraints=("a < b",))

    with pytest.raises(InputError, match="every condition sets a, of which the model itself says more"):
        Conditioned(Ordered(), {"one": {"a": 0}, "two": {"a": 1}})


def test_a_setup_is_made_again_elsewhere_from_plain_values():
    setup = Setup("pattern", {"binding": "exact"}, {"wild": {}, "slow": {"alpha_c": "0.5 * alpha_c"}})
    make = pickle.loads(pickle.dumps(setup.importable.make))
    assert make.__self__.name == "mechscreen.models.pattern:PatternModel"
    assert [output.name for output in make().outputs] == ["wild.mCherry", "slow.mCherry"]
    assert type(Setup("pattern").make()) is type(get_model("pattern"))
