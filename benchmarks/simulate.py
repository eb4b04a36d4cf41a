"""Speed and accuracy of the pattern model's solver beside the published procedure, in one run: make bench-simulate.

Prints milliseconds per simulation of both on one core and their ratio, the agreement where both ran, how a second MPI
rank helps, and the memory of a rank.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from mechscreen.models.pattern import PatternModel
from mechscreen.models.pattern_reference import simulate as simulate_published
from mechscreen.sampling import sample_unit

PAPER_SECONDS = 353.0
"""A simulation in the paper: mean of 600 recorded ones, MATLAB, one core of its cluster."""
REPEATS = 3


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=3000, help="parameter sets for the solver")
    parser.add_argument("--published", type=int, default=20, help="of them also by the published procedure")
    arguments = parser.parse_args()
    model = PatternModel()
    parameters = model.space.physical(sample_unit("uniform", 2019, 0, arguments.count, len(model.space), "benchmark"))

    start = time.perf_counter()
    model.simulate(parameters[:1])
    print(f"first simulation, import and compilation or cache included: {time.perf_counter() - start:.1f} s")
    before = _peak_memory()
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        result = model.simulate(parameters)
        seconds.append((time.perf_counter() - start) / len(parameters))
    ours = float(np.median(seconds))
    print(f"solver: {1e3 * ours:.1f} ms a simulation on one core, median of {REPEATS} runs of {len(parameters)} random")
    print(f"    parameter sets ({1e3 * min(seconds):.1f} to {1e3 * max(seconds):.1f})")
    print(f"    the paper's {PAPER_SECONDS:g} s are {PAPER_SECONDS / ours:,.0f} times as long (another machine)")
    print(
        f"    memory: {_peak_memory():.0f} MB, {_peak_memory() - before:.0f} MB of them for the batch and its results"
    )
    print(f"    failed: {int((result.status != 0).sum())}")
    for batch in (1, 10, 100):
        rows = parameters[: max(batch, 200)]
        start = time.perf_counter()
        for first in range(0, len(rows), batch):
            model.simulate(rows[first : first + batch])
        print(f"    in calls of {batch}: {1e3 * (time.perf_counter() - start) / len(rows):.1f} ms a simulation")

    theirs, errors, complex_sets = [], [], 0
    for row, profile in zip(parameters, result.profiles[:, 0], strict=True):
        if len(theirs) == arguments.published:
            break
        start = time.perf_counter()
        published = simulate_published(row)
        if published.went_complex:
            complex_sets += 1
            continue
        theirs.append(time.perf_counter() - start)
        raw = published.profile
        errors.append(float(np.sqrt(np.mean((raw / raw.max() - profile) ** 2))))
    if theirs:
        mean = float(np.mean(theirs))
        print(
            f"published procedure, compiled: {mean:.1f} s a simulation ({len(theirs)} sets): {mean / ours:,.0f} times"
        )
        print(f"    RMSE of the profiles between the two: median {np.median(errors):.1e}, largest {max(errors):.1e}")
        print(f"    left out, since they went complex: {complex_sets}")
    _measure_ranks(parameters, model.space.names)


def _measure_ranks(parameters: np.ndarray, names: tuple[str, ...]) -> None:
    """Time `mechscreen simulate` on 1 and 2 ranks, in turns; what a job needs to start is taken off."""
    command = [Path(sys.executable).with_name("mpiexec"), "-n"]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.h5"
        job = [sys.executable, "-m", "mechscreen", "simulate", "--model", "pattern", "--out", out, "--ranks"]
        tables = {}
        for kind, rows in (("few", parameters[:2]), ("many", parameters)):
            tables[kind] = Path(folder) / f"{kind}.csv"
            np.savetxt(tables[kind], rows, delimiter=",", header=",".join(names), comments="", fmt="%.17g")
        rates: dict[int, list[float]] = {1: [], 2: []}
        for _ in range(REPEATS):
            for ranks, found in rates.items():
                seconds = {}
                for kind, table in tables.items():
                    out.unlink(missing_ok=True)
                    start = time.perf_counter()
                    subprocess.run(
                        [*command, str(ranks), *job, str(ranks), "--parameters", table], check=True, capture_output=True
                    )
                    seconds[kind] = time.perf_counter() - start
                found.append((len(parameters) - 2) / (seconds["many"] - seconds["few"]))
    one, two = (float(np.median(found)) for found in rates.values())
    print(f"MPI: {one:.0f} simulations a second on 1 rank, {two:.0f} on 2 ranks: {two / one:.2f} times")
    print(f"    (medians of {REPEATS} runs in turns; start-up taken off)")


def _peak_memory() -> float:
    """Largest memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
