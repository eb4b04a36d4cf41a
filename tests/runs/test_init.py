"""A new campaign's folder: what is in it, what is never touched."""

import errno
import subprocess

import pytest
import yaml

from campaigns import BIN, ROOT
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.runs.init import init

WRITTEN = {"Snakefile", "campaign.yaml", "cluster_profiles/local/config.yaml", "cluster_profiles/slurm/config.yaml"}


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_the_folder_holds_a_valid_campaign_and_the_profiles_of_the_repository(tmp_path):
    said = init(tmp_path / "my rings")
    assert files(tmp_path / "my rings") == WRITTEN
    assert "snakemake --workflow-profile cluster_profiles/local --configfile campaign.yaml" in said
    assert f"cd '{tmp_path}/my rings'" in said
    campaign = Campaign.load(tmp_path / "my rings/campaign.yaml")
    assert campaign.model.name == "pattern"
    for name in WRITTEN:
        if name.startswith("cluster_profiles"):
            assert (tmp_path / "my rings" / name).read_text() == (ROOT / name).read_text()


def test_every_key_of_the_new_campaign_is_explained():
    lines = (ROOT / "examples/campaign.yaml").read_text().splitlines()
    values = yaml.safe_load("\n".join(lines))
    keys = [key for section in values.values() if isinstance(section, dict) for key in section]
    comments = " ".join(line for line in lines if line.strip().startswith("#"))
    above = [lines[lines.index(line) - 1] for line in lines if line.strip().split(":")[0] in keys and line[:2] == "  "]
    assert "config/README.md" in comments
    assert len(above) >= len(keys)
    # A key whose line above is no comment belongs to the comment before that.
    assert sum(line.strip().startswith("#") for line in above) >= 8


@pytest.mark.parametrize("there", sorted(WRITTEN))
def test_what_is_there_is_never_overwritten_and_nothing_else_is_written(tmp_path, there):
    path = tmp_path / there
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    with pytest.raises(InputError, match=f"{there} already there"):
        init(tmp_path)
    assert files(tmp_path) == {there}
    assert path.read_text() == "mine"


def test_a_link_that_leads_nowhere_is_not_written_through(tmp_path):
    (tmp_path / "campaign.yaml").symlink_to(tmp_path / "elsewhere.yaml")
    with pytest.raises(InputError, match=r"campaign.yaml already there"):
        init(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["campaign.yaml"]


def test_other_files_of_the_folder_stay(tmp_path):
    (tmp_path / "model.py").write_text("mine")
    init(tmp_path)
    assert files(tmp_path) == WRITTEN | {"model.py"}


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "rings").write_text("mine")
    with pytest.raises(InputError, match="is a file, not a folder"):
        init(tmp_path / "rings")
    assert (tmp_path / "rings").read_text() == "mine"


def test_a_disk_that_fills_up_leaves_nothing_half_written(tmp_path, monkeypatch):
    write = storage.write_text

    def full(path, text):
        if path.parent.name == "slurm":
            raise OSError(errno.ENOSPC, "No space left on device")
        write(path, text)

    monkeypatch.setattr(storage, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        init(tmp_path / "rings")
    assert not (tmp_path / "rings").exists()


def test_the_workflow_is_planned_in_the_new_folder(tmp_path):
    init(tmp_path / "rings")
    line = ["--workflow-profile", "cluster_profiles/local", "--configfile", "campaign.yaml", "--dry-run"]
    done = subprocess.run(
        [BIN / "snakemake", *line], cwd=tmp_path / "rings", capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "simulate_shard             6" in done.stdout + done.stderr
    assert "write_report               1" in done.stdout + done.stderr
