"""Soak on SLURM: random faults of a cluster in a running campaign, and whether its results stay the same.

    make soak-slurm                                            50 faults, seed 1
    cd tests && python -m slurm.soak --faults 20 --seed 5
    cd tests && python -m slurm.soak --arrays train_member,draw_figure

The campaign of `soak.py` runs on a cluster of its own, in a partition whose jobs make way for others. In the end the
arrays of all shards, blocks and hits are compared with those of a run on one machine that was left in peace.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from contextlib import suppress
from itertools import cycle
from pathlib import Path

import soak
from slurm.cluster import ACCOUNT, NODES, Cluster
from slurm.conftest import write_profile
from soak import Soak

SQUEUE = """\
#!/bin/sh
# Says nothing while it is told to.
[ -e "{flag}" ] && exit 0
exec {squeue} "$@"
"""


class SlurmSoak(Soak):
    """A campaign on a cluster under fault."""

    cluster: Cluster
    gap = (1.0, 8.0)
    outages = cycle((300.0, 5.0, 20.0, 60.0))
    """Seconds without a controller, each time one is killed."""
    silent = Path()

    @property
    def faults(self):
        """Those of a cluster."""
        return FAULTS

    def slurm(self, *command):
        """Return what a command of SLURM says; nothing where it fails."""
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120).stdout

    def running(self):
        """Return the number of a job that runs; None without any."""
        numbers = self.slurm("squeue", "--noheader", "--states=running", "--format=%i").split()
        return self.random.choice(numbers) if numbers else None

    def hurry(self):
        """Let jobs that SLURM put back into the queue start now, not after its two minutes of patience."""
        waiting = self.slurm("squeue", "--noheader", "--states=pending", "--format=%i %r").splitlines()
        for line in waiting:
            if line.endswith("BeginTime"):
                self.slurm("scontrol", "update", f"jobid={line.split()[0]}", "starttime=now")


def with_a_job(do):
    """Return a fault of a job that runs."""

    def fault(soak, process):
        job = soak.running()
        if job is None:
            return False
        do(soak, job)
        soak.hurry()
        return True

    fault.__name__ = do.__name__
    return fault


@with_a_job
def cancel(soak, job):
    soak.slurm("scancel", job)


@with_a_job
def requeue(soak, job):
    soak.slurm("scontrol", "requeue", job)


@with_a_job
def notice(soak, job):
    soak.slurm("scancel", "--signal=TERM", "--full", job)


@with_a_job
def make_way(soak, job):
    soak.slurm("srun", "--partition=standard", f"--account={ACCOUNT}", "--nodes=4", "--exclusive", "true")


@with_a_job
def drain_its_node(soak, job):
    node = soak.slurm("squeue", "--noheader", f"--job={job}", "--format=%B").strip()
    soak.slurm("scontrol", "update", f"nodename={node}", "state=drain", "reason=soak")
    time.sleep(soak.random.uniform(2, 10))
    soak.cluster.resume_node(node)


def set_a_node_down(soak, process):
    node = soak.random.choice(NODES)
    soak.slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=soak")
    soak.hurry()
    time.sleep(soak.random.uniform(1, 5))
    soak.cluster.resume_node(node)
    return True


def kill_a_node(soak, process):
    node = soak.random.choice(NODES)
    soak.cluster.kill_node(node)
    time.sleep(soak.random.uniform(1, 25))
    soak.cluster.restart_node(node)
    return True


def kill_the_controller(soak, process):
    soak.cluster.kill_controller()
    time.sleep(next(soak.outages))
    soak.cluster.restart_controller()
    return True


def kill_the_accounting(soak, process):
    soak.cluster.kill_accounting()
    time.sleep(soak.random.uniform(2, 20))
    soak.cluster.restart_accounting()
    return True


def list_nothing(soak, process):
    soak.silent.touch()
    time.sleep(soak.random.uniform(5, 30))
    soak.silent.unlink()
    return True


def show_a_file_late(soak, process):
    path = soak.a_file()
    if path is None:
        return False
    hidden = path.with_name(f".{path.name}.late")
    with suppress(OSError):
        path.rename(hidden)
        time.sleep(soak.random.uniform(5, 30))
        # A job may have made it anew; then this is the late one's.
        hidden.unlink() if path.exists() else hidden.rename(path)
        return True
    return False


FAULTS = [
    *(cancel, requeue, notice, make_way, make_way, drain_its_node, set_a_node_down, kill_a_node),
    *(kill_the_controller, kill_the_accounting, list_nothing, show_a_file_late),
    *(soak.fill_the_disk, soak.kill_driver, soak.interrupt_driver, soak.kill_rank),
]


def main() -> None:
    parser = soak.arguments(__doc__, faults=50)
    parser.add_argument("--arrays", metavar="RULES", help="submit the jobs of these rules as job arrays")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="slurm-") as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        programs = folder / "bin"
        programs.mkdir()
        SlurmSoak.silent = folder / "silent"
        squeue = subprocess.run(["which", "squeue"], capture_output=True, text=True, check=True).stdout.strip()
        (programs / "squeue").write_text(SQUEUE.format(flag=SlurmSoak.silent, squeue=squeue))
        (programs / "squeue").chmod(0o755)
        (folder / "cluster").mkdir()
        (folder / "profile").mkdir()
        with Cluster(folder / "cluster") as SlurmSoak.cluster:
            SlurmSoak.profile = write_profile(folder / "profile", slurm_partition="spare")
            if options.arrays:
                with (SlurmSoak.profile / "config.yaml").open("a") as profile:
                    profile.write(f"slurm-array-jobs: {options.arrays}\n")
            os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"
            soak.soak(SlurmSoak, options)


if __name__ == "__main__":
    main()
