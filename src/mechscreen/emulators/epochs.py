"""How an epoch goes: step after step from the host by Keras, or as one program of JAX beside the samples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.architectures.base import Fit
from mechscreen.emulators.quiet_keras import keras
from mechscreen.emulators.samples import Samples

Order = NDArray[np.intp]
"""Rows of the samples of each step, (steps, batch size)."""
Stop = Callable[[], bool]
"""Says whether to break off."""

STEPS_AT_ONCE = 32
"""Steps of a program between two questions whether to break off."""
_CARD_SHARE, _HOST_BYTES = 0.5, 2**30
"""Of a card's free memory, and of a processor's, what samples may take to stay there."""


class ByKeras:
    """Epochs of one network as Keras fits it: batches are put together by the host."""

    def __init__(self, fit: Fit, samples: Samples) -> None:
        self._fit, self._samples = fit, samples

    def __call__(self, order: Order, stop: Stop) -> float | None:
        """Train for an epoch; return the mean loss, None if it was broken off."""
        watch = _Watch(stop)
        batches = _Batches(self._samples, self._fit.targets, order)
        fitted = self._fit.network.fit(batches, epochs=1, shuffle=False, verbose=0, callbacks=[watch])
        return None if watch.stopped else float(fitted.history["loss"][0])


class _Batches(keras.utils.PyDataset):
    """The batches of one epoch: rows of samples, (steps, batch size)."""

    def __init__(self, samples: Samples, targets: Mapping[str, Any], rows: Order) -> None:
        super().__init__()
        self._parameters = samples.parameters
        self._targets = targets
        self._rows = rows

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, step: int) -> tuple[Any, dict[str, Any]]:
        rows = self._rows[step]
        return self._parameters[rows], {name: values[rows] for name, values in self._targets.items()}


class _Watch(keras.callbacks.Callback):
    """Breaks off an epoch when it is asked to."""

    def __init__(self, stop: Stop) -> None:
        super().__init__()
        self._stop = stop
        self.stopped = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        if batch + 1 < self.params["steps"] and self._stop():
            self.stopped = self.model.stop_training = True


class OnDevice:
    """Epochs of networks of one kind, all at once, as one program of JAX.

    The samples lie beside the program where there is room for them; else the next batches are brought while it works.

    Parameters
    ----------
    fit, samples
        What is fitted to what: of one of the networks, which differ in their weights alone.
    resident
        Whether samples are to lie there; None: if there is room.
    """

    def __init__(self, fit: Fit, samples: Samples, *, resident: bool | None = None) -> None:
        import jax

        self._fit = fit
        self._data = {"": samples.parameters, **fit.targets}
        size = sum(math.prod(values.shape) * values.dtype.itemsize for values in self._data.values())
        self._resident = size <= _room() if resident is None else resident
        whole = {name: np.asarray(values) for name, values in self._data.items()} if self._resident else {}
        self._there = jax.device_put(whole)
        self._steps = jax.jit(self._several, donate_argnums=0)

    def __call__(self, networks: Sequence[Any], orders: Sequence[Order], stop: Stop) -> NDArray[np.float64] | None:
        """Train networks for an epoch, each in its order; return their mean losses, None if it was broken off."""
        import jax

        steps = len(orders[0])
        variables = [
            (network.trainable_variables, network.non_trainable_variables, network.optimizer.variables)
            for network in networks
        ]
        state: Any = [
            [jax.numpy.stack([jax.numpy.asarray(own.value) for own in each]) for each in zip(*group, strict=True)]
            for group in zip(*variables, strict=True)
        ]
        losses = []
        for first, data, rows in self._pieces(np.stack(orders)):
            # Asked before what was begun is done, so that there is always work; that much is lost.
            if first and stop():
                return None
            state, loss = self._steps(state, data, rows)
            losses.append(loss)
            if len(losses) > 1:
                losses[-2].block_until_ready()
        for group, values in zip(zip(*variables, strict=True), state, strict=True):
            for each, value in zip(zip(*group, strict=True), values, strict=True):
                for variable, own in zip(each, value, strict=True):
                    variable.assign(own)
        total: NDArray[np.float64] = np.sum([np.asarray(loss, float) for loss in losses], axis=0)
        return total / steps

    def _pieces(self, orders: NDArray[np.intp]) -> Iterator[tuple[int, Any, Any]]:
        """Yield the steps some at a time: the first one's number, the samples, and their rows (members, steps, n)."""
        import jax

        members, steps, _ = orders.shape
        for first in range(0, steps, STEPS_AT_ONCE):
            rows = orders[:, first : first + STEPS_AT_ONCE]
            if self._resident:
                yield first, self._there, rows.astype(np.int32)
                continue
            flat = rows.reshape(members, -1)
            brought = jax.device_put({name: np.stack([v[own] for own in flat]) for name, v in self._data.items()})
            places = np.arange(flat.shape[1], dtype=np.int32).reshape(rows.shape[1:])
            yield first, brought, np.broadcast_to(places, rows.shape)

    def _several(self, state: Any, data: Any, rows: Any) -> tuple[Any, Any]:
        """Take some steps with all members; return their state and the sums of their losses, (members,)."""
        import jax

        one = jax.vmap(self._step, in_axes=(0, None if self._resident else 0, 0))

        def step(carried: tuple[Any, Any], of_members: Any) -> tuple[Any, None]:
            members, total = carried
            members, loss = one(members, data, of_members)
            return (members, total + loss), None

        nothing = jax.numpy.zeros(rows.shape[0], np.float32)
        (state, total), _ = jax.lax.scan(step, (state, nothing), rows.swapaxes(0, 1))
        return state, total

    def _step(self, state: Any, data: Any, rows: Any) -> tuple[Any, Any]:
        """Take a step with one member; return its state and its loss."""
        import jax

        fit = self._fit
        trained, others, of_optimiser = state
        batch = {name: values[rows] for name, values in data.items()}

        def loss_of(trained: Any, others: Any) -> tuple[Any, Any]:
            said, others, more = fit.network.stateless_call(
                trained, others, batch[""], training=True, return_losses=True
            )
            parts = [
                fit.weights[name] * keras.ops.mean(fit.losses[name](batch[name], said[name])) for name in fit.targets
            ]
            return sum(parts) + sum(more), others

        (loss, others), slopes = jax.value_and_grad(loss_of, has_aux=True)(trained, others)
        trained, of_optimiser = fit.network.optimizer.stateless_apply(of_optimiser, slopes, trained)
        return [list(trained), list(others), list(of_optimiser)], loss


def _room() -> float:
    """Return how many bytes samples may take where JAX computes."""
    import jax

    told = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" not in told:
        return _HOST_BYTES
    return _CARD_SHARE * (told["bytes_limit"] - told.get("bytes_in_use", 0))
