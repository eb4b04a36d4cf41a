"""Validate: hits of the screen → the model's own simulations of them → which hits stand, and how new they are."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from mechscreen import storage
from mechscreen.campaign import Campaign, Identity
from mechscreen.models.distances import Distance
from mechscreen.models.outputs import Status
from mechscreen.progress import Progress
from mechscreen.ranks import ALONE, NEVER, Deadline, Ranks
from mechscreen.sampling import sample_seeds
from mechscreen.stages import merge, simulate
from mechscreen.stages.hits import to_csv
from mechscreen.stages.provenance import describe, provenance, record
from mechscreen.stages.screen import HITS_KIND, SUMMARY_KIND, Search
from mechscreen.tally import random_keys

log = logging.getLogger(__name__)

KIND = "validation"

_NO_LABEL = -1
"""Label of a simulation that failed."""

_CHUNK = 1024
"""Training samples, and hits, that are compared with one another at once."""


def validate(campaign: Campaign, ranks: Ranks = ALONE, deadline: Deadline = NEVER) -> Path:
    """Simulate the hits of the screen with the model and compare; a call that all ranks make. Return the table's path.

    All hits of a class are simulated; if they are more than ``validation.limit``, a random sample of so many. Where the
    model does not confirm a hit or its class, its sensitivity is measured too: is the emulator wrong, or does the
    model's own profile move as far when the parameters change in the sixth digit? ``validation/hits.h5`` has a row for
    each simulated hit, ``validation/hits.csv`` the same without profiles, by trust, ``validation/summary.json`` the
    figures. Simulations are continued after an interruption like those of `mechscreen.stages.simulate.simulate`.

    Raises
    ------
    FileError
        If the hits or the training set are missing, wrong, or of another campaign.
    StorageError
        If files cannot be read or written.
    Interrupted
        On all ranks, when `deadline` was reached before all hits were simulated.
    """
    search = Search(campaign)
    with ranks.together():
        hits, screened, found = ranks.from_root(lambda: _choose_hits(campaign))
        task = simulate.Task(
            path=campaign.paths.validation / "simulations.h5",
            label="validate",
            model=campaign.model_instance,
            model_name=campaign.model.name,
            model_options=campaign.model.options,
            sample_time_limit=campaign.simulations.sample_time_limit,
            index=np.arange(len(hits["index"])),
            parameters=hits["parameters"],
            seeds=_seeds(campaign, hits["index"]),
            attributes=provenance(campaign, "validation", simulate.KIND),
            identity=campaign.identity("validation"),
        )
        _simulate(task, ranks, deadline)
        simulated = ranks.from_root(lambda: storage.read(task.path, simulate.KIND).arrays)
        distance = ranks.from_root(lambda: merge.load_distance(campaign))
        table = _compare(search, distance, hits, simulated)
        stands = table["confirmed"] & table["same_class"]
        of_misses = _of_misses(task, np.flatnonzero((table["status"] == Status.OK) & ~stands))
        if len(of_misses.index):
            _simulate(of_misses, ranks, deadline)
        nearest, training = _compare_with_training(search, distance, simulated, ranks)
        if ranks.is_root:
            table |= nearest
            table["sensitivity"] = np.full(table["log_peaks"].shape, np.nan)
            if len(of_misses.index):
                measured = storage.read(of_misses.path, simulate.KIND)["sensitivity"]
                table["sensitivity"][of_misses.index] = measured / distance.deviations
            storage.write_json(campaign.paths.validation_summary, _summarise(search, table, screened, found, training))
            storage.write_text(campaign.paths.validation_table, to_csv(campaign, table))
            storage.write(
                campaign.paths.validation_hits,
                {**table, "class_names": np.array(search.campaign.class_names), **describe(task.model)},
                {**provenance(campaign, "validation", KIND), "rmse_limit": campaign.validation.rmse_limit},
            )
            storage.remove(task.path)
            storage.remove(of_misses.path)
            log.info(
                "validate: %d of %d simulated hits are within RMSE %g, %d are of the same class",
                table["confirmed"].sum(),
                len(table["index"]),
                campaign.validation.rmse_limit,
                table["same_class"].sum(),
            )
    return campaign.paths.validation_hits


def nearest(points: NDArray[Any], others: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Find the nearest of the `others` for each point.

    Parameters
    ----------
    points, others
        (n, coordinates) and (m, coordinates), m > 0 (`Distance.coordinates`).

    Returns
    -------
    distance
        (n,), root mean square difference over the coordinates; NaN where one is.
    place
        (n,), row of `others`; the first of equals.
    """
    distance = np.full(len(points), np.nan)
    place = np.zeros(len(points), np.int64)
    for first in range(0, len(points), _CHUNK):
        rows = slice(first, first + _CHUNK)
        a = points[rows].astype(np.float64)
        squares = np.full(len(a), np.inf)
        for start in range(0, len(others), _CHUNK):
            b = others[start : start + _CHUNK].astype(np.float64)
            # |a − b|² = |a|² − 2 a·b + |b|²; |a|² is the same for all b; cancellation does not matter in the search.
            partial = (b * b).sum(axis=1) - 2 * (a @ b.T)
            best = partial.argmin(axis=1)
            square = np.square(a - b[best]).mean(axis=1)
            closer = square < squares
            squares[closer], place[rows][closer] = square[closer], start + best[closer]
        distance[rows] = np.where(np.isfinite(a).all(axis=1), np.sqrt(squares), np.nan)
    return distance, place


def _choose_hits(campaign: Campaign) -> tuple[dict[str, NDArray[Any]], dict[str, int], dict[int, int]]:
    """Return the hits to simulate, by column, and how many the screen found, kept, discarded, and of each class."""
    path = campaign.paths.screen_hits
    with storage.open_file(path, HITS_KIND, campaign.identity("screen")) as file:
        if file.attributes["samples"] != campaign.screen.count:
            raise storage.FileError(
                path,
                f"gathered from {file.attributes['samples']} parameter sets, and the screen has "
                f"{campaign.screen.count}",
                "gather it again (mechscreen screen --gather)",
            )
        trusted = storage.read(campaign.paths.screen_summary, SUMMARY_KIND, campaign.identity("screen"))["trusted"]
        found = {label: int(trusted[label]) for label in campaign.targets}
        labels, keys = np.asarray(file["labels"]), random_keys(np.asarray(file["index"]))
        chosen, limit = [np.empty(0, np.intp)], campaign.validation.limit
        for label, number in found.items():
            rows = np.flatnonzero(labels == label)
            # Where blocks kept some of a class, those of the least keys, so many of the least of all are surely there.
            most = limit if len(rows) == number else min(limit, campaign.screen.hits_per_block)
            chosen.append(rows[np.argsort(keys[rows])[:most]])
        columns = ("index", "parameters", "labels", "disagreement", "profiles", "log_peaks")
        rows = np.sort(np.concatenate(chosen))
        totals = {name: int(file.attributes[name]) for name in ("hits_found", "hits_kept", "hits_discarded")}
        return {name: file[name][rows] for name in columns}, totals, found


def _seeds(campaign: Campaign, index: NDArray[np.int64]) -> NDArray[np.uint64]:
    """Return a seed for each hit, from the number of its sample."""
    seeds = [sample_seeds(campaign.seed, int(i), int(i) + 1, "validation seeds") for i in index]
    return np.concatenate([np.empty(0, np.uint64), *seeds])


def _of_misses(task: simulate.Task, rows: NDArray[np.int64]) -> simulate.Task:
    """Return the task that measures how sensitive the model is where it does not confirm a hit."""
    return replace(
        task,
        path=task.path.with_name("misses.h5"),
        label="validate misses",
        index=rows,
        parameters=task.parameters[rows],
        seeds=task.seeds[rows],
        sensitivity=True,
    )


def _simulate(task: simulate.Task, ranks: Ranks, deadline: Deadline) -> None:
    """Simulate a task; one that an earlier attempt simulated is left as it is."""

    def check() -> None:
        file = storage.read(task.path, simulate.KIND, task.identity)
        if not np.array_equal(file["parameters"], task.parameters):
            raise storage.FileError(task.path, "holds other samples")

    simulate.run_task(task, check, ranks, deadline)


def _compare(
    search: Search, distance: Distance, hits: Mapping[str, NDArray[Any]], simulated: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """Return a row for each hit: emulated, simulated, and how far these are apart (NaN where the simulation failed)."""
    ok = simulated["status"] == Status.OK
    labels = np.full(len(ok), _NO_LABEL)
    labels[ok] = search.objective(simulated["profiles"][ok], simulated["log_peaks"][ok])
    error = distance(simulated["profiles"], simulated["log_peaks"], hits["profiles"], hits["log_peaks"])
    return {
        "index": hits["index"],
        "parameters": hits["parameters"],
        "disagreement": hits["disagreement"],
        "emulated_labels": hits["labels"],
        "emulated_profiles": hits["profiles"],
        "emulated_log_peaks": hits["log_peaks"],
        "labels": labels,
        "profiles": simulated["profiles"],
        "log_peaks": simulated["log_peaks"],
        "status": simulated["status"],
        "reasons": simulated["reasons"],
        "rmse": error,
        "log_peak_error": np.abs(simulated["log_peaks"] - hits["log_peaks"]),
        "confirmed": error <= search.campaign.validation.rmse_limit,
        "same_class": labels == hits["labels"],
    }


def _compare_with_training(
    search: Search, distance_of: Distance, simulated: Mapping[str, NDArray[Any]], ranks: Ranks
) -> tuple[dict[str, NDArray[Any]], NDArray[np.int64]]:
    """Return, on rank 0, the nearest training sample of each hit, and the number of training samples by class."""
    campaign = search.campaign
    hits = distance_of.coordinates(simulated["profiles"], simulated["log_peaks"])
    files = ranks.from_root(lambda: merge.split_files(campaign, "train"))
    distance = np.full(len(hits), np.inf)
    index = np.full(len(hits), -1, np.int64)
    classes = np.zeros(len(search.campaign.class_names), np.int64)

    def work(part: tuple[Path, Identity]) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        file = storage.read(part[0], merge.KIND, part[1])
        labels = search.objective(file["profiles"], file["log_peaks"])
        near, place = nearest(hits, distance_of.coordinates(file["profiles"], file["log_peaks"]))
        return near, file["index"][place], np.bincount(labels, minlength=len(classes))

    if not ranks.is_root:
        ranks.hand_out((), work, lambda part, result: None)
        return {}, classes
    with Progress(len(files), "validate: training set", "files") as progress:

        def collect(
            part: tuple[Path, Identity], result: tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]
        ) -> None:
            near, who, labels = result
            closer = (near < distance) | ((near == distance) & (who < index))
            distance[closer], index[closer] = near[closer], who[closer]
            classes[:] += labels
            progress.advance()

        ranks.hand_out(files, work, collect)
    distance[index < 0] = np.nan
    return {"nearest_distance": distance, "nearest_index": index}, classes


def _summarise(
    search: Search,
    table: dict[str, NDArray[Any]],
    screened: dict[str, int],
    found: dict[int, int],
    training: NDArray[np.int64],
) -> dict[str, Any]:
    """Return the figures of the validation; a failed simulation counts as neither confirmed nor of the same class.

    Where classes were sampled, their shares count as their hits do.
    """
    campaign = search.campaign
    names = search.campaign.class_names
    ok = table["status"] == Status.OK
    confirmed, same = table["confirmed"], table["same_class"]
    n = len(ok)
    everything = screened["hits_found"] == n
    strata = [np.ones(n, bool)] if everything else [table["emulated_labels"] == label for label in found]
    weights = [1.0] if everything else [number / max(1, sum(found.values())) for number in found.values()]
    sampled = "random sample" if len(found) == 1 else "all of each class, or a random sample"
    # What moves by more than the limit when parameters change in the sixth digit, or has no profile then.
    moves = ~(table["sensitivity"].mean(axis=1) <= campaign.validation.rmse_limit)

    def share(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        parts = [(_share(chosen[rows]), weight) for rows, weight in zip(strata, weights, strict=True) if rows.any()]
        return _together(parts)

    return {
        **record(campaign, "validation", KIND),
        "target": list(campaign.screen.objective.target),
        "disagreement_limit": campaign.screen.disagreement_limit,
        "rmse_limit": campaign.validation.rmse_limit,
        **screened,
        "selection": "all hits" if everything else sampled,
        "validated": n,
        "failed": int((~ok).sum()),
        "confirmed": share(confirmed),
        "beyond_limit": share(ok & ~confirmed),
        "indeterminate": _share(moves[ok & ~confirmed]),
        "same_class": share(same),
        "confirmed_and_same_class": share(confirmed & same),
        "rmse": _spread(table["rmse"][ok]),
        "emulated_classes": {
            names[label]: {
                "found": found[label],
                "validated": int(of_class.sum()),
                "confirmed": _share(confirmed[of_class]),
                "same_class": _share(same[of_class]),
            }
            for label in search.targets
            for of_class in [table["emulated_labels"] == label]
        },
        "log_peak_error": _spread(table["log_peak_error"][ok].ravel()),
        "disagreement": _spread(table["disagreement"]),
        "simulated_classes": {name: int((table["labels"] == label).sum()) for label, name in enumerate(names)},
        "nearest_training_distance": _spread(table["nearest_distance"][confirmed]),
        "training_samples": int(training.sum()),
        "training_classes": dict(zip(names, training.tolist(), strict=True)),
        "training_target": int(training[list(search.targets)].sum()),
    }


def _share(chosen: NDArray[np.bool_]) -> dict[str, Any]:
    """Return how many, their share, and its 95 % confidence interval (Wilson 1927); None where there is nothing."""
    count, total = int(chosen.sum()), len(chosen)
    if not total:
        return {"count": 0, "share": None, "interval": None}
    interval = binomtest(count, total).proportion_ci(0.95, method="wilson")
    return {"count": count, "share": count / total, "interval": [float(interval.low), float(interval.high)]}


def _together(parts: list[tuple[dict[str, Any], float]]) -> dict[str, Any]:
    """Return a share of all from those of its parts and their weights; an interval so added up is never too narrow."""
    if not parts:
        return _share(np.zeros(0, bool))
    total = sum(weight for _, weight in parts)
    return {
        "count": sum(part["count"] for part, _ in parts),
        "share": sum(part["share"] * weight for part, weight in parts) / total,
        "interval": [sum(part["interval"][end] * weight for part, weight in parts) / total for end in (0, 1)],
    }


def _spread(values: NDArray[Any]) -> dict[str, float | None]:
    """Return mean, standard deviation, median, least and largest value; None where there are too few values."""
    if not len(values):
        return dict.fromkeys(("mean", "sd", "median", "least", "largest"))
    x = values.astype(np.float64)
    return {
        "mean": float(x.mean()),
        "sd": float(x.std(ddof=1)) if len(x) > 1 else None,
        "median": float(np.median(x)),
        "least": float(x.min()),
        "largest": float(x.max()),
    }
