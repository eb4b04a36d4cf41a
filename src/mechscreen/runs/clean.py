"""Room: what of a campaign's folder takes how much of the disk, what of it may go, and what is lost by that.

A file may go if nothing that is left to do reads it. Snakemake makes a missing file only where something that it has to
make needs it, so that what went is not made again by the next run, but by one that is asked for more.
"""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePath

from mechscreen import storage
from mechscreen.campaign import SPLITS, Campaign
from mechscreen.campaign.configuration import read_mapping
from mechscreen.errors import FileError, InputError, nearest
from mechscreen.progress import format_duration, printable
from mechscreen.runs import driver
from mechscreen.runs.benchmarks import measured
from mechscreen.runs.jobs import benchmark_file
from mechscreen.runs.purged import READ_TRAINING_SET
from mechscreen.runs.status import RuleStatus, progress
from mechscreen.schemas.dataset import Manifest
from mechscreen.schemas.screen import ScreenHits, ScreenSummary

_LISTED = 3


@dataclass(frozen=True)
class Kind:
    """A kind of files of a campaign.

    Attributes
    ----------
    rules
        Of the workflow, whose jobs make them.
    lost
        What goes with them, for people; empty for what never goes.
    stays
        Why it does, where it never goes.
    """

    rules: tuple[str, ...] = ()
    lost: str = ""
    stays: str = ""


KINDS: Mapping[str, Kind] = {
    "selection": Kind(("select_shard",), stays="simulations are checked against it"),
    "simulations": Kind(
        ("simulate_shard",),
        lost="samples that failed, and export of simulations; another split, or a larger simulations.count, "
        "simulates all of them again",
    ),
    "dataset": Kind(
        ("merge_shards",), lost="more networks, another training or another validation merge the simulations again"
    ),
    "emulators": Kind(("train_member", "train_ensemble"), stays="they predict"),
    "learning": Kind(
        ("train_on_samples",), lost="networks of the study; other sizes or members train all of them again"
    ),
    "evaluation": Kind(("evaluate_ensemble",), stays="figures and report are drawn from it"),
    "calibration": Kind(("calibrate_ensemble",), stays="probabilities follow from it"),
    "blocks": Kind(
        ("screen_block",),
        lost="a larger screen.count, or another screen.confidence, screens all of them again; hits and counts stay",
    ),
    "screen": Kind(("gather_screen",), stays="it is what was found"),
    "validation": Kind(("validate_hits",), stays="it is what was found"),
    "polished": Kind(("polish_sets",), stays="it is what was found"),
    "posterior": Kind(("infer_posterior",), stays="it is what was found, and walkers go on from there"),
    "figures": Kind(("draw_figure",), stays="they are what one looks at"),
    "report": Kind(("write_report",), stays="it is what one looks at"),
    "logs": Kind(lost="what jobs that are done said"),
    "benchmarks": Kind(stays="they tell what remaking takes"),
    "partial": Kind(stays="the next attempt continues there"),
    "leftovers": Kind(lost="temporary files of processes that ended, and files that were moved aside as damaged"),
    "records": Kind(stays="the folder is known by them"),
    "snakemake": Kind(stays="Snakemake knows by it how files were made"),
    "other": Kind(stays="it is none of mechscreen's"),
}
"""Name of each kind → what is told of it, in the order of the data."""

REMOVABLE = tuple(name for name, kind in KINDS.items() if kind.lost)
"""Names that `mechscreen clean --remove` takes."""

_RECORDS = {
    "campaign.yaml",
    "model.json",
    "plan.json",
    "used.json",
    "dataset/manifest.json",
    "logs/run.json",
    "logs/failures.jsonl",
}
_REPORT = re.compile(r"report\.html|summary\.txt|compared-with-[^/]+\.html")
_MOVED_ASIDE = re.compile(r".+\.bad(\.\d+)?")
_ROUND = re.compile(r"round-(\d+)")
_BLOCK = re.compile(r"block-\d+\.h5")
_PARTIAL_SUFFIX = ".partial"


@dataclass(frozen=True)
class Part:
    """The files of a kind that are there.

    Attributes
    ----------
    name, kind
        As in `KINDS`.
    files
        In the order in which they are removed.
    size
        Bytes.
    refusal
        Why they may not go; empty where they may.
    cost
        What remaking them takes, for people.
    """

    name: str
    kind: Kind
    files: tuple[Path, ...]
    size: int
    refusal: str
    cost: str


def clean(results: Path, remove: Sequence[str] = ()) -> str:
    """Return what takes how much room in a folder of results; remove what is named, and nothing unless all may go.

    Parameters
    ----------
    results
        The folder, or the campaign's configuration.
    remove
        Names of `REMOVABLE`.

    Raises
    ------
    InputError
        If there is no campaign, a run or a job is at work on it, or something that is named may not go.
    StorageError
        If files cannot be read or removed.
    """
    _check_names(remove)
    campaign = _campaign(results)
    root = campaign.paths.root
    if not remove:
        return _text([*_table(root, parts(campaign)), *_what_goes(root, parts(campaign))])
    # What is refused leaves nothing, a lock included; once none can begin it is looked at again, and closely.
    _chosen(parts(campaign, remove), remove)
    with driver.idle(root):
        _check_idle(campaign)
        return _text(_remove(root, _chosen(parts(campaign, remove, thorough=True), remove), remove))


def parts(campaign: Campaign, removed: Collection[str] = (), thorough: bool = False) -> list[Part]:
    """Return the kinds of files in a campaign's folder that are there.

    Parameters
    ----------
    removed
        What is to go together.
    thorough
        Whether what stands for files that may go is read and verified.
    """
    root = campaign.paths.root
    found = progress(root)
    done = {item.rule.rule: not item.missing for item in found}
    jobs = _Jobs(campaign, done, removed, thorough)
    grouped: dict[str, list[tuple[Path, int]]] = defaultdict(list)
    stopped = {log for item in found for log in (*item.running, *item.stopped)}
    for path, size in _files(root):
        grouped[_kind_of(root, path, stopped, campaign.own_rounds)].append((path, size))
    return [
        Part(
            name,
            kind,
            # The last first, as they were made: an interruption leaves the beginning.
            tuple(path for path, _ in reversed(grouped[name])),
            sum(size for _, size in grouped[name]),
            kind.stays or jobs.refusal(name),
            _cost(root, kind, found),
        )
        for name, kind in KINDS.items()
        if grouped[name]
    ]


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if name not in KINDS:
            raise InputError(f"--remove {name}: no such part{nearest(name, KINDS)} (may go: {', '.join(REMOVABLE)})")
        if name not in REMOVABLE:
            raise InputError(f"--remove {name}: stays, since {KINDS[name].stays} (may go: {', '.join(REMOVABLE)})")


def _campaign(results: Path) -> Campaign:
    """Return the campaign of a folder, or of a configuration that has one."""
    if not results.is_file():
        return Campaign.open(results)
    campaign = Campaign.load(results)
    root = campaign.paths.root
    if not storage.exists(campaign.paths.campaign):
        raise InputError(f"{root}: there are no results of {results} yet")
    return campaign


def _check_idle(campaign: Campaign) -> None:
    """See that no job is at work on a campaign, and no run on another one that reads its files."""
    root = campaign.paths.root
    running = [log for item in progress(root) for log in item.running]
    if running:
        raise InputError(f"{root}: a job is at work ({running[0]}); wait, or end it: mechscreen recover {root}")
    for other in _dependents(root):
        if driver.is_alive(other) is not False:
            raise InputError(f"{root}: a run is at work on {other}, which reads files of it; wait until it has ended")


def _dependents(root: Path) -> list[Path]:
    """Return the campaigns beside one that stand on its files."""
    name, found = root.resolve().name, []
    for folder in storage.listing(root.resolve().parent):
        values: Mapping[str, object] = {}
        with suppress(InputError, OSError, ValueError):
            values = read_mapping(folder / "campaign.yaml") if (folder / "campaign.yaml").is_file() else {}
        selection = values.get("selection")
        if name in (values.get("base"), selection.get("campaign") if isinstance(selection, Mapping) else None):
            found.append(folder)
    return found


def _files(root: Path) -> Iterator[tuple[Path, int]]:
    """Yield the files below a folder, and their bytes; what links lead to is none of them."""
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            with suppress(FileNotFoundError), storage.reading(path):
                yield path, path.lstat().st_size


def _kind_of(root: Path, path: Path, stopped: Collection[Path], rounds: int) -> str:
    relative = path.relative_to(root)
    if of_round := _ROUND.fullmatch(relative.parts[0]):
        if int(of_round[1]) > rounds or len(relative.parts) == 1:
            # Of a configuration that asked for more, or no folder.
            return "other"
        relative = relative.relative_to(relative.parts[0])
    first, name = relative.parts[0], relative.name
    if relative.as_posix() in _RECORDS:
        return "records"
    if first == ".snakemake":
        return "snakemake"
    if first not in KINDS and not _REPORT.fullmatch(relative.as_posix()):
        return "other"
    if storage.is_temporary(path):
        return "leftovers" if storage.is_stale(path) else "partial"
    if _MOVED_ASIDE.fullmatch(name):
        return "leftovers"
    if (whole := _completed(path)) is not None:
        return "leftovers" if storage.exists(whole) else "partial"
    return _by_place(relative, stopped, path)


def _completed(path: Path) -> Path | None:
    """Return the file that a partial one leads to; None for others."""
    if path.name == "checkpoint.h5":
        return path.with_name("member.json")
    return path.with_name(path.name.removesuffix(_PARTIAL_SUFFIX)) if path.name.endswith(_PARTIAL_SUFFIX) else None


def _by_place(relative: PurePath, stopped: Collection[Path], path: Path) -> str:
    first, name = relative.parts[0], relative.name
    if _REPORT.fullmatch(relative.as_posix()):
        return "report"
    if first == "screen" and _BLOCK.fullmatch(name):
        return "blocks"
    if first == "logs":
        return "partial" if path in stopped else "logs"
    known = {
        "simulations": r"shard-\d+\.h5",
        "dataset": rf"({'|'.join(SPLITS)})-\d+\.h5",
        "learning": r"(model\.keras|history\.csv|member\.json)",
    }
    if first in known and not re.fullmatch(known[first], name):
        return "evaluation" if first == "learning" else "other"
    return first


@dataclass(frozen=True)
class _Jobs:
    """What is done of a campaign, and so, what may go."""

    campaign: Campaign
    done: Mapping[str, bool]
    removed: Collection[str]
    thorough: bool

    def refusal(self, name: str) -> str:
        """Return why files of a kind may not go; empty if they may."""
        whether: Mapping[str, Callable[[], str]] = {
            "simulations": self._simulations,
            "dataset": self._dataset,
            "learning": self._learning,
            "blocks": self._blocks,
        }
        try:
            return whether[name]() if name in whether else ""
        except FileError as error:
            return f"{error.path.name} {error.problem}"

    def _simulations(self) -> str:
        if "dataset" in self.removed:
            return "the training set is to go, and one of the two has to stay"
        for campaign in self.campaign.in_rounds:
            for entry in _manifest(campaign).files:
                path = campaign.paths.dataset / entry.file
                if not storage.exists(path) or (self.thorough and storage.sha256(path) != entry.sha256):
                    return f"the training set lacks {entry.file}, or it is damaged"
        return ""

    def _dataset(self) -> str:
        if "simulations" in self.removed:
            return "the simulations are to go, and one of the two has to stay"
        if others := [other.name for other in _dependents(self.campaign.paths.root)]:
            return f"it is read by {', '.join(others)}"
        shards = []
        for campaign in self.campaign.in_rounds:
            _manifest(campaign)
            shards += [campaign.paths.shard(number) for number in range(campaign.simulations.shards)]
        if missing := [path.name for path in shards if not storage.exists(path)]:
            return f"of the simulations, {missing[0]} is gone"
        waiting = [rule for rule in READ_TRAINING_SET if not self.done.get(rule, True)]
        return f"{waiting[0]} is not done, and reads it" if waiting else ""

    def _learning(self) -> str:
        found = storage.read_origin(self.campaign.paths.learning_summary)
        if found.get("campaign") != self.campaign.fingerprint("learning"):
            return "the study is of another configuration than this one"
        return "" if self.done.get("measure_learning", True) else "measure_learning is not done, and reads them"

    def _blocks(self) -> str:
        paths, identity = self.campaign.paths, self.campaign.identity("hits")
        for kind, path in ((ScreenSummary, paths.screen_summary), (ScreenHits, paths.screen_hits)):
            if self.thorough:
                kind.verify(path, identity)
            about = storage.read_origin(path)
            if about.get("campaign") != identity.fingerprint:
                return f"{path.name} is of another configuration than this one"
            if about.get("samples") != self.campaign.screen.count:
                return (
                    f"{path.name} has {about.get('samples')} samples, and screen.count is {self.campaign.screen.count}"
                )
        return ""


def _manifest(campaign: Campaign) -> Manifest:
    return Manifest.read(campaign.paths.manifest, campaign.identity("dataset"))


def _cost(root: Path, kind: Kind, found: Sequence[RuleStatus]) -> str:
    rules = [item.rule for item in found if item.rule.rule in kind.rules]
    if not kind.rules:
        return "–"
    if not rules:
        return "unknown"
    jobs = [(rule.seconds, measured(benchmark_file(root, rule.verb, job))) for rule in rules for job in rule.targets]
    seconds = sum(expected if took is None else took.seconds for expected, took in jobs)
    unmeasured = sum(took is None for _, took in jobs)
    how = "measured" if not unmeasured else "forecast" if unmeasured == len(jobs) else "in part measured"
    return f"{format_duration(seconds)} of jobs ({how})"


def _chosen(found: Sequence[Part], names: Sequence[str]) -> list[Part]:
    """Return the parts that are named, all of which may go."""
    chosen = [part for part in found if part.name in names]
    for part in chosen:
        if part.refusal:
            raise InputError(f"--remove {part.name}: may not go, since {part.refusal}; nothing was removed")
    return chosen


def _remove(root: Path, chosen: Sequence[Part], names: Sequence[str]) -> list[str]:
    """Remove parts; return what to say of these, and of those that are named and not there."""
    there = {part.name for part in chosen}
    lines = [f"{root}: there is nothing of {name}" for name in dict.fromkeys(names) if name not in there]
    for part in chosen:
        for path in part.files:
            storage.remove(path)
        lines.append(f"{root}: removed {part.name}, {_bytes(part.size)} in {_counted(len(part.files))}")
    return lines


def _table(root: Path, found: Sequence[Part]) -> list[str]:
    size, files = sum(part.size for part in found), sum(len(part.files) for part in found)
    rows = [("", "size", "files", "may go", "to remake it")]
    rows += [
        (part.name, _bytes(part.size), f"{len(part.files):,}", "no" if part.refusal else "yes", part.cost)
        for part in found
    ]
    widths = [max(len(row[k]) for row in rows) for k in range(5)]
    lines = [
        f"  {row[0]:{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]:{widths[3]}}  {row[4]}".rstrip()
        for row in rows
    ]
    return [f"{root}: {_bytes(size)} in {_counted(files)}", "", *lines]


def _what_goes(root: Path, found: Sequence[Part]) -> list[str]:
    """Return what is lost by what may go, why the rest stays, and the command."""
    may = [part for part in found if not part.refusal]
    lines = ["", "lost, if it goes:", *(f"  {part.name}: {part.kind.lost}" for part in may)] if may else []
    lines += ["", "stays:", *(f"  {part.name}: {part.refusal}" for part in found if part.refusal)]
    if {"simulations", "dataset"} <= {part.name for part in may}:
        lines += ["", "of simulations and dataset, one may go: each can stand for the other"]
    names = [part.name for part in may if part.name != "dataset"][:_LISTED]
    if names:
        options = " ".join(f"--remove {name}" for name in names)
        lines += ["", f"to remove, for example: mechscreen clean {root} {options}"]
    return lines


def _text(lines: Sequence[str]) -> str:
    return "\n".join(map(printable, lines))


def _counted(files: int) -> str:
    return f"{files:,} file{'s' * (files != 1)}"


def _bytes(size: float) -> str:
    """Return ``3.4 MB``."""
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"
