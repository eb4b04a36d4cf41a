"""ODENet (Hu et al. 2021): integrate the candidate over short windows, train its coefficients and the noise by Adam."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from mechscreen.discovery.collocation import BoolArray, Columns
from mechscreen.discovery.library import FloatArray, IntArray
from mechscreen.discovery.model import Undetermined
from mechscreen.discovery.runge_kutta import rk4_step
from mechscreen.errors import InputError

SPACING = 0.1
"""Mean distance of a window's points, and longest step of the integration, in time scales of the data."""

SPAN = 1.0
"""Duration of a window in time scales, if that makes 2 to 10 steps from point to point."""

WINDOWS = 128
"""Random windows in a step of the optimiser (m in the paper)."""

STAGES = 10
"""Rounds in which the penalty and the looseness fall and the threshold rises; the paper's outer iterations."""

POLISH = 3
"""Rounds at the end without a penalty, with a learning rate that falls."""

STEPS = 400
"""Steps of the optimiser in a round."""

LEARNING_RATE = 0.01

PENALTY_DECAY = 0.8
LOOSENESS_DECAY = 0.75
TIGHTEST = 0.1
"""Lowest looseness: how far, in standard deviations of the noise, a window may end from the denoised states."""

THRESHOLD = 0.03
"""Highest threshold of a coefficient, relative to the largest one of its equation; dimensionless."""

MAX_SUBSTEPS = 32
"""Integration steps from one point of a window to the next; windows with longer gaps are left out."""


@dataclass(frozen=True)
class Trained:
    """What the training gives; all dimensionless.

    Attributes
    ----------
    beta
        (P,) free coefficients, zero where a term was dropped.
    states
        (n, d) denoised samples of all trajectories in a row.
    noise
        (d,) standard deviation of the learned noise; 1 for a hidden variable.
    mismatch
        Root mean square distance of the windows' integration from the denoised states, in standard deviations of the
        noise: near zero for a solution of the equations.
    """

    beta: FloatArray
    states: FloatArray
    noise: FloatArray
    mismatch: float


def train(
    times: Sequence[FloatArray],
    observed: Sequence[FloatArray],
    smoothed: Sequence[FloatArray],
    noise: FloatArray,
    beta: FloatArray,
    columns: Columns,
    exponents: IntArray,
    locked: IntArray,
    anchored: BoolArray,
    seed: int = 0,
) -> Trained:
    """Train coefficients and noise, and drop terms, with one schedule for all data.

    The samples are y = x + e with learnable x, which starts from the smoothed data. A window takes one denoised state
    and integrates the equations to the next ones; the loss is the mean of ``(x̂ − x)²/(w σ)² + (y − x)²/σ²`` over
    random windows, plus ``μ Σ|β|``. From round to round w and μ fall and the threshold γ rises, below which a
    coefficient is set to zero for good. A window's points are some samples apart, at random, so that dense samples
    cost no more than sparse ones and all of them count.

    Parameters
    ----------
    times, observed, smoothed
        Per trajectory, (n,), (n, d) with NaN where missing, (n, d); dimensionless.
    noise
        (d,) first guess of the noise's standard deviation.
    beta
        (P,) coefficients to start from, of the full library.
    exponents
        (M, d) of the library's monomials.
    locked
        Columns that must stay.
    anchored
        (n_trajectories, d) True for initial values that are exact.
    seed
        Fixes the random windows.

    Raises
    ------
    InputError
        If no trajectory is long enough for a window, or Keras runs on another backend than TensorFlow.
    Undetermined
        If the training did not stay finite.
    """
    from mechscreen.emulators.quiet_keras import keras

    if keras.backend.backend() != "tensorflow":
        raise InputError("method 'odenet' needs Keras on TensorFlow; unset KERAS_BACKEND")
    import tensorflow as tf

    t, y, x = (np.concatenate([np.asarray(a, dtype=float) for a in part]) for part in (times, observed, smoothed))
    seen = np.isfinite(y)
    is_seen = seen.any(axis=0)
    # A hidden variable has no noise to measure it by; the others' relative noise is a fair tolerance.
    sigma = np.where(is_seen, noise, np.exp(np.log(noise[is_seen]).mean()))
    windows = _windows(times)
    free = np.ones_like(x)
    lengths = [len(own) for own in times]
    free[np.concatenate([[0], np.cumsum(lengths)[:-1]])] = np.where(anchored, 0.0, 1.0)
    expand = np.zeros((columns.count, *columns.offset.shape))
    np.add.at(expand, (columns.column, columns.equation, columns.term), columns.weight)
    group = np.zeros(columns.count, dtype=np.int64)
    group[columns.column[::-1]] = columns.equation[::-1]

    trainer = _trainer(exponents.tobytes(), exponents.shape, windows.points, windows.substeps, columns.count, len(x))
    trainer.reset()
    active = np.ones(len(beta), dtype=bool)
    penalty = np.sqrt(2 * np.log(max(len(beta), 2)) / seen.sum())
    mismatch = np.inf
    # The first round has one step: it only measures how far the start is off, which sets the scale of the noise.
    for stage in range(-1, STAGES + POLISH):
        k = max(stage, 0)
        trainer.optimiser.learning_rate.assign(LEARNING_RATE * 0.3 ** max(stage - STAGES + 1, 0))
        trainer.beta.assign(beta)
        trainer.moved.assign(np.zeros(x.shape))
        looseness = max(LOOSENESS_DECAY**k, TIGHTEST)
        mu = penalty * PENALTY_DECAY**k if stage < STAGES else 0.0
        inputs = {
            "mask": active, "expand": expand, "offset": columns.offset, "t": t, "base": x, "free": free,
            "y": np.where(seen, y, 0.0), "seen": seen, "sigma": sigma, "mu": mu, "looseness": looseness,
            "bound": 30 * np.abs(x).max(axis=0),
        }  # fmt: skip
        apart = trainer.advance(
            {name: tf.constant(np.asarray(value), tf.float32) for name, value in inputs.items()},
            tf.constant(windows.starts, tf.int32),
            tf.constant(windows.stride, tf.int32),
            tf.constant(1 if stage < 0 else STEPS, tf.int32),
            tf.constant([seed, (stage + 1) * STEPS], tf.int32),
        )
        beta, moved = (v.numpy().astype(float) for v in (trainer.beta, trainer.moved))
        mismatch = float(apart)
        if not (np.isfinite(beta).all() and np.isfinite(moved).all()):
            raise Undetermined("discover: the training of 'odenet' did not stay finite; lower the degree")
        x = x + free * sigma * moved
        if stage >= 0:
            beta = np.where(active, beta, 0.0)
            largest = np.zeros(len(columns.offset))
            np.maximum.at(largest, group, np.abs(beta))
            threshold = THRESHOLD * min((stage + 1) / STAGES, 1.0)
            active = np.abs(beta) > threshold * largest[group]
            active[locked] = True
            beta = np.where(active, beta, 0.0)
        residual = np.where(seen, y - x, 0.0)
        spread = np.sqrt((residual**2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1) + (mismatch * sigma) ** 2)
        sigma = np.where(is_seen, np.clip(spread, 0.3 * sigma, 200 * sigma), np.exp(np.log(spread[is_seen]).mean()))
    residual = np.where(seen, y - x, 0.0)
    rms = np.sqrt((residual**2).sum(axis=0) / np.maximum(seen.sum(axis=0), 1))
    return Trained(beta, x, np.where(is_seen, np.maximum(rms, 1e-6), 1.0), mismatch)


@dataclass(frozen=True)
class _Windows:
    starts: IntArray
    points: int
    stride: int
    substeps: int


def _windows(times: Sequence[FloatArray]) -> _Windows:
    """Choose where windows may start, their number of points, how many samples these are apart, and their substeps."""
    gaps = np.concatenate([np.diff(t) for t in times])
    stride = max(1, int(SPACING / np.median(gaps)))
    longest = max(len(t) for t in times) - 1
    stride = min(stride, max(1, longest // 2))
    points = int(np.clip(round(SPAN / (np.median(gaps) * stride)), 2, 10))
    points = min(points, longest // stride)
    # From one point to the next, at most 2 stride − 1 samples are passed.
    reach = 2 * stride - 1
    steps = np.concatenate([t[reach:] - t[:-reach] if len(t) > reach else np.diff(t) for t in times])
    substeps = int(np.clip(np.ceil(np.quantile(steps, 0.99) / SPACING), 1, MAX_SUBSTEPS))
    starts, first = [], 0
    for t in times:
        own = np.arange(len(t) - points * stride) if len(t) > points * stride else np.empty(0, dtype=np.int64)
        if len(own):
            longest_gap = np.array([np.diff(t[i : i + points * stride + 1]).max() for i in own])
            own = own[longest_gap <= 2 * substeps * SPACING]
        starts.append(first + own)
        first += len(t)
    pooled = np.concatenate(starts)
    if len(pooled) == 0:
        raise InputError("method 'odenet': no window of samples is free of long gaps; use the default method")
    return _Windows(pooled, points, stride, substeps)


@dataclass(frozen=True)
class _Trainer:
    """Compiled training for one shape of the problem, with its variables."""

    beta: Any
    moved: Any
    """(n, d) shift of the denoised states since the round began, in standard deviations of the noise."""
    optimiser: Any
    advance: Callable[..., Any]

    def reset(self) -> None:
        """Forget what the optimiser learned from other data."""
        for variable in self.optimiser.variables:
            variable.assign(np.zeros(variable.shape))


@lru_cache(maxsize=8)
def _trainer(
    exponents: bytes, shape: tuple[int, int], points: int, substeps: int, n_columns: int, n_samples: int
) -> _Trainer:
    import tensorflow as tf

    from mechscreen.emulators.quiet_keras import keras

    powers = np.frombuffer(exponents, dtype=np.int64).reshape(shape)
    top = int(powers.max(initial=1))
    n_steps = points * substeps
    beta = tf.Variable(tf.zeros(n_columns))
    moved = tf.Variable(tf.zeros((n_samples, shape[1])))
    optimiser = keras.optimizers.Adam(LEARNING_RATE)
    optimiser.build([beta, moved])

    def library(x):  # type: ignore[no-untyped-def]
        table = [[tf.ones_like(x[:, 0])] for _ in range(shape[1])]
        for j in range(shape[1]):
            for _ in range(top):
                table[j].append(table[j][-1] * x[:, j])
        terms = []
        for row in powers:
            term = table[0][0]
            for j, e in enumerate(row):
                if e:
                    term = term * table[j][e]
            terms.append(term)
        return tf.stack(terms, axis=1)

    def mismatch(theta, x, t, bound, sigma):  # type: ignore[no-untyped-def]
        """Mean square distance of integrated windows from the states x (m, points + 1, d), in units of the noise."""

        def stopped(x):  # type: ignore[no-untyped-def]
            # A candidate that runs away is stopped; its gradient there is zero instead of infinite.
            return tf.clip_by_value(x, -bound, bound)

        def rate(x):  # type: ignore[no-untyped-def]
            return tf.matmul(library(stopped(x)), theta, transpose_b=True)

        steps = (t[:, 1:] - t[:, :-1]) / substeps
        state, total = x[:, 0], tf.zeros(())
        for q in tf.range(n_steps):
            tf.autograph.experimental.set_loop_options(maximum_iterations=n_steps)
            state = stopped(rk4_step(rate, state, steps[:, q // substeps][:, None]))
            arrived = tf.cast((q + 1) % substeps == 0, tf.float32)
            total += arrived * tf.reduce_mean(tf.square((state - x[:, q // substeps + 1]) / sigma))
        return total / points

    @tf.function(jit_compile=True)
    def advance(given, starts, stride, steps, seed):  # type: ignore[no-untyped-def]
        apart, i = tf.zeros(()), tf.zeros((), tf.int32)
        # Over `tf.range(steps)`, XLA would compile anew for each number of steps.
        while i < steps:
            first = tf.gather(
                starts,
                tf.random.stateless_uniform([WINDOWS], seed + tf.stack([0, i]), 0, tf.shape(starts)[0], tf.int32),
            )[:, None]
            passed = tf.random.stateless_uniform([WINDOWS, points], seed + tf.stack([1, i]), 0, stride, tf.int32)
            index = tf.concat([first, first + 1 + tf.range(points)[None] * stride + passed], axis=1)
            t, base, free, y, seen = [tf.gather(given[name], index) for name in ("t", "base", "free", "y", "seen")]
            with tf.GradientTape() as tape:
                kept = beta * given["mask"]
                theta = given["offset"] + tf.tensordot(kept, given["expand"], 1)
                x = base + free * given["sigma"] * tf.gather(moved, index)
                apart = mismatch(theta, x, t, given["bound"], given["sigma"])
                noise = tf.reduce_mean(seen * tf.square((y - x) / given["sigma"]))
                loss = apart / given["looseness"] ** 2 + noise + given["mu"] * tf.reduce_sum(tf.abs(kept))
            gradients = [tf.convert_to_tensor(g) for g in tape.gradient(loss, [beta, moved])]
            optimiser.apply_gradients(zip(gradients, [beta, moved], strict=True))
            i += 1
        return tf.sqrt(apart)

    return _Trainer(beta, moved, optimiser, advance)
