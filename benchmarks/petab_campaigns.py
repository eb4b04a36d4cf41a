"""A campaign on each of a folder of PEtab problems, from `mechscreen init` to its report.

    python benchmarks/petab_campaigns.py ../shared/data/petab FOLDER --sets 200

Each is made by `mechscreen init --petab`, made smaller, and run by Snakemake; a run that was stopped goes on where it
was. Prints the share of the simulated sets that are OK, the commonest reasons of the others, and how long the jobs
took.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import yaml

import mechscreen
from petab_problems import problems
from repressilator import seconds


def main() -> None:
    """Run them and print a table of what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("problems", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", type=int, default=200, help="parameter sets that are simulated")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    for problem in problems(arguments.problems):
        _print(run(problem, arguments.folder / problem.stem, arguments.sets), problem.stem)


def run(problem: Path, place: Path, sets: int) -> Path | str:
    """Run a problem's campaign in a folder; return the folder of results, or what went wrong."""
    programs = Path(sys.executable).parent
    if not place.exists():
        made = subprocess.run(
            [programs / "mechscreen", "init", place, "--petab", problem], capture_output=True, text=True
        )
        if made.returncode:
            return made.stderr.strip()
    config = place / "campaign.yaml"
    campaign = yaml.safe_load(config.read_text())
    campaign["simulations"] = {"count": sets, "shard_size": -(-sets // 2)}
    campaign["emulators"]["training"]["epochs"] = 20
    campaign["screen"] |= {"count": 20_000, "block_size": 20_000}
    campaign["validation"] = {"limit": 20}
    config.write_text(yaml.safe_dump(campaign, sort_keys=False))
    snakemake = shutil.which("snakemake") or programs / "snakemake"
    command = [snakemake, "--workflow-profile", "cluster_profiles/local", "--configfile", config.name]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True)
    results = place / "results" / str(campaign["name"])
    (place / "snakemake.log").write_text(done.stdout + done.stderr)
    if done.returncode or not (results / "report.html").exists():
        return f"no report: {place / 'snakemake.log'}"
    return results


def _print(found: Path | str, name: str) -> None:
    if isinstance(found, str):
        print(f"| {name} | {found} |", flush=True)
        return
    simulations = mechscreen.open(found).simulations
    reasons = Counter(simulations.reason.values[simulations.status.values != "OK"].tolist())
    share = float((simulations.status == "OK").mean())
    print(f"| {name} | {share:.1%} of {simulations.sizes['sample']} | {seconds(found):.0f} s |", flush=True)
    for reason, number in reasons.most_common(4):
        print(f"    {number} {reason}", flush=True)


if __name__ == "__main__":
    main()
