"""Screen mechanistic models of biology with neural emulators."""

from typing import Any

from mechscreen.errors import InputError
from mechscreen.models import Model, Output, Parameter, ParameterSpace, Solution, get_model

__version__ = "0.1.0"

__all__ = [
    "InputError",
    "Model",
    "Output",
    "Parameter",
    "ParameterSpace",
    "Solution",
    "__version__",
    "get_model",
    "load_ensemble",
]


def __getattr__(name: str) -> Any:
    # Networks take seconds to import; models should not wait for them.
    if name == "load_ensemble":
        from mechscreen.stages.predict import load_ensemble

        return load_ensemble
    raise AttributeError(f"module 'mechscreen' has no attribute '{name}'")
