"""The classical Runge–Kutta method of order 4, for whatever has arithmetic: arrays of NumPy, tensors of TensorFlow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def rk4_step(rate: Callable[[Any], Any], x: Any, h: Any) -> Any:
    """Return the states after one step of width `h` (a number, or what fits the shape of `x`) of dx/dt = rate(x)."""
    k1 = rate(x)
    k2 = rate(x + 0.5 * h * k1)
    k3 = rate(x + 0.5 * h * k2)
    k4 = rate(x + h * k3)
    return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
