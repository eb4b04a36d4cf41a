"""Merge: shards of simulations to a training set, split by sample number and cut into files of equal size.

Simulations that were selected or imported are all for training: they are no fair sample to judge networks by. Where
they were selected, the training set goes on from that of the campaign whose ensemble selected them.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, cast

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import SPLITS, Campaign, Identity
from mechscreen.errors import InputError
from mechscreen.models.distances import Distance
from mechscreen.models.outputs import Status
from mechscreen.progress import Progress
from mechscreen.reasons import Reasons
from mechscreen.sampling import assign_split
from mechscreen.schemas.dataset import Dropped, Manifest, Reason, SplitEntry, SplitShard
from mechscreen.schemas.model import ModelArrays
from mechscreen.stages.imported import Imported, together
from mechscreen.stages.provenance import provenance, record
from mechscreen.stages.simulate import read_shard, shard_parameters

log = logging.getLogger(__name__)

_REASONS_KEPT = 20
"""Reasons listed in the manifest; those of a model may differ from sample to sample, and not in numbers alone."""


@dataclass(frozen=True)
class Dataset:
    """Samples of one split, n in all.

    Attributes
    ----------
    index
        (n,), sample numbers in their campaign; ascending, but for those of a campaign before. Imported ones come last
        (`mechscreen.stages.imported`).
    parameters
        (n, d), physical values.
    profiles, log_peaks
        (n, *outputs.shape) and (n, outputs), as `mechscreen.models.Simulations` has them.
    """

    index: NDArray[np.int64]
    parameters: NDArray[np.float64]
    profiles: NDArray[np.float32]
    log_peaks: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.index)


_ARRAYS = ("index", "parameters", "profiles", "log_peaks")


def merge(campaign: Campaign) -> Path:
    """Verify all shards of simulations, write the training set and its manifest; return the manifest's path.

    Two passes over the shards, one at a time, so that memory does not grow with the campaign: the first verifies and
    counts, the second writes. Samples whose status is not OK are left out and counted. Imported simulations come last,
    without those whose parameters the campaign simulates itself: it may judge its networks by these. Files left by an
    earlier, larger training set are removed.

    Raises
    ------
    InputError
        If shards are missing or wrong: all of them are named, and the wrong ones moved aside, so that the next run
        makes just these again. If too few usable samples remain, or imported tables cannot be taken.
    """
    # First, since shards take time: is there what they are to be added to?
    before = None if campaign.selector is None else read_manifest(campaign.selector)
    imported = together(campaign)
    counts, dropped = _verify(campaign)
    total = campaign.simulations.count
    for split, count in zip(SPLITS, counts, strict=True):
        if count == 0 and (before is None or split == "train"):
            most = "".join(f"; most often: {reason}" for _, reason, _ in dropped.listed()[:1])
            raise InputError(
                f"merge: no sample is left for '{split}': of {total} simulations {sum(counts)} are usable{most}; "
                "raise simulations.count or mend the model"
            )
    repeated = _repeated(campaign, imported)
    paths = campaign.paths
    storage.remove(paths.manifest)
    brought = imported.take(~repeated)
    counts[SPLITS.index("train")] += len(brought["index"])
    files, deviations = _write(campaign, counts, brought)
    if before is not None:
        # One unit for all that stands on the same first simulations.
        deviations = before.deviations or deviations
    kept = {entry.file for entry in files}
    for path in storage.listing(paths.dataset):
        if re.fullmatch(rf"({'|'.join(SPLITS)})-.*\.h5", path.name) and path.name not in kept:
            storage.remove(path)
    told = len(brought["index"]), int(repeated.sum())
    manifest = _manifest(campaign, counts, dropped, files, deviations, before, told)
    manifest.write(paths.manifest)
    used = ", ".join(f"{count} {split}" for split, count in zip(SPLITS, counts, strict=True))
    log.info("merge: %s samples; dropped %d of %d", used, manifest.dropped.count, manifest.simulations)
    for doubt in manifest.doubts:
        log.warning("merge: %s", doubt)
    if len(imported):
        log.info(
            "merge: %d of the training samples are imported; %d more were left out, since the campaign has them itself",
            *told,
        )
    return paths.manifest


def split_files(campaign: Campaign, split: str) -> list[tuple[Path, Identity]]:
    """Return the files of one split (``train``, ``validation`` or ``test``), and what each must depend on.

    Those of the campaign that selected the simulations, if any, come first.

    Raises
    ------
    InputError
        If the manifest is missing, wrong or of another campaign.
    """
    before = [] if campaign.selector is None else split_files(campaign.selector, split)
    folder, identity = campaign.paths.dataset, campaign.identity("dataset")
    entries = read_manifest(campaign).files
    return before + [(folder / entry.file, identity) for entry in entries if entry.split == split]


def read_manifest(campaign: Campaign) -> Manifest:
    """Return what the campaign's training set holds.

    Raises
    ------
    InputError
        If the manifest is missing, wrong or of another campaign.
    """
    return Manifest.read(campaign.paths.manifest, campaign.identity("dataset"))


def load_distance(campaign: Campaign) -> Distance:
    """Return how the campaign's outputs are compared, in units of their deviations over its training set.

    Raises
    ------
    InputError
        If the manifest is missing, wrong or of another campaign.
    """
    # Those of earlier versions were of profiles by their peaks alone.
    return Distance.of(campaign.outputs, read_manifest(campaign).deviations)


def load_split(campaign: Campaign, split: str) -> Dataset:
    """Read one split of the training set.

    Raises
    ------
    InputError
        If the manifest or a file of it is missing, wrong or of another campaign.
    """
    return Dataset(**_load_arrays(campaign, split, _ARRAYS))


def map_split(campaign: Campaign, split: str) -> Dataset:
    """Open one split of the training set, whose profiles are read as they are indexed; errors as for `load_split`."""
    profiles = storage.map_rows(split_files(campaign, split), "profiles", SplitShard.kind)
    rest = _load_arrays(campaign, split, [name for name in _ARRAYS if name != "profiles"])
    return Dataset(**rest, profiles=cast("NDArray[np.float32]", profiles))


def _load_arrays(campaign: Campaign, split: str, names: Iterable[str]) -> dict[str, Any]:
    pieces: dict[str, list[NDArray[Any]]] = {name: [] for name in names}
    for path, identity in split_files(campaign, split):
        with SplitShard.open(path, identity, d=len(campaign.space), shape=campaign.outputs.shape) as file:
            for name in pieces:
                pieces[name].append(getattr(file, name)[:])
    return {name: np.concatenate(parts) for name, parts in pieces.items()}


def _repeated(campaign: Campaign, imported: Imported) -> NDArray[np.bool_]:
    """Return which of the imported simulations have the parameters of samples that the training set stands on, (n,)."""
    repeated = np.zeros(len(imported), dtype=bool)
    if not len(imported):
        return repeated
    for number in range(campaign.simulations.shards):
        repeated |= imported.of(campaign, shard_parameters(campaign, number))
    if campaign.selector is not None:
        for split in SPLITS:
            repeated |= imported.of(campaign, _load_arrays(campaign.selector, split, ["parameters"])["parameters"])
    return repeated


def _verify(campaign: Campaign) -> tuple[list[int], Reasons]:
    """Return the number of usable samples of each split, and why the others are not."""
    counts = np.zeros(len(SPLITS), dtype=int)
    dropped = Reasons()
    problems = []
    with Progress(campaign.simulations.shards, "merge: verify", "shards") as progress:
        for number in range(campaign.simulations.shards):
            try:
                shard = read_shard(campaign, number)
            except storage.FileError as error:
                problems.append(f"  {error.path.name}: {error.problem}{storage.move_aside(error)}")
            else:
                status = shard.status
                counts += np.bincount(_splits(campaign, number)[status == Status.OK], minlength=len(SPLITS))
                failed = status != Status.OK
                for code, reason in zip(status[failed], shard.reasons[failed], strict=True):
                    dropped.add(Status(int(code)).name, str(reason))
            progress.advance()
    if problems:
        raise InputError(
            f"merge: {len(problems)} of {campaign.simulations.shards} shards in {campaign.paths.simulations} cannot be "
            + "\n".join(["used:", *problems])
            + "\nrun the workflow again (or `mechscreen simulate` for each): only these are made anew"
        )
    return counts.tolist(), dropped


def _splits(campaign: Campaign, shard: int) -> NDArray[np.uint8]:
    """Return the split of each sample of a shard, as its place in `SPLITS`."""
    size = campaign.simulations.shard_size
    if campaign.selection is not None:
        return np.full(size, SPLITS.index("train"), np.uint8)
    split = campaign.dataset.split
    fractions = [getattr(split, name) for name in SPLITS]
    return assign_split(campaign.seed, shard * size, (shard + 1) * size, fractions)


def _write(
    campaign: Campaign, counts: list[int], imported: Mapping[str, NDArray[Any]]
) -> tuple[list[SplitEntry], list[float]]:
    """Write the files of the training set; return the manifest's entry of each, and the deviation of each output.

    What was imported is no sample of the space, and has no part in the deviations.
    """
    outputs = campaign.outputs
    scatter = outputs.scatter(np.empty((0, *outputs.shape)))
    with ExitStack() as stack:
        writers = [
            stack.enter_context(_SplitWriter(campaign, split, count))
            for split, count in zip(SPLITS, counts, strict=True)
        ]
        progress = stack.enter_context(Progress(campaign.simulations.shards, "merge: write", "shards"))
        for number in range(campaign.simulations.shards):
            shard = read_shard(campaign, number)
            splits = _splits(campaign, number)
            for place, writer in enumerate(writers):
                chosen = (splits == place) & (shard.status == Status.OK)
                arrays = {name: getattr(shard, name)[chosen] for name in _ARRAYS}
                writer.append(arrays)
                if writer.split == "train" and not outputs.all_by_peak:
                    scatter += outputs.scatter(arrays["profiles"])
            progress.advance()
        writers[SPLITS.index("train")].append(imported)
    return [entry for writer in writers for entry in writer.files], outputs.deviations(scatter).tolist()


class _SplitWriter:
    """Writes the samples of a split into files of `dataset.shard_size` rows; a context manager."""

    def __init__(self, campaign: Campaign, split: str, count: int) -> None:
        self.files: list[SplitEntry] = []
        """The manifest's entries of the files that are full."""
        self._campaign = campaign
        self.split = split
        self._to_come = count
        self._room = self._rows = 0
        self._file = ExitStack()
        self._writer: storage.Writer

    def append(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        """Add samples, beginning a file when the one before is full."""
        first, n = 0, len(arrays["index"])
        while first < n:
            if self._room == 0:
                self._begin()
            last = min(n, first + self._room)
            self._writer.append({name: values[first:last] for name, values in arrays.items()})
            self._room -= last - first
            first = last
            if self._room == 0:
                self._file.close()
                path = self._writer.path
                self.files.append(
                    SplitEntry(file=path.name, split=self.split, rows=self._rows, sha256=storage.sha256(path))
                )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.__exit__(kind, error, trace)

    def _begin(self) -> None:
        campaign = self._campaign
        rows = self._room = self._rows = min(self._to_come, campaign.dataset.shard_size)
        self._to_come -= rows
        path = campaign.paths.dataset_shard(self.split, len(self.files))
        outputs = campaign.outputs
        self._writer = SplitShard.writer(
            path,
            provenance(campaign, "dataset"),
            {"n": rows, "d": len(campaign.space), "shape": outputs.shape, "outputs": len(outputs)},
            {"split": self.split, "about": ModelArrays.of(campaign)},
        )
        self._file.enter_context(self._writer)


def _manifest(
    campaign: Campaign,
    counts: list[int],
    dropped: Reasons,
    files: list[SplitEntry],
    deviations: list[float],
    before: Manifest | None,
    told: tuple[int, int],
) -> Manifest:
    """Return the manifest; its numbers count those of the campaign before, its files are the campaign's own.

    `told` are the numbers of simulations that were imported, and of those that were left out.
    """
    imported, repeated = told
    total, simulations, selected = dropped.total, campaign.simulations.count, 0
    samples = dict(zip(SPLITS, counts, strict=True))
    if before is not None:
        total += before.dropped.count
        for entry in before.dropped.reasons:
            dropped.add(entry.status, entry.reason, entry.count)
        selected = before.selected + simulations
        simulations += before.simulations
        imported, repeated = imported + before.imported, repeated + before.repeated
        samples = {split: before.samples[split] + count for split, count in samples.items()}
    reasons = [Reason(status=status, reason=reason, count=count) for status, reason, count in dropped.listed()]
    return Manifest(
        **record(campaign, "dataset"),
        parameters=list(campaign.space.names),
        outputs=[output.name for output in campaign.outputs],
        sizes=list(campaign.outputs.sizes),
        deviations=deviations,
        simulations=simulations,
        selected=selected,
        imported=imported,
        repeated=repeated,
        samples=samples,
        dropped=Dropped(count=total, reasons=reasons[:_REASONS_KEPT]),
        files=files,
    )
