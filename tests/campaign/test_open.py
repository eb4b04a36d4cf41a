"""A campaign opened from its folder."""

import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from campaigns import STRIPE
from mechscreen.campaign import STAGES, Campaign, sources
from mechscreen.errors import MechscreenError, StorageError


@pytest.fixture
def recorded(tmp_path):
    campaign = Campaign.from_dict({**STRIPE, "results": str(tmp_path / "results")})
    campaign.record()
    return campaign


def test_a_moved_folder_is_opened_from_anywhere_without_the_users_code(recorded, tmp_path):
    moved = shutil.copytree(recorded.paths.root, tmp_path / "elsewhere/renamed")
    shutil.rmtree(recorded.paths.root)
    code = (
        "import sys, importlib.util as u\n"
        "from mechscreen import registry\n"
        "def fails(*arguments): raise SystemExit('the code of a user was asked for')\n"
        "registry.load_object = fails\n"
        "from mechscreen.campaign import Campaign, STAGES\n"
        "c = Campaign.open(sys.argv[1])\n"
        "assert not any('stripe' in name for name in sys.modules)\n"
        "print(c.paths.report, c.class_names, c.targets, *(c.fingerprint(stage) for stage in STAGES), sep='\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "renamed"], cwd=moved.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    expected = ["renamed/report.html", str(recorded.class_names), str(recorded.targets)]
    assert done.stdout.splitlines() == expected + [recorded.fingerprint(stage) for stage in STAGES]


def test_an_opened_campaign_knows_its_model_as_it_was_loaded(recorded):
    opened = Campaign.open(recorded.paths.root)
    assert opened.space.parameters == recorded.space.parameters
    assert opened.screen_space.parameters == recorded.screen_space.parameters
    for ours, theirs in zip(opened.outputs, recorded.outputs, strict=True):
        np.testing.assert_array_equal(ours.grid, theirs.grid)
        assert (ours.name, ours.unit, ours.grid_name) == (theirs.name, theirs.unit, theirs.grid_name)
    assert opened.about == recorded.about
    assert opened.model_instance.name == "stripe"


def test_a_folder_opened_from_within_finds_its_neighbours(recorded, monkeypatch):
    own = Campaign.from_dict({**STRIPE, "results": recorded.results, "name": "plane", "base": "small"})
    own.record()
    monkeypatch.chdir(own.paths.root)
    assert Campaign.open(".").paths.simulations == recorded.paths.simulations.resolve()


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        (lambda root: (root / "campaign.yaml").unlink(), "holds no campaign"),
        (lambda root: (root / "model.json").unlink(), r"model\.json: does not exist"),
        (lambda root: (root / "model.json").write_text("{}"), r"model\.json: does not describe a model"),
        (lambda root: (root / "model.json").write_text("{"), r"model\.json: not valid JSON"),
    ],
    ids=["none", "no description", "empty", "cut off"],
)
def test_a_folder_that_cannot_be_opened_says_why(recorded, spoil, expected):
    spoil(recorded.paths.root)
    with pytest.raises(MechscreenError, match=expected):
        Campaign.open(recorded.paths.root)


@pytest.fixture
def lose(monkeypatch):
    """Return a function that lets the file system tell nothing of the files of one name."""

    def lose(name, number):
        stat = Path.stat

        def fails(self, **options):
            if self.name == name:
                raise OSError(number, os.strerror(number), str(self))
            return stat(self, **options)

        monkeypatch.setattr(Path, "stat", fails)

    return lose


@pytest.mark.parametrize("number", [errno.ESTALE, errno.EACCES, errno.EIO])
def test_a_campaign_that_cannot_be_looked_at_is_not_taken_for_absent(recorded, lose, number):
    above = {**STRIPE, "results": recorded.results, "name": "plane", "base": "small"}
    lose("campaign.yaml", number)
    for use in (
        lambda: Campaign.open(recorded.paths.root),
        lambda: Campaign.from_dict(above).paths,
        recorded.refuse_old_results,
    ):
        with pytest.raises(StorageError, match=r"campaign.yaml: cannot be read: "):
            use()


def test_a_source_that_cannot_be_looked_at_is_not_left_out(tmp_path, lose):
    (tmp_path / "model.py").write_text("import helper\n")
    (tmp_path / "helper.py").write_text("")
    table = tmp_path / "rates.csv"
    table.write_text("1")
    spec = f"{tmp_path / 'model.py'}:Model"
    assert set(sources.source_of(spec)) == {"model.py", "helper.py"}
    assert set(sources.files_of({"rates": str(table), "no_name": "a/\0", "word": "rates"})) == {str(table)}
    lose("helper.py", errno.ESTALE)
    with pytest.raises(StorageError, match=r"helper\.py: cannot be read: the network file system lost it"):
        sources.source_of(spec)
    lose("rates.csv", errno.EACCES)
    with pytest.raises(StorageError, match=r"rates\.csv: cannot be read: permission denied"):
        sources.files_of({"rates": str(table)})
