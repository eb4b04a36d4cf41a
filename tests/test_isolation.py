import errno
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import pytest

import callee
from mechscreen.errors import InputError, ModelError, StorageError
from mechscreen.isolation import Abandoned, Crashed, Isolated, Raised, TimedOut

TESTS = Path(__file__).parent
PATIENT = 60.0


@pytest.fixture
def isolated():
    with Isolated("the callee", callee.Callee) as isolated:
        yield isolated


def gone(pid):
    """Return whether a process has ended, waiting for it for a while."""
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


def test_a_call_returns_what_the_method_returns_in_another_process(isolated):
    assert isolated.call("double", 21, seconds=PATIENT) == 42
    pids = {isolated.call("pid", seconds=PATIENT) for _ in range(3)}
    assert len(pids) == 1
    assert os.getpid() not in pids
    isolated.close()
    assert gone(*pids)


@pytest.mark.parametrize(
    ("kind", "message", "expected"),
    [
        (ValueError, "of the test", "ValueError: of the test"),
        (SystemExit, 3, "SystemExit: 3"),
        (EOFError, "", "EOFError: "),
    ],
)
def test_an_exception_is_told_with_its_traceback_and_the_process_goes_on(isolated, kind, message, expected):
    pid = isolated.call("pid", seconds=PATIENT)
    with pytest.raises(Raised) as caught:
        isolated.call("fail", kind, message, seconds=PATIENT)
    assert str(caught.value) == expected
    assert "raise kind(message)" in caught.value.__notes__[0]
    assert isolated.call("pid", seconds=PATIENT) == pid


def test_what_the_environment_does_to_a_call_is_not_told_as_its_own_fault(isolated):
    with pytest.raises(
        StorageError, match=r"^the callee: a file: cannot be read or written: the disk reports"
    ) as caught:
        isolated.call("fail_with", errno.EIO, seconds=PATIENT)
    assert caught.value.errno == errno.EIO
    with pytest.raises(Raised, match="PermissionError"):
        isolated.call("fail_with", errno.EACCES, seconds=PATIENT)


def test_a_result_that_cannot_be_sent_is_told(isolated):
    with pytest.raises(Raised, match="lambda"):
        isolated.call("unpicklable", seconds=PATIENT)


@pytest.mark.parametrize(("method", "arguments"), [("double", (21, 1000)), ("hold_the_interpreter", ())])
def test_a_call_that_takes_too_long_is_ended_and_the_next_has_a_new_process(isolated, method, arguments):
    pid = isolated.call("pid", seconds=PATIENT)
    with pytest.raises(TimedOut, match=r"^no result within 0\.3 s$"):
        isolated.call(method, *arguments, seconds=0.3)
    assert gone(pid)
    assert isolated.call("double", 21, seconds=PATIENT) == 42


def test_what_a_call_started_ends_with_it(isolated, tmp_path):
    with pytest.raises(TimedOut):
        isolated.call("start_another", tmp_path / "pid", seconds=1.0)
    assert gone(int((tmp_path / "pid").read_text()))


def test_the_start_of_the_process_does_not_count():
    with Isolated("the callee", partial(callee.Callee, 0.6)) as isolated:
        assert isolated.call("double", 21, seconds=0.5) == 42


@pytest.mark.parametrize(
    ("method", "argument", "reason"),
    [
        ("dereference_null", (), "the process was ended by SIGSEGV"),
        ("end_by", (signal.SIGABRT,), "the process was ended by SIGABRT"),
        ("exit_at_once", (0,), "the process ended with exit code 0"),
    ],
)
def test_a_call_that_ends_its_process_crashed(isolated, method, argument, reason):
    with pytest.raises(Crashed, match=f"^{reason}$"):
        isolated.call(method, *argument, seconds=PATIENT)
    assert isolated.call("double", 21, seconds=PATIENT) == 42


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (signal.SIGKILL, "ended from outside by SIGKILL, most probably because the memory was used up"),
        (signal.SIGXCPU, "ended from outside by SIGXCPU"),
    ],
)
def test_a_process_that_is_killed_from_outside_is_not_the_calls_fault(isolated, number, expected):
    with pytest.raises(MemoryError, match=expected):
        isolated.call("end_by", number, seconds=PATIENT)
    pid = isolated.call("pid", seconds=PATIENT)
    os.kill(pid, number)
    gone(pid)
    with pytest.raises(MemoryError, match=expected):
        isolated.call("pid", seconds=PATIENT)


def test_want_of_memory_in_the_process_is_want_of_memory_here(isolated):
    with pytest.raises(MemoryError, match=r"^5 GB$"):
        isolated.call("fail", MemoryError, "5 GB", seconds=PATIENT)


def test_a_caller_may_give_up(isolated):
    pid = isolated.call("pid", seconds=PATIENT)
    start = time.monotonic()
    with pytest.raises(Abandoned):
        isolated.call("double", 21, 1000, seconds=PATIENT, give_up=lambda: time.monotonic() > start + 0.3)
    assert gone(pid)


def test_the_process_outlives_the_notices_of_clusters_and_terminals_from_its_first_moment_on():
    """A notice goes to the calling process too, which goes on until the call has returned."""
    program = f"""
import os, signal, threading, time
import callee
from mechscreen.isolation import Isolated
from mechscreen.ranks import Deadline

def notify():
    for moment in range(200):
        for pid in open(f"/proc/{{os.getpid()}}/task/{{os.getpid()}}/children").read().split():
            for number in Deadline._SIGNALS:
                os.kill(int(pid), number)
        time.sleep(0.005)

threading.Thread(target=notify).start()
with Deadline(), Isolated("the callee", callee.Callee) as isolated:
    print(isolated.call("double", 21, 1.2, seconds={PATIENT}))
"""
    done = run(program)
    assert (done.stdout, done.returncode) == ("42\n", 0), done.stderr


def test_methods_are_called_in_a_folder_of_the_process_that_is_removed_in_the_end(isolated, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    own, made_in, started_in, found = isolated.call("folders", seconds=PATIENT)
    assert (made_in, started_in, found) == (str(tmp_path), str(tmp_path), [])
    assert Path(own).parent == Path(tempfile.gettempdir())
    isolated.call("leave", "in.txt", seconds=PATIENT)
    assert [path.name for path in Path(own).iterdir()] == ["in.txt"]
    with Isolated("another", callee.Callee) as another:
        assert another.call("folders", seconds=PATIENT)[0] != own
    with pytest.raises(Crashed):
        isolated.call("exit_at_once", 1, seconds=PATIENT)
    assert not Path(own).exists()
    assert not list(tmp_path.iterdir())


def test_the_folder_that_a_killed_caller_left_is_removed_by_the_next_and_those_of_the_living_stay(
    tmp_path, monkeypatch
):
    program = """
import os, signal, callee
from mechscreen.isolation import Isolated

isolated = Isolated("the callee", callee.Callee)
print(isolated.call("folders", seconds=60)[0], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = Path(run(program).stdout.strip())
    assert left.parent == tmp_path
    with Isolated("the living", callee.Callee) as living:
        own = Path(living.call("folders", seconds=PATIENT)[0])
        assert left.is_dir(), "it is fresh"
        for folder in (left, own):
            os.utime(folder, (0, 0))
        with Isolated("the next", callee.Callee) as after:
            after.call("pid", seconds=PATIENT)
            assert own.is_dir()
            assert not left.exists()


def test_where_no_folder_can_be_made_the_place_is_named(isolated, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"no folder can be made in .*none \(No such file .*; set TMPDIR to one"):
        isolated.call("pid", seconds=PATIENT)


def test_modules_are_found_from_relative_places_on_the_path(tmp_path):
    (tmp_path / "beside").mkdir()
    (tmp_path / "beside" / "late_of_the_tests.py").write_text("value = 8")
    done = run(
        """
import callee, sys
from mechscreen.isolation import Isolated

sys.path[:0] = ["beside"]
with Isolated("the callee", callee.Callee) as isolated:
    print(isolated.call("late_import", "late_of_the_tests", seconds=60))
""",
        cwd=tmp_path,
    )
    assert done.stdout == "8\n", done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_what_a_call_starts_can_be_ended(isolated, number):
    assert isolated.call("how_children_take", number, seconds=PATIENT) == (-number, -number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_a_call_has_just_forked_can_be_ended(isolated, number):
    assert isolated.call("how_newborns_take", number, 200, seconds=PATIENT) == {-number}


@pytest.mark.parametrize(("then", "group"), [("fail", False), ("fail", True), ("return", True)])
def test_a_call_that_a_notice_may_have_spoilt_is_abandoned_and_not_told_as_its_own_fault(isolated, then, group):
    with pytest.raises(Abandoned):
        isolated.call("notice", signal.SIGTERM, then, group, seconds=PATIENT)
    assert isolated.call("double", 21, seconds=PATIENT) == 42


def test_a_call_that_goes_on_by_itself_returns_in_spite_of_a_notice(isolated):
    assert isolated.call("notice", signal.SIGUSR1, "done", seconds=PATIENT) == "done"
    with pytest.raises(Raised, match="of the test"):
        isolated.call("fail", ValueError, "of the test", seconds=PATIENT)


def until(condition):
    end = time.monotonic() + 10
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def test_what_a_call_prints_is_shown_as_it_comes(isolated, capfd):
    said = []

    def shown(text):
        said.append(capfd.readouterr().err)
        return text in "".join(said)

    for text in ("first", "second"):
        isolated.call("say", text, seconds=PATIENT)
        assert until(partial(shown, f"{text}\n"))
    isolated.close()
    said.append(capfd.readouterr().err)
    assert "".join(said) == "first\nsecond\n"


def test_of_two_hundred_megabytes_that_a_call_prints_the_beginning_and_the_end_are_shown(isolated, capfd):
    each = 10**6
    isolated.call("say_much", each, seconds=PATIENT)
    isolated.close()
    said = capfd.readouterr().err
    assert len(said) < 40_000
    beginning, note, end = re.split(r"(\n… .* …\n)", said)
    assert beginning.startswith(f"{0:099d}\n{1:099d}\n")
    assert end.endswith(f"{each - 2:099d}\n{each - 1:099d}\n")
    left_out = 2 * each * 100 - len(beginning) - len(end)
    assert note == f"\n… {left_out:,} bytes that the callee printed are left out here …\n"


def test_processes_that_follow_each_other_are_shown_as_one(isolated, capfd):
    for number in range(8):
        with pytest.raises(Crashed):
            isolated.call("say_and_crash", f"{number} {'x' * 10_000}", seconds=PATIENT)
    isolated.close()
    said = capfd.readouterr().err
    assert len(said) < 40_000
    assert said.startswith("0 xxx")
    assert "\n7 xxx" in said
    assert "\n4 xxx" not in said


def test_a_program_that_holds_on_to_the_output_does_not_keep_the_caller(isolated, tmp_path):
    isolated.call("leave_a_talker", tmp_path / "pid", seconds=PATIENT)
    start = time.monotonic()
    isolated.close()
    assert time.monotonic() - start < 3
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def run(program, **options):
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, "PYTHONPATH": path}
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=PATIENT, **options)


def test_a_caller_that_is_killed_leaves_no_process_behind():
    done = run(
        """
import os, signal, sys, threading
import callee
from mechscreen.isolation import Isolated

isolated = Isolated("the callee", callee.Callee)
print(isolated.call("pid", seconds=60), flush=True)
threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGKILL)).start()
isolated.call("hold_the_interpreter", seconds=60)
"""
    )
    assert done.returncode == -signal.SIGKILL
    assert gone(int(done.stdout))


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (callee.Unmakeable, "ValueError: for this test"),
        (callee.Deadly, "the process was ended by SIGSEGV"),
    ],
)
def test_what_cannot_be_made_there_is_told(make, expected):
    with Isolated("the callee", make) as isolated, pytest.raises(ModelError) as caught:
        isolated.call("pid", seconds=PATIENT)
    assert str(caught.value) == f"the callee cannot be made in a process of its own: {expected}"


def test_under_mpi_the_process_is_no_rank(mpiexec, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        f"""
import sys
sys.path.insert(0, {str(TESTS)!r})
import callee
from mechscreen.isolation import Isolated
from mechscreen.ranks import Ranks

us = Ranks.launched(2)
with Isolated("the callee", callee.Callee) as isolated:
    found = us.gather(isolated.call("ranks", seconds=60))
if us.is_root:
    print(found)
"""
    )
    output, errors = mpiexec(2, program).communicate(timeout=PATIENT)
    assert output == "[1, 1]\n", errors
