import contextlib
import copy
import datetime
import json
import math
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from snakemake.utils import update_config

from mechscreen.campaign import STAGES, Campaign, json_schema
from mechscreen.emulators.settings import LSTMSettings
from mechscreen.errors import InputError, ModelError

ROOT = Path(__file__).parents[2]
QUICK = f"{ROOT / 'tests/quick.py'}:Quick"
CONFIGS = sorted((ROOT / "config").glob("*.yaml"))
VALID = {
    "name": "study",
    "seed": 1,
    "simulations": {"count": 100, "shard_size": 10},
    "screen": {"count": 1000, "block_size": 100},
    "emulators": {"members": 3, "architecture": {"network": "dense", "width": 8}},
}


def changed(path, value):
    values = copy.deepcopy(VALID)
    *parents, last = path.split(".")
    section = values
    for key in parents:
        section = section.setdefault(key, {})
    section[last] = value
    return values


def message_of(values):
    with pytest.raises(InputError) as caught:
        Campaign.from_dict(values, source="study.yaml")
    return str(caught.value)


def shipped(path, results):
    """Return the values of a shipped configuration."""
    return {**yaml.safe_load(path.read_text()), "results": str(results)}


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_shipped_configurations_are_valid(path, tmp_path):
    jsonschema.validate(yaml.safe_load(path.read_text()), json.loads(json_schema()))
    campaign = Campaign.from_dict(shipped(path, tmp_path))
    assert campaign.name == path.stem
    json.dumps([campaign.fingerprint(stage) for stage in STAGES])


@pytest.mark.parametrize("name", ["paper", "paper-lstm"])
def test_paper_configurations_have_the_papers_sizes(name):
    campaign = Campaign.load(ROOT / f"config/{name}.yaml")
    assert (campaign.simulations.count, campaign.screen.count, campaign.emulators.members) == (10**5, 10**8, 4)


def test_the_study_of_the_papers_network_learns_from_the_training_set_of_the_other(tmp_path):
    values = shipped(ROOT / "config/learning.yaml", tmp_path)
    dense = Campaign.from_dict(values)
    update_config(values, yaml.safe_load((ROOT / "config/learning/lstm.yaml").read_text()))
    lstm = Campaign.from_dict(values)
    assert lstm.paths.manifest == dense.paths.manifest
    assert lstm.fingerprint("dataset") == dense.fingerprint("dataset")
    assert lstm.emulators.architecture == LSTMSettings()
    assert set(lstm.learning.sizes) < set(dense.learning.sizes)
    assert lstm.paths.learning != dense.paths.learning


@pytest.mark.parametrize("path", sorted((ROOT / "config/planes").glob("*.yaml")), ids=lambda path: path.name)
def test_plane_screens_hold_the_papers_values_and_use_the_networks_of_another_campaign(path, tmp_path):
    values = shipped(ROOT / "config/active.yaml", tmp_path)
    base = Campaign.from_dict(values)
    base.record()
    update_config(values, yaml.safe_load(path.read_text()))
    campaign = Campaign.from_dict(values)
    assert (campaign.base, campaign.name, campaign.screen.count) == ("active", f"plane-{path.stem}", 10**7)
    assert campaign.fingerprint("emulators") == base.fingerprint("emulators")
    assert campaign.paths.emulators == base.of_round(3).paths.emulators
    held = {"G4": 0.5, "alpha": 0.5, "beta": 0.5, "Kphi": 0.3, "exp_phi": 0.5, "alpha_L": 0.3, "KC": 0.5, "KP": 0.5}
    held |= {"d_A": 0.5, "alpha_T": 0.8, "KT": 0.3, "alpha_c": 0.5, "domainR": 1.0}
    normalised = campaign.space.normalise([campaign.screen_space.low])[0]
    found = {p.name: normalised[j] for j, p in enumerate(campaign.screen_space) if p.fixed}
    assert set(campaign.space.names) - set(found) == set(path.stem.split("-"))
    assert found == pytest.approx({name: held[name] for name in found})


@pytest.mark.parametrize("sizes", [[20, 10], [10, 10]])
def test_sizes_of_the_learning_study_ascend(sizes):
    with pytest.raises(InputError, match=r"'learning': sizes .* must ascend, each once"):
        Campaign.from_dict({**VALID, "learning": {"sizes": sizes}})


def test_the_papers_network_is_trained_as_in_the_paper():
    emulators = Campaign.load(ROOT / "config/paper-lstm.yaml").emulators
    training = emulators.training
    assert emulators.architecture == LSTMSettings(embedding=64, units=256, feedback=16)
    assert (training.epochs, training.batch_size, training.loss) == (500, 100, "mse")
    assert (training.learning_rate, training.beta_1, training.weight_decay, training.clip_norm) == (1e-4, 0.5, 0, 5)


def test_kept_schema_is_the_one_the_code_generates():
    kept = (ROOT / "workflow/schemas/campaign.schema.json").read_text()
    assert kept == json_schema(), "run make schema"


def leaves(schema, node, prefix=""):
    for key, child in node.get("properties", {}).items():
        options = [child, *child.get("anyOf", []), *child.get("oneOf", []), *child.get("allOf", [])]
        refs = [option["$ref"].rsplit("/")[-1] for option in options if "$ref" in option]
        yield f"{prefix}{key}"
        for ref in refs:
            yield from leaves(schema, schema["$defs"][ref], f"{prefix}{key}.")


def test_every_key_is_explained_in_config_readme():
    schema = json.loads(json_schema())
    text = (ROOT / "config/README.md").read_text()
    missing = [path for path in leaves(schema, schema) if f"`{path}`" not in text]
    assert not missing


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("screen.objectiv", {}, "unknown key 'screen.objectiv'; did you mean 'objective'?"),
        ("emulators.architecture.widht", 8, "unknown key 'emulators.architecture.widht'; did you mean 'width'?"),
        (
            "emulators.architecture.network",
            "dens",
            "no network 'dens'; did you mean 'dense'? (valid: dense, lstm, aligned)",
        ),
        ("emulators", {"members": 2}, "combine: of two members neither agrees more"),
        ("learning", {"sizes": [10], "members": 2}, "learning.members: of two members neither agrees more"),
        (
            "emulators",
            {"architecture": {"network": "lstm"}, "precision": "bfloat16"},
            "precision: the lstm network predicts in the precision of its training",
        ),
        (
            "emulators",
            {"architecture": {"network": "aligned"}, "training": {"loss": "mse"}},
            "the aligned network takes rmse",
        ),
        (
            "emulators",
            {"architecture": {"network": "aligned"}, "precision": "bfloat16"},
            "the aligned network takes float32",
        ),
        (
            "emulators.backend",
            "opnvino",
            "no backend 'opnvino'; did you mean 'openvino'? (valid: auto, device, keras, openvino",
        ),
        ("emulators", {"backend": "keras", "precision": "bfloat16"}, "backend 'keras' cannot be told to predict in bf"),
        (
            "emulators",
            {"backend": "openvino", "architecture": {"network": "lstm"}},
            "backend 'openvino' cannot run networks that loop over their points",
        ),
        ("emulators.architecture", {"width": 8}, "'emulators.architecture' is {'width': 8}: unable to extract tag"),
        ("emulators.architecture", "dense", "'emulators.architecture' is 'dense'"),
        ("emulators.training.epochs", "many", "'emulators.training.epochs' is 'many'"),
        (
            "validation",
            {"confirm": "klass"},
            "'validation.confirm' is of no form that is valid here (What confirms a hit",
        ),
        ("model.emulate", 3, "'model.emulate' is of no form that is valid here (Let networks learn features"),
        ("model.emulate", {"x": 3}, "'model.emulate.x' is of no form that is valid here (Let networks learn features"),
        (
            "validation",
            {"confirm": {"final(x)": 0}},
            "'validation.confirm.final(x)' is 0: input should be greater than",
        ),
        (
            "model.parameters",
            {"K_on": {"prior": {"name": "normal", "mean": 1}}},
            "unknown key 'model.parameters.K_on.prior.mean' (valid here: name, loc, scale, s, a, b)",
        ),
        ("simulations.count", 0, "'simulations.count' is 0: input should be greater than or equal to 1"),
        ("simulations.count", 105, "count 105 is not a multiple of shard_size 10 (nearest: 100)"),
        ("screen.count", 1050, "count 1050 is not a multiple of block_size 100"),
        ("dataset.split", {"train": 0.9, "validation": 0.2, "test": 0.1}, "add up to 1.2, not 1"),
        ("name", "../up", "'name' is '../up'"),
        ("seed", None, "'seed' is None"),
        ("model.name", "patern", "did you mean 'pattern'"),
        ("model.parameters", {"KTT": {"high": 500}}, "did you mean 'KT'"),
        ("model.parameters", {"KT": {"hihg": 500}}, "'model.parameters.KT.hihg'; did you mean 'high'?"),
        ("model.parameters", {"KT": {"high": 1e9}}, "leaves the model's range"),
        ("model.parameters", {"KT": {"value": 1, "low": 0}}, "cannot stand beside"),
        ("model.options", {"gird": 3}, "gird"),
        ("model", {"name": QUICK, "options": {"power": -1}}, "options {'power': -1}: power must be positive"),
        ("screen.vary", ["KTT"], "'screen': no parameter 'KTT'; did you mean 'KT'"),
        ("screen.vary", [], "'screen.vary' is []"),
        (
            "screen.parameters",
            {"KT": {"high": 1e9}},
            "'screen': parameter 'KT': 50.0 … 1000000000.0 leaves the model's",
        ),
        ("screen.parameters", {"KT": {"levels": [100]}}, "parameters.KT: levels: a screen takes low, high or value"),
        ("screen", VALID["screen"] | {"vary": ["KT"], "parameters": {"KT": {"value": 100}}}, "'KT' stands in vary"),
        ("base", "../up", "'base' is '../up'"),
        ("results", "a{b}", "braces are wildcards of Snakemake"),
        ("results", "-n", "it looks like an option"),
        ("results", "x" * 201, "longer than 200 bytes"),
        ("results", "a\0b", "'results' is 'a\\x00b', which holds a control character"),
        ("model.options", {"points": math.nan}, "points is nan"),
        ("model.options", {"spec": 1}, "model 'pattern' has no option 'spec' (valid: front, binding, points"),
        ("model.options", {"tolerence": 1}, "no option 'tolerence'; did you mean 'tolerance'?"),
        ("model.options", {"tolerance": "1e-6"}, "tolerance is '1e-6'; it must be a number, such as 1e-06 without"),
        ("model.options", {"end_time": True}, "end_time is True; it must be a number"),
        ("screen.objective.options", {"output": 1}, "no output 1; the model's are 0 (mCherry)"),
        ("screen.objective.options", {"output": True}, "output is True; it must be a number"),
        ("screen.objective.options", {"promience": 1}, "'rings' has no option 'promience'; did you mean 'prominence'?"),
        (
            "model",
            {"name": QUICK, "parameters": {name: {"value": 1} for name in "abc"}},
            "'model': every parameter is held fixed; let at least one vary",
        ),
        ("model", {"name": "myc_e2f", "options": {"vary": []}}, "'model': every parameter is held fixed"),
        (
            "model",
            {"name": "myc_e2f", "parameters": {"KR": {"value": 50}}},
            "'KR': 50.0 … 50.0 leaves the model's range: held fixed at 100.0, unless an option of the model lets",
        ),
        ("model.options", {"points": datetime.date(2001, 1, 1)}, "'model.options.points' is of type date"),
        ("model.options", {"points": 16**5000}, "'model.options.points' is too large a number"),
        ("model.options", {1: 1}, "'model.options' has the key 1; keys are text of one line"),
        ("validation.rmse_limit", math.inf, "'validation.rmse_limit' is inf: input should be a finite number"),
        ("screen.objective", {"name": "json:dumps", "options": {"classes": [["a"], "b"]}}, "a list of different names"),
        ("screen.objective.name", "ring", "did you mean 'rings'"),
        ("screen.objective.target", ["33"], "33"),
        (
            "screen.features",
            ["perod(mCherry)"],
            "'screen.features': 'perod(mCherry)': unknown name 'perod'; did you mean",
        ),
        ("screen.features", {"a": "period(mcherry)"}, "unknown name 'mcherry'; did you mean 'mCherry'?"),
        ("screen.features", "period(mCherry)", "'screen.features' is 'period(mCherry)': must be expressions"),
        ("screen.features", [3], "'screen.features' is [3]: must be expressions"),
        ("screen.features", {"a": {"of": "x"}}, "'screen.features': must be expressions"),
    ],
)
def test_a_wrong_value_is_named_with_its_path_and_what_is_allowed(path, value, expected):
    message = message_of(changed(path, value))
    assert message.startswith("study.yaml: ")
    assert expected in message


@pytest.mark.parametrize(
    ("screen", "expected"),
    [
        ({"parameters": {"b": {"value": 1}, "c": {"value": 1}}}, "'screen': every parameter is held fixed"),
        ({"vary": ["a", "b"]}, "'screen': vary: a: held fixed by the model or 'model.parameters'"),
    ],
)
def test_a_screen_in_which_nothing_varies_that_should_is_refused(screen, expected):
    values = changed("model", {"name": QUICK, "parameters": {"a": {"value": 0.5}}})
    assert expected in message_of(values | {"screen": values["screen"] | screen})


def test_a_missing_section_is_named():
    values = {key: value for key, value in VALID.items() if key != "simulations"}
    assert "key 'simulations' is missing" in message_of(values)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("a: [", "not valid YAML"),
        ("seed: 2001-99-99", "not valid YAML: month must be in 1..12"),
        ("seed: !!int x", "not valid YAML"),
        ("seed: !!python/object/apply:os.system [true]", "not valid YAML"),
        ("seed: " + "[" * 3000, "nested too deeply"),
        ("seed: &a [*a]", r"nested too deeply, or holds more than"),
        (
            "\n".join(["a0: &a0 [1, 2]", *(f"a{k}: &a{k} [*a{k - 1}, *a{k - 1}]" for k in range(1, 19))]),
            "nested too deep",
        ),
        ("[1, 2]", "expected a mapping"),
        ("", "expected a mapping"),
        (b"\xff\xfe", "UTF-8"),
    ],
)
def test_a_file_that_is_no_configuration_is_refused(tmp_path, content, expected):
    path = tmp_path / "study.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=expected):
        Campaign.load(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Campaign.load(tmp_path / "none.yaml")


def test_resolved_configuration_reads_back_as_the_same_campaign(tmp_path):
    changes = {"KT": {"high": 500.0}, "alpha": {"value": 1.0}, "domainR": {"low": 2.0, "levels": None}}
    campaign = Campaign.from_dict(changed("model.parameters", changes))
    path = tmp_path / "campaign.yaml"
    path.write_text(campaign.to_yaml())
    again = Campaign.load(path)
    assert again == campaign
    assert again.space.parameters == campaign.space.parameters
    assert [again.fingerprint(stage) for stage in STAGES] == [campaign.fingerprint(stage) for stage in STAGES]


def fingerprints(values):
    campaign = Campaign.from_dict(values)
    return {stage: campaign.fingerprint(stage) for stage in STAGES}


@pytest.mark.parametrize(
    ("path", "value", "first_changed"),
    [
        ("seed", 2, "simulations"),
        ("model.parameters", {"KT": {"high": 500}}, "simulations"),
        ("simulations.count", 200, "dataset"),
        ("emulators.training.epochs", 7, "emulators"),
        ("emulators.members", 5, "evaluation"),
        ("emulators.precision", "bfloat16", "evaluation"),
        ("emulators.backend", "keras", "evaluation"),
        ("screen.disagreement_limit", 0.2, "evaluation"),
        ("screen.vary", ["KT"], "screen"),
        ("screen.count", 2000, "validation"),
        ("validation.limit", 7, "validation"),
    ],
)
def test_a_change_of_a_key_changes_the_fingerprints_from_its_stage_on(path, value, first_changed):
    before, after = fingerprints(VALID), fingerprints(changed(path, value))
    differing = [stage for stage in STAGES if before[stage] != after[stage]]
    assert differing == list(STAGES[STAGES.index(first_changed) :])


def test_targets_are_labels_ascending_each_once():
    assert Campaign.from_dict(changed("screen.objective.target", ["5 or more", "3", "3"])).targets == (3, 5)


def test_the_name_and_place_of_results_do_not_change_fingerprints():
    assert fingerprints(VALID) == fingerprints({**VALID, "name": "other", "results": "elsewhere"})


def test_the_time_limit_of_a_sample_does_not_change_fingerprints():
    assert fingerprints(VALID) == fingerprints(changed("simulations.sample_time_limit", 5.0))


def test_screen_holds_what_does_not_vary_in_the_middle_or_where_it_is_told():
    values = changed("model.parameters", {"alpha": {"high": 3.0}})
    values["screen"] |= {"vary": ["KT", "alpha_T"], "parameters": {"KT": {"high": 500}, "beta": {"value": 7.0}}}
    campaign = Campaign.from_dict(values)
    space = campaign.screen_space
    assert [p.name for p in space if not p.fixed] == ["alpha_T", "KT"]
    assert (space["KT"].low, space["KT"].high) == (50, 500)
    assert (space["alpha_T"].low, space["alpha_T"].high) == (80, 8000)
    assert (space["alpha"].low, space["beta"].low, space["domainR"].low) == (1.5, 7.0, 2.0)
    assert campaign.space["KT"].high == 5000
    np.testing.assert_array_equal(space.normalise([space.low]), campaign.space.normalise([space.low]))


def test_campaign_with_a_base_uses_its_networks_and_has_a_screen_of_its_own(tmp_path):
    values = {**VALID, "results": str(tmp_path)}
    base = Campaign.from_dict(values)
    own = Campaign.from_dict({**values, "name": "plane", "base": "study"})
    with pytest.raises(InputError, match=r"'base': no campaign 'study' in .*; run it first"):
        _ = own.paths
    base.record()
    assert own.paths.shard(3) == base.paths.shard(3)
    assert own.paths.manifest == base.paths.manifest
    assert own.paths.member(0) == base.paths.member(0)
    for place in ("campaign", "evaluation", "screen", "validation", "report"):
        assert getattr(own.paths, place).is_relative_to(tmp_path / "plane")


def test_base_whose_networks_would_differ_is_refused(tmp_path):
    values = {**VALID, "results": str(tmp_path)}
    base = Campaign.from_dict(values)
    base.record()
    with pytest.raises(InputError, match=r"'base': dataset of 'study' .* would differ from those of 'plane'"):
        _ = Campaign.from_dict(
            {**values, "name": "plane", "base": "study", "simulations": {"count": 200, "shard_size": 10}}
        ).paths


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
KEYS = ["name", "seed", "model", "model.name", "model.parameters", "simulations.count", "simulations.sampling"]
KEYS += ["dataset.split", "emulators.architecture", "emulators.training", "screen.objective", "screen.bins", "x.y"]


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KEYS), anything)
def test_any_mutation_is_either_accepted_or_refused_with_a_message(path, value):
    # These are the ways to refuse; any other exception fails the test.
    with contextlib.suppress(InputError, ModelError):
        assert Campaign.from_dict(changed(path, value)).to_yaml()


def test_a_resolved_configuration_that_does_not_measure_the_sensitivity_is_read_as_before(tmp_path):
    values = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    before = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
    before["simulations"]["sensitivity"] = False
    assert Campaign.from_dict(before) == Campaign.from_dict(values)
    assert Campaign.from_dict(before).fingerprint("simulations") == Campaign.from_dict(values).fingerprint(
        "simulations"
    )
    before["simulations"]["sensitivity"] = True
    with pytest.raises(InputError, match="'sensitivity' is no key any more; leave it out: validation measures"):
        Campaign.from_dict(before)
