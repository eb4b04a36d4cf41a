"""Screen: blocks of parameter sets → ensemble or model → labels → counts, hits; then all blocks → summary and hits."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mechscreen import resumable, storage
from mechscreen.campaign import Campaign
from mechscreen.emulators.backends.device import DevicePredictor
from mechscreen.emulators.quiet import use_card
from mechscreen.errors import InputError, ModelError
from mechscreen.progress import Progress
from mechscreen.ranks import ALONE, NEVER, Deadline, Ranks
from mechscreen.resumable import Resumable, run
from mechscreen.sampling import sample_unit
from mechscreen.schemas.evaluation import Metrics
from mechscreen.schemas.model import ModelArrays
from mechscreen.schemas.screen import Axes, HitColumns, PartialBlock, ScreenBlock, ScreenHits, ScreenSummary, Totals
from mechscreen.spaces import Sampler
from mechscreen.stages import direct
from mechscreen.stages.on_device import OnDevice
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.provenance import provenance
from mechscreen.tally import DISAGREEMENT_BINS, Counts, Failures, Hits, Kept, plane_pairs

if TYPE_CHECKING:
    from mechscreen.emulators.ensemble import Ensemble

log = logging.getLogger(__name__)

AUDIT = 0.01
"""Share of the samples that the first member passes over in a cascade, and that the whole ensemble looks at
nevertheless."""

_VALUES = 2**25
"""Values that an ensemble predicts at once, at most; for outputs of up to 4096 values, a batch."""

BATCH = 8192
"""Parameter sets that a rank looks at in one go. Batches are cut the same for any number of ranks, since the last bits
of a prediction could depend on it."""

FAILURES = 200
"""Samples that the model fails for of which a block, and the summary, say why: drawn at random from all of them."""

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
    of their sample numbers. One block at a time is in memory.

    Raises
    ------
    InputError
        If blocks are missing or wrong: all of them are named, and the wrong ones moved aside, so that the next run
        makes just these again.
    """
    search = Search(campaign)
    paths = campaign.paths
    counts = search.no_counts()
    kept, backends, failures = 0, set[str](), Kept(FAILURES, search.no_failures())
    problems = []
    with Progress(campaign.screen.blocks, "screen: verify", "blocks") as progress:
        for number in range(campaign.screen.blocks):
            try:
                block_counts, hits, failed, by = search.read_block(number)
            except storage.FileError as error:
                problems.append(f"  {error.path.name}: {error.problem}{storage.move_aside(error)}")
            else:
                counts.merge(block_counts)
                kept += len(hits)
                backends |= by
                failures.add(failed)
            progress.advance()
    if problems:
        raise InputError(
            f"screen: {len(problems)} of {campaign.screen.blocks} blocks in {paths.screen} cannot be used:\n"
            + "\n".join(problems)
            + "\nrun the workflow again (or `mechscreen screen` for each): only these are made anew"
        )
    origin, samples = provenance(campaign, "screen"), campaign.screen.count
    totals = search.totals(counts, kept, backends)
    about = ModelArrays.of(campaign)
    sizes = {"hits": kept, **search.sizes}
    with (
        ScreenHits.writer(
            paths.screen_hits, origin, sizes, {"samples": samples, "totals": totals, "about": about}
        ) as writer,
        Progress(campaign.screen.blocks, "screen: gather hits", "blocks") as progress,
    ):
        for number in range(campaign.screen.blocks):
            hits = search.read_block(number)[1]
            writer.append(hits.columns())
            progress.advance()
    ScreenSummary(
        samples=samples, totals=totals, axes=search.axes, **{**counts.arrays(), **search.told(failures.result())}
    ).write(paths.screen_summary, origin)
    if campaign.by_model:
        _tell(campaign, counts, totals)
        return paths.screen_summary, paths.screen_hits
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
    found = totals.hits_found + totals.hits_discarded
    target = campaign.screen.objective.target if campaign.screens_all else ()
    for doubt in (*metrics.doubts, *metrics.doubts_of_share(target, found, campaign.screen.count)):
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


def recall(found: int, counts: Counts) -> dict[str, float]:
    """Return which share of the hits a cascade would find without its audit, and a 95 % confidence interval.

    {} where there is no hit, or nothing was audited: in a full screen, and where nothing was passed over.

    Each hit of the audit stands for as many that were passed over as samples stand for one of the audit; the interval
    is that of the audit's number of hits, a Poisson variable (Garwood 1936).
    """
    audited, missed = (int(value) for value in counts.audit)
    known = int(counts.disagreement_levels.sum())
    passed_over = int(counts.classes.sum()) - known
    if not audited or not found:
        return {}
    each = (passed_over + audited) / audited
    low, high = stats.chi2.ppf(0.025, 2 * missed) / 2 if missed else 0.0, stats.chi2.ppf(0.975, 2 * missed + 2) / 2
    by_candidates = found - missed
    return {
        name: float(by_candidates / (by_candidates + each * number)) if by_candidates else 0.0
        for name, number in (("recall", missed), ("recall_low", high), ("recall_high", low))
    }


class Search:
    """What a campaign's screen looks for, and where."""

    audit_stream, audit_share = "audit", AUDIT
    """Random numbers that choose what a cascade's audit looks at, and of how many."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.objective, self.targets = campaign.objective, campaign.targets
        self.candidates = sorted({label + step for label in self.targets for step in (-1, 0, 1)})
        """Labels of the first member at which the whole ensemble looks in a cascade: the target's and those beside."""
        self.sampler = Sampler(campaign.screen_space, campaign.screen.sampling, campaign.seed, "screen")
        self.varied = list(campaign.screen_space.varied)
        """Parameters that span the planes: those that are not fixed."""

    def sample_range(self, block: int) -> tuple[int, int]:
        """Return the first sample of a block, and the one after its last."""
        blocks, size = self.campaign.screen.blocks, self.campaign.screen.block_size
        if not 0 <= block < blocks:
            raise InputError(f"no block {block}: the screen of '{self.campaign.name}' has blocks 0 … {blocks - 1}")
        return block * size, (block + 1) * size

    def sample(self, start: int, stop: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the samples ``start … stop − 1``: positions along the axes, and physical values, each (n, d)."""
        draws = self.sampler.draw(start, stop)
        return draws.position, draws.physical

    def named(
        self, labels: NDArray[np.int64], chance: NDArray[np.float64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Return at which samples of a cascade, (n,), the ensemble looks for the first member's label, or by audit."""
        candidate = np.isin(labels, self.candidates)
        return candidate, ~candidate & (chance < self.audit_share)

    def are_hits(self, labels: NDArray[np.int64], disagreement: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which of n samples are looked for, and trusted, (n,)."""
        return np.isin(labels, self.targets) & (disagreement <= self.campaign.screen.disagreement_limit)

    def check_finite(self, disagreement: NDArray[np.float32], log_peaks: NDArray[np.float32]) -> None:
        """See that an ensemble predicts numbers.

        Raises
        ------
        ModelError
            If not.
        """
        if not (np.isfinite(disagreement).all() and np.isfinite(log_peaks).all()):
            raise ModelError(
                f"{self.campaign.paths.emulators}: the ensemble predicts values that are not finite; train it again"
            )

    def look_at(self, ensemble: Ensemble, start: int, stop: int, counts: Counts) -> Hits:
        """Predict and label the samples ``start … stop − 1``, add them to `counts`, and return the hits."""
        position, physical = self.sample(start, stop)
        labels = np.empty(len(physical), np.int64)
        disagreement = np.full(len(physical), np.nan, np.float32)
        audited = np.zeros(len(physical), bool)
        found = []
        # What an ensemble says of all at once may be more than memory holds.
        size = ensemble.batch_size * max(1, _VALUES // (math.prod(ensemble.shape) * ensemble.batch_size))
        for first in range(0, len(physical), size):
            part = slice(first, first + size)
            of_part = labels[part], disagreement[part], audited[part]
            found.append(self._label(ensemble, start + first, physical[part], *of_part))
        counts.add(position[:, self.varied], labels, disagreement, self.campaign.screen.disagreement_limit)
        hit = self.are_hits(labels, disagreement)
        counts.audit[:] += np.count_nonzero(audited), np.count_nonzero(audited & hit)
        return self.no_hits().join(found)

    def _label(
        self,
        ensemble: Ensemble,
        start: int,
        physical: NDArray[np.float64],
        labels: NDArray[np.int64],
        disagreement: NDArray[np.float32],
        audited: NDArray[np.bool_],
    ) -> Hits:
        """Fill labels, disagreement and what was audited of the samples from `start` on, (n,); return the hits."""
        screen = self.campaign.screen
        normalised = self.campaign.space.normalise(physical)
        looked = np.arange(len(physical))
        if screen.mode == "cascade":
            first = ensemble.predict_first(normalised)
            labels[:] = self.objective(first["profiles"], first["log_peaks"])
            stop = start + len(physical)
            chance = sample_unit("uniform", self.campaign.seed, start, stop, 1, self.audit_stream)[:, 0]
            candidate, audited[:] = self.named(labels, chance)
            looked = np.flatnonzero(candidate | audited)
        said = ensemble.predict(normalised[looked])
        self.check_finite(said.disagreement, said.log_peaks)
        labels[looked] = self.objective(said.profiles, said.log_peaks)
        disagreement[looked] = said.disagreement
        hit = self.are_hits(labels[looked], said.disagreement)
        rows = looked[hit]
        return Hits(
            start + rows,
            physical[rows],
            labels[rows],
            disagreement[rows],
            said.profiles[hit],
            said.log_peaks[hit],
        )

    def no_counts(self) -> Counts:
        """Return the counts of no sample."""
        return Counts.zeros(len(self.campaign.screen_classes), len(self.varied), self.campaign.screen.bins)

    def no_hits(self) -> Hits:
        """Return no hit, in arrays of the right shapes."""
        outputs = self.campaign.outputs
        return Hits.none(len(self.campaign.space), len(outputs), outputs.shape)

    def no_failures(self) -> Failures:
        """Return no failed sample, in arrays of the right shapes."""
        return Failures.none(len(self.campaign.space))

    def told(self, failures: Failures) -> dict[str, Any]:
        """Return the arrays of a file that tell of failures; none where emulators look, which never fail."""
        if not self.campaign.by_model:
            return {}
        told = {f"failed_{field.name}": getattr(failures, field.name) for field in fields(Failures)}
        # As wide as its texts, whatever it was drawn from.
        return told | {"failed_reasons": np.array(failures.reasons.tolist(), dtype=str)}

    @property
    def sizes(self) -> dict[str, int | tuple[int, ...]]:
        """What names in the shapes of the screen's files stand for."""
        campaign = self.campaign
        return {
            "d": len(campaign.space),
            "outputs": len(campaign.outputs),
            "shape": campaign.outputs.shape,
            "classes": len(campaign.screen_classes),
            "planes": len(plane_pairs(len(self.varied))),
            "bins": campaign.screen.bins,
            "levels": DISAGREEMENT_BINS,
        }

    def totals(self, counts: Counts, kept: int, backends: set[str]) -> Totals:
        """Return what was looked for, how often it was found, and how many hits are kept."""
        targets = list(self.targets)
        found = int(counts.trusted[targets].sum())
        return Totals(
            objective=self.campaign.screen.objective.name,
            disagreement_limit=self.campaign.screen.disagreement_limit,
            hits_found=found,
            hits_discarded=int(counts.classes[targets].sum()) - found,
            hits_kept=kept,
            backend=", ".join(sorted(backends)),
            **recall(found, counts),
        )

    @property
    def axes(self) -> Axes:
        """What a reader needs to know of the counts."""
        return Axes(
            class_names=np.array(self.campaign.screen_classes),
            targets=np.array(self.targets),
            axes=np.array([self.campaign.space.names[j] for j in self.varied], dtype=str),
            pairs=plane_pairs(len(self.varied)),
            disagreement_edges=np.linspace(0, 1, DISAGREEMENT_BINS + 1),
        )

    def read_block(self, number: int) -> tuple[Counts, Hits, Failures, set[str]]:
        """Read a block and check it against the campaign: checksum, origin, shapes, and that the counts add up.

        Raises
        ------
        storage.FileError
            Naming the block, what is wrong and what to do.
        """
        start, stop = self.sample_range(number)
        path = self.campaign.paths.block(number)
        block = ScreenBlock.read(path, self.campaign.identity("screen"), **self.sizes)
        counts, hits = unpack(block, path)
        failures = self.failures_in(block)
        if self.campaign.screen.mode == "full" and counts.disagreement_levels.sum() != stop - start:
            raise storage.FileError(path, "was not looked at by the whole ensemble")
        if counts.classes.sum() != stop - start or not np.all((start <= hits.index) & (hits.index < stop)):
            raise storage.FileError(path, f"does not hold the samples {start} … {stop - 1}")
        most = self.campaign.screen.hits_per_block
        expected = np.minimum(counts.trusted[list(self.targets)], most).sum()
        if len(hits) != expected:
            raise storage.FileError(path, f"holds {len(hits)} hits, and its counts say {expected}")
        if len(failures) != (min(FAILURES, counts.classes[-1]) if self.campaign.by_model else 0):
            raise storage.FileError(path, f"tells of {len(failures)} failed samples, and its counts say otherwise")
        return counts, hits, failures, block.totals.backends

    def failures_in(self, file: ScreenBlock | ScreenSummary) -> Failures:
        """Return what a file tells of the samples that the model failed for."""
        if file.failed_index is None:
            return self.no_failures()
        return Failures(**{field.name: getattr(file, f"failed_{field.name}") for field in fields(Failures)})


def unpack(block: ScreenBlock, path: Path) -> tuple[Counts, Hits]:
    """Return the counts and hits of a block's file, checked.

    Raises
    ------
    storage.FileError
        If the counts contradict one another.
    """
    names = [field.name for field in fields(Counts)]
    counts = Counts(**{name: getattr(block, name).astype(np.int64) for name in names})
    if not counts.are_consistent():
        raise storage.FileError(path, "its counts contradict one another")
    return counts, Hits(**{field.name: getattr(block.hits, field.name) for field in fields(Hits)})


class _Share:
    """What a rank has seen and not yet told rank 0."""

    def __init__(self, search: Search, by: str) -> None:
        self._search = search
        self._by = by
        self._begin()

    def _begin(self) -> None:
        self.counts = self._search.no_counts()
        self._hits = Kept(self._search.campaign.screen.hits_per_block, self._search.no_hits())
        self._failures = Kept(FAILURES, self._search.no_failures())
        self._batches: list[Batch] = []

    def add(self, batches: list[Batch], hits: Hits, failures: Failures) -> None:
        """Enter what came of batches that were counted in `counts`."""
        self._hits.add(hits)
        self._failures.add(failures)
        self._batches += batches

    def take(self) -> _Told:
        """Return what there is to tell, which is no longer here then."""
        told = _Told(self._hits.result(), self._failures.result(), self._batches, self._by)
        told.counts = self.counts
        self._begin()
        return told


Batch = tuple[int, int]
"""First sample of a batch, and the one after its last."""


@dataclass
class _Told:
    """What came of some batches, and what looked at them; their counts, where these travel along."""

    hits: Hits
    failures: Failures
    batches: list[Batch]
    by: str
    counts: Counts | None = None


_Seen = tuple[int, float, _Told | None]
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

    def look_at(self, start: int, stop: int, counts: Counts) -> tuple[Hits, Failures, list[Batch], float]:
        """Look at a batch; as `mechscreen.stages.direct.Direct.look_at`."""
        hits = self._search.look_at(self._ensemble, start, stop, counts)
        return hits, self._search.no_failures(), [(start, stop)], 0.0


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
        self._failures = Kept(FAILURES, search.no_failures())
        self._by: set[str] = set()

    def load(self) -> None:
        """Take over the batches of an earlier attempt."""
        search = self._search
        identity = search.campaign.identity("screen")
        partial = PartialBlock.read(self.partial_path, identity, batches=len(self._done), **search.sizes)
        counts, hits = unpack(partial, self.partial_path)
        if partial.block != self._number:
            raise storage.FileError(self.partial_path, "holds other samples")
        starts = np.arange(len(self._done)) * self._together
        if counts.classes.sum() != np.minimum(self._together, self.total - starts)[partial.done].sum():
            raise storage.FileError(self.partial_path, "its counts are not those of its batches")
        self._counts.merge(counts)
        self._hits.add(hits)
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

            def work(batch: Batch) -> _Seen:
                nonlocal next_told
                hits, failures, done, seconds = looker.look_at(*batch, share.counts)
                share.add(done, hits.draw(self._search.campaign.screen.hits_per_block), failures)
                samples = sum(stop - start for start, stop in done)
                if time.monotonic() < next_told:
                    return samples, seconds, None
                next_told = time.monotonic() + tell_every
                return samples, seconds, share.take()

            if ranks.is_root:
                with Progress(self.total, self.label, "parameter sets", initial=self.done) as progress:

                    def collect(batch: Batch, seen: _Seen) -> None:
                        samples, seconds, told = seen
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
                ranks.hand_out((), work, lambda batch, seen: None)
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
            if ensemble.backend == DevicePredictor.name:
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
        self._failures.add(told.failures)
        for start, stop in told.batches:
            first, last = start - self._start, stop - self._start
            self._done[first // self._together : math.ceil(last / self._together)] = True
        if told.batches:
            self._by.add(told.by)

    def _contents(self) -> dict[str, Any]:
        """Return what is kept of the batches that are done."""
        search, hits = self._search, self._hits.result()
        return {
            "block": self._number,
            "totals": search.totals(self._counts, len(hits), self._by),
            **{name: array.astype(np.uint32) for name, array in self._counts.arrays().items()},
            **search.told(self._failures.result()),
            "hits": HitColumns(**hits.columns()),
            "axes": search.axes,
            "about": ModelArrays.of(search.campaign),
        }
