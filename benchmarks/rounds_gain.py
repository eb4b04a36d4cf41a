"""What do rounds of learning bring, beside as many random simulations? On three models, with the same networks.

    python benchmarks/rounds_gain.py FOLDER [--seeds 5] [--truth 40000]

Of each model and seed there are two campaigns: one in three rounds, and one whose simulations, as many, are all
random. Both ensembles then look at the same random parameter sets, which the model simulates once, so that it is known
which are of the target: recall is the share of these that the ensemble calls so, precision the share of what it calls
so that is. Intervals are of the mean over the seeds (Student's t). What is there is kept: call it again to go on.
"""

from __future__ import annotations

import argparse
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

# Before TensorFlow, after which it cannot be loaded.
with suppress(ImportError):
    import roadrunner  # noqa: F401
import numpy as np
from scipy import stats

from mechscreen.campaign import Campaign, read_mapping
from mechscreen.models.outputs import Status
from mechscreen.spaces import Sampler
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.merge import load_distance, merge
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.select import select
from mechscreen.stages.simulate import simulate
from mechscreen.stages.train import train

ROOT = Path(__file__).parents[1]
FIRST, EACH, ROUNDS, SHARD = 400, 300, 3, 100
TRUTH_SEED = 2026
_AT_ONCE = 500
NAMES = ("recall", "precision", "error")


def _stripe() -> dict[str, Any]:
    narrow = "time_of_peak(gene) > 150 and maximum(gene) > 0.5 and width(gene) < 120"
    return {
        "model": {"name": str(ROOT / "examples/stripe.py:Stripe")},
        "objective": {"name": "conditions", "options": {"classes": {"narrow": narrow}}, "target": ["narrow"]},
    }


def _switch() -> dict[str, Any]:
    values = dict(read_mapping(ROOT / "examples/switch.yaml"))
    options = {**values["model"]["options"], "file": str(ROOT / "examples/switch.ant")}
    options["outputs"] = {"rest": options["outputs"]["rest"]}
    wide = "primed.rest > 10 * wild.rest and mutant.rest > 1000 * wild.rest"
    return {
        "model": {**values["model"], "options": options},
        "objective": {"name": "conditions", "options": {"classes": {"wide": wide}}, "target": ["wide"]},
    }


def _repressilator() -> dict[str, Any]:
    period, amplitude = "period(A, after=50)", "amplitude(A, after=50)"
    model = {
        "name": "sbml",
        "options": {
            "file": str(ROOT / "examples/repressilator.ant"),
            "outputs": ["A"],
            "vary": {"alpha": [1, 500], "n": {"low": 1, "high": 5, "scale": "linear"}, "decay": [0.1, 5]},
            "end": 150,
            "points": 301,
            "relative_tolerance": 1e-6,
        },
        "emulate": [period, amplitude],
    }
    objective = {
        "name": "conditions",
        "options": {"classes": {"fast and large": f"{period} < 6 and {amplitude} > 60"}},
        "target": ["fast and large"],
    }
    return {"model": model, "objective": objective}


MODELS = {"stripe": _stripe, "switch": _switch, "repressilator": _repressilator}


def campaign(folder: Path, model: str, seed: int, way: str) -> Campaign:
    """Return the campaign of a model and seed, in rounds or at random."""
    about = MODELS[model]()
    total = FIRST + (ROUNDS - 1) * EACH
    ways: dict[str, dict[str, Any]] = {
        "rounds": {
            "simulations": {"count": FIRST, "shard_size": SHARD},
            "rounds": ROUNDS,
            "selection": {"count": EACH, "candidates": 200, "near": 0.5, "acquisition": "mix"},
        },
        "random": {"simulations": {"count": total, "shard_size": SHARD}},
    }
    return Campaign.from_dict(
        {
            "name": f"{model}-{seed}-{way}",
            "results": str(folder),
            "seed": seed,
            "model": about["model"],
            "emulators": {
                "members": 3,
                "combine": "mean",
                "architecture": {"network": "dense", "width": 64, "blocks": 2},
                "training": {"epochs": 100, "batch_size": 32},
            },
            "screen": {"count": 1_000_000, "objective": about["objective"]},
            **ways[way],
        }
    )


def truth(folder: Path, model: str, count: int) -> dict[str, np.ndarray]:
    """Return random parameter sets that the model simulates, and what it says of them; kept in the folder."""
    path = folder / f"{model}-truth-{count}.npz"
    if not path.exists():
        of = campaign(folder, model, 0, "random")
        physical = Sampler(of.space, "uniform", TRUTH_SEED, "truth").draw(0, count).physical
        parts = [of.model_instance.simulate(physical[k : k + _AT_ONCE]) for k in range(0, count, _AT_ONCE)]
        np.savez(
            path,
            physical=physical,
            profiles=np.concatenate([part.profiles for part in parts]).astype(np.float32),
            log_peaks=np.concatenate([part.log_peaks for part in parts]),
            ok=np.concatenate([part.status for part in parts]) == Status.OK,
        )
    with np.load(path) as file:
        return dict(file)


def measure(of: Campaign, known: dict[str, np.ndarray]) -> dict[str, float]:
    """Learn, and return what the last ensemble says of the sets whose truth is known."""
    of.record()
    for view in of.in_rounds:
        for shard in range(view.simulations.shards):
            if view.selection is not None:
                select(view, shard)
            simulate(view, shard)
        merge(view)
        for member in range(view.emulators.members):
            train(view, member)
        evaluate(view)
    learnt = of.learnt
    ok = known["ok"]
    profiles, log_peaks = known["profiles"][ok], known["log_peaks"][ok]
    said = load_campaign_ensemble(learnt).predict(of.space.normalise(known["physical"][ok]))
    target = list(of.targets)
    true = np.isin(of.objective(profiles, log_peaks), target)
    called = np.isin(of.objective(said.profiles, said.log_peaks), target)
    apart = load_distance(learnt)(said.profiles, said.log_peaks, profiles, log_peaks)
    return {
        "prevalence": float(true.mean()),
        "recall": float((true & called).sum() / true.sum()),
        "precision": float((true & called).sum() / max(1, called.sum())),
        "error": float(np.mean(apart)),
    }


def interval(values: list[float]) -> tuple[float, float, float]:
    """Return mean and 95 % interval of the mean."""
    mean, half = float(np.mean(values)), 0.0
    if len(values) > 1:
        half = float(stats.t.ppf(0.975, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - half, mean + half


def main() -> None:
    """Run all and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--truth", type=int, default=40_000)
    parser.add_argument("--models", nargs="+", default=list(MODELS), choices=MODELS)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for model in arguments.models:
        known = truth(arguments.folder, model, arguments.truth)
        found: dict[str, list[dict[str, float]]] = {"rounds": [], "random": []}
        for seed in range(1, arguments.seeds + 1):
            for way, of_way in found.items():
                path = arguments.folder / f"{model}-{seed}-{way}.json"
                if not path.exists():
                    path.write_text(json.dumps(measure(campaign(arguments.folder, model, seed, way), known)))
                of_way.append(json.loads(path.read_text()))
        print(f"{model}: {100 * found['random'][0]['prevalence']:.2f} % of the space", flush=True)
        for name in NAMES:
            told = [
                "{} {:.3f} ({:.3f} to {:.3f})".format(way, *interval([one[name] for one in of_way]))
                for way, of_way in found.items()
            ]
            print(f"  {name:<10} {'; '.join(told)}", flush=True)


if __name__ == "__main__":
    main()
