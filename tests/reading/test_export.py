"""Results as files of other programs, read back by these."""

import csv
import shutil
import subprocess

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from click.testing import CliRunner

import mechscreen
from campaigns import REPRESSILATOR
from mechscreen import cli
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.reading.export import export
from mechscreen.reading.hit import Hit, export_hit, find_hit, hit_as_text
from mechscreen.schemas.screen import ScreenHits
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.stages.imported import read_imported
from mechscreen.stages.search import seeds_of
from mechscreen.stages.simulate import simulate

FAILING = '''
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Failing(Model):
    """A number that is called as a parameter is, and a field; a third of the samples fail."""

    name = "failing-of-the-export-tests"
    version = "1"
    isolated = False
    space = ParameterSpace([Parameter("a", 0.0, 3.0), Parameter("kind", 0, 1, categories=("wild", "mutant"))])
    outputs = (Output("a"), Output("f g", (np.arange(2.0), np.arange(2.0)), scale="linear"))

    def solve(self, parameters, seeds):
        a = parameters[:, 0]
        field = np.stack([a, a + 1, a + 2, a + 3], axis=1).reshape(-1, 2, 2)
        return Solution({"a": np.where(a < 1, np.nan, 2 * a), "f g": field}, ["low" if x < 1 else "" for x in a])


def big(outputs):
    return (outputs["a"] > 3).astype(int)
'''


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    folder = tmp_path_factory.mktemp("failing")
    (folder / "failing.py").write_text(FAILING)
    objective = {"name": f"{folder / 'failing.py'}:big", "options": {"classes": ["no", "yes"]}, "target": ["yes"]}
    campaign = Campaign.from_dict(
        {
            "name": "failing",
            "results": str(folder / "results"),
            "seed": 2,
            "model": {"name": f"{folder / 'failing.py'}:Failing"},
            "simulations": {"count": 3000, "shard_size": 1500},
            "screen": {"count": 10, "block_size": 10, "objective": objective},
        }
    )
    campaign.record()
    for shard in range(2):
        simulate(campaign, shard)
    return campaign


def expected(campaign):
    """Return what is exported, by the dataset: rows that are OK, parameters and outputs."""
    found = mechscreen.open(campaign.paths.root).simulations
    ok = np.flatnonzero(found.status.values == "OK")
    assert 1500 < len(ok) < 2500
    return ok, found.parameters.values[ok], found["a"].values[ok], found["f g"].values[ok]


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_has_a_row_for_each_simulation_that_is_ok(failing, tmp_path, kind):
    to = tmp_path / f"runs.{kind}"
    said = export(mechscreen.open(failing.paths.root), "simulations", to)
    ok, parameters, a, field = expected(failing)
    assert (
        said
        == f"{to}: {len(ok):,} simulations; {3000 - len(ok):,} that failed were left out (--failed writes them, too)"
    )
    table = pd.read_csv(to) if kind == "csv" else pd.read_parquet(to)
    assert table.columns.tolist() == ["sample", "a", "kind", "a_", "f g[0][0]", "f g[0][1]", "f g[1][0]", "f g[1][1]"]
    np.testing.assert_array_equal(table["sample"], ok)
    np.testing.assert_array_equal(table["a"], parameters[:, 0])
    np.testing.assert_array_equal(table["kind"], np.array(["wild", "mutant"])[parameters[:, 1].astype(int)])
    np.testing.assert_array_equal(table["a_"].astype(np.float32), a)
    np.testing.assert_array_equal(table["f g[1][0]"].astype(np.float32), field[:, 1, 0])


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_failed_rows_are_written_when_asked_for_and_are_empty(failing, tmp_path, kind):
    to = tmp_path / f"runs.{kind}"
    assert export(mechscreen.open(failing.paths.root), "simulations", to, failed=True) == f"{to}: 3,000 simulations"
    table = pd.read_csv(to) if kind == "csv" else pd.read_parquet(to)
    wrong = table["status"] != "OK"
    assert set(table["status"][wrong]) == {"NOT_FINITE"}
    assert set(table["reason"][wrong]) == {"low"}
    np.testing.assert_array_equal(table["a_"].isna(), wrong)
    np.testing.assert_array_equal(wrong, table["a"] < 1)


def test_arrays_have_the_names_and_shapes_of_the_dataset(failing, tmp_path):
    results = mechscreen.open(failing.paths.root)
    export(results, "simulations", tmp_path / "runs.npz")
    ok, parameters, a, field = expected(failing)
    with np.load(tmp_path / "runs.npz", allow_pickle=False) as file:
        np.testing.assert_array_equal(file["sample"], ok)
        np.testing.assert_array_equal(file["parameters"], parameters)
        np.testing.assert_array_equal(file["a"], a)
        np.testing.assert_array_equal(file["f g"], field)
        assert file["parameter_names"].tolist() == ["a", "kind"]
    export(results, "simulations", tmp_path / "runs.nc", failed=True)
    with xr.open_dataset(tmp_path / "runs.nc") as file:
        np.testing.assert_array_equal(file["f g"], results.simulations["f g"])
        np.testing.assert_array_equal(file["reason"], results.simulations["reason"])
        assert file.attrs["campaign"] == "failing"


@pytest.mark.parametrize("kind", ["csv", "npz"])
def test_what_is_exported_can_be_imported_by_another_campaign(failing, tmp_path, kind):
    table = tmp_path / f"runs.{kind}"
    export(mechscreen.open(failing.paths.root), "simulations", table)
    (found,) = read_imported(failing, [table])
    _, parameters, a, field = expected(failing)
    np.testing.assert_array_equal(found.parameters, parameters)
    np.testing.assert_array_equal(found.profiles, np.concatenate([a[:, None], field.reshape(-1, 4)], axis=1))
    if kind == "npz":
        with np.load(table) as file:
            np.savez(table, **{**{name: file[name] for name in file.files}, "position": np.array([0.0, 7.0])})
        with pytest.raises(InputError, match=r"its axis 'position' is another than the model's"):
            read_imported(failing, [table])


def test_pairs_are_what_estimators_of_posteriors_take(failing, tmp_path):
    said = export(mechscreen.open(failing.paths.root), "simulations", tmp_path / "pairs.sbi.npz")
    ok, parameters, a, field = expected(failing)
    assert f"{len(ok):,} simulations; {3000 - len(ok):,} that failed were left out" in said
    with np.load(tmp_path / "pairs.sbi.npz", allow_pickle=False) as file:
        theta, x = file["theta"], file["x"]
        assert theta.dtype == x.dtype == np.float32
        assert (theta.flags.c_contiguous, x.shape) == (True, (len(ok), 5))
        np.testing.assert_array_equal(theta, parameters.astype(np.float32))
        np.testing.assert_array_equal(x, np.concatenate([a[:, None], field.reshape(-1, 4)], axis=1))
        assert file["x_names"].tolist() == ["a", "f g[0][0]", "f g[0][1]", "f g[1][0]", "f g[1][1]"]
        assert file["theta_names"].tolist() == ["a", "kind"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "npz", "nc"])
def test_hits_validated_hits_and_planes_are_exported_alike(stripe, tmp_path, kind):
    results = mechscreen.open(stripe.paths.root)
    for what in ("hits", "validated", "planes"):
        export(results, what, tmp_path / f"{what}.{kind}")
    hits, validated, planes = results.hits, results.validated, results.planes
    ok = validated.status.values == "OK"
    if kind in ("csv", "parquet"):
        read = pd.read_csv if kind == "csv" else pd.read_parquet
        table = read(tmp_path / f"hits.{kind}")
        np.testing.assert_array_equal(table["sample"], hits.index)
        np.testing.assert_array_equal(table["K_on"], hits["K_on"])
        assert set(table["class"]) == {"second half"}
        table = read(tmp_path / f"validated.{kind}")
        np.testing.assert_array_equal(table["confirmed"], validated.confirmed[ok])
        values = table[[f"emulated gene[{i}]" for i in range(101)]].to_numpy(np.float32)
        np.testing.assert_array_equal(values, validated.gene.sel(of="emulator")[ok])
        table = read(tmp_path / f"planes.{kind}")
        assert len(table) == 10 * 40 * 40
        one = table[(table["first"] == "K_on") & (table["second"] == "K_off")]
        counts = planes.counts.sel({"class": "second half", "plane": "K_on, K_off"})
        np.testing.assert_array_equal(one["counts of second half"].to_numpy().reshape(40, 40), counts)
        assert one["first_from"].iloc[0] == 0.1
    elif kind == "npz":
        with np.load(tmp_path / "hits.npz") as file:
            np.testing.assert_array_equal(file["K_on"], hits["K_on"])
        with np.load(tmp_path / "validated.npz") as file:
            np.testing.assert_array_equal(file["gene"], validated.gene[ok])
        with np.load(tmp_path / "planes.npz") as file:
            np.testing.assert_array_equal(file["counts"], planes.counts)
    else:
        for what, array in (("hits", hits["K_on"]), ("planes", planes.counts), ("validated", validated.gene[ok])):
            with xr.open_dataset(tmp_path / f"{what}.nc") as file:
                name = {"hits": "K_on", "planes": "counts", "validated": "gene"}[what]
                np.testing.assert_array_equal(file[name], array)


def test_wrong_names_of_files_and_files_that_are_there_are_refused(failing, stripe, tmp_path):
    results = mechscreen.open(failing.paths.root)
    (tmp_path / "there.csv").write_text("mine")
    for name, what, problem in [
        ("x.xlsx", "simulations", r"no kind of file '\.xlsx' \(valid: \.csv, \.parquet, \.npz, \.nc, \.sbi\.npz\)"),
        ("x.pt", "simulations", r"is PyTorch's to write; give a name that ends with \.sbi\.npz"),
        ("x.sbi.npz", "hits", "hits are no simulations of parameter sets that were drawn"),
        ("there.csv", "simulations", "is there already"),
        ("x.csv", "hits", "there are no hits yet"),
    ]:
        with pytest.raises(InputError, match=problem):
            export(results, what, tmp_path / name)
    with pytest.raises(InputError, match="no place for those that failed"):
        export(results, "simulations", tmp_path / "x.sbi.npz", failed=True)
    assert {path.name for path in tmp_path.iterdir()} == {"there.csv"}
    assert (tmp_path / "there.csv").read_text() == "mine"


def test_pairs_of_a_campaign_whose_parameter_sets_were_selected_are_refused(stripe, tmp_path):
    values = {**stripe.model_dump(mode="json"), "name": "more", "seed": 8, "selection": {"campaign": "small"}}
    second = Campaign.from_dict(values)
    second.record()
    with pytest.raises(InputError, match=r"'more' were selected, .* export those of 'small'"):
        export(mechscreen.open(second.paths.root), "simulations", tmp_path / "pairs.sbi.npz")
    shutil.rmtree(second.paths.root)


def test_a_damaged_shard_leaves_no_half_file(failing, tmp_path):
    root = shutil.copytree(failing.paths.root, tmp_path / "damaged")
    shard = root / "simulations/shard-00001.h5"
    results = mechscreen.open(root)
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1
    shard.write_bytes(content)
    (tmp_path / "out").mkdir()
    for kind in ("csv", "parquet", "npz", "sbi.npz", "nc"):
        with pytest.raises(mechscreen.FileError, match=r"shard-00001\.h5: is damaged"):
            export(results, "simulations", tmp_path / f"out/runs.{kind}")
    assert list((tmp_path / "out").iterdir()) == []


def run(*arguments):
    return CliRunner().invoke(cli.cli, [str(argument) for argument in arguments])


def test_the_verb_writes_and_says_what(stripe, tmp_path):
    done = run("export", "hits", stripe.paths.root, "--to", tmp_path / "hits.csv")
    n = len(mechscreen.open(stripe.paths.root).hits)
    assert (done.exit_code, done.output) == (0, f"{tmp_path / 'hits.csv'}: {n:,} hits\n")
    assert len(list(csv.reader((tmp_path / "hits.csv").open()))) == n + 1
    for arguments in (["hits"], ["hit"], ["hits", "--to", "x.csv", "--number", "1"], ["hit", "--failed"]):
        assert run("export", *arguments[:1], stripe.paths.root, *arguments[1:]).exit_code == 2


def test_a_hit_goes_by_its_trust_or_by_its_sample_number(stripe, tmp_path):
    results = mechscreen.open(stripe.paths.root)
    table = ValidatedHits.read(stripe.paths.validation_hits)
    first = table.by_trust[0]
    done = run("export", "hit", stripe.paths.root, "--number", 1)
    told = yaml.safe_load(done.output)
    assert told["sample"] == table.index[first]
    assert list(told["parameters"].values()) == table.parameters[first].tolist()
    assert told["units"]["c0"] == "nM"
    same = run("export", "hit", stripe.paths.root, "--sample", told["sample"], "--to", tmp_path / "hit.yaml")
    assert same.exit_code == 0, same.output
    assert yaml.safe_load((tmp_path / "hit.yaml").read_text()) == told
    others = ScreenHits.read(stripe.paths.screen_hits).hits
    row = int(np.flatnonzero(~np.isin(others.index, table.index))[0])
    np.testing.assert_array_equal(find_hit(results, None, int(others.index[row])).parameters, others.parameters[row])
    with pytest.raises(InputError, match=rf"no hit {len(table) + 1} \(there are {len(table)}\)"):
        find_hit(results, len(table) + 1, None)
    missing = int(others.index.max()) + 1
    with pytest.raises(InputError, match=f"no hit with the sample number {missing}"):
        find_hit(results, None, missing)
    with pytest.raises(InputError, match=r"no kind of file '\.xml' of the model"):
        export_hit(results, 1, None, tmp_path / "hit.xml")
    assert not (tmp_path / "hit.xml").exists()


SCALED = """
model scaled
  compartment cell = 2;
  species A in cell, B in cell;
  A = 4; B := 2 * A;
  species C in cell;
  C = k0 * 3;
  k0 = 0.5; k = k0 / 2;
  J1: A -> C; cell * k * A;
end
"""


@pytest.mark.parametrize(
    ("text", "options", "names"),
    [
        (REPRESSILATOR, {"vary": {"alpha": [5, 500], "n": [1, 4], "A": [0.1, 10]}, "values": {"C": 2.5}}, "ABC"),
        (SCALED, {"vary": {"cell": [1, 3], "k0": [0.1, 2], "A": [1, 9], "k": [0.01, 1]}}, "ABC"),
    ],
)
def test_a_hit_of_an_sbml_model_read_by_the_engine_gives_the_series_of_the_model(tmp_path, text, options, names):
    roadrunner = pytest.importorskip("roadrunner")
    (tmp_path / "model.ant").write_text(text)
    campaign = sbml_campaign(tmp_path, options, names)
    parameters = np.array([p.low * (p.high / p.low) ** 0.7 for p in campaign.space])
    results = mechscreen.open(campaign.paths.root)
    sbml = hit_as_text(results, Hit(3, parameters, {}), None)
    solved = campaign.model_instance.solve(parameters[None], np.zeros(1, np.uint64)).profiles
    runner = roadrunner.RoadRunner(sbml)
    runner.integrator.relative_tolerance, runner.integrator.absolute_tolerance = 1e-8, 1e-12
    series = runner.simulate(0, 20, 41, [f"[{name}]" for name in names])
    for k, name in enumerate(names):
        np.testing.assert_allclose(series[:, k], solved[name][0], rtol=1e-5, atol=1e-8)
    # Elsewhere than in the middle of the ranges, the series is another.
    default = roadrunner.RoadRunner(campaign.model_instance.document.sbml).simulate(0, 20, 41, [f"[{names[0]}]"])
    assert abs(default[:, 0] - solved[names[0]][0]).max() > 0.1
    (tmp_path / "model.ant").write_text(text.replace("= 0.5", "= 0.6").replace("C = 0", "C = 1"))
    with pytest.raises(InputError, match=r"model\.ant: is not what it was when these results were made"):
        hit_as_text(mechscreen.open(campaign.paths.root), Hit(3, parameters, {}), None)


def sbml_campaign(folder, options, names):
    options = {"file": str(folder / "model.ant"), "outputs": list(names), "end": 20, "points": 41, **options}
    objective = {"name": "conditions", "options": {"classes": {"yes": f"mean({names[0]}) > 1"}}, "target": ["yes"]}
    campaign = Campaign.from_dict(
        {
            "name": "sbml",
            "results": str(folder / "results"),
            "seed": 1,
            "model": {"name": "sbml", "options": options},
            "simulations": {"count": 10, "shard_size": 10},
            "screen": {"count": 10, "block_size": 10, "objective": objective},
        }
    )
    campaign.record()
    return campaign


def test_a_hit_of_a_program_is_a_script_that_does_what_the_simulation_did(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "program.sh"
    program.write_text('#!/bin/sh\necho "$1 $2 $OFFSET $(cat deep/in.txt)" > out.txt; cat out.txt\n')
    program.chmod(0o755)
    (tmp_path / "in.tmpl").write_text("k={k} 'END0' \"$HOME\" {other}\nEND0\n")
    options = {
        "command": "./program.sh {k} {seed}",
        "parameters": {"k": [0.1, 10], "n": {"low": 1, "high": 5, "integer": True}},
        "outputs": {"y": {"file": "out.txt", "column": 0}},
        "templates": {"deep/in.txt": str(tmp_path / "in.tmpl")},
        "environment": {"OFFSET": "{n} it's"},
    }
    values = {"name": "program", "seed": 1, "model": {"name": "command", "options": options}}
    values |= {"simulations": {"count": 10, "shard_size": 10}}
    objective = {"name": "conditions", "options": {"classes": {"yes": "y > 1"}}, "target": ["yes"]}
    campaign = Campaign.from_dict({**values, "screen": {"count": 10, "block_size": 10, "objective": objective}})
    campaign.record()
    hit = Hit(7, np.array([1 / 3, 4.0]), {})
    script = hit_as_text(mechscreen.open(campaign.paths.root), hit, tmp_path / "hit.sh")
    (tmp_path / "scratch").mkdir()
    done = subprocess.run(["sh"], input=script, text=True, cwd=tmp_path / "scratch", capture_output=True, check=True)
    seed = int(seeds_of(campaign, np.array([7]))[0])
    assert done.stdout == f"{1 / 3} {seed} 4 it's k={1 / 3} 'END0' \"$HOME\" {{other}}\nEND0\n"
