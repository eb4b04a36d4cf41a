"""What a cluster refuses, and what no second attempt can mend: told once, with its cause, and not tried again."""

import re
import subprocess
import sys

import pytest

from disturbed import Disturbed
from mechscreen.runs import driver
from mechscreen.runs.failures import read_failures
from mechscreen.runs.status import status
from slurm.cluster import CLOSED, NODES

pytestmark = pytest.mark.slow

OF_SBATCH = {
    "account": ("slurm_account=nobody", "account"),
    "closed account": (f"slurm_account={CLOSED}", "submit limit"),
    "partition": ("slurm_partition=nowhere", "partition"),
    "qos": ("qos=urgent", "qos"),
    "constraint": ("constraint=avx1024", "feature|node configuration"),
    "resource": ("gres=fpga:1", "gres|generic resource"),
    "model of GPU": ("gpu_model=h9000", "gres|generic resource|node configuration|GPU"),
    "reservation": ("slurm_extra='--reservation=yesterday'", "reservation"),
    "time": ("slurm_partition=short", "time limit"),
    "memory": ("mem_mb_per_cpu=1000000", "memory|node configuration"),
    "ranks": ("tasks=1000", "processors|node"),
    "option": ("slurm_extra='--job-name=mine'", "slurm_extra|job-name"),
}
"""What a rule asks for, and what is quoted of the refusal."""
OF_NODES = {
    "launcher": ("mpi=mpiexec.of-nobody", "a program is missing: .*mpiexec.of-nobody"),
    "module": ("mpi='module load none && mpiexec'", "a program is missing: .*module"),
    "kind of MPI": ("mpi='srun --mpi=none'", "wrong input or model: .*ranks"),
}


PYTHON = "import sys; sys.executable = '/no/such/python'; from snakemake.cli import main; main()"
"""Snakemake, on a machine whose Python the nodes do not have."""


def attempt(folder, profile, *resources, program=()):
    """Run until it ends; return how it ended, what was said, what failed, and the seconds from the first failure."""
    return begin(folder, profile, *resources, program=program)()


def begin(folder, profile, *resources, program=()):
    """Start a run; return a function that waits until it ends, and returns what `attempt` does."""
    run = Disturbed(folder, profile)
    if program:
        run.command[:1] = program
    run.command += ["--set-resources", *(f"simulate_shard:{resource}" for resource in resources)]
    process = run.start(pause=0)

    def end():
        said, _ = process.communicate(timeout=300)
        ended = run.log_written()
        failed = read_failures(run.results, driver.latest(run.results).number)
        return run, said, failed, ended - min(failure.at for failure in failed)

    return end


@pytest.fixture(scope="module")
def refused(cluster, slurm_profile, tmp_path_factory):
    """Return what came of each refusal; three runs at a time."""
    found, waiting = {}, []
    for what, (resource, _) in OF_SBATCH.items():
        longer = ["runtime=60"] if what == "time" else []
        waiting.append((what, begin(tmp_path_factory.mktemp("refused"), slurm_profile, resource, *longer)))
        if len(waiting) == 3:
            found |= {done: end() for done, end in waiting}
            waiting = []
    return found | {done: end() for done, end in waiting}


@pytest.mark.parametrize("what", OF_SBATCH)
def test_what_sbatch_refuses_is_told_once_and_not_tried_again(refused, what):
    _, quoted = OF_SBATCH[what]
    run, said, failed, late = refused[what]
    summary = said.partition("stopped before they were done:")[2]
    assert [failure.cause.value for failure in failed] == ["refused"] * 2, said
    assert {failure.attempt for failure in failed} == {1}
    assert late < 60
    for told in (summary, status(run.results)):
        assert told.count("refused: ") == 1, told
        (line,) = (line for line in told.splitlines() if "refused: " in line)
        assert re.search(quoted, line, re.IGNORECASE), line
    assert "command: " in (run.results / "logs/simulate/shard-00000.log").read_text()


def test_a_python_that_a_node_does_not_have_is_told_and_not_tried_again(cluster, slurm_profile, tmp_path):
    run, said, failed, late = attempt(tmp_path, slurm_profile, "tasks=2", program=[sys.executable, "-c", PYTHON])
    assert {failure.attempt for failure in failed} == {1}, said
    assert late < 60
    for told in (said.partition("stopped before they were done:")[2], status(run.results)):
        assert re.search("a program is missing: .*/no/such/python", told), told


@pytest.mark.parametrize("what", OF_NODES)
def test_what_a_node_lacks_is_told_and_not_tried_again(cluster, slurm_profile, tmp_path, what):
    resource, quoted = OF_NODES[what]
    run, said, failed, late = attempt(tmp_path, slurm_profile, resource)
    assert {failure.attempt for failure in failed} == {1}, said
    assert late < 60
    for told in (said.partition("stopped before they were done:")[2], status(run.results)):
        assert re.search(quoted, told), told


def test_a_folder_that_nodes_alone_cannot_write_to_is_named(cluster, slurm_profile, tmp_path):
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode:
        pytest.skip("no mounts can be made here")
    project = tmp_path / "project"
    project.mkdir()
    for node in NODES:
        cluster.kill_node(node)
        cluster.restart_node(node, read_only=project)
    try:
        run, said, failed, late = attempt(project, slurm_profile, "tasks=2")
    finally:
        for node in NODES:
            cluster.kill_node(node)
            cluster.restart_node(node)
    assert {failure.cause.value for failure in failed} == {"the file system failed"}
    assert late < 60 * max(failure.attempt for failure in failed)
    for told in (said.partition("stopped before they were done:")[2], status(run.results)):
        assert re.search(f"the file system failed: no log came from the node: .*{project}", told), told


def test_the_line_of_the_profile_that_asks_for_what_is_refused_is_named(cluster, slurm_profile, tmp_path):
    text = (slurm_profile / "config.yaml").read_text().replace("slurm_account: ", "slurm_account: no-such-", 1)
    (tmp_path / "profile").mkdir()
    profile = tmp_path / "profile/config.yaml"
    profile.write_text(text)
    number = 1 + next(k for k, line in enumerate(text.splitlines()) if line.strip().startswith("slurm_account: no"))
    run = Disturbed(tmp_path, tmp_path / "profile")
    said, _ = run.start(pause=0).communicate(timeout=300)
    assert f"asked for by {profile}:{number}: slurm_account: no-such-" in said.partition("stopped before")[2]
    assert f"asked for by {profile}:{number}: " in status(run.results)
