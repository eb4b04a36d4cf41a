"""Screen mechanistic models of biology with neural emulators."""

from typing import Any

from mechscreen.errors import FileError, InputError, MechscreenError, ModelError, StorageError
from mechscreen.models import Model, Output, Parameter, ParameterSpace, Solution, get_model
from mechscreen.version import __version__

__all__ = [
    "FileError",
    "InputError",
    "Knowledge",
    "MechscreenError",
    "Model",
    "ModelError",
    "Output",
    "Parameter",
    "ParameterSpace",
    "Polynomial",
    "Solution",
    "StorageError",
    "__version__",
    "discover",
    "get_model",
    "load_ensemble",
]
# `open` is not among them, which `from mechscreen import *` would put in the place of Python's own.


def __getattr__(name: str) -> Any:
    # Networks take seconds to import, compiled solvers too; models should not wait for them.
    if name == "load_ensemble":
        from mechscreen.stages.predict import load_ensemble

        return load_ensemble
    if name == "open":
        from mechscreen.reading import open_results

        return open_results
    if name in ("Knowledge", "Polynomial", "discover"):
        from mechscreen import discovery

        return getattr(discovery, name)
    raise AttributeError(f"module 'mechscreen' has no attribute '{name}'")
