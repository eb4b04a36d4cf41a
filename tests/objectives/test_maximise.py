"""The largest values as the objective."""

import numpy as np
import pytest

from mechscreen.errors import InputError
from mechscreen.models import Output, Outputs
from mechscreen.objectives import Labelling, get_objective

TIMES = np.linspace(0, 10, 41)
OUTPUTS = Outputs([Output("x", TIMES, scale="linear", unit="µM", grid_unit="h"), Output("cost", scale="linear")])


def labelling(**options):
    return Labelling(get_objective("maximise", **options), OUTPUTS)


def samples(n=50):
    rng = np.random.default_rng(0)
    curves = rng.uniform(0.5, 3, (n, 1)) * np.sin(TIMES) + 1
    cost = rng.uniform(0, 2, n)
    return {"x": curves, "cost": cost}


def test_large_is_what_reaches_the_value():
    objective = labelling(of="amplitude(x) - cost", at_least=1.0).objective
    given = samples()
    expected = np.ptp(given["x"], axis=1) / 2 - given["cost"] >= 1.0
    np.testing.assert_array_equal(objective(given), expected)
    assert objective.class_names == ("other", "large")
    assert 0 < expected.sum() < len(expected)


def test_what_has_no_value_is_not_large():
    objective = labelling(of="period(x)", at_least=-1e9).objective
    given = samples(3)
    given["x"][1] = 1.0
    np.testing.assert_array_equal(objective(given), [1, 0, 1])
    assert np.isnan(objective.misfit(given)).tolist() == [False, True, False]


def test_another_limit_is_another_objective():
    objective = labelling(of="cost", at_least=1.5).objective
    given = samples()
    assert objective.limit == -1.5
    np.testing.assert_array_equal(objective.misfit(given), -given["cost"])
    np.testing.assert_array_equal(objective.within(-1.0)(given), given["cost"] >= 1.0)
    assert objective.at_least == 1.5


def test_what_is_wanted_is_told_with_its_unit():
    objective = labelling(of="amplitude(x)", at_least=0, against="-cost").objective
    assert objective.wanted.labels == ("amplitude(x) [µM]", "-cost")
    assert objective.features == ("amplitude(x)", "-cost")


def test_jax_says_the_same():
    jax = pytest.importorskip("jax")
    objective = labelling(of="maximum(x) / (1 + cost)", at_least=1.0).objective
    given = samples()
    program = jax.jit(objective)
    found = program({name: jax.numpy.asarray(value) for name, value in given.items()})
    np.testing.assert_array_equal(np.asarray(found), objective(given))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"at_least": 1}, "needs the option 'of'"),
        ({"of": "amplitude(x)"}, "needs the option 'at_least'"),
        ({"of": "amplitude(x)", "at_least": float("nan")}, "needs the option 'at_least'"),
        ({"of": "amplitude(y)", "at_least": 1}, "'amplitude\\(y\\)'"),
        ({"of": "x", "at_least": 1}, "'options': 'x'"),
        ({"of": "steady(x)", "at_least": 1}, "'steady\\(x\\)'"),
        ({"of": "amplitude(x)", "at_least": 1, "against": 3}, "against 3 is no expression"),
        ({"of": "amplitude(x)", "at_least": 1, "against": "amplitude(x)"}, "stands there twice"),
        ({"of": "amplitude(x, after=9.99)", "at_least": 1}, "fewer than two points"),
        ({"of": "amplitude(x)", "atleast": 1}, "atleast"),
        ({"of": "amplitude(x)", "at_least": "much"}, "at_least"),
    ],
)
def test_bad_options_are_told(options, message):
    with pytest.raises(InputError, match=message):
        labelling(**options)
