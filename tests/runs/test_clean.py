"""Room: what may go of a folder of results, and what is never removed."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import yaml

from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.ranks import Deadline, Interrupted
from mechscreen.runs import driver
from mechscreen.runs.clean import KINDS, REMOVABLE, clean
from mechscreen.runs.folder import write_plan
from mechscreen.runs.forecast import forecast
from mechscreen.runs.jobs import at_work, benchmark_file, log_file, rules
from mechscreen.runs.status import GATHERED, status
from mechscreen.stages.merge import merge
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.simulate import simulate
from mechscreen.stages.table import TABLE

QUICK = f"{Path(__file__).parents[1] / 'quick.py'}"
SETTINGS = {
    "seed": 1,
    "model": {"name": f"{QUICK}:Quick"},
    "screen": {
        "count": 40,
        "block_size": 20,
        "bins": 4,
        "objective": {"name": f"{QUICK}:half", "options": {"classes": ["low", "high"]}, "target": ["low"]},
    },
}


def made(tmp_path, **changes):
    values = {**SETTINGS, "name": "small", "results": str(tmp_path / "results"), **changes}
    campaign = Campaign.from_dict(values)
    campaign.record()
    write_plan(campaign, forecast(campaign))
    return campaign


def say_done(campaign, *names):
    """Leave behind what a run of Snakemake does: logs, benchmarks and, of what is not made here, empty files."""
    for rule in rules(campaign):
        for job, target in rule.targets.items():
            if rule.name in names:
                target.parent.mkdir(parents=True, exist_ok=True)
                target.touch()
                for path, text in (
                    (log_file(campaign.paths.root, rule.verb, job), "done\n"),
                    (benchmark_file(campaign.paths.root, rule.verb, job), "s\th:m:s\n600\t0:10:00\n"),
                ):
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(text)


@pytest.fixture
def merged(tmp_path):
    """A campaign with simulations and a training set."""
    campaign = made(
        tmp_path,
        simulations={"count": 80, "shard_size": 40},
        emulators={"members": 1, "architecture": {"network": "dense"}},
    )
    for shard in range(2):
        simulate(campaign, shard)
    merge(campaign)
    say_done(campaign, "simulate_shard", "merge_shards")
    return campaign


@pytest.fixture
def gathered(tmp_path):
    """A campaign whose screen is gathered."""
    campaign = made(tmp_path, screen={**SETTINGS["screen"], "by": "model"})
    for block in range(2):
        screen_block(campaign, block)
    gather_screen(campaign)
    say_done(campaign, "screen_block", "gather_screen")
    return campaign


def row(told, name):
    return next((line.split() for line in told.splitlines() if line.split()[:1] == [name]), None)


def files(campaign):
    return sorted(path for path in campaign.paths.root.rglob("*") if path.is_file())


def test_the_table_tells_bytes_files_whether_they_may_go_and_what_remaking_takes(merged):
    told = clean(merged.paths.root)
    size = sum(path.stat().st_size for path in merged.paths.simulations.iterdir())
    assert row(told, "simulations") == f"simulations {size / 1000:.1f} kB 2 yes 20 min 0 s of jobs (measured)".split()
    assert row(told, "dataset")[4] == "no"
    assert "dataset: train_member is not done, and reads it" in told
    assert "mechscreen clean" in told.splitlines()[-1]
    all_files = files(merged)
    assert f"in {len(all_files):,} files" in told.splitlines()[0]
    assert clean(merged.paths.root) == told
    assert files(merged) == all_files, "to ask removes nothing"


def test_without_measurements_the_cost_is_as_forecast(merged):
    for path in (merged.paths.root / "benchmarks").rglob("*.tsv"):
        path.unlink()
    assert "of jobs (forecast)" in clean(merged.paths.root)


def test_simulations_go_once_they_are_merged_and_the_campaign_counts_as_done(merged):
    say_done(merged, *(rule.name for rule in rules(merged) if rule.name not in ("simulate_shard", "merge_shards")))
    before = status(merged.paths.root)
    assert "removed simulations" in clean(merged.paths.root, ["simulations"])
    assert not list(merged.paths.simulations.iterdir())
    assert status(merged.paths.root) == before
    assert "done: " in before


def test_simulations_stay_where_the_training_set_is_damaged(merged):
    path = next(merged.paths.dataset.glob("train-*.h5"))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"may not go, since the training set lacks train-00000\.h5, or it is damaged"):
        clean(merged.paths.root, ["simulations"])
    path.unlink()
    assert row(clean(merged.paths.root), "simulations")[4] == "no"
    assert len(list(merged.paths.simulations.iterdir())) == 2


def test_simulations_stay_where_the_configuration_asks_for_another_training_set(merged, tmp_path):
    config = tmp_path / "changed.yaml"
    values = yaml.safe_load(merged.to_yaml())
    config.write_text(yaml.safe_dump(values))
    assert row(clean(config), "simulations")[4] == "yes"
    values["simulations"]["count"] = 120
    config.write_text(yaml.safe_dump(values))
    with pytest.raises(InputError, match=r"manifest\.json made with simulations\.count = 80, this campaign says 120"):
        clean(config, ["simulations"])


def test_the_training_set_goes_once_all_that_reads_it_is_done_and_simulations_are_there(merged):
    say_done(merged, "train_member", "evaluate_ensemble", "validate_hits")
    with pytest.raises(InputError, match="one of the two has to stay"):
        clean(merged.paths.root, ["simulations", "dataset"])
    assert "removed dataset" in clean(merged.paths.root, ["dataset"])
    assert [path.name for path in merged.paths.dataset.iterdir()] == ["manifest.json"]
    with pytest.raises(InputError, match="the training set lacks"):
        clean(merged.paths.root, ["simulations"])


def test_the_training_set_stays_where_another_campaign_reads_it(merged):
    say_done(merged, "train_member", "evaluate_ensemble", "validate_hits")
    other = merged.paths.root.parent / "other"
    other.mkdir()
    (other / "campaign.yaml").write_text("base: small\n")
    with pytest.raises(InputError, match="it is read by other"):
        clean(merged.paths.root, ["dataset"])
    with driver.begin(other, None), pytest.raises(InputError, match=r"a run is at work on .*other, which reads files"):
        clean(merged.paths.root, ["simulations"])


def test_blocks_go_once_they_are_gathered(gathered):
    hits = gathered.paths.screen_hits.read_bytes()
    before = status(gathered.paths.root)
    clean(gathered.paths.root, ["blocks", "logs"])
    assert not list(gathered.paths.screen.glob("block-*"))
    assert gathered.paths.screen_hits.read_bytes() == hits
    assert not list((gathered.paths.root / "logs").rglob("*.log"))
    assert status(gathered.paths.root) == before
    assert row(clean(gathered.paths.root), "blocks") is None
    assert "there is nothing of blocks" in clean(gathered.paths.root, ["blocks"])


@pytest.mark.parametrize("name", ["hits.h5", "summary.h5"])
def test_blocks_stay_where_what_they_were_gathered_into_is_damaged_or_gone(gathered, name):
    path = gathered.paths.screen / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match=f"--remove blocks: may not go, since {name} "):
        clean(gathered.paths.root, ["blocks"])
    path.unlink()
    assert row(clean(gathered.paths.root), "blocks")[4] == "no"
    assert len(list(gathered.paths.screen.glob("block-*"))) == 2


def test_blocks_stay_where_the_screen_is_to_grow(gathered, tmp_path):
    larger = made(tmp_path, screen={**SETTINGS["screen"], "by": "model", "count": 60})
    with pytest.raises(InputError, match=r"has 40 samples, and screen\.count is 60"):
        clean(larger.paths.root, ["blocks"])


def test_nothing_goes_unless_all_that_is_named_may(gathered):
    gathered.paths.screen_summary.unlink()
    before = files(gathered)
    with pytest.raises(InputError, match="nothing was removed"):
        clean(gathered.paths.root, ["logs", "blocks"])
    assert files(gathered) == before


def test_leftovers_are_told_from_what_the_next_attempt_continues(gathered):
    folder, host = gathered.paths.screen, os.uname().nodename
    stale = folder / f".block-00001.{host}.{2**22 + 1}.0123abcd.tmp.h5"
    living = folder / f".block-00001.{host}.{os.getpid()}.0123abcd.tmp.h5"
    aside, over, partial = folder / "block-00000.h5.bad.2", folder / "block-00001.h5.partial", folder / "x.h5.partial"
    mine = folder.parent / "notes.txt"
    for path in (stale, living, aside, over, partial, mine):
        path.write_text("x")
    told = clean(gathered.paths.root)
    assert row(told, "leftovers")[3:5] == ["3", "yes"]
    assert row(told, "partial")[3:5] == ["2", "no"]
    assert row(told, "other")[3:5] == ["1", "no"]
    clean(gathered.paths.root, ["leftovers"])
    assert [path.exists() for path in (stale, living, aside, over, partial, mine)] == [0, 1, 0, 0, 1, 1]


def test_what_an_interrupted_job_left_is_continued_after_all_that_may_go_went(gathered, tmp_path):
    larger = made(tmp_path, screen={**SETTINGS["screen"], "by": "model", "count": 60})
    with Deadline(1e-9) as over, pytest.raises(Interrupted):
        screen_block(larger, 2, deadline=over)
    partial = larger.paths.screen / "block-00002.h5.partial"
    assert partial.exists()
    clean(larger.paths.root, ["leftovers", "logs"])
    assert partial.exists()


@pytest.mark.parametrize("name", [name for name in KINDS if name not in REMOVABLE])
def test_what_is_never_removed_is_refused_with_its_reason(gathered, name):
    with pytest.raises(InputError, match=rf"--remove {name}: stays, since .* \(may go: simulations, "):
        clean(gathered.paths.root, [name])


def test_an_unknown_part_is_refused_with_the_nearest(gathered):
    with pytest.raises(InputError, match="no such part; did you mean 'blocks'"):
        clean(gathered.paths.root, ["block"])


def test_while_a_run_or_a_job_is_at_work_nothing_goes_but_the_table_is_told(gathered):
    with driver.begin(gathered.paths.root, None):
        assert "blocks" in clean(gathered.paths.root)
        with pytest.raises(InputError, match="another run is at work on it"):
            clean(gathered.paths.root, ["blocks"])
    log = log_file(gathered.paths.root, "screen", "block-00001")
    with at_work(log), pytest.raises(InputError, match="a job is at work"):
        clean(gathered.paths.root, ["blocks"])
    assert len(list(gathered.paths.screen.glob("block-*"))) == 2


def test_the_latest_run_stays_recorded_and_none_begins_meanwhile(gathered):
    driver.begin(gathered.paths.root, None).close()
    before = json.loads(driver.record(gathered.paths.root).read_text())
    with driver.idle(gathered.paths.root), pytest.raises(InputError, match="at work"):
        driver.begin(gathered.paths.root, None)
    clean(gathered.paths.root, ["blocks"])
    assert json.loads(driver.record(gathered.paths.root).read_text()) == before


def test_what_links_lead_to_is_left_alone(gathered, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "block-00009.h5").write_text("x")
    (gathered.paths.screen / "block-00009.h5").symlink_to(elsewhere / "block-00009.h5")
    (gathered.paths.root / "learning").symlink_to(elsewhere)
    clean(gathered.paths.root, ["blocks"])
    assert (elsewhere / "block-00009.h5").read_text() == "x"


def test_a_folder_without_a_campaign_and_a_configuration_without_results_are_refused(tmp_path):
    with pytest.raises(InputError, match="holds no campaign"):
        clean(tmp_path)
    config = tmp_path / "campaign.yaml"
    config.write_text(yaml.safe_dump({**SETTINGS, "name": "none", "screen": {**SETTINGS["screen"], "by": "model"}}))
    with pytest.raises(InputError, match="there are no results of"):
        clean(config)


def test_what_may_go_is_gathered_by_a_rule_that_reads_it(merged):
    table = {row.rule: row for row in TABLE}
    study = Campaign.from_dict({**yaml.safe_load(merged.to_yaml()), "learning": {"sizes": [5], "members": 1}})
    for rule, by in GATHERED.items():
        inputs = [path for found in table[by].inputs(study, "").values() for path in np.atleast_1d(found)]
        assert set(table[rule].targets(study).values()) <= set(inputs)
