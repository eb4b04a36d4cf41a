"""A screen's look at many parameter sets, as one compiled program: numbers of samples in, counts and hits out.

Batches follow one another inside of the program; nothing but counts and hits leaves the card. Samples are known by
their numbers alone, so that a cascade is two programs: one in which the first member looks at all, and one in which the
ensemble looks at those that it names.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from numpy.typing import NDArray

from mechscreen import odds
from mechscreen.device.combination import combine
from mechscreen.device.draws import Source
from mechscreen.device.labels import Labels
from mechscreen.device.planes import Planes, marks, product
from mechscreen.emulators.backends.device import Members
from mechscreen.emulators.calibration import Calibration, evidence
from mechscreen.emulators.settings import Combine
from mechscreen.models.distances import Distance
from mechscreen.objectives.base import UNDECIDED
from mechscreen.sampling import split_mix, unit_of, words_at
from mechscreen.tally import ALL_KEYS, DISAGREEMENT_BINS, Counts

_AT_ONCE = 256
"""Rows that are put aside at once."""
_ROOM_FOR_DRAWN = 2**20
"""Samples of all strata of probability that may be drawn in one call, beside those of a batch."""
_ALL = 1 - 1e-6
"""Of the members' votes, but for rounding."""


@dataclass(frozen=True)
class Question:
    """What is looked for.

    Attributes
    ----------
    classes
        How many there are.
    targets
        Labels of hits.
    limit
        Up to which disagreement a sample is trusted.
    varied
        Places of the parameters that span the planes.
    bins
        Along each axis of the planes.
    combine, distance
        How members are combined.
    candidates
        Of a cascade: labels of the first member at which the ensemble looks; none where it looks at all.
    audit
        Of a cascade: seed, stream and share of the samples at which the ensemble looks nevertheless.
    calibration
        How probable the target is, where hits are kept by that: those that may be hits are put aside then, and so many
        of all strata of probability as there are keys for.
    """

    classes: int
    targets: Sequence[int]
    limit: float
    varied: Sequence[int]
    bins: int
    combine: Combine
    distance: Distance
    candidates: Sequence[int] = ()
    audit: tuple[int, str, float] = (0, "", 0.0)
    calibration: Calibration | None = None


class Rows(NamedTuple):
    """Samples that were put aside, (n,) each: hits, and those whose class NumPy is to say.

    The label is that of the ensemble; of hits by probability, the likeliest class of the target.
    """

    index: Any
    label: Any
    disagreement: Any
    audited: Any
    profiles: Any
    log_peaks: Any
    probability: Any


class _Few(NamedTuple):
    """Numbers of samples that were drawn, their levels of probability, and how many they are."""

    index: Any
    levels: Any
    number: Any


class _Sums(NamedTuple):
    """As `mechscreen.tally.Counts`, histograms as the products make them."""

    classes: Any
    trusted: Any
    planes: tuple[Any, ...]
    levels: Any
    audit: Any
    probable: Any


class _Aside(NamedTuple):
    """Rows put aside, and how many."""

    rows: Rows
    number: Any


class Looked(NamedTuple):
    """What came of some samples.

    Attributes
    ----------
    counts
        Of those that were labelled.
    rows
        Hits, and samples of the label `UNDECIDED`, which are counted nowhere.
    candidates, audited
        Of a cascade's first look: samples that the ensemble has to look at, (n,), and whether an audit alone says so.
    stop
        The samples before this one were looked at.
    drawn, levels
        Samples that were drawn of all strata of probability, (n,), and the levels of these.
    """

    counts: Counts
    rows: Rows
    candidates: NDArray[np.uint64]
    audited: NDArray[np.bool_]
    stop: int
    drawn: NDArray[np.uint64]
    levels: NDArray[np.uint16]


class Program:
    """What looks at samples by their numbers.

    Parameters
    ----------
    members
        For batches of `batch_size`.
    first
        The first of them alone, for a cascade; None where the ensemble looks at all.
    source, labels
        What draws sets, and what labels profiles.
    room
        Rows of profiles that may be put aside in one call, beside those of a batch.
    """

    def __init__(
        self,
        members: Members,
        first: Members | None,
        source: Source,
        labels: Labels,
        question: Question,
        batch_size: int,
        *,
        room: int = 0,
    ) -> None:
        self._members, self._first_member = members, first
        self._source, self._labels, self._question = source, labels, question
        self.batch_size = batch_size
        self._room = batch_size + max(room, batch_size)
        self._planes = Planes(question.classes, len(question.varied), question.bins)
        self._all = jax.jit(self._look_at_range)
        self._first = jax.jit(self._look_first)
        self._some = jax.jit(self._look_at_list)

    def look(
        self, start: int, stop: int, most_keys: NDArray[np.uint64], most_drawn_keys: NDArray[np.uint64] | None = None
    ) -> Looked:
        """Look at samples from `start` on, `stop` excluded: at all with the ensemble, or, of a cascade, with a member.

        Parameters
        ----------
        most_keys
            (classes,), keys (`mechscreen.tally.random_keys`) above which hits of a class need not be returned; by
            probability (classes, strata), of each stratum of it.
        most_drawn_keys
            (strata,), keys above which samples of a stratum of probability need not be drawn; none: all are.
        """
        stop = self._source.last(start, stop)
        members, call = self._members, self._all
        if self._first_member is not None:
            members, call = self._first_member, self._first
        keys = most_keys, _any_key() if most_drawn_keys is None else most_drawn_keys
        with jax.enable_x64(True):
            tables = self._source.tables(start)
            found = call(members.weights, tables, np.uint64(start), np.uint64(stop), keys)
            return self._looked(*found)

    def look_at(self, index: NDArray[np.uint64], audited: NDArray[np.bool_], most_keys: NDArray[np.uint64]) -> Looked:
        """Look at samples of these numbers with the ensemble; `stop` is a place in the list."""
        size = self.batch_size * 2 ** max(0, math.ceil(math.log2(max(1, len(index)) / self.batch_size)))
        filled = np.zeros(size, np.uint64), np.zeros(size, bool)
        for array, values in zip(filled, (index, audited), strict=True):
            array[: len(index)] = values
        with jax.enable_x64(True):
            tables = self._source.tables(int(index[0])) if len(index) else self._source.tables(0)
            keys = most_keys, _any_key()
            found = self._some(self._members.weights, tables, *filled, np.uint64(len(index)), keys)
            return self._looked(*found)

    def _looked(
        self, sums: _Sums, aside: _Aside, few: _Few, candidates: Any, audited: Any, number: Any, stop: Any
    ) -> Looked:
        self._labels.check()
        counts = Counts(
            np.asarray(sums.classes),
            np.asarray(sums.trusted),
            self._planes.gathered(sums.planes),
            np.asarray(sums.levels),
            np.asarray(sums.audit),
            np.asarray(sums.probable),
        )
        rows = Rows(*(np.asarray(column[: int(aside.number)]) for column in aside.rows))
        named, drawn = slice(0, int(number)), slice(0, int(few.number))
        return Looked(
            counts,
            rows,
            np.asarray(candidates[named]),
            np.asarray(audited[named]),
            int(stop),
            np.asarray(few.index[drawn]),
            np.asarray(few.levels[drawn]),
        )

    # What follows is traced.

    def _look_at_range(self, weights: Any, tables: Any, start: Any, stop: Any, most_keys: Any) -> tuple[Any, ...]:
        steps = _up(stop - start, self.batch_size)

        def look(step: Any, state: _State) -> _State:
            index = self._numbers(start, step)
            nobody = jnp.zeros(self.batch_size, bool)
            return self._ensemble_looks(weights, tables, index, index < stop, nobody, most_keys, *state)

        step, state = self._repeat(look, steps, self._fullest, self._begin())
        return *state, *_nobody(), jnp.minimum(stop, start + step * np.uint64(self.batch_size))

    def _look_at_list(
        self, weights: Any, tables: Any, numbers: Any, audited: Any, length: Any, most_keys: Any
    ) -> tuple[Any, ...]:
        steps = _up(length, self.batch_size)

        def look(step: Any, state: _State) -> _State:
            place = self._numbers(jnp.uint64(0), step)
            here = (lax.dynamic_slice_in_dim(list_, place[0], self.batch_size) for list_ in (numbers, audited))
            index, by_audit = here
            return self._ensemble_looks(weights, tables, index, place < length, by_audit, most_keys, *state)

        step, state = self._repeat(look, steps, self._fullest, self._begin())
        return *state, *_nobody(), jnp.minimum(length, step * np.uint64(self.batch_size))

    def _look_first(self, weights: Any, tables: Any, start: Any, stop: Any, most_keys: Any) -> tuple[Any, ...]:
        question, member = self._question, self._first_member
        assert member is not None
        seed, stream, share = question.audit
        # Samples that are named take little room.
        room = 8 * self._room

        def look(step: Any, state: tuple[Any, ...]) -> tuple[Any, ...]:
            sums, aside, named, by_audit, number = state
            index = self._numbers(start, step)
            valid = index < stop
            drawn = self._source(index, tables)
            profiles, log_peaks = member.call(weights, drawn.normalised)
            labels = jnp.where(drawn.unknown, UNDECIDED, self._labels(profiles[0], log_peaks[0]))
            candidate = _among(labels, question.candidates)
            chance = unit_of(words_at(seed, stream, index, 1))[:, 0]
            audited = (labels != UNDECIDED) & ~candidate & (chance < share)
            looked = candidate | audited
            sums = self._add(sums, jnp.where(valid & ~looked, labels, UNDECIDED), drawn.position, None)
            disagreement = jnp.full(self.batch_size, jnp.nan, jnp.float32)
            unknown = jnp.full(self.batch_size, jnp.nan)
            rows = Rows(index, labels, disagreement, audited, profiles[0], log_peaks[0], unknown)
            aside = _put(aside, rows, valid & (labels == UNDECIDED))
            place = jnp.where(valid & looked, jnp.cumsum(valid & looked) - 1 + number, room)
            named = named.at[place].set(index, mode="drop")
            by_audit = by_audit.at[place].set(audited, mode="drop")
            return sums, aside, named, by_audit, number + (valid & looked).sum()

        lists = jnp.zeros(room, jnp.uint64), jnp.zeros(room, bool), jnp.int64(0)
        begin = (self._none(), self._aside(), *lists)

        def fullest(state: tuple[Any, ...]) -> Any:
            return jnp.maximum(state[1].number, state[4] - (room - self._room))

        step, state = self._repeat(look, _up(stop - start, self.batch_size), fullest, begin)
        sums, aside, named, by_audit, number = state
        return (
            sums,
            aside,
            self._few(),
            named,
            by_audit,
            number,
            jnp.minimum(stop, start + step * np.uint64(self.batch_size)),
        )

    def _fullest(self, state: _State) -> Any:
        """Return how full the fullest of what is put aside is, as if it had the room of the rows."""
        _, aside, few = state
        return jnp.maximum(aside.number, few.number - (len(few.index) - self._room))

    def _numbers(self, start: Any, step: Any) -> Any:
        return start + step * np.uint64(self.batch_size) + jnp.arange(self.batch_size, dtype=jnp.uint64)

    def _repeat(
        self, look: Callable[[Any, Any], Any], steps: Any, fullest: Callable[[Any], Any], begin: Any
    ) -> tuple[Any, Any]:
        """Look at batch after batch while there is room for a whole one; return how many, and the last state."""

        def more(carried: tuple[Any, Any]) -> Any:
            step, state = carried
            return (step < steps) & (fullest(state) + self.batch_size <= self._room)

        def next_(carried: tuple[Any, Any]) -> tuple[Any, Any]:
            step, state = carried
            return step + np.uint64(1), look(step, state)

        carried: tuple[Any, Any] = lax.while_loop(more, next_, (jnp.uint64(0), begin))
        return carried

    def _ensemble_looks(
        self,
        weights: Any,
        tables: Any,
        index: Any,
        valid: Any,
        audited: Any,
        most_keys: Any,
        sums: _Sums,
        aside: _Aside,
        few: _Few,
    ) -> _State:
        question = self._question
        drawn = self._source(index, tables)
        of_members = self._members.call(weights, drawn.normalised)
        profiles, log_peaks, disagreement = combine(*of_members, question.distance, question.combine)
        finite = jnp.isfinite(disagreement) & jnp.isfinite(log_peaks).all(axis=1)
        labels = self._labels(profiles, log_peaks)
        known = valid & finite & ~drawn.unknown
        least_keys, least_drawn_keys = most_keys
        probability = jnp.full(self.batch_size, jnp.nan)
        if question.calibration is None:
            labels = jnp.where(known, labels, UNDECIDED)
            sums = self._add(sums, labels, drawn.position, disagreement)
            hit = _among(labels, question.targets) & (disagreement <= question.limit)
        else:
            said = [dict(zip(("profiles", "log_peaks"), own, strict=True)) for own in zip(*of_members, strict=True)]
            found = evidence(said, disagreement, self._labels, question.classes, question.distance.outputs)
            # NumPy has to label what one of the members says: all of it, then.
            known &= (found.votes.sum(axis=1) > _ALL) & (found.stretched.sum(axis=1) > _ALL)
            labels = jnp.where(known, labels, UNDECIDED)
            sums = self._add(sums, labels, drawn.position, disagreement)
            probability, likeliest = question.calibration.of(question.targets, found)
            levels = odds.levels_of(probability)
            likeliest = jnp.where(labels == UNDECIDED, UNDECIDED, likeliest).astype(jnp.int32)
            of_level = product(marks(likeliest, question.classes), marks(levels.astype(jnp.int32), odds.LEVELS))
            sums = sums._replace(probable=sums.probable + of_level)
            hit = (labels != UNDECIDED) & (levels >= odds.LIKELY)
            few = self._draw(few, index, levels, labels != UNDECIDED, least_drawn_keys)
            labels = likeliest
            least_keys = least_keys[:, jnp.asarray(odds.STRATUM_OF)[levels]]
        by_audit = audited & (labels != UNDECIDED)
        sums = sums._replace(audit=sums.audit + jnp.stack([by_audit.sum(), (by_audit & hit).sum()]))
        # Keys decide which hits are kept where there are too many; the others need not leave the card.
        place = jnp.maximum(labels, 0)
        most = least_keys[place] if question.calibration is None else least_keys[place, jnp.arange(self.batch_size)]
        low = split_mix(jnp.uint64(0), index) <= most
        rows = Rows(index, labels, disagreement, audited, profiles, log_peaks, probability)
        return sums, _put(aside, rows, (hit & low) | (valid & (labels == UNDECIDED))), few

    def _draw(self, few: _Few, index: Any, levels: Any, known: Any, most_keys: Any) -> _Few:
        """Draw samples whose keys are low enough for their strata."""
        wanted = known & (split_mix(jnp.uint64(0), index) <= most_keys[jnp.asarray(odds.STRATUM_OF)[levels]])
        place = jnp.where(wanted, jnp.cumsum(wanted) - 1 + few.number, len(few.index))
        return _Few(
            few.index.at[place].set(index, mode="drop"),
            few.levels.at[place].set(levels.astype(jnp.uint16), mode="drop"),
            few.number + wanted.sum(),
        )

    def _add(self, sums: _Sums, labels: Any, position: Any, disagreement: Any | None) -> _Sums:
        """Count a batch but for what is `UNDECIDED`; `disagreement` is None where it is not known."""
        of_class = marks(labels, self._question.classes)
        planes = self._planes.count(labels, position)
        sums = sums._replace(
            classes=sums.classes + of_class.sum(axis=0, dtype=jnp.float32).astype(jnp.int64),
            planes=tuple(old + new for old, new in zip(sums.planes, planes, strict=True)),
        )
        if disagreement is None:
            return sums
        trusted = of_class * (disagreement <= self._question.limit)[:, None]
        level = jnp.minimum(disagreement * DISAGREEMENT_BINS, DISAGREEMENT_BINS - 1).astype(jnp.int32)
        return sums._replace(
            trusted=sums.trusted + trusted.sum(axis=0, dtype=jnp.float32).astype(jnp.int64),
            levels=sums.levels + product(of_class, marks(level, DISAGREEMENT_BINS)),
        )

    def _none(self) -> _Sums:
        nothing = jnp.zeros(self._question.classes, jnp.int64)
        levels = jnp.zeros((self._question.classes, DISAGREEMENT_BINS), jnp.int64)
        probable = jnp.zeros((self._question.classes, odds.LEVELS if self._question.calibration else 0), jnp.int64)
        return _Sums(nothing, nothing, self._planes.zeros(), levels, jnp.zeros(2, jnp.int64), probable)

    def _begin(self) -> _State:
        return self._none(), self._aside(), self._few()

    def _few(self) -> _Few:
        room = self._room + (_ROOM_FOR_DRAWN if self._question.calibration else 0)
        return _Few(jnp.zeros(room, jnp.uint64), jnp.zeros(room, jnp.uint16), jnp.int64(0))

    def _aside(self) -> _Aside:
        outputs, room = self._question.distance.outputs, self._room + _AT_ONCE
        rows = Rows(
            jnp.zeros(room, jnp.uint64),
            jnp.zeros(room, jnp.int32),
            jnp.zeros(room, jnp.float32),
            jnp.zeros(room, bool),
            jnp.zeros((room, *outputs.shape), jnp.float32),
            jnp.zeros((room, len(outputs)), jnp.float32),
            jnp.zeros(room),
        )
        return _Aside(rows, jnp.int64(0))


_State = tuple[_Sums, _Aside, _Few]
"""What is carried from batch to batch."""


def _any_key() -> NDArray[np.uint64]:
    """Return keys, (strata,), that leave out no sample."""
    return np.full(odds.STRATA, ALL_KEYS)


def _put(aside: _Aside, rows: Rows, wanted: Any) -> _Aside:
    """Put the rows that are wanted, (n,), beside those that are there, some at a time: they are few."""
    n = len(wanted)
    number = wanted.sum()
    place = jnp.where(wanted, jnp.cumsum(wanted) - 1, n + _AT_ONCE)
    order = jnp.zeros(n + _AT_ONCE, jnp.int32).at[place].set(jnp.arange(n, dtype=jnp.int32), mode="drop")

    def put(carried: tuple[Any, Rows]) -> tuple[Any, Rows]:
        done, there = carried
        some = lax.dynamic_slice_in_dim(order, done, _AT_ONCE)
        # What is written beyond the last is overwritten, or never read.
        return done + _AT_ONCE, Rows(
            *(
                lax.dynamic_update_slice_in_dim(old, new[some], aside.number + done, axis=0)
                for old, new in zip(there, rows, strict=True)
            )
        )

    _, there = lax.while_loop(lambda carried: carried[0] < number, put, (jnp.int64(0), aside.rows))
    return _Aside(there, aside.number + number)


def _among(labels: Any, some: Sequence[int]) -> Any:
    """Return which labels are some of these, (n,)."""
    return (labels[:, None] == jnp.asarray(list(some), jnp.int32)).any(axis=1)


def _up(number: Any, size: int) -> Any:
    """Return how many batches so many samples are."""
    return (number + np.uint64(size - 1)) // np.uint64(size)


def _nobody() -> tuple[Any, Any, Any]:
    """Return no candidates."""
    return jnp.zeros(0, jnp.uint64), jnp.zeros(0, bool), jnp.int64(0)
