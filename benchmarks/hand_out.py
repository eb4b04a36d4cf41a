"""What it costs rank 0 to hand out blocks, and how busy it is with many ranks (docs/measured/scaling.md).

    python benchmarks/hand_out.py                     512 simulated ranks
    mpiexec -n 2 python benchmarks/hand_out.py --real  the cost of a block between real ranks

The simulated ranks answer after a block's time, by a communicator that packs and unpacks every message as MPI for
Python does; rank 0 is the real one of `mechscreen.ranks.Ranks.hand_out`.
"""

from __future__ import annotations

import argparse
import heapq
import pickle
import time

import numpy as np

from mechscreen.ranks import Ranks
from mechscreen.ranks.hand_out import _DONE, _RESULT, _WORK
from mechscreen.tally import Hits

SAMPLES = 64
SIMULATED = {"profiles": np.zeros((SAMPLES, 1, 501), np.float32), "log_peaks": np.zeros((SAMPLES, 1))}
"""What a block of simulations of the pattern model returns."""
SCREENED = Hits(
    np.zeros(1, np.int64),
    np.zeros((1, 13)),
    np.zeros(1, np.int64),
    np.zeros(1, np.float32),
    np.zeros((1, 1, 501), np.float32),
    np.zeros((1, 1), np.float32),
    np.zeros(1),
)
"""What a batch of a screen returned that found a hit; now a rank tells of many batches at once, and of most nothing."""


class SimulatedRanks:
    """The communicator of rank 0, with workers that take `seconds` for a block."""

    def __init__(self, ranks: int, seconds: float, result: object) -> None:
        self.ranks = ranks
        self.seconds = seconds
        self.result = result
        self.free_at = [0.0] * ranks
        self.messages: list[tuple[float, int, int, int, bytes]] = []
        self.sent = 0
        self.rng = np.random.default_rng(1)

    def Get_size(self) -> int:  # noqa: N802 - MPI's name
        return self.ranks

    def Get_rank(self) -> int:  # noqa: N802
        return 0

    def bcast(self, value, root):
        return value

    def send(self, content, dest: int, tag: int) -> None:
        packed = pickle.dumps(content)
        now = time.perf_counter()
        self.sent += 1
        if tag == _WORK:
            start = max(now, self.free_at[dest])
            end = start + self.seconds * self.rng.uniform(0.5, 1.5)
            self.free_at[dest] = end
            answer = pickle.dumps((pickle.loads(packed), self.result))
            heapq.heappush(self.messages, (end, self.sent, dest, _RESULT, answer))
        else:
            heapq.heappush(self.messages, (max(now, self.free_at[dest]), self.sent, dest, _DONE, pickle.dumps(None)))

    def improbe(self, status):
        if not self.messages or self.messages[0][0] > time.perf_counter():
            return None
        _, _, rank, tag, packed = heapq.heappop(self.messages)
        status.Set_source(rank)
        status.Set_tag(tag)
        return _Message(packed)


class _Message:
    def __init__(self, packed: bytes) -> None:
        self.packed = packed

    def recv(self):
        return pickle.loads(self.packed)

    def irecv(self):
        return self

    def test(self):
        return True, pickle.loads(self.packed)


def simulated(what: str, result: object, ranks: int, seconds: float, blocks: int) -> None:
    comm = SimulatedRanks(ranks, seconds, result)
    collected = []
    start, cpu = time.perf_counter(), time.process_time()
    assert Ranks(comm).hand_out(range(blocks), lambda block: result, lambda block, result: collected.append(block))
    wall, used = time.perf_counter() - start, time.process_time() - cpu
    assert sorted(collected) == list(range(blocks))
    ideal = seconds * blocks / (ranks - 1)
    print(
        f"{what}, {ranks} ranks, blocks of {seconds:g} s: {blocks / wall:8,.0f} blocks/s, "
        f"rank 0 busy {used / wall:4.0%}, {1e6 * used / blocks:5.0f} µs a block, ranks at work {ideal / wall:4.0%}"
    )


def real(what: str, result: object, blocks: int) -> None:
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    collected = []
    comm.Barrier()
    start = time.perf_counter()
    Ranks(comm).hand_out(range(blocks), lambda block: result, lambda block, result: collected.append(block))
    wall = time.perf_counter() - start
    if comm.Get_rank() == 0:
        print(f"{comm.Get_size()} real ranks, {what}, blocks of no work: {1e6 * wall / blocks:.0f} µs a block")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--real", action="store_true")
    parser.add_argument("--ranks", type=int, default=512)
    options = parser.parse_args()
    if options.real:
        real("simulations", SIMULATED, 2000)
        real("screen", SCREENED, 2000)
        return
    # Without work, what rank 0 can do at most; then blocks as they are made.
    for what, result, lengths in (("simulations", SIMULATED, (1.0, 0.2)), ("screen", SCREENED, (0.3, 0.1))):
        simulated(what, result, options.ranks, 0.0, 20_000)
        for seconds in lengths:
            simulated(what, result, options.ranks, seconds, 20 * options.ranks)


if __name__ == "__main__":
    main()
