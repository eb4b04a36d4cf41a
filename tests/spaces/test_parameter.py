"""Parameters: what they draw, where that lies along their axes, and what networks are told."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechscreen.errors import InputError
from mechscreen.spaces import Parameter, Prior

U = (np.arange(6000) + 0.5) / 6000

KINDS = {
    "linear": Parameter("x", -2.0, 5.0),
    "log": Parameter("x", 1e-4, 1e2, scale="log"),
    "normal": Parameter("x", 0.0, 3.0, prior=Prior("normal", loc=1.0, scale=0.5)),
    "whole": Parameter("x", 1, 4, integer=True),
    "whole, log": Parameter("x", 1, 1000, integer=True, scale="log"),
    "levels": Parameter("x", 1, 100, levels=(1.0, 10.0, 100.0)),
    "names": Parameter("x", 0, 2, categories=("wild", "mutant", "double")),
    "two names": Parameter("x", 0, 1, categories=("wild", "mutant")),
    "grid": Parameter("x", 1, 3, levels=(1.0, 2.0, 3.0), between=True),
}
parametrize_kinds = pytest.mark.parametrize("parameter", KINDS.values(), ids=KINDS)


@parametrize_kinds
def test_values_lie_within_the_range_and_positions_within_the_axis(parameter):
    values, position = parameter.draw(U)
    assert parameter.low <= values.min() <= values.max() <= parameter.high
    assert position.min() >= 0
    assert position.max() < 1
    # Each lies in the cell of the axis where it is said to: whole numbers and levels share theirs.
    room = (0.5 / 2 if parameter.discrete else 0) + 1e-9
    assert np.abs(parameter.position(values) - position).max() <= room


@parametrize_kinds
def test_what_networks_are_told_can_be_told_back(parameter):
    values, _ = parameter.draw(U)
    told = parameter.normalise(values)
    assert told.shape == (len(U), parameter.inputs)
    assert parameter.denormalise(told) == pytest.approx(values, rel=1e-12)


def test_a_log_scale_gives_each_decade_the_same_share_of_draws_and_of_the_axis():
    parameter = KINDS["log"]
    values, position = parameter.draw(U)
    assert np.mean(values < 0.1) == pytest.approx(0.5)
    assert position == pytest.approx(U)
    assert parameter.position([1e-4, 1e-1, 1e2]) == pytest.approx([0, 0.5, 1])
    assert parameter.normalise(np.array([1e-4, 1e-1, 1e2]))[:, 0] == pytest.approx([0, 0.5, 1])
    assert parameter.middle == pytest.approx(0.1)


def test_whole_numbers_are_as_likely_as_one_another_and_have_as_much_room():
    values, position = KINDS["whole"].draw(U)
    assert np.unique(values, return_counts=True)[1].tolist() == [1500] * 4
    assert np.histogram(position, 4, (0, 1))[0].tolist() == [1500] * 4
    assert KINDS["whole"].marks == pytest.approx({0.125: "1", 0.375: "2", 0.625: "3", 0.875: "4"})


def test_whole_numbers_over_decades_are_rarer_the_larger():
    values, _ = KINDS["whole, log"].draw(U)
    assert set(values[:100]) == {1.0}
    share = np.log(10.5 / 0.5) / np.log(1000.5 / 0.5)
    assert np.mean(values <= 10) == pytest.approx(share, abs=1e-3)


def test_levels_stand_for_themselves_and_those_of_a_grid_for_a_training_set_alone():
    values, position = KINDS["levels"].draw(U)
    assert np.unique(values, return_counts=True)[1].tolist() == [2000] * 3
    assert np.histogram(position, 3, (0, 1))[0].tolist() == [2000] * 3
    grid = KINDS["grid"]
    assert set(grid.draw(U, levels=True)[0]) == {1.0, 2.0, 3.0}
    assert len(np.unique(grid.draw(U)[0])) == len(U)


def test_networks_are_told_three_names_by_three_numbers_and_two_by_one():
    assert KINDS["names"].normalise(np.array([0.0, 2.0])).tolist() == [[1, 0, 0], [0, 0, 1]]
    assert KINDS["two names"].normalise(np.array([0.0, 1.0])).tolist() == [[0], [1]]
    assert KINDS["names"].told(1.0) == "mutant"


@given(st.floats(0, 1, exclude_max=True), st.integers(-20, 20), st.integers(1, 30))
def test_a_whole_number_never_leaves_its_range(u, low, more):
    values, position = Parameter("n", low, low + more, integer=True).draw(np.array([u]))
    assert low <= values[0] <= low + more
    assert values[0] == round(values[0])
    assert 0 <= position[0] < 1


def test_a_held_parameter_is_its_value():
    values, position = Parameter("x", 2.0, 2.0, prior=Prior("normal")).draw(U[:3])
    assert values.tolist() == [2.0] * 3
    assert (position < 1).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"low": 0.0, "high": 1.0, "scale": "log"}, "a log scale needs a range above 0.*raise its lower end"),
        ({"low": -1.0, "high": 1.0, "scale": "log"}, "a log scale needs a range above 0"),
        ({"low": 1.0, "high": 2.0, "scale": "ln"}, r"no scale 'ln' \(valid: linear, log\)"),
        ({"low": 0.5, "high": 3.0, "integer": True}, "takes whole numbers, which 0.5 is not"),
        ({"low": 0, "high": 3, "categories": ("a", "b")}, "does not number the categories a, b"),
        ({"low": 0, "high": 1, "categories": ("a", "a")}, "names, each once"),
        ({"low": 0, "high": 1, "levels": (0.0, 1.0), "prior": Prior("uniform")}, "give no prior"),
        ({"low": -1, "high": 1, "prior": Prior("loguniform")}, "loguniform needs a range above 0"),
        ({"low": 40.0, "high": 50.0, "prior": Prior("normal")}, r"\(almost\) no mass within 40 … 50"),
        ({"low": 2.0, "high": 1.0}, "is not a range"),
        ({"low": 0.0, "high": np.inf}, "is not a range"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(arguments, message):
    with pytest.raises(InputError, match=f"parameter 'x': .*{message}"):
        Parameter("x", **arguments)
