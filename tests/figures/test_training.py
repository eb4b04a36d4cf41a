import numpy as np

from mechscreen.figures import training


def history(epochs, best):
    epoch = np.arange(1.0, epochs + 1)
    error = 0.1 + np.abs(epoch - best) / epochs
    return {"epoch": epoch, "loss": 1 / epoch, "validation_rmse": error, "validation_log_peak_rmse": 2 * error}


def test_marks_the_epoch_of_the_least_validation_error(shown):
    figure = training.draw([history(30, 12), history(20, 20)])
    texts = shown(figure)
    assert "member 1" in texts
    marked = [float(line.get_xdata()[0]) for line in figure.axes[1].lines if len(np.atleast_1d(line.get_xdata())) == 1]
    assert marked == [12, 20]
    assert all(ax.get_yscale() == "log" for ax in figure.axes)
    assert "epoch kept: 12 of 30, 20 of 20" in training.caption([history(30, 12), history(20, 20)])


def test_a_single_epoch_can_be_drawn(shown):
    shown(training.draw([history(1, 1)]))
    assert "1 member; epoch kept: 1 of 1" in training.caption([history(1, 1)])
