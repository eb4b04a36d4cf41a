"""When rounds end."""

import pytest

from mechscreen.campaign import Campaign
from mechscreen.campaign.sections import EnoughSection
from mechscreen.runs.enough import is_enough, with_enough_rounds
from mechscreen.schemas.evaluation import Metrics
from mechscreen.stages.evaluate import evaluate


@pytest.fixture
def evaluated(trained):
    """The trained campaign, evaluated, with three rounds that may end."""
    values = trained().model_dump(mode="json")
    evaluate(first := Campaign.from_dict(values))

    def make(**enough):
        return Campaign.from_dict({**values, "rounds": 3, "selection": {"enough": enough}})

    return make, Metrics.read(first.paths.metrics)


def test_one_of_the_conditions_suffices_and_without_any_nothing_does(evaluated):
    _, metrics = evaluated
    error, disagreement = metrics.ensemble.rmse, metrics.disagreement.mean
    assert 0 < disagreement < 1
    assert is_enough(EnoughSection(error=1.01 * error), metrics)
    assert not is_enough(EnoughSection(error=0.99 * error), metrics)
    assert is_enough(EnoughSection(error=0.5 * error, disagreement=1.01 * disagreement), metrics)
    assert not is_enough(EnoughSection(disagreement=0.99 * disagreement), metrics)
    assert not is_enough(EnoughSection(), metrics)


def test_rounds_are_as_many_as_it_takes_as_far_as_is_known(evaluated):
    make, metrics = evaluated
    ended = with_enough_rounds(make(error=1.01 * metrics.ensemble.rmse))
    assert (ended.rounds, ended.selection) == (1, None)
    assert ended.identity("screen") == make().of_round(1).identity("screen")
    assert with_enough_rounds(make(error=0.5 * metrics.ensemble.rmse)).rounds == 3
    assert with_enough_rounds(make()).rounds == 3


def test_a_rule_changes_nothing_that_is_there(evaluated):
    make, _ = evaluated
    for stage in ("emulators", "evaluation", "screen"):
        assert make(error=0.5).fingerprint(stage) == make().fingerprint(stage)
