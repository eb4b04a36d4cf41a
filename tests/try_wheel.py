"""Build the wheel, install it into a new environment, first alone, then with [all], and use it there: `make wheel`.

Nothing of this checkout is used but the versions of requirements.lock, so that pip finds what it fetched before.
"""

import os
import subprocess
import sys
import tempfile
import time
import venv
import zipfile
from pathlib import Path

ROOT = Path(__file__).parents[1]

TABLE = "t,x\n" + "".join(f"{0.05 * i},{2.718281828 ** (-0.05 * i)}\n" for i in range(200))
BASE = """
import sys, mechscreen
from importlib.util import find_spec
assert "site-packages" in mechscreen.__file__, mechscreen.__file__
assert not [name for name in ("tensorflow", "keras", "openvino", "snakemake", "mpi4py", "psutil") if find_spec(name)]
model = mechscreen.get_model("pattern")
middle = model.space.denormalise([[0.5] * len(model.space)])
assert model.simulate(middle).status.tolist() == [0]
"""
SMALL = [
    "simulations={count: 40, shard_size: 20}",
    "emulators={members: 2, combine: mean, architecture: {width: 16, blocks: 1}, training: {epochs: 2}}",
    "screen={count: 2000, block_size: 1000, disagreement_limit: 10, objective: {name: rings, target: ['0', '1', '2']}}",
    "validation={limit: 4}",
]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        wheel = build(folder)
        environment = folder / "environment"
        venv.create(environment, with_pip=True)
        install(environment, str(wheel))
        try_base(environment, folder)
        say("the base works")
        install(environment, f"mechscreen[all] @ {wheel.as_uri()}")
        try_all(environment, folder)
        say("the campaign works")


def build(folder: Path) -> Path:
    """Return the wheel of this checkout, which is that of its sdist."""
    tools = folder / "tools"
    venv.create(tools, with_pip=True)
    run([tools / "bin/pip", "install", "--quiet", "hatchling"])
    run([tools / "bin/python", "-m", "hatchling", "build", "--directory", folder / "dist"], cwd=ROOT)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    run(["tar", "--extract", "--file", sdist, "--directory", folder])
    unpacked = folder / sdist.name.removesuffix(".tar.gz")
    run(
        [tools / "bin/python", "-m", "hatchling", "build", "-t", "wheel", "--directory", folder / "again"], cwd=unpacked
    )
    (again,) = (folder / "again").glob("*.whl")
    assert contents(wheel) == contents(again), "the sdist makes another wheel"
    shipped = ("Snakefile", "workflow/rules/common.smk", "cluster_profiles/slurm/config.yaml", "examples/stripe.py")
    for path in (*shipped, "examples/programs/epidemic.c", "examples/programs/doses.csv"):
        assert contents(wheel)[f"mechscreen/_shipped/{path}"] == (ROOT / path).read_bytes(), path
    for path in (ROOT / "src/mechscreen/figures").glob("*.*"):
        assert f"mechscreen/figures/{path.name}" in contents(wheel), path
    assert not [path for path in contents(wheel) if "dysts" in path or "__pycache__" in path]
    say(f"{wheel.name}: {wheel.stat().st_size / 1e3:.0f} kB")
    return wheel


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {path: archive.read(path) for path in archive.namelist()}


def install(environment: Path, what: str) -> None:
    pins = ["--constraint", ROOT / "requirements.lock"]
    run([environment / "bin/pip", "install", "--quiet", "--progress-bar", "off", *pins, what])


def try_base(environment: Path, folder: Path) -> None:
    """Discover, simulate, and be told what is missing."""
    mechscreen = environment / "bin/mechscreen"
    (folder / "data.csv").write_text(TABLE)
    run([environment / "bin/python", "-c", BASE], cwd=folder)
    assert "dx/dt" in run([mechscreen, "discover", "data.csv"], cwd=folder)
    assert (folder / "discovery/report.html").is_file()
    run([mechscreen, "init", "base"], cwd=folder)
    said = run([mechscreen, "plan", "base/campaign.yaml"], cwd=folder, code=2)
    assert said.splitlines()[-1].endswith("pip install 'mechscreen[emulators]'"), said


def try_all(environment: Path, folder: Path) -> None:
    """Plan a new campaign, run it at its smallest, and make Snakemake's report."""
    snakemake = [environment / "bin/snakemake", "--workflow-profile", "cluster_profiles/local"]
    snakemake += ["--configfile", "campaign.yaml"]
    run([environment / "bin/mechscreen", "init", "campaign"], cwd=folder)
    own = folder / "campaign"
    assert "write_report" in run([*snakemake, "--dry-run"], cwd=own)
    small = ["--config", *SMALL]
    run([*snakemake, *small], cwd=own)
    assert (own / "results/first/report.html").is_file()
    assert "Nothing to be done" in run([*snakemake, *small, "--dry-run"], cwd=own)
    run([*snakemake, *small, "--report", "report.html"], cwd=own)
    assert (own / "report.html").stat().st_size > 1e5


def run(command: list[object], cwd: Path | None = None, code: int = 0) -> str:
    """Run a program without what this process's environment says about Python; return what it said."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=cwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900
    )
    if done.returncode != code:
        sys.exit(f"{' '.join(words)}: exit code {done.returncode}, not {code}\n{done.stdout[-4000:]}")
    return done.stdout


BEGAN = time.monotonic()


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:4.0f} s  {text}", flush=True)


if __name__ == "__main__":
    main()
