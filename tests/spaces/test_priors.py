"""Priors, against SciPy's own distributions and analytic probabilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mechscreen.errors import InputError
from mechscreen.spaces import Prior

U = (np.arange(2000) + 0.5) / 2000

CUT = [
    (Prior("normal", loc=1.0, scale=0.5), stats.truncnorm(-2, 4, loc=1.0, scale=0.5), (0.0, 3.0)),
    (Prior("normal", loc=0.0, scale=1.0), stats.truncnorm(6, 8, loc=0.0, scale=1.0), (6.0, 8.0)),
    (Prior("loguniform"), stats.loguniform(1e-3, 1e2), (1e-3, 1e2)),
    (Prior("uniform"), stats.uniform(-1, 4), (-1.0, 3.0)),
]


@pytest.mark.parametrize(("prior", "expected", "ends"), CUT, ids=["normal", "tail", "loguniform", "uniform"])
def test_quantiles_are_those_of_scipys_distribution_of_that_range(prior, expected, ends):
    assert prior.quantile(U, *ends) == pytest.approx(expected.ppf(U), rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("prior", "whole"),
    [
        (Prior("lognormal", s=0.7, scale=2.0), stats.lognorm(0.7, scale=2.0)),
        (Prior("beta", a=2.0, b=5.0), stats.beta(2.0, 5.0)),
        (Prior("gamma", a=3.0, scale=0.5, loc=0.1), stats.gamma(3.0, loc=0.1, scale=0.5)),
    ],
    ids=["lognormal", "beta", "gamma"],
)
def test_a_distribution_cut_to_a_range_has_the_shares_of_the_whole_one_between(prior, whole):
    low, high = 0.3, 0.9
    values = prior.quantile(U, low, high)
    assert (values >= low).all()
    assert (values <= high).all()
    expected = (whole.cdf(0.5) - whole.cdf(low)) / (whole.cdf(high) - whole.cdf(low))
    assert np.mean(values < 0.5) == pytest.approx(expected, abs=1e-3)
    assert prior.mass(low, high) == pytest.approx(whole.cdf(high) - whole.cdf(low))


@pytest.mark.parametrize(("prior", "expected", "ends"), CUT, ids=["normal", "tail", "loguniform", "uniform"])
def test_shares_are_those_of_scipys_distribution_of_that_range(prior, expected, ends):
    values = expected.ppf(U)
    assert prior.share(values, *ends) == pytest.approx(expected.cdf(values), rel=1e-6, abs=1e-9)


@given(st.floats(0, 1, exclude_max=True), st.floats(-50, 50), st.floats(0.01, 20))
def test_no_quantile_leaves_the_range(u, low, width):
    prior = Prior("normal", loc=0.0, scale=10.0)
    value = prior.quantile(np.array([u]), low, low + width)[0]
    assert low <= value <= low + width


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "norm"}, "no prior 'norm'; did you mean 'normal'"),
        ({"name": "lognormal"}, "lognormal: needs argument 's'"),
        ({"name": "normal", "s": 1.0}, "normal: takes no argument 's'"),
        ({"name": "beta", "a": 1.0, "b": -1.0}, "b = -1 is not positive"),
        ({"name": "normal", "scale": 0.0}, "scale must be positive"),
        ({"name": "loguniform", "loc": 2.0}, "takes no loc and scale"),
    ],
)
def test_arguments_that_are_none_are_named(arguments, message):
    with pytest.raises(InputError, match=message):
        Prior(**arguments)
