"""Robustness: how far each parameter of a hit may move alone before its behaviour is lost."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.models.outputs import Status
from mechscreen.ranks import Deadline, Ranks
from mechscreen.schemas.model import ModelArrays
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.schemas.validation import Robustness
from mechscreen.spaces import within
from mechscreen.stages import simulate
from mechscreen.stages.predict import in_batches, load_campaign_ensemble
from mechscreen.stages.search import Search, seeds_of
from mechscreen.stages.table import MOVED, STEPS_OF_MOVE
from mechscreen.tally import random_keys

log = logging.getLogger(__name__)

_CHECKS = MOVED // 2
"""Places of each kind that the model is asked about, at most: where the behaviour is kept last, and lost first."""


def robustness(
    search: Search,
    index: NDArray[np.int64],
    parameters: NDArray[np.float64],
    ranks: Ranks,
    deadline: Deadline,
) -> tuple[Robustness, list[Path]] | None:
    """See how robust hits are; a call that all ranks make.

    Each parameter of a hit moves alone, down and up along its axis, step by step, until the ensemble says that it is of
    none of the target's classes, or its range, or what constraints allow, is at an end. Of some of the places where it
    is of them last, and of some where it is not any more, the model is asked.

    Parameters
    ----------
    index, parameters
        (n,) and (n, d), of the hits that the model confirms; of more than `validation.robustness`, a random sample.

    Returns
    -------
    What was found, and the files of simulations, to be removed when all is kept; None where nothing is asked for.

    Raises
    ------
    FileError, StorageError
        If networks or files cannot be read or written.
    Interrupted
        On all ranks, when `deadline` was reached before all was simulated.
    """
    campaign = search.campaign
    if not campaign.validation.robustness:
        return None
    chosen = np.sort(np.argsort(random_keys(index))[: campaign.validation.robustness])
    index, parameters = index[chosen], parameters[chosen]
    seen, kept, whole = ranks.from_root(lambda: _scan(campaign, parameters))
    index, parameters = index[seen], parameters[seen]
    places = _places(kept, whole, np.random.default_rng([campaign.seed, 0x20B]))
    hit, parameter, side, inside = places.T
    axes = np.array(campaign.screen_space.continuous, np.int64)
    steps = kept[hit, parameter, side] + (1 - inside)
    moved = _moved(campaign, parameters[hit], axes[parameter], (2 * side - 1) * steps)
    task = simulate.Task.of(
        campaign,
        "validation",
        path=campaign.paths.validation / "moved.h5",
        label="robustness",
        index=np.arange(len(places)),
        parameters=moved,
        # As the hit was simulated that was moved.
        seeds=seeds_of(campaign, index[hit]),
    )
    if len(places):
        simulate.run_sets(task, ranks, deadline)
    files = [task.path] if len(places) else []
    if not ranks.is_root:
        return None
    labels, ok = np.zeros(0, np.int64), np.zeros(0, bool)
    if len(places):
        simulated = SimulationFile.read(task.path)
        labels, ok = search.label(simulated), simulated.status == Status.OK
    found = Robustness(
        index=index,
        parameters=parameters,
        varied=axes,
        left_out=len(chosen) - len(index),
        kept=kept / STEPS_OF_MOVE,
        whole=whole,
        checked_hit=hit,
        checked_parameter=parameter,
        checked_side=side,
        checked_inside=inside.astype(bool),
        in_target=np.isin(labels, search.targets),
        simulated=ok,
        about=ModelArrays.of(campaign),
    )
    return found, files


def _moved(
    campaign: Campaign, parameters: NDArray[np.float64], axis: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return parameter sets, (n, d), of which one parameter each has moved so many steps along its axis."""
    space = campaign.screen_space
    position = space.position(parameters)
    rows = np.arange(len(axis))
    position[rows, axis] = within(position[rows, axis] + steps / STEPS_OF_MOVE)
    moved = parameters.copy()
    moved[rows, axis] = space.at(position)[rows, axis]
    return moved


def _scan(
    campaign: Campaign, parameters: NDArray[np.float64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Return how far the ensemble says that hits may move.

    Returns
    -------
    seen
        (n,), rows of the hits that the ensemble says to be of the target at all: others are kept by their probability.
    kept
        (n, varied, 2), steps that each parameter may move, down and up.
    whole
        Whether that is to the end of its range, or to where constraints allow no more.
    """
    space = campaign.screen_space
    axes = np.array(space.continuous, np.int64)
    ensemble = load_campaign_ensemble(campaign) if len(parameters) else None

    def are_of_target(physical: NDArray[np.float64]) -> NDArray[np.bool_]:
        found = np.zeros(len(physical), bool)
        if ensemble is None:
            return found
        for part, members, said in in_batches(campaign, ensemble, physical):
            labels = campaign.objective.given(members)(said.profiles, said.log_peaks)
            found[part] = np.isin(labels, list(campaign.targets))
        return found

    seen = np.flatnonzero(are_of_target(parameters))
    kept, whole = np.zeros((len(seen), len(axes), 2), np.int64), np.zeros((len(seen), len(axes), 2), bool)
    position = space.position(parameters[seen])
    # All that still go on: hit, parameter, and side.
    ways = np.argwhere(np.ones(kept.shape, bool))
    for step in range(1, STEPS_OF_MOVE + 1):
        hit, parameter, side = ways.T
        axis, steps = axes[parameter], (2 * side - 1) * step
        there = position[hit, axis] + steps / STEPS_OF_MOVE
        moved = _moved(campaign, parameters[seen][hit], axis, steps)
        possible = (there >= 0) & (there < 1) & space.allowed(moved)
        whole[tuple(ways[~possible].T)] = True
        ways, moved = ways[possible], moved[possible]
        ways = ways[are_of_target(moved)]
        kept[tuple(ways.T)] = step
    whole[tuple(ways.T)] = True
    return seen, kept, whole


def _places(kept: NDArray[np.int64], whole: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return places that the model is asked about, (m, 4): hit, parameter, side, and 1 where the behaviour is kept."""
    places = [np.empty((0, 4), np.int64)]
    for inside, there in ((1, np.argwhere((kept > 0) & ~whole)), (0, np.argwhere(~whole))):
        chosen = rng.permutation(len(there))[:_CHECKS]
        places.append(np.column_stack([there[np.sort(chosen)], np.full(len(chosen), inside)]))
    return np.concatenate(places).astype(np.int64)
