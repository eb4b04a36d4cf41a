"""A model of six parameters with a narrow summit, which no sample comes near, and something that it costs."""

import numpy as np

from mechscreen.models import Model, Output, Solution
from mechscreen.spaces import Parameter, ParameterSpace

SUMMIT, CHEAP = 0.8, 0.3


class Summit(Model):
    """A summit of height 50, whose flanks fall as an exponential, and a bowl with its bottom elsewhere."""

    name = "summit"
    version = "1"
    isolated = False
    seconds = 1e-5
    stochastic = False
    space = ParameterSpace([Parameter(f"x{k}", 0.0, 1.0) for k in range(6)])
    outputs = (Output("height", scale="linear"), Output("gain", scale="linear"))

    def solve(self, parameters, seeds):
        """Return height and gain."""
        away = np.sqrt(np.square(parameters - SUMMIT).sum(axis=1))
        return Solution({"height": 50 * np.exp(-away / 0.15), "gain": -np.square(parameters - CHEAP).sum(axis=1)})
