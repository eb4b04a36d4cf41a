import numpy as np
import pytest

from mechscreen.figures import plane
from mechscreen.models import Parameter
from mechscreen.relations import fit_relation

X = Parameter("rate", 0.5, 4.5, unit="1/h", symbol=r"$\alpha$", meaning="growth rate")
Y = Parameter("half", 0.0, 80.0, unit="nM", symbol="$K$")
CLASSES = ["0 rings", "1 ring", "2 rings"]


@pytest.fixture(scope="module")
def screened():
    """Counts (3, 40, 40): two rings in a band around K = 10 + 30/α, one ring above it, none below."""
    x = 0.5 + (np.arange(40) + 0.5) / 10
    y = 2.0 * np.arange(40) + 1
    middle = 10 + 30 / x[:, None]
    band = np.abs(y - middle) < 3
    counts = np.stack([y < middle - 3, y > middle + 3, band]) * 100
    return counts, fit_relation(counts[2], x, y, "inverse")


def test_each_cell_has_the_colour_of_its_most_frequent_class(screened, shown):
    counts, relation = screened
    mixed = counts.copy()
    mixed[0, 5, 70 // 2] = 99
    mixed[:, 0, 0] = 0
    figure = plane.draw(X, Y, mixed, CLASSES, relation)
    texts = shown(figure)
    (ax,) = (ax for ax in figure.axes if ax.images)
    image = ax.images[0].get_array().T
    assert image.mask[0, 0]
    np.testing.assert_array_equal(image.filled(0)[1:], counts[:, 1:].argmax(axis=0))
    assert tuple(ax.images[0].get_extent()) == (0.5, 4.5, 0, 80)
    assert r"$\alpha$ [1/h]: growth rate" in texts
    assert "$K$ [nM]" in texts
    (legend,) = figure.legends
    assert [text.get_text().split(":")[0] for text in legend.get_texts()] == [*CLASSES, "line of the target"]


def test_line_of_the_target_is_drawn_and_written(screened, shown):
    counts, relation = screened
    figure = plane.draw(X, Y, counts, CLASSES, relation)
    shown(figure)
    (line,) = (line for ax in figure.axes for line in ax.lines)
    np.testing.assert_allclose(line.get_ydata(), 10 + 30 / line.get_xdata(), atol=1.5)
    assert (line.get_xdata()[0], line.get_xdata()[-1]) == relation.x_range
    text = plane.caption(X, Y, counts, "2 rings", relation, "β 3")
    assert f"{counts.sum():,} samples in 40 × 40 cells. Held: β 3." in text
    assert "The line of the target (2 rings): K = " in text
    assert "/α, R² 0.99" in text


def test_target_without_enough_samples_has_no_line(screened, shown):
    figure = plane.draw(X, Y, screened[0], CLASSES, None)
    shown(figure)
    assert not [line for ax in figure.axes for line in ax.lines]
    assert "too few samples for a line" in plane.caption(X, Y, screened[0], "2 rings", None, "β 3")


def test_long_names_are_not_cut_off_at_the_edges(screened, shown, assert_nothing_is_cut):
    counts, relation = screened
    long = "stripe of the second gene shifted towards the posterior half, with a shoulder and more"
    x, y = (
        Parameter(f"a_rather_long_name_{p.name}", p.low, p.high, unit="molecules/µm³", meaning=long) for p in (X, Y)
    )
    figure = plane.draw(x, y, counts, [f"{long} {k}" for k in range(3)], relation)
    assert_nothing_is_cut(figure)
    assert f"{long} 2".replace(" ", "") in "".join(shown(figure).split())
    (ax,) = (ax for ax in figure.axes if ax.images)
    assert ax.get_position().width > 0.4
