"""What it costs to run a model in a process of its own: start, memory and each call."""

from __future__ import annotations

import argparse
import time
from functools import partial
from pathlib import Path

import numpy as np

from mechscreen.isolation import Isolated
from mechscreen.models import get_model
from mechscreen.sampling import sample_unit


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="pattern", help="as model.name of a campaign")
    parser.add_argument("--blocks", type=int, default=20, help="calls of each kind, alternating")
    parser.add_argument("--size", type=int, default=64, help="samples in a call")
    arguments = parser.parse_args()
    model = get_model(arguments.model)
    n = arguments.blocks * arguments.size
    parameters = model.space.physical(sample_unit("uniform", 2019, 0, n, len(model.space), "benchmark"))
    blocks = parameters.reshape(arguments.blocks, arguments.size, -1)
    # A row the model refuses at once: what is left is the way there and back.
    refused = np.full_like(blocks[0], -1.0)

    with Isolated("the model", partial(get_model, arguments.model)) as isolated:
        call = partial(isolated.call, "simulate", seconds=3600.0)
        model.simulate(blocks[0][:1])
        start = time.perf_counter()
        call(refused[:0])
        print(f"start of the process, its imports included: {time.perf_counter() - start:.2f} s")
        start = time.perf_counter()
        call(blocks[0][:1])
        print(f"its first simulation, compilation or cache included: {time.perf_counter() - start:.2f} s")
        print(f"memory: {_resident(isolated._child._process.pid):.0f} MB more for each rank")
        here, there, way = [], [], []
        for block in blocks:
            for seconds, simulate, rows in ((here, model.simulate, block), (there, call, block), (way, call, refused)):
                start = time.perf_counter()
                simulate(rows)
                seconds.append(time.perf_counter() - start)
    print(f"{arguments.blocks} calls of {arguments.size} samples, medians:")
    print(f"    here {1e3 * np.median(here):.1f} ms, there {1e3 * np.median(there):.1f} ms")
    ratio = np.array(there) / np.array(here)
    print(f"    ratio {np.median(ratio):.4f} ({np.quantile(ratio, 0.25):.4f} to {np.quantile(ratio, 0.75):.4f})")
    print(f"    a call whose samples are all refused: {1e3 * np.median(way):.2f} ms")


def _resident(pid: int) -> float:
    """Return the resident memory of a process that it shares with no other, MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("Private")) / 1024


if __name__ == "__main__":
    main()
