"""One ailing sample is recorded with its reason; all others are as if it were well."""

import re
import time
from pathlib import Path

import numpy as np
import pytest
import yaml

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import ModelError, StorageError
from mechscreen.models import Model, Output, Parameter, ParameterSpace, Solution
from mechscreen.models.outputs import Status
from mechscreen.schemas.simulations import PartialSimulationFile, SimulationFile
from mechscreen.stages.simulate import read_shard, simulate, simulate_table

AILING = f"{Path(__file__).with_name('ailing.py')}:Ailing"

EXPECTED = {
    "raises": (Status.ERROR, "ZeroDivisionError: division by zero"),
    "loops": (Status.TIMEOUT, "no result within 1 s"),
    "sleeps": (Status.TIMEOUT, "no result within 1 s"),
    "aborts": (Status.ERROR, "the process was ended by SIGABRT"),
    "dereferences null": (Status.ERROR, "the process was ended by SIGSEGV"),
    "exits": (Status.ERROR, "the process ended with exit code 7"),
    "is not finite": (Status.NOT_FINITE, "output 'wave' is nan at point 0"),
}
WELL = 17


@pytest.fixture
def campaign(tmp_path):
    """Return a function that makes a campaign of one shard, where every ailment befalls one sample or two."""

    def campaign(name, ailments=tuple(EXPECTED), limit=1.0):
        levels = [*range(1, len(EXPECTED) + 1), *np.linspace(50, 99, WELL).tolist()]
        values = {
            "name": name,
            "results": str(tmp_path / "results"),
            "seed": 140,  # every ailment befalls a sample
            "model": {"name": AILING, "options": {"ailments": list(ailments)}, "parameters": {"k": {"levels": levels}}},
            "simulations": {"count": 24, "shard_size": 24, "sample_time_limit": limit},
            "screen": {"count": 10, "block_size": 10},
        }
        path = tmp_path / f"{name}.yaml"
        path.write_text(yaml.safe_dump(values))
        return Campaign.load(path), path

    return campaign


def run(mpiexec, ranks, config, *more):
    process = mpiexec(ranks, "-m", "mechscreen", "simulate", "--config", config, "--shard", 0, "--ranks", ranks, *more)
    try:
        said = "".join(process.communicate(timeout=120))
    finally:
        process.kill()
    return process.returncode, said


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_shard_completes_with_just_its_ailing_samples_recorded(campaign, mpiexec, ranks):
    ailing, config = campaign("ailing")
    well, _ = campaign("well", ailments=[])
    code, said = run(mpiexec, ranks, config)
    assert code == 0, said
    simulate(well, 0)
    found, expected = read_shard(ailing, 0), read_shard(well, 0)
    k = found.parameters[:, 0]
    ails = k <= len(EXPECTED)
    assert set(k[ails]) == set(range(1, len(EXPECTED) + 1))
    assert (expected.status == Status.OK).all()
    for name in ("index", "parameters", "profiles", "log_peaks", "status", "reasons"):
        np.testing.assert_array_equal(getattr(found, name)[~ails], getattr(expected, name)[~ails])
    told = [(status, str(reason)) for status, reason in zip(found.status, found.reasons, strict=True)]
    for row in np.flatnonzero(ails):
        assert told[row] == list(EXPECTED.values())[int(k[row]) - 1]
    assert np.isnan(found.profiles[ails]).all()
    assert "2 of 24 samples have status TIMEOUT, most often: no result within 1 s" in said
    assert [path.name for path in ailing.paths.simulations.iterdir()] == ["shard-00000.h5"]


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_hung_sample_does_not_outlast_the_time_limit_of_the_job(campaign, mpiexec, ranks):
    ailing, config = campaign("ailing", ailments=["sleeps"], limit=600)
    start = time.monotonic()
    code, said = run(mpiexec, ranks, config, "--time-limit", 0.07)
    assert code == 75, said
    assert time.monotonic() - start < 30
    partial = storage.read(ailing.paths.simulations / "shard-00000.h5.partial", PartialSimulationFile.kind)
    hung = 20
    assert hung not in partial["index"]
    assert len(partial["index"]) >= 19
    assert re.search(r"\d+ of 24 samples are saved, since the time limit is near", said), said
    retried, _ = campaign("ailing", ailments=["sleeps"], limit=0.5)
    simulate(retried, 0)
    assert np.flatnonzero(read_shard(retried, 0).status == Status.TIMEOUT).tolist() == [hung]


@pytest.mark.parametrize("ailment", ["is killed", "has no memory"])
def test_want_of_memory_fails_the_job_and_records_nothing(campaign, ailment):
    ailing, _ = campaign("ailing", ailments=[ailment])
    with pytest.raises(MemoryError):
        simulate(ailing, 0)
    assert not ailing.paths.simulations.exists() or not list(ailing.paths.simulations.iterdir())


LOST = (
    "model '.*ailing.py:Ailing': /data/table.csv: cannot be read or written: the network file system lost it; run again"
)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_file_system_that_fails_the_model_ends_the_attempt_and_the_next_goes_on(
    campaign, mpiexec, monkeypatch, ranks
):
    ailing, config = campaign("ailing", ailments=["loses a file"])
    code, said = run(mpiexec, ranks, config)
    assert code == 74, said
    assert re.search(f"^mechscreen: {LOST}$", said, re.MULTILINE), said
    assert "Traceback" not in said
    assert not ailing.paths.shard(0).exists()
    monkeypatch.setenv("FILE_SYSTEM_OF_THE_TESTS", "mended")
    code, said = run(mpiexec, ranks, config)
    assert code == 0, said
    file = read_shard(ailing, 0)
    assert file.status.tolist().count(Status.NOT_FINITE) == 1  # as the model is where nothing fails
    assert file.status.tolist().count(Status.OK) == 23


@pytest.mark.parametrize("isolated", [True, False])
@pytest.mark.parametrize("ailment", ["finds no space", "has too many files"])
def test_no_sample_is_recorded_as_failed_for_what_the_environment_does(campaign, monkeypatch, ailment, isolated):
    ailing, _ = campaign("ailing", ailments=[ailment])
    monkeypatch.setattr(type(ailing.model_instance), "isolated", isolated)
    with pytest.raises(StorageError, match=r"Ailing': /data/table.csv: cannot be read or written: "):
        simulate(ailing, 0)
    assert not ailing.paths.shard(0).exists()


@pytest.mark.parametrize(
    ("ailment", "reason"),
    [
        ("misses a file", "FileNotFoundError: [Errno 2] No such file or directory: '/data/table.csv'"),
        ("may not read", "PermissionError: [Errno 13] Permission denied: '/data/table.csv'"),
    ],
)
def test_a_file_that_is_not_there_or_not_the_models_is_the_samples_reason(campaign, ailment, reason):
    ailing, _ = campaign("ailing", ailments=[ailment])
    simulate(ailing, 0)
    file = read_shard(ailing, 0)
    assert file.reasons[file.status == Status.ERROR].astype(str).tolist() == [reason]


def test_a_table_is_simulated_with_the_same_care(tmp_path):
    table = tmp_path / "sets.csv"
    table.write_text("k,frequency\n0,1\n3,2\n0,3\n4,4\n")
    simulate_table(AILING, table, tmp_path / "out.h5", sample_time_limit=0.5)
    file = storage.read(tmp_path / "out.h5", SimulationFile.kind)
    assert file["status"].tolist() == [Status.OK, Status.TIMEOUT, Status.OK, Status.ERROR]


def test_the_time_limit_counts_twice_where_each_sample_is_simulated_twice(tmp_path):
    """And where it is over, the sample itself is tried without its neighbour."""
    table = tmp_path / "sets.csv"
    table.write_text("k,frequency\n0.9999997,1\n0,2\n")
    options = {"ailments": ["sleeps"]}
    simulate_table(AILING, table, tmp_path / "out.h5", options=options, sensitivity=True, sample_time_limit=0.5)
    file = storage.read(tmp_path / "out.h5", SimulationFile.kind)
    assert file["status"].tolist() == [Status.OK, Status.OK]


def test_with_and_without_a_process_of_its_own_a_model_gives_the_same_file(campaign, monkeypatch):
    ailments = ["raises"]
    there, _ = campaign("there", ailments)
    here, _ = campaign("here", ailments)
    simulate(there, 0)
    monkeypatch.setattr(type(here.model_instance), "isolated", False)
    simulate(here, 0)
    one, other = read_shard(there, 0), read_shard(here, 0)
    for name in ("index", "parameters", "profiles", "log_peaks", "status", "reasons"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.status.tolist().count(Status.ERROR) == 1


class Local(Model):
    """Registered by this module, which another process would have to import."""

    name = "registered-by-this-test"
    version = "1"
    space = ParameterSpace([Parameter("x", 0.0, 1.0)])
    outputs = (Output("y", np.arange(3.0)),)

    def solve(self, parameters, seeds):
        return Solution(np.ones((len(parameters), 1, 3)))


def test_a_registered_model_is_found_by_its_module_and_told_if_that_cannot_be(tmp_path, monkeypatch):
    table = tmp_path / "sets.csv"
    table.write_text("x\n0.5\n")
    monkeypatch.setattr(Local, "__module__", "__main__")
    with pytest.raises(ModelError, match="model 'registered-by-this-test' cannot be made in a process of its own: "):
        simulate_table(Local.name, table, tmp_path / "out.h5")
    assert [path.name for path in tmp_path.iterdir()] == ["sets.csv"]
