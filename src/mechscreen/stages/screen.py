"""Screen: blocks of parameter sets → ensemble or model → labels → counts, hits; then all blocks → summary and hits."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import odds, resumable, storage
from mechscreen.campaign import Campaign
from mechscreen.emulators.backends.device import DevicePredictor
from mechscreen.emulators.quiet import use_card
from mechscreen.errors import InputError
from mechscreen.progress import Progress
from mechscreen.ranks import ALONE, NEVER, Deadline, Ranks
from mechscreen.resumable import Resumable, run
from mechscreen.schemas.evaluation import Metrics
from mechscreen.schemas.model import ModelArrays
from mechscreen.schemas.screen import HitColumns, PartialBlock, ScreenBlock, ScreenHits, ScreenSummary, Totals
from mechscreen.stages import direct
from mechscreen.stages.on_device import OnDevice
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.provenance import provenance
from mechscreen.stages.search import FAILURES, Search, unpack
from mechscreen.tally import (
    ALL_KEYS,
    DRAWN,
    DRAWN_OF_ALL,
    Batch,
    Counts,
    Drawn,
    Failures,
    Hits,
    Kept,
    Seen,
    random_keys,
)

if TYPE_CHECKING:
    from mechscreen.emulators.ensemble import Ensemble

log = logging.getLogger(__name__)

BATCH = 8192
"""Parameter sets that a rank looks at in one go. Batches are cut the same for any number of ranks, since the last bits
of a prediction could depend on it."""

_TOLD_PER_SECOND = 4.0
"""Counts that rank 0 takes in each second, at most; those of a campaign with many parameters are tens of megabytes."""


def screen_block(campaign: Campaign, block: int, ranks: Ranks = ALONE, deadline: Deadline = NEVER) -> Path:
    """Predict or simulate the samples of one block, count them and write what is kept; a call that all ranks make.

    The block is the same, bit for bit, whatever the number of ranks and interruptions. What is done is saved beside it
    (``block-00017.h5.partial``) from time to time and when `deadline` is reached, and the next attempt continues there.
    A block that is there and whole is left as it is.

    Raises
    ------
    InputError
        If there is no such block in the campaign.
    FileError, ModelError
        If the ensemble or the objective cannot be loaded, or the model fails for all by a mistake of its code.
    StorageError
        If the block cannot be written.
    Interrupted
        On all ranks, when `deadline` was reached before the block was complete.
    """
    run(_Block(Search(campaign), block), ranks, deadline)
    return campaign.paths.block(block)


def gather_screen(campaign: Campaign) -> tuple[Path, Path]:
    """Verify all blocks of the screen and merge them into a summary and a table of hits; return the two paths.

    ``summary.h5`` holds the counts (`mechscreen.tally.Counts`); ``hits.h5`` the hits that the blocks kept, in the order
    of their sample numbers. One block at a time is in memory. Where probabilities are asked for, hits are the most
    probable samples, as many as are of the target with ``screen.confidence`` in the mean.

    Raises
    ------
    InputError
        If blocks are missing or wrong: all of them are named, and the wrong ones moved aside, so that the next run
        makes just these again.
    """
    search = Search(campaign)
    paths = campaign.paths
    counts = search.no_counts()
    backends, failures, drawn = set[str](), Kept(FAILURES, search.no_failures()), Kept(DRAWN_OF_ALL, Drawn.none())
    known_keys, kept = np.full(odds.STRATA, ALL_KEYS), 0
    problems = []
    with Progress(campaign.screen.blocks, "screen: verify", "blocks") as progress:
        for number in range(campaign.screen.blocks):
            try:
                block = search.read_block(number)
            except storage.FileError as error:
                problems.append(f"  {error.path.name}: {error.problem}{storage.move_aside(error)}")
            else:
                counts.merge(block.counts)
                kept += len(block.hits)
                backends |= block.backends
                failures.add(block.failures)
                drawn.add(block.drawn)
                known_keys = np.minimum(known_keys, block.drawn.known_keys(DRAWN))
            progress.advance()
    if problems:
        raise InputError(
            f"screen: {len(problems)} of {campaign.screen.blocks} blocks in {paths.screen} cannot be used:\n"
            + "\n".join(problems)
            + "\nrun the workflow again (or `mechscreen screen` for each): only these are made anew"
        )
    origin, samples = provenance(campaign, "hits"), campaign.screen.count
    limit = search.limit(counts)

    def hits_of(number: int) -> Hits:
        hits = search.read_block(number).hits
        return hits if limit is None else hits.of_least(limit, campaign.screen.hits_per_block)

    if limit is not None:
        kept = sum(len(hits_of(number)) for number in range(campaign.screen.blocks))
    totals = search.totals(counts, kept, backends, limit)
    about = ModelArrays.of(campaign)
    sizes, whole = {"hits": kept, **search.sizes}, {"samples": samples, "totals": totals, "about": about}
    columns = search.columns(search.no_hits())
    with (
        ScreenHits.writer(paths.screen_hits, origin, sizes, whole, columns) as writer,
        Progress(campaign.screen.blocks, "screen: gather hits", "blocks") as progress,
    ):
        for number in range(campaign.screen.blocks):
            writer.append(search.columns(hits_of(number)))
            progress.advance()
    arrays = search.counted(counts) | search.told(failures.result())
    if campaign.asks_probabilities:
        few = drawn.result()
        known_keys = np.minimum(known_keys, few.known_keys(DRAWN_OF_ALL))
        few = few.take(random_keys(few.index) <= known_keys[odds.STRATUM_OF[few.levels]])
        arrays |= {"limit": limit, "drawn_index": few.index, "drawn_levels": few.levels}
    ScreenSummary(samples=samples, totals=totals, axes=search.axes, **arrays).write(paths.screen_summary, origin)
    if campaign.by_model:
        _tell(campaign, counts, totals)
        return paths.screen_summary, paths.screen_hits
    if campaign.asks_probabilities:
        log.info(
            "screen: %d hits in %d samples, %d kept; by their probabilities %.0f of them are right, and %.0f others "
            "are missed",
            totals.hits_found,
            samples,
            kept,
            totals.expected_right,
            totals.expected_missed,
        )
    else:
        log.info(
            "screen: %d hits in %d samples, %d kept; %d more discarded, since the ensemble disagrees",
            totals.hits_found,
            samples,
            kept,
            totals.hits_discarded,
        )
    _doubt(campaign, totals)
    return paths.screen_summary, paths.screen_hits


def _doubt(campaign: Campaign, totals: Totals) -> None:
    """Say what the emulators do not know, where they were evaluated before."""
    try:
        metrics = Metrics.read(campaign.paths.metrics, campaign.identity("evaluation"))
    except storage.FileError:
        return
    target = campaign.screen.objective.target if campaign.screens_all else ()
    for doubt in (*metrics.doubts, *metrics.doubts_of_share(target, totals.of_target, campaign.screen.count)):
        log.warning("screen: %s", doubt)


def _tell(campaign: Campaign, counts: Counts, totals: Totals) -> None:
    """Say what a screen by the model found, and how often the model failed."""
    failed = int(counts.classes[-1])
    samples = campaign.screen.count
    log.info("screen: %d hits in %d simulated samples, %d kept", totals.hits_found, samples, totals.hits_kept)
    if failed == samples:
        log.error("screen: NOT ONE of the %d samples could be simulated", samples)
    elif failed:
        log.warning("screen: %d of %d samples could not be simulated", failed, samples)


class _Share:
    """What a rank has seen and not yet told rank 0."""

    def __init__(self, search: Search, by: str) -> None:
        self._search = search
        self._by = by
        self._begin()

    def _begin(self) -> None:
        self.counts = self._search.no_counts()
        self._hits = Kept(self._search.campaign.screen.hits_per_block, self._search.no_hits())
        self._drawn = Kept(DRAWN, Drawn.none())
        self._failures = Kept(FAILURES, self._search.no_failures())
        self._batches: list[Batch] = []

    def add(self, seen: Seen) -> None:
        """Enter what came of batches that were counted in `counts`."""
        self._hits.add(seen.hits.draw(self._search.campaign.screen.hits_per_block))
        self._drawn.add(seen.drawn)
        self._failures.add(seen.failures)
        self._batches += seen.batches

    def take(self) -> _Told:
        """Return what there is to tell, which is no longer here then."""
        told = _Told(self._hits.result(), self._drawn.result(), self._failures.result(), self._batches, self._by)
        told.counts = self.counts
        self._begin()
        return told


@dataclass
class _Told:
    """What came of some batches, and what looked at them; their counts, where these travel along."""

    hits: Hits
    drawn: Drawn
    failures: Failures
    batches: list[Batch]
    by: str
    counts: Counts | None = None


_Answer = tuple[int, float, _Told | None]
"""How many samples of a batch were looked at, the seconds that one took, and what a rank has to tell by then."""


class _Ensemble:
    """The ensemble as a screen's rank calls it."""

    def __init__(self, search: Search, ensemble: Ensemble) -> None:
        self._search = search
        self._ensemble = ensemble
        self.by = ensemble.backend

    def batches(self, start: int, done: NDArray[np.bool_], ranks: int) -> Iterator[Batch]:
        """Yield what is missing of the samples from `start` on, cut the same for any number of ranks."""
        for place in np.flatnonzero(~done).tolist():
            yield start + place * BATCH, min(start + (place + 1) * BATCH, self._stop(start))

    def _stop(self, start: int) -> int:
        return start + self._search.campaign.screen.block_size

    def note(self, seconds: float) -> None:
        """Learn nothing: batches are of one size."""

    def look_at(self, start: int, stop: int, counts: Counts) -> Seen:
        """Look at a batch; as `mechscreen.stages.direct.Direct.look_at`."""
        hits, drawn = self._search.look_at(self._ensemble, start, stop, counts)
        return Seen(hits, self._search.no_failures(), [(start, stop)], drawn=drawn)


class _Block(Resumable):
    """A block of the screen as far as it is done."""

    unit = "samples"

    def __init__(self, search: Search, number: int) -> None:
        self._search = search
        self._start, self._stop = search.sample_range(number)
        self._number = number
        self.path = search.campaign.paths.block(number)
        self.partial_path = self.path.with_name(self.path.name + ".partial")
        self.label = f"screen {self.path.stem}"
        # The model's rows do not influence one another, and one may take hours.
        self._together = 1 if search.campaign.by_model else BATCH
        """Samples that are done together."""

    @property
    def total(self) -> int:
        """Number of samples in the block."""
        return self._stop - self._start

    @property
    def done(self) -> int:
        """Number of samples that are counted."""
        return int(self._counts.classes.sum())

    def check(self) -> None:
        """Verify the block."""
        self._search.read_block(self._number)

    def begin(self) -> None:
        """Begin with no sample."""
        search = self._search
        self._counts = search.no_counts()
        self._done = np.zeros(math.ceil(self.total / self._together), bool)
        self._hits = Kept(search.campaign.screen.hits_per_block, search.no_hits())
        self._drawn = Kept(DRAWN, Drawn.none())
        self._failures = Kept(FAILURES, search.no_failures())
        self._by: set[str] = set()

    def load(self) -> None:
        """Take over the batches of an earlier attempt."""
        search = self._search
        identity = search.campaign.identity("screen")
        partial = PartialBlock.read(self.partial_path, identity, batches=len(self._done), **search.sizes)
        counts, hits, drawn = unpack(partial, self.partial_path)
        if partial.block != self._number:
            raise storage.FileError(self.partial_path, "holds other samples")
        starts = np.arange(len(self._done)) * self._together
        if counts.classes.sum() != np.minimum(self._together, self.total - starts)[partial.done].sum():
            raise storage.FileError(self.partial_path, "its counts are not those of its batches")
        self._counts.merge(counts)
        self._hits.add(hits)
        self._drawn.add(drawn)
        self._failures.add(search.failures_in(partial))
        self._done |= partial.done
        self._by |= partial.totals.backends if partial.done.any() else set()

    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Look at what is missing; return whether all was done.

        A rank adds up what it sees, and tells it from time to time: counts are too much for every batch. A batch is
        done once the counts that it is in have arrived.
        """
        begun = ranks.from_root(lambda: bool(self.done))
        with self._looking(begun, deadline, ranks.place_on_node()) as looker:
            share = _Share(self._search, looker.by)
            tell_every = max(resumable.SAVE_EVERY, ranks.size / _TOLD_PER_SECOND)
            # Not all at once.
            next_told = time.monotonic() + tell_every * (1 + ranks.rank / ranks.size)

            def work(batch: Batch) -> _Answer:
                nonlocal next_told
                seen = looker.look_at(*batch, share.counts)
                share.add(seen)
                samples = sum(stop - start for start, stop in seen.batches)
                if time.monotonic() < next_told:
                    return samples, seen.seconds, None
                next_told = time.monotonic() + tell_every
                return samples, seen.seconds, share.take()

            if ranks.is_root:
                with Progress(self.total, self.label, "parameter sets", initial=self.done) as progress:

                    def collect(batch: Batch, answer: _Answer) -> None:
                        samples, seconds, told = answer
                        progress.advance(samples)
                        if samples:
                            looker.note(seconds)
                        if told is not None:
                            self._enter(told)
                        save_when_due()

                    left = looker.batches(self._start, self._done.copy(), ranks.size)
                    # Of eight ranks with a card each, none is to stand idle.
                    root_works = True if isinstance(looker, OnDevice) else None
                    ranks.hand_out(left, work, collect, deadline.reached, root_works)
            else:
                ranks.hand_out((), work, lambda batch, answer: None)
        # What is left: all counts in one go, and the hits, which may be many, rank by rank.
        told = share.take()
        counts, told.counts = told.counts, None
        assert counts is not None
        ranks.add_up(counts.arrays().values())
        if ranks.is_root:
            self._counts.merge(counts)
        ranks.take_each(told, self._enter)
        return ranks.is_root and bool(self._done.all())

    @contextmanager
    def _looking(self, begun: bool, deadline: Deadline, place: int) -> Iterator[_Ensemble | OnDevice | direct.Direct]:
        """Yield what looks at the samples."""
        if self._search.campaign.by_model:
            with direct.looking(self._search, self._number, begun, deadline) as looker:
                yield looker
        else:
            use_card(place)
            ensemble = load_campaign_ensemble(self._search.campaign)
            # The program has no deviations of the members' outputs.
            if ensemble.backend == DevicePredictor.name and not self._search.objective.by_members:
                yield OnDevice(self._search, ensemble, self._together, place)
            else:
                yield _Ensemble(self._search, ensemble)

    def save(self) -> None:
        """Write the batches that are done."""
        contents = PartialBlock(**self._contents(), done=self._done)
        contents.write(self.partial_path, provenance(self._search.campaign, "screen"))

    def finish(self) -> None:
        """Write the block."""
        ScreenBlock(**self._contents()).write(self.path, provenance(self._search.campaign, "screen"))

    def _enter(self, told: _Told) -> None:
        if told.counts is not None:
            self._counts.merge(told.counts)
        self._hits.add(told.hits)
        self._drawn.add(told.drawn)
        self._failures.add(told.failures)
        for start, stop in told.batches:
            first, last = start - self._start, stop - self._start
            self._done[first // self._together : math.ceil(last / self._together)] = True
        if told.batches:
            self._by.add(told.by)

    def _contents(self) -> dict[str, Any]:
        """Return what is kept of the batches that are done."""
        search, hits, drawn = self._search, self._hits.result(), self._drawn.result()
        few = {"drawn_index": drawn.index, "drawn_levels": drawn.levels} if search.campaign.asks_probabilities else {}
        return {
            "block": self._number,
            "totals": search.totals(self._counts, len(hits), self._by),
            **{name: array.astype(np.uint32) for name, array in search.counted(self._counts).items()},
            **search.told(self._failures.result()),
            **few,
            "hits": HitColumns(**search.columns(hits)),
            "axes": search.axes,
            "about": ModelArrays.of(search.campaign),
        }
