"""The small campaign on a cluster, through the profile that users start from."""

import json

import pandas as pd
import pytest

from campaigns import arrays
from mechscreen.runs.used import done_file

pytestmark = pytest.mark.slow

COMPARED = ("simulations/shard-*.h5", "screen/block-*.h5", "screen/hits.h5", "validation/hits.h5")


def test_a_campaign_on_slurm_gives_what_it_gives_on_one_machine(cluster, on_slurm, undisturbed, tmp_path):
    on_slurm.command += ["--slurm-efficiency-report", "--slurm-efficiency-report-path", str(tmp_path)]
    on_slurm.run()
    jobs = cluster.finished()
    assert sum(int(job["NNodes"]) > 1 for job in jobs) >= 5  # two shards, two blocks, the validation
    assert sum("gres/gpu=1" in job["AllocTRES"] for job in jobs) == 2  # two members
    assert (on_slurm.results / "report.html").is_file()
    assert not list(on_slurm.results.rglob("*.partial"))
    expected = arrays(undisturbed.results, *COMPARED)
    assert len({name.partition(":")[0] for name in expected}) == 6  # two shards, two blocks, hits of both
    assert arrays(on_slurm.results, *COMPARED) == expected

    # What Snakemake measured of jobs, by which the next ones ask, beside SLURM's own accounting, which the plugin tells
    # of jobs without MPI alone.
    done = [json.loads(line) for line in done_file(on_slurm.results).read_text().splitlines()]
    alone = [job for job in done if job["tasks"] == 1]
    (report,) = tmp_path.glob("efficiency_report_*.csv")
    table = pd.read_csv(report)
    assert table["MainJobID"].nunique() == len(alone)
    most = max(job["megabytes"] or 0 for job in alone)
    assert 0.5 * most < table["MaxRSS_MB"].max() < 1.5 * most + 300

    # Files that a scratch file system removed are made anew by a run inside of the run.
    lost = [on_slurm.results / "screen" / name for name in ("block-00000.h5", "hits.h5")]
    for path in lost:
        path.unlink()
    kept = on_slurm.results / "screen/block-00001.h5"
    before = kept.stat().st_mtime_ns
    on_slurm.run()
    assert arrays(on_slurm.results, *COMPARED) == expected
    assert kept.stat().st_mtime_ns == before
