"""Direct: the samples of a screen, simulated by the model itself (``screen.by: model``)."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mechscreen.models.outputs import Status
from mechscreen.ranks import Deadline
from mechscreen.sampling import sample_seeds
from mechscreen.stages import simulate
from mechscreen.tally import Batch, Counts, Failures, Hits, Seen

if TYPE_CHECKING:
    from mechscreen.campaign import Campaign
    from mechscreen.stages.search import Search

STREAM = "screen seeds"
"""Random numbers of the samples, other ones than simulations and validation have."""

_LARGEST, _VALUES = 8192, 2**23
"""Samples, and values of their outputs, that are simulated in one call, at most."""
_ENOUGH_ALIKE = 64
"""First samples of a rank that fail alike by a mistake of the code show that all will; of so many ranks, one may meet
several by chance."""


def largest_call(campaign: Campaign) -> int:
    """Return how many samples a screen by the model simulates in one call, at most."""
    return max(1, min(_LARGEST, _VALUES // math.prod(campaign.outputs.shape)))


class Direct:
    """The model as a screen's rank calls it: what simulates and labels batches of samples."""

    def __init__(self, search: Search, task: simulate.Task, simulator: simulate.Simulator, begun: bool) -> None:
        self._search = search
        self._task = task
        self._simulator = simulator
        first = min(_ENOUGH_ALIKE, search.campaign.screen.block_size)
        self._mistake = simulate.Mistake(task, np.array([begun] * first), first)
        self._blocks: simulate.Blocks | None = None
        self.by = f"model {search.campaign.model.name}"
        """What is recorded as having looked."""

    def batches(self, start: int, done: NDArray[np.bool_], ranks: int) -> Iterator[Batch]:
        """Yield what is missing of the samples from `start` on, in pieces that take about a second."""
        self._blocks = simulate.Blocks(np.flatnonzero(~done), ranks, largest_call(self._search.campaign))
        for rows in self._blocks:
            for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
                yield start + int(run[0]), start + int(run[-1]) + 1

    def note(self, seconds: float) -> None:
        """Learn what a sample takes."""
        if self._blocks is not None:
            self._blocks.note(seconds)

    def look_at(self, start: int, stop: int, counts: Counts) -> Seen:
        """Simulate and label the samples ``start … stop − 1`` and add them to `counts`.

        Returns
        -------
        hits, failures
            Among those that were simulated.
        done
            Which these are: all, unless the deadline came before.
        seconds
            That a sample took.
        """
        search, campaign = self._search, self._search.campaign
        begin = time.perf_counter()
        position, physical = search.sample(start, stop)
        task = replace(
            self._task,
            index=np.arange(start, stop),
            parameters=physical,
            seeds=sample_seeds(campaign.seed, start, stop, STREAM),
        )
        parts = simulate.simulate_rows(task, self._simulator, np.arange(stop - start))
        if not parts:
            return Seen(search.no_hits(), search.no_failures(), [])
        for _, result in parts:
            self._mistake.look_at(result)
        rows = np.concatenate([some for some, _ in parts])
        profiles = np.concatenate([result.profiles for _, result in parts])
        log_peaks = np.concatenate([result.log_peaks for _, result in parts])
        status = np.concatenate([result.status for _, result in parts])
        reasons = np.array([reason for _, result in parts for reason in result.reasons], dtype=str)
        ok = status == Status.OK
        # The class after the objective's own.
        labels = np.full(len(rows), len(campaign.class_names), np.int64)
        if ok.any():
            labels[ok] = search.objective(profiles[ok], log_peaks[ok])
        # Nobody disagrees with the model.
        agreed = np.zeros(len(rows), np.float32)
        counts.add(position[rows][:, search.varied], labels, agreed, campaign.screen.disagreement_limit)
        hit = np.isin(labels, search.targets)
        hits = Hits(
            start + rows[hit],
            physical[rows[hit]],
            labels[hit],
            agreed[hit],
            profiles[hit],
            log_peaks[hit].astype(np.float32),
            np.full(np.count_nonzero(hit), np.nan),
        )
        failures = Failures(start + rows[~ok], physical[rows[~ok]], status[~ok], reasons[~ok])
        runs = np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1)
        done = [(start + int(run[0]), start + int(run[-1]) + 1) for run in runs]
        return Seen(hits, failures, done, (time.perf_counter() - begin) / len(rows))


@contextmanager
def looking(search: Search, number: int, begun: bool, deadline: Deadline) -> Iterator[Direct]:
    """Yield the model as it looks at the samples of a block, in a process of its own where it is isolated.

    Parameters
    ----------
    begun
        Whether an earlier attempt has simulated some of them.
    """
    campaign = search.campaign
    path = campaign.paths.block(number)
    setup, limit = campaign.model.setup, campaign.simulations.sample_time_limit
    with simulate.simulating(campaign.model_instance, setup, limit, deadline) as simulator:
        task = simulate.Task.of(campaign, "screen", path=path, label=f"screen {path.stem}")
        yield Direct(search, task, simulator, begun)
