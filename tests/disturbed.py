"""A campaign that tests disturb: as slow as it is told to be, with a journal of the samples that were simulated."""

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from campaigns import BIN, ROOT, arrays, heed_ctrl_c, snakemake_command
from mechscreen.runs import driver

MODEL = """
import os
import time
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace
from mechscreen.models.base import Solution

class Slow(Model):
    name = "slow"
    version = "1"
    seconds = 0.02
    space = ParameterSpace([Parameter("a", 0, 1), Parameter("b", 0, 1)])
    outputs = (Output("y", np.linspace(0, 1, 16)),)

    def solve(self, parameters, seeds):
        profiles = np.empty((len(parameters), 1, 16))
        for i, (row, seed) in enumerate(zip(parameters, seeds)):
            filled = np.ones(int(os.environ.get("MEGABYTES", 0)) * 2**17)
            time.sleep(float(os.environ["PAUSE"]))
            del filled
            with open(os.environ["JOURNAL"], "a") as journal:
                journal.write(f"{seed}\\n")
            profiles[i, 0] = row[0] + row[1] * self.outputs[0].grid + 0.01 * (seed % 7)
        return Solution(profiles)
"""
SAMPLES = 200


class Disturbed:
    """Snakemake, on the simulations of the slow model, in a folder of its own."""

    def __init__(self, folder, profile=ROOT / "cluster_profiles/local", *arguments):
        folder.mkdir(exist_ok=True)
        (folder / "slow.py").write_text(MODEL)
        self.folder = folder
        self.journal = folder / "journal"
        campaign = {
            "name": "slow",
            "results": str(folder / "results"),
            "seed": 3,
            "model": {"name": f"{folder / 'slow.py'}:Slow"},
            "simulations": {"count": SAMPLES, "shard_size": SAMPLES // 2},
            "screen": {"count": 1000, "block_size": 1000},
        }
        self.results = Path(campaign["results"]) / "slow"
        self.command = snakemake_command(folder, campaign, profile, "simulations", *arguments)

    def start(self, pause=0.1, **variables):
        heed_ctrl_c()
        environment = {**os.environ, "JOURNAL": str(self.journal), "PAUSE": str(pause), **variables}
        return subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
            process_group=0,
        )

    def finish(self):
        process = self.start(pause=0)
        said, _ = process.communicate(timeout=300)
        assert process.returncode == 0, said
        return said

    def recover(self):
        done = subprocess.run([BIN / "mechscreen", "recover", self.results], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def wait_for_samples(self, n):
        end = time.monotonic() + 120
        while not self.journal.exists() or len(self.journal.read_text().splitlines()) < n:
            assert time.monotonic() < end
            time.sleep(0.05)

    def wait_for_words(self, words):
        """Wait until Snakemake's own log has them."""
        end = time.monotonic() + 120
        while not any(words in log.read_text() for log in self.folder.glob(".snakemake/log/*.snakemake.log")):
            assert time.monotonic() < end
            time.sleep(0.2)

    def log_written(self):
        """Return when Snakemake wrote its last word."""
        return max(log.stat().st_mtime for log in self.folder.glob(".snakemake/log/*.snakemake.log"))

    def processes(self, *words):
        """Return the processes of this run whose command line has all of the words."""
        found = []
        for process in driver.processes(driver.latest(self.results)):
            with suppress(psutil.Error):
                line = process.cmdline()
                found += [process] if all(any(word in part for part in line) for word in words) else []
        return found

    def shards(self):
        """Return every array of every shard, as bytes."""
        return arrays(self.results, "simulations/*")
