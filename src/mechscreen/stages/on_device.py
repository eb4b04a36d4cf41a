"""On device: the samples of a screen, looked at by one compiled program (``emulators.backend: device``)."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mechscreen import odds
from mechscreen.sampling import unit_at
from mechscreen.stages import simulate
from mechscreen.stages.search import Search
from mechscreen.tally import ALL_KEYS, DRAWN, Batch, Counts, Drawn, Hits, Seen, random_keys

if TYPE_CHECKING:
    from mechscreen.device.program import Looked, Program, Rows
    from mechscreen.emulators.ensemble import Ensemble

log = logging.getLogger(__name__)

_BATCH = {"cpu": 512, "gpu": 16384}
"""Parameter sets of a batch within the program: what of them a processor's cache, or a card's, holds."""
_VALUES = {"cpu": 2**23, "gpu": 2**28}
"""Values of all members that a batch may have, at most."""
_KEPT_VALUES = 2**26
"""Values that may be put aside in one call of the program."""
_LARGEST_CALL = 2**27
"""Samples of one call."""


class OnDevice:
    """The compiled program as a screen's rank calls it.

    Parameters
    ----------
    batch
        Parameter sets that are done together: calls are cut at whole ones.
    place
        Number of this rank on its node, which tells its card.
    """

    def __init__(self, search: Search, ensemble: Ensemble, batch: int, place: int = 0) -> None:
        import jax

        # Where a card was chosen before (`mechscreen.emulators.quiet.use_card`), it is the only one.
        cards = jax.local_devices()
        jax.config.update("jax_default_device", cards[place % len(cards)])
        self._search, self._ensemble, self._together = search, ensemble, batch
        self.by = ensemble.backend
        self._sampler = search.sampler
        self._program = make_program(search, ensemble)
        self._blocks: simulate.Blocks | None = None
        classes = len(search.campaign.screen_classes)
        self._keys = [np.empty(0, np.uint64) for _ in range(classes * odds.STRATA)]
        self._drawn_keys = [np.empty(0, np.uint64) for _ in range(odds.STRATA)]

    def batches(self, start: int, done: NDArray[np.bool_], ranks: int) -> Iterator[Batch]:
        """Yield what is missing of the samples from `start` on, in pieces that take about a second."""
        end = start + self._search.campaign.screen.block_size
        self._blocks = simulate.Blocks(np.flatnonzero(~done), ranks, _LARGEST_CALL // self._together)
        for rows in self._blocks:
            for run in np.split(rows, np.flatnonzero(np.diff(rows) != 1) + 1):
                yield start + int(run[0]) * self._together, min(start + (int(run[-1]) + 1) * self._together, end)

    def note(self, seconds: float) -> None:
        """Learn what samples that are done together take."""
        if self._blocks is not None:
            self._blocks.note(seconds)

    def look_at(self, start: int, stop: int, counts: Counts) -> Seen:
        """Look at the samples ``start … stop − 1``; as `mechscreen.stages.direct.Direct.look_at`."""
        begin, at, hits, drawn = time.perf_counter(), start, [], Drawn.none()
        while at < stop:
            looked = self._program.look(at, stop, self._most_keys(), self._most_drawn_keys())
            at = looked.stop
            candidates, audited = looked.candidates, looked.audited
            if self._search.campaign.screen.mode == "cascade":
                candidates, audited = self._named(looked, counts)
            else:
                some, few = self._entered(looked, counts)
                hits.append(some)
                drawn = drawn.join([few])
            while len(candidates):
                there = self._program.look_at(candidates, audited, self._most_keys())
                hits.append(self._entered(there, counts)[0])
                candidates, audited = candidates[there.stop :], audited[there.stop :]
        seconds = (time.perf_counter() - begin) / max(1.0, (stop - start) / self._together)
        found = self._search.no_hits().join(hits)
        return Seen(found, self._search.no_failures(), [(start, stop)], seconds, drawn)

    def _most_keys(self) -> NDArray[np.uint64]:
        """Return the keys up to which hits are among those kept of the block: (classes,), or (classes, strata)."""
        keys = _largest(self._keys, self._search.campaign.screen.hits_per_block).reshape(-1, odds.STRATA)
        return keys[:, 0] if self._search.calibration is None else keys

    def _most_drawn_keys(self) -> NDArray[np.uint64]:
        """Return the keys up to which samples of each stratum are among those that are drawn of the block."""
        return _largest(self._drawn_keys, DRAWN)

    def _named(self, looked: Looked, counts: Counts) -> tuple[NDArray[np.uint64], NDArray[np.bool_]]:
        """Count what the first member looked at alone; return what the ensemble has to look at, and what by audit."""
        counts.merge(looked.counts)
        rows, search = looked.rows, self._search
        if not len(rows.index):
            return looked.candidates, looked.audited
        labels = self._asked(rows)
        chance = unit_at("uniform", search.campaign.seed, rows.index, 1, search.audit_stream)[:, 0]
        candidate, audited = search.named(labels, chance)
        alone = ~candidate & ~audited
        position = self._sampler.at(rows.index[alone]).position
        unknown = np.full(len(position), np.nan, np.float32)
        counts.add(position[:, search.varied], labels[alone], unknown, search.campaign.screen.disagreement_limit)
        more = rows.index[~alone]
        return np.concatenate([looked.candidates, more]), np.concatenate([looked.audited, audited[~alone]])

    def _entered(self, looked: Looked, counts: Counts) -> tuple[Hits, Drawn]:
        """Count what the ensemble looked at, what is left to NumPy too; return hits, and what is drawn."""
        counts.merge(looked.counts)
        rows, search = looked.rows, self._search
        draws = self._sampler.at(rows.index)
        labels, asked = rows.label.astype(np.int64), rows.label < 0
        if search.calibration is None and asked.any():
            some = type(rows)(*(column[asked] for column in rows))
            search.check_finite(some.disagreement, some.log_peaks)
            labels[asked] = self._asked(some)
            limit = search.campaign.screen.disagreement_limit
            counts.add(draws.position[asked][:, search.varied], labels[asked], some.disagreement, limit)
        found = Hits(
            rows.index.astype(np.int64),
            draws.physical,
            labels,
            rows.disagreement,
            rows.profiles,
            rows.log_peaks,
            rows.probability,
        )
        drawn = Drawn(looked.drawn.astype(np.int64), looked.levels)
        if search.calibration is None:
            hit = search.are_hits(labels, rows.disagreement)
            # Of the others the program counted it.
            audited = rows.audited & asked
            counts.audit[:] += np.count_nonzero(audited), np.count_nonzero(audited & hit)
            hits = found.take(hit)
        else:
            hits = found.take(~asked)
            if asked.any():
                judged = search.judge(self._ensemble, found.index[asked], draws.physical[asked], counts)
                position, limit = draws.position[asked][:, search.varied], search.campaign.screen.disagreement_limit
                counts.add(position, judged.labels, judged.disagreement, limit)
                hits, drawn = hits.join([judged.hits]), drawn.join([judged.drawn])
            _lower(self._drawn_keys, random_keys(drawn.index), odds.STRATUM_OF[drawn.levels], DRAWN)
        _lower(self._keys, random_keys(hits.index), hits.kinds, search.campaign.screen.hits_per_block)
        return hits, drawn

    def _asked(self, rows: Rows) -> NDArray[np.int64]:
        """Return the labels that NumPy gives some rows."""
        labels: NDArray[np.int64] = self._search.objective(rows.profiles, rows.log_peaks)
        return labels


def _largest(keys: Sequence[NDArray[np.uint64]], most: int) -> NDArray[np.uint64]:
    """Return the largest of the keys that are kept of each kind; any key where there are fewer than `most`."""
    return np.array([own[-1] if len(own) >= most else ALL_KEYS for own in keys], np.uint64)


def _lower(keys: list[NDArray[np.uint64]], new: NDArray[np.uint64], kinds: NDArray[np.int64], most: int) -> None:
    """Enter keys, (n,), with their kinds, (n,); keep the `most` lowest of each kind, ascending."""
    for kind in np.unique(kinds).tolist():
        keys[kind] = np.sort(np.concatenate([keys[kind], new[kinds == kind]]))[:most]


def make_program(search: Search, ensemble: Ensemble, batch: int | None = None) -> Program:
    """Return the program that looks at the samples of a campaign's screen, in batches of a size if that is given."""
    import jax

    from mechscreen.device.draws import Source, on_host
    from mechscreen.device.labels import Labels
    from mechscreen.device.labels import on_host as labels_on_host
    from mechscreen.device.program import Program, Question
    from mechscreen.emulators.backends.device import as_members

    campaign = search.campaign
    platform = "cpu" if jax.default_backend() == "cpu" else "gpu"
    values = int(np.prod(ensemble.shape)) * len(ensemble.members)
    batch = batch or min(_BATCH[platform], 2 ** int(np.log2(max(1, _VALUES[platform] / values))))
    by_numpy = labels_on_host(search.objective, ensemble.shape, ensemble.outputs)
    for what, why in (("parameter sets are drawn", on_host(search.sampler)), ("classes are told", by_numpy)):
        if why:
            log.warning("screen: %s by the processor, since %s", what, why)
    cascade = campaign.screen.mode == "cascade"
    precision = campaign.emulators.precision
    question = Question(
        classes=len(campaign.screen_classes),
        targets=search.targets,
        limit=campaign.screen.disagreement_limit,
        varied=search.varied,
        bins=campaign.screen.bins,
        combine=ensemble.combine,
        distance=ensemble.distance,
        candidates=search.candidates if cascade else (),
        audit=(campaign.seed, search.audit_stream, search.audit_share),
        calibration=search.calibration,
    )
    return Program(
        as_members(ensemble.members, precision, batch),
        as_members(ensemble.members[:1], precision, batch) if cascade else None,
        Source(search.sampler, search.varied),
        Labels(search.objective, bool(by_numpy)),
        question,
        batch,
        room=_KEPT_VALUES // int(np.prod(ensemble.shape)) // 4,
    )
