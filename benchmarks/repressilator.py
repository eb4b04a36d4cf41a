"""The repressilator, both ways: the share of parameter sets that oscillate with a period between 5 and 20.

``python benchmarks/repressilator.py FOLDER`` runs two campaigns there over the same million parameter sets, by
Snakemake: one whose screen simulates every set (``screen.by: model``), and one whose networks learn period and
amplitude (``model.emulate``) from 5,000 simulations. It goes on where it was stopped, and prints what both found, how
long their jobs took, and how often the two agree on a set.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from mechscreen.schemas.screen import ScreenSummary

ROOT = Path(__file__).parents[1]
PERIOD, AMPLITUDE = "period(A, after=50)", "amplitude(A, after=50)"
OBJECTIVE = {
    "name": "conditions",
    "options": {"classes": {"oscillates": f"{PERIOD} > 5 and {PERIOD} < 20 and {AMPLITUDE} > 0.2"}},
    "target": ["oscillates"],
}


def campaign(by: str, count: int) -> dict:
    """Return the configuration of one of the two."""
    screen = {"count": count, "block_size": count // 10, "objective": OBJECTIVE, "disagreement_limit": 1.0}
    model = {
        "name": "sbml",
        "options": {
            "file": "repressilator.ant",
            "outputs": ["A"],
            "vary": {"alpha": [1, 500], "n": {"low": 1, "high": 5, "scale": "linear"}, "decay": [0.1, 5]},
            "end": 150,
            "points": 301,
            "relative_tolerance": 1e-6,
        },
    }
    if by == "model":
        return {"name": "by-model", "seed": 26, "model": model, "screen": {**screen, "by": "model"}}
    return {
        "name": "by-emulators",
        "seed": 26,
        "model": {**model, "emulate": [PERIOD, AMPLITUDE]},
        "simulations": {"count": 5000, "shard_size": 2500},
        "emulators": {
            "members": 3,
            "architecture": {"network": "dense", "width": 256, "blocks": 2},
            "training": {"epochs": 80},
        },
        "screen": screen,
        "validation": {"limit": 500},
    }


def seconds(folder: Path) -> float:
    """Return what the jobs of a campaign took, added up."""
    rows = [row for path in folder.glob("benchmarks/*/*.tsv") for row in csv.DictReader(path.open(), delimiter="\t")]
    return sum(float(row["s"]) for row in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=1_000_000, help="parameter sets of each screen")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "examples" / "repressilator.ant", folder)
    snakemake = shutil.which("snakemake") or str(Path(sys.executable).parent / "snakemake")
    found = {}
    for by in ("model", "emulators"):
        values = campaign(by, arguments.count)
        config = folder / f"{values['name']}.yaml"
        config.write_text(yaml.safe_dump(values, sort_keys=False))
        profile = ROOT / "cluster_profiles" / "local"
        command = [
            snakemake,
            "--snakefile",
            ROOT / "Snakefile",
            "--directory",
            folder,
            "--configfile",
            config.resolve(),
        ]
        subprocess.run([*map(str, command), "--workflow-profile", str(profile), "--quiet"], check=True)
        results = folder / "results" / values["name"]
        summary = ScreenSummary.read(results / "screen" / "summary.h5")
        found[by] = int(summary.classes[list(summary.axes.class_names).index("oscillates")])
        share = 100 * found[by] / summary.samples
        print(f"by {by}: {found[by]:,} of {summary.samples:,} ({share:.3f} %), jobs {seconds(results):,.0f} s")
    validated = json.loads((folder / "results/by-emulators/validation/summary.json").read_text())
    print(f"relative difference of the prevalences: {found['emulators'] / found['model'] - 1:+.4f}")
    print(f"of {validated['validated']} hits simulated {validated['confirmed']['count']} do what was asked")


if __name__ == "__main__":
    main()
