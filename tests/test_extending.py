"""What an installed package adds by entry points is used through campaigns like what is built in."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

PACKAGE = """
from typing import Literal

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution
from mechscreen.emulators.architectures.base import Network
from mechscreen.emulators.backends.base import Predictor
from mechscreen.figures import CampaignFigure


class Slope(Model):
    name, version, isolated = "slope", "1", False
    space = ParameterSpace([Parameter("a", 0.5, 2.0), Parameter("b", 0.5, 2.0)])
    outputs = (Output("line", np.linspace(0, 1, 6)),)

    def solve(self, parameters, seeds):
        a, b = parameters.T[:, :, None]
        return Solution((a + b * self.outputs[0].grid)[:, None, :])


def bright(profiles, log_peaks, *, threshold: float = 9.0):
    return (np.exp(log_peaks[:, 0]) > threshold).astype(int)


class Linear(Network):
    network: Literal["linear"] = "linear"
    width: int = 4

    def weights(self, dimensions, outputs, points):
        return self.width * (dimensions + outputs * points + outputs)

    def check(self, training, precision):
        if training.loss != "rmse":
            raise ValueError("training.loss: the linear network takes rmse")

    def outputs(self, inputs, samples, seeds, precision):
        from mechscreen.emulators import networks

        _, outputs, points = samples.profiles.shape
        features = networks.layer(self.width, "features", seeds)(inputs)
        flat = networks.layer(outputs * points, "points", seeds, "sigmoid")(features)
        profiles = networks.layers.Reshape((outputs, points), name="profiles")(flat)
        log_peaks = networks.in_units_of(samples.log_peaks, "log_peaks", features, seeds)
        return {"profiles": profiles, "log_peaks": log_peaks}


class Plain(Predictor):
    name = "plain"

    def _prepare(self, network, precision):
        return lambda rows: {name: np.asarray(values) for name, values in network(rows).items()}


def first(candidates, size, rng):
    assert len(candidates) == len(candidates.parameters)
    return np.arange(size)


class Peaks(CampaignFigure):
    title = "Peaks of the test split"
    text = "Simulated peaks, sorted."

    @classmethod
    def inputs(cls, campaign):
        return {"predictions": campaign.paths.predictions}

    @classmethod
    def draw(cls, results):
        from matplotlib.figure import Figure

        figure = Figure()
        figure.subplots().plot(np.sort(results.predictions.log_peaks[:, 0]))
        return figure, f"{len(results.predictions.log_peaks)} samples."
"""
ENTRY_POINTS = """
[mechscreen.models]
slope = extras_of_the_tests:Slope
[mechscreen.objectives]
bright = extras_of_the_tests:bright
gone = extras_of_the_tests:gone
[mechscreen.networks]
linear = extras_of_the_tests:Linear
[mechscreen.backends]
plain = extras_of_the_tests:Plain
[mechscreen.acquisitions]
first = extras_of_the_tests:first
[mechscreen.figures]
peaks = extras_of_the_tests:Peaks
"""
CAMPAIGN = {
    "name": "extended",
    "seed": 1,
    "model": {"name": "slope"},
    "simulations": {"count": 60, "shard_size": 60},
    "emulators": {
        "members": 2,
        "combine": "mean",
        "architecture": {"network": "linear", "width": 3},
        "training": {"epochs": 1, "batch_size": 8},
        "backend": "plain",
    },
    "screen": {
        "count": 200,
        "block_size": 200,
        "objective": {
            "name": "bright",
            "options": {"classes": ["dark", "bright"], "threshold": 2.0},
            "target": ["bright"],
        },
        "disagreement_limit": 10.0,
    },
    "validation": {"limit": 5, "rmse_limit": 1.0},
}
RUN = """
import numpy as np
from campaigns import run_stages
from mechscreen import storage
from mechscreen.campaign import Campaign
from mechscreen.sampling import sample_unit
from mechscreen.figures import figure_names
from mechscreen.reports.results import Results
from mechscreen.schemas.validation import ValidatedHits
from mechscreen.stages.predict import load_ensemble
from mechscreen.stages.report import draw
from mechscreen.stages.select import select

campaign = Campaign.load("campaign.yaml")
run_stages(campaign)
assert storage.read_json(campaign.paths.metrics)["backend"] == "plain"
assert load_ensemble(campaign.paths.emulators).ensemble.backend == "plain"
assert Results(campaign).classes == ["dark", "bright"]
paths = campaign.paths
for path, kind in (
    (paths.predictions, "predictions"),
    (paths.block(0), "screen block"),
    (paths.screen_summary, "screen summary"),
    (paths.screen_hits, "screen hits"),
):
    assert storage.verify(path, kind)["backend"] == "plain", path
hits = storage.read(paths.validation_hits, ValidatedHits.kind)
np.testing.assert_array_equal(hits["labels"] == 1, np.exp(hits["log_peaks"][:, 0]) > 2)
assert campaign.emulators.architecture.multiplications(2, 1, 6) == 27
assert figure_names(campaign)[-1] == "peaks"
assert draw(campaign, "peaks").is_file()
campaign.record()
chosen = storage.read(select(Campaign.load("second.yaml"), 0), "selection")
unit = sample_unit("uniform", 2, 0, 100, 2, "selection")
np.testing.assert_array_equal(chosen["parameters"], campaign.space.physical(unit[:10], levels=True))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Return a function that runs Python, in a folder of its own, with a package that adds one of everything."""
    place = tmp_path_factory.mktemp("site")
    (place / "extras_of_the_tests.py").write_text(PACKAGE)
    info = place / "extras_of_the_tests-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: extras-of-the-tests\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(ENTRY_POINTS)
    folder = tmp_path_factory.mktemp("work")
    path = os.pathsep.join([str(place), str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])])

    def run(*arguments, campaign=None):
        if campaign is not None:
            (folder / "campaign.yaml").write_text(yaml.safe_dump(campaign))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        command = [sys.executable, *map(str, arguments)]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)

    run.folder = folder
    return run


def test_each_of_them_is_used_from_simulations_to_the_report_and_to_the_next_selection(installed):
    second = {**CAMPAIGN, "name": "second", "seed": 2}
    second["selection"] = {"campaign": "extended", "candidates": 10, "acquisition": "first"}
    second["simulations"] = {"count": 10, "shard_size": 10}
    (installed.folder / "second.yaml").write_text(yaml.safe_dump(second))
    done = installed("-c", RUN, campaign=CAMPAIGN)
    assert done.returncode == 0, done.stderr
    resolved = installed("-m", "mechscreen", "check", "campaign.yaml")
    assert yaml.safe_load(resolved.stdout)["emulators"]["architecture"] == {"network": "linear", "width": 3}


def changed(path, value):
    values = json.loads(json.dumps(CAMPAIGN))
    *parents, last = path.split(".")
    section = values
    for key in parents:
        section = section.setdefault(key, {})
    section[last] = value
    return values


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        (
            "model.name",
            "slop",
            "did you mean 'slope'? (valid: bngl, command, myc_e2f, pattern, petab, sbml, umbridge, slope; ",
        ),
        (
            "screen.objective.name",
            "brigt",
            "did you mean 'bright'? (valid: conditions, match, maximise, modes, rings, bright",
        ),
        ("screen.objective.name", "gone", "objective 'gone' of extras-of-the-tests 1.0: importing extras_of_the_tests"),
        ("screen.objective.options.treshold", 1, "has no option 'treshold'; did you mean 'threshold'?"),
        (
            "emulators.architecture.network",
            "linaer",
            "no network 'linaer'; did you mean 'linear'? (valid: dense, lstm, aligned, linear)",
        ),
        (
            "emulators.architecture.widht",
            3,
            "unknown key 'emulators.architecture.widht'; did you mean 'width'? (valid here: network, width)",
        ),
        ("emulators.architecture.width", "x", "'emulators.architecture.width' is 'x': input should be a valid integer"),
        ("emulators.training.loss", "mse", "'emulators': training.loss: the linear network takes rmse"),
        ("emulators.precision", "bfloat16", "'emulators': backend 'plain' cannot be told to predict in bfloat16"),
        (
            "emulators.backend",
            "plian",
            "no backend 'plian'; did you mean 'plain'? (valid: auto, device, keras, openvino, plai",
        ),
    ],
)
def test_what_is_wrong_about_them_is_told_as_of_what_is_built_in(installed, path, value, expected):
    done = installed("-m", "mechscreen", "check", "campaign.yaml", campaign=changed(path, value))
    assert done.returncode == 2
    assert expected in done.stderr


def test_two_packages_that_add_the_same_name_are_told_apart(installed, tmp_path):
    info = tmp_path / "rival-2.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: rival\nVersion: 2.0\n")
    (info / "entry_points.txt").write_text("[mechscreen.models]\nslope = rival:Slope\n")
    code = f"import sys; sys.path.append({str(tmp_path)!r}); import mechscreen; mechscreen.get_model('slope')"
    done = installed("-c", code)
    assert "model 'slope' is of extras-of-the-tests 1.0 and rival 2.0; uninstall all but one of them" in done.stderr


def test_the_schema_lists_what_is_built_in_whatever_is_installed(installed):
    kept = Path(__file__).parents[1] / "workflow/schemas/campaign.schema.json"
    assert installed("-m", "mechscreen", "schema").stdout == kept.read_text()
