"""Measured data and what explains them, drawn."""

import numpy as np
import pytest

from mechscreen.figures import fits
from mechscreen.models import Output

TIMES = np.linspace(0, 10, 21)


def series(name="x", draws=50, scale="linear", factor=1.0):
    rng = np.random.default_rng(0)
    rates = rng.normal(0.3, 0.03, draws)
    return fits.Measured(
        Output(name, TIMES, unit="µM", grid_name="time", grid_unit="h", scale=scale),
        TIMES[::5],
        factor * np.exp(-0.3 * TIMES[::5]),
        np.full(5, 0.1 * factor),
        factor * np.exp(-0.3 * TIMES),
        factor * np.exp(-rates[:, None] * TIMES),
    )


def one_number(draws=50):
    values = np.random.default_rng(1).normal(3, 0.2, draws)
    return fits.Measured(Output("k"), np.zeros(2), np.array([2.9, 3.2]), np.full(2, np.nan), np.array(3.0), values)


def test_bands_hold_the_shares_of_the_draws_that_they_say():
    one = series(draws=2000)
    figure = fits.draw([one])
    (wide, narrow) = (band.get_paths()[0].vertices for band in figure.axes[0].collections[:2])
    at = TIMES[10]
    for vertices, share in ((wide, 0.95), (narrow, 0.5)):
        low, high = np.sort(np.unique(vertices[np.isclose(vertices[:, 0], at), 1]))[[0, -1]]
        inside = (one.predicted[:, 10] >= low) & (one.predicted[:, 10] <= high)
        assert inside.mean() == pytest.approx(share, abs=0.01)


def test_numbers_and_series_stand_side_by_side_with_units():
    figure = fits.draw([series(), one_number()])
    assert [ax.get_title() for ax in figure.axes] == ["x [µM]", "k"]
    assert figure.axes[0].get_xlabel() == "time [h]"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["95 % of the posterior", "50 % of the posterior", "best set", "measured"]


def test_without_a_posterior_the_best_set_stands_alone():
    figure = fits.draw([series(draws=0), one_number(draws=0)])
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["best set", "measured"]
    assert fits.caption([series(draws=0)]) == "5 measurements of 1 output."


def test_decades_are_drawn_as_decades():
    tall = series(scale="log")
    decades = fits.Measured(tall.output, tall.at, 10.0 ** np.arange(5), tall.error, tall.best, tall.predicted)
    assert [fits.draw([some]).axes[0].get_yscale() for some in (tall, decades)] == ["linear", "log"]


def test_of_many_outputs_twelve_are_shown_and_that_is_said():
    many = [series(f"x{k}", draws=3) for k in range(14)]
    assert sum(ax.get_visible() for ax in fits.draw(many).axes) == 12
    assert fits.caption(many) == "70 measurements of 14 outputs, of which 12 are shown; 3 draws of the posterior."


def test_what_no_output_shows_is_said():
    assert "None of what was measured" in fits.draw([]).texts[0].get_text()
