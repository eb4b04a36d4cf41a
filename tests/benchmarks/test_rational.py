"""Rational systems: they solve, and what is right of a model is told from what is not."""

from dataclasses import replace

import numpy as np
import pytest

from discovery_study.fitting import library_of
from discovery_study.formula import Formulas
from discovery_study.rational import SAMPLES, SYSTEMS, TRAJECTORIES, judge, measure
from mechscreen import InputError
from mechscreen.discovery import discover


@pytest.mark.parametrize("name", SYSTEMS)
def test_five_trajectories_move_and_have_noise_of_one_percent_of_the_range(name):
    system = SYSTEMS[name]
    assert (system.dynamics.kind, system.dynamics.degree) == ("rational", None)
    (_, exact), data, again = system.trajectories(3), system.observe(3), system.observe(3)
    assert len(data.y) == TRAJECTORIES
    for y, x, other in zip(data.y, exact, again.y, strict=True):
        assert y.shape == (SAMPLES, len(system.dynamics.variables))
        np.testing.assert_array_equal(y, other)
        assert (np.ptp(x, axis=0) > 0.05 * np.abs(x).max(axis=0)).all()
    off = np.concatenate(data.y) - np.concatenate(exact)
    np.testing.assert_allclose(off.std(axis=0), 0.01 * np.ptp(np.concatenate(exact), axis=0), rtol=0.15)


def test_the_same_fraction_with_other_numbers_is_right_and_a_polynomial_is_not():
    system = SYSTEMS["michaelis-menten"]
    assert judge(system, Formulas(("s",), ("-1.4*s/(0.55 + s)",)))["right"]
    assert not judge(system, Formulas(("s",), ("-1.4*s + 0.3*s^2",)))["right"]


def test_intervals_of_inner_parameters_are_counted_where_a_model_has_them():
    system = SYSTEMS["michaelis-menten"]
    assert judge(system, Formulas(("s",), ("-1.5*s/(0.6 + s)",))) == {"right": True, "inner": 0, "covered": 0}
    data = system.observe(0)
    model = discover(list(data.t), list(data.y), library_of("hill"), names=data.names)
    assert judge(system, model) == {"right": True, "inner": 1, "covered": 1}
    far = replace(model, unknown_errors=1e-9 * model.unknown_errors)
    assert judge(system, far) == {"right": True, "inner": 1, "covered": 0}


def test_a_library_of_monomials_is_measured_and_a_system_that_is_not_there_refused():
    row = measure("michaelis-menten", 0, method="collocation", library="degree 3", limit=60)
    assert row["system"] == "michaelis-menten"
    assert not row.get("right")
    with pytest.raises(InputError, match="did you mean 'hill-4'"):
        measure("hill-3", 0, method="collocation", library="degree 3", limit=60)
