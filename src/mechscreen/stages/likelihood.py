"""How parameter sets compare with measured data, by the model: what searches and walkers ask for, again and again."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.isolation import Abandoned
from mechscreen.models import Model, Outputs
from mechscreen.models.setup import Setup
from mechscreen.objectives import Match
from mechscreen.objectives.observations import Compared
from mechscreen.ranks import NEVER, Deadline
from mechscreen.spaces import Sampler
from mechscreen.stages.on_demand import Simulated, fill, on_demand
from mechscreen.stages.predict import in_batches, load_campaign_ensemble
from mechscreen.stages.simulate import simulating

FloatArray = NDArray[np.float64]
Compare = Callable[[FloatArray], Compared]
"""Compares parameter sets, physical values (n, d), with the measurements."""

_LOOKED_AT = 3
"""Parameter sets by which it is seen whether seeds count."""


def match_of(campaign: Campaign) -> Match:
    """Return the campaign's objective.

    Raises
    ------
    InputError
        If it is not one of measurements.
    """
    objective = campaign.objective.objective
    if not isinstance(objective, Match):
        raise InputError(f"'{campaign.name}' fits no measured data; look for them (screen.objective: {{name: match}})")
    return objective


def deviances(campaign: Campaign, profiles: NDArray[Any], log_peaks: NDArray[Any]) -> FloatArray:
    """Return −2 ln L of simulations, (n,), of the campaign's own outputs; infinite where there is none."""
    with np.errstate(all="ignore"):
        return match_of(campaign).compare(campaign.outputs.by_name(profiles, log_peaks)).deviance


def misfits(campaign: Campaign, profiles: NDArray[Any], log_peaks: NDArray[Any]) -> FloatArray:
    """Return the misfit of simulations (`Match.misfit`), (n,); infinite where there is none."""
    with np.errstate(all="ignore"):
        found = np.asarray(match_of(campaign).misfit(campaign.outputs.by_name(profiles, log_peaks)), float)
    return np.where(np.isfinite(found), found, np.inf)


class Measured(NamedTuple):
    """Measurements, (m,) each, as of `mechscreen.schemas.fits.Polished`."""

    output: NDArray[np.int64]
    at: FloatArray
    value: FloatArray
    error: FloatArray


def measurements(campaign: Campaign, physical: FloatArray) -> Measured:
    """Return what was measured, with the noise that it has for a parameter set, (1, d)."""
    observations = match_of(campaign).observations
    if observations is not None:
        return Measured(observations.output, observations.at, observations.value, observations.error)
    with comparing_by_model(campaign, NEVER) as compare:
        noise = compare(physical).noise[0]
    names = [output.name for output in campaign.outputs]
    outputs, at, value, normal = zip(*campaign.model_instance.measured, strict=True)
    return Measured(
        np.array([names.index(name) if name in names else -1 for name in outputs], np.int64),
        np.array(at, float),
        np.array(value, float),
        np.where(normal, np.exp((noise - math.log(2 * math.pi)) / 2), np.nan),
    )


@contextmanager
def comparing(campaign: Campaign, deadline: Deadline) -> Iterator[Compare]:
    """Yield what compares parameter sets with the measurements, on one rank: the model, or the emulators (`polish.by`).

    What is not allowed, or cannot be simulated, compares as NaN. `mechscreen.isolation.Abandoned` is raised where the
    deadline is over.
    """
    if campaign.polishes_by_model:
        with comparing_by_model(campaign, deadline) as compare:
            yield compare
    else:
        yield _by_ensemble(campaign, deadline)


def _by_ensemble(campaign: Campaign, deadline: Deadline) -> Compare:
    """Return what compares by the campaign's ensemble, whose members' variance counts beside that of the noise."""
    ensemble, space, outputs = load_campaign_ensemble(campaign), campaign.screen_space, campaign.outputs

    def compare(physical: FloatArray) -> Compared:
        if deadline.overdue():
            raise Abandoned("the deadline is over")
        rows = np.flatnonzero(space.allowed(physical))
        parts = []
        # One at least says how many measurements there are.
        for _, members, said in in_batches(campaign, ensemble, physical[rows] if len(rows) else physical[:1]):
            known = campaign.objective.given(members).objective
            assert isinstance(known, Match)
            parts.append(known.compare(outputs.by_name(said.profiles, said.log_peaks)))
        found = []
        for of_parts in ([part.residuals for part in parts], [part.noise for part in parts]):
            array = np.full((len(physical), of_parts[0].shape[1]), np.nan)
            array[rows] = np.concatenate(of_parts)[: len(rows)]
            found.append(array)
        return Compared(*found)

    return compare


@contextmanager
def comparing_by_model(campaign: Campaign, deadline: Deadline) -> Iterator[Compare]:
    """Yield what compares parameter sets with the measurements by the model, on one rank.

    What is not allowed, or cannot be simulated, compares as NaN. `mechscreen.isolation.Abandoned` is raised where the
    deadline does not allow to wait for a simulation.
    """
    model, setup = _to_fit(campaign)
    match, outputs = match_of(campaign), Outputs(model.outputs)
    with on_demand(campaign, model, setup, deadline) as simulate:

        def compare(physical: FloatArray) -> Compared:
            found = simulate(physical)
            with np.errstate(all="ignore"):
                return match.compare(outputs.by_name(found.profiles, found.log_peaks))

        yield compare


def refuse_chance(campaign: Campaign) -> None:
    """See that the model gives the same numbers for any seeds, where it does not say whether it does.

    Raises
    ------
    InputError
        If it does not.
    """
    if campaign.about.model.stochastic is not None:
        return
    model, setup = _to_fit(campaign)
    drawn = Sampler(campaign.screen_space, "uniform", campaign.seed, "chance").draw(0, _LOOKED_AT).physical
    given = campaign.simulated(drawn)
    found = []
    with simulating(model, setup, campaign.simulations.sample_time_limit) as simulator:
        for seed in (0, 1):
            simulated = Simulated.none(len(drawn), Outputs(model.outputs))
            for row in range(len(drawn)):
                fill(simulator, given, np.array([row]), simulated, seed)
            found.append(simulated)
    if not all(np.array_equal(one, other, equal_nan=True) for one, other in zip(*found, strict=True)):
        raise InputError(
            "polish: the model gives other numbers with other seeds, so that the likelihood of its outputs is a random "
            "number; set polish.count: 0"
        )


def _to_fit(campaign: Campaign) -> tuple[Model, Setup]:
    """Return the model as it compares itself with measurements, or as it is."""
    model, setup = campaign.model_instance, campaign.model.setup
    if model.to_fit is None or match_of(campaign).observations is not None:
        return model, setup
    setup = replace(setup, options={**setup.options, **model.to_fit}, emulate=())
    return setup.make(), setup
