"""What a run that died left behind is ended, and nothing else, whatever the folder says."""

import json
import os
import shutil
import signal
import subprocess
import sys

import psutil
import pytest

from mechscreen.errors import InputError
from mechscreen.runs import driver
from mechscreen.runs.recover import recover

UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

DRIVER = """
import subprocess, sys
from pathlib import Path
from mechscreen.runs import driver
held = driver.begin(Path(sys.argv[1]), sys.argv[2])
job = subprocess.Popen(["sleep", "600"])
print(job.pid, flush=True)
job.wait()
"""


@pytest.fixture
def killed(campaign, tmp_path, slurm):
    """A folder of results whose run was killed, and left a process and its locks behind; yields the process."""
    log = tmp_path / ".snakemake/log/x.log"
    log.parent.mkdir(parents=True)
    log.write_text(f"Host: here\nSLURM run ID: prefix_{UUID}\n")
    command = [sys.executable, "-c", DRIVER, str(campaign.paths.root), str(log)]
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, text=True) as running:
        job = psutil.Process(int(running.stdout.readline()))
        running.send_signal(signal.SIGKILL)
        running.wait()
        lock(tmp_path, "0.output.lock", "results/looked-at/simulations/shard-00000.h5", "results/looked-at/report.html")
        lock(tmp_path, "0.input.lock", "results/looked-at/simulations/shard-00000.h5")
        yield job
        if job.is_running():
            job.kill()


def lock(folder, name, *lines):
    locks = folder / ".snakemake/locks"
    locks.mkdir(parents=True, exist_ok=True)
    (locks / name).write_text("\n".join(lines) + "\n")


def locks(folder):
    return sorted(path.name for path in (folder / ".snakemake/locks").iterdir())


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Commands of SLURM that note how they are called; squeue tells of two jobs until they are cancelled."""
    folder = tmp_path / "slurm"
    folder.mkdir()
    called = folder / "called"
    called.touch()
    for name, does in {"squeue": SQUEUE.format(called=called, names=folder / "names"), "scancel": ":"}.items():
        script = folder / name
        script.write_text(f'#!/bin/bash\n{does}\nprintf "%s" {name} >> {called}; printf " [%s]" "$@" >> {called}\n')
        script.write_text(script.read_text() + f"echo >> {called}\n")
        script.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return called


SQUEUE = """
if [[ "$*" == *--format=%j* ]]; then cat {names} 2>/dev/null
else grep -q ^scancel {called} || echo 41 42; fi
"""


def recovered(root):
    said = []
    recover(root, said.append)
    return "\n".join(said)


def edit(root, **changes):
    path = driver.record(root)
    values = json.loads(path.read_text())
    path.write_text(json.dumps({**values, **changes}))


def test_jobs_processes_and_locks_of_a_killed_run_are_ended_from_anywhere(
    campaign, tmp_path, killed, slurm, monkeypatch
):
    monkeypatch.chdir("/")
    said = recovered(campaign.paths.root)
    assert f"cancelling 2 jobs of SLURM run prefix_{UUID}: 41 42" in said
    assert "scancel [41] [42]\n" in slurm.read_text()
    assert f"[--me] [--name] [prefix_{UUID}]" in slurm.read_text()
    assert f"ending 1 processes: {killed.pid}" in said
    assert not killed.is_running() or killed.status() == psutil.STATUS_ZOMBIE
    assert f"unlocked {tmp_path}" in said
    assert locks(tmp_path) == []
    assert "simulate_shard     0 of 3 done" in said


def test_jobs_are_found_by_the_campaign_in_their_names_where_the_log_is_lost(campaign, killed, slurm):
    root = campaign.paths.root
    edit(root, log="")
    ours = f"{driver.job_prefix(str(root.resolve()))}_{UUID}"
    (slurm.parent / "names").write_text(f"another-0123456789ab_{UUID}\n{ours}\n{ours}\n")
    assert f"cancelling 2 jobs of SLURM run {ours}: 41 42" in recovered(root)
    assert slurm.read_text().count("scancel") == 1


def test_recover_of_a_copy_leaves_the_original_alone(campaign, tmp_path, killed, slurm):
    for copied in (tmp_path / "results/copy", tmp_path / "backup"):
        shutil.copytree(campaign.paths.root, copied)
        said = recovered(copied)
        assert f"is a copy of {campaign.paths.root}, whose jobs and processes are left alone" in said
        assert "unlocked" not in said
    assert "scancel" not in slurm.read_text()
    assert killed.is_running()
    assert locks(tmp_path) == ["0.input.lock", "0.output.lock"]


def test_a_copy_with_its_snakemake_folder_is_unlocked_and_the_original_is_not(campaign, tmp_path, killed):
    copied = tmp_path / "copied"
    shutil.copytree(tmp_path / "results", copied / "results")
    shutil.copytree(tmp_path / ".snakemake", copied / ".snakemake")
    assert f"unlocked {copied}" in recovered(copied / "results/looked-at")
    assert locks(copied) == []
    assert locks(tmp_path) == ["0.input.lock", "0.output.lock"]
    # One that is a link leads to the original.
    shutil.rmtree(copied / ".snakemake")
    (copied / ".snakemake").symlink_to(tmp_path / ".snakemake")
    assert "unlocked" not in recovered(copied / "results/looked-at")
    assert killed.is_running()


def test_a_folder_that_was_moved_is_still_that_of_its_run(campaign, tmp_path, killed):
    moved = tmp_path / "moved/results/looked-at"
    (tmp_path / "moved").mkdir()
    (tmp_path / "results").rename(tmp_path / "moved/results")
    (tmp_path / ".snakemake").rename(tmp_path / "moved/.snakemake")
    said = recovered(moved)
    assert "ending 1 processes" in said
    assert f"unlocked {tmp_path / 'moved'}" in said
    # The command would go on where the folder was.
    assert f"run Snakemake in {tmp_path / 'moved'} with --configfile {moved}/campaign.yaml" in said


def test_locks_of_other_campaigns_in_the_same_folder_stay(campaign, tmp_path, killed):
    lock(tmp_path, "1.output.lock", "results/other/report.html")
    lock(tmp_path, "1.input.lock", "results/other/a.h5", "results/looked-at/emulators/dense/member-0/model.keras")
    lock(tmp_path, "2.input.lock", "results/other/a.h5", "results/looked-at/dataset/manifest.json")
    lock(tmp_path, "3.output.lock", "../../etc/passwd", "results/looked-at/report.html")
    lock(tmp_path, "4.output.lock", "")
    # A run is at work on it, which reads what `looked-at` made.
    held = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(tmp_path / "results/other"), ""], stdout=subprocess.PIPE, text=True
    )
    job = psutil.Process(int(held.stdout.readline()))
    try:
        assert "unlocked" in recovered(campaign.paths.root)
        assert locks(tmp_path) == ["1.input.lock", "1.output.lock", "2.input.lock", "3.output.lock", "4.output.lock"]
    finally:
        held.kill()
        held.wait()
        job.kill()
        held.stdout.close()
    recovered(campaign.paths.root)
    assert locks(tmp_path) == ["1.output.lock", "3.output.lock", "4.output.lock"]


def test_a_command_that_the_record_holds_is_not_executed(campaign, tmp_path, killed):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/bash\ntouch {tmp_path}/sprung\n")
    trap.chmod(0o755)
    edit(campaign.paths.root, command=[str(trap), "-c", f"touch {tmp_path}/sprung"], host="elsewhere")
    said = recovered(campaign.paths.root)
    assert "unlocked" in said
    assert "ending" not in said
    assert not (tmp_path / "sprung").exists()


def test_a_record_from_elsewhere_recommends_no_command(campaign, tmp_path, killed):
    edit(campaign.paths.root, command=["rm", "-rf", "/home"], inode=1)
    said = recovered(campaign.paths.root)
    assert "rm -rf" not in said
    assert "--configfile" in said


def test_processes_of_another_number_or_host_live_on(campaign, killed):
    edit(campaign.paths.root, number="0" * 16)
    recovered(campaign.paths.root)
    edit(campaign.paths.root, number=killed.environ()[driver.RUN_VARIABLE], host="elsewhere", log="")
    assert "to end what it left there, run this on elsewhere" in recovered(campaign.paths.root)
    assert killed.is_running()


@pytest.mark.parametrize("name", ["-u root", "$(touch evil)", "all", f"{UUID};reboot", f"../{UUID}", "--state=running"])
def test_a_name_that_is_none_of_a_run_cancels_nothing(campaign, tmp_path, killed, slurm, name):
    (tmp_path / ".snakemake/log/x.log").write_text(f"SLURM run ID: {name}\n")
    recovered(campaign.paths.root)
    assert "scancel" not in slurm.read_text()


def test_a_log_that_is_a_pipe_holds_nobody_up(campaign, tmp_path, killed):
    (tmp_path / ".snakemake/log/x.log").unlink()
    os.mkfifo(tmp_path / ".snakemake/log/x.log")
    assert "ending 1 processes" in recovered(campaign.paths.root)


def test_slurm_that_does_not_answer_is_said(campaign, killed, slurm):
    (slurm.parent / "squeue").write_text("#!/bin/bash\necho 'slurm_load_jobs error: Unable to contact' >&2\nexit 1\n")
    with pytest.raises(InputError, match=r"squeue failed: .*Unable to contact; try again when SLURM answers"):
        recovered(campaign.paths.root)


def test_a_folder_that_is_none_of_results_is_named(tmp_path):
    with pytest.raises(InputError, match="holds no campaign"):
        recovered(tmp_path)


def test_a_campaign_without_a_run_is_only_told_of(campaign):
    said = recovered(campaign.paths.root)
    assert "no run is recorded" in said
    assert "0 of 3 done" in said


def test_a_record_that_is_a_link_is_not_written_through(campaign, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("precious")
    driver.record(campaign.paths.root).parent.mkdir(parents=True)
    driver.record(campaign.paths.root).symlink_to(mine)
    with pytest.raises(InputError, match=r"run\.json: is a link"):
        driver.begin(campaign.paths.root, None)
    assert mine.read_text() == "precious"
