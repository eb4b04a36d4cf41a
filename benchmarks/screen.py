"""Speed of the screen: parameter sets a second by one rank and by two, memory, and where the time goes.

    python benchmarks/screen.py config/paper.yaml --count 2000000     # a campaign with trained networks

Screens one block for each number of ranks, in a campaign of its own with the networks of the given one. The rate is of
the block's samples, without the start of Python and the compilation of the networks, which stand beside it. The share
of the machine's peak counts the networks' products alone, and takes for the peak what large plain matrix products reach
on one core, in the networks' precision, times the ranks.
"""

from __future__ import annotations

import argparse
import cProfile
import os
import pstats
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

from mechscreen.campaign import Campaign
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.screen import BATCH
from mechscreen.stages.search import Search

RANK = """
import os, resource, runpy
try:
    runpy.run_module("mechscreen", run_name="__main__", alter_sys=True)
finally:
    # At once, lest the lines of two ranks mix.
    os.write(1, b"%d\\n" % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def _mpiexec() -> str:
    path = Path(sys.executable).with_name("mpiexec")
    return str(path) if path.exists() else "mpiexec"


def screen(config: Path, ranks: int) -> tuple[float, float, float]:
    """Screen block 0; return samples a second, seconds beside that, and the largest rank's memory in MB."""
    campaign = Campaign.load(config)
    campaign.paths.block(0).unlink(missing_ok=True)
    command = [_mpiexec(), "-n", str(ranks), sys.executable, "-c", RANK]
    command += ["screen", "--config", str(config), "--block", "0", "--ranks", str(ranks)]
    start = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
    wall = time.perf_counter() - start
    (told,) = re.findall(r"([\d,]+)/s, took", done.stderr)
    rate = float(told.replace(",", ""))
    memory = max(map(int, done.stdout.split())) / 1024
    return rate, wall - campaign.screen.count / rate, memory


def profile(config: Path) -> None:
    """Say what share of one rank's time each part takes."""
    campaign = Campaign.load(config)
    search, ensemble = Search(campaign), load_campaign_ensemble(campaign)
    counts, batches = search.no_counts(), 25
    search.look_at(ensemble, 0, BATCH, counts)
    with cProfile.Profile() as profiler:
        start = time.perf_counter()
        for k in range(batches):
            search.look_at(ensemble, k * BATCH, (k + 1) * BATCH, counts)
        wall = time.perf_counter() - start
    parts: dict[str, float] = {}
    names = {"sample": "sampling", "fill": "networks", "_combine": "vote", "__call__": "classes", "add": "counts"}
    for (file, _, function), (*_, cumulative, _) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        if "mechscreen" in file and function in names:
            parts[names[function]] = max(parts.get(names[function], 0.0), cumulative)
    told = ", ".join(f"{name} {seconds / wall:.0%}" for name, seconds in parts.items())
    print(f"one rank, {batches * BATCH / wall:,.0f} sets a second: {told}")


PEAK = """
import os, sys, time
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import tensorflow as tf

size = 2048
a = tf.cast(tf.random.normal((size, size)), sys.argv[1])
b = a @ a
b.numpy()
rates = []
for _ in range(20):
    start = time.perf_counter()
    (a @ b).numpy()
    rates.append(2 * size**3 / (time.perf_counter() - start))
print(max(rates))
"""


def peak_rate(precision: str) -> float:
    """Return the floating-point operations a second of large matrix products on one core."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1"}
    command = [sys.executable, "-c", PEAK, precision]
    return float(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--count", type=int, default=2_000_000, help="parameter sets for each number of ranks")
    arguments = parser.parse_args()
    campaign = Campaign.load(arguments.config)
    values = campaign.model_dump(mode="json")
    values |= {"name": "bench-screen", "base": campaign.base or campaign.name}
    values["screen"] |= {"count": arguments.count, "block_size": arguments.count}
    own = Campaign.from_dict(values)
    try:
        with tempfile.TemporaryDirectory() as folder:
            config = Path(folder) / "campaign.yaml"
            config.write_text(yaml.safe_dump(values))
            rates = []
            for ranks in (1, 2):
                rate, rest, memory = screen(config, ranks)
                rates.append(rate)
                print(
                    f"{ranks} rank{'s' if ranks > 1 else ''}: {rate:,.0f} sets a second, {rest:.1f} s beside that, "
                    f"{memory:.0f} MB a rank",
                    flush=True,
                )
            print(f"two ranks against one: {rates[1] / rates[0]:.2f}")
            emulators, outputs = campaign.emulators, campaign.model_instance.outputs
            shape = len(campaign.space), len(outputs), len(outputs[0].grid)
            each = 2 * emulators.members * emulators.architecture.multiplications(*shape)
            peak = peak_rate(emulators.precision)
            print(
                f"products by two ranks: {rates[1] * each / 1e9:,.0f} GFLOP/s; the peak of a core is "
                f"{peak / 1e9:,.0f}, so {rates[1] * each / (2 * peak):.0%} of two"
            )
            profile(config)
    finally:
        shutil.rmtree(own.paths.root, ignore_errors=True)


if __name__ == "__main__":
    main()
