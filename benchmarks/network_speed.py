"""Speed of the networks beside plain matrix products of the same sizes, in one run.

    python benchmarks/network_speed.py config/paper.yaml            # a campaign with a trained dense network
    python benchmarks/network_speed.py config/myc_e2f.yaml          # or with a trained aligned one

Dense: parameter sets a second of one member, with the profiles written and the classes of the campaign's objective
told, by Keras and by OpenVINO, in float32 and bfloat16, and the error that the latter adds; samples a second of its
training in both precisions.
LSTM, beside the dense network: FLOP/s in training and prediction, counting matrix products alone, beside those products
by themselves.
Aligned: parameter sets a second of one member, and samples a second of its training, with XLA and without.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from typing import Any
from unittest.mock import patch

import numpy as np

from mechscreen.campaign import Campaign
from mechscreen.emulators.backends.base import Predictor
from mechscreen.emulators.backends.keras import KerasPredictor
from mechscreen.emulators.backends.openvino import OpenVINOPredictor
from mechscreen.emulators.metrics import rmse
from mechscreen.emulators.networks import build_network, in_float32, load_network, network_shape
from mechscreen.emulators.quiet_keras import keras
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import DenseSettings, LSTMSettings, TrainingSettings
from mechscreen.emulators.training import Training
from mechscreen.stages.merge import load_split
from mechscreen.stages.train import to_samples

POINTS = 501
"""Of a profile of the pattern model."""
SETS = 32_768
REPEATS = 5


def seconds(work: Callable[[], Any]) -> float:
    """Median time of some calls, after one that compiles."""
    work()
    times = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def noise(count: int, dimensions: int = 13, outputs: int = 1, points: int = POINTS) -> Samples:
    """Samples without meaning."""
    rng = np.random.default_rng(0)
    shapes = ((count, dimensions), (count, outputs, points), (count, outputs))
    return Samples(*(rng.random(shape, dtype=np.float32) for shape in shapes))


def shape_of(network: Any) -> tuple[int, int, int]:
    """Parameters, outputs and points."""
    dimensions, outputs, (_, points) = network_shape(network)
    return dimensions, outputs, points


def measure_dense(campaign: Campaign) -> None:
    """Predict, write, label; compare with the test split."""
    test = to_samples(campaign, load_split(campaign, "test"))
    network = load_network(campaign.paths.member(0) / "model.keras")
    parameters, said = noise(SETS, *shape_of(network)).parameters, {}
    exact = in_float32(network)
    predictors = {"Keras, float32, batches of 4096": KerasPredictor(exact, 4096)}
    if exact is not network:
        predictors["Keras, mixed precision as trained, batches of 4096"] = KerasPredictor(network, 4096)
    predictors |= {
        "OpenVINO, float32, batches of 512": OpenVINOPredictor(network, 512, "float32"),
        "OpenVINO, bfloat16, batches of 512": OpenVINOPredictor(network, 512, "bfloat16"),
    }
    for name, predictor in predictors.items():

        def predict(predictor: Predictor = predictor) -> dict[str, Any]:
            return predictor(parameters)

        def predict_and_label(predict: Callable[[], dict[str, Any]] = predict) -> Any:
            profiles = predict()
            return campaign.objective(profiles["profiles"], profiles["log_peaks"])

        alone, labelled = seconds(predict), seconds(predict_and_label)
        flops = 2.0 * network.count_params() * SETS / alone
        said[name] = predictor(test.parameters)["profiles"]
        print(
            f"dense, {name}: {SETS / alone:,.0f} sets a second ({flops / 1e9:.0f} GFLOP/s), "
            f"labelled {SETS / labelled:,.0f}; test RMSE {rmse(test.profiles, said[name]).mean():.5f}",
            flush=True,
        )
    *_, finer, coarser = said.values()
    print(f"    between the two precisions of OpenVINO {rmse(finer, coarser).mean():.5f}")


def measure_dense_training() -> None:
    """Train for an epoch in either precision."""
    batch, batches = TrainingSettings().batch_size, 64
    samples = noise(batches * batch)
    for precision in ("float32", "mixed_bfloat16"):
        network = build_network(DenseSettings(), samples, precision=precision)
        settings = TrainingSettings(precision=precision)
        training = Training(network, samples, samples.take(np.arange(1)), settings, seed=0)
        rate = len(samples) / seconds(training.run_epoch)
        print(f"dense, training, {precision}, batches of {batch}: {rate:,.0f} samples a second", flush=True)


def product_rate(batch: int, inner: int, outer: int) -> float:
    """FLOP/s of the plain matrix product (batch, inner) × (inner, outer), by the networks' own library."""
    import tensorflow as tf

    a, b = tf.random.normal((batch, inner)), tf.random.normal((inner, outer))
    count = 200

    def products() -> None:
        for _ in range(count):
            product = tf.matmul(a, b)
        product.numpy()

    return 2.0 * batch * inner * outer * count / seconds(products)


def measure_lstm() -> None:
    """Train and predict; count the products of the loop, forwards once and backwards twice."""
    settings = LSTMSettings()
    inner, outer = settings.embedding + settings.feedback + settings.units, 4 * settings.units
    for what, batch, passes in (("prediction", 1000, 1), ("training", 100, 3)):
        samples = noise(2 * batch)
        network = build_network(settings, samples)
        if what == "prediction":
            predictor = KerasPredictor(network, batch)
            took = seconds(lambda predictor=predictor, samples=samples: predictor(samples.parameters)) / 2
        else:
            training = Training(
                network, samples, samples.take(np.arange(1)), TrainingSettings(batch_size=batch, loss="mse"), seed=0
            )
            took = seconds(training.run_epoch) / 2
        flops = passes * POINTS * 2.0 * batch * (inner * outer + settings.units)
        plain, sizes = product_rate(batch, inner, outer), f"({batch}, {inner}) × ({inner}, {outer})"
        print(
            f"lstm, {what}, batches of {batch}: {1e3 * took / batch:.2f} ms a sample, "
            f"{flops / took / 1e9:.0f} GFLOP/s; "
            f"plain products {sizes}: {plain / 1e9:.0f} GFLOP/s; {flops / took / plain:.0%}",
            flush=True,
        )


def measure_aligned(campaign: Campaign) -> None:
    """Predict, and train for an epoch of some batches, each with XLA and without."""
    path, batch = campaign.paths.member(0) / "model.keras", campaign.emulators.training.batch_size
    samples = to_samples(campaign, load_split(campaign, "train")).take(np.arange(64 * batch))
    parameters = noise(SETS // 4, *shape_of(load_network(path))).parameters

    def report(what: str, count: int, took: float) -> None:
        print(f"aligned, {what}: {count / took:,.0f} a second, {1e3 * took / count:.3f} ms each", flush=True)

    def report_prediction(name: str, predictor: Predictor) -> None:
        report(f"prediction, {name}", len(parameters), seconds(lambda: predictor(parameters)))

    for compiled, name in ((True, "Keras with XLA"), (False, "Keras without XLA")):
        with (
            patch("mechscreen.emulators.networks.worth_compiling", return_value=compiled),
            patch("mechscreen.emulators.training.worth_compiling", return_value=compiled),
        ):
            report_prediction(f"{name}, batches of 4096", KerasPredictor(load_network(path), 4096))
            network = build_network(campaign.emulators.architecture, samples)
            training = Training(network, samples, samples.take(np.arange(1)), campaign.emulators.training, seed=0)
            report(f"training, {name}, batches of {batch}", len(samples), seconds(training.run_epoch))
    for rows in (512, 4096):
        report_prediction(
            f"OpenVINO, float32, batches of {rows}", OpenVINOPredictor(load_network(path), rows, "float32")
        )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    arguments = parser.parse_args()
    print(f"{len(os.sched_getaffinity(0))} cores, backend {keras.backend.backend()}")
    campaign = Campaign.load(arguments.config)
    if campaign.emulators.architecture.network == "aligned":
        measure_aligned(campaign)
        return
    measure_dense(campaign)
    measure_dense_training()
    measure_lstm()


if __name__ == "__main__":
    main()
