"""Samplers: set i is the same whoever draws it, and what is drawn is the prior, given the constraints."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from mechscreen.errors import InputError
from mechscreen.sampling import sample_unit
from mechscreen.spaces import Parameter, ParameterSpace, Prior, Sampler, allowed_share

TIED = ParameterSpace([Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 1.0)], constraints=["a < 0.2 * b"])


@pytest.mark.parametrize("method", ["uniform", "sobol"])
@given(start=st.integers(0, 300), cut=st.integers(0, 200), more=st.integers(0, 200))
def test_sets_do_not_depend_on_how_their_numbers_are_cut(method, start, cut, more):
    sampler = Sampler(TIED, method, 7, "here")
    whole = sampler.draw(start, start + cut + more)
    parts = [sampler.draw(start, start + cut), sampler.draw(start + cut, start + cut + more)]
    for name in ("physical", "position"):
        assert np.array_equal(getattr(whole, name), np.concatenate([getattr(part, name) for part in parts]))


def test_without_constraints_sets_are_the_samplers_points():
    space = ParameterSpace([Parameter("a", 2.0, 4.0), Parameter("b", 0.0, 1.0)])
    unit = sample_unit("sobol", 5, 10, 50, 2, "here")
    assert np.array_equal(Sampler(space, "sobol", 5, "here").draw(10, 50).physical, unit * [2, 1] + [2, 0])


def test_the_first_try_stands_where_it_is_allowed():
    unit = sample_unit("uniform", 3, 0, 400, 2, "here")
    stands = unit[:, 0] < 0.2 * unit[:, 1]
    assert 0 < stands.sum() < 400
    assert np.array_equal(Sampler(TIED, "uniform", 3, "here").draw(0, 400).physical[stands], unit[stands])


def test_what_is_drawn_again_is_evenly_spread_over_what_is_allowed():
    drawn = Sampler(TIED, "uniform", 11, "here").draw(0, 20_000).physical
    assert TIED.allowed(drawn).all()
    # Over the triangle a < b/5, b has the density 2b, and a/(b/5) is uniform.
    assert stats.kstest(drawn[:, 1] ** 2, "uniform").pvalue > 1e-3
    assert stats.kstest(drawn[:, 0] / (0.2 * drawn[:, 1]), "uniform").pvalue > 1e-3
    # The tries of neighbours have nothing to do with one another.
    assert abs(np.corrcoef(drawn[:-1, 1], drawn[1:, 1])[0, 1]) < 4 / math.sqrt(len(drawn))


def test_the_share_that_is_allowed_is_known():
    allowed, tried = allowed_share(TIED)
    assert stats.binomtest(allowed, tried, 0.1).pvalue > 1e-3
    assert allowed_share(ParameterSpace([Parameter("a", 0.0, 1.0)])) == (tried, tried)


def test_rare_sets_are_found_and_hopeless_constraints_end_with_what_to_do():
    rare = ParameterSpace(TIED.parameters, constraints=["a < 0.001", "b < 0.5"])
    assert rare.allowed(Sampler(rare, "uniform", 1, "here").draw(0, 200).physical).all()
    for constraint in ("a > 2", "a < 1e-6"):
        with pytest.raises(InputError, match=rf"of 131,072 parameter sets fulfil {constraint}.*narrow the ranges"):
            allowed_share(ParameterSpace(TIED.parameters, constraints=[constraint]))


LOG = Parameter("k", 1e-3, 1e3, scale="log")
NORMAL = Parameter("x", -1.0, 2.0, prior=Prior("normal", loc=0.5, scale=1.0))
A, B = Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 1.0)


@pytest.mark.parametrize(
    ("space", "region", "share"),
    [
        (ParameterSpace([LOG]), lambda v: v[:, 0] < 0.02, math.log(0.02 / 1e-3) / math.log(1e6)),
        (
            ParameterSpace([NORMAL]),
            lambda v: v[:, 0] > 1.5,
            (stats.norm.cdf(1.5) - stats.norm.cdf(1.0)) / (stats.norm.cdf(1.5) - stats.norm.cdf(-1.5)),
        ),
        # Of the triangle a < b, the part below b = 0.3.
        (ParameterSpace([A, B], constraints=["a < b"]), lambda v: v[:, 1] < 0.3, 0.09),
    ],
    ids=["log-uniform", "normal", "constrained"],
)
@pytest.mark.parametrize("method", ["uniform"])
def test_the_prevalence_of_a_known_region_lies_in_its_interval_for_at_least_180_of_200_seeds(
    space, region, share, method
):
    within = 0
    for seed in range(200):
        found = int(region(Sampler(space, method, seed, "screen").draw(0, 2000).physical).sum())
        interval = stats.binomtest(found, 2000).proportion_ci(method="wilson")
        within += interval.low <= share <= interval.high
    assert within >= 180
