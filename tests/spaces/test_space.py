"""Spaces: derived parameters, constraints, and the maps between unit cube, values and what networks are told."""

import numpy as np
import pytest

from mechscreen.errors import InputError
from mechscreen.spaces import Parameter, ParameterSpace, Prior

K = Parameter("k1", 0.1, 10.0, scale="log")
RATIO = Parameter("ratio", 0.5, 2.0)
STRAIN = Parameter("strain", 0, 2, categories=("wild", "mutant", "double"))


def test_derived_parameters_follow_from_those_before_them():
    space = ParameterSpace([K, RATIO], derived={"k2": "k1 * ratio", "k3": "k2 ^ 2"})
    sets = np.array([[1.0, 2.0], [3.0, 0.5]])
    assert space.values_for(("k3", "k1", "k2"), sets).tolist() == [[4.0, 1.0, 2.0], [2.25, 3.0, 1.5]]
    assert list(space.columns(sets)) == ["k1", "ratio", "k2", "k3"]


def test_constraints_speak_of_derived_parameters_and_of_categories_by_their_names():
    space = ParameterSpace(
        [K, RATIO, STRAIN], derived={"k2": "k1 * ratio"}, constraints=["k2 < 4", "strain == wild or k1 > 1"]
    )
    sets = np.array([[1.0, 2.0, 0], [1.0, 2.0, 1], [3.0, 2.0, 1], [1.5, 1.0, 2]])
    assert space.allowed(sets).tolist() == [True, False, False, True]


def test_a_derived_parameter_without_a_value_is_not_allowed():
    space = ParameterSpace([Parameter("x", -1.0, 1.0)], derived={"y": "log(x)"})
    assert space.allowed(np.array([[-0.5], [0.5]])).tolist() == [False, True]


def test_all_maps_go_both_ways_whatever_the_parameters_are():
    space = ParameterSpace([K, RATIO, STRAIN])
    sets = space.physical(np.random.default_rng(1).random((50, 3)))
    assert space.normalise(sets).shape == (50, space.inputs) == (50, 5)
    assert space.denormalise(space.normalise(sets)) == pytest.approx(sets, rel=1e-12)


def test_of_linear_parameters_the_maps_are_the_plain_ones_to_the_last_bit():
    space = ParameterSpace([Parameter("a", 1.0, 3.5, zero=0.0, one=7.0), Parameter("b", -2.0, 2.0)])
    u = np.random.default_rng(2).random((100, 2))
    draws = space.draw(u)
    low, high = np.array([1.0, -2.0]), np.array([3.5, 2.0])
    assert np.array_equal(draws.physical, low + u * (high - low))
    assert np.array_equal(draws.position, u)
    zero, scale = np.array([0.0, -2.0]), np.array([7.0, 4.0])
    assert np.array_equal(space.normalise(draws.physical), (draws.physical - zero) / scale)


def test_restricting_keeps_what_a_normalised_value_means():
    narrow = ParameterSpace([K, STRAIN]).restrict({"k1": {"low": 1.0}, "strain": {"levels": ("wild", "double")}})
    assert narrow.normalise(np.array([[1.0, 0]]))[0, 0] == pytest.approx(0.5)
    assert set(narrow.physical(np.random.default_rng(3).random((50, 2)))[:, 1]) == {0.0, 2.0}
    held = narrow.restrict({"strain": {"low": "double", "high": "double", "levels": None}})
    assert held["strain"].fixed


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ParameterSpace([K], derived={"k1": "2"}), "derived parameter 'k1': is drawn, too"),
        (lambda: ParameterSpace([K], derived={"k2": "k3"}), "derived parameter 'k2': 'k3': unknown name 'k3'"),
        (lambda: ParameterSpace([K], constraints=["k1 <"]), "constraint 'k1 <': not an expression"),
        (lambda: ParameterSpace([K], constraints=["k1 + 1"]), "is a number; it must be a condition"),
        (lambda: ParameterSpace([K, K]), "must be unique"),
        (
            lambda: ParameterSpace([STRAIN]).restrict({"strain": {"low": "muant"}}),
            "no value 'muant'; did you mean 'mutant'",
        ),
        (lambda: ParameterSpace([K]).restrict({"k1": {"low": 0.01}}), "leaves the model's range 0.1 … 10"),
        (lambda: ParameterSpace([K]).restrict({"k1": {"prior": Prior("normal", loc=99.0, scale=0.1)}}), "no mass"),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(build, message):
    with pytest.raises(InputError, match=message):
        build()
