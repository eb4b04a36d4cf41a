"""What is installed is the same by pip, by conda and by the lock file."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(lines):
    return {canonicalize_name(r.name): str(r.specifier) for r in map(Requirement, lines)}


def test_conda_environment_lists_the_packages_and_bounds_of_pyproject():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    conda = requirements(item for item in listed if isinstance(item, str))
    assert conda.pop("pip") == ""
    python = Requirement(f"python{PROJECT['requires-python']}")
    wanted = requirements([*PROJECT["dependencies"], *PROJECT["optional-dependencies"]["mpich"], str(python)])
    assert conda == wanted


def test_lock_file_pins_every_dependency_within_its_bounds():
    lock = requirements(
        line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and not line.startswith("#")
    )
    extras = PROJECT["optional-dependencies"]
    declared = [*PROJECT["dependencies"], *(line for lines in extras.values() for line in lines)]
    for requirement in map(Requirement, declared):
        pin = lock.get(canonicalize_name(requirement.name), "missing")
        assert re.fullmatch(r"==[\w.]+", pin), f"{requirement.name} is {pin} in requirements.lock; run make lock"
        assert requirement.specifier.contains(pin[2:]), f"{requirement} excludes {pin}; run make lock"


def test_importing_the_package_and_its_command_line_loads_nothing_heavy():
    code = "import sys, mechscreen.cli, mechscreen.campaign; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"tensorflow", "keras", "numba", "matplotlib", "h5py", "mpi4py.MPI", "scipy.stats"}
    assert not heavy & set(done.stdout.split())


def test_no_tracked_file_is_over_one_megabyte():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sizes = {name: (ROOT / name).stat().st_size for name in names.split("\0") if name and (ROOT / name).exists()}
    assert sizes
    assert max(sizes.values()) <= 2**20
