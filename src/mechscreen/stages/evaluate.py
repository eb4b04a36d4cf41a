"""Evaluate: what the ensemble makes of the test split, and how good that is."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign
from mechscreen.emulators.conformal import compare, spread_of
from mechscreen.importance import Influences, influences
from mechscreen.models import Output
from mechscreen.models.distances import Distance
from mechscreen.models.replicated import error_places, noise
from mechscreen.patterns import find_patterns
from mechscreen.schemas.evaluation import (
    Confusion,
    DisagreementBins,
    DisagreementMeasures,
    FeatureImportance,
    Importance,
    Indices,
    Influence,
    Measures,
    Metrics,
    OutputMeasures,
    PatternsFile,
    Predictions,
)
from mechscreen.schemas.model import ModelArrays
from mechscreen.spaces import Sampler
from mechscreen.stages import bands
from mechscreen.stages.merge import load_split
from mechscreen.stages.predict import in_batches, load_campaign_ensemble, write_ensemble_record
from mechscreen.stages.provenance import provenance, record
from mechscreen.stages.table import PATTERN_POINTS
from mechscreen.stages.train import to_samples

if TYPE_CHECKING:
    from mechscreen.emulators.ensemble import Ensemble, Prediction
    from mechscreen.emulators.samples import Samples

log = logging.getLogger(__name__)

_PATTERN_VALUES = 2**24
_OTHERS = 12
"""Sets of each group that are shown beside the one that stands for it."""
REPEATS, POINTS = 8, 1024
"""Estimates of the parameters' importance, whose scatter gives their errors, and points of each (a power of two)."""


def evaluate(campaign: Campaign) -> Path:
    """Predict the test split and write ``predictions.h5`` and ``metrics.json``; return the latter's path.

    ``ensemble.json`` beside the members tells how they were combined, ``bands.h5`` how far the truth is from what they
    say, ``patterns.h5`` what outputs there are, whatever is looked for.

    Raises
    ------
    InputError
        If the test split or a member is missing, wrong or of another campaign.
    """
    dataset = load_split(campaign, "test")
    from mechscreen.emulators.ensemble import combine_members
    from mechscreen.emulators.metrics import explained, summarise

    ensemble = load_campaign_ensemble(campaign)
    test = to_samples(campaign, dataset)
    members = ensemble.predict_members(test.parameters)
    distance = test.distance
    said = combine_members(members, ensemble.combine, distance)
    spread = spread_of([own["profiles"] for own in members])
    compared = compare(distance.outputs, test.profiles, said.profiles, spread)
    error = distance(test.profiles, test.log_peaks, said.profiles, said.log_peaks)
    labels = campaign.objective(test.profiles, test.log_peaks)
    predicted_labels = campaign.objective.given(members)(said.profiles, said.log_peaks)
    Predictions(
        backend=ensemble.backend,
        index=dataset.index,
        parameters=dataset.parameters,
        profiles=test.profiles,
        log_peaks=test.log_peaks,
        labels=labels,
        predicted_profiles=said.profiles,
        predicted_log_peaks=said.log_peaks,
        predicted_labels=predicted_labels,
        disagreement=said.disagreement,
        error=error,
        member_errors=np.stack(
            [distance(test.profiles, test.log_peaks, own["profiles"], own["log_peaks"]) for own in members], axis=1
        ),
        spread=spread,
        about=ModelArrays.of(campaign),
    ).write(campaign.paths.predictions, provenance(campaign, "evaluation"))
    r_squared = explained(test.profiles, said.profiles, test.log_peaks, said.log_peaks, distance)
    outputs = _by_output(test, said, r_squared)
    importance, of_features = _decided(campaign, ensemble)
    metrics = Metrics(
        **record(campaign, "evaluation"),
        network=campaign.emulators.architecture.network,
        combine=campaign.emulators.combine,
        backend=ensemble.backend,
        ensemble=Measures(**summarise(test.profiles, said.profiles, test.log_peaks, said.log_peaks, distance)),
        members=[
            Measures(**summarise(test.profiles, own["profiles"], test.log_peaks, own["log_peaks"], distance))
            for own in members
        ],
        outputs=outputs,
        classes=_by_class(campaign, test, said, labels),
        bands=bands.measure(
            distance,
            compared,
            labels,
            campaign.class_names,
            campaign.seed,
        ),
        confusion=_confusion(campaign, labels, predicted_labels),
        disagreement=_disagreement(campaign, said.disagreement, error),
        importance=importance,
        features=of_features,
    )
    _find_patterns(campaign, ensemble).write(campaign.paths.patterns, provenance(campaign, "evaluation"))
    networks = write_ensemble_record(campaign)
    if networks:
        bands.find(compared, test, said, members, campaign.emulators.combine, networks).write(
            campaign.paths.bands, provenance(campaign, "evaluation")
        )
    metrics.write(campaign.paths.metrics)
    log.info("evaluate: %d test samples, mean RMSE %.4f", len(test), error.mean())
    for name, measured in outputs.items():
        if measured.noise:
            # By chance there may be more of it than was expected.
            share = min(100.0, 100 * measured.noise)
            log.info("evaluate: %.0f %% of the mean square error of '%s' is noise of the replicates", share, name)
    for doubt in metrics.doubts:
        log.warning("evaluate: %s", doubt)
    return campaign.paths.metrics


def _find_patterns(campaign: Campaign, ensemble: Ensemble) -> PatternsFile:
    """Return what groups of outputs there are by the ensemble, in all of the space, and what is unusual."""
    outputs, distance = campaign.outputs, ensemble.distance
    looked = min(PATTERN_POINTS, max(1000, _PATTERN_VALUES // math.prod(outputs.shape)))
    physical = Sampler(campaign.space, "uniform", campaign.seed, "patterns", levels=True).draw(0, looked).physical
    profiles = np.empty((looked, *outputs.shape), np.float32)
    log_peaks, disagreement = np.empty((looked, len(outputs)), np.float32), np.empty(looked, np.float32)
    labels = np.empty(looked, np.int64)
    for part, members, said in in_batches(campaign, ensemble, physical):
        profiles[part], log_peaks[part], disagreement[part] = said.profiles, said.log_peaks, said.disagreement
        labels[part] = campaign.objective.given(members)(said.profiles, said.log_peaks)
    rng = np.random.default_rng([campaign.seed, 0x9A77])
    trusted = disagreement <= campaign.screen.disagreement_limit
    # A pattern is a shape, however high it is.
    found = find_patterns(distance.coordinates(profiles, np.zeros_like(log_peaks)), trusted, rng)
    shown = found.shown
    others = np.full((len(shown), _OTHERS, *outputs.shape), np.nan, np.float32)
    share = np.bincount(found.nearest, minlength=len(shown)) / looked
    for k in range(found.groups):
        own = rng.permutation(np.flatnonzero(found.of_group == k))[:_OTHERS]
        others[k, : len(own)] = profiles[own]
        share[k] = np.mean(found.of_group == k)
    return PatternsFile(
        looked=looked,
        groups=found.groups,
        silhouette=found.silhouette,
        share=share,
        labels=labels[shown],
        disagreement=disagreement[shown],
        parameters=physical[shown],
        profiles=profiles[shown],
        log_peaks=log_peaks[shown],
        others=others,
        about=ModelArrays.of(campaign),
    )


def _by_output(test: Samples, said: Prediction, r_squared: NDArray[np.float64]) -> dict[str, OutputMeasures]:
    """Return the measures of each output alone, by its name."""
    from mechscreen.emulators.metrics import summarise

    distance = test.distance
    found: dict[str, OutputMeasures] = {}
    shares = _noise(test, said)
    for k, output in enumerate(distance.outputs):
        counted = replace(output, given="", compare=output.compare if output.counts else "values")
        alone = Distance.of([counted], distance.deviations[[k]])
        truth, predicted = (
            distance.outputs.flat(values, k).reshape(-1, *alone.outputs.shape)
            for values in (test.profiles, said.profiles)
        )
        both = distance.outputs.has_value(test.profiles, k) & distance.outputs.has_value(said.profiles, k)
        measured = summarise(
            truth[both], predicted[both], test.log_peaks[both][:, [k]], said.log_peaks[both][:, [k]], alone
        )
        # Nothing depends on what does not count.
        r2 = _or_none(float(r_squared[k])) if output.counts else None
        found[output.name] = OutputMeasures(**measured, r2=r2, noise=shares.get(k))
    return found


def _noise(test: Samples, said: Prediction) -> dict[int, float | None]:
    """Return, of each output that is a mean of replicates, by its place, the share of noise in its mean square error.

    An emulator that knew the means without noise would be off by just that noise, and the share would be 1.
    """
    distance = test.distance
    errors = distance.by_output(test.profiles, test.log_peaks, said.profiles, said.log_peaks)
    found = {}
    for k, place in error_places(distance.outputs).items():
        of_mean = noise(distance.outputs, test.profiles, test.log_peaks, k, place) / distance.deviations[k]
        wrong = float(np.square(errors[:, k]).mean())
        found[k] = _or_none(float(np.square(of_mean).mean()) / wrong) if wrong else None
    if found and not any(found.values()):
        log.warning(
            "evaluate: all replicates are the same: the model does not heed its seeds, or is deterministic; leave "
            "model.replicates out"
        )
    return found


def _by_class(campaign: Campaign, test: Samples, said: Prediction, labels: NDArray[np.int64]) -> dict[str, Measures]:
    """Return the measures of the samples of each class, by its name."""
    from mechscreen.emulators.metrics import summarise

    classes = {}
    for label, name in enumerate(campaign.class_names):
        rows = labels == label
        measured = summarise(
            test.profiles[rows], said.profiles[rows], test.log_peaks[rows], said.log_peaks[rows], test.distance
        )
        classes[name] = Measures(**measured)
    return classes


def _confusion(campaign: Campaign, labels: NDArray[np.int64], predicted: NDArray[np.int64]) -> Confusion:
    """Return how many samples of each class (rows) the ensemble takes for each class (columns)."""
    from mechscreen.emulators.metrics import confusion

    names = campaign.class_names
    return Confusion(
        classes=list(names),
        counts=confusion(labels, predicted, len(names)).tolist(),
        same_class=float((labels == predicted).mean()),
    )


def _disagreement(
    campaign: Campaign, disagreement: NDArray[np.float32], error: NDArray[np.float64]
) -> DisagreementMeasures:
    """Return what the screen's limit keeps and discards, and how disagreement and error go together."""
    from mechscreen.emulators.metrics import disagreement_curve

    limit = campaign.screen.disagreement_limit
    kept = disagreement <= limit
    curve = disagreement_curve(disagreement, error)
    return DisagreementMeasures(
        limit=limit,
        mean=float(disagreement.mean()),
        kept=float(kept.mean()),
        rmse_kept=float(error[kept].mean()) if kept.any() else None,
        rmse_discarded=float(error[~kept].mean()) if not kept.all() else None,
        pearson=_or_none(curve.pearson),
        spearman=_or_none(curve.spearman),
        bins=DisagreementBins(
            disagreement=_listed(curve.disagreement),
            error=_listed(curve.error),
            standard_error=_listed(curve.standard_error),
            count=_listed(curve.count),
        ),
    )


def _decided(campaign: Campaign, ensemble: Ensemble) -> tuple[Importance, dict[str, FeatureImportance]]:
    """Return what decides the classes and outputs, and the features, by the ensemble over the campaign's priors.

    Of the class's number, of each output's log peak, or mean where it is not scaled by its peak, and of each feature:
    Sobol's indices with standard errors, of features rank correlations, too (`mechscreen.importance`). Where
    constraints tie parameters together, no share of the variance is one's own, and of classes and outputs there is
    nothing.
    """
    space, outputs, features = campaign.space, campaign.outputs, campaign.features
    names = ["class", *map(_quantity, outputs)]
    if space.conditional and not len(features):
        return Importance(quantities=names, parameters={}), {}

    def quantities(physical: NDArray[np.float64]) -> NDArray[np.float64]:
        normalised = space.normalise(physical)
        parts = []
        # Profiles of all parameter sets together may be more than memory holds.
        for start in range(0, len(normalised), ensemble.batch_size):
            said = ensemble.predict(normalised[start : start + ensemble.batch_size])
            of_outputs = [
                said.log_peaks[:, k] if output.scale == "peak" else outputs.flat(said.profiles, k).mean(axis=1)
                for k, output in enumerate(outputs)
            ]
            labels = campaign.objective(said.profiles, said.log_peaks)
            described = features(said.profiles, said.log_peaks).values()
            parts.append(np.column_stack([labels, *of_outputs, *described]))
        return np.concatenate(parts).astype(float)

    found = influences(space, quantities, campaign.seed, REPEATS, POINTS)
    varied = [space.names[j] for j in space.varied]
    own = range(len(names))
    of_all = Importance(
        quantities=names,
        parameters={}
        if space.conditional
        else {name: Indices(**_of(found, own, k, _SHARES)) for k, name in enumerate(varied)},
    )
    of_features = {
        feature: FeatureImportance(
            undefined=float(found.undefined[place]),
            parameters={
                name: Influence(**{key: value for key, (value,) in _of(found, [place], k, _ALL).items()})
                for k, name in enumerate(varied)
            },
        )
        for place, feature in enumerate(features.names, len(names))
    }
    return of_all, of_features


_SHARES = ("first", "total")
_ALL = (*_SHARES, "correlation")


def _of(found: Influences, quantities: Sequence[int], k: int, measures: Sequence[str]) -> dict[str, list[float | None]]:
    """Return measures of varied parameter k for some quantities, each with its standard errors (``first_error``)."""
    values = {}
    for name in measures:
        estimate = getattr(found, name)
        values[name] = _listed(estimate.mean[quantities, k])
        values[f"{name}_error"] = _listed(estimate.error[quantities, k])
    return values


def _quantity(output: Output) -> str:
    """Return what of an output its importance is told of."""
    if output.scale == "peak":
        return f"ln peak of {output.name}"
    name = f"ln {output.name}" if output.scale == "log" else output.name
    return f"mean of {name}" if output.shape else name


def _listed(values: NDArray[Any]) -> list[float | None]:
    return [_or_none(float(value)) for value in values]


def _or_none(value: float) -> float | None:
    return value if np.isfinite(value) else None
