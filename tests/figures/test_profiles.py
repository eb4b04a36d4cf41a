import numpy as np

from mechscreen.figures import profiles

NAMES = ("few", "many", "none")


def test_one_output_has_a_row_for_each_class_that_occurs_from_best_to_worst(samples, shown):
    s = samples(30)
    labels = np.where(np.arange(30) < 2, 0, 1)
    figure = profiles.draw(s.pairs, s.errors, labels, NAMES)
    texts = shown(figure)
    assert "few\nn = 2" in texts
    assert "many\nn = 28" in texts
    assert "none" not in texts
    drawn = [ax for ax in figure.axes if ax.lines]
    assert len(drawn) == 2 + 5
    errors = np.sqrt(np.mean((s.simulated - s.emulated) ** 2, axis=(1, 2)))[2:]
    worst = drawn[-1].lines[0].get_ydata()
    assert np.array_equal(worst, s.simulated[2 + errors.argmax(), 0])
    assert "none of the class none" in profiles.caption(labels, NAMES, s.pairs)


def test_several_outputs_have_a_row_each_with_their_own_axis(samples, shown):
    s = samples(12, outputs=3)
    figure = profiles.draw(s.pairs, s.errors, np.zeros(12, int), NAMES)
    texts = shown(figure)
    assert sum(bool(ax.lines) for ax in figure.axes) == 15
    assert texts.count("radius [mm]") == 5
    assert texts.count("depth [mm]") == 10
    assert "12 test samples" in profiles.caption(np.zeros(12, int), NAMES, s.pairs)


def test_an_empty_test_split_is_said(samples, shown):
    s = samples(0)
    assert "empty" in shown(profiles.draw(s.pairs, s.errors, np.zeros(0, int), NAMES))
