"""The classical Runge–Kutta method of order 4, for whatever has arithmetic: arrays of NumPy, tensors of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def rk4_step(rate: Callable[..., Any], x: Any, h: Any, when: tuple[Any, Any, Any] | None = None) -> Any:
    """Return the states after one step of width `h` (a number, or what fits the shape of `x`) of dx/dt = rate(x).

    With `when`, what stands for the times at the step's beginning, middle and end, of dx/dt = rate(x, time).
    """
    first, middle, last = ((), (), ()) if when is None else ((time,) for time in when)
    k1 = rate(x, *first)
    k2 = rate(x + 0.5 * h * k1, *middle)
    k3 = rate(x + 0.5 * h * k2, *middle)
    k4 = rate(x + h * k3, *last)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
