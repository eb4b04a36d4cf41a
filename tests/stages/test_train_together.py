"""All members of an ensemble as one program, by the command line, in a process in which Keras runs on JAX."""

import os
import subprocess
import sys

import pytest
import yaml

from mechscreen.stages.train import read_record

pytest.importorskip("jax")


@pytest.fixture
def train(trained, tmp_path):
    """Return the trained campaign, and a function that trains its members together."""
    campaign = trained()
    path = tmp_path / "campaign.yaml"
    path.write_text(yaml.safe_dump(campaign.model_dump(mode="json")))
    environment = {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}

    def run(*options):
        command = [sys.executable, "-m", "mechscreen", "train", "--config", str(path), *options]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return campaign, run


@pytest.mark.slow
def test_members_that_are_missing_are_trained_together_as_far_as_alone(train):
    campaign, run = train
    folders = [campaign.paths.member(member) for member in range(3)]
    alone = [read_record(folder, campaign.identity("emulators")).validation_rmse for folder in folders]
    whole = (folders[0] / "model.keras").read_bytes()
    for folder in folders[1:]:
        for path in folder.iterdir():
            path.unlink()
    stopped = run("--together", "--time-limit", "0.0001")
    assert stopped.returncode == 75, stopped.stderr
    assert "train member-1: 0 of 15 epochs are saved" in stopped.stderr
    assert "train member-2: 0 of 15 epochs are saved" in stopped.stderr
    done = run("--together")
    assert done.returncode == 0, done.stderr
    assert (folders[0] / "model.keras").read_bytes() == whole
    for folder, expected in zip(folders[1:], alone[1:], strict=True):
        record = read_record(folder, campaign.identity("emulators"))
        assert (record.epochs, record.backend) == (15, "jax")
        assert not (folder / "checkpoint.h5").exists()
        # From other first weights: each library draws its own.
        assert record.validation_rmse < 1.5 * expected
    again = run("--together")
    assert again.returncode == 0
    assert again.stderr.count("is there already") == 3


@pytest.mark.parametrize("options", [[], ["--member", "0", "--together"], ["--together", "--samples", "100"]])
def test_one_member_or_all_has_to_be_asked_for(train, options):
    done = train[1](*options)
    assert done.returncode == 2
    assert "give --member and its number, or --together for all members" in done.stderr
