"""The part of the report that answers to a reader: planes, hits, and the profile of a chosen hit, both ways.

It is a section of the page (``explorer.html.j2``), hidden until plain JavaScript inside it (``explorer.js``) fills it
from data inside the page; nothing is loaded.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.figures.style import grid_label, profile_label, shown_points
from mechscreen.figures.text import plain
from mechscreen.models import Output, Parameter
from mechscreen.tally import plane_pairs

MOST = 1000
"""Hits that a page holds."""

_POINTS = 128
_MISSING = 255
"""Value of a profile that is not there; the others go from 0 to 254."""


def choose(hits: int) -> NDArray[np.int64]:
    """Return which of so many hits a page holds: all, or `MOST` at equal steps."""
    return (
        np.unique(np.linspace(0, hits - 1, min(hits, MOST)).round().astype(np.int64)) if hits else np.empty(0, np.int64)
    )


def data(
    parameters: Sequence[Parameter],
    varied: Sequence[int],
    densities: Mapping[str, NDArray[Any]],
    outputs: Sequence[Output],
    hits: Sequence[dict[str, Any]],
    simulated: NDArray[Any],
    emulated: NDArray[Any],
) -> str:
    """Return the JSON that the page's script reads.

    Parameters
    ----------
    parameters
        All d of them.
    varied
        Places of those that vary, at least one.
    densities
        (planes, bins, bins), of the samples of each name relative to all samples: of the target first, whose plane with
        the most structure is shown first.
    hits
        What is shown of each: sample, parameters (d,), rmse (None where the simulation failed), disagreement,
        emulated, simulated (both in words), confirmed, stands (confirmed with the class that was emulated).
    simulated, emulated
        (hits, outputs, points), NaN where a simulation failed.
    """
    both = np.stack([simulated, emulated], axis=2)
    places = [_places(output, both[:, k]) for k, output in enumerate(outputs)]
    both = np.stack([both[:, k][..., place] for k, place in enumerate(places)], axis=1)
    levels = np.where(np.isfinite(both), np.clip(np.nan_to_num(both), 0, 1) * 254, _MISSING)
    target = next(iter(densities.values()))
    values = {
        "parameters": [
            {"name": p.name, "unit": p.unit, "label": _label(p), "low": p.low, "high": p.high} for p in parameters
        ],
        "varied": list(varied),
        "first": _first(varied, target),
        "bins": target.shape[-1],
        "shades": [_shade(name, density) for name, density in densities.items()],
        "outputs": [
            {
                "name": output.name,
                "label": profile_label(output),
                "gridLabel": grid_label(output),
                "grid": [float(f"{x:.6g}") for x in output.grid[place]],
            }
            for output, place in zip(outputs, places, strict=True)
        ],
        "hits": list(hits),
        "profiles": _base64(levels),
    }
    # "</script>" inside a name would end the element that holds this.
    return json.dumps(values, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def script() -> str:
    """Return the script."""
    return resources.files("mechscreen.figures").joinpath("explorer.js").read_text(encoding="utf-8")


def _places(output: Output, profiles: NDArray[Any]) -> NDArray[np.int64]:
    """Return the points of an output's grid that the page holds; for all outputs equally many."""
    first, last = shown_points(output, profiles)
    steps = len(output.grid) - 1
    count = 1 + steps // max(1, math.ceil(steps / (_POINTS - 1)))
    return np.linspace(first, last, count).round().astype(np.int64)


def _label(parameter: Parameter) -> str:
    name = plain(parameter.symbol) or parameter.name
    return f"{name} [{parameter.unit}]" if parameter.unit else name


def _shade(name: str, density: NDArray[Any]) -> dict[str, Any]:
    """Return a density in 256 levels, of which the highest stands for `top` and more."""
    top = max(1.0, float(np.quantile(density, 0.995)))
    return {"name": name, "top": float(f"{top:.2g}"), "levels": _base64(np.clip(density / top, 0, 1) * 255)}


def _first(varied: Sequence[int], density: NDArray[Any]) -> list[int]:
    """Return the two parameters to begin with: those of the plane with the most structure."""
    i, j = plane_pairs(len(varied))[density.std(axis=(1, 2)).argmax()]
    return [varied[i], varied[j]]


def _base64(levels: NDArray[Any]) -> str:
    return base64.b64encode(np.rint(levels).astype(np.uint8).tobytes()).decode("ascii")
