"""What jobs ask for, by Snakemake itself, with stand-ins for SLURM's commands."""

import os

import pytest
import yaml

from campaigns import ROOT, STRIPE
from mechscreen.errors import InputError
from mechscreen.runs.requests import Request, ask

SACCTMGR = "#!/bin/sh\necho lab\n"
SINFO = "#!/bin/sh\necho 'PARTITION standard*'\n"


@pytest.fixture
def asked(tmp_path, monkeypatch):
    """Return a function that asks with a profile."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, text in {"sacctmgr": SACCTMGR, "sinfo": SINFO}.items():
        (programs / name).write_text(text)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    campaign = tmp_path / "campaign.yaml"
    campaign.write_text(yaml.safe_dump(STRIPE | {"results": str(tmp_path / "results")}))

    def of(**settings):
        folder = tmp_path / "profile"
        folder.mkdir(exist_ok=True)
        (folder / "config.yaml").write_text(yaml.safe_dump(settings))
        command = ["--snakefile", str(ROOT / "Snakefile"), "--configfile", str(campaign)]
        return ask([*command, "--directory", str(tmp_path), "--workflow-profile", str(folder)])

    return of


def test_each_way_to_ask_is_told_as_the_plugin_would_submit_it(asked):
    found = asked(
        **{
            "executor": "slurm",
            "jobs": 50,
            "slurm-qos": "high",
            "default-resources": ["slurm_account=lab", "slurm_partition='cpu'", "constraint=avx"],
            "set-resources": {
                "simulate_shard": {"tasks": 3, "mpi": "'srun --mpi=pmix'"},
                "train_member": {"gpu": 1, "slurm_partition": "gpu", "runtime": 90},
                "merge_shards": {"gpu_model": "a100", "gpu": 2},
                "evaluate_ensemble": {"gres": "'gpu:a100:1'"},
                "gather_screen": {"slurm_extra": "'--exclusive'"},
                "validate_hits": {"tasks": 2, "slurm_extra": "'--account=other'"},
            },
        }
    )
    assert (found.executor, found.at_a_time) == ("slurm", 50)
    assert found.settings["qos"] == "high"
    options = {request.rule: request.options for request in found.requests}
    for option in ("-A lab", "-p cpu", "-C avx", "--qos=high", "--ntasks=3", "--mem-per-cpu"):
        assert option in options["simulate_shard"]
    assert "-D" not in options["simulate_shard"]
    assert "comment" not in options["simulate_shard"]
    for option in ("--gpus=1", "-p gpu", "-t 90", "--mem "):
        assert option in options["train_member"]
    assert "--gpus=a100:2" in options["merge_shards"]
    assert "--gres=gpu:a100:1" in options["evaluate_ensemble"]
    assert "--exclusive" in options["gather_screen"]
    assert "account" in found.of("validate_hits").refused
    assert found.of("simulate_shard").jobs == 2
    assert found.of("simulate_shard").resources["mpi"] == "srun --mpi=pmix"
    assert "all" not in options, "what runs here is not submitted"


def test_memory_by_core_is_asked_for_by_all_rules_where_the_profile_does(asked):
    rules = ("simulate_shard", "train_member", "merge_shards")
    as_usual = asked(executor="slurm", jobs=1)
    by_core = asked(executor="slurm", jobs=1, **{"default-resources": {"mem_mb_per_cpu": 300}})
    for rule in rules:
        before, after = as_usual.of(rule), by_core.of(rule)
        memory = before.resources.get("mem_mb_per_cpu") or before.resources["mem_mb"] / before.threads
        assert after.resources["mem_mb_per_cpu"] == max(300, -(-memory // 1))
        assert "--mem-per-cpu" in after.options
        assert "--mem " not in after.options


def test_an_account_that_the_plugin_does_not_know_is_refused_with_those_that_there_are(asked):
    found = asked(executor="slurm", jobs=1, **{"default-resources": {"slurm_account": "nobody"}})
    assert {request.call for request in found.requests} == {""}
    assert all("nobody appears to be invalid" in request.refused for request in found.requests)


def test_on_one_machine_there_is_nothing_to_submit(asked):
    found = asked(cores=2)
    assert found.executor == "local"
    assert found.of("simulate_shard").resources["mpi"] == "mpiexec"
    assert not found.of("simulate_shard").call


def test_what_the_workflow_refuses_is_said_in_its_words(asked):
    with pytest.raises(InputError, match="tasks of simulate_shard is many; give a whole number"):
        asked(cores=1, **{"set-resources": {"simulate_shard": {"tasks": "many"}}})
    with pytest.raises(InputError, match="default-resources: mem_mb_per_cpu is much"):
        asked(cores=1, **{"default-resources": {"mem_mb_per_cpu": "much"}})


def test_cores_count_ranks_and_their_threads():
    assert Request("a", 1, threads=2, resources={"tasks": 3}).cores == 6
    assert Request("a", 1, threads=2, resources={"tasks": 3, "cpus_per_task": 1}).cores == 3
    assert Request("a", 1).minutes == 0
