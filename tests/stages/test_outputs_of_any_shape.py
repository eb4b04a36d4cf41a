"""The example models, one of each kind of output, through all stages."""

import json
import logging
import re

import numpy as np
import pytest

from campaigns import ROOT, run_stages
from mechscreen import load_ensemble, storage
from mechscreen.campaign import Campaign
from mechscreen.campaign.configuration import read_mapping
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.report import report

SMALLER = {
    "membrane": {"simulations": {"count": 1000, "shard_size": 500}, "epochs": 25},
    "dose": {"simulations": {"count": 1000, "shard_size": 500}, "epochs": 40},
    "morphogens": {"simulations": {"count": 400, "shard_size": 200}, "epochs": 30},
}


@pytest.fixture(scope="module", params=list(SMALLER))
def campaign(request, tmp_path_factory):
    """Run an example with fewer samples, from its simulations to its report."""
    values, smaller = read_mapping(ROOT / f"examples/{request.param}.yaml"), SMALLER[request.param]
    for section in (values["model"], values["screen"]["objective"]):
        section["name"] = f"{ROOT / section['name']}"
    values["emulators"]["training"] |= {"epochs": smaller["epochs"], "batch_size": 32, "learning_rate": 0.01}
    values["emulators"] |= {"members": 2, "combine": "mean"}
    values["screen"] |= {"count": 4000, "block_size": 4000, "hits_per_block": 50}
    values |= {"results": str(tmp_path_factory.mktemp("results")), "simulations": smaller["simulations"]}
    values["validation"]["limit"] = 20
    campaign = Campaign.from_dict(values)
    campaign.record()
    run_stages(campaign)
    report(campaign)
    return campaign


def metrics(campaign):
    return json.loads(campaign.paths.metrics.read_text())


def test_every_output_that_the_parameters_determine_is_learnt(campaign):
    for name, measured in metrics(campaign)["outputs"].items():
        if name != "noise":
            assert measured["r2"] >= 0.95, (name, measured)


def test_an_output_that_they_do_not_determine_is_called_worthless_wherever_results_are_told(campaign, caplog):
    with caplog.at_level(logging.WARNING):
        evaluate(campaign)
    texts = [campaign.paths.report.read_text(), campaign.paths.summary.read_text(), caplog.text]
    worthless = [text for text in texts if "WORTHLESS for noise" in text]
    assert len(worthless) == (3 if campaign.name == "membrane" else 0)
    if campaign.name == "membrane":
        assert re.search(r"WORTHLESS for noise: they .* its mean \(R² -?0\.\d\d\)", caplog.text)


def test_errors_are_those_of_the_values_in_their_units(campaign):
    """Compared with the formula, from values in the model's units alone."""
    test = storage.read(campaign.paths.predictions, "predictions")
    outputs, told = campaign.outputs, metrics(campaign)["outputs"]
    deviations = json.loads(campaign.paths.manifest.read_text())["deviations"]
    for k, output in enumerate(outputs):
        truth, said = (
            outputs.in_units(test[f"{by}profiles"], test[f"{by}log_peaks"], k).astype(float)
            for by in ("", "predicted_")
        )
        truth, said = (values.reshape(len(values), -1) for values in (truth, said))
        if output.scale == "log":
            truth, said = np.log(truth), np.log(said)
        unit = deviations[k] * np.ones(len(truth))
        if output.scale == "peak":
            peaks = [np.exp(test[f"{by}log_peaks"][:, k]) for by in ("", "predicted_")]
            unit = np.maximum(*peaks)
        error = np.sqrt(((truth - said) ** 2).mean(axis=1)) / unit
        assert told[output.name]["rmse"] == pytest.approx(error.mean(), rel=1e-4)


def test_hits_are_of_the_class_that_the_model_gives_them(campaign):
    table = storage.read(campaign.paths.validation_hits, "validation")
    ok = table["status"] == 0
    assert ok.all()
    assert (table["labels"] == table["emulated_labels"]).mean() >= 0.8
    solution = campaign.model_instance.simulate(table["parameters"])
    labels = campaign.objective(solution.profiles, solution.log_peaks)
    assert labels.tolist() == table["labels"].tolist()


def test_an_ensemble_read_from_its_folder_says_the_outputs_by_name(campaign):
    trained = load_ensemble(campaign.paths.emulators)
    test = storage.read(campaign.paths.predictions, "predictions")
    said = trained.predict(test["parameters"])
    np.testing.assert_allclose(said.profiles, test["predicted_profiles"], rtol=1e-5, atol=1e-6)
    by_name = trained.outputs.by_name(said.profiles, said.log_peaks)
    assert {name: values.shape[1:] for name, values in by_name.items()} == {o.name: o.shape for o in campaign.outputs}


def test_files_say_the_shapes_scales_and_grids_of_the_outputs(campaign):
    shard = storage.read(campaign.paths.shard(0), "simulations")
    assert shard["output_scales"].tolist() == [output.scale for output in campaign.outputs]
    grids = [grid for output in campaign.outputs for grid in output.grids]
    if campaign.name == "membrane":
        assert shard["grid"].shape == (4, 1)
    else:
        np.testing.assert_array_equal(shard["grid"], np.concatenate(grids))
        shapes = [tuple(int(n) for n in shape if n) for shape in shard["output_shapes"]]
        assert shapes == [output.shape for output in campaign.outputs]
