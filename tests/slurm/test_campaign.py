"""The small campaign on a cluster, through the profile that users start from."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import yaml

from campaigns import arrays
from mechscreen.runs.used import done_file
from mechscreen.schemas.screen import ScreenHits, ScreenSummary
from slurm.conftest import CAMPAIGN, Runner

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


def test_a_screen_on_cards_gives_a_rank_a_card_and_finds_what_processors_find(
    cluster, slurm_profile, undisturbed, tmp_path
):
    settings = yaml.safe_load((slurm_profile / "config.yaml").read_text())
    settings["set-resources"]["screen_block"] |= {
        "gpu": 2,
        "tasks": 2,
        "tasks_per_gpu": 0,
        "nodes": 1,
        "mem_mb_per_cpu": 1900,
    }
    profile = tmp_path / "profile"
    profile.mkdir()
    (profile / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
    on_device = {**CAMPAIGN, "emulators": {**CAMPAIGN["emulators"], "backend": "device"}}
    runner = Runner(tmp_path, profile, on_device)
    shutil.copytree(
        undisturbed.results,
        runner.results,
        ignore=shutil.ignore_patterns("screen", "evaluation", "validation", "figures"),
    )
    before = len(cluster.finished())
    runner.command += ["results/small/screen/hits.h5"]
    runner.run()
    jobs = cluster.finished()[before:]
    # Cards are files here, which SLURM hands out; processors stand in for them.
    assert sum("gres/gpu=2" in job["AllocTRES"] for job in jobs) == 2
    summary, expected = (
        ScreenSummary.read(results / "screen/summary.h5") for results in (runner.results, undisturbed.results)
    )
    assert (summary.totals.backend, expected.totals.backend) == ("device", "openvino")
    np.testing.assert_allclose(summary.classes, expected.classes, atol=4)
    assert summary.classes.sum() == 40_000
    found, hits = (
        ScreenHits.read(results / "screen/hits.h5").hits.index for results in (runner.results, undisturbed.results)
    )
    assert len(np.setxor1d(found, hits)) <= 4 < len(hits)
