"""Mechanistic models: what they take, what they return, and where they are found."""

from mechscreen.models.base import Model, Parameter, ParameterSpace, Simulations, Solution, get_model, model_names
from mechscreen.models.outputs import Output, Outputs, Status

__all__ = [
    "Model",
    "Output",
    "Outputs",
    "Parameter",
    "ParameterSpace",
    "Simulations",
    "Solution",
    "Status",
    "get_model",
    "model_names",
]
