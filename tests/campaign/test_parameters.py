"""Campaigns that change scales, priors and kinds of parameters, derive some from others, and tie some together."""

import copy
import json

import jsonschema
import numpy as np
import pytest

from mechscreen.campaign import Campaign, json_schema
from mechscreen.errors import InputError

MODEL = """
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace, Solution

class Rates(Model):
    name, version = "rates-of-the-tests", "1"
    space = ParameterSpace([
        Parameter("k1", 1e-4, 100.0), Parameter("k2", 1e-4, 100.0), Parameter("n", 1, 4),
        Parameter("strain", 0, 2, categories=("wild", "mutant", "double")),
    ], constraints=["k1 < 90"])
    outputs = (Output("y", np.arange(3.0)),)

    def solve(self, parameters, seeds):
        return Solution(np.ones((len(parameters), 1, 3)))

def label(profiles, log_peaks):
    return (log_peaks[:, 0] > 0).astype(int)
"""
PARAMETERS = {
    "k1": {"scale": "log"},
    "n": {"integer": True},
    "strain": {"levels": ["wild", "double"]},
    "ratio": {"low": 0.5, "high": 2.0, "prior": {"name": "normal", "loc": 1.0, "scale": 0.2}},
}
CHANGES = {
    "parameters": PARAMETERS,
    "derived": {"k2": "k1 * ratio"},
    "constraints": ["k2 < 50", "strain == wild or n > 1"],
}


@pytest.fixture(scope="module")
def model_file(tmp_path_factory):
    file = tmp_path_factory.mktemp("rates") / "rates.py"
    file.write_text(MODEL)
    return file


@pytest.fixture
def values(model_file, tmp_path):
    return {
        "name": "rates",
        "results": str(tmp_path / "results"),
        "seed": 1,
        "model": {"name": f"{model_file}:Rates", **copy.deepcopy(CHANGES)},
        "simulations": {"count": 100, "shard_size": 10},
        "screen": {
            "count": 1000,
            "block_size": 100,
            "objective": {
                "name": f"{model_file}:label",
                "options": {"classes": ["low", "high"]},
                "target": ["high"],
            },
        },
    }


def test_what_is_drawn_follows_from_model_and_campaign(values):
    jsonschema.validate(values, json.loads(json_schema()))
    campaign = Campaign.from_dict(values)
    assert campaign.space.names == ("k1", "n", "strain", "ratio")
    assert campaign.space.constraints == ("k1 < 90", "k2 < 50", "strain == wild or n > 1")
    sets = campaign.space.physical(np.random.default_rng(1).random((500, 4)))
    assert np.mean(sets[:, 0] < 0.1) == pytest.approx(0.5, abs=0.08)
    assert set(sets[:, 1]) == {1, 2, 3, 4}
    assert set(sets[:, 2]) == {0, 2}
    assert sets[:, 3].std() == pytest.approx(0.2, abs=0.03)
    given = campaign.simulated(sets)
    assert np.array_equal(given, np.column_stack([sets[:, 0], sets[:, 0] * sets[:, 3], sets[:, 1], sets[:, 2]]))


def test_a_folder_of_results_remembers_all_of_it(values):
    campaign = Campaign.from_dict(values)
    campaign.record()
    opened = Campaign.open(campaign.paths.root)
    assert list(opened.space) == list(campaign.space)
    assert opened.space.constraints == campaign.space.constraints
    assert opened.fingerprint("validation") == campaign.fingerprint("validation")
    unit = np.random.default_rng(2).random((50, 4))
    assert np.array_equal(opened.screen_space.physical(unit), campaign.screen_space.physical(unit))


def test_a_screen_narrows_ranges_cuts_priors_and_holds_at_the_middle_of_the_scale(values):
    values["screen"] |= {"vary": ["k1", "ratio"], "parameters": {"ratio": {"low": 1.0}, "strain": {"value": "double"}}}
    space = Campaign.from_dict(values).screen_space
    assert (space["strain"].low, space["n"].low) == (2.0, 2.0)
    sets = space.physical(np.random.default_rng(3).random((2000, 4)))
    # Half a normal distribution.
    assert np.mean(sets[:, 3] < 1.0 + 0.6745 * 0.2) == pytest.approx(0.5, abs=0.04)
    values["screen"] |= {"vary": ["ratio"], "parameters": {}}
    assert Campaign.from_dict(values).screen_space["k1"].low == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("parameters", "k1"), {"scale": "linear"}),
        (("parameters", "ratio"), {**PARAMETERS["ratio"], "prior": {"name": "normal", "loc": 1.0, "scale": 0.3}}),
        (("derived", "k2"), "k1 * ratio * 1.0"),
        (("constraints",), ["k2 < 51", "strain == wild or n > 1"]),
    ],
)
def test_a_change_of_any_of_it_remakes_everything(values, path, value):
    before = Campaign.from_dict(values).fingerprint("simulations")
    section = values["model"] = copy.deepcopy(values["model"])
    for key in path[:-1]:
        section = section[key]
    section[path[-1]] = value
    assert Campaign.from_dict(values).fingerprint("simulations") != before


@pytest.mark.parametrize(
    ("section", "change", "message"),
    [
        ("parameters", {"k1": {"scale": "lin"}}, "model.parameters.k1.scale"),
        (
            "parameters",
            {"k1": {"low": 0.0, "scale": "log"}},
            "'model': parameter 'k1': a log scale needs a range above 0",
        ),
        ("parameters", {"n": {"low": 1.5, "integer": True}}, "'n': takes whole numbers, which 1.5 is not"),
        ("parameters", {"k1": {"prior": {"name": "normal", "loc": -9.0}}}, r"prior normal has \(almost\) no mass"),
        ("parameters", {"k1": {"prior": "norml"}}, "no prior 'norml'; did you mean 'normal'"),
        ("parameters", {"k1": {"prior": {"name": "beta", "a": 1.0}}}, "beta: needs argument 'b'"),
        ("parameters", {"k1": {"value": 1.0, "scale": "log"}}, "'value' fixes the parameter, so scale cannot stand"),
        ("parameters", {"strain": {"value": "widl"}}, "no value 'widl'; did you mean 'wild'"),
        ("parameters", {**PARAMETERS, "rato": {"low": 1, "high": 2}}, "'model': no parameter 'rato'"),
        ("parameters", {"ratio": {"low": 1}}, "ratio: is none of the model's, so it needs low and high"),
        ("parameters", {"k2": {"low": 1}, **PARAMETERS}, "parameters.k2: follows from others"),
        ("derived", {"k3": "k1"}, "'model': no parameter 'k3' .valid: k1, k2"),
        (
            "derived",
            {"k2": "k1 * rtio"},
            "unknown name 'rtio'; did you mean 'ratio'",
        ),
        ("constraints", ["k1 = 2"], "constraint 'k1 = 2': not an expression"),
        ("constraints", ["k1 < 0"], r"'model': constraints: 0 of 131,072 parameter sets fulfil"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(values, section, change, message):
    values["model"][section] = change
    with pytest.raises(InputError, match=message):
        Campaign.from_dict(values)


def test_a_screen_that_keeps_to_levels_is_none_that_looked_between_them(values):
    def counted(stage):
        return Campaign.from_dict(values).identity(stage).values.get("screen.levels")

    assert (counted("screen"), counted("validation"), counted("evaluation")) == ("kept to",) * 3
    assert counted("emulators") is None
    values["model"]["parameters"] = {**PARAMETERS, "strain": {"value": "wild"}}
    assert counted("screen") is None


def test_scales_and_priors_are_said_of_simulations_and_screen_together(values):
    values["screen"]["parameters"] = {"k1": {"scale": "linear", "low": 1.0}}
    with pytest.raises(InputError, match=r"parameters\.k1: scale: a screen takes low, high or value"):
        Campaign.from_dict(values)
