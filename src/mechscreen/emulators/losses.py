"""What training makes small."""

from __future__ import annotations

from typing import Any

from mechscreen.emulators.architectures.base import Fit
from mechscreen.emulators.quiet_keras import keras
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import TrainingSettings
from mechscreen.errors import InputError
from mechscreen.models.distances import Distance

ops = keras.ops

SMOOTHING = 3e-3
"""Errors below which the loss ``rmse`` becomes quadratic."""

SHAPE_WEIGHT, VALUE_WEIGHT = 0.02, 0.5
"""Weight of the error of a log peak where outputs are compared by their shapes, and where by their values: there it is
about what it adds to the error of a profile."""


def fit_profiles(network: Any, samples: Samples, settings: TrainingSettings) -> Fit:
    """Return how a network that says profiles and log peaks is fitted to those of `samples`."""
    targets = {"profiles": samples.profiles, "log_peaks": samples.log_peaks}
    distance = samples.distance
    as_one = distance.outputs.uniform and distance.outputs.all_by_peak
    if settings.loss == "rmse":
        losses = {"profiles": root_mean_square if as_one else _of_each(distance), "log_peaks": root_mean_square}
        weight = VALUE_WEIGHT if distance.of_peaks.any() else SHAPE_WEIGHT
        return Fit(network, targets, losses, {"profiles": 1.0, "log_peaks": weight})
    if not as_one:
        raise InputError(
            f"emulators.training.loss: {settings.loss} compares profiles of equally many points that are scaled by "
            "their peaks; the model's outputs are others: take rmse"
        )
    of_profiles = {"mse": keras.losses.MeanSquaredError, "cross_entropy": keras.losses.BinaryCrossentropy}
    losses = {"profiles": of_profiles[settings.loss](), "log_peaks": keras.losses.MeanSquaredError()}
    # Keras averages over the points; the paper sums.
    return Fit(network, targets, losses, {"profiles": float(samples.profiles.shape[-1]), "log_peaks": 1.0})


def _of_each(distance: Distance) -> Any:
    """Return the loss of outputs of any shapes: the mean of their root mean square errors, in their units."""
    starts, shape = distance.outputs.starts.tolist(), (-1, sum(distance.outputs.sizes))
    units, givens = distance.deviations.tolist(), distance.outputs.givens.tolist()

    def of_each(truth: Any, predicted: Any) -> Any:
        truth = ops.reshape(truth, shape)
        errors = truth - ops.reshape(predicted, shape)
        parts = [errors[:, start:end] / unit for start, end, unit in zip(starts, starts[1:], units, strict=False)]
        # What a sample does not have is not learnt from it.
        parts = [
            part if given < 0 else part * truth[:, starts[given] : starts[given] + 1]
            for part, given in zip(parts, givens, strict=True)
        ]
        return sum(rounded_root(ops.mean(ops.square(part), axis=-1)) for part in parts) / len(parts)

    return of_each


def root_mean_square(truth: Any, predicted: Any) -> Any:
    """Return the root mean square error along the last axis."""
    return rounded_root(ops.mean(ops.square(truth - predicted), axis=-1))


def rounded_root(squared: Any) -> Any:
    """Return the root of a squared error, rounded off near zero, where a root has no slope.

    Near a switch of the pattern errors are large whatever the network does; squared, they would drown the rest.
    """
    return ops.sqrt(squared + SMOOTHING**2) - SMOOTHING
