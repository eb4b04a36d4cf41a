import errno
import json
import logging
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from mechscreen import resumable, storage
from mechscreen.errors import FileError, InputError, StorageError
from mechscreen.ranks import Deadline, Interrupted
from mechscreen.stages import train as stage
from mechscreen.stages.merge import load_split
from mechscreen.stages.train import read_record, to_samples, train


class AfterAsked:
    """A deadline that is reached once it has been asked so many times."""

    reason = "the test says so"

    def __init__(self, asked):
        self.left = asked

    def reached(self):
        self.left -= 1
        return self.left < 0


def weights(campaign, member=0):
    from mechscreen.emulators.networks import load_network

    return load_network(campaign.paths.member(member) / "model.keras").get_weights()


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def remove_member(campaign, member=0):
    for path in campaign.paths.member(member).iterdir():
        path.unlink()


def interrupted(trained):
    """Return a campaign whose member 0 was interrupted, the weights that it should end with, and its checkpoint."""
    campaign = trained()
    expected = weights(campaign)
    remove_member(campaign)
    with pytest.raises(Interrupted):
        train(campaign, 0, AfterAsked(40))
    return campaign, expected, campaign.paths.member(0) / "checkpoint.h5"


def test_a_member_is_a_network_its_history_and_a_record(trained):
    campaign = trained()
    folder = campaign.paths.member(1)
    assert sorted(path.name for path in folder.iterdir()) == ["history.csv", "member.json", "model.keras"]
    record = read_record(folder, campaign.identity("emulators"))
    assert record.training_samples + record.validation_samples < campaign.simulations.count
    assert [p.name for p in record.parameters] == list(campaign.space.names)
    table = np.genfromtxt(folder / "history.csv", delimiter=",", names=True)
    assert len(table) == record.epochs == campaign.emulators.training.epochs
    assert table["validation_rmse"].min() == pytest.approx(record.validation_rmse, rel=1e-6)
    assert record.validation_rmse < 0.1


def test_the_network_is_that_of_the_best_epoch(trained):
    from mechscreen.emulators.metrics import rmse
    from mechscreen.emulators.networks import load_network

    schedule = {"epochs": 12, "batch_size": 32, "learning_rate": 0.03, "schedule": "constant"}
    campaign = trained(emulators={"training": schedule})
    remove_member(campaign)
    train(campaign, 0)
    record = read_record(campaign.paths.member(0))
    assert record.best_epoch < record.epochs
    validation = to_samples(campaign, load_split(campaign, "validation"))
    said = load_network(campaign.paths.member(0) / "model.keras").predict_on_batch(validation.parameters)
    assert rmse(validation.profiles, said["profiles"]).mean() == pytest.approx(record.validation_rmse, rel=1e-4)


def test_members_differ(trained):
    assert not same(weights(trained(), 0), weights(trained(), 1))


def test_a_whole_member_is_left_as_it_is(trained):
    campaign = trained()
    model = campaign.paths.member(0) / "model.keras"
    before = model.stat().st_mtime_ns
    train(campaign, 0)
    assert model.stat().st_mtime_ns == before


def test_an_interrupted_member_is_continued_to_the_same_weights(trained, caplog):
    campaign = trained()
    expected = weights(campaign)
    remove_member(campaign)
    steps = len(load_split(campaign, "train")) // campaign.emulators.training.batch_size
    # It asks before each epoch and after each step but an epoch's last: it ends in the fourth.
    with pytest.raises(Interrupted, match=r"train member-0: 3 of 15 epochs are saved, since the test says so; run the"):
        train(campaign, 0, AfterAsked(3 * steps + 2))
    folder = campaign.paths.member(0)
    assert not (folder / "member.json").exists()
    with caplog.at_level(logging.INFO):
        train(campaign, 0)
    assert "continuing with 3 of 15 epochs" in caplog.text
    assert same(weights(campaign), expected)
    assert not (folder / "checkpoint.h5").exists()
    epochs = np.genfromtxt(folder / "history.csv", delimiter=",", names=True)["epoch"]
    np.testing.assert_array_equal(epochs, 1 + np.arange(campaign.emulators.training.epochs))


@pytest.mark.slow
def test_a_killed_member_is_continued_to_the_same_weights(trained, tmp_path, caplog):
    campaign = trained()
    expected = weights(campaign)
    remove_member(campaign)
    (tmp_path / "campaign.yaml").write_text(campaign.to_yaml())
    script = (
        "import sys, time\n"
        "from mechscreen.campaign import Campaign\n"
        "from mechscreen.stages import train as stage\n"
        "from mechscreen import resumable\n"
        "resumable.SAVE_EVERY, resumable.SAVE_SHARE = 0.0, 1.0\n"
        "write = stage.storage.write\n"
        "def write_and_wait(path, *rest):\n"
        "    write(path, *rest)\n"
        "    time.sleep(0.5)\n"
        "stage.storage.write = write_and_wait\n"
        "stage.train(Campaign.load(sys.argv[1]), 0)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "campaign.yaml")])
    checkpoint = campaign.paths.member(0) / "checkpoint.h5"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(1)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert checkpoint.exists()
    with caplog.at_level(logging.INFO):
        train(campaign, 0)
    assert re.search("continuing with [1-9]", caplog.text)
    assert same(weights(campaign), expected)


@pytest.mark.slow
def test_sigterm_saves_and_ends_with_code_75(trained, tmp_path):
    campaign = trained(emulators={"training": {"epochs": 100_000, "batch_size": 32}})
    (tmp_path / "campaign.yaml").write_text(campaign.to_yaml())
    command = [
        sys.executable,
        "-m",
        "mechscreen",
        "train",
        "--config",
        str(tmp_path / "campaign.yaml"),
        "--member",
        "0",
    ]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    for line in process.stderr:  # ends at once if the process does
        if "epochs" in line:
            break
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 75
    assert "epochs are saved, since received SIGTERM; run the same command again to continue" in said
    assert storage.verify(campaign.paths.member(0) / "checkpoint.h5", stage.CHECKPOINT_KIND)


def test_an_attempt_that_ends_no_epoch_says_that_it_needs_more_time(trained):
    campaign = trained()
    remove_member(campaign)
    with pytest.raises(Interrupted, match=r"no epochs were finished this time, .* give the job more time"):
        train(campaign, 0, AfterAsked(3))


def test_the_checkpoint_of_other_software_is_not_used(trained, caplog):
    campaign, expected, checkpoint = interrupted(trained)
    file = storage.read(checkpoint, stage.CHECKPOINT_KIND)
    arrays = dict(file.arrays)
    del arrays["optimiser-000"]
    storage.write(checkpoint, arrays, file.attributes)
    train(campaign, 0)
    assert re.search("starting anew, since .*the weights are those of another network or optimiser", caplog.text)
    assert same(weights(campaign), expected)


def test_a_checkpoint_that_cannot_be_written_does_not_end_the_training(trained, monkeypatch, caplog):
    campaign = trained()
    expected = weights(campaign)
    remove_member(campaign)
    write = storage.write

    def full(path, *rest):
        if path.name == "checkpoint.h5":
            raise StorageError(path, "written", errno.ENOSPC)
        write(path, *rest)

    monkeypatch.setattr(storage, "write", full)
    monkeypatch.setattr(resumable, "SAVE_EVERY", 0.0)
    train(campaign, 0)
    assert "going on without saving what is done: " in caplog.text
    assert same(weights(campaign), expected)


@pytest.mark.parametrize(("name", "other"), [("member", 1), ("training_samples", 40)])
def test_the_checkpoint_of_another_training_is_not_used(trained, caplog, name, other):
    campaign, expected, checkpoint = interrupted(trained)
    file = storage.read(checkpoint, stage.CHECKPOINT_KIND)
    storage.write(checkpoint, file.arrays, {**file.attributes, name: other})
    train(campaign, 0)
    assert f"is of {name} {other}, not" in caplog.text
    assert same(weights(campaign), expected)


def test_a_damaged_checkpoint_is_not_used(trained, caplog):
    campaign, expected, checkpoint = interrupted(trained)
    content = bytearray(checkpoint.read_bytes())
    content[-100] ^= 1
    checkpoint.write_bytes(content)
    train(campaign, 0)
    assert "starting anew, since" in caplog.text
    assert same(weights(campaign), expected)


def test_a_damaged_network_is_trained_anew(trained, caplog):
    campaign = trained()
    expected = weights(campaign)
    model = campaign.paths.member(0) / "model.keras"
    content = bytearray(model.read_bytes())
    content[len(content) // 2] ^= 1
    model.write_bytes(content)
    with pytest.raises(FileError, match=r"model.keras: is missing, or not what was trained"):
        read_record(campaign.paths.member(0))
    train(campaign, 0)
    assert "making it anew" in caplog.text
    assert same(weights(campaign), expected)


def test_a_record_that_lacks_something_is_written_anew(trained, caplog):
    campaign = trained()
    expected = weights(campaign)
    path = campaign.paths.member(0) / "member.json"
    record = storage.read_json(path)
    storage.write_json(path, {name: value for name, value in record.items() if name != "model_sha256"})
    with pytest.raises(FileError, match=r"member.json: is no whole record of 'ensemble member' .model_sha256"):
        read_record(campaign.paths.member(0))
    train(campaign, 0)
    assert "making it anew" in caplog.text
    assert same(weights(campaign), expected)


def test_a_training_set_of_another_campaign_is_refused_naming_both(trained):
    with pytest.raises(FileError, match=r"manifest\.json: made with dataset\.shard_size = 200, this campaign says 100"):
        train(trained(dataset={"shard_size": 100}), 0)


def test_the_record_of_another_campaign_is_refused_naming_both(trained):
    ours = trained(emulators={"training": {"epochs": 3}})
    with pytest.raises(FileError, match=r"emulators\.training\.epochs = 15, this campaign says 3;"):
        read_record(ours.paths.member(0), ours.identity("emulators"))


def test_a_member_that_the_campaign_does_not_have_is_refused(trained):
    with pytest.raises(InputError, match="no member 3: the ensemble of 'bumps' has members 0 … 2"):
        train(trained(), 3)


def test_a_time_limit_that_is_over_ends_before_the_first_epoch(trained):
    campaign = trained()
    remove_member(campaign)
    with pytest.raises(Interrupted, match=r"0 of \d+ epochs are saved, since the time limit is near"):
        train(campaign, 0, Deadline(0.0))


def test_records_are_json_without_nan(trained):
    json.loads((trained().paths.member(0) / "member.json").read_text(), parse_constant=pytest.fail)
