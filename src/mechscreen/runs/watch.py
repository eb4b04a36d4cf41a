"""What the driver sees of jobs that fail: why is noted, and what cannot succeed is not tried again.

Snakemake tells of each attempt that fails through its logger; the plugin of SLURM tells there what sbatch refuses, too.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from mechscreen.runs import site, used
from mechscreen.runs.asked import asked_by, profiles_of
from mechscreen.runs.causes import Cause, Reason, of_exit_code, of_logs, of_refusal, of_state
from mechscreen.runs.failures import LONGEST, Failure, Growth, note
from mechscreen.runs.jobs import job_of
from mechscreen.stages.table import Cost

_REFUSED = re.compile(
    r"SLURM sbatch failed\. The error message was '(?P<said>.*)'\.\s*sbatch call:\s*(?P<command>.*?)\s*"
    r"(?:sbatch script:|For further error details|$)",
    re.DOTALL,
)
_EXCEPTION = re.compile(
    r"Job submission failed with exception: (?P<said>.*?)\s*(?:For further error details|$)", re.DOTALL
)
_STATE = re.compile(r"SLURM status is: '(?P<state>[^']*)'|due to a node failure")
_CODE = re.compile(r"exit (?:code|status) (?P<code>\d+)")
"""How the plugin (2.8) and Snakemake tell that a job was not submitted, or how it ended."""

_SAME = 3
"""Jobs of a rule that are refused with the same words, after which no more is submitted."""
_PATIENCE, _POLL = 3600.0, 15.0
"""Seconds for which SLURM is waited for where it does not answer, and between questions."""
_END_OF_LOG = 2**16


class Watch(logging.Handler):
    """Notes why attempts at jobs fail, and sees that what is hopeless is not tried again.

    Parameters
    ----------
    workflow
        Snakemake's.
    root
        The campaign's folder.
    run
        Number of the run.
    command
        What was called, by which profiles are found.
    typical
        Rule → what was forecast of its jobs at typical speeds; what jobs took is noted beside it.
    jobs_in_queue
        Says how many jobs SLURM has of this user's accounts; None where it does not answer.
    """

    def __init__(
        self,
        workflow: Any,
        root: Path,
        run: str,
        command: Sequence[str] = (),
        typical: Mapping[str, Cost] = MappingProxyType({}),
        jobs_in_queue: Callable[[], int | None] | None = None,
    ) -> None:
        super().__init__()
        self.growth = Growth()
        self._workflow = workflow
        self._root = root
        self._run = run
        self._command = command
        self._profiles = profiles_of(command)
        self._typical = typical
        self._jobs_in_queue = jobs_in_queue or site.jobs_in_queue
        self._jobs: dict[int, Any] = {}
        self._refused: dict[tuple[str, str], set[int]] = {}
        self._waited: dict[int, float] = {}
        self._lost: dict[int, float] = {}

    def createLock(self) -> None:  # noqa: N802 - the name of logging's
        """Take no lock: other threads go on telling what they have to while SLURM is waited for."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Look at what Snakemake tells."""
        event = getattr(record, "event", None)
        see = {"job_error": self._see_failure, "job_finished": self._see_done}.get(str(event))
        if see is None:
            return
        try:
            see(record)
        except Exception:
            # A run does not end because what it saw cannot be noted.
            self.handleError(record)

    def _see_done(self, record: Any) -> None:
        job = self._job(record.job_id)
        cost = None if job is None else self._typical.get(job.rule.name)
        if cost is None or not job.benchmark or self._workflow.touch:
            return
        used.note_done(
            self._root,
            job.rule.name,
            job_of(self._root, Path(job.log[0]))[1],
            Path(job.benchmark),
            cost,
            tasks=int(job.resources.get("tasks") or 1),
            lost=self._lost.get(record.job_id, 0.0),
            shares=1 + self.growth.count(Cause.MEMORY, job.rule.name, _wildcards(job)),
        )

    def _see_failure(self, record: Any) -> None:
        job = self._job(record.jobid)
        if job is None or not job.log:
            return
        log = Path(job.log[0])
        message = record.rule_msg or ""
        others = [Path(path) for path in record.log if Path(path) != log]
        reason, command = why(message, log, others)
        if reason.cause in (Cause.NO_ANSWER, Cause.CROWDED):
            if self._wait(record.jobid, reason.cause):
                # It was never an attempt.
                job.attempt -= 1
                return
            if reason.cause is Cause.CROWDED:
                # Of an account that is closed: no job will ever end and make room.
                reason = Reason(Cause.REFUSED, reason.said)
        verb, name = job_of(self._root, log)
        failure = Failure(
            run=self._run,
            at=time.time(),
            rule=record.rule_name,
            verb=verb,
            job=name,
            wildcards=_wildcards(job),
            attempt=job.attempt,
            cause=reason.cause,
            said=reason.said[:LONGEST],
            command=command[:LONGEST],
            asked_by=asked_by(self._command, self._profiles, record.rule_name, reason.said) if command else (),
        )
        self.growth.add(failure)
        if reason.cause is Cause.TIME:
            self._lost[record.jobid] = self._lost.get(record.jobid, 0.0) + 60 * float(job.resources.get("runtime") or 0)
        note(self._root, failure)
        if command:
            self._keep_refusal(log, failure)
        if reason.cause.hopeless:
            job.attempt = max(job.attempt, job.restart_times + 1)
        if reason.cause is Cause.REFUSED and command:
            same = self._refused.setdefault((record.rule_name, reason.said), set())
            same.add(record.jobid)
            if len(same) == _SAME:
                # Each of a thousand jobs would be refused in the same words. What runs is finished.
                self._workflow.scheduler.exit_gracefully()

    def _job(self, number: int) -> Any:
        if number not in self._jobs:
            dag = self._workflow.dag
            self._jobs = {dag.jobid(job): job for job in dag.jobs}
        return self._jobs.get(number)

    def _keep_refusal(self, log: Path, failure: Failure) -> None:
        """Write what was refused where the job's own words would stand."""
        lines = [f"mechscreen: {failure.reason}", *(f"asked for by {line}" for line in failure.asked_by)]
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text("\n".join([*lines, f"command: {failure.command}", lines[0]]) + "\n", encoding="utf-8")

    def _wait(self, number: int, cause: Cause) -> bool:
        """Wait until SLURM answers, or has fewer jobs of ours; return False where a job has waited for long enough.

        So it is, too, where there is no job that could make room by its end.
        """
        begin = time.monotonic()
        jobs = self._jobs_in_queue() if cause is Cause.CROWDED else None
        while jobs != 0 and self._waited.get(number, 0.0) + (time.monotonic() - begin) < _PATIENCE:
            time.sleep(_POLL)
            now = self._jobs_in_queue()
            if now is not None and (jobs is None or now < jobs):
                self._waited[number] = self._waited.get(number, 0.0) + (time.monotonic() - begin)
                return True
        return False


def _wildcards(job: Any) -> dict[str, str]:
    return {key: str(value) for key, value in job.wildcards_dict.items()}


def why(message: str, log: Path, others: Sequence[Path] = ()) -> tuple[Reason, str]:
    """Return why an attempt failed, and the call of sbatch if that was refused.

    Parameters
    ----------
    message
        What the executor told.
    log, others
        The job's own log, and what the cluster wrote.
    """
    refused = _REFUSED.search(message)
    if refused:
        return of_refusal(refused["said"]), refused["command"]
    exception = _EXCEPTION.search(message)
    if exception:
        reason = of_refusal(exception["said"])
        return reason, "not called: Snakemake's SLURM plugin refuses the job"
    own = of_logs(*map(end_of, (log, *others)))
    state = _STATE.search(message)
    if state and others and not own.said and not any(path.exists() for path in others):
        # SLURM makes its log before anything else runs.
        folder = others[0].parent
        said = f"no log came from the node: it does not see {folder}, may not write there, or shows files late"
        return Reason(Cause.STORAGE, f"{said}; mechscreen doctor tries it"), ""
    cause = of_state(state["state"] or "NODE_FAIL") if state else None
    code = _CODE.search(message)
    if cause is None and code and own.cause is Cause.UNKNOWN:
        cause = of_exit_code(int(code["code"]))
    return Reason(cause or own.cause, own.said), ""


def end_of(path: Path) -> str:
    """Return the end of a log; nothing if there is none, and if it cannot be read, that."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _END_OF_LOG))
            return stream.read().decode("utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"(cannot be read: {error.strerror})"
