"""Infer: the best parameter sets → draws of the posterior, by the model → how well each parameter is known."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError, ModelError
from mechscreen.inference import Walkers, counted, credible, independent, walkers_of
from mechscreen.isolation import Abandoned
from mechscreen.progress import Progress
from mechscreen.ranks import ALONE, NEVER, Deadline, Ranks
from mechscreen.reports.draws import to_csv
from mechscreen.resumable import Resumable, run
from mechscreen.sampling import words_at
from mechscreen.schemas.fits import Chain, CredibleRecord, Polished, Posterior, PosteriorSummary
from mechscreen.schemas.model import ModelArrays
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.spaces import mirrored
from mechscreen.stages import simulate
from mechscreen.stages.likelihood import comparing, deviances, match_of
from mechscreen.stages.provenance import provenance, record

log = logging.getLogger(__name__)

_NEAR_BEST = 10.0
"""Above the least −2 ln L up to which walkers begin at what searches found: an e^5th as likely."""
_LARGEST_STEP = 0.05
"""Standard deviation, in shares of the prior, that walkers begin with around it, at most."""
_TRIES = 20
_LOOK_EVERY, _LOOK_GROWTH = 50, 1.05
"""Steps between looks whether the chain is long enough, at least, and how much longer it is at each look."""
_KEPT = 4
"""Draws that are kept, for each that is to be independent: neighbours are alike, and more of them still say more."""
PREDICTED = 200
"""Draws that are simulated for what they predict."""


def infer(campaign: Campaign, ranks: Ranks = ALONE, deadline: Deadline = NEVER) -> Path:
    """Sample the posterior and write it; a call that all ranks make. Return the file of draws.

    The posterior is that of the campaign's priors within the ranges that are screened. Walkers begin at the best sets
    that were polished, and go on until `posterior.draws` of their places are independent, or `posterior.simulations`
    were made; the likelihood is the model's own, over all ranks. The chain stays (``posterior/chain.h5``): asked for
    more, walkers go on where they are. Some draws are simulated once more, for what they predict.

    Where searches looked with the emulators (`polish.by`), walkers do, too, and `posterior.draws` of the chain are
    simulated: each counts as much as it is more likely by the model than by the emulators (importance sampling), and
    the draws that are kept are drawn anew by that.

    Raises
    ------
    InputError
        If the campaign is not about measured data.
    FileError
        If what was polished is missing, wrong, or of another campaign.
    ModelError
        If none of the searches found a set that can be simulated.
    StorageError
        If files cannot be read or written.
    Interrupted
        On all ranks, when `deadline` was reached before all was done.
    """
    paths = campaign.paths
    _ = match_of(campaign)
    if not campaign.drawn:
        raise InputError(f"'{campaign.name}' samples no posterior; set posterior.draws to a number of draws")
    with ranks.together():
        run(_Walking(campaign), ranks, deadline)
        draws, summary = ranks.from_root(lambda: _read(campaign))
        # What emulators drew is weighed by simulations of all of it.
        rows = _some(len(draws[0])) if campaign.polishes_by_model else np.arange(len(draws[0]))
        task = simulate.Task.of(
            campaign,
            "posterior",
            path=paths.posterior.with_name("simulations.h5"),
            label="infer: predict",
            index=np.arange(len(rows)),
            parameters=draws[0][rows],
            seeds=np.zeros(len(rows), np.uint64),
        )
        simulate.run_sets(task, ranks, deadline)
        if ranks.is_root:
            simulated = SimulationFile.read(task.path)
            parameters, deviance = draws
            kept = np.arange(len(rows))
            if not campaign.polishes_by_model:
                by_model = deviances(campaign, simulated.profiles, simulated.log_peaks)
                weights = _weights(by_model, deviance)
                chosen = _resampled(weights, np.random.default_rng([campaign.seed, 0x3E16]))
                summary = _weighed(campaign, summary, parameters[chosen], weights)
                parameters, deviance = parameters[chosen], by_model[chosen]
                rows = _some(len(chosen))
                kept = chosen[rows]
            table = Posterior(
                parameters=parameters,
                deviance=deviance,
                simulated=rows,
                profiles=simulated.profiles[kept],
                log_peaks=simulated.log_peaks[kept],
                status=simulated.status[kept],
                about=ModelArrays.of(campaign),
            )
            storage.write_text(paths.posterior_table, to_csv(campaign, table))
            summary.write(paths.posterior_summary)
            table.write(paths.posterior, provenance(campaign, "posterior"))
            storage.remove(task.path)
            _tell(summary)
    return paths.posterior


def _some(n: int) -> NDArray[np.int64]:
    """Return rows of the draws whose predictions are kept, of n."""
    return np.unique(np.linspace(0, n - 1, PREDICTED).astype(np.int64))


def _read(campaign: Campaign) -> tuple[tuple[NDArray[np.float64], NDArray[np.float64]], PosteriorSummary]:
    """Return draws and the summary of the chain."""
    chain = Chain.read(campaign.paths.chain, campaign.identity("posterior"))
    return _draws(campaign, chain), _summarise(campaign, chain)


class _Walking(Resumable):
    """The walkers, as far as they went."""

    unit = "simulations"
    label = "infer"

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self.path = campaign.paths.chain
        self.partial_path = self.path.with_name(self.path.name + ".partial")
        self._identity = campaign.identity("posterior")
        self._varied = list(campaign.screen_space.varied)

    @property
    def total(self) -> int:
        """Number of simulations, at most."""
        return self._campaign.posterior.simulations

    @property
    def done(self) -> int:
        """Number of simulations that were made."""
        return self._looked

    def check(self) -> None:
        """Verify what is there, and that it is as much as is asked for now."""
        chain = Chain.read(self.path, self._identity)
        if not self._is_enough(chain.places, chain.looked):
            raise storage.FileError(self.path, "holds fewer independent draws than are asked for now")

    def begin(self) -> None:
        """Begin at what was polished, or go on where a chain ended that was as long as was asked for before."""
        self._places: list[NDArray[np.float64]] = []
        self._deviances: list[NDArray[np.float64]] = []
        self._looked, self._moved = 0, 0
        self._random: NDArray[np.uint64] | None = None
        self._last: NDArray[np.float64] | None = None
        if storage.exists(self.path):
            try:
                self._take(Chain.read(self.path, self._identity))
            except storage.FileError as error:
                log.warning("infer: starting anew, since %s", error)

    def load(self) -> None:
        """Take over where walkers were."""
        self._take(Chain.read(self.partial_path, self._identity))

    def _take(self, chain: Chain) -> None:
        self._places, self._deviances = list(chain.places), list(chain.deviances)
        self._looked, self._moved = chain.looked, chain.moved
        self._last, self._last_log, self._random = chain.last, chain.last_log, chain.random

    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Walk on; rank 0 walks, and all compare."""
        with comparing(self._campaign, deadline) as compare:
            space, varied = self._campaign.screen_space, self._varied

            def work(block: tuple[int, NDArray[np.float64]]) -> NDArray[np.float64] | None:
                unit = np.zeros((len(block[1]), len(space)))
                unit[:, varied] = block[1]
                try:
                    return compare(space.physical(unit)).deviance
                except Abandoned:
                    return None

            if not ranks.is_root:
                while ranks.from_root(lambda: True):
                    ranks.hand_out((), work, lambda block, found: None)
                return False
            try:
                return self._walk(partial(_log_likelihood, ranks, work, deadline), save_when_due)
            except _Stopped:
                return False
            finally:
                ranks.from_root(lambda: False)

    def _walk(
        self, log_likelihood: Callable[[NDArray[np.float64]], NDArray[np.float64]], save: Callable[[], None]
    ) -> bool:
        campaign, d = self._campaign, len(self._varied)
        number = walkers_of(d)

        def looked(x: NDArray[np.float64]) -> NDArray[np.float64]:
            found = log_likelihood(x)
            self._counted += len(x)
            return found

        self._counted = self._looked
        walkers = Walkers(
            number,
            d,
            looked,
            int(words_at(campaign.seed, "posterior", np.zeros(1, np.uint64), 1)[0, 0] >> np.uint64(33)),
        )
        if self._random is not None:
            walkers.random = self._random
        if self._last is None:
            self._last, self._last_log = _places_of(campaign, number, self._varied, looked)
            self._looked = self._counted
        with Progress(self.total, self.label, self.unit, initial=self._looked) as progress:
            for places, of_these, moved in walkers.walk(self._last, self._last_log):
                self._places.append(places)
                self._deviances.append(-2 * of_these)
                self._last, self._last_log, self._random = places, of_these, walkers.random
                self._moved += moved
                progress.advance(self._counted - self._looked)
                self._looked = self._counted
                save()
                at_look = _is_look(len(self._places))
                if self._looked >= self.total or (at_look and self._is_enough(np.array(self._places), self._looked)):
                    return True
        return True

    def _is_enough(self, places: NDArray[np.float64], looked: int) -> bool:
        return looked >= self.total or independent(places)[2] >= self._campaign.drawn

    def save(self) -> None:
        """Write where walkers were."""
        if self._last is not None and self._places:
            self._chain().write(self.partial_path, provenance(self._campaign, "posterior"))

    def finish(self) -> None:
        """Write all of it."""
        self._chain().write(self.path, provenance(self._campaign, "posterior"))

    def _chain(self) -> Chain:
        assert self._last is not None
        assert self._random is not None
        return Chain(
            places=np.array(self._places),
            deviances=np.array(self._deviances),
            last=self._last,
            last_log=self._last_log,
            random=self._random,
            looked=self._looked,
            moved=self._moved,
        )


def _is_look(steps: int) -> bool:
    """Return whether it is time to see if so many steps are enough: each look takes as long as the chain is."""
    look = _LOOK_EVERY
    while look < steps:
        look = max(look + _LOOK_EVERY, math.ceil(_LOOK_GROWTH * look))
    return look == steps


class _Stopped(Exception):  # noqa: N818 - the deadline's, and no error
    """The deadline was reached within a step."""


def _log_likelihood(
    ranks: Ranks,
    work: Callable[[tuple[int, NDArray[np.float64]]], NDArray[np.float64] | None],
    deadline: Deadline,
    x: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return the log-likelihood of unit values, (n,), over all ranks; called on rank 0."""
    ranks.from_root(lambda: True)
    found = np.full(len(x), np.nan)
    size = max(1, math.ceil(len(x) / (2 * ranks.size)))

    def collect(block: tuple[int, NDArray[np.float64]], deviances: NDArray[np.float64] | None) -> None:
        if deviances is not None:
            found[block[0] : block[0] + len(deviances)] = -deviances / 2

    blocks = [(first, x[first : first + size]) for first in range(0, len(x), size)]
    if not ranks.hand_out(blocks, work, collect, deadline.reached) or np.isnan(found).any():
        raise _Stopped
    return found


def _places_of(
    campaign: Campaign,
    number: int,
    varied: list[int],
    log_likelihood: Callable[[NDArray[np.float64]], NDArray[np.float64]],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return where walkers begin, unit values (walkers, varied), and the log-likelihood there."""
    space = campaign.screen_space
    found = Polished.read(campaign.paths.polished, campaign.identity("polished"), d=len(space))
    deviance = found.deviance if found.searched is None else found.searched
    good = np.flatnonzero(deviance < deviance.min() + _NEAR_BEST)
    if not len(good):
        raise ModelError(
            f"infer: none of {len(found)} searches began at a parameter set that can be simulated; raise polish.count"
        )
    rng = np.random.default_rng([campaign.seed, 0x1FE2])
    which = good[np.linspace(0, len(good) - 1, number).round().astype(np.int64)]
    centres = space.shares(found.parameters[which])[:, varied]
    steps = np.nan_to_num(np.minimum(found.deviations[which][:, varied], _LARGEST_STEP), nan=_LARGEST_STEP)
    places, logs = np.empty_like(centres), np.full(number, -np.inf)
    for attempt in range(_TRIES):
        left = np.flatnonzero(~np.isfinite(logs))
        if not len(left):
            break
        # Nearer, the more often nothing was found.
        moved = centres[left] + steps[left] * rng.standard_normal((len(left), len(varied))) / 2**attempt
        places[left] = mirrored(moved)
        logs[left] = log_likelihood(places[left])
    return places, logs


def _draws(campaign: Campaign, chain: Chain) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return physical values of draws, (n, d), and −2 ln L of each, (n,)."""
    flat = counted(chain.places).reshape(-1, chain.places.shape[2])
    of_these = counted(chain.deviances).reshape(-1)
    # By chance, since any regular choice may be of few walkers.
    rng = np.random.default_rng([campaign.seed, 0xD2A5])
    # Each is simulated where emulators drew it.
    each = _KEPT if campaign.polishes_by_model else 1
    rows = np.sort(rng.permutation(len(flat))[: each * max(1, campaign.drawn)])
    return campaign.screen_space.physical(_units(campaign, flat[rows])), of_these[rows]


def _units(campaign: Campaign, places: NDArray[Any]) -> NDArray[np.float64]:
    """Return unit values of all parameters, (n, d), for those of the ones that vary."""
    unit = np.zeros((len(places), len(campaign.screen_space)))
    unit[:, list(campaign.screen_space.varied)] = places
    return unit


def _summarise(campaign: Campaign, chain: Chain) -> PosteriorSummary:
    space, varied = campaign.screen_space, list(campaign.screen_space.varied)
    counts, times, number = independent(chain.places)
    flat = counts.reshape(-1, counts.shape[2])
    values = space.physical(_units(campaign, flat))[:, varied]
    known = credible([space.parameters[j] for j in varied], values)
    return PosteriorSummary(
        **record(campaign, "posterior"),
        walkers=chain.places.shape[1],
        steps=len(chain.places),
        simulations=chain.looked,
        accepted=chain.moved / chain.places[..., 0].size,
        independent=number,
        wanted=campaign.drawn,
        best=float(chain.deviances.min()),
        parameters={
            space.names[j]: CredibleRecord(
                quantiles=about.quantiles,
                known=about.known if number else "not known",
                independent=float(len(flat) / time) if np.isfinite(time) else None,
            )
            for j, about, time in zip(varied, known, times, strict=True)
        },
    )


def _weights(by_model: NDArray[np.float64], by_emulators: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how much draws of the emulators' posterior count, (n,), by −2 ln L of both; their sum is 1.

    Raises
    ------
    ModelError
        If the model can simulate none of them.
    """
    log_weights = (by_emulators - by_model) / 2
    if not np.isfinite(log_weights).any():
        raise ModelError("infer: the model can simulate none of the draws of the emulators' posterior")
    weights: NDArray[np.float64] = np.exp(log_weights - log_weights[np.isfinite(log_weights)].max())
    return weights / weights.sum()


def _resampled(weights: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return rows, (n,), each as often as it counts: systematic resampling (Kitagawa 1996)."""
    n = len(weights)
    places = np.searchsorted(np.cumsum(weights), (np.arange(n) + rng.random()) / n)
    return np.minimum(places, n - 1).astype(np.int64)


def _weighed(
    campaign: Campaign, summary: PosteriorSummary, parameters: NDArray[np.float64], weights: NDArray[np.float64]
) -> PosteriorSummary:
    """Return the summary of draws that were drawn anew by their weights; `summary` is of the chain."""
    effective = float(1 / np.square(weights).sum())
    share = effective / len(weights)
    space, varied = campaign.screen_space, list(campaign.screen_space.varied)
    known = credible([space.parameters[j] for j in varied], parameters[:, varied])
    independent = int(min(summary.independent * share, effective))
    return summary.model_copy(
        update={
            "independent": independent,
            "simulated": len(weights),
            "effective": effective,
            "parameters": {
                space.names[j]: CredibleRecord(
                    quantiles=about.quantiles,
                    known=about.known if independent else "not known",
                    independent=None if before.independent is None else before.independent * share,
                )
                for j, about, before in zip(varied, known, summary.parameters.values(), strict=True)
            },
        }
    )


def _tell(summary: PosteriorSummary) -> None:
    log.info(
        "infer: %d independent draws by %d simulations, %.0f %% of the proposals accepted; −2 ln L is %.4f at best; %d "
        "of %d parameters are determined",
        summary.independent,
        summary.simulations,
        100 * summary.accepted,
        summary.best,
        summary.determined,
        len(summary.parameters),
    )
    if not summary.enough:
        log.warning(
            "infer: %d independent draws were asked for, and there are %s: intervals are rough; raise "
            "posterior.simulations, and walkers go on where they are",
            summary.wanted,
            summary.independent or "too few to say how many",
        )
