"""A campaign whose networks learn features, one of which not every sample has, from simulations to the report."""

import csv
from pathlib import Path

import numpy as np
import pytest

from campaigns import run_stages
from mechscreen.campaign import Campaign
from mechscreen.figures import figure_names
from mechscreen.reports.results import Results
from mechscreen.schemas.screen import ScreenSummary
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.stages.report import draw, report

HERE = Path(__file__).parent
CONDITION = "period(x) > 5 and period(x) < 8"


def settings(folder):
    return {
        "name": "waves",
        "results": str(folder / "results"),
        "seed": 3,
        "model": {"name": f"{HERE / 'waves.py'}:Waves", "emulate": ["period(x)", "amplitude(x)"]},
        "simulations": {"count": 600, "shard_size": 600},
        "emulators": {
            "members": 2,
            "combine": "mean",
            "architecture": {"network": "dense", "width": 48, "blocks": 1},
            "training": {"epochs": 60},
        },
        "screen": {
            "count": 4000,
            "block_size": 4000,
            "objective": {"name": "conditions", "options": {"classes": {"slow": CONDITION}}, "target": ["slow"]},
            "disagreement_limit": 1.0,
        },
        "validation": {"limit": 60, "confirm": {"period(x)": 0.1}},
    }


@pytest.fixture(scope="module")
def waves(tmp_path_factory):
    campaign = Campaign.from_dict(settings(tmp_path_factory.mktemp("waves")))
    campaign.check()
    campaign.record()
    run_stages(campaign)
    return campaign


@pytest.mark.slow
def test_the_screen_finds_the_share_that_is_known(waves):
    summary = ScreenSummary.read(waves.paths.screen_summary)
    # 0.6 oscillate, and the period 2π/ω is between 5 and 8 for ω from 0.785 to 1.257, of 0.5 … 2.
    known = 0.6 * (2 * np.pi / 5 - 2 * np.pi / 8) / 1.5
    assert summary.classes[1] / summary.samples == pytest.approx(known, abs=0.03)


@pytest.mark.slow
def test_what_is_stored_is_finite_and_what_is_undefined_comes_back_as_such(waves):
    found = SimulationFile.read(waves.paths.shard(0))
    assert (found.status == 0).all()
    assert np.isfinite(found.profiles).all()
    said = waves.outputs.by_name(found.profiles, found.log_peaks)
    steady = found.parameters[:, 0] <= 0.4
    np.testing.assert_array_equal(np.isnan(said["period(x)"]), steady)
    period = 2 * np.pi / found.parameters[:, 1]
    np.testing.assert_allclose(said["period(x)"][~steady], period[~steady], rtol=2e-2)


@pytest.mark.slow
def test_hits_are_told_with_their_features_and_confirmed_by_the_one_that_was_asked_for(waves):
    results = Results(waves)
    assert results.validation.confirmed_by == {"period(x)": 0.1}
    assert results.validation.confirmed.share > 0.8
    assert waves.features.labels == ("period(x) [h]",)
    with waves.paths.validation_table.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == 60
    simulated = [float(row["simulated period(x) [h]"] or "nan") for row in rows if row["simulated"] == "slow"]
    frequency = [float(row["frequency"]) for row in rows if row["simulated"] == "slow"]
    np.testing.assert_allclose(simulated, 2 * np.pi / np.array(frequency), rtol=2e-2)
    near = [row for row in rows if row["confirmed"] == "yes"]
    for row in near:
        assert float(row["emulated period(x) [h]"]) == pytest.approx(float(row["simulated period(x) [h]"]), rel=0.1)


@pytest.mark.slow
def test_the_report_draws_and_tells_of_features(waves):
    names = figure_names(waves)
    assert "features" in names
    for name in names:
        draw(waves, name)
    page = report(waves).read_text()
    for text in ("Features of the hits", "period(x) [h]", "What decides the features", "period(x) within 10 %"):
        assert text in page
    opened = Campaign.open(waves.paths.root)
    assert opened.features.names == ("period(x)",)
    assert opened.outputs == waves.outputs


def test_what_is_emulated_is_part_of_the_campaigns_identity(tmp_path):
    values = settings(tmp_path)
    curves = {**values, "model": {"name": values["model"]["name"]}, "validation": {}}
    one, other = (Campaign.from_dict(some).identity("simulations") for some in (values, curves))
    assert "model.emulate" in str(other.difference(one.values))
