"""Results that mechscreen 0.1.0 left (tests/data/format-1), converted."""

import json
import os
import subprocess
import tarfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import yaml

from campaigns import BIN, ROOT
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import MechscreenError
from mechscreen.reports.results import Results
from mechscreen.runs import migrate as command
from mechscreen.schemas.simulations import PartialSimulationFile
from mechscreen.stages.merge import SPLITS, load_split, merge
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.search import Search
from mechscreen.stages.simulate import read_shard, selected_parameters, simulate

RESULTS = Path("results/small")


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A working folder with results of format 1."""
    with tarfile.open(ROOT / "tests/data/format-1/small.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    (tmp_path / "examples").symlink_to(ROOT / "examples")  # a model is registered from one file only
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rounds(old):
    """That folder with two rounds of selection after the first campaign."""
    with tarfile.open(ROOT / "tests/data/format-1/rounds.tar.gz") as archive:
        archive.extractall(old, filter="data")
    return [Path("results") / name for name in ("small", "second", "third")]


def migrate(said=None, results=RESULTS):
    command.migrate(results, (said if said is not None else []).append, ROOT / "Snakefile")


@pytest.fixture
def without_snakemake(monkeypatch):
    """Convert alone; what Snakemake makes of it is tested once, below."""
    monkeypatch.setattr(command, "_touch", lambda campaign, snakefile: ["this"])


def arrays():
    found = {}
    for path in sorted([*RESULTS.rglob("*.h5"), *RESULTS.rglob("*.partial")]):
        with h5py.File(path) as file:
            found |= {f"{path}: {name}": file[name][()].tolist() for name in file}
    return found


def contents(folder=RESULTS):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_converted_results_are_read_by_every_stage_and_hold_the_same_arrays(old, without_snakemake):
    before, times = arrays(), {path: path.stat().st_mtime_ns for path in RESULTS.rglob("*.*5*")}
    migrate()
    np.testing.assert_equal(arrays(), before)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    campaign = Campaign.open(RESULTS)
    assert [len(read_shard(campaign, shard).index) for shard in range(2)] == [50, 50]
    assert sum(len(load_split(campaign, split)) for split in SPLITS) == 100
    assert len(load_campaign_ensemble(campaign).predict_members(np.full((3, 5), 0.5))) == 2
    for block in range(2):
        Search(campaign).read_block(block)
    results = Results(campaign)
    for name in ("manifest", "metrics", "predictions", "screen", "hits", "validation"):
        assert getattr(results, name), name
    manifest = json.loads(campaign.paths.manifest.read_text())
    assert all(storage.sha256(RESULTS / "dataset" / entry["file"]) == entry["sha256"] for entry in manifest["files"])
    with h5py.File(campaign.paths.shard(0)) as file:
        assert file.attrs["migrated_from"].decode() == "mechscreen 0.1.0, format 1"


def test_a_partial_shard_is_converted_and_continued(old, without_snakemake, caplog):
    migrate()
    caplog.set_level("INFO")
    values = yaml.safe_load((RESULTS / "campaign.yaml").read_text())
    grown = Campaign.from_dict({**values, "simulations": {"count": 150, "shard_size": 50}})
    storage.verify(
        RESULTS / "simulations/shard-00002.h5.partial", PartialSimulationFile.kind, grown.identity("simulations")
    )
    simulate(grown, 2)
    assert "continuing with 4 of 50 samples" in caplog.text


def test_a_conversion_goes_on_where_it_was_stopped_and_a_second_one_changes_nothing(
    old, without_snakemake, monkeypatch
):
    def fails(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(command.storage, "write_json", fails)
        with pytest.raises(KeyboardInterrupt):
            migrate()
    said = []
    migrate(said)
    assert "done before" in said[-1]
    after = contents()
    migrate(said)
    assert "is of format 2 already" in said[-1]
    assert contents() == after
    assert Results(Campaign.open(RESULTS)).hits


def test_a_file_of_another_configuration_is_moved_aside_and_named(old, without_snakemake):
    values = yaml.safe_load((RESULTS / "campaign.yaml").read_text())
    values["validation"]["limit"] = 11
    (RESULTS / "campaign.yaml").write_text(yaml.safe_dump(values))
    said = []
    migrate(said)
    named = [line for line in said if "was not made by the campaign as campaign.yaml has it; moved to" in line]
    assert {Path(line.split(":")[0]).name for line in named} == {"hits.h5", "summary.json"}
    assert (RESULTS / "validation/hits.h5.bad").exists()


def test_rounds_of_selection_are_converted_one_after_the_other(rounds, without_snakemake):
    first = json.loads((RESULTS / "dataset/manifest.json").read_text())["samples"]["train"]
    said = []
    for folder in rounds:
        migrate(said, folder)
    assert "20 files converted" in said[0]
    assert [line.partition(";")[0] for line in said[1:]] == [
        f"results/{n}: 5 files converted" for n in ("second", "third")
    ]
    for folder in rounds[1:]:
        campaign = Campaign.open(folder)
        shard = read_shard(campaign, 0)
        np.testing.assert_array_equal(shard.parameters, selected_parameters(campaign, 0))
        assert {path.suffix for path in folder.rglob("*.*")} <= {".h5", ".json", ".yaml"}
    # All of them are for training, after those of the campaigns before.
    assert [len(load_split(Campaign.open(folder), "train")) for folder in rounds] == [first, first + 10, first + 20]


def test_a_round_whose_selector_is_another_one_by_now_is_moved_aside(rounds, without_snakemake):
    for folder in rounds[:2]:
        migrate(results=folder)
    values = yaml.safe_load((rounds[1] / "campaign.yaml").read_text())
    values["emulators"]["training"]["epochs"] = 2
    (rounds[1] / "campaign.yaml").write_text(yaml.safe_dump(values))
    said = []
    migrate(said, rounds[2])
    assert (rounds[2] / "selection/shard-00000.h5.bad").exists()
    assert sum("was not made by the campaign as campaign.yaml has it" in line for line in said) == 5


def test_a_round_is_converted_after_the_campaign_that_selected_it(rounds):
    before = contents(rounds[1])
    with pytest.raises(MechscreenError, match="mechscreen migrate results/small"):
        migrate(results=rounds[1])
    assert contents(rounds[1]) == before


def test_samples_with_a_sensitivity_are_kept_and_the_key_is_left_out(rounds, without_snakemake):
    with h5py.File(rounds[1] / "simulations/shard-00000.h5") as file:
        measured = file["sensitivity"][()]
    for folder in rounds[:2]:
        assert "sensitivity" in (folder / "campaign.yaml").read_text()
        migrate(results=folder)
        assert "sensitivity" not in (folder / "campaign.yaml").read_text()
    with h5py.File(rounds[1] / "simulations/shard-00000.h5") as file:
        np.testing.assert_array_equal(file["sensitivity"][()], measured)
    assert len(read_shard(Campaign.open(rounds[1]), 0).index) == 10


@pytest.mark.parametrize("use", ["open", "read", "merge", "simulate", "continue", "run"])
def test_results_of_format_1_are_refused_with_the_way_on_and_left_as_they_are(old, use):
    before = contents()
    values = yaml.safe_load((RESULTS / "campaign.yaml").read_text())
    campaign = Campaign.from_dict({**values, "simulations": {"count": 150, "shard_size": 50}})
    uses = {
        "open": lambda: Campaign.open(RESULTS),
        "read": lambda: read_shard(campaign, 0),
        "merge": lambda: merge(campaign),
        "simulate": lambda: simulate(campaign, 0),
        "continue": lambda: simulate(campaign, 2),
        "run": campaign.record,
    }
    with pytest.raises(MechscreenError, match=r"mechscreen migrate results/"):
        uses[use]()
    assert contents() == before


@pytest.mark.slow
def test_after_a_conversion_snakemake_has_nothing_to_do(old):
    plan = [BIN / "snakemake", "all", "learning", "--snakefile", ROOT / "Snakefile", "--configfile", "config.yaml"]
    plan += ["--workflow-profile", ROOT / "cluster_profiles/local", "--dry-run"]
    refused = subprocess.run([str(part) for part in plan], capture_output=True, text=True, timeout=100)
    assert refused.returncode != 0
    assert "convert them, which loses nothing: mechscreen migrate results/small" in refused.stderr
    line = [str(BIN / "mechscreen"), "migrate", str(RESULTS), "--snakefile", str(ROOT / "Snakefile")]
    done = subprocess.run(line, capture_output=True, text=True, timeout=100, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    planned = subprocess.run([str(part) for part in plan], capture_output=True, text=True, timeout=100)
    assert planned.returncode == 0
    assert "Nothing to be done" in planned.stdout + planned.stderr
