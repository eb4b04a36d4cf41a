"""The discovery study: parts, tables, figures."""

import csv
import json

import numpy as np
import pytest
import yaml

from discovery_study.measure import draw, gather, measure_actin, measure_part, read_curves, run
from discovery_study.study import Study
from mechscreen.errors import FileError, InputError

PEER = """
import numpy as np

def truth(t, y, names, degree, truth):
    return truth

def nothing(t, y, names, degree, truth):
    return np.zeros_like(truth)
"""


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    peers = folder / "peers.py"
    peers.write_text(PEER)
    values = {
        "name": "small",
        "results": str(folder / "results"),
        "seeds": 3,
        "seeds_per_job": 2,
        "methods": ["collocation", f"{peers}:truth", f"{peers}:nothing"],
        "tables": {
            "paper": {"rows": [{"case": "cycle", "step": 0.5, "published": 0.027}]},
            "dysts": {"systems": ["SprottC"], "seeds": 1, "methods": [f"{peers}:truth", f"{peers}:nothing"]},
        },
    }
    (folder / "study.yaml").write_text(yaml.safe_dump(values))
    return Study.load(folder / "study.yaml")


@pytest.fixture(scope="module")
def measured(study):
    for table in study.tables:
        for part in study.parts(table):
            measure_part(study, part.name)
    # The stand-in of actin's discovery, which takes its time elsewhere.
    record = {
        "salt": "synthetic",
        "curves": [{"total": 5.0, "t": [0.0, 1.0, 2.0], "polymer": [0.0, 1.0, 2.0]}],
        "models": [
            {
                "kind": kind, "method": method, "equations": [], "coefficients": {"α0": 0.5, "α1": 0.0}, "error": error,
                "published_error": None, "caveats": [], "paths": [{"t": [0.0, 2.0], "polymer": [0.0, None]}],
            }
            for kind in ("data-driven", "physical")
            for method, error in (("collocation", 0.25), ("odenet", None))
        ],
    }  # fmt: skip
    (study.folder / "actin").mkdir()
    (study.folder / "actin" / "synthetic.json").write_text(json.dumps(record))
    gather(study)
    return study


def table_of(study, name):
    with (study.folder / f"{name}.csv").open() as stream:
        return {(row["row"], row["method"]): row for row in csv.DictReader(stream)}


def test_tables_hold_what_each_method_did(measured):
    rows = table_of(measured, "paper")
    ours = rows["cycle-step-0.5", "collocation"]
    assert (ours["exact"], ours["runs"], ours["published_error"]) == ("3", "3", "0.027")
    assert 0.3 < float(ours["error_over_bound"]) < 2.5
    oracle = rows["cycle-step-0.5", "peers-truth"]
    assert (float(oracle["error_worst"]), oracle["coverage"]) == (0.0, "")
    assert float(oracle["valid_time"]) == pytest.approx(7.5, abs=0.6)
    nothing = rows["cycle-step-0.5", "peers-nothing"]
    assert (nothing["exact"], nothing["false_negatives"]) == ("0", "4")
    text = (measured.folder / "paper.md").read_text()
    assert "| cycle-step-0.5 | collocation | 3/3 [44–100 %] | 0 / 0 |" in text
    assert "2.7 %" in text


def test_coefficients_stand_beside_the_true_ones(measured):
    with (measured.folder / "coefficients.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    terms = [(row["equation"], row["term"], float(row["true"])) for row in rows]
    assert terms == [("dx/dt", "x", 1.0), ("dx/dt", "x*y", -0.05), ("dy/dt", "y", -1.0), ("dy/dt", "x*y", 0.03)]
    for row in rows:
        off = abs(float(row["found"]) - float(row["true"]))
        assert off < 4 * float(row["standard error"])
        assert float(row["relative error"]) == pytest.approx(off / abs(float(row["true"])), abs=1e-3)
    assert set(measured.table_names) == {path.stem for path in measured.folder.glob("*.md")}


def test_the_table_of_attractors_counts_as_the_published_study_does(measured):
    text = (measured.folder / "dysts.md").read_text()
    assert "peers-truth: error of all coefficients below 1 % for 1 of 1 systems" in text
    assert "peers-nothing: error of all coefficients below 1 % for 0 of 1 systems" in text


def test_the_table_of_actin_stands_beside_the_published_coefficients(measured):
    text = (measured.folder / "actin.md").read_text()
    assert "| data-driven | synthetic | collocation | 0.25 |" in text
    assert "Hu et al., Table 5" in text
    assert "0.739" in text


@pytest.mark.parametrize("name", ["actin", "lorenz", "lotka-volterra"])
def test_figures_are_drawn(measured, name):
    png = draw(measured, name).read_bytes()
    assert png.startswith(b"\x89PNG")
    assert len(png) > 20_000


def test_a_missing_part_is_named(study, tmp_path):
    other = study.model_copy(update={"results": str(tmp_path)})
    with pytest.raises(InputError, match=r"seeds-00000\.json: is missing; run this part"):
        gather(other)
    (tmp_path / "small/discovery/actin").mkdir(parents=True)
    (tmp_path / "small/discovery/actin/synthetic.json").write_text("[]")
    with pytest.raises(FileError, match="holds no results of a discovery study"):
        draw(other, "actin")


def test_a_part_of_fewer_seeds_than_the_study_wants_is_named(measured):
    more = measured.model_copy(update={"seeds": 4})
    with pytest.raises(FileError, match=r"seeds-00002\.json: holds 1 data sets, the study wants 2"):
        gather(more)


def test_a_part_or_figure_that_is_not_there_is_refused(study, tmp_path):
    path = tmp_path / "study.yaml"
    path.write_text(study.to_yaml())
    with pytest.raises(InputError, match="no part 'paper/cycle'"):
        run(path, part="paper/cycle")
    with pytest.raises(InputError, match="no actin curves 'KBr'"):
        run(path, part="actin/KBr")
    with pytest.raises(InputError, match="no figure 'lorens'; did you mean 'lorenz'"):
        run(path, figure="lorens")


def test_actin_curves_are_read_and_what_is_wrong_is_named(tmp_path, study):
    path = tmp_path / "actin.csv"
    path.write_text("m_tot_uM,t_hours,M_uM\n20,0.1,0.5\n20,0.2,1.5\n20,0.3,\n10,0.2,0.3\n")
    curves = read_curves(path)
    assert [(c.total, len(c.t)) for c in curves] == [(20.0, 2), (10.0, 1)]
    np.testing.assert_allclose(curves[0].polymer, [0.5, 1.5])
    path.write_text("m_tot_uM,t_hours,M_uM\nmuch,0.1,0.5\n")
    with pytest.raises(InputError, match="must hold the total concentration, not 'much'"):
        read_curves(path)
    wrong = study.model_copy(update={"actin": {"KCl": str(tmp_path / "none.csv")}})
    with pytest.raises(InputError, match=r"none\.csv: cannot be read"):
        measure_actin(wrong, "KCl")


def test_a_table_of_a_suite_is_measured_gathered_and_printed_and_then_left_as_it_is(tmp_path, capsys):
    path = tmp_path / "study.yaml"
    values = {
        "name": "suites",
        "results": str(tmp_path / "results"),
        "odebench": str(tmp_path / "none.json"),
        "tables": {
            "truths": {"suite": "truths", "select": ["inside"], "seeds": 50},
            "odebench": {"suite": "odebench", "methods": ["collocation", "truth"]},
        },
    }
    path.write_text(yaml.safe_dump(values))
    run(path, table="truths", seeds=2)
    told = capsys.readouterr()
    assert "truths/inside/collocation/seeds-00000: 2 data sets" in told.err
    assert told.out.startswith("Measured on ")
    assert "- truth inside, noise as assumed: such a caveat all the same (false): " in told.out
    assert "right of those said to be ≥ 95 % sure and without caveat: " in told.out
    folder = tmp_path / "results/suites/discovery"
    with (folder / "truths.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    seen = [(row["seed"], row["method"], row["inside"]) for row in rows]
    assert seen == [("0", "collocation", "True"), ("1", "collocation", "True")]
    assert {"reliability.md", "reliability.csv"} <= {file.name for file in folder.iterdir()}
    run(path, table="truths", seeds=2)
    assert "data sets" not in capsys.readouterr().err
    run(path, table="odebench")
    assert "Not measured: " in capsys.readouterr().out
    with pytest.raises(InputError, match="no table 'truth'; did you mean 'truths'"):
        run(path, table="truth")
