"""What profiles ask for: what makes no sense is refused, and what a cluster refuses is found again by its line."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from mechscreen.errors import InputError

_WHAT = (
    ("account", ("slurm_account", "slurm-account")),
    ("partition", ("slurm_partition", "slurm-partition")),
    ("qos|quality of service", ("qos", "slurm-qos", "slurm_extra")),
    ("reservation", ("reservation", "slurm-reservation", "slurm_extra")),
    ("feature|constraint", ("constraint", "slurm_extra")),
    (r"gres|gpu|generic resource|\btres\b", ("gpu", "gpu_model", "gres", "gpus", "slurm_extra")),
    ("time ?limit", ("runtime",)),
    ("memory", ("mem_mb_per_cpu", "mem_mb", "mem")),
    (
        "node configuration|node count|processors|cpus|nodes",
        ("constraint", "gpu", "gpu_model", "gres", "mem_mb_per_cpu", "mem_mb", "nodes", "tasks", "cpus_per_task"),
    ),
    ("slurm_extra|option", ("slurm_extra",)),
    ("tasks", ("tasks", "tasks_per_node")),
)
"""What a refusal names, and the keys of profiles that ask for it."""

_LEAST = {"tasks": 1, "runtime": 1, "mem_mb": 1, "mem_mb_per_cpu": 1, "nodes": 1, "cpus_per_task": 1, "gpu": 0}
"""Resources that are whole numbers, and the least that makes sense."""

_OPTIONS = ("--workflow-profile", "--profile")


@dataclass(frozen=True)
class Line:
    """A line of a profile: where, for which rule (empty for all), what it sets, and its text."""

    place: str
    rule: str
    key: str
    text: str


def check_resources(asked: Mapping[str, Mapping[str, object]], of_all: Mapping[str, object] | None = None) -> None:
    """See that resources that are set make sense, before anything is submitted.

    Parameters
    ----------
    asked
        Rule → name of a resource → what was given, where Snakemake holds it as `raw`. Expressions are its own.
    of_all
        What is set for all rules; `mem_mb_per_cpu` has to be a number there: rules ask for more where they need it.

    Raises
    ------
    InputError
        If one is no whole number, or too small.
    """
    for rule, resources in asked.items():
        for name in _LEAST.keys() & resources.keys():
            text = _raw(resources[name])
            number = re.fullmatch(r"[-+]?\d+", text)
            word = re.fullmatch(r"[A-Za-z_]*", text)
            if (number and int(text) < _LEAST[name]) or word:
                raise InputError(_told(f"set-resources: {name} of {rule}", name, text))
    name = "mem_mb_per_cpu"
    if of_all and name in of_all:
        text = _raw(of_all[name])
        if not re.fullmatch(r"\d+", text) or int(text) < _LEAST[name]:
            raise InputError(_told(f"default-resources: {name}", name, text))


def check_arrays(rules: str | None, mpi_rules: Collection[str]) -> None:
    """See that no MPI job is to be submitted in a job array.

    Snakemake's SLURM plugins (2.8 with jobstep 0.6) run the first job of the array in each of its tasks then: the
    files of the others are waited for, and never made.

    Parameters
    ----------
    rules
        What ``slurm-array-jobs`` of the profile says: names of rules, or ``all``.
    mpi_rules
        Rules whose jobs take ranks.

    Raises
    ------
    InputError
        If it names one of these.
    """
    named = set(re.split(r"[,;\s]+", rules or "")) - {""}
    if wrong := sorted(mpi_rules if "all" in named else named & set(mpi_rules)):
        raise InputError(
            f"slurm-array-jobs: {rules}: MPI jobs ({', '.join(wrong)}) cannot be array jobs, since Snakemake's SLURM "
            "plugins run the first one in place of all; leave the key out, or name other rules"
        )


def _raw(value: object) -> str:
    return str(getattr(value, "raw", value)).strip()


def _told(what: str, name: str, text: str) -> str:
    unit = " minutes" if name == "runtime" else " MB" if name.startswith("mem") else ""
    return (
        f"{what} is {text or 'empty'}; give a whole number of {_LEAST[name]}{unit} or more, in the profile or on the "
        "command line, or leave it out"
    )


def profiles_of(command: Sequence[str]) -> list[Path]:
    """Return the files of the profiles that a call of Snakemake names."""
    from snakemake.cli import get_profile_dir

    found = []
    for k, word in enumerate(command):
        option, equals, value = word.partition("=")
        if option in _OPTIONS and (equals or k + 1 < len(command)):
            with suppress(OSError):
                entry = get_profile_dir(value if equals else command[k + 1])
                if entry is not None:
                    found.append(Path(entry[1]))
    return found


def asked_by(command: Sequence[str], profiles: Sequence[Path], rule: str, refusal: str) -> tuple[str, ...]:
    """Return the lines of profiles that ask for what a job of a rule was refused: ``config.yaml:12: gpu: 1``.

    What the command line sets comes before what profiles do, and what is set for the rule before what is set for all;
    nothing is said where the refusal names nothing known.
    """
    for pattern, keys in _WHAT:
        if re.search(pattern, refusal, re.IGNORECASE):
            lines = [line for line in _typed(command) if line.key in keys]
            lines += [line for profile in profiles for line in _lines(profile) if line.key in keys]
            found: dict[str, Line] = {}
            for of_rule in (rule, ""):
                for line in lines:
                    if line.rule == of_rule:
                        found.setdefault(line.key, line)
            if found:
                return tuple(f"{line.place}: {line.text}" for line in found.values())
    return ()


def _typed(command: Sequence[str]) -> Iterator[Line]:
    """Yield what a command line sets: ``simulate_shard:runtime=60``, ``slurm_account=lab``."""
    for word in command:
        found = re.fullmatch(r"(?:(\w+):)?(\w+)=.*", word)
        if found:
            yield Line("the command line", found[1] or "", found[2], word)


def _lines(profile: Path) -> Iterator[Line]:
    """Yield what a profile sets, line by line; nothing of one that cannot be read, which Snakemake tells."""
    try:
        text = profile.read_text(encoding="utf-8")
        root = yaml.compose(text)
    except (OSError, ValueError, yaml.YAMLError):
        return
    lines = text.splitlines()

    def line(node: yaml.Node, rule: str, key: str) -> Line:
        number = node.start_mark.line
        return Line(f"{profile}:{number + 1}", rule, key, lines[number].strip())

    for name, node in _entries(root):
        key = name.value
        if key == "default-resources":
            yield from (line(k, "", k.value.partition("=")[0].strip()) for k, _ in _entries(node))
        elif key == "set-resources":
            for rule, settings in _entries(node):
                of_rule, colon, setting = rule.value.partition(":")
                if colon:
                    yield line(rule, of_rule, setting.partition("=")[0].strip())
                yield from (line(k, rule.value, k.value) for k, _ in _entries(settings))
        else:
            yield line(name, "", key)


def _entries(node: yaml.Node | None) -> Iterator[tuple[yaml.Node, yaml.Node | None]]:
    """Yield keys and values of a mapping; of a list of ``key=value`` its entries, as keys."""
    if isinstance(node, yaml.MappingNode):
        yield from node.value
    elif isinstance(node, yaml.SequenceNode):
        yield from ((entry, None) for entry in node.value)
