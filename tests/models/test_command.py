"""Programs as models: what they are told, what is read of them, and what becomes of those that fail."""

import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mechscreen import get_model
from mechscreen.campaign import Campaign
from mechscreen.errors import InputError
from mechscreen.models import Status

PYTHON = sys.executable


@pytest.fixture
def program(tmp_path, monkeypatch):
    """Return a function that makes a model of a Python program, in the folder that it is started in."""
    monkeypatch.chdir(tmp_path)

    def make(code, arguments="{a} {b}", outputs=None, **options):
        (tmp_path / "program.py").write_text(code)
        return get_model(
            "command",
            command=f"{PYTHON} {{folder}}/program.py {arguments}",
            parameters=options.pop("parameters", {"a": [0.1, 10], "b": {"low": 1, "high": 4, "integer": True}}),
            outputs=outputs or {"y": {"file": "out.csv", "column": "y"}},
            **options,
        )

    return make


SUM = """
import re
import subprocess
import sys
a, b = map(float, sys.argv[1:3])
with open("out.csv", "w") as out:
    out.write("t,y\\n" + "".join(f"{t},{a * t + b!r}\\n" for t in range(5)))
"""
SETS = np.array([[0.1, 2.0], [1 / 3, 4.0], [1e-7, 1.0]])


def test_numbers_and_series_are_read_by_column_with_all_digits(program):
    series = {"file": "out.csv", "column": "y", "grid": [0, 1, 2, 3, 4], "scale": "linear"}
    model = program(SUM, outputs={"last": {"file": "out.csv", "column": 1}, "y": series, "first": {**series, "row": 0}})
    solution = model.solve(SETS, np.zeros(3, np.uint64))
    assert list(solution.reasons) == [""] * 3
    expected = SETS[:, :1] * np.arange(5) + SETS[:, 1:]
    assert np.array_equal(solution.profiles["y"], expected)
    assert np.array_equal(solution.profiles["last"], expected[:, -1])


def test_python_is_that_of_this_environment_though_it_is_not_activated(program, tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    for name in ("python", "tool"):
        other = tmp_path / "bin" / name
        other.write_text("#!/bin/sh\necho y > out.csv\necho 2 >> out.csv\n")
        other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    program("")
    ours = 'python -c \'open("out.csv", "w").write(f"y\\n{a} ")\''
    for command, said in (("tool", 2.0), (ours, 0.1)):
        model = get_model(
            "command",
            command=f"{command} {{a}}",
            parameters={"a": [0.1, 10]},
            outputs={"y": {"file": "out.csv", "column": "y"}},
        )
        solution = model.solve(np.array([[0.1]]), np.zeros(1, np.uint64))
        assert solution.profiles["y"][0] == said, solution.reasons


def test_fixed_file_names_of_two_samples_never_meet(program):
    code = "import sys, os\nassert not os.path.exists('out.csv')\n" + SUM
    model = program(code)
    assert list(model.solve(np.repeat(SETS, 3, axis=0), np.zeros(9, np.uint64)).reasons) == [""] * 9
    assert sorted(path.name for path in Path.cwd().iterdir()) == ["program.py"]


@pytest.mark.parametrize(
    ("write", "output"),
    [
        ("open('o.tsv', 'w').write('x\\ty\\n1\\t%r\\n' % v)", {"file": "o.tsv", "column": "y"}),
        ("open('o.dat', 'w').write('# about\\n 1 %r\\n' % v)", {"file": "o.dat", "column": 1}),
        ("print('y'); print(v)", {"file": "stdout"}),
        ("print(v)", {"file": "stdout"}),
        ("import numpy; numpy.save('o.npy', v)", {"file": "o.npy"}),
        ("import h5py; h5py.File('o.h5', 'w')['g/y'] = v", {"file": "o.h5", "path": "g/y"}),
        ("import json; json.dump({'g': [{'y': v}]}, open('o.json', 'w'))", {"file": "o.json", "path": "g.0.y"}),
    ],
)
def test_values_are_read_from_files_of_many_kinds(program, write, output):
    model = program(f"import sys\nv = float(sys.argv[1]) / 3\n{write}\n", outputs={"y": output})
    solution = model.solve(SETS, np.zeros(3, np.uint64))
    assert list(solution.reasons) == [""] * 3
    assert np.array_equal(solution.profiles["y"], SETS[:, 0] / 3)


def test_parameters_are_told_by_templates_and_environment_and_the_seed_too(program):
    Path("in.json.template").write_text('{"a": {a}, "other": {b}, "braces": {}}')
    code = (
        "import json, os, sys\nv = json.load(open('sub/in.json'))\n"
        "print(v['a'] + v['other'] + float(os.environ['B']) + int(sys.argv[1]))"
    )
    model = program(
        code,
        arguments="{seed}",
        outputs={"y": {"file": "stdout", "scale": "linear"}},
        templates={"sub/in.json": "in.json.template"},
        environment={"B": "{b}"},
    )
    found = model.solve(SETS, np.array([7, 8, 9], np.uint64)).profiles["y"]
    assert found == pytest.approx(SETS[:, 0] + 2 * SETS[:, 1] + [7, 8, 9])


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (
            "import sys; print('warned', file=sys.stderr); sys.exit('no such state')",
            "exit status 1: warned / no such state",
        ),
        ("pass", "wrote no out.csv"),
        ("open('out.csv', 'w').write('x,y\\n')", "out.csv: is empty"),
        ("import os; os.mkfifo('out.csv')", "wrote no out.csv"),
        ("open('out.csv', 'wb').write(b'y\\n\\xff\\n')", "column 'y' cannot be read .*can't decode byte 0xff"),
        ("open('out.csv', 'w').write('y\\n' + '1 ' * 3_000_000)", "cannot be read .a line has more than 4 million"),
        ("open('out.csv', 'w')", "column 'y' cannot be read .it is empty"),
        ("open('out.csv', 'w').write('x,z\\n1,2\\n')", "no column 'y'.*it has x, z"),
        ("open('out.csv', 'w').write('x,y\\n1,much\\n')", "column 'y' cannot be read .could not convert"),
        ("open('out.csv', 'w').write('x,y\\n1,1_2\\n')", "column 'y' cannot be read .could not convert .*'1_2'"),
        ("open('out.csv', 'w').write('x,y\\n1\\n')", "column 'y' cannot be read .list index"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "ended by SIGSEGV: it said nothing"),
        ("open('out.csv', 'w').write('y\\n' + 'x' * 70_000_000)", "has 70 MB, more than is read"),
        ("import sys; sys.stderr.write('e' * 10_000_000); sys.exit(3)", "exit status 3: e{400}$"),
    ],
)
def test_what_goes_wrong_is_the_reason_of_that_sample(program, code, reason):
    model = program(code)
    result = model.simulate(SETS[:1])
    assert result.status[0] == Status.NOT_FINITE
    assert re.search(reason, result.reasons[0]), result.reasons[0]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("y\\n1\\n2\\n", "out.csv: has 2 values of 'y', whose grid has 3"),
        ("y\\n1\\n2\\n3\\n4\\n", "out.csv: has 4 values of 'y', whose grid has 3"),
        ("y\\n1\\nnan\\n3\\n", "output 'y' is nan at point 1"),
        ("y\\n1\\n-inf\\n3\\n", "output 'y' is -inf at point 1"),
    ],
)
def test_a_series_that_is_too_short_or_long_or_no_number_is_a_failed_sample(program, written, reason):
    model = program(f"open('out.csv', 'w').write('{written}')", outputs={"y": {"file": "out.csv", "grid": [0, 1, 2]}})
    result = model.simulate(SETS[:1])
    assert (result.status[0], result.reasons[0]) == (Status.NOT_FINITE, reason)


def test_a_program_that_prints_nothing_says_nothing(program):
    result = program("pass", outputs={"y": {"file": "stdout"}}).simulate(SETS[:1])
    assert result.reasons[0] == "what it printed: a number cannot be read (it is empty)"


TALKATIVE = """
import sys
for stream in (sys.stderr, sys.stdout):
    for _ in range(60):
        stream.write('0.1234567890123456\\n' * 52_000)
print(sys.argv[1])
"""
ASKED = """
import resource, sys
from mechscreen import get_model
model = get_model("command", command=f"{sys.executable} {{folder}}/program.py {{a}}", parameters={"a": [0, 1]},
                  outputs={"y": {"file": "stdout"}})
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
result = model.simulate([[0.25]])
print(result.status[0], result.profiles.item(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
def test_sixty_megabytes_of_a_program_fill_neither_log_nor_memory(tmp_path):
    (tmp_path / "program.py").write_text(TALKATIVE)
    done = subprocess.run([PYTHON, "-c", ASKED], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert done.stderr == ""
    status, value, kilobytes = done.stdout.split()
    assert (int(status), float(value)) == (Status.OK, 0.25)
    # Three million numbers, read as they come; as texts in lists they take half a gigabyte.
    assert int(kilobytes) < 100_000
    assert [path.name for path in tmp_path.iterdir()] == ["program.py"]


def test_a_program_that_prints_without_end_is_ended_before_the_disk_is_full(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = get_model(
        "command", command="yes {a}", parameters={"a": [1, 2]}, outputs={"y": {"file": "stdout"}}, time_limit=300
    )
    begin = time.monotonic()
    result = model.simulate([[1.5]])
    assert time.monotonic() - begin < 60
    assert result.reasons[0] == "printed more than is kept (67 MB), and was ended"


def test_a_packed_array_that_would_not_fit_is_not_unpacked(program):
    code = (
        "import h5py\n"
        "with h5py.File('o.h5', 'w') as file:\n"
        "    file.create_dataset('y', (10**10,), chunks=(10**6,), compression='gzip')\n"
    )
    result = program(code, outputs={"y": {"file": "o.h5"}}).simulate(SETS[:1])
    assert "it has 40000 MB, more than is read" in result.reasons[0]


def test_a_program_that_is_gone_is_the_reason_of_what_it_should_have_done(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script = Path("simulate.sh")
    script.write_text("#!/bin/sh\necho $1\n")
    script.chmod(0o755)
    model = get_model(
        "command", command="./simulate.sh {a}", parameters={"a": [1, 2]}, outputs={"y": {"file": "stdout"}}
    )
    assert model.simulate([[1.5]]).profiles.item() == 1.5
    script.unlink()
    assert "simulate.sh: cannot be started (No such file or directory)" in model.simulate([[1.5]]).reasons[0]


def test_nan_of_a_program_is_a_failed_sample(program):
    result = program("open('out.csv', 'w').write('y\\nnan\\n')").simulate(SETS[:1])
    assert result.status[0] == Status.NOT_FINITE


def test_a_program_that_hangs_ends_with_all_that_it_started(program, tmp_path):
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        "print(child.pid, file=sys.stderr, flush=True)\ntime.sleep(600)"
    )
    begin = time.monotonic()
    result = program(code, time_limit=1.5).simulate(SETS[:1])
    assert time.monotonic() - begin < 30
    assert "took longer than 1.5 s" in result.reasons[0]
    pid = int(result.reasons[0].split(";")[1])
    time.sleep(0.2)
    state = Path(f"/proc/{pid}/stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def campaign_of(tmp_path, **options):
    return Campaign.from_dict(
        {
            "name": "command",
            "results": str(tmp_path / "results"),
            "seed": 1,
            "model": {"name": "command", "options": options},
            "simulations": {"count": 100, "shard_size": 10},
            "screen": {
                "count": 1000,
                "block_size": 100,
                "objective": {"name": "conditions", "options": {"classes": {"high": "y > 1"}}, "target": ["high"]},
            },
        }
    )


def test_a_change_of_the_program_or_of_a_template_remakes_everything(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    script, template = Path("simulate.sh"), Path("in.template")
    script.write_text("#!/bin/sh\ncat in.txt\n")
    script.chmod(0o755)
    template.write_text("{a}\n")
    options = {
        "command": "./simulate.sh",
        "parameters": {"a": [1, 2]},
        "outputs": {"y": {"file": "stdout"}},
        "templates": {"in.txt": "in.template"},
    }
    before = campaign_of(tmp_path, **options).fingerprint("simulations")
    assert campaign_of(tmp_path, **options).fingerprint("simulations") == before
    template.write_text("{a} \n")
    after = campaign_of(tmp_path, **options).fingerprint("simulations")
    script.write_text("#!/bin/sh\ncat in.txt # really\n")
    assert len({before, after, campaign_of(tmp_path, **options).fingerprint("simulations")}) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"command": ""}, "its option 'command' is missing"),
        ({"command": "nowhere-to-be-found {a}"}, "the program 'nowhere-to-be-found' is not found"),
        ({"command": "./text {a}"}, "may not be executed"),
        ({"command": "cat 'open {a}"}, "cannot be split"),
        ({"command": "echo {aa}"}, "no parameter 'aa'; did you mean 'a'"),
        ({"command": "echo 1"}, "parameter 'a' stands nowhere"),
        ({"parameters": {}}, "its option 'parameters' is missing"),
        ({"parameters": {"a": 3}}, "parameter 'a': 3 is no range"),
        ({"parameters": {"a": {"low": 1, "hgh": 3}}}, "no 'hgh'; did you mean 'high'"),
        ({"parameters": {"seed": [1, 2]}}, "are taken"),
        ({"parameters": {"a": {"low": 0, "high": 1, "scale": "log"}}}, "a log scale needs a range above 0"),
        ({"outputs": {}}, "its option 'outputs' is missing"),
        ({"outputs": {"y": "out.csv"}}, "does not say where it is"),
        ({"outputs": {"y": {"column": 1}}}, "'file' is missing"),
        ({"outputs": {"y": {"file": "o", "colum": 1}}}, "no 'colum'; did you mean 'column'"),
        ({"outputs": {"y": {"file": "o", "grid": "x"}}}, "grid 'x' is no list of numbers"),
        ({"templates": {"../x": "text"}}, "leaves the scratch folder"),
        ({"templates": {"x": "nowhere"}}, "nowhere: cannot be read"),
        ({"time_limit": 0}, "time_limit = 0 is no number of seconds"),
    ],
)
def test_options_that_are_wrong_are_named(tmp_path, monkeypatch, change, message):
    monkeypatch.chdir(tmp_path)
    Path("text").write_text("no program")
    right = {"command": "echo {a}", "parameters": {"a": [1, 2]}, "outputs": {"y": {"file": "stdout"}}}
    with pytest.raises(InputError, match=message):
        get_model("command", **{**right, **change})
