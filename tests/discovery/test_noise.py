"""How large noise is: chosen by the data, stated, or given for each sample."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from mechscreen import InputError
from mechscreen.discovery import Knowledge, Polynomial, discover
from mechscreen.discovery.noise import KINDS, Spread, choose

T = np.linspace(0, 20, 200)
STATES = solve_ivp(
    lambda t, x: [x[0] * (1 - x[1]), 0.7 * x[1] * (x[0] - 1)], (0, 20), [1.5, 0.4], t_eval=T, rtol=1e-9, atol=1e-9
).y.T
TRUTH = np.zeros((2, 6))
TRUTH[0, [1, 4]], TRUTH[1, [2, 4]] = [1, -1], [-0.7, 0.7]
SIZES = {"constant": np.ones_like(STATES), "proportional": STATES, "poisson": np.sqrt(STATES)}


def observed(kind, seed, noise=0.06, states=STATES):
    return states + noise * SIZES[kind] * np.random.default_rng(seed).standard_normal(states.shape)


@pytest.mark.parametrize("kind", ["constant", "proportional"])
def test_the_kind_is_told_by_the_data_and_its_size_by_the_fit(kind):
    for seed in range(3):
        model = discover(T, observed(kind, seed), Polynomial(2))
        assert model.noise_kinds == (kind, kind)
        np.testing.assert_allclose(model.noise_factors, 0.06, rtol=0.3)
        np.testing.assert_array_equal(model.support, TRUTH != 0)
        assert model.caveats == ()
    told = "6" if kind == "constant" else " % of its value"
    assert told in next(line for line in model.summary().splitlines() if line.startswith("noise"))


def test_estimates_are_as_precise_as_the_noise_allows_and_intervals_hold():
    """Against constant weights, and against Student's t: 12 seeds of four coefficients."""
    known = Knowledge(only={"x": ["x", "x*y"], "y": ["y", "x*y"]})
    errors, plain, held = [], [], 0
    for seed in range(12):
        y = observed("proportional", seed, 0.15)
        weighted = discover(T, y, Polynomial(2), noise="proportional", knowledge=known)
        constant = discover(T, y, Polynomial(2), noise="constant", knowledge=known)
        assert (weighted.noise_kinds, constant.noise_kinds) == (("proportional",) * 2, ("constant",) * 2)
        errors.append((weighted.coefficients - TRUTH)[TRUTH != 0])
        plain.append((constant.coefficients - TRUTH)[TRUTH != 0])
        low, high = np.moveaxis(weighted.intervals(), -1, 0)
        held += int(((low <= TRUTH) & (high >= TRUTH))[TRUTH != 0].sum())
    assert np.mean(np.square(errors)) < 0.8 * np.mean(np.square(plain))
    assert held >= 41


def test_counts_have_noise_of_their_square_root():
    scale = 200
    counts = np.random.default_rng(0).poisson(scale * STATES).astype(float)
    model = discover(T, counts, Polynomial(2), noise="poisson")
    np.testing.assert_allclose(model.noise_factors, 1, rtol=0.2)
    np.testing.assert_array_equal(model.support, TRUTH != 0)
    assert "times the square root of its value" in model.summary()


def test_errors_that_are_given_weigh_each_sample():
    rng = np.random.default_rng(1)
    errors = rng.choice([0.01, 0.3], STATES.shape)
    y = STATES + errors * rng.standard_normal(STATES.shape)
    model = discover(T, y, Polynomial(2), errors=errors)
    assert model.noise_kinds == ("given", "given")
    np.testing.assert_allclose(model.noise_factors, 1, rtol=0.2)
    other = discover(T, y, Polynomial(2), noise="constant")
    assert np.abs(model.coefficients - TRUTH).max() < 0.3 * np.abs(other.coefficients - TRUTH).max()
    scaled = discover(T, y, Polynomial(2), errors=7 * errors)
    np.testing.assert_allclose(scaled.coefficients, model.coefficients, atol=1e-6)
    some = discover(T, y, Polynomial(2), errors=np.where([True, False], errors, np.nan), noise={"y": "constant"})
    assert some.noise_kinds == ("given", "constant")


def test_units_do_not_matter():
    y = observed("proportional", 0)
    one = discover(T, y, Polynomial(2))
    other = discover(T, y * [1e6, 1e-3], Polynomial(2))
    assert one.noise_kinds == other.noise_kinds
    np.testing.assert_allclose(one.noise_factors, other.noise_factors, rtol=1e-3)
    counts = observed("poisson", 0)
    one, other = (discover(T, scale * counts, Polynomial(2), noise="poisson") for scale in (1, 100))
    np.testing.assert_allclose(other.noise_factors, 10 * one.noise_factors, rtol=1e-3)


def test_a_curve_that_is_missed_is_no_noise():
    """Residuals that are large where values are, since a curve is too stiff at its peaks."""
    values = 1 + 10 * np.exp(-(((T % 5) - 2.5) ** 2) / 0.3)
    rng = np.random.default_rng(0)
    missed = 0.05 * (values - values.mean()) + 0.05 * rng.standard_normal(len(T))
    assert choose([missed], [values], smoothed=True).kind == "constant"
    noise = 0.05 * values * rng.standard_normal(len(T))
    assert choose([noise], [values], smoothed=True).kind == choose([noise], [values]).kind == "proportional"
    assert choose([np.ones(5)], [np.ones(5)]).kind == "constant"


def test_a_kind_that_smoothing_told_wrongly_is_mended_by_the_fit():
    """Few samples a period: a smooth curve misses most where values are large."""
    states = STATES[::7]
    model = discover(T[::7], states + 0.02 * np.random.default_rng(0).standard_normal(states.shape), Polynomial(2))
    assert model.noise_kinds == ("constant", "constant")


@pytest.mark.parametrize("kind", KINDS)
def test_spreads_have_a_floor(kind):
    spread = Spread(kind, 0.1)
    at = spread.at(np.array([0.0, 1.0, -1.0, 10.0]), 1.0)
    assert (at > 0).all()
    assert at[1] == pytest.approx(1, rel=0.01)
    assert at[1] == at[2]
    assert at[3] == pytest.approx({"constant": 1, "proportional": 10, "poisson": np.sqrt(10)}[kind], rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"noise": "proportionl"}, "no kind of noise 'proportionl'; did you mean 'proportional'"),
        ({"noise": {"z": "constant"}}, "no variable 'z' for a kind of noise"),
        ({"errors": np.ones((3, 2))}, "errors have shapes"),
        (
            {"errors": np.zeros_like(STATES) + np.where(T[7] == T, -1, 1)[:, None]},
            "data: the error of 'x' in row 8",
        ),
        ({"noise": "poisson", "method": "odenet"}, "takes noise to be constant"),
    ],
)
def test_noise_that_makes_no_sense_is_refused(options, message):
    with pytest.raises(InputError, match=message):
        discover(T, STATES, Polynomial(2), **options)
