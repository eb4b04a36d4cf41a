"""What a campaign says where its emulators know nothing, or where it has too few simulations."""

import logging
import re
from pathlib import Path

import numpy as np
import pytest

from campaigns import run_stages
from mechscreen.campaign import Campaign
from mechscreen.schemas.dataset import doubts_of
from mechscreen.schemas.evaluation import Confusion, Metrics
from mechscreen.stages.merge import merge
from mechscreen.stages.report import report
from mechscreen.stages.simulate import simulate

MODEL = Path(__file__).with_name("coin.py")
NO_BETTER = (
    r"names the class of \d+\.\d % of the test samples, no better than always to name the commonest, low \(\d+\.\d %\)"
)
SHARE = r"The target has \d+\.\d % of the simulated test samples and 0\.0 % of the screened .* do not know it"


def coin(folder, count, fails=0.0):
    return Campaign.from_dict(
        {
            "name": "coin",
            "results": str(folder),
            "seed": 3,
            "model": {"name": f"{MODEL}:Coin", "options": {"fails": fails}},
            "simulations": {"count": count, "shard_size": count},
            "emulators": {
                "members": 2,
                "combine": "mean",
                "architecture": {"network": "dense", "width": 8, "blocks": 1},
                "training": {"epochs": 4},
            },
            "screen": {
                "count": 2000,
                "block_size": 2000,
                "objective": {"name": f"{MODEL}:label", "options": {"classes": ["low", "high"]}, "target": ["high"]},
                "disagreement_limit": 1.0,
            },
        }
    )


def test_emulators_that_know_nothing_are_called_that_wherever_results_are_told(tmp_path, caplog):
    campaign = coin(tmp_path, 1000)
    with caplog.at_level(logging.WARNING):
        run_stages(campaign)
        report(campaign)
    headline = re.search(r'<p class="headline">(.*?)</p>', campaign.paths.report.read_text())[1]
    assert "the emulators found no hit (high)" in headline
    evaluated = "\n".join(m for m in caplog.messages if m.startswith("evaluate: "))
    screened = "\n".join(m for m in caplog.messages if m.startswith("screen: "))
    assert re.search(NO_BETTER, evaluated)
    for text in (headline, screened, campaign.paths.summary.read_text()):
        assert re.search(NO_BETTER, text), text
        assert re.search(SHARE, text), text
        assert "WORTHLESS for y" in text
    # The last lines of a run, and nothing else than what the files say.
    assert campaign.paths.summary.read_text().splitlines()[-1].startswith("  BEWARE")
    metrics = Metrics.read(campaign.paths.metrics)
    r2 = metrics.outputs["y"].r2
    assert ("no better than its mean" in evaluated) == (r2 <= 0)
    truth = metrics.confusion.samples
    assert metrics.confusion.same_class == pytest.approx(truth[0] / truth.sum(), abs=0.05)


def test_few_samples_and_many_failures_are_said_at_merge(tmp_path, caplog):
    campaign = coin(tmp_path, 400, fails=0.93)
    simulate(campaign, 0)
    with caplog.at_level(logging.WARNING):
        merge(campaign)
    assert re.search(
        r"merge: The networks have \d\d samples to learn from, \d to choose epochs by and \d to", caplog.text
    )
    assert re.search(r"Of the simulations 9\d\.\d % failed, most often: a is too small: the screen goes", caplog.text)


def test_enough_samples_of_which_few_failed_are_no_reason_for_doubt():
    assert doubts_of({"train": 800, "validation": 100, "test": 100}, 1100, 100) == []
    assert len(doubts_of({"train": 23, "validation": 2, "test": 3}, 28, 0)) == 1
    assert len(doubts_of({"train": 800, "validation": 100, "test": 100}, 3000, 2000)) == 1


def knows_nothing(counts):
    same = float(np.trace(np.array(counts)) / np.sum(counts))
    return Confusion(classes=[str(k) for k in range(len(counts))], counts=counts, same_class=same).knows_nothing


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([[72, 0], [28, 0]], True),  # always the commonest
        ([[60, 12], [22, 6]], True),  # worse
        ([[66, 6], [18, 10]], True),  # better by no more than chance
        ([[70, 2], [5, 23]], False),
        ([[9940, 10], [20, 30]], False),  # a rare target that is found
        ([[97, 0], [0, 3]], False),
        ([[100, 0], [0, 0]], False),  # there is nothing to tell apart
    ],
)
def test_naming_classes_is_compared_with_naming_the_commonest(counts, expected):
    assert knows_nothing(counts) is expected


def metrics_of(counts):
    confusion = Confusion(classes=["no", "yes"], counts=counts, same_class=0.5)
    return Metrics.model_construct(outputs={}, confusion=confusion)


@pytest.mark.parametrize(
    ("found", "said"),
    [(0, "do not know it"), (3200, ""), (2000, ""), (9900, "see it where it is not")],
)
def test_a_target_of_quite_another_share_in_the_screen_is_said(found, said):
    doubts = metrics_of([[68, 0], [32, 0]]).doubts_of_share(["yes"], found, 10_000)
    assert [said in doubt for doubt in doubts] == ([True] if said else [])


def test_a_rare_target_that_few_test_samples_have_by_chance_is_no_reason_for_doubt():
    assert metrics_of([[9994, 0], [6, 0]]).doubts_of_share(["yes"], 20, 100_000) == []
