"""An emulator as a file of ONNX."""

import json
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from click.testing import CliRunner

import mechscreen
from mechscreen import cli
from mechscreen.errors import InputError
from mechscreen.reading.emulator import export_emulator, to_onnx
from mechscreen.reading.pack import pack
from mechscreen.stages.predict import TrainedEnsemble

SETS = np.array([[10, 100, 1, 50, 2], [20, 50, 0.5, 10, 1]], dtype=float)


def test_campaign_ensemble_and_archive_give_one_file_which_says_what_they_say(stripe, tmp_path):
    pack(stripe, tmp_path / "small.zip")
    sources = {"a": stripe.paths.root, "b": stripe.paths.emulators, "c": tmp_path / "small.zip"}
    for name, source in sources.items():
        said = export_emulator(source, tmp_path / f"{name}.onnx")
        assert "2 networks, combined by mean" in said
    written = {(tmp_path / f"{name}.onnx").read_bytes() for name in sources}
    assert len(written) == 1
    trained = mechscreen.load_ensemble(stripe.paths.emulators)
    said = trained.predict(SETS)
    session = onnxruntime.InferenceSession(tmp_path / "a.onnx")
    gene, disagreement = session.run(["gene", "disagreement"], {"parameters": SETS})
    expected = trained.outputs.by_name(said.profiles, said.log_peaks)["gene"]
    np.testing.assert_allclose(gene, expected, rtol=0, atol=2e-5 * expected.max())
    np.testing.assert_allclose(disagreement, said.disagreement, atol=1e-5)


def test_the_file_says_what_parameters_and_outputs_are(stripe, tmp_path):
    export_emulator(stripe.paths.root, tmp_path / "a.onnx")
    model = onnx.load(tmp_path / "a.onnx")
    told = {entry.key: entry.value for entry in model.metadata_props}
    parameters, outputs = json.loads(told["parameters"]), json.loads(told["outputs"])
    assert [entry["name"] for entry in parameters] == list(stripe.space.names)
    for entry, parameter in zip(parameters, stripe.space, strict=True):
        assert (entry["low"], entry["high"]) == (parameter.low, parameter.high)
        assert (entry["unit"], entry["scale"]) == (parameter.unit, parameter.scale)
    (gene,) = outputs
    assert (gene["name"], gene["called"], gene["shape"]) == ("gene", "gene", [101])
    np.testing.assert_array_equal(gene["grids"][0], stripe.outputs[0].grid)
    assert (model.producer_name, model.producer_version) == ("mechscreen", mechscreen.__version__)
    assert (told["combine"], told["members"]) == ("mean", "2")


def test_names_that_onnx_does_not_take_are_changed_and_told(stripe):
    loaded = mechscreen.load_ensemble(stripe.paths.emulators)
    for name, called in (("[PG] (nM)", "_PG___nM_"), ("2nd", "_2nd"), ("parameters", "parameters_")):
        (gene,) = loaded.outputs
        renamed = mechscreen.Output.from_record({**gene.to_record(), "name": name})
        trained = TrainedEnsemble(loaded.ensemble, loaded.space, type(loaded.outputs)([renamed]), loaded._found)
        model = to_onnx(trained)
        (told,) = json.loads({entry.key: entry.value for entry in model.metadata_props}["outputs"])
        assert (told["name"], told["called"]) == (name, called)
        assert called in [value.name for value in model.graph.output]


def test_another_kind_of_file_and_one_that_is_there_are_refused(stripe, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"precious")
    for name, message in (("a.onnx", "is there already"), ("a.pt", r"valid: \.onnx")):
        with pytest.raises(InputError, match=message):
            export_emulator(stripe.paths.root, tmp_path / name)
    with pytest.raises(InputError, match="holds no trained member"):
        export_emulator(tmp_path, tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == b"precious"
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]


WITHOUT = """
import sys
import numpy as np, onnxruntime
session = onnxruntime.InferenceSession(sys.argv[1])
print(session.run(["gene"], {"parameters": np.array([[10.0, 100, 1, 50, 2]])})[0].shape)
assert not {"mechscreen", "keras", "tensorflow"} & set(sys.modules)
"""


def test_the_command_writes_a_file_that_runs_without_mechscreen(stripe, tmp_path):
    words = ["export", "emulator", str(stripe.paths.root), "--to", str(tmp_path / "a.onnx")]
    done = CliRunner().invoke(cli.cli, words, catch_exceptions=False)
    assert done.exit_code == 0
    ran = subprocess.run([sys.executable, "-c", WITHOUT, tmp_path / "a.onnx"], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == "(1, 101)"
