"""From a table of time series to a folder in which a campaign on the equations runs."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from scipy.integrate import solve_ivp

from mechscreen.campaign import Campaign
from mechscreen.cli import cli
from mechscreen.models.setup import Setup
from mechscreen.runs.init import init

pytest.importorskip("roadrunner")

FOLDER = {"Snakefile", "campaign.yaml", "cluster_profiles"}


def table(path, names=("prey", "predator"), inputs=False):
    rng, t = np.random.default_rng(0), np.linspace(1, 13, 120)
    rows = [f"trajectory,t,{','.join(names)}{',food' if inputs else ''}"]
    for number, start in enumerate(([10, 5], [4, 12])):
        light = np.cos(40 * t) if inputs else t
        rate = lambda t, y: [y[0] - 0.1 * y[0] * y[1], 0.05 * y[0] * y[1] - 0.5 * y[1]]  # noqa: E731
        y = solve_ivp(rate, (1, 13), start, t_eval=t, rtol=1e-9).y.T + 0.05 * rng.standard_normal((120, 2))
        for time, values, own in zip(t, y, light, strict=True):
            more = f",{own:.6g}" if inputs else ""
            rows.append(f"{number},{time:.6g},{values[0]:.6g},{values[1]:.6g}{more}")
    path.write_text("\n".join(rows) + "\n")
    return path


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(cli, list(map(str, arguments)))


def test_equations_become_a_campaign_whose_parameters_vary_in_their_intervals(here, monkeypatch):
    table(here / "my ponds.csv")
    done = run("discover", "my ponds.csv", "--as-model", "new/ponds")
    assert done.exit_code == 0, done.output
    assert "my-ponds.ant, my-ponds.xml" in done.output
    assert {path.name for path in (here / "new/ponds").iterdir()} == FOLDER | {"my-ponds.ant", "my-ponds.xml"}
    monkeypatch.chdir(here / "new/ponds")
    campaign = Campaign.load("campaign.yaml")
    campaign.check()
    assert campaign.name == "my-ponds"
    record = json.loads((here / "discovery/model.json").read_text())["model"]
    assert len(campaign.space) == 4
    for parameter, found in zip(campaign.space, record["coefficients"], strict=True):
        ends = sorted([abs(found["low"]), abs(found["high"])])
        assert [parameter.low, parameter.high] == pytest.approx(ends, rel=1e-4)
        assert parameter.low < abs(found["value"]) < parameter.high
        assert parameter.scale == "log"
        assert parameter.meaning == f"coefficient of {found['term']} in d{found['equation']}/dt"
    assert [output.name for output in campaign.outputs] == ["prey", "predator"]
    written = (here / "new/ponds/campaign.yaml").read_text()
    assert "    #   prey: [3.99" in written
    assert campaign.class_names == ("other", "oscillates")
    # Names alone go from a tenth of the values to ten times these.
    options = {**campaign.model.options, "vary": [parameter.name for parameter in campaign.space]}
    wide = Setup("sbml", options).make()
    for parameter, found in zip(wide.space, record["coefficients"], strict=True):
        assert [parameter.low, parameter.high] == pytest.approx([abs(found["value"]) / 10, abs(found["value"]) * 10])


def test_both_files_are_models_that_a_new_campaign_may_be_about(here):
    table(here / "ponds.csv")
    assert run("discover", "ponds.csv", "--as-model", "ponds").exit_code == 0
    for name in ("ponds.ant", "ponds.xml"):
        init(here / name.replace(".", "-"), here / "ponds" / name)


def test_names_are_told_where_they_change_and_quoted_where_yaml_would_read_no(here, monkeypatch):
    table(here / "2021.csv", ["NO", "in"])
    done = run("discover", "2021.csv", "--as-model", "new")
    assert done.exit_code == 0, done.output
    assert "In the model in_ for 'in'.\n" in done.output
    monkeypatch.chdir(here / "new")
    campaign = Campaign.load("campaign.yaml")
    campaign.check()
    assert campaign.name == "2021"
    assert [output.name for output in campaign.outputs] == ["NO", "in_"]


def test_variables_that_are_negative_are_not_scaled_by_their_peak(here, monkeypatch):
    rows = [f"{t:.6g},{np.cos(t):.9g},{-np.sin(t):.9g}" for t in np.linspace(0, 10, 100)]
    (here / "spring.csv").write_text("\n".join(["t,x,v", *rows]))
    assert run("discover", "spring.csv", "--degree", "1", "--as-model", "new").exit_code == 0
    monkeypatch.chdir(here / "new")
    assert [output.scale for output in Campaign.load("campaign.yaml").outputs] == ["linear", "linear"]


def test_a_folder_that_is_taken_is_refused_before_the_search(here):
    table(here / "ponds.csv")
    (here / "new").mkdir()
    (here / "new/ponds.xml").write_text("mine")
    done = run("discover", "ponds.csv", "--as-model", "new")
    assert done.exit_code != 0
    assert "new: ponds.xml already there; move away what is, or choose another folder" in str(done.exception)
    assert {path.name for path in here.iterdir()} == {"ponds.csv", "new"}
    assert (here / "new/ponds.xml").read_text() == "mine"


def test_what_a_file_cannot_hold_is_refused_and_no_folder_written(here, monkeypatch):
    monkeypatch.setattr("mechscreen.discovery.model_file.MOST_PIECES", 20)
    table(here / "ponds.csv", inputs=True)
    done = run("discover", "ponds.csv", "--input", "food", "--degree", "2", "--as-model", "new")
    assert done.exit_code != 0
    assert "as a model: the input 'food' goes in" in str(done.exception)
    assert not (here / "new").exists()
    # What was found is kept.
    assert (here / "discovery/model.json").is_file()
