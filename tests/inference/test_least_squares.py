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


def search(compare, start, free=None, goes=30):
    position, looked = np.asarray(start, float), 0
    for _ in range(goes):
        fit = improve(compare, position, 10, np.ones(len(position), bool) if free is None else free)
        position, looked = fit.position, looked + fit.looked
        if fit.done:
            return fit, looked
    raise AssertionError("does not end")


def test_of_a_line_it_finds_the_least_squares_and_their_deviations():
    fit, looked = search(line, [0.9, 0.1])
    assert fit.position == pytest.approx(LEAST_SQUARES, abs=1e-6)
    assert fit.deviance == pytest.approx(line(LEAST_SQUARES[None]).deviance[0])
    assert fit.deviations == pytest.approx(1 / np.sqrt(np.square(DESIGN / 0.05).sum(axis=0)), rel=1e-6)
    assert looked < 100


def test_noise_that_is_estimated_is_that_of_the_residuals():
    def compare(positions):
        sigma = np.exp(-6 + 6 * positions[:, 2:3])
        residuals = (positions[:, :1] + positions[:, 1:2] * X - Y) / sigma
        return Compared(residuals, np.broadcast_to(np.log(2 * np.pi * sigma**2), residuals.shape))

    fit, _ = search(compare, [0.9, 0.1, 0.9])
    left = Y - DESIGN @ LEAST_SQUARES
    assert fit.position[:2] == pytest.approx(LEAST_SQUARES, abs=1e-4)
    assert np.exp(-6 + 6 * fit.position[2]) == pytest.approx(np.sqrt(np.mean(left**2)), rel=2e-3)


def test_the_best_set_may_be_at_an_end_of_a_range():
    def compare(positions):
        return line(np.column_stack([positions[:, 0], 0.4 * positions[:, 1]]))

    fit, _ = search(compare, [0.5, 0.5])
    assert fit.position[1] == pytest.approx(1, abs=1e-6)
    held = 0.4
    assert fit.position[0] == pytest.approx((Y - held * X).mean(), abs=1e-5)


def test_what_is_held_stays():
    fit, _ = search(line, [0.9, 0.2], free=np.array([True, False]))
    assert fit.position == pytest.approx([(Y - 0.2 * X).mean(), 0.2], abs=1e-6)
    assert np.isnan(fit.deviations[1])


def test_where_a_neighbour_is_not_allowed_the_other_one_tells_the_slope():
    def compare(positions):
        found = line(positions)
        found.residuals[positions[:, 0] > 0.6] = np.nan
        return found

    # Begins at the wall, from which it has to turn back.
    assert search(compare, [0.6 - 1e-6, 0.2])[0].position == pytest.approx(LEAST_SQUARES, abs=1e-4)


def test_with_nothing_to_vary_the_start_is_the_best():
    fit = improve(line, np.array([0.2, 0.2]), 10, np.zeros(2, bool))
    assert fit.done
    assert fit.deviance == fit.before == line(np.array([[0.2, 0.2]])).deviance[0]


def test_where_sets_cannot_be_simulated_it_goes_another_way():
    def compare(positions):
        found = line(positions)
        found.residuals[positions[:, 0] > 0.7] = np.nan
        return found

    assert search(compare, [0.69, 0.9])[0].position == pytest.approx(LEAST_SQUARES, abs=1e-5)
    assert improve(compare, np.array([0.8, 0.5]), 10, np.ones(2, bool)) is None
