import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure

from mechscreen.figures import style
from mechscreen.models import Output


def test_png_holds_its_texts_and_is_reproducible():
    def picture():
        figure = style.message("nothing · β")
        return style.to_png(figure, {"Title": "β against α", "Description": "n = 3"})

    png = picture()
    assert png == picture()
    assert style.read_metadata(png)["Title"] == "β against α"
    assert style.read_metadata(png)["Description"] == "n = 3"


def test_figures_look_the_same_whatever_the_settings_of_the_caller():
    @style.styled
    def draw():
        return Figure()

    with matplotlib.rc_context({"figure.constrained_layout.use": False, "font.size": 33}):
        assert draw().get_layout_engine() is not None
        assert matplotlib.rcParams["font.size"] == 33


def test_spread_goes_from_the_least_to_the_largest_and_names_nothing_twice():
    values = np.array([5.0, 1.0, 3.0, 2.0, 4.0])
    assert values[style.spread(values, (0, 0.5, 1))].tolist() == [1, 3, 5]
    assert style.spread(values[:1], (0, 0.5, 1)).tolist() == [0]
    assert style.spread(values[:2], np.linspace(0, 1, 5)).tolist() == [1, 0]


def test_the_palette_is_told_apart_by_colour_blind_eyes():
    """Distances in CIELAB after simulated deuteranopia and protanopia (Viénot et al. 1999) stay above 10."""
    srgb = np.array([matplotlib.colors.to_rgb(colour) for colour in style.CYCLE])
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_lms = np.array([[17.8824, 43.5161, 4.11935], [3.45565, 27.1554, 3.86714], [0.0299566, 0.184309, 1.46709]])
    protan = np.array([[0, 2.02344, -2.52581], [0, 1, 0], [0, 0, 1]])
    deutan = np.array([[1, 0, 0], [0.494207, 0, 1.24827], [0, 0, 1]])
    for deficit in (protan, deutan):
        seen = np.clip(linear @ (np.linalg.inv(to_lms) @ deficit @ to_lms).T, 0, 1)
        lab = _lab(seen)
        distance = np.linalg.norm(lab[:, None] - lab[None], axis=2)[np.triu_indices(len(lab), 1)]
        assert distance.min() > 10


def _lab(linear):
    xyz = linear @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T
    ratio = xyz / np.array([0.9505, 1.0, 1.089])
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[:, 1] - 16, 500 * (f[:, 0] - f[:, 1]), 200 * (f[:, 1] - f[:, 2])], axis=1)


def test_an_output_to_be_cropped_is_shown_where_it_is_not_near_zero():
    grid = np.linspace(0, 300, 601)
    narrow, zero = np.exp(-(((grid - 40) / 2) ** 2)), np.zeros(601)
    whole, cropped = Output("p", grid), Output("p", grid, crop=True)
    assert style.shown_points(whole, narrow) == (0, 600)
    first, last = style.shown_points(cropped, np.stack([narrow, zero]))
    assert grid[first] == pytest.approx(40 - 4.3 * 1.3, abs=1.1)
    assert grid[last] == pytest.approx(40 + 4.3 * 1.3, abs=1.1)
    assert style.shown_points(cropped, np.stack([narrow, np.full(601, np.nan)])) == (first, last)
    assert style.shown_points(cropped, zero) == (0, 600)
    spike = zero.copy()
    spike[0] = 1
    first, last = style.shown_points(cropped, spike)
    assert first == 0
    assert 0 < last < 5


def test_a_picture_is_as_large_as_its_figure_unless_something_would_be_cut_off():
    from io import BytesIO

    from matplotlib.figure import Figure
    from PIL import Image

    def size(text):
        figure = Figure(figsize=(2, 1), layout="none")
        figure.text(0.5, 0.5, text, fontsize=9)
        with Image.open(BytesIO(style.to_png(figure, {}))) as picture:
            return picture.size

    assert size("short") == (2 * style.DPI, style.DPI)
    width, height = size("long " * 20)
    assert width > 2 * 2 * style.DPI
    assert height == style.DPI


@pytest.mark.parametrize(
    ("grid", "in_decades"),
    [
        (np.geomspace(0.01, 100, 9), True),
        ([0.1, 1.0, 10.0], True),
        (np.linspace(0.01, 100, 9), False),
        ([0.0, 1.0, 10.0], False),
        ([1.0, 10.0], False),
        ([1.0, 2.0, 5.0, 10.0], False),
    ],
)
def test_a_grid_that_is_even_over_decades_is_drawn_in_decades(grid, in_decades):
    output = Output("response", grid, unit="nM")
    assert output.in_decades == in_decades
    ax = Figure().subplots()
    style.profiles(ax, output, np.ones(len(grid)), np.ones(len(grid)))
    assert ax.get_xscale() == ("log" if in_decades else "linear")
    assert ax.get_xlim() == (grid[0], grid[-1])
    if in_decades:
        ax.figure.draw_without_rendering()
        ticks = ax.get_xticks()
        assert 2 <= len(ticks) <= 3
        assert ticks.min() >= grid[0]
        assert ticks.max() <= grid[-1]
