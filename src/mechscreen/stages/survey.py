"""Survey: some of all screened sets, in strata by probability → how many are of the target, and what the screen misses.

What the screen draws of each stratum (`mechscreen.tally.Drawn`) is simulated, most of it where that tells most of how
many there are (Neyman's allocation), in rounds, each of which knows what the rounds before it found.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechscreen import odds, strata
from mechscreen.campaign import Campaign
from mechscreen.errors import FileError
from mechscreen.ranks import Deadline, Ranks
from mechscreen.schemas.dataset import Manifest
from mechscreen.schemas.screen import ScreenSummary
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.schemas.validation import FAILED, Known, Population, Surveyed
from mechscreen.stages import simulate
from mechscreen.stages.search import Search, seeds_of
from mechscreen.strata import Estimate, Rates, Strata
from mechscreen.tally import DRAWN, random_keys

log = logging.getLogger(__name__)

_ROUNDS = 3
_TO_EACH = 4
"""Of the simulations, one in so many goes to all strata alike, so that none is left to what is expected of it."""


@dataclass(frozen=True)
class _Drawn:
    """What a screen draws of its strata: of each, numbers of samples in the order in which they are to be simulated.

    Attributes
    ----------
    index
        Per stratum, (n,) each.
    sizes, expected
        (strata,), samples that there are, and their mean probability.
    kept
        (strata,), whether the samples are hits.
    least
        (strata,), probability that they have at least.
    """

    index: list[NDArray[np.int64]]
    sizes: NDArray[np.int64]
    expected: NDArray[np.float64]
    kept: NDArray[np.bool_]
    least: NDArray[np.float64]

    @classmethod
    def of(cls, summary: ScreenSummary) -> _Drawn:
        """Return what there is of the strata of a screen, those that hold no sample left out."""
        assert summary.probable is not None
        assert summary.limit is not None
        assert summary.drawn_index is not None
        assert summary.drawn_levels is not None
        counts = summary.probable.sum(axis=0)
        # Hits are strata of their own.
        part_of = 2 * odds.STRATUM_OF + (np.arange(odds.LEVELS) >= summary.limit)
        parts = np.unique(part_of[counts > 0])
        there = part_of[summary.drawn_levels]
        keys = random_keys(summary.drawn_index)
        by_key = np.argsort(keys)
        own = [part_of == part for part in parts]
        sizes = np.array([counts[levels].sum() for levels in own])
        expected = np.array([(counts * odds.MEANS)[levels].sum() for levels in own]) / sizes
        return cls(
            [summary.drawn_index[by_key[there[by_key] == part]] for part in parts],
            sizes,
            expected,
            parts % 2 == 1,
            np.array([odds.EDGES[levels][0] for levels in own]),
        )


def survey(search: Search, ranks: Ranks, deadline: Deadline) -> tuple[Surveyed, list[Path]] | None:
    """Simulate samples of all strata of a screen's samples; a call that all ranks make.

    Returns
    -------
    surveyed
        What was found.
    files
        Of the simulations, to be removed when all that follows from them is kept.
    Both on all ranks; None where no survey is asked for.

    Raises
    ------
    FileError, StorageError
        If files cannot be read or written.
    Interrupted
        On all ranks, when `deadline` was reached before all were simulated.
    """
    campaign = search.campaign
    if not campaign.surveyed:
        return None
    drawn = ranks.from_root(lambda: _Drawn.of(_summary(campaign)))
    looked, found = np.zeros((2, len(drawn.sizes)), np.int64)
    rows: list[NDArray[np.int64]] = []
    labels: list[NDArray[np.int64]] = []
    files = []
    for number in range(_ROUNDS):
        chosen = ranks.from_root(partial(_choose, campaign, drawn, looked, found, number))
        parts = [drawn.index[k][looked[k] : looked[k] + more] for k, more in enumerate(chosen)]
        index = np.concatenate(parts)
        places = np.repeat(np.arange(len(chosen)), chosen)
        order = np.argsort(index)
        task = simulate.Task.of(
            campaign,
            "validation",
            path=campaign.paths.validation / f"survey-{number}.h5",
            label=f"survey {number + 1}/{_ROUNDS}",
            index=index[order],
            parameters=search.sampler.at(index[order].astype(np.uint64)).physical,
            seeds=seeds_of(campaign, index[order]),
        )
        if len(index):
            simulate.run_sets(task, ranks, deadline)
            files.append(task.path)
            of_these = ranks.from_root(partial(_label, search, task.path))
        else:
            of_these = np.empty(0, np.int64)
        true = np.isin(of_these, search.targets)
        looked = looked + chosen
        found = found + np.bincount(places[order][true], minlength=len(chosen))
        rows.append(index[order])
        labels.append(of_these)
    if ranks.is_root and looked.sum() < min(campaign.surveyed, drawn.sizes.sum()):
        log.warning(
            "survey: %d of %d simulations, since blocks draw %d samples of each stratum, and more of some were wanted; "
            "a smaller screen.block_size draws more",
            looked.sum(),
            campaign.surveyed,
            DRAWN,
        )
    ascending = np.argsort(np.concatenate(rows))
    together = np.concatenate(rows)[ascending]
    surveyed = Surveyed(
        least=drawn.least,
        sizes=drawn.sizes,
        expected=drawn.expected,
        kept=drawn.kept,
        looked=looked,
        found=found,
        index=together,
        parameters=search.sampler.at(together.astype(np.uint64)).physical,
        labels=np.concatenate(labels)[ascending],
        class_names=np.array(campaign.class_names),
    )
    return surveyed, files


def _summary(campaign: Campaign) -> ScreenSummary:
    path = campaign.paths.screen_summary
    summary = ScreenSummary.read(path, campaign.identity("hits"))
    if summary.samples != campaign.screen.count:
        problem = f"gathered from {summary.samples} parameter sets, and the screen has {campaign.screen.count}"
        raise FileError(path, problem, "gather it again (mechscreen screen --gather)")
    return summary


def _label(search: Search, path: Path) -> NDArray[np.int64]:
    return search.label(SimulationFile.read(path))


def _choose(
    campaign: Campaign, drawn: _Drawn, looked: NDArray[np.int64], found: NDArray[np.int64], number: int
) -> NDArray[np.int64]:
    """Return how many of each stratum to simulate next, (strata,)."""
    count = campaign.surveyed
    this = count * (number + 1) // _ROUNDS - count * number // _ROUNDS
    so_far = Strata(drawn.sizes, looked, found)
    known = strata.rates_if_calibrated(so_far, drawn.expected, _rng(campaign), 1000)
    least = count // (_TO_EACH * len(drawn.sizes))
    wanted = strata.allocate(drawn.sizes, known.value, this, looked, least)
    # What a stratum lacks is no use to others.
    return np.minimum(wanted, [len(index) - n for index, n in zip(drawn.index, looked.tolist(), strict=True)])


def _rng(campaign: Campaign) -> np.random.Generator:
    return np.random.default_rng([campaign.seed, 0x5063])


def population(campaign: Campaign, surveyed: Surveyed, training: tuple[int, int] | None) -> Population:
    """Return what a survey says of all screened sets.

    Parameters
    ----------
    training
        Of simulations that were drawn at random from the same space: how many are of the target, and all; None where
        there are none. The networks have seen them, so that they say nothing of what these miss.
    """
    some = Strata(surveyed.sizes, surveyed.looked, surveyed.found)
    rng = _rng(campaign)
    believed = strata.rates_if_calibrated(some, surveyed.expected, rng)
    counted = strata.rates_by_counts(some, rng)
    contradicted = training is not None and not all(strata.agree(some, of, training) for of in (believed, counted))
    random = None if contradicted else training

    def known(estimates: tuple[Estimate, Estimate]) -> Known:
        by_belief, by_count = estimates
        return Known(
            value=_or_none(by_belief.value),
            if_calibrated=(_or_none(by_belief.low), _or_none(by_belief.high)),
            trusting_nothing=(_or_none(by_count.low), _or_none(by_count.high)),
        )

    def both(of: Rates) -> tuple[Estimate, Estimate, Estimate]:
        kept = surveyed.kept
        return (
            strata.prevalence(some, of, random),
            strata.precision(some, of, kept),
            strata.recall(some, of, kept),
        )

    prevalence, precision, recall = zip(both(believed), both(counted), strict=True)
    return Population(
        simulated=len(surveyed.index),
        failed=int((surveyed.labels == FAILED).sum()),
        found=int(surveyed.found.sum()),
        expected=float(surveyed.expected @ surveyed.looked),
        training=None if random is None else random[1],
        contradicting=training[0] / training[1] if training is not None and contradicted else None,
        prevalence=known(prevalence),
        precision=known(precision),
        recall=known(recall),
    )


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def random_training(campaign: Campaign, manifest: Manifest, classes: NDArray[np.int64]) -> tuple[int, int] | None:
    """Return how many training simulations are of the target, and all, if they are a random sample of what is screened.

    Parameters
    ----------
    classes
        (classes,), simulations of the training split, imported ones left out.
    """
    chosen = campaign.selection is not None or any(parameter.levels for parameter in campaign.space)
    if chosen or not campaign.screens_all or not classes.sum():
        return None
    # What could not be simulated is of no class.
    solved = 1 - manifest.dropped.count / max(1, manifest.simulations)
    return int(classes[list(campaign.targets)].sum()), round(int(classes.sum()) / solved)
