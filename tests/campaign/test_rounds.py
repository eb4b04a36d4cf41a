"""Rounds of one campaign: what each is, what it depends on, and where it stands."""

import pytest

from campaigns import ROOT
from mechscreen.campaign import STAGES, Campaign, read_mapping
from mechscreen.errors import InputError

DEMO = read_mapping(ROOT / "config/demo.yaml")
LEARNT = ("simulations", "dataset", "emulators", "evaluation")


def of_rounds(rounds, **changes):
    selection = {"count": 3000, "candidates": 50, **changes.pop("selection", {})}
    return Campaign.from_dict({**DEMO, "results": "somewhere", "rounds": rounds, "selection": selection, **changes})


def test_the_first_round_is_a_campaign_without_rounds_in_the_same_folder():
    plain, first = Campaign.from_dict({**DEMO, "results": "somewhere"}), of_rounds(3).of_round(1)
    for stage in LEARNT:
        assert first.identity(stage) == plain.identity(stage)
    assert first.paths.shard(0) == plain.paths.shard(0)
    assert first.selector is None
    assert plain.of_round(1) is plain is plain.learnt


def test_later_rounds_stand_below_and_are_selected_by_the_one_before_with_numbers_of_their_own():
    campaign = of_rounds(3)
    first, second, third = (campaign.of_round(number) for number in (1, 2, 3))
    assert second.paths.shard(1) == campaign.paths.root / "round-2/simulations/shard-00001.h5"
    assert third.paths.metrics == campaign.paths.root / "round-3/evaluation/metrics.json"
    assert (third.selector, second.selector) == (second, first)
    assert len({view.seed for view in (first, second, third)}) == 3
    assert (first.simulations.count, second.simulations.count) == (8000, 3000)
    assert of_rounds(2, selection={"count": None}).of_round(2).simulations.count == 8000


def test_what_follows_is_of_the_last_round():
    campaign = of_rounds(3)
    assert campaign.learnt is campaign.of_round(3)
    for stage in LEARNT:
        assert campaign.identity(stage) == campaign.learnt.identity(stage)
    paths = campaign.paths
    assert paths.manifest == campaign.learnt.paths.manifest
    assert paths.metrics == campaign.learnt.paths.metrics
    assert paths.screen == paths.root / "screen"
    assert campaign.identity("screen").values.items() >= campaign.learnt.identity("ensemble").values.items()
    assert campaign.selector is campaign.of_round(2)


def test_more_rounds_leave_those_that_there_are_and_screen_anew():
    two, three = of_rounds(2), of_rounds(3)
    for number in (1, 2):
        for stage in LEARNT:
            assert two.of_round(number).identity(stage) == three.of_round(number).identity(stage)
    for stage in STAGES:
        assert two.fingerprint(stage) != three.fingerprint(stage)
    later = of_rounds(2, selection={"acquisition": "mix"})
    assert later.of_round(1).fingerprint("evaluation") == two.of_round(1).fingerprint("evaluation")
    assert later.of_round(2).fingerprint("simulations") != two.of_round(2).fingerprint("simulations")


def test_another_seed_is_another_seed_in_all_rounds():
    found = [[of_rounds(3, seed=seed).of_round(number).seed for number in (1, 2, 3)] for seed in (1, 2)]
    assert len({*found[0], *found[1]}) == 6


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rounds": 0}, "'rounds' is 0"),
        ({"rounds": 2, "selection": {"campaign": "other"}}, "leave selection.campaign out"),
        ({"rounds": 2, "selection": {"count": 1500}}, "is not a multiple of simulations.shard_size 1000"),
        ({"selection": {}}, "name the campaign whose ensemble selects"),
        ({"selection": {"campaign": "other", "count": 1000}}, "selection.count is of rounds after the first"),
        ({"rounds": 2, "emulators": {"members": 1}}, "one network cannot disagree"),
        ({"rounds": 2, "base": "other", "selection": {"enough": {"error": 0.1}}}, "a campaign with a base makes none"),
        ({"selection": {"campaign": "other", "enough": {"error": 0.1}}}, "selection.enough ends rounds"),
        ({"rounds": 1, "selection": {"cuont": 3}}, "cuont"),
        ({"rounds": 2, "screen": {"by": "model", "count": 1000, "block_size": 1000}}, "rounds is about emulators"),
    ],
)
def test_what_makes_no_rounds_is_refused(changes, message):
    with pytest.raises(InputError, match=message):
        Campaign.from_dict({**DEMO, "results": "somewhere", **changes})


def test_one_round_leaves_a_selection_for_later():
    assert of_rounds(1).selection is None
    assert of_rounds(1).identity("emulators") == of_rounds(3).of_round(1).identity("emulators")


def test_rounds_select_without_being_told_how():
    assert Campaign.from_dict({**DEMO, "rounds": 2}).of_round(2).selection.acquisition == "committee"


def test_the_rounds_before_one_are_told_the_latest_first():
    campaign = of_rounds(3)
    assert (
        campaign.earlier_rounds == campaign.of_round(3).earlier_rounds == [campaign.of_round(2), campaign.of_round(1)]
    )
    assert campaign.of_round(1).earlier_rounds == of_rounds(1).earlier_rounds == []


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_campaign_on_one_with_rounds_uses_the_networks_of_one_of_them(number, tmp_path):
    base = of_rounds(3, results=str(tmp_path))
    base.record()
    plane = of_rounds(number, results=str(tmp_path), name="plane", base="demo")
    of_base, root = base.of_round(number), tmp_path / "plane"
    for place in ("simulations", "manifest", "emulators"):
        assert getattr(plane.paths, place) == getattr(of_base.paths, place)
        assert getattr(plane.of_round(1).paths, place) == getattr(of_base.paths, place)
    for place in ("evaluation", "screen", "validation", "report"):
        assert getattr(plane.paths, place).is_relative_to(root)
        assert getattr(plane.of_round(1).paths, place).is_relative_to(root)
    for stage in LEARNT:
        assert plane.identity(stage) == of_base.identity(stage)
    assert plane.in_rounds == [plane.learnt]
    assert [one.paths.root for one in plane.earlier_rounds] == [one.paths.root for one in of_base.earlier_rounds]
    with pytest.raises(InputError, match=r"no round 2: 'plane' has rounds 1 … 1"):
        plane.of_round(2)
    plane.record()
    assert Campaign.open(root).paths.emulators == of_base.paths.emulators


def test_a_base_without_such_a_round_or_with_others_is_refused(tmp_path):
    of_rounds(2, results=str(tmp_path)).record()
    with pytest.raises(InputError, match=r"'base': 'demo' .* has no round 3, only 1 … 2; set rounds"):
        of_rounds(3, results=str(tmp_path), name="plane", base="demo")
    others = of_rounds(2, results=str(tmp_path), name="plane", base="demo", selection={"count": 1000})
    with pytest.raises(InputError, match=r"'base': dataset of 'demo' .* would differ from those of 'plane'"):
        _ = others.paths
    with pytest.raises(InputError, match=r"'base': no campaign 'gone'"):
        of_rounds(2, results=str(tmp_path), name="plane", base="gone")


def test_there_is_no_round_beyond_the_last():
    with pytest.raises(InputError, match=r"no round 4: 'demo' has rounds 1 … 3"):
        of_rounds(3).of_round(4)
