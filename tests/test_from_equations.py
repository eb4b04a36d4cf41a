"""From time series to equations and a campaign over their coefficients: docs/tutorials/from-equations.md."""

import importlib.util
import re
import shutil
import subprocess

import pandas as pd
import pytest
import yaml

from campaigns import BIN, ROOT, run_commands
from mechscreen.campaign import Campaign
from mechscreen.discovery import Polynomial, as_model, discover
from mechscreen.models.sbml_document import read_document
from mechscreen.tables import read_time_series

PAGE = (ROOT / "docs/tutorials/from-equations.md").read_text()
EXAMPLE = ROOT / "examples/lake.yaml"
SMALLER = {"simulations": {"count": 600, "shard_size": 200},
           "screen": {"count": 4000, "block_size": 4000, "disagreement_limit": 1.0},
           "validation": {"limit": 20}}  # fmt: skip
"""What is made smaller, so that a test may take it."""

pytest.importorskip("roadrunner")

spec = importlib.util.spec_from_file_location("lake", ROOT / "examples/lake.py")
lake = importlib.util.module_from_spec(spec)
spec.loader.exec_module(lake)


def test_the_table_of_the_example_is_what_its_program_makes():
    assert (ROOT / "examples/lake.csv").read_text() == lake.table()


def test_the_model_of_the_example_is_what_is_discovered_in_its_table():
    series = read_time_series(ROOT / "examples/lake.csv")
    model = discover(list(series.t), list(series.y), Polynomial(2, forms=["rational"]), names=series.names)
    written = as_model(model, "lake")
    there = read_document(ROOT / "examples/lake.ant").quantities
    # On another processor, the last digits may differ.
    for own in written.constants:
        assert there[own.name].value == pytest.approx(own.value, rel=1e-4)
        assert there[own.name].meaning == own.meaning
    rates = re.compile(r"^  \w+' = .*;$", re.M)
    assert rates.findall(written.antimony) == rates.findall((ROOT / "examples/lake.ant").read_text())
    true = {"k_algae_1": lake.GROWTH, "k_algae_2": lake.CROWDING, "k_algae_3": lake.APPETITE,
            "k_daphnia_1": lake.DEATH, "k_daphnia_2": lake.YIELD * lake.APPETITE, "K_1": lake.HALF}  # fmt: skip
    for own in written.constants:
        assert own.low < true[own.name] < own.high


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_example_would_run(tmp_path):
    command = [BIN / "snakemake", "--workflow-profile", "cluster_profiles/local", "--configfile", EXAMPLE, "--dry-run"]
    for name in ("Snakefile", "workflow", "cluster_profiles", "examples"):
        (tmp_path / name).symlink_to(ROOT / name)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for rule in ("simulate_shard", "train", "screen_block", "validate", "report"):
        assert rule in done.stdout
    campaign = Campaign.load(EXAMPLE)
    for parameter in campaign.space:
        assert (
            parameter.low < read_document(ROOT / "examples/lake.ant").quantities[parameter.name].value < parameter.high
        )


def oscillates(values):
    """Return whether a lake never comes to rest: where its steady state is unstable (Rosenzweig & MacArthur 1963)."""
    growth, crowding, _, death, gain, half = values.T
    rest, most = death * half / (gain - death), growth / crowding
    return (gain > death) & (rest < (most - half) / 2)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_every_command_of_the_page_works_in_an_empty_folder(tmp_path):
    commands = [line.strip() for line in re.findall(r"^ {4}(\S.*)$", PAGE, re.M) if not line.startswith(" ")]
    commands = [line for line in commands if line.split()[0] in ("mechscreen", "snakemake", "cd")]
    assert len(commands) >= 6
    (block,) = re.findall(r"^```yaml\n(model:.*?)^```$", PAGE, re.M | re.S)
    shutil.copy(ROOT / "examples/lake.csv", tmp_path)
    said = {}
    for command, folder, output in run_commands(commands, tmp_path):
        said[command] = output
        if command.startswith("mechscreen check-model"):
            values = yaml.safe_load((folder / "campaign.yaml").read_text())
            told = yaml.safe_load(block)
            values["model"] = told["model"]
            values["screen"] |= told["screen"] | SMALLER["screen"]
            values |= {name: SMALLER[name] for name in ("simulations", "validation")}
            values["emulators"]["training"]["epochs"] = 60
            values["emulators"]["architecture"] |= {"width": 64, "blocks": 2}
            (folder / "campaign.yaml").write_text(yaml.safe_dump(values))
    found = next(text for command, text in said.items() if " discover " in command)
    for line in re.findall(r"^    (d\w+/dt = .*)$", PAGE, re.M):
        assert line in found
    assert re.search(r"oscillates +0 of 20 ", said["mechscreen check-model campaign.yaml"])
    hits = pd.read_csv(folder / "results/lake/validation/hits.csv")
    names = ("k_algae_1", "k_algae_2", "k_algae_3", "k_daphnia_1", "k_daphnia_2", "K_1")
    confirmed = hits["confirmed"] == "yes"
    assert confirmed.any()
    assert oscillates(hits[list(names)].to_numpy())[confirmed].mean() > 0.9
    assert (folder / "results/lake/report.html").is_file()
