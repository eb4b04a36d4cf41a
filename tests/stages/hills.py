"""A model whose largest values are known: two hills, and Schaffer's two values that cannot both be large."""

import numpy as np

from mechscreen.models import Model, Output, Solution
from mechscreen.spaces import Parameter, ParameterSpace

TOP = (0.7, 20.0)
"""Where the higher hill is, of height 3; the lower one, of height 2, is at (0.2, 2)."""


class Hills(Model):
    """Heights over two axes, one of them logarithmic; `near` and `far` are Schaffer's, of the first one alone."""

    name = "hills"
    version = "1"
    isolated = False
    seconds = 1e-5
    stochastic = False
    space = ParameterSpace([Parameter("x", 0.0, 1.0), Parameter("k", 1.0, 100.0, scale="log")])
    outputs = tuple(Output(name, scale="linear") for name in ("height", "near", "far"))

    def solve(self, parameters, seeds):
        """Return heights."""
        x, z = parameters[:, 0], np.log10(parameters[:, 1]) / 2

        def hill(height, x0, k0, width):
            return height * np.exp(-((x - x0) ** 2 + (z - np.log10(k0) / 2) ** 2) / width**2)

        height = hill(3.0, *TOP, 0.15) + hill(2.0, 0.2, 2.0, 0.15)
        # Between 0 and 1 the one is had at the cost of the other; nothing else is worth it.
        wide = 4 * x - 1.5
        return Solution({"height": height, "near": -(wide**2), "far": -((wide - 1) ** 2)})
