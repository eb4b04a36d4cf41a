"""What models that start programs give, and what is said of models whose code is wrong."""

import logging
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml

from mechscreen import storage
from mechscreen.errors import ModelError
from mechscreen.models.outputs import Status
from mechscreen.schemas.simulations import SimulationFile
from mechscreen.stages.simulate import simulate_table

MODELS = Path(__file__).with_name("own_programs.py")


@pytest.fixture
def simulated(tmp_path):
    """Return a function that simulates n samples of a model."""

    def simulated(model, n=10, **options):
        table, out = tmp_path / "sets.csv", tmp_path / "out.h5"
        columns = "k,y0" if model == "Pools" else "k"
        table.write_text(
            "\n".join([columns, *(f"{0.1 + 0.01 * i}{',2' if model == 'Pools' else ''}" for i in range(n))]) + "\n"
        )
        simulate_table(f"{MODELS}:{model}", table, out, options=options, sample_time_limit=20)
        return storage.read(out, SimulationFile.kind)

    return simulated


@pytest.mark.parametrize("ranks", [1, 2])
def test_ranks_whose_programs_use_files_of_one_name_do_not_meet(mpiexec, tmp_path, ranks):
    table, out = tmp_path / "sets.csv", tmp_path / "out.h5"
    table.write_text("\n".join(["k", *(f"{0.1 + 0.01 * i:.2f}" for i in range(100))]) + "\n")
    spec = f"{MODELS}:FixedFiles"
    command = ["-m", "mechscreen", "simulate", "--model", spec, "--parameters", table, "--out", out, "--ranks", ranks]
    process = mpiexec(ranks, *command)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    file = storage.read(out, SimulationFile.kind)
    assert file["status"].tolist() == [Status.OK] * 100
    np.testing.assert_allclose(np.exp(file["log_peaks"]), file["parameters"], rtol=1e-12)


PROGRAM = """
import sys
import time
from multiprocessing import Pool
from pathlib import Path

def half(k):
    return k / 2

if __name__ == "__main__":
    Path("in.txt").write_text(sys.argv[1])
    with Pool(2) as pool:  # ends its workers by SIGTERM, and waits for them
        time.sleep(0.01)
        Path("out.txt").write_text(repr(sum(pool.map(half, [float(Path("in.txt").read_text())] * 2))))
"""


@pytest.mark.parametrize("ranks", [1, 2])
def test_programs_of_two_ranks_have_folders_and_processes_of_their_own(mpiexec, tmp_path, ranks):
    (tmp_path / "program.py").write_text(PROGRAM)
    options = {
        "command": f"{sys.executable} {tmp_path}/program.py {{k}}",
        "parameters": {"k": [0.1, 2.0]},
        "outputs": {"y": {"file": "out.txt"}},
        "time_limit": 60,
    }
    campaign = {
        "name": "programs",
        "results": str(tmp_path / "results"),
        "seed": 3,
        "model": {"name": "command", "options": options},
        "simulations": {"count": 40, "shard_size": 20},
        "screen": {
            "count": 100,
            "block_size": 100,
            "objective": {"name": "conditions", "options": {"classes": {"high": "y > 1"}}, "target": ["high"]},
        },
    }
    (tmp_path / "campaign.yaml").write_text(yaml.safe_dump(campaign))
    command = ["-m", "mechscreen", "simulate", "--config", tmp_path / "campaign.yaml", "--shard", 0, "--ranks", ranks]
    process = mpiexec(ranks, *command)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 0, said
    file = storage.read(tmp_path / "results/programs/simulations/shard-00000.h5", SimulationFile.kind)
    assert file["status"].tolist() == [Status.OK] * 20, file["reasons"]
    np.testing.assert_allclose(file["profiles"].reshape(-1), file["parameters"][:, 0], rtol=1e-6)


@pytest.mark.parametrize(("how", "n"), [("fork", 60), ("spawn", 3), ("forkserver", 3)])
def test_a_model_may_use_a_pool_of_processes_however_they_start(simulated, how, n):
    file = simulated("Pools", n, how=how)
    assert file["status"].tolist() == [Status.OK] * n
    expected = np.exp(-file["parameters"][:, :1] * np.arange(5.0))
    np.testing.assert_allclose(file["profiles"][:, 0], expected, rtol=1e-6)


def test_a_model_that_prints_two_hundred_megabytes_fills_no_log(simulated, capfd):
    file = simulated("Talkative", 10)
    said = capfd.readouterr().err
    assert file["status"].tolist() == [Status.OK] * 10
    assert len(said) < 40_000
    assert said.startswith("sample 0.10: converging\n")
    assert "bytes that model '" in said
    assert "sample 0.19: converging\n" in said[-2000:]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("array", r"WrongSolution: the model's solve\(\) must return Solution\(profiles\), not ndarray; mend its code"),
        ("shape", r"WrongSolution: the model's solve\(\) returned profiles of shape \(1, 3\); its outputs say \(1, 1,"),
        ("broadcast", "ValueError: operands could not be broadcast"),
        ("name", "NameError: name 'x' is not defined"),
        ("import", "ModuleNotFoundError: No module named 'no_module_of_the_tests'"),
        ("file", r"FileNotFoundError: data.txt not found.*environment variable MECHSCREEN_FOLDER names"),
    ],
)
@pytest.mark.parametrize(("n", "of"), [(6, 6), (40, 8)])
def test_a_mistake_of_the_code_ends_it_before_anything_is_written(simulated, tmp_path, how, message, n, of):
    with pytest.raises(ModelError, match=f"Mistaken' fails for each of the first {of} samples: {message}"):
        simulated("Mistaken", n, how=how)
    assert {path.name for path in tmp_path.iterdir()} == {"sets.csv"}


def test_ranks_end_together_at_a_mistake_of_the_code(mpiexec, tmp_path):
    (tmp_path / "sets.csv").write_text("k\n" + "1\n" * 40)
    model = tmp_path / "wrong.py"
    model.write_text(
        f"import sys; sys.path.append({str(MODELS.parent)!r})\n"
        "from own_programs import Mistaken\n"
        "class Wrong(Mistaken):\n"
        "    def __init__(self):\n"
        "        super().__init__('array')\n"
    )
    command = ["-m", "mechscreen", "simulate", "--model", f"{model}:Wrong", "--parameters", tmp_path / "sets.csv"]
    process = mpiexec(2, *command, "--out", tmp_path / "out.h5", "--ranks", 2)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2, said
    assert said.count("must return Solution(profiles), not ndarray") == 1


def test_samples_of_which_one_is_well_are_recorded_whatever_the_others_raise(simulated):
    file = simulated("Mistaken", 12, how="name", limit=0.1)
    assert file["status"].tolist() == [Status.OK, *[Status.ERROR] * 11]
    assert set(file["reasons"][1:].astype(str)) == {"NameError: name 'x' is not defined"}


def test_where_not_one_sample_is_well_the_last_line_says_so(simulated, caplog):
    caplog.set_level(logging.INFO)
    file = simulated("Mistaken", 12, how="value")
    assert (file["status"] == Status.ERROR).all()
    assert caplog.messages[-1] == "simulate sets.csv: NOT ONE of the 12 samples could be simulated"


def test_a_file_beside_the_campaign_is_found_by_the_folder_that_the_environment_names(simulated, tmp_path, monkeypatch):
    (tmp_path / "data.txt").write_text("2\n")
    monkeypatch.chdir(tmp_path)
    file = simulated("Mistaken", 2, how="folder")
    np.testing.assert_allclose(np.exp(file["log_peaks"]), 2)


def test_a_model_is_given_by_a_relative_path(simulated, tmp_path, monkeypatch):
    for name in ("own_programs.py", "companions.py"):
        (tmp_path / name).write_text(MODELS.with_name(name).read_text().replace("-of-the-tests", f"-{tmp_path.name}"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.csv").write_text("k\n0.5\n")
    simulate_table("own_programs.py:FixedFiles", Path("one.csv"), Path("one.h5"))
    assert storage.read(tmp_path / "one.h5", SimulationFile.kind)["status"].tolist() == [Status.OK]
