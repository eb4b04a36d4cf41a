"""Calibrate: an ensemble and candidates → simulations that no network has seen → probabilities of classes."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.emulators.calibration import Evidence, evidence
from mechscreen.emulators.calibration import calibrate as fit
from mechscreen.emulators.metrics import LIKELY, reliability
from mechscreen.emulators.quiet import use_card
from mechscreen.emulators.settings import FEWEST_CALIBRATED
from mechscreen.errors import InputError
from mechscreen.models.outputs import Status
from mechscreen.progress import Progress
from mechscreen.ranks import ALONE, NEVER, Deadline, Ranks
from mechscreen.resumable import Resumable, run
from mechscreen.sampling import words_at
from mechscreen.schemas.calibration import CalibrationFile
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.spaces import Sampler
from mechscreen.stages import simulate
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.provenance import provenance
from mechscreen.stages.table import CANDIDATE_VALUES

if TYPE_CHECKING:
    from mechscreen.emulators.ensemble import Ensemble
    from mechscreen.objectives import Labelling

log = logging.getLogger(__name__)

_STREAM = "calibration"
BATCH = 4096
"""Candidates that a rank looks at in one go, at most."""
_PARTS = 5
"""In which the simulations are judged by the others."""
_FAR = (0.9, 0.99)
"""Of candidates of which no member says the target, by their disagreement: strata end there."""


def calibrate(campaign: Campaign, ranks: Ranks = ALONE, deadline: Deadline = NEVER) -> Path:
    """Find the probabilities of classes and write them; a call that all ranks make. Return the file.

    The ensemble looks at many candidates, drawn by the campaign's priors. Of these are simulated equal shares of strata
    by what the members say of the target: all see it, and would if they were further apart, or would not; some do; some
    would; and of the rest by how far they disagree (`mechscreen.emulators.calibration`). What was looked at and
    simulated is kept until the end, and continued after an interruption. A file that is there and whole is left as it
    is.

    Raises
    ------
    InputError
        If the campaign asks for none, or too few of the simulations could be solved.
    FileError
        If a member is missing, damaged or of another campaign.
    StorageError
        If files cannot be read or written.
    Interrupted
        On all ranks, when `deadline` was reached before all was done.
    """
    path = campaign.paths.calibrated
    if not campaign.calibration.count:
        raise InputError(f"'{campaign.name}' asks for no probabilities; set calibration.count")
    with ranks.together():
        if ranks.from_root(lambda: _is_there(campaign, path)):
            return path
        looking = _Looking(campaign)
        run(looking, ranks, deadline)
        rows, weights = ranks.from_root(lambda: _choose(campaign, _Looked.read(looking.path)))
        sampler = _sampler(campaign)
        task = simulate.Task.of(
            campaign,
            "calibration",
            path=path.with_name("simulations.h5"),
            label="calibrate",
            index=rows,
            parameters=sampler.at(rows.astype(np.uint64)).physical,
            seeds=words_at(campaign.seed, "calibration seeds", rows.astype(np.uint64), 1)[:, 0],
        )
        simulate.run_sets(task, ranks, deadline)
        if ranks.is_root:
            simulated = SimulationFile.read(task.path)
            _fit(campaign, simulated, weights).write(path, provenance(campaign, "calibration"))
            storage.remove(looking.path)
            storage.remove(task.path)
    return path


def _is_there(campaign: Campaign, path: Path) -> bool:
    if not storage.exists(path):
        return False
    try:
        CalibrationFile.verify(path, campaign.identity("calibration"))
    except storage.FileError as error:
        log.warning("calibrate: calibrating anew, since %s", error)
        return False
    log.info("calibrate: is there already")
    return True


def _sampler(campaign: Campaign) -> Sampler:
    """Return what draws the candidates: as a screen of the whole space does, between levels too."""
    return Sampler(campaign.space, "uniform", campaign.seed, _STREAM)


def _evidence(campaign: Campaign, ensemble: Ensemble, physical: NDArray[np.float64]) -> Evidence:
    """Return what the members say of parameter sets, (n, d)."""
    from mechscreen.emulators.ensemble import combine_members

    said = ensemble.predict_members(campaign.space.normalise(physical))
    return evidence_of(campaign, said, combine_members(said, "mean", ensemble.distance).disagreement)


def evidence_of(
    campaign: Campaign,
    said: Sequence[Mapping[str, NDArray[np.float32]]],
    disagreement: NDArray[np.float32],
    objective: Labelling | None = None,
) -> Evidence:
    """Return what members say of the classes of an objective, the campaign's unless given; as `evidence` does."""
    label = (objective or campaign.objective).given(said)
    return evidence(said, disagreement, label, len(campaign.class_names), campaign.outputs)


@dataclass(frozen=True, kw_only=True)
class _Looked(storage.ArrayFile, kind="calibration candidates"):
    """What the members say of the candidates: how many see the target, how many would, and how far they are apart."""

    saw: Annotated[NDArray[np.uint8], "n"]
    would: Annotated[NDArray[np.uint8], "n"]
    disagreement: Annotated[NDArray[np.float32], "n"]


@dataclass(frozen=True, kw_only=True)
class _LookedSoFar(_Looked, kind="partial calibration candidates"):
    """The same, of batches that are done."""

    done: Annotated[NDArray[np.bool_], "batches"]


class _Looking(Resumable):
    """The look of the ensemble at the candidates, as far as it is."""

    unit = "candidates"
    label = "calibrate: look"

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self.path = campaign.paths.calibration / "candidates.h5"
        self.partial_path = self.path.with_name(self.path.name + ".partial")
        self._identity = campaign.identity("calibration")
        # The same for any number of ranks.
        self._batch = max(1, min(BATCH, CANDIDATE_VALUES // math.prod(campaign.outputs.shape)))

    @property
    def total(self) -> int:
        """Number of candidates."""
        return self._campaign.calibration.candidates

    @property
    def done(self) -> int:
        """Number of candidates that were looked at."""
        return min(self.total, int(np.count_nonzero(self._done)) * self._batch)

    def check(self) -> None:
        """Verify what is there."""
        _Looked.verify(self.path, self._identity, n=self.total)

    def begin(self) -> None:
        """Begin with none."""
        self._done = np.zeros(math.ceil(self.total / self._batch), bool)
        self._saw, self._would = np.zeros((2, self.total), np.uint8)
        self._disagreement = np.zeros(self.total, np.float32)

    def load(self) -> None:
        """Take over those that were looked at."""
        found = _LookedSoFar.read(self.partial_path, self._identity, n=self.total, batches=len(self._done))
        self._saw, self._would, self._disagreement = found.saw.copy(), found.would.copy(), found.disagreement.copy()
        self._done = found.done.copy()

    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Look at what is left, over all ranks."""
        campaign, sampler = self._campaign, _sampler(self._campaign)
        use_card(ranks.place_on_node())
        ensemble = load_campaign_ensemble(campaign)
        targets, members = list(campaign.targets), campaign.emulators.members

        def work(batch: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
            first = batch * self._batch
            physical = sampler.draw(first, min(first + self._batch, self.total)).physical
            found = _evidence(campaign, ensemble, physical)
            counts = [np.rint(shares[:, targets].sum(axis=1) * members) for shares in (found.votes, found.stretched)]
            return counts[0].astype(np.uint8), counts[1].astype(np.uint8), found.disagreement

        if not ranks.is_root:
            ranks.hand_out((), work, lambda batch, found: None)
            return False
        with Progress(self.total, self.label, self.unit, initial=self.done) as progress:

            def collect(batch: int, found: tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]) -> None:
                rows = slice(batch * self._batch, batch * self._batch + len(found[0]))
                self._saw[rows], self._would[rows], self._disagreement[rows] = found
                self._done[batch] = True
                progress.advance(len(found[0]))
                save_when_due()

            return ranks.hand_out(np.flatnonzero(~self._done).tolist(), work, collect, deadline.reached)

    def save(self) -> None:
        """Write what is done."""
        _LookedSoFar(**self._arrays(), done=self._done).write(self.partial_path, self._origin())

    def finish(self) -> None:
        """Write all of it."""
        _Looked(**self._arrays()).write(self.path, self._origin())

    def _arrays(self) -> dict[str, NDArray[Any]]:
        return {"saw": self._saw, "would": self._would, "disagreement": self._disagreement}

    def _origin(self) -> dict[str, storage.Attribute]:
        return provenance(self._campaign, "calibration")


def _choose(campaign: Campaign, looked: _Looked) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the numbers of the candidates to simulate, ascending, and how many each stands for.

    As many of each stratum, by what the members say of the target; of a stratum that has fewer, all.
    """
    members = campaign.emulators.members
    level = np.select([looked.saw == members, looked.saw > 0, looked.would > 0], [3, 2, 1], 0)
    strata = level * 4
    none = np.flatnonzero(level == 0)
    if len(none):
        # Where members disagree most there may be some of the target nevertheless.
        strata[none] += np.searchsorted(
            np.quantile(looked.disagreement[none], _FAR), looked.disagreement[none], "right"
        )
    # All members agree on the target, and would if they were farther apart.
    strata[(level == 3) & (looked.would == members)] += 1
    names, places, sizes = np.unique(strata, return_inverse=True, return_counts=True)
    wanted = _evenly(sizes, campaign.calibration.count)
    rng = np.random.default_rng([campaign.seed, 0xCA1B])
    rows, weights = [], []
    for stratum in range(len(names)):
        here = np.flatnonzero(places == stratum)
        rows.append(rng.choice(here, wanted[stratum], replace=False))
        weights.append(np.full(wanted[stratum], len(here) / max(1, wanted[stratum])))
    chosen, stands_for = np.concatenate(rows), np.concatenate(weights)
    order = np.argsort(chosen)
    return chosen[order], stands_for[order]


def _evenly(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return how many of each stratum, so many in all, as many of each as it has."""
    wanted = np.zeros(len(sizes), np.int64)
    while count:
        able = np.flatnonzero(wanted < sizes)
        share = max(1, count // len(able))
        more = np.minimum(share, sizes[able] - wanted[able])[:count]
        wanted[able[: len(more)]] += more
        count -= int(more.sum())
    return wanted


def _fit(campaign: Campaign, simulated: SimulationFile, weights: NDArray[np.float64]) -> CalibrationFile:
    """Return the calibration that simulations of candidates say, and what it is worth."""
    ok = simulated.status == Status.OK
    failed, n = int((~ok).sum()), int(ok.sum())
    if n < FEWEST_CALIBRATED:
        raise InputError(
            f"calibrate: {n} of {len(ok)} simulations were solved, and probabilities need {FEWEST_CALIBRATED}; raise "
            "calibration.count"
        )
    parameters, weights = simulated.parameters[ok], weights[ok]
    found = _evidence(campaign, load_campaign_ensemble(campaign), parameters)
    labels = np.asarray(campaign.objective(simulated.profiles[ok], simulated.log_peaks[ok]))
    calibration = fit(found, labels, weights)
    part = np.random.default_rng([campaign.seed, 0xF01D]).permutation(n) % _PARTS
    judged = np.empty(found.votes.shape)
    for number in range(_PARTS):
        rows, others = np.flatnonzero(part == number), np.flatnonzero(part != number)
        judged[rows] = fit(found.take(others), labels[others], weights[others]).probabilities(found.take(rows))
    said = CalibrationFile(
        candidates=campaign.calibration.candidates,
        failed=failed,
        class_names=np.array(campaign.class_names),
        coefficients=calibration.coefficients,
        before=calibration.before,
        after=calibration.after,
        index=simulated.index[ok],
        parameters=parameters,
        labels=labels,
        weights=weights,
        votes=found.votes,
        stretched=found.stretched,
        disagreement=found.disagreement,
        judged=judged,
    )
    targets = list(campaign.targets)
    true, p = np.isin(labels, targets), judged[:, targets].sum(axis=1)
    found_reliable = reliability(p, true, weights)
    score, base = said.brier(targets)
    log.info(
        "calibrate: %d simulations, %d of the target, %d of probability above %g: these are right within %.3f (mean of "
        "bins); Brier score %.3g, of the share alone %.3g",
        n,
        true.sum(),
        found_reliable.count.sum(),
        LIKELY,
        found_reliable.error,
        score,
        base,
    )
    return said
