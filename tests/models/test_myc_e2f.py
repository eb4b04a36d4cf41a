"""The MYC/E2F model as people use it: parameters, grids, densities, and what has none."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from mechscreen import InputError, get_model
from mechscreen.models import Status
from mechscreen.models.myc_e2f import MycE2FModel
from mechscreen.models.myc_e2f_parameters import CORE, PARAMETERS, VARIABLES
from mechscreen.sampling import sample_unit

MODEL = MycE2FModel(trajectories=400, end_time=10.0)
NOMINAL = MycE2FModel(vary=[]).space.low


def rows(count: int) -> np.ndarray:
    return MODEL.space.physical(sample_unit("uniform", 11, 0, count, len(PARAMETERS), "test"))


def changed(**values: float) -> np.ndarray:
    row = NOMINAL.copy()
    for name, value in values.items():
        row[PARAMETERS.index(name)] = value
    return row[None]


def test_is_registered_under_its_name():
    assert type(get_model("myc_e2f")) is MycE2FModel


def test_has_43_parameters_of_which_the_24_core_ones_vary_over_a_factor_of_five_to_either_side():
    assert len(MODEL.space) == 43
    varied = [MODEL.space.names[j] for j in MODEL.space.varied]
    assert len(varied) == 24
    assert set(varied) == set(CORE)
    assert (MODEL.space["kRE"].low, MODEL.space["kRE"].high) == pytest.approx((36, 900))
    assert MODEL.space["KR"].low == MODEL.space["KR"].high == 100


def test_any_subset_of_the_parameters_varies():
    everything = get_model("myc_e2f", vary="all").space
    assert everything.varied == tuple(range(43))
    assert (everything["kAFb"].low, everything["kAFb"].high) == (0.001, 0.035)
    few = get_model("myc_e2f", vary=["KR", "kMC"]).space
    assert {few.names[j] for j in few.varied} == {"KR", "kMC"}
    # A normalised value means the same whatever varies.
    np.testing.assert_allclose(few.normalise(NOMINAL[None]), everything.normalise(NOMINAL[None]))


def test_time_of_a_simulation_follows_from_trajectories_and_steps():
    # 0.4 s for 10,000 trajectories of 50 h (docs/measured/myc-e2f-model.md).
    assert MycE2FModel().seconds == pytest.approx(0.4, rel=0.1)
    assert MycE2FModel(trajectories=1000).seconds == pytest.approx(MycE2FModel().seconds / 10)
    assert MycE2FModel(step=0.001, scheme="reference").seconds == pytest.approx(4, rel=0.1)


def test_densities_stand_on_the_published_grids():
    ends = {o.name: o.grid[-1] for o in MODEL.outputs}
    assert list(ends.values()) == [50, 80, 100, 20, 30, 100, 300, 300, 20, 10]
    for output in MODEL.outputs:
        grid = output.grid
        q = min(2, grid[-1] / 10)
        assert grid.shape == (1000,)
        np.testing.assert_allclose(grid[[0, 99, 100, 999]], [0, 0.99 * q, q, grid[-1]])
        assert (np.diff(grid) > 0).all()


def test_profiles_are_the_densities_of_what_trajectories_end_with():
    model = MycE2FModel(trajectories=2000)
    result = model.simulate(NOMINAL[None], seeds=[5])
    assert result.status[0] == Status.OK
    ends = model.concentrations(NOMINAL, 5)
    assert ends.shape == (10, 2000)
    for name in ("MC", "EFm", "EFp"):
        k = list(VARIABLES).index(name)
        expected = gaussian_kde(ends[k], "silverman")(model.outputs[k].grid)
        np.testing.assert_allclose(np.exp(result.log_peaks[0, k]), expected.max(), rtol=1e-3)
        np.testing.assert_allclose(result.profiles[0, k], expected / expected.max(), atol=1e-3)


def test_random_parameter_sets_have_densities_that_their_grids_resolve():
    result = MODEL.simulate(rows(40))
    assert (result.status == Status.OK).all()
    spacing = np.array([np.gradient(output.grid) for output in MODEL.outputs])
    mass = (result.profiles * spacing).sum(axis=2) * np.exp(result.log_peaks)
    assert (mass < 2.1).all()
    # Kernels at zero lie half outside.
    assert np.mean(mass > 0.45) > 0.99


def test_a_row_depends_on_its_own_parameters_and_seed_alone():
    values, seeds = rows(6), np.arange(10, 16)
    together = MODEL.simulate(values, seeds=seeds)
    order = [3, 0, 5, 1, 4, 2]
    shuffled = MODEL.simulate(values[order], seeds=seeds[order])
    np.testing.assert_array_equal(shuffled.profiles, together.profiles[order])
    np.testing.assert_array_equal(MODEL.simulate(values[2:3], seeds=[12]).profiles[0], together.profiles[2])
    assert not np.array_equal(MODEL.simulate(values[2:3], seeds=[13]).profiles[0], together.profiles[2])


def test_a_variable_without_spread_has_a_status_and_a_reason():
    still = MycE2FModel(trajectories=100, end_time=5.0, intrinsic=0.0, extrinsic=0.0)
    result = still.simulate(changed(kMC=0.0, kS=0.0))
    assert result.status[0] == Status.FLAT
    assert "MC is 0 µM in every trajectory: it has no density" in result.reasons[0]
    assert np.isnan(result.profiles[0]).all()


def test_a_variable_beyond_its_grid_has_a_status_and_a_reason():
    result = MODEL.simulate(changed(kMC=100.0))
    assert result.status[0] == Status.FLAT
    assert "MC is beyond its grid, 50 µM, in most trajectories" in result.reasons[0]


def test_a_variable_that_noise_keeps_at_zero_has_a_density_there():
    result = MODEL.simulate(changed(kMC=0.0, kS=0.0, kEFm=0.0, kb=0.0))
    assert result.status[0] == Status.OK
    assert (result.profiles[0, :3].argmax(axis=1) <= 1).all()


def test_numbers_too_large_for_the_arithmetic_are_a_status_too():
    result = MODEL.simulate(changed(kMC=1e38, kAFMC=0.0))
    assert result.status[0] in (Status.NOT_FINITE, Status.FLAT)
    assert result.reasons[0].startswith("MC is ")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kRE": -1.0}, "kRE = -1 must be zero or more"),
        ({"KAFR": -1.0}, "KAFR = -1 must be zero or more"),
        ({"KMC": 0.0}, "KMC = 0 must be positive"),
    ],
)
def test_parameters_without_physical_meaning_get_a_reason(values, message):
    result = MODEL.simulate(np.vstack([changed(**values), NOMINAL]))
    assert result.status.tolist() == [Status.NOT_FINITE, Status.OK]
    assert result.reasons == (message, "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"vary": "most"}, "must be 'core', 'all' or a list"),
        ({"vary": None}, "vary is None; it must be 'core', 'all' or a list"),
        ({"vary": {"kMC": 1}}, "it must be 'core', 'all' or a list"),
        ({"step": "1e-3"}, "step is '1e-3'; it must be a number, such as 0.001 without quotes"),
        ({"intrinsic": None}, "intrinsic is None; it must be a number"),
        ({"trajectories": 2**32}, "it must be a whole number from 2 to 2\\^32"),
        ({"step": 1e-9}, "more than 2\\^32 − 1 steps of 1e-09 h"),
        ({"end_time": 1e308}, "more than 2\\^32 − 1 steps"),
        ({"vary": ["kMX"]}, "no parameter 'kMX'; did you mean 'kMC'"),
        ({"scheme": "explicit"}, "must be 'implicit' or 'reference'"),
        ({"trajectories": 1}, "whole number from 2 to"),
        ({"trajectories": 1e4}, "whole number from 2 to"),
        ({"step": 0.0}, "step is 0.0; it must be a positive"),
        ({"step": 0.03}, "not a whole number of steps"),
        ({"intrinsic": -5.0}, "a variance is zero or more"),
    ],
)
def test_an_impossible_option_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        get_model("myc_e2f", **options)
