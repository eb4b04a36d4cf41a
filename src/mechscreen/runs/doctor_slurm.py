"""The doctor on a SLURM cluster: whether each job of a campaign would be taken and begin, and whether two jobs work."""

from __future__ import annotations

import math
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from mechscreen.emulators.backends.device import DevicePredictor
from mechscreen.errors import InputError
from mechscreen.runs import doctor_probe, site
from mechscreen.runs.asked import asked_by, check_arrays
from mechscreen.runs.causes import of_refusal
from mechscreen.runs.findings import Finding
from mechscreen.runs.requests import Asked, Request

_PROBE_MINUTES = 10
_LATE_DAYS = 2.0
"""After which a job that could begin no sooner is remarked on."""
_LEAST_JOB_AGE = 120.0
"""Seconds for which squeue must know of ended jobs: the plugin asks ever more slowly, up to once in three minutes."""


def findings(asked: Asked, command: Sequence[str], profile: Path, results: Path) -> Iterator[Finding]:
    """Yield what is found for what a campaign asks.

    Parameters
    ----------
    command
        Arguments of Snakemake that it was asked with.
    profile
        File of the profile, whose lines are named.
    results
        Folder that jobs see, for what the probes say.
    """
    setup = site.settings()
    if not setup:
        yield Finding(
            "SLURM", "its controller does not answer", "try again (scontrol ping says when), or ask your site"
        )
        return
    places = {partition.name: partition for partition in site.partitions()}
    default = next((partition for partition in places.values() if partition.is_default), None)
    limits: dict[tuple[str, str], list[site.Allowance]] = {}
    refused = set()
    used: dict[str, site.Partition] = {}
    for request in asked.requests:
        names = _named(request.options, "-p").split(",")
        candidates = [place for name in names if (place := places.get(name, default))]
        used |= {place.name: place for place in candidates}
        whose = (_named(request.options, "-A"), _named(request.options, "--qos"))
        if whose not in limits:
            limits[whose] = site.allowances(*whose)
        finding = _of_rule(request, candidates, limits[whose], command, [profile])
        refused |= {request.rule} if finding.advice else set()
        yield finding
    for place in used.values():
        yield Finding("partition", str(place))
    yield from _allowed(asked, [limit for found in limits.values() for limit in found])
    yield from ways(asked, setup)
    yield from _probes(asked, refused, used, results)


def _of_rule(
    request: Request,
    candidates: Sequence[site.Partition],
    limits: Sequence[site.Allowance],
    command: Sequence[str],
    profiles: Sequence[Path],
) -> Finding:
    """Return whether a rule's jobs would be taken, and whether they would ever begin."""
    jobs = f"{request.jobs:,} {'job' if request.jobs == 1 else 'jobs'}"
    what = f"{request.rule} ({jobs})"
    if request.refused:
        return _refusal(what, request.refused, request, command, profiles)
    done = subprocess.run(f"{request.call} --test-only --wrap=true", shell=True, capture_output=True, text=True)
    said = " ".join((done.stdout + done.stderr).split())
    hindered = hindrances(request, candidates, limits)
    if done.returncode != 0:
        words = of_refusal(re.sub(r"allocation failure: ", "", done.stdout + done.stderr)).said
        return _refusal(what, words, request, command, profiles, hindered)
    if hindered:
        lines = [line for hindrance in hindered for line in asked_by(command, profiles, request.rule, hindrance)]
        return Finding(
            what, f"{request.options}: would wait for ever: {'; '.join(hindered)}", _ask_less(dict.fromkeys(lines))
        )
    found = re.search(r"to start at (\S+) using (.*)", said)
    if found is None:
        return Finding(what, f"{request.options}: SLURM takes it")
    begin = datetime.fromisoformat(found[1])
    days = (begin - datetime.now()).total_seconds() / 86400
    when = "at once" if days < 1 / 1440 else f"from {begin:%Y-%m-%d %H:%M}"
    told = f"{request.options}: could begin {when}"
    if days > _LATE_DAYS:
        return Finding(what, told, "ask for less time, memory or cores, or for another partition, to begin sooner")
    return Finding(what, told)


def _refusal(
    what: str,
    words: str,
    request: Request,
    command: Sequence[str],
    profiles: Sequence[Path],
    hindered: Sequence[str] = (),
) -> Finding:
    lines = asked_by(command, profiles, request.rule, words)
    shown = f"{request.options}: " if request.options else ""
    more = f" ({'; '.join(hindered)})" if hindered else ""
    return Finding(what, f"{shown}refused: {words}{more}", _ask_less(dict.fromkeys(lines)))


def _ask_less(lines: dict[str, None]) -> str:
    if not lines:
        return "change what the profile asks for this rule, under set-resources (docs/howto/cluster.md)"
    return f"asked for by {'; '.join(lines)}"


def hindrances(
    request: Request, candidates: Sequence[site.Partition], limits: Sequence[site.Allowance]
) -> tuple[str, ...]:
    """Return what keeps a job from ever beginning though it may be taken: what no partition or account gives it.

    A site that does not enforce its limits at submission keeps such a job in the queue for ever.
    """
    if candidates:
        of_each = [_beyond(request, place) for place in candidates]
        if all(of_each):
            return of_each[0]
    found = []
    for limit in limits:
        if request.minutes > limit.minutes:
            found.append(f"time limit of {request.minutes:,.0f} min, and {limit.where} may have {limit.minutes:,.0f}")
        wanted = {"cpu": request.cores, "node": request.resources.get("nodes") or 0, "gres/gpu": _gpus(request)}
        for name, most in limit.resources.items():
            if wanted.get(name, 0) > most:
                word = {"cpu": "cpus", "node": "nodes", "gres/gpu": "gpu"}[name]
                found.append(f"{word}: {wanted[name]:,}, and {limit.where} may have {most:,.0f}")
    return tuple(found)


def _beyond(request: Request, place: site.Partition) -> tuple[str, ...]:
    found = []
    if not place.up:
        found.append(f"partition {place.name} takes no jobs")
    if request.minutes > place.minutes:
        found.append(f"time limit of {request.minutes:,.0f} min, and {place.name} has {place.minutes:,.0f}")
    each = request.cores // request.tasks
    if each > place.cores:
        found.append(f"cpus: {each:,} of one node, and the largest of {place.name} has {place.cores:,}")
    by_core, in_all = (request.resources.get(name) or 0 for name in ("mem_mb_per_cpu", "mem_mb"))
    memory = by_core * each if by_core else in_all
    if isinstance(memory, int | float) and memory > place.megabytes:
        found.append(
            f"memory: {memory:,.0f} MB of one node, and the largest of {place.name} has {place.megabytes:,.0f}"
        )
    nodes = request.resources.get("nodes") or 0
    if isinstance(nodes, int) and nodes > min(place.most_nodes, place.nodes):
        found.append(f"nodes: {nodes:,}, and {place.name} gives {min(place.most_nodes, place.nodes):,.0f}")
    if _gpus(request) and not place.gpus:
        found.append(f"gpu: {_gpus(request)}, and no node of {place.name} has one")
    return tuple(found)


def _gpus(request: Request) -> int:
    value = request.resources.get("gpu") or 0
    if not value and (of_gres := site.read_gpus(str(request.resources.get("gres") or ""))):
        return sum(of_gres.values())
    return int(value) if str(value).isdigit() else 1


def _allowed(asked: Asked, limits: Sequence[site.Allowance]) -> Iterator[Finding]:
    """Compare how many jobs are submitted at a time with how many may be."""
    most = max((request.jobs for request in asked.requests), default=0)
    at_a_time = min(most, asked.at_a_time or most)
    for limit in dict.fromkeys(map(str, limits)):
        yield Finding("limits of yours", limit)
    submitted = min((limit.submitted for limit in limits), default=math.inf)
    if at_a_time > submitted:
        yield Finding(
            "jobs at a time",
            f"{at_a_time:,} of one rule, and you may have {submitted:,.0f} in the queue",
            f"write jobs: {submitted:,.0f} in the profile, or make shards and blocks larger",
        )
        return
    running = min((limit.running for limit in limits), default=math.inf)
    told = f"up to {at_a_time:,} in the queue, of at most {most:,} of one rule"
    yield Finding("jobs at a time", told if math.isinf(running) else f"{told}; {running:,.0f} run side by side")


def ways(asked: Asked, setup: dict[str, str]) -> Iterator[Finding]:
    """Say what SLURM's own settings (``scontrol show config``) mean for a campaign."""
    age = _seconds(setup.get("MinJobAge", ""))
    by_squeue = asked.settings.get("status_command") == "squeue"
    told = f"squeue knows of ended jobs for {age:,.0f} s (MinJobAge)"
    if by_squeue and age < _LEAST_JOB_AGE:
        yield Finding(
            "status", told, "write slurm-status-command: sacct in the profile: jobs end between two questions"
        )
    else:
        yield Finding("status", told)
    requeued = setup.get("JobRequeue") == "1"
    if asked.settings.get("requeue") or asked.settings.get("no_requeue"):
        requeued = bool(asked.settings.get("requeue"))
    yield Finding(
        "a node that fails",
        "its jobs are put back into the queue by SLURM, continue their partial files, and cost no attempt"
        if requeued
        else "its jobs end, and are submitted again by the run (retries in the profile)",
    )
    wait = _seconds(setup.get("KillWait", ""))
    preempted = {
        "OFF": "jobs are not preempted",
        "CANCEL": "preempted jobs are cancelled, each time at the cost of one of the profile's retries",
        "REQUEUE": "preempted jobs are put back into the queue, and continue their partial files",
        "SUSPEND": "preempted jobs are stopped for a while, and then go on; their time limit goes on meanwhile",
        "GANG": "jobs take turns",
    }
    mode = setup.get("PreemptMode", "OFF").upper()
    ways_of_it = [words for name, words in preempted.items() if name in mode.split(",")]
    yield Finding(
        "preemption",
        f"{'; '.join(ways_of_it) or mode}; a job that is ended has {wait:,.0f} s to save what it has (KillWait)",
    )
    try:
        check_arrays(asked.settings.get("array_jobs"), [of.rule for of in asked.requests if of.resources.get("mpi")])
    except InputError as error:
        yield Finding("arrays", *str(error).split("; ", 1))
    arrays, queue = (setup.get(name, "?") for name in ("MaxArraySize", "MaxJobCount"))
    yield Finding("queue", f"holds {queue} jobs of all users (MaxJobCount), {arrays} in an array (MaxArraySize)")


def _seconds(text: str) -> float:
    found = re.match(r"\d+", text)
    return float(found[0]) if found else math.inf


def _probes(asked: Asked, refused: set[str], places: dict[str, site.Partition], results: Path) -> Iterator[Finding]:
    """Run jobs with what the campaign's own ask for: ranks, a GPU, and a card for each rank."""
    of_ranks = next((request for request in asked.requests if request.resources.get("mpi")), None)
    if of_ranks is not None and of_ranks.rule not in refused:
        name = _named(of_ranks.options, "-p")
        several = name not in places or places[name].nodes >= doctor_probe.RANKS
        nodes = doctor_probe.RANKS if several else 1
        with doctor_probe.marker(results) as seen:
            command = doctor_probe.ranks_command(str(of_ranks.resources["mpi"]), seen)
            ended = _run(of_ranks, f"--ntasks={doctor_probe.RANKS} --nodes={nodes}", command, results)
        what = "MPI on two nodes" if several else "MPI on one node"
        yield from doctor_probe.read(what, *ended, doctor_probe.MPI_ADVICE)
    with_cards = next((of for of in asked.requests if of.resources.get("mpi") and _gpus(of)), None)
    if with_cards is not None and with_cards.rule not in refused:
        command = doctor_probe.cards_command(str(with_cards.resources["mpi"]), with_cards.tasks)
        yield from doctor_probe.read("cards", *_run(with_cards, "", command, results), doctor_probe.CARDS_ADVICE)
    with_gpu = next((request for request in asked.requests if "gpu" in request.options and request != with_cards), None)
    if with_gpu is not None and with_gpu.rule not in refused:
        library = DevicePredictor.keras if with_gpu.rule == "train_ensemble" else ""
        ended = _run(with_gpu, "", doctor_probe.gpu_command(library), results)
        yield from doctor_probe.read("GPU", *ended, doctor_probe.GPU_ADVICE)
    elif with_gpu is None and with_cards is None:
        mistaken = next((request for request in asked.requests if request.resources.get("gpus")), None)
        if mistaken is not None:
            number = mistaken.resources["gpus"]
            yield Finding("GPU", "Snakemake does not pass 'gpus' of the profile on", f"write gpu: {number}")
        else:
            yield Finding("GPU", "the profile asks for none")


def _run(request: Request, options: str, command: str, results: Path) -> tuple[int, str]:
    """Run a command in a job with what a request asks for; return its exit code and what it said."""
    output = (results / ".doctor.out").absolute()
    call = (
        f"{request.call} --wait --job-name=mechscreen-doctor --time={_PROBE_MINUTES} {options} "
        f"--output={shlex.quote(str(output))} --wrap={shlex.quote(command)}"
    )
    done = subprocess.run(call, shell=True, capture_output=True, text=True, env=doctor_probe.environment())
    try:
        said = output.read_text(encoding="utf-8", errors="replace")
        output.unlink()
    except OSError:
        said = ""
    return done.returncode, said + done.stderr


def _named(options: str, option: str) -> str:
    """Return the value of an option in a call: ``-p standard``, ``--qos=high``; empty if it is not there."""
    words = shlex.split(options)
    for k, word in enumerate(words):
        if word == option and k + 1 < len(words):
            return words[k + 1]
        if word.startswith(f"{option}="):
            return word.partition("=")[2]
    return ""
