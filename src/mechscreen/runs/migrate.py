"""Results of before mechscreen 0.1.0 (format 1) → the same results in the format of today."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np

from mechscreen import storage
from mechscreen.campaign import Campaign, Identity, Stage, read_mapping
from mechscreen.errors import InputError
from mechscreen.runs import driver, format_1
from mechscreen.version import __version__

_SNAKEFILES = tuple(map(Path, ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")))
"""Where Snakemake looks."""

_ROWS = 4096
"""Rows of an array that are in memory at a time, so that files may be larger than it."""


def migrate(folder: Path, say: Callable[[str], None], snakefile: Path | None = None) -> None:
    """Convert a folder of results, and let Snakemake take note.

    Each file is checked (its checksum; that the configuration in the folder made it), written anew beside itself with
    the time of the old one, and put in its place; arrays stay as they are. A file that another configuration made is
    moved aside, as readers would refuse it. The resolved configuration comes last, so that a conversion that was
    stopped goes on where it was. Source code was not recorded by that release: that of today is.

    Parameters
    ----------
    say
        Is told what was done, a line at a time.
    snakefile
        That the campaign is run with; the one in the working folder unless given.

    Raises
    ------
    InputError
        If the folder holds no campaign, a run is at work on it, its model cannot be loaded, another campaign that it
        stands on is of format 1 still, or Snakemake fails.
    """
    resolved = folder / "campaign.yaml"
    if not storage.exists(resolved):
        raise InputError(f"{folder}: holds no campaign (no campaign.yaml); give a folder such as results/demo")
    values = read_mapping(resolved)
    if "edition" in values:
        say(f"{folder}: is of format {storage.FORMAT_VERSION} already")
        return
    driver.refuse_alive(folder, "wait until it has ended, or end it first")
    if not any(path.is_file() for path in ([snakefile] if snakefile else _SNAKEFILES)):
        raise InputError(
            f"{snakefile or 'Snakefile'}: is not there; call this in the folder in which Snakemake runs, or name the "
            "workflow's file by --snakefile"
        )
    conversion = _Conversion(Campaign.load_in(folder, format_1.without_gone_keys(values)), values)
    counts = {"converted": 0, "done before": 0}
    for path, stage in _files(folder):
        try:
            counts["converted" if conversion.convert(path, stage) else "done before"] += 1
        except storage.FileError as error:
            say(f"{path}: left as it is, since it {error.problem}")
        except _OtherOriginError:
            problem = "was not made by the campaign as campaign.yaml has it"
            say(f"{path}: {problem}{storage.move_aside(storage.FileError(path, problem))}")
    conversion.campaign.write_description()
    done = ", ".join(f"{number} files {what}" for what, number in counts.items() if number)
    say(f"{folder}: {done or 'no files'}; the source of model and objective is taken as it is now")
    touch = _touch(conversion.campaign, snakefile)
    noted = subprocess.run([sys.executable, "-m", *touch], capture_output=True, text=True)
    if noted.returncode:
        last = " | ".join((noted.stdout + noted.stderr).strip().splitlines()[-3:])
        raise InputError(
            f"{folder}: is converted, but Snakemake could not take note and would make everything anew; before the "
            f"next run, where you run it: {shlex.join(touch)} ({last})"
        )


def _touch(campaign: Campaign, snakefile: Path | None) -> list[str]:
    """Return the command that lets Snakemake take the files that are there for those that it would make."""
    which = [] if snakefile is None else ["--snakefile", str(snakefile)]
    triggers = ["--rerun-triggers", "mtime", "params", "input"]
    targets = ["all", "learning"] if campaign.learning.sizes else ["all"]
    configuration = str(campaign.paths.campaign)
    return ["snakemake", *targets, *which, "--configfile", configuration, "--cores", "1", *triggers, "--touch"]


def _files(folder: Path) -> Iterator[tuple[Path, Stage]]:
    """Yield the files that say what made them, those that others list first, and the stage of each."""
    for stage in get_args(Stage):
        found = [path for path in sorted((folder / stage).rglob("*")) if path.is_file()]
        yield from ((path, stage) for path in found if path.name.endswith((".h5", ".h5.partial")))
        yield from ((path, stage) for path in found if path.suffix == ".json")


class _OtherOriginError(Exception):
    """Another configuration made the file."""


@dataclass
class _Conversion:
    campaign: Campaign
    values: Mapping[str, Any]
    _expected: dict[str, set[str]] = field(default_factory=dict)
    """Attribute ``campaign`` that a stage's files may have."""

    def convert(self, path: Path, stage: Stage) -> bool:
        """Convert a file; return False if it was converted before."""
        # A study's networks are those of the campaign, trained on fewer samples.
        old = "emulators" if stage == "learning" else stage
        new: Stage = "emulators" if path.name == "member.json" else stage
        identity = self.campaign.identity(new)
        if path.suffix == ".json":
            return self._convert_json(path, old, identity)
        with storage.open_unchecked(path) as file:
            if file.attributes["format_version"] != 1:
                return False
            self._check(file.attributes, old)
            attributes = self._attributes(file.attributes, identity)
            with _replacing(path) as temporary:
                _copy(file, temporary, attributes)
        return True

    def _convert_json(self, path: Path, stage: Stage, identity: Identity) -> bool:
        values = storage.read_json(path)
        if not isinstance(values, dict) or "campaign" not in values:
            raise storage.FileError(path, "is no record of a stage")
        if "format_version" in values:
            return False
        self._check(values, stage)
        new = {
            **self._attributes(values, identity),
            "identity": dict(identity.values),
            "format_version": storage.FORMAT_VERSION,
            "software_version": __version__,
        }
        if path.name == "manifest.json":
            for entry in new["files"]:
                entry["sha256"] = storage.sha256(path.with_name(entry["file"]))
        if "dataset" in new:
            new["dataset"] = self.campaign.fingerprint("dataset")
        with _replacing(path) as temporary:
            storage.write_json(temporary, new)
        return True

    def _check(self, attributes: Mapping[str, Any], stage: str) -> None:
        """See that the configuration in the folder made a file."""
        if stage not in self._expected:
            self._expected[stage] = set(self._fingerprints(stage))
        evaluated_by = format_1.evaluated_by(self.values)
        foreign = attributes["campaign"] not in self._expected[stage]
        if foreign or attributes.get("evaluated_by", evaluated_by) != evaluated_by:
            raise _OtherOriginError

    def _fingerprints(self, stage: str) -> Iterator[str]:
        """Yield what format 1 calls the configuration; several where those of selectors, converted, may be several."""
        selectors = []
        before = self.campaign.selector
        while before is not None:
            selectors.append(read_mapping(before.paths.campaign))
            before = before.selector
        version = self.campaign.about.model.version
        for chain in product(*map(format_1.as_written, selectors)):
            yield format_1.fingerprint(stage, self.values, version, chain)

    def _attributes(self, attributes: Mapping[str, Any], identity: Identity) -> dict[str, Any]:
        dropped = ("format_version", "software_version", "evaluated_by")
        kept = {key: value for key, value in attributes.items() if key not in dropped}
        made_by = f"mechscreen {attributes.get('software_version', '0.1.0')}, format 1"
        return {**kept, **identity.attributes, "migrated_from": made_by}


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """Yield a name beside `path`; what is written there takes its place when the block ends, and its time."""
    temporary = path.with_name(f".{path.name}.migrating")
    times = path.stat()
    yield temporary
    os.utime(temporary, ns=(times.st_atime_ns, times.st_mtime_ns))
    temporary.replace(path)


def _copy(file: storage.File, path: Path, attributes: Mapping[str, Any]) -> None:
    """Write a file's arrays, some rows at a time, with other attributes."""
    rows = {name: data for name, data in file.arrays.items() if isinstance(data, h5py.Dataset) and data.shape}
    whole = {name: data[()] for name, data in file.arrays.items() if name not in rows}
    texts = {name: np.asarray(data, dtype=str) if data.dtype == object else data for name, data in whole.items()}
    layout = {name: (data.shape, data.dtype) for name, data in rows.items()}
    with storage.Writer(path, layout, attributes, whole=texts) as writer:
        for name, data in rows.items():
            for first in range(0, len(data), _ROWS):
                writer.append({name: data[first : first + _ROWS]})
