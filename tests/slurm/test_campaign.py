"""The small campaign on a cluster, through the profile that users start from."""

import pytest

from campaigns import arrays

pytestmark = pytest.mark.slow

COMPARED = ("simulations/shard-*.h5", "screen/block-*.h5", "screen/hits.h5", "validation/hits.h5")


def test_a_campaign_on_slurm_gives_what_it_gives_on_one_machine(cluster, on_slurm, undisturbed):
    on_slurm.run()
    jobs = cluster.finished()
    assert sum(int(job["NNodes"]) > 1 for job in jobs) >= 5  # two shards, two blocks, the validation
    assert sum("gres/gpu=1" in job["AllocTRES"] for job in jobs) == 2  # two members
    assert (on_slurm.results / "report.html").is_file()
    assert not list(on_slurm.results.rglob("*.partial"))
    expected = arrays(undisturbed.results, *COMPARED)
    assert len({name.partition(":")[0] for name in expected}) == 6  # two shards, two blocks, hits of both
    assert arrays(on_slurm.results, *COMPARED) == expected
