"""The discover stage: tables in, model, figure and report out."""

import csv
import json
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from discovery_study.cases import get_case
from mechscreen import InputError
from mechscreen.discovery import as_model
from mechscreen.runs.equations import init_on_equations
from mechscreen.stages.discover import discover, read_time_series


def _write(path, header, rows):
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(header)
        writer.writerows(rows)
    return path


@pytest.fixture
def table(tmp_path):
    t, y = get_case("cycle").observe(0, step=0.1)
    return _write(tmp_path / "hares.csv", ["day", "prey", "predator"], np.column_stack([t, y]).tolist())


def test_a_table_becomes_a_model_a_figure_and_a_report(table, tmp_path):
    model = discover(table, tmp_path / "out", time="day")
    assert model.equations()[0].startswith("dprey/dt = 1")
    record = json.loads((tmp_path / "out" / "model.json").read_text())
    assert record["settings"]["time"] == "day"
    found = {(c["equation"], c["term"]): c for c in record["model"]["coefficients"]}
    assert set(found) == {("prey", "prey"), ("prey", "prey*predator"), ("predator", "predator"),
                          ("predator", "prey*predator")}  # fmt: skip
    entry = found["prey", "prey*predator"]
    assert entry["low"] < -0.05 < entry["high"]
    assert entry["value"] == pytest.approx(model.coefficients[0, 4])
    png = (tmp_path / "out" / "discovery.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    page = (tmp_path / "out" / "report.html").read_text()
    for text in ("hares.csv", "prey*predator", "standard error", "data:image/webp;base64,"):
        assert text in page


def test_several_trajectories_gaps_and_missing_values_are_read(tmp_path):
    case = get_case("over-damped")
    t, y = case.observe(1)
    y[::7, 0] = np.nan
    rows = []
    for name, part in (("a", slice(0, 300)), ("b", slice(300, 700))):
        for time, values in zip(t[part] - t[part][0], y[part], strict=True):
            rows.append([name, f"{time:.9g}", *("" if np.isnan(v) else repr(float(v)) for v in values)])
    del rows[40:60]
    path = _write(tmp_path / "two.csv", ["trajectory", "t", "x", "y"], rows)
    series = read_time_series(path, time="t", trajectory="trajectory")
    assert series.labels == ("a", "b")
    assert [len(v) for v in series.t] == [280, 400]
    assert np.isnan(series.y[0][0, 0])
    model = discover(path, tmp_path / "out")
    assert np.array_equal(model.support, case.coefficients() != 0)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty; the first row names the columns"),
        ("t,x\n", {}, "has no data"),
        ("t,x\n0,1\n", {"time": "time"}, "no column 'time'"),
        ("t,prey\n0,1\n", {"columns": ["pray"]}, "did you mean 'prey'"),
        ("t,x,x\n0,1,2\n", {}, "column 'x' stands there 2 times"),
        ("t\n0\n1\n", {}, "no column but 't'"),
        ("t,x\n0,1\n1\n", {}, "line 3: 1 value, but the header names 2 columns"),
        ("t,x\n0,1\n1,one\n", {}, "line 3, column 'x': 'one' is not a finite number"),
        ("t,x\n0,1\n1,inf\n", {}, "line 3, column 'x': 'inf' is not a finite number"),
        ("t,x\n0,1\n,2\n", {}, "line 3, column 't'"),
        ("t,x\n0,1\n1,2\n", {}, "needs at least 3"),
    ],
)
def test_a_bad_table_is_refused_and_nothing_is_written(tmp_path, text, options, message):
    path = tmp_path / "bad.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        discover(path, tmp_path / "out", **options)
    assert not (tmp_path / "out" / "model.json").exists()


def test_a_table_that_determines_no_model_leaves_no_folder(tmp_path):
    table = tmp_path / "three.csv"
    table.write_text("t,x\n0,1\n1,2\n2,3\n")
    with pytest.raises(InputError):
        discover(table, tmp_path / "some/folder")
    assert [path.name for path in tmp_path.iterdir()] == ["three.csv"]


def test_a_missing_table_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none.csv: cannot be read"):
        discover(tmp_path / "none.csv", tmp_path / "out")


GERMAN = ["# Teich 3", "Datum;[PG];Algen (10^6 Zellen/ml)", "-;µM;10^6/ml"]


@pytest.fixture
def pond(tmp_path):
    """A table as German programs write it: days apart, two runs, one value below detection."""
    t, y = get_case("cycle").observe(0, step=0.1)
    lines = list(GERMAN)
    for run, rows in enumerate((range(100), range(100, 200))):
        for k, row in enumerate(rows):
            day = datetime(2021, 3, 4) + timedelta(days=float(t[k]))
            values = [f"{value:.9g}".replace(".", ",") for value in y[row]]
            values[0] = "<0,01" if (run, k) == (0, 7) else values[0]
            lines.append(";".join([day.strftime("%d.%m.%Y %H:%M:%S.%f"), *values]))
    path = tmp_path / "teich.csv"
    path.write_bytes("\r\n".join(lines).encode("utf-16"))
    return path


def test_a_table_as_it_comes_is_read_told_and_kept_with_the_results(pond, tmp_path, caplog):
    with pytest.raises(InputError, match=r"line 104, column 'Datum': the time falls back from .* --split-at-restart"):
        discover(pond, tmp_path / "out")
    with caplog.at_level("INFO"):
        model = discover(pond, tmp_path / "out", split_at_restart=True)
    told = (
        "semicolon-separated, UTF-16, decimal commas, 1 comment line, a row of units in line 3 (–, µM, 10^6/ml), times "
        "from 'Datum', dates day first, times in days since 2021-03-04 00:00, split where the time falls back (line "
        "104), 1 value beyond detection left out, PG for '[PG] [µM]'"
    )
    assert f"{pond}: read as {told}" in caplog.messages
    assert model.equations()[0].startswith("dPG/dt = 1")
    kept = json.loads((tmp_path / "out" / "model.json").read_text())["settings"]
    assert kept["read_as"] == told
    assert kept["time"] == "Datum [days since 2021-03-04 00:00]"
    assert kept["variables"] == {"PG": "[PG] [µM]", "Algen": "Algen (10^6 Zellen/ml)"}
    assert kept["trajectories"] == ["1", "2"]
    assert "Algen (10^6 Zellen/ml)" in (tmp_path / "out" / "report.html").read_text()


def test_patients_with_few_visits_are_used_or_left_out_by_name_and_line(tmp_path):
    rng = np.random.default_rng(0)
    rows = []
    for patient, start in enumerate(rng.uniform(1, 5, 30)):
        t = np.arange(1 if patient in (4, 8) else 3) * 0.7
        rows += [[f"p{patient}", time, start * np.exp(-time) * (1 + 0.01 * rng.standard_normal())] for time in t]
    # One visit stands there twice.
    rows[-1][1] = rows[-2][1]
    path = _write(tmp_path / "visits.csv", ["patient", "t", "dose"], rows)
    model = discover(path, tmp_path / "out", trajectory="patient", degree=1)
    assert model.equations()[0].endswith("dose")
    settings = json.loads((tmp_path / "out" / "model.json").read_text())["settings"]
    assert len(settings["trajectories"]) == len(model.t) == 27
    assert model.left_out == (
        "patient p29 (lines 85 to 87): 0.7 stands there twice",
        "patient p4 (line 14): one row",
        "patient p8 (line 24): one row",
    )
    page = (tmp_path / "out" / "report.html").read_text()
    assert "patient p4 (line 14): one row" in page
    assert "8 of 27 trajectories, at equal distances in the table." in page


def test_where_a_time_stands_twice_in_the_only_trajectory_it_is_refused(tmp_path):
    path = _write(tmp_path / "twice.csv", ["t", "x"], [[0, 1], [1, 2], [1, 3], [2, 4]])
    with pytest.raises(InputError, match=r"line 4, column 't': 1 stands there twice .line 3."):
        discover(path, tmp_path / "out")


def test_the_fit_is_drawn_between_samples_as_the_equations_go(tmp_path):
    """Four samples of growth, lines between which would miss how it bends."""
    t = np.linspace(0, 6, 4)
    rng = np.random.default_rng(0)
    rows = []
    for run, start in enumerate(rng.uniform(0.01, 0.1, 20)):
        exact = start * np.exp(t) / (1 + start * (np.exp(t) - 1))
        rows += [[f"r{run}", *row] for row in zip(t, exact + 0.002 * rng.standard_normal(4), strict=True)]
    model = discover(_write(tmp_path / "few.csv", ["trajectory", "t", "x"], rows), tmp_path / "out")
    for (times, x), start in zip(model.curves, model.initial[:, 0], strict=True):
        assert len(times) >= 200
        closed = start * np.exp(times) / (1 + start * (np.exp(times) - 1))
        np.testing.assert_allclose(x[:, 0], closed, atol=0.02)
        assert np.abs(np.interp(times, t, np.interp(t, times, closed)) - closed).max() > 0.03


def test_marks_of_formulas_in_names_are_drawn_as_they_stand(tmp_path):
    t, y = get_case("cycle").observe(0, step=0.1)
    path = _write(tmp_path / "odd.csv", ["t", "cost ($)", "$x_"], np.column_stack([t, y]).tolist())
    assert discover(path, tmp_path / "out").names == ("cost", "x")


KNOWLEDGE = """
only: {prey: [prey, prey*predator]}
exclude: [{predator: "1"}]
fixed: {predator: {predator: -1}}
required: [{prey: prey}]
"""


def test_knowledge_and_columns_come_from_file_and_command(table, tmp_path):
    (tmp_path / "known.yaml").write_text(KNOWLEDGE)
    model = discover(table, tmp_path / "out", time="day", knowledge=tmp_path / "known.yaml")
    assert model.support.sum() == 4
    assert model.standard_errors[1, model.library.index("predator")] == 0.0
    record = json.loads((tmp_path / "out" / "model.json").read_text())
    assert len(record["model"]["knowledge"]) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("exclud: []", "unknown key 'exclud'; did you mean 'exclude'"),
        ("exclude: [prey]", "a statement has the wrong form"),
        ("fixed: {prey: {prey: often}}", "a statement has the wrong form"),
        ("fixed: {hare: {prey: 1}}", "no variable 'hare'"),
        ("- x", "expected a mapping"),
    ],
)
def test_knowledge_of_the_wrong_form_is_refused(table, tmp_path, text, message):
    (tmp_path / "known.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        discover(table, tmp_path / "out", time="day", knowledge=tmp_path / "known.yaml")
    assert not list((tmp_path / "out").glob("*"))


def test_an_input_has_no_equation(tmp_path):
    """x' = u − x, u in steps, of a table with a label for a name."""
    t = np.arange(0, 12.1, 0.2)
    drug = np.floor(t / 3) % 2 + 0.5
    x = [1.0]
    for begin, end, u in zip(t[:-1], t[1:], drug[:-1], strict=True):
        x.append(u + (x[-1] - u) * np.exp(begin - end))
    x = np.array(x) + 0.003 * np.random.default_rng(0).standard_normal(len(t))
    table = _write(tmp_path / "dose.csv", ["t", "x", "drug (mM)"], np.column_stack([t, x, drug]).tolist())
    model = discover(table, tmp_path / "out", degree=1, inputs=["drug (mM)"])
    assert (model.names, model.inputs) == (("x",), ("drug",))
    np.testing.assert_allclose(model.coefficients, [[0, -1, 1]], atol=0.02)
    assert json.loads((tmp_path / "out/model.json").read_text())["model"]["inputs"] == ["drug"]


def test_unknowns_inside_of_terms_are_reported(tmp_path):
    """x' = −x/(0.5 + x), from the time at which it has a value."""
    x = np.linspace(3, 0.05, 40)
    t = 3 - x + 0.5 * np.log(3 / x)
    x = x + 0.003 * np.random.default_rng(0).standard_normal(len(t))
    table = _write(tmp_path / "uptake.csv", ["t", "x"], np.column_stack([t, x]).tolist())
    model = discover(table, tmp_path / "out", degree=1, forms=["rational"])
    ((term, name, value, low, high),) = model.unknowns()
    assert (term, name) == (f"x/({value:.4g} + x)", "K")
    assert low < 0.5 < high
    assert json.loads((tmp_path / "out/model.json").read_text())["model"]["unknowns"][0]["value"] == value
    assert "K of x/(" in model.summary()
    assert "K of x/(" in (tmp_path / "out/report.html").read_text()


def test_noise_is_of_a_kind_or_in_a_column_of_errors(tmp_path):
    t, y = get_case("cycle").observe(0, step=0.1)
    errors = np.random.default_rng(0).choice([2.0, 15.0], len(t))
    y[:, 0] += errors * np.random.default_rng(1).standard_normal(len(t))
    rows = np.column_stack([t, y, errors]).tolist()
    table = _write(tmp_path / "hares.csv", ["t", "prey", "predator", "sd of prey"], rows)
    model = discover(table, tmp_path / "out", noise=["prey=sd of prey", "predator=constant"])
    assert (model.names, model.noise_kinds) == (("prey", "predator"), ("given", "constant"))
    np.testing.assert_allclose(model.noise_factors[0], 1, rtol=0.3)
    np.testing.assert_allclose(model.coefficients[0, [1, 4]], [1, -0.05], rtol=0.05)
    record = json.loads((tmp_path / "out/model.json").read_text())
    assert record["model"]["noise_kinds"] == ["given", "constant"]
    assert record["settings"]["noise"] == ["prey=sd of prey", "predator=constant"]
    assert "times what was given" in (tmp_path / "out/report.html").read_text()
    some = discover(table, tmp_path / "some", columns=["prey", "predator"], noise=["prey=sd of prey"])
    np.testing.assert_allclose(some.coefficients, model.coefficients, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize(
    ("noise", "message"),
    [
        (["constant", "prey=poisson"], "one kind for all variables, or name=kind for each; not both"),
        (["gaussian"], "no kind of noise 'gaussian'"),
        (["prey=sd"], "no column 'sd'"),
        (["hare=predator"], "no column 'hare'"),
        (["prey=predator"], "the error of 'prey' in row"),
    ],
)
def test_noise_that_makes_no_sense_is_refused(noise, message, table, tmp_path):
    rows = [line.split(",") for line in table.read_text().split()]
    table = _write(tmp_path / "signed.csv", rows[0], [[*row[:2], f"-{row[2]}"] for row in rows[1:]])
    with pytest.raises(InputError, match=message):
        discover(table, tmp_path / "out", time="day", noise=noise)
    assert not (tmp_path / "out").exists()


def test_hares_and_lynxes_of_the_hudson_bay_company_with_noise_in_proportion(tmp_path):
    """Published: 0.55, 0.028, 0.80 to 0.84 and 0.024 to 0.026 (Howard 2009; Carpenter 2018)."""
    data = Path(__file__).parents[2].parent / "shared" / "data" / "lynx-hare.csv"
    if not data.exists():
        pytest.skip("needs ../shared/data/lynx-hare.csv")
    model = discover(data, tmp_path / "out", time="year", noise=["proportional"])
    found = dict(zip(model.names, model.coefficients, strict=True))
    place = {name: model.term_names.index(name) for name in ("hare", "lynx")}
    both = next(m for m, name in enumerate(model.term_names) if set(name.split("*")) == {"hare", "lynx"})
    assert (model.coefficients != 0).sum() == 4
    assert found["hare"][place["hare"]] == pytest.approx(0.55, abs=0.03)
    assert -found["hare"][both] == pytest.approx(0.028, abs=0.001)
    assert 0.8 < -found["lynx"][place["lynx"]] < 0.84
    assert 0.024 < found["lynx"][both] < 0.026


def _doses(path, rows_with_labels=1):
    """x' = k dose − x under two conditions, k = 1 and 2, two doses each; labels stand in some rows alone."""
    rng = np.random.default_rng(0)
    t = np.linspace(0, 4, 20)
    rows = []
    for run, (condition, k, dose) in enumerate([("rich", 1, 1), ("poor", 2, 1), ("rich", 1, 3), ("poor", 2, 2.5)]):
        x = k * dose * (1 - np.exp(-t)) + 0.02 * rng.standard_normal(20)
        for i in range(20):
            labels = [condition, dose] if i < rows_with_labels else ["", ""]
            rows.append([run, *labels, t[i], x[i]])
    return _write(path, ["trajectory", "the medium", "dose [mg]", "t", "x"], rows)


@pytest.mark.parametrize(("varies", "rows"), [(["x: dose"], 1), (None, 20)])
def test_conditions_and_constants_are_columns_of_the_table(tmp_path, varies, rows):
    table = _doses(tmp_path / "doses.csv", rows)
    options = {"degree": 1, "group": "the medium", "constants": ["dose"], "noise": ["constant"], "varies": varies}
    model = discover(table, tmp_path / "out", **options)
    assert [model.term_names[m] for m in np.flatnonzero(model.varying[0])] == ["dose"]
    for label, k in (("rich", 1), ("poor", 2)):
        np.testing.assert_allclose(model.of_group(label).coefficients[0], [0, -1, k], atol=0.05)
    record = json.loads((tmp_path / "out/model.json").read_text())
    assert record["settings"] | {"group": "the medium", "constants": ["dose"], "varies": varies} == record["settings"]
    assert record["settings"]["variables"] == {"x": "x"}
    (entry,) = [one for one in record["model"]["coefficients"] if one["term"] == "dose"]
    assert [own["group"] for own in entry["groups"]] == ["rich", "poor"]
    assert record["model"]["groups"][1]["trajectories"] == [1, 3]
    page = (tmp_path / "out/report.html").read_text()
    assert "dose (rich)" in page
    assert "rich, poor; by them varies dose in dx/dt." in page


def test_conditions_and_constants_of_trajectories_that_are_left_out_do_not_count(tmp_path):
    header, *rows = csv.reader(_doses(tmp_path / "doses.csv", 20).open())
    rows = [["one row", "pure", 9, 0, 0], ["twice", "", "", 0, 1], ["twice", "", "", 0, 2], *rows]
    table = _write(tmp_path / "more.csv", header, rows)
    model = discover(table, tmp_path / "out", degree=1, group="the medium", constants=["dose"], varies=["x: dose"])
    assert model.left_out == (
        "trajectory twice (lines 3 to 4): 0 stands there twice", "trajectory one row (line 2): one row",
    )  # fmt: skip
    assert [(group.label, group.trajectories) for group in model.groups] == [("rich", (0, 2)), ("poor", (1, 3))]
    assert [float(course(np.zeros(1))[0, 0]) for course in model.courses] == [1, 1, 3, 2.5]
    record = json.loads((tmp_path / "out/model.json").read_text())
    assert record["settings"]["trajectories"] == ["0", "1", "2", "3"]
    assert "Left out" in (tmp_path / "out/report.html").read_text()


def test_trajectories_may_be_the_conditions_and_one_of_these_becomes_a_model(tmp_path):
    pytest.importorskip("antimony")
    table = _doses(tmp_path / "doses.csv", 20)
    model = discover(table, tmp_path / "out", degree=1, trajectory="trajectory", group="trajectory",
                     columns=["x"], varies=["x: 1"], noise=["constant"])  # fmt: skip
    assert [group.label for group in model.groups] == ["0", "1", "2", "3"]
    np.testing.assert_allclose([group.coefficients[0, 0] for group in model.groups], [1, 2, 3, 5], atol=0.1)
    with pytest.raises(InputError, match="as a model: coefficients vary by condition; say which one"):
        as_model(model)
    (level,) = [own.value for own in as_model(model, group="3").constants if "coefficient of 1 " in own.meaning]
    assert level == model.groups[3].coefficients[0, 0]
    assert "condition 0, the first in the table" in init_on_equations(tmp_path / "folder", table, model)
    assert "k_x_1" in (tmp_path / "folder/doses.ant").read_text()


def test_a_long_table_has_conditions_too(tmp_path):
    lines = ["trajectory,t,variable,value,strain"]
    for run, strain in enumerate(["1", "2", "1.0"]):
        lines += [f"{run},{i},a,{i + run},{strain}" for i in range(5)]
    path = tmp_path / "long.csv"
    path.write_text("\n".join(lines))
    series = read_time_series(path, group="strain")
    assert (series.names, series.groups) == (("a",), ("1", "2", "1"))
    series = read_time_series(path, constants=["strain"])
    assert (series.groups, series.constants) == ((), {"strain": (1.0, 2.0, 1.0)})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"group": "medium"}, "no column 'medium'; did you mean 'the_medium'"),
        ({"group": "x"}, r"line 3, column 'x': is .* here and .* in line 2 of the same trajectory.*--trajectory"),
        ({"constants": ["x"]}, "line 3, column 'x': is .* it must be the same throughout one"),
        ({"constants": ["temperature"]}, "no column 'temperature'"),
        ({"constants": ["dose", "dose"]}, "the constant 'dose .mg.' is named twice"),
        ({"group": "t"}, "the column 't' has the times"),
        ({"constants": ["the medium"]}, "line 2, column 'the medium': 'rich' is not a finite number"),
        ({"group": "empty"}, "line 2, column 'empty': says nothing, as in all rows of this trajectory"),
        ({"group": "alike"}, "all trajectories are of one group, 'a'"),
        ({"constants": ["one"]}, "constant 'one' is 1 in all trajectories"),
        (
            {"varies": ["x: x"]},
            "--varies: coefficients vary by condition; name the column that tells these with --group",
        ),
        ({"group": "the medium", "varies": ["x"]}, "--varies 'x': write a coefficient as equation: term"),
        ({"group": "the medium", "varies": ["x: y"]}, "varies: library: no term 'y'"),
        ({"group": "the medium", "varies": ["z: x"]}, "varies: no variable 'z'"),
    ],
)
def test_conditions_and_constants_that_make_no_sense_are_refused(tmp_path, options, message):
    header, *rows = csv.reader(_doses(tmp_path / "doses.csv").open())
    rows = [[*row, "", "a", 1] for row in rows]
    table = _write(tmp_path / "more.csv", [*header, "empty", "alike", "one"], rows)
    kept = {"degree": 1, "columns": ["x"]}
    with pytest.raises(InputError, match=message):
        discover(table, tmp_path / "out", **kept, **options)
    assert not (tmp_path / "out").exists()
