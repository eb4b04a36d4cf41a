import re

import pytest

from campaigns import ROOT
from mechscreen.runs.jobs import at_work, log_file, rules
from mechscreen.storage import is_held


def test_a_campaign_has_a_job_for_every_shard_member_and_block(campaign):
    jobs = {rule.name: list(rule.targets) for rule in rules(campaign)}
    assert jobs["simulate_shard"] == ["shard-00000", "shard-00001", "shard-00002"]
    assert jobs["train_member"] == ["member-0", "member-1"]
    assert jobs["screen_block"] == ["block-00000", "block-00001"]
    assert jobs["gather_screen"] == ["gather"]


def test_every_rule_is_one_of_the_workflow(campaign):
    text = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    for rule in rules(campaign):
        assert re.search(rf"^ *rule {rule.name}:", text, re.MULTILINE), rule.name


def test_a_job_holds_its_log_while_it_works(campaign):
    log = log_file(campaign.paths.root, "simulate", "shard-00000")
    log.parent.mkdir(parents=True)
    log.write_text("begun\n")
    with at_work(log) as alone:
        assert alone
        assert is_held(log)
        with at_work(log) as second:
            assert not second
    assert not is_held(log)
    assert log.read_text() == "begun\n"


def test_a_job_called_by_hand_has_no_log_and_leaves_none(campaign):
    log = log_file(campaign.paths.root, "simulate", "shard-00000")
    with at_work(log) as alone:
        assert alone
    assert not log.exists()


def test_the_lock_ends_with_an_exception(campaign):
    log = log_file(campaign.paths.root, "merge", "merge")
    log.parent.mkdir(parents=True)
    log.touch()
    with pytest.raises(ValueError, match="no"), at_work(log):
        raise ValueError("no")
    assert not is_held(log)
