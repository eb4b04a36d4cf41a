"""Training of one network: arrays in, weights out, the same ones whether or not it was interrupted."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.backends.keras import KerasPredictor
from mechscreen.emulators.epochs import ByKeras, OnDevice, Order
from mechscreen.emulators.networks import kind_of, worth_compiling
from mechscreen.emulators.quiet_keras import keras
from mechscreen.emulators.samples import Samples
from mechscreen.emulators.settings import TrainingSettings
from mechscreen.errors import InputError, ModelError

WARM_UP = 0.02
"""Share of the steps in which the cosine schedule's rate grows to its peak."""

COLUMNS = (
    "epoch",
    "learning_rate",
    "loss",
    "validation_rmse",
    "validation_log_peak_rmse",
    "seconds",
)
"""What `Training.history` holds of each epoch."""


class Training:
    """A training that can be stopped after any epoch and continued, in this process or another.

    Parameters
    ----------
    network
        An untrained network of `mechscreen.emulators.networks`; it is trained in place.
    samples, validation
        What it learns from, and what tells which epoch's weights are the best.
    seed
        Fixes the order of the samples; that of epoch k depends on (seed, k) alone.

    Attributes
    ----------
    history
        A row of `COLUMNS` for each finished epoch. `loss` is the mean over the epoch, while the weights change; the
        validation errors are those of the weights at its end.

    Raises
    ------
    InputError
        If there are no samples to train on or to validate with.
    """

    def __init__(
        self, network: Any, samples: Samples, validation: Samples, settings: TrainingSettings, seed: int
    ) -> None:
        if not len(samples) or not len(validation):
            raise InputError(
                f"{len(samples)} training and {len(validation)} validation samples: a network needs both; "
                "raise simulations.count"
            )
        self.network = network
        self._fit = kind_of(network).fit(network, samples, settings)
        self.samples = samples
        self.validation = validation
        self.settings = settings
        self.seed = seed
        self.history: list[dict[str, float]] = []
        self._batch_size = min(settings.batch_size, len(samples))
        self._steps = len(samples) // self._batch_size
        self._compile()
        self._by_keras = ByKeras(self._fit, samples)
        self._alone: Together | None = None
        self._predictor = KerasPredictor(network, batch_size=min(512, len(validation)))
        self._best_weights: list[NDArray[np.float32]] = network.get_weights()
        self._state = self._collect()

    @property
    def epoch(self) -> int:
        """Number of finished epochs."""
        return len(self.history)

    @property
    def best_epoch(self) -> int:
        """The epoch (from 1) whose weights have the least validation RMSE (`Samples.distance`); 0 before the first."""
        if not self.history:
            return 0
        return 1 + int(np.argmin([row["validation_rmse"] for row in self.history]))

    @property
    def finished(self) -> bool:
        """True after the last epoch, or when `patience` is used up."""
        patience = self.settings.patience
        return self.epoch >= self.settings.epochs or (patience is not None and self.epoch - self.best_epoch >= patience)

    def run_epoch(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Train for one epoch.

        Parameters
        ----------
        stop
            Asked after every batch but the last whether to break off; the network then goes back to where the epoch
            began.

        Returns
        -------
        False if it was broken off.

        Raises
        ------
        ModelError
            If the loss or an error on the validation samples is no longer finite.
        """
        if keras.backend.backend() == "jax":
            # Made where it is wanted: its samples may lie on a card.
            self._alone = self._alone or Together([self])
            return self._alone.run_epoch(stop)
        start = time.perf_counter()
        loss = self._by_keras(self._order(), stop)
        if loss is None:
            self.restore(self._state)
            return False
        self._end_epoch(loss, start)
        return True

    def _order(self) -> Order:
        """Return the rows of the samples of each step of the next epoch."""
        order = np.random.default_rng([self.seed, self.epoch]).permutation(len(self.samples))
        return order[: self._steps * self._batch_size].reshape(self._steps, -1)

    def _end_epoch(self, loss: float, start: float) -> None:
        """Note what came of an epoch that began at a time."""
        validation = self.validation
        predicted = self._predictor(validation.parameters)
        with np.errstate(over="ignore"):  # what is too large is told below
            log_peak_rmse = np.sqrt(np.mean((validation.log_peaks - predicted["log_peaks"]) ** 2))
            distance = validation.distance(
                validation.profiles, validation.log_peaks, predicted["profiles"], predicted["log_peaks"]
            )
        row = {
            "epoch": self.epoch + 1,
            "learning_rate": float(keras.ops.convert_to_numpy(self._fit.network.optimizer.learning_rate)),
            "loss": loss,
            "validation_rmse": float(distance.mean()),
            "validation_log_peak_rmse": float(log_peak_rmse),
            "seconds": time.perf_counter() - start,
        }
        # The loss is that of the weights before each step; the last step can still spoil them.
        for name in ("loss", "validation_rmse", "validation_log_peak_rmse"):
            if not np.isfinite(row[name]):
                raise ModelError(
                    f"epoch {self.epoch + 1}: the {name.replace('_', ' ')} is {row[name]}; lower "
                    f"emulators.training.learning_rate (now {self.settings.learning_rate:g})"
                )
        self.history.append({name: float(row[name]) for name in COLUMNS})
        if self.best_epoch == self.epoch:
            self._best_weights = self.network.get_weights()
        self._state = self._collect()

    def use_best_weights(self) -> None:
        """Give the network the weights of the best epoch; the end of the training."""
        self.network.set_weights(self._best_weights)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return all that `restore` needs to go on after the last finished epoch, as named arrays."""
        return self._state

    def restore(self, state: Mapping[str, NDArray[Any]]) -> None:
        """Go back to a state that `state` returned, here or in another process.

        Raises
        ------
        ModelError
            If it is the state of another network or optimiser; nothing has changed then.
        """
        shapes, expected = (
            {name: np.shape(values)[-1:] if name == "history" else np.shape(values) for name, values in arrays.items()}
            for arrays in (state, self._state)
        )
        if shapes != expected:
            raise ModelError("the weights are those of another network or optimiser")

        def group(name: str) -> list[NDArray[Any]]:
            return [state[key] for key in sorted(state) if key.startswith(f"{name}-")]

        self.network.set_weights(group("weight"))
        for variable, value in zip(self._fit.network.optimizer.variables, group("optimiser"), strict=True):
            variable.assign(value)
        self._best_weights = group("best")
        self.history = [dict(zip(COLUMNS, map(float, row), strict=True)) for row in state["history"]]
        self._state = dict(state)

    def _collect(self) -> dict[str, NDArray[Any]]:
        groups = {
            "weight": self.network.get_weights(),
            "optimiser": [np.array(keras.ops.convert_to_numpy(v)) for v in self._fit.network.optimizer.variables],
            "best": self._best_weights,
        }
        arrays = {f"{group}-{i:03d}": np.asarray(v) for group, values in groups.items() for i, v in enumerate(values)}
        rows = [[row[name] for name in COLUMNS] for row in self.history]
        return {**arrays, "history": np.array(rows, dtype=float).reshape(-1, len(COLUMNS))}

    def _compile(self) -> None:
        settings = self.settings
        steps = settings.epochs * self._steps
        rate: Any = settings.learning_rate
        if settings.schedule == "cosine":
            warm_up = max(1, round(WARM_UP * steps))
            # From the rate of a first step, not from zero: a training may have one step in all.
            rate = keras.optimizers.schedules.CosineDecay(
                settings.learning_rate / warm_up,
                max(1, steps - warm_up),
                warmup_target=settings.learning_rate,
                warmup_steps=warm_up,
            )
        self._fit.network.compile(
            optimizer=keras.optimizers.AdamW(
                rate,
                weight_decay=settings.weight_decay,
                beta_1=settings.beta_1,
                global_clipnorm=settings.clip_norm,
            ),
            loss=self._fit.losses,
            loss_weights=self._fit.weights,
            jit_compile=worth_compiling(self.network),
        )
        self._fit.network.optimizer.build(self._fit.network.trainable_variables)


class Together:
    """Trainings of networks of one kind on the same samples, all at once by JAX.

    Each ends with the weights that it has alone but for rounding, since products are computed side by side.

    Raises
    ------
    InputError
        If Keras runs on another library.
    """

    def __init__(self, trainings: Sequence[Training]) -> None:
        if keras.backend.backend() != "jax":
            raise InputError(
                f"members are trained together by JAX, and Keras runs on {keras.backend.backend()} here; set "
                "KERAS_BACKEND=jax, or train them one by one"
            )
        self.trainings = tuple(trainings)
        self._device = OnDevice(trainings[0]._fit, trainings[0].samples)

    @property
    def finished(self) -> bool:
        """True where all are."""
        return all(training.finished for training in self.trainings)

    def run_epoch(self, stop: Callable[[], bool] = lambda: False) -> bool:
        """Train those that have come least far for one epoch, as `Training.run_epoch`."""
        start = time.perf_counter()
        left = [training for training in self.trainings if not training.finished]
        least = min(training.epoch for training in left)
        group = [training for training in left if training.epoch == least]
        networks = [training._fit.network for training in group]
        losses = self._device(networks, [training._order() for training in group], stop)
        if losses is None:
            # What the steps changed was not given to the networks.
            return False
        for training, loss in zip(group, losses.tolist(), strict=True):
            training._end_epoch(loss, start)
        return True
