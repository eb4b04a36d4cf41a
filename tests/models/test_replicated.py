"""Replicates of stochastic models: means and standard errors, against theory."""

import numpy as np
import pytest

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution, get_model
from mechscreen.errors import InputError
from mechscreen.models import Outputs, Status
from mechscreen.models.conditioned import Conditioned
from mechscreen.models.replicated import Replicated, error_places, noise

GRID = np.linspace(0.0, 1.0, 4)


class Noisy(Model):
    """Normal numbers around (m, 2 m, 3 m, 4 m) with the deviation s, and a lognormal one; NaN by chance `fails`."""

    name, version, isolated = "noisy-in-replicates", "1", False
    space = ParameterSpace([Parameter("m", 1.0, 50.0), Parameter("s", 0.0, 1.0), Parameter("fails", 0.0, 1.0)])
    outputs = (Output("y", GRID, unit="nM", floor=1e-9), Output("z", scale="log"))

    def solve(self, parameters, seeds):
        y, z, reasons = [], [], []
        for (m, s, fails), seed in zip(parameters, seeds, strict=True):
            rng = np.random.default_rng(int(seed))
            failed = rng.random() < fails
            y.append(np.full(4, np.nan) if failed else m * np.arange(1, 5) + s * rng.normal(size=4))
            z.append(np.exp(0.1 * rng.normal()))
            reasons.append("was unlucky" if failed else "")
        return Solution({"y": np.array(y), "z": np.array(z)}, reasons)


def by_name(model, parameters, **how):
    found = model.simulate(parameters, **how)
    return found, Outputs(model.outputs).by_name(found.profiles, found.log_peaks)


def test_outputs_are_the_means_and_their_standard_errors():
    n, replicates = 400, 25
    model = Replicated(Noisy(), replicates)
    assert [output.name for output in model.outputs] == ["y", "z", "error of y", "error of z"]
    assert [output.compare for output in model.outputs] == ["values", "values", "nothing", "nothing"]
    assert (model.outputs[2].unit, model.seconds) == ("nM", 25.0)
    _, found = by_name(model, np.tile([40.0, 0.5, 0.0], (n, 1)))
    error = 0.5 / np.sqrt(replicates)
    # The scatter of means over samples is what each sample's own error says, and what theory does.
    assert found["y"].std(axis=0) == pytest.approx([error] * 4, rel=0.15)
    assert np.sqrt(np.square(found["error of y"]).mean(axis=0)) == pytest.approx([error] * 4, rel=0.05)
    assert found["y"].mean(axis=0) == pytest.approx(40 * np.arange(1, 5), abs=5 * error / np.sqrt(n))


def test_a_sample_is_the_same_whatever_stands_beside_it_and_replicates_differ():
    model = Replicated(Noisy(), 3)
    rows = np.array([[5.0, 1.0, 0.0], [9.0, 0.5, 0.0], [20.0, 0.1, 0.3]])
    together = model.simulate(rows, seeds=[4, 5, 6]).profiles
    alone = [model.simulate(rows[[i]], seeds=[4 + i]).profiles[0] for i in range(3)]
    np.testing.assert_array_equal(together, alone)
    assert (Outputs(model.outputs).of(together, 2)[:2] > 0).all()


def test_one_replicate_that_fails_fails_the_sample_and_is_named():
    model = Replicated(Noisy(), 10)
    found, _ = by_name(model, np.column_stack([np.full(40, 9.0), np.full(40, 0.1), np.repeat([0.0, 0.15], 20)]))
    assert (found.status[:20] == Status.OK).all()
    failed = found.status[20:] == Status.NOT_FINITE
    assert 10 < failed.sum() < 20  # 16 of 20 by chance
    reasons = {reason for reason in found.reasons if reason}
    assert reasons <= {f"replicate {k}: was unlucky" for k in range(1, 11)}
    assert len(reasons) > 2


class DiesOut(Model):
    """Nothing at all with the probability p, else 1; without a floor."""

    name, version, isolated = "dies-out-in-replicates", "1", False
    space = ParameterSpace([Parameter("p", 0.0, 1.0)])
    outputs = (Output("y", GRID),)

    def solve(self, parameters, seeds):
        alive = np.array([np.random.default_rng(int(seed)).random() for seed in seeds]) > parameters[:, 0]
        return Solution(np.repeat(alive.astype(float), 4).reshape(-1, 1, 4))


def test_a_replicate_without_a_signal_counts_for_the_mean():
    _, found = by_name(Replicated(DiesOut(), 1000), [[0.7]])
    assert found["y"][0] == pytest.approx(0.3, abs=0.05)
    assert found["error of y"][0] == pytest.approx(np.sqrt(0.3 * 0.7 / 1000), rel=0.1)


def test_replicates_of_conditions_have_errors_of_each():
    model = Replicated(Conditioned(Noisy(), {"wild": {}, "calm": {"s": 0}}), 4)
    assert [output.name for output in model.outputs][4:6] == ["error of wild.y", "error of wild.z"]
    _, found = by_name(model, [[9.0, 0.5, 0.0]])
    assert (found["error of wild.y"] > 0).all()
    assert (found["error of calm.y"] == 0).all()


def test_a_deterministic_model_has_no_replicates():
    with pytest.raises(InputError, match="the model 'pattern' is deterministic"):
        Replicated(get_model("pattern"), 3)
    with pytest.raises(InputError, match="needs two at least"):
        Replicated(Noisy(), 1)


def test_noise_is_that_of_the_means_in_units_of_the_distance():
    model = Replicated(Noisy(), 16)
    outputs = Outputs(model.outputs)
    assert error_places(outputs) == {0: 2, 1: 3}
    found = model.simulate(np.tile([40.0, 0.8, 0.0], (2000, 1)))
    # Of z, the logarithm's deviation is 0.1; of y, the peak is 160.
    for k, expected in ((0, 0.8 / 4 / 160), (1, 0.1 / 4)):
        told = noise(outputs, found.profiles, found.log_peaks, k, 2 + k)
        assert np.sqrt(np.square(told).mean()) == pytest.approx(expected, rel=0.03)
