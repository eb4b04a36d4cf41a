"""Whether the advice of `mechscreen plan` holds: for three models, both ways forecast and then measured.

The pattern model (slow), an SBML oscillator (the repressilator, of medium speed) and an own ODE that is solved for all
parameter sets at once (fast). Each campaign's jobs are run as the workflow runs them, one after the other, once by the
model itself and once by emulators that have to learn first; core-seconds are wall time times ranks, so the machine must
be idle and have two cores. Prints for each way forecast, measurement and their ratio, and whether the advice named the
faster way. Target: ratios within 1.5.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

from mechscreen.campaign import Campaign
from mechscreen.runs.advice import ALIKE, by_model, compare
from mechscreen.runs.forecast import forecast, without_studies
from mechscreen.runs.plan import measure

ROOT = Path(__file__).parents[1]
OWN = '''
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class FitzHughNagumo(Model):
    """v' = v - v³/3 - w + i, w' = (v + a - b w)/tau (FitzHugh 1961), by Runge and Kutta's method, all sets at once."""

    name, version, seconds, isolated = "fitzhugh-nagumo", "1", 1e-4, False
    space = ParameterSpace(
        [Parameter("i", 0.0, 1.5), Parameter("a", 0.4, 1.0), Parameter("b", 0.4, 1.0), Parameter("tau", 5.0, 20.0)]
    )
    outputs = (Output("v", np.linspace(0, 100, 101), scale="linear"),)

    def solve(self, parameters, seeds):
        i, a, b, tau = parameters.T

        def slope(v, w):
            return v - v**3 / 3 - w + i, (v + a - b * w) / tau

        v, w = np.full(len(i), -1.0), np.full(len(i), -0.5)
        series, h = [v], 0.1
        for step in range(1000):
            k1 = slope(v, w)
            k2 = slope(v + h / 2 * k1[0], w + h / 2 * k1[1])
            k3 = slope(v + h / 2 * k2[0], w + h / 2 * k2[1])
            k4 = slope(v + h * k3[0], w + h * k3[1])
            v, w = (x + h / 6 * (p + 2 * q + 2 * r + s) for x, p, q, r, s in zip((v, w), k1, k2, k3, k4))
            if step % 10 == 9:
                series.append(v)
        return Solution(np.stack(series, axis=1)[:, None, :])


def fires(outputs):
    return ((np.diff(np.sign(outputs["v"]), axis=1) > 0).sum(axis=1) >= 2).astype(int)
'''
_CORES = 2
EMULATORS = {"members": 3, "architecture": {"network": "dense", "width": 128, "blocks": 2}, "training": {"epochs": 60}}


def campaigns(folder: Path, share: float) -> dict[str, dict[str, Any]]:
    """Return the three configurations, with screens of so large a share of their whole size."""
    shutil.copy(ROOT / "examples" / "repressilator.ant", folder)
    (folder / "own.py").write_text(OWN)

    def sized(sets: int) -> dict[str, int]:
        return {"count": max(1000, int(share * sets)), "block_size": max(1000, int(share * sets))}

    common = {"seed": 1, "results": str(folder / "results"), "emulators": EMULATORS, "validation": {"limit": 100}}
    return {
        "pattern": common
        | {"model": {"name": "pattern"}, "simulations": {"count": 3000, "shard_size": 3000}, "screen": sized(20_000)},
        "repressilator": common
        | {
            "model": {
                "name": "sbml",
                "options": {
                    "file": str(folder / "repressilator.ant"),
                    "outputs": ["A", "B", "C"],
                    "vary": {"alpha": [1, 1000], "n": [1, 4], "decay": [0.1, 10]},
                    "end": 100,
                    "points": 101,
                },
            },
            "simulations": {"count": 3000, "shard_size": 3000},
            "screen": sized(200_000)
            | {
                "objective": {
                    "name": "conditions",
                    "options": {"classes": {"oscillates": "peaks(A, prominence=0.2, after=50) >= 3"}},
                    "target": ["oscillates"],
                }
            },
        },
        "own": common
        | {
            "model": {"name": f"{folder / 'own.py'}:FitzHughNagumo"},
            "simulations": {"count": 3000, "shard_size": 3000},
            "screen": sized(1_000_000)
            | {
                "objective": {
                    "name": f"{folder / 'own.py'}:fires",
                    "options": {"classes": ["rests", "fires"]},
                    "target": ["fires"],
                },
                "hits_per_block": 1000,
            },
        },
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=["pattern", "repressilator", "own"])
    parser.add_argument("--share", type=float, default=1.0, help="of the whole size of the screens")
    arguments = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as name:
        known = campaigns(Path(name), arguments.share)
        for model in arguments.models:
            campaign = Campaign.from_dict({"name": model, **known[model]})
            advice = compare(campaign, measure(campaign)[0])
            measured = {way: run(one) for way, one in (("model", by_model(campaign)), ("emulators", campaign))}
            told = {"model": advice.direct, "emulators": advice.emulated}
            model_first = measured["model"] < measured["emulators"]
            right = advice.factor < ALIKE or advice.emulators_pay != model_first
            for way, seconds in measured.items():
                rows.append((model, way, f"{told[way]:.0f}", f"{seconds:.0f}", f"{told[way] / seconds:.2f}", right))
            print(tabulate(rows, ("model", "by", "forecast [s]", "measured [s]", "ratio", "advice right")), flush=True)


def run(campaign: Campaign) -> float:
    """Run the jobs of a campaign up to its validated hits; return their core-seconds."""
    shutil.rmtree(campaign.paths.root, ignore_errors=True)
    campaign.record()
    total = 0.0
    for step in without_studies(forecast(campaign)):
        if step.rule.verb == "report":
            continue
        for place in range(step.jobs):
            # More ranks than cores would wait for one another.
            ranks = min(step.tasks, _CORES)
            total += ranks * _timed(_command(step.rule.name, place, ranks, campaign))
    return total


def _command(rule: str, place: int, ranks: int, campaign: Campaign) -> list[str]:
    program = [str(Path(sys.executable).with_name("mechscreen"))]
    launched = [str(Path(sys.executable).with_name("mpiexec")), "-n", str(ranks), *program]
    config, with_ranks = ["--config", str(campaign.paths.campaign)], ["--ranks", str(ranks)]
    one_thread = ["--threads", "1"]
    return {
        "simulate_shard": [*launched, "simulate", *config, "--shard", str(place), *with_ranks],
        "merge_shards": [*program, "merge", *config],
        "train_member": [*program, "train", *config, "--member", str(place), *one_thread],
        "evaluate_ensemble": [*program, "evaluate", *config, *one_thread],
        "screen_block": [*launched, "screen", *config, "--block", str(place), *with_ranks],
        "gather_screen": [*program, "screen", *config, "--gather"],
        "validate_hits": [*launched, "validate", *config, *with_ranks],
    }[rule]


def _timed(command: Sequence[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
