"""Validate: hits of the screen → the model's own simulations of them → which hits stand, and how new they are.

Hits of a screen by the model are the model's own already; simulated again with other seeds, they tell what chance did.
"""

from __future__ import annotations

import logging
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.campaign import Campaign, Identity
from mechscreen.emulators.conformal import spread_of
from mechscreen.models.distances import Distance
from mechscreen.models.outputs import Status
from mechscreen.objectives import Features
from mechscreen.progress import Progress
from mechscreen.ranks import ALONE, NEVER, Deadline, Ranks
from mechscreen.reports.hits import to_csv
from mechscreen.schemas.dataset import Manifest, SplitShard
from mechscreen.schemas.screen import HitColumns, ScreenHits, ScreenSummary, Totals
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.schemas.validation import (
    FAILED,
    ClassShares,
    Population,
    Share,
    Spread,
    ValidatedHits,
    ValidationSummary,
)
from mechscreen.stages import merge, simulate
from mechscreen.stages.imported import is_own
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.provenance import provenance, record
from mechscreen.stages.robustness import robustness
from mechscreen.stages.search import Search, seeds_of
from mechscreen.stages.survey import population, random_training, survey
from mechscreen.tally import random_keys

log = logging.getLogger(__name__)

_CHUNK = 1024
"""Training samples, and hits, that are compared with one another at once."""


def validate(campaign: Campaign, ranks: Ranks = ALONE, deadline: Deadline = NEVER) -> Path:
    """Simulate the hits of the screen with the model and compare; a call that all ranks make. Return the table's path.

    All hits of a class are simulated; if they are more than ``validation.limit``, a random sample of so many. Where the
    model does not confirm a hit or its class, its sensitivity is measured too: is the emulator wrong, or does the
    model's own profile move as far when the parameters change in the sixth digit? ``validation/hits.h5`` has a row for
    each simulated hit, ``validation/hits.csv`` the same without profiles, by trust, ``validation/summary.json`` the
    figures; with ``validation.robustness`` ``validation/robustness.h5`` says how far the parameters of hits may move.
    Simulations are continued after an interruption like those of `mechscreen.stages.simulate.simulate`.

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
        task = simulate.Task.of(
            campaign,
            "validation",
            path=campaign.paths.validation / "simulations.h5",
            label="validate",
            index=np.arange(len(hits.index)),
            parameters=hits.parameters,
            seeds=seeds_of(campaign, hits.index),
        )
        simulate.run_sets(task, ranks, deadline)
        simulated = ranks.from_root(lambda: SimulationFile.read(task.path))
        distance = ranks.from_root(lambda: _distance(campaign, hits))
        compared = _compare(search, distance, hits, simulated)
        stands = compared["confirmed"] & compared["same_class"]
        misses = np.flatnonzero((simulated.status == Status.OK) & ~stands)
        # What another seed moves says nothing of the parameters.
        of_misses = _of_misses(task, misses[:0] if campaign.by_model else misses)
        if len(of_misses.index):
            simulate.run_sets(of_misses, ranks, deadline)
        surveyed = survey(search, ranks, deadline)
        confirmed = compared["confirmed"] & np.isin(compared["labels"], search.targets)
        moved = robustness(search, hits.index[confirmed], hits.parameters[confirmed], ranks, deadline)
        near, nearest_index, training = _compare_with_training(search, distance, simulated, ranks)
        if ranks.is_root:
            sensitivity = np.full(simulated.log_peaks.shape, np.nan)
            if len(of_misses.index):
                measured = SimulationFile.read(of_misses.path).sensitivity
                assert measured is not None
                sensitivity[of_misses.index] = measured / distance.deviations
            table = ValidatedHits(
                rmse_limit=campaign.validation.rmse_limit,
                **compared,
                nearest_distance=near,
                nearest_index=nearest_index,
                sensitivity=sensitivity,
                **_by_members(campaign, hits),
                probability=hits.probability,
                class_names=np.array(campaign.class_names),
                about=task.about,
            )
            known, files = None, list[Path]()
            if moved is not None:
                robust, files = moved
                robust.write(campaign.paths.robustness, provenance(campaign, "validation"))
            if surveyed is not None:
                table_of_all, of_survey = surveyed
                files += of_survey
                manifest = Manifest.read(campaign.paths.manifest, campaign.identity("dataset"))
                known = population(campaign, table_of_all, random_training(campaign, manifest, training))
                table_of_all.write(campaign.paths.survey, provenance(campaign, "validation"))
            _summarise(search, table, screened, found, training, known).write(campaign.paths.validation_summary)
            storage.write_text(campaign.paths.validation_table, to_csv(campaign, table))
            table.write(campaign.paths.validation_hits, provenance(campaign, "validation"))
            # What took longest goes last: if a removal fails, the next attempt still finds it.
            for path in (of_misses.path, task.path, *files):
                storage.remove(path)
            log.info(
                "validate: of %d simulated hits %d are confirmed, %d are within RMSE %g, %d are of the same class",
                len(table),
                table.confirmed.sum(),
                (table.rmse <= campaign.validation.rmse_limit).sum(),
                campaign.validation.rmse_limit,
                table.same_class.sum(),
            )
    return campaign.paths.validation_hits


def _distance(campaign: Campaign, hits: HitColumns) -> Distance:
    """Return how outputs are compared: in units of their deviations over the training set or, without one, the hits."""
    if not campaign.by_model:
        return merge.load_distance(campaign)
    outputs = campaign.outputs
    return Distance.of(outputs, outputs.deviations(outputs.scatter(hits.profiles)))


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


def _choose_hits(campaign: Campaign) -> tuple[HitColumns, Totals, dict[int, int]]:
    """Return the hits to simulate, what the screen found, and how many of each class."""
    path = campaign.paths.screen_hits
    identity = campaign.identity("hits")
    with ScreenHits.open(path, identity, d=len(campaign.space), shape=campaign.outputs.shape) as kept:
        if kept.samples != campaign.screen.count:
            raise storage.FileError(
                path,
                f"gathered from {kept.samples} parameter sets, and the screen has {campaign.screen.count}",
                "gather it again (mechscreen screen --gather)",
            )
        of_classes = ScreenSummary.read(campaign.paths.screen_summary, identity).found
        found = {label: int(of_classes[label]) for label in campaign.targets}
        labels, keys = np.asarray(kept.hits.labels), random_keys(np.asarray(kept.hits.index))
        chosen, limit = [np.empty(0, np.intp)], campaign.validation.limit
        for label, number in found.items():
            rows = np.flatnonzero(labels == label)
            # Where blocks kept some of a class, those of the least keys, so many of the least of all are surely there.
            most = limit if len(rows) == number else min(limit, campaign.screen.hits_per_block)
            chosen.append(rows[np.argsort(keys[rows])[:most]])
        rows = np.sort(np.concatenate(chosen))
        columns = {column.name: getattr(kept.hits, column.name) for column in fields(HitColumns)}
        taken: dict[str, Any] = {name: None if values is None else values[rows] for name, values in columns.items()}
        return HitColumns(**taken), kept.totals, found


def _by_members(campaign: Campaign, hits: HitColumns) -> dict[str, NDArray[Any]]:
    """Return what the members say of the hits, as columns of `ValidatedHits`; none where there are no members.

    Of the hits of a screen, of which there may be millions, it is not kept.
    """
    if campaign.by_model:
        return {}
    spread = np.empty_like(hits.profiles)
    if len(spread):
        try:
            ensemble = load_campaign_ensemble(campaign)
        except storage.FileError as error:
            # A validation needs no networks, which may be gone.
            log.warning("validate: hits are told of without bands, since %s", error)
            return {}
        for start in range(0, len(spread), _CHUNK):
            part = slice(start, start + _CHUNK)
            said = ensemble.predict_members(campaign.space.normalise(hits.parameters[part]))
            spread[part] = spread_of([own["profiles"] for own in said])
    return {"emulated_spread": spread}


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


def _compare(
    search: Search, distance: Distance, hits: HitColumns, simulated: SimulationFile
) -> dict[str, NDArray[Any]]:
    """Return columns of `ValidatedHits`: what was emulated, what is simulated, and how far these are apart.

    The distance is NaN where the simulation failed.
    """
    labels = search.label(simulated)
    error = distance(simulated.profiles, simulated.log_peaks, hits.profiles, hits.log_peaks)
    return {
        "index": hits.index,
        "parameters": hits.parameters,
        "disagreement": hits.disagreement,
        "emulated_labels": hits.labels,
        "emulated_profiles": hits.profiles,
        "emulated_log_peaks": hits.log_peaks,
        "labels": labels,
        "profiles": simulated.profiles,
        "log_peaks": simulated.log_peaks,
        "status": simulated.status,
        "reasons": simulated.reasons,
        "rmse": error,
        "log_peak_error": np.abs(simulated.log_peaks - hits.log_peaks),
        "confirmed": _confirmed(search, hits, simulated, labels, error),
        "same_class": labels == hits.labels,
    }


def _confirmed(
    search: Search,
    hits: HitColumns,
    simulated: SimulationFile,
    labels: NDArray[np.int64],
    error: NDArray[np.float64],
) -> NDArray[np.bool_]:
    """Return whether the model confirms each hit, (n,), by what the campaign says that does."""
    by = search.campaign.validation.confirm
    if by == "class":
        return np.isin(labels, search.targets)
    if by == "curve":
        return error <= search.campaign.validation.rmse_limit
    agree = labels != FAILED
    features = Features(list(by), search.campaign.outputs, "validation.confirm")
    said, found = (features(some.profiles, some.log_peaks) for some in (hits, simulated))
    for name, tolerance in by.items():
        lacks = np.isnan(said[name]) & np.isnan(found[name])
        agree &= lacks | (np.abs(said[name] - found[name]) <= tolerance * np.abs(found[name]))
    return agree


def _compare_with_training(
    search: Search, distance_of: Distance, simulated: SimulationFile, ranks: Ranks
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Return, on rank 0, distance and number of the training sample nearest to each hit, and how many of each class.

    Imported samples, which people chose, are counted in no class.
    """
    campaign = search.campaign
    if campaign.by_model:
        none = np.full(len(simulated.index), np.nan), np.full(len(simulated.index), -1, np.int64)
        return *none, np.zeros(len(campaign.class_names), np.int64)
    hits = distance_of.coordinates(simulated.profiles, simulated.log_peaks)
    files = ranks.from_root(lambda: merge.split_files(campaign, "train"))
    distance = np.full(len(hits), np.inf)
    index = np.full(len(hits), -1, np.int64)
    classes = np.zeros(len(search.campaign.class_names), np.int64)

    def work(part: tuple[Path, Identity]) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        some = SplitShard.read(part[0], part[1], d=len(campaign.space), shape=campaign.outputs.shape)
        own = is_own(some.index)
        labels = search.objective(some.profiles[own], some.log_peaks[own]) if own.any() else np.zeros(0, np.int64)
        near, place = nearest(hits, distance_of.coordinates(some.profiles, some.log_peaks))
        return near, some.index[place], np.bincount(labels, minlength=len(classes))

    if not ranks.is_root:
        ranks.hand_out((), work, lambda part, result: None)
        return distance, index, classes
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
    return distance, index, classes


def _summarise(
    search: Search,
    table: ValidatedHits,
    screened: Totals,
    found: dict[int, int],
    training: NDArray[np.int64],
    known: Population | None,
) -> ValidationSummary:
    """Return the figures of the validation; a failed simulation counts as neither confirmed nor of the same class.

    Where classes were sampled, their shares count as their hits do.
    """
    campaign = search.campaign
    names = search.campaign.class_names
    ok = table.status == Status.OK
    confirmed, same = table.confirmed, table.same_class
    n = len(ok)
    everything = screened.hits_found == n
    strata = [np.ones(n, bool)] if everything else [table.emulated_labels == label for label in found]
    weights = [1.0] if everything else [number / max(1, sum(found.values())) for number in found.values()]
    sampled = "random sample" if len(found) == 1 else "all of each class, or a random sample"
    # What moves by more than the limit when parameters change in the sixth digit, or has no profile then.
    counts = Distance.of(campaign.outputs).counts
    moves = ~(table.sensitivity[:, counts].mean(axis=1) <= campaign.validation.rmse_limit)

    def share(chosen: NDArray[np.bool_]) -> Share:
        parts = [(_share(chosen[rows]), weight) for rows, weight in zip(strata, weights, strict=True) if rows.any()]
        return _together(parts)

    return ValidationSummary(
        **record(campaign, "validation"),
        target=list(campaign.screen.objective.target),
        disagreement_limit=campaign.screen.disagreement_limit,
        rmse_limit=campaign.validation.rmse_limit,
        hits_found=screened.hits_found,
        hits_kept=screened.hits_kept,
        hits_discarded=screened.hits_discarded,
        selection="all hits" if everything else sampled,
        validated=n,
        failed=int((~ok).sum()),
        confirmed_by=campaign.validation.confirm,
        confirmed=share(confirmed),
        within_limit=share(table.rmse <= campaign.validation.rmse_limit),
        beyond_limit=share(ok & ~confirmed),
        indeterminate=_share(moves[ok & ~confirmed]),
        same_class=share(same),
        confirmed_and_same_class=share(confirmed & same),
        rmse=_spread(table.rmse[ok]),
        emulated_classes={
            names[label]: ClassShares(
                found=found[label],
                validated=int(of_class.sum()),
                confirmed=_share(confirmed[of_class]),
                same_class=_share(same[of_class]),
            )
            for label in search.targets
            for of_class in [table.emulated_labels == label]
        },
        log_peak_error=_spread(table.log_peak_error[ok].ravel()),
        disagreement=_spread(table.disagreement),
        simulated_classes={name: int((table.labels == label).sum()) for label, name in enumerate(names)},
        nearest_training_distance=_spread(table.nearest_distance[confirmed & (table.nearest_index >= 0)]),
        training_samples=int(training.sum()),
        training_classes=dict(zip(names, training.tolist(), strict=True)),
        training_target=int(training[list(search.targets)].sum()),
        population=known,
    )


def _share(chosen: NDArray[np.bool_]) -> Share:
    return Share.of(int(chosen.sum()), len(chosen))


def _together(parts: list[tuple[Share, float]]) -> Share:
    """Return a share of all from those of its parts and their weights; an interval so added up is never too narrow."""
    if not parts:
        return _share(np.zeros(0, bool))
    count, sums = 0, np.zeros(3)
    for part, weight in parts:
        assert part.share is not None
        assert part.interval is not None
        count += part.count
        sums += np.array([part.share, *part.interval]) * weight
    share, low, high = (sums / sum(weight for _, weight in parts)).tolist()
    return Share(count=count, share=share, interval=(low, high))


def _spread(values: NDArray[Any]) -> Spread:
    if not len(values):
        return Spread(mean=None, sd=None, median=None, least=None, largest=None)
    x = values.astype(np.float64)
    return Spread(
        mean=float(x.mean()),
        sd=float(x.std(ddof=1)) if len(x) > 1 else None,
        median=float(np.median(x)),
        least=float(x.min()),
        largest=float(x.max()),
    )
