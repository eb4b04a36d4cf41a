"""What it costs to simulate through mechscreen, beside the engine or the program alone, in one run.

    python benchmarks/overhead.py --sets 20000 --runs 2000

Part 1, models from files: the repressilator of Elowitz & Leibler (2000) as a campaign, by `mechscreen simulate` on one
rank and on two, and the same parameter sets by libroadrunner in a plain loop. Part 2, programs: the epidemic in C of
examples/programs, by the model `command` as a campaign, and by `subprocess.run` in a plain loop. The start of
processes, with compilation of the model, is left out of both: two sizes are timed, and their difference is told.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import numpy as np
import yaml

from mechscreen.campaign import Campaign
from mechscreen.models import Outputs
from mechscreen.stages.simulate import read_shard

ROOT = Path(__file__).parents[1]
ELOWITZ = ROOT.parent / "shared/data/petab/Elowitz_Nature2000/model_Elowitz_Nature2000.xml"
REPRESSILATOR = {
    "file": str(ELOWITZ),
    "vary": ["tps_repr", "tps_active", "KM", "n_Hill", "tau_mRNA", "tau_prot", "eff"],
    "outputs": ["X_protein", "Y_protein", "Z_protein"],
    "end": 300,
    "points": 101,
}
EPIDEMIC = yaml.safe_load((ROOT / "examples/programs/epidemic.yaml").read_text())["model"]["options"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=20_000, help="parameter sets of the repressilator")
    parser.add_argument("--runs", type=int, default=2_000, help="runs of the program")
    parser.add_argument("--repeats", type=int, default=5, help="of everything, in turns; medians are told")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print("models from files: libroadrunner")
        _measure(Path(folder) / "sbml", "sbml", REPRESSILATOR, arguments.sets, arguments.repeats, (1, 2), _by_engine)
        print("programs: ./epidemic")
        place = Path(folder) / "command"
        place.mkdir()
        subprocess.run(["cc", "-O2", "-o", place / "epidemic", ROOT / "examples/programs/epidemic.c"], check=True)
        _measure(place, "command", EPIDEMIC, arguments.runs, arguments.repeats, (1,), _by_subprocess)


def _measure(
    place: Path,
    model: str,
    options: dict[str, object],
    count: int,
    repeats: int,
    ranks: tuple[int, ...],
    alone: Callable[[Path, np.ndarray], tuple[float, np.ndarray]],
) -> None:
    """Time a model's campaign and what it stands on, in turns, and print both."""
    place.mkdir(exist_ok=True)
    few = max(count // 10, 1)
    campaigns = {n: _campaign(place, model, options, n) for n in (few, count)}
    with_us: dict[int, list[float]] = {number: [] for number in ranks}
    without: list[float] = []
    for _ in range(repeats):
        for number, found in with_us.items():
            seconds = {n: _simulate(place, name, number) for n, name in campaigns.items()}
            found.append((seconds[count] - seconds[few]) / (count - few))
        with chdir(place):
            campaign = Campaign.load(place / campaigns[count])
            shard = read_shard(campaign, 0)
            seconds_alone, values = alone(place, shard.parameters[few:])
        ok = shard.status[few:] == 0
        ours_alike = Outputs(campaign.outputs).in_units(shard.profiles, shard.log_peaks, 0)[few:]
        assert np.allclose(ours_alike[ok], values[ok], rtol=1e-3, atol=1e-3 * np.abs(values[ok]).max()), "other results"
        failed = int((shard.status != 0).sum())
        without.append(seconds_alone / (count - few))
    base = float(np.median(without))
    print(
        f"    alone, in a plain loop: {1e3 * base:.3f} ms a sample ({_range(without)}); {count} sets, {failed} failed"
    )
    for number, found in with_us.items():
        ours = float(np.median(found))
        # Beside the loop of the same turn: a machine's speed drifts. Of two ranks, one hands out work and takes part.
        over = number * np.array(found) - np.array(without)
        shares = over / np.array(without)
        print(
            f"    mechscreen, {number} rank{'s' * (number > 1)}: {1e3 * ours:.3f} ms a sample ({_range(found)}); of a "
            f"rank's time {1e3 * np.median(over):+.3f} ms over the loop of the same turn, {np.median(shares):+.1%} "
            f"({shares.min():+.1%} to {shares.max():+.1%})"
        )


def _campaign(place: Path, model: str, options: dict[str, object], count: int) -> str:
    """Write a campaign of so many simulations in one shard, and return its file's name."""
    first = next(iter(options["outputs"]))
    values = {
        "name": f"{model}-{count}",
        "seed": 1,
        "model": {"name": model, "options": options},
        "simulations": {"count": count, "shard_size": count},
        "screen": {
            "count": 1000,
            "block_size": 1000,
            "objective": {
                "name": "conditions",
                "options": {"classes": {"high": f"maximum({first}) > 0"}},
                "target": ["high"],
            },
        },
    }
    (place / f"{count}.yaml").write_text(yaml.safe_dump(values, sort_keys=False))
    return f"{count}.yaml"


def _simulate(place: Path, campaign: str, ranks: int) -> float:
    """Return how long `mechscreen simulate` takes, start included."""
    with chdir(place):
        shard = Campaign.load(place / campaign).paths.shard(0)
        shard.unlink(missing_ok=True)
        mpiexec = [Path(sys.executable).with_name("mpiexec"), "-n", str(ranks)] if ranks > 1 else []
        job = [sys.executable, "-m", "mechscreen", "simulate", "--config", campaign, "--shard", "0"]
        start = time.perf_counter()
        subprocess.run([*mpiexec, *job, "--ranks", str(ranks)], check=True, capture_output=True)
        return time.perf_counter() - start


def _by_engine(place: Path, sets: np.ndarray) -> tuple[float, np.ndarray]:
    """Return how long libroadrunner takes for sets in a plain loop, and the first output of each."""
    import roadrunner

    roadrunner.Logger.setLevel(roadrunner.Logger.LOG_FATAL)
    runner = roadrunner.RoadRunner(str(ELOWITZ))
    for setting, value in (("relative_tolerance", 1e-8), ("absolute_tolerance", 1e-12), ("maximum_num_steps", 100_000)):
        runner.integrator.setValue(setting, value)
    selections = [f"[{name}]" for name in REPRESSILATOR["outputs"]]
    found = np.full((len(sets), REPRESSILATOR["points"]), np.nan)
    start = time.perf_counter()
    for row, values in enumerate(sets):
        runner.reset()
        for name, value in zip(REPRESSILATOR["vary"], values, strict=True):
            runner.setValue(name, value)
        try:
            series = runner.simulate(0, REPRESSILATOR["end"], REPRESSILATOR["points"], selections)
        except RuntimeError:
            continue
        found[row] = series[:, 0]
    return time.perf_counter() - start, found


def _by_subprocess(place: Path, sets: np.ndarray) -> tuple[float, np.ndarray]:
    """Return how long a plain loop of `subprocess.run` takes for sets, what is printed parsed, and its output."""
    found = np.empty((len(sets), 201))
    start = time.perf_counter()
    for row, values in enumerate(sets):
        printed = subprocess.run(["./epidemic", *map(repr, values.tolist())], check=True, capture_output=True).stdout
        found[row] = np.loadtxt(printed.decode().splitlines(), delimiter=",", skiprows=1, usecols=1)
    return time.perf_counter() - start, found


def _range(seconds: list[float]) -> str:
    return f"{1e3 * min(seconds):.3f} to {1e3 * max(seconds):.3f}"


if __name__ == "__main__":
    main()
