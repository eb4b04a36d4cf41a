"""A model and an objective of one's own that take no time, for the tests of bad input."""

import numpy as np

from mechscreen import Model, Output, Parameter, ParameterSpace, Solution


class Quick(Model):
    """A straight line."""

    name = "quick-model-of-the-tests"
    version = "1"
    isolated = False
    space = ParameterSpace([Parameter("a", 0.0, 1.0), Parameter("b", 0.0, 4.0), Parameter("c", 1.0, 2.0)])
    outputs = (Output("line", np.linspace(0, 1, 5)),)

    def __init__(self, power=1):
        if power <= 0:
            raise ValueError("power must be positive")
        self.power = power

    def solve(self, parameters, seeds):
        a, b, c = parameters.T[:, :, None]
        return Solution((c + a * self.outputs[0].grid ** b)[:, None, :])


def half(profiles, log_peaks):
    return (log_peaks[:, 0] > 0.5).astype(int)
