"""How far predicted outputs are from simulated ones.

Profiles are arrays (n, outputs, points), log peaks (n, outputs). What is computed for each sample is the mean over its
outputs. The measures of profiles are those of Wang et al. (2019), supplementary table 4; for outputs of any shape there
are `mechscreen.models.distances.Distance` and `explained`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.models.distances import Distance

Array = NDArray[Any]

FLOOR = 1e-6
"""Least value of a profile taken as a density: one that is zero everywhere is none, and where a prediction is zero and
the truth is not the Kullback-Leibler divergence would be infinite."""

_VALUES = 2**21
"""Values that are worked on at once, so that temporary arrays stay small."""


def rmse(truth: Array, predicted: Array) -> Array:
    """Return the root mean square error of each sample's profiles, (n,)."""
    return _by_rows(lambda a, b: np.sqrt(np.square(a - b).mean(axis=-1)), truth, predicted)


def l2_norm(truth: Array, predicted: Array) -> Array:
    """Return the Euclidean norm of the error of each sample's profiles, (n,)."""
    return _by_rows(lambda a, b: np.sqrt(np.square(a - b).sum(axis=-1)), truth, predicted)


def ks_distance(truth: Array, predicted: Array) -> Array:
    """Return the Kolmogorov-Smirnov distance of each sample's profiles taken as densities over the points, (n,)."""
    return _by_rows(
        lambda a, b: np.abs(np.cumsum(_density(a), axis=-1) - np.cumsum(_density(b), axis=-1)).max(axis=-1),
        truth,
        predicted,
    )


def kl_divergence(truth: Array, predicted: Array) -> Array:
    """Return the Kullback-Leibler divergence (nats) of the prediction from the truth, as densities, (n,)."""

    def divergence(a: Array, b: Array) -> Array:
        p, q = _density(a), _density(b)
        return (p * np.log(p / q)).sum(axis=-1)

    return _by_rows(divergence, truth, predicted)


def r_squared(truth: Array, predicted: Array) -> float:
    """Return the coefficient of determination of all values together; NaN where the truth does not vary."""
    a, b = np.asarray(truth).ravel(), np.asarray(predicted).ravel()
    mean = a.mean(dtype=np.float64) if a.size else np.nan
    total = _sum_of_squares(a, mean)
    return 1.0 - _sum_of_squares(a, b) / total if total > 0 else float("nan")


USELESS = 0.1
"""Share of an output's variation that an emulator must explain to be of use: with less it is hardly better, and below
zero worse, than one that always says the mean."""


def is_useless(r2: float | None) -> bool:
    """Return whether an emulator that explains so much of an output is of no use for it; None: there is nothing to."""
    return r2 is not None and r2 < USELESS


def explained(
    truth: Array, predicted: Array, log_peaks: Array, predicted_log_peaks: Array, distance: Distance
) -> Array:
    """Return R² of each output, (outputs,); NaN where it does not vary.

    It is one minus the mean square distance of the prediction from the truth, over that of the truth's own mean: for
    values that are learnt as they are, the coefficient of determination, about the mean at each point. Of an output
    that not all samples have, it is that of those of which both say that they have one.
    """
    shape = np.shape(truth)
    if not len(truth):
        return np.full(len(distance.outputs), np.nan)
    mean = np.broadcast_to(np.mean(truth, axis=0, dtype=np.float64), shape)
    mean_log_peaks = np.broadcast_to(np.mean(log_peaks, axis=0, dtype=np.float64), np.shape(log_peaks))
    wrong = np.square(distance.by_output(truth, log_peaks, predicted, predicted_log_peaks)).mean(axis=0)
    varies = np.square(distance.by_output(truth, log_peaks, mean, mean_log_peaks)).mean(axis=0)
    found = np.where(varies > 1e-14, 1 - wrong / np.maximum(varies, 1e-300), np.nan)
    outputs = distance.outputs
    for k in np.flatnonzero(outputs.givens >= 0).tolist():
        both = outputs.has_value(truth, k) & outputs.has_value(predicted, k)
        found[k] = r_squared(outputs.flat(truth, k)[both], outputs.flat(predicted, k)[both])
    return found


def summarise(
    truth: Array, predicted: Array, log_peaks: Array, predicted_log_peaks: Array, distance: Distance | None = None
) -> dict[str, Any]:
    """Return the measures of a set of samples: means over the samples, and R² of all values; None where undefined.

    The RMSE is that of `distance`, of the profiles' shapes unless given. The measures of profiles are undefined for
    outputs that are none.
    """
    if distance is None:
        distance = Distance.of_shapes(*np.shape(truth)[1:])
    errors = distance(truth, log_peaks, predicted, predicted_log_peaks)
    outputs = distance.outputs
    by_peak = [k for k, output in enumerate(outputs) if output.scale == "peak"]
    if not outputs.are_profiles:
        # Nothing to compare as profiles.
        truth = predicted = np.zeros((0, 1, 2))
    log_peaks, predicted_log_peaks = log_peaks[:, by_peak], predicted_log_peaks[:, by_peak]
    values: dict[str, float] = {
        "rmse": _mean(errors),
        "rmse_median": float(np.median(errors)) if errors.size else float("nan"),
        "rmse_90_percent": float(np.quantile(errors, 0.9)) if errors.size else float("nan"),
        "l2_norm": _mean(l2_norm(truth, predicted)),
        "ks_distance": _mean(ks_distance(truth, predicted)),
        "kl_divergence": _mean(kl_divergence(truth, predicted)),
        "log_peak_rmse": float(np.sqrt(_mean(np.square(log_peaks - predicted_log_peaks)))),
        "r2_shape": r_squared(truth, predicted),
        "r2_peak": r_squared(log_peaks, predicted_log_peaks),
    }
    return {"samples": len(errors)} | {name: v if np.isfinite(v) else None for name, v in values.items()}


def confusion(true_labels: Array, predicted_labels: Array, classes: int) -> NDArray[np.int64]:
    """Return how many samples of each true class (rows) were given each label (columns)."""
    pairs = np.asarray(true_labels, dtype=np.int64) * classes + np.asarray(predicted_labels, dtype=np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True)
class DisagreementCurve:
    """Error against disagreement, in bins of disagreement (Fig. 4b of the paper). Empty bins are left out.

    Attributes
    ----------
    disagreement, error, standard_error
        (bins,), means of the samples of a bin, and the standard error of the mean error (NaN for a single sample).
    count
        (bins,), samples.
    pearson, spearman
        Correlation of the samples, not of the bins; NaN where one of the two does not vary.
    """

    disagreement: Array
    error: Array
    standard_error: Array
    count: NDArray[np.int64]
    pearson: float
    spearman: float


def disagreement_curve(disagreement: Array, error: Array, bins: int = 15) -> DisagreementCurve:
    """Bin `error` (n,) by `disagreement` (n,), in logarithmically spaced bins from its least to its greatest value.

    Samples without disagreement have no logarithm; they count in the correlations alone.
    """
    d, e = np.asarray(disagreement, dtype=float), np.asarray(error, dtype=float)
    positive = d > 0
    place = np.zeros(positive.sum(), dtype=np.int64)
    logs = np.log(d[positive])
    if logs.size and np.ptp(logs) > 0:
        place = np.minimum(((logs - logs.min()) / np.ptp(logs) * bins).astype(np.int64), bins - 1)
    count = np.bincount(place, minlength=bins)
    kept = count > 0
    counts = count[kept]
    mean_d = np.bincount(place, d[positive], bins)[kept] / counts
    mean_e = np.bincount(place, e[positive], bins)[kept] / counts
    deviations = e[positive] - (np.bincount(place, e[positive], bins) / np.maximum(count, 1))[place]
    with np.errstate(divide="ignore", invalid="ignore"):
        standard_error = np.sqrt(np.bincount(place, deviations**2, bins)[kept] / (counts - 1) / counts)
    return DisagreementCurve(mean_d, mean_e, standard_error, counts, *_correlations(d, e))


def _correlations(a: Array, b: Array) -> tuple[float, float]:
    from scipy.stats import pearsonr, spearmanr

    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return float("nan"), float("nan")
    return float(pearsonr(a, b).statistic), float(spearmanr(a, b).statistic)


def _by_rows(measure: Callable[[Array, Array], Array], truth: Array, predicted: Array) -> Array:
    """Apply a measure (rows, outputs, points) → (rows, outputs) to some rows at a time; average it over outputs."""
    if np.shape(truth) != np.shape(predicted):
        raise ValueError(f"profiles of shapes {np.shape(truth)} and {np.shape(predicted)} cannot be compared")
    rows = max(1, _VALUES // max(1, math.prod(np.shape(truth)[1:])))
    parts: Sequence[Array] = [
        measure(
            np.asarray(truth[start : start + rows], dtype=np.float64),
            np.asarray(predicted[start : start + rows], dtype=np.float64),
        ).mean(axis=-1)
        for start in range(0, len(truth), rows)
    ]
    return np.concatenate([np.zeros(0), *parts])


def _density(profiles: Array) -> Array:
    floored = np.maximum(profiles, FLOOR)
    return floored / floored.sum(axis=-1, keepdims=True)


def _sum_of_squares(values: Array, centre: Array | float) -> float:
    """Return Σ(values − centre)² in double precision, without a copy of the whole."""
    step = 2**20
    centres = np.broadcast_to(centre, values.shape)
    return float(
        sum(
            np.square(values[i : i + step].astype(np.float64) - centres[i : i + step]).sum()
            for i in range(0, values.size, step)
        )
    )


def _mean(values: Array) -> float:
    return float(np.mean(values)) if np.size(values) else float("nan")


LIKELY = 0.05
"""Probability above which calibration errors are told of: nearly all sets of a rare class's space have none."""


@dataclass(frozen=True)
class Reliability:
    """How often what is said to have a probability is true, in bins of as many samples each.

    Attributes
    ----------
    probability, share
        (bins,), mean probability, and the share that is true.
    count, effective
        (bins,), samples, and as many of equal weight that would tell as much (Kish 1965).
    """

    probability: Array
    share: Array
    count: Array
    effective: Array

    @property
    def error(self) -> float:
        """Expected calibration error: the mean distance of the two, each bin as its samples (Naeini et al. 2015)."""
        if not self.count.sum():
            return float("nan")
        return float(np.abs(self.probability - self.share) @ self.count / self.count.sum())


def reliability(probability: Array, true: Array, weights: Array, bins: int = 10) -> Reliability:
    """Return how reliable probabilities above `LIKELY` are.

    Parameters
    ----------
    probability, true, weights
        (n,), of samples, and how many each stands for.
    """
    rows = np.flatnonzero(probability > LIKELY)
    rows = rows[np.argsort(probability[rows], kind="stable")]
    parts = [part for part in np.array_split(rows, bins) if len(part)]
    means = [
        np.array([np.average(values[part], weights=weights[part]) for part in parts]) for values in (probability, true)
    ]
    count = np.array([len(part) for part in parts], dtype=np.int64)
    effective = np.array([weights[part].sum() ** 2 / np.square(weights[part]).sum() for part in parts])
    return Reliability(means[0], means[1], count, effective)
