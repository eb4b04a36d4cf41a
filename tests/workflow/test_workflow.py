"""The whole workflow through Snakemake, on the example campaign at its smallest."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from campaigns import BIN, ROOT, STRIPE, arrays, jobs, snakemake, snakemake_command
from mechscreen.campaign import Campaign
from mechscreen.models import get_model
from mechscreen.runs.forecast import forecast
from mechscreen.runs.init import init
from mechscreen.runs.requests import ask
from mechscreen.runs.used import done_file

MEASURED = """
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print(used.ru_utime + used.ru_stime, used.ru_maxrss)
"""


def changed(**sections):
    values = {key: dict(value) if isinstance(value, dict) else value for key, value in STRIPE.items()}
    for name, change in sections.items():
        values[name] = {**values.get(name, {}), **change} if isinstance(change, dict) else change
    return values


def documented_lines():
    """Return the indented Snakemake lines of the documentation that can be planned before anything has run."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    lines = [line for page in pages for line in re.findall(r"^    snakemake (.+)$", page.read_text(), re.MULTILINE)]
    planned = dict.fromkeys(re.sub(" --(dry-run|touch)$", "", line) for line in lines)
    return [line for line in planned if "--report" not in line]


def test_the_documentation_has_snakemake_lines():
    assert len(documented_lines()) >= 4


def test_a_wrong_key_of_a_discovery_study_ends_before_any_job(tmp_path):
    config = tmp_path / "study.yaml"
    config.write_text(yaml.safe_dump({"name": "small", "tables": {"a": {"rows": [{"case": "cycel"}]}}}))
    command = [BIN / "snakemake", "--snakefile", ROOT / "benchmarks/discovery_study/Snakefile", "--directory", tmp_path]
    command += ["--configfile", config, "--workflow-profile", ROOT / "cluster_profiles/local"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=100)
    assert done.returncode != 0
    assert "no case 'cycel'; did you mean 'cycle'" in done.stdout + done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("line", documented_lines())
def test_every_snakemake_line_of_the_documentation_can_be_planned(line, tmp_path):
    if line.endswith("--configfile campaign.yaml"):
        init(tmp_path)
    else:
        for name in ("Snakefile", "workflow", "config", "cluster_profiles", "examples", "benchmarks"):
            (tmp_path / name).symlink_to(ROOT / name)
    if "epidemic.yaml" in line:
        subprocess.run(shlex.split("cc -O2 -o epidemic examples/programs/epidemic.c"), cwd=tmp_path, check=True)
    # Some stand on a campaign that was run.
    if "config/planes" in line or "base=active" in line:
        values = yaml.safe_load((ROOT / "config/active.yaml").read_text())
        base = Campaign.from_dict({**values, "results": str(tmp_path / "results")})
        for view in base.in_rounds:
            for member in range(base.emulators.members):
                network = view.paths.member(member) / "model.keras"
                network.parent.mkdir(parents=True)
                network.touch()
        base.record()
    command = [BIN / "snakemake", *shlex.split(line), "--dry-run"]
    done = subprocess.run([str(part) for part in command], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which the campaign ran."""
    folder = tmp_path_factory.mktemp("workflow")
    done = snakemake(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.slow
def test_campaign_runs_from_simulations_to_report_and_says_what_it_found(finished):
    results = finished / "results/small"
    html = (results / "report.html").read_text()
    assert "<img" in html
    summary = (results / "summary.txt").read_text()
    assert "200" in summary
    assert "second half" in summary
    assert not list(results.rglob("*.partial"))
    assert not list(results.rglob("*.tmp*"))


@pytest.mark.slow
def test_a_second_campaign_adds_what_the_first_ones_ensemble_selects(finished, tmp_path):
    folder = tmp_path / "both"
    shutil.copytree(finished, folder, symlinks=True)
    second = changed(
        name="selected",
        seed=8,
        selection={"campaign": "small", "candidates": 20},
        simulations={"count": 50, "shard_size": 50},
        screen={"count": 2000},
    )
    planned = snakemake(folder, "--dry-run", campaign=second)
    assert jobs(planned)["select_shard"] == jobs(planned)["simulate_shard"] == 1
    done = snakemake(folder, campaign=second)
    assert done.returncode == 0, done.stdout + done.stderr
    results = folder / "results/selected"
    assert json.loads((results / "dataset/manifest.json").read_text())["simulations"] == 250
    assert "250, 50 of them selected, 0 of them dropped" in (results / "summary.txt").read_text()
    assert jobs(snakemake(folder, "--dry-run", campaign=second)) == {}


@pytest.mark.slow
def test_status_of_a_finished_campaign_is_done(finished):
    command = [BIN / "mechscreen", "status", "results/small"]
    said = subprocess.run(command, cwd=finished, capture_output=True, text=True, check=True).stdout
    assert "done: results/small/report.html" in said
    assert "simulate_shard     2 of 2 done" in said
    assert "stopped" not in said


@pytest.mark.slow
def test_no_more_files_and_bytes_are_left_than_forecast(finished, monkeypatch):
    monkeypatch.chdir(finished)
    steps = forecast(Campaign.from_dict(STRIPE))
    results = [path for path in Path("results/small").rglob("*") if path.is_file()]
    records = [path for path in Path(".snakemake/metadata").rglob("*") if path.is_file()]
    expected = sum(step.files for step in steps)
    assert 0.6 * expected < len(results) + len(records) <= expected
    assert sum(path.stat().st_size for path in results) <= sum(step.disk for step in steps)


@pytest.mark.slow
def test_each_job_that_was_done_is_noted_and_the_next_campaign_asks_by_what_they_took(finished):
    done = [json.loads(line) for line in done_file(finished / "results/small").read_text().splitlines()]
    planned = [step for step in forecast(Campaign.from_dict(STRIPE)) if not step.rule.study]
    assert {(job["rule"], job["job"]) for job in done} == {
        (step.rule.name, job) for step in planned for job in step.rule.targets
    }
    # The model says that a simulation takes a second, and it takes some hundred microseconds.
    more = {"name": "more", "simulations": {"count": 20_000, "shard_size": 10_000}}
    asked = []
    for like in (None, "results/small"):
        command = snakemake_command(finished, changed(**more, resources_like=like), ROOT / "cluster_profiles/local")
        simulate = next(job for job in ask(command[1:]).requests if job.rule == "simulate_shard")
        asked.append([simulate.resources[key] for key in ("tasks", "runtime")])
    # On the two ranks of the profile, three times 10,000 s.
    assert asked == [[2, 251], [2, 10]]


@pytest.mark.slow
def test_second_run_has_nothing_to_do(finished):
    assert jobs(snakemake(finished, "--dry-run")) == {}


def turn_dates(original, copied):
    """Date the files of a copy so that what was made last is the oldest."""
    files = [path for path in original.rglob("*") if path.is_file()]
    by_age = sorted(files, key=lambda path: path.stat().st_mtime_ns)
    for age, path in enumerate(by_age):
        seconds = by_age[-1].stat().st_mtime - age
        os.utime(copied / path.relative_to(original), (seconds, seconds))


@pytest.mark.slow
@pytest.mark.parametrize("order", ["as cp copies", "the last first"])
def test_after_a_plain_copy_there_is_nothing_to_do(finished, tmp_path, order):
    copied = tmp_path / "copied"
    subprocess.run(["cp", "-r", finished, copied], check=True)
    if order == "the last first":
        turn_dates(finished / "results", copied / "results")
        # Checksums tell, which the profiles keep of files of any size.
        assert jobs(snakemake(copied, "--dry-run", "--max-checksum-file-size", "0")) != {}
    assert jobs(snakemake(copied, "--dry-run")) == {}
    said = subprocess.run([BIN / "mechscreen", "status", copied / "results/small"], capture_output=True, text=True)
    assert f"done: {copied}/results/small/report.html" in said.stdout
    # Its plan is the one that was written where the campaign ran, with the paths of the copy.
    assert (copied / "results/small/plan.json").read_text() == (finished / "results/small/plan.json").read_text()


@pytest.mark.slow
def test_results_that_are_copied_alone_stand_by_their_dates_or_once_they_are_touched(finished, tmp_path):
    copied = tmp_path / "results"
    subprocess.run(["cp", "-a", finished / "results", copied], check=True)
    assert jobs(snakemake(tmp_path, "--dry-run")) == {}
    turn_dates(finished / "results", copied)
    planned = jobs(snakemake(tmp_path, "--dry-run"))
    assert planned["train_member"] == 2
    assert "simulate_shard" not in planned
    before = arrays(copied, "**/*.h5")
    touched = snakemake(tmp_path, "--touch")
    assert touched.returncode == 0, touched.stderr
    assert jobs(snakemake(tmp_path, "--dry-run")) == {}
    assert arrays(copied, "**/*.h5") == before == arrays(finished / "results", "**/*.h5")


@pytest.mark.slow
def test_of_results_that_are_copied_alone_a_change_is_noticed_and_the_way_on_named(finished, tmp_path):
    results = tmp_path / "results"
    subprocess.run(["cp", "-a", finished / "results", results], check=True)
    before = {path: path.read_bytes() for path in results.rglob("*") if path.is_file()}
    other = changed(seed=STRIPE["seed"] + 1)
    for arguments in (["--dry-run"], [], ["--touch"]):
        refused = snakemake(tmp_path, *arguments, campaign=other)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        said = refused.stdout + refused.stderr
        assert f"shard-00000.h5: made with seed = {STRIPE['seed']}, this campaign says {other['seed']}" in said
        assert "--forcerun simulate_shard" in said
        assert "merge_shards" not in said
    assert {path: path.read_bytes() for path in results.rglob("*") if path.is_file()} == before
    planned = jobs(snakemake(tmp_path, "--dry-run", "--forcerun", "simulate_shard", campaign=other))
    assert planned["simulate_shard"] == planned["train_member"] == 2
    assert jobs(snakemake(tmp_path, "--dry-run", "--forceall", campaign=other))["simulate_shard"] == 2
    # The first stage that differs is named, here by the record that stands for a network.
    longer = snakemake(tmp_path, "--dry-run", campaign=changed(emulators={"training": {"epochs": 7}}))
    assert longer.returncode == 2
    assert "model.keras: made with emulators.training.epochs = " in longer.stdout + longer.stderr
    assert "--forcerun train_member)" in longer.stdout + longer.stderr
    # What only adds files goes on from those that are there.
    larger = changed(simulations={"count": 300})
    refused = snakemake(tmp_path, "--dry-run", campaign=larger)
    assert "simulations.count = 200, this campaign says 300" in refused.stdout + refused.stderr
    grown = jobs(snakemake(tmp_path, "--dry-run", "--forcerun", "merge_shards", campaign=larger))
    assert (grown["simulate_shard"], grown["merge_shards"], grown["train_member"]) == (1, 1, 2)


@pytest.mark.slow
def test_to_touch_what_another_configuration_made_is_refused(finished, tmp_path):
    folder = tmp_path / "all"
    subprocess.run(["cp", "-a", finished, folder], check=True)
    other = changed(seed=STRIPE["seed"] + 1)
    assert jobs(snakemake(folder, "--dry-run", campaign=other))["simulate_shard"] == 2
    refused = snakemake(folder, "--touch", campaign=other)
    assert refused.returncode == 2
    assert "made with seed" in refused.stdout + refused.stderr


@pytest.mark.slow
def test_more_simulations_add_shards_and_touch_none(finished):
    grown = changed(simulations={"count": 300})
    planned = jobs(snakemake(finished, "--dry-run", campaign=grown))
    assert planned["simulate_shard"] == 1
    assert planned["merge_shards"] == 1
    assert planned["train_member"] == 2


@pytest.mark.slow
def test_one_more_member_trains_that_member_only(finished):
    planned = jobs(snakemake(finished, "--dry-run", campaign=changed(emulators={"members": 3})))
    assert planned["train_member"] == 1
    assert "simulate_shard" not in planned
    assert "merge_shards" not in planned


@pytest.mark.slow
def test_members_that_learn_together_join_those_that_learned_alone(finished, tmp_path):
    pytest.importorskip("jax")
    folder = shutil.copytree(finished, tmp_path / "together")
    members = folder / "results/small/emulators/dense"
    before = {path: path.read_bytes() for path in members.rglob("*") if path.is_file()}
    assert jobs(snakemake(folder, "--dry-run", campaign=changed(emulators={"together": True}))) == {}
    grown = changed(emulators={"together": True, "members": 3})
    planned = jobs(snakemake(folder, "emulators", "--dry-run", campaign=grown))
    assert {rule: n for rule, n in planned.items() if rule != "emulators"} == {"train_ensemble": 1}
    done = snakemake(folder, "emulators", campaign=grown)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path: path.read_bytes() for path in before} == before
    assert json.loads((members / "member-2/member.json").read_text())["backend"] == "jax"
    assert jobs(snakemake(folder, "emulators", "--dry-run", campaign=grown)) == {}


@pytest.mark.slow
def test_probabilities_that_are_asked_for_later_remake_the_screen_and_leave_the_networks(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "calibrated")
    own = changed(calibration={"count": 200, "candidates": 6000})
    planned = set(jobs(snakemake(folder, "--dry-run", campaign=own)))
    anew = {"screen_block", "gather_screen", "validate_hits", "draw_figure", "write_report"}
    assert planned == {"calibrate_ensemble", *anew}
    refused = snakemake(folder, "calibration", "--dry-run")
    assert refused.returncode == 2
    assert "asks for no probabilities; set calibration.count" in refused.stdout + refused.stderr
    done = snakemake(folder, "calibration", campaign=own)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "calibrate: 200 simulations" in (folder / "results/small/logs/calibrate/calibrate.log").read_text()
    assert (folder / "results/small/calibration/calibration.h5").exists()
    left = set(jobs(snakemake(folder, "--dry-run", campaign=own)))
    assert left == anew


@pytest.mark.slow
def test_an_imported_table_remakes_the_training_set_and_after_and_so_does_each_change_of_it(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "imports")
    shutil.copytree(finished / ".snakemake", folder / ".snakemake", dirs_exist_ok=True)
    model = get_model(STRIPE["model"]["name"])
    head = ["c0", "decay_length", "K_on", "K_off", "hill", *(f"gene[{i}]" for i in range(101))]

    def write(n):
        sets = np.column_stack([np.linspace(p.low, p.high, n + 2)[1:-1] for p in model.space])
        series = model.solve(sets, None).profiles[:, 0]
        np.savetxt(folder / "runs.csv", np.hstack([sets, series]), "%.17g", ",", header=",".join(head), comments="")

    write(4)
    own = changed(simulations={"imported": ["runs.csv"]})
    after = {"merge_shards", "train_member", "evaluate_ensemble", "screen_block", "gather_screen", "validate_hits"}
    planned = set(jobs(snakemake(folder, "--dry-run", campaign=own)))
    assert planned - {"draw_figure", "write_report"} == after
    made = snakemake(folder, "dataset", campaign=own)
    assert made.returncode == 0, made.stderr
    manifest = json.loads((folder / "results/small/dataset/manifest.json").read_text())
    assert (manifest["simulations"], manifest["imported"]) == (200, 4)
    assert jobs(snakemake(folder, "dataset", "--dry-run", campaign=own)) == {}
    os.utime(folder / "runs.csv")
    assert jobs(snakemake(folder, "dataset", "--dry-run", campaign=own)) == {}, "its content counts"
    write(5)
    assert jobs(snakemake(folder, "dataset", "--dry-run", campaign=own)).keys() - {"dataset"} == {"merge_shards"}
    (folder / "runs.csv").write_text("c0\n1\n")
    stopped = snakemake(folder, "dataset", campaign=own)
    assert stopped.returncode != 0
    assert "runs.csv, line 1: lacks the columns decay_length, K_on" in stopped.stdout + stopped.stderr


@pytest.mark.slow
def test_larger_screen_adds_blocks(finished):
    planned = jobs(snakemake(finished, "--dry-run", campaign=changed(screen={"count": 6000})))
    assert planned["screen_block"] == 1
    assert "train_member" not in planned


@pytest.mark.slow
def test_another_disagreement_limit_screens_anew_with_the_same_ensemble(finished):
    planned = jobs(snakemake(finished, "--dry-run", campaign=changed(screen={"disagreement_limit": 0.3})))
    assert planned["screen_block"] == 2
    assert "train_member" not in planned


@pytest.mark.slow
def test_bad_shard_is_named_and_a_rerun_remakes_it_alone(finished):
    shard = finished / "results/small/simulations/shard-00001.h5"
    whole = shard.read_bytes()
    damaged = bytearray(whole)
    damaged[len(damaged) // 2] ^= 1
    shard.write_bytes(damaged)
    done = snakemake(finished, "dataset")
    assert done.returncode != 0
    assert "shard-00001.h5" in done.stdout + done.stderr
    assert not shard.exists()
    again = snakemake(finished, "dataset")
    assert again.returncode == 0, again.stdout + again.stderr
    assert shard.read_bytes() == whole
    assert jobs(again)["simulate_shard"] == 1


@pytest.mark.slow
def test_a_single_figure_can_be_asked_for(finished):
    planned = jobs(snakemake(finished, "--dry-run", "--force", "results/small/figures/planes.png"))
    assert planned == {"draw_figure": 1}


@pytest.mark.slow
def test_the_study_of_sample_sizes_is_a_target_with_a_job_for_each_size_and_network(finished):
    study = changed() | {"learning": {"sizes": [50, 100], "members": 2}}
    planned = jobs(snakemake(finished, "learning", "--dry-run", campaign=study))
    assert {name: planned[name] for name in planned if name != "learning"} == {
        "train_on_samples": 4,
        "measure_learning": 1,
    }
    done = snakemake(finished, "learning", campaign=study)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (finished / "results/small/learning/dense/learning.png").exists()


@pytest.mark.slow
def test_snakemake_makes_its_own_report(finished):
    done = snakemake(finished, "--report", "snakemake-report.html")
    assert done.returncode == 0, done.stderr
    assert (finished / "snakemake-report.html").stat().st_size > 10**5


@pytest.mark.parametrize("profile", ["local", "slurm"])
@pytest.mark.parametrize(("name", "shards", "members", "blocks"), [("demo", 8, 3, 2), ("paper", 100, 4, 50)])
def test_dry_run_of_shipped_campaigns_lists_every_job(tmp_path, profile, name, shards, members, blocks):
    campaign = yaml.safe_load((ROOT / f"config/{name}.yaml").read_text())
    planned = jobs(snakemake(tmp_path, "--dry-run", campaign=campaign, profile=profile))
    assert (planned["simulate_shard"], planned["train_member"], planned["screen_block"]) == (shards, members, blocks)
    assert not (tmp_path / "results").exists()


def test_dry_run_of_ten_million_simulations_is_quick_and_small(tmp_path):
    """In processor time, which does not depend on what else the machine does."""
    campaign = yaml.safe_load((ROOT / "config/large.yaml").read_text())
    command = snakemake_command(tmp_path, campaign, ROOT / "cluster_profiles/slurm", "--dry-run", "--quiet")
    # By a small process in between: a process that is forked from a large one counts as one.
    done = subprocess.run([sys.executable, "-c", MEASURED, *command], capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
    assert "large, from start to end: 319 jobs" in done.stderr
    seconds, kilobytes = map(float, done.stdout.split()[-2:])
    assert seconds <= 5
    assert kilobytes <= 300_000


def test_lint_asks_for_nothing_but_a_conda_environment_per_rule(tmp_path):
    # Snakemake and its jobs share one environment, the one that `make install` or environment.yml makes.
    done = snakemake(tmp_path, "--lint")
    found = set(re.findall(r"^    \* (.*)$", done.stdout + done.stderr, re.MULTILINE))
    assert found == {"Specify a conda environment or container for each rule.:"}


def test_a_wrong_key_ends_with_one_message_and_code_2_and_writes_nothing(tmp_path):
    done = snakemake(tmp_path, campaign=changed(screen={"disagreement_limt": 0.1}))
    assert done.returncode == 2
    message = [line for line in done.stderr.splitlines() if line.startswith("mechscreen: ")]
    assert len(message) == 1
    assert "'screen.disagreement_limt'; did you mean 'disagreement_limit'?" in message[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize(
    ("blocked", "message"),
    [
        ("results", "results: is no folder, and results go there; move it away or use another results folder"),
        ("results/small", "results/small: is no folder, and "),
        ("results/small/simulations", "results/small/simulations: is no folder, and "),
        ("results/small/logs/merge", "results/small/logs/merge: is no folder, and "),
        ("results/small/plan.json", "results/small/plan.json: is a folder, and a file has to be written there; move "),
    ],
)
def test_what_stands_in_the_place_of_results_ends_it_with_one_message_before_any_job(tmp_path, blocked, message):
    (tmp_path / blocked).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / blocked).mkdir() if blocked.endswith(".json") else (tmp_path / blocked).write_text("mine")
    done = snakemake(tmp_path)
    assert done.returncode == 2, done.stderr
    assert [line for line in done.stderr.splitlines() if line.startswith(f"mechscreen: {message}")]
    assert done.stderr.count("mechscreen: ") == 1
    assert "Traceback" not in done.stderr
    assert "Snakefile" not in done.stderr.rpartition("mechscreen: ")[2]
    assert not list(tmp_path.rglob("*.h5"))


def test_a_results_folder_that_cannot_be_written_ends_it_with_one_message_and_code_74(tmp_path):
    nobodys = "/sys"  # where not even root makes a folder
    done = snakemake(tmp_path, campaign=changed(results=nobodys))
    assert done.returncode == 74, done.stderr
    assert f"mechscreen: {nobodys}/small/logs/run.json: cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr


def test_a_study_of_sample_sizes_without_sizes_ends_before_any_job(tmp_path):
    done = snakemake(tmp_path, "learning")
    assert done.returncode == 2
    assert "mechscreen: 'small' has no learning.sizes; give the numbers of samples to learn from" in done.stderr
    assert not (tmp_path / "results").exists()


def test_a_screen_by_the_model_needs_no_other_stage(tmp_path):
    direct = {key: value for key, value in changed(screen={"by": "model"}).items() if key != "simulations"}
    planned = jobs(snakemake(tmp_path, "--dry-run", campaign=direct))
    once = {"gather_screen": 1, "validate_hits": 1, "write_report": 1}
    assert planned == {"screen_block": 2, "draw_figure": 4, **once}
    done = snakemake(tmp_path, "emulators", campaign=direct)
    assert done.returncode == 2
    assert "mechscreen: 'small' has no such stage: by screen.by = model, its screen needs no emulators" in done.stderr
    assert not (tmp_path / "results").exists()


@pytest.mark.slow
def test_a_campaign_by_the_model_runs_to_its_report(tmp_path):
    direct = {key: value for key, value in changed(screen={"by": "model"}).items() if key != "simulations"}
    done = snakemake(tmp_path, campaign=direct)
    assert done.returncode == 0, done.stdout + done.stderr
    summary = (tmp_path / "results/small/summary.txt").read_text()
    assert "4,000 parameter sets by the model itself, without emulators" in summary
    assert summary in done.stderr
    assert jobs(snakemake(tmp_path, "--dry-run", campaign=direct)) == {}


def test_no_configuration_at_all_is_said(tmp_path):
    command = [BIN / "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", tmp_path, "--cores", "1"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=100)
    assert done.returncode == 2
    assert "--configfile config/demo.yaml" in done.stderr
