"""Probabilities of classes: what is simulated for them, and what they are worth."""

import numpy as np
import pytest

from mechscreen.campaign import STAGES, Campaign
from mechscreen.errors import InputError
from mechscreen.models.outputs import Status
from mechscreen.ranks import Deadline, Interrupted
from mechscreen.reading import open_results
from mechscreen.reports import findings
from mechscreen.reports.results import Results
from mechscreen.schemas.calibration import CalibrationFile
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.stages import calibrate as stage
from mechscreen.stages.calibrate import calibrate
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.validate import validate


@pytest.fixture
def asking(trained):
    """A trained campaign that asks for probabilities."""

    def make(count=1200, candidates=20_000):
        campaign = trained()
        section = campaign.calibration.model_copy(update={"count": count, "candidates": candidates})
        return campaign.model_copy(update={"calibration": section})

    return make


@pytest.fixture
def calibrated(asking):
    campaign = asking()
    return campaign, CalibrationFile.read(calibrate(campaign), campaign.identity("calibration"))


def test_simulations_are_of_candidates_that_no_network_has_seen(calibrated):
    campaign, found = calibrated
    drawn = stage._sampler(campaign).at(found.index.astype(np.uint64)).physical
    np.testing.assert_array_equal(found.parameters, drawn)
    assert len(found) + found.failed == campaign.calibration.count
    truth = campaign.model_instance.simulate(found.parameters)
    assert (truth.status == Status.OK).all()
    np.testing.assert_array_equal(found.labels, campaign.objective(truth.profiles, truth.log_peaks))


def test_weights_say_how_many_candidates_a_simulation_stands_for(calibrated):
    campaign, found = calibrated
    if not found.failed:
        assert found.weights.sum() == pytest.approx(campaign.calibration.candidates)
    # What is rare is simulated more often than by chance.
    targets = list(campaign.targets)
    saw = found.votes[:, targets].sum(axis=1)
    split = (saw > 0) & (saw < 1)
    assert split.mean() > 2 * (found.weights @ split) / found.weights.sum()


def test_probabilities_are_how_often_the_model_says_so(calibrated):
    """New parameter sets, evenly drawn."""
    campaign, found = calibrated
    parameters = campaign.space.physical(np.random.default_rng(9).random((4000, 4)), levels=True)
    truth = campaign.model_instance.simulate(parameters)
    ok = truth.status == Status.OK
    labels = campaign.objective(truth.profiles[ok], truth.log_peaks[ok])
    said = stage._evidence(campaign, stage.load_campaign_ensemble(campaign), parameters[ok])
    p = found.calibration.probabilities(said)
    for k in range(len(campaign.class_names)):
        assert p[:, k].mean() == pytest.approx((labels == k).mean(), abs=0.02)
        score = np.square(p[:, k] - (labels == k)).mean()
        assert score <= np.square(said.votes[:, k] - (labels == k)).mean() + 1e-3


def test_it_is_there_already_and_the_same_after_an_interruption(asking, caplog):
    campaign = asking(300, 9000)
    path = calibrate(campaign)
    whole = CalibrationFile.read(path)
    before = path.read_bytes()
    caplog.set_level("INFO")
    assert calibrate(campaign) == path
    assert "calibrate: is there already" in caplog.text
    assert path.read_bytes() == before
    path.unlink()
    with Deadline(0.0) as late, pytest.raises(Interrupted, match="calibrate: look: 0 of 9000 candidates are saved"):
        calibrate(campaign, deadline=late)
    calibrate(campaign)
    for name, values in vars(whole).items():
        np.testing.assert_array_equal(getattr(CalibrationFile.read(path), name), values)
    assert [file.name for file in path.parent.iterdir()] == ["calibration.h5"]


def test_what_asks_for_none_or_for_too_few_is_told(trained, asking):
    with pytest.raises(InputError, match=r"asks for no probabilities; set calibration\.count"):
        calibrate(trained())
    few = asking(50, 1000)
    with pytest.raises(InputError, match=r"of 50 simulations were solved, and probabilities need 100") as told:
        calibrate(few)
    # Which sets are chosen, and with them how many can be solved, depends on the processor that trained the networks.
    solved = (SimulationFile.read(few.paths.calibrated.with_name("simulations.h5")).status == Status.OK).sum()
    assert f"{solved} of 50 simulations were solved" in str(told.value)
    values = trained().model_dump(mode="json")
    with pytest.raises(InputError, match=r"count 99: probabilities need 100 simulations"):
        Campaign.from_dict({**values, "calibration": {"count": 99}})


def test_another_target_is_calibrated_anew_and_what_is_not_asked_for_changes_nothing(asking, trained):
    campaign, plain = asking(), trained()
    target = campaign.screen.objective.model_copy(update={"target": (campaign.class_names[0],)})
    screen = campaign.screen.model_copy(update={"objective": target})
    assert campaign.fingerprint("calibration") != campaign.model_copy(update={"screen": screen}).fingerprint(
        "calibration"
    )
    unasked = plain.calibration.model_copy(update={"candidates": 7000})
    for stage_name in STAGES:
        assert plain.model_copy(update={"calibration": unasked}).fingerprint(stage_name) == plain.fingerprint(
            stage_name
        )


@pytest.mark.parametrize("sizes", [[5, 1000, 1000], [1, 1, 1], [0, 3, 0], [10**6, 2, 7]])
@pytest.mark.parametrize("count", [1, 3, 100])
def test_strata_have_equal_shares_as_far_as_they_go(sizes, count):
    count = min(count, sum(sizes))
    wanted = stage._evenly(np.array(sizes), count)
    assert wanted.sum() == count
    assert np.all(wanted <= sizes)
    more = [w for w, size in zip(wanted.tolist(), sizes, strict=True) if w < size]
    if more:
        assert max(more) - min(more) <= 1
        assert min(more) >= max(wanted) - 1


def test_validated_hits_have_the_probability_of_what_was_looked_for(asking):
    campaign = asking()
    calibration = CalibrationFile.read(calibrate(campaign)).calibration
    for block in range(campaign.screen.blocks):
        screen_block(campaign, block)
    gather_screen(campaign)
    hits = ValidatedHits.read(validate(campaign))
    assert len(hits) >= 50
    said = stage._evidence(campaign, stage.load_campaign_ensemble(campaign), hits.parameters)
    expected = calibration.probabilities(said)[:, list(campaign.targets)].sum(axis=1)
    np.testing.assert_allclose(hits.probability, expected, atol=1e-6)
    found = np.isin(hits.labels, campaign.targets)
    assert hits.probability.mean() == pytest.approx(found.mean(), abs=0.1)
    head, first, *_ = campaign.paths.validation_table.read_text().splitlines()
    place = head.split(",").index("probability")
    row = hits.by_trust[0]
    assert float(first.split(",")[place]) == pytest.approx(hits.probability[row], rel=1e-3)
    campaign.record()
    np.testing.assert_array_equal(open_results(campaign.paths.root).validated["probability"], hits.probability)
    told = findings._verdict_table(Results(campaign)).note
    assert "By their probabilities, " in told
