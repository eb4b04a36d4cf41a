"""Results as people read them."""

import logging
import os
import shutil
import subprocess
import sys
import tracemalloc

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import mechscreen
from campaigns import ROOT
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import FileError, InputError
from mechscreen.models import Model, Output, Parameter, ParameterSpace, Solution
from mechscreen.reading import files as module
from mechscreen.schemas.screen import ScreenHits, ScreenSummary
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.simulate import read_shard, simulate


@pytest.fixture
def results(stripe):
    return mechscreen.open(stripe.paths.root)


def test_simulations_are_what_the_model_says_with_names_and_units(stripe, results):
    found = results.simulations
    assert found.sizes == {"sample": 200, "parameter": 5, "position": 101}
    assert found.parameter.values.tolist() == list(stripe.space.names)
    assert found.unit.sel(parameter="decay_length") == "µm"
    assert found.position.attrs["units"] == "µm"
    np.testing.assert_array_equal(found.position, stripe.outputs[0].grid)
    solved = stripe.model_instance.solve(found.parameters.values, None).profiles[:, 0]
    np.testing.assert_allclose(found.gene, solved, rtol=3e-6, atol=1e-12)
    assert found.attrs["campaign"] == "small"
    assert found.attrs["drawn"] == "by the campaign's priors"
    assert (found.status == "OK").all()
    assert set(found.reason.values) == {""}


def test_any_way_of_indexing_gives_the_same_values(results):
    found = results.simulations
    whole = found.gene.values
    rng = np.random.default_rng(4)
    rows = rng.integers(0, 200, 30)
    for name, key in {
        "scalar": {"sample": 150},
        "last": {"sample": -1},
        "slice": {"sample": slice(90, 110)},
        "steps": {"sample": slice(None, None, -7), "position": slice(3, 90, 5)},
        "rows": {"sample": rows, "position": 4},
        "both": {"sample": rows, "position": [100, 0, 7]},
        "none": {"sample": slice(0, 0)},
        "true": {"sample": rng.random(200) > 0.5},
    }.items():
        expected = xr.DataArray(whole, dims=("sample", "position")).isel(key).values
        np.testing.assert_array_equal(found.gene.isel(key).values, expected, err_msg=name)
    points = found.gene.isel(sample=xr.DataArray(rows, dims="p"), position=xr.DataArray(rows % 101, dims="p"))
    np.testing.assert_array_equal(points, whole[rows, rows % 101])
    np.testing.assert_array_equal(found.sel(sample=42, position=200.0).gene, whole[42, 50])


class Every(Model):
    """A number, two series on one grid, one on another, a field; names that are taken, and samples that fail."""

    name = "every-output-of-the-reading-tests"
    version = "1"
    isolated = False
    space = ParameterSpace([Parameter("a", 0.5, 2.0), Parameter("kind", 0, 1, categories=("wild", "mutant"))])
    grid = np.linspace(0, 1, 4)
    outputs = (
        Output("status", unit="nM"),
        Output("mutant.A", grid, grid_name="time", grid_unit="h", scale="linear"),
        Output("time", grid, grid_name="time", grid_unit="h"),
        Output("late", grid + 5, grid_name="time", grid_unit="h", scale="log"),
        Output("field", (np.arange(2.0), np.arange(3.0)), scale="linear", grid_name=("y", "x")),
    )

    def values(self, parameters):
        a, kind = parameters.T
        status = np.where(a < 0.8, np.nan, -a)
        field = np.arange(6.0).reshape(2, 3) * a[:, None, None]
        return {
            "status": status,
            "mutant.A": kind[:, None] - self.grid,
            "time": a[:, None] + self.grid,
            "late": a[:, None] * np.exp(3 * self.grid),
            "field": field,
        }

    def solve(self, parameters, seeds):
        return Solution(self.values(parameters), ["too small" if a < 0.8 else "" for a in parameters[:, 0]])


def low(outputs):
    return (outputs["status"] < -1).astype(int)


@pytest.fixture
def every(tmp_path):
    values = {
        "name": "every",
        "results": str(tmp_path),
        "seed": 5,
        "model": {"name": f"{__file__}:Every"},
        "simulations": {"count": 60, "shard_size": 20},
        "screen": {
            "count": 10,
            "block_size": 10,
            "objective": {"name": f"{__file__}:low", "options": {"classes": ["a", "b"]}, "target": ["b"]},
        },
    }
    campaign = Campaign.from_dict(values)
    campaign.record()
    return campaign


def test_outputs_of_any_shape_scale_and_name_are_in_their_units_and_failures_are_rows(every):
    for shard in range(3):
        simulate(every, shard)
    found = mechscreen.open(every.paths.root).simulations
    assert found["status_"].attrs == {"units": "nM"}
    assert found["mutant.A"].dims == found["time"].dims == ("sample", "time_")
    assert found["late"].dims == ("sample", "time__")
    assert found["field"].dims == ("sample", "y", "x")
    parameters = found.parameters.values
    expected = every.model_instance.values(parameters)
    ok = parameters[:, 0] >= 0.8
    assert 20 < ok.sum() < 60
    np.testing.assert_array_equal(found.status == "OK", ok)
    assert set(found.reason.values[~ok]) == {"too small"}
    for name, output in zip(["status_", "mutant.A", "time", "late", "field"], every.outputs, strict=True):
        np.testing.assert_allclose(found[name].values[ok], expected[output.name][ok], rtol=3e-6, atol=1e-6)
        assert np.isnan(found[name].values[~ok]).all()
    some = found.isel(sample=(found.status == "OK").values, x=[2, 0], y=1)
    np.testing.assert_allclose(some.field, expected["field"][ok][:, 1][:, [2, 0]], rtol=3e-6)
    assert found.parameters.attrs == {"categories of kind": "0 wild, 1 mutant"}


def test_nothing_is_read_until_it_is_asked_for_and_then_only_where_it_stands(stripe, results, monkeypatch):
    opened = []
    kind = module.ArrayFile
    for name in ("open", "open_again"):
        of = getattr(kind, name).__func__

        def note(cls, path, *arguments, of=of, name=name, **sizes):
            opened.append((name, path.name))
            return of(cls, path, *arguments, **sizes)

        monkeypatch.setattr(kind, name, classmethod(note))
    found = results.simulations
    repr(found)
    some = found.isel(sample=slice(120, 130))
    assert opened == []
    some.gene.load()
    assert set(opened) == {("open", "shard-00001.h5"), ("open_again", "shard-00001.h5")}
    opened.clear()
    found.gene[130].load()
    assert {name for name, _ in opened} == {"open_again"}, "its checksum is known"


def test_a_million_simulations_are_opened_without_their_memory(stripe, tmp_path):
    shutil.copytree(stripe.paths.root, tmp_path / "large")
    text = (tmp_path / "large/campaign.yaml").read_text()
    (tmp_path / "large/campaign.yaml").write_text(text.replace("count: 200\n", "count: 1000000\n"))
    large = Campaign.open(tmp_path / "large")
    for number in range(2, large.simulations.shards):
        os.link(large.paths.shard(number % 2), large.paths.shard(number))
    results = mechscreen.open(tmp_path / "large")
    assert results.simulations.sizes  # imports
    tracemalloc.start()
    found = results.simulations
    value = float(found.gene[777_150, 10])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.sizes["sample"] == 10**6
    assert value == float(mechscreen.open(stripe.paths.root).simulations.gene[150, 10])
    assert peak < 64e6, f"{peak / 1e6:.0f} MB, of 404 MB of profiles"


def test_a_campaign_that_runs_shows_the_shards_that_are_whole(stripe, tmp_path, caplog):
    root = shutil.copytree(stripe.paths.root, tmp_path / "runs")
    (root / "simulations/shard-00000.h5").rename(root / "simulations/shard-00000.h5.partial")
    with caplog.at_level(logging.WARNING):
        found = mechscreen.open(root).simulations
    assert "1 of 2 shards of simulations are there" in caplog.text
    assert found.attrs["shards"] == "1 of 2"
    assert found.sample.values.tolist() == list(range(100, 200))
    np.testing.assert_array_equal(found.gene, mechscreen.open(stripe.paths.root).simulations.gene[100:])


def test_reading_changes_nothing(stripe, results):
    before = {path: path.stat().st_mtime_ns for path in stripe.paths.root.rglob("*")}
    for what in (results.simulations, results.predictions, results.validated, results.planes):
        what.load()
    assert len(results.hits)
    assert {path: path.stat().st_mtime_ns for path in stripe.paths.root.rglob("*")} == before


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_damaged_shard_is_told_when_it_is_read_and_the_others_can_be(stripe, tmp_path):
    root = shutil.copytree(stripe.paths.root, tmp_path / "damaged")
    found = mechscreen.open(root).simulations
    whole = found.gene[50].values
    flip(root / "simulations/shard-00001.h5")
    np.testing.assert_array_equal(found.gene[50], whole)
    with pytest.raises(FileError, match=r"shard-00001\.h5: is damaged \(its checksum"):
        found.gene[150].load()
    flip(root / "simulations/shard-00000.h5")
    with pytest.raises(FileError, match=r"shard-00000\.h5: is damaged"):
        found.gene[50].load()
    (root / "simulations/shard-00000.h5").unlink()
    with pytest.raises(FileError, match=r"shard-00000\.h5: is not there any more"):
        found.gene[50].load()


def test_another_campaigns_shard_is_refused_with_what_differs(stripe, made, tmp_path):
    other = made(tmp_path, seed=8)
    other.record()
    shutil.copytree(stripe.paths.simulations, other.paths.simulations)
    with pytest.raises(FileError, match="made with seed = 7, this campaign says 8"):
        mechscreen.open(other.paths.root).simulations.load()


@pytest.mark.parametrize("what", ["simulations", "predictions", "hits", "validated", "planes"])
def test_what_is_not_there_yet_is_told_in_one_line(made, tmp_path, what):
    campaign = made(tmp_path)
    campaign.record()
    results = mechscreen.open(campaign.paths.root)
    with pytest.raises(
        InputError, match=rf"there are no {what}( hits)? yet .* is missing\); they come with the stage '\w+'"
    ):
        getattr(results, what)
    assert repr(results).endswith("nothing yet>")
    with pytest.raises(InputError, match="holds no trained member"):
        results.predict([[1, 1, 1, 1, 1]])


def test_a_folder_without_a_campaign_and_one_of_an_earlier_format_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"holds no campaign \(no campaign.yaml\)"):
        mechscreen.open(tmp_path)
    (tmp_path / "campaign.yaml").write_text("name: old\nseed: 1\n")
    with pytest.raises(InputError, match="mechscreen migrate"):
        mechscreen.open(tmp_path)


def test_predictions_are_the_test_split_as_simulated_and_as_emulated(stripe, results):
    found = results.predictions
    assert found.gene.dims == ("sample", "of", "position")
    assert found.of.values.tolist() == ["simulation", "emulator"]
    own = results.simulations.sel(sample=found.sample.values)
    np.testing.assert_allclose(found.gene.sel(of="simulation"), own.gene, rtol=1e-6)  # log peaks are single here
    emulator = load_campaign_ensemble(stripe).predict(stripe.space.normalise(found.parameters.values))
    (expected,) = stripe.outputs.by_name(emulator.profiles, emulator.log_peaks).values()
    np.testing.assert_allclose(found.gene.sel(of="emulator"), expected, rtol=1e-4, atol=1e-6)
    places = found.gene.sel(of="simulation").values.argmax(axis=1)
    np.testing.assert_array_equal(
        found.simulated_class, np.array(stripe.class_names)[np.where(places == 0, 0, np.where(places <= 50, 1, 2))]
    )


def test_the_ensemble_predicts_rows_tables_and_mappings_alike(results):
    own = results.predictions
    said = results.predict(own.parameters)
    np.testing.assert_allclose(said.gene, own.gene.sel(of="emulator"), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(said.disagreement, own.disagreement, rtol=1e-3, atol=1e-5)
    table = pd.DataFrame(own.parameters.values, columns=own.parameter.values).sample(frac=1, axis=1, random_state=1)
    xr.testing.assert_allclose(results.predict(table), said)
    xr.testing.assert_allclose(results.predict(table.to_dict("list")), said)
    with pytest.raises(InputError, match="no column for hill; give every parameter that varies"):
        results.predict(table.drop(columns="hill"))


def test_hits_are_a_table_by_sample(stripe, results):
    hits = results.hits
    file = ScreenHits.read(stripe.paths.screen_hits).hits
    assert len(hits) == len(file.index) > 0
    assert hits.index.name == "sample"
    assert hits.columns.tolist() == ["class", "disagreement", *stripe.space.names]
    assert set(hits["class"]) == {"second half"}
    np.testing.assert_array_equal(hits[list(stripe.space.names)], file.parameters)
    assert hits.attrs["units"] == {"c0": "nM", "decay_length": "µm", "K_on": "nM", "K_off": "nM"}


def test_validated_hits_have_what_the_model_made_of_each(stripe, results):
    found = results.validated
    file = ValidatedHits.read(stripe.paths.validation_hits)
    np.testing.assert_array_equal(found.sample, file.index)
    np.testing.assert_array_equal(found.rmse, file.rmse)
    assert found.sensitivity.dims == ("sample", "output")
    solved = stripe.model_instance.solve(found.parameters.values, None).profiles[:, 0]
    np.testing.assert_allclose(found.gene.sel(of="simulation"), solved, rtol=3e-6, atol=1e-12)
    expected = np.array([*stripe.class_names, ""])[file.labels]
    np.testing.assert_array_equal(found.simulated_class, expected)


def test_planes_count_every_sample_of_the_screen_by_class(stripe, results):
    planes = results.planes
    summary = ScreenSummary.read(stripe.paths.screen_summary)
    assert (planes.counts.sum(["class", "first_bin", "second_bin"]) == 4000).all()
    np.testing.assert_array_equal(planes.counts.sel({"class": "second half"}), summary.planes[2])
    assert planes.plane.values[0] == "c0, decay_length"
    np.testing.assert_allclose(planes.edge.sel(parameter="c0"), np.linspace(1, 100, 41))


def test_opening_loads_neither_the_users_code_nor_what_is_not_needed(stripe, tmp_path):
    moved = shutil.copytree(stripe.paths.root, tmp_path / "moved")
    code = (
        "import sys, mechscreen\n"
        "from mechscreen import registry\n"
        "def fails(*arguments): raise SystemExit('the code of a user was asked for')\n"
        "registry.load_object = fails\n"
        "results = mechscreen.open(sys.argv[1])\n"
        "assert not {'xarray', 'pandas', 'scipy', 'keras', 'tensorflow'} & set(sys.modules)\n"
        "print(float(results.simulations.gene[3, 4]), len(results.hits))\n"
        "assert not {'keras', 'tensorflow'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(moved)], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    value, hits = done.stdout.split()
    found = mechscreen.open(stripe.paths.root)
    assert (float(value), int(hits)) == (float(found.simulations.gene[3, 4]), len(found.hits))
    assert storage.exists(moved)
    assert read_shard(stripe, 0).index[0] == 0
