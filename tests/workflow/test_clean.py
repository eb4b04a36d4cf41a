"""What Snakemake makes of a folder that was cleaned, or purged by a scratch file system."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from campaigns import BIN, ROOT, snakemake_command
from mechscreen.campaign import Campaign
from mechscreen.runs.folder import write_plan
from mechscreen.runs.forecast import forecast
from mechscreen.runs.jobs import benchmark_file, rules
from mechscreen.stages.merge import merge
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.simulate import simulate

QUICK = f"{Path(__file__).parents[1] / 'quick.py'}"
VALUES = {
    "name": "small",
    "seed": 1,
    "model": {"name": f"{QUICK}:Quick"},
    "simulations": {"count": 80, "shard_size": 40},
    "emulators": {
        "members": 2,
        "combine": "mean",
        "architecture": {"network": "dense", "width": 8, "blocks": 1},
        "training": {"epochs": 1},
    },
    "screen": {
        "count": 40,
        "block_size": 20,
        "bins": 4,
        "objective": {"name": f"{QUICK}:half", "options": {"classes": ["low", "high"]}, "target": ["low"]},
    },
}
BY_MODEL = {key: value for key, value in VALUES.items() if key not in ("simulations", "emulators")}
BY_MODEL = {**BY_MODEL, "screen": {**VALUES["screen"], "by": "model"}}


def snakemake(folder, values, *arguments):
    command = snakemake_command(folder, values, ROOT / "cluster_profiles/local", *arguments)
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=500)


def jobs(done):
    """Return how many jobs of each rule were planned or run."""
    assert done.returncode == 0, done.stdout + done.stderr
    table = re.findall(r"Job stats:\n.*?\n-+.*?\n(.*?)\n\n", done.stdout + done.stderr, re.DOTALL)
    counts = dict(re.findall(r"^(\w+) +(\d+)", table[-1], re.MULTILINE)) if table else {}
    return {rule: int(n) for rule, n in counts.items() if rule not in ("all", "total")}


def clean(folder, *remove):
    command = [BIN / "mechscreen", "clean", "results/small", *(word for name in remove for word in ("--remove", name))]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def take_as_made(folder, values):
    """Leave behind what a run does: of what is not made here an empty file, and Snakemake's records."""
    campaign = Campaign.from_dict(values)
    campaign.record()
    for rule in rules(campaign):
        for job, target in rule.targets.items():
            for beside in (target, *_beside(campaign, target)):
                beside.parent.mkdir(parents=True, exist_ok=True)
                beside.touch()
            benchmark = benchmark_file(campaign.paths.root, rule.verb, job)
            benchmark.parent.mkdir(parents=True, exist_ok=True)
            benchmark.write_text("s\th:m:s\n60\t0:01:00\n")
    touched = snakemake(folder, values, "--touch", "--forceall")
    assert touched.returncode == 0, touched.stderr


def _beside(campaign, target):
    paths = campaign.paths
    return {
        "model.keras": [target.with_name("history.csv"), target.with_name("member.json")],
        "metrics.json": [paths.predictions, paths.emulators / "ensemble.json"],
        "report.html": [paths.summary],
    }.get(target.name, [paths.validation_summary, paths.validation_table] if target == paths.validation_hits else [])


@pytest.fixture(scope="module")
def merged(tmp_path_factory):
    """A folder where a campaign was finished: real simulations and training set, the rest by name alone."""
    folder = tmp_path_factory.mktemp("merged")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        campaign = Campaign.from_dict(VALUES)
        for shard in range(campaign.simulations.shards):
            simulate(campaign, shard)
        merge(campaign)
        take_as_made(folder, VALUES)
    return folder


@pytest.fixture
def finished(merged, tmp_path):
    return shutil.copytree(merged, tmp_path / "folder", symlinks=True)


@pytest.fixture
def screened(tmp_path, monkeypatch):
    """A folder where a campaign by the model was finished: real blocks and what is gathered from them."""
    monkeypatch.chdir(tmp_path)
    campaign = Campaign.from_dict(BY_MODEL)
    for block in range(campaign.screen.blocks):
        screen_block(campaign, block)
    gather_screen(campaign)
    take_as_made(tmp_path, BY_MODEL)
    return tmp_path


def state(folder):
    """Return bytes and time of each file of the results, logs, benchmarks, and what runs write of themselves aside."""
    found = (path for path in sorted((folder / "results").rglob("*")) if path.is_file())
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in found
        if not {"logs", "benchmarks"} & set(path.parts) and path.name not in ("plan.json", "used.json")
    }


@pytest.mark.parametrize("which", ["simulations", "dataset"])
def test_after_simulations_or_training_set_went_there_is_nothing_to_do(finished, which):
    removed = clean(finished, which, "logs", "leftovers")
    assert f"removed {which}" in removed.stdout, removed.stderr
    assert jobs(snakemake(finished, VALUES, "--dry-run")) == {}


def test_after_blocks_went_there_is_nothing_to_do_and_a_larger_screen_makes_them_again(screened):
    assert "removed blocks" in clean(screened, "blocks").stdout
    assert jobs(snakemake(screened, BY_MODEL, "--dry-run")) == {}
    larger = {**BY_MODEL, "screen": {**BY_MODEL["screen"], "count": 60}}
    assert jobs(snakemake(screened, larger, "--dry-run"))["screen_block"] == 3


def untouched(before, after, *changed):
    """See that all files but those below some folders have their bytes and their times."""
    assert after.keys() == before.keys()
    assert {name for name in before if before[name] != after[name]} <= {
        name for name in before if any(part in name for part in changed)
    }


@pytest.mark.slow
def test_a_network_is_trained_after_all_that_it_learns_from_was_purged_and_those_that_are_whole_stay(finished):
    results = finished / "results/small"
    before = state(finished)
    for path in [*results.glob("dataset/*"), results / "simulations/shard-00001.h5"]:
        path.unlink()
    for path in (results / "emulators/dense/member-1").iterdir():
        path.unlink()
    done = snakemake(finished, VALUES, "emulators")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "small: first results/small/dataset/manifest.json, since files are gone" in done.stderr
    assert jobs(done)["train_member"] == 1
    after = state(finished)
    untouched(before, after, "dataset/", "shard-00001.h5", "member-1/")
    lost = [name for name in before if "dataset/" in name or "shard-00001.h5" in name]
    assert [before[name][0] for name in lost] == [after[name][0] for name in lost]
    assert jobs(snakemake(finished, VALUES, "emulators", "--dry-run")) == {}


def test_what_was_gathered_and_is_gone_is_no_reason_to_make_anything(finished):
    results = finished / "results/small"
    lost = ["dataset", "simulations"]
    for path in [path for name in lost for path in (results / name).rglob("*") if path.is_file()]:
        path.unlink()
    assert jobs(snakemake(finished, VALUES, "--dry-run")) == {}


def test_defaults_stay_those_of_the_edition_where_the_configuration_was_purged(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    values = {**VALUES, "emulators": {"members": 2, "combine": "mean"}}
    old = Campaign.from_dict({**values, "edition": 1})
    assert old.identity("validation") != Campaign.from_dict(values).identity("validation")
    old.record()
    write_plan(old, forecast(old))
    old.paths.campaign.unlink()
    assert Campaign.from_dict(values).identity("validation") == old.identity("validation")


def test_a_dry_run_tells_what_would_be_made_first_and_makes_nothing(finished):
    (finished / "results/small/dataset/manifest.json").unlink()
    (finished / "results/small/validation/hits.h5").unlink()
    before = state(finished)
    planned = snakemake(finished, VALUES, "--dry-run")
    assert planned.returncode == 0, planned.stderr
    assert "small: first results/small/dataset/manifest.json, since files are gone" in planned.stderr
    assert state(finished) == before


@pytest.mark.slow
def test_of_a_screen_that_ran_what_is_gone_is_made_anew_and_what_is_whole_stays(tmp_path):
    ran = snakemake(tmp_path, BY_MODEL)
    assert ran.returncode == 0, ran.stderr
    results = tmp_path / "results/small"
    before = state(tmp_path)
    lost = ["screen/hits.h5", "screen/block-00000.h5", "validation/summary.json", "summary.txt", "figures/planes.png"]
    for name in lost:
        (results / name).unlink()
    again = snakemake(tmp_path, BY_MODEL)
    assert again.returncode == 0, again.stderr
    after = state(tmp_path)
    # Writing the report draws again what is older than what it shows.
    untouched(before, after, *lost, "screen/summary.h5", "validation/", "report.html", "figures/")
    assert [name for name in before if before[name][0] != after[name][0]] in ([], ["results/small/report.html"])
    assert jobs(snakemake(tmp_path, BY_MODEL, "--dry-run")) == {}
