import numpy as np
import pytest

from mechscreen.figures import planes
from mechscreen.models import Parameter, ParameterSpace
from mechscreen.spaces import Prior
from mechscreen.tally import Counts, plane_pairs

BINS = 8


def parameters(d):
    return [Parameter(f"k{j}", 0.0, 10.0 * (j + 1), unit="nM", symbol=f"$k_{{{j}}}$") for j in range(d)]


def histograms(unit, bins=BINS):
    """Count samples (n, d) over all planes."""
    cells = (unit * bins).astype(int)
    pairs = plane_pairs(unit.shape[1])
    counts = np.zeros((len(pairs), bins, bins), np.int64)
    for plane, (i, j) in enumerate(pairs):
        np.add.at(counts[plane], (cells[:, i], cells[:, j]), 1)
    return counts


@pytest.fixture(scope="module")
def screened():
    """Samples of 13 parameters; the target needs a large second and a small last one."""
    unit = np.random.default_rng(3).random((40_000, 13))
    target = unit[(unit[:, 1] > 0.75) & (unit[:, 12] < 0.5)]
    return histograms(target), histograms(unit)


def test_all_78_planes_of_13_parameters_are_drawn_with_their_units(screened, shown):
    figure = planes.draw(parameters(13), *screened, "two stripes")
    texts = shown(figure)
    drawn = [ax for ax in figure.axes if ax.get_visible() and ax.images and not ax.get_title()]
    assert len(drawn) == 78
    assert "$k_{0}$\n[nM]" in texts
    assert "density of two stripes, relative to all samples" in texts
    assert "78 planes" in planes.caption(parameters(13), *screened, "two stripes")


def test_the_target_is_as_many_times_as_frequent_as_it_is(screened):
    curves = planes.marginals(*screened, 13)
    # A quarter of the range holds all of the target, so that it is four times as frequent there.
    np.testing.assert_allclose(curves[1], [0] * 6 + [4] * 2, rtol=0.1)
    np.testing.assert_allclose(curves[5], 1, rtol=0.15)
    shift = planes.shifts(*screened, 13)
    np.testing.assert_allclose(shift[[1, 12]], [0.375, -0.25], atol=0.01)
    assert np.abs(np.delete(shift, [1, 12])).max() < 0.02


def test_leans_are_shares_of_the_axis_under_priors():
    # The upper half of an axis by the prior: a quarter of it beyond the mean where the prior is even along the axis; of
    # a normal prior, √(2/π) deviations (the mean of a half-normal distribution).
    space = ParameterSpace(
        [
            Parameter("even", 0.0, 6.0),
            Parameter("decades", 1e-2, 1e2, scale="log"),
            Parameter("bell", -8.0, 8.0, prior=Prior("normal", 0.0, 1.0)),
            Parameter("by_decades", 1.0, 101.0, prior=Prior("loguniform")),
        ]
    )
    draws = space.draw(np.random.default_rng(2).random((200_000, 4)))
    middle = [3.0, 1.0, 0.0, np.sqrt(101)]
    # Drawn evenly over decades along a linear axis: 100 / ln 101 from low to high, and likewise of its upper half.
    means = [np.diff([1, 101]) / np.log(101), np.diff([np.sqrt(101), 101]) / np.log(np.sqrt(101))]
    expected = [0.25, 0.25, np.sqrt(2 / np.pi) / 16, (means[1] - means[0])[0] / 100]
    for j, lean in enumerate(expected):
        counts = Counts.zeros(2, 4, 40)
        labels = (draws.physical[:, j] > middle[j]).astype(np.int64)
        counts.add(draws.position, labels, np.zeros(len(labels)), 1.0)
        found = planes.shifts(counts.planes[1], counts.planes.sum(axis=0), 4)
        assert found[j] == pytest.approx(lean, abs=0.004)
        assert np.abs(np.delete(found, j)).max() < 0.004


def test_a_plane_shows_its_first_parameter_along_x(shown):
    unit = np.random.default_rng(4).random((20_000, 2))
    target = unit[unit[:, 0] > 0.5]
    figure = planes.draw(parameters(2), histograms(target), histograms(unit), "t")
    shown(figure)
    (ax,) = [ax for ax in figure.axes if ax.images]
    image = np.asarray(ax.images[0].get_array())
    half = image.shape[1] // 2
    assert image[:, :half].max() == 0
    assert image[:, half:].min() > 1
    assert ax.get_xlim() == (0, 10)
    assert ax.get_ylim() == (0, 20)


def test_few_samples_are_counted_in_few_cells(shown):
    unit = np.random.default_rng(5).random((1000, 3))
    one = histograms(unit[:1], 40)
    figure = planes.draw(parameters(3), one, histograms(unit, 40), "t")
    shown(figure)
    assert np.asarray(figure.axes[3].images[0].get_array()).shape == (5, 5)
    caption = planes.caption(parameters(3), one, histograms(unit, 40), "t")
    assert "1 of 1,000 samples" in caption
    assert "chance" in caption


def test_nothing_found_and_a_single_parameter_are_said(shown):
    total = histograms(np.random.default_rng(6).random((100, 3)))
    assert "found no sample of the target (t)" in shown(planes.draw(parameters(3), total * 0, total, "t"))
    one = histograms(np.random.default_rng(6).random((900, 1)))
    assert "fewer than two" in shown(planes.draw(parameters(1), one, one, "t"))
    assert "nothing" in planes.caption(parameters(1), one, one, "t")
    none = np.zeros((0, BINS, BINS), np.int64)
    assert "no parameter varies" in shown(planes.draw_marginals([], none[None], ("a",), "kind"))


def test_a_single_parameter_has_its_curve(shown):
    unit = np.random.default_rng(8).random((20_000, 1))
    high, low = histograms(unit[unit[:, 0] > 0.5]), histograms(unit[unit[:, 0] <= 0.5])
    figure = planes.draw_marginals(parameters(1), np.stack([low, high]), ("low", "high"), "kind")
    shown(figure)
    curves = [patch.get_data().values for patch in figure.axes[0].patches]
    assert [curve[-1] > 1.9 for curve in curves] == [False, True]
    assert planes.marginals_caption(np.stack([low, high]), ("low", "high")) == "20,000 samples."
    assert planes.shifts(high, low + high, 1)[0] == pytest.approx(0.25, abs=0.02)


def test_of_many_parameters_the_telling_ones_are_drawn(shown):
    unit = np.random.default_rng(7).random((20_000, 15))
    target, total = histograms(unit[unit[:, 14] > 0.5], 4), histograms(unit, 4)
    texts = shown(planes.draw(parameters(15), target, total, "t"))
    assert "$k_{14}$\n[nM]" in texts
    assert sum(f"$k_{{{j}}}$\n[nM]" in texts for j in range(15)) == 13
    assert "13 of 15 parameters" in planes.caption(parameters(15), target, total, "t")


def test_a_class_without_enough_samples_has_no_curve(screened, shown):
    target, total = screened
    counts = np.stack([total - target, target, target * 0])
    figure = planes.draw_marginals(parameters(13), counts, ("none", "two", "three"), "stripes")
    texts = shown(figure)
    legend = next(ax.get_legend() for ax in figure.axes if ax.get_legend())
    assert [text.get_text() for text in legend.get_texts()] == ["none", "two"]
    assert "stripes" in texts
    assert "three (fewer than" in planes.marginals_caption(counts, ("none", "two", "three"))
    assert "No class" in shown(planes.draw_marginals(parameters(13), counts[2:], ("three",), "stripes"))


LONG = "stripe of the second gene shifted towards the posterior half, with a shoulder and more"


def long_parameters(d):
    return [
        Parameter(f"a_rather_long_parameter_name_{j}", 0.125 * j, 1234.5 + j, unit="molecules per µm³", meaning=LONG)
        for j in range(d)
    ]


@pytest.mark.parametrize("d", [2, 3, 4, 5, 7, 13])
@pytest.mark.parametrize("names", ["long", "short"])
def test_planes_are_not_cut_off_at_the_edges(d, names, shown, assert_nothing_is_cut):
    unit = np.random.default_rng(9).random((20_000, d))
    those = long_parameters(d) if names == "long" else parameters(d)
    figure = planes.draw(those, histograms(unit[unit[:, 0] > 0.5]), histograms(unit), LONG if names == "long" else "3")
    assert_nothing_is_cut(figure)
    if names == "long":
        assert LONG.replace(" ", "") in "".join(shown(figure).split()), "the target is named in full"


@pytest.mark.parametrize("d", [1, 2, 5, 8])
def test_curves_along_parameters_are_not_cut_off_at_the_edges(d, shown, assert_nothing_is_cut):
    unit = np.random.default_rng(9).random((20_000, d))
    counts = np.stack([histograms(unit[unit[:, 0] > 0.5]), histograms(unit[unit[:, 0] <= 0.5])])
    figure = planes.draw_marginals(long_parameters(d), counts, (f"{LONG} 1", f"{LONG} 2"), LONG)
    assert_nothing_is_cut(figure)
    assert f"{LONG} 2".replace(" ", "") in "".join(shown(figure).split())
    assert figure.axes[0].get_position().width > 0.1
