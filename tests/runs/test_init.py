"""A new campaign's folder: what is in it, what is never touched."""

import errno
import re
import subprocess

import pytest
import yaml

from campaigns import BIN, REPRESSILATOR, ROOT
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.registry import MODELS, OBJECTIVES
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


def test_a_campaign_on_a_model_lists_what_varies_and_what_comes_out(tmp_path, monkeypatch):
    pytest.importorskip("roadrunner")
    source = tmp_path / "repressilator.ant"
    source.write_text(REPRESSILATOR)
    folder = tmp_path / "oscillator"
    init(folder, source)
    assert files(folder) == {*WRITTEN, "repressilator.ant"}
    monkeypatch.chdir(folder)
    campaign = Campaign.load(folder / "campaign.yaml")
    campaign.check()
    assert campaign.name == "repressilator"
    assert campaign.space.names == ("alpha", "n", "decay")
    assert (campaign.space["alpha"].low, campaign.space["alpha"].scale) == (5, "log")
    assert [output.name for output in campaign.outputs] == ["A", "B", "C"]
    assert campaign.class_names == ("other", "oscillates")
    written = (folder / "campaign.yaml").read_text()
    assert "3 species, 3 parameters, 1 compartment, 6 reactions" in written


def test_a_model_that_cannot_be_simulated_leaves_no_folder(tmp_path):
    pytest.importorskip("roadrunner")
    source = tmp_path / "broken.xml"
    source.write_text("<sbml")
    with pytest.raises(InputError, match="not valid SBML"):
        init(tmp_path / "new", source)
    assert not (tmp_path / "new").exists()


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


def uncomment(folder):
    """Give every key that stands in a comment the value that it has there; return them, by file."""
    found = {}
    for name in files(folder):
        path = folder / name
        text, line = path.read_text(), re.compile(r"^( *)# ([\w-]+: \S.*)$", re.MULTILINE)
        found[name] = [key for _, key in line.findall(text)]
        path.write_text(line.sub(r"\1\2", text))
    return found


def test_built_in_names_that_the_new_campaign_tells_are_all_there_are():
    told = re.findall(r"# Built in: ([\w, ]+)\.", (ROOT / "examples/campaign.yaml").read_text())
    assert [set(names.split(", ")) for names in told] == [set(MODELS.built_in), set(OBJECTIVES.built_in)]


def test_every_key_that_stands_in_a_comment_is_accepted(tmp_path):
    init(tmp_path)
    commented = uncomment(tmp_path)
    Campaign.load(tmp_path / "campaign.yaml")
    slurm = yaml.safe_load((tmp_path / "cluster_profiles/slurm/config.yaml").read_text())
    assert len(commented["cluster_profiles/slurm/config.yaml"]) == 4
    assert slurm["default-resources"] == {"slurm_account": "my_account", "slurm_partition": "standard"}
    for rule in ("train_member", "train_on_samples"):
        assert slurm["set-resources"][rule] == {"gpu": 1, "slurm_partition": "gpu"}


@pytest.mark.parametrize("profile", ["local", "slurm"])
def test_the_workflow_is_planned_in_the_new_folder(tmp_path, profile):
    init(tmp_path / "rings")
    if profile == "slurm":
        uncomment(tmp_path / "rings")
    line = ["--workflow-profile", f"cluster_profiles/{profile}", "--configfile", "campaign.yaml", "--dry-run"]
    done = subprocess.run(
        [BIN / "snakemake", *line], cwd=tmp_path / "rings", capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert re.search(r"^simulate_shard +6$", said, re.MULTILINE)
    assert re.search(r"^write_report +1$", said, re.MULTILINE)
