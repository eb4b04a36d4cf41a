"""How likely the values of a parameter are before anything is known: SciPy's distributions, cut to the range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal, cast, get_args

import numpy as np
from numpy.typing import NDArray

from mechscreen.arrays import namespace
from mechscreen.errors import InputError, nearest

FloatArray = NDArray[np.float64]
Name = Literal["uniform", "loguniform", "normal", "lognormal", "beta", "gamma"]

_SCIPY: Mapping[str, str] = {"normal": "norm", "lognormal": "lognorm"}
_SHAPES: Mapping[str, tuple[str, ...]] = {"lognormal": ("s",), "beta": ("a", "b"), "gamma": ("a",)}
"""Arguments that a distribution must have, by SciPy's names."""

LEAST_MASS = 1e-9
"""Of a prior within the range: with less, rounding decides which values are drawn."""


@dataclass(frozen=True)
class Prior:
    """A distribution by SciPy's name and arguments (`scipy.stats`), cut to the range of its parameter.

    Attributes
    ----------
    name
        ``uniform`` and ``loguniform`` are those of the range itself, and take no arguments. ``normal`` and
        ``lognormal`` are SciPy's ``norm`` and ``lognorm``.
    loc, scale
        SciPy's location and scale: mean and standard deviation of ``normal``; the median of ``lognormal`` is `scale`.
    s, a, b
        SciPy's shape arguments: `s` of ``lognormal``, `a` and `b` of ``beta``, `a` of ``gamma``.
    """

    name: Name
    loc: float = 0.0
    scale: float = 1.0
    s: float | None = None
    a: float | None = None
    b: float | None = None

    def __post_init__(self) -> None:
        if self.name not in get_args(Name):
            raise InputError(
                f"no prior '{self.name}'{nearest(self.name, get_args(Name))} (valid: {', '.join(get_args(Name))})"
            )
        shapes = _SHAPES.get(self.name, ())
        of_range = self.name in ("uniform", "loguniform")
        for argument in ("s", "a", "b"):
            value = getattr(self, argument)
            if (value is None) is (argument in shapes):
                verb = "needs" if argument in shapes else "takes no"
                raise InputError(f"prior {self.name}: {verb} argument '{argument}', as SciPy's")
            if value is not None and not (math.isfinite(value) and value > 0):
                raise InputError(f"prior {self.name}: {argument} = {value:g} is not positive")
        if of_range and (self.loc, self.scale) != (0.0, 1.0):
            raise InputError(f"prior {self.name}: goes from low to high of the parameter, and takes no loc and scale")
        if not math.isfinite(self.loc) or not (math.isfinite(self.scale) and self.scale > 0):
            raise InputError(f"prior {self.name}: loc = {self.loc:g}, scale = {self.scale:g}: scale must be positive")

    def __str__(self) -> str:
        names = {"uniform": "evenly", "loguniform": "evenly over decades"}
        shapes = [f"{name} = {getattr(self, name):g}" for name in _SHAPES.get(self.name, ())]
        arguments = ", ".join([*shapes, f"loc = {self.loc:g}", f"scale = {self.scale:g}"])
        return names.get(self.name) or f"{self.name}({arguments})"

    @cached_property
    def _distribution(self) -> Any:
        from scipy import stats  # takes a second

        shapes = [getattr(self, argument) for argument in _SHAPES.get(self.name, ())]
        return getattr(stats, _SCIPY.get(self.name, self.name))(*shapes, loc=self.loc, scale=self.scale)

    @property
    def in_arrays(self) -> bool:
        """Whether its quantiles are known for arrays of any library; those of ``beta`` and ``gamma`` are SciPy's."""
        return self.name not in ("beta", "gamma")

    def mass(self, low: float, high: float) -> float:
        """Return the share of the distribution between two values; 1 for those that are of the range itself."""
        if self.name in ("uniform", "loguniform"):
            return 1.0
        lower, upper, _ = self._ends(low, high)
        return abs(upper - lower)

    def share(self, values: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
        """Return the shares of the prior between two values below such values, (n,); the inverse of `quantile`."""
        if self.name == "uniform":
            return (values - low) / (high - low)
        if self.name == "loguniform":
            return np.log(values / low) / math.log(high / low)
        lower, upper, by_tail = self._ends(low, high)
        below = self._distribution.sf if by_tail else self._distribution.cdf
        return np.clip((below(values) - lower) / (upper - lower), 0, 1)

    def quantile(self, u: NDArray[np.float64], low: float, high: float) -> NDArray[np.float64]:
        """Return the values below which the shares `u` (n,), in [0, 1), of the prior between two values lie.

        Of another library's array only where `in_arrays`.
        """
        xp = namespace(u)
        if self.name == "uniform":
            return low + u * (high - low)
        if self.name == "loguniform":
            first, last = math.log(low), math.log(high)
            return cast("FloatArray", xp.clip(xp.exp(first + u * (last - first)), low, high))
        lower, upper, by_tail = self._ends(low, high)
        shares = lower + u * (upper - lower)
        if xp is np:
            inverse = self._distribution.isf if by_tail else self._distribution.ppf
            return np.clip(inverse(shares), low, high)
        return cast("FloatArray", xp.clip(self._of_normal(xp, _normal(shares, by_tail)), low, high))

    def _of_normal(self, xp: Any, deviates: Any) -> Any:
        """Return the values of ``normal`` and ``lognormal`` that so many standard deviations of a normal stand for."""
        return self.loc + self.scale * (xp.exp(self.s * deviates) if self.name == "lognormal" else deviates)

    def _ends(self, low: float, high: float) -> tuple[float, float, bool]:
        """Return the distribution function at both ends, or, of an upper tail, one minus it, which is exact there."""
        by_tail = bool(self._distribution.cdf(low) > 0.5)
        of = self._distribution.sf if by_tail else self._distribution.cdf
        return float(of(low)), float(of(high)), by_tail


def _normal(shares: Any, by_tail: bool) -> Any:
    """Return the deviates of a standard normal below which such shares of it lie, or above; in JAX's arrays."""
    from jax.scipy.special import ndtri

    return -ndtri(shares) if by_tail else ndtri(shares)
