"""Mechanistic models and their registry."""

from mechscreen.models.base import Model, Parameter, ParameterSpace, Simulations, Solution, get_model, model_names
from mechscreen.models.myc_e2f import MycE2FModel
from mechscreen.models.outputs import Output, Status
from mechscreen.models.pattern import PatternModel

__all__ = [
    "Model",
    "MycE2FModel",
    "Output",
    "Parameter",
    "ParameterSpace",
    "PatternModel",
    "Simulations",
    "Solution",
    "Status",
    "get_model",
    "model_names",
]
