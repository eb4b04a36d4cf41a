"""A model with many sets that fit better than all near them."""

import numpy as np

from mechscreen.models import Model, Output, Solution
from mechscreen.spaces import Parameter, ParameterSpace

TIMES = np.linspace(0, 10, 21)


class Tones(Model):
    """Five tones, each of a frequency of its own: −2 ln L has thousands of minima, of which one is the least."""

    name = "tones"
    version = "1"
    isolated = False
    seconds = 1e-5
    stochastic = False
    space = ParameterSpace([Parameter(f"f{k}", 0.3, 6.0) for k in range(5)])
    outputs = tuple(Output(f"y{k}", TIMES, grid_name="time", scale="linear") for k in range(5))

    def solve(self, parameters, seeds):
        """Sound them."""
        return Solution({f"y{k}": np.sin(column[:, None] * TIMES) for k, column in enumerate(parameters.T)})
