"""Every block of code and every command of the documentation is run, planned or checked, or says why not.

Snakemake lines are planned by tests/workflow/test_workflow.py; docs/tutorials/first-model.md is run as a whole, at
reduced counts, by tests/test_first_model.py.
"""

import copy
import inspect
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from contextlib import chdir

import jsonschema
import numpy as np
import pytest
import yaml
from click.testing import CliRunner

from campaigns import ROOT, STRIPE, run_stages
from documentation.blocks import blocks, inline
from mechscreen.campaign import Campaign
from mechscreen.cli import cli
from mechscreen.stages.table import TABLE

APART = {
    "tutorials/first-model.md": "run as a whole by tests/test_first_model.py",
    "tutorials/from-equations.md": "run as a whole by tests/test_from_equations.py",
}
"""Pages that have a test of their own."""
INSTALLS, HOURS = "installs packages, as tests/try_wheel.py does", "takes minutes to hours"
NOT_RUN = {
    "pip install": INSTALLS,
    "make bench-": HOURS,
    "make gallery": "takes minutes to hours; tests/documentation/test_gallery.py remakes the quickest",
    "python benchmarks/": HOURS,
    "PYTHONPATH=benchmarks python": HOURS,
    "rsync -a cluster:": "there is no other machine",
    "cd project": "as above",
    "mechscreen plan ": "measures speeds for half a minute: tests/runs/test_plan.py",
    "mechscreen doctor ": "starts jobs: tests/runs/test_doctor.py, tests/slurm/test_doctor.py",
    "mechscreen train --config campaign.yaml --together": "wants JAX: tests/stages/test_train_together.py",
    "mechscreen init fit --petab problem.yaml": "wants a problem: tests/runs/test_init.py",
    "mechscreen export hit results/demo --sample 381620 --to hit.xml": "of an SBML model: tests/reading/test_export.py",
    "mechscreen export hit results/outbreak": "of a program's hit: tests/reading/test_export.py",
    "mechscreen check-model campaign.yaml --sets 1000": "as the line before it, of more sets",
    "mechscreen init enzyme --model enzyme.ant": "a model's own equations: tests/reading/test_series.py",
    "cd enzyme": "as above",
    "mechscreen simulate --config campaign.yaml --parameters starts.csv": "as above",
    "mechscreen export series": "as above",
    "mechscreen discover series.csv": "as above",
    "mechscreen discover lake.csv": "equations as a model: tests/runs/test_equations.py, tests/test_from_equations.py",
    "mechscreen discover growth.csv": "strains under conditions: tests/stages/test_discover.py",
    "mechscreen report results/demo --compare": "wants two campaigns: tests/stages/test_report.py",
    "mechscreen import config/demo.yaml": "wants tables: tests/stages/test_imported.py",
}
"""Commands that are not run, by how they begin, and why; their verbs, options, targets and files are looked up."""
RUN = ("mechscreen ", "python make_table.py", "python epidemic.py", "cd rings", "cd outbreak")
FRAGMENTS = {
    "howto/sbml.md": ("model", "options"),
    "howto/petab.md": ("screen", "objective", "options"),
}
"""Where blocks of YAML stand that do not begin at the top of a campaign."""
OTHER_YAML = {"set-resources": "a profile", "only": "knowledge for discover: tests/stages/test_discover.py"}
TORN = {
    "howto/results.md": ("torch", "PyTorch is none of mechscreen's packages"),
}
"""Blocks of Python that are compiled alone, by what they hold, and why."""


def of(*languages):
    return [block for block in blocks() if block.language in languages and block.page not in APART]


def texts(page, language):
    """Return what the blocks of a language on a page hold."""
    return [block.text for block in blocks() if (block.page, block.language) == (page, language)]


def kept_apart(command):
    """Return the key of `NOT_RUN` under which a command falls, if any."""
    return next((begins for begins in NOT_RUN if command.startswith(begins)), None)


def test_every_command_is_run_planned_or_says_why_not():
    commands = [block for block in of("command") if not block.text.startswith(RUN)]
    commands += [block for block in of("command") if kept_apart(block.text)]
    left = [block for block in commands if not block.text.startswith("snakemake ") and not kept_apart(block.text)]
    assert not left, f"run them here, or say in NOT_RUN why not: {list(map(str, left))}"
    used = {kept_apart(block.text) for block in commands}
    assert set(NOT_RUN) == used - {None}, "what no page has any more"


def test_every_block_is_of_a_language_that_is_tried_here():
    assert {block.language for block in blocks()} <= {"command", "lines", "python", "yaml", "toml", "r"}
    # R needs arrow, which is none of mechscreen's packages.
    assert [block.page for block in of("r")] == ["howto/results.md"]


def test_the_package_of_the_page_on_plug_ins_adds_its_objective(tmp_path):
    page = "howto/extend.md"
    project = tomllib.loads(texts(page, "toml")[0])
    (tmp_path / "my_screens.py").write_text(texts(page, "python")[0])
    info = tmp_path / "my_screens-1.0.dist-info"
    info.mkdir()
    name, version = project["project"]["name"], project["project"]["version"]
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = project["project"]["entry-points"]
    lines = [f"[{group}]\n" + "".join(f"{k} = {v}\n" for k, v in names.items()) for group, names in points.items()]
    (info / "entry_points.txt").write_text("".join(lines))
    screen = yaml.safe_load(texts(page, "yaml")[0])["screen"]
    campaign = copy.deepcopy(STRIPE)
    campaign["screen"]["objective"] = screen["objective"]
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(campaign))
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{tmp_path}"}
    command = [sys.executable, "-m", "mechscreen", "check", "campaign.yaml"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert yaml.safe_load(done.stdout)["screen"]["objective"] == screen["objective"]


def commands_of(text):
    """Return the calls of mechscreen in a line: their words after the program's name."""
    calls = re.findall(r"(?:^|&& |-n \d+ )mechscreen ((?:[^`|&#]|'[^']*')+)", text)
    return [[word for word in shlex.split(call.replace("…", "")) if word] for call in calls]


SAID = [*inline(), *((str(block), block.text) for block in blocks() if block.language == "command")]


@pytest.mark.parametrize(("where", "text"), [(where, text) for where, text in SAID if commands_of(text)])
def test_every_verb_and_option_that_is_named_exists(where, text):
    for words in commands_of(text):
        if words[0].startswith(("-", "COMMAND", "(")):
            continue
        command = cli.commands[words[0]]
        options = {name for parameter in command.params for name in [*parameter.opts, *parameter.secondary_opts]}
        named = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert named <= options | {"--help"}, where


FILE = re.compile(r"(?:^|[ =:])((?:benchmarks|tests|config|examples|containers|workflow)/[\w./*-]*\w)")


def test_every_target_script_and_file_that_is_named_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    missing = set()
    for where, text in SAID:
        for target in re.findall(r"^make ([a-z-]+)", text):
            missing |= {(where, target)} - {(where, name) for name in targets}
        for name in FILE.findall(text):
            # A folder of Snakemake's own measurements is called benchmarks, too.
            if not list(ROOT.glob(name)) and not name.startswith(("benchmarks/jobs", "benchmarks/screen")):
                missing.add((where, name))
    assert not missing


SCHEMA = json.loads((ROOT / "workflow/schemas/campaign.schema.json").read_text())


def without_required(schema):
    if isinstance(schema, dict):
        return {key: without_required(value) for key, value in schema.items() if key != "required"}
    return schema


PARTIAL = without_required(SCHEMA)


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_every_block_of_yaml_is_a_part_of_a_campaign(block):
    values = yaml.safe_load(block.text)
    if next(iter(values)) in OTHER_YAML:
        if "set-resources" in values:
            assert set(values["set-resources"]) <= {row.rule for row in TABLE}
        return
    if next(iter(values)) not in SCHEMA["properties"]:
        rest = {key: values.pop(key) for key in list(values) if key in SCHEMA["properties"]}
        for key in reversed(FRAGMENTS[block.page]):
            values = {key: values}
        if FRAGMENTS[block.page] == ("model", "options"):
            values["model"]["name"] = "sbml"
        values |= rest
    jsonschema.validate(values, PARTIAL)
    model = values.get("model", {})
    if model.get("name") in ("sbml", "bngl", "petab", "command", "umbridge"):
        from mechscreen.registry import MODELS

        accepted = inspect.signature(MODELS.get(model["name"]).__init__).parameters
        assert set(model.get("options", {})) <= set(accepted)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder in which a small campaign has run, under all names that the pages give to theirs."""
    folder = tmp_path_factory.mktemp("finished")
    values = copy.deepcopy(STRIPE) | {"name": "demo", "results": str(folder / "results")}
    values["simulations"] |= {"count": 100, "shard_size": 50}
    values["emulators"] |= {"members": 3, "combine": "vote", "training": {"epochs": 1}}
    values["emulators"]["architecture"] |= {"width": 8}
    values["screen"] |= {"count": 1000, "block_size": 500, "disagreement_limit": 1.0}
    values["validation"] = {"limit": 3}
    (folder / "config").mkdir()
    (folder / "config/demo.yaml").write_text(yaml.safe_dump(values))
    campaign = Campaign.load(folder / "config/demo.yaml")
    campaign.record()
    run_stages(campaign)
    for name in ("first", "paper", "outbreak"):
        shutil.copytree(folder / "results/demo", folder / "results" / name)
    shutil.copy(folder / "config/demo.yaml", folder / "campaign.yaml")
    np.savetxt(folder / "sets.csv", [[10, 100, 1, 50, 2], [20, 50, 0.5, 10, 1]], "%g", ",", header=NAMES, comments="")
    return folder


NAMES = "c0,decay_length,K_on,K_off,hill"
PREPARED = {
    "howto/discover.md": """
import numpy as np
t = np.arange(0, 10, 0.1)
y = np.stack([2 + np.sin(t), 2 + np.cos(t)], axis=1)
x0 = y[0]
""",
    "explanation/emulators.md": "parameters = [[10, 100, 1, 50, 2]]",
    "howto/own-model.md": """
from mechscreen import get_model
parameters = get_model("pattern").space.physical([[0.5] * 13])
""",
    "howto/results.md": "import numpy as np",
}
"""What the blocks of a page take as given."""
WRITTEN = {
    ("tutorials/equations.md", "python"): ["make_table.py"],
    ("tutorials/own-program.md", "python"): ["epidemic.py"],
    ("tutorials/own-program.md", "yaml"): ["campaign.yaml"],
}
"""Blocks that are to be saved as files, by page and language, in order."""
AFTER_THE_RUN = re.compile(r"mechscreen (hits|status|export|recover|clean|migrate) .*results/")


@pytest.mark.slow
@pytest.mark.parametrize("page", sorted({block.page for block in of("python", "command")}))
def test_the_blocks_of_a_page_run_in_its_order(page, finished, tmp_path):
    """Python in one namespace, commands in one folder; what follows a campaign's run, where a small one has run."""
    folder = tmp_path / "work"
    shutil.copytree(finished, folder)
    written = {key: list(names) for key, names in WRITTEN.items()}
    namespace = {"__name__": "documentation"}
    exec(PREPARED.get(page, ""), namespace)
    said = ""
    for block in (block for block in blocks() if block.page == page):
        names = written.get((page, block.language), [])
        if names:
            (folder / names.pop(0)).write_text(block.text)
        elif block.language == "python":
            code = compile(block.text, str(block), "exec")
            if TORN.get(page, ("",))[0] in block.text and page in TORN:
                continue
            with chdir(folder):
                exec(code, namespace)
        elif block.language == "command" and not kept_apart(block.text) and block.text.startswith(RUN):
            folder, output = run(block, folder, finished)
            said += output
        elif block.language == "lines" and block.text.startswith("Simulated: "):
            assert_said(block.text, said)


def run(block, folder, finished):
    """Run a command, and return the folder in which one is then, and what was said."""
    program, *words = shlex.split(block.text)
    if program == "cd":
        return folder / words[0], ""
    if program == "python":
        environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
        subprocess.run([sys.executable, *words], cwd=folder, env=environment, check=True, capture_output=True)
        return folder, ""
    where = folder
    if AFTER_THE_RUN.match(block.text) and not (folder / "results").exists():
        where = folder / "after"
        if not where.exists():
            shutil.copytree(finished, where)
    with chdir(where):
        done = CliRunner().invoke(cli, words, catch_exceptions=False)
    assert done.exit_code == 0, f"{block}: {block.text}\n{done.output}"
    return where, done.output


NUMBER = re.compile(r"[+-]?\d+(?:\.\d+)?")


def assert_said(shown, said):
    """See that each line of a page was said, its numbers to a hundredth; times are those of another machine."""
    for line in filter(None, map(str.strip, shown.splitlines())):
        if line.startswith("Time: "):
            continue
        alike = [other for other in said.splitlines() if NUMBER.sub("#", other.strip()) == NUMBER.sub("#", line)]
        numbers = [[float(number) for number in NUMBER.findall(text)] for text in (line, *alike)]
        assert any(np.allclose(numbers[0], other, rtol=0.01) for other in numbers[1:]), line


def test_what_the_tutorial_on_equations_shows_is_what_is_found(tmp_path):
    page = "tutorials/equations.md"
    with chdir(tmp_path):
        exec(compile(texts(page, "python")[0], "make_table.py", "exec"), {})
    command = [sys.executable, "-m", "mechscreen", "discover", "pond.csv", "--degree", "2"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True)
    for block in texts(page, "lines"):
        assert_said(block, done.stdout + done.stderr)


def test_the_example_of_a_model_and_of_an_objective_go_together():
    example, _, _, objective = texts("howto/own-model.md", "python")
    namespace = {"__name__": "documentation"}
    exec(example + objective, namespace)
    model = namespace["Decay"]()
    done = model.simulate([[1.0, 2.0], [0.2, 3.0]])
    for k, profile in zip((1.0, 0.2), done.profiles[:, 0], strict=True):
        np.testing.assert_allclose(profile, np.exp(-k * model.outputs[0].grid), atol=1e-6)
    assert list(namespace["half_life"](done.profiles, done.log_peaks)) == [1, 1]
