"""What every file says about its origin and its arrays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.campaign import Campaign, Stage
from mechscreen.models import Model, Output


def provenance(campaign: Campaign, stage: Stage, kind: str) -> dict[str, str | int | float]:
    """Return the attributes of a file: what it holds, which campaign, model and seed made it."""
    return {
        "kind": kind,
        "campaign": campaign.fingerprint(stage),
        "campaign_name": campaign.name,
        "model": campaign.model.name,
        "model_version": campaign.model_instance.version,
        "seed": campaign.seed,
    }


def describe(model: Model) -> dict[str, NDArray[Any]]:
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
