import os
import shutil

import pytest
import yaml

from campaigns import ROOT
from mechscreen.errors import InputError
from mechscreen.runs import doctor


@pytest.fixture
def profile(tmp_path):
    def write(**settings):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
        return tmp_path

    return write


def examined(profile, results):
    said = []
    return doctor.examine(profile, results, said.append), said


def test_this_machine_is_well_and_ranks_find_each_other(tmp_path):
    well, said = examined(ROOT / "cluster_profiles/local", tmp_path / "results")
    assert well, said
    assert any("MPI: 2 ranks on" in line for line in said)
    assert any("file locks: work" in line for line in said)
    assert not list((tmp_path / "results").iterdir())


def test_a_launcher_that_starts_copies_is_found_out(profile, tmp_path):
    # As a launcher of another MPI does: each copy believes that it is alone.
    launcher = tmp_path / "launch"
    launcher.write_text('#!/bin/bash\nshift 2\n"$@" & "$@"\nwait\n')
    launcher.chmod(0o755)
    well, said = examined(
        profile(**{"set-resources": {"simulate_shard": {"mpi": str(launcher)}}}), tmp_path / "results"
    )
    assert not well
    assert any("2 ranks were asked for, but this process is alone" in line for line in said)
    assert any("put the launcher of your MPI into the profile" in line for line in said)


def test_a_launcher_that_is_not_there_is_said(profile, tmp_path):
    well, said = examined(profile(**{"set-resources": {"simulate_shard": {"mpi": "no-such-launcher"}}}), tmp_path / "r")
    assert not well
    assert any("no-such-launcher: " in line and "not found" in line for line in said)


@pytest.mark.skipif(shutil.which("sbatch") is not None, reason="sbatch is here")
def test_slurm_without_its_commands_is_said(profile, tmp_path):
    well, said = examined(profile(executor="slurm"), tmp_path / "r")
    assert not well
    assert any("there is no sbatch here" in line for line in said)


def test_too_little_space_and_inodes_are_said(monkeypatch, tmp_path):
    monkeypatch.setattr(doctor, "LEAST_SPACE", 1e18)
    monkeypatch.setattr(doctor, "LEAST_INODES", 1e18)
    well, said = examined(ROOT / "cluster_profiles/local", tmp_path)
    assert not well
    assert sum(line.startswith("look ") for line in said) == 2


def test_a_missing_package_and_an_old_one_are_said(monkeypatch, tmp_path):
    asked = ["no-such-package>=1", "numpy>=999", "jax>=999; extra == 'jax'"]
    monkeypatch.setattr(doctor.metadata, "requires", lambda name: asked)
    finding = doctor._packages()
    assert "no-such-package is missing" in finding.found
    assert "is not >=999" in finding.found
    assert "jax" not in finding.found


def test_a_profile_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(InputError, match=r"config.yaml: cannot be read"):
        doctor.examine(tmp_path, tmp_path, print)
    (tmp_path / "config.yaml").write_text("a: [")
    with pytest.raises(InputError, match="not valid YAML"):
        doctor.examine(tmp_path, tmp_path, print)


def test_a_profile_is_read_as_snakemake_reads_it_in_either_form(tmp_path):
    (tmp_path / "config.yaml").write_text("executor: local\n")
    newer = tmp_path / "config.v8+.yaml"  # which Snakemake prefers
    newer.write_text(
        "executor: slurm\n"
        "default-resources:\n  - slurm_account=mine\n  - slurm_partition='cpu'\n  - mem_mb=2*input.size_mb\n"
        "set-resources:\n  - train_member:slurm_partition=gpu\n"
        "  - simulate_shard:mpi='srun --mpi=pmix --kill-on-bad-exit'\n"
    )
    of_lists = doctor._read_profile(tmp_path)
    newer.write_text(
        "executor: slurm\n"
        "default-resources:\n  slurm_account: mine\n  slurm_partition: cpu\n  mem_mb: 2*input.size_mb\n"
        "set-resources:\n  train_member: {slurm_partition: gpu}\n"
        "  simulate_shard: {mpi: \"'srun --mpi=pmix --kill-on-bad-exit'\"}\n"
    )
    assert of_lists == doctor._read_profile(tmp_path)
    assert of_lists.executor == "slurm"
    assert of_lists.resources("train_member") == {
        "slurm_account": "mine",
        "slurm_partition": "gpu",
        "mem_mb": "2*input.size_mb",
    }
    assert of_lists.resources("simulate_shard")["mpi"] == "srun --mpi=pmix --kill-on-bad-exit"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"default-resources": ["slurm_account"]}, "'slurm_account' in default-resources has no '='"),
        ({"set-resources": ["gpu=1"]}, "in set-resources names no rule; write rule:gpu=1"),
        ({"set-resources": {"train_member": 1}}, "config.yaml: not valid YAML, or not a profile"),
        ([1, 2], "config.yaml: not valid YAML, or not a profile"),
    ],
)
def test_an_entry_of_a_profile_that_snakemake_would_not_take_is_named(tmp_path, settings, message):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    with pytest.raises(InputError, match=message):
        doctor.examine(tmp_path, tmp_path, print)


@pytest.fixture
def submitted(tmp_path, monkeypatch):
    """Stand in for SLURM: return a function that reads the commands that were submitted."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "sbatch").write_text(f'#!/bin/bash\nprintf "%s " "$@" >> {tmp_path}/asked\necho >> {tmp_path}/asked\n')
    (folder / "sbatch").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    # The programs beside this Python come first in the environment of jobs.
    monkeypatch.setattr(doctor, "_environment", lambda: dict(os.environ))
    return lambda: (tmp_path / "asked").read_text().splitlines()


@pytest.mark.parametrize(
    ("resources", "option"),
    [
        (["gpu=1"], "--gpus=1 "),
        (["gpu_model=a100"], "--gpus=a100:1 "),
        (["gpu_model=a100", "gpu=2"], "--gpus=a100:2 "),
        (["gres=gpu:1"], "--gres=gpu:1 "),
        (["gres='gpu:a100:2'"], "--gres=gpu:a100:2 "),
        (["slurm_extra='--gpus-per-node=1 --qos=high'"], "--gpus-per-node=1 --qos=high "),
    ],
)
def test_each_way_to_ask_for_gpus_is_tried(profile, tmp_path, submitted, resources, option):
    folder = profile(
        executor="slurm",
        **{
            "default-resources": ["slurm_account=mine"],
            "set-resources": [f"train_member:{resource}" for resource in resources],
        },
    )
    _, said = examined(folder, tmp_path / "results")
    assert not any("asks for none" in line for line in said)
    on_nodes, on_gpu = submitted()
    assert option in on_gpu
    assert option not in on_nodes
    assert "--account=mine " in on_nodes
    assert "--account=mine " in on_gpu


def test_a_profile_without_gpus_and_one_whose_word_for_them_is_not_passed_on_are_said(profile, tmp_path, submitted):
    for resource, found in (
        ("gres=license:1", "GPU: the profile asks for none"),
        ("gpu=0", "GPU: the profile asks for none"),
        ("gpus=2", "GPU: Snakemake does not pass 'gpus' of the profile on"),
    ):
        folder = profile(executor="slurm", **{"set-resources": [f"train_member:{resource}"]})
        assert any(found in line for line in examined(folder, tmp_path / "results")[1])
