"""Files that Snakemake has no record of: whether they are the campaign's is asked of the files themselves.

Snakemake notices a changed configuration by what it wrote into ``.snakemake`` when it made a file. Where that folder is
missing, as in results that were copied alone, it takes files for what is wanted if their dates are right.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from mechscreen import storage
from mechscreen.errors import InputError

if TYPE_CHECKING:
    from mechscreen.runs.jobs import Rule

_LONGEST_NAME = 254
"""Of a record of Snakemake's; what is longer goes on below folders whose names begin with @."""


def check_unrecorded(rules: Iterable[Rule], again: Collection[str] = (), touched: bool = False) -> None:
    """See that files of which Snakemake has no record depend on what the campaign says, unless they are made anew.

    Parameters
    ----------
    rules
        Of the campaign, in the order in which data flows.
    again
        Names of rules, or files, that are made anew whatever is there.
    touched
        Whether Snakemake is to record all files as they are, without making any.

    Raises
    ------
    InputError
        If files depend on something else, with what differs and the way on.
    """
    rules = [rule for rule in rules if rule.row.depends != "report"]
    there = {path for rule in rules for path in rule.targets.values() if storage.exists(path)}
    recorded = {path for path in there if not touched and storage.exists(record_of(path))}
    if recorded == there:
        return
    # A missing file is made where something else that is made needs it, and is no reason for Snakemake to make that.
    foreign = _foreign(rules, there, recorded, again, touched, also_recorded=False)
    if foreign:
        # What Snakemake has a record of, and makes anew by itself, has others made anew with it.
        foreign = _foreign(rules, there, recorded, again, touched, also_recorded=True)
    if not foreign:
        return
    told = "; ".join(f"{path}: made with {difference}" for path, difference in foreign.values())
    raise InputError(
        f"{told}. Snakemake has no record of how such files were made, so it would take them for this campaign's. "
        f"Have them made anew (add --forcerun {' '.join(foreign)}), restore the configuration, or give the campaign "
        "another name"
    )


def _foreign(
    rules: Iterable[Rule],
    there: Collection[Path],
    recorded: Collection[Path],
    again: Collection[str],
    touched: bool,
    *,
    also_recorded: bool,
) -> dict[str, tuple[Path, str]]:
    """Return by rule the first file without a record that is not the campaign's nor made anyway, and how it differs.

    What a file depends on is read from it, which takes long of ten thousand; of those with a record only if asked for.
    """
    made: set[Path] = set()
    foreign: dict[str, tuple[Path, str]] = {}
    for rule in rules:
        forced = not touched and rule.name in again
        for job, path in rule.targets.items():
            if forced or str(path) in again or not made.isdisjoint(_inputs(rule, job)):
                made.add(path)
            elif (
                path in there
                and (also_recorded or path not in recorded)
                and (difference := _difference(rule, job, path))
            ):
                made.add(path)
                if path not in recorded:
                    foreign.setdefault(rule.name, (path, difference))
    return foreign


def record_of(path: Path, folder: Path = Path(".snakemake/metadata")) -> Path:
    """Return the file in which Snakemake keeps what it knows of a file: named by its path, in base 64."""
    coded = urlsafe_b64encode(os.fsencode(path)).decode()
    parts = [coded[k : k + _LONGEST_NAME] for k in range(0, len(coded), _LONGEST_NAME)]
    return folder.joinpath(*(f"@{part}" for part in parts[:-1]), parts[-1])


def _inputs(rule: Rule, job: str) -> set[Path]:
    found: set[Path] = set()
    for files in rule.inputs(job).values():
        found.update(files if isinstance(files, list) else [files])
    return found


def differs(rule: Rule, job: str) -> bool:
    """Return whether the file of a job, which is there, depends on something else than the campaign says.

    As far as it tells.
    """
    return rule.row.depends != "report" and bool(_difference(rule, job, rule.targets[job]))


def _difference(rule: Rule, job: str, path: Path) -> str:
    """Return how what a file depends on differs from what the campaign says; empty if it does not, or cannot be told.

    What is no whole file of ours is for the stage that reads it to tell.
    """
    # A network says nothing of itself.
    said = path.with_name("member.json") if path.suffix == ".keras" else path
    try:
        origin = storage.read_origin(said)
    except storage.FileError:
        return ""
    identity = rule.identity(job)
    return "" if origin.get("campaign") == identity.fingerprint else identity.difference(origin.get("identity", ""))
