"""Does a survey say how many sets are of the target, and what a screen misses? Beside all of its sets, simulated.

    python benchmarks/prevalence.py FOLDER [--seeds 20] [--screened 1000000]

examples/stripe.yaml with other numbers: of each seed its own simulations, networks, calibration, screen and survey.
Then the model, which is fast, simulates all of the screened sets, so that the truth is known. Prints how often the 95 %
intervals hold it, and how wide they are beside that of as many random simulations as calibration and survey took. Seeds
that are there are kept: call it again to go on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import binomtest

from mechscreen.campaign import Campaign, read_mapping
from mechscreen.models.outputs import Status
from mechscreen.schemas.screen import ScreenSummary
from mechscreen.schemas.validation import Known, ValidationSummary
from mechscreen.stages.calibrate import calibrate
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.merge import merge
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.stages.search import Search
from mechscreen.stages.simulate import simulate
from mechscreen.stages.train import train
from mechscreen.stages.validate import validate

EXAMPLE = Path(__file__).parent.parent / "examples/stripe.yaml"
SIMULATED, CALIBRATED, SURVEYED = 1000, 1000, 1000
_AT_ONCE = 50_000
NAMES = ("prevalence", "precision", "recall")


def run(folder: Path, seed: int, screened: int) -> dict[str, Any]:
    """Run the campaign of a seed, and return what its survey says and what is true."""
    values = dict(read_mapping(EXAMPLE))
    campaign = Campaign.from_dict(
        {
            **values,
            "name": f"seed-{seed}",
            "results": str(folder),
            "seed": seed,
            "simulations": {"count": SIMULATED, "shard_size": SIMULATED},
            "emulators": {**values["emulators"], "members": 4},
            "calibration": {"count": CALIBRATED, "candidates": 100_000},
            "screen": {**values["screen"], "count": screened, "block_size": screened},
            "validation": {"limit": 50, "survey": SURVEYED},
        }
    )
    campaign.record()
    simulate(campaign, 0)
    merge(campaign)
    for member in range(campaign.emulators.members):
        train(campaign, member)
    evaluate(campaign)
    calibrate(campaign)
    screen_block(campaign, 0)
    gather_screen(campaign)
    validate(campaign)
    said = ValidationSummary.read(campaign.paths.validation_summary).population
    summary = ScreenSummary.read(campaign.paths.screen_summary)
    assert said is not None
    assert summary.totals.least_probability is not None
    true, kept = _truth(campaign, summary.totals.least_probability)
    shares = true.mean(), true[kept].mean(), (true & kept).sum() / true.sum()
    found: dict[str, Any] = {"screened": screened}
    for name, share in zip(NAMES, shares, strict=True):
        known: Known = getattr(said, name)
        found[name] = {
            "true": float(share),
            "value": known.value,
            "if_calibrated": known.if_calibrated,
            "trusting_nothing": known.trusting_nothing,
        }
    return found


def _truth(campaign: Campaign, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return which of the screened sets are of the target by the model, and which are hits."""
    from mechscreen.stages.calibrate import _evidence
    from mechscreen.stages.predict import load_campaign_ensemble

    search, ensemble = Search(campaign), load_campaign_ensemble(campaign)
    assert search.calibration is not None
    true, kept = (np.zeros(campaign.screen.count, bool) for _ in range(2))
    for start in range(0, campaign.screen.count, _AT_ONCE):
        part = slice(start, min(start + _AT_ONCE, campaign.screen.count))
        parameters = search.sample(part.start, part.stop)[1]
        result = campaign.model_instance.simulate(parameters)
        ok = result.status == Status.OK
        labels = np.full(len(ok), -1)
        labels[ok] = campaign.objective(result.profiles[ok], result.log_peaks[ok])
        true[part] = np.isin(labels, campaign.targets)
        found = _evidence(campaign, ensemble, parameters)
        kept[part] = search.calibration.of(campaign.targets, found)[0] >= least
    return true, kept


def main() -> None:
    """Run all seeds and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--screened", type=int, default=10**6)
    arguments = parser.parse_args()
    results = []
    for seed in range(1, arguments.seeds + 1):
        path = arguments.folder / f"seed-{seed}.json"
        if not path.exists():
            found = run(arguments.folder, seed, arguments.screened)
            path.write_text(json.dumps(found, indent=1))
        results.append(json.loads(path.read_text()))
        last = results[-1]["prevalence"]
        print(f"seed {seed}: {last['true']:.5f}, said {last['value']:.5f} {last['if_calibrated']}", flush=True)
    for name in NAMES:
        for kind in ("if_calibrated", "trusting_nothing"):
            held = [one[name][kind][0] <= one[name]["true"] <= one[name][kind][1] for one in results]
            widths = [one[name][kind][1] - one[name][kind][0] for one in results]
            print(f"{name}, {kind}: holds the truth in {sum(held)} of {len(held)}; width {np.median(widths):.4f}")
    share = float(np.mean([one["prevalence"]["true"] for one in results]))
    n = CALIBRATED + SURVEYED
    interval = binomtest(round(share * n), n).proportion_ci(0.95, method="wilson")
    print(f"of {n} random simulations: width {interval.high - interval.low:.4f}, at a prevalence of {share:.4f}")


if __name__ == "__main__":
    main()
