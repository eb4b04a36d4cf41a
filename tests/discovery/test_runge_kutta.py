"""One step of Runge–Kutta against the exact solution."""

import numpy as np
import pytest

from mechscreen.discovery.runge_kutta import rk4_step


def test_the_error_of_a_step_is_of_fifth_order():
    errors = [abs(rk4_step(lambda x: -x, np.ones(1), h)[0] - np.exp(-h)) for h in (0.1, 0.05)]
    assert errors[0] / errors[1] == pytest.approx(2**5, rel=0.05)


def test_states_of_widths_of_their_own_are_stepped_together():
    x, h = np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[0.1], [0.2]])

    def rate(x):
        return np.stack([x[:, 1], -x[:, 0]], axis=1)

    turned = [
        np.cos(h[:, 0]) * x[:, 0] + np.sin(h[:, 0]) * x[:, 1],
        np.cos(h[:, 0]) * x[:, 1] - np.sin(h[:, 0]) * x[:, 0],
    ]
    np.testing.assert_allclose(rk4_step(rate, x, h), np.stack(turned, axis=1), atol=2e-5)
