"""What kills a run, and that the way on leads to the same results, to the last bit."""

import os
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from campaigns import BIN
from disturbed import SAMPLES, Disturbed
from mechscreen.runs import driver


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    run = Disturbed(tmp_path_factory.mktemp("faults") / "undisturbed")
    run.finish()
    return run


@pytest.fixture
def run(undisturbed, request):
    """A run of the same campaign in a folder of its own."""
    folder = undisturbed.folder.parent / request.node.name.replace("[", "-").rstrip("]")
    run = Disturbed(folder)
    yield run
    for process in run.processes() if driver.latest(run.results) else []:
        process.kill()


def test_the_driver_killed_with_9_is_recovered_from_by_one_command(run, undisturbed):
    process = run.start()
    run.wait_for_samples(30)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert run.processes("simulate"), "jobs outlive their driver"
    said = run.recover()
    assert not run.processes()
    assert "ending" in said
    assert "unlocked" in said
    assert "simulate_shard" in said
    assert "to continue: " in said
    run.finish()
    assert run.shards() == undisturbed.shards()


@pytest.mark.parametrize("victim", ["rank", "launcher"])
def test_a_killed_job_is_continued_by_the_same_run(run, undisturbed, victim):
    process = run.start()
    run.wait_for_samples(30)
    ranks = [p for p in run.processes("simulate") if "mpiexec" not in p.cmdline()[0] and "mechscreen" in p.cmdline()[1]]
    (launcher,) = (p for p in run.processes("simulate") if Path(p.cmdline()[0]).name.startswith("mpiexec"))
    (ranks[-1] if victim == "rank" else launcher).kill()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    assert "simulate_shard" in said.partition("Trying to restart")[0], said
    assert "Trying to restart" in said
    assert "missing files" not in said, "a job that failed is not taken for one whose file is late"
    assert run.shards() == undisturbed.shards()


def to_each(run, process):
    """SIGTERM to the driver and every process of its jobs."""
    for member in [*run.processes("simulate"), psutil.Process(process.pid)]:
        member.send_signal(signal.SIGTERM)


def ctrl_c(run, process):
    """SIGINT to the driver's process group, as a terminal sends it."""
    os.killpg(process.pid, signal.SIGINT)


@pytest.mark.parametrize("notice", [to_each, ctrl_c])
def test_a_notice_to_the_driver_and_its_jobs_keeps_what_is_done(run, undisturbed, notice):
    process = run.start()
    run.wait_for_samples(30)
    notice(run, process)
    said, _ = process.communicate(timeout=300)
    assert process.returncode != 0, said
    run.recover()
    before = len(run.journal.read_text().splitlines())
    run.finish()
    assert run.shards() == undisturbed.shards()
    # Nothing was simulated twice.
    assert before < len(run.journal.read_text().splitlines()) == SAMPLES


def test_a_second_driver_is_refused_and_harms_nothing(run, undisturbed, tmp_path):
    process = run.start(pause=1)
    run.wait_for_samples(10)
    # In the same folder Snakemake's own lock tells it; from another folder, only the campaign's.
    same = run.start()
    said, _ = same.communicate(timeout=120)
    assert same.returncode != 0
    assert "lock" in said.lower()
    other = subprocess.run(
        [part if part != str(run.folder) else str(tmp_path) for part in run.command],
        capture_output=True,
        text=True,
        env={**os.environ, "JOURNAL": str(run.journal), "PAUSE": "0"},
        timeout=120,
    )
    assert other.returncode == 2
    assert f"another run is at work on it (process {process.pid} on " in other.stderr
    refused = subprocess.run([BIN / "mechscreen", "recover", run.results], capture_output=True, text=True)
    assert refused.returncode == 2
    assert "a run is at work on it" in refused.stderr
    process.kill()
    process.wait()
    run.recover()
    run.finish()
    assert run.shards() == undisturbed.shards()


def test_a_failed_rule_is_named_with_its_log_and_the_way_on(run):
    run.command += ["--set-resources", "simulate_shard:mpi=no-such-launcher", "--retries=0"]
    process = run.start()
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "stopped before they were done:" in said
    assert str(run.results / "logs/simulate/shard-00000.log") in said
    assert "To continue, once that is put right: " in said
