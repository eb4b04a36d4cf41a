"""The notebook of examples/, executed on the results of the smallest campaign."""

import shutil

import pytest

from campaigns import ROOT

nbformat = pytest.importorskip("nbformat")
NOTEBOOK = ROOT / "examples/results.ipynb"


def test_the_notebook_is_kept_without_outputs():
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in cells)


@pytest.mark.slow
def test_the_notebook_runs_and_shows_what_the_results_are(stripe, tmp_path):
    nbclient = pytest.importorskip("nbclient")
    shutil.copytree(stripe.paths.root, tmp_path / "results/stripe")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert sum("image/png" in output.get("data", {}) for output in outputs) == 5
    text = "".join(output.get("text", "") for output in outputs)
    assert "of 20 validated hits are what the emulators say" in text
    for number, output in enumerate(output for output in outputs if "image/png" in output.get("data", {})):
        (tmp_path / f"{number}.png").write_text(output["data"]["image/png"])
