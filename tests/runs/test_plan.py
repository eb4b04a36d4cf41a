import time

import numpy as np
import pytest

from mechscreen.campaign import Campaign
from mechscreen.runs import plan as planning

SLEEPER = """
import time
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace
from mechscreen.models.base import Solution

class Busy(Model):
    name = "busy"
    version = "1"
    seconds = 100.0
    space = ParameterSpace([Parameter("a", 0, 1), Parameter("b", 0, 1)])
    outputs = (Output("y", np.linspace(0, 1, 8)),)

    def solve(self, parameters, seeds):
        end = time.process_time() + 0.05 * len(parameters)
        while time.process_time() < end:
            pass
        return Solution(np.ones((len(parameters), 1, 8)))
"""


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(planning, "MEASURED_SECONDS", 0.3)


def test_a_simulation_is_measured_and_a_wrong_estimate_is_said(tmp_path, quick):
    (tmp_path / "busy.py").write_text(SLEEPER)
    campaign = Campaign.from_dict(
        {
            "name": "busy",
            "seed": 1,
            "model": {"name": f"{tmp_path / 'busy.py'}:Busy"},
            "simulations": {"count": 100, "shard_size": 100},
            "emulators": {"architecture": {"network": "dense", "width": 8, "blocks": 1}},
            "screen": {"count": 1000, "block_size": 1000, "objective": {"name": "rings"}},
        }
    )
    assert planning._sample_seconds(campaign) == pytest.approx(0.05, rel=0.2)
    said = planning.plan(campaign)
    assert "The model says seconds = 100" in said
    assert "seconds = 0.05" in said
    assert "simulate_shard" in said


def test_a_repeated_call_is_timed():
    seconds = planning._repeat(lambda: time.sleep(0.02), time.perf_counter)
    assert seconds == pytest.approx(0.02, rel=0.2)
    assert np.isfinite(seconds)
