"""The largest values as the objective: searches, by a model whose maxima and front are known, and by emulators."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import mechscreen
from deadlines import StopAfter
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.figures import get_figure
from mechscreen.figures import largest as figure
from mechscreen.ranks import Interrupted
from mechscreen.reports import direct, findings, largest
from mechscreen.reports.results import Results
from mechscreen.schemas.fits import Largest
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.merge import merge
from mechscreen.stages.polish import polish
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.simulate import simulate
from mechscreen.stages.train import train
from mechscreen.stages.validate import validate
from stages.hills import TOP
from stages.summit import CHEAP, SUMMIT

MODEL = Path(__file__).with_name("hills.py")


def make(folder, options, count=12, **sections):
    campaign = Campaign.from_dict(
        {
            "name": "largest",
            "results": str(folder / "results"),
            "seed": 5,
            "model": {"name": f"{MODEL}:Hills", **sections.pop("model", {})},
            "screen": {
                "count": 2000,
                "block_size": 1000,
                "objective": {"name": "maximise", "options": options, "target": ["large"]},
                **sections.pop("screen", {"by": "model"}),
            },
            "validation": {"limit": 50},
            "polish": {"count": count},
            **sections,
        }
    )
    campaign.record()
    return campaign


def screened(campaign):
    for block in range(campaign.screen.blocks):
        screen_block(campaign, block)
    gather_screen(campaign)
    validate(campaign)
    return campaign


def polished(campaign):
    polish(campaign)
    return Largest.read(campaign.paths.polished, campaign.identity("polished"))


def arrays(found):
    return {name: value for name, value in vars(found).items() if isinstance(value, np.ndarray)}


def same(one, other):
    for name, values in arrays(one).items():
        np.testing.assert_array_equal(values, arrays(other)[name], err_msg=name)


@pytest.fixture
def hills(tmp_path):
    return screened(make(tmp_path, {"of": "height", "at_least": 2.5}))


def test_the_higher_of_two_hills_is_found(hills):
    found = polished(hills)
    top = found.parameters[np.argmax(found.simulated[:, 0])]
    assert top == pytest.approx(TOP, rel=1e-2)
    assert found.simulated.max() == pytest.approx(3.0, abs=1e-4)
    # Hits are on the higher hill; searches that begin at drawn sets go up the one where the best of these are.
    assert found.simulated[found.from_hit, 0] == pytest.approx(3.0, abs=1e-4)
    assert found.from_hit.sum() == 6
    np.testing.assert_allclose(found.emulated, found.simulated, rtol=1e-6)
    assert (found.spread == 0).all()
    assert found.done.all()
    assert (found.simulated >= found.before).all()


def test_an_interruption_anywhere_changes_nothing(hills):
    whole = polished(hills)
    hills.paths.polished.unlink()
    for after in (1, 3, 9):
        with pytest.raises(Interrupted):
            polish(hills, deadline=StopAfter(after))
    same(whole, polished(hills))


def test_two_ranks_find_the_same(hills, mpiexec):
    whole = polished(hills)
    hills.paths.polished.unlink()
    config = hills.paths.campaign
    process = mpiexec(3, "-m", "mechscreen", "polish", "--config", config, "--ranks", 3)
    said, _ = process.communicate(timeout=200)
    assert process.returncode == 0, said
    same(whole, Largest.read(hills.paths.polished))


def test_the_front_between_two_values_is_found(tmp_path):
    campaign = screened(make(tmp_path, {"of": "near", "at_least": -1, "against": "far"}, count=21))
    found = polished(campaign)
    # Schaffer 1985: √-near + √-far = 1 on the front, and more beside it.
    np.testing.assert_allclose(np.sqrt(-found.simulated).sum(axis=1), 1.0, atol=5e-3)
    assert found.simulated.max(axis=0) == pytest.approx([0, 0], abs=1e-3)
    near = np.sort(np.sqrt(-found.simulated[:, 0]))
    assert np.diff(near).max() < 0.3, "the front has no large gap"
    results = Results(Campaign.open(campaign.paths.root))
    best = largest.best(results)
    assert (np.diff(best.values[best.rows, 0]) < 0).all()
    assert (np.diff(best.values[best.rows, 1]) > 0).all()
    assert len(best.rows) >= 15
    assert "on the front between it and far" in direct.headline(results)
    assert largest.table(results).title == "The front"
    picture, caption = get_figure(campaign, "largest").draw(results)
    assert "on the front" in caption
    assert picture.axes[0].get_xlabel() == "far"


def test_a_front_is_found_to_its_ends_far_beyond_what_samples_know(tmp_path):
    own = MODEL.with_name("summit.py")
    model = {"name": f"{own}:Summit"}
    campaign = screened(make(tmp_path, {"of": "height", "at_least": 5, "against": "gain"}, count=30, model=model))
    found = polished(campaign)
    hits = Results(campaign).hits
    assert np.exp(hits.log_peaks).max() < 30
    assert found.simulated.max(axis=0) == pytest.approx([50, 0], rel=1e-2, abs=1e-3)
    # The front is the straight way between the two: of a position there, both are known.
    way = np.linspace(0, 1, 1001)
    away = (SUMMIT - CHEAP) * np.sqrt(6)
    heights, gains = 50 * np.exp(-away * way / 0.15), -((away * (1 - way)) ** 2)
    best = np.interp(found.simulated[:, 0], heights[::-1], gains[::-1])
    np.testing.assert_allclose(found.simulated[:, 1], best, atol=0.02)
    assert ((found.simulated[:, 0] > 10) & (found.simulated[:, 0] < 45)).sum() >= 5


def test_the_report_tells_the_best_sets(hills):
    polished(hills)
    results = Results(Campaign.open(hills.paths.root))
    assert "The largest height that 12 searches found is 3 by the model." in direct.headline(results)
    table = largest.table(results)
    assert len(table.rows) == 10
    assert table.rows[0][0] == "search"
    assert table.headings == ["found as", "height", "in the search", "x", "k"]
    assert not largest.doubts(results)
    _, caption = get_figure(hills, "largest").draw(results)
    assert caption == "12 searches; largest height 3."
    read = mechscreen.open(hills.paths.root).polished
    assert read["height"].is_monotonic_decreasing
    assert read.loc[0, ["x", "k"]].to_numpy(float) == pytest.approx(TOP, rel=1e-2)


def test_what_lies_at_an_end_is_told(tmp_path):
    campaign = screened(
        make(tmp_path, {"of": "far", "at_least": -1}, screen={"by": "model", "parameters": {"x": {"high": 0.5}}})
    )
    found = polished(campaign)
    assert found.parameters[:, 0].max() == pytest.approx(0.5, abs=1e-5)
    doubts = largest.doubts(Results(Campaign.open(campaign.paths.root)))
    assert any("lies at the end of the range of x:" in doubt for doubt in doubts)


def test_without_hits_searches_begin_at_drawn_sets(tmp_path):
    campaign = screened(make(tmp_path, {"of": "height", "at_least": 100}))
    found = polished(campaign)
    assert not found.from_hit.any()
    assert found.simulated.max() == pytest.approx(3.0, abs=1e-3)


def test_emulators_search_and_the_model_says_what_is_there(tmp_path):
    campaign = make(
        tmp_path,
        {"of": "height", "at_least": 2.5},
        screen={"disagreement_limit": 1.0},
        simulations={"count": 1000, "shard_size": 1000},
        emulators={
            "members": 3,
            "architecture": {"network": "dense", "width": 64, "blocks": 2},
            "training": {"epochs": 40, "batch_size": 64},
        },
    )
    simulate(campaign, 0)
    merge(campaign)
    for member in range(3):
        train(campaign, member)
    evaluate(campaign)
    screened(campaign)
    found = polished(campaign)
    x, k = found.parameters.T
    z = np.log10(k) / 2
    truth = sum(
        height * np.exp(-((x - x0) ** 2 + (z - np.log10(k0) / 2) ** 2) / 0.15**2)
        for height, x0, k0 in ((3.0, *TOP), (2.0, 0.2, 2.0))
    )
    np.testing.assert_allclose(found.simulated[:, 0], truth, rtol=1e-6)
    assert found.simulated.max() > 2.7
    assert (found.spread > 0).all()
    assert np.median(found.emulated - found.before) > 0
    results = Results(Campaign.open(campaign.paths.root))
    assert "by the emulators)" in findings.headline(results)
    campaign.paths.polished.unlink()
    same(found, polished(campaign))


def test_emulators_that_promise_too_much_are_told(hills, monkeypatch):
    found = polished(hills)
    more = Largest(**{**vars(found), "emulated": found.emulated * 1.5})
    results = Results(Campaign.open(hills.paths.root))
    object.__setattr__(results, "largest", more)
    monkeypatch.setattr(Campaign, "polishes_by_model", False)
    assert any("the emulators are 50.0 % off in the median" in doubt for doubt in largest.doubts(results))
    none = Largest(**{**vars(found), "simulated": np.where(np.arange(12)[:, None] < 3, found.simulated, np.nan)})
    object.__setattr__(results, "largest", none)
    assert any("have none by the model" in doubt for doubt in largest.doubts(results))


def test_one_search_that_went_astray_does_not_make_all_others_alike(hills):
    found = polished(hills)
    values = np.array([[3.0, 2.5, 2.4, 2.3, 2.2, 2.1, 2.0, 1.9, 1.8, 1.7, -1000, np.nan]]).T
    results = Results(Campaign.open(hills.paths.root))
    object.__setattr__(results, "largest", Largest(**{**vars(found), "simulated": values, "before": values * 0 + 1.0}))
    assert any("Only 1 of 12 searches came to the largest" in doubt for doubt in largest.doubts(results))


def test_a_figure_without_a_pair_of_values_is_drawn_nevertheless(hills):
    found = polished(hills)
    results = Results(Campaign.open(hills.paths.root))
    object.__setattr__(results, "largest", Largest(**{**vars(found), "emulated": np.full((12, 1), np.nan)}))
    drawn = results.found_largest()
    figure.draw(replace(drawn, hits=drawn.hits[:0], emulated_hits=drawn.emulated_hits[:0]))


def test_other_objectives_have_nothing_that_is_large(tmp_path):
    with pytest.raises(InputError, match=r"posterior\.draws are about measured data"):
        make(tmp_path, {"of": "height", "at_least": 1}, posterior={"draws": 5})
    none = make(tmp_path, {"of": "height", "at_least": 1}, count=0)
    with pytest.raises(InputError, match="searches for no best sets"):
        polish(none)
