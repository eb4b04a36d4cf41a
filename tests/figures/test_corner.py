import numpy as np
import pytest
from matplotlib.image import AxesImage
from scipy import stats

from mechscreen.figures import corner
from mechscreen.spaces import Parameter

PARAMETERS = [
    Parameter("still", 0.0, 1.0),
    Parameter("tied", 0.01, 100.0, scale="log"),
    Parameter("other", 0.0, 2.0),
    Parameter("narrow", 0.0, 1.0),
]
EVEN = np.ones((4, 10))


def hits(n=4000):
    """Of four parameters: one that does not matter, two that rise together, and one that is nearly one value."""
    rng = np.random.default_rng(5)
    tied = rng.random(n)
    other = np.clip(tied + rng.normal(0, 0.1, n), 0, 1)
    return np.stack([rng.random(n), 10 ** (4 * tied - 2), 2 * other, rng.uniform(0.9, 1.0, n)], axis=1)


def positions(values):
    return np.stack([p.position(values[:, k]) for k, p in enumerate(PARAMETERS)], axis=1)


def test_what_matters_most_comes_first():
    order = corner.order(positions(hits()), EVEN)
    assert sorted(order[:3]) == [1, 2, 3]
    assert order[3] == 0
    # Where all that was screened lies as the hits do, the parameter says nothing of them.
    priors = EVEN.copy()
    priors[3] = [*[0] * 9, 1]
    assert corner.order(positions(hits()), priors)[:2] == [1, 2]


def test_correlations_are_spearmans_and_zero_of_what_does_not_vary():
    position = positions(hits(200))
    np.testing.assert_allclose(corner.correlations(position), stats.spearmanr(position).statistic, atol=1e-12)
    position[:, 0] = 0.5
    assert corner.correlations(position)[0].tolist() == [0, 0, 0, 0]


def test_the_matrix_shows_counts_of_hits_and_nothing_is_cut(shown, assert_nothing_is_cut):
    values = hits()
    figure = corner.draw(PARAMETERS, values, EVEN)
    assert_nothing_is_cut(figure)
    text = shown(figure)
    assert all(p.name in text for p in PARAMETERS)
    i, j = (k for k in corner.order(positions(values), EVEN) if k in (1, 2))
    assert f"{corner.correlations(positions(values))[i, j]:+.2f}" in text
    images = [image for ax in figure.axes for image in ax.images if isinstance(image, AxesImage)]
    assert len(images) == 6
    assert all(np.asarray(image.get_array()).sum() == len(values) for image in images)
    assert "The strongest correlation is that of" in corner.caption(PARAMETERS, values, EVEN, 9000)
    assert "4,000 hits, a random sample of 9,000" in corner.caption(PARAMETERS, values, EVEN, 9000)


def test_only_the_most_telling_of_many_parameters_are_drawn():
    many = [Parameter(f"p{k}", 0.0, 1.0) for k in range(9)]
    values = np.random.default_rng(1).random((500, 9))
    figure = corner.draw(many, values, np.ones((9, 10)))
    assert len(figure.axes) == 36
    assert "the 6 of 9 parameters that matter most" in corner.caption(many, values, np.ones((9, 10)), 500)


@pytest.mark.parametrize("n", [0, 1, 5])
def test_few_hits_say_nothing_of_how_parameters_go_together(n, shown):
    assert "Too few hits" in shown(corner.draw(PARAMETERS, hits(n), EVEN))
    assert corner.caption(PARAMETERS, hits(n), EVEN, n) == "There is nothing to show."
