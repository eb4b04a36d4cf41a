import os
import re
import time
from pathlib import Path

import pytest

from mechscreen.errors import InputError
from mechscreen.runs import driver
from mechscreen.runs.causes import Cause
from mechscreen.runs.failures import Failure, note
from mechscreen.runs.jobs import at_work, benchmark_file, log_file, rules
from mechscreen.runs.status import MOST_LISTED, failures, status
from mechscreen.runs.watch import end_of


def log_of(campaign, verb, job, text=""):
    log = log_file(campaign.paths.root, verb, job)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(text)
    return log


def finish(campaign, verb, job, seconds):
    rule = next(rule for rule in rules(campaign) if rule.verb == verb and job in rule.targets)
    rule.targets[job].parent.mkdir(parents=True, exist_ok=True)
    rule.targets[job].touch()
    log_of(campaign, verb, job, "done\n")
    benchmark = benchmark_file(campaign.paths.root, verb, job)
    benchmark.parent.mkdir(parents=True, exist_ok=True)
    benchmark.write_text(f"s\th:m:s\n{seconds}\t0:00:00\n")


def test_done_running_and_stopped_jobs_are_told_apart(campaign):
    finish(campaign, "simulate", "shard-00000", 30)
    log_of(campaign, "simulate", "shard-00001", "traceback\nMemoryError: too much\n\n")
    running = log_of(campaign, "simulate", "shard-00002", "simulate shard-00002: 40/100 samples\n")
    with at_work(running):
        said = status(campaign.paths.root)
    assert "simulate_shard     1 of 3 done, 1 running, 1 stopped" in said
    assert f"running:\n  {running}\n    simulate shard-00002: 40/100 samples" in said
    assert "    lack of memory: MemoryError: too much" in said
    assert "train_member       0 of 2 done" in said


def test_what_is_left_is_reckoned_from_what_took_its_time(campaign):
    for rule in rules(campaign):
        for job in list(rule.targets)[: None if rule.name != "screen_block" else 1]:
            finish(campaign, rule.verb, job, 600)
    assert "left: about 10 min 0 s of jobs" in status(campaign.paths.root)


def test_a_finished_campaign_is_done(campaign):
    for rule in rules(campaign):
        for job in rule.targets:
            finish(campaign, rule.verb, job, 1)
    said = status(campaign.paths.root)
    assert f"done: {campaign.paths.report}" in said
    assert "left" not in said


def test_failures_end_with_the_way_on(campaign):
    with driver.begin(campaign.paths.root, None):
        log_of(campaign, "train", "member-1", "mechscreen: the loss is nan\n")
        said = failures(campaign.paths.root)
    assert "wrong input or model: the loss is nan" in said
    assert said.splitlines()[-1].startswith("To continue, once that is put right: ")


def test_the_last_line_of_a_progress_bar_is_the_latest(campaign):
    log_of(campaign, "merge", "merge", "10%\r\x1b[31m20%\x1b[0m\r")
    assert "\n    20%" in status(campaign.paths.root)


def test_a_log_without_a_line_is_said_to_be_empty(campaign):
    log_of(campaign, "merge", "merge", "\n\n")
    assert "(no output)" in status(campaign.paths.root)


def test_a_log_that_cannot_be_read_is_not_said_to_be_empty(tmp_path):
    assert end_of(tmp_path) == "(cannot be read: Is a directory)"
    assert end_of(tmp_path / "none.log") == ""


def test_many_stopped_jobs_are_counted(campaign):
    for name in ("shard-00000", "shard-00001", "shard-00002"):
        log_of(campaign, "simulate", name, f"{name} is odd\n")
    figures = rules(campaign)[-2].targets
    for name in figures:
        log_of(campaign, "report", name, f"{name} is odd\n")
    assert f"  and {3 + len(figures) - MOST_LISTED} more" in status(campaign.paths.root)


def test_jobs_that_stopped_for_the_same_reason_are_told_of_once(campaign):
    first = log_of(campaign, "simulate", "shard-00000", "mechscreen: out of memory: give the job more memory\n")
    for name in ("shard-00001", "shard-00002"):
        log_of(campaign, "simulate", name, "mechscreen: out of memory: give the job more memory\n")
    said = status(campaign.paths.root)
    assert f"  {first} and 2 more, alike\n    lack of memory: out of memory: give the job more memory" in said
    assert said.count("out of memory") == 1


def test_what_the_driver_noted_is_told_unless_the_log_is_of_a_later_attempt(campaign):
    root = campaign.paths.root
    with driver.begin(root, None):
        log = log_of(campaign, "simulate", "shard-00000", "simulate shard-00000: 40/100 samples\n")
        noted = Failure(
            run=driver.this_run(),
            at=time.time(),
            rule="simulate_shard",
            verb="simulate",
            job="shard-00000",
            wildcards={"shard": "00000"},
            attempt=1,
            cause=Cause.NODE,
            said="",
            asked_by=("config.yaml:3: slurm_account: nobody",),
        )
        note(root, noted)
        said = status(root)
        assert f"  {log}\n    the node failed\n    asked for by config.yaml:3: slurm_account: nobody" in said
        os.utime(log, (time.time() + 600, time.time() + 600))
        assert f"  {log}\n    simulate shard-00000: 40/100 samples" in status(root)


def test_a_folder_without_a_campaign_is_named():
    with pytest.raises(InputError, match="nowhere: holds no campaign"):
        status(Path("nowhere"))


def test_where_locks_do_nothing_what_has_begun_runs_if_the_run_may(campaign, no_locks):
    log = log_of(campaign, "simulate", "shard-00000", "simulate shard-00000: 40/100 samples\n")
    finish(campaign, "simulate", "shard-00001", 30)
    root = campaign.paths.root
    with driver.begin(root, None):
        said = status(root)
        assert "runs since" in said
        assert "1 of 3 done, 1 running" in said
        record = driver.record(root)
        record.write_text(re.sub(r'"host": "[^"]*"', '"host": "login7"', record.read_text()))
        said = status(root)
    assert "whether it is at work cannot be told from here, since file locks do nothing" in said
    assert "ask on login7" in said
    assert f"running:\n  {log}" in said
    record.unlink()
    assert "1 of 3 done, 1 stopped" in status(root)


def test_at_the_end_of_a_run_a_job_whose_rank_still_holds_its_log_has_stopped(campaign):
    root = campaign.paths.root
    log = log_file(root, "simulate", "shard-00000")
    log.parent.mkdir(parents=True)
    log.write_text("mechscreen: parameter 'a': must be positive\n")
    with at_work(log) as alone:
        assert alone
        assert "wrong input or model: parameter 'a'" in failures(root)
        assert "1 running" in status(root)
