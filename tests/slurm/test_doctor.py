"""The doctor on a real SLURM: what jobs ask for is what it asks for."""

import re

import pytest
import yaml

from campaigns import ROOT
from disturbed import Disturbed
from mechscreen.runs.doctor import examine
from slurm.cluster import ACCOUNT, GPU_MODEL, TIGHT
from slurm.conftest import CAMPAIGN

pytestmark = pytest.mark.slow


@pytest.fixture
def examined(cluster, slurm_profile, tmp_path):
    """Return a function that has the doctor look at the small campaign with a profile."""
    campaign = tmp_path / "campaign.yaml"
    campaign.write_text(yaml.safe_dump(CAMPAIGN | {"results": str(tmp_path / "results")}))

    def of(text=None, **of_all):
        folder = tmp_path / "profile"
        folder.mkdir(exist_ok=True)
        settings = yaml.safe_load(text or (slurm_profile / "config.yaml").read_text())
        settings["default-resources"] |= of_all
        (folder / "config.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))
        said = []
        well = examine(folder, tmp_path / "results", said.append, campaign)
        return well, said

    return of


def line(said, what):
    (found,) = (k for k, text in enumerate(said) if re.match(rf"(ok|look) +{re.escape(what)}", text))
    advice = said[found + 1].strip() if found + 1 < len(said) and "→" in said[found + 1] else ""
    return said[found], advice


def test_jobs_that_would_be_taken_ranks_on_two_nodes_and_no_gpu_are_found(examined):
    well, said = examined()
    assert not well
    for rule in ("simulate_shard", "merge_shards", "train_member", "screen_block", "write_report"):
        assert "could begin at once" in line(said, f"{rule} (")[0], said
    assert "--ntasks=4" in line(said, "simulate_shard")[0]
    assert "--gpus=1" in line(said, "train_member")[0]
    assert "2 ranks on n" in line(said, "MPI on two nodes")[0]
    # The devices of this cluster are files.
    assert "Keras (tensorflow) sees no GPU" in line(said, "GPU")[0]
    assert sum(text.startswith("look") for text in said) == 1, said
    assert (
        "standard: no limit of time; 4 nodes of up to 4 cores, 4,000 MB, 2 GPUs, 2 a100" in line(said, "partition")[0]
    )
    assert "300 s (MinJobAge)" in line(said, "status")[0]
    assert "put back into the queue by SLURM" in line(said, "a node that fails")[0]


def test_what_would_be_refused_is_quoted_with_the_line_that_asks_for_it(examined, slurm_profile):
    text = (slurm_profile / "config.yaml").read_text().replace("gpu: 1\n", "gpu_model: h9000\n    gpu: 1\n", 1)
    well, said = examined(text, slurm_partition="nowhere")
    assert not well
    told, advice = line(said, "simulate_shard")
    assert "refused: " in told
    assert "partition" in told
    assert re.search(r"config.yaml:\d+: slurm_partition: nowhere", advice)
    assert not any("MPI on" in text for text in said), "what would be refused is not submitted"
    _, said = examined(text)
    told, advice = line(said, "train_member")
    assert "refused: " in told
    assert re.search(r"config.yaml:\d+: gpu_model: h9000", advice)
    assert "could begin" in line(said, "simulate_shard")[0]


def test_what_would_wait_for_ever_is_told(examined):
    well, said = examined(slurm_account=TIGHT)
    assert not well
    told, _ = line(said, "simulate_shard")
    assert f"would wait for ever: cpus: 4, and account {TIGHT} may have 1" in told
    assert line(said, "merge_shards")[1] == ""
    _, said = examined(slurm_partition="short", runtime=20)
    told, _ = line(said, "simulate_shard")
    assert "could begin at once" in told


def test_what_a_partition_does_not_allow_is_told_with_its_limit(examined):
    _, said = examined(
        (ROOT / "cluster_profiles/slurm/config.yaml")
        .read_text()
        .replace("default-resources:", "default-resources:\n  slurm_partition: short", 1)
        .replace("mpi: &launcher mpiexec", "runtime: 90\n    mpi: &launcher mpiexec"),
        slurm_account=ACCOUNT,
    )
    told, advice = line(said, "simulate_shard")
    assert "refused: " in told
    assert "time limit of 90 min, and short has 30" in told
    assert "runtime: 90" in advice


def test_probes_carry_what_jobs_carry(examined, slurm_profile, cluster):
    text = (slurm_profile / "config.yaml").read_text().replace("gpu: 1", f"gres: gpu:{GPU_MODEL}:1", 1)
    _, said = examined(text, slurm_extra="'--exclude=n3'")
    assert "sees no GPU" in line(said, "GPU")[0]
    jobs = [job for job in cluster.asked() if job["JobName"] == "mechscreen-doctor"][-2:]
    assert [f"--gres=gpu:{GPU_MODEL}:1" in job["SubmitLine"] for job in jobs] == [False, True]
    assert all("--exclude=n3" in job["SubmitLine"] for job in jobs)


def test_each_rank_of_a_screen_takes_a_card_of_its_own_or_the_doctor_says_so(examined, slurm_profile):
    settings = yaml.safe_load((slurm_profile / "config.yaml").read_text())
    found = {}
    for gpus in (2, 1):
        settings["set-resources"]["screen_block"] |= {
            "gpu": gpus,
            "tasks": 2,
            "tasks_per_gpu": 0,
            "nodes": 1,
            "mem_mb_per_cpu": 1900,
        }
        _, said = examined(yaml.safe_dump(settings))
        assert f"--gpus={gpus}" in line(said, "screen_block (")[0]
        found[gpus] = line(said, "cards")
    # Cards are files here, which SLURM hands out and JAX does not see.
    assert re.search(r"2 ranks on n\d take a card each, and JAX sees no GPU on n\d", found[2][0]), found
    assert re.search(r"2 ranks on n\d take card \d$", found[1][0]), found
    assert "as many GPUs on a node as ranks" in found[1][1]


def test_what_the_doctor_asks_for_is_what_a_job_is_submitted_with(cluster, slurm_profile, tmp_path):
    from mechscreen.runs.requests import ask

    extra = ["--default-resources", f"slurm_account={ACCOUNT}", "constraint=none"]
    run = Disturbed(tmp_path, slurm_profile, *extra)
    asked = ask(run.command[1:]).of("simulate_shard")
    # Refused, so that the call stands in the job's log.
    run.start(pause=0).communicate(timeout=300)
    log = (run.results / "logs/simulate/shard-00000.log").read_text()
    (call,) = (text for text in log.splitlines() if text.startswith("command: "))
    for option in asked.options.split():
        assert option in call
    assert (
        asked.call.partition("--comment")[2].split()[1:]
        == call.partition("--comment")[2].partition("--wrap")[0].split()[1:]
    )
