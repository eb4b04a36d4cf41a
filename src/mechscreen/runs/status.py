"""How far a campaign is: what is done, runs, has stopped, and is left. Its folder is enough, wherever it stands."""

from __future__ import annotations

import csv
import math
import re
import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mechscreen import storage
from mechscreen.errors import StorageError
from mechscreen.progress import format_duration, printable
from mechscreen.runs import driver
from mechscreen.runs.folder import PlannedRule, read_plan
from mechscreen.runs.jobs import benchmark_file, log_file
from mechscreen.runs.records import read_plain

MOST_LISTED = 8
"""Jobs of a kind that are listed one by one."""
_LAST_BYTES = 4096
_LONGEST_LINE = 160
_LARGEST_BENCHMARK = 10**5
_LONGEST_JOB = 1e9
"""Bytes and seconds that no measurement of a job exceeds."""


@dataclass(frozen=True)
class RuleStatus:
    """How far the jobs of a rule are.

    Attributes
    ----------
    rule
        As planned.
    running, stopped
        Logs of jobs that run now, and of jobs that ran and did not finish.
    done
        How many have finished.
    seconds
        Of one job: the median of those that have finished, else as expected.
    """

    rule: PlannedRule
    running: tuple[Path, ...]
    stopped: tuple[Path, ...]
    done: int
    seconds: float

    @property
    def missing(self) -> int:
        """Jobs that have not finished."""
        return len(self.rule.targets) - self.done

    @property
    def begun(self) -> bool:
        """Whether there is anything of its jobs."""
        return bool(self.done or self.running or self.stopped)


def progress(root: Path) -> list[RuleStatus]:
    """Return how far each rule of a campaign is; of a study, where it was asked for or has begun.

    Raises
    ------
    InputError
        If the folder holds no campaign, or no plan of it.
    StorageError
        If it cannot be read.
    """
    found = [_rule_status(root, rule) for rule in read_plan(root).rules]
    begun = {item.rule.noun for item in found if item.rule.study and (item.rule.asked or item.begun)}
    return [item for item in found if not item.rule.study or item.rule.noun in begun]


def status(root: Path) -> str:
    """Return how far the campaign in a folder of results is, in lines for people; errors as of `progress`."""
    found = progress(root)
    lines = [f"{root}: {_driven(root, unfinished=any(item.missing for item in found))}", ""]
    width = max((len(item.rule.rule) for item in found), default=0)
    lines += [f"  {item.rule.rule:{width}}  {_counts(item)}" for item in found]
    lines += _listed("running", [log for item in found for log in item.running])
    lines += _listed("stopped before they were done", [log for item in found for log in item.stopped])
    left = sum(item.missing * item.seconds for item in found)
    side_by_side = sum(len(item.running) for item in found)
    if left:
        at_a_time = (
            f"; {format_duration(left / side_by_side)} with {side_by_side} at a time" if side_by_side > 1 else ""
        )
        lines += ["", f"left: about {format_duration(left)} of jobs{at_a_time}"]
    else:
        lines += ["", *(f"done: {root / target}" for target in _last_targets(found))]
    return _text(lines)


def failures(root: Path) -> str:
    """Return which jobs stopped before they were done, with the last line of each log, and how to go on.

    Raises
    ------
    InputError, StorageError
        As of `progress`.
    """
    stopped = [log for item in progress(root) for log in item.stopped]
    run = driver.latest(root)
    lines = _listed("stopped before they were done", stopped)[1:]
    if run is not None:
        lines += [f"To continue, once that is put right: {run.command_line}"]
    return _text(lines)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(map(printable, lines))


def _last_targets(found: Sequence[RuleStatus]) -> list[str]:
    """Return what the rule in which everything ends makes."""
    report = [item for item in found if not item.rule.study]
    return list(report[-1].rule.targets.values()) if report else []


def _rule_status(root: Path, rule: PlannedRule) -> RuleStatus:
    running, stopped, durations = [], [], []
    done = 0
    for job, target in rule.targets.items():
        log = log_file(root, rule.verb, job)
        begun, finished = _is_file(log), _is_file(root / target)
        if begun and storage.is_held(log):
            running.append(log)
        elif finished:
            durations += _seconds(benchmark_file(root, rule.verb, job))
        elif begun:
            stopped.append(log)
        done += finished
    seconds = statistics.median(durations) if durations else rule.seconds
    return RuleStatus(rule, tuple(running), tuple(stopped), done, seconds)


def _is_file(path: Path) -> bool:
    """Return whether there is a plain file: a pipe in its place says nothing, and would be waited for."""
    try:
        return path.is_file()
    except OSError as error:
        raise StorageError(path, "looked at", error.errno or 0) from None


def _seconds(benchmark: Path) -> list[float]:
    """Return what Snakemake measured for a job, in seconds; nothing if it measured none."""
    try:
        text = read_plain(benchmark, _LARGEST_BENCHMARK).decode()
        measured = [float(row["s"]) for row in csv.DictReader(text.splitlines(), delimiter="\t")]
    except (storage.FileError, KeyError, ValueError, TypeError, csv.Error):
        return []
    return [seconds for seconds in measured if math.isfinite(seconds) and 0 <= seconds <= _LONGEST_JOB]


def _driven(root: Path, *, unfinished: bool) -> str:
    run = driver.latest(root)
    if run is not None and driver.is_alive(root):
        return f"runs since {run.started} ({run.place})"
    if run is None or not unfinished:
        return "no run is active"
    if run.is_of(root) and run.is_in_place(root):
        return f"no run is active; to continue: {run.command_line}"
    # What another folder's record says is no command to recommend.
    where = f" in {shlex.quote(str(folder))}" if (folder := run.folder_of(root)) else ""
    return (
        f"no run is active; this folder was moved or copied here; to continue, run Snakemake{where} with "
        f"--configfile {shlex.quote(str(root / 'campaign.yaml'))}"
    )


def _counts(item: RuleStatus) -> str:
    parts = [f"{item.done} of {len(item.rule.targets)} done"]
    parts += [f"{len(item.running)} running"] * bool(item.running)
    parts += [f"{len(item.stopped)} stopped"] * bool(item.stopped)
    return ", ".join(parts)


def _listed(title: str, logs: list[Path]) -> list[str]:
    if not logs:
        return []
    lines = ["", f"{title}:"]
    for log in logs[:MOST_LISTED]:
        lines += [f"  {log}", f"    {_last_line(log)}"]
    if len(logs) > MOST_LISTED:
        lines += [f"  and {len(logs) - MOST_LISTED} more"]
    return lines


def _last_line(log: Path) -> str:
    """Return the last line that says something, without what steers a terminal."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - _LAST_BYTES))
            text = stream.read().decode("utf-8", errors="replace")
    except OSError as error:
        return f"(cannot be read: {error.strerror})"
    # Colours are of no use here; what else is no text is spelled out when it is printed.
    lines = [line for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)) if line.strip()]
    return lines[-1].strip()[:_LONGEST_LINE] if lines else "(no output)"
