"""Select: many candidates and another campaign's ensemble → the parameter sets that are worth a simulation."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.sampling import sample_seeds, sample_unit
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.provenance import provenance
from mechscreen.stages.simulate import SELECTION_KIND, selected_parameters

log = logging.getLogger(__name__)

MOST_TARGETS = 0.5
"""Share of a shard that is kept, at most, for candidates of which a member says that they are of the target's
classes."""

_STREAM = "selection"
_BATCH = 2048
_LEAST = 1e-9
"""Added to each disagreement, so that there are enough candidates that can be drawn."""


def select(campaign: Campaign, shard: int) -> Path:
    """Select the parameter sets of one shard of simulations and write them; return the file.

    Each shard has candidates of its own, `selection.candidates` for each simulation, drawn as simulations are. First
    come those of which any member of the ensemble says that they are of the target's classes; they fill half of the
    shard at most. The others follow. Both are drawn without replacement, in proportion to the ensemble's disagreement:
    query by committee (Seung, Opper & Sompolinsky, COLT 1992), with chance left in it, so that a shard is no crowd of
    near-equal worst cases. A file that is there and whole is left as it is.

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
    unit = sample_unit(
        campaign.simulations.sampling, campaign.seed, start * each, stop * each, len(campaign.space), _STREAM
    )
    physical = campaign.space.physical(unit, levels=True)
    disagreement, in_target = _judge(campaign, selector, physical)
    seed = sample_seeds(campaign.seed, shard, shard + 1, _STREAM)[0]
    chosen = _draw(disagreement, in_target, stop - start, np.random.default_rng(int(seed)))
    storage.write(
        path,
        {
            "index": np.arange(start, stop),
            "parameters": physical[chosen],
            "disagreement": disagreement[chosen],
            "in_target": in_target[chosen],
            "parameter_names": np.array(campaign.space.names),
        },
        {**provenance(campaign, "selection", SELECTION_KIND), "selector": selector.name, "candidates": len(unit)},
    )
    log.info(
        "select %s: %d of %d candidates, %d of which may be of the target's classes; disagreement %.4f, of all %.4f",
        path.stem,
        len(chosen),
        len(unit),
        in_target[chosen].sum(),
        disagreement[chosen].mean(),
        disagreement.mean(),
    )
    return path


def _selector(campaign: Campaign) -> Campaign:
    if campaign.selector is None:
        raise InputError(f"'{campaign.name}' selects no simulations; it has no section 'selection'")
    return campaign.selector


def _judge(
    campaign: Campaign, selector: Campaign, physical: NDArray[np.float64]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the ensemble's disagreement about each candidate, and whether any member finds the target there."""
    from mechscreen.emulators.ensemble import combine_members

    ensemble = load_campaign_ensemble(selector)
    disagreement = np.empty(len(physical), np.float32)
    in_target = np.zeros(len(physical), bool)
    for start in range(0, len(physical), _BATCH):
        part = slice(start, start + _BATCH)
        said = ensemble.predict_members(campaign.space.normalise(physical[part]))
        disagreement[part] = combine_members(said, "vote").disagreement
        for own in said:
            in_target[part] |= np.isin(campaign.objective(own["profiles"], own["log_peaks"]), campaign.targets)
    return disagreement, in_target


def _draw(
    disagreement: NDArray[np.float32], in_target: NDArray[np.bool_], size: int, rng: np.random.Generator
) -> NDArray[np.intp]:
    """Return which `size` candidates are selected, ascending."""

    def draw(rows: NDArray[np.intp], most: int) -> NDArray[np.intp]:
        weights = disagreement[rows].astype(np.float64) + _LEAST
        return rng.choice(rows, min(most, len(rows)), replace=False, p=weights / weights.sum(), shuffle=False)

    first = np.flatnonzero(in_target)
    if len(first):
        first = draw(first, int(MOST_TARGETS * size))
    rest = np.setdiff1d(np.arange(len(disagreement)), first)
    return np.sort(np.concatenate([first, draw(rest, size - len(first))]))
