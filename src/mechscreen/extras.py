"""Packages that are installed on request, and which of the extras of ``pip install`` brings each."""

from __future__ import annotations

EXTRAS = {
    "antimony": "sbml",
    "bngsim": "bngl",
    "cma": "fit",
    "emcee": "fit",
    "jax": "jax",
    "keras": "emulators",
    "libsbml": "sbml",
    "onnx": "onnx",
    "openvino": "emulators",
    "petab": "petab",
    "pyarrow": "read",
    "tensorflow": "emulators",
    "mpi4py": "workflow",
    "psutil": "workflow",
    "roadrunner": "sbml",
    "snakemake": "workflow",
    "xarray": "read",
}
"""The extra of each package, by the name that is imported."""


def what_to_install(error: ModuleNotFoundError) -> str | None:
    """Return the package that an import lacked and how to install it; None if no extra brings it."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return f"this needs {package}, which is not installed; pip install 'mechscreen[{EXTRAS[package]}]'"
