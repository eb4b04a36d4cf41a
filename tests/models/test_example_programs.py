"""The examples of programs as models, each through its campaign, against SciPy and what chance has to give."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from campaigns import ROOT
from mechscreen.campaign import Campaign
from mechscreen.campaign.configuration import read_mapping
from mechscreen.models import Outputs
from mechscreen.stages.simulate import read_shard, simulate

PROGRAMS = ROOT / "examples/programs"
COMPILED = "cc -O2 -o epidemic examples/programs/epidemic.c"


@pytest.fixture
def simulated(tmp_path, monkeypatch):
    """Return a function that simulates a few samples of an example's campaign, started in a folder like this one."""
    (tmp_path / "examples").mkdir()
    shutil.copytree(PROGRAMS, tmp_path / "examples/programs")
    monkeypatch.chdir(tmp_path)

    def simulated(name, count=8):
        values = read_mapping(Path(f"examples/programs/{name}.yaml"))
        values["simulations"] |= {"count": count, "shard_size": count}
        campaign = Campaign.from_dict(values)
        campaign.check()
        simulate(campaign, 0)
        found = read_shard(campaign, 0)
        assert (found.status == 0).all(), found.reasons
        outputs = Outputs(campaign.outputs)
        return campaign, found.parameters, outputs.by_name(found.profiles.astype(float), found.log_peaks)

    return simulated


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
def test_a_program_in_c_is_compiled_by_the_line_that_its_campaign_says(simulated):
    assert f"#   {COMPILED}\n" in (PROGRAMS / "epidemic.yaml").read_text()
    subprocess.run(COMPILED.split(), check=True)
    campaign, sets, found = simulated("epidemic")
    days = campaign.outputs[0].grid
    for (b, g, ill), course in zip(sets, found["ill_share"], strict=True):

        def slope(_, y, b=b, g=g):
            return [-b * y[0] * y[1], b * y[0] * y[1] - g * y[1]]

        expected = solve_ivp(slope, (0, 200), [1 - ill, ill], "LSODA", days, rtol=1e-9, atol=1e-12).y[1]
        assert course == pytest.approx(expected, rel=1e-5, abs=1e-7)


@pytest.mark.skipif(shutil.which("Rscript") is None, reason="needs R")
def test_a_program_in_r_draws_from_the_samples_seed(simulated):
    campaign, sets, found = simulated("drift", 4)
    n, s, p = sets.T
    courses = found["share"]
    assert courses[:, 0] == pytest.approx(p)
    # Copies are whole.
    counts = courses[:, 1:] * n[:, None]
    assert np.abs(counts - counts.round()).max() < 1e-3
    mean = p * (1 + s) / (1 + p * s)
    assert (np.abs(courses[:, 1] - mean) <= 5 * np.sqrt(mean * (1 - mean) / n)).all()
    model = campaign.model_instance
    again = [model.simulate(sets[:1], seeds=[seed]).profiles for seed in (3, 3, 2**64 - 1)]
    assert np.array_equal(again[0], again[1])
    assert not np.array_equal(again[0], again[2])


def test_a_program_in_python_uses_its_neighbour_and_a_table(simulated):
    campaign, sets, found = simulated("infusion")
    hours = campaign.outputs[0].grid
    for (clearance, exchange, blood, tissue), course, highest in zip(
        sets, found["blood"], found["highest"], strict=True
    ):

        def slope(_, y, c=clearance, q=exchange, v=blood, w=tissue):
            return [-(c + q) * y[0] / v + q * y[1] / w, q * (y[0] / v - y[1] / w)]

        parts, amounts = [], np.zeros(2)
        for dose, part in ((100, hours[:33]), (50, hours[32:65]), (50, hours[64:])):
            amounts = amounts + np.array([dose, 0])
            y = solve_ivp(slope, (part[0], part[-1]), amounts, "LSODA", part, rtol=1e-9, atol=1e-10).y
            amounts = y[:, -1]
            parts.append(y[0, :-1] / blood if part[-1] < 24 else y[0] / blood)
        assert course == pytest.approx(np.concatenate(parts), rel=1e-5)
        assert highest == pytest.approx(course.max(), rel=1e-6)


@pytest.mark.parametrize("changed", ["infusion.py", "compartments.py", "doses.csv"])
def test_a_change_of_any_file_of_that_program_remakes_its_campaign(simulated, changed):
    def fingerprint():
        return Campaign.load(Path("examples/programs/infusion.yaml")).fingerprint("simulations")

    before = fingerprint()
    assert fingerprint() == before
    with Path("examples/programs", changed).open("a") as file:
        file.write("\n")
    assert fingerprint() != before
