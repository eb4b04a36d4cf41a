"""A forecast from speeds that are measured here: simulations, optimiser steps and predictions of the campaign."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from tabulate import tabulate

from mechscreen import odds
from mechscreen.campaign import SPLITS, Campaign
from mechscreen.isolation import CallFailed
from mechscreen.models.outputs import Status
from mechscreen.reasons import Reasons
from mechscreen.runs.advice import advise
from mechscreen.runs.forecast import Ratio, Step, core_hours, forecast, longest_path, typical_speeds, without_studies
from mechscreen.runs.used import used
from mechscreen.sampling import sample_seeds
from mechscreen.schemas.dataset import doubts_of
from mechscreen.spaces import Sampler
from mechscreen.stages.direct import largest_call
from mechscreen.stages.simulate import BLOCK_SECONDS, LARGEST_BLOCK, Simulator, simulating
from mechscreen.stages.table import START_SECONDS, Speeds

if TYPE_CHECKING:
    from mechscreen.stages.search import Search

MEASURED_SECONDS = 3.0
"""For how long each unit of work is measured."""
_ATTEMPTS = 8
"""Samples that may fail before a model counts as one that fails for all."""
_BATCHES = 4
_PREDICTIONS = 4096
_LOOKED_AT = 2048
"""Parameter sets that are labelled and counted at once."""
_KEPT_CALLS = 16
"""Latest calls whose outputs are kept to be labelled."""
_ROUGHLY = 3.0
"""A model's own estimate that is further off than by this factor is worth correcting."""
_WITHOUT_FIND = 3.7
"""Over n: up to which a share may be of which n show none (95 %, both sides)."""


def plan(campaign: Campaign) -> str:
    """Measure the units of work on one core of this machine and return what the campaign will take, as a table."""
    speeds, measured, on_gpu, doubts = measure(campaign)
    ratios = used(campaign.paths.root, campaign.resources_like)
    steps = forecast(campaign, speeds, ratios)
    report = without_studies(steps)
    lines = [
        f"{campaign.name}: what it takes from start to end",
        "",
        _table(steps),
        "",
        f"{core_hours(report)}; longest path {longest_path(report)}, time in the queue not counted",
        "",
        *([*doubts, ""] if doubts else []),
        f"Does an emulator pay? {advise(campaign, speeds)}",
        "",
        *_missed(campaign, speeds),
        "Measured on a core of this machine: "
        + ("" if measured is None else f"a simulation {_duration(speeds.sample)}, ")
        + f"a training sample once through the network {_duration(speeds.training)}, "
        f"a prediction of one member {_duration(speeds.prediction)}, a parameter set labelled and counted "
        f"{_duration(speeds.looking)}, the start of a network's job {_duration(speeds.network_start)}.",
        f"A step of the optimiser on a GPU: {_duration(speeds.gpu_step)}, "
        + ("measured here." if on_gpu else "assumed, since there is no GPU here."),
    ]
    lines += _done_before(ratios)
    if "simulate_shard" not in ratios:
        lines += _of_its_own_estimate(campaign.model_instance.seconds, measured)
    return "\n".join(lines)


def _missed(campaign: Campaign, speeds: Speeds) -> list[str]:
    """Return what a survey can say of what the screen misses, before anything is known."""
    count = campaign.surveyed
    if not count:
        return []
    one_in = 10_000
    enough = _WITHOUT_FIND * one_in * 10
    return [
        f"What is missed? {count:,} simulations of a survey leave at least {100 * _WITHOUT_FIND / count:.2g} % of the "
        f"space open, if no probability is trusted ({_WITHOUT_FIND} in n without a find). Of a target that one set in "
        f"{one_in:,} is of, it takes {enough:,.0f} or more ({_duration(enough * speeds.sample)} of a core) to see that "
        "the screen misses less than a tenth; if the calibration holds, far fewer.",
        "",
    ]


def _of_its_own_estimate(stated: float, measured: float | None) -> list[str]:
    """Return what there is to say of the seconds of a simulation that the model states, if anything."""
    if measured is None:
        return [f"The forecast takes the seconds that the model states: {stated:g}."]
    if stated / _ROUGHLY < measured < stated * _ROUGHLY:
        return []
    return [
        f"The model says seconds = {stated:g}, by which its jobs ask for ranks and time: "
        f"seconds = {measured:.2g} would suit."
    ]


def _done_before(ratios: Mapping[str, Ratio]) -> list[str]:
    """Return what the table takes from jobs that were done, if from any."""
    if not ratios:
        return []
    told = [f"{rule} {ratio.work:.3g} and {ratio.memory:.3g} (of {ratio.jobs})" for rule, ratio in ratios.items()]
    return [f"By jobs that were done, times the work and times the memory that are typical: {', '.join(told)}."]


def measure(campaign: Campaign) -> tuple[Speeds, float | None, bool, list[str]]:
    """Measure the units of work of a campaign on one core.

    Returns
    -------
    speeds
        Typical ones where one cannot be measured.
    sample
        Seconds of a simulation; None where all that were tried failed.
    on_gpu
        Whether networks were measured on a GPU.
    doubts
        Sentences on samples that fail, and on too few.
    """
    typical = typical_speeds(campaign)
    simulated, trial = sample_seconds(campaign)
    sample = None if simulated is None else simulated.each
    looking = looking_seconds(campaign, trial)
    networks = _network_seconds(campaign)
    looking = typical.looking if looking is None else looking
    if networks.program is not None:
        looking = max(0.0, networks.program - campaign.emulators.members * networks.prediction)
    speeds = Speeds(
        typical.sample if sample is None else sample,
        networks.training,
        networks.prediction,
        networks.gpu_step or typical.gpu_step,
        looking,
        START_SECONDS + networks.start,
        None if simulated is None else simulated.of_many,
    )
    doubts = [*filter(None, [trial.trouble()]), *_doubts(campaign, trial)]
    return speeds, sample, networks.gpu_step is not None, doubts


def _doubts(campaign: Campaign, trial: Trial) -> list[str]:
    """Return what will be wrong with the training set, as far as some samples tell; nothing where none is solved."""
    if campaign.by_model or campaign.of_round(1).selector is not None or not trial.solved:
        return []
    split, count, solved = campaign.dataset.split, campaign.simulations.count, trial.solved / trial.tried
    expected = {name: count * getattr(split, name) * solved for name in SPLITS}
    return doubts_of(expected, trial.tried, trial.tried - trial.solved, trial.most_often)


def looking_seconds(campaign: Campaign, trial: Trial) -> float | None:
    """Return the core-seconds that a parameter set of the screen takes besides its outputs; None without a solution."""
    profiles, log_peaks = trial.outputs()
    if not len(profiles):
        return None
    from mechscreen.stages.calibrate import evidence_of

    search = _search(campaign)
    rows = np.resize(np.arange(len(profiles)), _LOOKED_AT)
    profiles, log_peaks = profiles[rows].astype(np.float32), log_peaks[rows]
    counts = search.no_counts()

    def look() -> None:
        position, _ = search.sample(0, _LOOKED_AT)
        labels = search.objective(profiles, log_peaks)
        agreed = np.zeros(_LOOKED_AT, np.float32)
        counts.add(position[:, search.varied], labels, agreed, campaign.screen.disagreement_limit)
        if search.calibration is not None:
            said = [{"profiles": profiles, "log_peaks": log_peaks}] * campaign.emulators.members
            likely, likeliest = search.calibration.of(search.targets, evidence_of(campaign, said, agreed))
            counts.add_probable(likeliest, odds.levels_of(likely))

    look()  # compiles
    return _repeat(look, time.process_time) / _LOOKED_AT


def _search(campaign: Campaign) -> Search:
    """Return what the screen will look for, by any calibration, since there is none yet."""
    from mechscreen.emulators.calibration import Calibration
    from mechscreen.stages.search import Search

    return Search(campaign, Calibration.even(len(campaign.class_names)) if campaign.asks_probabilities else None)


@dataclass(frozen=True)
class SampleSeconds:
    """Seconds of a simulation on a core, in calls as large as those of jobs.

    Attributes
    ----------
    each
        In the calls of simulations.
    of_many
        In the larger ones of a screen by the model.
    """

    each: float
    of_many: float


def sample_seconds(campaign: Campaign) -> tuple[SampleSeconds | None, Trial]:
    """Return the seconds of a simulation, from parameter sets of the campaign, and what became of them.

    No seconds where all that are tried fail. Those that fail count like others, since a campaign pays for them too.
    """
    model, limit = campaign.model_instance, campaign.simulations.sample_time_limit
    with simulating(model, campaign.model.setup, limit) as simulator:
        trial = Trial(campaign, simulator)
        # In a process of its own it may start programs, whose time the wall clock counts.
        clock = time.perf_counter if model.isolated else time.process_time
        end = time.monotonic() + limit
        start = 0
        while not trial.simulate(start, start + 1):  # the first that works compiles
            start += 1
            if start == _ATTEMPTS or time.monotonic() >= end:
                return None, trial
        calls = Calls(trial, start + 1, clock)
        each = calls.seconds(LARGEST_BLOCK)
        # Of a slow model, no call is larger.
        of_many = calls.seconds(largest_call(campaign)) if calls.size >= LARGEST_BLOCK else each
        return SampleSeconds(each, of_many), trial


class Calls:
    """Calls of a model with more and more samples, the next ones each time, since some take longer.

    Parameters
    ----------
    trial
        What simulates them.
    start
        Number of the first.
    clock
        What times them.
    """

    def __init__(self, trial: Trial, start: int, clock: Callable[[], float]) -> None:
        self._trial, self._start, self._clock = trial, start, clock
        self.size = 1

    def seconds(self, largest: int) -> float:
        """Return the mean seconds of a sample in calls of up to `largest`, each as long as those of jobs at most."""
        spent, samples = 0.0, 0
        while spent < MEASURED_SECONDS:
            begin = self._clock()
            worked = self._trial.simulate(self._start, self._start + self.size)
            taken = self._clock() - begin
            self._start += self.size
            if not worked:
                return self._trial.seconds_one_by_one(self._start, self._clock)
            grows = 2 * self.size <= largest and 2 * taken <= BLOCK_SECONDS
            # Smaller calls say nothing of those of jobs.
            spent, samples = (0.0, 0) if grows else (spent + taken, samples + self.size)
            self.size *= 2 if grows else 1
        return spent / samples


class Trial:
    """Samples of a campaign, simulated as its jobs do, and what becomes of them."""

    def __init__(self, campaign: Campaign, simulator: Simulator) -> None:
        self._campaign = campaign
        self._simulator = simulator
        self.tried = self.solved = 0
        self._reasons = Reasons()
        self._outputs: list[tuple[NDArray[Any], NDArray[Any]]] = []

    def simulate(self, start: int, stop: int) -> bool:
        """Simulate samples `start` to `stop` − 1 in one call and return whether the call worked."""
        campaign = self._campaign
        sampler = Sampler(campaign.space, campaign.simulations.sampling, campaign.seed, "simulations", levels=True)
        seeds = sample_seeds(campaign.seed, start, stop, "simulation seeds")
        self.tried += stop - start
        try:
            result = self._simulator(campaign.simulated(sampler.draw(start, stop).physical), seeds, False)
        except CallFailed as error:
            self._reasons.add(Status.ERROR.name, " ".join(str(error).split()))
            return False
        ok = result.status == Status.OK
        self.solved += int(ok.sum())
        some = result.profiles[ok][:_LOOKED_AT], result.log_peaks[ok][:_LOOKED_AT]
        self._outputs = [*self._outputs[-_KEPT_CALLS:], some]
        for status, reason in zip(result.status, result.reasons, strict=True):
            if status != Status.OK:
                self._reasons.add(Status(status).name, reason)
        return True

    def seconds_one_by_one(self, start: int, clock: Callable[[], float]) -> float:
        """Return the mean seconds of as many samples, from `start` on, as fill the time."""
        begin, n = clock(), 0
        while clock() - begin < MEASURED_SECONDS:
            self.simulate(start + n, start + n + 1)
            n += 1
        return (clock() - begin) / n

    def trouble(self) -> str:
        """Return what is to be said where no sample has a solution."""
        return "" if self.solved else f"None of {self.tried} samples has a solution, most often: {self.most_often}"

    @property
    def most_often(self) -> str:
        """Why most samples that failed did; "" where none did."""
        return next((reason for _, reason, _ in self._reasons.listed()), "")

    def outputs(self) -> tuple[NDArray[Any], NDArray[Any]]:
        """Return profiles and log peaks of some samples that were solved, (n, *shape) and (n, outputs)."""
        outputs = self._campaign.outputs
        none = np.empty((0, *outputs.shape)), np.empty((0, len(outputs)))
        return (
            np.concatenate([none[0], *(profiles for profiles, _ in self._outputs)]),
            np.concatenate([none[1], *(log_peaks for _, log_peaks in self._outputs)]),
        )


@dataclass(frozen=True)
class _NetworkSeconds:
    """Core-seconds of networks; on a GPU, its seconds.

    Attributes
    ----------
    training, prediction
        Of a sample once through the network, and of a prediction.
    gpu_step
        Of a step of the optimiser; None without a GPU.
    start
        Of import and compilation.
    program
        Of a parameter set of a screen, where that is one compiled program; else None.
    """

    training: float
    prediction: float
    gpu_step: float | None
    start: float
    program: float | None


def _network_seconds(campaign: Campaign) -> _NetworkSeconds:
    """Measure the networks of a campaign."""
    # Of the processor, since what is loaded from a disk for the first time says nothing of later jobs.
    begin = time.process_time()
    from mechscreen.emulators.backends.choice import make_predictor, prepare
    from mechscreen.emulators.backends.device import DevicePredictor

    prepare(campaign.emulators.backend)
    from mechscreen.emulators.networks import build_network
    from mechscreen.emulators.quiet_keras import has_gpu
    from mechscreen.emulators.samples import Samples
    from mechscreen.emulators.training import Training
    from mechscreen.models.distances import Distance

    settings = campaign.emulators
    batch = settings.training.batch_size
    outputs = campaign.outputs
    rng = np.random.default_rng(0)
    n = _BATCHES * batch
    samples = Samples(
        rng.random((n, campaign.space.inputs), np.float32),
        rng.random((n, *outputs.shape), np.float32),
        rng.random((n, len(outputs)), np.float32),
        Distance.of(outputs),
    )
    network = build_network(settings.architecture, samples, precision=settings.training.precision)
    training = Training(network, samples, samples.take(np.arange(batch)), settings.training, seed=0)
    training.run_epoch()  # compiles
    start = time.process_time() - begin
    on_gpu = has_gpu()
    clock = time.perf_counter if on_gpu else time.process_time
    epoch = _repeat(training.run_epoch, clock)
    predictor = make_predictor(network, min(_PREDICTIONS, n), settings.precision, settings.backend)
    rows = samples.parameters[: predictor.batch_size]
    predictor(rows)
    prediction = _repeat(lambda: predictor(rows), clock) / len(rows)
    by_program = predictor.name == DevicePredictor.name and not campaign.objective.by_members
    looked = _program_seconds(campaign, network, clock) if by_program else None
    return _NetworkSeconds(epoch / n, prediction, epoch / _BATCHES if on_gpu else None, max(0.0, start - epoch), looked)


def _program_seconds(campaign: Campaign, network: Any, clock: Callable[[], float]) -> float:
    """Return the seconds of a parameter set of a screen that is one program, networks and all; it says what is not."""
    from mechscreen.emulators.ensemble import Ensemble
    from mechscreen.models.distances import Distance
    from mechscreen.stages.on_device import make_program
    from mechscreen.tally import ALL_KEYS

    settings = campaign.emulators
    ensemble = Ensemble(
        [network] * settings.members,
        combine=settings.combine,
        precision=settings.precision,
        backend=settings.backend,
        distance=Distance.of(campaign.outputs),
    )
    program = make_program(_search(campaign), ensemble)
    keys = np.full(len(campaign.screen_classes), ALL_KEYS)

    def look() -> None:
        program.look(0, program.batch_size, keys)

    look()  # compiles
    return _repeat(look, clock) / program.batch_size


def _repeat(work: Callable[[], object], clock: Callable[[], float]) -> float:
    """Return the seconds of one call, the mean of as many as fill the time."""
    start, calls = clock(), 0
    while clock() - start < MEASURED_SECONDS:
        work()
        calls += 1
    return (clock() - start) / calls


def _table(steps: Sequence[Step]) -> str:
    head = ("rule", "jobs", "ranks", "core-hours", "GPU-hours", "MB a rank", "minutes asked", "GB", "files")
    report = without_studies(steps)
    rows = [
        *map(_row, report),
        (
            "all",
            f"{sum(step.jobs for step in report):,}",
            "",
            f"{sum(step.core_hours for step in report):,.2f}",
            f"{sum(step.gpu_hours for step in report):,.2f}",
            "",
            "",
            f"{sum(step.disk for step in report) / 1e9:,.2f}",
            f"{sum(step.files for step in report):,}",
        ),
        # Studies of their own, which `all` leaves out.
        *(_row(step) for step in steps if step.rule.study),
    ]
    aligned = ("left", *["right"] * (len(head) - 1))
    return tabulate(rows, head, tablefmt="plain", disable_numparse=True, colalign=aligned)


def _row(step: Step) -> tuple[str, ...]:
    return (
        step.rule.name,
        f"{step.jobs:,}",
        f"{step.tasks}",
        f"{step.core_hours:,.2f}",
        f"{step.gpu_hours:,.2f}" if step.gpu_seconds else "",
        f"{step.megabytes:,}",
        f"{step.minutes:,}",
        f"{step.disk / 1e9:,.2f}",
        f"{step.files:,}",
    )


def _duration(seconds: float) -> str:
    """Return a short time with a suitable unit."""
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"
