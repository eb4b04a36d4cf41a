"""A look at a machine or a cluster before a campaign: what is wrong there, and what to change."""

from __future__ import annotations

import ast
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

from mechscreen import storage
from mechscreen.errors import InputError
from mechscreen.runs.probe import FAILED, FOUND

LEAST_SPACE, LEAST_SCRATCH = 20e9, 1e9
"""Bytes: a campaign of the paper's size takes 4 GB at most; libraries and launchers write a little to scratch."""
LEAST_INODES = 10_000
LARGEST_SKEW = 5.0
"""Seconds between the clocks of this machine and of its file system, above which files look older than they are."""

_NEEDED = ("", "emulators", "workflow")
"""Extras that a campaign needs, beside what is always installed."""
_RANKS = 2
_JOB_MINUTES = 10


@dataclass(frozen=True)
class _Profile:
    """What a profile says of resources: by default, and for single rules."""

    executor: str
    defaults: Mapping[str, str]
    rules: Mapping[str, Mapping[str, str]]

    def resources(self, rule: str) -> dict[str, str]:
        """Return the resources of a rule."""
        return {**self.defaults, **self.rules.get(rule, {})}


@dataclass(frozen=True)
class Finding:
    """What one look found.

    Attributes
    ----------
    what, found
        What was looked at, and what is there.
    advice
        What to change; empty where all is well.
    """

    what: str
    found: str
    advice: str = ""


def examine(profile: Path, results: Path, say: Callable[[str], None]) -> bool:
    """Look at everything, say each finding, and return whether all is well.

    Parameters
    ----------
    profile
        Folder of a workflow profile, which Snakemake's own reader reads. For one of SLURM, two short jobs are submitted
        as it says.
    results
        Folder that will hold the folders of results; it is made if it is not there.

    Raises
    ------
    InputError
        If the profile cannot be read, or `results` cannot be written to.
    """
    settings = _read_profile(profile)
    storage.check_writable(results / "doctor")
    results.mkdir(parents=True, exist_ok=True)
    well = True
    for finding in _findings(settings, results):
        mark = "look" if finding.advice else "ok"
        say(f"{mark:5} {finding.what}: {finding.found}")
        if finding.advice:
            say(f"      → {finding.advice}")
            well = False
    return well


def _findings(settings: _Profile, results: Path) -> Iterator[Finding]:
    yield _packages()
    yield _space(results)
    yield _inodes(results)
    yield _locks(results)
    yield _clock(results)
    yield _scratch()
    if settings.executor != "slurm":
        yield _ranks_here(settings, results)
        return
    if shutil.which("sbatch") is None:
        yield Finding("SLURM", "there is no sbatch here", "run this on a login node, with SLURM's commands in PATH")
        return
    yield _ranks_on_nodes(settings, results)
    yield _gpu_on_node(settings, results)


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


def _space(results: Path) -> Finding:
    free = shutil.disk_usage(results).free
    advice = (
        ""
        if free >= LEAST_SPACE
        else f"a campaign may need {LEAST_SPACE / 1e9:.0f} GB: mechscreen plan; use another --results"
    )
    return Finding("disk", f"{free / 1e9:,.0f} GB free in {results}", advice)


def _inodes(results: Path) -> Finding:
    at = os.statvfs(results)
    if not at.f_files:
        return Finding("inodes", f"{results} counts none")
    advice = "" if at.f_favail >= LEAST_INODES else "use larger shards and blocks, or another --results"
    return Finding("inodes", f"{at.f_favail:,} free in {results}", advice)


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


def _scratch() -> Finding:
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    advice = "" if free >= LEAST_SCRATCH else "set TMPDIR to a folder with more space"
    return Finding("scratch", f"{free / 1e9:,.1f} GB free in {folder}", advice)


def _ranks_here(settings: _Profile, results: Path) -> Finding:
    with _marker(results) as marker:
        command = _probe_ranks(settings, marker)
        done = subprocess.run(command, shell=True, capture_output=True, text=True, env=_environment())
    return _probed("MPI", done.returncode, done.stdout + done.stderr, _MPI_ADVICE)


def _ranks_on_nodes(settings: _Profile, results: Path) -> Finding:
    with _marker(results) as marker:
        options = [f"--ntasks={_RANKS}", f"--nodes={_RANKS}", "--mem-per-cpu=1000"]
        code, said = _submit(settings, "simulate_shard", options, _probe_ranks(settings, marker), results)
    return _probed("MPI on two nodes", code, said, _MPI_ADVICE)


def _gpu_on_node(settings: _Profile, results: Path) -> Finding:
    resources = settings.resources("train_member")
    options = _gpu_options(resources)
    if not options and "gpu" not in resources.get("slurm_extra", ""):
        if resources.get("gpus", "0") != "0":
            return Finding("GPU", "Snakemake does not pass 'gpus' of the profile on", f"write gpu: {resources['gpus']}")
        return Finding("GPU", "the profile asks for none")
    options = [*options, "--mem=4000"]
    code, said = _submit(settings, "train_member", options, f"{_python()} -m mechscreen.runs.probe gpu", results)
    return _probed("GPU", code, said, _GPU_ADVICE)


_MPI_ADVICE = (
    "put the launcher of your MPI into the profile (mpi: &launcher …), e.g. 'srun --mpi=pmix --kill-on-bad-exit'; "
    "`srun --mpi=list` names what SLURM has (docs/cluster.md)"
)
_GPU_ADVICE = (
    "pip install 'tensorflow[and-cuda]', or load the site's CUDA modules; or remove gpu from the profile and train on "
    "processors (docs/cluster.md)"
)


def _submit(settings: _Profile, rule: str, options: list[str], command: str, results: Path) -> tuple[int, str]:
    """Run a command in a job, as the profile has it for a rule; return its exit code and what it said."""
    output = results / ".doctor.out"
    resources = settings.resources(rule)
    for key, option in (("slurm_account", "--account"), ("slurm_partition", "--partition")):
        if resources.get(key):
            options = [*options, f"{option}={resources[key]}"]
    options = [*options, *shlex.split(resources.get("slurm_extra", ""))]
    done = subprocess.run(
        [
            *("sbatch", "--wait", "--job-name=mechscreen-doctor", f"--time={_JOB_MINUTES}", f"--output={output}"),
            *(*options, f"--wrap={command}"),
        ],
        capture_output=True,
        text=True,
        env=_environment(),
    )
    try:
        said = output.read_text(encoding="utf-8", errors="replace")
        output.unlink()
    except OSError:
        said = ""
    return done.returncode, said + done.stderr


def _gpu_options(resources: Mapping[str, str]) -> list[str]:
    """Return sbatch's options for GPUs, as Snakemake's SLURM plugin makes them of a rule's resources."""
    gres, model, gpus = (resources.get(key, "") for key in ("gres", "gpu_model", "gpu"))
    options = [f"--gres={gres}"] if any(part.strip().startswith("gpu") for part in gres.split(",")) else []
    if model:
        options.append(f"--gpus={model}:{gpus or 1}")
    elif gpus not in ("", "0"):
        options.append(f"--gpus={gpus}")
    return options


def _read_profile(folder: Path) -> _Profile:
    """Read a profile as Snakemake does: its choice of the file, mappings and lists of ``key=value``."""
    from snakemake.cli import get_profile_dir
    from snakemake.profiles import ProfileConfigFileParser

    found = get_profile_dir(str(folder))
    if found is None:
        raise InputError(f"{folder / 'config.yaml'}: cannot be read: there is no such profile")
    path = found[1]
    try:
        with path.open(encoding="utf-8") as stream:
            settings = ProfileConfigFileParser().parse(stream)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except Exception as error:
        raise InputError(f"{path}: not valid YAML, or not a profile: {error}") from None

    def entries(key: str) -> Iterator[tuple[str, str]]:
        given = settings.get(key) or []
        for entry in [given] if isinstance(given, str) else given:
            name, equals, value = str(entry).partition("=")
            if not equals:
                raise InputError(f"{path}: '{entry}' in {key} has no '='")
            yield name.strip(), _unquoted(value.strip())

    rules: dict[str, dict[str, str]] = {}
    for name, value in entries("set-resources"):
        rule, colon, key = name.partition(":")
        if not colon:
            raise InputError(f"{path}: '{name}={value}' in set-resources names no rule; write rule:{name}={value}")
        rules.setdefault(rule, {})[key] = value
    return _Profile(str(settings.get("executor", "")), dict(entries("default-resources")), rules)


def _unquoted(text: str) -> str:
    """Return what a value means to Snakemake, to which it is an expression: without quotation marks of its own."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return text
    return value if isinstance(value, str) else text


def _probe_ranks(settings: _Profile, marker: Path) -> str:
    launcher = settings.resources("simulate_shard").get("mpi") or "mpiexec"
    return f"{launcher} -n {_RANKS} {_python()} -m mechscreen.runs.probe ranks {_RANKS} {shlex.quote(str(marker))}"


def _probed(what: str, code: int, said: str, advice: str) -> Finding:
    lines = [line for line in said.splitlines() if line.strip()]
    failed, found = ([line.partition(mark)[2].strip() for line in lines if mark in line] for mark in (FAILED, FOUND))
    if code == 0 and found and not failed:
        return Finding(what, found[0])
    if any(line.startswith("sbatch: error") for line in lines):
        advice = "put account and partition of your site into the profile, under default-resources"
    return Finding(what, failed[0] if failed else " | ".join(lines[-3:]) or f"exit code {code}", advice)


@contextmanager
def _marker(results: Path) -> Iterator[Path]:
    """Yield a new file in the folder of results, which jobs must see."""
    path = (results / f".doctor.{os.getpid()}").absolute()
    path.touch()
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)


def _python() -> str:
    return shlex.quote(sys.executable)


def _environment() -> dict[str, str]:
    """Return the environment of jobs: as in the workflow, programs beside this Python come first."""
    return {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}"}
