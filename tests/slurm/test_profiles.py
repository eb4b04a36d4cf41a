"""Profiles for the kinds of site there are: written by `mechscreen init`, run on a SLURM, not edited.

That of a site which needs no more than account and partition is the one of all other tests here.
"""

import os
import subprocess
from collections import Counter

import pytest
import yaml

from campaigns import BIN, ROOT, STRIPE
from slurm.cluster import ACCOUNT, GPU_MODEL

pytestmark = pytest.mark.slow

CAMPAIGN = STRIPE | {"simulations": {"count": 40, "shard_size": 20}}
MODULE = 'module() { echo "$@" >> "$MODULES"; }'
"""Stands for a site's environment modules, in the file that BASH_ENV names, as at sites."""


class Project:
    """What `mechscreen init` writes for a kind of site, and commands in it."""

    def __init__(self, folder, cluster, profile, partition):
        self.folder = folder / "project"
        self.profile = f"cluster_profiles/{profile}"
        self.modules = folder / "modules"
        (folder / "module.sh").write_text(MODULE)
        self._cluster = cluster
        self._before = len(cluster.asked())
        given = ["--account", ACCOUNT, *(["--partition", partition] if partition else [])]
        self.call("mechscreen", "init", self.folder, "--profile", profile, *given, cwd=folder)
        (self.folder / "campaign.yaml").write_text(yaml.safe_dump(CAMPAIGN))

    def call(self, program, *arguments, cwd=None):
        environment = {**os.environ, "MODULES": str(self.modules), "BASH_ENV": str(self.folder.parent / "module.sh")}
        done = subprocess.run(
            [BIN / program, *arguments], cwd=cwd or self.folder, capture_output=True, text=True, env=environment
        )
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
        return done.stdout

    def run(self, *targets):
        options = ("--slurm-init-seconds-before-status-checks", "2")
        self.call(
            *("snakemake", "--workflow-profile", self.profile, "--configfile", "campaign.yaml", *options, *targets)
        )
        jobs = self._cluster.asked()[self._before :]
        assert {job["State"] for job in jobs} == {"COMPLETED"}
        return [job["SubmitLine"] for job in jobs]


@pytest.fixture
def project(cluster, tmp_path):
    return lambda profile, partition="standard": Project(tmp_path, cluster, profile, partition)


def test_memory_by_core(project):
    lines = project("slurm-memory-by-core").run("dataset")
    assert len(lines) == 3
    for line in lines:
        assert " --mem-per-cpu 2000 " in line
        assert " --mem " not in line


def test_a_model_of_gpu_by_gres(project, cluster):
    lines = project("slurm-gpu-types").run("emulators")
    asked = Counter(f"--gres=gpu:{GPU_MODEL}:1" in line for line in lines)
    assert asked == {True: 2, False: 3}, "two members, two shards and their merging"


def test_short_jobs_go_to_the_short_queue_and_long_ones_to_the_long(project):
    site = project("slurm-short-and-long", partition="")
    site.call("mechscreen", "doctor", "--profile", site.profile, "--write-partitions", "partitions.yaml")
    lines = site.run("dataset", "--set-resources", "merge_shards:runtime=60")
    assert [("-p short" in line, "-p standard" in line or "-p spare" in line) for line in lines] == [
        *[(True, False)] * 2,
        (False, True),
    ]


def test_jobs_that_make_way(project):
    lines = project("slurm-preemptible", partition="spare").run("simulations")
    assert all("-p spare" in line and "--requeue" in line for line in lines)


def test_the_sites_own_mpi_by_srun(project):
    site = project("slurm-site-mpi")
    lines = site.run("simulations")
    assert len(lines) == 2


def test_an_mpi_that_a_module_brings(project):
    site = project("slurm-modules")
    site.run("simulations")
    assert site.modules.read_text().splitlines() == ["load mpich"] * 2


def test_all_profiles_of_clusters_agree_but_for_what_their_site_needs():
    plain = yaml.safe_load((ROOT / "cluster_profiles/slurm/config.yaml").read_text())
    own = {
        "slurm-gpu-types": {"set-resources"},
        "slurm-memory-by-core": {"default-resources"},
        "slurm-modules": {"set-resources"},
        "slurm-preemptible": {"retries", "slurm-requeue"},
        "slurm-short-and-long": {"slurm-partition-config", "set-resources"},
        "slurm-site-mpi": {"set-resources"},
    }
    folders = {path.parent.name for path in (ROOT / "cluster_profiles").glob("slurm-*/config.yaml")}
    assert folders == set(own)
    for name, keys in own.items():
        settings = yaml.safe_load((ROOT / "cluster_profiles" / name / "config.yaml").read_text())
        differs = {key for key in plain.keys() | settings.keys() if plain.get(key) != settings.get(key)}
        assert differs <= keys, name
