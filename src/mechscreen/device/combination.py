"""What members say together, by array operations of JAX: as `mechscreen.emulators.ensemble_kernel` has it."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import jax.numpy as jnp

from mechscreen.emulators.settings import Combine
from mechscreen.models.distances import Distance
from mechscreen.models.outputs import HALF


def combine(profiles: Any, log_peaks: Any, distance: Distance, how: Combine) -> tuple[Any, Any, Any]:
    """Return combined profiles (n, *shape) and log peaks (n, outputs), and the disagreement (n,).

    Parameters
    ----------
    profiles, log_peaks
        (members, n, *shape) and (members, n, outputs).
    """
    members, n = profiles.shape[:2]
    flat = profiles.reshape(members, n, -1)
    scores = [jnp.zeros(n) for _ in range(members)]
    for a, b in combinations(range(members), 2):
        apart = _distance(flat[a], log_peaks[a], flat[b], log_peaks[b], distance)
        scores[a] += apart
        scores[b] += apart
    score = jnp.stack(scores)
    disagreement = (score.mean(axis=0) / max(members - 1, 1)).astype(jnp.float32)
    if how == "vote":
        best = jnp.argmin(score, axis=0)
        said = jnp.take_along_axis(flat, best[None, :, None], axis=0)[0]
        peaks = jnp.take_along_axis(log_peaks, best[None, :, None], axis=0)[0]
    else:
        said, peaks = _mean(flat, distance), log_peaks.mean(axis=0)
    return said.reshape(profiles.shape[1:]), peaks, disagreement


def _distance(a: Any, peaks_a: Any, b: Any, peaks_b: Any, distance: Distance) -> Any:
    """Return how far two members are apart, (n,), float64."""
    outputs = distance.outputs
    total = jnp.zeros(len(a))
    for k, (start, end, unit) in enumerate(zip(outputs.starts, outputs.starts[1:], distance.units, strict=False)):
        of_a, of_b = a[:, start:end], b[:, start:end]
        if distance.of_peaks[k]:
            largest = jnp.maximum(peaks_a[:, k], peaks_b[:, k])
            of_a = of_a * jnp.exp(peaks_a[:, k] - largest)[:, None]
            of_b = of_b * jnp.exp(peaks_b[:, k] - largest)[:, None]
        squares = jnp.square(of_a - of_b).sum(axis=1).astype(jnp.float64)
        error = jnp.sqrt(squares / (end - start)) / unit
        says = _says(outputs, k)
        if says is not None:
            error = jnp.where((a[:, says] < HALF) | (b[:, says] < HALF), 0.0, error)
        total += error
    return total / len(outputs)


def _mean(flat: Any, distance: Distance) -> Any:
    """Return the mean of the members, (n, values); of a value that not all have, of those that say there is one."""
    mean = flat.mean(axis=0)
    outputs = distance.outputs
    for k, start in enumerate(outputs.starts[:-1]):
        says = _says(outputs, k)
        if says is not None:
            there = flat[:, :, says] >= HALF
            number = there.sum(axis=0)
            of_them = jnp.where(there, flat[:, :, start], 0).sum(axis=0) / jnp.maximum(number, 1)
            mean = mean.at[:, start].set(jnp.where(number > 0, of_them, mean[:, start]).astype(mean.dtype))
    return mean


def _says(outputs: Any, k: int) -> int | None:
    """Return where the value stands that says whether there is one of an output; None where there always is."""
    place = int(outputs.givens[k])
    return None if place < 0 else int(outputs.starts[place])
