"""Measured data, from the table to the report, through Snakemake."""

import json

import numpy as np
import pytest

from campaigns import ROOT, jobs, snakemake

OWN = ROOT / "tests/stages/measurable.py"


def campaign(folder, **sections):
    t = np.linspace(0, 10, 6)
    y = 1 + 0.5 * t + 0.2 * np.random.default_rng(0).standard_normal(6)
    rows = [f"y,{a:g},{b:.4f},0.2" for a, b in zip(t, y, strict=True)]
    (folder / "measured.csv").write_text("\n".join(["output,time,value,error", *rows]) + "\n")
    (folder / "measurable.py").write_text(OWN.read_text())
    return {
        "name": "small",
        "seed": 3,
        "model": {"name": "measurable.py:Line"},
        "screen": {
            "by": "model",
            "count": 4000,
            "block_size": 2000,
            "objective": {"name": "match", "options": {"observations": "measured.csv"}, "target": ["fits"]},
        },
        "validation": {"limit": 50},
        "polish": {"count": 8},
        "posterior": {"draws": 100},
        **sections,
    }


@pytest.mark.slow
def test_a_campaign_on_measured_data_runs_to_its_report_and_goes_on_when_asked_for_more(tmp_path):
    values = campaign(tmp_path)
    done = snakemake(tmp_path, campaign=values)
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results/small"
    summary = (results / "summary.txt").read_text()
    assert "8 of 8 searches came within 1 of it; the data determine 2 of 2 parameters." in summary
    assert {"fits.png", "parameters.png"} <= {path.name for path in (results / "figures").iterdir()}
    assert jobs(snakemake(tmp_path, "--dry-run", campaign=values)) == {}
    more = {**values, "posterior": {"draws": 5000}}
    anew = {"infer_posterior": 1, "write_report": 1}
    planned = jobs(snakemake(tmp_path, "--dry-run", campaign=more))
    assert {rule: planned[rule] for rule in anew} == anew
    assert set(planned) == {*anew, "draw_figure"}
    before = json.loads((results / "posterior/summary.json").read_text())
    done = snakemake(tmp_path, "posterior", campaign=more)
    assert done.returncode == 0, done.stdout + done.stderr
    after = json.loads((results / "posterior/summary.json").read_text())
    assert after["independent"] >= 5000 > before["independent"]
    # Another table of measurements is another campaign, from the screen on.
    (tmp_path / "measured.csv").write_text((tmp_path / "measured.csv").read_text() + "y,5,3.4,0.2\n")
    assert {"screen_block", "polish_sets", "infer_posterior"} <= set(
        jobs(snakemake(tmp_path, "--dry-run", campaign=more))
    )


def test_other_campaigns_have_nothing_to_polish(tmp_path):
    done = snakemake(tmp_path, "posterior", "--dry-run")
    assert done.returncode == 2
    assert "mechscreen: 'small' fits no measured data" in done.stderr
