"""Measured inputs: variables that act on the others, and for which no equation is sought."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mechscreen.discovery.hermite import FloatArray, hermite, hermite_slopes

_RAMP = 1e-4
"""Width of a jump, in shares of the time between two samples."""
_SWITCHED, _REPEATS = 3, 3
"""Values that an input has at most that is switched between them, and samples of each, on the average."""
_REPEATED = 0.5
"""Share of the samples that repeat the one before, from which on an input goes in steps."""


@dataclass(frozen=True)
class Course:
    """What q inputs do in one trajectory: cubic between knots, constant before the first and after the last.

    Attributes
    ----------
    knots
        (K,) times, strictly increasing.
    values, slopes
        (K, q), and their rates of change there.
    jumps
        (J,) knots at which a jump ends, which begins at the knot before.
    """

    knots: FloatArray
    values: FloatArray
    slopes: FloatArray
    jumps: FloatArray

    def __call__(self, t: FloatArray) -> FloatArray:
        """Return the inputs at times (n,), (n, q)."""
        if len(self.knots) == 1:
            return np.repeat(self.values, len(t), axis=0)
        inside = np.clip(t, self.knots[0], self.knots[-1])
        return hermite(self.knots, self.values, self.slopes, inside)

    @property
    def stays(self) -> bool:
        """Whether no input ever changes."""
        return bool((self.values == self.values[0]).all() and not self.slopes.any())

    def changes(self, t: FloatArray) -> FloatArray:
        """Return their rates of change at times (n,), (n, q)."""
        if len(self.knots) == 1:
            return np.zeros((len(t), self.values.shape[1]))
        inside = (t >= self.knots[0]) & (t <= self.knots[-1])
        return np.where(inside[:, None], hermite_slopes(self.knots, self.values, self.slopes, t), 0.0)

    def scaled(self, origin: float, time: float, size: FloatArray) -> Course:
        """Return the same with times from an origin, in units of `time`, and values in units of `size` (q,)."""
        return Course(
            (self.knots - origin) / time, self.values / size, self.slopes * time / size, (self.jumps - origin) / time
        )

    def beside(self, other: Course) -> Course:
        """Return both, on the knots of both."""
        knots = np.union1d(self.knots, other.knots)
        return Course(
            knots,
            np.concatenate([self(knots), other(knots)], axis=1),
            np.concatenate([self.changes(knots), other.changes(knots)], axis=1),
            np.union1d(self.jumps, other.jumps),
        )

    def with_jumps(self, nodes: FloatArray) -> FloatArray:
        """Return the nodes (n,) of a grid, and those between which an input jumps."""
        ends = np.flatnonzero(np.isin(self.knots, self.jumps))
        around = self.knots[np.concatenate([ends - 1, ends])]
        around = np.sort(around[(around > nodes[0]) & (around < nodes[-1])])
        if len(around) == 0:
            return nodes
        # None within a jump, or so near to one that the interval between would vanish.
        width = float(np.min(self.knots[ends] - self.knots[ends - 1]))
        place = np.clip(np.searchsorted(around, nodes), 1, len(around) - 1)
        distance = np.minimum(np.abs(nodes - around[place - 1]), np.abs(nodes - around[place]))
        distance[[0, -1]] = np.inf
        return np.union1d(nodes[distance >= width], around)


def goes_in_steps(values: Sequence[FloatArray]) -> bool:
    """Return whether an input, (n,) in each trajectory, goes in steps.

    That is where most samples repeat the one before, or it has two or three values alone, as what is switched has.
    """
    known = [own[np.isfinite(own)] for own in values]
    repeats = np.concatenate([np.diff(own) == 0 for own in known])
    levels, samples = len(np.unique(np.concatenate(known))), sum(map(len, known))
    switched = levels <= _SWITCHED and levels * _REPEATS <= samples
    return len(repeats) == 0 or float(repeats.mean()) >= _REPEATED or switched


def steps(t: FloatArray, values: FloatArray) -> Course:
    """Return the course of an input (n,) that keeps each value until the sample with the next one."""
    known = np.isfinite(values)
    t, values = t[known], values[known]
    changed = np.flatnonzero(np.diff(values)) + 1
    ends = t[changed]
    begins = ends - _RAMP * (ends - t[changed - 1])
    knots = np.concatenate([t[:1], np.stack([begins, ends], axis=1).ravel()])
    levels = np.concatenate([values[:1], np.stack([values[changed - 1], values[changed]], axis=1).ravel()])
    return Course(knots, levels[:, None], np.zeros((len(knots), 1)), ends)


def constant(values: FloatArray) -> Course:
    """Return the course of inputs (q,) that never change."""
    return Course(np.zeros(1), values[None], np.zeros((1, len(values))), np.zeros(0))


def smooth(knots: FloatArray, values: FloatArray, slopes: FloatArray) -> Course:
    """Return the course of inputs (K, q) that go smoothly from knot to knot."""
    return Course(knots, values, slopes, np.zeros(0))
