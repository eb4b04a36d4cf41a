"""How far a campaign is: what is done, runs, has stopped, and is left."""

from __future__ import annotations

import csv
import re
import statistics
from dataclasses import dataclass
from pathlib import Path

from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.progress import format_duration
from mechscreen.runs import driver
from mechscreen.runs.forecast import Step, forecast
from mechscreen.runs.jobs import benchmark_file, log_file

MOST_LISTED = 8
"""Jobs of a kind that are listed one by one."""
_LAST_BYTES = 4096
_LONGEST_LINE = 160


@dataclass(frozen=True)
class Progress:
    """How far the jobs of a rule are.

    Attributes
    ----------
    step
        The rule, its jobs and what they take.
    running, stopped
        Logs of jobs that run now, and of jobs that ran and did not finish.
    done
        How many have finished.
    seconds
        Of one job: the median of those that have finished, else as forecast.
    """

    step: Step
    running: tuple[Path, ...]
    stopped: tuple[Path, ...]
    done: int
    seconds: float

    @property
    def missing(self) -> int:
        """Jobs that have not finished."""
        return self.step.jobs - self.done


def load_campaign(results: Path) -> Campaign:
    """Return the campaign whose folder of results is given.

    Raises
    ------
    InputError
        If the folder holds none.
    """
    resolved = results / "campaign.yaml"
    if not resolved.is_file():
        raise InputError(f"{results}: holds no campaign (no campaign.yaml); give a folder such as results/demo")
    return Campaign.load(resolved)


def progress(campaign: Campaign) -> list[Progress]:
    """Return how far each rule of a campaign is."""
    return [_progress(campaign, step) for step in forecast(campaign)]


def status(campaign: Campaign) -> str:
    """Return how far a campaign is, in lines for people."""
    root = campaign.paths.root
    found = progress(campaign)
    lines = [f"{root}: {_driven(root, unfinished=any(item.missing for item in found))}", ""]
    width = max(len(item.step.rule.name) for item in found)
    lines += [f"  {item.step.rule.name:{width}}  {_counts(item)}" for item in found]
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
        lines += ["", f"done: {campaign.paths.report}"]
    return "\n".join(lines)


def failures(campaign: Campaign) -> str:
    """Return which jobs stopped before they were done, with the last line of each log, and how to go on."""
    stopped = [log for item in progress(campaign) for log in item.stopped]
    run = driver.latest(campaign.paths.root)
    lines = _listed("stopped before they were done", stopped)[1:]
    if run is not None:
        lines += [f"To continue, once that is put right: {run.command_line}"]
    return "\n".join(lines)


def _progress(campaign: Campaign, step: Step) -> Progress:
    running, stopped, durations = [], [], []
    done = 0
    for job, target in step.rule.targets.items():
        log = log_file(campaign.paths.root, step.rule.verb, job)
        if storage.is_held(log):
            running.append(log)
        elif target.exists():
            durations += _seconds(benchmark_file(campaign.paths.root, step.rule.verb, job))
        elif log.exists():
            stopped.append(log)
        done += target.exists()
    seconds = statistics.median(durations) if durations else step.seconds
    return Progress(step, tuple(running), tuple(stopped), done, seconds)


def _seconds(benchmark: Path) -> list[float]:
    """Return what Snakemake measured for a job, in seconds; nothing if it measured none."""
    try:
        with benchmark.open(encoding="utf-8", newline="") as stream:
            return [float(row["s"]) for row in csv.DictReader(stream, delimiter="\t")]
    except (OSError, KeyError, ValueError, TypeError):
        return []


def _driven(root: Path, *, unfinished: bool) -> str:
    run = driver.latest(root)
    if run is not None and driver.is_alive(root):
        return f"runs since {run.started} ({run.place})"
    if run is not None and unfinished:
        return f"no run is active; to continue: {run.command_line}"
    return "no run is active"


def _counts(item: Progress) -> str:
    parts = [f"{item.done} of {item.step.jobs} done"]
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
    lines = [line for line in re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)) if line.strip()]
    return lines[-1].strip()[:_LONGEST_LINE] if lines else "(no output)"
