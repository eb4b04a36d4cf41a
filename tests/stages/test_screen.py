import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import psutil
import pytest
import yaml
from scipy.signal import find_peaks

from deadlines import StopAfter
from mechscreen import storage
from mechscreen.errors import InputError, ModelError
from mechscreen.ranks import Interrupted
from mechscreen.sampling import sample_unit
from mechscreen.schemas.screen import PartialBlock, ScreenBlock, ScreenHits, ScreenSummary
from mechscreen.stages import screen as stage
from mechscreen.stages.predict import load_campaign_ensemble
from mechscreen.stages.screen import gather_screen, screen_block
from mechscreen.tally import random_keys


def rings_by_scipy(profile):
    peaks, _ = find_peaks(np.concatenate([profile[:0:-1], profile]), distance=12, prominence=0.1)
    return min(np.count_nonzero(peaks != len(profile) - 1) // 2, 5)


def read(campaign, number=0):
    return storage.read(campaign.paths.block(number), ScreenBlock.kind, campaign.identity("screen"))


@pytest.fixture(autouse=True)
def three_batches_to_a_block(monkeypatch):
    monkeypatch.setattr(stage, "BATCH", 4096)


@pytest.fixture
def thirds(bumps_file):
    """An objective of three classes, of which a cascade to the last passes over the first."""
    return {"name": f"{bumps_file}:thirds", "options": {"classes": ["low", "middle", "high"]}, "target": ["high"]}


@pytest.fixture
def campaign(trained):
    return trained()


@pytest.fixture
def predicted(campaign):
    """What a straightforward screen of the first block finds: unit values, prediction, labels."""
    unit = sample_unit("uniform", campaign.seed, 0, 10_000, 4, "screen")
    said = load_campaign_ensemble(campaign).predict(campaign.space.normalise(campaign.space.physical(unit)))
    labels = np.array([rings_by_scipy(profile) for profile in said.profiles[:, 0]])
    return unit, said, labels


def test_block_holds_the_counts_and_hits_of_a_straightforward_screen(campaign, predicted):
    unit, said, labels = predicted
    screen_block(campaign, 0)
    block = read(campaign)
    np.testing.assert_array_equal(block["classes"], np.bincount(labels, minlength=6))
    assert block["class_names"].tolist() == ["0", "1", "2", "3", "4", "5 or more"]
    trusted = said.disagreement <= 0.07
    np.testing.assert_array_equal(block["trusted"], np.bincount(labels[trusted], minlength=6))
    for (i, j), plane in zip(block["pairs"], block["planes"][2], strict=True):
        expected, *_ = np.histogram2d(unit[labels == 2, i], unit[labels == 2, j], bins=8, range=[[0, 1], [0, 1]])
        np.testing.assert_array_equal(plane, expected)
    hits = np.flatnonzero((labels == 2) & trusted)
    assert 100 < len(hits) < (labels == 2).sum(), "the limit must part the hits for this test to mean anything"
    np.testing.assert_array_equal(block["index"], hits)
    np.testing.assert_allclose(block["parameters"], campaign.space.physical(unit)[hits])
    np.testing.assert_allclose(block["profiles"], said.profiles[hits], atol=1e-5)
    np.testing.assert_allclose(block["log_peaks"], said.log_peaks[hits], atol=1e-5)
    np.testing.assert_allclose(block["disagreement"], said.disagreement[hits], atol=1e-5)
    assert (block["labels"] == 2).all()
    assert block.attributes["hits_found"] == block.attributes["hits_kept"] == len(hits)
    assert block.attributes["hits_discarded"] == (labels == 2).sum() - len(hits)


def test_screen_looks_between_the_levels_that_simulations_take(campaign):
    screen_block(campaign, 0)
    scale = read(campaign)["parameters"][:, campaign.space.names.index("scale")]
    assert len(np.unique(scale)) == len(scale)


def test_cascade_shows_the_ensemble_what_the_first_member_puts_near_the_target_and_an_audit(trained, predicted, thirds):
    cascade = trained(screen={"mode": "cascade", "objective": thirds})
    screen_block(cascade, 0)
    block = read(cascade)
    unit, said, _ = predicted
    ensemble = load_campaign_ensemble(cascade)
    first = ensemble.predict_first(cascade.space.normalise(cascade.space.physical(unit)))
    of_first = cascade.objective(first["profiles"], first["log_peaks"])
    of_all = cascade.objective(said.profiles, said.log_peaks)
    audited = sample_unit("uniform", cascade.seed, 0, 10_000, 1, "audit")[:, 0] < 0.01
    looked = (of_first > 0) | audited
    assert 0 < (of_first == 0).sum() < 10_000, "the first member must pass over some for this test to mean anything"
    assert block["disagreement_levels"].sum() == looked.sum()
    assert block["audit"][0] == (audited & (of_first == 0)).sum() > 20
    hits = np.flatnonzero(looked & (of_all == 2) & (said.disagreement <= 0.07))
    assert len(hits) > 100
    np.testing.assert_array_equal(block["index"], hits)
    np.testing.assert_allclose(block["profiles"], said.profiles[hits], atol=1e-5)
    labels = np.where(looked, of_all, of_first)
    np.testing.assert_array_equal(block["classes"], np.bincount(labels, minlength=3))
    np.testing.assert_array_equal(block["planes"].sum(axis=(1, 2, 3)), 6 * block["classes"])


def test_block_of_a_cascade_does_not_pass_for_one_of_a_full_screen(trained, thirds):
    cascade, full = trained(screen={"mode": "cascade", "objective": thirds}), trained(screen={"objective": thirds})
    screen_block(cascade, 0)
    with pytest.raises(storage.FileError):
        stage.Search(full).read_block(0)


def test_of_many_hits_a_random_sample_is_kept_and_counts_stay_exact(trained, campaign):
    screen_block(campaign, 0)
    everything = read(campaign)
    few = trained(screen={"hits_per_block": 50})
    few.paths.block(0).unlink()
    screen_block(few, 0)
    block = read(few)
    kept = np.sort(np.argsort(random_keys(everything["index"]))[:50])
    for name in ("index", "parameters", "disagreement", "profiles"):
        np.testing.assert_array_equal(block[name], everything[name][kept])
    assert block.attributes["hits_kept"] == 50
    assert block.attributes["hits_found"] == everything.attributes["hits_found"]


MANY_RANKS = """
import sys
import time
from pathlib import Path
from mpi4py import MPI
from mechscreen import resumable
from mechscreen.campaign import Campaign
from mechscreen.ranks import Ranks
from mechscreen.stages import screen as stage
from mechscreen.stages.screen import screen_block

stage.BATCH = 512  # so that each rank has several, rank 0 too
stage._TOLD_PER_SECOND = 1e9
world = MPI.COMM_WORLD
for config in map(Path, sys.argv[1:]):
    campaign = Campaign.load(config)
    for ranks in (1, 2, 4):
        takes_part = world.Get_rank() < ranks
        comm = world.Split(0 if takes_part else 1)
        # Once each rank tells of every batch, else of all in the end.
        resumable.SAVE_EVERY = 0.0 if ranks == 2 else 100.0
        if takes_part:
            path = screen_block(campaign, 1, Ranks(comm if ranks > 1 else None))
        if world.Get_rank() == 0:
            path.rename(config.with_name(f"{config.stem}-{ranks}.h5"))
        world.Barrier()
"""


def test_block_is_the_same_with_one_two_and_four_ranks(trained, thirds, tmp_path):
    campaigns, configs = {}, []
    for mode in ("full", "cascade"):
        campaigns[mode] = trained(screen={"mode": mode, "objective": thirds, "hits_per_block": 30})
        configs.append(tmp_path / f"{mode}.yaml")
        configs[-1].write_text(yaml.safe_dump(campaigns[mode].model_dump(mode="json")))
    script = tmp_path / "many_ranks.py"
    script.write_text(MANY_RANKS)
    mpiexec = Path(sys.executable).with_name("mpiexec")
    # One launch with communicators of each size, because it is loading TensorFlow in each process that takes long.
    subprocess.run(
        [mpiexec if mpiexec.exists() else "mpiexec", "-n", "4", sys.executable, script, *configs],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=240,
    )
    for mode, campaign in campaigns.items():
        contents = [(tmp_path / f"{mode}-{ranks}.h5").read_bytes() for ranks in (1, 2, 4)]
        assert contents[0] == contents[1] == contents[2]
        block = storage.read(tmp_path / f"{mode}-4.h5", ScreenBlock.kind, campaign.identity("screen"))
        assert len(block["index"]) == 30 < block.attributes["hits_found"]


@pytest.mark.parametrize("mode", ["full", "cascade"])
def test_interrupted_block_is_continued_to_the_same_bytes(trained, thirds, monkeypatch, mode):
    campaign = trained(screen={"mode": mode, "objective": thirds})
    path = screen_block(campaign, 0)
    whole = path.read_bytes()
    path.unlink()
    partial = path.with_name(path.name + ".partial")
    looked_at = []
    look_at = stage.Search.look_at

    def counting_look(self, ensemble, start, stop, counts):
        looked_at.append((start, stop))
        return look_at(self, ensemble, start, stop, counts)

    monkeypatch.setattr(stage.Search, "look_at", counting_look)
    for _ in range(2):
        with pytest.raises(Interrupted, match="samples are saved, since the time limit is near"):
            screen_block(campaign, 0, deadline=StopAfter(1))
        assert partial.exists()
        assert not path.exists()
    screen_block(campaign, 0)
    assert path.read_bytes() == whole
    assert not partial.exists()
    assert looked_at == [(0, 4096), (4096, 8192), (8192, 10_000)], "no batch is looked at twice"


KILLED = """
import sys, time
from mechscreen import resumable
from mechscreen.campaign import Campaign
from mechscreen.ranks import Ranks
from mechscreen.stages import screen as stage

stage.BATCH, stage._TOLD_PER_SECOND, resumable.SAVE_EVERY, resumable.SAVE_SHARE = 512, 1e9, 0.0, 1e9
look_at = stage.Search.look_at

def slowly(*arguments):
    time.sleep(0.3)
    return look_at(*arguments)

stage.Search.look_at = slowly
stage.screen_block(Campaign.load(sys.argv[1]), 0, Ranks.launched())
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_block_killed_in_the_middle_is_continued_to_the_same_bytes(campaign, mpiexec, tmp_path, monkeypatch, ranks):
    monkeypatch.setattr(stage, "BATCH", 512)
    path = screen_block(campaign, 0)
    whole = path.read_bytes()
    path.unlink()
    partial = path.with_name(path.name + ".partial")
    (tmp_path / "campaign.yaml").write_text(campaign.to_yaml())
    (tmp_path / "killed.py").write_text(KILLED)
    process = mpiexec(ranks, tmp_path / "killed.py", tmp_path / "campaign.yaml")
    end = time.monotonic() + 120
    while not partial.exists() or storage.read(partial, PartialBlock.kind)["done"].sum() < 3:
        assert time.monotonic() < end
        assert process.poll() is None
        time.sleep(0.05)
    for child in psutil.Process(process.pid).children(recursive=True):
        child.kill()
    process.kill()
    process.wait()
    assert not path.exists()
    done = storage.read(partial, PartialBlock.kind)["done"]
    assert 3 <= done.sum() < len(done) == 20
    looked_at = []
    look_at = stage.Search.look_at

    def counting_look(self, ensemble, start, stop, counts):
        looked_at.append(start)
        return look_at(self, ensemble, start, stop, counts)

    monkeypatch.setattr(stage.Search, "look_at", counting_look)
    screen_block(campaign, 0)
    assert looked_at == [512 * k for k in np.flatnonzero(~done)], "no batch that is saved is looked at again"
    assert path.read_bytes() == whole
    assert not partial.exists()


def test_damaged_partial_block_is_begun_anew(campaign, caplog):
    path = screen_block(campaign, 0)
    whole = path.read_bytes()
    path.unlink()
    with pytest.raises(Interrupted):
        screen_block(campaign, 0, deadline=StopAfter(2))
    partial = path.with_name(path.name + ".partial")
    content = bytearray(partial.read_bytes())
    content[-100] ^= 1
    partial.write_bytes(content)
    screen_block(campaign, 0)
    assert path.read_bytes() == whole
    assert "starting anew" in caplog.text


def test_whole_block_is_left_and_a_wrong_one_made_anew(campaign, caplog):
    path = screen_block(campaign, 0)
    whole = path.read_bytes()
    made = path.stat().st_mtime_ns
    screen_block(campaign, 0)
    assert path.stat().st_mtime_ns == made
    path.write_bytes(whole[:-7])
    screen_block(campaign, 0)
    assert path.read_bytes() == whole
    assert "making it anew" in caplog.text


def test_gathered_screen_is_the_sum_of_its_blocks(campaign):
    blocks = []
    for number in range(3):
        screen_block(campaign, number)
        blocks.append(read(campaign, number))
    summary_path, hits_path = gather_screen(campaign)
    summary = storage.read(summary_path, ScreenSummary.kind, campaign.identity("screen"))
    for name in ("classes", "trusted", "planes", "disagreement_levels"):
        np.testing.assert_array_equal(summary[name], sum(block[name].astype(int) for block in blocks))
    assert summary["classes"].sum() == summary.attributes["samples"] == 30_000
    assert summary["planes"].sum(axis=(0, 2, 3)).tolist() == [30_000] * 6
    assert summary["axes"].tolist() == ["place", "width", "second", "scale"]
    hits = storage.read(hits_path, ScreenHits.kind, campaign.identity("screen"))
    for name in ("index", "parameters", "labels", "disagreement", "profiles", "log_peaks"):
        np.testing.assert_array_equal(hits[name], np.concatenate([block[name] for block in blocks]))
    assert (np.diff(hits["index"]) > 0).all()
    assert hits.attributes["hits_found"] == sum(block.attributes["hits_found"] for block in blocks)


def test_gathering_names_every_bad_block_and_moves_it_aside(campaign, trained):
    for number in (0, 2):
        screen_block(campaign, number)
    other = trained(screen={"bins": 9})
    other.paths.block(2).unlink()  # the two share a folder
    screen_block(other, 2)
    with pytest.raises(InputError) as caught:
        gather_screen(campaign)
    message = str(caught.value)
    assert "2 of 3 blocks" in message
    assert "block-00001.h5: does not exist" in message
    assert "block-00002.h5: made with screen.bins = 9, this campaign says 8" in message
    assert not campaign.paths.block(2).exists()
    assert campaign.paths.block(0).exists()
    assert not campaign.paths.screen_summary.exists()


def test_block_whose_counts_were_changed_is_refused(campaign):
    path = screen_block(campaign, 0)
    block = read(campaign)
    arrays = {name: np.array(block[name]) for name in block.arrays}
    arrays["classes"][:2] += np.array([1, -1]).astype(np.uint32)
    attributes = {k: v for k, v in block.attributes.items() if k not in ("format_version", "software_version")}
    storage.write(path, arrays, attributes)
    with pytest.raises(storage.FileError, match="counts contradict"):
        stage.Search(campaign).read_block(0)


def test_fixed_parameters_have_no_planes(trained):
    fixed = trained(model={"parameters": {"scale": {"value": 5.0}}})
    search = stage.Search(fixed)
    assert search.axes.axes.tolist() == ["place", "width", "second"]
    assert search.no_counts().planes.shape == (6, 3, 8, 8)
    assert (search.sample(0, 100)[1][:, 3] == 5.0).all()


def test_screen_of_a_plane_holds_the_other_parameters(trained):
    plane = trained(screen={"vary": ["place", "width"], "parameters": {"scale": {"value": 5.0}}})
    search = stage.Search(plane)
    unit, physical = search.sample(0, 100)
    np.testing.assert_allclose(physical[:, :2], plane.space.physical(unit)[:, :2])
    assert (physical[:, 3] == 5.0).all()
    assert len(np.unique(physical[:, 2])) == 1
    screen_block(plane, 0)
    assert read(plane)["planes"].shape == (6, 1, 8, 8)


def test_screen_by_a_users_objective(trained, bumps_file):
    objective = {
        "name": f"{bumps_file}:half_bright",
        "options": {"classes": ["dim", "bright"]},
        "target": ["bright"],
    }
    campaign = trained(screen={"objective": objective, "disagreement_limit": 1.0})
    screen_block(campaign, 0)
    block = read(campaign)
    assert block["class_names"].tolist() == ["dim", "bright"]
    assert block["classes"].sum() == 10_000
    assert (block["log_peaks"][:, 0] > np.log(10)).all()
    assert len(block["index"]) == block["classes"][1] > 100


def test_unknown_target_or_block_is_named(trained, campaign):
    with pytest.raises(InputError, match="no class 'three'"):
        screen_block(trained(screen={"objective": {"name": "rings", "target": ["three"]}}), 0)
    with pytest.raises(InputError, match=r"no block 3: the screen of 'bumps' has blocks 0 … 2"):
        screen_block(campaign, 3)


def test_ensemble_that_predicts_nan_is_refused(campaign):
    ensemble = load_campaign_ensemble(campaign)

    class Broken:
        batch_size, shape = ensemble.batch_size, ensemble.shape

        def predict(self, normalised):
            said = ensemble.predict(normalised)
            said.log_peaks[5] = np.nan
            return said

    search = stage.Search(campaign)
    with pytest.raises(ModelError, match="not finite; train it again"):
        search.look_at(Broken(), 0, 100, search.no_counts())


def test_a_screen_needs_the_members_alone_and_no_training_set(campaign):
    whole = screen_block(campaign, 0).read_bytes()
    campaign.paths.block(0).unlink()
    shutil.rmtree(campaign.paths.dataset)
    assert screen_block(campaign, 0).read_bytes() == whole
