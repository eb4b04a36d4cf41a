"""Whatever people give, it works, or ends with one clear message and exit code 2: no traceback, nothing half-written.

MECHSCREEN_FUZZ is the number of examples of each kind; `make fuzz` takes 10,000.
"""

import contextlib
import copy
import io
import os
import shutil
import sys
import tempfile
from datetime import date
from itertools import pairwise
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, Phase, assume, event, given, settings
from hypothesis import strategies as st

from campaigns import ROOT
from mechscreen import storage
from mechscreen.campaign import STAGES, Campaign
from mechscreen.cli import EXIT_UNFINISHED, cli, main
from mechscreen.errors import EXIT_INPUT

EXAMPLES = int(os.environ.get("MECHSCREEN_FUZZ", "0"))
fuzz = settings(
    max_examples=EXAMPLES or 150,
    deadline=None,
    derandomize=not EXAMPLES,
    database=None,
    # Making a failure smaller takes longer than looking at it.
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)

QUICK = str(Path(__file__).with_name("quick.py"))
DEMO = yaml.safe_load((ROOT / "config/demo.yaml").read_text())
TINY = {
    "name": "tiny",
    "results": "results",
    "seed": 1,
    "model": {"name": f"{QUICK}:Quick", "options": {"power": 2}, "parameters": {"b": {"high": 3.0}}},
    "simulations": {"count": 8, "shard_size": 4, "sampling": "sobol"},
    "dataset": {"split": {"train": 0.5, "validation": 0.25, "test": 0.25}},
    "emulators": {"members": 1, "architecture": {"network": "dense", "width": 8}, "training": {"epochs": 1}},
    "learning": {"sizes": [2, 4], "members": 1},
    "screen": {
        "count": 40,
        "block_size": 20,
        "vary": ["a", "b"],
        "parameters": {"c": {"value": 1.5}},
        "objective": {"name": f"{QUICK}:half", "options": {"classes": ["low", "high"]}, "target": ["low"]},
    },
}

SHELL = ["$(touch evil)", "`touch evil`", "; touch evil;", "| touch evil", "> evil", "a b", "it's", '"', "\\", "*", "~"]
WORDS = [
    *SHELL,
    *[
        "",
        " ",
        ".",
        "..",
        "/",
        "../up",
        "/dev/null/x",
        "{x}",
        "{",
        "%s",
        "#",
        "-n",
        "--help",
        "x" * 5000,
        "é",
        "日本",
        "🧫",
    ],
    *["\0", "a\nb", "\x1b[31m", "\t", "\ud800", "\u202eabc", "null", "nan", "inf", "1e3", "12", "true", "16", "dense"],
    *["pattern", "rings", "lstm", "os:system", "json:loads", "no.such:thing", ":", "x:", ":x", "none.py:Model"],
    *[f"{ROOT}:x", f"{QUICK}:Quick", f"{QUICK}:half", f"{QUICK}:none", f"{ROOT / 'config/demo.yaml'}:x"],
]
NUMBERS = [0, 1, -1, 2, 3, 7, 501, 2**31, 2**63, 2**64, -(2**63), 10**30, 0.5, -0.0, 1e-320, 1e308, -1e308, 1.5]
NUMBERS += [float("nan"), float("inf"), float("-inf")]
scalars = st.one_of(
    st.sampled_from([None, True, False, date(2001, 1, 1), b"\xff"]),
    st.sampled_from(NUMBERS),
    st.sampled_from(WORDS),
    st.text(max_size=10),
    st.integers(),
    st.floats(),
)
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(scalars, inner, max_size=3), max_leaves=6
)
SNIPPETS = [
    *["!!python/object/apply:os.system ['touch evil']", "!!python/name:os.system", "!!binary x", "!!set {a, b}", "!x"],
    *[
        "&a",
        "*a",
        "&a [*a]",
        "<<: *a",
        "<<: {seed: 2}",
        "---",
        "...",
        "%YAML 9.9",
        "- ",
        "? ",
        ": ",
        "|",
        ">",
        "\t",
        "#",
    ],
    *[
        "{",
        "}",
        "[",
        "]",
        "'",
        '"',
        ",",
        "@",
        "`",
        "\\",
        "\0",
        "\x07",
        "\ufeff",
        "\u2028",
        "é",
        "\r",
        "=",
        "!",
        "2001-99-99",
    ],
    *[
        "[" * 3000,
        "[{x: " * 20,
        "{x: [",
        "!!float x",
        "!!int x",
        "!!bool x",
        "!!timestamp x",
        '"\\ud800"',
        '"\\0"',
        "0x" + "f" * 5000,
        "9" * 5000,
        "1:2:3",
        "0b1",
        "1_0",
        ".inf",
        "~",
        "yes",
        "seed: 3",
        "  name: x",
    ],
]


class Runner:
    """Runs the command line in a folder of its own, in this process, and judges how it ends."""

    def __init__(self, folder):
        self.folder = Path(folder)

    def listing(self):
        return {
            path.relative_to(self.folder): path.read_bytes() if path.is_file() else None
            for path in self.folder.rglob("*")
        }

    def run(self, *arguments):
        """Return the exit code and what was printed; fail unless all is as promised."""
        before = self.listing()
        output, errors = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
            mock.patch.object(sys, "argv", ["mechscreen", *map(str, arguments)]),
            mock.patch.dict(os.environ),
        ):
            try:
                main()
            except SystemExit as end:
                code = end.code or 0
        said = errors.getvalue()
        assert code in (0, EXIT_INPUT, EXIT_UNFINISHED), said
        assert "Traceback" not in said
        if code == EXIT_INPUT:
            # Nothing at all is answered with the help.
            messages = (
                ["help"]
                if not arguments
                else [line for line in said.splitlines() if line.startswith(("mechscreen: ", "Error: "))]
            )
            assert len(messages) == 1, said
            assert self.listing() == before
        assert not list(self.folder.rglob("evil"))
        assert not list(self.folder.rglob("*.tmp*"))
        return code, output.getvalue(), said


@pytest.fixture
def runner(tmp_path):
    return Runner(tmp_path)


@contextlib.contextmanager
def fresh():
    """Yield a runner for one example."""
    with tempfile.TemporaryDirectory() as folder:
        yield Runner(folder)


def containers(values):
    """Return all mappings and lists of a configuration that hold something."""
    found = [values] if values else []
    for inner in values.values() if isinstance(values, dict) else values:
        if isinstance(inner, dict | list):
            found += containers(inner)
    return found


@st.composite
def changed_values(draw):
    """Return a configuration as text, some of whose keys and values are others."""
    values = copy.deepcopy(draw(st.sampled_from([DEMO, TINY])))
    for _ in range(draw(st.integers(1, 3))):
        places = containers(values)
        if not places:
            break
        place = draw(st.sampled_from(places))
        key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
        what = draw(st.sampled_from(["replace", "replace", "replace", "typo", "remove", "add", "wrap", "move"]))
        if what == "replace":
            place[key] = draw(junk)
        elif what == "wrap":
            place[key] = draw(st.sampled_from([[place[key]], {"x": place[key]}, str(place[key])]))
        elif what == "remove" or not isinstance(place, dict):
            del place[key]
        elif what == "typo":
            at = draw(st.integers(0, len(str(key))))
            place[str(key)[:at] + draw(st.sampled_from(["", "x", "_", " "])) + str(key)[at + 1 :]] = place.pop(key)
        elif what == "add":
            place[draw(scalars | st.sampled_from(["spec", "self", "classes", "value", "levels"]))] = draw(junk)
        else:
            draw(st.sampled_from([p for p in places if isinstance(p, dict)]))[key] = place.pop(key)
    return yaml.safe_dump(values, allow_unicode=draw(st.booleans()))


@st.composite
def changed_text(draw, lines, snippets, join="\n"):
    """Return a text with lines removed, doubled, cut or shifted, and with snippets put in, as bytes."""
    lines = list(lines)
    for _ in range(draw(st.integers(1, 3))):
        if not lines:
            break
        row = draw(st.integers(0, len(lines) - 1))
        at = draw(st.integers(0, len(lines[row])))
        what = draw(
            st.sampled_from(
                [
                    "put in",
                    "put in",
                    "put in",
                    "overwrite",
                    "remove",
                    "double",
                    "cut",
                    "shift",
                    "line",
                    "value",
                    "value",
                ]
            )
        )
        line, snippet = lines[row], draw(st.sampled_from(snippets) | st.text(max_size=3))
        if what == "put in":
            lines[row] = line[:at] + snippet + line[at:]
        elif what == "overwrite":
            lines[row] = line[:at] + snippet + line[at + len(snippet) :]
        elif what == "remove":
            del lines[row]
        elif what == "double":
            lines.insert(row, line)
        elif what == "cut":
            lines[row] = line[:at]
        elif what == "value" and ": " in line:
            lines[row] = line[: line.index(": ") + 2] + snippet
        elif what == "shift":
            lines[row] = "  " + line
        else:
            lines.insert(row, snippet)
    content = join.join(lines).encode("utf-8", "surrogatepass")
    return draw(st.sampled_from([b"", b"", b"", b"", b"\xef\xbb\xbf", b"\xff\xfe", b"\0"])) + content


LINES = [yaml.safe_dump(TINY).splitlines(), (ROOT / "config/demo.yaml").read_text().splitlines()]
configurations = st.one_of(
    changed_values().map(str.encode),
    st.sampled_from(LINES).flatmap(lambda lines: changed_text(lines, SNIPPETS)),
    st.binary(max_size=200),
)


@fuzz
@given(configurations)
def test_any_configuration_is_accepted_or_refused(content):
    with fresh() as runner:
        path = runner.folder / "campaign.yaml"
        path.write_bytes(content)
        code, output, said = runner.run("check", "campaign.yaml")
        event(f"exit code {code}")
        if code:
            assert "campaign.yaml" in said
            return
        campaign = Campaign.load(path)
        again = runner.folder / "again.yaml"
        again.write_text(output, encoding="utf-8")
        resolved = Campaign.load(again)
        assert [resolved.fingerprint(stage) for stage in STAGES] == [campaign.fingerprint(stage) for stage in STAGES]
        assert resolved.to_yaml() == output


TABLE = ["a,b,c", "0.5,1,1.5", "0.25,2,1", "1e-3,3.5,2"]
FIELDS = [
    ",",
    ";",
    "\t",
    '"',
    "'",
    '"x"',
    '""',
    "\n",
    "\r",
    "\r\n",
    "\0",
    "\ufeff",
    "nan",
    "inf",
    "-inf",
    "1e999",
    "1_0",
    "-",
]
FIELDS += [
    "１２",
    "0x10",
    "1,5",
    " ",
    "x",
    "é",
    "1e-400",
    "-0",
    "d",
    "a",
    "c",
    "#",
    "9" * 200_000,
    "=1+1",
    "$(touch evil)",
]


@fuzz
@given(changed_text(TABLE, FIELDS) | st.binary(max_size=60), st.booleans())
def test_any_table_is_simulated_or_refused(content, normalised):
    with fresh() as runner:
        (runner.folder / "sets.csv").write_bytes(content)
        more = ["--normalised"] if normalised else []
        code, _, said = runner.run(
            "simulate", "--model", f"{QUICK}:Quick", "--parameters", "sets.csv", "--out", "out.h5", *more
        )
        event(f"exit code {code}")
        if code:
            assert "sets.csv" in said
            return
        file = storage.read(runner.folder / "out.h5", "simulations")
        assert np.isfinite(file["parameters"]).all()
        assert np.isfinite(file["profiles"][file["status"] == 0]).all()


VALUES = [
    *[str(number) for number in NUMBERS],
    *[word for word in WORDS if "\0" not in word and word != "\ud800"],
    *["\udcff", "--", "-", "1e-9", "9" * 5000, "0x1", "１", "--config", "campaign.yaml", "campaign.yaml", "sets.csv"],
    *["broken.yaml", "folder", "binary", "none", "new.h5", "folder/new.h5", "sets.csv/x", "results/tiny", "planes"],
]


WELL_FORMED = [
    line.split()
    for line in [
        "simulate --config campaign.yaml --shard 1 --ranks 1 --time-limit 10",
        "simulate --model MODEL --parameters sets.csv --out new.h5 --normalised --sensitivity --ranks 1 --time-limit 1",
        "select --config campaign.yaml --shard 0 --threads 1",
        "merge --config campaign.yaml",
        "train --config campaign.yaml --member 0 --samples 2 --threads 1 --time-limit 5",
        "learn --config campaign.yaml --threads 1",
        "evaluate --config campaign.yaml --threads 1",
        "calibrate --config campaign.yaml --ranks 1 --time-limit 5",
        "polish --config campaign.yaml --ranks 1 --time-limit 5",
        "infer --config campaign.yaml --ranks 1 --time-limit 5",
        "screen --config campaign.yaml --block 0 --ranks 1 --time-limit 5",
        "screen --config campaign.yaml --gather",
        "validate --config campaign.yaml --ranks 1 --time-limit 5",
        "hits results/tiny --top 3",
        "report --config campaign.yaml",
        "report --config campaign.yaml --figure planes",
        "predict --ensemble results/tiny/emulators/dense --parameters sets.csv --normalised --out new.h5 --threads 1",
        "predict --ensemble binary --parameters sets.csv --out new.h5",
        "pack results/tiny --output new.zip --dataset --license MIT",
        "discover sets.csv --time a --trajectory b --degree 2 --out found",
        "discover sets.csv --time a --term b/(K+b) --unknown K=0.1:9 --library hill --out found",
        "discover sets.csv --time a --group b --varies c:1 --constant d --out found",
        "discover sets.csv --time a --out found --as-model new",
        "check campaign.yaml",
        "check-model campaign.yaml --sets 2",
        "import campaign.yaml sets.csv",
        "export simulations results/tiny --to new.csv",
        "export series results/tiny --to new.csv",
        "export emulator results/tiny --to new.onnx",
        "plan broken.yaml",
        "status results/tiny",
        "recover results/tiny",
        "clean results/tiny --remove simulations",
        "migrate results/tiny",
        "init new",
        "doctor --profile none --results results",
        "schema",
        "--version",
        "merge --help",
    ]
]


@st.composite
def command_lines(draw):
    """Return a command line, up to two of whose words are others."""
    words = [f"{QUICK}:Quick" if word == "MODEL" else word for word in draw(st.sampled_from(WELL_FORMED))]
    for _ in range(draw(st.integers(0, 2))):
        if not words:
            break
        at = draw(st.integers(0, len(words) - 1))
        what = draw(st.sampled_from(["replace", "replace", "replace", "remove", "double", "put in", "typo"]))
        if what == "replace":
            words[at] = draw(st.sampled_from(VALUES))
        elif what == "remove":
            del words[at]
        elif what == "double":
            words.insert(at, words[at])
        elif what == "put in":
            words.insert(at, draw(st.sampled_from(VALUES)))
        else:
            words[at] = words[at][:-1] + draw(st.sampled_from(["", "x", "=1"]))
    # More ranks than one would start MPI in this process.
    assume(
        not any(
            option == "--ranks" and number.isdecimal() and int(number[:9]) > 1 for option, number in pairwise(words)
        )
    )
    return words


def test_every_verb_is_among_the_command_lines_that_are_changed():
    assert set(cli.commands) <= {words[0] for words in WELL_FORMED}


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A folder with what the command lines name, the shards of the campaign among it."""
    runner = Runner(tmp_path_factory.mktemp("simulated"))
    (runner.folder / "campaign.yaml").write_text(yaml.safe_dump(TINY))
    (runner.folder / "broken.yaml").write_text("name: [")
    (runner.folder / "sets.csv").write_text("\n".join(TABLE))
    (runner.folder / "binary").write_bytes(bytes(range(256)))
    (runner.folder / "folder").mkdir()
    for shard in range(2):
        assert runner.run("simulate", "--config", "campaign.yaml", "--shard", shard)[0] == 0
    (runner.folder / "results/tiny/campaign.yaml").write_text(yaml.safe_dump(TINY))
    return runner.folder


@fuzz
@given(words=command_lines(), without=st.sampled_from(["", "", "results", "results/tiny/simulations/shard-00001.h5"]))
def test_any_command_line_works_or_is_refused(simulated, words, without):
    with fresh() as runner:
        shutil.copytree(simulated, runner.folder, dirs_exist_ok=True)
        if without == "results":
            shutil.rmtree(runner.folder / without)
        elif without:
            (runner.folder / without).unlink()
        event(f"exit code {runner.run(*words)[0]}")
