"""Results as files of other programs: tables (CSV, Parquet), arrays (NPZ, NetCDF), pairs for inference.

Large results are written in parts, so that memory does not grow with them; a file appears when it is whole.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mechscreen import storage
from mechscreen.errors import InputError
from mechscreen.labels import SAMPLE, Labels, columns_of, distinct, table_names
from mechscreen.models.outputs import Status
from mechscreen.reading.folder import VALIDATED, Results

if TYPE_CHECKING:
    import xarray as xr

WHAT = ("simulations", "hits", "validated", "planes")
"""What can be exported as a whole."""

SBI = ".sbi.npz"
"""What the name of a file of pairs for simulation-based inference ends with."""

_ROWS = 1000
_MOST_NETCDF = 2**31 - 1

Columns = Mapping[str, NDArray[Any]]
"""Name → values, (n,), of some rows of a table."""


def export(results: Results, what: str, to: Path, failed: bool = False) -> str:
    """Write results into a file, whose name says of which kind; return what is to be said about it.

    Parameters
    ----------
    what
        One of `WHAT`.
    to
        ``.csv`` or ``.parquet``: a row for each sample, a column for each value. ``.npz`` or ``.nc``: arrays.
        ``.sbi.npz``: ``theta`` (n, d) and ``x`` (n, values), both of single precision, of simulations that are OK and
        of parameter sets that were drawn by their priors.
    failed
        Whether simulations that failed are written, too: empty or NaN, with their status and reason.

    Raises
    ------
    InputError
        If there is no such kind of file, or it cannot hold these results; if there is a file already.
    FileError, StorageError
        As of `Results`.
    """
    kind = _kind(what, to)
    storage.check_new(to)
    storage.check_writable(to)
    if what == "hits":
        return _export_hits(results, to, kind)
    if what == "planes":
        return _export_planes(results, to, kind)
    if kind == SBI and (section := results.campaign.of_round(1).selection) is not None:
        raise InputError(
            f"{to}: the parameter sets of '{results.campaign.name}' were selected, so that posteriors learnt from them "
            f"would be wrong; export those of '{section.campaign}', or another kind of file"
        )
    found = results.simulations if what == "simulations" else results.validated
    ok = np.asarray(found["status"].values) == Status.OK.name
    if kind == SBI and failed:
        raise InputError(f"{to}: pairs of parameters and simulations have no place for those that failed")
    rows = np.arange(len(ok)) if failed else np.flatnonzero(ok)
    if not len(rows):
        raise InputError(f"{to}: not one of {len(ok):,} {what} is OK; nothing was written")
    writers: dict[str, Callable[[_Samples, Path], None]] = {
        ".csv": _write_table,
        ".parquet": _write_table,
        ".npz": _write_npz,
        SBI: _write_pairs,
        ".nc": _write_netcdf,
    }
    writers[kind](_Samples(results, what, found, rows, failed), to)
    left = len(ok) - len(rows)
    without = f"; {left:,} that failed were left out (--failed writes them, too)" if left else ""
    if kind == SBI and left:
        without = f"; {left:,} that failed were left out"
    return f"{to}: {len(rows):,} {what}{without}"


def _kind(what: str, to: Path) -> str:
    kinds = [".csv", ".parquet", ".npz", ".nc", *([SBI] if what == "simulations" else [])]
    if to.suffix == ".pt":
        raise InputError(
            f"{to}: is PyTorch's to write; give a name that ends with {SBI}, whose arrays torch.from_numpy takes "
            "(docs/howto/results.md)"
        )
    if to.name.endswith(SBI):
        if SBI not in kinds:
            raise InputError(
                f"{to}: {what} are no simulations of parameter sets that were drawn by their priors, which such a file "
                "holds; give another kind of file"
            )
        return SBI
    if to.suffix not in kinds:
        raise InputError(f"{to}: no kind of file '{to.suffix}' (valid: {', '.join(kinds)})")
    return to.suffix


class _Samples:
    """Some rows of results that have an axis of samples, and what stands in each column of a table of them."""

    def __init__(self, results: Results, what: str, dataset: xr.Dataset, rows: NDArray[np.int64], failed: bool) -> None:
        self.dataset, self.rows, self.failed = dataset, rows, failed
        campaign = results.campaign
        self.space, self.outputs = campaign.space, campaign.outputs
        beside = list(VALIDATED) if what == "validated" else []
        self._beside = [name for name in beside if dataset[name].dims == ("sample",)]
        self.names = Labels(self.outputs, beside).names
        """Of the outputs in the dataset."""
        self._labels = distinct(table_names(self.space, self.outputs), self._beside)

    def parts(self, most: int = _ROWS) -> Iterator[xr.Dataset]:
        """Yield the samples in their order, some at a time."""
        for first in range(0, len(self.rows), most):
            yield self.dataset.isel(sample=self.rows[first : first + most])

    def columns(self, part: xr.Dataset) -> Columns:
        """Return the columns of a table of some samples."""
        names = self.space.names
        beside = [SAMPLE, *(["status", "reason"] if self.failed else []), *self._beside]
        found = dict(zip(distinct(beside, names), (np.asarray(part[name]) for name in beside), strict=True))
        for parameter, values in zip(self.space, np.asarray(part["parameters"]).T, strict=True):
            categories = np.array(parameter.categories)
            found[parameter.name] = categories[values.astype(int)] if len(categories) else values
        for name, label, output in zip(self.names, self._labels, self.outputs, strict=True):
            of = part["of"].values.tolist() if "of" in part[name].dims else [""]
            values = np.asarray(part[name]).reshape(len(part["sample"]), len(of), output.size)
            for place, source in enumerate(of):
                called = f"emulated {label}" if source == "emulator" else label
                found |= dict(zip(columns_of(called, output.shape), values[:, place].T, strict=True))
        return found


def _write_table(samples: _Samples, to: Path) -> None:
    write_parts((samples.columns(part) for part in samples.parts()), to)


def write_parts(parts: Iterator[Columns], to: Path) -> None:
    """Write rows as CSV or Parquet; what is NaN is empty."""
    import pyarrow as pa
    from pyarrow import csv, parquet

    with storage.replacing(to) as temporary, ExitStack() as stack:
        writer = None
        for columns in parts:
            table = pa.table({name: _column(values) for name, values in columns.items()})
            if writer is None:
                of_kind = csv.CSVWriter if to.suffix == ".csv" else parquet.ParquetWriter
                writer = stack.enter_context(of_kind(str(temporary), table.schema))
            writer.write_table(table)


def _column(values: NDArray[Any]) -> Any:
    import pyarrow as pa

    if values.dtype.kind == "f":
        return pa.array(np.ascontiguousarray(values), mask=np.isnan(values))
    return pa.array(values.tolist(), pa.string()) if values.dtype.kind in "OU" else pa.array(values)


def _write_npz(samples: _Samples, to: Path) -> None:
    dataset, n = samples.dataset, len(samples.rows)
    beside = [str(name) for name in dataset.data_vars if name not in ("parameters", *samples.names)]
    of_samples = ["sample", *(["status", "reason"] if samples.failed else []), "parameters", *beside, *samples.names]
    first = dataset.isel(sample=samples.rows[:1])
    like = {name: np.asarray(first[name]) for name in of_samples}
    text = {name for name, values in like.items() if values.dtype.kind in "OU"}
    with storage.replacing(to) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in of_samples:
            if name in text:
                _put(archive, name, np.asarray(dataset[name].isel(sample=samples.rows).values, dtype=str))
            else:
                shape = (n, *like[name].shape[1:])
                _stream(archive, name, shape, like[name].dtype, (np.asarray(part[name]) for part in samples.parts()))
        _put(archive, "parameter_names", np.array(samples.space.names))
        for axis in dict.fromkeys(str(dim) for name in samples.names for dim in dataset[name].dims[1:]):
            _put(archive, axis, np.asarray(dataset[axis]))


def _write_pairs(samples: _Samples, to: Path) -> None:
    """Write parameters and outputs, each sample's in a row, as estimators of posteriors take them."""
    n, single = len(samples.rows), np.dtype(np.float32)
    columns = [
        column
        for label, output in zip(samples.names, samples.outputs, strict=True)
        for column in columns_of(label, output.shape)
    ]

    def values(part: xr.Dataset) -> NDArray[Any]:
        flat = [np.asarray(part[name]).reshape(len(part["sample"]), -1) for name in samples.names]
        return np.concatenate(flat, axis=1)

    with storage.replacing(to) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        theta = (np.asarray(part["parameters"]) for part in samples.parts())
        _stream(archive, "theta", (n, len(samples.space)), single, theta)
        _stream(archive, "x", (n, len(columns)), single, (values(part) for part in samples.parts()))
        _put(archive, "theta_names", np.array(samples.space.names))
        _put(archive, "x_names", np.array(columns))
        _put(archive, "sample", np.asarray(samples.dataset["sample"])[samples.rows])


def _put(archive: zipfile.ZipFile, name: str, values: NDArray[Any]) -> None:
    _stream(archive, name, values.shape, values.dtype, iter([values]))


def _stream(
    archive: zipfile.ZipFile, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], parts: Iterator[NDArray[Any]]
) -> None:
    """Add an array to an NPZ file, whose rows come some at a time."""
    with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_2_0(stream, header)
        for part in parts:
            stream.write(np.ascontiguousarray(part, dtype=dtype).tobytes())


def _write_netcdf(samples: _Samples, to: Path) -> None:
    chosen = samples.dataset.isel(sample=samples.rows)
    _to_netcdf(chosen if samples.failed else chosen.drop_vars(["status", "reason"]), to)


def _to_netcdf(dataset: xr.Dataset, to: Path) -> None:
    """Write NetCDF 3, which needs no further library: whole numbers have 32 bits there, and names no slash."""
    whole = dataset.load()
    for name, values in whole.variables.items():
        if "/" in str(name):
            raise InputError(f"{to}: NetCDF has no names with a slash ('{name}'); write .npz or .parquet")
        if values.dtype.kind == "i" and values.size and abs(values.values).max() > _MOST_NETCDF:
            raise InputError(f"{to}: '{name}' has numbers beyond the 32 bits of NetCDF 3; write .npz or .parquet")
    with storage.replacing(to) as temporary:
        whole.to_netcdf(temporary, engine="scipy")


def _export_hits(results: Results, to: Path, kind: str) -> str:
    table = results.hits
    n = len(table)
    if kind in (".csv", ".parquet"):
        columns = {str(name): values.to_numpy() for name, values in table.reset_index().items()}
        write_parts(iter([columns]), to)
    elif kind == ".npz":
        with storage.replacing(to) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, values in table.reset_index().items():
                array = values.to_numpy()
                _put(archive, str(name), np.asarray(array, dtype=str) if array.dtype.kind == "O" else array)
    else:
        _to_netcdf(table.to_xarray().assign_attrs(campaign=results.campaign.name), to)
    return f"{to}: {n:,} hits"


def _export_planes(results: Results, to: Path, kind: str) -> str:
    found = results.planes
    if kind in (".csv", ".parquet"):
        write_parts(_cells(found), to)
    elif kind == ".npz":
        with storage.replacing(to) as temporary, zipfile.ZipFile(temporary, "w") as archive:
            for name, values in found.variables.items():
                array = values.values
                _put(archive, str(name), np.asarray(array, dtype=str) if array.dtype.kind == "O" else array)
    else:
        _to_netcdf(found, to)
    return f"{to}: {found.sizes['plane']:,} planes of {found.sizes['first_bin']} × {found.sizes['first_bin']} cells"


def _cells(planes: xr.Dataset) -> Iterator[Columns]:
    """Yield the cells of each plane, one in a row: the two parameters, the cell's edges, the count of each class."""
    bins = planes.sizes["first_bin"]
    i, j = (place.ravel() for place in np.indices((bins, bins)))
    for number in range(planes.sizes["plane"]):
        plane = planes.isel(plane=number)
        names = str(plane["first"].values), str(plane["second"].values)
        edges = [np.asarray(planes["edge"].sel(parameter=name)) for name in names]
        columns: dict[str, NDArray[Any]] = {
            "first": np.full(bins**2, names[0]),
            "second": np.full(bins**2, names[1]),
            "first_bin": i,
            "second_bin": j,
            "first_from": edges[0][i],
            "first_to": edges[0][i + 1],
            "second_from": edges[1][j],
            "second_to": edges[1][j + 1],
        }
        classes = distinct((f"counts of {name}" for name in planes["class"].values), columns)
        counts = np.asarray(plane["counts"].transpose("class", "first_bin", "second_bin")).reshape(len(classes), -1)
        yield columns | dict(zip(classes, counts, strict=True))
