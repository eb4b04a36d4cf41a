"""Polish, of what is to be large: hits, and sets that are drawn → the parameter sets nearby of the largest values."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.inference import climb
from mechscreen.isolation import Abandoned
from mechscreen.models.outputs import Status
from mechscreen.objectives import Features, Maximise
from mechscreen.progress import Progress
from mechscreen.ranks import NEVER, Deadline, Ranks
from mechscreen.resumable import run
from mechscreen.schemas.fits import Largest
from mechscreen.schemas.model import Booleans, Floats, Integers, ModelArrays
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.spaces import Sampler, within
from mechscreen.stages import simulate
from mechscreen.stages.on_demand import on_demand
from mechscreen.stages.predict import in_batches, load_campaign_ensemble
from mechscreen.stages.provenance import provenance
from mechscreen.stages.search import seeds_of
from mechscreen.stages.searching import STREAM, Searching
from mechscreen.stages.table import SEARCHES_TOGETHER

log = logging.getLogger(__name__)

FloatArray = NDArray[np.float64]

_STEPS = 300
"""Generations of a search, at most."""
_PILOT_BY_EMULATORS, _PILOT_BY_MODEL = 2000, 200
"""Sets that are drawn and valued, by which it is known how far apart values are."""
_DRAWN_BY_EMULATORS, _DRAWN_BY_MODEL = 100, 10
"""Sets of which a search that begins at no hit begins at the best."""
_ENDS = 0.2
"""Share of the searches for two values that look for one of them alone: the ends of the front."""
_BEYOND = 0.05
"""Of the scale, by which nothing that is found is nearer to what the others are measured from."""
_BESIDE = 1e-3
"""Weight of the sum of both beside the one that is farther from its best: no set is taken that is as good in the one
and worse in the other."""


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

    By the ensemble, or by the model (`polish.by`). Each search is by evolution (`mechscreen.inference.climb`). Of two
    expressions some searches are for the one alone or the other alone; the others weigh what they fall short of these
    by, each in its own way (Steuer & Choo 1983), so that together they find the front between the two. What is found is
    simulated.
    """
    searching = _Searching(campaign, _pilot(campaign, ranks, deadline))
    run(searching, ranks, deadline)
    found = ranks.from_root(searching.result)
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
    wanted = _objective(campaign).wanted
    values = _described(wanted, simulated.profiles, simulated.log_peaks)
    values[simulated.status != Status.OK] = np.nan
    largest = Largest(
        starts=space.at(found.starts),
        parameters=task.parameters,
        from_hit=found.from_hit,
        weight=found.weight,
        before=found.before,
        emulated=found.values,
        simulated=values,
        spread=found.spread,
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
    for path in (searching.path, _pilot_file(campaign), task.path):
        storage.remove(path)
    if np.isfinite(values[:, 0]).any():
        best = int(np.nanargmax(values[:, 0]))
        log.info(
            "polish: the largest %s of %d searches is %.6g by the model; what valued it said %.6g",
            wanted.names[0],
            n,
            values[best, 0],
            found.values[best, 0],
        )
    else:
        log.warning("polish: no set that was found has a value of %s by the model", wanted.names[0])


def _pilot_file(campaign: Campaign) -> Path:
    return campaign.paths.polished.with_name("pilot.h5")


def _pilot(campaign: Campaign, ranks: Ranks, deadline: Deadline) -> FloatArray:
    """Return values of the expressions, (n, expressions), of sets that are drawn."""
    wanted = _objective(campaign).wanted
    sampler = Sampler(campaign.screen_space, "uniform", campaign.seed, "polish scale")
    if not campaign.polishes_by_model:

        def by_ensemble() -> FloatArray:
            with _valuing(campaign, NEVER) as value:
                return value(sampler.draw(0, _PILOT_BY_EMULATORS).physical).sure

        return ranks.from_root(by_ensemble)
    drawn = sampler.draw(0, _PILOT_BY_MODEL).physical
    task = simulate.Task.of(
        campaign,
        "polished",
        path=_pilot_file(campaign),
        label="polish: scale",
        index=np.arange(len(drawn)),
        parameters=drawn,
        seeds=np.zeros(len(drawn), np.uint64),
    )
    simulate.run_sets(task, ranks, deadline)

    def by_model() -> FloatArray:
        simulated = SimulationFile.read(task.path)
        return _described(wanted, simulated.profiles, simulated.log_peaks)

    return ranks.from_root(by_model)


def _objective(campaign: Campaign) -> Maximise:
    objective = campaign.objective.objective
    assert isinstance(objective, Maximise)
    return objective


@contextmanager
def _valuing(campaign: Campaign, deadline: Deadline) -> Iterator[Value]:
    """Yield what values parameter sets, on one rank; NaN where there is no value, or a set is not allowed."""
    wanted, space = _objective(campaign).wanted, campaign.screen_space
    k = len(wanted)
    if campaign.polishes_by_model:
        with on_demand(campaign, campaign.model_instance, campaign.model.setup, deadline) as simulate_some:

            def by_model(physical: FloatArray) -> Valued:
                values = _described(wanted, *simulate_some(physical))
                return Valued(values, np.zeros_like(values))

            yield by_model
        return
    ensemble = load_campaign_ensemble(campaign)

    def by_ensemble(physical: FloatArray) -> Valued:
        if deadline.overdue():
            raise Abandoned("the deadline is over")
        values, spread = np.full((len(physical), k), np.nan), np.full((len(physical), k), np.nan)
        allowed = np.flatnonzero(space.allowed(physical))
        for part, members, said in in_batches(campaign, ensemble, physical[allowed]):
            rows = allowed[part]
            values[rows] = _described(wanted, said.profiles, said.log_peaks)
            each = np.stack([_described(wanted, own["profiles"], own["log_peaks"]) for own in members])
            # A member that sees no value leaves none to rely on.
            spread[rows] = each.std(axis=0, ddof=min(1, len(members) - 1))
        return Valued(values, spread)

    yield by_ensemble


def _described(wanted: Features, profiles: NDArray[Any], log_peaks: NDArray[Any]) -> FloatArray:
    """Return the value of each expression, (n, expressions)."""
    return np.stack([*wanted(profiles, log_peaks).values()], axis=1)


@dataclass(frozen=True, kw_only=True)
class _Searches(storage.ArrayFile, kind="climbs"):
    """Searches as far as they are: positions along the axes, and the rest as of `Largest`."""

    starts: Annotated[Floats, "n d"]
    positions: Annotated[Floats, "n d"]
    from_hit: Annotated[Booleans, "n"]
    weight: Annotated[Floats, "n"]
    before: Annotated[Floats, "n expressions"]
    values: Annotated[Floats, "n expressions"]
    spread: Annotated[Floats, "n expressions"]
    looked: Annotated[Integers, "n"]
    done: Annotated[Booleans, "n"]
    ended: Annotated[Booleans, "n"]


@dataclass(frozen=True)
class _Scale:
    """Values of each expression that are 0 and 1 on a common scale, (expressions,)."""

    low: FloatArray
    high: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> _Scale:
        """Return the one of known values, (n, expressions): from their median to the largest of them, and beyond it."""
        low, high = np.zeros(values.shape[1]), np.ones(values.shape[1])
        for k, column in enumerate(values.T):
            known = column[np.isfinite(column)]
            if len(known):
                low[k], high[k] = np.median(known), known.max()
            if not high[k] > low[k]:
                high[k] = low[k] + (abs(low[k]) or 1.0)
        return cls(low, high + _BEYOND * (high - low))

    def worth(self, values: FloatArray, weight: FloatArray | float) -> FloatArray:
        """Return what sets are worth, (n,), by their values, (n, expressions); −∞ without.

        Of two by how far they are from the best in the worse one (augmented Chebyshev's scalarisation, which finds
        every trade-off, those in a dent of the front too: Steuer & Choo 1983); of weights 0 and 1 the one alone.
        """
        scaled = (values - self.low) / (self.high - self.low)
        if values.shape[1] == 1:
            worth = scaled[:, 0]
        else:
            weights = np.stack([weight * np.ones(len(values)), (1 - weight) * np.ones(len(values))], axis=1)
            worth = -(weights * (1 - scaled)).max(axis=1)
            for k in (0, 1):
                alone = weights[:, k] == 1
                worth[alone] = scaled[alone, k]
            worth += _BESIDE * scaled.sum(axis=1)
        return np.where(np.isnan(worth), -np.inf, worth)


class _Group(NamedTuple):
    """Searches that go on side by side; whoever makes them, and whenever, they are the same ones."""

    numbers: NDArray[np.int64]
    starts: FloatArray
    from_hit: NDArray[np.bool_]
    weight: FloatArray
    scale: _Scale


class _Ended(NamedTuple):
    """Where the searches of a group began and came to, as in `_Searches`."""

    starts: FloatArray
    positions: FloatArray
    before: FloatArray
    values: FloatArray
    spread: FloatArray
    looked: NDArray[np.int64]
    done: NDArray[np.bool_]


class _Searching(Searching[_Searches]):
    """The searches, as far as they are."""

    kind = _Searches

    def __init__(self, campaign: Campaign, pilot: FloatArray) -> None:
        super().__init__(campaign)
        self._pilot = pilot

    def begin(self) -> None:
        """Begin with nothing."""
        n, d, k = self.total, len(self.campaign.screen_space), len(_objective(self.campaign).wanted)
        weight = np.ones(n)
        if k == 2:
            ends = max(1, round(_ENDS * n))
            weight[:ends] = np.arange(ends) % 2 == 0
            weight[ends:] = np.linspace(1, 0, n - ends + 2)[1:-1]
        self.found = _Searches(
            starts=np.full((n, d), np.nan),
            positions=np.full((n, d), np.nan),
            from_hit=np.zeros(n, bool),
            weight=weight,
            before=np.full((n, k), np.nan),
            values=np.full((n, k), np.nan),
            spread=np.full((n, k), np.nan),
            looked=np.zeros(n, np.int64),
            done=np.zeros(n, bool),
            ended=np.zeros(n, bool),
        )

    def work(self, ranks: Ranks, deadline: Deadline, save_when_due: Callable[[], None]) -> bool:
        """Make the searches that are not at their end: of two expressions first those for one of them alone."""
        with _valuing(self.campaign, deadline) as value:

            def work(group: _Group) -> _Ended | None:
                try:
                    return _search(self.campaign, value, group)
                except Abandoned:
                    return None

            for alone in (True, False):
                if not ranks.is_root:
                    ranks.hand_out((), work, lambda group, ended: None)
                else:
                    self._hand_out(ranks, alone, work, deadline, save_when_due)
                if not ranks.from_root(lambda: bool(self.found.ended[self._rows(alone)].all())):  # noqa: B023
                    return False
        return True

    def _hand_out(
        self,
        ranks: Ranks,
        alone: bool,
        work: Callable[[_Group], _Ended | None],
        deadline: Deadline,
        save_when_due: Callable[[], None],
    ) -> None:
        with Progress(self.total, self.label, self.unit, initial=self.done) as progress:

            def collect(group: _Group, ended: _Ended | None) -> None:
                if ended is not None:
                    self._take(group, ended)
                    progress.advance(len(group.numbers))
                    save_when_due()

            # A search by the model takes long: who hands out is to be there.
            root_works = False if self.campaign.polishes_by_model and ranks.size > 2 else None
            ranks.hand_out(self._left(alone), work, collect, deadline.reached, root_works)

    def _rows(self, alone: bool) -> NDArray[np.int64]:
        """Return the searches for one expression alone, or the others."""
        return np.flatnonzero(np.isin(self.found.weight, (0, 1)) == alone)

    def _left(self, alone: bool) -> list[_Group]:
        """Return the groups of searches that are not at their end; on rank 0."""
        rows, found = self._rows(alone), self.found
        if found.ended[rows].all():
            return []
        positions, values = _hits(self.campaign)
        known = found.values[self._rows(True)] if not alone else found.values[:0]
        scale = _Scale.of(np.concatenate([self._pilot, values, known]))
        starts, from_hit = np.full((len(rows), len(self.campaign.screen_space)), np.nan), np.zeros(len(rows), bool)
        left = np.arange(len(values))
        # Half of them, of all weights.
        for k in range(0, len(rows), 2):
            if not len(left):
                break
            best = int(np.argmax(scale.worth(values[left], found.weight[rows[k]])))
            starts[k], from_hit[k] = positions[left[best]], True
            left = np.delete(left, best)
        together = 1 if self.campaign.polishes_by_model else SEARCHES_TOGETHER
        groups = [slice(first, first + together) for first in range(0, len(rows), together)]
        return [
            _Group(rows[some], starts[some], from_hit[some], found.weight[rows[some]], scale)
            for some in groups
            if not found.ended[rows[some]].all()
        ]

    def _take(self, group: _Group, ended: _Ended) -> None:
        found, rows = self.found, group.numbers
        found.from_hit[rows] = group.from_hit
        for field in ended._fields:
            getattr(found, field)[rows] = getattr(ended, field)
        found.ended[rows] = True


def _search(campaign: Campaign, value: Value, group: _Group) -> _Ended:
    """Make the searches of a group."""
    space, scale = campaign.screen_space, group.scale
    free = np.isin(np.arange(len(space)), space.continuous)
    starts = group.starts.copy()
    each = _DRAWN_BY_MODEL if campaign.polishes_by_model else _DRAWN_BY_EMULATORS
    sampler = Sampler(space, "uniform", campaign.seed, STREAM)
    for row in np.flatnonzero(~group.from_hit):
        number = int(group.numbers[row])
        drawn = sampler.draw(number * each, (number + 1) * each)
        best = np.argmax(scale.worth(value(drawn.physical).sure, group.weight[row]))
        starts[row] = drawn.position[int(best)]

    def worth(positions: FloatArray, owner: NDArray[np.intp]) -> FloatArray:
        return scale.worth(value(space.at(within(positions))).sure, group.weight[owner])

    rngs = [np.random.default_rng([campaign.seed, int(number), 0x9A1]) for number in group.numbers]
    found = climb(worth, starts, free, _STEPS, rngs)
    positions = within(found.positions)
    after = value(space.at(positions))
    looked = found.looked + np.where(group.from_hit, 0, each)
    return _Ended(starts, positions, value(space.at(starts)).values, *after, looked, found.done)


def _hits(campaign: Campaign) -> tuple[FloatArray, FloatArray]:
    """Return positions (n, d) and simulated values (n, expressions) of the validated hits that have them."""
    space, objective = campaign.screen_space, _objective(campaign)
    hits = ValidatedHits.read(campaign.paths.validation_hits, campaign.identity("validation"), d=len(space))
    values = _described(objective.wanted, hits.profiles, hits.log_peaks)
    rows = np.flatnonzero((hits.status == Status.OK) & np.isfinite(values).all(axis=1))
    return within(space.position(hits.parameters[rows])), values[rows]
