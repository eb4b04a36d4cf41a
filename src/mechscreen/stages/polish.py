"""Polish: hits, and sets that are drawn → the best parameter sets nearby.

Of measured data those that explain them best, by the model; else those of the largest values (`largest`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.inference import Fit, improve
from mechscreen.isolation import Abandoned
from mechscreen.models.outputs import Status
from mechscreen.progress import Progress
from mechscreen.ranks import ALONE, NEVER, Deadline, Ranks
from mechscreen.resumable import run
from mechscreen.schemas.fits import Polished
from mechscreen.schemas.model import Booleans, Floats, Integers, ModelArrays
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.spaces import Sampler, within
from mechscreen.stages import simulate
from mechscreen.stages.largest import search_largest
from mechscreen.stages.likelihood import comparing, deviances, match_of, measurements, misfits, refuse_chance
from mechscreen.stages.provenance import provenance
from mechscreen.stages.searching import STREAM, Searching

log = logging.getLogger(__name__)

_STEPS, _MOST_STEPS = 10, 300
"""Of a search: in one go, between which what is found can be saved, and in all."""
_TRIES = 20
"""Of a start that can be simulated."""


def polish(campaign: Campaign, ranks: Ranks = ALONE, deadline: Deadline = NEVER) -> Path:
    """Search for the best parameter sets and write them; a call that all ranks make. Return the file.

    Half of the searches (`polish.count`) begin at the best validated hits, the others at sets that are drawn as the
    screen draws them: hits are where the emulator believes, and the best set may be elsewhere. Where measured data are
    looked for, each is by least squares (`mechscreen.inference.improve`), with the model or the
    emulators (`polish.by`); where the largest values are,
    as in `mechscreen.stages.largest.search_largest`. Each is on one rank; ranks share the searches. What was found is
    saved, and continued after an interruption.

    Raises
    ------
    InputError
        If the campaign looks for neither measured data nor the largest values, or if data are measured and the model is
        one of chance.
    FileError
        If the hits are missing, wrong, or of another campaign.
    StorageError
        If files cannot be read or written.
    Interrupted
        On all ranks, when `deadline` was reached before all was done.
    """
    path = campaign.paths.polished
    if not campaign.maximises:
        _ = match_of(campaign)
    if not campaign.searches:
        raise InputError(f"'{campaign.name}' searches for no best sets; set polish.count to a number of searches")
    with ranks.together():
        if campaign.maximises:
            search_largest(campaign, ranks, deadline)
            return path
        ranks.from_root(lambda: refuse_chance(campaign))
        searching = _Searching(campaign)
        run(searching, ranks, deadline)
        found = ranks.from_root(searching.result)
        task = simulate.Task.of(
            campaign,
            "polished",
            path=path.with_name("simulations.h5"),
            label="polish: simulate",
            index=np.arange(len(found.deviance)),
            parameters=campaign.screen_space.at(found.positions),
            seeds=np.zeros(len(found.deviance), np.uint64),
        )
        simulate.run_sets(task, ranks, deadline)
        if ranks.is_root:
            simulated = SimulationFile.read(task.path)
            searched, deviance = found.deviance, found.deviance
            if not campaign.polishes_by_model:
                deviance = deviances(campaign, simulated.profiles, simulated.log_peaks)
            order = np.argsort(deviance, kind="stable")
            measured = measurements(campaign, task.parameters[order[:1]])
            Polished(
                starts=campaign.screen_space.at(found.starts[order]),
                parameters=task.parameters[order],
                from_hit=found.from_hit[order],
                before=found.before[order],
                deviance=deviance[order],
                searched=None if campaign.polishes_by_model else searched[order],
                deviations=found.deviations[order],
                looked=found.looked[order],
                done=found.done[order],
                profiles=simulated.profiles[order],
                log_peaks=simulated.log_peaks[order],
                status=simulated.status[order],
                reasons=simulated.reasons[order],
                measured_output=measured.output,
                measured_at=measured.at,
                measured_value=measured.value,
                measured_error=measured.error,
                about=ModelArrays.of(campaign),
            ).write(path, provenance(campaign, "polished"))
            storage.remove(searching.path)
            storage.remove(task.path)
            best = deviance[order[0]]
            log.info(
                "polish: −2 ln L is %.4f at best; %d of %d searches come to within 1 of it, by %d looks",
                best,
                (deviance < best + 1).sum(),
                len(order),
                found.looked.sum(),
            )
    return path


@dataclass(frozen=True, kw_only=True)
class _Searches(storage.ArrayFile, kind="searches"):
    """Searches as far as they are: positions along the axes, and the rest as of `Polished`."""

    starts: Annotated[Floats, "n d"]
    positions: Annotated[Floats, "n d"]
    from_hit: Annotated[Booleans, "n"]
    before: Annotated[Floats, "n"]
    deviance: Annotated[Floats, "n"]
    deviations: Annotated[Floats, "n d"]
    looked: Annotated[Integers, "n"]
    steps: Annotated[Integers, "n"]
    done: Annotated[Booleans, "n"]
    ended: Annotated[Booleans, "n"]
    tries: Annotated[Integers, "n"]


class _Searching(Searching[_Searches]):
    """The searches, as far as they are."""

    kind = _Searches

    def begin(self) -> None:
        """Begin where the searches begin."""
        starts, from_hit = _starts(self.campaign)
        n = len(starts)
        self.found = _Searches(
            starts=starts,
            positions=starts.copy(),
            from_hit=from_hit,
            before=np.full(n, np.inf),
            deviance=np.full(n, np.inf),
            deviations=np.full(starts.shape, np.nan),
            looked=np.zeros(n, np.int64),
            steps=np.zeros(n, np.int64),
            done=np.zeros(n, bool),
            ended=np.zeros(n, bool),
            tries=np.zeros(n, np.int64),
        )

    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Go on with all searches that are not at their end, some steps each."""
        space = self.campaign.screen_space
        free = np.isin(np.arange(len(space)), space.continuous)
        with comparing(self.campaign, deadline) as compare:

            def work(search: tuple[int, NDArray[np.float64]]) -> Fit | bool | None:
                try:
                    return improve(lambda positions: compare(space.at(within(positions))), search[1], _STEPS, free)
                except Abandoned:
                    return False

            if not ranks.is_root:
                while ranks.from_root(lambda: True):
                    if not ranks.hand_out((), work, lambda search, fit: None):
                        break
                return False
            with Progress(self.total, self.label, self.unit, initial=self.done) as progress:

                def collect(search: tuple[int, NDArray[np.float64]], fit: Fit | bool | None) -> None:
                    if not isinstance(fit, bool):
                        self._take(search[0], fit)
                        progress.advance(int(self.found.ended[search[0]]))
                        save_when_due()

                while ranks.from_root(lambda: not self.found.ended.all()):
                    if not ranks.hand_out(self._left(), work, collect, deadline.reached):
                        return False
            return True

    def _left(self) -> list[tuple[int, NDArray[np.float64]]]:
        """Return the searches that are not at their end, and where they are; on rank 0."""
        return [(k, self.found.positions[k]) for k in np.flatnonzero(~self.found.ended).tolist()]

    def _take(self, k: int, fit: Fit | None) -> None:
        found = self.found
        if fit is None:
            # Another one, since this cannot be simulated.
            found.tries[k] += 1
            found.ended[k] = found.tries[k] >= _TRIES
            another = len(found.tries) * int(found.tries[k]) + k
            found.starts[k] = found.positions[k] = _sampler(self.campaign).draw(another, another + 1).position[0]
            found.from_hit[k] = False
            return
        if not found.steps[k]:
            found.before[k] = fit.before
        found.positions[k], found.deviance[k], found.deviations[k] = fit.position, fit.deviance, fit.deviations
        found.looked[k] += fit.looked
        found.steps[k] += _STEPS
        found.done[k] = fit.done
        found.ended[k] = fit.done or found.steps[k] >= _MOST_STEPS


def _sampler(campaign: Campaign) -> Sampler:
    """Return what draws starts, of which the one of number k is for search k, and the next ones if it is no use."""
    return Sampler(campaign.screen_space, "uniform", campaign.seed, STREAM)


def _starts(campaign: Campaign) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return where searches begin, positions (n, d), and which of these are hits."""
    space, count = campaign.screen_space, campaign.searches
    path = campaign.paths.validation_hits
    hits = ValidatedHits.read(path, campaign.identity("validation"), d=len(space))
    ok = np.flatnonzero(hits.status == Status.OK)
    best = ok[np.argsort(misfits(campaign, hits.profiles[ok], hits.log_peaks[ok]), kind="stable")[: count // 2]]
    drawn = _sampler(campaign).draw(len(best), count).position
    starts = np.concatenate([within(space.position(hits.parameters[best])), drawn])
    return starts, np.arange(count) < len(best)
