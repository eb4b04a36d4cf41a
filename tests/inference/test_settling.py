"""What needs no simulation, where −2 ln L is least, against closed solutions."""

import numpy as np
import pytest

from mechscreen.inference.settling import settle, slopes_of
from mechscreen.objectives.observations import Compared

RNG = np.random.default_rng(4)
T = np.linspace(0, 5, 20)
Y = 1.2 + 3.0 * np.exp(-0.5 * T) + 0.1 * RNG.standard_normal(20)
WHICH = np.array([False, True, True, True])


def compare(positions):
    """Of a decay, whose rate is simulated: offset and scale, by their decimal logarithms, and noise."""
    rate, offset, scale, sigma = (10.0 ** (-3 + 6 * column[:, None]) for column in positions.T)
    residuals = (offset + scale * np.exp(-rate * T) - Y) / sigma
    return Compared(residuals, np.broadcast_to(np.log(2 * np.pi * sigma**2), residuals.shape))


def of(*values):
    found = (np.log10(values) + 3) / 6
    return found[0] if len(found) == 1 else found


def least_squares(rate):
    design = np.column_stack([np.ones(20), np.exp(-rate * T)])
    found = np.linalg.lstsq(design, Y, rcond=None)[0]
    return *found, np.sqrt(np.mean((Y - design @ found) ** 2))


def test_scale_offset_and_noise_are_those_of_the_normal_equations():
    rates = np.array([0.3, 0.5, 0.9, 2.0])
    starts = np.column_stack([of(*rates), RNG.random((4, 3))])
    settled, found = settle(compare, starts, WHICH)
    np.testing.assert_array_equal(settled[:, 0], starts[:, 0])
    for row, rate, deviance in zip(settled, rates, found.deviance, strict=True):
        offset, scale, sigma = least_squares(rate)
        assert row[1:] == pytest.approx(of(offset, scale, sigma), abs=1e-3)
        assert deviance == pytest.approx(20 * (1 + np.log(2 * np.pi * sigma**2)), abs=1e-4)
    np.testing.assert_array_equal(found.deviance, compare(settled).deviance)


def test_what_would_leave_its_range_stays_at_its_end():
    # A rate as high as 200 leaves an offset and one point alone; that of 0.05 asks for a negative offset.
    settled, _ = settle(compare, np.array([[of(0.05), 0.5, 0.5, 0.5]]), WHICH)
    assert least_squares(0.05)[0] < 0
    assert settled[0, 1] == 0


def test_a_row_without_a_likelihood_stays_and_changes_no_other_one():
    def failing(positions):
        found = compare(positions)
        found.residuals[positions[:, 0] > 0.9] = np.nan
        return found

    starts = np.array([[0.95, 0.2, 0.4, 0.6], [of(0.5), 0.2, 0.4, 0.6]])
    settled, found = settle(failing, starts, WHICH)
    np.testing.assert_array_equal(settled[0], starts[0])
    assert found.deviance[0] == np.inf
    alone, _ = settle(compare, starts[1:], WHICH)
    np.testing.assert_allclose(settled[1], alone[0], atol=1e-9)


def test_slopes_are_the_derivatives():
    position = np.array([of(0.5), 0.5, 0.6, 0.3])
    slopes = slopes_of(compare, position, WHICH)
    sigma, per = 10 ** (-3 + 6 * 0.3), 6 * np.log(10)
    found = compare(position[None])
    expected = [per * 1 / sigma * np.ones(20), per * 10**0.6 * np.exp(-0.5 * T) / sigma, -per * found.residuals[0]]
    np.testing.assert_allclose(slopes.residuals, expected, rtol=1e-4)
    np.testing.assert_allclose(slopes.noise, [np.zeros(20), np.zeros(20), 2 * per * np.ones(20)], atol=1e-6)
