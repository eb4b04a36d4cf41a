import errno

import pytest

from mechscreen.errors import (
    EXIT_INPUT,
    EXIT_MEMORY,
    EXIT_STORAGE,
    EXIT_UNFINISHED,
    LATE,
    FileError,
    InputError,
    ModelError,
    OutOfMemoryError,
    StorageError,
)
from mechscreen.runs.causes import Cause, Reason, of_exit_code, of_logs, of_refusal, of_state


@pytest.mark.parametrize(
    ("state", "cause"),
    [
        ("TIMEOUT", Cause.TIME),
        ("DEADLINE", Cause.TIME),
        ("OUT_OF_MEMORY", Cause.MEMORY),
        ("NODE_FAIL", Cause.NODE),
        ("BOOT_FAIL", Cause.NODE),
        ("CANCELLED", Cause.CANCELLED),
        ("CANCELLED by 1000", Cause.CANCELLED),
        ("CANCELLED+", Cause.CANCELLED),
        ("PREEMPTED", Cause.PREEMPTED),
        ("FAILED", None),
        ("", None),
    ],
)
def test_states_of_slurm_say_the_cause_or_leave_it_to_the_job(state, cause):
    assert of_state(state) is cause


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (
            "sbatch: error: Batch job submission failed: Invalid account or account/partition combination specified",
            Cause.REFUSED,
        ),
        ("sbatch: error: invalid partition specified: gpus", Cause.REFUSED),
        ("sbatch: error: Batch job submission failed: Invalid feature specification", Cause.REFUSED),
        (
            "sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job submission failed: "
            "Requested node configuration is not available",
            Cause.REFUSED,
        ),
        (
            "sbatch: error: Batch job submission failed: Unable to contact slurm controller (connect failure)",
            Cause.NO_ANSWER,
        ),
        ("sbatch: error: Batch job submission failed: Socket timed out on send/recv operation", Cause.NO_ANSWER),
        ("sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying", Cause.NO_ANSWER),
        (
            "sbatch: error: QOSMaxSubmitJobPerUserLimit\nsbatch: error: Batch job submission failed: Job violates "
            "accounting/QOS policy (job submit limit, user's size and/or time limits)",
            Cause.CROWDED,
        ),
        ("The --constraint option is not allowed in the 'slurm_extra' parameter", Cause.REFUSED),
    ],
)
def test_a_refusal_is_told_from_a_controller_that_does_not_answer(said, cause):
    assert of_refusal(said).cause is cause


def test_all_that_sbatch_says_of_a_refusal_is_quoted():
    said = "sbatch: error: Memory specification can not be satisfied\nsbatch: error: Batch job submission failed: no"
    assert of_refusal(said).said == "Memory specification can not be satisfied; Batch job submission failed: no"


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (InputError("model.name: no 'x'"), Cause.INPUT),
        (ModelError("solve() gave no Solution"), Cause.INPUT),
        (FileError("x.h5", "is broken"), Cause.FILE),
        (FileError("x.h5", "does not exist", "run the command that makes it"), Cause.FILE),
        (FileError("x.json", "is not of the run that this job belongs to", LATE), Cause.FILE),
        (StorageError("x.h5", "written", errno.ENOSPC), Cause.STORAGE),
        (StorageError("x.h5", "read", errno.ESTALE), Cause.STORAGE),
        (StorageError("x.h5", "read or written", errno.EIO), Cause.STORAGE),
        (OutOfMemoryError(""), Cause.MEMORY),
        ("simulate shard-00000: stopped at 3 of 9 samples, since the time limit is near; run again", Cause.TIME),
        ("simulate shard-00000: stopped at 3 of 9 samples, since received SIGTERM; run again", Cause.CANCELLED),
    ],
)
def test_what_mechscreen_says_itself_is_told_by_its_words_behind_what_launchers_add(error, cause):
    epilogue = (
        "Abort(1) on node 3 (rank 3 in comm 0): application called MPI_Abort(MPI_COMM_WORLD, 1) - process 3\n"
        "srun: error: n1: tasks 0-3: Exited with exit code 1\n"
        "srun: Terminating StepId=12.0\n"
    )
    reason = of_logs(f"100 samples\nmechscreen: {error}\n{epilogue}")
    assert reason == Reason(cause, str(error))


@pytest.mark.parametrize(
    ("line", "cause"),
    [
        ("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO TIME LIMIT ***", Cause.TIME),
        ("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-01-01T00:00:00 DUE TO PREEMPTION ***", Cause.PREEMPTED),
        ("slurmstepd: error: *** JOB 12 ON n1 CANCELLED AT 2026-01-01T00:00:00 ***", Cause.CANCELLED),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=12.batch.", Cause.MEMORY),
        ("slurmstepd: error: Exceeded job memory limit", Cause.MEMORY),
        ("bash: line 1: mpiexec.hydra: command not found", Cause.NOT_FOUND),
        ("/bin/sh: 1: mpiexec: not found", Cause.NOT_FOUND),
        ("slurmstepd: error: execve(): /opt/python: No such file or directory", Cause.NOT_FOUND),
        ("/var/spool/slurmd/job00012/slurm_script: line 4: /gone/python: No such file or directory", Cause.NOT_FOUND),
        ("rank 1: MemoryError: Unable to allocate 3 GiB", Cause.MEMORY),
        ("rank 1: ValueError: x is no y", Cause.ERROR),
        ("KeyError: 'a'", Cause.ERROR),
        ("screen block-00000: 40/100 parameter sets", Cause.UNKNOWN),
    ],
)
def test_what_nodes_and_shells_say_counts_where_the_program_had_no_say(line, cause):
    assert of_logs("", f"something\n{line}\nsrun: error: n1: task 0: Killed\n") == Reason(cause, line)


def test_an_empty_log_says_nothing():
    assert str(of_logs("", "\n")) == "(no output)"


@pytest.mark.parametrize(
    ("code", "cause"),
    [
        (EXIT_MEMORY, Cause.ERROR),
        (EXIT_INPUT, Cause.INPUT),
        (EXIT_STORAGE, Cause.STORAGE),
        (EXIT_UNFINISHED, Cause.TIME),
        (127, Cause.NOT_FOUND),
        (137, Cause.MEMORY),
        (143, Cause.CANCELLED),
        (99, Cause.UNKNOWN),
    ],
)
def test_exit_codes_say_what_the_command_line_documents(code, cause):
    assert of_exit_code(code) is cause


def test_what_a_second_attempt_cannot_mend_is_hopeless_and_all_else_is_not():
    assert {cause for cause in Cause if cause.hopeless} == {Cause.REFUSED, Cause.NOT_FOUND, Cause.INPUT}
