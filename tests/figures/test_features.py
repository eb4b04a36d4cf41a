import numpy as np
import pytest

from mechscreen.figures import features
from mechscreen.models import Parameter

RNG = np.random.default_rng(4)


def parameters(d, **more):
    return [Parameter(f"k{j}", 0.1, 10.0 * (j + 1), unit="nM", symbol=f"$k_{{{j}}}$", **more) for j in range(d)]


def test_the_planes_that_tell_most_are_those_of_the_parameters_that_decide():
    position = RNG.random((4000, 5))
    values = position[:, 1] * position[:, 3] + 0.02 * RNG.random(4000)
    values[::7] = np.nan
    planes = features.telling_planes(parameters(5), position, values)
    assert planes[0] == (1, 3)
    assert len(planes) == 3
    assert all({1, 3} & set(plane) for plane in planes)


def test_a_cell_shows_the_median_of_its_hits_and_tells_lacking_from_empty():
    where = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 3]), np.array([1, 1, 1, 0, 0, 0, 0, 2, 2, 0])
    nan = np.nan
    found, lacking = features.medians(where, np.array([1.0, 9.0, 2.0, nan, nan, nan, 5.0, 3.0, 4.0, 6.0]), (4, 3))
    expected = np.full((4, 3), nan)
    expected[0, 1] = 2
    np.testing.assert_array_equal(found, expected)
    assert np.argwhere(lacking).tolist() == [[1, 0]]


def test_a_plane_shows_its_first_parameter_along_x_with_the_medians(shown):
    those = [Parameter("x", 1.0, 100.0, scale="log"), Parameter("kind", 0, 1, categories=("wild", "mutant"))]
    values = np.column_stack([10 ** RNG.uniform(0, 2, 4000), RNG.integers(0, 2, 4000)])
    period = np.log10(values[:, 0]) + 10 * values[:, 1]
    texts = shown(figure := features.draw(those, values, {"period [h]": period}))
    assert "period [h]" in texts
    assert "mutant" in texts
    (image,) = [ax.images[-1] for ax in figure.findobj(lambda artist: hasattr(artist, "images")) if ax.images][:1]
    cells = np.asarray(image.get_array())
    assert cells.shape[0] == 2, "a row for each category"
    centres = 2 * (np.arange(cells.shape[1]) + 0.5) / cells.shape[1]
    np.testing.assert_allclose(cells, [centres, centres + 10], atol=0.1)


def test_values_over_many_decades_have_a_key_in_decades(shown):
    values = RNG.uniform(0.1, 10, (3000, 3))
    figure = features.draw(parameters(3), values, {"rate": 10 ** (values[:, 0] - 5)})
    shown(figure)
    norms = {type(ax.images[-1].norm).__name__ for ax in figure.findobj(lambda a: hasattr(a, "images")) if ax.images}
    assert norms == {"LogNorm"}


def test_captions_count_what_is_shown_and_what_is_not():
    some = {"period": np.array([1.0, np.nan, 2.0, 3.0]), "never": np.full(4, np.nan)}
    text = features.caption(some, 4, 400, "slow")
    assert text == (
        "4 hits (slow), a random sample of 400. Without the feature: period 25.0 %, never 100.0 %. Not shown: never."
    )
    assert "all of them" in features.caption(some, 4, 4, "slow")
    both = {"period": (np.array([1.0, np.nan, 2.0]), np.array([1.0, 2.0, np.nan]))}
    assert features.pairs_caption(both) == (
        "3 validated hits. With the feature, period: 1 both ways, 1 as emulated alone, 1 as simulated alone."
    )


def test_within_a_tenth_is_of_what_is_simulated():
    emulated, simulated = np.array([1.099, -0.901, 1.101, np.nan, 0.0]), np.array([1.0, -1.0, 1.0, 1.0, 0.0])
    assert features.within(emulated, simulated).tolist() == [True, True, False, False, True]


def test_the_panels_say_how_many_are_near(shown):
    simulated = np.array([1.0, 2.0, 3.0, 4.0, np.nan])
    emulated = np.array([1.05, 2.0, 4.0, 4.1, 5.0])
    stands = np.array([True, False, True, True, True])
    figure = features.draw_pairs({"period [h]": (emulated, simulated)}, stands)
    assert "within 10 %: 75.0 %" in shown(figure)
    points = [len(marks.get_offsets()) for marks in figure.axes[0].collections]
    assert points == [3, 1]


def test_where_no_hit_has_a_feature_it_is_said(shown):
    nothing = np.full(5, np.nan)
    assert "no hit has one" in shown(features.draw(parameters(2), RNG.random((5, 2)), {"p": nothing}))
    assert "no hit has one" in shown(features.draw(parameters(2), np.empty((0, 2)), {"p": np.empty(0)}))
    assert "both ways" in shown(features.draw_pairs({"p": (nothing, np.ones(5))}, np.ones(5, bool)))


LONG = "relative swing of the second gene after the first hundred minutes, by its own mean [µM]"


@pytest.mark.parametrize("d", [1, 2, 3, 9])
def test_features_are_not_cut_off_at_the_edges(d, assert_nothing_is_cut):
    those = [Parameter(f"a_rather_long_parameter_name_{j}", 0.1, 1234.5, unit="molecules per µm³") for j in range(d)]
    values = RNG.uniform(0.1, 1234.5, (600, d))
    some = {LONG: values[:, 0], "constant": np.ones(600), "powers": 10 ** (values[:, -1] / 200)}
    assert_nothing_is_cut(features.draw(those, values, some))
    both = {name: (one, 1.05 * one) for name, one in some.items()}
    assert_nothing_is_cut(features.draw_pairs(both, np.arange(600) % 2 == 0))
