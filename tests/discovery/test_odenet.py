"""ODENet: windows, learned noise, thresholds; the same answers as the default method where the data are good."""

import numpy as np
import pytest

from discovery_study.cases import get_case
from mechscreen import InputError
from mechscreen.discovery import Knowledge, Polynomial, discover, odenet

CASE = get_case("cycle")
KNOWLEDGE = Knowledge(exclude=[("x", "x^2")])


@pytest.fixture(scope="module")
def data():
    """Unequal steps, and a tenth of the values missing."""
    t, y = CASE.observe(0, step=0.1)
    rng = np.random.default_rng(0)
    kept = np.sort(rng.choice(len(t), size=280, replace=False))
    t, y = t[kept], y[kept]
    y[rng.random(y.shape) < 0.1] = np.nan
    return t, y


@pytest.fixture(scope="module")
def cycle(data):
    return discover(*data, method="odenet", knowledge=KNOWLEDGE)


def test_the_true_terms_are_found_and_the_noise_is_learned(data, cycle):
    truth = CASE.coefficients()
    assert np.array_equal(cycle.support, truth != 0), cycle.equations()
    used = truth != 0
    assert np.abs((cycle.coefficients - truth)[used] / truth[used]).max() < 0.02
    _, states = CASE.solution(0.1)
    np.testing.assert_allclose(cycle.noise, CASE.noise_levels(states), rtol=0.15)
    # Denoising: much closer to the truth than the data are.
    exact = states[np.round(data[0] / 0.1).astype(int)]
    distance = np.sqrt(((cycle.denoised[0] - exact) ** 2).mean(axis=0))
    assert (distance < 0.5 * CASE.noise_levels(states)).all()


def test_the_model_says_the_method(cycle):
    assert cycle.method == cycle.to_dict()["method"] == "odenet"


def test_no_interval_is_claimed(cycle):
    assert np.isnan(cycle.standard_errors[cycle.support]).all()
    assert (cycle.standard_errors[~cycle.support] == 0).all()
    assert "no interval" in cycle.summary()
    assert cycle.to_dict()["coefficients"][0]["standard_error"] is None


def test_the_same_data_give_the_same_coefficients_whatever_was_trained_before(data, cycle, monkeypatch):
    monkeypatch.setattr(odenet, "STEPS", 20)
    first, again = (discover(*data, method="odenet", knowledge=KNOWLEDGE).coefficients for _ in range(2))
    np.testing.assert_allclose(again, first, rtol=1e-3)
    assert not np.allclose(first, cycle.coefficients, rtol=1e-3)


@pytest.mark.parametrize(
    ("library", "method", "message"),
    [
        (Polynomial(2, ["sin(x)"]), "odenet", "integrates monomials alone"),
        (Polynomial(2), "odenot", r"no method 'odenot'; did you mean 'odenet'\? \(valid: collocation, odenet\)"),
    ],
)
def test_what_it_cannot_do_is_refused(library, method, message):
    with pytest.raises(InputError, match=message):
        discover(*CASE.observe(0, step=0.5), library=library, method=method)
