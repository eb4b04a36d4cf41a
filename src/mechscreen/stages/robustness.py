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
from mechscreen.stages import simulate
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.search import Search, seeds_of
from mechscreen.stages.table import MOVED
from mechscreen.tally import random_keys

log = logging.getLogger(__name__)

STEPS = 64
"""Of a parameter's range, by which it moves."""
_CHECKS = MOVED // 2
"""Places of each kind that the model is asked about, at most: where the behaviour is kept last, and lost first."""
_AT_ONCE = 8192


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
    kept, whole = ranks.from_root(lambda: _scan(campaign, parameters))
    places = _places(kept, whole, np.random.default_rng([campaign.seed, 0x20B]))
    hit, parameter, side, inside = places.T
    steps = kept[hit, parameter, side] + (1 - inside)
    moved = _moved(campaign, parameters[hit], moving(campaign)[parameter], (2 * side - 1) * steps)
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
        varied=moving(campaign),
        kept=np.maximum(kept, 0) / STEPS,
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


def moving(campaign: Campaign) -> NDArray[np.int64]:
    """Return the parameters that move, (varied,): those that are screened, and are no whole numbers or categories."""
    space = campaign.screen_space
    return np.array([k for k in space.varied if not space[space.names[k]].discrete], np.int64)


def _moved(
    campaign: Campaign, parameters: NDArray[np.float64], axis: NDArray[np.int64], steps: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return parameter sets, (n, d), of which one parameter each has moved so many steps along its axis."""
    space = campaign.screen_space
    position = space.position(parameters)
    rows = np.arange(len(axis))
    position[rows, axis] = np.clip(position[rows, axis] + steps / STEPS, 0, np.nextafter(1, 0))
    moved = parameters.copy()
    moved[rows, axis] = space.at(position)[rows, axis]
    return moved


def _scan(campaign: Campaign, parameters: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return how many steps each parameter may move, (n, varied, 2), down and up; and whether to the end of its range.

    A step beyond the end of the range, or what constraints do not allow, ends the way. −1 stands where the ensemble
    says nothing of the target of the hit itself: it may be kept by its probability.
    """
    from mechscreen.emulators.ensemble import combine_members

    space, axes = campaign.screen_space, moving(campaign)
    n, targets = len(parameters), list(campaign.targets)
    kept, whole = np.zeros((n, len(axes), 2), np.int64), np.zeros((n, len(axes), 2), bool)
    if not n:
        return kept, whole
    ensemble = load_campaign_ensemble(campaign)
    position = space.position(parameters)
    ways = np.arange(STEPS + 1)
    for place, axis in enumerate(axes.tolist()):
        for side, sign in enumerate((-1, 1)):
            hit, step = (grid.ravel() for grid in np.meshgrid(np.arange(n), ways, indexing="ij"))
            there = position[hit, axis] + sign * step / STEPS
            moved = _moved(campaign, parameters[hit], np.full(len(hit), axis), sign * step)
            possible = (there >= 0) & (there < 1) & space.allowed(moved)
            is_target = np.zeros(len(hit), bool)
            rows = np.flatnonzero(possible)
            for start in range(0, len(rows), _AT_ONCE):
                some = rows[start : start + _AT_ONCE]
                members = ensemble.predict_members(campaign.space.normalise(moved[some]))
                said = combine_members(members, ensemble.combine, ensemble.distance)
                labels = campaign.objective.given(members)(said.profiles, said.log_peaks)
                is_target[some] = np.isin(labels, targets)
            kept[:, place, side] = is_target.reshape(n, -1).cumprod(axis=1).sum(axis=1) - 1
            ends = possible.reshape(n, -1).cumprod(axis=1).sum(axis=1) - 1
            whole[:, place, side] = kept[:, place, side] == ends
    return kept, whole


def _places(kept: NDArray[np.int64], whole: NDArray[np.bool_], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return places that the model is asked about, (m, 4): hit, parameter, side, and 1 where the behaviour is kept."""
    places = [np.empty((0, 4), np.int64)]
    for inside, there in ((1, np.argwhere(kept > 0)), (0, np.argwhere(~whole & (kept >= 0)))):
        chosen = rng.permutation(len(there))[:_CHECKS]
        places.append(np.column_stack([there[np.sort(chosen)], np.full(len(chosen), inside)]))
    return np.concatenate(places).astype(np.int64)
