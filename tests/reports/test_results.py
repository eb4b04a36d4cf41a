"""What is made of results, for counts that are known."""

import numpy as np
import pytest

from campaigns import STRIPE
from mechscreen.campaign import Campaign
from mechscreen.figures import plane
from mechscreen.reports.results import Results

PARAMETERS = {name: {"scale": "log"} for name in ("c0", "K_off")}
C0, HALF, LENGTH = "c0", "K_off", "decay_length"  # 1 … 100, 1 … 100, in decades; 20 … 200


def relations(tmp_path, vary, law):
    """Return the lines by (x, y, form) where the target lies along y = law(x), in bins of equal share of the axes."""
    values = {**STRIPE, "results": str(tmp_path), "model": {**STRIPE["model"], "parameters": PARAMETERS}}
    results = Results(Campaign.from_dict({**values, "screen": {**STRIPE["screen"], "vary": list(vary), "bins": 100}}))
    by_name = {parameter.name: parameter for parameter in results.varied}
    x, y = (by_name[name] for name in vary)
    share = np.random.default_rng(1).random(100_000)
    decades = np.exp(np.log(x.low) + share * np.log(x.high / x.low))
    along = decades if x.scale == "log" else x.low + share * (x.high - x.low)
    up = law(along)
    inside = (up >= y.low) & (up < y.high)
    places = {x.name: x.position(along[inside]), y.name: y.position(up[inside])}
    counts = np.histogram2d(*(places[p.name] for p in results.varied), bins=100, range=[[0, 1]] * 2)[0].astype(int)
    results.__dict__["target_planes"] = counts[None], counts[None]
    return {(a.name, b.name, line.form): (a, b, line) for a, b, line in results.relations}


def test_a_power_law_is_a_line_between_two_parameters_in_decades(tmp_path):
    found = relations(tmp_path, (C0, HALF), lambda c0: 3 * c0**0.5)
    assert set(found) == {(C0, HALF, "linear"), (HALF, C0, "linear")}, "1/x is a power, too"
    x, y, line = found[C0, HALF, "linear"]
    assert line.slope == pytest.approx(0.5, abs=0.005)
    assert line.intercept == pytest.approx(np.log10(3), abs=0.01)
    assert line.r2_means > 0.999
    np.testing.assert_allclose(line.x_range, [0, 2], atol=0.02)
    assert plane.equation(x, y, line).startswith("lg K_r = 0.47")
    np.testing.assert_allclose(plane.in_values(x, line.x_range), [1, 100], rtol=0.05)
    inverse = relations(tmp_path, (C0, HALF), lambda c0: 90 / c0)[C0, HALF, "linear"][2]
    assert inverse.slope == pytest.approx(-1, abs=0.01)
    assert inverse.intercept == pytest.approx(np.log10(90), abs=0.01)


def test_of_a_parameter_in_decades_over_another_along_its_values_the_logarithm_is_the_line(tmp_path):
    found = relations(tmp_path, (C0, LENGTH), lambda c0: 40 + 50 * np.log10(c0))
    _, _, line = found[C0, LENGTH, "linear"]
    assert (line.slope, line.intercept) == (pytest.approx(50, rel=0.01), pytest.approx(40, abs=1))
    assert set(found) == {(C0, LENGTH, "linear"), (LENGTH, C0, "linear"), (LENGTH, C0, "inverse")}
    assert found[LENGTH, C0, "linear"][2].slope == pytest.approx(1 / 50, rel=0.02)


def test_the_line_is_drawn_where_the_cells_are(tmp_path):
    x, y, line = relations(tmp_path, (C0, HALF), lambda c0: 3 * c0**0.5)[C0, HALF, "linear"]
    counts = np.zeros((2, 100, 100), int)
    counts[1, 50, 60] = 9
    figure = plane.draw(x, y, counts, ["no", "yes"], line)
    (ax,) = (ax for ax in figure.axes if ax.images)
    assert tuple(ax.images[0].get_extent()) == (0, 2, 0, 2)
    (drawn,) = ax.lines
    np.testing.assert_allclose(drawn.get_ydata(), np.log10(3) + 0.5 * drawn.get_xdata(), atol=0.02)
    assert drawn.get_xdata()[-1] > 1.9
