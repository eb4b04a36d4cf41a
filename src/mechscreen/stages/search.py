"""What a screen looks for, among which samples, and how its blocks are read."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mechscreen import odds, storage
from mechscreen.campaign import Campaign
from mechscreen.emulators.calibration import Calibration
from mechscreen.errors import InputError, ModelError
from mechscreen.models.outputs import Status
from mechscreen.sampling import sample_unit, words_at
from mechscreen.schemas.calibration import CalibrationFile
from mechscreen.schemas.screen import Axes, ScreenBlock, ScreenSummary, Totals
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.schemas.validation import FAILED
from mechscreen.spaces import Sampler
from mechscreen.stages.calibrate import evidence_of
from mechscreen.tally import DISAGREEMENT_BINS, DRAWN, Counts, Drawn, Failures, Hits, plane_pairs

if TYPE_CHECKING:
    from mechscreen.emulators.ensemble import Ensemble, Prediction

AUDIT = 0.01
"""Share of the samples that the first member passes over in a cascade, and that the whole ensemble looks at
nevertheless."""

_VALUES = 2**25
"""Values that an ensemble predicts at once, at most; for outputs of up to 4096 values, a batch."""

FAILURES = 200
"""Samples that the model fails for of which a block, and the summary, say why: drawn at random from all of them."""


def seeds_of(campaign: Campaign, index: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a seed for the simulation of each sample of the screen, (n,), from its number."""
    return words_at(campaign.seed, "validation seeds", index.astype(np.uint64), 1)[:, 0]


class Search:
    """What a campaign's screen looks for, and where."""

    audit_stream, audit_share = "audit", AUDIT
    """Random numbers that choose what a cascade's audit looks at, and of how many."""

    def __init__(self, campaign: Campaign, calibration: Calibration | None = None) -> None:
        self.campaign = campaign
        if calibration is not None:
            self.calibration = calibration
        self.objective, self.targets = campaign.objective, campaign.targets
        self.candidates = sorted({label + step for label in self.targets for step in (-1, 0, 1)})
        """Labels of the first member at which the whole ensemble looks in a cascade: the target's and those beside."""
        self.sampler = Sampler(campaign.screen_space, campaign.screen.sampling, campaign.seed, "screen")
        self.varied = list(campaign.screen_space.varied)
        """Parameters that span the planes: those that are not fixed."""

    @cached_property
    def calibration(self) -> Calibration | None:
        """How probable the target is by what the members say; None where that is not asked for.

        Raises
        ------
        FileError
            If the calibration is missing, damaged or of another campaign.
        """
        if not self.campaign.asks_probabilities:
            return None
        path = self.campaign.paths.calibrated
        return CalibrationFile.read(path, self.campaign.identity("calibration")).calibration

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

    def limit(self, counts: Counts) -> int | None:
        """Return the level of probability from which on samples are hits; None where these are not asked for."""
        if not self.campaign.asks_probabilities:
            return None
        return odds.limit_for(counts.probable.sum(axis=0), self.campaign.confidence)

    def label(self, simulated: SimulationFile) -> NDArray[np.int64]:
        """Return the class of each simulation, (n,), `FAILED` where there is none."""
        ok = simulated.status == Status.OK
        labels = np.full(len(ok), FAILED)
        labels[ok] = self.objective(simulated.profiles[ok], simulated.log_peaks[ok])
        return labels

    def look_at(self, ensemble: Ensemble, start: int, stop: int, counts: Counts) -> tuple[Hits, Drawn]:
        """Predict and label the samples ``start … stop − 1``, add them to `counts`; return hits, and what is drawn.

        Of hits by probability, what may be one.
        """
        position, physical = self.sample(start, stop)
        labels = np.empty(len(physical), np.int64)
        disagreement = np.full(len(physical), np.nan, np.float32)
        audited = np.zeros(len(physical), bool)
        found = []
        # What an ensemble says of all at once may be more than memory holds.
        all_members = self.calibration is not None or self.objective.by_members
        values = math.prod(ensemble.shape) * (len(ensemble.members) if all_members else 1)
        size = ensemble.batch_size * max(1, _VALUES // (values * ensemble.batch_size))
        drawn = Drawn.none()
        for first in range(0, len(physical), size):
            part = slice(first, first + size)
            if self.calibration is None:
                of_part = labels[part], disagreement[part], audited[part]
                found.append(self._label(ensemble, start + first, physical[part], *of_part))
                continue
            index = np.arange(start + first, start + first + len(physical[part]))
            judged = self.judge(ensemble, index, physical[part], counts)
            labels[part], disagreement[part] = judged.labels, judged.disagreement
            found.append(judged.hits)
            drawn = drawn.join([judged.drawn])
        counts.add(position[:, self.varied], labels, disagreement, self.campaign.screen.disagreement_limit)
        if self.calibration is None:
            hit = self.are_hits(labels, disagreement)
            counts.audit[:] += np.count_nonzero(audited), np.count_nonzero(audited & hit)
        return self.no_hits().join(found), drawn

    def judge(
        self, ensemble: Ensemble, index: NDArray[np.int64], physical: NDArray[np.float64], counts: Counts
    ) -> Judged:
        """Say how probable the target is of parameter sets, and count that.

        Parameters
        ----------
        index, physical
            Number of each sample, (n,), and physical values, (n, d).
        """
        from mechscreen.emulators.ensemble import combine_members

        assert self.calibration is not None
        members = ensemble.predict_members(self.campaign.space.normalise(physical))
        said = combine_members(members, ensemble.combine, ensemble.distance)
        self.check_finite(said.disagreement, said.log_peaks)
        found = evidence_of(self.campaign, members, said.disagreement)
        probability, likeliest = self.calibration.of(self.targets, found)
        levels = odds.levels_of(probability)
        counts.add_probable(likeliest, levels)
        rows = np.flatnonzero(levels >= odds.LIKELY)
        hits = Hits(
            index[rows],
            physical[rows],
            likeliest[rows],
            said.disagreement[rows],
            said.profiles[rows],
            said.log_peaks[rows],
            probability[rows],
        )
        labels = self.objective.given(members)(said.profiles, said.log_peaks)
        return Judged(labels, said.disagreement, hits, Drawn(index, levels.astype(np.uint16)))

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
        said, label = self._predict(ensemble, normalised[looked])
        self.check_finite(said.disagreement, said.log_peaks)
        labels[looked] = label(said.profiles, said.log_peaks)
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
            np.full(len(rows), np.nan),
        )

    def _predict(
        self, ensemble: Ensemble, normalised: NDArray[np.float64]
    ) -> tuple[Prediction, Callable[[Any, Any], NDArray[np.int64]]]:
        """Return what an ensemble predicts, and what labels that."""
        from mechscreen.emulators.ensemble import combine_members

        if not self.objective.by_members:
            return ensemble.predict(normalised), self.objective
        members = ensemble.predict_members(normalised)
        return combine_members(members, ensemble.combine, ensemble.distance), self.objective.given(members)

    def no_counts(self) -> Counts:
        """Return the counts of no sample."""
        classes, asked = len(self.campaign.screen_classes), self.campaign.asks_probabilities
        return Counts.zeros(classes, len(self.varied), self.campaign.screen.bins, probable=asked)

    def no_hits(self) -> Hits:
        """Return no hit, in arrays of the right shapes."""
        outputs = self.campaign.outputs
        return Hits.none(len(self.campaign.space), len(outputs), outputs.shape)

    def no_failures(self) -> Failures:
        """Return no failed sample, in arrays of the right shapes."""
        return Failures.none(len(self.campaign.space))

    def counted(self, counts: Counts) -> dict[str, NDArray[np.int64]]:
        """Return the arrays of a file that has counts; of probabilities only where these are asked for."""
        arrays = counts.arrays()
        return {name: arrays[name] for name in arrays if name != "probable" or self.campaign.asks_probabilities}

    def columns(self, hits: Hits) -> dict[str, NDArray[Any]]:
        """Return the columns of a table of hits; probabilities only where these are asked for."""
        columns = hits.columns()
        return {name: columns[name] for name in columns if name != "probability" or self.campaign.asks_probabilities}

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

    def totals(self, counts: Counts, kept: int, backends: set[str], limit: int | None = None) -> Totals:
        """Return what was looked for, how often it was found, and how many hits are kept.

        Parameters
        ----------
        limit
            Level from which on samples are hits (`limit`); None where that is not known yet: of what may be one.
        """
        targets = list(self.targets)
        if self.campaign.asks_probabilities:
            levels = counts.probable.sum(axis=0)
            expected = levels * odds.MEANS
            if limit is None:
                return Totals(
                    objective=self.campaign.screen.objective.name,
                    disagreement_limit=self.campaign.screen.disagreement_limit,
                    hits_found=int(levels[odds.LIKELY :].sum()),
                    hits_discarded=0,
                    hits_kept=kept,
                    backend=", ".join(sorted(backends)),
                )
            return Totals(
                objective=self.campaign.screen.objective.name,
                disagreement_limit=self.campaign.screen.disagreement_limit,
                hits_found=int(levels[limit:].sum()),
                hits_discarded=0,
                hits_kept=kept,
                backend=", ".join(sorted(backends)),
                confidence=self.campaign.confidence,
                least_probability=float(odds.EDGES[limit]) if limit < odds.LEVELS else 1.0,
                expected_right=float(expected[limit:].sum()),
                expected_missed=float(expected[:limit].sum()),
            )
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

    def read_block(self, number: int) -> ReadBlock:
        """Read a block and check it against the campaign: checksum, origin, shapes, and that the counts add up.

        Raises
        ------
        storage.FileError
            Naming the block, what is wrong and what to do.
        """
        start, stop = self.sample_range(number)
        path = self.campaign.paths.block(number)
        block = ScreenBlock.read(path, self.campaign.identity("screen"), **self.sizes)
        counts, hits, drawn = unpack(block, path)
        failures = self.failures_in(block)
        if self.campaign.screen.mode == "full" and counts.disagreement_levels.sum() != stop - start:
            raise storage.FileError(path, "was not looked at by the whole ensemble")
        if counts.classes.sum() != stop - start or not np.all((start <= hits.index) & (hits.index < stop)):
            raise storage.FileError(path, f"does not hold the samples {start} … {stop - 1}")
        most = self.campaign.screen.hits_per_block
        expected = np.minimum(counts.trusted[list(self.targets)], most).sum()
        if self.campaign.asks_probabilities:
            first = odds.STRATA - odds.STRATA_OF_HITS
            may_be = [np.bincount(odds.STRATUM_OF, row, minlength=odds.STRATA)[first:] for row in counts.probable]
            expected = np.minimum(may_be, most).sum()
        if len(hits) != expected:
            raise storage.FileError(path, f"holds {len(hits)} hits, and its counts say {expected}")
        if len(failures) != (min(FAILURES, counts.classes[-1]) if self.campaign.by_model else 0):
            raise storage.FileError(path, f"tells of {len(failures)} failed samples, and its counts say otherwise")
        return ReadBlock(counts, hits, failures, drawn, block.totals.backends)

    def failures_in(self, file: ScreenBlock | ScreenSummary) -> Failures:
        """Return what a file tells of the samples that the model failed for."""
        if file.failed_index is None:
            return self.no_failures()
        return Failures(**{field.name: getattr(file, f"failed_{field.name}") for field in fields(Failures)})


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


@dataclass(frozen=True)
class Judged:
    """What an ensemble says of n samples: classes and disagreement, (n,), what may be hits, and levels of all."""

    labels: NDArray[np.int64]
    disagreement: NDArray[np.float32]
    hits: Hits
    drawn: Drawn


@dataclass(frozen=True)
class ReadBlock:
    """What a block holds."""

    counts: Counts
    hits: Hits
    failures: Failures
    drawn: Drawn
    backends: set[str]


def unpack(block: ScreenBlock, path: Path) -> tuple[Counts, Hits, Drawn]:
    """Return the counts and hits of a block's file, and what it draws of all samples, checked.

    Raises
    ------
    storage.FileError
        If the counts contradict one another.
    """
    arrays = {field.name: getattr(block, field.name) for field in fields(Counts)}
    if block.probable is None:
        arrays["probable"] = np.zeros((len(block.classes), 0))
    counts = Counts(**{name: array.astype(np.int64) for name, array in arrays.items()})
    if not counts.are_consistent():
        raise storage.FileError(path, "its counts contradict one another")
    columns = {field.name: getattr(block.hits, field.name) for field in fields(Hits)}
    if block.hits.probability is None:
        columns["probability"] = np.full(len(block.hits.index), np.nan)
    drawn = Drawn.none()
    if block.drawn_index is not None and block.drawn_levels is not None:
        drawn = Drawn(block.drawn_index, block.drawn_levels)
    if len(drawn) != np.minimum(by_stratum(counts), DRAWN).sum():
        raise storage.FileError(path, f"draws {len(drawn)} samples, and its counts say otherwise")
    return counts, Hits(**columns), drawn


def by_stratum(counts: Counts) -> NDArray[np.int64]:
    """Return how many samples each stratum of probability has, (STRATA,); 0 where these are not asked for."""
    levels = counts.probable.sum(axis=0)
    return np.bincount(odds.STRATUM_OF[: len(levels)], levels, minlength=odds.STRATA).astype(np.int64)
