"""The file system fails below all libraries: nothing is lost, and the same command goes on to the same bytes."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STAGES = {
    "simulate": 19,
    "merge": 13,
    "train": 97,
    "evaluate": 41,
    "screen": 97,
    "gather": 13,
    "validate": 61,
    "draw": 41,
    "report": 61,
    "select": 41,
}
"""The suite tries each so-manieth call; ``MECHSCREEN_FAULTS=1`` tries each, with each error (`make faults`)."""


@pytest.fixture(scope="module")
def ask(tmp_path_factory):
    """Return a function that lets a stage fail, each so-manieth call in turn, and returns what came of it."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("needs a C compiler for the library that makes calls fail")
    folder = tmp_path_factory.mktemp("faults")
    shim = folder / "shim.so"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", shim, HERE / "shim.c", "-ldl"], check=True)
    driver = subprocess.Popen(
        [sys.executable, HERE / "driver.py", folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "LD_PRELOAD": str(shim), "OMP_NUM_THREADS": "1"},
    )

    def ask(stage, every):
        print(json.dumps({"stage": stage, "every": every}), file=driver.stdin, flush=True)
        return json.loads(driver.stdout.readline())

    assert json.loads(driver.stdout.readline()) == list(STAGES)
    yield ask
    driver.kill()
    driver.wait()


@pytest.mark.slow
@pytest.mark.timeout(0 if "MECHSCREEN_FAULTS" in os.environ else 600)
@pytest.mark.parametrize("stage", STAGES)
def test_whatever_call_fails_nothing_is_lost_and_a_rerun_ends_with_the_same_bytes(ask, stage):
    said = ask(stage, int(os.environ.get("MECHSCREEN_FAULTS", STAGES[stage])))
    assert said["wrong"] == []
    assert said["tried"] >= said["failed"] > 0


AS_NOBODY = """
import os
import encodings.utf_8_sig, pandas, mechscreen.cli, mechscreen.stages.simulate  # perhaps root alone can read them
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
mechscreen.cli.main()
"""


@pytest.fixture
def as_nobody(tmp_path):
    """Return a function that runs ``mechscreen`` as an ordinary user, in a folder of root's."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become another user")
    for folder in [tmp_path, *tmp_path.parents[:3]]:
        folder.chmod(folder.stat().st_mode | 0o055)
    return lambda *arguments: subprocess.run(
        [sys.executable, "-c", AS_NOBODY, *map(str, arguments)], capture_output=True, text=True
    )


def test_a_missing_permission_ends_with_74_and_changes_nothing(as_nobody, tmp_path):
    table = tmp_path / "sets.csv"
    table.write_text("place,width\n1,2\n")
    (tmp_path / "model.py").write_text((HERE / "driver.py").read_text().partition('MODEL = """')[2].partition('"""')[0])
    out = tmp_path / "out.h5"
    command = ["simulate", "--model", f"{tmp_path / 'model.py'}:Bump", "--parameters", table, "--out", out]
    done = as_nobody(*command)
    assert done.returncode == 74, done.stderr
    assert "out.h5: cannot be written: permission denied" in done.stderr
    assert "Traceback" not in done.stderr
    for path, action in [(out, "read"), (table, "read")]:
        path.touch(0o600)
        path.chmod(0o600)
        before = path.read_bytes()
        done = as_nobody(*command)
        assert done.returncode == 74, done.stderr
        assert f"{path.name}: cannot be {action}: permission denied" in done.stderr
        assert path.read_bytes() == before
        path.chmod(0o644)
