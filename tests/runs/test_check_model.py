import re
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from click.testing import CliRunner
from scipy.stats import binomtest

from campaigns import BIN
from mechscreen.campaign import Campaign
from mechscreen.cli import cli
from mechscreen.errors import ModelError
from mechscreen.runs import plan as planning
from mechscreen.runs.check_model import check_model
from mechscreen.sampling import sample_seeds
from mechscreen.spaces import Sampler

MODEL = Path(__file__).with_name("queer.py")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(planning, "MEASURED_SECONDS", 0.1)


@pytest.fixture
def queer(tmp_path):
    def campaign(how="", **changes):
        return Campaign.from_dict(
            {
                "name": "queer",
                "results": str(tmp_path / "results"),
                "seed": 4,
                "model": {"name": f"{MODEL}:Queer", "options": {"how": how}},
                "simulations": {"count": 1000},
                "screen": {
                    "count": 10_000,
                    "block_size": 10_000,
                    "objective": {
                        "name": f"{MODEL}:large",
                        "options": {"classes": ["small", "large"]},
                        "target": ["large"],
                    },
                },
            }
            | changes
        )

    return campaign


def test_what_it_says_of_a_model_is_what_the_model_says(queer):
    campaign = queer()
    said = check_model(campaign, 40)
    parameters = Sampler(campaign.space, "uniform", 4, "simulations", levels=True).draw(0, 40).physical
    size = parameters[:, 1]
    assert re.search(r"rate\s+1\s+2\s+1/h\s+evenly\s+of the wave", said)
    assert re.search(r"wave\s+60\s+µM\s+peak\s+\S+\s+\S+\s+varies", said)
    assert re.search(rf"level\s+number\s+mV\s+linear\s+{size.min():.4g}\s+{size.max():.4g}\s+varies", said)
    assert re.search(r"idle\s+number\s+linear\s+0\s+0\s+NEVER VARIES", said)
    assert "Simulated: 40 of 40\n" in said
    assert "Random numbers: none" in said
    assert "Rows: each set gives the same numbers alone and among others" in said
    n = int((size > 5).sum())
    interval = binomtest(n, 40).proportion_ci(method="wilson")
    low, high = (f"{100 * end:.1f} %" for end in interval)
    assert re.search(rf"large\s+{n} of 40\s+{100 * n / 40:.1f} %\s+{low} to {high}\s+target", said)
    assert re.search(r"Does an emulator pay\? To simulate 10,000 parameter sets takes", said)
    assert "WARNING: output 'idle' is 0 everywhere in all sets" in said
    assert re.search(r"WARNING: output 'wave' oscillates in 100\.0 % of the sets", said)
    assert said.count("WARNING") == 2


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("seeds", "Random numbers: the seed's; the same seeds give the same numbers, other seeds others"),
        ("clock", "WARNING: the same sets with the same seeds give other numbers"),
        ("rows", "WARNING: a set gives other numbers alone than among others"),
        ("rounds", "Rows: alone, a set gives the same numbers as among others up to rounding"),
        ("mostly fails", r"WARNING: \d\d\.\d % of the sets cannot be simulated"),
        ("mostly fails", r"Simulated: \d+ of 40; \d+ NOT_FINITE: diverges"),
        ("raises", r"Simulated: \d+ of 40; \d+ ERROR: ValueError: size [\d.]+ is too small"),
    ],
)
def test_what_is_queer_is_said(queer, how, expected):
    assert re.search(expected, check_model(queer(how), 40))


def test_a_curve_that_does_not_oscillate_is_not_said_to(queer):
    assert "oscillates" not in check_model(queer("flat"), 10)


def test_a_model_that_fails_for_all_ends_with_a_message(queer):
    with pytest.raises(ModelError, match="not one of 20 parameter sets can be simulated: 20 NOT_FINITE: diverges"):
        check_model(queer("fails"), 20)


def test_a_target_that_no_set_has_is_said_with_what_its_share_may_be(queer):
    parameters = {"size": {"low": 1.0, "high": 2.0}}
    campaign = queer(model={"name": f"{MODEL}:Queer", "parameters": parameters})
    assert "none of 20 sets is of the target: its share may be up to 16.1 %" in check_model(campaign, 20)


def test_it_needs_no_simulations_and_writes_nothing(queer, tmp_path, monkeypatch):
    values = queer().model_dump(mode="json", exclude={"simulations"})
    values["screen"]["by"] = "model"
    folder = tmp_path / "here"
    folder.mkdir()
    (folder / "campaign.yaml").write_text(yaml.safe_dump(values))
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(cli, ["check-model", "campaign.yaml", "--sets", "7"])
    assert done.exit_code == 0, done.output
    assert "Simulated: 7 of 7" in done.output
    assert "the screen's 10,000 take" in done.output
    assert re.search(r"emulators pay if fewer than [\d,]+ simulations|emulators do not pay", done.output)
    assert [path.name for path in folder.rglob("*")] == ["campaign.yaml"]
    assert not (tmp_path / "results").exists()


def test_seeds_are_those_of_the_campaigns_simulations(queer):
    """So that what it says of 20 sets is said of the first 20 simulations."""
    campaign = queer("seeds")
    parameters = Sampler(campaign.space, "uniform", 4, "simulations", levels=True).draw(0, 20).physical
    seeds = sample_seeds(4, 0, 20, "simulation seeds")
    level = parameters[:, 1] + [np.random.default_rng(int(seed)).random() for seed in seeds]
    assert re.search(rf"level .*\s{level.min():.4g}\s+{level.max():.4g}\s", check_model(campaign, 20))


def test_bad_input_ends_with_code_2(tmp_path):
    values = {"name": "a", "seed": 1, "model": {"name": "patern"}, "simulations": {"count": 1000}}
    values["screen"] = {"count": 10, "block_size": 10}
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(values))
    done = subprocess.run([BIN / "mechscreen", "check-model", tmp_path / "c.yaml"], capture_output=True, text=True)
    assert done.returncode == 2
    assert "no model 'patern'; did you mean 'pattern'?" in done.stderr


def test_features_that_not_every_set_has_are_told_of_those_that_have_them(queer):
    emulate = ["level", "crossing(wave, level=10)", "crossing(wave, level=1000)"]
    campaign = queer(model={"name": f"{MODEL}:Queer", "emulate": emulate})
    said = check_model(campaign, 40)
    assert re.search(r"^ +crossing\(wave, level=10\) +number +linear +0\.\d+ +\d\.\d+ +varies$", said, re.M)
    assert re.search(r"^ +crossing\(wave, level=1000\) +number +linear +no set has it$", said, re.M)
    assert "WARNING: output 'crossing(wave, level=1000)': none of the sets has it" in said
    assert "'crossing(wave, level=10)'" not in said
