import json
import subprocess
import time

import pytest

from campaigns import ROOT, snakemake_command
from mechscreen.runs.causes import Cause, Reason
from mechscreen.runs.failures import Failure, Growth, failures_file, note, read_failures
from mechscreen.runs.status import status
from mechscreen.runs.watch import why

SBATCH = "sbatch --parsable --job-name a --wrap=\"python -m snakemake 'x'\""
REFUSED = (
    "SLURM sbatch failed. The error message was 'sbatch: error: Batch job submission failed: Invalid account or "
    f"account/partition combination specified'.\n    sbatch call:\n        {SBATCH}\n"
    "For further error details see the cluster/cloud log and the log files of the involved rule(s)."
)
OF_PLUGIN = (
    "Job submission failed with exception: The --constraint option is not allowed in the 'slurm_extra' parameter."
    "For further error details see the cluster/cloud log and the log files of the involved rule(s)."
)
ENDED = (
    "SLURM-job '12' failed, SLURM status is: '{}'. Detailed failure reason unavailable (status command is not 'sacct')."
)


@pytest.fixture
def log(tmp_path):
    return tmp_path / "shard-00000.log"


def test_a_refusal_of_sbatch_is_quoted_with_its_call(log):
    reason, command = why(REFUSED, log)
    said = "Batch job submission failed: Invalid account or account/partition combination specified"
    assert reason == Reason(Cause.REFUSED, said)
    assert command == SBATCH


def test_a_refusal_of_the_plugin_is_quoted(log):
    reason, command = why(OF_PLUGIN, log)
    assert reason.cause is Cause.REFUSED
    assert reason.said == "The --constraint option is not allowed in the 'slurm_extra' parameter."
    assert command


@pytest.mark.parametrize(
    ("state", "words", "reason"),
    [
        ("TIMEOUT", "40/100 samples", Reason(Cause.TIME, "40/100 samples")),
        ("OUT_OF_MEMORY", "40/100 samples", Reason(Cause.MEMORY, "40/100 samples")),
        ("FAILED", "mechscreen: no 'x'\nsrun: error: n1: task 0", Reason(Cause.INPUT, "no 'x'")),
        ("FAILED", "40/100 samples", Reason(Cause.UNKNOWN, "40/100 samples")),
    ],
)
def test_the_state_says_the_cause_where_it_can_and_the_job_where_it_cannot(log, state, words, reason):
    log.write_text(f"begin\n{words}\n")
    assert why(ENDED.format(state), log) == (reason, "")


def test_what_the_node_wrote_counts_where_the_job_never_began(log, tmp_path):
    (tmp_path / "12.log").write_text("bash: line 1: module: command not found\n")
    assert why(ENDED.format("FAILED"), log, [tmp_path / "12.log"])[0].cause is Cause.NOT_FOUND


def test_a_node_that_left_no_log_is_told_to_be_unable_to_write_one(log, tmp_path):
    reason, _ = why(ENDED.format("FAILED"), log, [tmp_path / "logs/12.log"])
    assert reason.cause is Cause.STORAGE
    assert f"it does not see {tmp_path}/logs" in reason.said
    (tmp_path / "12.log").touch()
    assert why(ENDED.format("FAILED"), log, [tmp_path / "12.log"])[0].cause is Cause.UNKNOWN


def failure(cause, shard="00000", run="a"):
    return Failure(
        run=run,
        at=1.0,
        rule="simulate_shard",
        verb="simulate",
        job=f"shard-{shard}",
        wildcards={"shard": shard},
        attempt=1,
        cause=cause,
        said="words",
    )


def test_failures_of_a_run_are_read_as_they_were_noted_and_broken_lines_are_passed_over(tmp_path):
    (tmp_path / "logs").mkdir()
    noted = [failure(Cause.MEMORY), failure(Cause.TIME, "00001")]
    note(tmp_path, noted[0])
    with failures_file(tmp_path).open("a") as stream:
        stream.write('{"run": "a", "half\n')
    note(tmp_path, failure(Cause.NODE, run="another"))
    note(tmp_path, noted[1])
    assert read_failures(tmp_path, "a") == noted
    assert read_failures(tmp_path / "none", "a") == []


def test_memory_grows_after_a_lack_of_memory_alone_and_time_after_a_time_limit_alone():
    growth = Growth([failure(Cause.MEMORY), failure(Cause.TIME), failure(Cause.MEMORY), failure(Cause.NODE)])
    of = {"shard": "00000"}
    assert (growth.memory("simulate_shard", of), growth.time("simulate_shard", of)) == (3, 2)
    growth.add(failure(Cause.UNKNOWN))
    assert (growth.memory("simulate_shard", of), growth.time("simulate_shard", of)) == (4, 3)
    assert growth.memory("simulate_shard", {"shard": "00001"}) == growth.memory("merge_shards", {}) == 1


MODEL = """
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace

with open({journal!r}, "a") as journal:
    journal.write("imported\\n")

class Broken(Model):
    name, version, isolated = "broken", "1", False
    space = ParameterSpace([Parameter("a", 0, 1)])
    outputs = (Output("y", np.linspace(0, 1, 4)),)

    def solve(self, parameters, seeds):
        with open({journal!r}, "a") as journal:
            journal.write("solved\\n")
        {solve}
"""


@pytest.fixture
def broken(tmp_path):
    """Return a function that runs a campaign of two simulations whose model fails, and says how often it was called."""

    def run(solve, *arguments):
        journal = tmp_path / "journal"
        (tmp_path / "broken.py").write_text(MODEL.format(journal=str(journal), solve=solve))
        campaign = {
            "name": "broken",
            "results": str(tmp_path / "results"),
            "seed": 3,
            "model": {"name": f"{tmp_path / 'broken.py'}:Broken"},
            "simulations": {"count": 2, "shard_size": 2},
            "screen": {"count": 1000, "block_size": 1000},
        }
        command = snakemake_command(tmp_path, campaign, ROOT / "cluster_profiles/local", "simulations", *arguments)
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        calls = journal.read_text().count("solved") if journal.exists() else 0
        return done, calls, tmp_path / "results/broken"

    return run


def settled(root):
    """Return the status once no rank holds its log any more."""
    end = time.monotonic() + 20
    while "running:" in (told := status(root)) and time.monotonic() < end:
        time.sleep(0.1)
    return told


def test_a_mistake_of_the_model_is_not_tried_again_and_told_with_its_cause(broken):
    done, calls, root = broken("return 'nothing'")
    assert done.returncode != 0
    assert calls == 2, "one for each sample"
    (line,) = failures_file(root).read_text().splitlines()
    assert json.loads(line)["cause"] == "wrong input or model"
    for told in (done.stdout, settled(root)):
        assert "wrong input or model: " in told
        assert "Solution" in told.partition("stopped before they were done")[2]


def test_a_lack_of_memory_is_tried_again_with_more(broken):
    done, _, root = broken("raise MemoryError('too much')")
    assert done.returncode != 0
    lines = [json.loads(line) for line in failures_file(root).read_text().splitlines()]
    assert [(line["cause"], line["attempt"]) for line in lines] == [("lack of memory", n) for n in (1, 2, 3)]


def test_resources_that_make_no_sense_end_a_dry_run_with_their_own_names(broken):
    done, _, root = broken("", "--dry-run", "--set-resources", "simulate_shard:runtime=0")
    assert done.returncode == 2
    assert "mechscreen: set-resources: runtime of simulate_shard is 0; give a whole number" in done.stdout
    assert not root.exists()
