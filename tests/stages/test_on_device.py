"""Screens as one compiled program, in a process of their own, since one process runs Keras on one library alone."""

import re
import shutil

import numpy as np
import pytest
import yaml

from mechscreen import odds
from mechscreen.schemas.calibration import CalibrationFile
from mechscreen.schemas.screen import ScreenBlock
from mechscreen.stages.calibrate import calibrate
from mechscreen.stages.provenance import provenance

pytest.importorskip("jax")

RUN = """
import sys
from pathlib import Path
from mechscreen.campaign import Campaign, read_mapping
from mechscreen.emulators.quiet_keras import keras
from mechscreen.stages import screen

assert keras.backend.backend() == "jax"
screen.BATCH = 4096
for path in sys.argv[1:]:
    screen.screen_block(Campaign.from_dict(read_mapping(Path(path))), 0)
"""

THIRDS = {"options": {"classes": ["low", "middle", "high"]}, "target": ["high"]}
OWN = """
def thirds_in_arrays(profiles, log_peaks):
    xp = log_peaks.__array_namespace__()
    return xp.astype(log_peaks[:, 0] > 1.9, xp.int64) + xp.astype(log_peaks[:, 0] > 2.6, xp.int64)
"""


@pytest.fixture
def screens(trained, tmp_path, on_jax):
    """Return a function that screens a block by the device and by Keras, and returns both."""
    own = tmp_path / "own_thirds.py"
    own.write_text(OWN)

    def run(**sections):
        blocks, files = [], []
        for backend in ("device", "keras"):
            campaign = trained(emulators={"backend": backend}, **sections)
            campaign = campaign.model_copy(update={"results": str(tmp_path / backend)})
            shutil.copytree(tmp_path / "results", tmp_path / backend)
            if campaign.asks_probabilities:
                # The same for both.
                found = CalibrationFile.read(calibrate(trained(**sections)))
                found.write(campaign.paths.calibrated, provenance(campaign, "calibration"))
            path = tmp_path / f"{backend}.yaml"
            path.write_text(yaml.safe_dump(campaign.model_dump(mode="json")))
            files.append(str(path))
            blocks.append(campaign)
        (tmp_path / "run.py").write_text(RUN)
        ran = on_jax(tmp_path / "run.py", *files)
        read = [ScreenBlock.read(campaign.paths.block(0), campaign.identity("screen")) for campaign in blocks]
        return *read, ran.stderr

    run.own = own
    return run


def assert_same(block, expected):
    for name in ("classes", "trusted", "planes", "disagreement_levels", "audit"):
        np.testing.assert_array_equal(getattr(block, name), getattr(expected, name), err_msg=name)
    for name in ("index", "labels", "parameters"):
        np.testing.assert_array_equal(getattr(block.hits, name), getattr(expected.hits, name), err_msg=name)
    for name in ("disagreement", "profiles", "log_peaks"):
        np.testing.assert_allclose(getattr(block.hits, name), getattr(expected.hits, name), atol=2e-6, err_msg=name)
    assert (block.totals.backend, expected.totals.backend) == ("device", "keras")


def test_a_block_by_the_device_is_the_one_by_keras(screens):
    block, expected, _ = screens(screen={"hits_per_block": 150})
    assert block.classes.sum() == 10_000
    assert len(block.hits.index) == 150 < block.trusted[2]
    assert_same(block, expected)


def test_a_cascade_with_a_function_that_takes_numpy_alone_is_the_same_and_says_what_it_asks_for(screens, bumps_file):
    objective = {"name": f"{bumps_file}:thirds", **THIRDS}
    block, expected, told = screens(screen={"mode": "cascade", "objective": objective})
    assert block.audit[0] > 20
    assert_same(block, expected)
    assert "screen: classes are told by the processor, since the objective takes NumPy's arrays alone" in told


@pytest.mark.parametrize("objective", ["built-in", "by NumPy"])
def test_hits_by_probability_are_the_same(screens, bumps_file, objective):
    own = {"objective": {"name": f"{bumps_file}:thirds", **THIRDS}} if objective == "by NumPy" else {}
    block, expected, told = screens(
        calibration={"count": 600, "candidates": 10_000}, screen={"hits_per_block": 150, **own}
    )
    assert_same(block, expected)
    np.testing.assert_array_equal(block.probable, expected.probable)
    np.testing.assert_array_equal(block.drawn_index, expected.drawn_index)
    np.testing.assert_array_equal(block.drawn_levels, expected.drawn_levels)
    np.testing.assert_allclose(block.hits.probability, expected.hits.probability, atol=1e-4)
    assert 150 < len(block.hits.index) < block.probable[:, odds.LIKELY :].sum()
    assert ("by the processor" in told) == (objective == "by NumPy")


def test_a_function_of_the_array_api_runs_on_the_device(screens):
    block, expected, told = screens(screen={"objective": {"name": f"{screens.own}:thirds_in_arrays", **THIRDS}})
    assert_same(block, expected)
    assert "by the processor" not in told


@pytest.mark.slow
def test_ranks_on_a_node_take_a_card_each_and_make_the_same_block(trained, tmp_path, mpiexec, monkeypatch):
    # Processors stand in for two cards.
    monkeypatch.setenv("XLA_FLAGS", "--xla_force_host_platform_device_count=2")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    blocks = []
    for ranks in (1, 2):
        campaign = trained(emulators={"backend": "device"})
        campaign = campaign.model_copy(update={"results": str(tmp_path / f"by-{ranks}")})
        shutil.copytree(tmp_path / "results", tmp_path / f"by-{ranks}")
        path = tmp_path / f"by-{ranks}.yaml"
        path.write_text(yaml.safe_dump(campaign.model_dump(mode="json")))
        code = (
            "import jax, sys; from mechscreen.stages import on_device; made = on_device.make_program\n"
            "def make(*given):\n"
            "    print('card', jax.config.jax_default_device.id, flush=True)\n"
            "    return made(*given)\n"
            "on_device.make_program = make\n"
            "from mechscreen.cli import cli; cli()\n"
        )
        options = ["screen", "--config", path, "--block", 0, "--ranks", ranks]
        process = mpiexec(ranks, "-c", code, *options)
        said, told = process.communicate(timeout=300)
        assert process.returncode == 0, told
        # What two ranks print may end up on one line.
        assert sorted(re.findall(r"card \d", said)) == ["card 0", "card 1"][:ranks]
        blocks.append(ScreenBlock.read(campaign.paths.block(0), campaign.identity("screen")))
    assert blocks[0].totals.backend == "device"
    for name in ("classes", "trusted", "planes", "disagreement_levels"):
        np.testing.assert_array_equal(getattr(blocks[0], name), getattr(blocks[1], name), err_msg=name)
    for name in ("index", "parameters", "profiles"):
        np.testing.assert_array_equal(getattr(blocks[0].hits, name), getattr(blocks[1].hits, name), err_msg=name)
