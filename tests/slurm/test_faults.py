"""What clusters do to jobs, and that the way on leads to the same results, to the last bit."""

import re
import signal
import subprocess
import time

import pytest

from disturbed import SAMPLES, Disturbed
from mechscreen.runs import driver
from mechscreen.runs.failures import failures_file
from slurm.cluster import ACCOUNT, NARROW

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run = Disturbed(tmp_path_factory.mktemp("undisturbed"))
    run.finish()
    return run


@pytest.fixture
def run(cluster, slurm_profile, tmp_path):
    return Disturbed(tmp_path, slurm_profile)


def slurm(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def running():
    """Return the numbers of the jobs that run."""
    return slurm("squeue", "--noheader", "--states=running", "--format=%i").split()


def node_of(job):
    return slurm("squeue", "--noheader", f"--job={job}", "--format=%B").strip()


def is_over(job):
    """Return whether nothing on the nodes is left of a job's last attempt."""
    left = subprocess.run(["pgrep", "--full", rf"slurmstepd: \[{job}\."], check=False, capture_output=True)
    return left.returncode == 1


def hurry():
    """Let jobs that SLURM puts back into the queue start now, not after its two minutes of patience.

    They come there one after the other, and not before their first attempt is over: what that says at its end would
    count for the second.
    """
    held_back = []
    for _ in range(80):
        time.sleep(0.5)
        if slurm("squeue", "--noheader", "--states=completing"):
            continue
        waiting = slurm("squeue", "--noheader", "--states=pending", "--format=%i %r").splitlines()
        if held_back and not waiting:
            return
        late = [line.split()[0] for line in waiting if line.endswith("BeginTime") and is_over(line.split()[0])]
        held_back += late
        if late:
            slurm("scontrol", "update", f"jobid={','.join(late)}", "starttime=now")


def ended(process, run, undisturbed):
    said, _ = process.communicate(timeout=400)
    assert process.returncode == 0, said
    assert not list(run.results.rglob("*.partial"))
    assert run.shards() == undisturbed.shards()
    return said


def no_attempt_is_counted(run):
    noted = failures_file(run.results)
    logs = [log.read_text() for log in run.folder.glob(".snakemake/log/*.snakemake.log")]
    assert not noted.exists(), "\n".join([noted.read_text(), *logs])


def test_a_cancelled_job_is_submitted_again(run, undisturbed):
    process = run.start(pause=0.2)
    run.wait_for_samples(20)
    slurm("scancel", running()[0])
    said = ended(process, run, undisturbed)
    assert "Trying to restart" in said


def test_a_job_that_slurm_requeues_runs_again(run, undisturbed):
    process = run.start(pause=0.2)
    run.wait_for_samples(20)
    slurm("scontrol", "requeue", running()[0])
    hurry()
    ended(process, run, undisturbed)


def test_a_notice_before_the_end_leaves_a_partial_shard_that_the_next_attempt_continues(run, undisturbed):
    process = run.start(pause=0.3)
    run.wait_for_samples(20)
    # What preemption and `--signal` send.
    for job in running():
        slurm("scancel", "--signal=TERM", "--full", job)
    ended(process, run, undisturbed)
    assert len(run.journal.read_text().splitlines()) == SAMPLES, "nothing is simulated twice"


def test_jobs_of_a_node_that_goes_down_run_elsewhere(cluster, run, undisturbed):
    process = run.start(pause=0.3)
    run.wait_for_samples(20)
    node = node_of(running()[0])
    try:
        slurm("scontrol", "update", f"nodename={node}", "state=down", "reason=test")
        hurry()
        ended(process, run, undisturbed)
    finally:
        cluster.resume_node(node)


def test_a_killed_slurmd_costs_its_jobs_an_attempt_at_most(cluster, run, undisturbed):
    process = run.start(pause=0.3)
    run.wait_for_samples(20)
    node = node_of(running()[0])
    cluster.kill_node(node)
    try:
        ended(process, run, undisturbed)
    finally:
        cluster.restart_node(node)


def test_a_controller_that_is_gone_while_jobs_run_costs_them_nothing(cluster, run, undisturbed):
    process = run.start(pause=0.3)
    run.wait_for_samples(20)
    cluster.kill_controller()
    try:
        time.sleep(60)  # longer than the plugin's own five questions take, 9 s each
    finally:
        cluster.restart_controller()
    ended(process, run, undisturbed)
    no_attempt_is_counted(run)


def test_a_controller_that_is_gone_when_jobs_are_submitted_is_waited_for(cluster, run, undisturbed):
    cluster.kill_controller()
    try:
        process = run.start(pause=0)
        run.wait_for_words("Unable to contact slurm controller")
    finally:
        cluster.restart_controller()
    ended(process, run, undisturbed)
    no_attempt_is_counted(run)


def test_a_job_that_is_one_too_many_waits_for_room_and_is_no_attempt(cluster, run, undisturbed):
    run.command += ["--set-resources", f"simulate_shard:slurm_account={NARROW}"]
    ended(run.start(pause=0.02), run, undisturbed)
    no_attempt_is_counted(run)


def test_jobs_that_make_way_again_and_again_continue_and_no_attempt_is_counted(cluster, run, undisturbed):
    run.command += ["--set-resources", "simulate_shard:slurm_partition=spare"]
    process = run.start(pause=0.5)
    for times in range(1, 5):
        run.wait_for_samples(15 * times)
        # The whole cluster, for a moment.
        slurm("srun", "--partition=standard", f"--account={ACCOUNT}", "--nodes=4", "--exclusive", "true")
        hurry()
    ended(process, run, undisturbed)
    no_attempt_is_counted(run)
    assert max(map(int, re.findall(r"Restarts=(\d+)", slurm("scontrol", "show", "job")))) >= 4


def test_a_job_at_its_time_limit_is_continued(run, undisturbed):
    # 80 s of work on two ranks, in jobs of a minute that all have the same memory.
    run.command += ["--set-resources", "simulate_shard:runtime=1", "simulate_shard:mem_mb_per_cpu=1000"]
    process = run.start(pause=1.6)
    said = ended(process, run, undisturbed)
    assert "the time limit is near" in said
    assert "TIMEOUT" not in said, "jobs stop before SLURM stops them"
    assert len(run.journal.read_text().splitlines()) == SAMPLES, "nothing is simulated twice"


def test_a_job_that_is_out_of_memory_gets_more(run, undisturbed):
    # Two ranks have 1,000 MB each at first, and twice as much at the second attempt.
    run.command += ["--set-resources", "simulate_shard:tasks=2"]
    process = run.start(pause=0.2, MEGABYTES="1200")
    said = ended(process, run, undisturbed)
    assert "Trying to restart" in said


def test_the_driver_killed_with_9_is_recovered_from_by_one_command(run, undisturbed):
    process = run.start(pause=1)
    run.wait_for_samples(10)
    process.send_signal(signal.SIGKILL)
    process.wait()
    names = slurm("squeue", "--noheader", "--states=running", "--format=%j").split()
    assert names
    assert all(name.startswith(driver.job_prefix(str(run.results.resolve()))) for name in names)
    said = run.recover()
    assert "cancelling" in said
    assert not running()
    assert "unlocked" in said
    run.finish()
    assert run.shards() == undisturbed.shards()
