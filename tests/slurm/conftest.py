"""A cluster for all tests of this folder, and a campaign small enough to be run many times on it."""

import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
import yaml

from campaigns import ROOT, snakemake_command
from slurm.cluster import ACCOUNT, Cluster, what_is_missing

CAMPAIGN = {
    "name": "small",
    "seed": 7,
    "model": {"name": "pattern"},
    "simulations": {"count": 200, "shard_size": 100},
    "emulators": {
        "members": 2,
        "combine": "mean",
        "architecture": {"network": "dense", "width": 32, "blocks": 1},
        "training": {"epochs": 5},
    },
    "screen": {
        "count": 40000,
        "block_size": 20000,
        "objective": {"name": "rings", "target": ["1"]},
        "disagreement_limit": 1.0,
    },
    "validation": {"limit": 20},
}


@pytest.fixture(scope="session")
def cluster():
    reason = what_is_missing()
    if reason:
        pytest.skip(f"no SLURM can be started here: {reason}")
    # Not pytest's own folder: its path is too long for a socket.
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    folder.chmod(0o755)
    with Cluster(folder) as running:
        yield running
    shutil.rmtree(folder)


class Runner:
    """Runs Snakemake on the small campaign in a folder of its own."""

    def __init__(self, folder, profile, campaign=CAMPAIGN):
        self.results = folder / "results/small"
        self.command = snakemake_command(folder, campaign, profile)

    def run(self):
        done = subprocess.run(self.command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900)
        assert done.returncode == 0, done.stdout[-5000:]


def write_profile(folder, **others):
    """Write the profile of the project, with account, ranks and others filled in as its comments say."""
    text = (ROOT / "cluster_profiles/slurm/config.yaml").read_text()
    for before, after in {
        "# slurm_account: my_account": f"slurm_account: {ACCOUNT}",
        "# slurm_partition: standard": "slurm_partition: standard",
        "mpi: &launcher mpiexec": "tasks: 4\n    mpi: &launcher mpiexec",
        "mpi: *launcher": "tasks: 4\n    mpi: *launcher",
        # Jobs of a few seconds are looked at sooner.
        "status-checks: 10": "status-checks: 2",
        # As on one machine, so that the networks are the same to the last bit.
        "train_member: 4": "train_member: 1",
    }.items():
        assert before in text
        text = text.replace(before, after)
    settings = yaml.safe_load(text)
    settings["default-resources"] |= others
    (folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False) if others else text)
    return folder


@pytest.fixture(scope="session")
def slurm_profile(tmp_path_factory):
    """The profile of the project, filled in."""
    return write_profile(tmp_path_factory.mktemp("profile"))


@pytest.fixture
def on_slurm(cluster, slurm_profile, tmp_path):
    return Runner(tmp_path, slurm_profile)


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The campaign, run on this machine without SLURM."""
    runner = Runner(tmp_path_factory.mktemp("local"), ROOT / "cluster_profiles/local")
    runner.run()
    return runner
