"""Does an emulator pay? What a screen takes by the model itself, and by emulators that have to learn first.

Both are counted by the table of stages from the same speeds, in core-seconds of all jobs, their starts included.
"""

from __future__ import annotations

from dataclasses import dataclass

from mechscreen.campaign import Campaign
from mechscreen.campaign.sections import CalibrationSection, LearningSection
from mechscreen.progress import format_duration
from mechscreen.runs.forecast import forecast, without_studies
from mechscreen.stages.table import Speeds

ALIKE = 1.5
"""Factor up to which the forecast can be off, so that two that are nearer are called alike."""
_MANY, _MORE = 10_000, 20_000
"""Simulations by which those are counted that a campaign does not name."""
_LEARN = ("select_shard", "simulate_shard", "merge_shards", "train_member", "train_ensemble")


@dataclass(frozen=True)
class Advice:
    """What a screen takes either way, in core-seconds.

    Attributes
    ----------
    direct
        Where the model itself looks (``screen.by: model``).
    emulated
        Where emulators do, with all that they learn from.
    simulations
        How many these learn from.
    """

    direct: float
    emulated: float
    simulations: int

    @property
    def emulators_pay(self) -> bool:
        """Whether emulators take less."""
        return self.emulated < self.direct

    @property
    def factor(self) -> float:
        """How many times as long the slower way takes."""
        return max(self.direct, self.emulated) / min(self.direct, self.emulated)


def compare(campaign: Campaign, speeds: Speeds, simulations: int = 0) -> Advice:
    """Return what a campaign's screen takes either way; emulators learn from `simulations`, or the campaign's own."""
    number = simulations or campaign.simulated_in_all
    return Advice(_core_seconds(by_model(campaign), speeds), _core_seconds(_emulated(campaign, number), speeds), number)


def advise(campaign: Campaign, speeds: Speeds) -> str:
    """Return in a line which way is the faster, and by how much."""
    sets = f"{campaign.screen.count:,} parameter sets"
    if not campaign.simulations.count:
        few, many = (compare(campaign, speeds, number) for number in (_MANY, _MORE))
        each = (many.emulated - few.emulated) / (_MORE - _MANY)
        enough = _MANY + (few.direct - few.emulated) / each
        took = f"To simulate {sets} takes {format_duration(few.direct)} of a core"
        if enough < 1:
            return f"{took}; emulators do not pay, whatever they learn from: they take longer without a simulation."
        return (
            f"{took}; emulators pay if fewer than {_rounded(enough)} simulations teach them enough (with networks and "
            "training as in 'emulators')."
        )
    found = compare(campaign, speeds)
    told = (
        f"To simulate {sets} takes {format_duration(found.direct)} of a core (screen.by: model), with emulators that "
        f"learn from {found.simulations:,} it takes {format_duration(found.emulated)}"
    )
    if found.factor < ALIKE:
        return f"{told}: the two are alike; by the model itself nothing is approximate."
    if found.emulators_pay:
        return f"{told}: emulators pay, {found.factor:.3g} times as fast."
    return f"{told}: emulators do not pay; screen.by: model is {found.factor:.3g} times as fast and exact."


def by_model(campaign: Campaign) -> Campaign:
    """Return the campaign with a screen by the model itself."""
    screen = campaign.screen.model_copy(update={"by": "model", "mode": "full"})
    return campaign.model_copy(
        update={
            "screen": screen,
            "selection": None,
            "rounds": 1,
            "learning": LearningSection(),
            "calibration": CalibrationSection(),
            "base": None,
        }
    )


def _emulated(campaign: Campaign, number: int) -> Campaign:
    """Return the campaign with a screen by emulators, which learn from so many simulations."""
    update = {"screen": campaign.screen.model_copy(update={"by": "emulators"})}
    if number == campaign.simulated_in_all:
        return campaign.model_copy(update=update)
    size = min(number, campaign.simulations.shard_size)
    simulations = campaign.simulations.model_copy(update={"count": number // size * size, "shard_size": size})
    return campaign.model_copy(update={**update, "simulations": simulations})


def _core_seconds(campaign: Campaign, speeds: Speeds) -> float:
    """Return the core-seconds of all that leads to the validated hits, on processors; what a base has is there."""
    there = _LEARN if campaign.base else ()
    steps = [step for step in without_studies(forecast(campaign, speeds)) if step.rule.verb != "report"]
    return 3600 * sum(step.core_hours for step in steps if step.rule.name not in there)


def _rounded(number: float) -> str:
    """Return a number with two digits."""
    return f"{float(f'{number:.2g}'):,.0f}"
