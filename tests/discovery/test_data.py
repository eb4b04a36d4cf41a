"""Which trajectories are used, which are left out, and how that is said."""

import logging

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mechscreen import InputError
from mechscreen.discovery import Polynomial, discover
from mechscreen.discovery.data import check_trajectories, scale_and_smooth

T = np.arange(7) * 0.5
GOOD = np.stack([np.exp(-T), 2 * np.exp(-0.3 * T)], axis=1)


def _kept(t, y, **options):
    data = check_trajectories(t, y, ["x", "y"], (), **options)
    return data.kept, data.left_out


@pytest.mark.parametrize(
    ("t", "y", "why"),
    [
        (T[:1], GOOD[:1], "one row"),
        (T[:0], GOOD[:0], "no rows"),
        (T[:3], GOOD[:3] * np.nan, "no values"),
        (T[:3], GOOD[:3] * [1, np.nan], "no value of 'y'"),
        (T[:2], np.where(np.eye(2) > 0, GOOD[:2], np.nan), "one value of each variable"),
        (T[[0, 1, 1]], GOOD[:3], r"times must increase, but row 3 \(0.5\) is repeated"),
        (T[[0, 2, 1]], GOOD[:3], r"times must increase, but row 3 \(0.5\) comes after 1"),
        (np.array([0, np.nan]), GOOD[:2], "time in row 2 is nan"),
    ],
)
def test_one_bad_trajectory_among_good_ones_is_left_out_by_name(t, y, why):
    called = ["patient 7 (lines 2 to 8)", "patient 9 (line 9)", "patient 8 (lines 10 to 16)"]
    kept, left_out = _kept([T, t, T], [GOOD, y, GOOD], called=called)
    assert kept == (0, 2)
    assert len(left_out) == 1
    with pytest.raises(InputError, match=f"^patient 9 .line 9.: {why}"):
        raise InputError(left_out[0])
    assert _kept([T, t, T], [GOOD, y, GOOD])[1][0].startswith("trajectory 2: ")


def test_two_rows_and_a_variable_that_is_measured_once_are_used():
    start_alone = GOOD.copy()
    start_alone[1:, 0] = np.nan
    assert _kept([T[:2], T, T], [GOOD[:2], start_alone, GOOD]) == ((0, 1, 2), ())


def test_curves_that_were_fitted_take_the_place_of_smoothed_ones():
    rng = np.random.default_rng(0)
    data = check_trajectories([T, T], [GOOD + 0.01 * rng.standard_normal(GOOD.shape)] * 2, ["x", "y"], ())
    dense = np.linspace(T[0], T[-1], 400)
    curve = np.stack([np.exp(-dense), 2 * np.exp(-0.3 * dense)], axis=1)
    smoothed = scale_and_smooth(data, 0.2, [(dense, curve)] * 2)
    at = smoothed.grid.t[: smoothed.grid.starts[1]] * smoothed.scales.time
    states = smoothed.states * smoothed.scales.state
    assert states[: len(at)] == pytest.approx(np.stack([np.exp(-at), 2 * np.exp(-0.3 * at)], axis=1), abs=1e-4)
    assert states[len(at) :] == pytest.approx(states[: len(at)])
    left = np.concatenate(data.y) - np.tile(GOOD, (2, 1))
    assert smoothed.noise * smoothed.scales.state == pytest.approx(np.sqrt((left**2).mean(axis=0)), rel=1e-3)


def test_where_no_trajectory_is_good_the_first_is_named():
    with pytest.raises(InputError, match="trajectory 1: one row, and no other is better"):
        _kept([T[:1], T[:1]], [GOOD[:1], GOOD[:1]])


def test_too_few_values_are_told_with_what_was_left_out():
    with pytest.raises(InputError, match=r"'x' has 4 values .left out: trajectory 3: one row; .* … and 2 more."):
        _kept([T[:2]] * 2 + [T[:1]] * 4, [GOOD[:2]] * 2 + [GOOD[:1]] * 4)


def test_errors_belong_to_the_trajectories_that_are_used():
    errors = [np.full((1, 2), 9.0), np.full((7, 2), 0.1), np.full((7, 2), 0.2)]
    data = check_trajectories([T[:1], T, T], [GOOD[:1], GOOD, GOOD], ["x", "y"], (), errors=errors)
    assert [one[0, 0] for one in data.errors] == [0.1, 0.2]


def test_a_model_says_in_three_lines_what_was_left_out():
    rng = np.random.default_rng(0)
    t = [T] * 6 + [T[:1]] * 20
    y = [start * np.exp(-own)[:, None] + 0.01 * rng.standard_normal((len(own), 1))
         for own, start in zip(t, rng.uniform(1, 3, 26), strict=True)]  # fmt: skip
    model = discover(t, y, Polynomial(1))
    assert model.kept == tuple(range(6))
    told = [line for line in model.summary().splitlines() if line.startswith("left out")]
    assert told == [
        "left out: trajectory 7: one row", "left out: trajectory 8: one row", "left out: … and 18 more",
    ]  # fmt: skip
    assert len(model.to_dict()["left_out"]) == 20


def test_a_variable_with_one_value_in_a_trajectory_says_nothing_of_slopes():
    """It once divided by zero in the smoothing spline."""
    start_alone = GOOD.copy()
    start_alone[1:, 0] = np.nan
    rng = np.random.default_rng(0)
    y = [own + 0.005 * rng.standard_normal(own.shape) for own in (start_alone, GOOD, GOOD)]
    assert discover([T, T, T], y, Polynomial(1)).support[1, 2]


def test_proportional_variables_are_named_before_the_search_and_among_the_caveats(caplog):
    rng = np.random.default_rng(0)
    t = np.linspace(0, 4, 60)
    x = np.exp(-t) + 0.005 * rng.standard_normal(60)
    with caplog.at_level(logging.WARNING):
        model = discover(t, np.stack([x, 2 * x], axis=1), Polynomial(1))
    line = "y is 2 x in all samples; of coefficients k of the two in an equation, the data determine only k_x + 2 k_y"
    assert any(line in message for message in caplog.messages)
    assert line in model.caveats[0]


_number = st.floats(-3, 3).map(lambda value: round(value, 2))


@st.composite
def _series(draw):
    """A few trajectories of one to four rows, with gaps, repeats and times that stand still, beside long ones."""
    d = draw(st.integers(1, 2))
    t, y = [], []
    for _ in range(draw(st.integers(1, 4))):
        n = draw(st.integers(1, 4))
        t.append(np.cumsum([draw(st.sampled_from([0.0, 0.5, 1.0, 1.0])) for _ in range(n)]))
        y.append(np.array([[draw(st.one_of(_number, st.just(np.nan))) for _ in range(d)] for _ in range(n)]))
    for _ in range(draw(st.integers(0, 2))):
        t.append(T)
        y.append(GOOD[:, :d] * draw(st.sampled_from([0.5, 1.0, 2.0])))
    return t, y


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(_series(), st.booleans())
def test_whatever_is_given_ends_in_a_model_or_in_words(series, exact_start):
    t, y = series
    try:
        model = discover(t, y, Polynomial(1), exact_start=exact_start)
    except InputError:
        return
    assert np.isfinite(model.coefficients).all()
    assert len(model.kept) + len(model.left_out) == len(t)
