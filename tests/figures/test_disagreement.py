import numpy as np

from mechscreen.figures import disagreement


def test_marks_the_limit_and_says_what_it_keeps(shown):
    rng = np.random.default_rng(1)
    x = np.exp(rng.normal(-4, 1, 500))
    y = x * np.exp(rng.normal(0, 0.5, 500))
    limit = float(np.quantile(x, 0.9))
    figure = disagreement.draw(x, y, limit)
    shown(figure)
    assert any(np.allclose(line.get_xdata(), limit) for line in figure.axes[0].lines)
    text = disagreement.caption(x, y, limit)
    assert "Kept at the limit" in text
    assert "90.0 %" in text
    assert f"mean error {y[x > limit].mean():.3g}" in text


def test_an_ensemble_of_one_member_is_said_to_have_no_disagreement(shown):
    x, y = np.zeros(10), np.full(10, 0.1)
    assert "cannot disagree" in shown(disagreement.draw(x, y, 0.1))
    assert "one member" in disagreement.caption(x, y, 0.1)


def test_a_single_sample_can_be_drawn(shown):
    one = np.array([0.02])
    shown(disagreement.draw(one, one, 0.1))
    assert "1 test sample;" in disagreement.caption(one, one, 0.1)
