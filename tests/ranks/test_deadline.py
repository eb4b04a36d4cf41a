import os
import signal
import time

import psutil
import pytest

from mechscreen.errors import InputError
from mechscreen.ranks import NEVER, Deadline
from mechscreen.ranks import deadline as module


def test_a_deadline_without_limit_is_not_reached(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    assert not Deadline().reached()
    assert Deadline().reason == ""


def test_never_knows_no_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", "0")
    assert (NEVER.reached(), NEVER.overdue(), NEVER.reason) == (False, False, "")


def test_a_deadline_keeps_a_margin_back(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    long, short = Deadline(3600), Deadline(100)
    for moment, expected in [(100 + 89, (False, False)), (100 + 91, (False, True)), (100 + 3541, (True, True))]:
        now[0] = moment
        assert (long.reached(), short.reached()) == expected
    assert long.reason == "the time limit is near"


def test_a_time_limit_that_is_no_number_is_refused():
    with pytest.raises(InputError, match="not a number"):
        Deadline(float("nan"))


def test_work_in_hand_is_given_some_seconds_of_the_margin(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    with Deadline(3600) as long, Deadline(100) as short:
        for moment, expected in [(100 + 94, (False, False)), (100 + 96, (False, True)), (100 + 3551, (True, True))]:
            now[0] = moment
            assert (long.overdue(), short.overdue()) == expected
    with Deadline() as told:
        os.kill(os.getpid(), signal.SIGTERM)
        now[0] += 9
        assert not told.overdue()
        now[0] += 2
        assert told.overdue()


def test_a_deadline_knows_the_end_of_its_slurm_job(monkeypatch):
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) + 3600))
    assert not Deadline().reached()
    monkeypatch.setenv("SLURM_JOB_END_TIME", str(int(time.time()) - 5))
    assert Deadline().reached()
    assert Deadline(3600).reached(), "the earlier of the two counts"
    monkeypatch.setenv("SLURM_JOB_END_TIME", "soon")
    with pytest.raises(InputError, match="SLURM_JOB_END_TIME is 'soon'"):
        Deadline()


def test_a_time_limit_counts_from_where_its_slurm_job_began(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_END_TIME", raising=False)
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    began = psutil.Process().create_time()
    monkeypatch.setenv(module._JOB_BEGAN, f"6 {began - 1000}")  # the driver's own job
    module.begin_job()
    monkeypatch.setattr(module.time, "time", lambda: began + 100)
    assert Deadline(90).reached()
    assert not Deadline(200).reached()
    # Snakemake calls itself once more.
    monkeypatch.setattr(psutil.Process, "create_time", lambda process: began + 50)
    module.begin_job()
    assert Deadline(90).reached()
    monkeypatch.setenv("SLURM_JOB_ID", "8")
    assert not Deadline(90).reached(), "that was another job"
    monkeypatch.delenv("SLURM_JOB_ID")
    assert not Deadline(90).reached()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_is_a_deadline_and_handlers_are_restored(number):
    before = signal.getsignal(number)
    with Deadline() as deadline:
        assert not deadline.reached()
        os.kill(os.getpid(), number)
        assert deadline.reached()
        assert deadline.reason == f"received {number.name}"
    assert signal.getsignal(number) is before


def test_a_second_ctrl_c_interrupts_but_not_the_echo_of_the_first():
    with Deadline() as deadline:
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)  # mpiexec and the terminal both pass it on
        assert deadline.reached()
        deadline._signal_time -= 5
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
