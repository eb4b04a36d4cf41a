"""What a campaign will take: jobs, core-hours, memory, disk, files, and its longest path.

The units of work (a simulation, a training sample once through the network, a prediction) are measured by
`mechscreen.runs.plan`, or taken as typical; the rest is counted by the table of stages. The workflow asks for memory,
ranks and time by it.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import dataclass

from mechscreen.campaign import Campaign
from mechscreen.progress import format_duration
from mechscreen.runs.jobs import Rule, rules
from mechscreen.stages.table import Cost, Speeds, shape_of

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


@dataclass(frozen=True)
class Step:
    """What the jobs of a rule take.

    Attributes
    ----------
    rule
        The rule, with its jobs.
    cost
        What its row of the table of stages says.
    """

    rule: Rule
    cost: Cost

    @property
    def jobs(self) -> int:
        """Number of jobs."""
        return len(self.rule.targets)

    @property
    def core_seconds(self) -> float:
        """Of one job, the mean where they differ."""
        return self.cost.core_seconds

    @property
    def gpu_seconds(self) -> float:
        """Of one job on a GPU, instead of `core_seconds`; 0 where a GPU is no use."""
        return self.cost.gpu_seconds

    @property
    def tasks(self) -> int:
        """MPI ranks of one job; 1 where it takes none."""
        return min(MOST_RANKS, max(2, math.ceil(self.core_seconds / RANK_SECONDS))) if self.cost.mpi else 1

    @property
    def megabytes(self) -> int:
        """Memory of each rank."""
        of_rank, of_job = self.cost.memory_of_rank, self.cost.memory_of_job / self.tasks
        return self.cost.megabytes + math.ceil(of_rank / 1e6) + math.ceil(of_job / 1e6)

    @property
    def disk(self) -> float:
        """Bytes that all jobs write, at most."""
        return self.cost.disk

    @property
    def files(self) -> int:
        """That all jobs leave: their own, and for each job a log, a benchmark and Snakemake's records."""
        return math.ceil(self.jobs * (2 * self.cost.files + 2))

    @property
    def seconds(self) -> float:
        """From the start of a job to its end, on processors."""
        return self.cost.start + self.core_seconds / self.tasks

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
        """Time to ask for: three times what the longest job takes, since machines differ, and at least ten minutes."""
        longest = self.cost.start + self.cost.largest * self.core_seconds / self.tasks
        return max(10, math.ceil(3 * longest / 60))


def typical_speeds(campaign: Campaign) -> Speeds:
    """Return speeds from the model's own `seconds` and what the network computes."""
    dimensions, outputs, points = shape_of(campaign)
    architecture = campaign.emulators.architecture
    flops = 2 * architecture.multiplications(dimensions, outputs, points)
    training = 3 * flops  # forward, and twice as much backward
    read_in_training, read_in_prediction = architecture.values_read(outputs, points)
    return Speeds(
        sample=campaign.about.model.seconds,
        training=training / TRAINING_RATE + read_in_training * TRAINING_READ,
        prediction=flops / PREDICTION_RATES[campaign.emulators.precision] + read_in_prediction * PREDICTION_READ,
        gpu_step=max(GPU_STEP, campaign.emulators.training.batch_size * training / GPU_RATE),
    )


def forecast(campaign: Campaign, speeds: Speeds | None = None) -> tuple[Step, ...]:
    """Return what each rule of a campaign will take, from `speeds` or, without them, typical ones.

    The rules of a study (`mechscreen.runs.jobs.Rule.study`) are among them, where the campaign has one.
    """
    speeds = speeds or typical_speeds(campaign)
    return tuple(Step(rule, rule.row.cost(campaign, speeds)) for rule in rules(campaign))


def one_line(name: str, steps: Collection[Step]) -> str:
    """Return the forecast of the campaign `name` in a line, for a dry run."""
    report = without_studies(steps)
    line = f"{name}, from start to end: {_in_all(report)}, longest path {longest_path(report)}, {_left(report)}"
    for study in dict.fromkeys(step.rule.noun for step in steps if step.rule.study):
        line += f"; besides, the study {study}: {_in_all([step for step in steps if step.rule.noun == study])}"
    return f"{line}, at typical speeds (mechscreen plan measures them)"


def without_studies(steps: Collection[Step]) -> list[Step]:
    """Return the steps that lead to the report."""
    return [step for step in steps if not step.rule.study]


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


def _in_all(steps: Collection[Step]) -> str:
    return f"{sum(step.jobs for step in steps):,} jobs, {core_hours(steps)}"


def _left(steps: Collection[Step]) -> str:
    gigabytes = sum(step.disk for step in steps) / 1e9
    return f"at most {gigabytes:,.1f} GB in {sum(step.files for step in steps):,} files"
