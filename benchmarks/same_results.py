"""Do two folders of results hold the same arrays? For what a change of the software must not change.

    python benchmarks/same_results.py ../before/results/demo results/demo

Compares every array of every HDF5 file, bit for bit, and names those that differ, with the largest difference, and
those that stand in one folder only. Exit code 1 if anything differs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray


def arrays(results: Path) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of a folder of results, by file and name."""
    for path in sorted(results.rglob("*.h5")):
        with h5py.File(path) as file:
            names: list[str] = []
            file.visititems(lambda name, item, names=names: names.append(name) if hasattr(item, "shape") else None)
            for name in names:
                yield f"{path.relative_to(results)}: {name}", file[name][()]


def difference(before: NDArray[Any], after: NDArray[Any]) -> str:
    """Return what differs between two arrays; empty if nothing does."""
    if before.shape != after.shape or before.dtype != after.dtype:
        return f"{before.dtype} {before.shape} and {after.dtype} {after.shape}"
    if before.tobytes() == after.tobytes():
        return ""
    if before.dtype.kind not in "iuf":
        return "the values differ"
    changed = ~(
        (before == after) | (np.isnan(before) & np.isnan(after)) if before.dtype.kind == "f" else before == after
    )
    largest = np.abs(before.astype(float) - after.astype(float))[changed].max(initial=0.0)
    return f"{np.count_nonzero(changed):,} of {before.size:,} values differ, by {largest:.2g} at most"


def main() -> None:
    """Compare and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path)
    arguments = parser.parse_args()
    lines = compare(arguments.before, arguments.after)
    print("\n".join(lines))
    sys.exit(1 if len(lines) > 1 else 0)


def compare(before_folder: Path, after_folder: Path) -> list[str]:
    """Return a line for each array that differs, and how many are the same."""
    before, after = (dict(arrays(folder)) for folder in (before_folder, after_folder))
    lines = [f"{name}: only before" for name in before.keys() - after.keys()]
    lines += [f"{name}: only after" for name in after.keys() - before.keys()]
    common = before.keys() & after.keys()
    found = {name: difference(before[name], after[name]) for name in common}
    lines += [f"{name}: {text}" for name, text in found.items() if text]
    return [*sorted(lines), f"{sum(not text for text in found.values())} of {len(common)} common arrays are the same"]


if __name__ == "__main__":
    main()
