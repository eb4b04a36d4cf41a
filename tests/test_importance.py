"""Importance of parameters, against indices that are known in closed form, under priors; and against SciPy."""

import numpy as np
import pytest
from scipy import stats

from mechscreen.importance import _pages, influences, sobol_indices
from mechscreen.models import Parameter, ParameterSpace
from mechscreen.spaces import Prior


def of(space, *functions):
    """Return the influences on functions of the values of the parameters."""

    def quantities(physical):
        return np.column_stack([np.broadcast_to(f(*physical.T), len(physical)) for f in functions])

    return influences(space, quantities, seed=3, repeats=8, points=1024)


def assert_close(estimate, expected, quantity=0, most=0.02):
    """See that estimates are what they should be by their own errors, and are not far off."""
    difference = estimate.mean[quantity] - np.asarray(expected)
    assert (np.abs(difference) <= 5 * estimate.error[quantity] + 1e-3).all()
    assert np.abs(difference).max() < most


def test_ishigami_has_its_indices_under_uniform_priors():
    # Ishigami & Homma (1990), a = 7, b = 0.1; indices as in Saltelli et al. (2008), Global Sensitivity Analysis, 4.6.
    a, b, pi = 7.0, 0.1, np.pi
    space = ParameterSpace([Parameter(name, -pi, pi) for name in "xyz"])
    found = of(space, lambda x, y, z: np.sin(x) + a * np.sin(y) ** 2 + b * z**4 * np.sin(x))
    first = 0.5 * (1 + b * pi**4 / 5) ** 2
    second = a**2 / 8
    joint = 8 * b**2 * pi**8 / 225
    variance = first + second + joint
    assert_close(found.first, np.array([first, second, 0]) / variance)
    assert_close(found.total, np.array([first + joint, second, joint]) / variance)
    # Symmetric in y and z: no way along them, though y explains most after x.
    assert np.abs(found.correlation.mean[0, 1:]).max() < 0.05


def test_a_sum_shares_its_variance_as_its_terms_do_under_priors():
    # V[log x] = (ln 10^4)² / 12 for decades drawn evenly; a normal prior cut at 8 deviations is one that is not cut.
    space = ParameterSpace(
        [
            Parameter("decades", 1e-2, 1e2, scale="log"),
            Parameter("even", 0.0, 6.0),
            Parameter("bell", -16.0, 16.0, prior=Prior("normal", 0.0, 2.0)),
            Parameter("by_decades", 1.0, 100.0, prior=Prior("loguniform")),
            Parameter("held", 3.0, 3.0),
        ]
    )
    found = of(space, lambda x, y, z, w, held: np.log(x) + y - 1.5 * z + np.log(w) + held)
    variances = np.array([np.log(1e4) ** 2 / 12, 3.0, 1.5**2 * 4, np.log(1e2) ** 2 / 12])
    assert_close(found.first, variances / variances.sum())
    assert_close(found.total, variances / variances.sum())
    assert np.sign(found.correlation.mean[0]).tolist() == [1, 1, -1, 1]


def test_a_lognormal_product_has_the_indices_of_its_logarithms():
    # x y with V[ln x] = s², V[ln y] = t²: 1 + CV² = exp(s²), so S₁ = (e^s² − 1) / (e^(s²+t²) − 1) (x alone).
    s, t = 0.2, 0.4
    space = ParameterSpace(
        [Parameter(name, 1e-3, 1e3, scale="log", prior=Prior("lognormal", s=w)) for name, w in (("x", s), ("y", t))]
    )
    found = of(space, lambda x, y: x * y)
    whole = np.expm1(s**2 + t**2)
    first = np.expm1(np.array([s**2, t**2])) / whole
    assert_close(found.first, first, most=0.04)
    assert_close(found.total, 1 - first[::-1], most=0.04)


def test_indices_are_those_of_scipy():
    space = ParameterSpace([Parameter("x", 0.0, 1.0), Parameter("y", 0.0, 1.0), Parameter("z", 0.0, 1.0)])

    def function(x, y, z):
        return np.array([x * y + z, np.exp(x - y)])

    pages = _pages(space, np.random.default_rng([3, 0]), 256)
    values = np.array([function(*page.T).T for page in pages])
    expected = stats.sobol_indices(
        func=lambda x: function(*x), n=256, dists=[stats.uniform()] * 3, rng=np.random.default_rng([3, 0])
    )
    np.testing.assert_allclose(sobol_indices(values), [expected.first_order, expected.total_order], rtol=1e-9)


def test_rank_correlation_is_that_of_known_ranks():
    # A monotone function of x alone has 1; for a sum of two alike ones, Spearman's of (U, U + V) is known by numbers.
    space = ParameterSpace([Parameter("x", 1e-3, 1e3, scale="log"), Parameter("y", 1e-3, 1e3, scale="log")])
    found = of(space, lambda x, y: -(x**3), lambda x, y: x * y)
    assert_close(found.correlation, [-1, 0])
    u = np.random.default_rng(1).random((2, 400_000))
    expected = stats.spearmanr(u[0], u.sum(axis=0)).statistic
    assert_close(found.correlation, [expected, expected], quantity=1)


def test_of_what_not_every_set_has_there_are_no_shares_but_ranks_of_the_rest():
    space = ParameterSpace([Parameter("x", 0.0, 1.0), Parameter("y", 0.0, 1.0)])
    found = of(space, lambda x, y: np.where(x > 0.25, 2 * x - y, np.nan), lambda x, y: x)
    assert found.undefined == pytest.approx([0.25, 0], abs=0.01)
    for estimate in (found.first, found.total):
        assert np.isnan(estimate.mean[0]).all()
        np.testing.assert_allclose(estimate.mean[1], [1, 0], atol=0.02)
    u = np.random.default_rng(1).random((2, 400_000))
    x, y = u[:, u[0] > 0.25]
    expected = [stats.spearmanr(values, 2 * x - y).statistic for values in (x, y)]
    assert_close(found.correlation, expected)


def test_a_set_that_lacks_it_once_is_enough_to_give_no_share():
    space = ParameterSpace([Parameter("x", 0.0, 1.0), Parameter("y", 0.0, 1.0)])
    pages = _pages(space, np.random.default_rng(0), 64)
    values = np.array([page[:, :1] + page[:, 1:] for page in pages])
    values[3, 17] = np.nan
    assert np.isnan(sobol_indices(values)).all()


def test_what_does_not_vary_is_decided_by_nothing():
    space = ParameterSpace([Parameter("x", 0.0, 1.0), Parameter("y", 0.0, 1.0)])
    found = of(space, lambda x, y: 0.1, lambda x, y: np.nan, lambda x, y: 5 + 1e-9 * x)
    for estimate in (found.first, found.total, found.correlation):
        assert np.isnan(estimate.mean).all()
    assert found.undefined.tolist() == [0, 1, 0]


def test_under_constraints_there_are_ranks_of_the_sets_that_are_allowed_and_no_shares():
    parameters = [Parameter("x", 0.0, 1.0), Parameter("y", 0.0, 1.0)]
    found = of(ParameterSpace(parameters, constraints=["x < y"]), lambda x, y: x)
    assert np.isnan(found.first.mean).all()
    assert np.isnan(found.total.mean).all()
    # Of order statistics of two, Spearman's correlation; x alone decides, and y goes with it all the same.
    u = np.sort(np.random.default_rng(1).random((400_000, 2)), axis=1)
    assert_close(found.correlation, [1, stats.spearmanr(u).statistic])


def test_categories_without_an_order_have_no_way_along_them_but_a_share():
    space = ParameterSpace([Parameter("kind", 0, 2, categories=("a", "b", "c")), Parameter("x", 0.0, 1.0)])
    found = of(space, lambda kind, x: np.where(kind == 1, 1.0, 0.0) + x)
    assert np.isnan(found.correlation.mean[0, 0])
    assert found.correlation.mean[0, 1] > 0.3
    variances = np.array([2 / 9, 1 / 12])
    assert_close(found.first, variances / variances.sum())
