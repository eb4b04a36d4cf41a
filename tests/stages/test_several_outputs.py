"""A stochastic model with ten outputs, each on its own grid, through all stages: no stage knows what model it runs."""

import json
import re
from html import unescape

import numpy as np
import pytest

from campaigns import run_stages
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.emulators.metrics import r_squared
from mechscreen.figures import figure_names
from mechscreen.figures.style import read_metadata
from mechscreen.reports.results import Results
from mechscreen.sampling import sample_seeds
from mechscreen.stages.predict import load_ensemble, predict_table
from mechscreen.stages.report import report

E2F = 2
SETTINGS = {
    "name": "cells",
    "seed": 5,
    "model": {
        "name": "myc_e2f",
        "options": {"vary": ["kMC", "dMC", "kRB"], "trajectories": 64, "step": 0.1, "end_time": 4.0},
    },
    "simulations": {"count": 120, "shard_size": 60},
    "emulators": {
        "members": 2,
        "combine": "mean",
        "architecture": {"network": "aligned", "width": 32, "blocks": 1},
        "training": {"epochs": 12, "batch_size": 16, "learning_rate": 1e-2},
    },
    "screen": {
        "count": 600,
        "block_size": 300,
        "objective": {"name": "modes", "options": {"output": E2F}, "target": ["1"]},
        "disagreement_limit": 1.0,
        "bins": 4,
    },
    "validation": {"limit": 12},
}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    campaign = Campaign.from_dict({**SETTINGS, "results": str(tmp_path_factory.mktemp("results"))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("mechscreen.stages.evaluate.POINTS", 64)
        run_stages(campaign)
    report(campaign)
    return campaign


def test_every_sample_has_ten_densities_that_its_seed_makes(finished):
    shard = storage.read(finished.paths.shard(1), "simulations")
    assert shard["profiles"].shape == (60, 10, 1000)
    seeds = sample_seeds(finished.seed, 60, 120, "simulation seeds")
    rows = [7, 41]
    again = finished.model_instance.simulate(shard["parameters"][rows], seeds=seeds[rows])
    np.testing.assert_array_equal(shard["profiles"][rows], again.profiles.astype(np.float32))
    other = finished.model_instance.simulate(shard["parameters"][rows], seeds=seeds[:2])
    assert not np.allclose(shard["profiles"][rows], other.profiles, atol=1e-3)


def test_files_say_names_units_and_grids_of_all_outputs(finished, tmp_path):
    model = finished.model_instance
    table = tmp_path / "sets.csv"
    table.write_text(",".join(model.space.names) + "\n" + ",".join(map(str, finished.space.low)) + "\n")
    predicted = predict_table(finished.paths.emulators, table, tmp_path / "predicted.h5", combine="mean")
    for path in (finished.paths.shard(0), finished.paths.dataset_shard("test", 0), predicted):
        arrays = storage.read(path, kind_of(path)).arrays
        assert text(arrays["output_names"]) == [output.name for output in model.outputs]
        assert text(arrays["output_units"]) == ["1/µM"] * 10
        assert text(arrays["grid_names"])[:2] == ["MYC", "E2F mRNA"]
        assert text(arrays["grid_units"]) == ["µM"] * 10
        assert text(arrays["parameter_units"])[:2] == ["µM/h", "µM/h"]
        np.testing.assert_array_equal(arrays["grid"], [output.grid for output in model.outputs])
    for known, own in zip(load_ensemble(finished.paths.emulators, combine="mean").outputs, model.outputs, strict=True):
        np.testing.assert_array_equal(known.grid, own.grid)
        assert (known.name, known.unit, known.grid_name, known.crop) == (own.name, own.unit, own.grid_name, True)


def test_each_output_is_measured_alone(finished):
    metrics = json.loads(finished.paths.metrics.read_text())
    predictions = Results(finished).predictions
    measured = metrics["outputs"]
    assert list(measured) == [output.name for output in finished.model_instance.outputs]
    assert np.mean([m["rmse"] for m in measured.values()]) == pytest.approx(metrics["ensemble"]["rmse"], rel=1e-5)
    truth, said = predictions.profiles[:, [E2F]], predictions.predicted_profiles[:, [E2F]]
    assert measured["p(EFp)"]["r2_shape"] == pytest.approx(r_squared(truth, said))


def test_the_report_has_a_line_for_each_output_and_shows_first_what_the_objective_looks_at(finished):
    html = finished.paths.report.read_text(encoding="utf-8")
    words = unescape(re.sub(r"<[^>]*>", " ", html))
    measured = json.loads(finished.paths.metrics.read_text())["outputs"]
    for name, own in measured.items():
        assert re.search(rf"{re.escape(name)}\s+{own['rmse']:.3g}\s", words)
    assert Results(finished).order[:3] == [E2F, 0, 1]
    assert "share in the ln peak of p(EFp)" in words
    explorer = json.loads(re.search(r'id="explorer-data">(.*?)</script>', html, re.DOTALL)[1])
    assert [output["name"] for output in explorer["outputs"]][:2] == ["p(EFp)", "p(MC)"]
    for name in figure_names(finished):
        assert read_metadata(finished.paths.figure(name).read_bytes())["Description"]


def test_hits_are_those_of_the_chosen_output(finished):
    found = Results(finished).hits
    assert len(found) == 12
    labels = finished.objective(found.emulated_profiles, found.emulated_log_peaks)
    np.testing.assert_array_equal(labels, found.emulated_labels)
    assert (labels == 0).all()


def kind_of(path):
    if path.name.startswith("shard"):
        return "simulations"
    return "dataset" if path.name.startswith("test") else "predicted table"


def text(values):
    return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
