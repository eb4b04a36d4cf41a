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
from mechscreen.inference import DAMPING, Fit, improve, redrawn
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

FloatArray = NDArray[np.float64]

_STEPS, _SHORT, _MOST_STEPS = 10, 60, 300
"""Steps of a search: in one go, between which what is found can be saved; in all; and in all of one that is near the
best."""
_NEAR = 10.0
"""Of −2 ln L, from the best: an e^5th as likely."""
_DRAWN, _REDRAWN = 30, 40
"""Sets of which a search begins at the best: that are drawn, or drawn anew in part."""
_TRIES = 20
"""Of a start that can be simulated."""
_IN_A_ROW = 15
"""Searches one after the other, each from where the best of those before it ended."""
_ALIKE = 0.1
"""Of −2 ln L: of what ends nearer to one another, one is enough to go on from."""


def polish(campaign: Campaign, ranks: Ranks = ALONE, deadline: Deadline = NEVER) -> Path:
    """Search for the best parameter sets and write them; a call that all ranks make. Return the file.

    Where the largest values are looked for: see `mechscreen.stages.largest.search_largest`. Where measured data are,
    each search (`polish.count`) is by least squares (`mechscreen.inference.improve`), with the model or the emulators
    (`polish.by`). A quarter begins at the best validated hits, a quarter at sets that are drawn as the screen draws
    them: hits are where the emulator believes, and the best set may be elsewhere. The other half goes on from the best
    of these (`mechscreen.inference.redrawn`), in rows of searches that each begin near the best one before it.

    Each search is on one rank; ranks share them. What was found is saved, and continued after an interruption.

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
                from_search=found.row[order] >= 0,
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
    """Searches as far as they are: positions along the axes, and the rest as of `Polished`.

    Attributes
    ----------
    row
        (n,), −1 of those that begin anew; of the others which row of searches they belong to, in order.
    steps, damping
        (n,), steps that were tried, and the damping of the next one.
    tries
        (n,), times that no set was found to begin at.
    ended
        (n,), those that are at their end.
    """

    starts: Annotated[Floats, "n d"]
    positions: Annotated[Floats, "n d"]
    from_hit: Annotated[Booleans, "n"]
    row: Annotated[Integers, "n"]
    before: Annotated[Floats, "n"]
    deviance: Annotated[Floats, "n"]
    deviations: Annotated[Floats, "n d"]
    damping: Annotated[Floats, "n"]
    looked: Annotated[Integers, "n"]
    steps: Annotated[Integers, "n"]
    done: Annotated[Booleans, "n"]
    ended: Annotated[Booleans, "n"]
    tries: Annotated[Integers, "n"]


@dataclass(frozen=True)
class _Go:
    """Some steps of a search: its number, positions (c, d) of which it begins at the best, and its damping."""

    number: int
    starts: FloatArray
    damping: float


class _Searching(Searching[_Searches]):
    """The searches, as far as they are.

    Those that begin anew come first. Then rows begin at where the best of them ended; which searches are in which row
    is known before. At last those that are near the best go on until they get no better.
    """

    kind = _Searches

    def begin(self) -> None:
        """Begin where the searches begin."""
        n, d = self.total, len(self.campaign.screen_space)
        rows = n // 2 // _IN_A_ROW
        anew = n - rows * _IN_A_ROW
        hits = _hits(self.campaign, anew // 2)
        positions = np.full((n, d), np.nan)
        positions[: len(hits)] = hits
        row = np.full(n, -1)
        row[anew:] = np.arange(n - anew) % max(1, rows)
        self.found = _Searches(
            starts=positions.copy(),
            positions=positions,
            from_hit=np.arange(n) < len(hits),
            row=row,
            before=np.full(n, np.inf),
            deviance=np.full(n, np.inf),
            deviations=np.full((n, d), np.nan),
            damping=np.full(n, DAMPING),
            looked=np.zeros(n, np.int64),
            steps=np.zeros(n, np.int64),
            done=np.zeros(n, bool),
            ended=np.zeros(n, bool),
            tries=np.zeros(n, np.int64),
        )

    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Go on with all searches that are not at their end, some steps each."""
        space, model = self.campaign.screen_space, self.campaign.model_instance
        free = np.isin(np.arange(len(space)), space.continuous)
        # Emulators predict anew whatever moves.
        aside = np.isin(space.names, model.measuring if self.campaign.polishes_by_model else ())
        with comparing(self.campaign, deadline) as compare:

            def work(go: _Go) -> Fit | bool | None:
                try:
                    return improve(
                        lambda positions: compare(space.at(within(positions))),
                        go.starts,
                        _STEPS,
                        free,
                        aside,
                        go.damping,
                    )
                except Abandoned:
                    return False

            if not ranks.is_root:
                while ranks.from_root(lambda: True):
                    if not ranks.hand_out((), work, lambda go, fit: None):
                        break
                return False
            with Progress(self.total, self.label, self.unit, initial=self.done) as progress:

                def collect(go: _Go, fit: Fit | bool | None) -> None:
                    if not isinstance(fit, bool):
                        ended = self.done
                        self._take(go.number, fit)
                        progress.advance(self.done - ended)
                        save_when_due()

                while ranks.from_root(lambda: bool(self._left())):
                    if not ranks.hand_out(self._left(), work, collect, deadline.reached):
                        return False
            return True

    def _left(self) -> list[_Go]:
        """Return how all searches go on that can; on rank 0."""
        found = self.found
        anew = np.flatnonzero(found.row < 0)
        left = anew[~found.ended[anew]]
        if not len(left):
            # Of each row the first one that is not at its end.
            rows, first = np.unique(found.row[~found.ended], return_index=True)
            left = np.flatnonzero(~found.ended)[first[rows >= 0]]
        if not len(left):
            near = found.deviance < found.deviance.min() + _NEAR
            left = np.flatnonzero(near & ~found.done & (found.steps < _MOST_STEPS))
        return [_Go(k, self._starts(k), float(found.damping[k])) for k in left.tolist()]

    def _starts(self, k: int) -> FloatArray:
        """Return where a search goes on, (1, d), or positions of which it begins at the best."""
        found, tries = self.found, int(self.found.tries[k])
        if np.isfinite(found.positions[k]).all():
            return found.positions[k : k + 1]
        each = _DRAWN if found.row[k] < 0 else _REDRAWN
        # Numbers of sets that no other search draws, and no other try.
        block = tries * len(found.row) + k
        sampler = Sampler(self.campaign.screen_space, "uniform", self.campaign.seed, STREAM)
        drawn = sampler.draw(block * _REDRAWN, block * _REDRAWN + each).position
        if found.row[k] < 0:
            return drawn
        model, space = self.campaign.model_instance, self.campaign.screen_space
        varied = np.isin(np.arange(len(space)), space.varied) & ~np.isin(space.names, model.measuring)
        rng = np.random.default_rng([self.campaign.seed, block, 0x40B])
        return redrawn(found.positions[self._parent(k)], drawn, varied, rng)

    def _parent(self, k: int) -> int:
        """Return the search from which another one begins: the best of its row, or of those from which rows begin."""
        found = self.found
        before = np.flatnonzero((found.row == found.row[k]) & (np.arange(len(found.row)) < k))
        anew = np.flatnonzero(found.row < 0)
        order = anew[np.argsort(found.deviance[anew], kind="stable")]
        with np.errstate(invalid="ignore"):
            apart = np.diff(found.deviance[order], prepend=-np.inf) > _ALIKE
        # Those that are alike come last.
        first = np.concatenate([order[apart], order[~apart]])[found.row[k]]
        own = np.append(before, first)
        return int(own[np.argmin(found.deviance[own])])

    def _take(self, k: int, fit: Fit | None) -> None:
        found = self.found
        if fit is None:
            # Others, since none of these can be simulated.
            found.tries[k] += 1
            found.positions[k], found.from_hit[k] = np.nan, False
            if found.tries[k] >= _TRIES:
                found.positions[k] = found.starts[k] = self._starts(k)[0]
                found.ended[k] = True
            return
        if not found.steps[k]:
            found.starts[k], found.before[k] = fit.start, fit.before
        found.positions[k], found.deviance[k], found.deviations[k] = fit.position, fit.deviance, fit.deviations
        found.damping[k] = fit.damping
        found.looked[k] += fit.looked
        found.steps[k] += _STEPS
        found.done[k] = fit.done
        found.ended[k] = fit.done or found.steps[k] >= _SHORT


def _hits(campaign: Campaign, most: int) -> FloatArray:
    """Return positions, (n, d), of the validated hits that fit best."""
    space, path = campaign.screen_space, campaign.paths.validation_hits
    hits = ValidatedHits.read(path, campaign.identity("validation"), d=len(space))
    ok = np.flatnonzero(hits.status == Status.OK)
    best = ok[np.argsort(misfits(campaign, hits.profiles[ok], hits.log_peaks[ok]), kind="stable")[:most]]
    return within(space.position(hits.parameters[best]))
