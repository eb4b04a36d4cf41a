"""A campaign so small that all its stages take seconds: bumps on a line, counted as rings."""

import copy
import shutil

import pytest

from mechscreen.campaign import Campaign

MODEL = '''
import numpy as np
from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Bumps(Model):
    """One bump, or two; no solution where a bump is too narrow."""

    name = "bumps-of-the-tests"
    version = "1"
    space = ParameterSpace(
        [
            Parameter("place", 0.0, 60.0),
            Parameter("width", 2.0, 12.0),
            Parameter("second", 0.0, 2.0),
            Parameter("scale", 1.0, 20.0, levels=(1.0, 20.0), between=True),
        ]
    )
    outputs = (Output("signal", np.arange(61.0), compare="shape"),)

    def __init__(self, narrowest=0.0):
        self.narrowest = narrowest

    def solve(self, parameters, seeds):
        place, width, second, scale = parameters.T[:, :, None]
        x = self.outputs[0].grid
        y = scale * (np.exp(-(((x - place) / width) ** 2)) + second * np.exp(-(((x - 45) / 6) ** 2)))
        narrow = width[:, 0] < self.narrowest
        y[narrow] = np.nan
        return Solution(y[:, None, :], ["too narrow" if is_narrow else "" for is_narrow in narrow])


def half_bright(profiles, log_peaks):
    return (log_peaks[:, 0] > np.log(10)).astype(int)


def thirds(profiles, log_peaks):
    return np.digitize(log_peaks[:, 0], np.log([7, 13]))
'''


@pytest.fixture(scope="session")
def bumps_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "bumps_of_the_tests.py"
    path.write_text(MODEL)
    return path


SETTINGS = {
    "name": "bumps",
    "seed": 7,
    "simulations": {"count": 600, "shard_size": 300},
    "dataset": {"shard_size": 200},
    "emulators": {
        "members": 3,
        "architecture": {"network": "dense", "width": 64, "blocks": 1},
        "training": {"epochs": 15, "batch_size": 32, "learning_rate": 1e-2},
    },
    "screen": {
        "count": 30_000,
        "block_size": 10_000,
        "objective": {"name": "rings", "options": {"distance": 12}, "target": ["2"]},
        "disagreement_limit": 0.07,
        "bins": 8,
    },
    "validation": {"limit": 60, "confirm": "curve", "rmse_limit": 0.15},
}


def _campaign(bumps_file, results, sections):
    values = copy.deepcopy(SETTINGS)
    values["results"] = str(results)
    values["model"] = {"name": f"{bumps_file}:Bumps", "options": {"narrowest": 2.5}}
    for name, section in sections.items():
        values[name] = {**values.get(name, {}), **section}
    return Campaign.from_dict(values)


@pytest.fixture(scope="session")
def trained_results(bumps_file, tmp_path_factory):
    """Simulate, merge and train the campaign; return its folder of results."""
    from mechscreen.stages.merge import merge
    from mechscreen.stages.simulate import simulate
    from mechscreen.stages.train import train

    campaign = _campaign(bumps_file, tmp_path_factory.mktemp("results"), {})
    for shard in range(campaign.simulations.shards):
        simulate(campaign, shard)
    merge(campaign)
    for member in range(campaign.emulators.members):
        train(campaign, member)
    return campaign.paths.root


@pytest.fixture
def trained(trained_results, bumps_file, tmp_path):
    """Return a function that makes the trained campaign, in a folder of its own, with some settings changed."""
    shutil.copytree(trained_results, tmp_path / "results" / trained_results.name)
    return lambda **sections: _campaign(bumps_file, tmp_path / "results", sections)
