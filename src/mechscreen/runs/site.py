"""What a SLURM has to give: its partitions and their nodes, what an account may use, how it is set up."""

from __future__ import annotations

import getpass
import math
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache


@dataclass(frozen=True)
class Limits:
    """The most that a job can be given; infinite where nobody says.

    Attributes
    ----------
    megabytes
        Memory of the largest node.
    minutes
        Longest time limit of a partition.
    """

    megabytes: float = math.inf
    minutes: float = math.inf

    def memory(self, first: int, times: int) -> int:
        """Return `times` the memory asked for at first, but no more than there is; never less than at first."""
        return int(max(first, min(times * first, self.megabytes)))

    def time(self, first: int, times: int) -> int:
        """Return `times` the minutes asked for at first, but no more than is allowed; never less than at first."""
        return int(max(first, min(times * first, self.minutes)))


NONE = Limits()


@cache
def limits() -> Limits:
    """Return the limits of the SLURM of this machine, asked once; none where it does not say."""
    return read_limits(_asked("sinfo", "--noheader", "--format=%m|%l"))


def read_limits(said: str) -> Limits:
    """Return the largest of what ``sinfo --format=%m|%l`` lists; none where that is unreadable."""
    rows = [line.split("|") for line in said.splitlines()]
    try:
        return Limits(
            max(float(memory.rstrip("+")) for memory, _ in rows),
            max(read_minutes(time) for _, time in rows),
        )
    except ValueError:
        return NONE


def read_minutes(text: str) -> float:
    """Return minutes as SLURM writes them: ``infinite``, ``30:00``, ``2-12:00:00``.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    text = text.strip()
    if text.lower() in ("infinite", "unlimited", "n/a"):
        return math.inf
    found = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text)
    if found is None:
        raise ValueError(f"{text!r} is no time")
    days, hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 1440 * days + 60 * hours + minutes + seconds / 60


@dataclass(frozen=True)
class Partition:
    """A partition, and the largest of what its nodes have.

    Attributes
    ----------
    name, is_default, up
        What it is called, whether jobs go there that name none, whether it takes any.
    minutes
        Longest time of a job.
    nodes, most_nodes
        How many it has, and how many one job may have.
    cores, megabytes, megabytes_per_core
        Of the largest node, and what one core may have.
    gpus
        Model → number in a node; without a model it is ``gpu``.
    features
        That jobs can ask for by `constraint`.
    accounts
        That may use it; all where it names none.
    """

    name: str
    is_default: bool = False
    up: bool = True
    minutes: float = math.inf
    nodes: int = 0
    most_nodes: float = math.inf
    cores: int = 0
    megabytes: float = 0
    megabytes_per_core: float = math.inf
    gpus: Mapping[str, int] = field(default_factory=dict)
    features: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()

    def __str__(self) -> str:
        time = "no limit of time" if math.isinf(self.minutes) else f"up to {self.minutes:,.0f} min"
        gpus = "".join(f", {number} {'GPUs' if model == 'gpu' else model}" for model, number in self.gpus.items())
        nodes = f"{self.nodes:,} nodes of up to {self.cores} cores, {self.megabytes:,.0f} MB{gpus}"
        return f"{self.name}{'' if self.up else ' (takes no jobs)'}: {time}; {nodes}"


@dataclass(frozen=True)
class Allowance:
    """What an account may use; infinite where nobody says.

    Attributes
    ----------
    where
        What says so: ``account lab``, ``qos normal``.
    running, submitted
        Jobs at a time.
    minutes
        Of a job.
    resources
        Most of each of a job: ``cpu``, ``node``, ``gres/gpu``.
    """

    where: str
    running: float = math.inf
    submitted: float = math.inf
    minutes: float = math.inf
    resources: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        limits = {"jobs running": self.running, "jobs submitted": self.submitted, "minutes a job": self.minutes}
        limits |= {f"{name} a job": most for name, most in self.resources.items()}
        told = [f"{most:,.0f} {name}" for name, most in limits.items() if not math.isinf(most)]
        return f"{self.where}: {', '.join(told) or 'no limits'}"


def partitions() -> list[Partition]:
    """Return the partitions of the SLURM of this machine; none where it does not say."""
    nodes = _asked("sinfo", "--exact", "--noheader", "--format=%P|%a|%l|%D|%c|%m|%G|%f|%s")
    return read_partitions(nodes, _asked("scontrol", "show", "partition", "--oneliner"))


def read_partitions(nodes: str, details: str = "") -> list[Partition]:
    """Return the partitions of ``sinfo --exact --format=%P|%a|%l|%D|%c|%m|%G|%f|%s`` and ``scontrol show partition``.

    Raises
    ------
    ValueError
        If a line is not of that form.
    """
    per_core, allowed = {}, {}
    for line in details.splitlines():
        pairs = dict(word.partition("=")[::2] for word in line.split())
        name = pairs.get("PartitionName", "")
        if re.fullmatch(r"\d+", pairs.get("MaxMemPerCPU", "")):
            per_core[name] = float(pairs["MaxMemPerCPU"])
        if pairs.get("AllowAccounts", "ALL") != "ALL":
            allowed[name] = tuple(pairs["AllowAccounts"].split(","))
    found: dict[str, Partition] = {}
    for line in nodes.splitlines():
        label, up, time, number, cores, megabytes, gres, features, size = line.split("|")
        name = label.rstrip("*")
        before = found.get(name, Partition(name))
        gpus = dict(before.gpus)
        for model, most in read_gpus(gres).items():
            gpus[model] = max(most, gpus.get(model, 0))
        of_nodes = () if features in ("(null)", "") else features.split(",")
        found[name] = Partition(
            name,
            is_default=label.endswith("*"),
            up=up == "up",
            minutes=read_minutes(time),
            nodes=before.nodes + int(number),
            most_nodes=math.inf if size.endswith("infinite") else float(size.rpartition("-")[2]),
            cores=max(before.cores, int(cores.rstrip("+"))),
            megabytes=max(before.megabytes, float(megabytes.rstrip("+"))),
            megabytes_per_core=per_core.get(name, math.inf),
            gpus=gpus,
            features=tuple(dict.fromkeys((*before.features, *of_nodes))),
            accounts=allowed.get(name, ()),
        )
    return list(found.values())


def read_gpus(gres: str) -> dict[str, int]:
    """Return model → number of GPUs in generic resources: ``gpu:a100:4(S:0-1),gpu:2``."""
    found: dict[str, int] = {}
    for entry in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *rest = entry.strip().split(":")
        if name == "gpu":
            model = rest[0] if len(rest) > 1 or (rest and not rest[0].isdigit()) else "gpu"
            number = rest[-1] if rest and rest[-1].isdigit() else "1"
            found[model] = found.get(model, 0) + int(number)
    return found


def accounts() -> set[str]:
    """Return the accounts of this user; none where SLURM does not say."""
    command = ("sacctmgr", "--noheader", "--parsable2", "show", "associations", f"user={getpass.getuser()}")
    return set(_asked(*command, "format=Account").split())


def jobs_in_queue() -> int | None:
    """Return how many jobs SLURM has, waiting or running, of this user's accounts; None where it does not answer."""
    of_accounts = [f"--account={','.join(sorted(ours))}"] if (ours := accounts()) else ["--me"]
    command = ["squeue", "--noheader", "--array", "--format=%i", *of_accounts]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return len(done.stdout.split()) if done.returncode == 0 else None


def default_account() -> str:
    """Return the account that jobs go to that name none; empty where SLURM does not say."""
    command = ("sacctmgr", "--noheader", "--parsable2", "show", "user", getpass.getuser(), "format=DefaultAccount")
    return _asked(*command).strip()


def settings() -> dict[str, str]:
    """Return how SLURM is set up, by name; nothing where it does not say."""
    lines = _asked("scontrol", "show", "config").splitlines()
    pairs = (line.partition("=") for line in lines)
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def allowances(account: str = "", qos: str = "") -> list[Allowance]:
    """Return what limits this user's jobs: of the account (the default one if empty), and of the qos they run with."""
    user = getpass.getuser()
    account = account or default_account()
    command = ("sacctmgr", "--noheader", "--parsable2", "show")
    columns = "format=Account,MaxJobs,MaxSubmitJobs,MaxWall,MaxTRES,DefaultQOS"
    lines = _asked(*command, "associations", f"user={user}", f"account={account}", columns).splitlines()
    found = []
    for line in lines:
        name, *limits, default_qos = line.split("|")
        found.append(_allowance(f"account {name}", *limits))
        qos = qos or default_qos
    columns = "format=Name,MaxJobsPU,MaxSubmitPU,MaxWall,MaxTRES"
    for line in _asked(*command, "qos", columns).splitlines():
        name, *limits = line.split("|")
        if name == (qos or "normal"):
            found.append(_allowance(f"qos {name}", *limits))
    return found


def _allowance(where: str, running: str, submitted: str, time: str, resources: str) -> Allowance:
    def number(text: str) -> float:
        return float(text) if re.fullmatch(r"\d+", text) else math.inf

    pairs = (entry.partition("=") for entry in resources.split(",") if "=" in entry)
    return Allowance(
        where,
        number(running),
        number(submitted),
        read_minutes(time) if time else math.inf,
        {name: number(most) for name, _, most in pairs if not math.isinf(number(most))},
    )


def _asked(*command: str) -> str:
    """Return what a command of SLURM says; nothing where it is not there, or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
