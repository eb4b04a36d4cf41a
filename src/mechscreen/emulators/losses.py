"""What training makes small."""

from __future__ import annotations

from typing import Any

from mechscreen.emulators.architectures.base import Fit
from mechscreen.emulators.backend import keras
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import TrainingSettings

ops = keras.ops

SMOOTHING = 3e-3
"""Errors below which the loss ``rmse`` becomes quadratic."""


def fit_profiles(network: Any, samples: Samples, settings: TrainingSettings) -> Fit:
    """Return how a network that says profiles and log peaks is fitted to those of `samples`."""
    targets = {"profiles": samples.profiles, "log_peaks": samples.log_peaks}
    if settings.loss == "rmse":
        return Fit(network, targets, dict.fromkeys(targets, root_mean_square), {"profiles": 1.0, "log_peaks": 0.02})
    of_profiles = {"mse": keras.losses.MeanSquaredError, "cross_entropy": keras.losses.BinaryCrossentropy}
    losses = {"profiles": of_profiles[settings.loss](), "log_peaks": keras.losses.MeanSquaredError()}
    # Keras averages over the points; the paper sums.
    return Fit(network, targets, losses, {"profiles": float(samples.profiles.shape[-1]), "log_peaks": 1.0})


def root_mean_square(truth: Any, predicted: Any) -> Any:
    """Return the root mean square error along the last axis."""
    return rounded_root(ops.mean(ops.square(truth - predicted), axis=-1))


def rounded_root(squared: Any) -> Any:
    """Return the root of a squared error, rounded off near zero, where a root has no slope.

    Near a switch of the pattern errors are large whatever the network does; squared, they would drown the rest.
    """
    return ops.sqrt(squared + SMOOTHING**2) - SMOOTHING
