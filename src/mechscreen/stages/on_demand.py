"""Simulations on demand, one rank's: what searches and walkers ask the model for, again and again."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.isolation import Abandoned, CallFailed
from mechscreen.models import Model, Outputs
from mechscreen.models.outputs import Status
from mechscreen.models.setup import Setup
from mechscreen.ranks import Deadline
from mechscreen.stages.simulate import BLOCK_SECONDS, Simulator, simulating

FloatArray = NDArray[np.float64]


class Simulated(NamedTuple):
    """Profiles (n, *shape) and log peaks (n, outputs); NaN where a set is not allowed, or cannot be simulated."""

    profiles: FloatArray
    log_peaks: FloatArray

    @classmethod
    def none(cls, n: int, outputs: Outputs) -> Simulated:
        """Return those of n parameter sets that are not simulated."""
        return cls(np.full((n, *outputs.shape), np.nan), np.zeros((n, len(outputs))))


Simulate = Callable[[FloatArray], Simulated]
"""Simulates parameter sets, physical values (n, d)."""


@contextmanager
def on_demand(campaign: Campaign, model: Model, setup: Setup, deadline: Deadline) -> Iterator[Simulate]:
    """Yield what simulates parameter sets, all with the same seed.

    `mechscreen.isolation.Abandoned` is raised where the deadline does not allow to wait for a simulation.
    """
    outputs, space = Outputs(model.outputs), campaign.screen_space
    with simulating(model, setup, campaign.simulations.sample_time_limit, deadline) as simulator:
        seconds = math.inf

        def simulate(physical: FloatArray) -> Simulated:
            nonlocal seconds
            rows = np.flatnonzero(space.allowed(physical))
            given = campaign.simulated(physical)
            found = Simulated.none(len(physical), outputs)
            first = 0
            while first < len(rows):
                # A call has the time limit of one sample.
                some = rows[first : first + max(1, int(BLOCK_SECONDS / seconds))]
                if deadline.overdue():
                    raise Abandoned("the deadline is over")
                begin = time.perf_counter()
                fill(simulator, given, some, found)
                seconds = max(1e-9, (time.perf_counter() - begin) / len(some))
                first += len(some)
            return found

        yield simulate


def fill(simulator: Simulator, given: FloatArray, rows: NDArray[np.intp], found: Simulated, seed: int = 0) -> None:
    """Fill simulations of some rows of what the model is given, those that fail left as they are."""
    if not len(rows):
        return
    try:
        solved = simulator(given[rows], np.full(len(rows), seed, np.uint64), False)
    except CallFailed:
        if len(rows) > 1:
            for row in rows:
                fill(simulator, given, np.array([row]), found, seed)
        return
    ok = solved.status == Status.OK
    found.profiles[rows[ok]] = solved.profiles[ok]
    found.log_peaks[rows[ok]] = solved.log_peaks[ok]
