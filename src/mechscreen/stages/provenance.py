"""What every file says about its origin and its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign, Stage
from mechscreen.models import Output, Outputs, ParameterSpace
from mechscreen.storage import FORMAT_VERSION
from mechscreen.version import __version__


class Described(Protocol):
    """Anything with the parameters and outputs of a model: a model, a campaign."""

    @property
    def space(self) -> ParameterSpace:
        """The parameters."""

    @property
    def outputs(self) -> tuple[Output, ...]:
        """The outputs."""


def provenance(campaign: Campaign, stage: Stage, kind: str) -> dict[str, str | int | float]:
    """Return the attributes of a file: what it holds, what it depends on, which campaign, model and seed made it."""
    return {
        "kind": kind,
        **campaign.identity(stage).attributes,
        "campaign_name": campaign.name,
        "model": campaign.model.name,
        "model_version": campaign.about.model.version,
        "seed": campaign.seed,
    }


def record(campaign: Campaign, stage: Stage, kind: str) -> dict[str, Any]:
    """Return the same for a JSON file (`mechscreen.storage.read_record`)."""
    return {
        **provenance(campaign, stage, kind),
        "identity": dict(campaign.identity(stage).values),
        "format_version": FORMAT_VERSION,
        "software_version": __version__,
    }


def describe(model: Described) -> dict[str, NDArray[Any]]:
    """Return what a reader needs to know of a model's arrays: names and units of parameters, outputs and grids."""
    return {
        "parameter_names": np.array(model.space.names),
        "parameter_units": np.array([parameter.unit for parameter in model.space]),
        **describe_outputs(model.outputs),
    }


def describe_outputs(outputs: Sequence[Output]) -> dict[str, NDArray[Any]]:
    """Return names, units and scales of outputs, and names, units and points of their grids.

    The grids are (outputs, points) where all have as many points (a number has one); else the points of all axes, one
    axis after the other, and beside them the shape of each output, (outputs, 2), zero where it has no such axis.
    """
    described = {
        "output_names": np.array([output.name for output in outputs]),
        "output_units": np.array([output.unit for output in outputs]),
        "output_scales": np.array([output.scale for output in outputs]),
        "grid_names": np.array([_joined(output.grid_name) for output in outputs]),
        "grid_units": np.array([_joined(output.grid_unit) for output in outputs]),
    }
    if Outputs(outputs).uniform:
        grids = [output.grids[0] if output.grids else np.zeros(1) for output in outputs]
        return {**described, "grid": np.array(grids, dtype=float)}
    axes = [grid for output in outputs for grid in output.grids]
    shapes = [(*output.shape, 0, 0)[:2] for output in outputs]
    return {**described, "grid": np.concatenate(axes), "output_shapes": np.array(shapes, dtype=np.int64)}


def _joined(text: str | tuple[str, str]) -> str:
    return text if isinstance(text, str) else ", ".join(text)
