"""Discovery of ordinary differential equations from time series: arrays in, model out."""

from mechscreen.discovery.knowledge import Knowledge
from mechscreen.discovery.library import Polynomial, Rational
from mechscreen.discovery.model import Alternative, DiscoveredModel, Undetermined
from mechscreen.discovery.model_file import as_model
from mechscreen.discovery.pipeline import discover

__all__ = [
    "Alternative",
    "DiscoveredModel",
    "Knowledge",
    "Polynomial",
    "Rational",
    "Undetermined",
    "as_model",
    "discover",
]
