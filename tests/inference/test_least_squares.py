"""Searches for the best parameter set, against closed solutions."""

import numpy as np
import pytest

from mechscreen.inference import improve
from mechscreen.objectives.observations import Compared

X = np.linspace(0, 1, 12)
Y = 0.3 + 0.5 * X + 0.05 * np.random.default_rng(0).standard_normal(12)
DESIGN = np.column_stack([np.ones(12), X])
LEAST_SQUARES = np.linalg.lstsq(DESIGN, Y, rcond=None)[0]


def line(positions):
    residuals = (positions[:, :1] + positions[:, 1:2] * X - Y) / 0.05
    return Compared(residuals, np.full(residuals.shape, np.log(2 * np.pi * 0.05**2)))


def search(compare, start, free=None, aside=None, goes=30):
    positions, looked, more = np.atleast_2d(np.asarray(start, float)), 0, ()
    d = positions.shape[1]
    free = np.ones(d, bool) if free is None else free
    aside = np.zeros(d, bool) if aside is None else aside
    for _ in range(goes):
        fit = improve(compare, positions, 10, free, aside, *more)
        positions, looked, more = fit.position[None], looked + fit.looked, (fit.damping,)
        if fit.done:
            return fit, looked
    raise AssertionError("does not end")


def noisy_line(positions):
    """The line, with noise that is estimated: its third position."""
    sigma = np.exp(-6 + 6 * positions[:, 2:3])
    residuals = (positions[:, :1] + positions[:, 1:2] * X - Y) / sigma
    return Compared(residuals, np.broadcast_to(np.log(2 * np.pi * sigma**2), residuals.shape))


def test_of_a_line_it_finds_the_least_squares_and_their_deviations():
    fit, looked = search(line, [0.9, 0.1])
    assert fit.position == pytest.approx(LEAST_SQUARES, abs=1e-6)
    assert fit.deviance == pytest.approx(line(LEAST_SQUARES[None]).deviance[0])
    assert fit.deviations == pytest.approx(1 / np.sqrt(np.square(DESIGN / 0.05).sum(axis=0)), rel=1e-6)
    assert looked < 100


@pytest.mark.parametrize("settled", [False, True], ids=["searched", "settled"])
def test_noise_that_is_estimated_is_that_of_the_residuals(settled):
    fit, _ = search(noisy_line, [0.9, 0.1, 0.9], aside=np.array([False, False, settled]))
    left = Y - DESIGN @ LEAST_SQUARES
    assert fit.position[:2] == pytest.approx(LEAST_SQUARES, abs=1e-4)
    assert np.exp(-6 + 6 * fit.position[2]) == pytest.approx(np.sqrt(np.mean(left**2)), rel=2e-3)
    # −2 ln L is m (1 + ln 2πs²) there.
    assert fit.deviance == pytest.approx(12 * (1 + np.log(2 * np.pi * np.mean(left**2))), abs=1e-4)


def test_noise_that_follows_what_is_varied_counts_in_both():
    # y ~ N(a x, (a x)²): the score is Σ (y² − a x y) / (a x)² = m.
    x, y = X[1:] + 0.5, 0.4 * (X[1:] + 0.5) * (1 + 0.3 * np.random.default_rng(2).standard_normal(11))

    def compare(positions):
        mean = positions * x
        return Compared((y - mean) / mean, np.log(2 * np.pi * mean**2))

    fit, _ = search(compare, [0.9])
    r = y / x
    a = (-r.sum() + np.sqrt(r.sum() ** 2 + 4 * 11 * (r**2).sum())) / 22
    # By differences to one side of 1e-4; its deviation is 0.01.
    assert fit.position[0] == pytest.approx(a, abs=3e-4)


def test_it_begins_at_the_best_of_some_positions_settled():
    free, aside = np.ones(3, bool), np.array([False, False, True])
    starts = np.array([[0.9, 0.1, 0.2], [0.35, 0.5, 0.9], [0.1, 0.9, 0.5]])
    fit = improve(noisy_line, starts, 0, free, aside)
    assert fit.position[:2] == pytest.approx(starts[1, :2])
    assert fit.looked == 3
    variance = np.mean((Y - 0.35 - 0.5 * X) ** 2)
    assert fit.before == fit.deviance == pytest.approx(12 * (1 + np.log(2 * np.pi * variance)), abs=1e-5)


def test_steps_one_after_the_other_are_the_same_in_parts():
    start, free, aside = np.array([[0.9, 0.1, 0.9]]), np.ones(3, bool), np.zeros(3, bool)
    whole = improve(noisy_line, start, 6, free, aside)
    part = improve(noisy_line, start, 3, free, aside)
    rest = improve(noisy_line, part.position[None], 3, free, aside, part.damping)
    np.testing.assert_array_equal(rest.position, whole.position)


def test_the_best_set_may_be_at_an_end_of_a_range():
    def compare(positions):
        return line(np.column_stack([positions[:, 0], 0.4 * positions[:, 1]]))

    fit, _ = search(compare, [0.5, 0.5])
    assert fit.position[1] == pytest.approx(1, abs=1e-6)
    held = 0.4
    assert fit.position[0] == pytest.approx((Y - held * X).mean(), abs=1e-5)


def test_what_is_held_stays():
    fit, _ = search(line, [0.9, 0.2], free=np.array([True, False]))
    assert fit.position == pytest.approx([(Y - 0.2 * X).mean(), 0.2], abs=1e-5)
    assert np.isnan(fit.deviations[1])


def test_where_a_neighbour_is_not_allowed_the_other_one_tells_the_slope():
    def compare(positions):
        found = line(positions)
        found.residuals[positions[:, 0] > 0.6] = np.nan
        return found

    # Begins at the wall, from which it has to turn back.
    assert search(compare, [0.6 - 1e-6, 0.2])[0].position == pytest.approx(LEAST_SQUARES, abs=1e-4)


def test_with_nothing_to_vary_the_start_is_the_best():
    fit = improve(line, np.array([[0.2, 0.2]]), 10, np.zeros(2, bool), np.zeros(2, bool))
    assert fit.done
    assert fit.deviance == fit.before == line(np.array([[0.2, 0.2]])).deviance[0]


def test_where_sets_cannot_be_simulated_it_goes_another_way():
    def compare(positions):
        found = line(positions)
        found.residuals[positions[:, 0] > 0.7] = np.nan
        return found

    assert search(compare, [0.69, 0.9])[0].position == pytest.approx(LEAST_SQUARES, abs=1e-4)
    assert improve(compare, np.array([[0.8, 0.5]]), 10, np.ones(2, bool), np.zeros(2, bool)) is None
