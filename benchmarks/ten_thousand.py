"""Ten thousand jobs to simulate and ten thousand to screen: what the head of a run takes, beside Snakemake alone.

Beside the workflow stands one with as many rules and jobs of the same shape that do nothing: what Snakemake itself
takes. Of both, in turn: a dry run; the time until the first job of a run begins; once all simulations but one are
there, the time until that one begins; once all is there, a dry run. Of ours also `status`, and the memory of the head.
Files are of a few bytes: what is looked at is how many there are. Prints seconds, ratios, and the largest memory of a
process; takes about six minutes on two slow cores.

    python benchmarks/ten_thousand.py FOLDER
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import psutil
import yaml
from tabulate import tabulate

from mechscreen.campaign import Campaign
from mechscreen.runs.jobs import benchmark_file, log_file, rules

ROOT = Path(__file__).parents[1]
SNAKEMAKE = Path(sys.executable).with_name("snakemake")
JOBS, MEMBERS = 10_000, 5
CAMPAIGN = {
    "name": "large",
    "results": "results",
    "seed": 1,
    "model": {"name": "pattern"},
    "simulations": {"count": 1000 * JOBS, "shard_size": 1000},
    "emulators": {"members": MEMBERS},
    "screen": {
        "count": 10**8 * JOBS,
        "block_size": 10**8,
        "objective": {"name": "rings", "target": ["3"]},
    },
}
BARE = f"""\
rule all:
    input: "report"
rule simulations:
    input: [f"simulated/{{k:05d}}" for k in range({JOBS})]
rule simulate:
    output: "simulated/{{k}}"
    shell: "mkdir -p logs; touch logs/begun; sleep 60; touch {{output}}"
rule merge:
    input: [f"simulated/{{k:05d}}" for k in range({JOBS})]
    output: "merged"
    shell: "touch {{output}}"
rule train:
    input: "merged"
    output: "trained/{{k}}"
    shell: "touch {{output}}"
rule screen:
    input: [f"trained/{{k}}" for k in range({MEMBERS})]
    output: "screened/{{k}}"
    shell: "touch {{output}}"
rule gather:
    input: [f"screened/{{k:05d}}" for k in range({JOBS})]
    output: "report"
    shell: "touch {{output}}"
"""


class Workflow:
    """One of the two workflows, in a folder of its own."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder / name
        self.folder.mkdir(parents=True)

    def command(self, *options: str) -> list[str]:
        """Return the call of Snakemake."""
        return [str(SNAKEMAKE), "--cores", "1", *options]

    def begun(self) -> list[Path]:
        """Return the files that a job leaves when it begins."""
        return [*self.folder.glob("logs/begun")]

    def files(self, simulations: bool) -> list[Path]:
        """Return the files of a finished run, or of its simulations, in the order in which they are made."""
        numbers = range(JOBS)
        made = [f"simulated/{k:05d}" for k in numbers]
        if not simulations:
            made += [
                "merged",
                *(f"trained/{k}" for k in range(MEMBERS)),
                *(f"screened/{k:05d}" for k in numbers),
                "report",
            ]
        return [Path(name) for name in made]

    @property
    def shard(self) -> Path:
        """One of the files of simulations."""
        return self.folder / "simulated/04321"


class Bare(Workflow):
    """Rules that do nothing."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "bare")
        (self.folder / "Snakefile").write_text(BARE)


class Ours(Workflow):
    """The workflow of a campaign."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, "ours")
        (self.folder / "campaign.yaml").write_text(yaml.safe_dump(CAMPAIGN))

    def command(self, *options: str) -> list[str]:
        """Return the call of Snakemake."""
        profile = str(ROOT / "cluster_profiles/local")
        given = ("--snakefile", str(ROOT / "Snakefile"), "--configfile", "campaign.yaml", "--workflow-profile", profile)
        return [*super().command(*options), *given]

    def begun(self) -> list[Path]:
        """Return the files that a job leaves when it begins."""
        return [*(self.folder / "results/large/logs/simulate").glob("*.log")]

    def files(self, simulations: bool) -> list[Path]:
        """Return the files of a finished run, or of its simulations, in the order in which they are made; with logs."""
        os.chdir(self.folder)
        campaign = Campaign.load(Path("campaign.yaml"))
        paths, found = campaign.paths, []
        for rule in rules(campaign)[: 1 if simulations else None]:
            for job, path in rule.targets.items():
                log, benchmark = log_file(paths.root, rule.verb, job), benchmark_file(paths.root, rule.verb, job)
                found += [log, benchmark, path]
                if rule.name == "train_member":
                    found += [path.with_name("history.csv"), path.with_name("member.json")]
        if simulations:
            return found
        return [*found, paths.predictions, paths.screen_summary, paths.validation_summary, paths.validation_table]

    @property
    def shard(self) -> Path:
        """One of the files of simulations."""
        return self.folder / "results/large/simulations/shard-04321.h5"


def measured(workflow: Workflow, *options: str, until_begun: bool = False) -> tuple[float, float]:
    """Return the seconds of a call of Snakemake, or until a job begins, and its largest memory in GB."""
    for path in workflow.begun():
        path.unlink()
    start = time.monotonic()
    with (workflow.folder / "said").open("a") as said:
        process = subprocess.Popen(
            workflow.command(*options), cwd=workflow.folder, stdout=said, stderr=said, start_new_session=True
        )
    memory = 0.0
    about = psutil.Process(process.pid)
    while process.poll() is None:
        with suppress(psutil.Error):
            memory = max(memory, about.memory_info().rss / 1e9)
        if until_begun and workflow.begun():
            break
        time.sleep(0.02)
    took = time.monotonic() - start
    if until_begun:
        if process.poll() is not None:
            raise SystemExit(f"no job began: {workflow.folder / 'said'}")
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        subprocess.run(workflow.command("--unlock"), cwd=workflow.folder, check=True, capture_output=True)
        shutil.rmtree(workflow.folder / ".snakemake/incomplete")
    elif process.returncode:
        raise SystemExit(f"Snakemake failed: {workflow.folder / 'said'}")
    return took, memory


def fill(workflow: Workflow, *targets: str) -> None:
    """Make the files of a finished run that are not there, and have Snakemake record them; of targets alone, if any."""
    for name in workflow.files(simulations=bool(targets)):
        path = workflow.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("s\th:m:s\n1.0\t0:00:01\n" if path.suffix == ".tsv" else "x")
    measured(workflow, "--touch", *targets)


def main() -> None:
    """Measure both in turn, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder.absolute()
    shutil.rmtree(folder, ignore_errors=True)
    bare, ours = Bare(folder), Ours(folder)
    rows = []

    def compare(what: str, target: float, *options: str, until_begun: bool = False) -> None:
        found = [measured(workflow, *options, until_begun=until_begun) for workflow in (bare, ours)]
        (alone, _), (took, memory) = found
        rows.append([what, round(alone, 1), round(took, 1), round(took / alone, 2), target, round(memory, 2)])
        print(tabulate(rows[-1:], tablefmt="plain"), flush=True)

    dry = ("--dry-run", "--quiet", "rules", "progress")
    compare("dry run", 1.3, *dry)
    compare("dry run, again", 1.3, *dry)
    compare("to the first job", 2, until_begun=True)
    for workflow in (bare, ours):
        fill(workflow, "simulations")
        workflow.shard.unlink()
    compare("one of the simulations missing, to its job", 2, until_begun=True)
    for workflow in (bare, ours):
        fill(workflow)
    compare("dry run, all is there", 1.3, *dry)
    print(tabulate(rows, headers=["", "Snakemake [s]", "workflow [s]", "ratio", "asked for", "memory [GB]"]))
    start = time.monotonic()
    command = [SNAKEMAKE.with_name("mechscreen"), "status", "results/large"]
    subprocess.run(command, cwd=ours.folder, check=True, capture_output=True)
    print(f"status: {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
