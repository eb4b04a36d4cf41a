"""One parameter: its range, its scale, which values it takes, and how likely they are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, Self, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechscreen.arrays import as_array, namespace
from mechscreen.errors import InputError
from mechscreen.spaces.priors import LEAST_MASS, Prior

FloatArray = NDArray[np.float64]
Scale = Literal["linear", "log"]

_EVENLY: Mapping[Scale, Prior] = {"linear": Prior("uniform"), "log": Prior("loguniform")}
"""Prior by which every part of an axis is as likely as any other."""
_FEW = 40
"""Whole numbers that have a mark each on an axis."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a model and the range it is studied in.

    Attributes
    ----------
    name
        Identifier, as it stands in configurations and table headers.
    low, high
        Bounds of the range, in physical units; equal for a parameter that is held fixed.
    unit, symbol, meaning
        For axes, tables and people. `symbol` is Matplotlib text.
    levels
        The only values it takes, each as likely as the others; None where it takes any.
    between
        Whether values between the levels mean something: they are then those of a training set alone, and screens take
        the whole range.
    scale
        ``log``: drawn evenly over the decades of its range unless a prior says otherwise, drawn on such axes, and told
        to networks as a logarithm. ``linear``: likewise, evenly over the values.
    integer
        Whether it takes whole numbers alone, both ends of the range included.
    categories
        Names of what it stands for, where it is no quantity (``("wild", "mutant")``); a model is given 0, 1, ….
    prior
        How likely its values are; None: evenly over the scale.
    zero, one
        Physical values that normalise to 0 and 1; `low` and `high` unless given (a value that is held fixed is 0). They
        stay when a campaign narrows the range, so a normalised value always means the same.
    """

    name: str
    low: float
    high: float
    unit: str = ""
    symbol: str = ""
    meaning: str = ""
    levels: tuple[float, ...] | None = None
    zero: float = math.nan
    one: float = math.nan
    between: bool = False
    scale: Scale = "linear"
    integer: bool = False
    categories: tuple[str, ...] = ()
    prior: Prior | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.low) and math.isfinite(self.high) and self.low <= self.high):
            raise InputError(f"parameter '{self.name}': {self.low} … {self.high} is not a range")
        if self.scale not in get_args(Scale):
            raise InputError(f"parameter '{self.name}': no scale '{self.scale}' (valid: {', '.join(get_args(Scale))})")
        self._set_units()
        self._check_values()
        self._check_prior()

    def _set_units(self) -> None:
        if math.isnan(self.zero):
            object.__setattr__(self, "zero", self.low)
        if math.isnan(self.one):
            fixed = self.high == self.zero  # and normalises to 0
            object.__setattr__(self, "one", self.zero + max(1.0, abs(self.zero)) if fixed else self.high)
        if self.zero == self.one:
            raise InputError(f"parameter '{self.name}': 'zero' and 'one' are both {self.one}")
        if self.scale == "log" and not min(self.low, self.zero, self.one) > 0:
            raise InputError(
                f"parameter '{self.name}': a log scale needs a range above 0, not {self.low:g} … {self.high:g}; raise "
                "its lower end (0 lies infinitely many decades away), or take scale: linear"
            )

    def _check_values(self) -> None:
        if self.levels is not None:
            outside = [level for level in self.levels if not self.low <= level <= self.high]
            if outside or not self.levels:
                raise InputError(
                    f"parameter '{self.name}': levels {list(self.levels)} must be at least one value within "
                    f"{self.low} … {self.high}"
                )
        whole = [*(self.levels or ()), self.low, self.high]
        if self._whole and any(value != round(value) for value in whole):
            others = ", ".join(f"{value:g}" for value in whole if value != round(value))
            raise InputError(f"parameter '{self.name}': takes whole numbers, which {others} is not")
        if self.categories and not 0 <= self.low <= self.high < len(self.categories):
            raise InputError(
                f"parameter '{self.name}': {self.low:g} … {self.high:g} does not number the categories "
                f"{', '.join(self.categories)} (0 … {len(self.categories) - 1})"
            )
        if self.categories and (len(set(self.categories)) < len(self.categories) or self.scale == "log"):
            raise InputError(f"parameter '{self.name}': categories are names, each once, and have no log scale")

    def _check_prior(self) -> None:
        if self.prior is None or self.fixed:
            return
        if self.levels is not None or self.categories:
            what = "levels" if self.levels is not None else "categories"
            raise InputError(f"parameter '{self.name}': its {what} are as likely as one another; give no prior")
        if self.prior.name == "loguniform" and not self.ends[0] > 0:
            raise InputError(f"parameter '{self.name}': prior loguniform needs a range above 0; raise its lower end")
        if self.prior.mass(*self.ends) < LEAST_MASS:
            raise InputError(
                f"parameter '{self.name}': prior {self.prior.name} has (almost) no mass within {self.low:g} … "
                f"{self.high:g}; change the prior or the range"
            )

    def to_record(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @classmethod
    def from_record(cls, record: Mapping[str, Any]) -> Self:
        """Return what `to_record` wrote, or a part of it; earlier versions left some out."""
        values: dict[str, Any] = {n: tuple(value) if isinstance(value, list) else value for n, value in record.items()}
        if values.get("prior") is not None:
            values["prior"] = Prior(**values["prior"])
        return cls(**values)

    @property
    def fixed(self) -> bool:
        """True where the range is a single value."""
        return self.low == self.high

    @property
    def discrete(self) -> bool:
        """True where it takes some values alone."""
        return self.integer or bool(self.categories) or (self.levels is not None and not self.between)

    @property
    def head(self) -> str:
        """Name with the unit in brackets, for the head of a column."""
        return f"{self.name} [{self.unit}]" if self.unit else self.name

    @property
    def label(self) -> str:
        """Symbol (or name) with the unit in brackets, for an axis."""
        text = self.symbol or self.name
        return f"{text} [{self.unit}]" if self.unit else text

    @property
    def ends(self) -> tuple[float, float]:
        """Where its axis begins and ends: the range; half a step further where it takes whole numbers alone."""
        half = 0.5 if self._whole and not self.fixed else 0.0
        return self.low - half, self.high + half

    @property
    def _whole(self) -> bool:
        return self.integer or bool(self.categories)

    @property
    def marks(self) -> dict[float, str]:
        """Position on its axis (`position`) and name of each value, where these are few; else nothing."""
        if self.levels is not None and not self.between:
            return {float(self.position(value)): self.told(value) for value in self.levels}
        if self._whole and self.high - self.low < _FEW:
            values = tuple(np.arange(self.low, self.high + 1))
            return {float(self.position(value)): self.told(value) for value in values}
        return {}

    def told(self, value: float) -> str:
        """Return a value as people read it: the name of a category, else the number."""
        return self.categories[round(value)] if self.categories else f"{value:g}"

    @property
    def drawn(self) -> str:
        """How its values are drawn, in words: ``evenly over decades``."""
        if self.fixed:
            return "held"
        if self.categories:
            return f"one of {', '.join(self.told(k) for k in np.arange(self.low, self.high + 1))}"
        if self.levels is not None and not self.between:
            return f"one of {', '.join(map(self.told, self.levels))}"
        even = "evenly over decades" if self.scale == "log" else "evenly"
        return f"{self.prior or even}{', whole numbers' if self.integer else ''}"

    def draw(self, u: FloatArray, *, levels: bool = False) -> tuple[FloatArray, FloatArray]:
        """Map unit values (n,), in [0, 1), to values, and to their positions along the parameter's axis, both (n,).

        Parameters
        ----------
        levels
            Whether levels count of which values between mean something, too.
        """
        xp = namespace(u)
        if self.fixed:
            return xp.full(len(u), float(self.low)), u
        if self.levels is not None and (levels or not self.between):
            table = xp.asarray(self.levels, dtype=float)
            return table[xp.minimum((u * len(table)).astype(int), len(table) - 1)], u
        evenly = _EVENLY[self.scale]
        prior = self.prior or evenly
        values = prior.quantile(u, *self.ends)
        position = u if prior == evenly else xp.clip(self.position(values), 0, np.nextafter(1, 0))
        if self._whole:
            values = xp.clip(xp.round(values), self.low, self.high)
        return values, position

    def at(self, position: FloatArray, *, levels: bool = False) -> FloatArray:
        """Map positions along the parameter's axis (n,), in [0, 1), to values (n,), whatever the prior; as `draw`."""
        return replace(self, prior=None).draw(position, levels=levels)[0]

    def position(self, values: ArrayLike) -> FloatArray:
        """Return where values lie along the axis, 0 at one end and 1 at the other; in decades on a log scale.

        Of levels that stand for themselves, each has as much room as any other, in their order.
        """
        xp, given = namespace(values), as_array(values, float)
        if self.levels is not None and not self.between:
            table = xp.asarray(self.levels, dtype=float)
            nearest = xp.abs(given[..., None] - table).argmin(axis=-1)
            return (nearest + 0.5) / len(table)
        low, high = self._scaled(np.array(self.ends))
        return xp.asarray((self._scaled(given) - low) / (high - low))

    def share(self, values: FloatArray) -> FloatArray:
        """Return the share of the prior below values, (n,) in [0, 1]: the unit values that are drawn as these."""
        evenly = _EVENLY[self.scale]
        prior = self.prior or evenly
        return self.position(values) if prior == evenly else prior.share(values, *self.ends)

    @property
    def middle(self) -> float:
        """The value in the middle of the range, on its scale; of those that it takes, the nearest below."""
        if self.levels is not None and not self.between:
            return sorted(self.levels)[(len(self.levels) - 1) // 2]
        middle = math.sqrt(self.low * self.high) if self.scale == "log" else (self.low + self.high) / 2
        return float(math.floor(middle)) if self._whole else middle

    def _scaled(self, values: FloatArray) -> FloatArray:
        return namespace(values).log(values) if self.scale == "log" else values

    @property
    def inputs(self) -> int:
        """Numbers by which networks are told of it: one for each of three categories and more, else one."""
        return len(self.categories) if len(self.categories) > 2 else 1

    def normalise(self, values: FloatArray) -> FloatArray:
        """Map values (n,) to what networks are told, (n, `inputs`): 0 at `zero` and 1 at `one`, on its scale."""
        if self.inputs > 1:
            return (values[:, None] == np.arange(self.inputs)).astype(float)
        zero, one = self._scaled(np.array([self.zero, self.one]))
        return ((self._scaled(values) - zero) / (one - zero))[:, None]

    def denormalise(self, normalised: FloatArray) -> FloatArray:
        """Map normalised values (n, `inputs`) to values (n,); the inverse of `normalise`."""
        if self.inputs > 1:
            return normalised.argmax(axis=1).astype(float)
        zero, one = self._scaled(np.array([self.zero, self.one]))
        scaled = zero + normalised[:, 0] * (one - zero)
        return np.exp(scaled) if self.scale == "log" else scaled
