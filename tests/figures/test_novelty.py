import numpy as np

from mechscreen.figures import novelty


def test_counts_hits_within_the_limit_and_failed_ones(shown):
    rmse = np.array([0.01, 0.05, 0.2, np.nan])
    distance = np.array([0.03, 0.07])
    figure = novelty.draw(rmse, distance, 0.1)
    assert "limit 0.1" in shown(figure)
    assert [sum(patch.get_height() for patch in ax.patches) for ax in figure.axes] == [3, 2]
    text = novelty.caption(rmse, distance, 0.1)
    assert "Of 4 validated hits, 2 stay within 0.1" in text
    assert "1 could not be simulated" in text
    assert "0.05." in text


def test_no_hit_and_no_confirmed_hit_are_said(shown):
    none = np.zeros(0)
    assert "No hits" in shown(novelty.draw(none, none, 0.1))
    assert "no confirmed hit" in shown(novelty.draw(np.array([0.5]), none, 0.1))
    assert "no hit" in novelty.caption(none, none, 0.1)


def test_a_hit_that_equals_a_training_profile_has_a_place(shown):
    figure = novelty.draw(np.array([0.0, 0.0]), np.array([0.0]), 0.1)
    shown(figure)
    assert sum(patch.get_height() for patch in figure.axes[1].patches) == 1
