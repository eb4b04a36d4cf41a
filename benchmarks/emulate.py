"""Our networks beside what one would pick instead, on one split of one campaign, in one run: make bench-emulate.

    python benchmarks/emulate.py config/demo.yaml               # its training set must be there (snakemake dataset)
    python benchmarks/emulate.py config/demo.yaml --minutes 10 --only dense lstm

The networks may train for so many minutes, on the cores of the process, and get as many epochs as fit, two at least;
the nearest neighbours and the Gaussian processes (of 2,000 samples) take the time that they take. AutoEmulate trains
four networks in that time, the others one. All keep the weights of the best epoch by the validation split but
AutoEmulate, whose rate falls to zero. Our LSTM has the paper's sizes and loss, but a higher, falling rate, since the
paper's asks for hundreds of epochs. AutoEmulate runs in an environment of its own, `.venv-autoemulate`, which
`make bench-emulate` makes (`autoemulate_peer.py`). Prints mean RMSE of the profiles and R² on the test split, training
time (trial epochs included), and predictions a second.
"""

from __future__ import annotations

import argparse
import copy
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from mechscreen.campaign import Campaign
from mechscreen.emulators.backends.choice import make_predictor
from mechscreen.emulators.metrics import r_squared, rmse
from mechscreen.emulators.networks import build_network
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import DenseSettings, LSTMSettings, NetworkSettings, TrainingSettings
from mechscreen.emulators.training import Training
from mechscreen.stages.merge import load_split
from mechscreen.stages.train import to_samples

Array = NDArray[Any]
Predict = Callable[[Array], Array]
"""Normalised parameters (n, d) → (n, outputs · points + outputs): profiles, then log peaks."""
Method = Callable[[Samples, Samples, Array, float], tuple[Array, float, float]]
"""Training and validation samples, parameters, seconds of training → what is predicted for these parameters, seconds
of training, predictions a second."""

AUTOEMULATE = Path(".venv-autoemulate/bin/python")
BATCH = 4096
RATED = 2 * BATCH
"""Predictions whose time is taken."""
COMPONENTS = 64
GAUSSIAN_SAMPLES = 2000
"""Of which a Gaussian process with one length for each parameter is still fitted in minutes."""


def network(settings: NetworkSettings, training: TrainingSettings) -> Callable[[Samples, Samples, float], Predict]:
    """Return a method that trains one of our networks for as many epochs as fit."""

    def fit(samples: Samples, validation: Samples, seconds: float) -> Predict:
        trial = Training(build_network(settings, samples), samples, validation, training, seed=0)
        trial.run_epoch()  # compiles
        trial.run_epoch()
        epochs = max(2, int(seconds / trial.history[-1]["seconds"]))
        fitted = Training(
            build_network(settings, samples, seed=1),
            samples,
            validation,
            training.model_copy(update={"epochs": epochs}),
            seed=1,
        )
        while not fitted.finished:
            fitted.run_epoch()
        fitted.use_best_weights()
        print(f"    {settings.network}: {epochs} epochs")
        predictor = make_predictor(fitted.network, BATCH)

        def predict(parameters: Array) -> Array:
            said = predictor(parameters)
            return np.concatenate([said["profiles"].reshape(len(parameters), -1), said["log_peaks"]], axis=1)

        return predict

    return fit


def _targets(samples: Samples) -> Array:
    return np.concatenate([samples.profiles.reshape(len(samples), -1), samples.log_peaks], axis=1)


def perceptron(samples: Samples, validation: Samples, seconds: float) -> Predict:
    """scikit-learn's multilayer perceptron, three layers of 256, its defaults otherwise; the targets standardised."""
    scaler = StandardScaler().fit(_targets(samples))
    fitted = MLPRegressor(hidden_layer_sizes=(256, 256, 256), random_state=1)
    targets, start, epochs = scaler.transform(_targets(samples)), time.perf_counter(), 0
    known, truth = validation.parameters[:1000], _targets(validation)[:1000]
    least, best = np.inf, fitted
    while time.perf_counter() - start < seconds:
        fitted.partial_fit(samples.parameters, targets)
        epochs += 1
        error = np.mean((scaler.inverse_transform(fitted.predict(known)) - truth) ** 2)
        if error < least:
            least, best = error, copy.deepcopy(fitted)
    print(f"    MLPRegressor: {epochs} epochs")
    return lambda parameters: scaler.inverse_transform(best.predict(parameters))


def neighbours(samples: Samples, validation: Samples, seconds: float) -> Predict:
    """scikit-learn's k nearest neighbours, weighted by distance; the best of four k by the validation split."""
    fits = [KNeighborsRegressor(n_neighbors=k, weights="distance", n_jobs=-1) for k in (2, 4, 8, 16)]
    for fit in fits:
        fit.fit(samples.parameters, _targets(samples))
    rows = slice(0, 1000)
    errors = [np.mean((fit.predict(validation.parameters[rows]) - _targets(validation)[rows]) ** 2) for fit in fits]
    best = fits[int(np.argmin(errors))]
    print(f"    KNeighborsRegressor: k = {best.n_neighbors}")
    return best.predict


def gaussian_process(samples: Samples, validation: Samples, seconds: float) -> Predict:
    """PCA of the targets, and scikit-learn's Gaussian process on the scores, with a length for each parameter."""
    rows = slice(0, GAUSSIAN_SAMPLES)
    scaler = StandardScaler().fit(_targets(samples))
    pca = PCA(COMPONENTS).fit(scaler.transform(_targets(samples)))
    scores = pca.transform(scaler.transform(_targets(samples)[rows]))
    kernel = RBF(np.ones(samples.parameters.shape[1]), (0.05, 100)) + WhiteKernel(0.1, (1e-6, 1))
    fitted = GaussianProcessRegressor(kernel=kernel, normalize_y=True, random_state=1)
    fitted.fit(samples.parameters[rows], scores)
    print(f"    GaussianProcessRegressor: {min(GAUSSIAN_SAMPLES, len(samples))} samples, {COMPONENTS} components")
    return lambda parameters: scaler.inverse_transform(pca.inverse_transform(fitted.predict(parameters)))


def here(fit: Callable[[Samples, Samples, float], Predict]) -> Method:
    """Return a method that fits and predicts in this process."""

    def run(samples: Samples, validation: Samples, asked: Array, seconds: float) -> tuple[Array, float, float]:
        start = time.perf_counter()
        predict = fit(samples, validation, seconds)
        training = time.perf_counter() - start
        said = predict(asked)
        many = np.resize(asked, (RATED, asked.shape[1]))
        start = time.perf_counter()
        predict(many)
        return said, training, RATED / (time.perf_counter() - start)

    return run


def there(method: str) -> Method:
    """Return a method that AutoEmulate's interpreter runs."""

    def run(samples: Samples, validation: Samples, asked: Array, seconds: float) -> tuple[Array, float, float]:
        with tempfile.TemporaryDirectory() as folder:
            given, said = Path(folder, "given.npz"), Path(folder, "said.npz")
            np.savez(given, parameters=samples.parameters, targets=_targets(samples), asked=asked)
            script = Path(__file__).with_name("autoemulate_peer.py")
            command = [AUTOEMULATE, script, method, given, said, "--seconds", str(seconds), "--rated", str(RATED)]
            subprocess.run(command, check=True)
            with np.load(said) as file:
                print(f"    AutoEmulate: {file['note']}")
                return file["said"], float(file["training"]), float(file["rate"])

    return run


METHODS = {
    "dense": here(network(DenseSettings(), TrainingSettings())),
    "lstm": here(
        network(LSTMSettings(), TrainingSettings(batch_size=100, learning_rate=1e-3, loss="mse", weight_decay=0))
    ),
    "autoemulate-mlp": there("mlp"),
    "autoemulate-gaussian": there("gaussian"),
    "mlp": here(perceptron),
    "neighbours": here(neighbours),
    "gaussian": here(gaussian_process),
}


def main() -> None:
    """Fit, predict, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--minutes", type=float, default=5, help="of training for each method")
    parser.add_argument("--samples", type=int, help="of the training split; all by default")
    parser.add_argument("--only", nargs="+", choices=METHODS, default=list(METHODS))
    arguments = parser.parse_args()
    if any(name.startswith("autoemulate") for name in arguments.only) and not AUTOEMULATE.exists():
        parser.error(f"AutoEmulate is not there ({AUTOEMULATE}): run make bench-emulate, or leave it out with --only")
    campaign = Campaign.load(arguments.config)
    samples, validation, test = (
        to_samples(campaign, load_split(campaign, split)) for split in ("train", "validation", "test")
    )
    samples = samples.take(np.arange(len(samples))[: arguments.samples])
    print(f"{campaign.name}: {len(samples)} training, {len(test)} test samples; {len(os.sched_getaffinity(0))} cores")
    lines = [
        f"| {'method':20} | mean RMSE | R² profiles | R² ln peak | training (s) | predictions a second |",
        "|---" * 6 + "|",
    ]
    for name in arguments.only:
        said, seconds, rate = METHODS[name](samples, validation, test.parameters, 60 * arguments.minutes)
        profiles, log_peaks = np.split(said, [test.profiles[0].size], axis=1)
        profiles = profiles.reshape(test.profiles.shape)
        lines.append(
            f"| {name:20} | {rmse(test.profiles, profiles).mean():.4f} | {r_squared(test.profiles, profiles):.4f} | "
            f"{r_squared(test.log_peaks, log_peaks):.4f} | {seconds:.0f} | {rate:,.0f} |"
        )
        print(lines[-1], flush=True)
    print("\n".join(lines))


if __name__ == "__main__":
    main()
