"""Rounds of learning, stage by stage."""

import shutil

import h5py
import numpy as np
import pytest

from mechscreen.campaign import Campaign
from mechscreen.figures import get_figure
from mechscreen.reading import open_results
from mechscreen.reports import findings
from mechscreen.reports.results import Results
from mechscreen.schemas.dataset import Manifest
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.merge import load_split, merge
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.select import select
from mechscreen.stages.simulate import simulate
from mechscreen.stages.train import train
from mechscreen.stages.validate import validate


@pytest.fixture
def in_rounds(trained, tmp_path):
    """Return a function that makes the trained campaign with rounds, in a folder."""
    values = trained().model_dump(mode="json")
    selection = {"count": 300, "candidates": 20, "near": 0.5, "acquisition": "mix"}

    def make(rounds, folder="results"):
        if not (tmp_path / folder).exists():
            shutil.copytree(tmp_path / "results", tmp_path / folder)
        return Campaign.from_dict(
            {**values, "results": str(tmp_path / folder), "rounds": rounds, "selection": selection}
        )

    return make


def learn(campaign, first=1):
    """Make what the rounds from one on learn from, and their networks, as the workflow does."""
    for number in range(first, campaign.rounds + 1):
        view = campaign.of_round(number)
        if number > 1:
            for shard in range(view.simulations.shards):
                select(view, shard)
                simulate(view, shard)
            merge(view)
            for member in range(view.emulators.members):
                train(view, member)
        evaluate(view)


def weights(path):
    import keras

    return keras.models.load_model(path).get_weights()


def test_rounds_that_are_added_one_after_another_are_those_that_are_made_at_once(in_rounds):
    learn(two := in_rounds(2))
    before = {path: path.stat().st_mtime_ns for path in two.paths.root.rglob("*") if path.is_file()}
    learn(three := in_rounds(3), first=3)
    assert all(path.stat().st_mtime_ns == time for path, time in before.items())
    learn(at_once := in_rounds(3, "at once"))
    for number in (2, 3):
        one, other = three.of_round(number).paths, at_once.of_round(number).paths
        for made, again in ((one.shard(0), other.shard(0)), (one.selected(0), other.selected(0))):
            with h5py.File(made) as a, h5py.File(again) as b:
                for name in ("parameters", "index"):
                    np.testing.assert_array_equal(a[name], b[name])
        for member in range(3):
            for a, b in zip(*(weights(paths.member(member) / "model.keras") for paths in (one, other)), strict=True):
                np.testing.assert_array_equal(a, b)


def test_each_round_learns_from_all_before_and_the_report_shows_them(in_rounds):
    learn(campaign := in_rounds(3))
    first = Manifest.read(campaign.of_round(1).paths.manifest)
    for number in (2, 3):
        view = campaign.of_round(number)
        manifest = Manifest.read(view.paths.manifest)
        assert manifest.simulations == 600 + 300 * (number - 1)
        assert manifest.selected == 300 * (number - 1)
        assert manifest.samples["test"] == first.samples["test"]
        assert len(load_split(view, "train").index) == manifest.samples["train"]
    for block in range(campaign.screen.blocks):
        screen_block(campaign, block)
    gather_screen(campaign)
    validate(campaign)
    results = Results(campaign)
    (table,) = [t for t in findings.tables(results, ()) if t.title == "Rounds of learning"]
    assert [row[:3] for row in table.rows] == [[1, 600, 0], [2, 900, 300], [3, 1200, 600]]
    errors = [row[4] for row in table.rows]
    assert errors[2] < errors[0]
    picture, caption = get_figure(campaign, "rounds").draw(results)
    assert picture.axes
    train = [Manifest.read(campaign.of_round(number).paths.manifest).samples["train"] for number in (1, 2, 3)]
    assert caption.endswith(f"with {' → '.join(f'{n:,}' for n in train)} training samples.")
    campaign.record()
    opened = open_results(campaign.paths.root)
    assert opened.campaign.rounds == 3
    assert len(opened.predictions.sample) == first.samples["test"]
    assert len(opened.simulations.sample) == 600
    assert opened.simulations.attrs["drawn"] == "by the campaign's priors"
    assert len(opened.round(3).simulations.sample) == 300
    assert opened.round(3).simulations.attrs["drawn"] == "selected by the ensemble of bumps, round 2"
