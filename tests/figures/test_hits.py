import numpy as np
import pytest

from mechscreen.figures import hits


def draw(s, rmse, stands, verdicts=None):
    return hits.draw(s.pairs, rmse, verdicts or ["ring"] * len(rmse), stands)


def discs(figure):
    return [ax for ax in figure.axes if ax.images]


@pytest.mark.parametrize(("n", "panels"), [(1, 1), (2, 2), (5, 5), (40, 12)])
def test_one_output_has_a_profile_and_a_disc_for_each_hit(samples, shown, n, panels):
    s = samples(n)
    figure = draw(s, np.linspace(0.01, 0.3, n), np.linspace(0.01, 0.3, n) <= 0.1)
    texts = shown(figure)
    assert len(discs(figure)) == panels
    assert texts.count("RMSE") == panels
    assert "radius [mm]" in texts


def test_the_hits_shown_reach_from_the_best_to_the_failed_ones(samples, shown):
    s = samples(30)
    rmse = np.random.default_rng(2).permutation(np.linspace(0.01, 0.3, 30))
    s.simulated[7] = np.nan
    rmse[7] = np.nan
    verdicts = [f"ring {i}" for i in range(30)]
    verdicts[7] = "failed (too stiff)"
    texts = shown(draw(s, rmse, rmse <= 0.1, verdicts))
    assert f"ring {np.nanargmin(rmse)}\n" in texts + "\n"
    assert "failed (too stiff)" in texts
    assert "✗ RMSE not defined" in texts
    assert f"✓ RMSE {np.nanmin(rmse):.3g}" in texts
    assert f"{(rmse <= 0.1).sum()} of the 30 are ticked" in hits.caption(rmse, rmse <= 0.1, s.pairs)


def test_only_profiles_along_a_radius_become_discs(samples, shown):
    s = samples(6, outputs=2)
    rmse = np.full(6, 0.05)
    figure = draw(s, rmse, rmse < 0.1)
    shown(figure)
    assert len(discs(figure)) == 4
    assert sum(bool(ax.lines) and not ax.images for ax in figure.axes) == 8


def test_many_outputs_are_cut_and_the_caption_says_so(samples, shown):
    s = samples(3, outputs=10)
    rmse = np.full(3, 0.05)
    shown(draw(s, rmse, rmse < 0.1))
    assert "4 of 10 outputs" in hits.caption(rmse, rmse < 0.1, s.pairs)


def test_no_hit_is_said(samples, shown):
    s = samples(0)
    none = np.zeros(0)
    assert "No hits" in shown(draw(s, none, none < 1))
    assert "none" in hits.caption(none, none < 1, s.pairs)


def test_a_disc_is_its_profile_along_every_radius():
    profile = np.linspace(1, 0, 201)
    disc = hits.rotate(profile, 401)
    y, x = np.mgrid[-1:1:401j, -1:1:401j]
    radius = np.hypot(x, y)
    inside = radius <= 1
    np.testing.assert_allclose(disc[inside], 1 - radius[inside], atol=1e-12)
    assert np.isnan(disc[~inside]).all()
