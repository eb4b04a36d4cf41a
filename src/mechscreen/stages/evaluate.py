"""Evaluate: what the ensemble makes of the test split, and how good that is."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from mechscreen.campaign import Campaign
from mechscreen.models import Output
from mechscreen.models.distances import Distance
from mechscreen.schemas.evaluation import (
    Confusion,
    DisagreementBins,
    DisagreementMeasures,
    Importance,
    Indices,
    Measures,
    Metrics,
    OutputMeasures,
    Predictions,
)
from mechscreen.schemas.model import ModelArrays
from mechscreen.stages.merge import load_split
from mechscreen.stages.predict import load_campaign_ensemble, write_ensemble_record
from mechscreen.stages.provenance import provenance, record
from mechscreen.stages.train import to_samples

if TYPE_CHECKING:
    from mechscreen.emulators.ensemble import Ensemble, Prediction
    from mechscreen.emulators.samples import Samples

log = logging.getLogger(__name__)

REPEATS, POINTS = 8, 1024
"""Estimates of the parameters' importance, whose scatter gives their errors, and points of each (a power of two)."""


def evaluate(campaign: Campaign) -> Path:
    """Predict the test split and write ``predictions.h5`` and ``metrics.json``; return the latter's path.

    ``ensemble.json`` beside the members tells how they were combined.

    Raises
    ------
    InputError
        If the test split or a member is missing, wrong or of another campaign.
    """
    dataset = load_split(campaign, "test")
    from mechscreen.emulators.ensemble import combine_members
    from mechscreen.emulators.metrics import explained, is_useless, summarise

    ensemble = load_campaign_ensemble(campaign)
    test = to_samples(campaign, dataset)
    members = ensemble.predict_members(test.parameters)
    distance = test.distance
    said = combine_members(members, ensemble.combine, distance)
    error = distance(test.profiles, test.log_peaks, said.profiles, said.log_peaks)
    labels = campaign.objective(test.profiles, test.log_peaks)
    predicted_labels = campaign.objective(said.profiles, said.log_peaks)
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
        about=ModelArrays.of(campaign),
    ).write(campaign.paths.predictions, provenance(campaign, "evaluation"))
    r_squared = explained(test.profiles, said.profiles, test.log_peaks, said.log_peaks, distance)
    outputs = _by_output(test, said, r_squared)
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
        confusion=_confusion(campaign, labels, predicted_labels),
        disagreement=_disagreement(campaign, said.disagreement, error),
        importance=_importance(campaign, ensemble),
    )
    write_ensemble_record(campaign)
    metrics.write(campaign.paths.metrics)
    log.info("evaluate: %d test samples, mean RMSE %.4f", len(test), error.mean())
    for name, measured in outputs.items():
        if is_useless(measured.r2):
            log.warning(
                "evaluate: the emulators are WORTHLESS for output '%s': R² = %.2f, so that they hardly know more of it "
                "than its mean; what they say of it, and hits that depend on it, mean nothing",
                name,
                measured.r2,
            )
    return campaign.paths.metrics


def _by_output(test: Samples, said: Prediction, r_squared: NDArray[np.float64]) -> dict[str, OutputMeasures]:
    """Return the measures of each output alone, by its name."""
    from mechscreen.emulators.metrics import summarise

    distance = test.distance
    found: dict[str, OutputMeasures] = {}
    for k, output in enumerate(distance.outputs):
        alone = Distance.of([output], distance.deviations[[k]])
        truth, predicted = (
            distance.outputs.flat(values, k).reshape(-1, *alone.outputs.shape)
            for values in (test.profiles, said.profiles)
        )
        measured = summarise(truth, predicted, test.log_peaks[:, [k]], said.log_peaks[:, [k]], alone)
        found[output.name] = OutputMeasures(**measured, r2=_or_none(float(r_squared[k])))
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


def _importance(campaign: Campaign, ensemble: Ensemble) -> Importance:
    """Return Sobol's indices of what the ensemble predicts over the priors of the campaign, with standard errors.

    Of the class's number, and of each output's log peak, or mean where it is not scaled by its peak: the share of the
    variance that a parameter explains alone (first order), and the one that is left where all others are known (total;
    Saltelli et al. 2010). None where a quantity does not vary; of no parameter where constraints tie them together.
    """
    space, outputs = campaign.space, campaign.outputs
    if space.conditional:
        # Of parameters that depend on one another, no share of the variance is one's own.
        return Importance(quantities=["class", *map(_quantity, outputs)], parameters={})
    varied = list(space.varied)

    def quantities(unit: NDArray[np.float64]) -> NDArray[np.float64]:
        values = np.zeros((unit.shape[1], len(space)))
        values[:, varied] = unit.T
        normalised = space.normalise(space.physical(values))
        parts = []
        # Profiles of all parameter sets together may be more than memory holds.
        for start in range(0, len(normalised), ensemble.batch_size):
            said = ensemble.predict(normalised[start : start + ensemble.batch_size])
            of_outputs = [
                said.log_peaks[:, k] if output.scale == "peak" else outputs.flat(said.profiles, k).mean(axis=1)
                for k, output in enumerate(outputs)
            ]
            parts.append(np.column_stack([campaign.objective(said.profiles, said.log_peaks), *of_outputs]))
        return np.concatenate(parts).T.astype(float)

    estimates = []
    with np.errstate(invalid="ignore", divide="ignore"):
        for repeat in range(REPEATS):
            generator = np.random.default_rng([campaign.seed, repeat])
            estimate = stats.sobol_indices(
                func=quantities, n=POINTS, dists=[stats.uniform()] * len(varied), rng=generator
            )
            estimates.append((estimate.first_order, estimate.total_order))
    # SciPy leaves the axis of the parameters out where there is one.
    found = np.reshape(estimates, (REPEATS, 2, -1, len(varied)))
    mean, error = found.mean(axis=0), found.std(axis=0, ddof=1) / np.sqrt(REPEATS)
    return Importance(
        quantities=["class", *map(_quantity, outputs)],
        parameters={
            space.names[j]: Indices(
                first=_listed(mean[0][:, k]),
                first_error=_listed(error[0][:, k]),
                total=_listed(mean[1][:, k]),
                total_error=_listed(error[1][:, k]),
            )
            for k, j in enumerate(varied)
        },
    )


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
