"""What columns of a table look like, apart from any equation: inputs, counters, labels, a variable that turns back."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.optimize import isotonic_regression

from mechscreen.discovery.data import Trajectories
from mechscreen.discovery.inputs import goes_in_steps
from mechscreen.discovery.library import FloatArray

_JUMP = 0.2
"""Share of a variable's range that it jumps by, to look like an input that goes in steps."""
_LEVELS = 4
"""Samples for each level that an input takes, at least."""
_TURNED = 4.0
"""How many times the noise's variance a curve without turns leaves, where the samples turn."""


def questions(data: Trajectories) -> list[str]:
    """Return what is to be asked about variables that have an equation, in words: whether they should have one."""
    asked = [f"{name} is constant throughout, and left out" for name in data.unchanging]
    for k, name in enumerate(data.names):
        if data.hidden[k]:
            continue
        own = [y[np.isfinite(y[:, k]), k] for y in data.y]
        if all(len(values) < 2 or np.ptp(values) == 0 for values in own):
            asked.append(
                f"{name} is a constant of each trajectory, as a dose is or a number of the trajectory: name it as a "
                "constant if it acts on the others, or leave it out"
            )
        elif _in_steps(own):
            asked.append(
                f"is {name} an input? It keeps its value and jumps; what acts from outside and has no equation is to "
                "be named as an input"
            )
        elif any(_counts(t[np.isfinite(y[:, k])], values) for t, y, values in zip(data.t, data.y, own, strict=True)):
            asked.append(
                f"is {name} a counter? It goes up by the same with each row: leave it out, or name it as an input if "
                "it acts on the others"
            )
    return asked


def _in_steps(own: list[FloatArray]) -> bool:
    """Return whether a variable keeps its value for some samples, jumps to another, and takes few."""
    every = np.concatenate(own)
    largest = max(float(np.abs(np.diff(values)).max(initial=0.0)) for values in own)
    levels = len(np.unique(every))
    return goes_in_steps(own) and largest > _JUMP * float(np.ptp(every)) and levels * _LEVELS <= len(every)


def _counts(t: FloatArray, values: FloatArray) -> bool:
    """Return whether values (n,) go up, or down, by the same from one sample to the next, to the last digit."""
    steps = np.diff(values)
    if len(steps) < 3 or steps[0] == 0:
        return False
    rounding = 4 * np.finfo(float).eps * float(np.abs(values).max())
    return bool(np.abs(steps - steps[0]).max() <= rounding)


def turning(data: Trajectories, noise: FloatArray) -> Iterator[str]:
    """Yield the variables (of d with noise (d,)) that rise and fall within a trajectory, by more than noise does."""
    for k, name in enumerate(data.names):
        left, n = 0.0, 0
        for y in data.y:
            values = y[np.isfinite(y[:, k]), k]
            ways = (isotonic_regression(values, increasing=up).x for up in (True, False))
            left += min(float(((values - own) ** 2).sum()) for own in ways)
            n += len(values)
        if n and left > _TURNED * n * noise[k] ** 2:
            yield name
