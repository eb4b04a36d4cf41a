import random
import shutil
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mechscreen import storage
from mechscreen.campaign import SPLITS, Campaign
from mechscreen.errors import FileError, InputError
from mechscreen.models.outputs import Status
from mechscreen.sampling import assign_split
from mechscreen.stages import merge as stage
from mechscreen.stages.merge import load_split, map_split, merge
from mechscreen.stages.simulate import read_shard, simulate

TRIAL = f"{Path(__file__).with_name('trial.py')}:Trial"


def make_campaign(results, shards=4, size=100, rows=70, **parameters):
    values = {
        "name": "trial",
        "results": str(results),
        "seed": 11,
        "model": {"name": TRIAL, "parameters": parameters},
        "simulations": {"count": shards * size, "shard_size": size},
        "dataset": {"shard_size": rows},
        "screen": {"count": 10, "block_size": 10},
    }
    return Campaign.from_dict(values)


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Simulate 12 shards of 100 samples; return their folder."""
    campaign = make_campaign(tmp_path_factory.mktemp("simulated"), shards=12)
    for shard in range(12):
        simulate(campaign, shard)
    return campaign.paths.simulations


@pytest.fixture
def campaign(simulated, tmp_path):
    """Return a function that makes a campaign of some of the shards, 4 unless told otherwise."""

    def campaign(shards=4, rows=70, folder="results"):
        campaign = make_campaign(tmp_path / folder, shards, rows=rows)
        if not campaign.paths.simulations.exists():
            shutil.copytree(simulated, campaign.paths.simulations)
        return campaign

    return campaign


def content(campaign):
    """Return the bytes of all files of the training set."""
    return {path.name: path.read_bytes() for path in campaign.paths.dataset.iterdir()}


def expected_rows(campaign):
    """Return status, split and the arrays of all samples, by reading the shards one after the other."""
    shards = [read_shard(campaign, number) for number in range(campaign.simulations.shards)]
    arrays = {
        name: np.concatenate([getattr(shard, name) for shard in shards])
        for name in ("index", "parameters", "profiles", "log_peaks", "status", "reasons")
    }
    return arrays, assign_split(11, 0, campaign.simulations.count, (0.8, 0.1, 0.1))


def test_training_set_holds_the_usable_samples_each_in_its_split(campaign):
    campaign = campaign()
    merge(campaign)
    arrays, splits = expected_rows(campaign)
    usable = arrays["status"] == Status.OK
    assert 300 < usable.sum() < 400
    for place, split in enumerate(SPLITS):
        chosen = usable & (splits == place)
        dataset = load_split(campaign, split)
        assert len(dataset) == chosen.sum()
        for name in ("index", "parameters", "profiles", "log_peaks"):
            np.testing.assert_array_equal(getattr(dataset, name), arrays[name][chosen])
            assert getattr(dataset, name).dtype == arrays[name].dtype


def test_manifest_tells_what_there_is_and_what_was_dropped(campaign):
    campaign = campaign()
    manifest = storage.read_json(merge(campaign))
    arrays, splits = expected_rows(campaign)
    usable = arrays["status"] == Status.OK
    assert manifest["samples"] == {split: int((usable & (splits == place)).sum()) for place, split in enumerate(SPLITS)}
    assert manifest["dropped"]["count"] == (~usable).sum()
    counts = {
        status.name: sum(entry["count"] for entry in manifest["dropped"]["reasons"] if entry["status"] == status.name)
        for status in Status
    }
    assert counts == {status.name: int((arrays["status"][~usable] == status).sum()) for status in Status}
    unsolved = [entry for entry in manifest["dropped"]["reasons"] if entry["status"] == "NOT_FINITE"]
    assert [entry["reason"] for entry in unsolved] == ["does not converge"]
    # That of the trial model holds the parameter, which differs from sample to sample.
    (raised,) = [entry for entry in manifest["dropped"]["reasons"] if entry["status"] == "ERROR"]
    first = np.flatnonzero(arrays["status"] == Status.ERROR)[0]
    a = arrays["parameters"][first, 0]
    assert raised["reason"] == f"ValueError: a = {a:.3f} is too small for <object object at 0x…>"
    assert raised["count"] > 1
    assert manifest["parameters"] == ["a", "b", "c"]
    assert manifest["outputs"] == ["sine", "cosine"]
    assert manifest["sizes"] == [20, 20]
    assert manifest["simulations"] == 400
    assert manifest["campaign"] == campaign.fingerprint("dataset")
    folder = campaign.paths.dataset
    assert {entry["file"] for entry in manifest["files"]} == {path.name for path in folder.glob("*.h5")}
    for entry in manifest["files"]:
        assert entry["sha256"] == storage.sha256(folder / entry["file"])
        file = storage.read(folder / entry["file"], "dataset", campaign.identity("dataset"))
        assert len(file["index"]) == entry["rows"]
        assert file["parameter_names"].tolist() == ["a", "b", "c"]


def test_files_have_the_rows_that_the_campaign_asks_for(campaign):
    for rows in (70, 1000):
        this = campaign(rows=rows)
        manifest = storage.read_json(merge(this))
        for split in SPLITS:
            sizes = [entry["rows"] for entry in manifest["files"] if entry["split"] == split]
            count = manifest["samples"][split]
            assert sizes == [rows] * (count // rows) + ([count % rows] if count % rows else [])


def test_a_growing_campaign_never_moves_a_sample(campaign):
    sets = []
    for shards in (4, 12):
        this = campaign(shards)
        merge(this)
        sets.append({split: set(load_split(this, split).index) for split in SPLITS})
    for split in SPLITS:
        assert sets[0][split] < sets[1][split]


def test_a_mapped_split_holds_what_the_loaded_one_does_and_leaves_the_profiles_on_the_disk(campaign):
    trial = campaign()
    merge(trial)
    loaded, mapped = load_split(trial, "train"), map_split(trial, "train")
    assert isinstance(mapped.profiles, storage.Rows)
    for name in ("index", "parameters", "profiles", "log_peaks"):
        np.testing.assert_array_equal(np.asarray(getattr(mapped, name)), getattr(loaded, name))


def test_files_of_a_larger_training_set_are_removed(campaign):
    merge(campaign(shards=12, rows=40))
    this = campaign()
    assert len(content(this)) > 20
    mine = this.paths.dataset / "train-notes.txt"
    mine.write_text("keep")
    manifest = storage.read_json(merge(this))
    assert set(content(this)) == {entry["file"] for entry in manifest["files"]} | {"manifest.json", mine.name}
    alone = campaign(folder="alone")
    merge(alone)
    mine.unlink()
    assert content(this) == content(alone)


def flip(path):
    damaged = bytearray(path.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    path.write_bytes(damaged)


def folder_instead(path):
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def other_campaign(path):
    file = storage.read(path, "simulations")
    attributes = {k: v for k, v in file.attributes.items() if k not in ("format_version", "software_version")}
    storage.write(path, file.arrays, {**attributes, "campaign": "ffff"})


def newer_format(path, monkeypatch):
    file = storage.read(path, "simulations")
    with monkeypatch.context() as patch:
        patch.setattr("mechscreen.storage.writer.FORMAT_VERSION", 9)
        storage.write(path, file.arrays, {k: v for k, v in file.attributes.items() if k != "format_version"})


def nan_row(path):
    file = storage.read(path, "simulations")
    profiles = np.full_like(file["profiles"], np.nan)
    attributes = {k: v for k, v in file.attributes.items() if k not in ("format_version", "software_version")}
    storage.write(path, {**file.arrays, "profiles": profiles}, attributes)


def test_all_wrong_shards_are_named_and_only_these_are_made_anew(campaign, monkeypatch):
    this, undisturbed = campaign(shards=10), campaign(shards=10, folder="undisturbed")
    merge(undisturbed)
    path = this.paths.shard
    flip(path(0))
    path(1).write_bytes(path(1).read_bytes()[:5000])
    path(2).write_bytes(b"")
    folder_instead(path(3))
    other_campaign(path(4))
    newer_format(path(5), monkeypatch)
    nan_row(path(6))
    path(7).unlink()
    shutil.copy(path(9), path(8))
    with pytest.raises(InputError) as caught:
        merge(this)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"merge: 9 of 10 shards in {this.paths.simulations} cannot be used:")
    problems = [
        "is damaged (its checksum does not match its content); moved to",
        "is damaged",
        "is empty",
        "is a folder where a file should be",
        f"written by campaign ffff (this one is {this.fingerprint('simulations')})",
        "has format 9",
        "has status OK but is not finite",
        "does not exist",
        "does not hold the samples 800 … 899",
    ]
    for number, (line, problem) in enumerate(zip(lines[1:-1], problems, strict=True)):
        assert line.startswith(f"  shard-0000{number}.h5: ")
        assert problem in line
        assert number == 7 or line.endswith(f"; moved to shard-0000{number}.h5.bad")
    assert lines[-1].startswith("run the workflow again")
    assert not this.paths.dataset.exists(), "nothing half-written"
    assert {p.name for p in this.paths.simulations.glob("shard-0000?.h5")} == {"shard-00009.h5"}
    for number in range(9):
        simulate(this, number)
    merge(this)
    assert content(this) == content(undisturbed)


def test_shards_moved_aside_before_are_kept(campaign):
    this = campaign()
    for name in ("shard-00002.h5.bad", "shard-00002.h5.bad.2"):
        flip(this.paths.shard(2))
        with pytest.raises(InputError, match=rf"moved to {name}\n"):
            merge(this)
        assert (this.paths.simulations / name).exists()
        simulate(this, 2)


def test_none_of_100_corruptions_of_a_shard_is_merged(campaign):
    this = campaign(shards=2)
    path = this.paths.shard(1)
    whole = path.read_bytes()
    chance = random.Random(5)
    for _ in range(100):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(damaged[: chance.choice([len(whole), chance.randrange(len(whole))])])
        with pytest.raises(InputError, match=r"shard-00001\.h5: is"):
            stage._verify(this)
        (this.paths.simulations / "shard-00001.h5.bad").unlink()


def test_a_shard_that_changes_between_verifying_and_writing_is_noticed(campaign, monkeypatch):
    this = campaign()
    verify = stage._verify

    def then_damage(campaign):
        found = verify(campaign)
        flip(campaign.paths.shard(3))
        return found

    monkeypatch.setattr(stage, "_verify", then_damage)
    with pytest.raises(FileError, match=r"shard-00003\.h5: is damaged"):
        merge(this)
    assert not this.paths.manifest.exists()
    assert [path.name for path in this.paths.dataset.iterdir() if path.name.startswith(".")] == []


def test_an_interruption_leaves_no_manifest_and_no_half_file(campaign, monkeypatch):
    this = campaign(folder="interrupted")
    merge(this)
    calls = []

    def append(self, arrays):
        calls.append(self.path.name)
        if len(calls) == 9:
            raise KeyboardInterrupt
        return write(self, arrays)

    write = storage.Writer.append
    monkeypatch.setattr(storage.Writer, "append", append)
    with pytest.raises(KeyboardInterrupt):
        merge(this)
    monkeypatch.undo()
    assert not this.paths.manifest.exists()
    assert [path.name for path in this.paths.dataset.iterdir() if path.name.startswith(".")] == []
    with pytest.raises(FileError, match=r"manifest\.json: does not exist"):
        load_split(this, "train")
    merge(this)
    undisturbed = campaign(folder="undisturbed")
    merge(undisturbed)
    assert content(this) == content(undisturbed)


def test_memory_does_not_grow_with_the_campaign(campaign):
    peaks = []
    for shards in (4, 12):
        this = campaign(shards, rows=10_000)
        merge(this)
        tracemalloc.start()
        merge(this)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.1 * peaks[0]


def test_too_few_usable_samples_are_told_with_the_reason(tmp_path):
    failing = make_campaign(tmp_path / "failing", shards=1, a={"low": 0.02, "high": 0.04})
    simulate(failing, 0)
    with pytest.raises(InputError) as caught:
        merge(failing)
    assert "no sample is left for 'train': of 100 simulations 0 are usable; most often: does not conv" in str(
        caught.value
    )
    few = make_campaign(tmp_path / "few", shards=1, size=3, a={"low": 0.1})
    simulate(few, 0)
    with pytest.raises(InputError, match=r"no sample is left for '\w+': of 3 simulations 3 are usable; raise"):
        merge(few)
    assert not few.paths.dataset.exists()


def test_a_training_set_of_another_campaign_or_a_damaged_one_is_refused(campaign):
    this = campaign()
    merge(this)
    other = this.model_copy(update={"seed": 12})
    with pytest.raises(FileError, match=r"manifest\.json: made with seed = 11, this campaign says 12; remove it"):
        load_split(other, "train")
    flip(this.paths.dataset_shard("test", 0))
    with pytest.raises(FileError, match=r"test-00000\.h5: is damaged"):
        load_split(this, "test")
    storage.write_text(this.paths.manifest, "[]")
    with pytest.raises(FileError, match=r"manifest\.json: is no record of 'dataset'"):
        load_split(this, "test")
