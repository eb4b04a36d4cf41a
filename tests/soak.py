"""Soak: random faults in a running campaign, and whether its results stay the same (docs/measured/reliability.md).

    make soak                     100 faults, seed 1
    python tests/soak.py --faults 30 --seed 5

The campaign of examples/stripe.py runs by Snakemake, on a file system of its own (a small tmpfs, as root) so that the
disk can fill up. Faults come at random times. When a run ends, the soak does what the messages tell a user to do:
`mechscreen recover`, remove the file that is named, run again. In the end the arrays of all shards, blocks and hits are
compared with those of a run that was left in peace.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from campaigns import BIN, ROOT, STRIPE, arrays, heed_ctrl_c, snakemake_command
from mechscreen.errors import REMAKE
from mechscreen.runs import driver

CAMPAIGN = {
    **STRIPE,
    "name": "soak",
    "seed": 11,
    "simulations": {"count": 400, "shard_size": 100},
    "screen": {**STRIPE["screen"], "count": 8000},
}
COMPARED = ("simulations/shard-*.h5", "screen/block-*.h5", "screen/hits.h5", "screen/summary.h5", "validation/hits.h5")
SPOILED = (*COMPARED, "dataset/manifest.json", "emulators/*/*/model.keras", "emulators/*/*/member.json")
DISK = 200_000_000
"""Bytes of the small file system; the campaign needs a tenth of it."""
GAP = (0.5, 6.0)
"""Seconds between faults."""
PATIENCE = 1800
"""Seconds after which a run in peace has been abandoned by its jobs."""
MOST_RUNS = 12
"""Runs in peace, at the end, that the campaign may take to be whole again."""


Fault = Callable[["Soak", "subprocess.Popen[bytes]"], bool]


class Soak:
    """A campaign under fault.

    Faults are functions of a soak and its process, which return whether they could be done.
    """

    profile = ROOT / "cluster_profiles/local"
    gap = GAP

    @property
    def faults(self) -> list[Fault]:
        """Those that there are."""
        return FAULTS

    def __init__(self, folder: Path, seed: int, log: Path) -> None:
        self.folder = folder
        self.results = folder / "results/soak"
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.runs = self.recovered = self.removed = 0
        self.log = log
        self.command = snakemake_command(folder, CAMPAIGN, self.profile)

    def start(self) -> subprocess.Popen[bytes]:
        """Start Snakemake."""
        self.runs += 1
        heed_ctrl_c()
        with self.log.open("ab") as log:
            return subprocess.Popen(self.command, stdout=log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)

    def obey(self) -> None:
        """Do what the messages say after a run that failed."""
        said = subprocess.run(
            [str(BIN / "mechscreen"), "recover", str(self.results)], capture_output=True, text=True, cwd=self.folder
        )
        with self.log.open("a") as log:
            log.write(said.stdout + said.stderr)
        self.recovered += said.returncode == 0
        for log in self.results.glob("logs/*/*.log"):
            for path in re.findall(
                rf"^mechscreen: (.+?): .*{re.escape(REMAKE)}", log.read_text(errors="replace"), re.M
            ):
                with suppress(OSError):
                    (self.folder / path).unlink()
                    self.removed += 1
            for path in re.findall(
                r"^mechscreen: (.+?): is a folder where a file should be", log.read_text(errors="replace"), re.M
            ):
                with suppress(OSError):
                    (self.folder / path).rmdir()
                    self.removed += 1

    def run_in_peace(self) -> None:
        """Run until the campaign is whole."""
        for _ in range(MOST_RUNS):
            process = self.start()
            if process.wait(PATIENCE) == 0:
                return
            self.obey()
        raise SystemExit(f"the campaign is not whole after {MOST_RUNS} runs in peace; see {self.log}")

    def disturb(self, faults: int, seconds: float) -> None:
        """Run, with a fault every few seconds, until there were as many as asked for or the time is up."""
        end = time.monotonic() + seconds
        process = self.start()
        while sum(self.counts.values()) < faults and time.monotonic() < end:
            time.sleep(self.random.uniform(*self.gap))
            fault = self.random.choice(self.faults)
            if process.poll() is not None and fault not in BETWEEN_RUNS:
                # Whole, or failed.
                self.obey()
                process = self.start()
                continue
            if fault(self, process):
                self.counts[fault.__name__] += 1
                print(f"{sum(self.counts.values()):4} {fault.__name__}", flush=True)
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE)
        self.obey()

    def processes(self, word: str) -> list[psutil.Process]:
        """Return the jobs' processes whose command line has a word."""
        run = driver.latest(self.results)
        found = []
        for process in driver.processes(run) if run is not None else []:
            with suppress(psutil.Error):
                found += [process] if word in " ".join(process.cmdline()) else []
        return found

    def send(self, word: str, number: signal.Signals) -> bool:
        """Send a signal to one of the jobs' processes."""
        found = self.processes(word)
        if found:
            with suppress(psutil.Error):
                self.random.choice(found).send_signal(number)
                return True
        return False

    def a_file(self) -> Path | None:
        """Return one of the campaign's files."""
        files = sorted(path for pattern in SPOILED for path in self.results.glob(pattern) if path.is_file())
        return self.random.choice(files) if files else None


def kill_rank(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    return soak.send("bin/mechscreen", signal.SIGKILL)


def kill_launcher(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    return soak.send("mpiexec", signal.SIGKILL)


def notice_to_a_job(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    return soak.send("bin/mechscreen", signal.SIGTERM)


def halt_a_rank(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    found = soak.processes("bin/mechscreen")
    if not found:
        return False
    victim = soak.random.choice(found)
    with suppress(psutil.Error):
        victim.suspend()
        time.sleep(soak.random.uniform(1, 4))
        victim.resume()
    return True


def kill_driver(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    process.kill()
    process.wait()
    return True


def interrupt_driver(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    process.send_signal(signal.SIGINT)
    return True


def lose_power(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    process.kill()
    for job in soak.processes(""):
        with suppress(psutil.Error):
            job.kill()
    process.wait()
    return True


def flip_a_bit(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    path = soak.a_file()
    if path is None:
        return False
    with suppress(OSError):
        content = bytearray(path.read_bytes())
        if content:
            content[soak.random.randrange(len(content))] ^= 1 << soak.random.randrange(8)
            path.write_bytes(content)
            return True
    return False


def truncate(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    path = soak.a_file()
    if path is None:
        return False
    with suppress(OSError):
        os.truncate(path, soak.random.randrange(max(1, path.stat().st_size)))
        return True
    return False


def delete(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    path = soak.a_file()
    if path is None:
        return False
    path.unlink(missing_ok=True)
    return True


def exchange(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    one, other = soak.a_file(), soak.a_file()
    if one is None or other is None or one == other:
        return False
    with suppress(OSError):
        one.write_bytes(other.read_bytes())
        return True
    return False


def put_a_folder(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    path = soak.a_file()
    if path is None:
        return False
    with suppress(OSError):
        path.unlink()
        path.mkdir()
        return True
    return False


def date_wrongly(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    path = soak.a_file()
    if path is None:
        return False
    with suppress(OSError):
        at = time.time() + soak.random.choice([-86400, -3600, 30])
        os.utime(path, (at, at))
        return True
    return False


def fill_the_disk(soak: Soak, process: subprocess.Popen[bytes]) -> bool:
    if not soak.folder.is_mount():
        return False
    filler = soak.folder / "filler"
    with suppress(OSError), filler.open("wb") as stream:
        while True:
            stream.write(bytes(1_000_000))
            stream.flush()
    time.sleep(soak.random.uniform(1, 4))
    filler.unlink()
    return True


DURING_RUNS = [
    *(kill_rank, kill_rank, kill_launcher, notice_to_a_job, halt_a_rank, kill_driver, interrupt_driver, lose_power),
    fill_the_disk,
]
BETWEEN_RUNS = [flip_a_bit, truncate, delete, exchange, put_a_folder, date_wrongly]
FAULTS = DURING_RUNS + BETWEEN_RUNS


@contextmanager
def small_disk(folder: Path):
    """Mount a small file system on a folder, where one may."""
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "soak", str(folder)], capture_output=True)
    try:
        yield
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def arguments(about: str, faults: int) -> argparse.ArgumentParser:
    """Return what reads how a soak is called."""
    parser = argparse.ArgumentParser(description=about.splitlines()[0])
    parser.add_argument("--faults", type=int, default=faults)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=120, help="no more faults after so long")
    return parser


def soak(kind: type[Soak], options: argparse.Namespace) -> None:
    """Disturb a campaign, let it end in peace, and compare it with one on this machine that was left in peace."""
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        base = Path(scratch)
        log = Path(tempfile.gettempdir()) / f"{kind.__name__.lower()}-{options.seed}.log"
        log.write_text("")
        peaceful, disturbed = base / "peaceful", base / "disturbed"
        peaceful.mkdir()
        disturbed.mkdir()
        reference = Soak(peaceful, 0, log)
        reference.run_in_peace()
        with small_disk(disturbed):
            campaign = kind(disturbed, options.seed, log)
            start = time.monotonic()
            campaign.disturb(options.faults, 60 * options.minutes)
            campaign.run_in_peace()
            minutes = (time.monotonic() - start) / 60
            expected, found = (arrays(run.results, *COMPARED) for run in (reference, campaign))
            different = sorted(name for name in expected.keys() | found.keys() if expected.get(name) != found.get(name))
            partial = [path.name for path in campaign.results.rglob("*.partial")]
    counts = campaign.counts
    print(
        f"\nseed {options.seed}: {sum(counts.values())} faults in {minutes:.0f} min, {campaign.runs} runs of Snakemake"
    )
    for name, n in sorted(counts.items()):
        print(f"  {n:4} {name}")
    print(f"recovered {campaign.recovered} times; {campaign.removed} files removed because a message said so")
    print(f"{len(expected)} arrays compared, {len(different)} differ; {len(partial)} partial files left")
    if different or partial:
        raise SystemExit(f"differ: {different[:10]}; left: {partial}; see {log}")


if __name__ == "__main__":
    soak(Soak, arguments(__doc__, faults=100).parse_args())
