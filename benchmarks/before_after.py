"""Speed of the stages before and after a change, in alternating pairs of processes on one machine.

    python benchmarks/before_after.py 673738b              # a commit, against this checkout
    python benchmarks/before_after.py main --pairs 15 --stages simulate screen

Each stage of a small campaign of the pattern model is run as a command line, by one process: a shard of simulations,
the merge, the training of a member, a block of the screen. What is compared is processor time (user and system), start
and imports included; wall time stands beside it. Both versions run in this environment, each on files that it made.
The ratio's interval is the exact 95 % interval of a median (order statistics; Conover 1999, Practical Nonparametric
Statistics, sec. 3.2). At the end it says which arrays of the two campaigns' files differ (`same_results.py`).
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import yaml
from scipy.stats import binom

from same_results import compare

ROOT = Path(__file__).parents[1]

CAMPAIGN = {
    "name": "speed",
    "seed": 2019,
    "model": {"name": "pattern", "options": {"binding": "exact"}},
    "simulations": {"count": 1600, "shard_size": 400},
    "emulators": {"members": 3, "training": {"epochs": 25}},
    "screen": {"count": 200_000, "block_size": 200_000},
}
MEMBERS, SHARDS = 3, 4

STAGES = {
    "simulate": (["simulate", "--shard", "0"], ["simulations/shard-00000.h5"]),
    "merge": (["merge"], ["dataset"]),
    "train": (["train", "--member", "0", "--threads", "1"], ["emulators/dense/member-0"]),
    "screen": (["screen", "--block", "0"], ["screen/block-00000.h5"]),
}
"""Of each stage: the command line, and what is removed before it, so that there is something to do."""


@dataclass(frozen=True)
class Version:
    """A version of the software, and a folder in which its campaign is."""

    name: str
    source: Path
    folder: Path

    def run(self, arguments: Iterable[str]) -> tuple[float, float]:
        """Run a verb on the campaign; return its processor and wall seconds."""
        environment = {**os.environ, "PYTHONPATH": str(self.source / "src"), "OMP_NUM_THREADS": "1"}
        verb, *rest = arguments
        command = [sys.executable, "-m", "mechscreen", verb, "--config", "campaign.yaml", *rest]
        start, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        done = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True)
        used, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - start
        if done.returncode != 0:
            sys.exit(f"{self.name}: {' '.join(command)} failed:\n{done.stderr}")
        return used.ru_utime - before.ru_utime + used.ru_stime - before.ru_stime, wall

    def prepare(self) -> None:
        """Write the campaign and run what every stage needs, which compiles and fills caches too."""
        (self.folder / "campaign.yaml").write_text(yaml.safe_dump(CAMPAIGN))
        for shard in range(SHARDS):
            self.run(["simulate", "--shard", str(shard)])
        self.run(["merge"])
        for member in range(MEMBERS):
            self.run(["train", "--member", str(member), "--threads", "1"])
        self.run(["screen", "--block", "0"])

    def measure(self, stage: str) -> tuple[float, float]:
        """Run a stage anew; return its processor and wall seconds."""
        arguments, made = STAGES[stage]
        for name in made:
            path = self.folder / "results" / CAMPAIGN["name"] / name
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        return self.run(arguments)


def median_interval(values: np.ndarray) -> tuple[float, float]:
    """Return the narrowest pair of order statistics that holds the median with at least 95 % confidence."""
    n = len(values)
    below = int(binom.ppf(0.025, n, 0.5))
    ordered = np.sort(values)
    return float(ordered[max(0, below - 1)]), float(ordered[min(n - 1, n - below)])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", help="what stood before")
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--stages", nargs="+", choices=list(STAGES), default=list(STAGES))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "source"
        subprocess.run(
            ["git", "worktree", "add", "--detach", "--quiet", source, arguments.commit], cwd=ROOT, check=True
        )
        try:
            versions = []
            for title, where in (("before", source), ("after", ROOT)):
                (folder / title).mkdir()
                versions.append(Version(title, where, folder / title))
                versions[-1].prepare()
            print(f"{'stage':9} {'before':>9} {'after':>9}  after/before (processor), 95 % interval   wall")
            for stage in arguments.stages:
                times = np.array([[version.measure(stage) for version in versions] for _ in range(arguments.pairs)])
                processor, wall = (times[:, 1, k] / times[:, 0, k] for k in (0, 1))
                low, high = median_interval(processor)
                before, after = np.median(times[:, :, 0], axis=0)
                print(
                    f"{stage:9} {before:7.2f} s {after:7.2f} s  {np.median(processor):.3f} ({low:.3f} to {high:.3f})"
                    f"{'':16} {np.median(wall):.3f}",
                    flush=True,
                )
            print("\n".join(compare(*(version.folder / "results" / CAMPAIGN["name"] for version in versions))))
        finally:
            subprocess.run(["git", "worktree", "remove", "--force", source], cwd=ROOT, check=True)


if __name__ == "__main__":
    main()
