import json
import shutil

import numpy as np
import pytest

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.emulators.ensemble import combine_members
from mechscreen.errors import FileError, InputError
from mechscreen.objectives import get_objective
from mechscreen.sampling import sample_unit
from mechscreen.schemas.simulations import Selection
from mechscreen.spaces import Draws, Sampler
from mechscreen.stages import select as stage
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.merge import load_split, map_split, merge
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.select import select
from mechscreen.stages.simulate import read_shard, selected_parameters, simulate
from mechscreen.stages.train import read_record, train

CANDIDATES = 40


@pytest.fixture
def first(trained):
    """Return the trained campaign, which has been run."""
    campaign = trained()
    campaign.record()
    return campaign


@pytest.fixture
def second(first):
    """Return a function that makes a campaign whose simulations the first one's ensemble selects."""

    def make(**changes):
        values = {**first.model_dump(mode="json"), "name": "more", "seed": 8}
        values["simulations"] = {"count": 100, "shard_size": 50}
        values["selection"] = {"campaign": "bumps", "candidates": CANDIDATES}
        for name, change in changes.items():
            values[name] = {**values[name], **change} if isinstance(change, dict) else change
        return Campaign.from_dict(values)

    return make


def candidates(campaign, shard):
    n = CANDIDATES * campaign.simulations.shard_size
    unit = sample_unit("uniform", campaign.seed, shard * n, (shard + 1) * n, len(campaign.space), "selection")
    return campaign.space.physical(unit, levels=True)


def test_selected_are_candidates_with_more_disagreement(first, second):
    campaign = second()
    file = storage.read(select(campaign, 1), Selection.kind, campaign.identity("selection"))
    pool = candidates(campaign, 1)
    place = [int(np.flatnonzero((pool == row).all(axis=1))[0]) for row in file["parameters"]]
    assert sorted(set(place)) == place, "each once, in the candidates' order"
    said = load_campaign_ensemble(first).predict_members(first.space.normalise(pool))
    disagreement = combine_members(said, "vote").disagreement
    np.testing.assert_allclose(file["disagreement"], disagreement[place], rtol=1e-4, atol=1e-6)
    assert file["disagreement"].mean() > disagreement.mean()
    rings = get_objective("rings", distance=12)
    of_any = np.any([rings(own["profiles"], own["log_peaks"]) == 2 for own in said], axis=0)
    np.testing.assert_array_equal(file["in_target"], of_any[place])
    # Of those beside the target, in proportion to the disagreement: their mean is its square's over its own.
    d, drawn = disagreement[~of_any].astype(float), file["disagreement"][~of_any[place]]
    mean = np.average(d, weights=d)
    error = np.sqrt(np.average((d - mean) ** 2, weights=d) / len(drawn))
    assert abs(drawn.mean() - mean) < 4 * error
    assert mean - d.mean() > error, "the two can be told apart"


def test_candidates_of_the_target_come_first_and_fill_half_a_shard_at_most(second):
    campaign = second()
    file = storage.read(select(campaign, 0), Selection.kind)
    # Far more than half of what disagreement alone would bring; there are hundreds among the candidates.
    assert 25 <= file["in_target"].sum() <= 40
    none = second(screen={"objective": {"name": "rings", "target": ["5 or more"]}})
    rare = storage.read(select(none, 1), Selection.kind)
    assert not rare["in_target"].any()
    assert len(rare["index"]) == 50


def test_candidates_near_the_target_are_many_more_of_it_and_reach_beyond_what_was_drawn(second, first):
    plain = Selection.read(select(second(), 0))
    near = second(selection={"campaign": "bumps", "candidates": CANDIDATES, "near": 0.5, "acquisition": "target"})
    found = Selection.read(select(near, 0))
    assert found.candidates == plain.candidates == CANDIDATES * 50
    ensemble = load_campaign_ensemble(first)
    half = CANDIDATES * 25
    drawn = Sampler(near.space, "uniform", near.seed, "selection", levels=True).draw(0, half)
    said = stage._judge(near, ensemble, drawn, near.objective)
    nearby = stage._draw_near(near, drawn, said.probable, half, np.random.default_rng(0))
    assert len(nearby.physical) == half
    assert near.space.allowed(nearby.physical).all()
    near.space.check(nearby.physical)
    again = stage._judge(near, ensemble, nearby, near.objective)

    def unsure(of):
        return ((of.probable > 0) & (of.probable < 1)).mean()

    assert unsure(again) > 1.5 * unsure(said)
    p = stage._judge(near, ensemble, Draws(found.parameters, found.parameters), near.objective).probable
    assert np.all((p > 0) & (p < 1))


def test_where_no_member_finds_the_target_candidates_are_drawn_as_others(second, caplog):
    selection = {"campaign": "bumps", "candidates": CANDIDATES, "near": 0.5}
    campaign = second(selection=selection, screen={"objective": {"name": "rings", "target": ["5 or more"]}})
    found = Selection.read(select(campaign, 0))
    pool = candidates(campaign, 0)
    assert all((pool == row).all(axis=1).any() for row in found.parameters)
    assert "no member finds the target" in caplog.text


def test_of_measured_data_that_no_candidate_fits_those_that_come_nearest_are_looked_for(second, tmp_path, caplog):
    caplog.set_level("INFO")
    output = second().outputs[0]
    measured = [f"{output.name},{at},{k},1" for k, at in enumerate(output.grids[0][::5].tolist())]
    (tmp_path / "measured.csv").write_text("\n".join(["output,at,value,error", *measured]) + "\n")
    options = {"observations": str(tmp_path / "measured.csv")}
    campaign = second(screen={"objective": {"name": "match", "options": options, "target": ["fits"]}})
    found = Selection.read(select(campaign, 0))
    assert "is looked for, since hardly any is a hit" in caplog.text
    # At least half of those chosen may be of the target, which are a hundredth of the candidates, by any member more.
    assert 0.01 < found.in_target.mean() <= 0.55

    def misfit(parameters):
        said = load_campaign_ensemble(campaign.selector).predict(campaign.space.normalise(parameters))
        match = campaign.objective.objective
        return match.misfit(campaign.outputs.by_name(said.profiles, said.log_peaks))

    nearest = misfit(found.parameters[found.in_target])
    assert np.median(nearest) < np.quantile(misfit(candidates(campaign, 0)), 0.3)


def test_sensitivity_is_largest_where_outputs_change_most(second, first):
    campaign = second()
    drawn = Sampler(campaign.space, "uniform", 3, "any").draw(0, 300)
    ensemble = load_campaign_ensemble(first)
    found = stage._sensitivity(campaign, ensemble, drawn)
    # By central differences along all axes, in the mean over directions.
    step, squares = 0.01, np.zeros(300)
    for j in range(len(campaign.space)):
        ends = []
        for sign in (-1, 1):
            position = drawn.position.copy()
            position[:, j] = np.clip(position[:, j] + sign * step, 0, 0.9999)
            said = ensemble.predict(campaign.space.normalise(campaign.space.at(position)))
            ends.append({"profiles": said.profiles, "log_peaks": said.log_peaks})
        squares += np.square(combine_members(ends, "mean").disagreement / (2 * step))
    expected = np.sqrt(squares / len(campaign.space))
    assert np.corrcoef(np.log(found), np.log(expected))[0, 1] > 0.6
    assert 0.3 < np.median(found / expected) < 1.5


def test_a_selection_does_not_depend_on_how_often_or_in_which_order_it_is_made(second, tmp_path):
    campaign = second()
    alone = select(campaign, 1).read_bytes()
    shutil.rmtree(campaign.paths.selection)
    select(campaign, 0)
    assert select(campaign, 1).read_bytes() == alone
    stamp = campaign.paths.selected(1).stat().st_mtime_ns
    assert select(campaign, 1).stat().st_mtime_ns == stamp, "what is there and whole is left as it is"


def test_a_damaged_selection_is_made_again_and_simulations_refuse_it(second):
    campaign = second()
    path = select(campaign, 0)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(FileError, match=r"selection/shard-00000.h5.* is damaged"):
        simulate(campaign, 0)
    assert not campaign.paths.shard(0).exists()
    assert select(campaign, 0).read_bytes() == whole


def test_simulations_are_those_that_were_selected_and_all_are_for_training(first, second):
    campaign = second()
    for shard in range(2):
        select(campaign, shard)
        simulate(campaign, shard)
    selected = np.concatenate([selected_parameters(campaign, k) for k in range(2)])
    shards = [read_shard(campaign, k) for k in range(2)]
    np.testing.assert_array_equal(np.concatenate([shard.parameters for shard in shards]), selected)
    merge(campaign)
    before, after = load_split(first, "train"), load_split(campaign, "train")
    usable = np.concatenate([shard.status for shard in shards]) == 0
    np.testing.assert_array_equal(after.parameters, np.concatenate([before.parameters, selected[usable]]))
    np.testing.assert_array_equal(np.asarray(map_split(campaign, "train").profiles), after.profiles)
    for split in ("validation", "test"):
        np.testing.assert_array_equal(load_split(first, split).parameters, load_split(campaign, split).parameters)
    manifest, earlier = (json.loads(c.paths.manifest.read_text()) for c in (campaign, first))
    assert (manifest["simulations"], manifest["selected"]) == (700, 100)
    assert manifest["samples"] == {**earlier["samples"], "train": len(after)}
    assert manifest["dropped"]["count"] == earlier["dropped"]["count"] + np.count_nonzero(~usable)


def test_networks_learn_from_both_and_select_again(first, second):
    campaign = second(emulators={"training": {"epochs": 2, "batch_size": 32}})
    for shard in range(2):
        select(campaign, shard)
        simulate(campaign, shard)
    merge(campaign)
    for member in range(campaign.emulators.members):
        train(campaign, member)
    assert read_record(campaign.paths.member(0)).training_samples == len(load_split(campaign, "train"))
    evaluate(campaign)
    judged = storage.read(campaign.paths.predictions, "predictions")["parameters"]
    np.testing.assert_array_equal(judged, load_split(first, "test").parameters)
    campaign.record()
    third = second(name="most", seed=9, selection={"campaign": "more"})
    select(third, 0)
    assert len(selected_parameters(third, 0)) == 50


def test_the_target_the_candidates_and_the_networks_are_part_of_the_fingerprint(first, second):
    prints = {
        campaign.fingerprint("simulations")
        for campaign in (
            second(),
            second(selection={"candidates": 41}),
            second(seed=9),
            second(screen={"objective": {"name": "rings", "options": {"distance": 12}, "target": ["1"]}}),
        )
    }
    assert len(prints) == 4
    alone = Campaign.from_dict({**second().model_dump(mode="json"), "selection": None})
    assert alone.fingerprint("simulations") not in prints
    grown = first.model_dump(mode="json")
    grown["emulators"]["members"] = 4
    Campaign.from_dict(grown).record()
    assert second().fingerprint("simulations") not in prints


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"selection": {"campaign": "none"}}, r"'selection.campaign': no campaign 'none' in .*; run it first"),
        ({"name": "bumps"}, r"'selection.campaign': bumps → bumps is a circle"),
        ({"seed": 7}, r"'selection.campaign': 'bumps' has the seed 7 too"),
        (
            {"model": {"options": {}}},
            r"'selection.campaign': the model of 'bumps' differs: model.options.narrowest = 2.5",
        ),
    ],
)
def test_a_campaign_that_cannot_select_is_refused(second, changes, message):
    with pytest.raises(InputError, match=message):
        second(**changes)


def test_one_network_cannot_disagree(first, second):
    values = first.model_dump(mode="json")
    values["emulators"]["members"] = 1
    Campaign.from_dict(values).record()
    with pytest.raises(InputError, match=r"'bumps' has one network, which cannot disagree"):
        second()


def test_a_circle_of_two_is_refused(first, second):
    campaign = second()
    campaign.record()
    values = {**first.model_dump(mode="json"), "selection": {"campaign": "more"}}
    with pytest.raises(InputError, match=r"bumps → more → bumps is a circle"):
        Campaign.from_dict(values)


def test_a_campaign_without_a_selection_has_nothing_to_select(first):
    with pytest.raises(InputError, match=r"'bumps' selects no simulations"):
        select(first, 0)


def test_a_shard_beyond_the_last_is_refused(second):
    with pytest.raises(InputError, match=r"no shard 2: simulations.count and shard_size make shards 0 … 1"):
        select(second(), 2)


def test_networks_that_are_missing_are_named(first, second):
    campaign = second()
    shutil.rmtree(first.paths.member(1))
    with pytest.raises(FileError, match=r"member-1/member.json"):
        select(campaign, 0)
    assert not campaign.paths.selected(0).exists()
