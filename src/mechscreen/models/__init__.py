"""Mechanistic models and their registry."""

from mechscreen.models.base import (
    Model,
    Output,
    Parameter,
    ParameterSpace,
    Simulations,
    Solution,
    Status,
    get_model,
    model_names,
)

__all__ = [
    "Model",
    "Output",
    "Parameter",
    "ParameterSpace",
    "Simulations",
    "Solution",
    "Status",
    "get_model",
    "model_names",
]
