"""What is installed is the same by pip, by conda and by the lock file."""

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from mechscreen.extras import EXTRAS

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def requirements(lines):
    return {canonicalize_name(r.name): str(r.specifier) for r in map(Requirement, lines)}


def extra(name):
    """Return the lines of an extra, with those of the extras that it consists of."""
    lines = []
    for line in PROJECT["optional-dependencies"][name]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            lines += [own for part in sorted(requirement.extras) for own in extra(part)]
        else:
            lines.append(line)
    return lines


def test_conda_environment_lists_the_packages_and_bounds_of_all():
    listed = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    by_pip = next(item["pip"] for item in listed if isinstance(item, dict))
    conda = requirements([item for item in [*listed, *by_pip] if isinstance(item, str) and not item.startswith("--")])
    assert conda.pop("pip") == ""
    python = Requirement(f"python{PROJECT['requires-python']}")
    assert conda == requirements([*PROJECT["dependencies"], *extra("all"), str(python)])
    assert {"snakemake", "mpi4py", "numpy", "scipy", "tensorflow", "h5py"} <= set(conda)


def test_lock_file_pins_every_dependency_within_its_bounds():
    lock = requirements(
        line for line in (ROOT / "requirements.lock").read_text().splitlines() if line and not line.startswith("#")
    )
    declared = [*PROJECT["dependencies"], *(line for name in PROJECT["optional-dependencies"] for line in extra(name))]
    for requirement in map(Requirement, declared):
        pin = lock.get(canonicalize_name(requirement.name), "missing")
        assert re.fullmatch(r"==[\w.]+", pin), f"{requirement.name} is {pin} in requirements.lock; run make lock"
        assert requirement.specifier.contains(pin[2:]), f"{requirement} excludes {pin}; run make lock"


def test_the_base_is_light_and_what_it_lacks_names_its_extra():
    base = set(requirements(PROJECT["dependencies"]))
    imported = {"libroadrunner": "roadrunner", "python-libsbml": "libsbml"}
    extras = ("bngl", "emulators", "fit", "jax", "onnx", "petab", "read", "sbml", "workflow")
    declared = {imported.get(package, package): name for name in extras for package in requirements(extra(name))}
    assert not base & {package for name in extras for package in requirements(extra(name))}
    # Nobody imports the plugin, Snakemake does.
    del declared["snakemake-executor-plugin-slurm"]
    assert declared == EXTRAS


WITHOUT_EXTRAS = """
import sys
from mechscreen.extras import EXTRAS

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in EXTRAS:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Absent())
"""


def without_extras(code, *arguments, folder):
    """Run Python as where the base alone is installed."""
    command = [sys.executable, "-c", f"{WITHOUT_EXTRAS}\n{code}", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True)


def test_without_extras_only_what_computes_with_networks_cannot_be_imported(tmp_path):
    code = """
import importlib, pkgutil, mechscreen
for module in pkgutil.walk_packages(mechscreen.__path__, "mechscreen."):
    if module.name != "mechscreen.__main__":
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError:
            print(module.name)
"""
    done = without_extras(code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    lacking = set(done.stdout.split()) - {"mechscreen.runs.recover"}
    assert {"mechscreen.emulators.networks", "mechscreen.reading.labelled"} <= lacking
    lacking -= {"mechscreen.reading.labelled", "mechscreen.objectives.peaks_in_arrays"}
    assert all(name.startswith(("mechscreen.emulators.", "mechscreen.device.")) for name in lacking)


CALL = "sys.argv[0] = 'mechscreen'; from mechscreen.cli import main; main()"


def test_without_extras_a_model_runs_and_equations_are_found(tmp_path):
    t = np.arange(0, 5, 0.05)
    (tmp_path / "data.csv").write_text("t,x\n" + "".join(f"{a},{b}\n" for a, b in zip(t, np.exp(-t), strict=True)))
    done = without_extras(CALL, "discover", "data.csv", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "dx/dt = −" in done.stdout or "dx/dt = -" in done.stdout
    assert (tmp_path / "discovery/report.html").is_file()
    stripe = f"{ROOT / 'examples/stripe.py'}:Stripe"
    (tmp_path / "sets.csv").write_text("hill,c0,decay_length,K_on,K_off\n2,10,100,1,50\n")
    sets = ("--parameters", "sets.csv")
    done = without_extras(CALL, "simulate", "--model", stripe, *sets, "--out", "s.h5", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "s.h5").is_file()


@pytest.mark.parametrize(
    ("arguments", "package", "name"),
    [
        (["discover", "data.csv", "--method", "odenet"], "keras", "emulators"),
        (["discover", "data.csv", "--as-model", "new"], "antimony", "sbml"),
        (["plan", ROOT / "examples/campaign.yaml"], "keras", "emulators"),
        (["recover", "results/x"], "psutil", "workflow"),
        (["export", "emulator", "results/x", "--to", "x.onnx"], "onnx", "onnx"),
    ],
)
def test_a_verb_that_needs_an_extra_says_so_in_one_line(tmp_path, arguments, package, name):
    t = np.arange(0, 5, 0.05)
    (tmp_path / "data.csv").write_text("t,x\n" + "".join(f"{a},{b}\n" for a, b in zip(t, np.exp(-t), strict=True)))
    done = without_extras(CALL, *arguments, folder=tmp_path)
    assert done.returncode == 2, done.stderr
    said = f"mechscreen: this needs {package}, which is not installed; pip install 'mechscreen[{name}]'"
    # Before that, discover says how it read its table.
    assert [line for line in done.stderr.splitlines() if "read as" not in line] == [said]
    assert {path.name for path in tmp_path.iterdir()} == {"data.csv"}


HEAVY = {"tensorflow", "keras", "openvino", "numba", "llvmlite", "matplotlib", "scipy", "mpi4py.MPI", "pandas"}


def loaded_by(code, *arguments, folder=ROOT):
    """Return the modules that a program has at its end."""
    at_end = "import atexit, sys; atexit.register(lambda: print('at the end:', *sys.modules))"
    command = [sys.executable, "-c", f"{at_end}\n{code}", *map(str, arguments)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split("at the end:")[1].split())


def test_importing_the_package_and_its_command_line_loads_nothing_heavy():
    loaded = loaded_by("import mechscreen.cli, mechscreen.campaign")
    assert not loaded & (HEAVY | {"h5py", "tqdm"})


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """Return a folder with a simulated campaign of the pattern model, and its configuration."""
    from mechscreen.campaign import Campaign
    from mechscreen.stages.simulate import simulate

    folder = tmp_path_factory.mktemp("simulated")
    values = {
        "name": "small",
        "seed": 1,
        "model": {"name": "pattern"},
        "simulations": {"count": 60, "shard_size": 60},
        "screen": {"count": 10, "block_size": 10},
    }
    (folder / "campaign.yaml").write_text(yaml.safe_dump(values))
    campaign = Campaign.from_dict({**values, "results": str(folder / "results")})
    campaign.record()
    simulate(campaign, 0)
    return folder


@pytest.mark.parametrize(
    "verb", ["check campaign.yaml", "merge --config campaign.yaml", "status results/small", "plan --help", "init new"]
)
def test_a_verb_that_computes_nothing_loads_nothing_that_computes(simulated, verb):
    loaded = loaded_by(CALL, *verb.split(), folder=simulated)
    assert "mechscreen.cli" in loaded
    assert not loaded & HEAVY


def test_the_workflow_finds_its_jobs_and_their_inputs_without_what_computes(simulated):
    code = """
from pathlib import Path
from mechscreen.campaign import Campaign
from mechscreen.runs import driver, folder
from mechscreen.runs.forecast import forecast, one_line
campaign = Campaign.load(Path("campaign.yaml"))
steps = forecast(campaign)
one_line(campaign.name, steps)
assert all(step.rule.targets and step.rule.inputs(next(iter(step.rule.targets))) is not None for step in steps)
"""
    assert not loaded_by(code, folder=simulated) & HEAVY


def test_no_tracked_file_is_over_one_megabyte():
    names = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    sizes = {name: (ROOT / name).stat().st_size for name in names.split("\0") if name and (ROOT / name).exists()}
    assert sizes
    assert max(sizes.values()) <= 2**20


UNCHANGED = """
import importlib, locale, logging, os, pkgutil, random, signal, sys, warnings

# What is imported from elsewhere does as it likes.
import h5py, keras, matplotlib.pyplot, mpi4py, numba, numpy, openvino, psutil, pydantic.v1, scipy.stats, tensorflow

def state():
    loggers = [logging.getLogger(), *(logging.getLogger(n) for n in sorted(logging.root.manager.loggerDict))]
    return {
        "environment": dict(os.environ),
        "descriptors": [os.readlink(f"/proc/self/fd/{n}") for n in range(3)],
        "streams": [id(s) for s in (sys.stdin, sys.stdout, sys.stderr)],
        "loggers": {
            logger.name: (list(logger.filters), list(logger.handlers), logger.level, logger.propagate)
            for logger in loggers if not logger.name.startswith("mechscreen")
        },
        "signals": {n: signal.getsignal(n) for n in signal.valid_signals()},
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "warnings": list(warnings.filters),
        "errors of NumPy": numpy.geterr(),
        "random numbers": (random.getstate(), str(numpy.random.get_state())),
        "Matplotlib": dict(matplotlib.rcParams),
        "path": (list(sys.path), list(sys.meta_path), list(sys.path_hooks)),
        "hooks": (sys.excepthook, sys.displayhook, sys.getrecursionlimit(), locale.setlocale(locale.LC_ALL)),
        "place": (os.getcwd(), os.umask(os.umask(0o022))),
    }

# Loggers come to be at import; they are compared where they were there before.
before, modules = state(), dict(sys.modules)
import mechscreen
# The one runs the command line. The other, by which Python finds people's own files, is imported when there is one.
apart = {"mechscreen.__main__", "mechscreen.own"}
names = [m.name for m in pkgutil.walk_packages(mechscreen.__path__, "mechscreen.") if m.name not in apart]
for name in names:
    importlib.import_module(name)
after = state()
after["loggers"] = {name: after["loggers"].get(name) for name in before["loggers"]}
assert len(names) > 60, names
for what in before:
    assert before[what] == after[what], f"{what}: {before[what]} → {after[what]}"
for name, module in modules.items():
    assert sys.modules.get(name) is module, name
assert not [name for name, module in sys.modules.items() if module is None and name not in modules]
"""


def test_importing_every_module_changes_nothing_in_the_process():
    done = subprocess.run([sys.executable, "-c", UNCHANGED], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]


def test_a_program_of_ours_tells_networks_how_many_threads_to_take_and_to_say_warnings_alone():
    code = """
import os, sys, logging
from mechscreen.emulators.quiet import be_quiet
be_quiet()
assert "TF_NUM_INTRAOP_THREADS" not in os.environ
os.environ["OMP_NUM_THREADS"] = "1"
from mechscreen.emulators import networks
import tensorflow as tf
assert os.environ["TF_NUM_INTRAOP_THREADS"] == "1"
tf.matmul(tf.ones((8, 8)), tf.ones((8, 8)))
assert logging.getLogger("tensorflow").filters
"""
    environment = {name: value for name, value in os.environ.items() if "NUM_" not in name and "TF_" not in name}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "oneDNN" not in done.stderr
    assert "InitializeLog" not in done.stderr


def test_the_container_copies_all_that_the_package_is_built_from():
    text = (ROOT / "containers/mechscreen.def").read_text()
    copied = dict(line.split() for line in re.search(r"%files\n((?: .+\n)+)", text)[1].splitlines())
    assert all((ROOT / source).exists() and target == f"/opt/mechscreen/{source}" for source, target in copied.items())
    wheel = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    needed = {"pyproject.toml", "README.md", "LICENSE", "requirements.lock", "src", *wheel["force-include"]}
    assert needed <= copied.keys()


def test_all_checks_call_the_same_make_targets():
    run = re.findall(r"^make (\S+)$", (ROOT / ".ci/run").read_text(), re.MULTILINE)
    (job,) = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"].values()
    assert job["strategy"]["matrix"]["target"] == run
    assert job["steps"][-1]["run"].endswith("make ${{ matrix.target }}")
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert len(run) == 5
    assert set(run) <= set(targets)


def test_the_release_is_called_the_same_everywhere():
    version = importlib.metadata.version("mechscreen")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    zenodo = json.loads((ROOT / ".zenodo.json").read_text())
    assert version == citation["version"] == zenodo["version"]
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()
    (author,) = PROJECT["authors"]
    assert citation["authors"] == zenodo["creators"] == [author]
    assert f"Copyright (c) 2026 {author['name']}" in (ROOT / "LICENSE").read_text()


def test_the_versions_of_python_that_are_named_are_those_that_are_allowed():
    named = {c.rpartition(" ")[2] for c in PROJECT["classifiers"] if re.fullmatch(r"Programming.* 3\.\d+", c)}
    allowed = SpecifierSet(PROJECT["requires-python"])
    assert named == {f"3.{minor}" for minor in range(30) if f"3.{minor}.0" in allowed}
