"""Mechanistic models: what they take, what they return, and where they are found."""

from mechscreen.models.base import Model, Simulations, Solution, get_model, model_names
from mechscreen.models.outputs import Output, Outputs, Status
from mechscreen.spaces import Parameter, ParameterSpace

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
