"""The arrays by which files say what their other arrays are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from mechscreen.models import Output, Outputs
from mechscreen.spaces import ParameterSpace
from mechscreen.storage import ArrayFile

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Texts = NDArray[np.str_]


class Described(Protocol):
    """Anything with the parameters and outputs of a model: a model, a campaign."""

    @property
    def space(self) -> ParameterSpace:
        """The parameters."""

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs."""


@dataclass(frozen=True, kw_only=True)
class ModelArrays(ArrayFile):
    """Names and units of a model's parameters, outputs and grids.

    The grids are (outputs, points) where all have as many points (a number has one); else the points of all axes, one
    axis after the other, and beside them the shape of each output, (outputs, 2), zero where it has no such axis.
    """

    parameter_names: Annotated[Texts, "d"]
    parameter_units: Annotated[Texts, "d"]
    output_names: Annotated[Texts, "outputs"]
    output_units: Annotated[Texts, "outputs"]
    output_scales: Annotated[Texts, "outputs"] | None = None
    grid_names: Annotated[Texts, "outputs"]
    grid_units: Annotated[Texts, "outputs"]
    grid: Annotated[Floats, "*grid"]
    output_shapes: Annotated[Integers, "outputs 2"] | None = None

    @classmethod
    def of(cls, model: Described) -> Self:
        """Return those of a model."""
        outputs = Outputs(model.outputs)
        if outputs.uniform:
            grid = np.array([output.grids[0] if output.grids else np.zeros(1) for output in outputs], dtype=float)
            shapes = None
        else:
            grid = np.concatenate([axis for output in outputs for axis in output.grids])
            shapes = np.array([(*output.shape, 0, 0)[:2] for output in outputs], dtype=np.int64)
        return cls(
            parameter_names=_texts([parameter.name for parameter in model.space]),
            parameter_units=_texts([parameter.unit for parameter in model.space]),
            output_names=_texts([output.name for output in outputs]),
            output_units=_texts([output.unit for output in outputs]),
            output_scales=_texts([str(output.scale) for output in outputs]),
            grid_names=_texts([_joined(output.grid_name) for output in outputs]),
            grid_units=_texts([_joined(output.grid_unit) for output in outputs]),
            grid=grid,
            output_shapes=shapes,
        )


def _texts(values: list[str]) -> NDArray[Any]:
    return np.array(values, dtype=str)


def _joined(text: str | tuple[str, str]) -> str:
    return text if isinstance(text, str) else ", ".join(text)
