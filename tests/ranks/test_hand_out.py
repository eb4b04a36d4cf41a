import json
import queue
import subprocess
import sys
import threading
import time
import types

import pytest

from mechscreen.ranks import ALONE, Ranks
from mechscreen.ranks import hand_out as module

PROGRAM = """
import json, os, sys, time
import numpy as np
from mechscreen.ranks import hand_out as module
from mechscreen.errors import InputError
from mechscreen.ranks import Ranks

us = Ranks.launched()
rank = us.rank
collected = []

def work(block):
    return block, rank

def collect(block, result):
    assert result[0] == block
    collected.append((block, result[1]))

def tell(complete, **more):
    everyone = us.gather(complete)
    if rank == 0:
        print(json.dumps({"complete": everyone, "collected": collected, **more}))

"""


@pytest.fixture
def run(mpiexec, tmp_path):
    """Return a function that runs a program on n ranks and returns its exit code, output and errors."""

    def run(ranks, program):
        path = tmp_path / "program.py"
        path.write_text(PROGRAM + program)
        process = mpiexec(ranks, path)
        try:
            output, errors = process.communicate(timeout=60)
        finally:
            process.kill()
        return process.returncode, output, errors

    return run


@pytest.mark.parametrize("ranks", [1, 2, 4, 8])
def test_every_block_is_collected_once(run, ranks):
    code, output, errors = run(
        ranks,
        """
def work(block):
    time.sleep(0.01)
    return block, rank

for _ in range(2):
    collected.clear()
    complete = us.hand_out(range(60) if rank == 0 else (), work, collect)
tell(complete)
""",
    )
    assert (code, errors) == (0, "")
    said = json.loads(output)
    assert said["complete"] == [True] * ranks
    assert sorted(block for block, _ in said["collected"]) == list(range(60))
    workers = {rank for _, rank in said["collected"]}
    assert workers == set(range(ranks)) if ranks <= module._LAST_WORKING_SIZE else set(range(1, ranks))


@pytest.mark.parametrize(("ranks", "asked"), [(8, True), (2, False)])
def test_rank_0_works_too_where_it_is_told(run, ranks, asked):
    code, output, errors = run(
        ranks,
        f"""
def work(block):
    time.sleep(0.01)
    return block, rank

complete = us.hand_out(range(60) if rank == 0 else (), work, collect, root_works={asked})
tell(complete)
""",
    )
    assert (code, errors) == (0, "")
    said = json.loads(output)
    assert sorted(block for block, _ in said["collected"]) == list(range(60))
    assert (0 in {rank for _, rank in said["collected"]}) is asked


def test_results_of_several_megabytes_arrive_whole(run):
    code, output, _ = run(
        3,
        """
def work(block):
    return np.full(500_000, float(block))

def collect(block, result):
    assert result.shape == (500_000,) and (result == block).all()
    collected.append((block, 0))

tell(us.hand_out(range(12) if rank == 0 else (), work, collect))
""",
    )
    assert code == 0
    assert sorted(block for block, _ in json.loads(output)["collected"]) == list(range(12))


@pytest.mark.parametrize("ranks", [1, 4])
def test_there_may_be_no_blocks_or_fewer_than_ranks(run, ranks):
    code, output, _ = run(
        ranks,
        """
for n in (0, 1, 3):
    collected.clear()
    tell(us.hand_out(range(n) if rank == 0 else (), work, collect))
""",
    )
    assert code == 0
    for n, line in zip((0, 1, 3), output.splitlines(), strict=True):
        said = json.loads(line)
        assert said["complete"] == [True] * ranks
        assert sorted(block for block, _ in said["collected"]) == list(range(n))


@pytest.mark.parametrize("ranks", [1, 4])
def test_after_stop_no_block_is_begun_and_those_in_work_are_collected(run, ranks):
    code, output, errors = run(
        ranks,
        """
begun = []

def work(block):
    begun.append((block, time.time()))
    time.sleep(0.05)
    return block, rank

start = time.time()
complete = us.hand_out(range(1000) if rank == 0 else (), work, collect, lambda: time.time() > start + 1)
everything = us.gather(begun)
tell(complete, begun=sum(everything, []) if rank == 0 else [], start=start)
""",
    )
    assert (code, errors) == (0, "")
    said = json.loads(output)
    assert said["complete"] == [False] * ranks
    assert 5 * ranks < len(said["collected"]) < 1000
    assert sorted(block for block, _ in said["collected"]) == sorted(block for block, _ in said["begun"])
    assert max(moment for _, moment in said["begun"]) < said["start"] + 1 + 3


def failing(number, error):
    """Return a program in which a rank raises an error while all are at work."""
    return f"""
def work(block):
    if rank == {number} and block > 5:
        raise {error}
    time.sleep(0.02)
    return block, rank

us.hand_out(range(1000) if rank == 0 else (), work, collect)
print("went on")
"""


@pytest.mark.parametrize("rank", [0, 2])
def test_an_exception_on_one_rank_ends_all_with_its_traceback(run, rank):
    code, output, errors = run(3, failing(rank, 'ZeroDivisionError("of the test")'))
    assert code == 1
    assert "went on" not in output
    assert f"rank {rank}: ZeroDivisionError: of the test" in errors
    assert f"rank {rank}:   File" in errors


def test_wrong_input_on_one_rank_ends_all_with_its_message_alone(run):
    code, _, errors = run(
        3,
        """
with us.together():
    if rank == 0:
        raise InputError("a.h5: is damaged; remove it")
    us._comm.recv(source=0)
""",
    )
    assert code == 2
    assert "mechscreen: a.h5: is damaged; remove it\n" in errors
    assert "Traceback" not in errors


def test_a_failing_disk_of_one_rank_ends_all_with_74(run):
    code, _, errors = run(
        3,
        """
with us.together():
    if rank == 1:
        raise OSError(116, "Stale file handle", "a.h5")
    us.from_root(lambda: us._comm.recv(source=1))
""",
    )
    assert code == 74
    assert "mechscreen: a.h5: cannot be read or written: the network file system lost it; run again\n" in errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("rank", [0, 1])
def test_too_little_memory_of_one_rank_ends_all_with_one_message(run, rank):
    code, output, errors = run(2, failing(rank, 'MemoryError("Unable to allocate 1 PiB")'))
    assert code == 1
    assert "went on" not in output
    said = [line for line in errors.splitlines() if "memory" in line]
    assert said == ["mechscreen: out of memory: Unable to allocate 1 PiB; give the job more memory"]
    assert "Traceback" not in errors


def test_interruption_passes_through_on_all_ranks(run):
    code, output, _ = run(
        2,
        """
try:
    with us.together():
        raise module.Interrupted("half done")
except module.Interrupted as interruption:
    tell(str(interruption))
""",
    )
    assert code == 0
    assert json.loads(output)["complete"] == ["half done"] * 2


def test_another_number_of_ranks_is_refused(run):
    program = """
try:
    Ranks.launched(4)
except InputError as error:
    tell(str(error))
"""
    code, output, _ = run(2, program)
    assert code == 0
    expected = "4 ranks were asked for, but the launcher started 2; make the two agree"
    assert json.loads(output)["complete"] == [expected] * 2


def test_separate_copies_are_recognised():
    # As when srun starts four processes with a --mpi that the MPI library does not speak.
    program = "from mechscreen.ranks import Ranks; Ranks.launched(4)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert "the launcher started 4 separate copies" in done.stderr
    assert "--mpi" in done.stderr


def test_a_single_process_does_not_start_mpi():
    program = """
import sys
from mechscreen.ranks import ALONE, Ranks
assert Ranks.launched().size == Ranks.launched(1).size == 1
assert ALONE.hand_out(range(3), lambda block: block, lambda block, result: None)
assert "mpi4py.MPI" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", program], check=True)


def test_serial_blocks_are_taken_in_order_and_lazily():
    seen = []

    def blocks():
        for block in range(5):
            assert len(seen) == block, "a block may depend on what came before"
            yield block

    assert ALONE.hand_out(blocks(), lambda block: -block, lambda block, result: seen.append((block, result)))
    assert seen == [(0, 0), (1, -1), (2, -2), (3, -3), (4, -4)]


def test_an_exception_of_a_single_process_passes_through():
    with pytest.raises(ZeroDivisionError):
        ALONE.hand_out([0], lambda block: 1 // block, lambda block, result: None)


class Status:
    """Stands for `MPI.Status`."""

    def Get_source(self):  # noqa: N802
        return self.source

    def Get_tag(self):  # noqa: N802
        return self.tag


class Message:
    """A message on its way, and the request that receives it."""

    def __init__(self, content):
        self.content = content

    def recv(self):
        return self.content

    def irecv(self):
        return self

    def test(self):
        return True, self.content

    def wait(self):
        pass


class ThreadComm:
    """The part of `mpi4py.MPI.Comm` that `hand_out` uses, between threads."""

    def __init__(self, rank, boxes, barrier, shared):
        self.rank, self.boxes, self.barrier, self.shared = rank, boxes, barrier, shared

    def Get_rank(self):  # noqa: N802
        return self.rank

    def Get_size(self):  # noqa: N802
        return len(self.boxes)

    def send(self, content, dest, tag):
        self.boxes[dest].put((self.rank, tag, content))

    def isend(self, content, dest, tag):
        self.send(content, dest, tag)
        return Message(content)

    def iprobe(self, source):
        return not self.boxes[self.rank].empty()

    def recv(self, source, status):
        status.source, status.tag, content = self.boxes[self.rank].get()
        return content

    def improbe(self, status):
        try:
            status.source, status.tag, content = self.boxes[self.rank].get_nowait()
        except queue.Empty:
            return None
        return Message(content)

    def bcast(self, content, root):
        if self.rank == root:
            self.shared.append(content)
        self.barrier.wait(60)
        return self.shared[-1]


@pytest.mark.parametrize("stop_after", [None, 1000])
def test_512_ranks_get_every_block_once(monkeypatch, stop_after):
    monkeypatch.setitem(sys.modules, "mpi4py.MPI", types.SimpleNamespace(Status=Status))
    monkeypatch.setattr("mpi4py.MPI", sys.modules["mpi4py.MPI"], raising=False)
    monkeypatch.setattr(module, "_POLL", 0.02)
    n, size = 5000, 512
    boxes, barrier, shared = [queue.Queue() for _ in range(size)], threading.Barrier(size), []
    collected, worked, complete = [], [], []

    def work(block):
        time.sleep(0.01)
        worked.append(block)
        return -block

    def rank(number):
        comm = ThreadComm(number, boxes, barrier, shared)
        blocks = range(n) if number == 0 else ()
        stop = (lambda: len(collected) >= stop_after) if stop_after else lambda: False

        def collect(block, result):
            collected.append((block, result))

        complete.append(Ranks(comm).hand_out(blocks, work, collect, stop))

    threads = [threading.Thread(target=rank, args=(number,)) for number in range(size)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert complete == [stop_after is None] * size
    assert sorted(block for block, _ in collected) == sorted(worked)
    assert all(result == -block for block, result in collected)
    assert len(set(worked)) == len(worked)
    if stop_after:
        assert stop_after <= len(collected) < stop_after + 2 * size
    else:
        assert len(collected) == n
    assert all(box.empty() for box in boxes), "no message may be left for the next hand-out"


def test_a_communicator_needs_a_launcher_or_a_number(monkeypatch):
    for name in module._LAUNCHER_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    assert Ranks.launched().size == 1
