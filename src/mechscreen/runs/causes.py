"""Why a job ended before it was done: one vocabulary, from what SLURM, Snakemake's plugin and the job itself say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from mechscreen.errors import EXIT_INPUT, EXIT_STORAGE, EXIT_UNFINISHED, LATE, REMAKE


class Cause(StrEnum):
    """Why a job ended before it was done; the value is what people read."""

    REFUSED = "refused"
    NO_ANSWER = "SLURM does not answer"
    CROWDED = "as many jobs as are allowed"
    NOT_FOUND = "a program is missing"
    TIME = "time limit"
    MEMORY = "lack of memory"
    NODE = "the node failed"
    CANCELLED = "cancelled"
    PREEMPTED = "preempted"
    INPUT = "wrong input or model"
    STORAGE = "the file system failed"
    FILE = "a file is wrong"
    ERROR = "an error of the program"
    UNKNOWN = "unknown"

    @property
    def hopeless(self) -> bool:
        """Whether the same job would end in the same way: nothing is gained by trying again."""
        return self in (Cause.REFUSED, Cause.NOT_FOUND, Cause.INPUT)

    @property
    def wants_memory(self) -> bool:
        """Whether another attempt should have more memory: what ended for no known cause may have lacked it."""
        return self in (Cause.MEMORY, Cause.UNKNOWN)

    @property
    def wants_time(self) -> bool:
        """Whether another attempt should have more time."""
        return self in (Cause.TIME, Cause.UNKNOWN)


_OWN = "mechscreen: "
"""What the command line begins its last words with."""

_STATES = {
    "TIMEOUT": Cause.TIME,
    "DEADLINE": Cause.TIME,
    "OUT_OF_MEMORY": Cause.MEMORY,
    "NODE_FAIL": Cause.NODE,
    "BOOT_FAIL": Cause.NODE,
    "LAUNCH_FAILED": Cause.NODE,
    "REVOKED": Cause.NODE,
    "CANCELLED": Cause.CANCELLED,
    "PREEMPTED": Cause.PREEMPTED,
}
"""Of SLURM's states (squeue(1), "Job state codes"), those that say why; FAILED says that the job's command failed."""

_NO_ANSWER = re.compile(
    r"unable to contact slurm controller|socket timed out|connection (?:refused|reset|timed out)|"
    r"slurm temporarily unable|resource temporarily unavailable|"
    r"zero bytes were transmitted|slurm backup controller|communication connection failure",
    re.IGNORECASE,
)
"""What sbatch says where the same submission may be taken a minute later."""

_CROWDED = re.compile(
    r"job violates accounting/qos policy \(job submit limit|too many (?:jobs|tasks)|MaxSubmitJob|maximum job limit",
    re.IGNORECASE,
)
"""What sbatch says where there will be room once other jobs have ended, if there are any."""

_BY_NOTICE = (
    (re.compile(r"DUE TO TIME LIMIT", re.IGNORECASE), Cause.TIME),
    (
        re.compile(
            r"oom[-_ ]?kill|exceeded (?:job|step) memory limit|out of memory|"
            r"^(?:rank \d+: )?(?:\w+\.)*\w*MemoryError\b",
            re.IGNORECASE,
        ),
        Cause.MEMORY,
    ),
    (re.compile(r"DUE TO NODE FAILURE|ON \S+ CANCELLED AT \S+ DUE TO NODE", re.IGNORECASE), Cause.NODE),
    (re.compile(r"DUE TO PREEMPTION", re.IGNORECASE), Cause.PREEMPTED),
    (re.compile(r"slurmstepd: error: \*\*\* (?:JOB|STEP) \S+ ON \S+ CANCELLED", re.IGNORECASE), Cause.CANCELLED),
    (
        re.compile(
            r": command not found|slurm_script: line \d+: .*: No such file|: not found\s*$|execve\(\).*No such file|"
            r"(?:error trying to exec|could not find executable|unable to locate an executable).*|"
            r"module.{0,60}unknown|unable to locate a modulefile|Invalid MPI type|No such file or directory: '?python",
            re.IGNORECASE | re.MULTILINE,
        ),
        Cause.NOT_FOUND,
    ),
)
"""What nodes, launchers and shells write into a log where a program had no say."""

_RAISED = re.compile(r"^(?:rank \d+: )?(?:\w+\.)*\w*(?:Error|Exception|Exit|Interrupt)\b")
"""The last line of a traceback."""

_EPILOGUE = re.compile(
    r"""^(?:
        \[.*\]\ .*(?:pmi|mpiexec|hydra|proxy).* | Abort\(-?\d+\).* | .*application\ called\ MPI_Abort.*
      | .*internal_Abort.* | .*\bMPI_ABORT\b.* | with\ errorcode\ .* | NOTE:.* | You\ may\ or\ may\ not\ see.*
      | exactly\ when\ Open\ MPI.* | .*Primary\ job\ +terminated.* | a\ non-zero\ exit\ code.*
      | srun:.* | slurmstepd:.* | mpiexec.* | mpirun.* | prterun.* | PRTE.* | tee:.* | Terminated.* | Killed.*
      | -{5,}.* | =+ | =\ .* | .*YOUR\ APPLICATION\ .*
    )$""",
    re.IGNORECASE | re.VERBOSE,
)
"""What launchers say after a program has said why it ended."""


@dataclass(frozen=True)
class Reason:
    """A cause, and the words that say it: ``lack of memory: out of memory: 2 GB for the table; give …``."""

    cause: Cause
    said: str = ""

    def __str__(self) -> str:
        if self.cause is Cause.UNKNOWN:
            return self.said or "(no output)"
        return f"{self.cause}: {self.said}" if self.said else str(self.cause)


def of_exit_code(code: int) -> Cause:
    """Return what an exit code of mechscreen, or of the shell around it, says (`mechscreen.errors`, sysexits.h)."""
    known = {
        1: Cause.ERROR,
        EXIT_INPUT: Cause.INPUT,
        EXIT_STORAGE: Cause.STORAGE,
        EXIT_UNFINISHED: Cause.TIME,
        126: Cause.NOT_FOUND,
        127: Cause.NOT_FOUND,
        # 9: what ends a process that has taken all memory, or a job after its notice.
        137: Cause.MEMORY,
        143: Cause.CANCELLED,
    }
    return known.get(code, Cause.UNKNOWN)


def of_state(state: str) -> Cause | None:
    """Return what a state of SLURM's says; None where the job's own words have to say it.

    ``CANCELLED by 1000`` and the like say what their first word does.
    """
    words = state.split()
    return _STATES.get(words[0].rstrip("+").upper()) if words else None


def of_refusal(said: str) -> Reason:
    """Return why a job was not submitted, by what sbatch or the plugin said."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    errors = [re.sub(r"^sbatch: error: ", "", line) for line in lines if line.startswith("sbatch: error: ")]
    text = "; ".join(errors) if errors else " ".join(lines)
    cause = Cause.NO_ANSWER if _NO_ANSWER.search(said) else Cause.CROWDED if _CROWDED.search(said) else Cause.REFUSED
    return Reason(cause, text)


def of_logs(*texts: str) -> Reason:
    """Return why a job ended, by the ends of its logs: its own first, then what the node wrote.

    The program's own last words (``mechscreen: …``) come before what launchers add after them, and what nodes and
    shells say counts where the program had no say. Nothing is said where all logs are empty.
    """
    logs = [lines_of(text) for text in texts]
    for lines in logs:
        for line in reversed(lines):
            _, own, said = line.partition(_OWN)
            if own and said:
                return _of_words(said)
    for pattern, cause in _BY_NOTICE:
        for lines in logs:
            for line in lines:
                if pattern.search(line):
                    return Reason(cause, line)
    said = next((words for lines in logs if (words := last_words(lines))), "")
    return Reason(Cause.ERROR if _RAISED.match(said) else Cause.UNKNOWN, said)


def last_words(lines: Sequence[str]) -> str:
    """Return the last line that is none of a launcher's; the last one where all are; empty without any."""
    return next((line for line in reversed(lines) if not _EPILOGUE.match(line)), lines[-1] if lines else "")


def lines_of(text: str) -> list[str]:
    """Return the lines that say something, without what colours them."""
    uncoloured = re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)
    return [line.strip() for line in re.split(r"[\r\n]+", uncoloured) if line.strip()]


def _of_words(said: str) -> Reason:
    """Return what a message of mechscreen's says; see `mechscreen.errors`."""
    for cause in Cause:
        _, named, words = said.partition(f"{cause}: ")
        if named and said.startswith(named):
            return Reason(cause, words)
    if said.startswith("out of memory"):
        return Reason(Cause.MEMORY, said)
    if "the time limit is near" in said:
        return Reason(Cause.TIME, said)
    if "received SIG" in said:
        return Reason(Cause.CANCELLED, said)
    if re.search(r": cannot be (?:read|written|read or written|looked at): ", said):
        return Reason(Cause.STORAGE, said)
    # A file system that is late shows files that are not there, or not whole, for a while.
    if REMAKE in said or "does not exist; " in said or LATE in said:
        return Reason(Cause.FILE, said)
    return Reason(Cause.INPUT, said)
