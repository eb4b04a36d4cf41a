"""A look at a machine or a cluster before a campaign: what is wrong there, and what to change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from mechscreen import shipped, storage, system
from mechscreen.errors import InputError
from mechscreen.runs import doctor_probe, doctor_slurm, places
from mechscreen.runs.findings import Finding
from mechscreen.runs.requests import Asked, ask

LEAST_SPACE = 20e9
"""Bytes: a campaign of the paper's size takes 4 GB at most."""
LEAST_INODES = 10_000
LARGEST_SKEW = 5.0
"""Seconds between the clocks of this machine and of its file system, above which files look older than they are."""

_NEEDED = ("", "emulators", "workflow")
"""Extras that a campaign needs, beside what is always installed."""


def examine(profile: Path, results: Path, say: Callable[[str], None], campaign: Path | None = None) -> bool:
    """Look at everything, say each finding, and return whether all is well.

    Parameters
    ----------
    profile
        Folder of a workflow profile. For one of SLURM, what each rule's jobs ask for is shown to sbatch
        (``--test-only``), and two short jobs are submitted with it.
    results
        Folder that will hold the folders of results; it is made if it is not there.
    campaign
        Configuration of the campaign whose jobs these are; without it, the example that comes with the package.

    Raises
    ------
    InputError
        If the profile cannot be read, `results` cannot be written to, or Snakemake does not take the campaign.
    """
    path = _file_of(profile)
    if campaign is not None and not campaign.is_file():
        raise InputError(f"{campaign}: does not exist; name the configuration of a campaign, or none")
    storage.check_writable(results / "doctor")
    results.mkdir(parents=True, exist_ok=True)
    well = True
    for finding in _findings(path, profile, results, campaign):
        mark = "look" if finding.advice else "ok"
        say(f"{mark:5} {finding.what}: {finding.found}")
        if finding.advice:
            say(f"      → {finding.advice}")
            well = False
    return well


def _findings(path: Path, profile: Path, results: Path, campaign: Path | None) -> Iterator[Finding]:
    yield _packages()
    yield _snakemake()
    yield _space(results)
    yield _inodes(results)
    yield _locks(results)
    yield _clock(results)
    troubles = [trouble.rpartition("; ") for trouble in places.trouble()]
    yield from (Finding("folders", told, do) for told, _, do in troubles)
    if troubles:
        # Snakemake would end here with words of its own.
        return
    yield Finding("folders", f"{places.scratch()} and {places.caches()} take files")
    with tempfile.TemporaryDirectory() as folder:
        command = _command(profile, results, campaign, Path(folder))
        asked = ask(command)
    if campaign is None:
        yield Finding("campaign", "the example that comes with mechscreen; name yours to have its own jobs looked at")
    if asked.executor != "slurm":
        yield from _ranks_here(asked, results)
        return
    if shutil.which("sbatch") is None:
        yield Finding("SLURM", "there is no sbatch here", "run this on a login node, with SLURM's commands in PATH")
        return
    yield from doctor_slurm.findings(asked, command, path, results)


def _command(profile: Path, results: Path, campaign: Path | None, folder: Path) -> list[str]:
    """Return what Snakemake is called with for a campaign; for the example, in a folder of its own."""
    called = ["--workflow-profile", str(profile.absolute())]
    if campaign is None:
        example = shipped.FOLDER / "examples/campaign.yaml"
        called += ["--snakefile", str(shipped.SNAKEFILE), "--directory", str(folder), "--configfile", str(example)]
        return [*called, "--config", f"results={results.absolute()}"]
    own = Path("Snakefile")
    return [*called, "--snakefile", str(own if own.is_file() else shipped.SNAKEFILE), "--configfile", str(campaign)]


def _packages() -> Finding:
    """Compare what is installed with what the package asks for."""
    wrong = []
    for line in metadata.requires("mechscreen") or []:
        asked = Requirement(line)
        if asked.marker is not None and not any(asked.marker.evaluate({"extra": extra}) for extra in _NEEDED):
            continue
        try:
            version = metadata.version(asked.name)
        except metadata.PackageNotFoundError:
            wrong.append(f"{asked.name} is missing")
            continue
        if version not in asked.specifier:
            wrong.append(f"{asked.name} {version} is not {asked.specifier}")
    python = ".".join(map(str, sys.version_info[:3]))
    if wrong:
        return Finding("packages", "; ".join(wrong), "pip install 'mechscreen[all]', or conda env update")
    return Finding("packages", f"Python {python}, mechscreen {metadata.version('mechscreen')}, all it asks for")


def _snakemake() -> Finding:
    """See that the snakemake that the shell finds, if any, is the one of this installation."""
    typed, own = shutil.which("snakemake"), Path(sys.executable).with_name("snakemake")
    version = metadata.version("snakemake")
    if typed is None and own.is_file():
        return Finding("snakemake", f"{version}, to be called as {own}: the shell's PATH has none")
    if typed is None or Path(typed).resolve() != own.resolve():
        return Finding(
            "snakemake",
            f"the shell finds {typed or 'none'}, and mechscreen is installed beside {own}",
            f"activate that environment, or call {own}",
        )
    return Finding("snakemake", f"{version}, {typed}")


def _space(results: Path) -> Finding:
    free = shutil.disk_usage(results).free
    advice = (
        ""
        if free >= LEAST_SPACE
        else f"a campaign may need {LEAST_SPACE / 1e9:.0f} GB: mechscreen plan; use another --results"
    )
    return Finding("disk", f"{free / 1e9:,.0f} GB free in {results}", advice)


def _inodes(results: Path) -> Finding:
    free = system.free_inodes(results)
    if free is None:
        return Finding("inodes", f"{results} counts none")
    advice = "" if free >= LEAST_INODES else "use larger shards and blocks, or another --results"
    return Finding("inodes", f"{free:,} free in {results}", advice)


def _locks(results: Path) -> Finding:
    path = results / ".doctor.lock"
    first = storage.hold(path)
    second = storage.hold(path)
    works = first is not None and second is None
    for stream in (first, second):
        if stream is not None:
            stream.close()
    path.unlink()
    if works:
        return Finding("file locks", f"work in {results}")
    return Finding(
        "file locks",
        f"do nothing in {results}",
        "start one Snakemake at a time on a campaign (nothing will hinder a second one), or have flock enabled",
    )


def _clock(results: Path) -> Finding:
    with tempfile.NamedTemporaryFile(dir=results) as file:
        now = time.time()
        os.utime(file.name)  # the clock of the file system
        skew = Path(file.name).stat().st_mtime - now
    advice = "" if abs(skew) <= LARGEST_SKEW else "set the clocks (NTP): Snakemake reruns what looks older than it is"
    return Finding("clock", f"files are dated {skew:+.1f} s from this machine's clock", advice)


def _ranks_here(asked: Asked, results: Path) -> Iterator[Finding]:
    request = next((request for request in asked.requests if request.resources.get("mpi")), None)
    launcher = "mpiexec" if request is None else str(request.resources["mpi"])
    with doctor_probe.marker(results) as seen:
        command = doctor_probe.ranks_command(launcher, seen)
        done = subprocess.run(command, shell=True, capture_output=True, text=True, env=doctor_probe.environment())
    yield from doctor_probe.read("MPI", done.returncode, done.stdout + done.stderr, doctor_probe.MPI_ADVICE)


def _file_of(profile: Path) -> Path:
    """Return the file of a profile that Snakemake would read."""
    from snakemake.cli import get_profile_dir

    found = get_profile_dir(str(profile))
    if found is None:
        raise InputError(f"{profile / 'config.yaml'}: cannot be read: there is no such profile")
    return Path(found[1])
