"""The part of the report that answers to a reader: planes, hits, and the profile of a chosen hit, both ways.

It is a section of the page (``explorer.html.j2``), hidden until plain JavaScript inside it (``explorer.js``) fills it
from data inside the page; nothing is loaded.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib import resources
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.figures.pairs import Pair
from mechscreen.figures.style import shown_points
from mechscreen.figures.text import plain
from mechscreen.models import Output
from mechscreen.spaces import Parameter
from mechscreen.tally import plane_pairs

MOST = 1000
"""Hits that a page holds, at most."""

_BYTES = 600_000
"""What their outputs may take of a page, and densities, too."""

_POINTS, _PIXELS = 128, 32
"""Points of a profile, and of an axis of a field, that a page holds, at most."""
_MOST_MARKS = 6
"""Of an axis."""
_MISSING = 255
"""Value of a profile that is not there; the others go from 0 to 254."""


def choose(hits: int, outputs: Sequence[Output]) -> NDArray[np.int64]:
    """Return which of so many hits a page holds: all, or as many as it has room for, at equal steps."""
    each = 2 * sum(min(output.size, _PIXELS**2 if output.view == "image" else _POINTS) for output in outputs)
    most = min(hits, MOST, max(1, _BYTES // each))
    return _thinned(0, hits - 1, most) if hits else np.empty(0, np.int64)


def data(
    parameters: Sequence[Parameter],
    varied: Sequence[int],
    densities: Mapping[str, NDArray[Any]],
    shown: Sequence[Pair],
    hits: Sequence[dict[str, Any]],
    features: Mapping[str, NDArray[Any]] = MappingProxyType({}),
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
        the most structure is shown first; as many as there is room for.
    hits
        What is shown of each: sample, parameters (d,), rmse (None where the simulation failed), disagreement (None
        where nobody could disagree), emulated, simulated (both in words), confirmed, stands (confirmed with the class
        that was emulated).
    shown
        The outputs of these hits.
    features
        Numbers of these hits by what they are called, (hits, 2): simulated and emulated, NaN where there is none.
    """
    target = next(iter(densities.values()))
    most = max(1, _BYTES // target.size)
    values = {
        "parameters": [
            {
                "name": p.name,
                "unit": p.unit,
                "label": _label(p),
                "low": p.low,
                "high": p.high,
                "marks": _marks(p),
            }
            for p in parameters
        ],
        "varied": list(varied),
        "first": _first(varied, target),
        "bins": target.shape[-1],
        "shades": [_shade(name, density) for name, density in list(densities.items())[:most]],
        "outputs": [_output(pair) for pair in shown],
        "ways": asdict(shown[0].ways),
        "features": [{"label": label, "values": _listed(values)} for label, values in features.items()],
        "hits": [{**hit, **_placed(parameters, hit["parameters"])} for hit in hits],
    }
    # "</script>" inside a name would end the element that holds this.
    return json.dumps(values, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")


def script() -> str:
    """Return the script."""
    return resources.files("mechscreen.reports").joinpath("explorer.js").read_text(encoding="utf-8")


def _output(pair: Pair) -> dict[str, Any]:
    """Return what the page holds of an output: numbers as they are, else levels between limits, (hits, 2, …)."""
    output = pair.output
    both = np.stack([pair.simulated, pair.emulated], axis=1)
    about: dict[str, Any] = {"name": output.name, "label": pair.label, "view": output.view}
    if output.view == "number":
        values = both.reshape(len(both), 2)
        return {**about, "values": _listed(values)}
    limits = np.tile(pair.limits, (len(both), 1))
    if output.view == "image":
        rows, columns = (_thinned(0, size - 1, _PIXELS) for size in output.shape)
        both = both[:, :, rows[:, None], columns]
        about |= {"rows": len(rows), "columns": len(columns), "axes": list(output.axes)}
        # Of each sample its own, as in the figures; what is emulated is always known.
        flat = both.reshape(len(both), 2 * len(rows) * len(columns))
        limits = np.stack([np.nanmin(flat, axis=1), np.nanmax(flat, axis=1)], axis=1)
    else:
        place = _places(output, both)
        both = both[..., place]
        along = f"{output.axes[0]}, log scale" if output.in_decades else output.axes[0]
        about |= {"gridLabel": along, "grid": [float(f"{x:.6g}") for x in output.grid[place]]}
        about["decades"] = output.in_decades
    low, high = limits.T.reshape(2, len(both), *(1,) * (both.ndim - 1))
    level = (np.nan_to_num(both) - low) / np.where(high > low, high - low, 1)
    levels = np.where(np.isfinite(both), np.clip(level, 0, 1) * 254, _MISSING)
    about |= {name: [_short(value) for value in limits[:, k]] for k, name in enumerate(("low", "high"))}
    return {**about, "levels": _base64(levels)}


def _listed(values: NDArray[Any]) -> list[list[float | None]]:
    return [[_short(value) for value in row] for row in values]


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if np.isfinite(value) else None


def _thinned(first: int, last: int, most: int) -> NDArray[np.int64]:
    """Return so many places from the first to the last, at nearly equal steps; all, if they are no more."""
    return np.unique(np.linspace(first, last, min(most, last - first + 1)).round().astype(np.int64))


def _places(output: Output, profiles: NDArray[Any]) -> NDArray[np.int64]:
    """Return the points of an output's grid that the page holds."""
    first, last = shown_points(output, profiles)
    steps = len(output.grid) - 1
    count = 1 + steps // max(1, math.ceil(steps / (_POINTS - 1)))
    return np.linspace(first, last, count).round().astype(np.int64)


def _label(parameter: Parameter) -> str:
    name = plain(parameter.symbol) or parameter.name
    unit = f" [{parameter.unit}]" if parameter.unit else ""
    return f"{name}{unit}{', log scale' if parameter.scale == 'log' else ''}"


def _marks(parameter: Parameter) -> list[tuple[float, str]]:
    """Return position and name of what is marked on an axis; nothing where its ends are enough."""
    marks = parameter.marks
    return [(round(at, 4), name) for at, name in marks.items()] if len(marks) <= _MOST_MARKS else []


def _placed(parameters: Sequence[Parameter], values: Sequence[float]) -> dict[str, Any]:
    """Return the values as they are shown, and where each lies along its axis."""
    return {
        "parameters": [p.told(value) if p.categories else value for p, value in zip(parameters, values, strict=True)],
        "positions": [
            0.5 if p.fixed else float(f"{p.position(value):.4g}") for p, value in zip(parameters, values, strict=True)
        ],
    }


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
