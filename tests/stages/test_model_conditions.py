"""A stochastic model under conditions, in replicates, through all stages; and the example of both kinds of output."""

import csv
import json

import numpy as np
import pytest

from campaigns import ROOT, run_stages
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.campaign.configuration import read_mapping
from mechscreen.emulators.ensemble import Prediction
from mechscreen.errors import InputError
from mechscreen.models import Outputs, Status
from mechscreen.stages.evaluate import _noise, evaluate
from mechscreen.stages.merge import load_split
from mechscreen.stages.report import report
from mechscreen.stages.simulate import simulate
from mechscreen.stages.train import to_samples

BIRTH = f"{ROOT / 'tests/stages/birth.py'}:Birth"
REPLICATES = 20
VALUES = {
    "name": "births",
    "seed": 3,
    "model": {
        "name": BIRTH,
        "conditions": {"wild": {}, "mutant": {"k": "0.5 * k"}, "fixed": {"k": 50, "d": 1}},
        "replicates": REPLICATES,
    },
    "simulations": {"count": 600, "shard_size": 300},
    "emulators": {
        "members": 2,
        "combine": "mean",
        "architecture": {"network": "dense", "width": 16, "blocks": 1},
        "training": {"epochs": 40, "batch_size": 32, "learning_rate": 0.01},
    },
    "screen": {
        "count": 2000,
        "block_size": 2000,
        "objective": {
            "name": "conditions",
            "options": {"classes": {"many": "mutant.molecules > 15 and wild.molecules < 100"}},
            "target": ["many"],
        },
        "disagreement_limit": 1.0,
    },
    "validation": {"limit": 30, "rmse_limit": 1.0},
}


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    campaign = Campaign.from_dict({**VALUES, "results": str(tmp_path_factory.mktemp("results"))})
    campaign.record()
    run_stages(campaign)
    report(campaign)
    return campaign


def test_simulations_hold_means_and_errors_of_each_condition(campaign):
    """Compared with the moments of Poisson's distribution."""
    each = [f"{name}.{output}" for name in ("wild", "mutant", "fixed") for output in ("molecules", "average")]
    names = [*each, *(f"error of {name}" for name in each)]
    assert [output.name for output in campaign.outputs] == names
    shard = storage.read(campaign.paths.shard(0), "simulations")
    assert shard["output_names"].tolist() == names
    found = campaign.outputs.by_name(shard["profiles"], shard["log_peaks"])
    k, d = shard["parameters"].T
    for name, mean in (("wild", k / d), ("mutant", 0.5 * k / d), ("fixed", np.full_like(k, 50.0))):
        error = np.sqrt(mean / REPLICATES)
        off = (found[f"{name}.molecules"] - mean) / error
        assert abs(off.mean()) < 5 / np.sqrt(len(off))
        assert off.std() == pytest.approx(1, abs=0.2)
        assert np.square(found[f"error of {name}.molecules"] / error).mean() == pytest.approx(1, abs=0.1)


def test_evaluation_tells_what_share_of_the_error_is_noise(campaign, caplog):
    with caplog.at_level("INFO"):
        evaluate(campaign)
    assert "% of the mean square error of 'wild.molecules' is noise of the replicates" in caplog.text
    assert "of 'wild.average' is noise" not in caplog.text
    assert "replicates are the same" not in caplog.text
    told = json.loads(campaign.paths.metrics.read_text())["outputs"]
    for name in ("wild", "mutant"):
        # The means are learnt, so that nearly all that is left is noise.
        assert 0.5 < told[f"{name}.molecules"]["noise"] < 2
        assert told[f"{name}.molecules"]["r2"] > 0.9
        assert told[f"error of {name}.molecules"]["noise"] is None
        assert told[f"{name}.average"]["noise"] == 0
    test = storage.read(campaign.paths.predictions, "predictions")
    outputs = Outputs(campaign.outputs)
    wrong = outputs.of(test["profiles"], 0) - outputs.of(test["predicted_profiles"], 0)
    noise = outputs.of(test["profiles"], 6)
    expected = np.square(noise, dtype=float).mean() / np.square(wrong, dtype=float).mean()
    assert told["wild.molecules"]["noise"] == pytest.approx(expected, rel=1e-4)


def test_replicates_that_are_all_the_same_are_told_of(campaign, caplog):
    test = to_samples(campaign, load_split(campaign, "test"))
    test.profiles[:, 6:] = 0
    said = Prediction(test.profiles + 0.1, test.log_peaks, np.zeros(len(test), np.float32))
    assert set(_noise(test, said).values()) == {0.0}
    assert "all replicates are the same: the model does not heed its seeds, or is deterministic" in caplog.text


def test_errors_of_means_neither_confirm_hits_nor_are_called_worthless(campaign):
    test = storage.read(campaign.paths.predictions, "predictions")
    deviations = json.loads(campaign.paths.manifest.read_text())["deviations"]
    off = np.abs(test["profiles"] - test["predicted_profiles"])[:, :, 0] / deviations
    np.testing.assert_allclose(test["error"], off[:, :6].mean(axis=1), rtol=1e-4)
    page = campaign.paths.report.read_text()
    assert "share of noise" in page
    assert "worthless for error" not in page


def test_what_does_not_vary_in_a_condition_is_called_worthless_since_it_is_noise(campaign):
    assert "worthless for fixed.molecules" in campaign.paths.report.read_text()


def test_hits_are_told_with_the_units_of_their_parameters_and_hold_for_the_model(campaign):
    with campaign.paths.validation_table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert rows
    for row in rows:
        assert float(row["k [1/min]"]) / float(row["d [1/min]"]) < 130
    table = storage.read(campaign.paths.validation_hits, "validation")
    assert (table["status"] == Status.OK).all()
    assert (table["labels"] == table["emulated_labels"]).mean() > 0.7


def test_a_condition_that_raises_fails_the_sample_by_its_name(tmp_path):
    conditions = {"wild": {}, "flood": {"k": "1000 * k"}}
    model = {"name": BIRTH, "conditions": conditions, "parameters": {"k": {"low": 20.0}}}
    values = {**VALUES, "results": str(tmp_path), "model": model, "simulations": {"count": 10, "shard_size": 10}}
    objective = {"name": "conditions", "options": {"classes": {"many": "wild.molecules > 15"}}, "target": ["many"]}
    values["screen"] = {**VALUES["screen"], "objective": objective}
    found = storage.read(simulate(Campaign.from_dict(values), 0), "simulations")
    assert (found["status"] == Status.ERROR).all()
    assert set(found["reasons"].tolist()) == {"ValueError: too many (condition 'flood')"}


@pytest.mark.parametrize(
    ("model", "message"),
    [
        ({"conditions": {"a": {"kk": 1}}}, "condition 'a': no parameter 'kk'; did you mean 'k'"),
        ({"conditions": {"a": {"k": [1, 2]}}}, r"'model\.conditions\.a\.k"),
        ({"conditions": {"a": {"k": 1}, "b": {"k": 2}}, "parameters": {"k": {"low": 30}}}, "every condition sets it"),
        ({"replicates": 0}, r"'model\.replicates' is 0"),
    ],
)
def test_a_campaign_with_wrong_conditions_is_refused(model, message):
    values = {**VALUES, "model": {"name": BIRTH, **model}}
    objective = {"name": "conditions", "options": {"classes": {"many": "a.molecules > 15"}}, "target": ["many"]}
    values["screen"] = {**VALUES["screen"], "objective": objective}
    with pytest.raises(InputError, match=message):
        _ = Campaign.from_dict(values).space


def test_the_example_finds_two_states_and_what_the_drug_does(tmp_path, monkeypatch):
    pytest.importorskip("roadrunner")
    pytest.importorskip("antimony")
    monkeypatch.chdir(ROOT)
    values = read_mapping(ROOT / "examples/switch.yaml")
    values |= {"results": str(tmp_path), "simulations": {"count": 12, "shard_size": 12}}
    campaign = Campaign.from_dict(values)
    found = storage.read(simulate(campaign, 0), "simulations")
    assert (found["status"] == Status.OK).all(), found["reasons"]
    said = campaign.outputs.by_name(found["profiles"], found["log_peaks"])
    labels = campaign.objective(found["profiles"], found["log_peaks"])
    two = said["primed.rest"] > 10 * said["wild.rest"]
    lost = two & (said["mutant.rest"] < 10 * said["wild.rest"])
    assert [campaign.class_names[label] for label in labels] == [
        "lost by the mutant" if gone else "two states" if both else "other"
        for both, gone in zip(two, lost, strict=True)
    ]
    assert two.any()
    assert not two.all()
    # No drug leaves A where it rests; much of it ends all of the higher states.
    for name in ("wild", "primed", "mutant"):
        assert said[f"{name}.response"][:, 0] == pytest.approx(said[f"{name}.rest"], rel=0.2, abs=2e-3)
    np.testing.assert_allclose(said["primed.response"][two, -1], said["wild.response"][two, -1], rtol=1e-3)
