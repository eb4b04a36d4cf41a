"""Work that is saved as it goes, so that the next attempt continues where this one ended."""

from __future__ import annotations

import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from mechscreen import storage
from mechscreen.errors import FileError, StorageError
from mechscreen.ranks import ALONE, NEVER, Deadline, Interrupted, Ranks

log = logging.getLogger(__name__)

SAVE_EVERY = 15.0
"""Seconds between saves, …"""
SAVE_SHARE = 0.02
"""… of which saving may take this share."""


class Resumable(ABC):
    """Work that makes a file, and keeps what is done in another one until then.

    All ranks `work`; the rest is asked of rank 0 alone.

    Attributes
    ----------
    label
        Names it in messages ("simulate shard-00042").
    unit
        What is counted ("samples").
    path, partial_path
        The file that it makes last, which stands for all of it, and where what is done waits for the next attempt.
    """

    label: str
    unit: str
    path: Path
    partial_path: Path

    @property
    @abstractmethod
    def total(self) -> int:
        """Units in all."""

    @property
    @abstractmethod
    def done(self) -> int:
        """Units that are done, of those that `save` would keep."""

    @abstractmethod
    def check(self) -> None:
        """Verify the file that is there; a `FileError` has it made anew."""

    @abstractmethod
    def begin(self) -> None:
        """Get ready, with nothing done."""

    @abstractmethod
    def load(self) -> None:
        """Take over what an earlier attempt saved, all of it or, with a `FileError`, nothing."""

    @abstractmethod
    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Do what is missing until `deadline`; return on rank 0 whether all was done.

        Rank 0 calls `save_when_due` whenever something was done.
        """

    @abstractmethod
    def save(self) -> None:
        """Write what is done to `partial_path`."""

    @abstractmethod
    def finish(self) -> None:
        """Write the file."""


def run(work: Resumable, ranks: Ranks = ALONE, deadline: Deadline = NEVER) -> None:
    """Do some work, or what is missing of it; a call that all ranks make.

    A file that is there and whole is left as it is. What is done is saved from time to time, and when `deadline` is
    reached. Only what is wrong with a file's content has it made anew; an error of the environment ends the attempt, or
    lets it go on without a save, and nothing is removed.

    Raises
    ------
    Interrupted
        On all ranks, when `deadline` was reached before all was done.
    StorageError
        If the environment does not let files be read or written.
    """
    with ranks.together():
        if ranks.from_root(lambda: is_whole(work)):
            return
        before = 0
        if ranks.is_root:
            before = begin(work)
        complete = work.work(ranks, deadline, Saves(work))
        message = ranks.from_root(lambda: end(work, complete, before, deadline))
        if message:
            raise Interrupted(message)


def is_whole(work: Resumable) -> bool:
    """Return whether the file is there and whole; say so, and why not."""
    if not storage.exists(work.path):
        return False
    try:
        work.check()
    except FileError as error:
        log.warning("%s: making it anew, since %s", work.label, error)
        return False
    log.info("%s: is there already", work.label)
    storage.remove(work.partial_path)
    return True


def begin(work: Resumable) -> int:
    """Get ready, with what an earlier attempt saved; return how much of it is done."""
    # Before the work, which takes long: can its result be written?
    storage.check_writable(work.path)
    storage.check_writable(work.partial_path)
    work.begin()
    if storage.exists(work.partial_path):
        try:
            work.load()
        except FileError as error:
            log.warning("%s: starting anew, since %s", work.label, error)
            storage.remove(work.partial_path)
        else:
            log.info("%s: continuing with %d of %d %s", work.label, work.done, work.total, work.unit)
    return work.done


def end(work: Resumable, complete: bool, before: int, deadline: Deadline) -> str:
    """Write what was made or what is done; return what to tell of an interruption, nothing if there was none."""
    if complete:
        work.finish()
        storage.remove(work.partial_path)
        return ""
    work.save()
    message = (
        f"{work.label}: {work.done} of {work.total} {work.unit} are saved, since "
        f"{deadline.reason or 'a rank was told to stop'}; run the same command again to continue"
    )
    if work.done == before:
        message += f"; no {work.unit} were finished this time, and only whole ones are saved: give the job more time"
    return message


class Saves:
    """Saves what is done from time to time, when called."""

    def __init__(self, work: Resumable) -> None:
        self._work = work
        self._next = time.monotonic() + SAVE_EVERY

    def __call__(self) -> None:
        """Save, if it is time."""
        start = time.monotonic()
        if start < self._next:
            return
        try:
            self._work.save()
        except StorageError as error:  # a disk that is full now need not be at the end
            log.warning("%s: going on without saving what is done: %s", self._work.label, error)
        end = time.monotonic()
        self._next = end + max(SAVE_EVERY, (end - start) / SAVE_SHARE)
