"""All stages of a campaign whose parameters are of every kind, tied together by constraints and derived from others."""

import csv
import json

import numpy as np
import pytest
from scipy import stats

from mechscreen.campaign import Campaign
from mechscreen.reports.findings import tables
from mechscreen.reports.results import Results
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.merge import merge
from mechscreen.stages.predict import load_ensemble, predict_table
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.simulate import read_shard, simulate
from mechscreen.stages.train import train
from mechscreen.stages.validate import validate

MODEL = """
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace, Solution

class Growth(Model):
    name, version = "growth-of-the-tests", "1"
    space = ParameterSpace([
        Parameter("gain", 1e-2, 1e2, scale="log", unit="1/s"), Parameter("loss", 1e-3, 1e3),
        Parameter("n", 1, 3, integer=True), Parameter("dose", 1, 100, levels=(1.0, 10.0, 100.0)),
        Parameter("strain", 0, 2, categories=("wild", "mutant", "double")),
    ])
    outputs = (Output("level", scale="log", unit="µM"),)

    def solve(self, parameters, seeds):
        gain, loss, n, dose, strain = parameters.T
        assert set(np.unique(n)) <= {1, 2, 3} and set(np.unique(dose)) <= {1, 10, 100}
        return Solution({"level": gain / loss * n * np.array([1.0, 3.0, 0.2])[strain.astype(int)] * dose**0.25})

def high(level):
    return (level > 10).astype(int)
"""


@pytest.fixture(scope="module")
def campaign(tmp_path_factory):
    folder = tmp_path_factory.mktemp("spaces")
    (folder / "growth.py").write_text(MODEL)
    objective = """
import numpy as np
def high(profiles, log_peaks):
    return (np.exp(profiles.reshape(len(profiles), -1)[:, 0]) > 10).astype(int)
"""
    (folder / "aim.py").write_text(objective)
    campaign = Campaign.from_dict(
        {
            "name": "growth",
            "results": str(folder / "results"),
            "seed": 5,
            "model": {
                "name": f"{folder}/growth.py:Growth",
                "parameters": {"ratio": {"low": 0.1, "high": 10.0, "scale": "log"}},
                "derived": {"loss": "gain * ratio"},
                "constraints": ["loss < 50", "strain == wild or n > 1"],
            },
            "simulations": {"count": 1200, "shard_size": 600},
            "emulators": {
                "members": 2,
                "combine": "mean",
                "architecture": {"network": "dense", "width": 64, "blocks": 1},
                "training": {"epochs": 40, "batch_size": 32, "learning_rate": 1e-2},
            },
            "screen": {
                "count": 20_000,
                "block_size": 10_000,
                "objective": {
                    "name": f"{folder}/aim.py:high",
                    "options": {"classes": ["low", "high"]},
                    "target": ["high"],
                },
                "features": ["level", "log10(level)"],
                "disagreement_limit": 0.5,
                "bins": 12,
            },
            "validation": {"limit": 100, "rmse_limit": 0.3},
        }
    )
    campaign.record()
    for shard in range(2):
        simulate(campaign, shard)
    merge(campaign)
    for member in range(2):
        train(campaign, member)
    evaluate(campaign)
    for block in range(2):
        screen_block(campaign, block)
    gather_screen(campaign)
    validate(campaign)
    return campaign


def truth(sets):
    _, n, dose, strain, ratio = sets.T
    return n / ratio * np.array([1.0, 3.0, 0.2])[strain.astype(int)] * dose**0.25


def accepted():
    """Return sets that others draw: by rejection with NumPy's generators."""
    rng = np.random.default_rng(8)
    n = 400_000
    gain, ratio = (10 ** rng.uniform(-2, 2, n), 10 ** rng.uniform(-1, 1, n))
    whole, dose, strain = rng.integers(1, 4, n), rng.choice([1.0, 10.0, 100.0], n), rng.integers(0, 3, n)
    allowed = (gain * ratio < 50) & ((strain == 0) | (whole > 1))
    return np.column_stack([gain, whole, dose, strain, ratio])[allowed]


def test_simulations_are_of_the_models_parameters_and_keep_those_that_were_drawn(campaign):
    shard = read_shard(campaign, 0)
    assert shard.about.parameter_names.tolist() == list(campaign.space.names)
    assert campaign.space.allowed(shard.parameters).all()
    assert (shard.status == 0).all()
    values = shard.profiles.reshape(len(shard.profiles), -1)[:, 0]
    assert values == pytest.approx(np.log(truth(shard.parameters)), abs=1e-5)


def test_networks_learn_from_what_is_natural(campaign):
    metrics = json.loads(campaign.paths.metrics.read_text())
    assert metrics["outputs"]["level"]["r2"] > 0.99
    assert metrics["importance"]["parameters"] == {}


def test_under_constraints_features_have_rank_correlations_and_no_shares(campaign):
    of_level = json.loads(campaign.paths.metrics.read_text())["features"]["level"]
    assert of_level["undefined"] == 0
    sets = accepted()
    for j, (name, entry) in enumerate(of_level["parameters"].items()):
        assert name == campaign.space.names[j]
        assert entry["first"] is entry["total"] is None
        if name == "strain":
            assert entry["correlation"] is None, "names have no order"
        else:
            expected = stats.spearmanr(sets[:, j], truth(sets)).statistic
            assert entry["correlation"] == pytest.approx(expected, abs=0.03)
    table = next(table for table in tables(Results(campaign), ()) if table.title == "What decides the features")
    assert "a correlation may be another parameter's: the constraints (loss < 50" in table.note
    assert table.rows[0][0] == "ratio"


def test_the_prevalence_is_that_of_the_constrained_prior(campaign):
    results = Results(campaign)
    screened = results.screen
    sets = accepted()
    share = np.mean(truth(sets) > 10)
    found = int(screened.planes[1, 0].sum())
    interval = stats.binomtest(found, screened.samples).proportion_ci(0.999)
    # The emulator is right up to a few in a hundred of the target.
    assert interval.low * 0.95 <= share <= interval.high * 1.05
    # Levels, whole numbers and names have each as much room along their axes as all that was drawn says.
    total = screened.planes.sum(axis=0)
    axes = screened.axes.axes.tolist()
    pair = screened.axes.pairs.tolist().index([axes.index("n"), axes.index("strain")])
    cells = total[pair].reshape(3, 4, 3, 4).sum(axis=(1, 3)) / screened.samples
    expected = np.array([[np.mean((sets[:, 1] == n) & (sets[:, 3] == k)) for k in range(3)] for n in (1, 2, 3)])
    assert cells == pytest.approx(expected, abs=0.02)
    assert cells[0, 1] == cells[0, 2] == 0


def test_hits_are_what_the_model_says_and_are_told_by_names_with_what_follows_from_them(campaign):
    hits = Results(campaign).hits
    assert np.mean(truth(hits.parameters) > 10) > 0.9
    assert hits.confirmed.mean() > 0.9
    with campaign.paths.validation_table.open() as stream:
        rows = list(csv.DictReader(stream))
    assert {row["strain"] for row in rows} <= {"wild", "mutant", "double"}
    for row in rows[:20]:
        assert float(row["loss"]) == pytest.approx(float(row["gain [1/s]"]) * float(row["ratio"]), rel=1e-6)
        assert row["strain"] == "wild" or float(row["n"]) > 1


def test_tables_of_parameter_sets_name_categories_and_are_predicted_on_their_scales(campaign, tmp_path):
    table = tmp_path / "sets.csv"
    table.write_text("gain,n,dose,strain,ratio\n0.5,2,10,mutant,0.4\n2,3,100,0,1\n")
    out = predict_table(campaign.paths.emulators, table, tmp_path / "said.h5")
    assert out is None or out
    ensemble = load_ensemble(campaign.paths.emulators)
    sets = np.array([[0.5, 2, 10, 1, 0.4], [2, 3, 100, 0, 1]])
    said = ensemble.predict(sets).profiles.reshape(2, -1)[:, 0]
    assert said == pytest.approx(np.log(truth(sets)), abs=0.3)
