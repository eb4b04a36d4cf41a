"""Simulations as a table of time series, and the equations that are found for what a model says itself."""

import re

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from mechscreen import InputError
from mechscreen.cli import cli
from mechscreen.reading.series import export_series
from mechscreen.stages.discover import discover
from mechscreen.stages.simulate import simulate_table
from mechscreen.tables import read_time_series

OWN = '''
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace, Solution

TIMES = np.linspace(0, 3, 31)


class Own(Model):
    """Two series, one with a sign, a number and a field; what begins below 1 fails."""

    name = "own-of-the-series-tests"
    version = "1"
    isolated = False
    space = ParameterSpace([Parameter("a", 0.0, 3.0)])

    def __init__(self, kind="all"):
        series = [
            Output("x", TIMES, grid_name="time"),
            Output("t", TIMES, grid_name="time", scale="linear"),
            Output("late", TIMES + 1, grid_name="time", scale="linear"),
        ]
        others = [Output("end"), Output("field", (np.arange(2.0), np.arange(3.0)), scale="linear")]
        self.outputs = {"all": (*series[:2], *others), "alone": tuple(series[:2]), "late": tuple(series),
                        "none": tuple(others)}[kind]

    def solve(self, parameters, seeds):
        a = parameters[:, :1]
        values = {"x": a * np.exp(-TIMES), "t": -a * TIMES, "late": a * TIMES, "end": a[:, 0],
                  "field": np.ones((len(a), 2, 3))}
        values["x"][a[:, 0] < 1] = np.nan
        return Solution({output.name: values[output.name] for output in self.outputs}, [""] * len(a))
'''


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "own.py"
    path.write_text(OWN)
    return f"{path}:Own"


@pytest.fixture
def simulated(own, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sets.csv").write_text("a\n1.5\n0.5\n2.25\n")

    def simulate(kind, table="sets.csv"):
        out = tmp_path / f"{kind}.h5"
        return simulate_table(own, tmp_path / table, out, options={"kind": kind})

    return simulate


@pytest.mark.parametrize("kind", ["all", "alone"])
def test_series_have_a_row_for_each_point_and_are_read_as_trajectories(simulated, tmp_path, kind):
    said = export_series(simulated(kind), tmp_path / "series.csv")
    left = "; no series, left out: end, field" if kind == "all" else ""
    assert said == f"{tmp_path}/series.csv: 2 trajectories of 31 points; 1 that failed were left out{left}"
    table = pd.read_csv(tmp_path / "series.csv")
    assert list(table) == ["trajectory", "t", "x", "t_"]
    assert table.trajectory.tolist() == [0] * 31 + [2] * 31
    times = np.linspace(0, 3, 31)
    np.testing.assert_array_equal(table.t, np.tile(times, 2))
    np.testing.assert_allclose(table.x, np.concatenate([1.5 * np.exp(-times), 2.25 * np.exp(-times)]), rtol=1e-6)
    np.testing.assert_allclose(table.t_, np.concatenate([-1.5 * times, -2.25 * times]), rtol=1e-6)
    series = read_time_series(tmp_path / "series.csv")
    assert (series.labels, series.names) == (("0", "2"), ("x", "t_"))
    export_series(tmp_path / f"{kind}.h5", tmp_path / "series.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "series.parquet"), table, check_dtype=False)


def test_what_is_no_table_of_series_is_refused_and_nothing_written(simulated, tmp_path):
    (tmp_path / "failing.csv").write_text("a\n0.5\n")
    (tmp_path / "text.h5").write_text("a,b\n")
    (tmp_path / "there.csv").write_text("mine")
    for source, to, message in (
        (simulated("none"), "new.csv", r"none.h5: no output is a series \(end, field\)"),
        (simulated("late"), "new.csv", "late.h5: late and x do not stand on the same points"),
        (simulated("alone", "failing.csv"), "new.csv", "alone.h5: not one of 1 simulations is OK"),
        (tmp_path / "alone.h5", "new.npz", r"new.npz: no kind of file '.npz' for series \(valid: .csv, .parquet\)"),
        (tmp_path / "alone.h5", "there.csv", "there.csv: is there already"),
        (tmp_path / "none", "new.csv", "none"),
    ):
        with pytest.raises(InputError, match=message):
            export_series(source, tmp_path / to)
    done = CliRunner().invoke(cli, ["export", "series", "text.h5", "--to", "new.csv"])
    assert "text.h5" in str(done.exception)
    done = CliRunner().invoke(cli, ["export", "series", "alone.h5", "--to", "new.csv", "--failed"])
    assert done.exit_code == 2
    assert not list(tmp_path.glob("new.*"))
    assert (tmp_path / "there.csv").read_text() == "mine"


ENZYME = """
model enzyme
  compartment cell = 1;
  species S in cell, E in cell, C in cell, P in cell;
  S = 2; E = 1; C = 0; P = 0;
  on = 1.5; off = 0.4; cat = 0.7;
  J1: S + E -> C; on*S*E;
  J2: C -> S + E; off*C;
  J3: C -> E + P; cat*C;
end
"""


def test_of_a_model_of_mass_action_the_kinetic_constants_are_found_within_their_intervals(tmp_path, monkeypatch):
    pytest.importorskip("roadrunner")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "enzyme.ant").write_text(ENZYME)

    def run(*arguments):
        done = CliRunner().invoke(cli, list(arguments))
        assert done.exit_code == 0, f"{done.output}{done.exception}"
        return done.output

    run("init", "enzyme", "--model", "enzyme.ant")
    path = tmp_path / "enzyme/campaign.yaml"
    # Trajectories differ in where they begin, and in nothing else.
    text = re.sub(r"    vary:\n(      .*\n)+", "    vary: {S: [1, 5], E: [0.5, 2]}\n", path.read_text())
    path.write_text(text.replace("end: 100", "end: 8").replace("after=50", "after=4"))
    (tmp_path / "enzyme/starts.csv").write_text("S,E\n2,1\n4,0.6\n1,1.8\n")
    monkeypatch.chdir(tmp_path / "enzyme")
    run("simulate", "--config", "campaign.yaml", "--parameters", "starts.csv", "--out", "runs.h5")
    said = run("export", "series", "runs.h5", "--to", "series.csv")
    assert said == "series.csv: 3 trajectories of 101 points\n"
    model = discover(tmp_path / "enzyme/series.csv", tmp_path / "found")
    on, off, cat = 1.5, 0.4, 0.7
    expected = {
        "S": {"C": off, "S*E": -on},
        "E": {"C": off + cat, "S*E": -on},
        "C": {"C": -off - cat, "S*E": on},
        "P": {"C": cat},
    }
    for k, name in enumerate(model.names):
        found = {model.term_names[m]: model.intervals()[k, m] for m in np.flatnonzero(model.support[k])}
        assert found.keys() == expected[name].keys(), model.equations()
        for term, (low, high) in found.items():
            assert low <= expected[name][term] <= high, model.summary()
            assert high - low < 1e-3
