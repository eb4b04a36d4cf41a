"""AutoEmulate's ensemble of perceptrons and its Gaussian process, for `benchmarks/emulate.py`, which runs this script.

    .venv-autoemulate/bin/python benchmarks/autoemulate_peer.py METHOD IN.npz OUT.npz --seconds 300

It runs in an environment of its own, since AutoEmulate wants a newer NumPy than TensorFlow allows. IN holds parameters
and targets to fit and parameters to predict; OUT gets the predictions, their rate and a note on what was fitted.
"""

import argparse
import time

import numpy as np
import torch
from autoemulate.emulators.ensemble import EnsembleMLP
from autoemulate.emulators.gaussian_process.exact import GaussianProcessRBF
from autoemulate.emulators.transformed.base import TransformedEmulator
from autoemulate.transforms import PCATransform, StandardizeTransform

MEMBERS = 4
COMPONENTS = 64
GAUSSIAN_SAMPLES, GAUSSIAN_COMPONENTS = 2000, 32
BATCHES = {"mlp": 4096, "gaussian": 256}
"""Rows of a prediction: the Gaussian process makes a covariance matrix of them for each component."""


def emulator(parameters, targets, model, components, **settings):
    """Return a fitted emulator, as `AutoEmulate` makes it when it does not tune: PCA of the standardised targets."""
    transforms = [StandardizeTransform(), PCATransform(components, niter=10)]
    fitted = TransformedEmulator(
        parameters, targets, model=model, x_transforms=[StandardizeTransform()], y_transforms=transforms, **settings
    )
    fitted.fit(parameters, targets)
    return fitted


def perceptrons(parameters, targets, seconds):
    """Fit an ensemble of perceptrons of three layers of 256 for as many epochs as fit, at a falling rate."""
    settings = {"layer_dims": [256] * 3, "batch_size": 256, "lr": 1e-3, "n_emulators": MEMBERS, "random_seed": 1}

    def fit(epochs):
        return emulator(
            parameters,
            targets,
            EnsembleMLP,
            COMPONENTS,
            epochs=epochs,
            scheduler_cls=torch.optim.lr_scheduler.CosineAnnealingLR,
            scheduler_params={"T_max": epochs},
            **settings,
        )

    fit(1)  # Torch starts up
    taken, trials = [], (1, 6)
    for epochs in trials:
        start = time.perf_counter()
        fit(epochs)
        taken.append(time.perf_counter() - start)
    epoch = (taken[1] - taken[0]) / (trials[1] - trials[0])
    if epoch <= 0:
        raise RuntimeError(f"1 and 6 epochs took {taken} s; is something else running?")
    epochs = max(trials[1], int((seconds - taken[0]) / epoch) + 1)
    return fit(epochs), f"{MEMBERS} networks, {epochs} epochs"


def gaussian_process(parameters, targets, seconds):
    """Fit the Gaussian process with its own settings to as many samples as are handled in minutes."""
    del seconds
    parameters, targets = parameters[:GAUSSIAN_SAMPLES], targets[:GAUSSIAN_SAMPLES]
    return emulator(parameters, targets, GaussianProcessRBF, GAUSSIAN_COMPONENTS), f"{len(parameters)} samples"


def predict(fitted, parameters, batch):
    """Return the means that are predicted, in batches."""
    return np.concatenate([fitted.predict_mean(part).numpy() for part in parameters.split(batch)])


METHODS = {"mlp": perceptrons, "gaussian": gaussian_process}


def main():
    """Fit and predict."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("method", choices=METHODS)
    parser.add_argument("given")
    parser.add_argument("said")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--rated", type=int, default=8192, help="predictions whose time is taken")
    arguments = parser.parse_args()
    given = {name: torch.from_numpy(values) for name, values in np.load(arguments.given).items()}
    start = time.perf_counter()
    fitted, note = METHODS[arguments.method](given["parameters"], given["targets"], arguments.seconds)
    training = time.perf_counter() - start
    batch = BATCHES[arguments.method]
    said = predict(fitted, given["asked"], batch)
    start = time.perf_counter()
    predict(fitted, given["asked"][torch.arange(arguments.rated) % len(said)], batch)
    rate = arguments.rated / (time.perf_counter() - start)
    np.savez(arguments.said, said=said, training=training, rate=rate, note=note)


if __name__ == "__main__":
    main()
