"""What a stratified sample says, against exact intervals, planted populations and brute force."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from mechscreen.strata import (
    Strata,
    agree,
    allocate,
    precision,
    prevalence,
    rates_by_counts,
    rates_if_calibrated,
    recall,
)


def strata(sizes, looked, found):
    return Strata(*(np.array(values, dtype=np.int64) for values in (sizes, looked, found)))


def inside(estimate, value):
    return estimate.low <= value <= estimate.high


@pytest.mark.parametrize(("n", "x"), [(50, 0), (50, 50), (1000, 0)])
def test_of_one_stratum_without_a_find_or_without_a_miss_the_interval_is_clopper_and_pearsons(n, x):
    said = prevalence(one := strata([10**8], [n], [x]), rates_by_counts(one, np.random.default_rng(1), 200_000))
    exact = binomtest(x, n).proportion_ci(0.95, method="exact")
    assert said.value == x / n
    assert said.low == pytest.approx(exact.low, rel=0.02, abs=1e-12)
    assert said.high == pytest.approx(exact.high, rel=0.02)


def test_of_one_stratum_with_finds_the_interval_is_within_that_of_clopper_and_pearson_and_not_by_much():
    one = strata([10**8], [200], [9])
    said = prevalence(one, rates_by_counts(one, np.random.default_rng(1), 200_000))
    exact = binomtest(9, 200).proportion_ci(0.95, method="exact")
    assert exact.low < said.low < 9 / 200 < said.high < exact.high
    assert said.high - said.low > 0.85 * (exact.high - exact.low)


def test_a_stratum_all_of_which_was_looked_at_is_known():
    whole = strata([40, 10], [40, 10], [4, 10])
    rates = rates_by_counts(whole, np.random.default_rng(1))
    kept = np.array([False, True])
    for said, value in ((prevalence(whole, rates), 14 / 50), (precision(whole, rates, kept), 1.0)):
        assert (said.value, said.low, said.high) == (value, value, value)
    assert recall(whole, rates, kept).low == recall(whole, rates, kept).high == 10 / 14


def test_estimates_are_those_of_horvitz_and_thompson():
    some = strata([1000, 100, 10], [50, 20, 10], [1, 5, 9])
    rates = rates_by_counts(some, np.random.default_rng(1))
    kept = np.array([False, True, True])
    known = np.array([1000 / 50, 100 * 5 / 20, 9])
    assert prevalence(some, rates).value == pytest.approx(known.sum() / 1110)
    assert precision(some, rates, kept).value == pytest.approx(known[1:].sum() / 110)
    assert recall(some, rates, kept).value == pytest.approx(known[1:].sum() / known.sum())


def test_of_strata_none_of_which_is_kept_nothing_is_said():
    some = strata([1000], [50], [1])
    assert np.isnan(precision(some, rates_by_counts(some, np.random.default_rng(1)), np.array([False])).value)


PLANTED = {
    "sizes": np.array([10**8, 200_000, 20_000, 6000, 4000, 3000, 4000]),
    "looked": np.array([100_000, 2000, 1000, 500, 500, 300, 200]),
    "rates": np.array([np.nan, 1e-3, 0.02, 0.2, 0.5, 0.8, 0.97]),
}


@pytest.mark.slow
@pytest.mark.parametrize("finds_in_the_blind_spot", [0.3, 1.0, 3.0, 10.0])
def test_what_trusts_nothing_covers_as_often_as_it_says_with_a_blind_spot(finds_in_the_blind_spot):
    """Prevalence about 1e-4, of which the emulator misses up to a half; 200 seeds."""
    sizes, looked = PLANTED["sizes"], PLANTED["looked"]
    rates = PLANTED["rates"].copy()
    rates[0] = finds_in_the_blind_spot / looked[0]
    kept = rates >= 0.5
    total = sizes @ rates
    truth = total / sizes.sum(), (sizes * rates)[kept].sum() / sizes[kept].sum(), (sizes * rates)[kept].sum() / total
    covered = np.zeros(3)
    for seed in range(200):
        rng = np.random.default_rng([seed, 7])
        some = Strata(sizes, looked, rng.binomial(looked, rates))
        known = rates_by_counts(some, rng, 2000)
        said = prevalence(some, known), precision(some, known, kept), recall(some, known, kept)
        covered += [inside(estimate, value) for estimate, value in zip(said, truth, strict=True)]
    assert np.all((covered / 200 >= 0.92) & (covered / 200 <= 0.99)), covered / 200


@pytest.mark.slow
def test_if_the_calibration_holds_the_interval_is_narrower_and_covers():
    """Expected rates that are off by a common factor, and by chance in each stratum."""
    sizes, looked = PLANTED["sizes"], PLANTED["looked"]
    covered, narrower = np.zeros(2), 0
    for seed in range(100):
        rng = np.random.default_rng([seed, 8])
        expected = np.array([3e-6, *PLANTED["rates"][1:]])
        shifts = rng.normal(0.3, 0.3, len(expected))
        rates = 1 / (1 + np.exp(-(np.log(expected / (1 - expected)) + shifts)))
        some = Strata(sizes, looked, rng.binomial(looked, rates))
        kept = expected >= 0.5
        believed, counted = rates_if_calibrated(some, expected, rng, 1000), rates_by_counts(some, rng, 1000)
        found = (sizes * rates)[kept].sum() / (sizes @ rates)
        covered += (
            inside(prevalence(some, believed), sizes @ rates / sizes.sum()),
            inside(recall(some, believed, kept), found),
        )
        widths = [(said := recall(some, known, kept)).high - said.low for known in (believed, counted)]
        narrower += widths[0] < widths[1]
    assert np.all(covered >= 88), covered
    assert narrower >= 95


def test_where_nothing_was_looked_at_the_rate_is_the_expected_one_as_it_was_right_elsewhere():
    some = strata([10**6, 5000, 5000], [0, 5000, 5000], [0, 500, 2500])
    said = rates_if_calibrated(some, [1e-3, 0.1, 0.5], np.random.default_rng(1), 4000)
    assert np.median(said.low[:, 0]) == pytest.approx(1e-3, rel=0.2)
    twice = strata([10**6, 5000, 5000], [0, 2000, 2000], [0, 364, 1333])  # odds of both are twice what was expected
    moved = rates_if_calibrated(twice, [1e-3, 0.1, 0.5], np.random.default_rng(1), 4000)
    assert np.median(moved.low[:, 0]) == pytest.approx(2e-3, rel=0.2)


def test_a_find_where_hardly_any_was_expected_widens_what_is_believed_elsewhere():
    as_expected = strata([10**6, 10**5, 5000], [0, 1000, 1000], [0, 1, 500])
    blind = strata([10**6, 10**5, 5000], [0, 1000, 1000], [0, 40, 500])

    def ratio(some):
        rates = rates_if_calibrated(some, [1e-4, 1e-3, 0.5], np.random.default_rng(1), 4000).low[:, 0]
        return np.quantile(rates, 0.975) / np.quantile(rates, 0.025)

    assert ratio(blind) > 3 * ratio(as_expected)


@pytest.mark.parametrize("count", [7, 13])
def test_the_allocation_is_the_best_of_all(count):
    sizes, rates = np.array([30, 200, 12, 5]), np.array([0.02, 0.005, 0.5, 0.9])

    def variance(looked):
        deviation = rates * (1 - rates)
        return np.where(looked == 0, np.inf, sizes**2 * deviation / np.maximum(looked, 1)).sum()

    every = (np.array(c) for c in itertools.product(range(1, count + 1), repeat=4) if sum(c) == count)
    best = min(variance(each) for each in every if np.all(each <= sizes))
    said = allocate(sizes, rates, count, np.zeros(4), least=1)
    assert said.sum() == count
    assert variance(said) <= 1.1 * best


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 10**8), st.floats(0, 1), st.floats(0, 1)), min_size=1, max_size=12),
    st.integers(0, 10**6),
    st.integers(0, 50),
)
def test_an_allocation_gives_all_that_there_is_to_give_and_no_more_than_a_stratum_has(strata, count, least):
    sizes = np.array([size for size, _, _ in strata])
    looked = np.array([int(size * share) for size, _, share in strata])
    more = allocate(sizes, [rate for _, rate, _ in strata], count, looked, least)
    assert np.all((more >= 0) & (looked + more <= sizes))
    assert more.sum() == min(count, (sizes - looked).sum())
    if (lack := np.clip(np.minimum(least, sizes) - looked, 0, None)).sum() <= count:
        assert np.all(more >= lack)


def test_more_are_looked_at_in_proportion_to_sizes_and_deviations():
    said = allocate([10**6, 10**6, 4 * 10**6], [0.5, 0.1, 0.5], 9000, [0, 0, 0])
    assert said == pytest.approx([9000 * w / (0.5 + 0.3 + 2.0) for w in (0.5, 0.3, 2.0)], abs=1)


@pytest.mark.parametrize("count", range(6))
def test_few_are_given_to_many_strata(count):
    said = allocate([1000] * 12, [0.1] * 12, count, [0] * 12)
    assert said.sum() == count
    assert said.max() <= 1


def test_what_is_kept_needs_no_look_elsewhere():
    some = strata([1000, 100], [0, 50], [0, 40])
    rates = rates_by_counts(some, np.random.default_rng(1))
    assert precision(some, rates, np.array([False, True])).value == 0.8
    assert recall(some, rates, np.array([False, True])).low < 0.1


def test_rates_that_are_wrong_beyond_measure_give_way_to_what_was_found():
    said = rates_if_calibrated(strata([10**6], [10**5], [10]), [1e-9], np.random.default_rng(1), 4000)
    low, high = np.quantile(said.low, [0.025, 0.975])
    assert 3e-5 < low < 1e-4 < high < 2e-4


def test_a_random_sample_of_all_is_told_with_the_strata_and_bounds_what_these_leave_open():
    nothing = strata([10**6], [1], [0])
    said = prevalence(nothing, rates_by_counts(nothing, np.random.default_rng(1), 200_000), (40, 10_000))
    exact = binomtest(40, 10_000).proportion_ci(0.95, method="wilson")
    # A stratum without a find may have none, whatever else is found: the lower end trusts the strata alone.
    assert said.low == 0
    assert said.high == pytest.approx(exact.high, rel=0.1)
    some = strata([10**6, 5000], [20_000, 500], [0, 480])
    known = rates_by_counts(some, np.random.default_rng(1), 20_000)
    alone, both = prevalence(some, known), prevalence(some, known, (475, 100_000))
    assert both.high < alone.high
    assert both.low >= alone.low
    assert both.low < both.value < both.high


@pytest.mark.slow
@pytest.mark.parametrize("finds_in_the_blind_spot", [0.3, 3.0])
def test_with_a_random_sample_the_prevalence_covers_too(finds_in_the_blind_spot):
    sizes, looked, rates = (PLANTED[name].copy() for name in ("sizes", "looked", "rates"))
    rates[0] = finds_in_the_blind_spot / looked[0]
    truth = sizes @ rates / sizes.sum()
    covered, narrower = 0, 0
    for seed in range(200):
        rng = np.random.default_rng([seed, 9])
        some = Strata(sizes, looked, rng.binomial(looked, rates))
        known = rates_by_counts(some, rng, 4000)
        said = prevalence(some, known, (rng.binomial(80_000, truth), 80_000))
        covered += inside(said, truth)
        narrower += said.high < prevalence(some, known).high
    assert 0.92 <= covered / 200 <= 0.99
    assert narrower > 120


def test_a_random_sample_that_the_strata_contradict_does_not_agree_with_them():
    some = strata([10**6, 5000], [20_000, 500], [10, 480])
    for rates in (
        rates_by_counts(some, np.random.default_rng(1)),
        rates_if_calibrated(some, [1e-3, 0.9], np.random.default_rng(1)),
    ):
        assert agree(some, rates, (52, 10_000))
        assert not agree(some, rates, (470, 10_000))
