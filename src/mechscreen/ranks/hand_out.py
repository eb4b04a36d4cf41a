"""Blocks of work over MPI ranks: hand-out, and failure.

MPI is imported, and thereby started, only by `Ranks.launched`, and only where a launcher or a caller asks for ranks; a
process that is `ALONE` needs none.
"""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any, Self, TypeVar

from numpy.typing import NDArray

from mechscreen.errors import InputError, as_told

Comm = Any
"""An `mpi4py.MPI.Comm`, or None for a single process."""

Block = TypeVar("Block")
Result = TypeVar("Result")

_LAUNCHER_VARIABLES = ("PMI_RANK", "PMI_SIZE", "PMIX_RANK", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")

_RESULT, _DONE = 1, 2
"""Tags of messages to rank 0."""
_WORK, _END = 3, 4
"""Tags of messages from rank 0."""
_OWN = 5
"""Tag of a rank's own value, outside a hand-out."""

_IN_HAND = 2
"""Blocks that a worker holds: the one it works on and one in reserve."""

_LAST_WORKING_SIZE = 7
"""Number of ranks up to which rank 0 works too.

While it works, workers that finish early wait for it. Measured with blocks of 0.2 ± 0.06 s (± 0.2 s), share of the
ranks' time that was work: 2 ranks 95 % (85 %) if rank 0 works, 50 % (50 %) if not; 4 ranks 94 (82) against 73 (74);
8 ranks 86 (63) against 85 (75); 16 ranks 90 (76) against 90 (87).
"""

_MESSAGE_SECONDS = 1.0
"""Time that the launcher is given to pass on a failing rank's message."""
_POLL = 0.0005
"""Seconds between looks for a message. MPI's own waiting would keep a core busy that other ranks may need."""


class Interrupted(Exception):  # noqa: N818 - not an error: the work goes on in the next attempt
    """Work ended before it was complete, in good order: what was done is kept and the next attempt continues.

    All ranks raise it together. The command line exits with code 75 ("temporary failure, try again").
    """


class Ranks:
    """The processes that work together, of which this is one.

    Parameters
    ----------
    comm
        An `mpi4py.MPI.Comm`; None for a single process, without MPI.

    Attributes
    ----------
    rank, size
        Number of this process, from 0, and of all.
    """

    def __init__(self, comm: Comm = None) -> None:
        self._comm = comm
        self.rank = 0 if comm is None else int(comm.Get_rank())
        self.size = 1 if comm is None else int(comm.Get_size())

    @classmethod
    def launched(cls, expected: int | None = None) -> Self:
        """Return the ranks that a launcher started, this process alone if none did.

        Parameters
        ----------
        expected
            Number of ranks that were asked for; None accepts any.

        Raises
        ------
        InputError
            If the number of ranks is another, as happens when the launcher and the MPI library do not match: then every
            process believes that it is alone.
        """
        if expected in (None, 1) and not any(name in os.environ for name in _LAUNCHER_VARIABLES):
            return cls()
        try:
            from mpi4py import MPI
        except (ImportError, RuntimeError) as error:
            raise InputError(
                f"MPI cannot be loaded ({error}); load the cluster's MPI module, or: pip install 'mechscreen[all]'"
            ) from None
        size = MPI.COMM_WORLD.Get_size()
        if expected is not None and size != expected:
            if size == 1:
                raise InputError(
                    f"{expected} ranks were asked for, but this process is alone: the launcher started {expected} "
                    "separate copies, because it does not fit the MPI library. With srun, choose another --mpi (pmi2 "
                    "for MPICH, pmix for Open MPI; `srun --mpi=list` names what there is); with mpiexec, use the one "
                    f"of the same MPI ({MPI.Get_library_version().split(chr(10))[0].strip()})"
                )
            raise InputError(f"{expected} ranks were asked for, but the launcher started {size}; make the two agree")
        return cls(MPI.COMM_WORLD if size > 1 else None)

    @property
    def is_root(self) -> bool:
        """Whether this is rank 0, which reads and writes files."""
        return self.rank == 0

    def place_on_node(self) -> int:
        """Return the number of this process among those on its node, from 0; a call that all ranks make."""
        if self._comm is None:
            return 0
        from mpi4py import MPI

        here = self._comm.Split_type(MPI.COMM_TYPE_SHARED)
        try:
            return int(here.Get_rank())
        finally:
            here.Free()

    def from_root(self, make: Callable[[], Result]) -> Result:
        """Return on all ranks what `make` returns on rank 0, where alone it is called."""
        if self._comm is None:
            return make()
        shared: Result = self._comm.bcast(make() if self.is_root else None, root=0)
        return shared

    def gather(self, value: Result) -> list[Result]:
        """Return on rank 0 the values of all ranks, in their order; nothing elsewhere."""
        if self._comm is None:
            return [value]
        return self._comm.gather(value, root=0) or []

    def take_each(self, value: Result, take: Callable[[Result], None]) -> None:
        """Call `take` on rank 0 with the value of each rank, in their order, one at a time in memory."""
        if not self.is_root:
            self._comm.send(value, dest=0, tag=_OWN)
            return
        take(value)
        for rank in range(1, self.size):
            take(self._comm.recv(source=rank, tag=_OWN))

    def add_up(self, arrays: Iterable[NDArray[Any]]) -> None:
        """Turn rank 0's arrays into the sums over all ranks' arrays."""
        if self._comm is None:
            return
        from mpi4py import MPI

        for array in arrays:
            if self.is_root:
                self._comm.Reduce(MPI.IN_PLACE, array, op=MPI.SUM, root=0)
            else:
                self._comm.Reduce(array, None, op=MPI.SUM, root=0)

    @contextmanager
    def together(self) -> Iterator[None]:
        """End all ranks when this one raises, instead of leaving the others waiting for it.

        The traceback goes to standard error with the rank's number, and the job ends with exit code 1; for what people
        are told (`mechscreen.errors.as_told`), only the message, and its own code. With a single process, the exception
        passes through.
        """
        try:
            yield
        except Interrupted:
            raise
        except BaseException as error:
            if self.size == 1:
                raise
            told = as_told(error)
            if told is not None:
                message, code = f"mechscreen: {told}\n", told.exit_code
            else:
                message = "".join(f"rank {self.rank}: {line}\n" for line in traceback.format_exc().splitlines())
                code = 1
            sys.stdout.flush()
            sys.stderr.write(message)
            sys.stderr.flush()
            # The launcher passes the message on in its own time, and drops what it has not read when a rank aborts.
            time.sleep(_MESSAGE_SECONDS)
            self._comm.Abort(code)
            os._exit(code)  # where Abort returns before the launcher ends this process

    def hand_out(
        self,
        blocks: Iterable[Block],
        work: Callable[[Block], Result],
        collect: Callable[[Block, Result], None],
        stop: Callable[[], bool] = lambda: False,
        root_works: bool | None = None,
    ) -> bool:
        """Work on blocks over all ranks; a call that all of them make.

        Rank 0 hands out the blocks, each worker holding one in reserve so that it need not wait. With fewer than 8
        ranks, rank 0 works on blocks too, between messages; with more, the waiting that this causes costs more than it
        adds, unless each rank has a card, and blocks are alike.

        Parameters
        ----------
        blocks
            What to work on; only rank 0's are used, and each is asked for when a rank needs it. Small picklable values
            such as ``(start, stop)``.
        work
            Called on any rank; returns something picklable.
        collect
            Called on rank 0 with each block and its result, in the order in which they arrive.
        stop
            Asked on rank 0 between blocks. Once it is true, blocks in work are finished and collected, and no other is
            begun.
        root_works
            Whether rank 0 works on blocks too, where that is known; only rank 0's counts.

        Returns
        -------
        On every rank, whether all blocks were collected.
        """
        if self.size == 1:
            for block in blocks:
                if stop():
                    return False
                collect(block, work(block))
            return True
        with self.together():
            if self.is_root:
                complete = _Master(self._comm, blocks, collect, stop, root_works).run(work)
            else:
                _serve(self._comm, work)
                complete = False
            return bool(self._comm.bcast(complete, root=0))


ALONE = Ranks()
"""This process, without MPI."""


class _Master:
    """Rank 0's side of `Ranks.hand_out`.

    A worker is sent blocks (`_WORK`) and answers each with its result; the last message to it (`_END`) makes it drop
    what it has not begun and say `_DONE`.
    """

    def __init__(
        self,
        comm: Comm,
        blocks: Iterable[Any],
        collect: Callable[[Any, Any], None],
        stop: Callable[[], bool],
        works_too: bool | None,
    ) -> None:
        self.comm = comm
        self.works_too = comm.Get_size() <= _LAST_WORKING_SIZE if works_too is None else works_too
        self.blocks = iter(blocks)
        self.next: list[Any] = []
        """The next block, once it was asked for."""
        self.collect = collect
        self.stop = stop
        self.stopped = False
        self.unfinished = 0
        self.in_hand = dict.fromkeys(range(1, comm.Get_size()), 0)
        """Blocks that each worker holds; workers that were sent `_END` are no longer in it."""
        self.running = set(self.in_hand)
        """Workers that have not said `_DONE`."""
        self.incoming: list[Any] = []
        """Receive requests of results on their way."""

    def run(self, work: Callable[[Any], Any]) -> bool:
        """Hand out the blocks; return whether all were collected."""
        for _ in range(_IN_HAND):
            for rank in list(self.in_hand):
                self._feed(rank)
        while self.running or self.incoming or self._left():
            if not self.stopped and self.stop():
                self.stopped = True
                for rank in list(self.in_hand):
                    self._end(rank)
            if self._receive():
                continue
            if self.works_too and self._left():
                block = self._take()
                self._finish(block, work(block))
            else:
                time.sleep(_POLL)
        return self.unfinished == 0 and not self._more()

    def _more(self) -> bool:
        if not self.next:
            self.next = list(islice(self.blocks, 1))
        return bool(self.next)

    def _left(self) -> bool:
        return not self.stopped and self._more()

    def _take(self) -> Any:
        self.unfinished += 1
        return self.next.pop()

    def _finish(self, block: Any, result: Any) -> None:
        self.collect(block, result)
        self.unfinished -= 1

    def _feed(self, rank: int) -> None:
        """Send a worker its next block, or its last message if there is none and it holds none."""
        if self._left():
            self.in_hand[rank] += 1
            self.comm.send(self._take(), dest=rank, tag=_WORK)
        elif self.in_hand[rank] == 0:
            self._end(rank)

    def _end(self, rank: int) -> None:
        del self.in_hand[rank]
        self.comm.send(None, dest=rank, tag=_END)

    def _receive(self) -> bool:
        """Take one message, and the results that have arrived; return whether there was anything."""
        from mpi4py import MPI

        status = MPI.Status()
        message = self._look(status)
        if message is not None:
            rank = status.Get_source()
            if status.Get_tag() == _DONE:
                message.recv()
                self.running.discard(rank)
            else:
                # A large result is only on its way: its sender completes it when it next enters MPI, which may be
                # after a block. So the worker is fed at once, and nothing waits for the result.
                self.incoming.append(message.irecv())
                if rank in self.in_hand:
                    self.in_hand[rank] -= 1
                    self._feed(rank)
        arrived = False
        for request in list(self.incoming):
            complete, content = request.test()
            if complete:
                arrived = True
                self.incoming.remove(request)
                self._finish(*content)
        return arrived or message is not None

    def _look(self, status: Any) -> Any:
        """Return the next message, None if there is none; twice, because MPICH may find one only at the next look."""
        message = self.comm.improbe(status=status)
        return message if message is not None else self.comm.improbe(status=status)


def _serve(comm: Comm, work: Callable[[Any], Any]) -> None:
    """Work on the blocks that rank 0 sends, until it ends that."""
    from mpi4py import MPI

    status = MPI.Status()
    held: deque[Any] = deque()
    sending = None
    while True:
        while not held or comm.iprobe(source=0):
            while not comm.iprobe(source=0):
                time.sleep(_POLL)
            message = comm.recv(source=0, status=status)
            if status.Get_tag() == _END:
                if sending is not None:
                    sending.wait()
                comm.send(None, dest=0, tag=_DONE)
                return
            held.append(message)
        block = held.popleft()
        result = work(block)
        if sending is not None:
            sending.wait()
        sending = comm.isend((block, result), dest=0, tag=_RESULT)
