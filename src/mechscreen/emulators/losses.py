"""What training makes small."""

from __future__ import annotations

from typing import Any, NamedTuple

from mechscreen.emulators.aligned import Aligned, alignment, curves
from mechscreen.emulators.backend import keras
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import TrainingSettings

ops = keras.ops

SMOOTHING = 3e-3
"""Errors below which the loss ``rmse`` becomes quadratic."""

PROFILE_WEIGHT = 10.0
"""Weight of the error of an aligned profile, beside that of its moments: both are then of the same order."""


class Fit(NamedTuple):
    """What training fits to what, and how far off it counts as being.

    Attributes
    ----------
    network
        The network that is trained, or the part of it that is compared.
    targets
        What it should say of the training set, by the names of its outputs; arrays that rows can be taken from.
    losses, weights
        Of each output.
    """

    network: Any
    targets: dict[str, Any]
    losses: dict[str, Any]
    weights: dict[str, float]


def fit_of(network: Any, samples: Samples, settings: TrainingSettings) -> Fit:
    """Return how `network` is fitted to `samples`."""
    aligned = alignment(network)
    if aligned is not None:
        losses = {"curves": _of_curves(aligned), "log_integrals": _root_mean_square}
        return Fit(curves(network), aligned.represent(samples), losses, {"curves": 1.0, "log_integrals": 0.1})
    targets = {"profiles": samples.profiles, "log_peaks": samples.log_peaks}
    if settings.loss == "rmse":
        return Fit(network, targets, dict.fromkeys(targets, _root_mean_square), {"profiles": 1.0, "log_peaks": 0.02})
    of_profiles = {"mse": keras.losses.MeanSquaredError, "cross_entropy": keras.losses.BinaryCrossentropy}
    losses = {"profiles": of_profiles[settings.loss](), "log_peaks": keras.losses.MeanSquaredError()}
    # Keras averages over the points; the paper sums.
    return Fit(network, targets, losses, {"profiles": float(samples.profiles.shape[-1]), "log_peaks": 1.0})


def _root_mean_square(truth: Any, predicted: Any) -> Any:
    """Return the root mean square error along the last axis."""
    return _root(ops.mean(ops.square(truth - predicted), axis=-1))


def _root(squared: Any) -> Any:
    """Return the root of a squared error, rounded off near zero, where a root has no slope.

    Near a switch of the pattern errors are large whatever the network does; squared, they would drown the rest.
    """
    return ops.sqrt(squared + SMOOTHING**2) - SMOOTHING


def _of_curves(aligned: Aligned) -> Any:
    """Return the loss of curves: the error of the profiles, and that of their moments.

    The latter says which way to move where a profile and its prediction do not overlap.
    """

    def of_curves(truth: Any, predicted: Any) -> Any:
        of_moments = _root_mean_square(truth[..., :2], predicted[..., :2])
        return of_moments + PROFILE_WEIGHT * _root(aligned.squared_error(truth, predicted))

    return of_curves
