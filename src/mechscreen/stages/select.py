"""Select: many candidates and another campaign's ensemble → the parameter sets that are worth a simulation."""

from __future__ import annotations

import logging
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.acquisitions import Candidates, choose
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.objectives import Match, Maximise
from mechscreen.sampling import sample_seeds
from mechscreen.schemas.simulations import Selection
from mechscreen.spaces import Draws, Sampler, mirrored
from mechscreen.stages.calibrate import evidence_of
from mechscreen.stages.predict import in_batches, load_campaign_ensemble
from mechscreen.stages.provenance import provenance
from mechscreen.stages.simulate import selected_parameters

if TYPE_CHECKING:
    from mechscreen.emulators.ensemble import Ensemble
    from mechscreen.objectives import Labelling

log = logging.getLogger(__name__)

_STREAM = "selection"
_BATCH = 2048
_NEAR = (0.01, 0.3)
"""How far candidates are drawn from others, along each axis: standard deviations, evenly over decades."""
_SURE = 0.05
"""Added to p (1 − p), by which it is chosen what candidates are drawn near: some are drawn within the target, too."""
_PILOT, _NEAREST = 20_000, 0.01
"""Candidates by which it is seen whether measured data can be met, and the share of them that is looked for if not."""
_TRIES = 100
"""Of a candidate, until the constraints allow it."""
_STEP, _DIRECTIONS = 0.02, 2
"""Along the axes, by which sensitivity is measured, and how often."""


def select(campaign: Campaign, shard: int) -> Path:
    """Select the parameter sets of one shard of simulations and write them; return the file.

    Each shard has candidates of its own, `selection.candidates` for each simulation, among which
    `selection.acquisition` chooses (`mechscreen.acquisitions`). They are drawn as simulations are, but for
    `selection.near` of them: these are drawn near the others of which a member finds the target, or would if it were
    farther from the rest, by normal steps of many sizes. A file that is there and whole is left as it is.

    Raises
    ------
    InputError
        If there is no such shard, the campaign selects nothing, or the ensemble cannot be loaded.
    """
    selector = _selector(campaign)
    start, stop = campaign.simulations.sample_range(shard)
    path = campaign.paths.selected(shard)
    try:
        selected_parameters(campaign, shard)
    except storage.FileError as error:
        if storage.exists(path):
            log.warning("select %s: selecting anew, since %s", path.stem, error)
    else:
        log.info("select %s: is there already", path.stem)
        return path
    assert campaign.selection is not None
    each, near = campaign.selection.candidates, campaign.selection.near
    seed = int(sample_seeds(campaign.seed, shard, shard + 1, _STREAM)[0])
    sampler = Sampler(campaign.space, campaign.simulations.sampling, campaign.seed, _STREAM, levels=True)
    ensemble = load_campaign_ensemble(selector)
    more = round(near * (stop - start) * each)
    drawn = sampler.draw(start * each, stop * each - more)
    objective = _looked_for(campaign, ensemble, drawn)
    said = _judge(campaign, ensemble, drawn, objective)
    if more:
        nearby = _draw_near(campaign, drawn, said.probable, more, np.random.default_rng([seed, 1]))
        if not len(nearby.physical):
            log.warning("select %s: no member finds the target, so that no candidates are drawn near it", path.stem)
            nearby = sampler.draw(stop * each - more, stop * each)
        drawn = Draws(*(np.concatenate([getattr(some, f.name) for some in (drawn, nearby)]) for f in fields(Draws)))
        also = _judge(campaign, ensemble, nearby, objective)
        said = _Said(
            np.concatenate([said.disagreement, also.disagreement]),
            np.concatenate([said.in_target, also.in_target]),
            np.concatenate([said.probable, also.probable]),
        )
    candidates = Candidates(
        campaign.space.normalise(drawn.physical),
        said.disagreement,
        said.in_target,
        said.probable,
        lambda: _sensitivity(campaign, ensemble, drawn),
    )
    chosen = choose(campaign.selection.acquisition, candidates, stop - start, np.random.default_rng(seed))
    Selection(
        selector=selector.name,
        candidates=len(candidates),
        index=np.arange(start, stop),
        parameters=drawn.physical[chosen],
        disagreement=candidates.disagreement[chosen],
        in_target=candidates.in_target[chosen],
        parameter_names=np.array(campaign.space.names),
    ).write(path, provenance(campaign, "selection"))
    log.info(
        "select %s: %d of %d candidates, %d of which may be of the target's classes; disagreement %.4f, of all %.4f",
        path.stem,
        len(chosen),
        len(candidates),
        candidates.in_target[chosen].sum(),
        candidates.disagreement[chosen].mean(),
        candidates.disagreement.mean(),
    )
    return path


def _selector(campaign: Campaign) -> Campaign:
    if campaign.selector is None:
        raise InputError(f"'{campaign.name}' selects no simulations; it has no section 'selection'")
    return campaign.selector


class _Said(NamedTuple):
    """What an ensemble says of n candidates, as in `Candidates`."""

    disagreement: NDArray[np.float32]
    in_target: NDArray[np.bool_]
    probable: NDArray[np.float64]


def _looked_for(campaign: Campaign, ensemble: Ensemble, drawn: Draws) -> Labelling:
    """Return what is looked for: where hardly any candidate fits, or is large, those that come nearest to that.

    So each round learns from better sets than the one before (as distances shrink in ABC-SMC: Toni et al. 2009).
    """
    objective = campaign.objective
    if not isinstance(objective.objective, Match | Maximise):
        return objective
    misfits = []
    for _, members, together in in_batches(campaign, ensemble, drawn.physical[:_PILOT]):
        known = objective.given(members).objective
        assert isinstance(known, Match | Maximise)
        misfits.append(known.misfit(campaign.outputs.by_name(together.profiles, together.log_peaks)))
    found = np.concatenate(misfits)
    # What has no value is farther than all else, and between infinite ones there is nothing.
    found = np.where(np.isnan(found), np.inf, found)
    nearest = float(np.quantile(found, _NEAREST, method="linear" if np.isfinite(found).all() else "higher"))
    wanted = objective.objective
    if not nearest > wanted.limit:
        return objective
    log.info("select: the hundredth of the candidates that comes nearest is looked for, since hardly any is a hit")
    return objective.by(wanted.within(nearest))


def _judge(campaign: Campaign, ensemble: Ensemble, drawn: Draws, objective: Labelling) -> _Said:
    """Return what the ensemble says of each candidate."""
    from mechscreen.emulators.ensemble import combine_members

    normalised = campaign.space.normalise(drawn.physical)
    n, targets = len(normalised), list(campaign.targets)
    disagreement, saw, would = np.empty(n, np.float32), np.empty(n), np.empty(n)
    for start in range(0, n, _BATCH):
        part = slice(start, start + _BATCH)
        said = ensemble.predict_members(normalised[part])
        disagreement[part] = combine_members(said, "vote", ensemble.distance).disagreement
        found = evidence_of(campaign, said, disagreement[part], objective)
        saw[part], would[part] = (shares[:, targets].sum(axis=1) for shares in (found.votes, found.stretched))
    return _Said(disagreement, saw > 0, (saw + would) / 2)


def _draw_near(
    campaign: Campaign, drawn: Draws, probable: NDArray[np.float64], number: int, rng: np.random.Generator
) -> Draws:
    """Return so many sets near those that may be of the target: none without such, fewer where none are allowed."""
    space, about = campaign.space, np.flatnonzero(probable > 0)
    if not len(about):
        return Draws(drawn.physical[:0], drawn.position[:0])
    weights = probable[about] * (1 - probable[about]) + _SURE
    centres = drawn.position[rng.choice(about, number, p=weights / weights.sum())]
    least, most = _NEAR
    sizes = least * (most / least) ** rng.random((number, 1))
    position, left = np.empty_like(centres), np.arange(number)
    for _ in range(_TRIES):
        position[left] = mirrored(centres[left] + sizes[left] * rng.standard_normal((len(left), len(space))))
        left = left[~space.allowed(space.at(position[left], levels=True))]
        if not len(left):
            break
    position = np.delete(position, left, axis=0)
    return Draws(space.at(position, levels=True), position)


def _sensitivity(campaign: Campaign, ensemble: Ensemble, drawn: Draws) -> NDArray[np.float64]:
    """Return how far apart what the ensemble says is for parameters that are a step apart, over that step, (n,)."""
    from mechscreen.emulators.ensemble import combine_members

    space = campaign.space
    rng = np.random.default_rng([campaign.seed, 0x5E25])
    found = np.zeros(len(drawn.physical))
    for start in range(0, len(found), _BATCH):
        part = slice(start, start + _BATCH)
        # Between levels, too.
        here = ensemble.predict(space.normalise(space.at(drawn.position[part])))
        for _ in range(_DIRECTIONS):
            direction = rng.standard_normal(drawn.position[part].shape)
            direction *= _STEP / np.linalg.norm(direction, axis=1, keepdims=True)
            there = ensemble.predict(space.normalise(space.at(mirrored(drawn.position[part] + direction))))
            both = [{"profiles": said.profiles, "log_peaks": said.log_peaks} for said in (here, there)]
            found[part] += combine_members(both, "mean", ensemble.distance).disagreement
    return found / (_STEP * _DIRECTIONS)
