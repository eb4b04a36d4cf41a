"""Credible intervals, drawn."""

import numpy as np
import pytest

from mechscreen.figures import posterior
from mechscreen.spaces import Parameter


def shown(name, quantiles, known="determined", **parameter):
    return posterior.Shown(Parameter(name, 1e-3, 1e3, scale="log", **parameter), quantiles, known, quantiles[2])


EXAMPLES = [
    shown("k", (0.1, 0.5, 1.0, 2.0, 10.0), unit="1/h"),
    shown("K", (2e-3, 5e-3, 1e-2, 2e-2, 0.1), "bounded above", symbol=r"$\alpha$"),
    shown("n", (2e-3, 0.1, 1.0, 10.0, 500.0), "not determined"),
]


def test_intervals_stand_where_they_are_in_the_range():
    ax = posterior.draw(EXAMPLES).axes[0]
    wide = [line for line in ax.lines if line.get_linewidth() == 1.4]
    assert wide[0].get_xdata() == pytest.approx([2 / 6, 4 / 6])
    assert [tick.get_text() for tick in ax.get_yticklabels()] == ["k [1/h]", r"$\alpha$", "n"]
    assert {"determined", "no lower bound", "not determined", "0.001", "1,000"} <= {t.get_text() for t in ax.texts}


def test_the_caption_names_what_is_not_determined():
    assert posterior.caption(EXAMPLES) == "1 of 3 parameters are determined; not so: α, n."
    assert posterior.caption(EXAMPLES[:1]) == "1 of 1 parameters are determined."


def test_of_too_few_draws_nothing_is_claimed():
    unknown = [shown("k", (0.1, 0.5, 1.0, 2.0, 10.0), "not known")]
    assert "too few independent draws" in posterior.caption(unknown)
    assert "too few draws" in {text.get_text() for text in posterior.draw(unknown).axes[0].texts}
    assert np.isfinite(posterior.draw(unknown).get_figheight())
