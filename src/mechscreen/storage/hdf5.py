"""How arrays and attributes stand in HDF5 files.

The first 512 bytes (HDF5's *user block*, which its readers skip) hold the word ``mechscreen`` and the SHA-256 of all
bytes that follow, so any flipped bit, truncation or addition is found; HDF5 by itself finds few of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import DTypeLike, NDArray

from mechscreen.errors import FileError

Attribute = str | int | float
Layout = Mapping[str, tuple[tuple[int, ...], DTypeLike]]
"""Name → (shape, data type) of each array."""

USER_BLOCK = 512
MAGIC = b"mechscreen"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"


def user_block(digest: str) -> bytes:
    """Return the first bytes of a file, the SHA-256 of whose other bytes is given."""
    return (MAGIC + b"\nsha256 " + digest.encode() + b"\n").ljust(USER_BLOCK, b"\0")


def encode(values: NDArray[Any] | list[str]) -> NDArray[Any]:
    """Return an array as it is stored: strings as UTF-8 of one length, because HDF5's others are not reproducible."""
    array = np.array(values, dtype=str) if isinstance(values, list) else np.asarray(values)
    if array.dtype.kind in "biuf":
        return array
    if array.dtype.kind != "U" or array.ndim != 1:
        raise ValueError(f"cannot store an array of type {array.dtype} and shape {array.shape}")
    encoded = [str(text).encode("utf-8", "backslashreplace") for text in array]
    length = max([1, *map(len, encoded)])
    return np.array(encoded, dtype=h5py.string_dtype("utf-8", length))


def encode_attribute(value: Attribute) -> Any:
    """Return an attribute as it is stored."""
    if isinstance(value, str):
        encoded = value.encode("utf-8", "backslashreplace")
        return np.array(encoded, dtype=h5py.string_dtype("utf-8", max(1, len(encoded))))
    return np.int64(value) if isinstance(value, int) else np.float64(value)


def decode_attribute(path: Path, name: str, value: Any) -> Attribute:
    """Return an attribute that was stored; a `FileError` if it is none of ours."""
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, np.floating):
        return float(value)
    if isinstance(value, str):
        return value
    raise FileError(path, f"attribute '{name}' is neither text nor a number")
