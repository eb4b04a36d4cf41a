import numpy as np
import pytest

from mechscreen.figures import calibration


@pytest.fixture
def judged():
    rng = np.random.default_rng(1)
    p = rng.random(2000) ** 2
    labels = (rng.random(2000) < p).astype(int)
    return np.stack([1 - p, p], axis=1), labels, rng.exponential(size=2000)


def test_probabilities_that_are_right_lie_on_the_diagonal(shown, judged):
    names = ["none", "striped"]
    figure = calibration.draw(*judged, names)
    text = shown(figure)
    for word in ("probability", "share in the simulations", "none", "striped"):
        assert word in text
    curves = calibration.curves(*judged, names)
    assert curves["striped"].error < 0.06
    assert curves["striped"].probability == pytest.approx(curves["striped"].share, abs=0.2)
    assert "2,000 simulations that no network has seen; mean distance from the diagonal: none" in calibration.caption(
        *judged, names
    )


def test_classes_that_nothing_is_likely_of_are_left_out(shown, judged):
    p, labels, weights = judged
    three = np.column_stack([p, np.full(len(p), 1e-3)])
    assert list(calibration.curves(three, labels, weights, ["a", "b", "c"])) == ["a", "b"]
    nothing = calibration.draw(np.zeros((3, 1)), np.zeros(3, int), np.ones(3), ["a"])
    assert "No class has a probability" in shown(nothing)
    assert calibration.caption(np.zeros((3, 1)), np.zeros(3, int), np.ones(3), ["a"]).endswith("has seen.")
