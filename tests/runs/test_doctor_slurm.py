import math

import pytest

from mechscreen.runs.doctor_slurm import hindrances, ways
from mechscreen.runs.requests import Asked, Request
from mechscreen.runs.site import Allowance, Partition

SHORT = Partition("short", minutes=30, nodes=2, cores=8, megabytes=16_000)
LONG = Partition("long", minutes=math.inf, nodes=4, most_nodes=2, cores=8, megabytes=64_000, gpus={"a100": 4})


def request(**resources):
    return Request("train_member", 1, threads=resources.pop("threads", 1), resources=resources)


@pytest.mark.parametrize(
    ("asked", "hindrance"),
    [
        (request(runtime=60), "time limit of 60 min, and short has 30"),
        (request(threads=9), "cpus: 9 of one node, and the largest of short has 8"),
        (request(mem_mb=20_000), "memory: 20,000 MB of one node, and the largest of short has 16,000"),
        (request(mem_mb_per_cpu=9_000, threads=2, tasks=2), "memory: 18,000 MB of one node"),
        (request(nodes=3), "nodes: 3, and short gives 2"),
        (request(gpu=1), "gpu: 1, and no node of short has one"),
        (request(gres="gpu:a100:2"), "gpu: 2, and no node of short has one"),
    ],
)
def test_what_a_partition_never_gives_is_named(asked, hindrance):
    assert hindrances(asked, [SHORT], [])[0].startswith(hindrance)


def test_of_several_partitions_one_that_gives_it_is_enough():
    assert hindrances(request(runtime=60, gpu=1), [SHORT, LONG], []) == ()
    assert hindrances(request(nodes=3), [LONG], []) == ("nodes: 3, and long gives 2",)


def test_a_partition_that_is_down_gives_nothing():
    assert hindrances(request(), [Partition("old", up=False, nodes=1, cores=1)], []) == ("partition old takes no jobs",)


def test_what_an_account_may_not_use_is_named():
    limit = Allowance("account lab", minutes=10, resources={"cpu": 4, "gres/gpu": 1})
    found = hindrances(request(runtime=60, threads=8, gpu=2), [LONG], [limit])
    assert found == (
        "time limit of 60 min, and account lab may have 10",
        "cpus: 8, and account lab may have 4",
        "gpu: 2, and account lab may have 1",
    )


SETUP = {"MinJobAge": "300 sec", "JobRequeue": "1", "KillWait": "30 sec", "PreemptMode": "OFF"}


def told(setup, **settings):
    return {finding.what: finding for finding in ways(Asked("slurm", 1, settings, ()), setup)}


def test_what_slurm_forgets_before_it_is_asked_is_remarked_on():
    assert not told(SETUP, status_command="squeue")["status"].advice
    forgetful = SETUP | {"MinJobAge": "10 sec"}
    assert "sacct" in told(forgetful, status_command="squeue")["status"].advice
    assert not told(forgetful, status_command="sacct")["status"].advice


def test_what_becomes_of_jobs_of_a_failed_node_and_of_preempted_ones_is_told():
    assert "cost no attempt" in told(SETUP)["a node that fails"].found
    assert "submitted again by the run" in told(SETUP, no_requeue=True)["a node that fails"].found
    assert "submitted again by the run" in told(SETUP | {"JobRequeue": "0"})["a node that fails"].found
    assert told(SETUP)["preemption"].found.startswith("jobs are not preempted; a job that is ended has 30 s")
    cancelled = told(SETUP | {"PreemptMode": "GANG,CANCEL"})["preemption"].found
    assert "at the cost of one of the profile's retries" in cancelled


def test_mpi_jobs_in_a_job_array_are_told_with_what_to_do():
    jobs = (Request("simulate_shard", 2, resources={"mpi": "mpiexec", "tasks": 2}), Request("train_member", 2))
    found = {finding.what: finding for finding in ways(Asked("slurm", 1, {"array_jobs": "all"}, jobs), SETUP)}
    assert "MPI jobs (simulate_shard) cannot be array jobs" in found["arrays"].found
    assert "leave the key out" in found["arrays"].advice
    assert "arrays" not in told(SETUP, array_jobs="train_member")
