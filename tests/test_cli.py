import inspect
import re
import shlex
import subprocess
import sys
from pathlib import Path

import click
import numpy as np
import pytest
import yaml

import mechscreen
from campaigns import ROOT
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.cli import EXIT_UNFINISHED, cli
from mechscreen.discovery.pipeline import METHODS
from mechscreen.errors import EXIT_INPUT

BIN = Path(sys.executable).parent
STRIPE = f"{Path(__file__).parents[1] / 'examples/stripe.py'}:Stripe"


def run(*arguments, ranks=None, folder=None):
    launcher = [BIN / "mpiexec", "-n", ranks] if ranks else []
    command = [*launcher, BIN / "mechscreen", *arguments]
    return subprocess.run([str(part) for part in command], cwd=folder, capture_output=True, text=True, timeout=300)


@pytest.fixture
def config(tmp_path):
    values = {
        "name": "study",
        "results": str(tmp_path / "results"),
        "seed": 1,
        "model": {"name": STRIPE},
        "simulations": {"count": 40, "shard_size": 20},
        "screen": {"count": 100, "block_size": 100, "objective": {"target": ["1"]}},
    }
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.mark.parametrize("verb", list(cli.commands))
def test_every_verb_has_a_help_with_an_example_that_parses(verb):
    command = cli.commands[verb]
    text = click.Context(command).get_help()
    lines = [line.strip() for line in (command.help or "").splitlines() if f"mechscreen {verb}" in line]
    assert "Example" in text
    assert lines
    for line in lines:
        words = shlex.split(line.split(f"mechscreen {verb}")[1].split(">")[0])
        command.make_context(verb, words)


def test_the_methods_of_discovery_are_those_of_their_table():
    methods = "|".join(METHODS)
    assert f"--method [{methods}]" in click.Context(cli.commands["discover"]).get_help()
    (option,) = (option for option in cli.commands["discover"].params if option.name == "method")
    assert option.default == next(iter(METHODS)) == inspect.signature(mechscreen.discover).parameters["method"].default


def test_an_unknown_verb_is_answered_with_the_nearest(tmp_path):
    done = run("trian", folder=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'train'" in done.stderr


def assert_refused(done, *expected):
    assert done.returncode == EXIT_INPUT
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("mechscreen: ")]
    assert len(lines) == 1, done.stderr
    for text in expected:
        assert text in done.stderr


def test_a_missing_configuration_is_said_once_also_with_two_ranks(tmp_path):
    assert_refused(run("merge", "--config", "none.yaml", folder=tmp_path), "none.yaml", "cannot be read")
    arguments = ["simulate", "--config", "none.yaml", "--shard", 0, "--ranks", 2]
    assert_refused(run(*arguments, ranks=2, folder=tmp_path), "none.yaml", "cannot be read")


def test_a_wrong_number_of_ranks_is_refused(config):
    done = run("simulate", "--config", config, "--shard", 0, "--ranks", 3, ranks=2)
    assert_refused(done, "3 ranks were asked for", "2")


def test_check_prints_the_resolved_configuration(config):
    done = run("check", config)
    assert done.returncode == 0
    assert yaml.safe_load(done.stdout)["emulators"]["members"] == 4


def test_a_shard_that_runs_out_of_time_ends_with_code_75_and_is_continued(config):
    done = run("simulate", "--config", config, "--shard", 0, "--time-limit", 1e-6)
    assert done.returncode == EXIT_UNFINISHED
    shard = config.parent / "results/study/simulations/shard-00000.h5"
    assert not shard.exists()
    assert run("simulate", "--config", config, "--shard", 0).returncode == 0
    assert shard.exists()


def test_a_stage_without_its_input_says_what_is_missing(config):
    assert_refused(run("merge", "--config", config), "shard-00000.h5", "does not exist")
    assert_refused(run("train", "--config", config, "--member", 0), "manifest.json")
    assert_refused(run("screen", "--config", config, "--gather"), "block-00000.h5")
    assert_refused(run("report", "--config", config, "--figure", "planse"), "did you mean 'planes'")


def test_a_table_of_parameters_is_simulated_with_any_model(tmp_path):
    table = tmp_path / "sets.csv"
    table.write_text("hill,c0,decay_length,K_on,K_off\n2,10,100,1,50\n1,20,50,0.5,10\n")
    done = run("simulate", "--model", STRIPE, "--parameters", table, "--out", tmp_path / "sets.h5")
    assert done.returncode == 0, done.stderr
    assert f"model '{STRIPE}': running the code of {STRIPE.removesuffix(':Stripe')}" in done.stderr
    file = storage.read(tmp_path / "sets.h5", "simulations")
    np.testing.assert_array_equal(file["parameters"], [[10, 100, 1, 50, 2], [20, 50, 0.5, 10, 1]])
    assert file["profiles"].shape == (2, 1, 101)


def test_the_readme_simulates_and_predicts_with_one_model(tmp_path):
    readme = (ROOT / "README.md").read_text()
    arguments = re.search(r"mechscreen (simulate .* --parameters .*)", readme)[1].split()
    assert "--ensemble results/demo/emulators" in readme
    (tmp_path / "config").symlink_to(ROOT / "config")
    demo = Campaign.load(ROOT / "config/demo.yaml")
    values = demo.space.physical([[0.3] * 13])
    (tmp_path / "sets.csv").write_text(f"{','.join(demo.space.names)}\n{','.join(map(repr, map(float, values[0])))}\n")
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    file = storage.read(tmp_path / "simulated.h5", "simulations")
    expected = demo.model_instance.simulate(values).profiles.astype(np.float32)
    np.testing.assert_array_equal(file["profiles"], expected)
    in_python = eval(re.search(r"simulated = (mechscreen\.get_model\(.*?\))", readme)[1], {"mechscreen": mechscreen})
    np.testing.assert_array_equal(in_python.simulate(values).profiles.astype(np.float32), expected)


@pytest.mark.parametrize("verb", [["check"], ["hits"], ["simulate", "--shard", "0", "--config"]])
def test_a_path_that_cannot_be_looked_up_is_refused(tmp_path, verb):
    done = run(*verb, "x" * 5000, folder=tmp_path)
    assert done.returncode == 2
    assert "File name too long" in done.stderr
    assert "Traceback" not in done.stderr


def test_half_of_the_options_of_simulate_are_refused(tmp_path):
    done = run("simulate", "--model", "pattern", folder=tmp_path)
    assert done.returncode == 2
    assert "--parameters and --out" in done.stderr


@pytest.mark.parametrize("ranks", [None, 2])
def test_too_little_memory_ends_with_one_message(tmp_path, ranks):
    model = tmp_path / "greedy.py"
    model.write_text(
        "import numpy as np\nfrom mechscreen import Model, Output, Parameter, ParameterSpace\n\n\n"
        "class Greedy(Model):\n    name, version = 'greedy-of-the-tests', '1'\n"
        "    space = ParameterSpace([Parameter('a', 0.0, 1.0)])\n    outputs = (Output('y', np.arange(3.0)),)\n\n"
        "    def solve(self, parameters, seeds):\n        raise MemoryError('Unable to allocate 1 PiB')\n"
    )
    (tmp_path / "sets.csv").write_text("a\n0.5\n")
    table = ("--parameters", "sets.csv", "--out", "o.h5")
    done = run("simulate", "--model", f"{model}:Greedy", *table, ranks=ranks, folder=tmp_path)
    assert done.returncode == 1
    told = "mechscreen: out of memory: Unable to allocate 1 PiB; give the job more memory"
    assert done.stderr.splitlines().count(told) == 1
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "o.h5").exists()
