"""The small campaign on a cluster, through the profile that users start from."""

import h5py
import numpy as np
import pytest

pytestmark = pytest.mark.slow

COMPARED = ("simulations/shard-*.h5", "screen/block-*.h5", "screen/hits.h5", "validation/hits.h5")


def assert_same_arrays(one, other):
    """Compare the files of two campaigns to the last bit."""
    for pattern in COMPARED:
        files = sorted(path.relative_to(one) for path in one.glob(pattern))
        assert files
        assert files == sorted(path.relative_to(other) for path in other.glob(pattern))
        for file in files:
            with h5py.File(one / file) as first, h5py.File(other / file) as second:
                assert set(first) == set(second)
                for name in first:
                    np.testing.assert_array_equal(first[name][()], second[name][()], err_msg=f"{file}: {name}")


def test_a_campaign_on_slurm_gives_what_it_gives_on_one_machine(cluster, on_slurm, undisturbed):
    on_slurm.run()
    jobs = cluster.finished()
    assert sum(int(job["NNodes"]) > 1 for job in jobs) >= 5  # two shards, two blocks, the validation
    assert sum("gres/gpu=1" in job["AllocTRES"] for job in jobs) == 2  # two members
    assert (on_slurm.results / "report.html").is_file()
    assert not list(on_slurm.results.rglob("*.partial"))
    assert_same_arrays(undisturbed.results, on_slurm.results)
