import csv
import shutil
from dataclasses import replace

import numpy as np
import pytest

from mechscreen import storage
from mechscreen.errors import FileError, InputError
from mechscreen.models.outputs import Status
from mechscreen.reports.hits import list_hits
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.stages import screen, validate


@pytest.fixture
def validated(trained):
    campaign = trained(screen={"count": 10_000}, validation={"rmse_limit": 0.15, "limit": 100})
    screen.screen_block(campaign, 0)
    screen.gather_screen(campaign)
    validate.validate(campaign)
    return campaign


def test_table_holds_every_validated_hit_by_trust(validated):
    found = storage.read(validated.paths.validation_hits, ValidatedHits.kind)
    rows = list(csv.DictReader(validated.paths.validation_table.open()))
    by_sample = {int(sample): i for i, sample in enumerate(found["index"])}
    assert {int(row["sample"]) for row in rows} == set(by_sample)
    groups, errors = [], []
    for row in rows:
        i = by_sample[int(row["sample"])]
        assert row["emulated"] == "2"
        assert (row["confirmed"] == "yes") == found["confirmed"][i]
        if found["status"][i] == Status.OK:
            assert row["simulated"] == ["0", "1", "2", "3", "4", "5 or more"][found["labels"][i]]
            assert float(row["rmse"]) == pytest.approx(found["rmse"][i], rel=1e-3)
        else:
            assert row["simulated"] == "failed: too narrow"
            assert row["rmse"] == row["nearest_distance"] == ""
        assert (row["sensitivity"] == "") == np.isnan(found["sensitivity"][i]).all()
        values = [float(row[name]) for name in validated.space.names]
        np.testing.assert_allclose(values, found["parameters"][i], rtol=1e-7)
        groups.append(2 - int(found["confirmed"][i]) - int(found["confirmed"][i] & found["same_class"][i]))
        errors.append(np.nan_to_num(found["rmse"][i], nan=np.inf))
    assert len(set(groups)) > 1
    assert list(zip(groups, errors, strict=True)) == sorted(zip(groups, errors, strict=True))


def test_a_failed_simulation_is_trusted_least(validated):
    found = replace(
        ValidatedHits.read(validated.paths.validation_hits),
        confirmed=np.array([False, True, False, True]),
        same_class=np.array([False, False, True, True]),
        rmse=np.array([np.nan, 0.01, 0.5, 0.09]),
    )
    assert found.by_trust.tolist() == [3, 1, 2, 0]


def test_printed_rows_are_aligned_and_say_where_the_rest_is(validated):
    lines = list_hits(validated.paths.root, 5).splitlines()
    assert len(lines) == 7
    assert lines[0].split()[:4] == ["sample", "emulated", "simulated", "confirmed"]
    assert len({len(line) for line in lines[:-1]}) == 1
    assert lines[-1] == f"5 of 100 validated hits, by trust; all of them: {validated.paths.validation_table}"


def test_hits_of_a_copied_folder_are_printed_from_anywhere(validated, tmp_path, monkeypatch):
    copied = tmp_path / "elsewhere/copied"
    shutil.copytree(validated.paths.root, copied)
    monkeypatch.chdir("/")
    said = list_hits(validated.paths.root, 5)
    assert list_hits(copied, 5) == said.replace(str(validated.paths.root), str(copied))


def test_what_steers_a_terminal_is_spelled_out(tmp_path):
    (tmp_path / "validation").mkdir()
    (tmp_path / "validation/hits.csv").write_text("sample,emulated\x1b[2J\n1,\x07\n")
    assert [line.split() for line in list_hits(tmp_path, 5).splitlines()[:2]] == [
        ["sample", r"emulated\x1b[2J"],
        ["1", r"\x07"],
    ]


def test_folder_without_validated_hits_is_named(tmp_path):
    with pytest.raises(InputError, match=r"validation/hits\.csv: cannot be read .* give the folder of a campaign"):
        list_hits(tmp_path, 5)


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"sample,emulated\n1\n", b"\xff"])
def test_file_that_is_no_table_of_hits_is_refused(tmp_path, content):
    (tmp_path / "validation").mkdir()
    (tmp_path / "validation" / "hits.csv").write_bytes(content)
    with pytest.raises(FileError, match="not a table of hits"):
        list_hits(tmp_path, 5)
