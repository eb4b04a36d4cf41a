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
    with pytest.raises(InputError, match="parse config file"):
        doctor.examine(tmp_path, tmp_path, print)


def test_a_campaign_that_is_not_there_is_said_before_anything_is_made(tmp_path):
    with pytest.raises(InputError, match=r"nothing.yaml: does not exist"):
        doctor.examine(ROOT / "cluster_profiles/local", tmp_path / "results", print, tmp_path / "nothing.yaml")
    assert not (tmp_path / "results").exists()


def test_what_snakemake_does_not_take_is_said_in_its_words(profile, tmp_path):
    with pytest.raises(InputError, match="does not take this campaign with this profile: ValueError"):
        examined(profile(**{"default-resources": ["slurm_account"]}), tmp_path / "results")


def test_a_campaign_that_cannot_be_read_is_told_as_by_a_run(profile, tmp_path):
    campaign = tmp_path / "campaign.yaml"
    campaign.write_text("name: a\nsimulation: {count: 3}\n")
    with pytest.raises(InputError, match="simulation"):
        doctor.examine(ROOT / "cluster_profiles/local", tmp_path / "results", print, campaign)


def test_folders_that_take_nothing_are_named_before_snakemake_would_end_in_them(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "file/below"))
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    well, said = examined(ROOT / "cluster_profiles/local", tmp_path / "results")
    assert not well
    text = "\n".join(said)
    assert f"scratch: {tmp_path}/file/below: not a directory\n      → set TMPDIR" in text
    assert "caches: /dev/null: " in text
    assert "set XDG_CACHE_HOME" in text


def test_another_snakemake_in_the_path_is_said(monkeypatch, tmp_path):
    (tmp_path / "snakemake").write_text("#!/bin/sh\n")
    (tmp_path / "snakemake").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = doctor._snakemake()
    assert str(tmp_path / "snakemake") in finding.found
    assert finding.advice


def test_no_snakemake_in_the_path_is_not_a_fault(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    finding = doctor._snakemake()
    assert "the shell's PATH has none" in finding.found
    assert not finding.advice
