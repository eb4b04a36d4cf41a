"""A forecast from speeds that are measured here: simulations, optimiser steps and predictions of the campaign."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from tabulate import tabulate

from mechscreen.campaign import Campaign
from mechscreen.runs.forecast import Step, core_hours, forecast, longest_path, typical_speeds, without_studies
from mechscreen.sampling import sample_seeds, sample_unit
from mechscreen.stages.table import Speeds

MEASURED_SECONDS = 3.0
"""For how long each unit of work is measured."""
_BATCHES = 4
_PREDICTIONS = 4096
_ROUGHLY = 3.0
"""A model's own estimate that is further off than by this factor is worth correcting."""


def plan(campaign: Campaign) -> str:
    """Measure the units of work on one core of this machine and return what the campaign will take, as a table."""
    typical = typical_speeds(campaign)
    sample = _sample_seconds(campaign)
    training, prediction, gpu_step = _network_seconds(campaign)
    speeds = Speeds(sample, training, prediction, gpu_step or typical.gpu_step)
    steps = forecast(campaign, speeds)
    report = without_studies(steps)
    lines = [
        f"{campaign.name}: what it takes from start to end",
        "",
        _table(steps),
        "",
        f"{core_hours(report)}; longest path {longest_path(report)}, time in the queue not counted",
        "",
        f"Measured on a core of this machine: a simulation {_duration(sample)}, a training sample once through the "
        f"network {_duration(training)}, a prediction of one member {_duration(prediction)}.",
        f"A step of the optimiser on a GPU: {_duration(speeds.gpu_step)}, "
        + ("measured here." if gpu_step else "assumed, since there is no GPU here."),
    ]
    stated = campaign.model_instance.seconds
    if not stated / _ROUGHLY < sample < stated * _ROUGHLY:
        lines.append(
            f"The model says seconds = {stated:g}, by which its jobs ask for ranks and time: "
            f"seconds = {sample:.2g} would suit."
        )
    return "\n".join(lines)


def _sample_seconds(campaign: Campaign) -> float:
    """Return the core-seconds of a simulation, from parameter sets of the campaign."""
    model = campaign.model_instance
    sampling, dimensions = campaign.simulations.sampling, len(campaign.space)

    def simulate(start: int, stop: int) -> None:
        unit = sample_unit(sampling, campaign.seed, start, stop, dimensions, "simulations")
        seeds = sample_seeds(campaign.seed, start, stop, "simulation seeds")
        model.simulate(campaign.space.physical(unit, levels=True), seeds=seeds)

    simulate(0, 1)  # compiles
    size = 1
    while True:
        # The next ones each time, since some take longer.
        start = time.process_time()
        simulate(size, 2 * size)
        seconds = time.process_time() - start
        if seconds > MEASURED_SECONDS / 2:
            return seconds / size
        size *= 2


def _network_seconds(campaign: Campaign) -> tuple[float, float, float | None]:
    """Return core-seconds of a training sample and of a prediction, and seconds of a step on a GPU if there is one."""
    from mechscreen.emulators.backend import has_gpu
    from mechscreen.emulators.networks import build_network
    from mechscreen.emulators.prediction import fastest_predictor
    from mechscreen.emulators.samples import Samples
    from mechscreen.emulators.training import Training

    settings = campaign.emulators
    batch = settings.training.batch_size
    outputs = campaign.model_instance.outputs
    rng = np.random.default_rng(0)
    n = _BATCHES * batch
    samples = Samples(
        rng.random((n, len(campaign.space)), np.float32),
        rng.random((n, len(outputs), len(outputs[0].grid)), np.float32),
        rng.random((n, len(outputs)), np.float32),
    )
    network = build_network(settings.architecture, samples, precision=settings.training.precision)
    training = Training(network, samples, samples.take(np.arange(batch)), settings.training, seed=0)
    training.run_epoch()  # compiles
    on_gpu = has_gpu()
    epoch = _repeat(training.run_epoch, time.perf_counter if on_gpu else time.process_time)
    predictor = fastest_predictor(network, min(_PREDICTIONS, n), settings.precision)
    rows = samples.parameters[: predictor.batch_size]
    predictor(rows)
    prediction = _repeat(lambda: predictor(rows), time.process_time) / len(rows)
    return epoch / n, prediction, epoch / _BATCHES if on_gpu else None


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
