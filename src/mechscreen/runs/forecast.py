"""What a campaign will take: jobs, core-hours, memory, disk, files, and its longest path.

The units of work (a simulation, a training sample once through the network, a prediction) are measured by
`mechscreen.runs.plan`, or taken as typical; the rest is counted. The workflow asks for memory, ranks and time by it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from mechscreen.campaign import Campaign
from mechscreen.progress import format_duration
from mechscreen.runs.jobs import Rule, rules

TRAINING_RATE = 1e11
PREDICTION_RATES = {"float32": 1.2e11, "bfloat16": 3.5e11}
"""Typical floating-point operations a second and core in training and prediction: those of a server core of 2023."""
TRAINING_READ, PREDICTION_READ = 2e-7, 1.5e-8
"""Typical core-seconds that a value read off a curve takes: the former's gradients go back to where it was read."""
GPU_STEP, GPU_RATE = 3e-3, 5e12
"""Typical seconds of an optimiser step on a GPU, which small networks are bound by, and operations a second of one."""

RANK_SECONDS = 600.0
"""What an MPI job is cut for: a rank's work, long beside what it takes to start."""
MOST_RANKS = 32
START_SECONDS = 4.0
"""Python, libraries, compilation."""

IMPORTANCE_POINTS = 8192
"""Of Sobol's indices, each with as many predictions as parameters that vary, and two: `mechscreen.stages.evaluate`."""
COPIES_OF_WEIGHTS = 6
"""Saved network, and a checkpoint with the best weights, the latest ones and both moments of AdamW."""
DISK_RATE = 1e8
"""Typical bytes a second that are read, checked and written again."""
PICTURE, PAGE = 2e5, 2e6
"""Bytes of a figure and of the report."""

_FLOAT, _DOUBLE = 4, 8


@dataclass(frozen=True)
class Speeds:
    """Core-seconds of the units of work.

    Attributes
    ----------
    sample
        One simulation.
    training
        One training sample, once through the network and back.
    prediction
        One parameter set, by one member of the ensemble.
    gpu_step
        One step of the optimiser on a GPU, in seconds of that GPU.
    """

    sample: float
    training: float
    prediction: float
    gpu_step: float


@dataclass(frozen=True)
class Step:
    """What the jobs of a rule take.

    Attributes
    ----------
    rule
        The rule, with its jobs.
    core_seconds
        Of one job.
    tasks
        MPI ranks of one job; 1 where it takes none.
    megabytes
        Memory of each rank.
    disk
        Bytes that all jobs write, at most.
    files
        That all jobs leave: their own, and for each job a log, a benchmark and Snakemake's records.
    gpu_seconds
        Of one job on a GPU, instead of `core_seconds`; 0 where a GPU is no use.
    """

    rule: Rule
    core_seconds: float
    tasks: int
    megabytes: int
    disk: float
    files: int
    gpu_seconds: float = 0.0

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return len(self.rule.targets)

    @property
    def seconds(self) -> float:
        """From the start of a job to its end, on processors."""
        return START_SECONDS + self.core_seconds / self.tasks

    @property
    def core_hours(self) -> float:
        """Of all jobs, on processors."""
        return self.jobs * self.tasks * self.seconds / 3600

    @property
    def gpu_hours(self) -> float:
        """Of all jobs, on GPUs."""
        return self.jobs * self.gpu_seconds / 3600

    @property
    def minutes(self) -> int:
        """Time to ask for: three times what is expected, since machines differ, and at least ten minutes."""
        return max(10, math.ceil(3 * self.seconds / 60))


def typical_speeds(campaign: Campaign) -> Speeds:
    """Return speeds from the model's own `seconds` and what the network computes."""
    dimensions, outputs, points = _shape(campaign)
    architecture = campaign.emulators.architecture
    flops = 2 * architecture.multiplications(dimensions, outputs, points)
    training = 3 * flops  # forward, and twice as much backward
    read_in_training, read_in_prediction = architecture.values_read(outputs, points)
    return Speeds(
        sample=campaign.model_instance.seconds,
        training=training / TRAINING_RATE + read_in_training * TRAINING_READ,
        prediction=flops / PREDICTION_RATES[campaign.emulators.precision] + read_in_prediction * PREDICTION_READ,
        gpu_step=max(GPU_STEP, campaign.emulators.training.batch_size * training / GPU_RATE),
    )


def forecast(campaign: Campaign, speeds: Speeds | None = None) -> tuple[Step, ...]:
    """Return what each rule of a campaign will take, from `speeds` or, without them, typical ones."""
    speeds = speeds or typical_speeds(campaign)
    simulations, emulators, screen = campaign.simulations, campaign.emulators, campaign.screen
    dimensions, outputs, points = _shape(campaign)
    profile = outputs * points * _FLOAT
    row = profile + (dimensions + outputs + 2) * _DOUBLE
    training_rows, test_rows = _rows(campaign)
    steps = training_rows / emulators.training.batch_size * emulators.training.epochs
    weights = _FLOAT * emulators.architecture.weights(dimensions, outputs, points)
    planes = max(1, math.comb(len(campaign.screen_space.varied), 2))
    counts = planes * screen.bins**2 * len(campaign.objective.class_names) * _DOUBLE
    hits = min(screen.hits_per_block * len(campaign.targets), screen.block_size)
    block = counts + hits * row
    checked = min(campaign.validation.limit * len(campaign.targets), screen.blocks * hits)

    def mpi(rule: Rule, core_seconds: float, least: int, memory: float, disk: float, files: int = 1) -> Step:
        ranks = min(MOST_RANKS, max(2, math.ceil(core_seconds / RANK_SECONDS)))
        return step(rule, core_seconds, least, memory / ranks, disk, files, tasks=ranks)

    def step(
        rule: Rule,
        core_seconds: float,
        least: int,
        memory: float,
        disk: float,
        files: float = 1,
        *,
        tasks: int = 1,
        gpu_seconds: float = 0.0,
    ) -> Step:
        megabytes = least + math.ceil(memory / 1e6)
        left = math.ceil(len(rule.targets) * (2 * files + 2))
        return Step(rule, core_seconds, tasks, megabytes, disk, left, gpu_seconds)

    *select, simulate, merge, train, evaluate, look, gather, validate, draw, write = rules(campaign)
    return (
        *(
            step(
                rule,
                simulations.shard_size
                * campaign.selection.candidates
                * campaign.selector.emulators.members
                * speeds.prediction,
                3000,
                simulations.shard_size * campaign.selection.candidates * 2 * dimensions * _DOUBLE,
                simulations.count * dimensions * _DOUBLE,
            )
            for rule in select
            if campaign.selection is not None and campaign.selector is not None
        ),
        mpi(
            simulate,
            simulations.shard_size * speeds.sample,
            1000,
            3 * simulations.shard_size * row,
            simulations.count * row,
        ),
        step(
            merge,
            simulations.count * row / DISK_RATE,
            2000,
            0,
            simulations.count * row,
            simulations.count / campaign.dataset.shard_size + 3,
        ),
        step(
            train,
            training_rows * emulators.training.epochs * speeds.training,
            3000,
            training_rows * row,
            emulators.members * COPIES_OF_WEIGHTS * weights,
            6,
            gpu_seconds=steps * speeds.gpu_step,
        ),
        step(
            evaluate,
            (test_rows + IMPORTANCE_POINTS * (len(campaign.space.varied) + 2)) * emulators.members * speeds.prediction,
            3000,
            test_rows * (emulators.members + 2) * profile,
            test_rows * 2 * profile,
            2,
        ),
        mpi(
            look,
            screen.block_size * emulators.members * speeds.prediction,
            3000 + math.ceil(3 * counts / 1e6),
            hits * row,
            screen.blocks * block,
        ),
        step(gather, screen.blocks * block / DISK_RATE, 2000, block, screen.blocks * hits * row, 2),
        mpi(
            validate,
            checked * speeds.sample,
            1500 + math.ceil(checked * profile / 1e6),
            4 * checked * profile,
            2 * checked * row,
            3,
        ),
        step(draw, 0, 3000, 0, len(draw.targets) * PICTURE, 1),
        step(write, 0, 3000, 0, PAGE, 2),
    )


def one_line(name: str, steps: Collection[Step]) -> str:
    """Return the forecast of the campaign `name` in a line, for a dry run."""
    return (
        f"{name}, from start to end: {sum(step.jobs for step in steps):,} jobs, {core_hours(steps)}, "
        f"longest path {longest_path(steps)}, at most {sum(step.disk for step in steps) / 1e9:,.1f} GB in "
        f"{sum(step.files for step in steps):,} files, at typical speeds (mechscreen plan measures them)"
    )


def core_hours(steps: Collection[Step]) -> str:
    """Return core-hours in words, and what becomes of them with GPUs."""
    all_cores = sum(step.core_hours for step in steps)
    beside_gpus = sum(step.core_hours for step in steps if not step.gpu_seconds)
    gpu_hours = sum(step.gpu_hours for step in steps)
    return f"{all_cores:,.1f} core-hours (with GPUs {beside_gpus:,.1f}, and {gpu_hours:,.1f} GPU-hours)"


def longest_path(steps: Collection[Step]) -> str:
    """Return how long a campaign takes where all jobs that can run side by side do so, on processors and on GPUs."""
    on_cores = sum(step.seconds for step in steps)
    on_gpus = sum(step.gpu_seconds or step.seconds for step in steps)
    return f"{format_duration(on_cores)} (with GPUs {format_duration(on_gpus)})"


def _rows(campaign: Campaign) -> tuple[float, float]:
    """Return the expected numbers of training and test samples."""
    split, count = campaign.dataset.split, campaign.simulations.count
    if campaign.selector is None:
        return split.train * count, split.test * count
    before, test = _rows(campaign.selector)
    return before + count, test


def _shape(campaign: Campaign) -> tuple[int, int, int]:
    """Return (dimensions, outputs, points)."""
    outputs = campaign.model_instance.outputs
    return len(campaign.space), len(outputs), len(outputs[0].grid)
