"""What was tried for the dense network: the error of one network of a campaign for each variant.

    python benchmarks/explore_network.py config/paper.yaml --samples 20000            # all variants, two hours
    python benchmarks/explore_network.py config/paper.yaml --samples 20000 base ReLU  # some of them

The campaign's training set must be there (`snakemake dataset`). One thread. Each variant changes the base, which is the
network and the training of `mechscreen.emulators` with 40 epochs; the base is trained from three seeds, which shows how
much is chance.
"""

from __future__ import annotations

import argparse
import os
import time
from contextlib import ExitStack
from typing import Any
from unittest import mock

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np

from mechscreen.campaign import Campaign
from mechscreen.emulators import losses, networks, training
from mechscreen.emulators.backends.keras import KerasPredictor
from mechscreen.emulators.metrics import r_squared, rmse
from mechscreen.emulators.quiet_keras import keras
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import DenseSettings, TrainingSettings
from mechscreen.stages.merge import load_split
from mechscreen.stages.train import to_samples

layers = keras.layers

BASE: dict[str, Any] = {
    "width": 512, "blocks": 4, "epochs": 40, "batch_size": 256, "learning_rate": 4e-3, "schedule": "cosine",
    "weight_decay": 0.1, "loss": "rmse", "precision": "float32", "averaged": 0, "seed": 1,
    "smoothing": losses.SMOOTHING, "deviation": networks.FEATURE_DEVIATION, "activation": "gelu",
    "block": "residual", "decoder": "dense", "bottleneck": 0,
}  # fmt: skip
VARIANTS: dict[str, dict[str, Any]] = {
    "base": {},
    "base, second seed": {"seed": 2},
    "base, third seed": {"seed": 3},
    "squared error": {"loss": "mse"},
    "rounded off at 0.01": {"smoothing": 1e-2},
    "rounded off at 0.001": {"smoothing": 1e-3},
    "no weight decay": {"weight_decay": 0.0},
    "weight decay 0.3": {"weight_decay": 0.3},
    "weight decay 1": {"weight_decay": 1.0},
    "2 blocks": {"blocks": 2},
    "8 blocks": {"blocks": 8},
    "768 wide": {"width": 768},
    "384 wide, 7 blocks": {"width": 384, "blocks": 7},
    "1024 wide, 2 blocks": {"width": 1024, "blocks": 2},
    "ReLU": {"activation": "relu"},
    "SiLU": {"activation": "silu"},
    "layer normalisation first, rate 2e-3": {"block": "normalised", "learning_rate": 2e-3},
    "gated blocks": {"block": "gated"},
    "one layer a block, 8 blocks": {"block": "single", "blocks": 8},
    "features of deviation 1": {"deviation": 1.0},
    "bottleneck of 48": {"bottleneck": 48},
    "convolutional decoder, 384 wide": {"decoder": "convolution", "width": 384},
    "coordinate decoder, 384 wide": {"decoder": "coordinate", "width": 384},
    "batches of 128": {"batch_size": 128},
    "batches of 512, rate 6e-3": {"batch_size": 512, "learning_rate": 6e-3},
    "constant rate 1e-3": {"schedule": "constant", "learning_rate": 1e-3},
    "constant rate 1e-3, mean weights of 10 epochs": {"schedule": "constant", "learning_rate": 1e-3, "averaged": 10},
    "products in bfloat16": {"precision": "mixed_bfloat16"},
    "100 epochs": {"epochs": 100},
}


class AtCoordinates(keras.layers.Layer):
    """A code (n, width) at each of some coordinates from 0 to 1, told by sines and cosines: (n, points, width)."""

    FREQUENCIES = 16

    def __init__(self, points: int) -> None:
        super().__init__()
        angles = np.pi * np.linspace(0, 1, points)[:, None] * np.arange(1, self.FREQUENCIES + 1)
        self.waves = np.concatenate([np.sin(angles), np.cos(angles)], axis=1).astype(np.float32)

    def build(self, input_shape: Any) -> None:
        self.kernel = self.add_weight(shape=(2 * self.FREQUENCIES, input_shape[-1]), initializer="he_normal")

    def call(self, inputs: Any) -> Any:
        return inputs[:, None, :] + keras.ops.matmul(self.waves, self.kernel)


def build(settings: dict[str, Any], samples: Samples) -> Any:
    """Return an untrained network; `mechscreen.emulators.networks` has the base."""
    if all(settings[key] == BASE[key] for key in ("activation", "block", "decoder", "bottleneck")):
        plain = DenseSettings(width=settings["width"], blocks=settings["blocks"])
        return networks.build_network(plain, samples, seed=settings["seed"], precision=settings["precision"])
    keras.utils.set_random_seed(settings["seed"])
    width, activation = settings["width"], settings["activation"]

    def dense(units: int, values: Any, use: str | None = None) -> Any:
        return layers.Dense(units, use, kernel_initializer="he_normal")(values)

    inputs = keras.Input(samples.parameters.shape[1:])
    to_features = networks.ValuesAndLogarithms()
    features = keras.ops.convert_to_numpy(to_features(samples.parameters))
    scale = (features.std(axis=0) / settings["deviation"]) ** 2
    x = layers.Normalization(mean=features.mean(axis=0), variance=scale)(to_features(inputs))
    x = dense(width, x, activation)
    for _ in range(settings["blocks"]):
        if settings["block"] == "residual":
            change = dense(width, dense(width, x, activation))
            x = layers.Activation(activation)(layers.Add()([x, change]))
        elif settings["block"] == "normalised":
            change = dense(width, dense(width, layers.LayerNormalization()(x), activation))
            x = layers.Add()([x, change])
        elif settings["block"] == "gated":
            change = layers.Multiply()([dense(width // 2, x, activation), dense(width // 2, x)])
            x = layers.Activation(activation)(layers.Add()([x, dense(width, change)]))
        else:
            x = layers.Add()([x, dense(width, x, activation)])
    last = dense(settings["bottleneck"], x) if settings["bottleneck"] else x
    points = samples.profiles.shape[-1]
    if settings["decoder"] == "dense":
        logits = dense(points, last)
    elif settings["decoder"] == "coordinate":
        shape = layers.Activation(activation)(AtCoordinates(points)(dense(64, last)))
        logits = dense(1, dense(64, shape, activation))
    else:
        channels = 48
        shape = layers.Reshape((32, channels))(dense(32 * channels, last, activation))
        for _ in range(4):
            channels = max(16, int(channels / 1.4))
            shape = layers.UpSampling1D(2)(shape)
            shape = layers.Conv1D(channels, 3, padding="same", activation=activation)(shape)
        logits = layers.Cropping1D((0, 512 - points))(layers.Conv1D(1, 5, padding="same")(shape))
    profiles = layers.Reshape((1, points), name="profiles")(layers.Activation("sigmoid")(logits))
    mean, deviation = samples.log_peaks.mean(), samples.log_peaks.std()
    log_peaks = layers.Rescaling(float(deviation), float(mean), name="log_peaks")(layers.Dense(1)(x))
    # It is fitted as the network of that name is.
    return keras.Model(inputs, {"profiles": profiles, "log_peaks": log_peaks}, name="dense")


def flops(network: Any) -> float:
    """Return the floating-point operations of a prediction, those of matrix products and convolutions."""
    return sum(
        2.0 * np.prod(layer.kernel.shape) * np.prod(layer.output.shape[1:-1])
        for layer in network.layers
        if hasattr(layer, "kernel")
    )


def explore(name: str, samples: Samples, validation: Samples) -> str:
    """Train a variant; return its line of the table."""
    settings = BASE | VARIANTS[name]
    schedule = TrainingSettings(**{key: settings[key] for key in settings if key in TrainingSettings.model_fields})
    with ExitStack() as mocks:
        mocks.enter_context(mock.patch.object(networks, "FEATURE_DEVIATION", settings["deviation"]))
        mocks.enter_context(mock.patch.object(losses, "SMOOTHING", settings["smoothing"]))
        network = build(settings, samples)
        job = training.Training(network, samples, validation, schedule, seed=settings["seed"])
        start, late = time.perf_counter(), []
        while not job.finished:
            job.run_epoch()
            if job.epoch > schedule.epochs - settings["averaged"]:
                late.append(network.get_weights())
        took = time.perf_counter() - start
    job.use_best_weights()
    if late:
        network.set_weights([np.mean(weights, axis=0) for weights in zip(*late, strict=True)])
    said = KerasPredictor(network, 1024)(validation.parameters)
    error = rmse(validation.profiles, said["profiles"])
    return (
        f"| {name} | {network.count_params() / 1e6:.2f} | {flops(network) / 1e6:.1f} | {took:.0f} | "
        f"{error.mean():.4f} | {np.median(error):.4f} | {r_squared(validation.profiles, said['profiles']):.4f} | "
        f"{r_squared(validation.log_peaks, said['log_peaks']):.4f} |"
    )


def main() -> None:
    """Train the variants and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("variants", nargs="*", help=f"{'; '.join(VARIANTS)}. All by default")
    parser.add_argument("--samples", type=int, help="of the training split; all by default")
    arguments = parser.parse_intermixed_args()
    unknown = set(arguments.variants) - VARIANTS.keys()
    if unknown:
        parser.error(f"no variant {', '.join(sorted(unknown))} (valid: {'; '.join(VARIANTS)})")
    campaign = Campaign.load(arguments.config)
    samples, validation = (to_samples(campaign, load_split(campaign, split)) for split in ("train", "validation"))
    samples = samples.take(np.arange(len(samples))[: arguments.samples])
    print(f"{campaign.name}: {len(samples)} training, {len(validation)} validation samples")
    print("| variant | weights (millions) | MFLOP | s | mean RMSE | median | R² profiles | R² ln peak |")
    print("|---" * 8 + "|")
    for name in arguments.variants or VARIANTS:
        print(explore(name, samples, validation), flush=True)


if __name__ == "__main__":
    main()
