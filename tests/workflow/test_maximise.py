"""The largest values, from the configuration to the report, through Snakemake."""

import pytest

from campaigns import ROOT, jobs, snakemake

OWN = ROOT / "tests/stages/hills.py"


def campaign(folder, **screen):
    (folder / "hills.py").write_text(OWN.read_text())
    return {
        "name": "small",
        "seed": 3,
        "model": {"name": "hills.py:Hills"},
        "screen": {
            "count": 4000,
            "block_size": 2000,
            "objective": {"name": "maximise", "options": {"of": "height", "at_least": 2.5}, "target": ["large"]},
            **screen,
        },
        "validation": {"limit": 50},
        "polish": {"count": 8},
    }


@pytest.mark.slow
def test_a_campaign_for_the_largest_value_runs_to_its_report(tmp_path):
    values = campaign(tmp_path, by="model")
    done = snakemake(tmp_path, campaign=values)
    assert done.returncode == 0, done.stdout + done.stderr
    results = tmp_path / "results/small"
    assert "The largest height that 8 searches found is 3 by the model." in (results / "summary.txt").read_text()
    assert (results / "figures/largest.png").exists()
    assert "The best sets" in (results / "report.html").read_text()
    assert jobs(snakemake(tmp_path, "--dry-run", campaign=values)) == {}
    more = {**values, "polish": {"count": 9}}
    assert set(jobs(snakemake(tmp_path, "--dry-run", campaign=more))) == {"polish_sets", "draw_figure", "write_report"}


def test_emulators_are_polished_with_and_no_posterior_is_drawn(tmp_path):
    values = {**campaign(tmp_path), "simulations": {"count": 1000}}
    planned = jobs(snakemake(tmp_path, "--dry-run", campaign=values))
    assert planned["polish_sets"] == 1
    assert "infer_posterior" not in planned
    done = snakemake(tmp_path, "posterior", "--dry-run", campaign=values)
    assert done.returncode == 2
    assert "fits no measured data" in done.stderr
