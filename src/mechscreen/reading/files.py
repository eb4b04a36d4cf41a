"""Arrays that stand in several files of one kind, row after row, read as they are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechscreen.errors import FileError, says_absent
from mechscreen.storage import ArrayFile, Identity
from mechscreen.storage.arrays import Size

View = Callable[[Any], Any]
"""From all of an array of a file to a part of it that has the same rows."""


def _same(array: Any) -> Any:
    return array


class Files:
    """Files of one kind, whose rows follow one another.

    Each is verified when something of it is read for the first time, and again if it changed since. None is kept open.

    Parameters
    ----------
    kind
        What each file holds.
    rows
        The files, and how many rows each has.
    identity
        What they depend on.
    sizes
        What names in the shapes stand for, as for `ArrayFile.read`.
    """

    def __init__(
        self, kind: type[ArrayFile], rows: Mapping[Path, int], identity: Identity, sizes: Mapping[str, Size]
    ) -> None:
        self._kind, self._identity, self._sizes = kind, identity, sizes
        self._paths: Sequence[Path] = list(rows)
        self._counts = list(rows.values())
        self._ends = np.cumsum(self._counts)
        self._verified: dict[Path, tuple[int, ...]] = {}

    def __len__(self) -> int:
        return int(self._ends[-1])

    def read(self, name: str, rows: NDArray[np.int64], view: View = _same) -> NDArray[Any]:
        """Return some rows of an array, in the order of their numbers ``rows`` (n,), from 0.

        Raises
        ------
        FileError, StorageError
            As `ArrayFile.read`.
        """
        part_of = np.searchsorted(self._ends, rows, side="right")
        numbers = np.unique(part_of)
        # Something of the first file where no row is asked for: what shape and type there is.
        pieces = [self._of_one(k, name, rows[part_of == k], view) for k in (numbers if len(numbers) else [0])]
        if len(pieces) == 1:
            return pieces[0]
        found = np.empty((len(rows), *pieces[0].shape[1:]), np.result_type(*pieces))
        for number, piece in zip(numbers, pieces, strict=True):
            found[part_of == number] = piece
        return found

    def _of_one(self, number: int, name: str, rows: NDArray[np.int64], view: View) -> NDArray[Any]:
        path, count = self._paths[number], self._counts[number]
        here = rows - (self._ends[number] - count)
        stamp = _stamp(path)
        look = self._kind.open_again if self._verified.get(path) == stamp else self._kind.open
        with look(path, self._identity, n=count, **self._sizes) as file:
            self._verified[path] = stamp
            data = getattr(file, name)
            if not hasattr(data, "id"):  # text
                return np.asarray(data[:], dtype=str)[here]
            if not data.size or not len(here):
                return np.asarray(view(data[:]))[here]
            mapped = np.memmap(path, data.dtype, "r", data.id.get_offset(), data.shape)
            return np.array(view(mapped.view(np.ndarray))[here])


def _stamp(path: Path) -> tuple[int, ...]:
    """Return what changes when a file is replaced."""
    try:
        about = path.stat()
    except OSError as error:
        if says_absent(error):
            raise FileError(path, "is not there any more", "open the folder of results again") from None
        raise
    return about.st_ino, about.st_size, about.st_mtime_ns
