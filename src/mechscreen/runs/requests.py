"""What the jobs of a campaign ask a cluster for, from Snakemake itself: one job of each rule, as it would be submitted.

`ask` starts a dry run, in which `Requests`, a handler of Snakemake's events, writes down what the planned jobs ask for:
profile, command line, the workflow's own resources and the SLURM plugin's way to write them are what they are in a run.
"""

from __future__ import annotations

import json
import logging
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mechscreen.errors import InputError

VARIABLE = "MECHSCREEN_REQUESTS"
"""Environment variable that names the file to write requests to; set in a dry run that `ask` starts."""

_UNSAID = ("--parsable", "--job-name", "--output", "--export", "--comment", "-D")
"""Options of sbatch that are no request."""


@dataclass(frozen=True)
class Request:
    """What a job of a rule asks for.

    Attributes
    ----------
    rule, jobs
        The rule, and how many jobs it has.
    threads
        Threads of one.
    resources
        Those that are numbers or words, by name.
    call
        The call of sbatch, without the command to run; empty where it is not submitted.
    refused
        Why the plugin refuses to submit it.
    """

    rule: str
    jobs: int
    threads: int = 1
    resources: Mapping[str, Any] = field(default_factory=dict)
    call: str = ""
    refused: str = ""

    @property
    def options(self) -> str:
        """The options of sbatch that are requests: ``-A lab -p standard -t 10 --ntasks=4``."""
        words, kept = iter(shlex.split(self.call)[1:]), []
        for word in words:
            if word in _UNSAID:
                if word != "--parsable" and "=" not in word:
                    next(words, None)
            elif not word.startswith("--export="):
                kept.append(word)
        return shlex.join(kept)

    @property
    def tasks(self) -> int:
        """Ranks; 1 where it takes none."""
        return int(self.resources.get("tasks") or 1)

    @property
    def cores(self) -> int:
        """Of all ranks."""
        return self.tasks * int(self.resources.get("cpus_per_task") or self.threads)

    @property
    def minutes(self) -> float:
        """Time it asks for; 0 where it names none."""
        value = self.resources.get("runtime")
        return float(value) if isinstance(value, int | float) else 0.0


@dataclass(frozen=True)
class Asked:
    """What a campaign asks for with a profile.

    Attributes
    ----------
    executor
        Of Snakemake: ``local``, ``slurm``.
    at_a_time
        Jobs that are submitted at a time, at most; 0 where nobody says.
    settings
        Of the executor's plugin, by name.
    requests
        In the order in which rules stand in the workflow.
    """

    executor: str
    at_a_time: int
    settings: Mapping[str, Any]
    requests: tuple[Request, ...]

    def of(self, rule: str) -> Request | None:
        """Return the request of a rule; None where the campaign has no such job."""
        return next((request for request in self.requests if request.rule == rule), None)


class Requests(logging.Handler):
    """Writes what jobs ask for, as soon as Snakemake has planned them.

    Parameters
    ----------
    workflow
        Snakemake's.
    path
        File to write to.
    command
        What Snakemake was called with, without its name.
    """

    def __init__(self, workflow: Any, path: Path, command: Sequence[str]) -> None:
        super().__init__()
        self._workflow = workflow
        self._path = path
        self._command = command

    def emit(self, record: logging.LogRecord) -> None:
        """Write them at the event that tells how many jobs there are."""
        if getattr(record, "event", None) == "run_info":
            self._path.write_text(json.dumps(_described(self._workflow, self._command)), encoding="utf-8")


def ask(command: Sequence[str]) -> Asked:
    """Return what the jobs of a campaign ask for, all of them, whatever is done already.

    Parameters
    ----------
    command
        Arguments of Snakemake: workflow, configuration, profile.

    Raises
    ------
    InputError
        With Snakemake's own words, if it does not take them.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "requests.json"
        done = subprocess.run(
            [sys.executable, "-m", "snakemake", *command, "--dry-run", "--forceall", "--quiet", "progress", "rules"],
            capture_output=True,
            text=True,
            env={**os.environ, VARIABLE: str(path)},
        )
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
        except OSError:
            raise InputError(_why(done.stdout + done.stderr) or f"snakemake: exit code {done.returncode}") from None
    requests = tuple(Request(**request) for request in found.pop("requests"))
    return Asked(**found, requests=requests)


def _why(said: str) -> str:
    """Return why Snakemake did not come to plan jobs: the workflow's message, or the last lines of its own."""
    lines = [line.strip() for line in said.splitlines() if line.strip() and not line.startswith("Using ")]
    own = [line.removeprefix("mechscreen: ") for line in lines if line.startswith("mechscreen: ")]
    if own or not lines:
        return own[-1] if own else ""
    raised = re.match(r"(?:\w+\.)*\w*(?:Error|Exception)\b", lines[-1])
    told = lines[-1] if raised else " ".join(lines[-3:])
    return f"Snakemake does not take this campaign with this profile: {told}"


def _described(workflow: Any, command: Sequence[str]) -> dict[str, Any]:
    """Return what `Asked` holds, of planned jobs."""
    from snakemake.cli import parse_args
    from snakemake_interface_executor_plugins.registry import ExecutorPluginRegistry

    _, arguments = parse_args(list(command))
    executor = arguments.executor or "local"
    on_slurm = executor == "slurm"
    settings = ExecutorPluginRegistry().get_plugin(executor).get_settings(arguments) if on_slurm else None
    first: dict[str, Any] = {}
    for job in workflow.dag.jobs:
        # In a dry run, `is_local` holds for all.
        if not job.rule.norun and job.rule.name not in workflow._localrules:
            first.setdefault(job.rule.name, job)
    jobs = Counter(job.rule.name for job in workflow.dag.jobs)
    caller = _caller(workflow, settings) if on_slurm else None
    described = []
    for rule in (rule.name for rule in workflow.rules if rule.name in first):
        job = first[rule]
        resources = {name: value for name, value in job.resources.items() if isinstance(value, int | float | str)}
        request = {"rule": rule, "jobs": jobs[rule], "threads": job.threads, "resources": resources}
        if caller is not None:
            request |= _submission(caller, job, settings, workflow.workdir_init)
        described.append(request)
    plain = {name: value for name, value in vars(settings).items() if isinstance(value, int | str)} if on_slurm else {}
    at_a_time = (workflow.resource_settings.nodes or 0) if on_slurm else 0
    return {"executor": executor, "at_a_time": at_a_time, "settings": plain, "requests": described}


def _caller(workflow: Any, settings: Any) -> Any:
    """Return the SLURM plugin's executor as far as it says how jobs are submitted; it submits none."""
    from snakemake.logging import logger
    from snakemake_executor_plugin_slurm import Executor, read_partition_file

    partitions = settings.partition_config or os.environ.get("SNAKEMAKE_SLURM_PARTITIONS")

    class Caller(Executor):
        def __init__(self) -> None:
            # Without the threads that the plugin's own starts.
            self.workflow = workflow
            self.logger = logger
            self._fallback_account_arg = None
            self._fallback_partition = None
            self._partitions = read_partition_file(Path(partitions)) if partitions else None

        def shutdown(self) -> None:
            pass

    return Caller()


def _submission(caller: Any, job: Any, settings: Any, workdir: str) -> dict[str, str]:
    """Return the call of sbatch for a job, by the steps of the plugin's `Executor.run_job`, or why it refuses."""
    from snakemake_executor_plugin_slurm import get_submit_command, set_gres_string, validate_slurm_extra

    try:
        validate_slurm_extra(job)
        parameters = {
            "run_uuid": "mechscreen-doctor",
            "slurm_logfile": os.devnull,
            "comment_str": f"rule_{job.name}",
            "account": next(caller.get_account_arg(job)),
            "partition": caller.get_partition_arg(job),
            "workdir": workdir,
        }
        return {"call": get_submit_command(job, parameters, settings=settings) + set_gres_string(job)}
    except Exception as error:
        # WorkflowError, ValueError and what else the plugin raises: a run would show it as it is.
        return {"refused": " ".join(str(error).split())}
