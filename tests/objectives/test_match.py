"""Measurements of outputs: what tables say, and how samples compare."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mechscreen.errors import InputError
from mechscreen.models import Output, Outputs
from mechscreen.objectives import Labelling, Match
from mechscreen.objectives.observations import Observations

GRID = np.array([0.0, 1.0, 3.0, 7.0])
OUTPUTS = Outputs((Output("x", GRID, grid_name="time", scale="linear"), Output("k", scale="linear")))
TABLE = "output,time,value,error\n# by hand\nx,0,1.0,0.5\nx,2,2.0,0.5\nk,,3.0,1.0\nx,7,4,2\n"


def read(tmp_path, text, outputs=OUTPUTS):
    path = tmp_path / "measured.csv"
    path.write_text(text, encoding="utf-8")
    return Observations.read(path, outputs)


def simulated(n=5):
    rng = np.random.default_rng(0)
    return {"x": rng.normal(size=(n, 4)), "k": rng.normal(size=n)}


@pytest.mark.parametrize("separator", [",", "\t", ";"])
def test_what_lies_between_points_is_on_the_line_between_them(tmp_path, separator):
    found = read(tmp_path, TABLE.replace(",", separator)).simulated(simulated())
    x, k = simulated().values()
    between = np.array([np.interp(2, GRID, row) for row in x])
    assert found == pytest.approx(np.column_stack([x[:, 0], between, k, x[:, 3]]))


def test_the_likelihood_is_scipys(tmp_path):
    measured = read(tmp_path, TABLE)
    says = measured.simulated(simulated())
    expected = -2 * stats.norm(says, measured.error).logpdf(measured.value).sum(axis=1)
    assert measured.compare(simulated()).deviance == pytest.approx(expected)


@given(st.lists(st.tuples(st.floats(0, 7), st.floats(-1e6, 1e6), st.floats(1e-3, 1e3)), min_size=1, max_size=20))
def test_what_was_written_is_read(tmp_path_factory, rows):
    text = "\n".join(["value;at;error;output", *(f"{v!r};{t!r};{e!r};x" for t, v, e in rows)])
    found = read(tmp_path_factory.mktemp("table"), text)
    assert found.at.tolist() == [t for t, _, _ in rows]
    assert found.value.tolist() == [v for _, v, _ in rows]
    assert found.error.tolist() == [e for _, _, e in rows]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty; give a table with the columns output, at, value, error"),
        ("output,value,error\n", "holds no measurement"),
        ("output,value\nk,1\n", "line 1: has the columns output, value; it needs output, at, value, error"),
        ("output,at,value,error\ny,0,1,1\n", "line 2: no output 'y'"),
        ("output,at,value,error\nx,8,1,1\n", "line 2: 'x' was measured at 8, and is simulated from 0 to 7"),
        ("output,at,value,error\nx,,1,1\n", "line 2: 'x' has a grid (time); say where it was measured"),
        ("output,at,value,error\nk,2,1,1\n", "line 2: 'k' is a number, and was measured at 2"),
        ("output,at,value,error\nx,0,1_0,1\n", "line 2, column 'value': '1_0' is not a finite number"),
        ("output,at,value,error\nx,0,nan,1\n", "line 2, column 'value': 'nan' is not a finite number"),
        ("output,at,value,error\nx,0,1,0\n", "line 2, column 'error': 0 is no standard deviation"),
        ("output,at,value,error\nx,0,1\n", "line 2: 3 values, but the header names 4 columns"),
    ],
)
def test_what_is_wrong_with_a_table_is_said_with_its_place(tmp_path, text, message):
    with pytest.raises(InputError, match=re.escape(message)):
        read(tmp_path, text)


def test_measurements_are_read_as_they_come_and_limits_of_detection_are_none(tmp_path, caplog):
    expected = read(tmp_path, TABLE)
    with caplog.at_level("INFO"):
        other = read(tmp_path, "\ufeff" + TABLE.replace(",", ";").replace(".", ",").replace("\n", ";\r\n"))
    assert caplog.messages[0].endswith("read as semicolon-separated, decimal commas, 1 comment line")
    for name in ("output", "at", "value", "error"):
        assert getattr(other, name).tolist() == getattr(expected, name).tolist()
    with pytest.raises(InputError, match=r"line 2, column 'value': '<0.25' is not a finite number \(a limit"):
        read(tmp_path, "output,at,value,error\nx,0,<0.25,1\n")


def test_measurements_in_units_are_taken_if_they_are_the_outputs(tmp_path):
    outputs = Outputs((Output("x", GRID, grid_name="time", grid_unit="h", unit="µM", scale="linear"),))
    assert read(tmp_path, "output,time (h),value [µM],error [µM]\nx,1,2,0.5\n", outputs).at.tolist() == [1.0]
    for other in ("time (min),value,error", "time,value (nM),error", "time,value,error (%)"):
        with pytest.raises(InputError, match="convert it, or leave the unit out"):
            read(tmp_path, f"output,{other}\nx,1,2,0.5\n", outputs)


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.csv"):
        Match(str(tmp_path / "nowhere.csv")).bind(OUTPUTS)


def test_a_set_fits_within_three_deviations_of_its_chi_square_unless_told_otherwise(tmp_path):
    (tmp_path / "measured.csv").write_text(TABLE)
    path = str(tmp_path / "measured.csv")
    assert Match(path).bind(OUTPUTS).limit == pytest.approx(4 + 3 * np.sqrt(8))
    measured = Observations.read(tmp_path / "measured.csv", OUTPUTS)
    chi2 = np.square(measured.compare(simulated(200)).residuals).sum(axis=1)
    labels = Match(path, limit=float(np.median(chi2))).bind(OUTPUTS)(simulated(200))
    assert labels.tolist() == (chi2 <= np.median(chi2)).astype(int).tolist()


def test_what_could_not_be_simulated_fits_nothing(tmp_path):
    (tmp_path / "measured.csv").write_text(TABLE)
    says = {"x": np.full((1, 4), np.nan), "k": np.zeros(1)}
    assert Match(str(tmp_path / "measured.csv")).bind(OUTPUTS)(says).tolist() == [0]


def test_models_that_compare_themselves_need_a_limit_and_no_table():
    own = Outputs((Output("chi2", scale="log", floor=1e-6), Output("noise", scale="linear")))
    with pytest.raises(InputError, match=r"the largest chi2 \+ noise"):
        Match().bind(own)
    says = {"chi2": np.array([1.0, 5.0]), "noise": np.array([2.0, 2.0])}
    assert Match(limit=4.0).bind(own)(says).tolist() == [1, 0]
    with pytest.raises(InputError, match="a table of measurements"):
        Match().bind(OUTPUTS)


def test_it_labels_what_is_stored(tmp_path):
    (tmp_path / "measured.csv").write_text(TABLE)
    outputs = Outputs((Output("x", GRID, grid_name="time"), Output("k", scale="linear")))
    labelling = Labelling(Match(str(tmp_path / "measured.csv")), outputs)
    raw = {"x": np.array([[1.0, 1.5, 2.5, 4.0], [9.0, 9.0, 9.0, 9.0]]), "k": np.array([3.0, 3.0])}
    profiles, log_peaks, _, _ = outputs.scaled(outputs.join(raw, 2))
    assert labelling(profiles, log_peaks).tolist() == [1, 0]


def test_of_predictions_their_variance_adds_to_the_noise(tmp_path):
    (tmp_path / "measured.csv").write_text(TABLE)
    labelling = Labelling(Match(str(tmp_path / "measured.csv")), OUTPUTS)
    rng = np.random.default_rng(1)
    members = [{"profiles": rng.normal(1, 0.5, (300, 5)), "log_peaks": np.zeros((300, 2))} for _ in range(4)]
    together = np.mean([own["profiles"] for own in members], axis=0)
    labels = labelling.given(members)(together, np.zeros((300, 2)))
    measured = Observations.read(tmp_path / "measured.csv", OUTPUTS)
    names = [OUTPUTS.by_name(own["profiles"], own["log_peaks"]) for own in members]
    says = np.array([measured.simulated(of) for of in names])
    deviations = (
        np.stack([of["x"] for of in names]).std(axis=0, ddof=1),
        np.stack([of["k"] for of in names]).std(axis=0, ddof=1),
    )
    # Between points, deviations are taken from a straight line, too.
    spread = measured.simulated(dict(zip(("x", "k"), deviations, strict=True)))
    chi2 = ((says.mean(axis=0) - measured.value) ** 2 / (measured.error**2 + spread**2)).sum(axis=1)
    assert labels.tolist() == (chi2 <= 4 + 3 * np.sqrt(8)).astype(int).tolist()
    alone = labelling(together, np.zeros((300, 2)))
    assert labels.sum() > alone.sum() > 0


def test_a_model_that_compares_itself_is_ruled_out_where_it_is_implausible():
    own = Outputs((Output("chi2", scale="linear"), Output("noise", scale="linear")))
    labelling = Labelling(Match(limit=10.0), own)
    members = [{"profiles": np.array([[12.0 + step, 0.0]] * 2), "log_peaks": np.zeros((2, 2))} for step in (-1, 1)]
    middle, log_peaks = np.array([[12.0, 0.0], [12.0, 3.0]]), np.zeros((2, 2))
    # Deviations √2: (12 − 10) / √2 is below 3, (15 − 10) / √2 above.
    assert labelling.given(members)(middle, log_peaks).tolist() == [1, 0]
    assert labelling(middle, log_peaks).tolist() == [0, 0]
