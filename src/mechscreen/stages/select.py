"""Select: many candidates and another campaign's ensemble → the parameter sets that are worth a simulation."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.acquisitions import Candidates, choose
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.sampling import sample_seeds
from mechscreen.schemas.simulations import Selection
from mechscreen.spaces import Sampler
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.provenance import provenance
from mechscreen.stages.simulate import selected_parameters

log = logging.getLogger(__name__)

_STREAM = "selection"
_BATCH = 2048


def select(campaign: Campaign, shard: int) -> Path:
    """Select the parameter sets of one shard of simulations and write them; return the file.

    Each shard has candidates of its own, `selection.candidates` for each simulation, drawn as simulations are, among
    which `selection.acquisition` chooses (`mechscreen.acquisitions`). A file that is there and whole is left as it is.

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
    each = campaign.selection.candidates
    sampler = Sampler(campaign.space, campaign.simulations.sampling, campaign.seed, _STREAM, levels=True)
    physical = sampler.draw(start * each, stop * each).physical
    candidates = _judge(campaign, selector, physical)
    seed = sample_seeds(campaign.seed, shard, shard + 1, _STREAM)[0]
    chosen = choose(campaign.selection.acquisition, candidates, stop - start, np.random.default_rng(int(seed)))
    Selection(
        selector=selector.name,
        candidates=len(physical),
        index=np.arange(start, stop),
        parameters=physical[chosen],
        disagreement=candidates.disagreement[chosen],
        in_target=candidates.in_target[chosen],
        parameter_names=np.array(campaign.space.names),
    ).write(path, provenance(campaign, "selection"))
    log.info(
        "select %s: %d of %d candidates, %d of which may be of the target's classes; disagreement %.4f, of all %.4f",
        path.stem,
        len(chosen),
        len(physical),
        candidates.in_target[chosen].sum(),
        candidates.disagreement[chosen].mean(),
        candidates.disagreement.mean(),
    )
    return path


def _selector(campaign: Campaign) -> Campaign:
    if campaign.selector is None:
        raise InputError(f"'{campaign.name}' selects no simulations; it has no section 'selection'")
    return campaign.selector


def _judge(campaign: Campaign, selector: Campaign, physical: NDArray[np.float64]) -> Candidates:
    """Return what the ensemble says of each candidate."""
    from mechscreen.emulators.ensemble import combine_members

    ensemble = load_campaign_ensemble(selector)
    normalised = campaign.space.normalise(physical)
    disagreement = np.empty(len(physical), np.float32)
    in_target = np.zeros(len(physical), bool)
    for start in range(0, len(physical), _BATCH):
        part = slice(start, start + _BATCH)
        said = ensemble.predict_members(normalised[part])
        disagreement[part] = combine_members(said, "vote", ensemble.distance).disagreement
        for own in said:
            in_target[part] |= np.isin(campaign.objective(own["profiles"], own["log_peaks"]), campaign.targets)
    return Candidates(normalised, disagreement, in_target)
