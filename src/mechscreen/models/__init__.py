"""Mechanistic models and their registry."""

from mechscreen.models.base import Model, Parameter, ParameterSpace, Simulations, Solution, get_model, model_names
from mechscreen.models.outputs import Output, Status

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
