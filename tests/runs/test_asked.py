from pathlib import Path

import pytest

from mechscreen.errors import InputError
from mechscreen.runs.asked import asked_by, check_arrays, check_resources, profiles_of

PROFILE = """\
executor: slurm
slurm-qos: night
default-resources:
  slurm_account: nobody
  runtime: 10
set-resources:
  train_member:
    gpu: 1
    slurm_partition: gpu
    runtime: 90
"""
AS_LISTS = """\
default-resources:
  - slurm_account=nobody
set-resources:
  - train_member:gpu=1
"""


@pytest.fixture
def profile(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(PROFILE)
    return path


@pytest.mark.parametrize(
    ("rule", "refusal", "lines"),
    [
        ("merge_shards", "Invalid account or account/partition combination specified", [(4, "slurm_account: nobody")]),
        ("train_member", "invalid partition specified: gpu", [(9, "slurm_partition: gpu")]),
        ("train_member", "Invalid generic resource (gres) specification", [(8, "gpu: 1")]),
        ("train_member", "Requested time limit is invalid (missing or exceeds some limit)", [(10, "runtime: 90")]),
        ("merge_shards", "Requested time limit is invalid (missing or exceeds some limit)", [(5, "runtime: 10")]),
        ("merge_shards", "Invalid qos specification", [(2, "slurm-qos: night")]),
        ("merge_shards", "Invalid feature specification", []),
        ("merge_shards", "I/O error writing script/environment to file", []),
    ],
)
def test_a_refusal_is_found_again_in_the_line_that_asked(profile, rule, refusal, lines):
    assert asked_by([], [profile], rule, refusal) == tuple(f"{profile}:{number}: {text}" for number, text in lines)


def test_what_the_command_line_sets_takes_the_place_of_the_profile(profile):
    command = ["snakemake", "--set-resources", "train_member:gpu=8", "--default-resources", "slurm_account=me"]
    refused = asked_by(command, [profile], "train_member", "Invalid gres")
    assert refused == ("the command line: train_member:gpu=8",)
    assert asked_by(command, [profile], "train_member", "Invalid account") == ("the command line: slurm_account=me",)


def test_lists_of_a_profile_are_read_as_mappings_are(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(AS_LISTS)
    assert asked_by([], [path], "train_member", "Invalid account") == (f"{path}:2: - slurm_account=nobody",)
    assert asked_by([], [path], "train_member", "Invalid gres") == (f"{path}:4: - train_member:gpu=1",)


def test_a_profile_that_cannot_be_read_says_nothing(tmp_path):
    (tmp_path / "broken.yaml").write_text("a: [")
    assert asked_by([], [tmp_path / "broken.yaml", tmp_path / "none.yaml"], "x", "Invalid account") == ()


def test_profiles_are_those_that_the_command_names(tmp_path, profile):
    command = ["snakemake", "--profile", str(tmp_path), f"--workflow-profile={tmp_path}", "--cores", "2"]
    assert [path.resolve() for path in profiles_of(command)] == [profile.resolve()] * 2
    assert profiles_of(["snakemake", "--profile"]) == []


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("tasks", 0, "tasks of simulate_shard is 0; give a whole number of 1 or more"),
        ("tasks", "many", "tasks of simulate_shard is many; give"),
        ("runtime", 0, "runtime of simulate_shard is 0; give a whole number of 1 minutes or more"),
        ("mem_mb_per_cpu", "-5", "mem_mb_per_cpu of simulate_shard is -5; give a whole number of 1 MB or more"),
    ],
)
def test_resources_that_make_no_sense_are_refused_by_their_own_names(name, value, told):
    with pytest.raises(InputError, match=told):
        check_resources({"simulate_shard": {name: value}})


def test_numbers_and_expressions_pass():
    check_resources(
        {"simulate_shard": {"tasks": 4, "runtime": "60 * attempt", "mem_mb": "2000", "gpu": 0, "mpi": "srun"}}
    )
    check_resources({"gather": {"slurm_partition": Path("x")}})


MPI_RULES = ["simulate_shard", "screen_block"]


@pytest.mark.parametrize("rules", ["all", "train_member, simulate_shard", "screen_block;draw_figure"])
def test_mpi_jobs_in_a_job_array_are_refused(rules):
    with pytest.raises(InputError, match=r"slurm-array-jobs: .*: MPI jobs \(.*(simulate_shard|screen_block)"):
        check_arrays(rules, MPI_RULES)


@pytest.mark.parametrize("rules", [None, "", "train_member,draw_figure"])
def test_other_jobs_may_be_array_jobs(rules):
    check_arrays(rules, MPI_RULES)
