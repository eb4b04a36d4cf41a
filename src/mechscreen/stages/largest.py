"""Polish, of what is to be large: hits, and sets that are drawn → the parameter sets nearby of the largest values."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.inference import climb
from mechscreen.isolation import Abandoned
from mechscreen.models.outputs import Status
from mechscreen.objectives import Maximise
from mechscreen.progress import Progress
from mechscreen.ranks import NEVER, Deadline, Ranks
from mechscreen.resumable import Resumable, run
from mechscreen.schemas.fits import Largest
from mechscreen.schemas.model import Booleans, Floats, Integers, ModelArrays
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.spaces import Sampler
from mechscreen.stages import simulate
from mechscreen.stages.on_demand import on_demand
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.provenance import provenance
from mechscreen.stages.search import seeds_of
from mechscreen.stages.table import SEARCHES_TOGETHER

log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]

_STREAM = "polish"
_STEPS = 300
"""Generations of a search, at most."""
_PILOT_BY_EMULATORS, _PILOT_BY_MODEL = 2000, 200
"""Sets that are drawn and valued, by which two expressions are brought to one scale."""
_DRAWN_BY_EMULATORS, _DRAWN_BY_MODEL = 100, 10
"""Sets of which a search that begins at no hit begins at the best."""
_BESIDE = 1e-3
"""Weight of the sum of both expressions beside the one that is farther from its best: no set is taken that is as good
in the one and worse in the other."""


class Valued(NamedTuple):
    """Values of expressions of n parameter sets, and how far members of an ensemble differ, (n, expressions) each."""

    values: FloatArray
    spread: FloatArray

    @property
    def sure(self) -> FloatArray:
        """(n, expressions), the values less a deviation: searches go where an ensemble promises more than it knows."""
        return self.values - self.spread


Value = Callable[[FloatArray], Valued]
"""Values parameter sets, physical values (n, d)."""


def search_largest(campaign: Campaign, ranks: Ranks, deadline: Deadline) -> None:
    """Search for the sets of the largest values, and write them: `mechscreen.stages.polish.polish` of `Maximise`.

    By the ensemble, and by the model where it screens (``screen.by: model``). Each search is by evolution
    (`mechscreen.inference.climb`); of two expressions each weighs them in its own way, from the one alone to the other
    alone (Steuer & Choo 1983), so that together they find the front between the two. What is found is simulated.
    """
    searching = _Searching(campaign)
    run(searching, ranks, deadline)
    found = ranks.from_root(lambda: _Searches.read(searching.path, campaign.identity("polished")))
    n, space = len(found.ended), campaign.screen_space
    task = simulate.Task.of(
        campaign,
        "polished",
        path=searching.path.with_name("simulations.h5"),
        label="polish: simulate",
        index=np.arange(n),
        parameters=space.at(found.positions),
        # Not those of the search by the model, which may have found where chance was kind.
        seeds=seeds_of(campaign, np.arange(n) + campaign.screen.count),
    )
    simulate.run_sets(task, ranks, deadline)
    if not ranks.is_root:
        return
    simulated = SimulationFile.read(task.path)
    with _valuing(campaign, NEVER) as value:
        before, after = value(space.at(found.starts)), value(task.parameters)
    wanted = _objective(campaign).wanted
    values = np.stack([*wanted(simulated.profiles, simulated.log_peaks).values()], axis=1)
    values[simulated.status != Status.OK] = np.nan
    largest = Largest(
        starts=space.at(found.starts),
        parameters=task.parameters,
        from_hit=found.from_hit,
        weight=found.weight,
        before=before.values,
        emulated=after.values,
        simulated=values,
        spread=after.spread,
        looked=found.looked,
        done=found.done,
        profiles=simulated.profiles,
        log_peaks=simulated.log_peaks,
        status=simulated.status,
        reasons=simulated.reasons,
        expressions=np.array(wanted.names),
        about=ModelArrays.of(campaign),
    )
    largest.write(campaign.paths.polished, provenance(campaign, "polished"))
    storage.remove(searching.path)
    storage.remove(task.path)
    if np.isfinite(values[:, 0]).any():
        best = int(np.nanargmax(values[:, 0]))
        log.info(
            "polish: the largest %s of %d searches is %.6g by the model; what valued it said %.6g",
            wanted.names[0],
            n,
            values[best, 0],
            after.values[best, 0],
        )
    else:
        log.warning("polish: no set that was found has a value of %s by the model", wanted.names[0])


def _objective(campaign: Campaign) -> Maximise:
    objective = campaign.objective.objective
    assert isinstance(objective, Maximise)
    return objective


@contextmanager
def _valuing(campaign: Campaign, deadline: Deadline) -> Iterator[Value]:
    """Yield what values parameter sets, on one rank; NaN where there is no value, or a set is not allowed."""
    wanted, space = _objective(campaign).wanted, campaign.screen_space
    k = len(wanted)

    def described(profiles: NDArray[Any], log_peaks: NDArray[Any]) -> FloatArray:
        return np.stack([*wanted(profiles, log_peaks).values()], axis=1)

    if campaign.by_model:
        with on_demand(campaign, campaign.model_instance, campaign.model.setup, deadline) as simulate_some:

            def by_model(physical: FloatArray) -> Valued:
                values = described(*simulate_some(physical))
                return Valued(values, np.zeros_like(values))

            yield by_model
        return
    from mechscreen.emulators.ensemble import combine_members

    ensemble = load_campaign_ensemble(campaign)

    def by_ensemble(physical: FloatArray) -> Valued:
        if deadline.overdue():
            raise Abandoned("the deadline is over")
        values, spread = np.full((len(physical), k), np.nan), np.full((len(physical), k), np.nan)
        allowed = np.flatnonzero(space.allowed(physical))
        for start in range(0, len(allowed), ensemble.batch_size):
            rows = allowed[start : start + ensemble.batch_size]
            members = ensemble.predict_members(campaign.space.normalise(physical[rows]))
            said = combine_members(members, ensemble.combine, ensemble.distance)
            values[rows] = described(said.profiles, said.log_peaks)
            each = np.stack([described(own["profiles"], own["log_peaks"]) for own in members])
            # A member that sees no value leaves none to rely on.
            spread[rows] = each.std(axis=0, ddof=min(1, len(members) - 1))
        return Valued(values, spread)

    yield by_ensemble


@dataclass(frozen=True, kw_only=True)
class _Searches(storage.ArrayFile, kind="climbs"):
    """Searches as far as they are: positions along the axes, and the rest as of `Largest`.

    `low` and `high` are values of the expressions that are 0 and 1 on the scale that two of them share.
    """

    low: Annotated[Floats, "expressions"]
    high: Annotated[Floats, "expressions"]
    starts: Annotated[Floats, "n d"]
    positions: Annotated[Floats, "n d"]
    from_hit: Annotated[Booleans, "n"]
    weight: Annotated[Floats, "n"]
    looked: Annotated[Integers, "n"]
    done: Annotated[Booleans, "n"]
    ended: Annotated[Booleans, "n"]


class _Group(NamedTuple):
    """Searches that go on side by side; whoever makes them, and whenever, they are the same ones."""

    numbers: NDArray[np.int64]
    starts: FloatArray
    from_hit: NDArray[np.bool_]
    weight: FloatArray


class _Ended(NamedTuple):
    """Where the searches of a group began and came to, as in `_Searches`."""

    starts: FloatArray
    positions: FloatArray
    looked: NDArray[np.int64]
    done: NDArray[np.bool_]


class _Searching(Resumable):
    """The searches, as far as they are."""

    unit = "searches"
    label = "polish"

    def __init__(self, campaign: Campaign) -> None:
        self._campaign = campaign
        self.path: Path = campaign.paths.polished.with_name("searches.h5")
        self.partial_path = self.path.with_name(self.path.name + ".partial")
        self._identity = campaign.identity("polished")

    @property
    def total(self) -> int:
        """Number of searches."""
        return self._campaign.searches

    @property
    def done(self) -> int:
        """Number of searches that are at their end."""
        return int(self._found.ended.sum())

    def check(self) -> None:
        """Verify what is there."""
        _Searches.verify(self.path, self._identity, n=self.total)

    def begin(self) -> None:
        """Begin where the searches begin."""
        campaign, n = self._campaign, self.total
        space, two = campaign.screen_space, len(_objective(campaign).wanted) == 2
        weight = np.linspace(0, 1, n)[::-1] if two and n > 1 else np.ones(n)
        pilot = _PILOT_BY_MODEL if campaign.by_model else _PILOT_BY_EMULATORS
        with _valuing(campaign, NEVER) as value:
            drawn = value(Sampler(space, "uniform", campaign.seed, "polish scale").draw(0, pilot).physical).values
        positions, values = _hits(campaign)
        low, high = _scale(np.concatenate([drawn, values]))
        starts, from_hit = np.full((n, len(space)), np.nan), np.zeros(n, bool)
        left = np.arange(len(values))
        # Half of them, of all weights.
        for k in range(0, n, 2):
            if not len(left):
                break
            best = int(np.argmax(_worth(values[left], low, high, weight[k])))
            starts[k], from_hit[k] = positions[left[best]], True
            left = np.delete(left, best)
        self._found = _Searches(
            low=low,
            high=high,
            starts=starts,
            positions=starts.copy(),
            from_hit=from_hit,
            weight=weight,
            looked=np.zeros(n, np.int64),
            done=np.zeros(n, bool),
            ended=np.zeros(n, bool),
        )

    def load(self) -> None:
        """Take over what was found."""
        found = _Searches.read(self.partial_path, self._identity, n=self.total)
        self._found = _Searches(**{field.name: np.array(getattr(found, field.name)) for field in fields(found)})

    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Make the searches that are not at their end."""
        low, high = ranks.from_root(lambda: (self._found.low, self._found.high))
        with _valuing(self._campaign, deadline) as value:

            def work(group: _Group) -> _Ended | None:
                try:
                    return _search(self._campaign, value, low, high, group)
                except Abandoned:
                    return None

            if not ranks.is_root:
                ranks.hand_out((), work, lambda group, ended: None)
                return False
            with Progress(self.total, self.label, self.unit, initial=self.done) as progress:

                def collect(group: _Group, ended: _Ended | None) -> None:
                    if ended is not None:
                        self._take(group, ended)
                        progress.advance(len(group.numbers))
                        save_when_due()

                ranks.hand_out(self._left(), work, collect, deadline.reached)
        return bool(self._found.ended.all())

    def _left(self) -> list[_Group]:
        """Return the groups of searches that are not at their end; on rank 0."""
        together = 1 if self._campaign.by_model else SEARCHES_TOGETHER
        found = self._found
        groups = (np.arange(first, min(first + together, self.total)) for first in range(0, self.total, together))
        return [
            _Group(rows, found.starts[rows], found.from_hit[rows], found.weight[rows])
            for rows in groups
            if not found.ended[rows].all()
        ]

    def _take(self, group: _Group, ended: _Ended) -> None:
        found, rows = self._found, group.numbers
        found.starts[rows], found.positions[rows] = ended.starts, ended.positions
        found.looked[rows], found.done[rows] = ended.looked, ended.done
        found.ended[rows] = True

    def save(self) -> None:
        """Write what is found."""
        self._found.write(self.partial_path, provenance(self._campaign, "polished"))

    def finish(self) -> None:
        """Write all of it."""
        self._found.write(self.path, provenance(self._campaign, "polished"))


def _search(campaign: Campaign, value: Value, low: FloatArray, high: FloatArray, group: _Group) -> _Ended:
    """Make the searches of a group."""
    space = campaign.screen_space
    free = np.array([not parameter.fixed and not parameter.discrete for parameter in space])
    starts = group.starts.copy()
    each = _DRAWN_BY_MODEL if campaign.by_model else _DRAWN_BY_EMULATORS
    sampler = Sampler(space, "uniform", campaign.seed, _STREAM)
    drawn_for = np.flatnonzero(~group.from_hit)
    for row in drawn_for:
        number = int(group.numbers[row])
        drawn = sampler.draw(number * each, (number + 1) * each)
        best = np.argmax(_worth(value(drawn.physical).sure, low, high, group.weight[row]))
        starts[row] = drawn.position[int(best)]

    def worth(positions: FloatArray, owner: NDArray[np.intp]) -> FloatArray:
        return _worth(value(space.at(_within(positions))).sure, low, high, group.weight[owner])

    rngs = [np.random.default_rng([campaign.seed, int(number), 0x9A1]) for number in group.numbers]
    found = climb(worth, starts, free, _STEPS, rngs)
    looked = found.looked + np.where(group.from_hit, 0, each)
    return _Ended(starts, _within(found.positions), looked, found.done)


def _hits(campaign: Campaign) -> tuple[FloatArray, FloatArray]:
    """Return positions (n, d) and simulated values (n, expressions) of the validated hits that have them."""
    space, objective = campaign.screen_space, _objective(campaign)
    hits = ValidatedHits.read(campaign.paths.validation_hits, campaign.identity("validation"), d=len(space))
    values = np.stack([*objective.wanted(hits.profiles, hits.log_peaks).values()], axis=1)
    rows = np.flatnonzero((hits.status == Status.OK) & np.isfinite(values).all(axis=1))
    return _within(space.position(hits.parameters[rows])), values[rows]


def _scale(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the values of each expression that are 0 and 1 on a common scale: the median and the largest known."""
    low, high = np.zeros(values.shape[1]), np.ones(values.shape[1])
    for k, column in enumerate(values.T):
        known = column[np.isfinite(column)]
        if len(known):
            low[k], high[k] = np.median(known), known.max()
        if not high[k] > low[k]:
            high[k] = low[k] + 1.0
    return low, high


def _worth(values: FloatArray, low: FloatArray, high: FloatArray, weight: FloatArray | float) -> FloatArray:
    """Return what sets are worth, (n,), by the values of one expression or two, (n, expressions); −∞ without.

    Of two: how far it is from the best in the worse one, by weight (augmented Chebyshev's scalarisation, which finds
    every trade-off, those in a dent of the front too; Steuer & Choo 1983).
    """
    scaled = (values - low) / (high - low)
    if values.shape[1] == 1:
        worth = scaled[:, 0]
    else:
        short = np.stack([weight * (1 - scaled[:, 0]), (1 - weight) * (1 - scaled[:, 1])])
        worth = -short.max(axis=0) - _BESIDE * (1 - scaled).sum(axis=1)
    return np.where(np.isnan(worth), -np.inf, worth)


def _within(positions: FloatArray) -> FloatArray:
    """Return positions that axes have."""
    return np.clip(positions, 0, np.nextafter(1, 0))
