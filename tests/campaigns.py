"""How tests run a campaign: Snakemake, in a folder of its own; the example campaign at its smallest."""

import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import h5py
import yaml

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent

EXAMPLE = f"{ROOT / 'examples/stripe.py'}"
REPRESSILATOR = (ROOT / "examples/repressilator.ant").read_text()
STRIPE = {
    "name": "small",
    "seed": 7,
    "model": {"name": f"{EXAMPLE}:Stripe"},
    "simulations": {"count": 200, "shard_size": 100},
    "emulators": {
        "members": 2,
        "combine": "mean",
        "architecture": {"network": "dense", "width": 32, "blocks": 1},
        "training": {"epochs": 20},
    },
    "screen": {
        "count": 4000,
        "block_size": 2000,
        "objective": {
            "name": f"{EXAMPLE}:stripe_position",
            "options": {"classes": ["at the source", "first half", "second half"]},
            "target": ["second half"],
        },
        "disagreement_limit": 0.2,
    },
    "validation": {"limit": 20},
}


def snakemake_command(folder, campaign, profile, *arguments):
    """Write a campaign's configuration to `folder` and return the command that runs it there."""
    config = folder / "campaign.yaml"
    config.write_text(yaml.safe_dump(campaign))
    command = [BIN / "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder, "--configfile", config]
    command += ["--workflow-profile", profile, *arguments]
    return [str(part) for part in command]


def snakemake(folder, *arguments, campaign=None, profile="local"):
    """Run Snakemake in `folder` on a configuration written there."""
    command = snakemake_command(folder, campaign or STRIPE, ROOT / "cluster_profiles" / profile, *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=500)


def jobs(done):
    """Return how many jobs of each rule a dry run announces."""
    assert done.returncode == 0, done.stdout + done.stderr
    table = re.search(r"Job stats:\n.*?\n-+.*?\n(.*?)\n\n", done.stdout + done.stderr, re.DOTALL)
    counts = dict(re.findall(r"^(\w+) +(\d+)", table[1], re.MULTILINE)) if table else {}
    return {rule: int(n) for rule, n in counts.items() if rule not in ("all", "total")}


def run_stages(campaign):
    """Run the stages of a campaign in this process, from its simulations to the validation of its hits."""
    from mechscreen.stages.evaluate import evaluate
    from mechscreen.stages.merge import merge
    from mechscreen.stages.screen import gather_screen, screen_block
    from mechscreen.stages.simulate import simulate
    from mechscreen.stages.train import train
    from mechscreen.stages.validate import validate

    for shard in range(campaign.simulations.shards):
        simulate(campaign, shard)
    merge(campaign)
    for member in range(campaign.emulators.members):
        train(campaign, member)
    evaluate(campaign)
    for block in range(campaign.screen.blocks):
        screen_block(campaign, block)
    gather_screen(campaign)
    validate(campaign)


def heed_ctrl_c():
    """Let what is started from here heed Ctrl-C; a shell lets what it starts in the background ignore it."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


def arrays(results, *patterns):
    """Return every array of the HDF5 files of a campaign that match, as bytes."""
    found = {}
    for path in sorted(path for pattern in patterns for path in results.glob(pattern)):
        with h5py.File(path) as file:
            found |= {f"{path.relative_to(results)}: {name}": file[name][()].tobytes() for name in file}
    return found


NETWORK = """
begin parameters
  1 k1 0.02
  2 k2 0.1
  3 k3 0.3
  4 d 0.05
  5 top 4
  6 half 20
  7 E0 10
end parameters
begin functions
  1 made() top*P/(half+P)
end functions
begin species
  1 S() 80
  2 E() E0
  3 E(s!1).S(e!1) 0
  4 P() 0
  5 R() 0
end species
begin reactions
  1 1,2 3 k1
  2 3 1,2 k2
  3 3 2,4 k3
  4 0 5 made
  5 5 0 d
end reactions
begin groups
  1 P 4
  2 R 5
end groups
"""
"""An enzyme and what its product makes, as BioNetGen writes it."""


def run_commands(commands: list[str], folder: Path) -> Iterator[tuple[str, Path, str]]:
    """Run the commands of a page one after the other, each of which must succeed; those of ``cd`` change the folder.

    Yields each command, its folder and what it said.
    """
    for command in commands:
        program, *arguments = shlex.split(command)
        if program == "cd":
            folder = folder / arguments[0]
            continue
        done = subprocess.run([BIN / program, *arguments], cwd=folder, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        yield command, folder, done.stdout + done.stderr
