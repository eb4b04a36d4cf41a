"""What a screen keeps of the samples that it has seen: counts, and some hits.

Everything here is independent of the order in which samples arrive and of how they are grouped, so that a screen gives
the same result with any number of ranks and after any interruption; and its size does not grow with their number.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any, Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from mechscreen.odds import LEVELS, STRATA, STRATUM_OF, levels_of
from mechscreen.sampling import split_mix

DISAGREEMENT_BINS = 200
"""Bins of disagreement between 0 and 1, the most that profiles within [0, 1] can differ; more is in the last."""


DRAWN, DRAWN_OF_ALL = 10_000, 500_000
"""Samples of each stratum of probability that are drawn in a block, and of them all, for a validation to choose of."""
ALL_KEYS = np.uint64(2**64 - 1)
"""No key of `random_keys` is larger."""


def plane_pairs(dimensions: int) -> NDArray[np.int64]:
    """Return the planes of `dimensions` parameters, (planes, 2): (0, 1), (0, 2), … as indices of the two axes.

    A single parameter spans a plane with itself, so that its histogram stands on the diagonal.
    """
    return np.stack(np.triu_indices(dimensions, int(dimensions > 1)), axis=1).astype(np.int64)


def random_keys(index: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a number for each sample's, as good as random: SplitMix64 (Steele, Lea & Flood 2014), which has no ties.

    The samples of the least keys are a random sample of any set, and the same one whoever draws it.
    """
    return split_mix(np.uint64(0), index.astype(np.uint64))


@dataclass(frozen=True)
class Counts:
    """How many samples were seen, by class and in several respects; all int64.

    Attributes
    ----------
    classes
        (classes,), samples of each class.
    trusted
        (classes,), those of them whose disagreement is within the limit.
    planes
        (classes, planes, bins, bins), histogram of each class over each plane of two parameters (`plane_pairs`).
    disagreement_levels
        (classes, DISAGREEMENT_BINS), histogram of disagreement of each class, where it is known.
    audit
        (2,), samples that only an audit showed to the whole ensemble, and hits among them.
    probable
        (classes, `mechscreen.odds.LEVELS`), how probable the target is of which each is the likeliest class; without
        columns where probabilities are not asked for.
    """

    classes: NDArray[np.int64]
    trusted: NDArray[np.int64]
    planes: NDArray[np.int64]
    disagreement_levels: NDArray[np.int64]
    audit: NDArray[np.int64]
    probable: NDArray[np.int64]

    @classmethod
    def zeros(cls, classes: int, dimensions: int, bins: int, *, probable: bool = False) -> Self:
        """Return the counts of no sample; `probable` says whether probabilities are asked for."""
        return cls(
            np.zeros(classes, np.int64),
            np.zeros(classes, np.int64),
            np.zeros((classes, len(plane_pairs(dimensions)), bins, bins), np.int64),
            np.zeros((classes, DISAGREEMENT_BINS), np.int64),
            np.zeros(2, np.int64),
            np.zeros((classes, LEVELS if probable else 0), np.int64),
        )

    def add(
        self, unit: NDArray[np.float64], labels: NDArray[np.int64], disagreement: NDArray[Any], limit: float
    ) -> None:
        """Count n more samples.

        Parameters
        ----------
        unit
            (n, dimensions), in [0, 1): where each sample lies in the range of each parameter.
        labels, disagreement
            (n,); the disagreement is NaN where the whole ensemble did not look.
        limit
            Up to which disagreement a sample is trusted.
        """
        # Numba is imported where something is computed.
        from mechscreen.tally_kernel import count_planes

        number = len(self.classes)
        bins = self.planes.shape[-1]
        self.classes[:] += np.bincount(labels, minlength=number)
        self.trusted[:] += np.bincount(labels[disagreement <= limit], minlength=number)
        cells = np.minimum((unit.T * bins).astype(np.uint16), bins - 1)
        count_planes(cells, labels, plane_pairs(len(cells)), self.planes)
        known = np.isfinite(disagreement)
        level = np.minimum((disagreement[known] * DISAGREEMENT_BINS).astype(np.int64), DISAGREEMENT_BINS - 1)
        cell = labels[known] * DISAGREEMENT_BINS + level
        levels = self.disagreement_levels
        levels[:] += np.bincount(cell, minlength=levels.size).reshape(levels.shape)

    def add_probable(self, labels: NDArray[np.int64], levels: NDArray[np.int64]) -> None:
        """Count n more probabilities: the likeliest class of the target, and their level, (n,) both."""
        cells = np.bincount(labels * LEVELS + levels, minlength=self.probable.size)
        self.probable[:] += cells.reshape(self.probable.shape)

    def merge(self, other: Counts) -> None:
        """Add the counts of other samples."""
        for name, array in self.arrays().items():
            array[:] += other.arrays()[name]

    def are_consistent(self) -> bool:
        """Return whether the planes hold each sample once, and what the whole ensemble looked at is a part of them."""
        known = self.disagreement_levels.sum(axis=1)
        return (
            bool(np.all((self.trusted >= 0) & (self.trusted <= known) & (known <= self.classes)))
            and bool(0 <= self.audit[1] <= self.audit[0] <= known.sum())
            and bool(np.all(self.planes.sum(axis=(2, 3)) == self.classes[:, None]))
            and (not self.probable.size or bool(self.probable.sum() == known.sum() and np.all(self.probable >= 0)))
        )

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """Return the arrays by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


def _lowest(keys: NDArray[np.uint64], kinds: NDArray[np.int64], most: int) -> NDArray[np.intp]:
    """Return the rows of the `most` lowest keys of each kind."""
    by_key = np.argsort(keys)
    return np.concatenate([np.empty(0, np.intp), *(by_key[kinds[by_key] == kind][:most] for kind in np.unique(kinds))])


@dataclass(frozen=True)
class Hits:
    """Samples that are looked for, one per row.

    Attributes
    ----------
    index
        (n,), number of the sample.
    parameters
        (n, d), physical values.
    labels, disagreement
        (n,), class and disagreement of the ensemble; of hits by probability, the likeliest class of the target.
    profiles, log_peaks
        (n, *shape) and (n, outputs), as the ensemble predicts them.
    probability
        (n,), of the target; NaN where it is not asked for.
    """

    index: NDArray[np.int64]
    parameters: NDArray[np.float64]
    labels: NDArray[np.int64]
    disagreement: NDArray[np.float32]
    profiles: NDArray[np.float32]
    log_peaks: NDArray[np.float32]
    probability: NDArray[np.float64]

    @classmethod
    def none(cls, parameters: int, outputs: int, shape: tuple[int, ...]) -> Self:
        """Return no rows."""
        return cls(
            np.empty(0, np.int64),
            np.empty((0, parameters)),
            np.empty(0, np.int64),
            np.empty(0, np.float32),
            np.empty((0, *shape), np.float32),
            np.empty((0, outputs), np.float32),
            np.empty(0),
        )

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: NDArray[Any]) -> Hits:
        """Return some of the rows."""
        return Hits(*(getattr(self, field.name)[rows] for field in fields(self)))

    def join(self, others: list[Hits]) -> Hits:
        """Return these rows and those of `others`."""
        return Hits(*(np.concatenate([getattr(hits, f.name) for hits in (self, *others)]) for f in fields(self)))

    @property
    def kinds(self) -> NDArray[np.int64]:
        """(n,), a number for each class and stratum of probability: which sets are hits by it, blocks do not know."""
        known = np.isfinite(self.probability)
        strata = np.zeros(len(self), np.int64)
        strata[known] = STRATUM_OF[levels_of(self.probability[known])]
        return self.labels * STRATA + strata

    def draw(self, most: int) -> Hits:
        """Return up to `most` rows of each of the `kinds`, drawn at random (`random_keys`), by their index."""
        chosen = _lowest(random_keys(self.index), self.kinds, most)
        return self.take(chosen[np.argsort(self.index[chosen])])

    def of_least(self, least: int, most: int) -> Hits:
        """Return up to `most` rows of each class with a level of probability of at least `least`, drawn at random.

        Of rows that `draw` left `most` of each of the kinds.
        """
        keys, kinds = random_keys(self.index), self.kinds
        rows = levels_of(self.probability) >= least
        for label in np.unique(self.labels[rows]).tolist():
            own = rows & (self.labels == label)
            whole = [keys[kinds == kind] for kind in np.unique(kinds[own])]
            # Up to the lowest of these no row of the class is missing.
            known = [some.max() for some in whole if len(some) >= most]
            if known:
                rows &= ~own | (keys <= min(known))
        chosen = np.flatnonzero(rows)
        return self.take(np.sort(chosen[_lowest(keys[chosen], self.labels[chosen], most)]))

    def columns(self) -> dict[str, NDArray[Any]]:
        """Return the columns by name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


@dataclass(frozen=True)
class Drawn:
    """Samples of all probabilities, one per row: of each stratum some, drawn at random.

    Attributes
    ----------
    index
        (n,), number of the sample.
    levels
        (n,), of its probability (`mechscreen.odds`).
    """

    index: NDArray[np.int64]
    levels: NDArray[np.uint16]

    @classmethod
    def none(cls) -> Self:
        """Return no rows."""
        return cls(np.empty(0, np.int64), np.empty(0, np.uint16))

    def __len__(self) -> int:
        return len(self.index)

    def join(self, others: list[Drawn]) -> Drawn:
        """Return these rows and those of `others`."""
        return Drawn(*(np.concatenate([getattr(some, f.name) for some in (self, *others)]) for f in fields(self)))

    def take(self, rows: NDArray[Any]) -> Drawn:
        """Return some of the rows."""
        return Drawn(self.index[rows], self.levels[rows])

    def draw(self, most: int) -> Drawn:
        """Return up to `most` rows of each stratum, drawn at random (`random_keys`), in the order of the index."""
        chosen = _lowest(random_keys(self.index), STRATUM_OF[self.levels], most)
        return self.take(chosen[np.argsort(self.index[chosen])])

    def known_keys(self, most: int) -> NDArray[np.uint64]:
        """Return up to which key no sample of a stratum is missing, (STRATA,), where `most` of each were kept."""
        keys, strata = random_keys(self.index), STRATUM_OF[self.levels]
        found = np.full(STRATA, ALL_KEYS)
        for stratum in range(STRATA):
            own = keys[strata == stratum]
            if len(own) >= most:
                found[stratum] = own.max()
        return found


@dataclass(frozen=True)
class Failures:
    """Samples that a model failed for, one per row.

    Attributes
    ----------
    index, parameters
        As in `Hits`.
    status
        (n,), values of `mechscreen.models.outputs.Status`.
    reasons
        (n,), texts.
    """

    index: NDArray[np.int64]
    parameters: NDArray[np.float64]
    status: NDArray[np.uint8]
    reasons: NDArray[np.str_]

    @classmethod
    def none(cls, parameters: int) -> Self:
        """Return no rows."""
        return cls(np.empty(0, np.int64), np.empty((0, parameters)), np.empty(0, np.uint8), np.empty(0, "U1"))

    def __len__(self) -> int:
        return len(self.index)

    def join(self, others: list[Failures]) -> Failures:
        """Return these rows and those of `others`."""
        return Failures(*(np.concatenate([getattr(some, f.name) for some in (self, *others)]) for f in fields(self)))

    def draw(self, most: int) -> Failures:
        """Return up to `most` rows, drawn at random (`random_keys`), in the order of the index."""
        chosen = np.argsort(random_keys(self.index))[:most]
        chosen = chosen[np.argsort(self.index[chosen])]
        return Failures(*(getattr(self, field.name)[chosen] for field in fields(self)))


Batch = tuple[int, int]
"""First sample of a batch, and the one after its last."""


@dataclass(frozen=True)
class Seen:
    """What came of a look at some samples, whose counts were added elsewhere.

    Attributes
    ----------
    hits, failures, drawn
        What is kept of them.
    batches
        That were looked at.
    seconds
        That samples which are done together took; 0 where that is not of interest.
    """

    hits: Hits
    failures: Failures
    batches: list[Batch]
    seconds: float = 0.0
    drawn: Drawn = field(default_factory=Drawn.none)


class _Rows(Protocol):
    """Rows of which some can be drawn by their index."""

    def __len__(self) -> int: ...

    def join(self, others: list[Any]) -> Any: ...

    def draw(self, most: int) -> Any: ...


_Kind = TypeVar("_Kind", bound=_Rows)


class Kept(Generic[_Kind]):
    """Keeps up to so many rows of all that are added, drawn at random; few more at any time.

    Of hits so many of each of their kinds, of what is drawn of each stratum.
    """

    def __init__(self, most: int, rows: _Kind) -> None:
        self._most = most
        self._rows = rows
        self._added: list[_Kind] = []

    def add(self, rows: _Kind) -> None:
        """Consider more rows."""
        if len(rows):
            self._added.append(rows)
        if sum(map(len, self._added)) > self._most:
            self._reduce()

    def result(self) -> _Kind:
        """Return what is kept of all rows added, in the order of their index."""
        self._reduce()
        return self._rows

    def _reduce(self) -> None:
        self._rows = self._rows.join(self._added).draw(self._most)
        self._added = []
