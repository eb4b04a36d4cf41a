"""How far parameters of hits may move, against the ensemble and the model, asked one by one."""

import numpy as np
import pytest

from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.figures import get_figure
from mechscreen.models.outputs import Status
from mechscreen.reports import findings
from mechscreen.reports.results import Results
from mechscreen.schemas.validation import Robustness, ValidatedHits
from mechscreen.stages import screen
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.predict import load_ensemble
from mechscreen.stages.table import STEPS_OF_MOVE as STEPS
from mechscreen.stages.validate import validate


@pytest.fixture
def moved(trained):
    """Return a function that validates the trained campaign, and sees how robust its hits are."""

    def make(hits=12, **sections):
        validation = {"robustness": hits, "limit": 200, "confirm": "class"}
        sections = {"screen": {"count": 10_000}, "validation": validation, **sections}
        campaign = trained(**sections)
        campaign.record()
        evaluate(campaign)
        screen.screen_block(campaign, 0)
        screen.gather_screen(campaign)
        validate(campaign)
        return campaign, Robustness.read(campaign.paths.robustness, campaign.identity("validation"))

    return make


def step(campaign, found, row, axis, steps):
    """Return the set with a parameter moved; None beyond its range."""
    space = campaign.screen_space
    position = space.position(found.parameters[[row]])
    position[0, axis] += steps / STEPS
    if not 0 <= position[0, axis] < 1:
        return None
    set_of = found.parameters[[row]].copy()
    set_of[0, axis] = space.at(position)[0, axis]
    return set_of if space.allowed(set_of)[0] else None


def test_each_parameter_moves_until_the_ensemble_sees_another_class(moved):
    campaign, found = moved()
    ensemble = load_ensemble(campaign.paths.emulators)
    assert len(found) == 12
    assert found.varied.tolist() == [0, 1, 2, 3]
    for row in range(3):
        for k, axis in enumerate(found.varied.tolist()):
            for side, sign in enumerate((-1, 1)):
                steps, at_end = 0, False
                while True:
                    there = step(campaign, found, row, axis, sign * (steps + 1))
                    if there is None:
                        at_end = True
                        break
                    said = ensemble.predict(there)
                    if campaign.objective(said.profiles, said.log_peaks)[0] not in campaign.targets:
                        break
                    steps += 1
                assert found.kept[row, k, side] == steps / STEPS
                assert found.whole[row, k, side] == at_end
    assert 0 < found.kept.max() < 1
    assert found.whole.any()
    assert (~found.whole).any()


def test_the_model_is_asked_where_the_behaviour_is_kept_last_and_lost_first(moved):
    campaign, found = moved()
    rows = zip(found.checked_hit, found.checked_parameter, found.checked_side, found.checked_inside, strict=True)
    for place, (hit, k, side, inside) in enumerate(rows):
        steps = round(found.kept[hit, k, side] * STEPS) + (not inside)
        there = step(campaign, found, hit, found.varied[k], (2 * side - 1) * steps)
        result = campaign.model_instance.simulate(there)
        assert found.simulated[place] == (result.status[0] == Status.OK)
        if not found.simulated[place]:
            continue
        label = campaign.objective(result.profiles, result.log_peaks)[0]
        assert found.in_target[place] == (label in campaign.targets)
    inside, outside = found.confirmed(True), found.confirmed(False)
    asked = found.checked_inside & found.simulated
    assert inside.count == (asked & found.in_target).sum() == round(inside.share * asked.sum())
    assert inside.share > 0.5
    assert outside.share > 0.3
    assert found.checked_inside.sum() <= 100


def test_only_hits_that_the_model_confirms_are_moved(moved):
    campaign, found = moved(hits=1000)
    hits = ValidatedHits.read(campaign.paths.validation_hits)
    np.testing.assert_array_equal(found.index, hits.index[hits.confirmed])


def test_the_report_says_how_robust_hits_are(moved):
    campaign, found = moved()
    results = Results(Campaign.open(campaign.paths.root))
    tables = {table.title: table for table in findings.tables(results, ["validate"])}
    table = tables["How robust hits are"]
    assert len(table.rows) == 4
    assert "By the model, " in table.note
    robust = tables["Hits that are most robust"]
    assert robust.rows[0][0] == str(found.index[np.argmax(found.least)])
    _, caption = get_figure(campaign, "robustness").draw(results)
    assert caption.startswith("12 hits; in the median any parameter may move by ")


def test_hits_that_are_unlike_all_training_samples_are_listed(moved):
    campaign, _ = moved(validation={"robustness": 1, "limit": 200, "confirm": "class", "rmse_limit": 0.01})
    results = Results(Campaign.open(campaign.paths.root))
    hits = results.hits
    table = {table.title: table for table in findings.tables(results, ["validate"])}[
        "Hits that are unlike all that the emulators learnt from"
    ]
    novel = hits.confirmed & (hits.nearest_distance > 0.01)
    assert novel.any()
    assert table.note.startswith(f"{novel.sum():,} of {hits.confirmed.sum():,} confirmed hits")
    assert table.rows[0][2] == hits.nearest_distance[novel].max()


def test_nothing_is_moved_unless_it_is_asked_for(moved, trained):
    campaign = trained(screen={"count": 10_000})
    assert "robustness" not in str(campaign.identity("validation").values)
    screen.screen_block(campaign, 0)
    screen.gather_screen(campaign)
    validate(campaign)
    assert not campaign.paths.robustness.exists()
    assert Results(campaign).robustness is None


def test_a_screen_by_the_model_has_no_ensemble_to_ask():
    with pytest.raises(InputError, match=r"validation\.robustness is about emulators"):
        Campaign.from_dict(
            {
                "name": "c",
                "seed": 1,
                "screen": {"by": "model", "count": 1_000_000},
                "validation": {"robustness": 5},
            }
        )
