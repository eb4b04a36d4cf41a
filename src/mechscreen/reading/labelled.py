"""Results as `xarray.Dataset`: named axes, units, values of each output in the model's units, read as they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from xarray.backends import BackendArray
from xarray.core import indexing

from mechscreen.campaign import Campaign
from mechscreen.labels import Labels
from mechscreen.models import Outputs
from mechscreen.models.outputs import Status
from mechscreen.reading.files import Files
from mechscreen.schemas.screen import ScreenSummary
from mechscreen.spaces import Parameter, ParameterSpace

Pairs = Mapping[str, tuple[str, str]]
"""Where values come from (``simulation``, ``emulator``) → names of the arrays with profiles and with log peaks."""

_STATUS = np.array([status.name for status in Status])


class _Lazy(BackendArray):
    """An array whose rows are read when it is indexed."""

    def __init__(self, read: Callable[[NDArray[np.int64]], NDArray[Any]], shape: tuple[int, ...], dtype: Any) -> None:
        self._read = read
        self.shape = shape
        self.dtype = np.dtype(dtype)

    def __getitem__(self, key: Any) -> Any:
        return indexing.explicit_indexing_adapter(key, self.shape, indexing.IndexingSupport.OUTER, self._of)

    def _of(self, key: tuple[Any, ...]) -> Any:
        first, *rest = key
        alone = isinstance(first, int | np.integer)
        if isinstance(first, slice):
            rows = np.arange(*first.indices(self.shape[0]))
        else:
            rows = np.atleast_1d(np.asarray(first, dtype=np.int64))
            rows = np.where(rows < 0, rows + self.shape[0], rows)
        values = self._read(rows)
        # The last axis first, since a number takes its axis away.
        for axis in range(len(rest), 0, -1):
            values = values[(slice(None),) * axis + (rest[axis - 1],)]
        return values[0] if alone else values


def _lazy(
    dims: Sequence[str],
    read: Callable[[NDArray[np.int64]], NDArray[Any]],
    shape: tuple[int, ...],
    dtype: Any,
    attrs: Mapping[str, Any] | None = None,
) -> xr.Variable:
    return xr.Variable(dims, indexing.LazilyIndexedArray(_Lazy(read, shape, dtype)), attrs or {})


def simulations(campaign: Campaign, files: Files) -> xr.Dataset:
    """Return a campaign's simulations, those that failed included: NaN, with a status and a reason."""
    n = len(files)
    labels = Labels(campaign.outputs)
    return xr.Dataset(
        {
            "parameters": _parameters(campaign.space, files),
            **_outputs(campaign.outputs, labels, files, {"simulation": ("profiles", "log_peaks")}),
        },
        {"sample": np.arange(n), **_coordinates(campaign.space, labels), **_outcome(files)},
        _about(campaign),
    )


def both_ways(campaign: Campaign, files: Files, pairs: Pairs, columns: Mapping[str, str], failures: bool) -> xr.Dataset:
    """Return samples that were both simulated and predicted; each output has an axis ``of`` for the two.

    Parameters
    ----------
    columns
        Name in the dataset → array of the files, of what there is for each sample, or for each of its outputs. Classes
        stand there by their names, "" where there is none.
    failures
        Whether simulations may have failed, and the files say why.
    """
    every = np.arange(len(files))
    outputs = campaign.outputs
    labels = Labels(outputs, list(columns))
    classes = np.array(["", *campaign.class_names])
    found: dict[str, Any] = {}
    for name, array in columns.items():
        values = files.read(array, every)
        dims = ("sample", "output") if values.ndim == 2 else ("sample",)
        found[name] = (dims, classes[values + 1] if name in CLASSES else values)
    return xr.Dataset(
        {
            "parameters": _parameters(campaign.space, files),
            **found,
            **_outputs(outputs, labels, files, pairs),
        },
        {
            "sample": files.read("index", every),
            "of": list(pairs),
            "output": [output.name for output in outputs],
            **_coordinates(campaign.space, labels),
            **(_outcome(files) if failures else {}),
        },
        _about(campaign),
    )


CLASSES = ("simulated_class", "emulated_class")
"""Columns that hold labels of classes."""


def predicted(campaign: Campaign, space: ParameterSpace, parameters: NDArray[np.float64], said: Any) -> xr.Dataset:
    """Return what an ensemble says of n parameter sets: the values of each output, and the members' disagreement."""
    outputs = campaign.outputs
    labels = Labels(outputs, ["disagreement"])
    values = [outputs.in_units(said.profiles, said.log_peaks, k) for k in range(len(outputs))]
    return xr.Dataset(
        {
            "parameters": (("sample", "parameter"), parameters),
            "disagreement": ("sample", said.disagreement),
            **{
                name: (("sample", *dims), value, _units(output.unit))
                for name, dims, value, output in zip(labels.names, labels.dims, values, outputs, strict=True)
            },
        },
        {"sample": np.arange(len(parameters)), **_coordinates(space, labels)},
        _about(campaign),
    )


def planes(campaign: Campaign, summary: ScreenSummary) -> xr.Dataset:
    """Return how many samples of each class fell into each cell of each plane of two parameters."""
    varied = [campaign.screen_space[str(name)] for name in summary.axes.axes]
    first, second = ([varied[place].name for place in column] for column in summary.axes.pairs.T)
    bins = summary.planes.shape[-1]
    return xr.Dataset(
        {
            "counts": (("class", "plane", "first_bin", "second_bin"), summary.planes),
            "screened": ("class", summary.classes),
            "trusted": ("class", summary.trusted),
            "edge": (("parameter", "bin_edge"), np.array([_edges(parameter, bins) for parameter in varied])),
        },
        {
            "class": [str(name) for name in summary.axes.class_names],
            "plane": [f"{a}, {b}" for a, b in zip(first, second, strict=True)],
            "first": ("plane", first),
            "second": ("plane", second),
            "parameter": [parameter.name for parameter in varied],
            "unit": ("parameter", [parameter.unit for parameter in varied]),
        },
        {**_about(campaign), "target": ", ".join(campaign.screen.objective.target), "samples": summary.samples},
    )


def _edges(parameter: Parameter, bins: int) -> NDArray[np.float64]:
    """Return where bins begin and end, (bins + 1,), in the parameter's unit; NaN where it has levels, side by side."""
    if parameter.levels is not None and not parameter.between:
        return np.full(bins + 1, np.nan)
    spaced = np.geomspace if parameter.scale == "log" else np.linspace
    return spaced(*parameter.ends, bins + 1)


def _outputs(outputs: Outputs, labels: Labels, files: Files, pairs: Pairs) -> dict[str, xr.Variable]:
    """Return the outputs by their names, (sample, *grid); where there are several `pairs`, (sample, of, *grid)."""
    several = len(pairs) > 1
    found = {}
    for k, (name, dims) in enumerate(zip(labels.names, labels.dims, strict=True)):

        def read(rows: NDArray[np.int64], k: int = k) -> NDArray[Any]:
            parts = [
                outputs.unscaled(
                    files.read(profiles, rows, lambda array: outputs.of(array, k)),
                    files.read(log_peaks, rows, lambda array: array[:, k]),
                    k,
                ).astype(np.float32, copy=False)
                for profiles, log_peaks in pairs.values()
            ]
            return np.stack(parts, axis=1) if several else parts[0]

        of = (len(pairs),) if several else ()
        all_dims = ("sample", *(["of"] if several else []), *dims)
        shape = (len(files), *of, *outputs[k].shape)
        found[name] = _lazy(all_dims, read, shape, np.float32, _units(outputs[k].unit))
    return found


def _parameters(space: ParameterSpace, files: Files) -> xr.Variable:
    told = {p.name: ", ".join(f"{k} {name}" for k, name in enumerate(p.categories)) for p in space if p.categories}
    attrs = {f"categories of {name}": text for name, text in told.items()}
    shape = (len(files), len(space))
    return _lazy(("sample", "parameter"), lambda rows: files.read("parameters", rows), shape, np.float64, attrs)


def _outcome(files: Files) -> dict[str, xr.Variable]:
    shape = (len(files),)
    return {
        "status": _lazy(("sample",), lambda rows: _STATUS[files.read("status", rows)], shape, _STATUS.dtype),
        "reason": _lazy(("sample",), lambda rows: files.read("reasons", rows).astype(object), shape, object),
    }


def _coordinates(space: ParameterSpace, labels: Labels) -> dict[str, Any]:
    units = [parameter.unit for parameter in space]
    axes = {name: xr.Variable((name,), points, _units(unit)) for name, (unit, points) in labels.axes.items()}
    return {"parameter": list(space.names), "unit": ("parameter", units), **axes}


def _about(campaign: Campaign) -> dict[str, Any]:
    about = campaign.about.model
    return {"campaign": campaign.name, "model": about.title, "model_version": about.version, "seed": campaign.seed}


def _units(unit: str) -> dict[str, str]:
    return {"units": unit} if unit else {}
