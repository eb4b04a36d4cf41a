"""How tests run a campaign: Snakemake, in a folder of its own."""

import sys
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
BIN = Path(sys.executable).parent


def snakemake_command(folder, campaign, profile, *arguments):
    """Write a campaign's configuration to `folder` and return the command that runs it there."""
    config = folder / "campaign.yaml"
    config.write_text(yaml.safe_dump(campaign))
    command = [BIN / "snakemake", "--snakefile", ROOT / "Snakefile", "--directory", folder, "--configfile", config]
    command += ["--workflow-profile", profile, *arguments]
    return [str(part) for part in command]
