"""The table of stages: for each rule of the workflow its noun and verb, its jobs, what they read, and what they cost.

The verb names the rule file, the verb of the command line, the stage's module and the folder of logs; the noun names
the folder of results. All else that knows stages reads this table: jobs, forecast, status, the rules' inputs and
resources; the table of docs/explanation/architecture.md and the lines of ``mechscreen --help`` are checked against it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from mechscreen.campaign import Campaign
from mechscreen.campaign.graph import Stage
from mechscreen.figures import figure_names, get_figure
from mechscreen.inference.walkers import walkers_of
from mechscreen.odds import STRATA, STRATA_OF_HITS
from mechscreen.tally import DRAWN

Files = Mapping[str, Path | list[Path]]

START_SECONDS = 4.0
"""Python, libraries, compilation."""
IMPORTANCE_POINTS = 8192
"""Of Sobol's indices, each with as many predictions as parameters that vary, and two: `mechscreen.stages.evaluate`."""
PATTERN_POINTS = 20_000
"""Random sets by which it is seen what outputs there are, at most."""
CANDIDATE_VALUES = 2**23
"""Values of the candidates for a calibration that a rank predicts at once, by each member, at most."""
STEPS_OF_MOVE = 64
"""Of a parameter's range, by which one of a hit moves."""
MOVED = 200
"""Simulations by which it is seen whether hits are as robust as the ensemble says."""
STEPS_OF_SEARCH = 40
"""Of a search for the best parameter set, about, of which every second one looks aside along each axis."""
DRAWN_OF_SEARCH = 40
"""Sets of which it begins at the best, at most."""
GENERATIONS_OF_SEARCH = 60
"""Of a search for the largest value, about, times the root of the number of parameters that vary."""
SEARCHES_TOGETHER = 25
"""Searches that an ensemble predicts for side by side."""
STEPS_OF_DRAW = 5
"""Simulations for an independent draw of a posterior, for each parameter that varies, about."""
COPIES_OF_WEIGHTS = 6
"""Saved network, and a checkpoint with the best weights, the latest ones and both moments of AdamW."""
DISK_RATE = 1e8
"""Typical bytes a second that are read, checked and written again."""
PICTURE, PAGE = 2e5, 3e6
"""Bytes of a figure and of the report."""

_FLOAT, _DOUBLE = 4, 8
_DRAWN_BYTES = 10
"""Number and level of a sample that is drawn."""


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
    looking
        One parameter set of the screen: drawn, labelled by the objective, counted.
    network_start
        Start of a job that loads the network library, and compiles.
    of_many
        One simulation in a screen by the model, which makes larger calls than simulations do; None where as `sample`.
    """

    sample: float
    training: float
    prediction: float
    gpu_step: float
    looking: float = 3e-6
    network_start: float = START_SECONDS
    of_many: float | None = None


@dataclass(frozen=True)
class Cost:
    """What the jobs of a rule take.

    Attributes
    ----------
    core_seconds
        Of one job; the mean where they differ.
    megabytes
        Memory of each process, whatever the campaign's size.
    memory_of_rank, memory_of_job
        Bytes on top of it that each process needs, and that the ranks of a job share.
    disk
        Bytes that all jobs write, at most.
    files
        That one job leaves.
    gpu_seconds
        Of one job on a GPU, instead of `core_seconds`; 0 where a GPU is no use.
    largest
        How many times the mean the longest job takes.
    mpi
        Whether ranks share the work of a job.
    most_ranks
        Which have something to do at a time; None: as many as there are.
    start
        Seconds until a job begins with its work.
    """

    core_seconds: float
    megabytes: int
    memory_of_rank: float = 0.0
    memory_of_job: float = 0.0
    disk: float = 0.0
    files: float = 1
    gpu_seconds: float = 0.0
    largest: float = 1.0
    mpi: bool = False
    most_ranks: int | None = None
    start: float = START_SECONDS

    def megabytes_of_rank(self, ranks: int) -> int:
        """Return the memory of each of some ranks that share a job."""
        return self.megabytes + math.ceil(self.memory_of_rank / 1e6) + math.ceil(self.memory_of_job / ranks / 1e6)


@dataclass(frozen=True)
class Row:
    """A rule of the workflow.

    Attributes
    ----------
    rule
        As in the workflow: ``simulate_shard``.
    noun, verb
        Of its stage: ``simulations``, ``simulate``.
    depends
        Stage whose identity its files have (`mechscreen.campaign.Campaign.identity`).
    targets
        Campaign → name of each job, and of its log (``shard-00003``) → the file that says that it is done.
    inputs
        Campaign, name of a job → the files that it reads, by what they are.
    cost
        Campaign, speeds → what the jobs take.
    applies
        Whether a campaign has such jobs.
    study
        Whether it belongs to a study of its own, named by its noun, and not to what leads to the report.
    each_its_own
        Whether its jobs read different files.
    each_round
        Whether each round of a campaign has such jobs (`mechscreen.campaign.Campaign.of_round`).
    """

    rule: str
    noun: str
    verb: str
    depends: Stage
    targets: Callable[[Campaign], Mapping[str, Path]]
    inputs: Callable[[Campaign, str], Files]
    cost: Callable[[Campaign, Speeds], Cost]
    applies: Callable[[Campaign], bool] = lambda campaign: True
    study: bool = False
    each_its_own: bool = False
    each_round: bool = False


def _models(campaign: Campaign) -> list[Path]:
    return [campaign.paths.member(k) / "model.keras" for k in range(campaign.emulators.members)]


def _histories(campaign: Campaign) -> list[Path]:
    return [campaign.paths.member(k) / "history.csv" for k in range(campaign.emulators.members)]


def _shards(campaign: Campaign) -> dict[str, Path]:
    return {path.stem: path for path in map(campaign.paths.shard, range(campaign.simulations.shards))}


def _blocks(campaign: Campaign) -> dict[str, Path]:
    return {path.stem: path for path in map(campaign.paths.block, range(campaign.screen.blocks))}


def _selected(campaign: Campaign) -> dict[str, Path]:
    return {path.stem: path for path in map(campaign.paths.selected, range(campaign.simulations.shards))}


def _sized(campaign: Campaign) -> dict[str, Path]:
    """Return the networks of the study of sample sizes."""
    sizes, members = campaign.learning.sizes, range(campaign.learning.members)
    return {
        f"samples-{size}-member-{k}": campaign.paths.member(k, size) / "model.keras" for size in sizes for k in members
    }


def _committee(campaign: Campaign, job: str) -> Files:
    return {"models": [] if campaign.selector is None else _models(campaign.selector)}


def _selected_for(campaign: Campaign, job: str) -> Files:
    return {} if campaign.selection is None else {"selected": campaign.paths.selection / f"{job}.h5"}


def _has_emulators(campaign: Campaign) -> bool:
    return not campaign.by_model


def _of_screen(campaign: Campaign, job: str) -> Files:
    if campaign.by_model:
        return {}
    found: dict[str, Path | list[Path]] = {"models": _models(campaign)}
    return found | ({"calibration": campaign.paths.calibrated} if campaign.asks_probabilities else {})


def _of_hits(campaign: Campaign, job: str) -> Files:
    found: dict[str, Path | list[Path]] = {"hits": campaign.paths.screen_hits, "counts": campaign.paths.screen_summary}
    if campaign.validation.robustness:
        found["models"] = _models(campaign)
    return found | ({} if campaign.by_model else {"manifest": campaign.paths.manifest})


def _of_searches(campaign: Campaign, job: str) -> Files:
    found: dict[str, Path | list[Path]] = {"hits": campaign.paths.validation_hits}
    return found | ({} if campaign.polishes_by_model else {"models": _models(campaign)})


def _of_posterior(campaign: Campaign, job: str) -> Files:
    found: dict[str, Path | list[Path]] = {"polished": campaign.paths.polished}
    return found | ({} if campaign.polishes_by_model else {"models": _models(campaign)})


def _all_results(campaign: Campaign, job: str) -> Files:
    paths = campaign.paths
    found: dict[str, Path | list[Path]] = {
        **({"polished": paths.polished} if campaign.searches else {}),
        **({"posterior": paths.posterior} if campaign.drawn else {}),
        **({"screened": paths.screen_hits} if len(campaign.features) else {}),
        "figures": [paths.figure(name) for name in figure_names(campaign)],
        "summary": paths.screen_summary,
        "hits": paths.validation_hits,
        "validation": paths.validation_summary,
    }
    if campaign.by_model:
        return found
    if campaign.asks_probabilities:
        found["calibration"] = paths.calibrated
    if campaign.surveyed:
        found["survey"] = paths.survey
    if campaign.validation.robustness:
        found["robustness"] = paths.robustness
    if campaign.own_rounds > 1:
        rounds = [view.paths for view in campaign.in_rounds]
        found["rounds"] = [path for of in rounds for path in (of.metrics, of.manifest)]
    return found | {
        "manifest": paths.manifest,
        "metrics": paths.metrics,
        "predictions": paths.predictions,
        "histories": _histories(campaign),
    }


def shape_of(campaign: Campaign) -> tuple[int, int, int]:
    """Return (dimensions, outputs, points) of a campaign's model; points of an output are the mean over all."""
    outputs = campaign.outputs
    return len(campaign.space), len(outputs), math.ceil(sum(outputs.sizes) / len(outputs))


def _profile(campaign: Campaign) -> int:
    """Return the bytes of the profiles of a sample."""
    _, outputs, points = shape_of(campaign)
    return outputs * points * _FLOAT


def _sample(campaign: Campaign) -> int:
    """Return the bytes of all that is stored of a sample."""
    dimensions, outputs, _ = shape_of(campaign)
    return _profile(campaign) + (dimensions + outputs + 2) * _DOUBLE


def _rows(campaign: Campaign) -> tuple[float, float]:
    """Return the expected numbers of training and test samples."""
    split, count = campaign.dataset.split, campaign.simulations.count
    if campaign.rounds > 1:
        return _rows(campaign.learnt)
    if campaign.selector is None:
        return split.train * count + _imported(campaign), split.test * count
    before, test = _rows(campaign.selector)
    return before + count + _imported(campaign), test


def _imported(campaign: Campaign) -> float:
    """Return about how many simulations are imported: a value takes from 4 bytes, as in an array, to 20, as in text."""
    return sum(table.bytes for table in campaign.about.imported.values()) / (_sample(campaign) or 1)


def _weights(campaign: Campaign) -> int:
    """Return the bytes of a network's weights."""
    return _FLOAT * campaign.emulators.architecture.weights(*shape_of(campaign))


def _counts(campaign: Campaign) -> int:
    """Return the bytes of a screen's histograms over the parameter planes."""
    planes = max(1, math.comb(len(campaign.screen_space.varied), 2))
    return planes * campaign.screen.bins**2 * len(campaign.screen_classes) * _DOUBLE


def _hits(campaign: Campaign) -> int:
    """Return the largest number of hits in a block."""
    strata = STRATA_OF_HITS if campaign.asks_probabilities else 1
    return min(strata * campaign.screen.hits_per_block * len(campaign.targets), campaign.screen.block_size)


def _block(campaign: Campaign) -> int:
    """Return the bytes of a block of the screen, at most."""
    return _counts(campaign) + _hits(campaign) * _sample(campaign) + _drawn(campaign)


def _drawn(campaign: Campaign) -> int:
    """Return the bytes of what a block draws of all strata of probability, at most."""
    return min(campaign.screen.block_size, DRAWN * STRATA) * _DRAWN_BYTES if campaign.asks_probabilities else 0


def _select_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    assert campaign.selection is not None
    assert campaign.selector is not None
    dimensions, _, _ = shape_of(campaign)
    candidates = campaign.simulations.shard_size * campaign.selection.candidates
    labelled = candidates * 2 * campaign.selector.emulators.members * speeds.looking
    return Cost(
        candidates * campaign.selector.emulators.members * speeds.prediction + labelled,
        3000,
        memory_of_job=candidates * 2 * dimensions * _DOUBLE,
        disk=campaign.simulations.count * dimensions * _DOUBLE,
        start=speeds.network_start,
    )


def _simulate_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    size = campaign.simulations.shard_size
    return Cost(
        size * speeds.sample,
        1000,
        memory_of_job=3 * size * _sample(campaign),
        disk=campaign.simulations.count * _sample(campaign),
        mpi=True,
    )


def _merge_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    count = campaign.simulations.count
    return Cost(
        count * _sample(campaign) / DISK_RATE,
        2000,
        # Tables are read whole, those of text by the row.
        memory_of_job=5 * _imported(campaign) * _sample(campaign),
        disk=(count + _imported(campaign)) * _sample(campaign),
        files=count / campaign.dataset.shard_size + 3,
    )


def _train_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    rows, training = _rows(campaign)[0], campaign.emulators.training
    return Cost(
        rows * training.epochs * speeds.training,
        3000,
        memory_of_job=rows * _sample(campaign),
        disk=campaign.emulators.members * COPIES_OF_WEIGHTS * _weights(campaign),
        files=6,
        gpu_seconds=rows / training.batch_size * training.epochs * speeds.gpu_step,
        start=speeds.network_start,
    )


def _train_ensemble_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    one, members = _train_cost(campaign, speeds), campaign.emulators.members
    return replace(
        one,
        core_seconds=members * one.core_seconds,
        # Samples are there twice: as read, and where JAX computes.
        memory_of_job=2 * one.memory_of_job + members * COPIES_OF_WEIGHTS * _weights(campaign),
        files=members * one.files,
        gpu_seconds=members * one.gpu_seconds,
    )


def _train_on_samples_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    sizes, training = campaign.learning.sizes, campaign.emulators.training
    mean = sum(sizes) / len(sizes)
    return Cost(
        mean * training.epochs * speeds.training,
        3000,
        # A network that learns from a part is handed all of the training split.
        memory_of_job=_rows(campaign)[0] * _sample(campaign),
        disk=len(sizes) * campaign.learning.members * COPIES_OF_WEIGHTS * _weights(campaign),
        files=6,
        gpu_seconds=mean / training.batch_size * training.epochs * speeds.gpu_step,
        largest=max(sizes) / mean,
        start=speeds.network_start,
    )


def _learn_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    networks = len(campaign.learning.sizes) * campaign.learning.members
    test_rows = _rows(campaign)[1]
    return Cost(
        # Each network is loaded and compiled.
        networks * (START_SECONDS + test_rows * speeds.prediction),
        8000,
        memory_of_job=test_rows * (campaign.learning.members + 2) * _profile(campaign),
        disk=PICTURE,
        files=2,
    )


def _evaluate_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    test_rows, members = _rows(campaign)[1], campaign.emulators.members
    importance = IMPORTANCE_POINTS * (len(campaign.space.varied) + 2)
    return Cost(
        (test_rows + importance + PATTERN_POINTS) * members * speeds.prediction,
        3000,
        memory_of_job=test_rows * (members + 2) * _profile(campaign),
        disk=test_rows * 2 * _profile(campaign),
        files=2,
        start=speeds.network_start,
    )


def _calibrate_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    section, members = campaign.calibration, campaign.emulators.members
    return Cost(
        section.candidates * (members * speeds.prediction + 2 * members * speeds.looking)
        + section.count * speeds.sample,
        3000,
        memory_of_rank=4 * members * CANDIDATE_VALUES * _FLOAT,
        memory_of_job=section.candidates * 2 * _DOUBLE + 3 * section.count * members * _sample(campaign),
        disk=section.count * _sample(campaign),
        files=1,
        mpi=True,
        start=speeds.network_start,
    )


def _screen_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    simulated = speeds.sample if speeds.of_many is None else speeds.of_many
    each = simulated if campaign.by_model else campaign.emulators.members * speeds.prediction
    return Cost(
        campaign.screen.block_size * (each + speeds.looking),
        1000 if campaign.by_model else 3000,
        memory_of_rank=3 * _counts(campaign),
        memory_of_job=_hits(campaign) * _sample(campaign),
        disk=campaign.screen.blocks * _block(campaign),
        mpi=True,
        start=START_SECONDS if campaign.by_model else speeds.network_start,
    )


def _gather_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    blocks = campaign.screen.blocks
    return Cost(
        blocks * _block(campaign) / DISK_RATE,
        2000,
        memory_of_job=_block(campaign),
        disk=blocks * _hits(campaign) * _sample(campaign),
        files=2,
    )


def _validate_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    moved = MOVED if campaign.validation.robustness else 0
    # Each parameter of each hit, both ways, to the end of its range.
    predicted = campaign.validation.robustness * len(campaign.screen_space.varied) * STEPS_OF_MOVE
    checked = min(campaign.validation.limit * len(campaign.targets), campaign.screen.blocks * _hits(campaign))
    return Cost(
        (checked + campaign.surveyed + moved) * speeds.sample
        + predicted * campaign.emulators.members * speeds.prediction,
        1500,
        memory_of_rank=checked * _profile(campaign),
        # What the members say of the hits is asked by one rank.
        memory_of_job=4 * checked * _profile(campaign)
        + 2 * campaign.surveyed * _sample(campaign)
        + (0 if campaign.by_model else 1.5e9),
        disk=(2 * checked + campaign.surveyed) * _sample(campaign),
        files=3 + bool(campaign.surveyed) + bool(campaign.validation.robustness),
        mpi=True,
    )


def _polish_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    d = len(campaign.screen_space.varied)
    if campaign.maximises:
        # Populations of CMA-ES, and generations until it converges, about.
        looked = (4 + 3 * math.log(d)) * min(300, GENERATIONS_OF_SEARCH * math.sqrt(d))
        each = campaign.emulators.members * speeds.prediction + speeds.looking
        if campaign.polishes_by_model:
            each = speeds.sample
        return Cost(
            # Twice: what predicts computes whole batches, and searches do not all end at once.
            campaign.searches * ((1 if campaign.polishes_by_model else 2) * looked * each + speeds.sample),
            1000 if campaign.polishes_by_model else 3000,
            disk=2 * campaign.searches * _sample(campaign),
            mpi=True,
            # Searches by the ensemble are made many at once.
            most_ranks=campaign.searches // (1 if campaign.polishes_by_model else SEARCHES_TOGETHER) + 1,
            start=START_SECONDS if campaign.polishes_by_model else speeds.network_start,
        )
    each = speeds.sample if campaign.polishes_by_model else campaign.emulators.members * speeds.prediction
    return Cost(
        campaign.searches * ((STEPS_OF_SEARCH * (d + 2) / 2 + DRAWN_OF_SEARCH) * each + speeds.sample),
        1000 if campaign.polishes_by_model else 3000,
        disk=2 * campaign.searches * _sample(campaign),
        mpi=True,
        most_ranks=campaign.searches + 1,
    )


def _infer_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    d, most = len(campaign.screen_space.varied), campaign.posterior.simulations
    # Walkers need some autocorrelation times at least, and these are about so many steps for each parameter.
    expected = max(campaign.drawn, 50 * walkers_of(d)) * STEPS_OF_DRAW * d
    chain = min(most, expected) * (d + 1) * _FLOAT
    each = speeds.sample if campaign.polishes_by_model else campaign.emulators.members * speeds.prediction
    return Cost(
        min(most, expected) * each + (0 if campaign.polishes_by_model else campaign.drawn) * speeds.sample,
        1000 if campaign.polishes_by_model else 3000,
        memory_of_job=4 * chain,
        disk=chain + campaign.drawn * 4 * len(campaign.space) * _DOUBLE,
        files=4,
        mpi=True,
        # Half of the walkers move at a time; of many ranks the first one does not work.
        most_ranks=walkers_of(d) // 2 + 1,
    )


def _draw_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    # A figure as PNG and SVG, and what it draws as CSV.
    return Cost(0, 3000, disk=3 * len(figure_names(campaign)) * PICTURE, files=3)


def _write_cost(campaign: Campaign, speeds: Speeds) -> Cost:
    return Cost(0, 3000, disk=PAGE, files=2)


TABLE: tuple[Row, ...] = (
    Row(
        "select_shard",
        "selection",
        "select",
        depends="selection",
        targets=_selected,
        inputs=_committee,
        cost=_select_cost,
        applies=lambda campaign: campaign.selection is not None,
        each_round=True,
    ),
    Row(
        "simulate_shard",
        "simulations",
        "simulate",
        depends="simulations",
        targets=_shards,
        inputs=_selected_for,
        cost=_simulate_cost,
        applies=_has_emulators,
        each_its_own=True,
        each_round=True,
    ),
    Row(
        "merge_shards",
        "dataset",
        "merge",
        depends="dataset",
        targets=lambda campaign: {"merge": campaign.paths.manifest},
        inputs=lambda campaign, job: {"shards": [*_shards(campaign).values()]},
        cost=_merge_cost,
        applies=_has_emulators,
        each_round=True,
    ),
    Row(
        "train_member",
        "emulators",
        "train",
        depends="emulators",
        targets=lambda campaign: {path.parent.name: path for path in _models(campaign)},
        inputs=lambda campaign, job: {"manifest": campaign.paths.manifest},
        cost=_train_cost,
        applies=lambda campaign: _has_emulators(campaign) and not campaign.emulators.together,
        each_round=True,
    ),
    Row(
        "train_ensemble",
        "emulators",
        "train",
        depends="emulators",
        # All are written at the end, the last one last.
        targets=lambda campaign: {"together": _models(campaign)[-1]},
        inputs=lambda campaign, job: {"manifest": campaign.paths.manifest},
        cost=_train_ensemble_cost,
        applies=lambda campaign: _has_emulators(campaign) and campaign.emulators.together,
        each_round=True,
    ),
    Row(
        "train_on_samples",
        "learning",
        "learn",
        depends="emulators",
        targets=_sized,
        inputs=lambda campaign, job: {"manifest": campaign.paths.manifest},
        cost=_train_on_samples_cost,
        applies=lambda campaign: bool(campaign.learning.sizes),
        study=True,
    ),
    Row(
        "measure_learning",
        "learning",
        "learn",
        depends="learning",
        targets=lambda campaign: {"learn": campaign.paths.learning_summary},
        inputs=lambda campaign, job: {
            "manifest": campaign.paths.manifest,
            "models": [*_sized(campaign).values()],
        },
        cost=_learn_cost,
        applies=lambda campaign: bool(campaign.learning.sizes),
        study=True,
    ),
    Row(
        "evaluate_ensemble",
        "evaluation",
        "evaluate",
        depends="evaluation",
        targets=lambda campaign: {"evaluate": campaign.paths.metrics},
        inputs=lambda campaign, job: {"manifest": campaign.paths.manifest, "models": _models(campaign)},
        cost=_evaluate_cost,
        applies=_has_emulators,
        each_round=True,
    ),
    Row(
        "calibrate_ensemble",
        "calibration",
        "calibrate",
        depends="calibration",
        targets=lambda campaign: {"calibrate": campaign.paths.calibrated},
        inputs=lambda campaign, job: {"models": _models(campaign)},
        cost=_calibrate_cost,
        applies=lambda campaign: _has_emulators(campaign) and campaign.calibration.count > 0,
    ),
    Row(
        "screen_block",
        "screen",
        "screen",
        depends="screen",
        targets=_blocks,
        inputs=_of_screen,
        cost=_screen_cost,
    ),
    Row(
        "gather_screen",
        "screen",
        "screen",
        depends="hits",
        targets=lambda campaign: {"gather": campaign.paths.screen_hits},
        inputs=lambda campaign, job: {"blocks": [*_blocks(campaign).values()]},
        cost=_gather_cost,
    ),
    Row(
        "validate_hits",
        "validation",
        "validate",
        depends="validation",
        targets=lambda campaign: {"validate": campaign.paths.validation_hits},
        inputs=_of_hits,
        cost=_validate_cost,
    ),
    Row(
        "polish_sets",
        "polished",
        "polish",
        depends="polished",
        targets=lambda campaign: {"polish": campaign.paths.polished},
        inputs=_of_searches,
        cost=_polish_cost,
        applies=lambda campaign: campaign.searches > 0,
    ),
    Row(
        "infer_posterior",
        "posterior",
        "infer",
        depends="posterior",
        targets=lambda campaign: {"infer": campaign.paths.posterior},
        inputs=_of_posterior,
        cost=_infer_cost,
        applies=lambda campaign: campaign.drawn > 0,
    ),
    Row(
        "draw_figure",
        "figures",
        "report",
        depends="report",
        targets=lambda campaign: {name: campaign.paths.figure(name) for name in figure_names(campaign)},
        inputs=lambda campaign, name: get_figure(campaign, name).inputs(campaign),
        cost=_draw_cost,
        each_its_own=True,
    ),
    Row(
        "write_report",
        "report",
        "report",
        depends="report",
        targets=lambda campaign: {"report": campaign.paths.report},
        inputs=_all_results,
        cost=_write_cost,
    ),
)
"""In the order in which data flows."""

VERBS = tuple(dict.fromkeys(row.verb for row in TABLE))
"""Of all stages, each once."""
