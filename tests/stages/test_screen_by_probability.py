"""Screens that keep the most probable parameter sets."""

import numpy as np
import pytest

from deadlines import StopAfter
from mechscreen import odds
from mechscreen.errors import InputError
from mechscreen.models.outputs import Status
from mechscreen.ranks import Interrupted
from mechscreen.schemas.calibration import CalibrationFile
from mechscreen.schemas.screen import PartialBlock, ScreenBlock, ScreenHits, ScreenSummary
from mechscreen.stages import calibrate as calibration_stage
from mechscreen.stages import screen as stage
from mechscreen.stages import search
from mechscreen.stages.calibrate import calibrate
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.search import Search
from mechscreen.tally import random_keys

CALIBRATION = {"count": 1200, "candidates": 20_000}


@pytest.fixture
def asking(trained):
    """Return a function that calibrates, screens and gathers a campaign."""

    def run(**screen):
        campaign = trained(calibration=CALIBRATION, screen=screen)
        calibrate(campaign)
        for block in range(campaign.screen.blocks):
            screen_block(campaign, block)
        gather_screen(campaign)
        return campaign

    return run


def said_of_all(campaign):
    """Return the probability of the target, and its likeliest class, of all samples of a screen."""
    calibration = CalibrationFile.read(campaign.paths.calibrated).calibration
    parameters = Search(campaign).sample(0, campaign.screen.count)[1]
    found = calibration_stage._evidence(campaign, calibration_stage.load_campaign_ensemble(campaign), parameters)
    likely = calibration.probabilities(found)[:, list(campaign.targets)]
    return likely.sum(axis=1), np.array(campaign.targets)[likely.argmax(axis=1)]


def read(campaign):
    summary = ScreenSummary.read(campaign.paths.screen_summary, campaign.identity("hits"))
    return summary, ScreenHits.read(campaign.paths.screen_hits, campaign.identity("hits"))


@pytest.mark.parametrize("confidence", [0.97, 0.8])
def test_hits_are_the_largest_set_of_the_most_probable_that_is_right_with_the_confidence(asking, confidence):
    campaign = asking(confidence=confidence)
    probability, likeliest = said_of_all(campaign)
    summary, hits = read(campaign)
    least = summary.totals.least_probability
    expected = np.flatnonzero(probability >= least)
    np.testing.assert_array_equal(hits.hits.index, expected)
    np.testing.assert_allclose(hits.hits.probability, probability[expected], atol=1e-6)
    np.testing.assert_array_equal(hits.hits.labels, likeliest[expected])
    np.testing.assert_array_equal(summary.found, np.bincount(likeliest[expected], minlength=len(summary.classes)))
    # As many as can be: with the next level they would be too improbable.
    assert probability[expected].mean() >= confidence - 2e-3
    more = probability[probability >= odds.EDGES[summary.limit - 1]]
    assert more.mean() < confidence + 2e-3
    assert len(more) > len(expected) > 100
    totals = summary.totals
    assert totals.hits_found == totals.hits_kept == len(expected)
    assert totals.expected_right == pytest.approx(probability[expected].sum(), rel=1e-3)
    assert totals.expected_missed == pytest.approx(probability[probability < least].sum(), rel=1e-2)


def test_hits_are_of_the_target_as_often_as_was_asked(asking):
    campaign = asking(confidence=0.9)
    _, hits = read(campaign)
    truth = campaign.model_instance.simulate(hits.hits.parameters)
    ok = truth.status == Status.OK
    labels = campaign.objective(truth.profiles[ok], truth.log_peaks[ok])
    assert np.isin(labels, campaign.targets).mean() == pytest.approx(0.9, abs=0.03)


def test_another_confidence_is_a_matter_of_gathering(asking, trained):
    campaign = asking(confidence=0.97)
    few = read(campaign)[1]
    other = trained(calibration=CALIBRATION, screen={"confidence": 0.6})
    before = [other.paths.block(block).stat().st_mtime_ns for block in range(other.screen.blocks)]
    for block in range(other.screen.blocks):
        screen_block(other, block)
    gather_screen(other)
    many = read(other)[1]
    assert before == [other.paths.block(block).stat().st_mtime_ns for block in range(other.screen.blocks)]
    assert set(few.hits.index) < set(many.hits.index)


def test_samples_of_each_stratum_are_drawn_at_random_over_all_blocks(asking, monkeypatch):
    for module in (stage, search):
        monkeypatch.setattr(module, "DRAWN", 40)
    monkeypatch.setattr(stage, "DRAWN_OF_ALL", 100)
    campaign = asking()
    assert campaign.confidence == 0.95
    probability, _ = said_of_all(campaign)
    levels = odds.levels_of(probability)
    summary = read(campaign)[0]
    np.testing.assert_array_equal(summary.probable.sum(axis=0), np.bincount(levels, minlength=odds.LEVELS))
    np.testing.assert_array_equal(summary.drawn_levels, levels[summary.drawn_index])
    for stratum in range(odds.STRATA):
        own = np.flatnonzero(odds.STRATUM_OF[levels] == stratum)
        drawn = summary.drawn_index[odds.STRATUM_OF[summary.drawn_levels] == stratum]
        lowest = own[np.argsort(random_keys(own))[: len(drawn)]]
        np.testing.assert_array_equal(drawn, np.sort(lowest))
        assert min(len(own), 20) <= len(drawn) <= 100


def test_an_interrupted_block_is_the_same(asking, monkeypatch):
    monkeypatch.setattr(stage, "BATCH", 2048)
    campaign = asking(hits_per_block=150)
    path = campaign.paths.block(0)
    whole = ScreenBlock.read(path)
    strata = np.bincount(odds.STRATUM_OF, whole.probable.sum(axis=0))[-odds.STRATA_OF_HITS :]
    assert len(whole.hits.index) == np.minimum(strata, 150).sum() < strata.sum()
    path.unlink()
    for _ in range(2):
        with pytest.raises(Interrupted):
            screen_block(campaign, 0, deadline=StopAfter(1))
    PartialBlock.verify(path.with_name(path.name + ".partial"), campaign.identity("screen"))
    screen_block(campaign, 0)
    again = ScreenBlock.read(path)
    for name in ("probable", "drawn_index", "drawn_levels", "classes", "planes"):
        np.testing.assert_array_equal(getattr(again, name), getattr(whole, name))
    for name, values in vars(whole.hits).items():
        np.testing.assert_array_equal(getattr(again.hits, name), values)


def test_hits_that_blocks_keep_in_part_are_a_random_sample_of_all_hits(asking):
    campaign = asking(hits_per_block=60, confidence=0.9)
    probability, _ = said_of_all(campaign)
    summary, hits = read(campaign)
    assert len(hits.hits.index) == summary.totals.hits_kept
    size = campaign.screen.block_size
    for block in range(campaign.screen.blocks):
        own = np.arange(block * size, (block + 1) * size)
        own = own[probability[own] >= summary.totals.least_probability]
        kept = hits.hits.index[hits.hits.index // size == block]
        np.testing.assert_array_equal(kept, np.sort(own[np.argsort(random_keys(own))[: len(kept)]]))
        assert 30 < len(kept) <= 60 < len(own)


def test_where_no_set_is_probable_enough_there_are_no_hits_and_it_is_said(asking, caplog):
    caplog.set_level("INFO")
    campaign = asking(confidence=0.99999)
    summary, hits = read(campaign)
    assert summary.limit == odds.LEVELS
    assert len(hits.hits.index) == summary.totals.hits_found == 0
    assert "screen: 0 hits in" in caplog.text


def test_a_confidence_without_probabilities_and_a_cascade_with_them_are_refused(trained):
    with pytest.raises(InputError, match=r"screen\.confidence needs probabilities; set calibration\.count"):
        trained(screen={"confidence": 0.9})
    with pytest.raises(InputError, match=r"cascade looks at most sets with one member"):
        trained(calibration=CALIBRATION, screen={"mode": "cascade"})
    with pytest.raises(InputError, match=r"screen\.confidence is about emulators"):
        trained(screen={"by": "model", "confidence": 0.9})
