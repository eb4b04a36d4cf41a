import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from deadlines import StopAfter
from mechscreen import resumable, storage
from mechscreen.campaign import Campaign
from mechscreen.errors import FileError, InputError
from mechscreen.models.base import get_model
from mechscreen.models.outputs import Status
from mechscreen.ranks import Interrupted
from mechscreen.sampling import sample_seeds, sample_unit
from mechscreen.schemas.simulations import PartialSimulationFile, SimulationFile
from mechscreen.stages import simulate as stage
from mechscreen.stages.simulate import read_shard, simulate, simulate_table

TRIAL = f"{Path(__file__).with_name('trial.py')}:Trial"


@pytest.fixture
def campaign(tmp_path):
    """Return a function that makes the campaign, with 2 shards of 150 samples unless told otherwise."""

    def campaign(folder="results", seconds=0.0, **simulations):
        values = {
            "name": "trial",
            "results": str(tmp_path / folder),
            "seed": 11,
            "model": {"name": TRIAL, "options": {"seconds": seconds}},
            "simulations": {"count": 300, "shard_size": 150, **simulations},
            "screen": {"count": 10, "block_size": 10},
        }
        return Campaign.from_dict(values)

    return campaign


@pytest.fixture
def journal(tmp_path, monkeypatch):
    """Return a function that gives the seeds of all samples that the model was asked for."""
    path = tmp_path / "journal"
    monkeypatch.setenv("TRIAL_JOURNAL", str(path))
    return lambda: path.read_text().split() if path.exists() else []


@pytest.fixture
def start(mpiexec, tmp_path):
    """Return a function that starts ``mechscreen simulate`` for a campaign's shard 1 on n ranks."""
    running = []

    def start(campaign, ranks, *more):
        config = tmp_path / f"campaign-{len(running)}.yaml"
        config.write_text(yaml.safe_dump(campaign.model_dump(mode="json")))
        arguments = ["simulate", "--config", config, "--shard", 1, "--ranks", ranks, *more]
        process = mpiexec(ranks, "-m", "mechscreen", *arguments)
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.wait()


def finish(process, expected=0):
    output, errors = process.communicate(timeout=120)
    assert process.returncode == expected, errors
    return output + errors


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.02)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """Return a function that gives the bytes of shard 1 when nothing goes wrong."""
    known = {}

    def undisturbed(campaign, seconds=0.0):
        if seconds not in known:
            folder = tmp_path_factory.mktemp("undisturbed")
            known[seconds] = simulate(campaign(folder, seconds=seconds), 1).read_bytes()
        return known[seconds]

    return undisturbed


def folder_of(campaign):
    return sorted(path.name for path in campaign.paths.simulations.iterdir())


def flip(path, bit):
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def rewrite(path, **changes):
    """Change arrays of a file and give it a right checksum again."""
    file = storage.read(path, storage_kind(path))
    attributes = {k: v for k, v in file.attributes.items() if k not in ("format_version", "software_version")}
    storage.write(path, {**file.arrays, **changes}, attributes)


def storage_kind(path):
    return PartialSimulationFile.kind if path.suffix == ".partial" else SimulationFile.kind


def test_shard_holds_what_the_model_says_of_its_samples(campaign):
    campaign = campaign()
    simulate(campaign, 1)
    shard = read_shard(campaign, 1)
    unit = sample_unit("uniform", 11, 150, 300, 3, "simulations")
    parameters = unit * [1, 2, 2] + [0, 0, 1]
    parameters[:, 2] = np.where(unit[:, 2] < 0.5, 1, 3)
    seeds = sample_seeds(11, 150, 300, "simulation seeds")
    np.testing.assert_array_equal(shard.index, np.arange(150, 300))
    np.testing.assert_array_equal(shard.parameters, parameters)
    a, b, c = parameters.T
    status = np.select([a < 0.02, a < 0.04, a < 0.06, a < 0.08], [4, 1, 2, 3], 0)
    assert set(status) == {0, 1, 2, 3, 4}, "the seed of this test must make samples of every kind"
    np.testing.assert_array_equal(shard.status, status)
    ok = status == Status.OK
    for place, (function, grid) in enumerate([(np.sin, np.linspace(0, 1, 20)), (np.cos, np.linspace(0, 1, 20))]):
        raw = (c * (1 + 1e-3 * (seeds // 2**40)))[:, None] * (1.1 + function(b[:, None] * grid))
        np.testing.assert_allclose(shard.profiles[ok, place], (raw / raw.max(1, keepdims=True))[ok], rtol=1e-6)
        np.testing.assert_allclose(shard.log_peaks[ok, place], np.log(raw.max(1))[ok], rtol=1e-12)
    assert np.isnan(shard.profiles[~ok]).all()
    assert np.isnan(shard.log_peaks[~ok]).all()
    reasons = [str(reason) for reason in shard.reasons]
    assert {reasons[i] for i in np.flatnonzero(ok)} == {""}
    assert {reasons[i] for i in np.flatnonzero(status == 1)} == {"does not converge"}
    first = np.flatnonzero(status == 4)[0]
    assert reasons[first] == f"ValueError: a = {a[first]:.3f} is too small for <object object at 0x…>"
    assert shard.about.parameter_names.tolist() == ["a", "b", "c"]
    assert shard.about.output_names.tolist() == ["sine", "cosine"]
    attributes = storage.verify(campaign.paths.shard(1), SimulationFile.kind)
    assert attributes["model"] == TRIAL
    assert attributes["seed"] == 11


@pytest.mark.parametrize("sampling", ["uniform", "sobol"])
def test_growing_a_campaign_leaves_its_shards_as_they_are(campaign, sampling):
    small = simulate(campaign("small", sampling=sampling), 1).read_bytes()
    assert simulate(campaign("large", sampling=sampling, count=1500), 1).read_bytes() == small


def test_shard_is_the_same_with_one_two_and_four_ranks(campaign, undisturbed, start, journal):
    expected = undisturbed(campaign)
    for ranks in (1, 2, 4):
        this = campaign(f"with-{ranks}")
        said = finish(start(this, ranks))
        assert this.paths.shard(1).read_bytes() == expected
        assert folder_of(this) == ["shard-00001.h5"]
        assert "simulate shard-00001: 150/150 samples" in said


def test_shard_of_the_pattern_model_is_the_same_with_three_ranks_that_all_compile(
    campaign, start, tmp_path, monkeypatch
):
    def pattern(folder):
        values = campaign(folder).model_dump(mode="json")
        values["model"] = {"name": "pattern"}
        values["simulations"] = {"count": 60, "shard_size": 30}
        return Campaign.from_dict(values)

    one, three = pattern("one"), pattern("three")
    simulate(one, 1)
    cache = tmp_path / "numba"
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(cache))
    finish(start(three, 3))
    assert len(list(cache.rglob("pattern_kernel._solve_all*.nbc"))) == 1
    assert one.paths.shard(1).read_bytes() == three.paths.shard(1).read_bytes()
    assert (read_shard(one, 1).status == Status.OK).mean() > 0.9


def test_sensitivity_is_stored_on_request_and_changes_nothing_else(tmp_path):
    unit = np.random.default_rng(3).random((40, 3))
    table = tmp_path / "many.csv"
    unit[::8, 0] = 0.03  # has no solution
    rows = get_model(TRIAL).space.physical(unit, levels=True)
    table.write_text("a,b,c\n" + "\n".join(",".join(map(repr, map(float, row))) for row in rows))
    simulate_table(TRIAL, table, tmp_path / "plain.h5")
    simulate_table(TRIAL, table, tmp_path / "asked.h5", sensitivity=True)
    without, asked = (storage.read(tmp_path / name, SimulationFile.kind) for name in ("plain.h5", "asked.h5"))
    assert "sensitivity" not in without.arrays
    for name, values in without.arrays.items():
        np.testing.assert_array_equal(asked[name], values)
    ok = asked["status"] == Status.OK
    assert 0 < ok.sum() < 40
    seeds = np.arange(40, dtype=np.uint64)[ok]
    expected = get_model(TRIAL).simulate(asked["parameters"][ok], seeds=seeds, sensitivity=True)
    np.testing.assert_array_equal(asked["sensitivity"][ok], expected.sensitivity)
    assert np.isnan(asked["sensitivity"][~ok]).all()


def test_a_model_that_raises_for_the_neighbour_alone_does_not_fail_the_sample(tmp_path):
    table = tmp_path / "sets.csv"
    table.write_text("a,b,c\n" + "0.02000001,1,1\n" * 20)
    simulate_table(TRIAL, table, tmp_path / "out.h5", sensitivity=True)
    file = storage.read(tmp_path / "out.h5", SimulationFile.kind)
    assert set(file["status"]) == {Status.NOT_FINITE}
    assert np.isnan(file["sensitivity"]).all()


@pytest.mark.parametrize(("number", "ranks"), [(signal.SIGTERM, 2), (signal.SIGINT, 4), (signal.SIGUSR1, 1)])
def test_signal_to_the_launcher_leaves_a_partial_shard(campaign, undisturbed, start, journal, number, ranks):
    expected = undisturbed(campaign, 0.02)
    already = len(journal())
    this = campaign("disturbed", seconds=0.02)
    process = start(this, ranks)
    wait_for(lambda: len(journal()) > already + 20)
    process.send_signal(number)
    said = finish(process, expected=75)
    assert folder_of(this) == ["shard-00001.h5.partial"]
    partial = storage.read(this.paths.simulations / "shard-00001.h5.partial", PartialSimulationFile.kind)
    done = len(partial["index"])
    assert 0 < done < 150
    assert f"{done} of 150 samples are saved, since received {number.name}; run the same command again" in said
    simulate(this, 1)
    assert this.paths.shard(1).read_bytes() == expected
    assert folder_of(this) == ["shard-00001.h5"]


def test_time_limit_leaves_a_partial_shard_that_is_continued(campaign, undisturbed, start):
    expected = undisturbed(campaign, 0.02)
    this = campaign("disturbed", seconds=0.02)
    said = finish(start(this, 1, "--time-limit", 1 / 60), expected=75)
    assert "since the time limit is near" in said
    assert folder_of(this) == ["shard-00001.h5.partial"]
    finish(start(this, 2))
    assert this.paths.shard(1).read_bytes() == expected


def test_what_is_done_is_not_done_again(campaign, undisturbed, journal):
    this = campaign()
    attempts = 0
    while not this.paths.shard(1).exists():
        attempts += 1
        try:
            simulate(this, 1, deadline=StopAfter(4))
        except Interrupted:
            assert folder_of(this) == ["shard-00001.h5.partial"]
    assert attempts > 2
    raised = (read_shard(this, 1).status == Status.ERROR).sum()
    seeds = journal()
    assert len(set(seeds)) == 150
    # A sample that makes its block raise is asked for again, with the others of the block.
    assert len(seeds) < 150 + 64 * (raised + 1)
    assert this.paths.shard(1).read_bytes() == undisturbed(campaign)


def children(pid):
    done = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True)
    return [int(child) for child in done.stdout.split()]


def ranks_of(launcher):
    """Return the process numbers of an mpiexec's ranks."""
    (proxy,) = children(launcher.pid)
    return sorted(children(proxy))


@pytest.mark.parametrize("victim", ["rank 0", "rank 1", "launcher"])
def test_shard_is_made_whole_after_kill_9(campaign, undisturbed, start, journal, victim):
    expected = undisturbed(campaign, 0.02)
    already = len(journal())
    this = campaign("disturbed", seconds=0.02)
    process = start(this, 2)
    wait_for(lambda: len(journal()) > already + 20)
    ranks = ranks_of(process)
    os.kill({"rank 0": ranks[0], "rank 1": ranks[1], "launcher": process.pid}[victim], signal.SIGKILL)
    process.communicate(timeout=120)
    assert process.returncode != 0
    simulate(this, 1)
    assert this.paths.shard(1).read_bytes() == expected
    wait_for(lambda: folder_of(this) == ["shard-00001.h5"])
    for rank in ranks:
        wait_for(lambda rank=rank: not Path(f"/proc/{rank}").exists())


def test_a_shard_started_twice_is_made_whole_by_both(campaign, undisturbed, start):
    expected = undisturbed(campaign, 0.01)
    this = campaign("twice", seconds=0.01)
    for process in [start(this, 1), start(this, 2)]:
        finish(process)
    assert this.paths.shard(1).read_bytes() == expected
    assert folder_of(this) == ["shard-00001.h5"]


def test_what_is_done_is_saved_from_time_to_time(campaign, undisturbed, monkeypatch, journal):
    monkeypatch.setattr(resumable, "SAVE_EVERY", 0.0)
    monkeypatch.setattr(resumable, "SAVE_SHARE", 1e9)
    this = campaign()
    saved = []

    def crash(self):
        save(self)
        saved.append(len(storage.read(self.partial_path, PartialSimulationFile.kind)["index"]))
        if len(saved) == 5:
            raise KeyboardInterrupt

    save = stage._Simulation.save
    monkeypatch.setattr(stage._Simulation, "save", crash)
    with pytest.raises(KeyboardInterrupt):
        simulate(this, 1)
    assert saved == sorted(saved)
    assert 0 < saved[0] < saved[-1] < 150
    monkeypatch.undo()
    simulate(this, 1)
    assert this.paths.shard(1).read_bytes() == undisturbed(campaign)


def interrupted(campaign):
    """Leave a partial shard; return its path."""
    with pytest.raises(Interrupted):
        simulate(campaign, 1, deadline=StopAfter(5))
    return campaign.paths.simulations / "shard-00001.h5.partial"


def other_samples(partial):
    rewrite(partial, index=storage.read(partial, PartialSimulationFile.kind)["index"] + 1)


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda partial: flip(partial, 99), "is damaged"),
        (lambda partial: flip(partial, 40_000), "is damaged"),
        (lambda partial: partial.write_bytes(b""), "is empty"),
        (lambda partial: partial.write_bytes(partial.read_bytes()[:3000]), "is damaged"),
        (other_samples, "holds other samples"),
        (lambda partial: partial.write_text("x" * 1000), "is no mechscreen file"),
    ],
)
def test_a_partial_shard_that_fails_verification_is_discarded(campaign, undisturbed, caplog, spoil, reason):
    this = campaign()
    partial = interrupted(this)
    spoil(partial)
    simulate(this, 1)
    assert "starting anew, since" in caplog.text
    assert reason in caplog.text
    assert this.paths.shard(1).read_bytes() == undisturbed(campaign)
    assert folder_of(this) == ["shard-00001.h5"]


def test_a_partial_shard_of_another_campaign_is_discarded(campaign, undisturbed, caplog):
    interrupted(campaign(seconds=1e-9))
    simulate(campaign(), 1)
    assert "made with model.options.seconds = 1e-09, this campaign says" in caplog.text
    assert campaign().paths.shard(1).read_bytes() == undisturbed(campaign)


def test_a_whole_shard_is_left_as_it_is(campaign, journal):
    this = campaign()
    path = simulate(this, 1)
    asked, made = len(journal()), path.stat()
    (this.paths.simulations / "shard-00001.h5.partial").write_text("left by a job that was started twice")
    simulate(this, 1)
    assert len(journal()) == asked
    assert path.stat().st_mtime_ns == made.st_mtime_ns
    assert path.stat().st_ino == made.st_ino
    assert folder_of(this) == ["shard-00001.h5"]


def nan_row(path):
    file = storage.read(path, SimulationFile.kind)
    profiles = file["profiles"].copy()
    profiles[np.flatnonzero(file["status"] == 0)[-1], 1, 7] = np.nan
    rewrite(path, profiles=profiles)


def other_row(path):
    parameters = storage.read(path, SimulationFile.kind)["parameters"].copy()
    parameters[-1, 0] *= 1 + 1e-9
    rewrite(path, parameters=parameters)


def no_status(path):
    rewrite(path, status=np.full(150, 17, dtype=np.uint8))


def missing_row(path):
    rewrite(path, status=storage.read(path, SimulationFile.kind)["status"][1:])


def another_shard(path):
    rewrite(path, index=np.arange(150))


SPOILED = [
    (nan_row, r"sample \d+ has status OK but is not finite"),
    (other_row, "its parameters are not those of its samples"),
    (no_status, "holds a status that is none"),
    (missing_row, r"'status' has shape \(149,\), expected \(150,\)"),
    (another_shard, r"does not hold the samples 150 … 299"),
    (lambda path: flip(path, 50_000), "is damaged .*"),
    (lambda path: path.write_bytes(path.read_bytes()[:-1]), "is damaged .*"),
    (lambda path: path.write_bytes(b""), "is empty"),
]


@pytest.mark.parametrize(("spoil", "problem"), SPOILED)
def test_a_wrong_shard_is_refused_by_name_and_made_anew(campaign, caplog, spoil, problem):
    this = campaign()
    path = simulate(this, 1)
    expected = path.read_bytes()
    spoil(path)
    with pytest.raises(FileError, match=rf"^{path}: {problem}; remove it and run"):
        read_shard(this, 1)
    simulate(this, 1)
    assert "making it anew" in caplog.text
    assert path.read_bytes() == expected


def test_a_shard_that_does_not_exist_is_refused(campaign):
    for shard in (-1, 2):
        with pytest.raises(InputError, match=rf"no shard {shard}: simulations.count and shard_size make shards 0 … 1"):
            simulate(campaign(), shard)


def test_what_cannot_be_written_is_told_before_simulating(campaign, journal):
    this = campaign()
    this.paths.shard(1).mkdir(parents=True)
    with pytest.raises(InputError, match=r"shard-00001\.h5: is a folder"):
        simulate(this, 1)
    blocked = campaign("blocked")
    Path(blocked.results).write_text("a file")
    with pytest.raises(InputError, match="a part of its path is a file"):
        simulate(blocked, 1)
    assert journal() == []


def test_out_of_memory_is_not_a_samples_failure(campaign, monkeypatch):
    def solve(self, parameters, seeds):
        raise MemoryError

    this = campaign()
    model = type(this.model_instance)
    monkeypatch.setattr(model, "solve", solve)
    monkeypatch.setattr(model, "isolated", False)
    with pytest.raises(MemoryError):
        simulate(this, 1)


def test_failures_are_counted_in_the_log(campaign, caplog):
    simulate(campaign(), 1)
    said = "simulate shard-00001: 5 of 150 samples have status NOT_FINITE, most often: does not converge (5 alike)"
    assert said in caplog.text


@given(
    n=st.integers(0, 500),
    ranks=st.integers(1, 64),
    pace=st.lists(st.floats(0, 1e4) | st.just(0.0), max_size=10),
)
def test_blocks_cover_every_row_once(n, ranks, pace):
    blocks = stage.Blocks(np.arange(n), ranks)
    seen, sizes = [], []
    for block in blocks:
        seen += block.tolist()
        sizes.append(len(block))
        if pace:
            blocks.note(pace.pop())
    assert seen == list(range(n))
    assert set(sizes) <= {1, 2, 4, 8, 16, 32, 64}
    assert not sizes or sizes[0] == 1


def test_blocks_take_about_a_second_and_shrink_towards_the_end():
    blocks = stage.Blocks(np.arange(10_000), 4)
    sizes = []
    for block in blocks:
        blocks.note(0.1)
        sizes.append(len(block))
    assert sizes[1:50] == [8] * 49
    assert sizes[-1] == 1
    assert sorted(sizes[1:], reverse=True) == sizes[1:]


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "sets.csv"
    path.write_text("c,a,b\n1,0.5,0.25\n3,0.01,1\n2,0.9,2\n")
    return path


def test_a_table_is_simulated_row_by_row(table, tmp_path):
    out = tmp_path / "out.h5"
    simulate_table(TRIAL, table, out)
    file = storage.read(out, SimulationFile.kind)
    expected = get_model(TRIAL).simulate([[0.5, 0.25, 1], [0.9, 2, 2]], seeds=[0, 2])
    np.testing.assert_array_equal(file["parameters"], [[0.5, 0.25, 1], [0.01, 1, 3], [0.9, 2, 2]])
    assert file["status"].tolist() == [Status.OK, Status.ERROR, Status.OK]
    np.testing.assert_array_equal(file["profiles"][[0, 2]], expected.profiles.astype(np.float32))
    np.testing.assert_array_equal(file["log_peaks"][[0, 2]], expected.log_peaks)


def test_rows_of_a_table_outside_the_ranges_are_told(table, tmp_path, caplog):
    low, high = get_model(TRIAL).space.low, get_model(TRIAL).space.high
    names = ",".join(get_model(TRIAL).space.names)
    rows = [low, high, high * (1 + 1e-12), high + 1e-3, low - 1e-3]
    table.write_text(names + "\n" + "\n".join(",".join(map(repr, map(float, row))) for row in rows))
    simulate_table(TRIAL, table, tmp_path / "out.h5")
    assert "sets.csv: 2 of 5 parameter sets lie outside the model's own ranges" in caplog.text
    caplog.clear()
    table.write_text(names + "\n" + ",".join(map(repr, map(float, low))))
    simulate_table(TRIAL, table, tmp_path / "inside.h5")
    assert "lie outside" not in caplog.text


def test_a_table_may_be_normalised(table, tmp_path):
    out = tmp_path / "out.h5"
    simulate_table(TRIAL, table, out, normalised=True)
    np.testing.assert_allclose(
        storage.read(out, SimulationFile.kind)["parameters"], [[0.5, 1, 3], [0.01, 4, 7], [0.9, 8, 5]], rtol=1e-12
    )


def test_a_table_is_continued_and_never_overwrites_another_file(table, tmp_path, journal):
    out = tmp_path / "out.h5"
    with pytest.raises(Interrupted):
        simulate_table(TRIAL, table, out, deadline=StopAfter(1))
    simulate_table(TRIAL, table, out)
    assert len(journal()) == 3
    whole = tmp_path / "whole.h5"
    simulate_table(TRIAL, table, whole)
    assert out.read_bytes() == whole.read_bytes()
    simulate_table(TRIAL, table, out)
    assert len(journal()) == 6, "what is there already is not simulated again"
    with pytest.raises(
        InputError,
        match=r"out\.h5: made with model\.options\.seconds = nothing, this campaign says 1e-09.*choose another --out",
    ):
        simulate_table(TRIAL, table, out, options={"seconds": 1e-9})
    with pytest.raises(InputError, match=r"sets\.csv: is no mechscreen file.*choose another --out"):
        simulate_table(TRIAL, table, table)
    assert table.read_text().startswith("c,a,b")


def test_a_table_on_the_command_line(table, tmp_path):
    out = tmp_path / "out.h5"
    command = [sys.executable, "-m", "mechscreen", "simulate", "--model", TRIAL, "--parameters", table, "--out", out]
    subprocess.run(command, check=True)
    assert len(storage.read(out, SimulationFile.kind)["index"]) == 3
    table.write_text("c,a,beta\n1,2,3\n")
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "line 1: no parameter 'beta'" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(autouse=True)
def _log_everything(caplog):
    caplog.set_level(logging.INFO)
