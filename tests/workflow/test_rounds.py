"""Rounds of learning through Snakemake."""

import json
import re
import signal
import subprocess
import time

import h5py
import numpy as np
import pytest

from campaigns import ROOT, STRIPE, snakemake_command
from mechscreen.runs.status import progress

IN_ROUNDS = {
    **STRIPE,
    "name": "rounds",
    "selection": {"count": 100, "candidates": 20, "near": 0.5, "acquisition": "mix"},
}


def command(folder, rounds, *arguments):
    return snakemake_command(folder, {**IN_ROUNDS, "rounds": rounds}, ROOT / "cluster_profiles/local", *arguments)


def run(folder, rounds, *arguments):
    done = subprocess.run(command(folder, rounds, *arguments), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def jobs(told):
    return {rule: int(n) for rule, n in re.findall(r"^(\w+) +(\d+)$", told, re.MULTILINE)}


def test_a_dry_run_lists_all_rounds(tmp_path):
    found = jobs(run(tmp_path, 3, "--dry-run"))
    assert (found["select_shard"], found["simulate_shard"]) == (2, 4)
    assert (found["merge_shards"], found["train_member"], found["evaluate_ensemble"]) == (3, 6, 3)
    assert found["screen_block"] == 2


def test_a_campaign_without_rounds_is_planned_as_before(tmp_path):
    found = jobs(run(tmp_path, 1, "--dry-run"))
    assert "select_shard" not in found
    assert (found["simulate_shard"], found["train_member"]) == (2, 2)


@pytest.mark.slow
def test_rounds_end_where_the_ensemble_knows_enough(tmp_path):
    ending = {**IN_ROUNDS["selection"], "enough": {"error": 10.0}}
    campaign = {**IN_ROUNDS, "rounds": 3, "selection": ending}
    profile = ROOT / "cluster_profiles/local"

    def call(*arguments):
        done = subprocess.run(
            snakemake_command(tmp_path, campaign, profile, *arguments), capture_output=True, text=True, timeout=900
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    assert jobs(call("--dry-run"))["train_member"] == 6
    told = call()
    assert "rounds: round 1 first, which says whether others follow" in told
    assert jobs(call("--dry-run")) == {}
    assert not (tmp_path / "results/rounds/round-2").exists()
    rules = {item.rule.rule: item for item in progress(tmp_path / "results/rounds")}
    assert rules["train_member"].done == 2
    assert not any(item.missing for item in rules.values())
    # What the configuration says is no longer enough: the next round follows.
    campaign["selection"] = {**ending, "enough": {"error": 1e-9}}
    assert jobs(call("--dry-run"))["train_member"] == 4


def simulated(folder):
    found = {}
    for path in sorted((folder / "results/rounds").rglob("simulations/shard-*.h5")):
        with h5py.File(path) as file:
            found[str(path.relative_to(folder))] = {name: file[name][()] for name in ("parameters", "profiles")}
    return found


@pytest.mark.slow
def test_rounds_that_are_added_and_rounds_that_are_killed_are_those_of_one_run(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
    run(one, 1, "emulators")
    dry = jobs(run(one, 2, "--dry-run"))
    assert (dry["select_shard"], dry["simulate_shard"], dry["train_member"]) == (1, 1, 2)
    run(one, 2)
    # Killed as soon as the second round has begun.
    process = subprocess.Popen(command(other, 2, "emulators"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    begun = other / "results/rounds/round-2/logs"
    deadline = time.monotonic() + 600
    while not begun.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.2)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert begun.exists()
    unlocked = command(other, 2, "--unlock")
    subprocess.run(unlocked, capture_output=True, timeout=200)
    run(other, 2, "emulators")
    made, again = simulated(one), simulated(other)
    assert made.keys() == again.keys()
    assert len(made) == 3
    for name, arrays in made.items():
        for array, values in arrays.items():
            np.testing.assert_array_equal(again[name][array], values)
    rules = {item.rule.rule: item for item in progress(one / "results/rounds")}
    assert not any(item.missing for item in rules.values())
    assert "round-2/shard-00000" in rules["simulate_shard"].rule.targets
    assert "Rounds of learning" in (one / "results/rounds/report.html").read_text()
    assert jobs(run(one, 2, "--dry-run")) == {}
    # Another screen by the networks of the last round, of which nothing is made again.
    plane = {**IN_ROUNDS, "rounds": 2, "name": "plane", "base": "rounds"}
    line = snakemake_command(one, plane, ROOT / "cluster_profiles/local")
    dry = subprocess.run([*line, "--dry-run"], capture_output=True, text=True, timeout=900)
    assert jobs(dry.stdout).keys().isdisjoint({"select_shard", "simulate_shard", "merge_shards", "train_member"})
    done = subprocess.run(line, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    assert jobs(run(one, 2, "--dry-run")) == {}
    with (
        h5py.File(one / "results/rounds/screen/hits.h5") as base,
        h5py.File(one / "results/plane/screen/hits.h5") as own,
    ):
        np.testing.assert_array_equal(own["parameters"], base["parameters"])


@pytest.mark.long
def test_rounds_end_where_it_is_known_what_the_screen_finds(tmp_path):
    def campaign(width):
        return {
            **IN_ROUNDS,
            "rounds": 2,
            "selection": {**IN_ROUNDS["selection"], "enough": {"width": width}},
            "calibration": {"count": 100, "candidates": 2000},
            "screen": {**IN_ROUNDS["screen"], "confidence": 0.5},
        }

    def call(width, *arguments):
        profile = ROOT / "cluster_profiles/local"
        done = subprocess.run(
            snakemake_command(tmp_path, campaign(width), profile, *arguments),
            capture_output=True,
            text=True,
            timeout=900,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    root = tmp_path / "results/rounds"
    told = call(0.99)
    assert told.count("rounds: round 1 first, which says whether others follow") == 2
    assert not (root / "round-2").exists()
    answer = json.loads((root / "validation/answers/after-round-1.json").read_text())
    summary = json.loads((root / "validation/summary.json").read_text())
    assert answer == summary
    low, high = answer["population"]["recall"]["if_calibrated"]
    assert 0 < high - low <= 0.99
    assert jobs(call(0.99, "--dry-run")) == {}
    # What would not be enough has another round follow, and nothing is asked twice.
    planned = jobs(call(0.9 * (high - low), "--dry-run"))
    assert (planned["train_member"], planned["validate_hits"]) == (2, 1)
    told = call(0.9 * (high - low))
    assert "first, which says" not in told
    assert (root / "round-2").exists()
    assert json.loads((root / "validation/answers/after-round-1.json").read_text()) == answer
    assert jobs(call(0.9 * (high - low), "--dry-run")) == {}
    # And back: what was known after the first round is enough again.
    assert "train_member" not in jobs(call(0.99, "--dry-run"))
