"""PEtab's parameter table: which values are estimated, within which range, and how likely they are before."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mechscreen.errors import InputError
from mechscreen.spaces import Parameter, Prior

_TO_LINEAR: Mapping[str, Any] = {"lin": float, "log": math.exp, "log10": lambda value: 10.0**value}
_PER_NATURAL = {"log": 1.0, "log10": math.log(10)}
"""Natural logarithms in one of a scale."""


@dataclass(frozen=True)
class PetabParameter:
    """A row of the parameter table.

    Attributes
    ----------
    nominal
        Its nominal value, in its unit; NaN where none is given.
    varied
        What it is to a campaign where it is estimated; None where it is not.
    """

    name: str
    nominal: float
    varied: Parameter | None

    @property
    def estimated(self) -> bool:
        """Whether it is."""
        return self.varied is not None


def read_parameters(table: Any, path: Path) -> Iterator[PetabParameter]:
    """Yield what stands in a parameter table, a pandas frame.

    Raises
    ------
    InputError
        If a prior or a scale is not known, which is named; or none is estimated.
    """
    estimated = 0
    for name, row in table.iterrows():
        nominal = float(row.get("nominalValue", math.nan))
        varied = None
        if int(row["estimate"]):
            try:
                varied = _varied(str(name), row)
            except InputError as error:
                raise InputError(f"{path}: {error}") from None
            estimated += 1
        elif not math.isfinite(nominal):
            raise InputError(f"{path}: parameter '{name}' is not estimated, and has no nominal value")
        yield PetabParameter(str(name), nominal, varied)
    if not estimated:
        raise InputError(f"{path}: estimates no parameter, so that nothing varies")


def _varied(name: str, row: Any) -> Parameter:
    scale, low, high = str(row["parameterScale"]), float(row["lowerBound"]), float(row["upperBound"])
    words = row.get("parameterName")
    parameter = Parameter(
        name,
        low,
        high,
        meaning=words if isinstance(words, str) and words != name else "",
        scale="linear" if scale == "lin" else "log",
    )
    for which in ("objectivePrior", "initializationPrior"):
        kind, arguments = row.get(f"{which}Type"), row.get(f"{which}Parameters")
        if isinstance(kind, str) and kind:
            given = isinstance(arguments, str) and arguments
            return _with_prior(parameter, scale, kind, tuple(map(float, arguments.split(";"))) if given else None)
    return parameter


def _with_prior(parameter: Parameter, scale: str, kind: str, arguments: tuple[float, ...] | None) -> Parameter:
    """Return a parameter whose values are as likely as PEtab says; of a uniform prior, the range is the narrower."""
    if kind in ("uniform", "parameterScaleUniform"):
        by_scale = kind == "parameterScaleUniform"
        if arguments is not None:
            first, last = (_TO_LINEAR[scale](end) for end in arguments) if by_scale else arguments
            parameter = replace(
                parameter,
                low=max(parameter.low, first),
                high=min(parameter.high, last),
                zero=math.nan,
                one=math.nan,
            )
        return parameter if by_scale or scale == "lin" else replace(parameter, prior=Prior("uniform"))
    if kind not in ("normal", "logNormal", "parameterScaleNormal"):
        raise InputError(
            f"parameter '{parameter.name}': its prior {kind} is not drawn from (valid: uniform, normal, logNormal, "
            "parameterScaleUniform, parameterScaleNormal)"
        )
    if arguments is None:
        raise InputError(f"parameter '{parameter.name}': its prior {kind} has no parameters")
    mean, deviation = arguments
    if kind == "normal" or (kind == "parameterScaleNormal" and scale == "lin"):
        return replace(parameter, prior=Prior("normal", loc=mean, scale=deviation))
    natural = 1.0 if kind == "logNormal" else _PER_NATURAL[scale]
    return replace(parameter, prior=Prior("lognormal", s=deviation * natural, scale=math.exp(mean * natural)))
