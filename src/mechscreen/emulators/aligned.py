"""Profiles by their places, spreads and shapes: what the aligned network says, and what it is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.emulators.architectures.base import Fit
from mechscreen.emulators.losses import root_mean_square, rounded_root
from mechscreen.emulators.quiet_keras import PACKAGE, keras
from mechscreen.emulators.samples import Samples, moments

ops = keras.ops

_ROWS = 512
"""Profiles that are worked on at once."""

PROFILE_WEIGHT = 10.0
"""Weight of the error of an aligned profile, beside that of its moments: both are then of the same order."""


@keras.saving.register_keras_serializable(package=PACKAGE)
class Aligned(keras.layers.Layer):
    """Profiles on a grid from their places, spreads and shapes.

    Place and spread are mean and standard deviation of a profile taken as a density. Its shape is its values at nodes
    that lie `REACH` of its spreads around its place (in functional data analysis, a registered curve). A narrow peak
    that moves is hard to learn point by point; here what moves is one number.

    Parameters
    ----------
    nodes
        Points of a shape.
    points
        Points of the grids.

    Notes
    -----
    The moments of a profile are the logarithms of place and spread, place from the start of the grid, in standard
    deviations of the training set around its mean; none goes further than `LIMIT`. Its curve is moments and shape, one
    after the other.
    """

    REACH = (-4.0, 7.0)
    LIMIT = 6.0

    def __init__(self, nodes: int, points: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.nodes = nodes
        self.points = points

    def build(self, input_shapes: Sequence[tuple[int | None, ...]]) -> None:
        """Create what the training set fixes; `adapt` fills it."""
        outputs = int(input_shapes[0][1] or 0)

        def fixed(name: str, shape: tuple[int, ...]) -> Any:
            return self.add_weight(name=name, shape=shape, initializer="ones", trainable=False)

        self.grids, self.steps = fixed("grids", (outputs, self.points)), fixed("steps", (outputs, self.points))
        self.mean, self.deviation = fixed("mean", (outputs, 2)), fixed("deviation", (outputs, 2))

    def adapt(self, samples: Samples) -> NDArray[np.float64]:
        """Take grids, means and deviations from the training set; return its log integrals, (n, outputs)."""
        grids = np.array([output.grid for output in samples.distance.outputs])
        self.grids.assign(grids)
        self.steps.assign(np.gradient(grids, axis=1))
        logs, log_areas = zip(*(self._log_moments(samples.profiles[rows]) for rows in _parts(samples)), strict=True)
        mean, deviation = moments(np.concatenate(logs))
        self.mean.assign(mean)
        self.deviation.assign(deviation)
        return samples.log_peaks + np.concatenate(log_areas)

    def represent(self, samples: Samples) -> dict[str, NDArray[np.float32]]:
        """Return what a network that predicts some samples should say of them.

        Returns
        -------
        log_integrals
            (n, outputs), logarithms of the integrals of the profiles, times their peaks.
        curves
            (n, outputs, 2 + 2 nodes), the curves; after them, what `squared_error` needs to know of each node: the
            share of the grid's points that it stands for.
        """
        parts = [self._represent(samples.profiles[rows], samples.log_peaks[rows]) for rows in _parts(samples)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _represent(self, profiles: NDArray[Any], log_peaks: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        logs, log_areas = self._log_moments(profiles)
        mean, deviation, grids, steps = (
            keras.ops.convert_to_numpy(v) for v in (self.mean, self.deviation, self.grids, self.steps)
        )
        place, spread = grids[:, 0] - steps[:, 0] + np.exp(logs[..., 0]), np.exp(logs[..., 1])
        nodes = np.linspace(*self.REACH, self.nodes)
        shapes, shares = np.empty((2, *log_peaks.shape, self.nodes), np.float32)
        for i, k in np.ndindex(*log_peaks.shape):
            at = place[i, k] + spread[i, k] * nodes
            shapes[i, k] = np.interp(at, grids[k], profiles[i, k])
            on_grid = (grids[k, 0] <= at) & (at <= grids[k, -1])
            shares[i, k] = on_grid * np.diff(at[:2]) / np.interp(at, grids[k], steps[k]) / self.points
        return {
            "curves": np.concatenate([(logs - mean) / deviation, shapes, shares], axis=2, dtype=np.float32),
            "log_integrals": (log_peaks + log_areas).astype(np.float32),
        }

    def _log_moments(self, profiles: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the logarithms of places and spreads (n, outputs, 2) and of areas (n, outputs)."""
        grids, steps = (keras.ops.convert_to_numpy(v).astype(np.float64) for v in (self.grids, self.steps))
        from_start, least = grids - grids[:, :1], steps.min(axis=1)
        weights = np.maximum(profiles, 0) * steps
        area = np.maximum(weights.sum(axis=2), least)
        place = (weights * from_start).sum(axis=2) / area
        square = (weights * from_start**2).sum(axis=2) / area - place**2
        spread = np.sqrt(np.maximum(square, (least / 2) ** 2))
        return np.log(np.stack([place + steps[:, 0], spread], axis=2)), np.log(area)

    def call(self, inputs: Sequence[Any]) -> tuple[Any, Any]:
        """Return profiles (n, outputs, points) and the logarithms of their areas (n, outputs).

        `inputs` are moments (n, outputs, 2) and shapes (n, outputs, nodes).
        """
        place, spread = self._places_and_spreads(inputs[0])
        profiles = self._values((self.grids - place) / spread, inputs[1])
        profiles = profiles / ops.maximum(ops.max(profiles, axis=-1, keepdims=True), 1e-6)
        # A maximum of one at a point of the grid is an area of one step at least.
        areas = ops.maximum(ops.sum(profiles * self.steps, axis=-1), ops.min(self.steps, axis=-1))
        return profiles, ops.log(areas)

    def squared_error(self, truth: Any, predicted: Any) -> Any:
        """Return the mean square over the grid's points of profiles' errors, from their curves, (n, outputs).

        Profiles are compared at the nodes of the true ones, which are far fewer than the points of the grid.

        Parameters
        ----------
        truth
            (n, outputs, 2 + 2 nodes), curves of `represent`.
        predicted
            (n, outputs, 2 + nodes), curves.
        """
        true_moments, true_shapes, shares = ops.split(truth, [2, 2 + self.nodes], axis=2)
        place, spread = self._places_and_spreads(true_moments)
        at = place + spread * ops.linspace(*self.REACH, self.nodes)
        said_moments, said_shapes = ops.split(predicted, [2], axis=2)
        place, spread = self._places_and_spreads(said_moments)
        return ops.sum(shares * ops.square(self._values((at - place) / spread, said_shapes) - true_shapes), axis=2)

    def _places_and_spreads(self, standard: Any) -> tuple[Any, Any]:
        """Return places and spreads, each (n, outputs, 1), from moments (n, outputs, 2)."""
        logs = self.mean + self.deviation * ops.clip(standard, -self.LIMIT, self.LIMIT)
        place = self.grids[:, 0] - self.steps[:, 0] + ops.exp(logs[..., 0])
        place = ops.minimum(ops.maximum(place, self.grids[:, 0]), self.grids[:, -1])
        return place[..., None], ops.exp(logs[..., 1:])

    def _values(self, own: Any, shapes: Any) -> Any:
        """Return shapes (n, outputs, nodes) at points (n, outputs, …) that are given in spreads from their places."""
        low, high = self.REACH
        at = ops.clip((own - low) * ((self.nodes - 1) / (high - low)), 0.0, self.nodes - 1.001)
        left = ops.floor(at)
        place_of = ops.cast(left, "int32")
        y0, y1 = (ops.take_along_axis(shapes, place_of + i, axis=2) for i in (0, 1))
        # Beyond its reach a shape is zero: what little a sigmoid leaves there would add up along a long grid.
        inside = ops.cast(ops.logical_and(own >= low, own <= high), "float32")
        return inside * (y0 + (at - left) * (y1 - y0))

    def compute_output_shape(self, input_shapes: Sequence[tuple[int | None, ...]]) -> tuple[Any, Any]:
        """Return the shapes of profiles and areas."""
        return (*input_shapes[0][:2], self.points), input_shapes[0][:2]

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "nodes": self.nodes, "points": self.points}


def alignment(network: Any) -> Aligned | None:
    """Return the layer of a network that aligns its profiles, if it has one."""
    return next((layer for layer in network.layers if isinstance(layer, Aligned)), None)


def curves(network: Any) -> Any:
    """Return the part of an aligned network that says the curves of its profiles, and their integrals."""
    parts = [network.get_layer(name).output for name in ("moments", "shapes")]
    both = keras.layers.Concatenate(dtype="float32", name="curves")(parts)
    return keras.Model(network.input, {"curves": both, "log_integrals": network.get_layer("log_integrals").output})


def fit_curves(network: Any, samples: Samples) -> Fit:
    """Return how an aligned network is fitted to `samples`."""
    aligned = alignment(network)
    assert aligned is not None
    losses = {"curves": _of_curves(aligned), "log_integrals": root_mean_square}
    return Fit(curves(network), aligned.represent(samples), losses, {"curves": 1.0, "log_integrals": 0.1})


def _of_curves(aligned: Aligned) -> Any:
    """Return the loss of curves: the error of the profiles, and that of their moments.

    The latter says which way to move where a profile and its prediction do not overlap.
    """

    def of_curves(truth: Any, predicted: Any) -> Any:
        of_moments = root_mean_square(truth[..., :2], predicted[..., :2])
        return of_moments + PROFILE_WEIGHT * rounded_root(aligned.squared_error(truth, predicted))

    return of_curves


def _parts(samples: Samples) -> list[NDArray[np.intp]]:
    return np.array_split(np.arange(len(samples)), 1 + len(samples) // _ROWS)
