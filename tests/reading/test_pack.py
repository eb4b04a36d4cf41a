"""Data packages: what is in them, and that their emulator says elsewhere what it said."""

import gc
import hashlib
import io
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import mechscreen
from mechscreen import cli
from mechscreen.campaign import Campaign
from mechscreen.errors import FileError, InputError
from mechscreen.reading.pack import pack
from mechscreen.stages.evaluate import evaluate
from mechscreen.stages.merge import merge
from mechscreen.stages.packed import METADATA
from mechscreen.stages.report import report
from mechscreen.stages.select import select
from mechscreen.stages.simulate import simulate
from mechscreen.stages.train import train

SETS = [[10, 100, 1, 50, 2], [20, 50, 0.5, 10, 1]]


@pytest.fixture(scope="module")
def campaign(stripe):
    report(stripe)
    return Campaign.open(stripe.paths.root)


@pytest.fixture(scope="module")
def archive(campaign, tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "stripe.zip"
    pack(campaign, path, licence="CC-BY-4.0")
    return path


@pytest.fixture(scope="module")
def crate(archive):
    """The entities that a package tells of, by their names."""
    with zipfile.ZipFile(archive) as opened:
        described = json.loads(opened.read(METADATA))
    assert described["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    entities = {entity["@id"]: entity for entity in described["@graph"]}
    assert len(entities) == len(described["@graph"])
    return entities


def said_of(path):
    trained = mechscreen.load_ensemble(path)
    said, bands = trained.predict_bands(SETS)
    in_units = trained.outputs.by_name(said.profiles, said.log_peaks)
    return [said.profiles, said.log_peaks, said.disagreement, bands.low, bands.whole_high, *in_units.values()]


def test_an_archive_and_what_was_unpacked_say_bit_for_bit_what_the_campaign_says(campaign, archive, tmp_path):
    with zipfile.ZipFile(archive) as opened:
        opened.extractall(tmp_path / "unpacked")
    expected = said_of(campaign.paths.emulators)
    for path in (archive, str(archive), tmp_path / "unpacked"):
        for ours, theirs in zip(said_of(path), expected, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    assert mechscreen.open(tmp_path / "unpacked").predict(SETS).sizes["sample"] == 2


ELSEWHERE = """
import sys
sys.path.insert(0, sys.argv[1])
class Absent:
    def find_spec(self, name, path=None, target=None):
        assert "stripe" not in name, name
sys.meta_path.insert(0, Absent())
sys.argv = ["mechscreen", "predict", "--ensemble", "given.zip", "--parameters", "sets.csv", "--out", "out.h5"]
from mechscreen.cli import main
main()
"""


def test_predict_takes_an_archive_where_neither_campaign_nor_model_are(campaign, archive, tmp_path):
    shutil.copy(archive, tmp_path / "given.zip")
    rows = "\n".join(",".join(map(str, row)) for row in SETS)
    (tmp_path / "sets.csv").write_text(f"{','.join(campaign.space.names)}\n{rows}\n")
    model = campaign.model.name.rpartition(":")[0]
    hidden = shutil.move(campaign.paths.root, tmp_path / "hidden")
    try:
        command = [sys.executable, "-c", ELSEWHERE, Path(mechscreen.__path__[0]).parent]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    finally:
        shutil.move(hidden, campaign.paths.root)
    assert done.returncode == 0, done.stderr
    assert model not in done.stderr
    found = mechscreen.storage.read(tmp_path / "out.h5", "predicted table")
    np.testing.assert_array_equal(found["profiles"], said_of(archive)[0])


def test_what_is_unpacked_goes_with_the_ensemble_and_where_it_is_refused(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    trained = mechscreen.load_ensemble(archive)
    assert [path.name[:11] for path in tmp_path.iterdir()] == ["mechscreen-"]
    trained.predict_bands(SETS)
    del trained
    gc.collect()
    assert not list(tmp_path.iterdir())
    changed(archive, tmp_path / "x.zip", lambda c: c | {"emulators/dense/member-1/model.keras": b"x"})
    with pytest.raises(FileError):
        mechscreen.load_ensemble(tmp_path / "x.zip")
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_the_networks_of_a_base_are_packed_where_they_would_be_ones_own(stripe, archive, made, tmp_path):
    shutil.copytree(stripe.paths.root, tmp_path / "results/small")
    second = made(tmp_path, name="second", base="small")
    second.record()
    pack(Campaign.open(second.paths.root), tmp_path / "second.zip")
    for ours, theirs in zip(said_of(tmp_path / "second.zip"), said_of(archive), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    with zipfile.ZipFile(tmp_path / "second.zip") as opened:
        assert not [name for name in opened.namelist() if name.startswith((".", "/", "small"))]


def test_of_rounds_the_networks_of_the_last_are_packed(made, tmp_path):
    emulators = {
        "members": 2,
        "combine": "mean",
        "architecture": {"network": "dense", "width": 8, "blocks": 1},
        "training": {"epochs": 1},
    }
    simulations, selection = {"count": 100, "shard_size": 100}, {"count": 100, "candidates": 2}
    campaign = made(tmp_path, rounds=2, simulations=simulations, selection=selection, emulators=emulators)
    campaign.record()
    for view in campaign.in_rounds:
        if view.selector is not None:
            select(view, 0)
        simulate(view, 0)
        merge(view)
        for member in range(2):
            train(view, member)
        evaluate(view)
    pack(Campaign.open(campaign.paths.root), tmp_path / "rounds.zip")
    last, first = (campaign.of_round(number).paths.emulators for number in (2, 1))
    ours, of_last, of_first = (said_of(path)[0] for path in (tmp_path / "rounds.zip", last, first))
    np.testing.assert_array_equal(ours, of_last)
    assert not np.array_equal(ours, of_first)


def test_the_same_results_are_packed_to_the_same_bytes(campaign, archive, tmp_path):
    again = tmp_path / "stripe.zip"
    pack(campaign, again, licence="CC-BY-4.0")
    assert again.read_bytes() == archive.read_bytes()


def test_every_file_is_described_with_its_size_and_checksum(crate, archive):
    with zipfile.ZipFile(archive) as opened:
        content = {name: opened.read(name) for name in opened.namelist()}
    del content[METADATA], content["emulators/dense/"]
    files = {name: entity for name, entity in crate.items() if entity["@type"] == "File"}
    assert files.keys() == content.keys()
    for name, entity in files.items():
        assert entity["sha256"] == hashlib.sha256(content[name]).hexdigest()
        assert entity["contentSize"] == str(len(content[name]))
        assert {"encodingFormat", "dateCreated", "description"} <= entity.keys()


def test_all_that_is_referred_to_is_told_and_files_are_parts_of_the_whole(crate):
    def referred(value):
        if isinstance(value, dict):
            assert set(value) == {"@id"}
            yield value["@id"]
        elif isinstance(value, list):
            for inner in value:
                yield from referred(inner) if not isinstance(inner, str) else ()

    named = {name for entity in crate.values() for value in entity.values() for name in referred(value)}
    assert {name for name in named - crate.keys() if not name.startswith("https://w3id.org/ro/crate/")} == set()
    root, emulator = crate["./"], crate["emulators/dense/"]
    parts = {part["@id"] for part in [*root["hasPart"], *emulator["hasPart"]]}
    assert parts == {name for name, entity in crate.items() if entity["@type"] == "File"} | {"emulators/dense/"}
    assert root["mainEntity"] == {"@id": "emulators/dense/"}
    assert crate[METADATA]["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    assert crate[root["license"]["@id"]]["name"] == "CC-BY-4.0"


def test_parameters_have_ranges_and_units_and_the_model_is_named(crate, campaign):
    told = [crate[part["@id"]] for part in crate["emulators/dense/"]["variableMeasured"]]
    space = list(campaign.space)
    assert [entity["name"] for entity in told] == [*campaign.space.names, "gene"]
    for entity, parameter in zip(told, space, strict=False):
        assert (entity["minValue"], entity["maxValue"]) == (parameter.low, parameter.high)
        assert entity.get("unitText", "") == parameter.unit
    assert crate["#model"]["name"] == campaign.about.model.title
    versions = {entity["name"]: entity["version"] for entity in crate.values() if "softwareVersion" in entity}
    assert versions["mechscreen"] == mechscreen.__version__
    assert set(versions) == {"mechscreen", "keras"}


def test_the_table_of_hits_has_the_hits_of_the_screen(campaign, archive):
    with zipfile.ZipFile(archive) as opened:
        names = set(opened.namelist())
        table = pd.read_csv(io.BytesIO(opened.read("screen/hits.csv")), index_col="sample")
    hits = mechscreen.open(campaign.paths.root).hits
    assert len(table) == len(hits) > 0
    np.testing.assert_array_equal(table["K_on"], hits["K_on"])
    assert {"campaign.yaml", "model.json", "evaluation/metrics.json", "validation/hits.csv", "report.html"} <= names
    assert "emulators/dense/bands.h5" in names
    assert not [name for name in names if name.startswith(("dataset", "simulations"))]


def test_the_training_set_is_packed_on_request(campaign, tmp_path):
    pack(campaign, tmp_path / "whole.zip", dataset=True)
    with zipfile.ZipFile(tmp_path / "whole.zip") as opened:
        names = [name for name in opened.namelist() if name.startswith("dataset/")]
        described = json.loads(opened.read(METADATA))
    assert "dataset/manifest.json" in names
    assert len(names) == len(list(campaign.paths.dataset.iterdir()))
    assert "No licence was given" in next(entity["license"] for entity in described["@graph"] if entity["@id"] == "./")


@pytest.mark.parametrize(
    ("output", "more", "message"),
    [
        ("taken.zip", {}, "is there already"),
        ("x.tar", {}, "give a name that ends with .zip"),
        ("x.zip", {"licence": "mine, all mine"}, "identifier of SPDX"),
    ],
)
def test_what_cannot_be_packed_is_refused_and_nothing_written(campaign, tmp_path, output, more, message):
    (tmp_path / "taken.zip").write_bytes(b"precious")
    with pytest.raises(InputError, match=message):
        pack(campaign, tmp_path / output, **more)
    assert [path.name for path in tmp_path.iterdir()] == ["taken.zip"]
    assert (tmp_path / "taken.zip").read_bytes() == b"precious"


def test_a_campaign_without_its_networks_is_refused(campaign, tmp_path):
    shutil.copytree(campaign.paths.root, tmp_path / "copy")
    (tmp_path / "copy/emulators/dense/ensemble.json").unlink()
    with pytest.raises(InputError, match="was not evaluated yet"):
        pack(Campaign.open(tmp_path / "copy"), tmp_path / "x.zip")
    (tmp_path / "copy/emulators/dense/member-1/model.keras").write_bytes(b"another")
    with pytest.raises(FileError, match="not what was trained"):
        pack(Campaign.open(tmp_path / "copy"), tmp_path / "x.zip")
    assert not (tmp_path / "x.zip").exists()


def changed(archive, path, change):
    """Write an archive with other content: what `change` makes of its files by name."""
    with zipfile.ZipFile(archive) as opened:
        content = {name: opened.read(name) for name in opened.namelist()}
    with zipfile.ZipFile(path, "w") as made:
        for name, text in change(content).items():
            made.writestr(name, text)


def described(content, **root):
    values = json.loads(content[METADATA])
    values["@graph"][1] |= root
    return content | {METADATA: json.dumps(values)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: {"a.txt": "a"}, "is no data package of mechscreen"),
        (lambda c: c | {METADATA: "{"}, "not valid JSON"),
        (lambda c: c | {METADATA: b"\xff\xfe"}, "not valid JSON"),
        (lambda c: c | {METADATA: "[]"}, "names no ensemble"),
        (lambda c: c | {METADATA: '{"@graph": [{"@id": "./"}]}'}, "names no ensemble"),
        (lambda c: described(c, mainEntity={"@id": "../other/"}), "would leave the package"),
        (lambda c: described(c, mainEntity={"@id": "/etc/"}), "would leave the package"),
        (lambda c: described(c, mainEntity={"@id": "evaluation/"}), "holds no trained member"),
        (lambda c: c | {"../evil": "x"}, "would leave its folder"),
        (lambda c: c | {"emulators/dense/../../../evil": "x"}, "would leave its folder"),
        (lambda c: c | {"/evil": "x"}, "would leave its folder"),
        (lambda c: c | {"emulators\\evil": "x"}, "would leave its folder"),
        (lambda c: c | {"emulators/dense/member-0/model.keras": b"x"}, "not what was trained"),
        (lambda c: {n: t for n, t in c.items() if "model.keras" not in n}, "not what was trained"),
    ],
)
def test_an_archive_that_is_none_of_ours_is_refused_by_one_message(archive, tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    changed(archive, tmp_path / "x.zip", change)
    before = sorted(path.name for path in tmp_path.parent.iterdir())
    with pytest.raises(mechscreen.MechscreenError, match=message) as told:
        mechscreen.load_ensemble("x.zip")
    assert told.value.exit_code == 2
    assert "\n" not in str(told.value)
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]
    assert sorted(path.name for path in tmp_path.parent.iterdir()) == before


def test_an_archive_that_was_cut_or_changed_anywhere_is_refused(archive, tmp_path):
    content = archive.read_bytes()
    with zipfile.ZipFile(archive) as opened:
        entry = opened.getinfo("emulators/dense/member-0/model.keras")
        at = entry.header_offset + 200
    damaged = [content[: len(content) // 2], content[:-1], b"", b"text", content[:at] + b"\0\1\2\3" + content[at + 4 :]]
    for number, text in enumerate(damaged):
        path = tmp_path / f"{number}.zip"
        path.write_bytes(text)
        with pytest.raises(FileError, match=f"{number}.zip: is no whole ZIP archive"):
            mechscreen.load_ensemble(path)


def test_an_archive_with_a_password_is_refused(archive, tmp_path):
    content = bytearray(archive.read_bytes())
    for mark, place in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        at = content.find(mark)
        while at >= 0:
            content[at + place] |= 1
            at = content.find(mark, at + 1)
    (tmp_path / "locked.zip").write_bytes(content)
    with pytest.raises(FileError, match=r"locked\.zip: "):
        mechscreen.load_ensemble(tmp_path / "locked.zip")


def test_the_command_packs_into_the_folder_that_it_is_called_in(campaign, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(cli.cli, ["pack", str(campaign.paths.root)], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.startswith("small.zip: ")
    assert "--license" in done.output
    assert zipfile.is_zipfile("small.zip")
