"""Screen: blocks of parameter sets → ensemble → labels → counts and hits; then all blocks → summary and hits."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.parallel import Comm, Deadline, Interrupted, failing_together, hand_out, rank_of
from mechscreen.progress import Progress
from mechscreen.sampling import sample_unit
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.provenance import describe, provenance
from mechscreen.tally import DISAGREEMENT_BINS, Counts, Hits, KeptHits, plane_pairs

if TYPE_CHECKING:
    from mechscreen.emulators.ensemble import Ensemble

log = logging.getLogger(__name__)

KIND, PARTIAL_KIND = "screen block", "partial screen block"
SUMMARY_KIND, HITS_KIND = "screen summary", "screen hits"

AUDIT = 0.01
"""Share of the samples that the first member passes over in a cascade, and that the whole ensemble looks at
nevertheless."""

BATCH = 8192
"""Parameter sets that a rank looks at in one go. Batches are cut the same for any number of ranks, since the last bits
of a prediction could depend on it."""


def screen_block(campaign: Campaign, block: int, comm: Comm = None, deadline: Deadline | None = None) -> Path:
    """Predict, label and count the samples of one block and write what is kept of them; a call that all ranks make.

    The block is the same, bit for bit, whatever the number of ranks and interruptions. When `deadline` is reached, what
    is done is saved beside it (``block-00017.h5.partial``) and the next attempt continues there. A block that is there
    and whole is left as it is.

    Raises
    ------
    InputError
        If there is no such block in the campaign, the ensemble or the objective cannot be loaded, or the block cannot
        be written.
    Interrupted
        On all ranks, when `deadline` was reached before the block was complete.
    """
    search = Search(campaign)
    path = campaign.paths.block(block)
    search.sample_range(block)
    with failing_together(comm):
        whole = rank_of(comm) == 0 and path.exists() and _is_whole(search, block)
        if comm is not None:
            whole = comm.bcast(whole, root=0)
        if whole:
            log.info("screen %s: is there already", path.stem)
            return path
        state = _Block(search, block) if rank_of(comm) == 0 else None
        complete = _screen_batches(search, state, comm, deadline)
        message = ""
        if state is not None:
            if complete:
                state.write(path, KIND)
                state.partial_path.unlink(missing_ok=True)
            else:
                state.write(state.partial_path, PARTIAL_KIND)
                message = (
                    f"{state.label}: {state.seen} of {state.samples} samples are saved, since "
                    f"{deadline.reason if deadline is not None else ''}; run the same command again to continue"
                )
        if comm is not None:
            message = comm.bcast(message, root=0)
        if message:
            raise Interrupted(message)
    return path


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
    kept, backends = 0, set[str]()
    problems = []
    with Progress(campaign.screen.blocks, "screen: verify", "blocks") as progress:
        for number in range(campaign.screen.blocks):
            try:
                block_counts, hits, by = search.read_block(number)
            except storage.FileError as error:
                problems.append(f"  {error.path.name}: {error.problem}{storage.move_aside(error.path)}")
            else:
                counts.merge(block_counts)
                kept += len(hits)
                backends |= by
            progress.advance()
    if problems:
        raise InputError(
            f"screen: {len(problems)} of {campaign.screen.blocks} blocks in {paths.screen} cannot be used:\n"
            + "\n".join(problems)
            + "\nrun the workflow again (or `mechscreen screen` for each): only these are made anew"
        )
    attributes = {
        **provenance(campaign, "screen", SUMMARY_KIND),
        **search.totals(counts),
        "hits_kept": kept,
        "samples": campaign.screen.count,
        "backend": ", ".join(sorted(backends)),
    }
    layout = {name: ((kept, *column.shape[1:]), column.dtype) for name, column in search.no_hits().columns().items()}
    with (
        storage.Writer(
            paths.screen_hits, layout, attributes | {"kind": HITS_KIND}, whole=describe(campaign.model_instance)
        ) as writer,
        Progress(campaign.screen.blocks, "screen: gather hits", "blocks") as progress,
    ):
        for number in range(campaign.screen.blocks):
            _, hits, _ = search.read_block(number)
            writer.append(hits.columns())
            progress.advance()
    storage.write(paths.screen_summary, {**search.describe(), **counts.arrays()}, attributes)
    log.info(
        "screen: %d hits in %d samples, %d kept; %d more discarded, since the ensemble disagrees",
        attributes["hits_found"],
        campaign.screen.count,
        kept,
        attributes["hits_discarded"],
    )
    return paths.screen_summary, paths.screen_hits


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

    def __init__(self, campaign: Campaign) -> None:
        self.campaign = campaign
        self.objective, self.targets = campaign.objective, campaign.targets
        self.candidates = sorted({label + step for label in self.targets for step in (-1, 0, 1)})
        """Labels of the first member at which the whole ensemble looks in a cascade: the target's and those beside."""
        self.varied = list(campaign.screen_space.varied)
        """Parameters that span the planes: those that are not fixed."""

    def sample_range(self, block: int) -> tuple[int, int]:
        """Return the first sample of a block, and the one after its last."""
        blocks, size = self.campaign.screen.blocks, self.campaign.screen.block_size
        if not 0 <= block < blocks:
            raise InputError(f"no block {block}: the screen of '{self.campaign.name}' has blocks 0 … {blocks - 1}")
        return block * size, (block + 1) * size

    def sample(self, start: int, stop: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the samples ``start … stop − 1`` as unit and as physical values, each (n, d)."""
        campaign = self.campaign
        unit = sample_unit(campaign.screen.sampling, campaign.seed, start, stop, len(campaign.space), "screen")
        return unit, campaign.screen_space.physical(unit)

    def look_at(self, ensemble: Ensemble, start: int, stop: int, counts: Counts) -> Hits:
        """Predict and label the samples ``start … stop − 1``, add them to `counts`, and return the hits."""
        screen = self.campaign.screen
        unit, physical = self.sample(start, stop)
        normalised = self.campaign.space.normalise(physical)
        labels = np.empty(len(unit), np.int64)
        disagreement = np.full(len(unit), np.nan, np.float32)
        looked = np.arange(len(unit))
        audited = np.zeros(len(unit), bool)
        if screen.mode == "cascade":
            first = ensemble.predict_first(normalised)
            labels[:] = self.objective(first["profiles"], first["log_peaks"])
            candidate = np.isin(labels, self.candidates)
            chance = sample_unit("uniform", self.campaign.seed, start, stop, 1, "audit")[:, 0]
            audited = ~candidate & (chance < AUDIT)
            looked = np.flatnonzero(candidate | audited)
        said = ensemble.predict(normalised[looked])
        if not (np.isfinite(said.disagreement).all() and np.isfinite(said.log_peaks).all()):
            raise InputError(
                f"{self.campaign.paths.emulators}: the ensemble predicts values that are not finite; train it again"
            )
        labels[looked] = self.objective(said.profiles, said.log_peaks)
        disagreement[looked] = said.disagreement
        counts.add(unit[:, self.varied], labels, disagreement, screen.disagreement_limit)
        hit = np.isin(labels, self.targets) & (disagreement <= screen.disagreement_limit)
        counts.audit[:] += np.count_nonzero(audited), np.count_nonzero(audited & hit)
        found = hit[looked]
        rows = looked[found]
        return Hits(
            start + rows,
            physical[rows],
            labels[rows],
            disagreement[rows],
            said.profiles[found],
            said.log_peaks[found],
        )

    def no_counts(self) -> Counts:
        """Return the counts of no sample."""
        return Counts.zeros(len(self.objective.class_names), len(self.varied), self.campaign.screen.bins)

    def no_hits(self) -> Hits:
        """Return no hit, in arrays of the right shapes."""
        outputs = self.campaign.model_instance.outputs
        return Hits.none(len(self.campaign.space), len(outputs), len(outputs[0].grid))

    def totals(self, counts: Counts) -> dict[str, int | float | str]:
        """Return attributes that say what was looked for, and how often it was found."""
        targets = list(self.targets)
        found = int(counts.trusted[targets].sum())
        return {
            "objective": self.campaign.screen.objective.name,
            "disagreement_limit": self.campaign.screen.disagreement_limit,
            "hits_found": found,
            "hits_discarded": int(counts.classes[targets].sum()) - found,
            **recall(found, counts),
        }

    def describe(self) -> dict[str, NDArray[Any]]:
        """Return what a reader needs to know of the counts: names of classes and axes, planes, targets, edges."""
        return {
            "class_names": np.array(self.objective.class_names),
            "targets": np.array(self.targets),
            "axes": np.array([self.campaign.space.names[j] for j in self.varied], dtype=str),
            "pairs": plane_pairs(len(self.varied)),
            "disagreement_edges": np.linspace(0, 1, DISAGREEMENT_BINS + 1),
        }

    def read_block(self, number: int) -> tuple[Counts, Hits, set[str]]:
        """Read a block and check it against the campaign: checksum, origin, shapes, and that the counts add up.

        Raises
        ------
        storage.FileError
            Naming the block, what is wrong and what to do.
        """
        start, stop = self.sample_range(number)
        file = storage.read(self.campaign.paths.block(number), KIND, self.campaign.fingerprint("screen"))
        counts, hits = self.unpack(file)
        if self.campaign.screen.mode == "full" and counts.disagreement_levels.sum() != stop - start:
            raise storage.FileError(file.path, "was not looked at by the whole ensemble")
        if counts.classes.sum() != stop - start or not np.all((start <= hits.index) & (hits.index < stop)):
            raise storage.FileError(file.path, f"does not hold the samples {start} … {stop - 1}")
        most = self.campaign.screen.hits_per_block
        expected = np.minimum(counts.trusted[list(self.targets)], most).sum()
        if len(hits) != expected:
            raise storage.FileError(file.path, f"holds {len(hits)} hits, and its counts say {expected}")
        return counts, hits, backends_of(file)

    def pack(self, counts: Counts, hits: Hits) -> dict[str, NDArray[Any]]:
        """Return the arrays of a block's file. A block has fewer than 2^32 samples, so half the space will do."""
        narrow = {name: array.astype(np.uint32) for name, array in counts.arrays().items()}
        return {**narrow, **hits.columns(), **self.describe(), **describe(self.campaign.model_instance)}

    def unpack(self, file: storage.File) -> tuple[Counts, Hits]:
        """Return the counts and hits of a block's file, checked."""
        counts, hits = self.no_counts(), self.no_hits()
        n = len(file["index"])
        expected = {name: array.shape for name, array in counts.arrays().items()}
        expected |= {name: (n, *column.shape[1:]) for name, column in hits.columns().items()}
        for name, shape in expected.items():
            if file[name].shape != shape:
                raise storage.FileError(file.path, f"'{name}' has shape {file[name].shape}, expected {shape}")
        counts = Counts(**{name: file[name].astype(np.int64) for name in counts.arrays()})
        if not counts.are_consistent():
            raise storage.FileError(file.path, "its counts contradict one another")
        return counts, Hits(**{name: file[name] for name in hits.columns()})


def backends_of(file: storage.File) -> set[str]:
    """Return the names of what computed the predictions of a block."""
    return set(str(file.attributes.get("backend", "not recorded")).split(", "))


class _Block:
    """A block of the screen as far as it is done; on rank 0."""

    def __init__(self, search: Search, number: int) -> None:
        self._search = search
        self._start, self._stop = search.sample_range(number)
        self._number = number
        self.path = search.campaign.paths.block(number)
        self.partial_path = self.path.with_name(self.path.name + ".partial")
        self.label = f"screen {self.path.stem}"
        self.counts = search.no_counts()
        self.backends: set[str] = set()
        self._done = np.zeros(-(-(self._stop - self._start) // BATCH), dtype=bool)
        hits = self._load_partial()
        self._kept = KeptHits(search.campaign.screen.hits_per_block, hits)

    @property
    def samples(self) -> int:
        """Number of samples in the block."""
        return self._stop - self._start

    @property
    def seen(self) -> int:
        """Number of samples that are done and counted."""
        return int(self.counts.classes.sum())

    def batches(self) -> list[tuple[int, int]]:
        """Return the sample ranges that are still to do."""
        starts = range(self._start, self._stop, BATCH)
        return [(k, min(k + BATCH, self._stop)) for k, done in zip(starts, self._done, strict=True) if not done]

    def collect(self, batch: tuple[int, int], hits: Hits) -> None:
        """Enter the hits of a batch; its counts come with those of its rank, in the end."""
        self._done[(batch[0] - self._start) // BATCH] = True
        self._kept.add(hits)

    def write(self, path: Path, kind: str) -> None:
        """Write what is done."""
        search = self._search
        hits = self._kept.result()
        arrays = search.pack(self.counts, hits)
        if kind == PARTIAL_KIND:
            arrays["done"] = self._done
        attributes = {
            "block": self._number,
            **search.totals(self.counts),
            "hits_kept": len(hits),
            "backend": ", ".join(sorted(self.backends)),
        }
        storage.write(path, arrays, {**provenance(search.campaign, "screen", kind), **attributes})

    def _load_partial(self) -> Hits:
        """Take over what an earlier attempt left, if it is in order; return its hits."""
        if not self.partial_path.exists():
            return self._search.no_hits()
        try:
            file = storage.read(self.partial_path, PARTIAL_KIND, self._search.campaign.fingerprint("screen"))
            counts, hits = self._search.unpack(file)
            done = file["done"]
            if file.attributes.get("block") != self._number or done.shape != self._done.shape:
                raise storage.FileError(self.partial_path, "holds other samples")
        except InputError as error:
            log.warning("%s: starting anew, since %s", self.label, error)
            self.partial_path.unlink()
            return self._search.no_hits()
        self.counts, self._done, self.backends = counts, done.astype(bool), backends_of(file)
        log.info("%s: continuing with %d of %d samples", self.label, self.seen, self.samples)
        return hits


def _screen_batches(search: Search, block: _Block | None, comm: Comm, deadline: Deadline | None) -> bool:
    """Look at what is missing of a block, into `block` on rank 0; return whether all was done."""
    ensemble = load_campaign_ensemble(search.campaign)
    counts = search.no_counts()
    most = search.campaign.screen.hits_per_block

    def work(batch: tuple[int, int]) -> Hits:
        return search.look_at(ensemble, *batch, counts).draw(most)

    if block is None:
        complete = hand_out(comm, (), work, lambda batch, hits: None)
    else:
        with Progress(block.samples, block.label, "parameter sets", initial=block.seen) as progress:

            def collect(batch: tuple[int, int], hits: Hits) -> None:
                block.collect(batch, hits)
                progress.advance(batch[1] - batch[0])

            complete = hand_out(
                comm, block.batches(), work, collect, deadline.reached if deadline is not None else lambda: False
            )
    # Each rank has counted what it saw, and only now they add up: one message from each instead of one per batch.
    _reduce(counts, comm)
    backends = [ensemble.backend] if comm is None else comm.gather(ensemble.backend, root=0)
    if block is not None:
        block.backends.update(backends)
        block.counts.merge(counts)
    return complete


def _reduce(counts: Counts, comm: Comm) -> None:
    """Turn rank 0's counts into the sum of all ranks' counts."""
    if comm is None:
        return
    from mpi4py import MPI

    for array in counts.arrays().values():
        if rank_of(comm) == 0:
            comm.Reduce(MPI.IN_PLACE, array, op=MPI.SUM, root=0)
        else:
            comm.Reduce(array, None, op=MPI.SUM, root=0)


def _is_whole(search: Search, number: int) -> bool:
    try:
        search.read_block(number)
    except InputError as error:
        log.warning("screen: making the block anew, since %s", error)
        return False
    return True
