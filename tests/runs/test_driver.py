import re
import signal
import subprocess
import sys

import pytest

from mechscreen.errors import InputError
from mechscreen.runs import driver

DRIVER = """
import sys, time
from pathlib import Path
from mechscreen.runs import driver
held = driver.begin(Path(sys.argv[1]), "some.log")
print("begun", flush=True)
time.sleep(60)
"""


@pytest.fixture
def running(tmp_path):
    """Another process that drives the campaign."""
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "begun\n"
        yield process
        process.kill()


def test_a_second_run_is_refused_and_the_first_is_named(tmp_path, running):
    with pytest.raises(InputError, match=rf"another run is at work on it \(process {running.pid} on "):
        driver.begin(tmp_path, None)
    assert driver.latest(tmp_path).pid == running.pid


def test_a_run_that_was_killed_holds_nothing(tmp_path, running):
    assert driver.is_alive(tmp_path)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert not driver.is_alive(tmp_path)
    with driver.begin(tmp_path, None):
        assert driver.is_alive(tmp_path)
        assert driver.latest(tmp_path).number != ""


def test_a_run_tells_how_it_was_called(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["/usr/bin/snakemake", "--config", "a=b c"])
    monkeypatch.chdir(tmp_path)
    with driver.begin(tmp_path, "x.log"):
        run = driver.latest(tmp_path)
    assert run.command_line == "snakemake --config 'a=b c'"
    assert run.log == str(tmp_path / "x.log")
    monkeypatch.chdir("/")
    assert run.command_line == f"cd {tmp_path} && snakemake --config 'a=b c'"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"pid": 3}', "null"])
def test_a_record_that_cannot_be_read_is_none(tmp_path, content):
    path = driver.record(tmp_path)
    path.parent.mkdir()
    path.write_text(content)
    assert driver.latest(tmp_path) is None


def test_there_is_none_before_the_first(tmp_path):
    assert driver.latest(tmp_path) is None
    assert not driver.is_alive(tmp_path)


def test_names_of_jobs_tell_campaigns_of_one_name_apart_and_are_such_as_slurm_takes():
    names = [driver.job_prefix(f"/data/{folder}/results/rings of colonies.v2") for folder in ("a", "b")]
    assert len(set(names)) == 2
    assert all(re.fullmatch(r"rings-of-colonies-v2-[0-9a-f]{12}", name) for name in names)
    assert len(driver.job_prefix("/results/" + "x" * 200)) <= 50


def test_where_locks_do_nothing_the_process_of_the_run_is_looked_at(tmp_path, running, no_locks):
    assert driver.is_alive(tmp_path) is True
    with pytest.raises(InputError, match=rf"a run is at work on it \(process {running.pid} on .*\); wait"):
        driver.refuse_alive(tmp_path, "wait")
    running.kill()
    running.wait()
    assert driver.is_alive(tmp_path) is False
    driver.refuse_alive(tmp_path, "wait")


def test_a_number_that_is_another_process_by_now_is_no_run(tmp_path, running, no_locks):
    path = driver.record(tmp_path)
    path.write_text(re.sub(r'"started": "[^"]*"', '"started": "2020-01-01 00:00"', path.read_text()))
    assert driver.is_alive(tmp_path) is False


def test_on_another_machine_where_locks_do_nothing_nobody_can_tell(tmp_path, running, no_locks):
    path = driver.record(tmp_path)
    path.write_text(re.sub(r'"host": "[^"]*"', '"host": "login7"', path.read_text()))
    assert driver.is_alive(tmp_path) is None
    with pytest.raises(InputError, match=r"cannot be told here, since file locks do nothing .*do this on login7"):
        driver.refuse_alive(tmp_path, "wait")
