"""What a campaign will take: jobs, core-hours, memory, disk, files, and its longest path.

The units of work (a simulation, a training sample once through the network, a prediction) are measured by
`mechscreen.runs.plan`, or taken as typical; the rest is counted by the table of stages. The workflow asks for memory,
ranks and time by it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from pydantic import Field

from mechscreen.campaign import Campaign
from mechscreen.progress import format_duration
from mechscreen.runs.jobs import Rule, rules
from mechscreen.stages.table import Cost, Speeds, shape_of
from mechscreen.storage import Record

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


MOST, LONGEST_START, LEAST_MEMORY = 1e4, 60.0, 0.5
"""Bounds of what is believed of jobs that were measured: how far a forecast may be off, either way; a start that takes
longer (seconds) is work; a smaller share of the memory that was forecast is not asked for."""


class Ratio(Record):
    """What the jobs of a rule took, over what was forecast at typical speeds.

    Attributes
    ----------
    jobs
        Jobs that tell it.
    work
        Core-seconds, after the start.
    start
        Seconds until a job begins with its work; None where no more than expected.
    memory
        Memory to ask for.
    """

    jobs: int = Field(ge=1)
    work: float = Field(1.0, ge=1 / MOST, le=MOST)
    start: float | None = Field(None, ge=0, le=LONGEST_START)
    memory: float = Field(1.0, ge=LEAST_MEMORY, le=MOST)

    def corrected(self, cost: Cost) -> Cost:
        """Return a forecast at typical speeds as it would have been right.

        What memory depends on the campaign's size is never taken for less: small jobs say nothing of it.
        """
        return replace(
            cost,
            core_seconds=cost.core_seconds * self.work,
            start=cost.start if self.start is None else max(cost.start, self.start),
            megabytes=math.ceil(cost.megabytes * self.memory),
            memory_of_rank=cost.memory_of_rank * max(1.0, self.memory),
            memory_of_job=cost.memory_of_job * max(1.0, self.memory),
        )


@dataclass(frozen=True)
class Step:
    """What the jobs of a rule take.

    Attributes
    ----------
    rule
        The rule, with its jobs.
    cost
        What its row of the table of stages says.
    done_before
        Whether jobs that were done say it.
    set_tasks
        MPI ranks of one job, where something else sets them; 0 where the work does.
    """

    rule: Rule
    cost: Cost
    done_before: bool = False
    set_tasks: int = 0

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
        if not self.cost.mpi:
            return 1
        most = MOST_RANKS if self.cost.most_ranks is None else min(MOST_RANKS, self.cost.most_ranks)
        return self.set_tasks or min(most, max(2, math.ceil(self.core_seconds / RANK_SECONDS)))

    @property
    def megabytes(self) -> int:
        """Memory of each rank."""
        return self.cost.megabytes_of_rank(self.tasks)

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


def forecast(
    campaign: Campaign,
    speeds: Speeds | None = None,
    ratios: Mapping[str, Ratio] = MappingProxyType({}),
    tasks: Mapping[str, int] = MappingProxyType({}),
) -> tuple[Step, ...]:
    """Return what each rule of a campaign will take.

    The rules of a study (`mechscreen.runs.jobs.Rule.study`) are among them, where the campaign has one.

    Parameters
    ----------
    campaign
        Of any size.
    speeds
        That were measured here; without them, typical ones.
    ratios
        Rule → what its jobs took, over what is forecast at typical speeds (`mechscreen.runs.used`); such jobs say more
        than units of work.
    """
    typical = typical_speeds(campaign)

    def cost(rule: Rule) -> Cost:
        ratio = ratios.get(rule.name)
        return cost_of(rule, speeds or typical) if ratio is None else ratio.corrected(cost_of(rule, typical))

    return tuple(Step(rule, cost(rule), rule.name in ratios, tasks.get(rule.name, 0)) for rule in rules(campaign))


def cost_of(rule: Rule, speeds: Speeds) -> Cost:
    """Return what the jobs of a rule take, of all rounds together: of a job in the mean, and the most that one may."""
    parts = [(rule.row.cost(view, speeds), jobs) for view, jobs in rule.parts]
    costs, jobs = [cost for cost, _ in parts], sum(number for _, number in parts)
    if len(costs) == 1 or not jobs:
        return costs[0]

    def mean(name: str) -> float:
        return sum(getattr(cost, name) * number for cost, number in parts) / jobs

    core_seconds = mean("core_seconds")
    return replace(
        costs[0],
        core_seconds=core_seconds,
        gpu_seconds=mean("gpu_seconds"),
        files=mean("files"),
        disk=sum(cost.disk for cost in costs),
        largest=max(cost.largest * cost.core_seconds for cost in costs) / core_seconds if core_seconds else 1.0,
        **{
            name: max(getattr(cost, name) for cost in costs)
            for name in ("megabytes", "memory_of_rank", "memory_of_job")
        },
    )


def one_line(name: str, steps: Collection[Step]) -> str:
    """Return the forecast of the campaign `name` in a line, for a dry run."""
    report = without_studies(steps)
    line = f"{name}, from start to end: {_in_all(report)}, longest path {longest_path(report)}, {_left(report)}"
    for study in dict.fromkeys(step.rule.noun for step in steps if step.rule.study):
        line += f"; besides, the study {study}: {_in_all([step for step in steps if step.rule.noun == study])}"
    if any(step.done_before for step in steps):
        return f"{line}, by what jobs took that were done, else at typical speeds"
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
    # Rounds follow one another.
    on_cores = sum(step.seconds * len(step.rule.parts) for step in steps)
    on_gpus = sum((step.gpu_seconds or step.seconds) * len(step.rule.parts) for step in steps)
    return f"{format_duration(on_cores)} (with GPUs {format_duration(on_gpus)})"


def _in_all(steps: Collection[Step]) -> str:
    return f"{sum(step.jobs for step in steps):,} jobs, {core_hours(steps)}"


def _left(steps: Collection[Step]) -> str:
    gigabytes = sum(step.disk for step in steps) / 1e9
    return f"at most {gigabytes:,.1f} GB in {sum(step.files for step in steps):,} files"
