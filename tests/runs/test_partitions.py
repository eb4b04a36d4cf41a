"""Partitions as the plugin reads them: written by us, chosen by it."""

import math
from types import SimpleNamespace

import pytest
import yaml

from mechscreen.errors import InputError
from mechscreen.runs import partitions
from mechscreen.runs.site import Partition

PLACES = [
    Partition("long", is_default=True, minutes=7 * 1440, nodes=10, cores=32, megabytes=128_000),
    Partition("debug", minutes=30, nodes=2, most_nodes=1, cores=32, megabytes=128_000, megabytes_per_core=4000),
    Partition("gpu", nodes=2, cores=32, megabytes=512_000, gpus={"a100": 4}, features=("nvlink",)),
    Partition("theirs", nodes=2, cores=32, megabytes=128_000, accounts=("them",)),
    Partition("down", up=False, nodes=2, cores=32, megabytes=128_000),
]


@pytest.fixture
def written(tmp_path, monkeypatch):
    monkeypatch.setattr(partitions, "partitions", lambda: PLACES)
    monkeypatch.setattr(partitions, "accounts", lambda: {"lab"})
    partitions.write_partitions(tmp_path / "partitions.yaml")
    return tmp_path / "partitions.yaml"


def chosen(written, **resources):
    """Return what the plugin takes for a job."""
    from snakemake_executor_plugin_slurm.partitions import get_best_partition, read_partition_file

    silent = SimpleNamespace(debug=print, info=print, warning=print)
    job = SimpleNamespace(name="job", threads=resources.pop("threads", 1), resources=resources)
    return get_best_partition(read_partition_file(written), job, silent)


def test_the_plugin_sends_each_job_to_the_tightest_partition_that_takes_it(written):
    assert chosen(written, runtime=10, mem_mb=2000) == "debug"
    assert chosen(written, runtime=60, mem_mb=2000) == "long"
    assert chosen(written, runtime=60, mem_mb=2000, gpu=1) == "gpu"
    assert chosen(written, runtime=60, mem_mb=2000, gpu=1, gpu_model="a100") == "gpu"
    assert chosen(written, runtime=10, tasks=40, mem_mb_per_cpu=1000) == "long", "more ranks than the node has cores"
    assert chosen(written, runtime=8 * 1440, mem_mb=2000) == "gpu", "the only one without a limit of time"


def test_partitions_that_take_no_jobs_of_ours_are_left_out(written):
    found = yaml.safe_load(written.read_text())["partitions"]
    assert set(found) == {"long", "debug", "gpu"}
    assert found["debug"]["max_mem_mb_per_cpu"] == 4000
    assert found["gpu"]["available_constraints"] == ["nvlink"]
    assert not any(math.isinf(value) for value in found["gpu"].values() if isinstance(value, float))


def test_what_is_there_is_not_overwritten_and_no_cluster_is_said(written, tmp_path, monkeypatch):
    with pytest.raises(InputError, match="is there already"):
        partitions.write_partitions(written)
    monkeypatch.setattr(partitions, "partitions", list)
    with pytest.raises(InputError, match="run this on a login node"):
        partitions.write_partitions(tmp_path / "other.yaml")
    assert not (tmp_path / "other.yaml").exists()
