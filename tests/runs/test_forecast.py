import math

import numpy as np
import pytest

from campaigns import ROOT
from mechscreen.campaign import Campaign
from mechscreen.campaign.sections import LearningSection
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import AlignedSettings, DenseSettings, LSTMSettings
from mechscreen.runs.forecast import forecast, one_line
from mechscreen.stages import evaluate
from mechscreen.stages.table import IMPORTANCE_POINTS, START_SECONDS, Speeds

SPEEDS = Speeds(sample=0.5, training=1e-3, prediction=1e-4, gpu_step=0.01)


def steps_of(campaign, speeds=SPEEDS):
    return {step.rule.name: step for step in forecast(campaign, speeds)}


@pytest.mark.parametrize(
    "settings",
    [
        DenseSettings(width=24, blocks=3),
        DenseSettings(width=8, blocks=0),
        LSTMSettings(embedding=6, units=5, feedback=3),
        AlignedSettings(width=8, blocks=2, nodes=9),
    ],
)
@pytest.mark.parametrize("outputs", [1, 2])
def test_weights_are_those_of_the_networks_matrices(settings, outputs):
    rng = np.random.default_rng(1)
    samples = Samples(*(rng.random(shape, np.float32) for shape in ((9, 4), (9, outputs, 11), (9, outputs))))
    network = build_network(settings, samples)
    matrices = sum(int(np.prod(v.shape)) for v in network.trainable_variables if len(v.shape) == 2)
    assert settings.weights(4, outputs, 11) == matrices


def test_a_recurrent_network_passes_through_its_cell_for_every_point():
    settings = LSTMSettings()
    one, two = (settings.multiplications(13, 1, points) for points in (1, 2))
    assert one == settings.weights(13, 1, 1)
    # The cell of Wang et al. (2019): 256 units fed by 64 embeddings, 16 outputs and themselves; one output.
    assert two - one == 4 * 256 * (64 + 16 + 256) + 256


def test_core_hours_follow_from_the_speeds(campaign):
    steps = steps_of(campaign)
    assert steps["simulate_shard"].core_seconds == pytest.approx(100 * 0.5)
    assert steps["train_member"].core_seconds == pytest.approx(240 * 10 * 1e-3)
    assert steps["screen_block"].core_seconds == pytest.approx(1000 * (2 * 1e-4 + 3e-6))
    # 30 test samples, and the indices of 13 parameters.
    assert steps["evaluate_ensemble"].core_seconds == pytest.approx((30 + 15 * 8192 + 20_000) * 2 * 1e-4)
    assert steps["train_member"].gpu_hours == pytest.approx(2 * 240 / 256 * 10 * 0.01 / 3600)
    assert steps["validate_hits"].core_seconds == pytest.approx(1000 * 0.5)


def test_members_that_learn_together_take_one_job_and_as_long_as_one_by_one(campaign):
    settings = campaign.emulators.model_copy(update={"together": True})
    together, alone = (steps_of(one) for one in (campaign.model_copy(update={"emulators": settings}), campaign))
    assert "train_member" not in together
    assert "train_ensemble" not in alone
    one, many = together["train_ensemble"], alone["train_member"]
    assert (one.jobs, many.jobs) == (1, 2)
    assert one.core_seconds == pytest.approx(2 * many.core_seconds)
    assert one.gpu_hours == pytest.approx(many.gpu_hours)


def test_the_predictions_of_an_evaluation_are_those_that_it_makes():
    assert evaluate.REPEATS * evaluate.POINTS == IMPORTANCE_POINTS


def test_large_jobs_get_more_ranks_up_to_a_node(campaign):
    def ranks(seconds):
        return steps_of(campaign, Speeds(seconds, 1e-3, 1e-4, 0.01))["simulate_shard"].tasks

    assert [ranks(seconds) for seconds in (0.01, 10, 60, 1e4)] == [2, 2, 10, 32]


def test_no_more_ranks_are_asked_for_than_searches_and_walkers_keep_busy(campaign, tmp_path):
    output = campaign.outputs[0]
    (tmp_path / "measured.csv").write_text(f"output,at,value,error\n{output.name},{output.grids[0][0]},1,1\n")
    looked_for = {"name": "match", "options": {"observations": str(tmp_path / "measured.csv")}, "target": ["fits"]}
    values = campaign.model_dump(mode="json")
    matching = Campaign.from_dict(
        {**values, "screen": {**values["screen"], "objective": looked_for}, "polish": {"count": 5}}
    )
    steps = steps_of(matching, Speeds(1e4, 1e-3, 1e-4, 0.01))
    # Of 32 walkers, half move at a time; the first of many ranks does not work.
    assert [steps[rule].tasks for rule in ("polish_sets", "infer_posterior")] == [6, 17]


def test_time_is_asked_for_generously_and_never_less_than_ten_minutes(campaign):
    quick, slow = (steps_of(campaign, Speeds(s, 1e-3, 1e-4, 0.01))["simulate_shard"] for s in (1e-3, 3600.0))
    assert quick.minutes == 10
    # 100 h of work on 32 ranks, three times.
    assert slow.minutes == pytest.approx(3 * 100 * 60 / 32, abs=1)


def test_the_papers_campaign_takes_what_it_took():
    """Beside the campaign that was run (docs/measured/paper-campaign.md): files, bytes, core-hours, typical speeds."""
    campaign = Campaign.load(ROOT / "config/paper.yaml")
    steps = {step.rule.name: step for step in forecast(campaign)}
    assert steps["simulate_shard"].core_hours == pytest.approx(100 * 16.0 / 3600, rel=0.5)
    assert steps["train_member"].core_hours == pytest.approx(4 * 0.28, rel=0.5)
    assert steps["simulate_shard"].disk == pytest.approx(204e6, rel=0.1)
    assert steps["merge_shards"].disk == pytest.approx(203e6, rel=0.1)


def test_a_campaign_of_densities_takes_what_it_took():
    """Beside config/myc_e2f.yaml as it was run (docs/measured/myc-e2f-model.md)."""
    steps = {step.rule.name: step for step in forecast(Campaign.load(ROOT / "config/myc_e2f.yaml"))}
    assert steps["train_member"].core_seconds == pytest.approx(22 * 60, rel=0.5)
    assert steps["screen_block"].core_seconds == pytest.approx(100_000 * 5 * 0.17e-3, rel=0.5)


def test_a_dry_run_says_it_in_a_line(campaign):
    line = one_line(campaign.name, forecast(campaign))
    assert "looked-at" in line
    assert "\n" not in line
    assert "22 jobs" in line
    assert "core-hours" in line
    assert "GPU-hours" in line


def test_a_study_is_forecast_beside_what_leads_to_the_report(campaign):
    study = campaign.model_copy(update={"learning": LearningSection(sizes=(50, 150), members=3)})
    steps = forecast(study, SPEEDS)
    assert [step.rule.name for step in steps if step.rule.study] == ["train_on_samples", "measure_learning"]
    sized, measured = (step for step in steps if step.rule.study)
    assert (sized.jobs, measured.jobs) == (6, 1)
    # 10 epochs of 1e-3 s a sample, of 100 samples in the mean.
    assert sized.core_seconds == pytest.approx(100 * 10 * 1e-3)
    before, _, after = one_line(study.name, steps).partition("; besides, the study learning: ")
    assert before == one_line(campaign.name, forecast(campaign, SPEEDS)).partition(", at typical")[0]
    assert after.startswith("7 jobs, 0.0 core-hours")


def test_time_is_asked_for_the_longest_job_of_a_study(campaign):
    slow = Speeds(sample=0.5, training=1.0, prediction=1e-4, gpu_step=0.01)
    study = campaign.model_copy(update={"learning": LearningSection(sizes=(50, 150), members=3)})
    step = steps_of(study, slow)["train_on_samples"]
    assert step.minutes == math.ceil(3 * (START_SECONDS + 150 * 10) / 60)
