"""How far a campaign is: what is done, runs, has stopped, and is left. Its folder is enough, wherever it stands."""

from __future__ import annotations

import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mechscreen import storage
from mechscreen.errors import StorageError
from mechscreen.progress import format_duration, printable
from mechscreen.runs import driver
from mechscreen.runs.benchmarks import measured
from mechscreen.runs.causes import last_words, lines_of, of_logs
from mechscreen.runs.failures import Failure, read_failures
from mechscreen.runs.folder import PlannedRule, read_plan
from mechscreen.runs.jobs import benchmark_file, job_of, log_file
from mechscreen.runs.watch import end_of

MOST_LISTED = 8
"""Jobs of a kind that are listed one by one."""
_LONGEST_LINE = 300
_LATE = 60.0
"""Seconds that clocks of nodes, of files and of this machine are apart at most."""
GATHERED = {
    "simulate_shard": "merge_shards",
    "screen_block": "gather_screen",
    "train_on_samples": "measure_learning",
}
"""Rules whose files may go once another rule has gathered what is in them (`mechscreen clean`), and that rule."""


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


def progress(root: Path, *, ended: bool = False) -> list[RuleStatus]:
    """Return how far each rule of a campaign is; of a study, where it was asked for or has begun.

    Parameters
    ----------
    root
        Folder of results.
    ended
        Whether it is known that no job is at work; ranks of one that failed may hold its log for another moment.

    Raises
    ------
    InputError
        If the folder holds no campaign, or no plan of it.
    StorageError
        If it cannot be read.
    """
    rules = read_plan(root).rules
    alive = not ended and driver.is_alive(root)
    gathering = [rule for rule in rules if rule.rule in GATHERED.values()]
    done = {rule.rule for rule in gathering if all(_is_file(root / target) for target in rule.targets.values())}
    found = [_rule_status(root, rule, GATHERED.get(rule.rule) in done, alive, ended) for rule in rules]
    begun = {item.rule.noun for item in found if item.rule.study and (item.rule.asked or item.begun)}
    return [item for item in found if not item.rule.study or item.rule.noun in begun]


def status(root: Path) -> str:
    """Return how far the campaign in a folder of results is, in lines for people; errors as of `progress`."""
    found = progress(root)
    lines = [f"{root}: {_driven(root, unfinished=any(item.missing for item in found))}", ""]
    width = max((len(item.rule.rule) for item in found), default=0)
    lines += [f"  {item.rule.rule:{width}}  {_counts(item)}" for item in found]
    lines += _running([log for item in found for log in item.running])
    lines += _stopped(root, [log for item in found for log in item.stopped])
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
    """Return which jobs stopped before they were done, why, and how to go on; for a run that ends.

    Raises
    ------
    InputError, StorageError
        As of `progress`.
    """
    stopped = [log for item in progress(root, ended=True) for log in item.stopped]
    run = driver.latest(root)
    lines = _stopped(root, stopped)[1:]
    if run is not None:
        lines += [f"To continue, once that is put right: {run.command_line}"]
    return _text(lines)


def _text(lines: Sequence[str]) -> str:
    return "\n".join(map(printable, lines))


def _last_targets(found: Sequence[RuleStatus]) -> list[str]:
    """Return what the rule in which everything ends makes."""
    report = [item for item in found if not item.rule.study]
    return list(report[-1].rule.targets.values()) if report else []


def _rule_status(root: Path, rule: PlannedRule, gathered: bool, alive: bool | None, ended: bool) -> RuleStatus:
    """Return how far a rule is; `alive` says whether a run is at work, None if nobody can tell."""
    running, stopped, durations = [], [], []
    done = 0
    for job, target in rule.targets.items():
        log = log_file(root, rule.verb, job)
        begun, there = _is_file(log), _is_file(root / target)
        # What was measured was done; what is gathered may have been removed since.
        took = measured(benchmark_file(root, rule.verb, job)) if there or gathered else None
        finished = there or took is not None
        held = begun and not ended and storage.is_held(log)
        if held is None:
            # Locks do nothing here: what has begun and is not done is at work, if a run may be.
            held = not finished and alive is not False
        if held:
            running.append(log)
        elif finished:
            durations += [] if took is None else [took.seconds]
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


def _driven(root: Path, *, unfinished: bool) -> str:
    run, alive = driver.latest(root), driver.is_alive(root)
    if run is not None and alive:
        return f"runs since {run.started} ({run.place})"
    if run is not None and alive is None:
        return (
            f"a run began on {run.started} ({run.place}); whether it is at work cannot be told from here, since file "
            f"locks do nothing on this file system; ask on {run.host}"
        )
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


def _running(logs: Sequence[Path]) -> list[str]:
    if not logs:
        return []
    lines = ["", "running:"]
    for log in logs[:MOST_LISTED]:
        lines += [f"  {log}", f"    {_last_line(log)}"]
    return lines + _and_more(len(logs) - MOST_LISTED)


def _stopped(root: Path, logs: Sequence[Path]) -> list[str]:
    """Tell of jobs that stopped: those that did for the same reason together."""
    if not logs:
        return []
    run = driver.latest(root)
    noted = {(one.verb, one.job): one for one in (read_failures(root, run.number) if run else ())}
    alike: dict[tuple[str, tuple[str, ...]], list[Path]] = {}
    for log in logs:
        failure = _latest(noted.get(job_of(root, log)), log)
        reason = failure.reason if failure else of_logs(end_of(log))
        asked_by = failure.asked_by if failure else ()
        alike.setdefault((_shortened(str(reason)), asked_by), []).append(log)
    lines = ["", "stopped before they were done:"]
    for (said, asked_by), of_it in list(alike.items())[:MOST_LISTED]:
        others = f" and {len(of_it) - 1} more, alike" if len(of_it) > 1 else ""
        lines += [f"  {of_it[0]}{others}", f"    {said}", *(f"    asked for by {line}" for line in asked_by)]
    return lines + _and_more(sum(len(of_it) for of_it in list(alike.values())[MOST_LISTED:]))


def _latest(failure: Failure | None, log: Path) -> Failure | None:
    """Return what was noted of a job, unless its log is of a later attempt, of which nothing was."""
    try:
        return failure if failure and log.stat().st_mtime <= failure.at + _LATE else None
    except OSError:
        return failure


def _and_more(number: int) -> list[str]:
    return [f"  and {number} more"] if number > 0 else []


def _last_line(log: Path) -> str:
    """Return the last line that says something, without what steers a terminal."""
    return _shortened(last_words(lines_of(end_of(log)))) or "(no output)"


def _shortened(line: str) -> str:
    return line if len(line) <= _LONGEST_LINE else f"{line[:_LONGEST_LINE]}…"
