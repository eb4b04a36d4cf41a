"""What every file says about its origin and its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

import mechscreen
from mechscreen.campaign import Campaign, Stage
from mechscreen.models import Output, ParameterSpace
from mechscreen.storage import FORMAT_VERSION


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
        "software_version": mechscreen.__version__,
    }


def describe(model: Described) -> dict[str, NDArray[Any]]:
    """Return what a reader needs to know of a model's arrays: names and units of parameters, outputs and grids."""
    return {
        "parameter_names": np.array(model.space.names),
        "parameter_units": np.array([parameter.unit for parameter in model.space]),
        **describe_outputs(model.outputs),
    }


def describe_outputs(outputs: Sequence[Output]) -> dict[str, NDArray[Any]]:
    """Return names and units of outputs and of their grids, and the grids, (outputs, points)."""
    return {
        "output_names": np.array([output.name for output in outputs]),
        "output_units": np.array([output.unit for output in outputs]),
        "grid_names": np.array([output.grid_name for output in outputs]),
        "grid_units": np.array([output.grid_unit for output in outputs]),
        "grid": np.array([output.grid for output in outputs], dtype=float),
    }
