import re
import time

import numpy as np
import pytest

from mechscreen.campaign import Campaign
from mechscreen.runs import plan as planning

SLEEPER = """
import os
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

    def __init__(self, ailment=""):
        self.ailment = ailment

    def solve(self, parameters, seeds):
        for a in parameters[:, 0]:
            if self.ailment == "hangs" or (self.ailment == "hangs at times" and a > 0.9):
                time.sleep(1000)
            if self.ailment == "crashes":
                os.abort()
            if self.ailment == "diverges":
                raise KeyError("a") if a < 0.15 else ValueError(f"diverges at a = {a}")
            time.sleep(0.05)
        value = np.nan if self.ailment == "has no solution" else 1.0
        return Solution(np.full((len(parameters), 1, 8), value))
"""


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(planning, "MEASURED_SECONDS", 0.3)


@pytest.fixture(scope="module")
def busy_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "busy.py"
    path.write_text(SLEEPER)
    return path


@pytest.fixture
def busy(busy_file, quick):

    def campaign(ailment="", sample_time_limit=600):
        return Campaign.from_dict(
            {
                "name": "busy",
                "seed": 1,
                "model": {"name": f"{busy_file}:Busy", "options": {"ailment": ailment}},
                "simulations": {"count": 100, "shard_size": 100, "sample_time_limit": sample_time_limit},
                "emulators": {"architecture": {"network": "dense", "width": 8, "blocks": 1}},
                "screen": {"count": 1000, "block_size": 1000, "objective": {"name": "rings"}},
            }
        )

    return campaign


def test_a_simulation_is_measured_and_a_wrong_estimate_is_said(busy):
    seconds, trial = planning.sample_seconds(busy())
    assert seconds.each == pytest.approx(0.05, rel=0.4)
    assert seconds.of_many == seconds.each
    assert not trial.trouble()
    said = planning.plan(busy())
    assert "The model says seconds = 100" in said
    assert "seconds = 0.0" in said
    assert "simulate_shard" in said


@pytest.mark.parametrize(
    ("ailment", "reason"), [("hangs", "no result within 1 s"), ("crashes", "the process was ended by SIGABRT")]
)
def test_a_model_that_fails_for_all_samples_is_said_and_forecast_by_its_own_seconds(busy, ailment, reason):
    said = planning.plan(busy(ailment, sample_time_limit=1))
    assert f"samples has a solution, most often: {reason}" in said
    assert "a simulation" not in said
    assert "The forecast takes the seconds that the model states: 100." in said


def test_a_model_without_solutions_is_measured_and_said(busy):
    seconds, trial = planning.sample_seconds(busy("has no solution"))
    assert seconds.each == pytest.approx(0.05, rel=0.4)
    assert "samples has a solution, most often: " in trial.trouble()


def test_reasons_that_hold_numbers_of_the_samples_count_as_one(busy):
    seconds, trial = planning.sample_seconds(busy("diverges"))
    assert seconds is None
    assert re.fullmatch(
        r"None of 8 samples has a solution, most often: ValueError: diverges at a = 0\.\d+", trial.trouble()
    )


def test_samples_that_hang_at_times_count_with_the_time_they_are_given(busy, monkeypatch):
    monkeypatch.setattr(planning, "MEASURED_SECONDS", 3.0)
    seconds, trial = planning.sample_seconds(busy("hangs at times", sample_time_limit=0.5))
    assert 0.05 < seconds.each < 0.6
    assert not trial.trouble()


def test_a_repeated_call_is_timed():
    seconds = planning._repeat(lambda: time.sleep(0.02), time.perf_counter)
    assert seconds == pytest.approx(0.02, rel=0.2)
    assert np.isfinite(seconds)


def test_a_plan_says_in_a_line_whether_an_emulator_pays(busy):
    lines = [line for line in planning.plan(busy()).splitlines() if line.startswith("Does an emulator pay?")]
    assert len(lines) == 1
    # 1,000 sets of 0.05 s each, and 100 of them to learn from.
    assert "To simulate 1,000 parameter sets takes" in lines[0]
    assert "with emulators that learn from 100 it takes" in lines[0]


def test_few_samples_are_said_before_they_are_simulated(busy):
    said = planning.plan(busy())
    assert "The networks have 80 samples to learn from, 10 to choose epochs by and 10 to be judged by" in said
