"""A new campaign's folder: what is in it, what is never touched."""

import errno
import re
import subprocess

import click.testing
import pytest
import yaml
from click.testing import CliRunner

from campaigns import BIN, NETWORK, REPRESSILATOR, ROOT
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.cli import cli
from mechscreen.errors import InputError
from mechscreen.registry import MODELS, OBJECTIVES
from mechscreen.runs.init import Site, init
from mechscreen.runs.site import Partition

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


def test_a_campaign_on_a_network_lists_its_observables(tmp_path, monkeypatch):
    pytest.importorskip("bngsim")
    source = tmp_path / "enzyme.net"
    source.write_text(NETWORK)
    init(tmp_path / "new", source)
    monkeypatch.chdir(tmp_path / "new")
    campaign = Campaign.load(tmp_path / "new/campaign.yaml")
    campaign.check()
    assert campaign.model.name == "bngl"
    assert campaign.space.names == ("k1", "k2", "k3", "d", "top", "half", "E0")
    assert [output.name for output in campaign.outputs] == ["P", "R"]
    written = (tmp_path / "new/campaign.yaml").read_text()
    assert "5 species, 7 parameters, 2 observables, 1 function" in written


def test_species_of_a_network_without_observables_get_names_that_conditions_can_tell(tmp_path, monkeypatch):
    pytest.importorskip("bngsim")
    source = tmp_path / "enzyme.net"
    groups = NETWORK[NETWORK.index("begin groups") :]
    source.write_text(NETWORK.replace(groups, "").replace("top*P/(half+P)", "top"))
    init(tmp_path / "new", source)
    monkeypatch.chdir(tmp_path / "new")
    campaign = Campaign.load(tmp_path / "new/campaign.yaml")
    campaign.check()
    assert [output.name for output in campaign.outputs] == ["s1", "s2", "s3", "s4", "s5"]
    assert campaign.model.options["outputs"]["s3"] == "E(s!1).S(e!1)"


PROBLEM = {
    "parameters.tsv": "parameterId\tparameterScale\tlowerBound\tupperBound\tnominalValue\testimate\n"
    "alpha\tlog10\t5\t500\t50\t1\nsd\tlin\t0.1\t9\t2\t{estimate}\n",
    "conditions.tsv": "conditionId\none\n",
    "observables.tsv": "observableId\tobservableFormula\tnoiseFormula\nprotein\tA\t{noise}\n",
    "measurements.tsv": "observableId\tsimulationConditionId\tmeasurement\ttime\n"
    "protein\tone\t9\t1\nprotein\tone\t2\t2\n",
    "figures.tsv": "plotId\tdatasetId\n",
}
PROBLEM_FILE = """
format_version: 1
parameter_file: parameters.tsv
problems:
- sbml_files: [model.xml]
  condition_files: [conditions.tsv]
  observable_files: [observables.tsv]
  measurement_files: [measurements.tsv]
  visualization_files: [figures.tsv, lost.tsv]
"""


def problem(folder, **fields):
    antimony = pytest.importorskip("antimony")
    pytest.importorskip("petab")
    pytest.importorskip("roadrunner")
    antimony.clearPreviousLoads()
    antimony.loadAntimonyString(REPRESSILATOR)
    folder.mkdir()
    (folder / "model.xml").write_text(antimony.getSBMLString(antimony.getMainModuleName()))
    for name, text in PROBLEM.items():
        (folder / name).write_text(text.format(**{"estimate": 1, "noise": "sd", **fields}))
    (folder / "fit.yaml").write_text(PROBLEM_FILE)
    return folder / "fit.yaml"


@pytest.mark.parametrize(
    ("fields", "outputs", "limit"),
    [
        ({}, ["protein.one", "chi2", "noise"], r"\d"),
        ({"estimate": 0}, ["protein.one", "chi2"], "8$"),
    ],
    ids=["noise is estimated", "noise is given"],
)
def test_a_campaign_on_a_problem_has_its_files_and_looks_for_what_fits(tmp_path, monkeypatch, fields, outputs, limit):
    folder = tmp_path / "fit"
    init(folder, petab=problem(tmp_path / "source", **fields))
    assert files(folder) == {*WRITTEN, *PROBLEM, "model.xml", "fit.yaml"}
    monkeypatch.chdir(folder)
    campaign = Campaign.load(folder / "campaign.yaml")
    campaign.check()
    assert campaign.space.names == ("alpha", *(() if "estimate" in fields else ("sd",)))
    assert [output.name for output in campaign.outputs] == outputs
    written = yaml.safe_load((folder / "campaign.yaml").read_text())
    assert re.match(limit, str(written["screen"]["objective"]["options"]["limit"]))
    lines = (folder / "campaign.yaml").read_text().splitlines()
    assert sum(bool(line.strip()) and line.strip()[0] != "#" for line in lines) <= 15


def test_a_problem_with_files_elsewhere_leaves_no_folder(tmp_path):
    file = problem(tmp_path / "source")
    (tmp_path / "source/tables").mkdir()
    (tmp_path / "source/parameters.tsv").rename(tmp_path / "source/tables/parameters.tsv")
    file.write_text(PROBLEM_FILE.replace("parameters.tsv", "tables/parameters.tsv"))
    with pytest.raises(InputError, match=r"tables/parameters\.tsv stands in another folder"):
        init(tmp_path / "new", petab=file)
    assert not (tmp_path / "new").exists()


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
    assert len(commented["cluster_profiles/slurm/config.yaml"]) == 5
    assert slurm["default-resources"] == {"slurm_account": "my_account", "slurm_partition": "standard"}
    for rule in ("train_member", "train_on_samples", "train_ensemble"):
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


def test_a_profile_of_another_kind_of_site_is_filled_in(tmp_path):
    site = Site("slurm-gpu-types", "lab", "standard")
    said = init(tmp_path / "new", site=site)
    assert "cluster_profiles/slurm-gpu-types/config.yaml" in files(tmp_path / "new")
    settings = yaml.safe_load((tmp_path / "new/cluster_profiles/slurm-gpu-types/config.yaml").read_text())
    assert settings["default-resources"] == {"slurm_account": "lab", "slurm_partition": "standard"}
    assert "put account and partition" not in said
    assert "doctor campaign.yaml --profile cluster_profiles/slurm-gpu-types" in said


@pytest.mark.parametrize(
    ("site", "message"),
    [
        (Site("slurm-gpu"), "there is no 'slurm-gpu'; take one of local, slurm, slurm-gpu-types"),
        (Site("slurm", account="a b"), "account: 'a b' is no name on SLURM"),
        (Site("slurm-short-and-long", partition="p"), "chooses each job's partition itself; leave out --partition"),
        (Site("local", account="lab"), "is no profile of a cluster; leave out --account"),
    ],
)
def test_a_site_that_makes_no_sense_is_refused_and_nothing_is_written(tmp_path, site, message):
    with pytest.raises(InputError, match=re.escape(message)):
        init(tmp_path / "new", site=site)
    assert not (tmp_path / "new").exists()


def test_on_a_terminal_account_and_partition_are_asked_for(tmp_path, monkeypatch):
    typed = "lab\n\n"
    monkeypatch.setattr("mechscreen.runs.site.default_account", lambda: "guests")
    monkeypatch.setattr("mechscreen.runs.site.partitions", lambda: [Partition("standard", is_default=True)])
    monkeypatch.setattr(click.testing._NamedTextIOWrapper, "isatty", lambda self: True, raising=False)
    done = CliRunner().invoke(cli, ["init", str(tmp_path / "new"), "--profile", "slurm"], input=typed)
    assert done.exit_code == 0, done.output
    assert "account of SLURM (empty for none) [guests]" in done.output
    settings = yaml.safe_load((tmp_path / "new/cluster_profiles/slurm/config.yaml").read_text())
    assert settings["default-resources"] == {"slurm_account": "lab", "slurm_partition": "standard"}
