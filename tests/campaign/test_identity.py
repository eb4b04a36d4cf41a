"""What a change remakes, and what a refusal says."""

import copy
import json
from typing import Annotated

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from campaigns import ROOT
from mechscreen.campaign import STAGES, Campaign, Identity, Section
from mechscreen.campaign.editions import EDITION, Was, with_defaults_of
from mechscreen.campaign.graph import PARENTS, ancestors, remakes
from mechscreen.campaign.identity import counted, defaults_of, flatten, leaves
from mechscreen.campaign.table import replaced

VALID = {
    "name": "study",
    "seed": 1,
    "simulations": {"count": 100, "shard_size": 10},
    "screen": {"count": 1000, "block_size": 100},
    "emulators": {"members": 3, "architecture": {"network": "dense", "width": 8}},
}
MODEL = """
import numpy as np
import helper
from mechscreen import Model, Output, Parameter, ParameterSpace, Solution

class Line(Model):
    name, version = "line-{number}", "1"
    space = ParameterSpace([Parameter("a", 0.0, 1.0)])
    outputs = (Output("y", np.arange(3.0)),)
    def __init__(self, table=""):
        pass
    def solve(self, parameters, seeds):
        return Solution(np.ones((len(parameters), 1, 3)))
"""


def changed(path, value):
    values = copy.deepcopy(VALID)
    *parents, last = path.split(".")
    section = values
    for key in parents:
        section = section.setdefault(key, {})
    section[last] = value
    return values


def fingerprints(campaign):
    return {stage: campaign.fingerprint(stage) for stage in STAGES}


def test_every_key_says_what_a_change_of_it_does():
    assert not [leaf.key for leaf in leaves(Campaign) if leaf.effect is None]


def test_stages_depend_on_stages_before_them():
    assert all(stage not in ancestors(parent) for stage, parents in PARENTS.items() for parent in parents)


def test_kept_table_of_keys_is_the_one_the_code_generates():
    page = (ROOT / "config/README.md").read_text()
    assert replaced(page) == page, "run make schema"


@pytest.mark.parametrize(
    ("path", "value", "remade"),
    [
        ("simulations.sampling", "sobol", list(STAGES)),
        ("simulations.count", 200, ["dataset", "emulators", "evaluation", "screen", "validation"]),
        ("emulators.members", 4, ["evaluation", "screen", "validation"]),
        ("screen.count", 2000, ["validation"]),
        ("screen.objective.options", {"distance": 40}, ["evaluation", "screen", "validation"]),
        ("screen.objective.target", ["2"], ["screen", "validation"]),
        ("screen.disagreement_limit", 0.3, ["evaluation", "screen", "validation"]),
        ("calibration.count", 500, ["screen", "validation"]),
        ("screen.features", ["maximum(mCherry)"], ["evaluation"]),
        ("screen.features", [], ["evaluation"]),
        ("learning.sizes", [10], []),
        ("model.conditions", {"wild": {}}, list(STAGES)),
        ("model.conditions", {}, []),
        ("model.replicates", 1, []),
    ],
)
def test_a_change_remakes_what_depends_on_it_and_nothing_else(path, value, remade):
    before, after = (fingerprints(Campaign.from_dict(values)) for values in (VALID, changed(path, value)))
    assert [stage for stage in STAGES if before[stage] != after[stage]] == remade


def test_another_confidence_gathers_the_blocks_again_and_looks_at_nothing():
    values = changed("calibration.count", 500)
    before, after = (
        Campaign.from_dict({**values, "screen": {**values["screen"], "confidence": confidence}})
        for confidence in (0.95, 0.8)
    )
    for stage in ("calibration", "screen"):
        assert before.fingerprint(stage) == after.fingerprint(stage)
    for stage in ("hits", "validation"):
        assert before.fingerprint(stage) != after.fingerprint(stage)


def test_values_names_and_order_of_conditions_count_since_outputs_stand_in_it():
    found = [
        fingerprints(Campaign.from_dict(changed("model.conditions", conditions)))
        for conditions in (
            {"a": {}, "b": {"KT": 900}},
            {"b": {"KT": 900}, "a": {}},
            {"a": {}, "b": {"KT": 901}},
            {"a": {}, "c": {"KT": 900}},
            {"a": {"KT": 900}, "b": {}},
        )
    ]
    assert len({each["simulations"] for each in found}) == len(found)


def test_no_features_are_not_those_that_are_left_out_however_it_is_said():
    left_out, none, nothing = (Campaign.from_dict(changed("screen.features", value)) for value in (None, [], {}))
    assert fingerprints(left_out) == fingerprints(Campaign.from_dict(VALID))
    assert fingerprints(none) == fingerprints(nothing) != fingerprints(left_out)


DEFAULTS = {key: value for key, value in defaults_of(Campaign).items() if key.split(".")[0] in ("dataset", "screen")}


@settings(max_examples=50, deadline=None)
@given(st.lists(st.sampled_from(sorted(DEFAULTS)), unique=True), st.randoms())
def test_keys_at_their_defaults_and_the_order_of_keys_change_no_identity(keys, random):
    values = copy.deepcopy(VALID)
    for key in keys:
        *parents, last = key.split(".")
        section = values
        for parent in parents:
            section = section.setdefault(parent, {})
        section.setdefault(last, DEFAULTS[key])
    items = list(values.items())
    random.shuffle(items)
    assert fingerprints(Campaign.from_dict(dict(items))) == fingerprints(Campaign.from_dict(VALID))


plain = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.lists(st.integers(), max_size=2)
identities = st.dictionaries(st.text("ab.", min_size=1, max_size=4), plain, max_size=5)


@given(identities, identities)
def test_two_identities_differ_in_their_fingerprints_as_in_their_values_and_say_where(old, new):
    found = Identity(new).differences(old)
    assert bool(found) == (Identity(old).as_json != Identity(new).as_json)
    assert (Identity(old).fingerprint == Identity(new).fingerprint) == (not found)
    assert {key for key, _, _ in found} <= old.keys() | new.keys()


def test_a_difference_names_key_old_and_new_value_and_defaults():
    old = Campaign.from_dict(changed("simulations.shard_size", 20)).identity("simulations")
    new = Campaign.from_dict(changed("simulations.sampling", "sobol")).identity("simulations")
    assert new.difference(old.as_json) == (
        "simulations.sampling = uniform (the default), this campaign says sobol; "
        "simulations.shard_size = 20, this campaign says 10"
    )


@pytest.mark.parametrize("recorded", [None, "", "no JSON", "[1]", 3])
def test_what_was_never_an_identity_has_no_difference_to_tell(recorded):
    assert Identity({"seed": 1}).difference(recorded) == ""


class Before(Section):
    width: Annotated[int, remakes("emulators")] = 512


class Now(Section):
    width: Annotated[int, remakes("emulators"), Was({1: 512, 3: 600})] = Field(700)
    added: Annotated[bool, remakes("simulations")] = False


def values_of(section):
    return dict(pair for leaf, value in flatten(section) for pair in counted(leaf, value))


def test_a_key_that_comes_later_and_a_default_that_changes_leave_identities_as_they_are():
    assert values_of(Before()) == values_of(Now(**with_defaults_of(1, Now, {}))) == {}


@pytest.mark.parametrize(("edition", "width"), [(1, 512), (2, 600), (3, 600), (4, 700)])
def test_a_folder_keeps_the_defaults_of_its_edition(edition, width):
    assert Now(**with_defaults_of(edition, Now, {})).width == width
    assert values_of(Now(**with_defaults_of(edition, Now, {}))) == ({} if width == 512 else {"width": width})
    assert with_defaults_of(edition, Now, {"width": 5}) == {"width": 5}


def test_an_edition_that_is_not_there_yet_is_refused():
    with pytest.raises(ValueError, match="'edition' is 99"):
        Campaign.from_dict({**VALID, "edition": 99})
    assert Campaign.from_dict(VALID).edition == EDITION


@pytest.fixture
def own(tmp_path, monkeypatch):
    """Return a function that makes a campaign of a model and an objective of one's own, each with a helper."""
    number = abs(hash(tmp_path))
    folder = tmp_path / "code"
    (folder / "inner").mkdir(parents=True)
    (folder / "line.py").write_text(MODEL.format(number=number))
    (folder / "helper.py").write_text("from inner import deep\nx = 1\n")
    (folder / "inner/__init__.py").write_text("")
    (folder / "inner/deep.py").write_text("y = 1\n")
    (folder / "label.py").write_text("def label(profiles, log_peaks):\n    return (log_peaks[:, 0] > 0).astype(int)\n")
    (folder / "other.py").write_text("z = 1\n")
    (tmp_path / "table.csv").write_text("1\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.chdir(tmp_path)

    def make(model="code/line.py:Line", table="table.csv"):
        objective = {"name": "code/label.py:label", "options": {"classes": ["a", "b"]}, "target": ["b"]}
        model = {"name": model, "options": {"table": table}}
        return Campaign.from_dict({**VALID, "model": model, "screen": {**VALID["screen"], "objective": objective}})

    return make


@pytest.mark.parametrize(
    ("file", "remade"),
    [
        ("code/line.py", list(STAGES)),
        ("code/helper.py", list(STAGES)),
        ("code/inner/deep.py", list(STAGES)),
        ("table.csv", list(STAGES)),
        ("code/label.py", ["evaluation", "screen", "validation"]),
        ("code/other.py", []),
    ],
)
def test_source_and_given_files_count_for_what_is_made_with_them(own, tmp_path, file, remade):
    before = fingerprints(own())
    with (tmp_path / file).open("a") as stream:
        stream.write("# another\n")
    after = fingerprints(own())
    assert [stage for stage in STAGES if before[stage] != after[stage]] == remade


def test_the_form_of_a_models_path_does_not_count(own, tmp_path):
    table = tmp_path / "table.csv"
    assert fingerprints(own()) == fingerprints(own(f"{tmp_path}/code/line.py:Line", str(table)))


def test_a_file_made_with_other_values_is_refused_by_key(tmp_path):
    from mechscreen import storage
    from mechscreen.schemas.dataset import Manifest
    from mechscreen.stages.provenance import provenance, record

    old, new = (Campaign.from_dict(changed("simulations.sampling", value)) for value in ("uniform", "sobol"))
    expected = r"made with simulations\.sampling = uniform \(the default\), this campaign says sobol; remove it"
    path = tmp_path / "shard-00042.h5"
    storage.write(path, {}, {**provenance(old, "simulations"), "kind": "simulations"})
    with pytest.raises(storage.FileError, match=rf"shard-00042\.h5: {expected}"):
        storage.read(path, "simulations", new.identity("simulations"))
    storage.write_json(tmp_path / "manifest.json", {"kind": "dataset", **record(old, "dataset")})
    with pytest.raises(storage.FileError, match=rf"manifest\.json: {expected}"):
        Manifest.read(tmp_path / "manifest.json", new.identity("dataset"))
    assert json.loads((tmp_path / "manifest.json").read_text())["identity"] == old.identity("dataset").values


def test_the_order_in_which_options_list_outputs_counts_as_it_is_that_of_arrays(tmp_path):
    def campaign(names):
        outputs = {name: {"file": "stdout", "column": name} for name in names}
        options = {"command": "sh -c 'echo {k}'", "parameters": {"k": [1, 2]}, "outputs": outputs}
        objective = {"name": "conditions", "options": {"classes": {"some": "a > 1"}}, "target": ["some"]}
        values = {**VALID, "model": {"name": "command", "options": options}}
        return Campaign.from_dict({**values, "screen": {**VALID["screen"], "objective": objective}})

    one, other = campaign(["a", "b"]), campaign(["b", "a"])
    assert "model.options.outputs in this order" in str(
        one.identity("simulations").difference(other.identity("simulations").values)
    )
