"""When rounds end."""

import pytest

from mechscreen.campaign import Campaign
from mechscreen.campaign.sections import EnoughSection
from mechscreen.errors import InputError
from mechscreen.runs.enough import as_recorded, is_enough, is_known, make_rounds_first, with_enough_rounds
from mechscreen.schemas.evaluation import Metrics
from mechscreen.schemas.validation import Known, Population
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


def test_a_job_has_the_rounds_that_its_run_wrote_down(evaluated):
    make, metrics = evaluated
    campaign = make(error=1.01 * metrics.ensemble.rmse)
    with_enough_rounds(campaign).record()
    campaign.paths.metrics.unlink(missing_ok=True)
    campaign.of_round(1).paths.metrics.unlink()
    assert as_recorded(campaign).rounds == 1
    assert with_enough_rounds(campaign).rounds == 3


def test_an_evaluation_that_does_not_tell_what_is_asked_for_is_refused(evaluated):
    make, metrics = evaluated
    campaign = make(disagreement=0.01)
    old = metrics.disagreement.model_copy(update={"mean": None})
    metrics.model_copy(update={"disagreement": old}).write(campaign.of_round(1).paths.metrics)
    with pytest.raises(InputError, match=r"does not tell the mean disagreement that selection\.enough asks for"):
        with_enough_rounds(campaign)


def test_a_run_of_a_part_is_refused_while_rounds_are_undecided(evaluated):
    make, _ = evaluated
    campaign = make(error=1e-9)
    make_rounds_first(campaign, ["results/some/file.h5"], whole_run=True)
    with pytest.raises(InputError, match=r"round 2 has to say first whether others follow"):
        make_rounds_first(campaign, [], whole_run=False)


def test_a_rule_changes_nothing_that_is_there(evaluated):
    make, _ = evaluated
    for stage in ("emulators", "evaluation", "screen"):
        assert make(error=0.5).fingerprint(stage) == make().fingerprint(stage)


def test_it_is_known_what_the_screen_finds_where_its_interval_is_narrow():
    known = {"value": 0.8, "if_calibrated": (0.75, 0.85), "trusting_nothing": (0.3, 0.95)}
    shares = dict.fromkeys(("prevalence", "precision", "recall"), known)
    population = Population(simulated=100, failed=0, found=10, expected=9.0, training=None, **shares)
    assert is_known(EnoughSection(width=0.11), population)
    assert not is_known(EnoughSection(width=0.09), population)
    assert not is_known(EnoughSection(error=1.0), population)
    nothing = population.model_copy(update={"recall": Known(**{**known, "if_calibrated": (None, None)})})
    assert not is_known(EnoughSection(width=0.9), nothing)
    no_hits = population.model_copy(update={"recall": Known(**{**known, "if_calibrated": (0.0, 0.0)})})
    assert not is_known(EnoughSection(width=0.9), no_hits)


def test_a_rule_about_what_is_found_needs_a_survey(evaluated):
    make, _ = evaluated
    with pytest.raises(InputError, match=r"selection\.enough\.width needs a survey"):
        make(width=0.1)
