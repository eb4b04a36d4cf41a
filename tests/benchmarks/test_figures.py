"""Figures of the discovery study: labels say what is drawn."""

import numpy as np

from discovery_study.figures import draw_actin, draw_noise


def test_noise_is_drawn_by_method_and_the_error_beside_it():
    t = np.linspace(0, 10, 200)
    true = np.random.default_rng(0).standard_normal((200, 2))
    figure = draw_noise(t, true, {"collocation": true + 0.1, "odenet": true - 0.2}, samples=50)
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["true", "collocation", "odenet"]
    traces, errors = figure.axes[0], figure.axes[1]
    assert len(traces.lines) == 3
    found = sorted(float(line.get_ydata()[0]) for line in errors.lines)
    np.testing.assert_allclose(found, [-0.2, 0.1])


def test_a_model_that_runs_away_is_said_to():
    models = [
        {"kind": kind, "method": method, "error": error, "paths": [{"t": [0.0, 1.0], "polymer": [0.0, value]}]}
        for kind in ("data-driven", "physical")
        for method, error, value in (("collocation", 0.3, 1.0), ("odenet", None, None))
    ]
    record = {"salt": "KCl", "curves": [{"total": 5.0, "t": [0.0, 1.0], "polymer": [0.0, 1.1]}], "models": models}
    figure = draw_actin([record])
    assert figure.axes[0].get_title() == "KCl, data-driven\ncollocation 0.300 µM, odenet runs away"
    assert figure.axes[0].get_ylabel() == "polymer M (µM)"
