"""What a campaign's model is and does, from a few parameter sets; for whoever has just written or chosen it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from mechscreen.campaign import Campaign
from mechscreen.errors import ModelError
from mechscreen.figures.text import count, percent
from mechscreen.models import Output
from mechscreen.models.outputs import Status
from mechscreen.objectives.features import Curve, find_peaks
from mechscreen.progress import format_duration
from mechscreen.reasons import Reasons
from mechscreen.runs.advice import advise
from mechscreen.runs.forecast import typical_speeds
from mechscreen.runs.plan import SampleSeconds, sample_seconds
from mechscreen.sampling import sample_seeds
from mechscreen.schemas.validation import Share
from mechscreen.spaces import Sampler
from mechscreen.stages import simulate

_AGAIN = 3
"""Samples that are simulated again: with the same seed, another one, and alone."""
_OSCILLATES, _PROMINENCE = 3, 0.1
"""Peaks of a curve that oscillates, at least, and their prominence as a share of its size."""
_QUICK = 0.5
"""Seconds that all sets take, below which what a set takes is measured by more of them."""
_CLOSE = 1e-6
"""Relative difference of two results that is no more than rounding."""


@dataclass(frozen=True)
class Found:
    """What came of some parameter sets, n of them; of those whose status is OK, the outputs.

    Attributes
    ----------
    status, reasons
        (n,).
    profiles, log_peaks
        (n, *shape) and (n, outputs); NaN where a sample failed.
    seconds
        That they took in all.
    """

    status: NDArray[np.uint8]
    reasons: tuple[str, ...]
    profiles: NDArray[np.float32]
    log_peaks: NDArray[np.float64]
    seconds: float

    @property
    def ok(self) -> NDArray[np.bool_]:
        """(n,), which have outputs."""
        return self.status == Status.OK


class Bench:
    """A campaign's model as its jobs run it."""

    def __init__(self, campaign: Campaign, simulator: simulate.Simulator) -> None:
        self._simulator = simulator
        self._task = simulate.Task.of(
            campaign,
            "simulations",
            path=campaign.paths.root / "check-model",
            label="check-model",
        )

    def simulate(self, parameters: NDArray[np.float64], seeds: NDArray[np.uint64]) -> Found:
        """Simulate parameter sets in one call or, where that fails, one by one."""
        n = len(parameters)
        task = replace(self._task, index=np.arange(n), parameters=parameters, seeds=seeds)
        begin = time.perf_counter()
        parts = simulate.simulate_rows(task, self._simulator, np.arange(n))
        return Found(
            np.concatenate([part.status for _, part in parts]),
            tuple(reason for _, part in parts for reason in part.reasons),
            np.concatenate([part.profiles for _, part in parts]),
            np.concatenate([part.log_peaks for _, part in parts]),
            time.perf_counter() - begin,
        )


@contextmanager
def bench(campaign: Campaign) -> Iterator[Bench]:
    """Yield the model, in a process of its own where it is isolated."""
    model, limit = campaign.model_instance, campaign.simulations.sample_time_limit
    with simulate.simulating(model, campaign.model.setup, limit) as simulator:
        yield Bench(campaign, simulator)


def check_model(campaign: Campaign, sets: int) -> str:
    """Simulate parameter sets of a campaign's space and return what is to be known of the model, in lines for people.

    The sets are the first ones of the campaign's simulations, with their seeds. Nothing is written.

    Raises
    ------
    ModelError
        If not one of them can be simulated.
    """
    sampler = Sampler(campaign.space, campaign.simulations.sampling, campaign.seed, "simulations", levels=True)
    parameters = sampler.draw(0, sets).physical
    seeds = sample_seeds(campaign.seed, 0, sets, "simulation seeds")
    with bench(campaign) as model:
        model.simulate(parameters[:1], seeds[:1])  # compiles
        found = model.simulate(parameters, seeds)
        if not found.ok.any():
            raise ModelError(
                f"model '{campaign.model.name}': not one of {count(sets, 'parameter set')} can be simulated: "
                + "; ".join(_failures(found))
            )
        again = _again(model, parameters, seeds, found)
    # Of few that are quick, most of the time is the call's.
    of_many = sample_seconds(campaign)[0] if found.seconds < _QUICK else None
    seconds = of_many or SampleSeconds(found.seconds / sets, found.seconds / sets)
    warnings = [*_of_failures(found), *again.warnings, *_of_outputs(campaign, found)]
    objective, unlabelled = _classes(campaign, found)
    warnings += unlabelled
    lines = [
        f"{campaign.about.model.title} ({campaign.model.name}), version {campaign.about.model.version}",
        "",
        "Parameters",
        _indented(_parameters(campaign)),
        "",
        f"Outputs, of {count(int(found.ok.sum()), 'parameter set')}",
        _indented(_outputs(campaign, found)),
        "",
        f"Simulated: {found.ok.sum():,} of {sets:,}" + "".join(f"; {text}" for text in _failures(found)),
        again.determinism,
        again.rows,
        f"Time: {_short(seconds.each)} for a parameter set{' of many in one call' if of_many else ''}"
        + _whole(campaign, seconds),
        "",
        f"Classes of {campaign.screen.objective.name}, with 95 % intervals of their shares",
        _indented(objective),
        "",
        "Does an emulator pay? "
        + advise(campaign, replace(typical_speeds(campaign), sample=seconds.each, of_many=seconds.of_many))
        + " (Networks at typical speeds; mechscreen plan measures them.)",
        "",
        *([f"WARNING: {warning}" for warning in warnings] or ["Nothing to warn of."]),
    ]
    return "\n".join(lines)


@dataclass(frozen=True)
class Again:
    """What came of simulating some sets again."""

    determinism: str
    rows: str
    warnings: list[str]


def _again(model: Bench, parameters: NDArray[np.float64], seeds: NDArray[np.uint64], found: Found) -> Again:
    """Simulate a few of the sets that went well again: the same, with other seeds, and alone."""
    rows = np.flatnonzero(found.ok)[:_AGAIN]
    warnings = []
    together = model.simulate(parameters[rows], seeds[rows])
    if _same(together, model.simulate(parameters[rows], seeds[rows])):
        others = model.simulate(parameters[rows], seeds[rows] + np.uint64(1))
        if _same(together, others):
            determinism = "Random numbers: none; the same sets give the same numbers whatever the seeds"
        else:
            determinism = "Random numbers: the seed's; the same seeds give the same numbers, other seeds others"
    else:
        determinism = "Random numbers: NOT THE SEED'S; the same sets with the same seeds give other numbers"
        warnings.append(
            "the same sets with the same seeds give other numbers: take all random numbers from the sample's seed, and "
            "keep nothing from call to call, or results cannot be made again"
        )
        return Again(determinism, "Rows: whether they influence one another cannot be told", warnings)
    alone = [model.simulate(parameters[[row]], seeds[[row]]) for row in rows]
    apart = max(
        _difference(found, row, single, 0) if single.ok[0] else np.inf for row, single in zip(rows, alone, strict=True)
    )
    if apart == 0:
        told = "Rows: each set gives the same numbers alone and among others"
    elif apart < _CLOSE:
        told = f"Rows: alone, a set gives the same numbers as among others up to rounding ({apart:.1e})"
    else:
        told = "Rows: THEY INFLUENCE ONE ANOTHER; a set gives other numbers alone than among others"
        warnings.append(
            f"a set gives other numbers alone than among others (relative difference {apart:.2g}): row i of solve() "
            "must depend on row i and its seed alone, or results depend on how many ranks there are"
        )
    return Again(determinism, told, warnings)


def _same(one: Found, other: Found) -> bool:
    return (
        np.array_equal(one.status, other.status)
        and np.array_equal(one.profiles, other.profiles, equal_nan=True)
        and np.array_equal(one.log_peaks, other.log_peaks, equal_nan=True)
    )


def _difference(one: Found, i: int, other: Found, j: int) -> float:
    """Return the largest difference between two samples' outputs, relative to their largest value."""
    largest = 0.0
    for a, b in ((one.profiles[i], other.profiles[j]), (one.log_peaks[i], other.log_peaks[j])):
        size = max(float(np.abs(a).max(initial=0.0)), float(np.abs(b).max(initial=0.0)), 1e-300)
        largest = max(largest, float(np.abs(a.astype(float) - b.astype(float)).max(initial=0.0)) / size)
    return largest


def _parameters(campaign: Campaign) -> str:
    rows = [
        (p.name, f"{p.low:.4g}", f"{p.high:.4g}", p.unit, "held" if p.fixed else p.drawn, p.meaning)
        for p in campaign.space
    ]
    rows += [(name, "", "", "", f"follows: {text}", "") for name, text in campaign.space.derived.items()]
    told = tabulate(rows, ("name", "from", "to", "unit", "drawn", "meaning"), tablefmt="plain", disable_numparse=True)
    constraints = "".join(f"\nonly where {text}" for text in campaign.space.constraints)
    return f"{told}{constraints}"


def _outputs(campaign: Campaign, found: Found) -> str:
    rows = []
    for k, output in enumerate(campaign.outputs):
        values = _values(campaign, found, k)
        shape = " × ".join(map(str, output.shape)) or "number"
        told = ["", "", "no set has it"]
        if len(values):
            varies = "varies" if _varies(values) else "NEVER VARIES"
            told = [f"{values.min():.4g}", f"{values.max():.4g}", varies]
        rows.append((output.name, shape, output.unit, str(output.scale), *told))
    head = ("name", "shape", "unit", "scale", "least", "largest", "")
    return tabulate(rows, head, tablefmt="plain", disable_numparse=True)


def _values(campaign: Campaign, found: Found, k: int) -> NDArray[np.float64]:
    """Return what the model says of an output where it was solved and has one, in its unit, (n, values)."""
    in_units = campaign.outputs.in_units(found.profiles[found.ok], found.log_peaks[found.ok], k)
    values = in_units.reshape(len(in_units), -1).astype(float)
    # A number that not every sample has is NaN where there is none.
    return values[np.isfinite(values).all(axis=1)]


def _varies(values: NDArray[np.float64]) -> bool:
    """Return whether samples differ, by more than rounding to single precision."""
    return bool(np.ptp(values, axis=0).max() > _CLOSE * np.abs(values).max())


def _of_outputs(campaign: Campaign, found: Found) -> Iterator[str]:
    """Yield what is doubtful of the outputs."""
    for k, output in enumerate(campaign.outputs):
        values = _values(campaign, found, k)
        if not len(values):
            yield f"output '{output.name}': none of the sets has it; look at more sets, or leave it out"
            continue
        if not values.any():
            yield f"output '{output.name}' is 0 everywhere in all sets: leave it out, or look at what feeds it"
        elif len(values) > 1 and not _varies(values):
            yield f"output '{output.name}' is the same in all sets: leave it out, or widen the ranges of its causes"
        if (share := _oscillating(output, values)) > 0:
            yield (
                f"output '{output.name}' oscillates in {percent(share)} of the sets (peaks, {_OSCILLATES} and more): "
                "emulators learn the phase of such curves badly, and a curve that is shifted is judged wrong; return "
                "features without phase (amplitude, period, sorted values or a spectrum), or let emulators learn such "
                "by model.emulate (docs/howto/own-model.md, “Outputs”)"
            )


def _oscillating(output: Output, values: NDArray[np.float64]) -> float:
    """Return the share of the curves that oscillate; 0 for what is no curve."""
    if len(output.shape) != 1 or output.size < 2 * _OSCILLATES + 1:
        return 0.0
    peaks = find_peaks(Curve.of(np.ascontiguousarray(values), output.grid), _PROMINENCE)
    return float((peaks.count >= _OSCILLATES).mean())


def _failures(found: Found) -> list[str]:
    """Return how many failed, by status and reason, the most frequent ones first."""
    reasons = Reasons()
    for status, reason in zip(found.status, found.reasons, strict=True):
        if status != Status.OK:
            reasons.add(Status(int(status)).name, reason)
    return [f"{n:,} {status}: {reason}" for status, reason, n in reasons.listed()[:5]]


def _of_failures(found: Found) -> Iterator[str]:
    failed = float((~found.ok).mean())
    if failed > 0.5:
        yield (
            f"{percent(failed)} of the sets cannot be simulated: the model hardly runs in this space; narrow the "
            "ranges, or state constraints"
        )


def _classes(campaign: Campaign, found: Found) -> tuple[str, list[str]]:
    """Return the shares of the objective's classes among the sets that were simulated, and what is doubtful of them."""
    labels = campaign.objective(found.profiles[found.ok], found.log_peaks[found.ok])
    n = len(labels)
    rows = []
    for label, name in enumerate(campaign.class_names):
        number = int((labels == label).sum())
        low, high = Share.of(number, n).interval or (0.0, 1.0)
        rows.append(
            (
                name,
                f"{number:,} of {n:,}",
                percent(number / n),
                f"{percent(low)} to {percent(high)}",
                "target" if label in campaign.targets else "",
            )
        )
    told = tabulate(rows, tablefmt="plain", disable_numparse=True)
    if not np.isin(labels, campaign.targets).any():
        _, upper = Share.of(0, n).interval or (0.0, 1.0)
        return told, [
            f"none of {n:,} sets is of the target: its share may be up to {percent(upper)}; --sets N looks at N"
        ]
    return told, []


def _whole(campaign: Campaign, seconds: SampleSeconds) -> str:
    """Return what the campaign's simulations take then."""
    if campaign.by_model:
        sets = campaign.screen.count
        return f"; the screen's {sets:,} take {format_duration(sets * seconds.of_many)} of a core"
    simulations = campaign.simulated_in_all
    return f"; the campaign's {simulations:,} simulations take {format_duration(simulations * seconds.each)} of a core"


def _short(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def _indented(text: str) -> str:
    return "\n".join(f"  {line.rstrip()}" for line in text.splitlines())
